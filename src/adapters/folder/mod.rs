//! The object store in a folder that all processes of a cluster reach: one of this machine, or a mounted one. There is
//! no server; each process works on the folder by itself, through the crate `object_store`, and whatever it promises its
//! callers holds whoever else works there.
//!
//! **What lies where.** `objects/` holds a file for each object: its content, and 16 bytes that tell its length and
//! CRC-32 ([`layout`]). `sealed/` holds an empty file for each sealed prefix, `locks/` what removals hold, and
//! `wavetank-object-store` says that this is such a folder: a process that does not find it does nothing, since the
//! folder may not be mounted. Names of files end with `=`, which is in no object's name, so that `a` and `a/b` are two
//! objects, and no object is a mark.
//!
//! **Put.** The bytes are written and synced under another name beside the object's (`…=#1`) and get the object's by a
//! hard link, which takes nobody's place. So there is no part of an object, and of several puts one is the first.
//! Then the names of all folders above are synced, also by who finds the object there: another may have put it who
//! has not come that far. Only then it is done.
//!
//! **Seal.** The mark is made first, durably, and then everything under the prefix is removed. Who puts looks for marks
//! *after* the object is there, and removes it where there is one: either the put comes before the mark and its
//! object goes with the seal, or the put sees the mark. Who reads or lists looks for marks *after* that too, so that
//! what stands under a sealed prefix for a moment, or was left by a process that died, is never seen. A mark that
//! is found is synced before anybody is told of it.
//!
//! **Delete, rename.** Whoever removes an object that is not sealed holds the lock of its name, and who makes a mark
//! holds all locks; a put needs none. So what a rename has seen under `from` is there until that very rename removes
//! it, and no call that comes late removes another object. A rename links `to` to the file of `from`, which takes
//! nobody's place, syncs the names, and only then removes `from`. Locks are those of files in `locks/`: they end
//! with the process that holds them.
//!
//! **Races**, whichever processes they are:
//!
//! | | |
//! | --- | --- |
//! | put, put | one is first; the other is done if it has the same content, and else refused `Exists` |
//! | put, seal | the put is done and then gone with the seal, or refused `Sealed`; or its draft is removed with the seal, and it is indeterminate: again it is refused |
//! | put, delete | either is first. Where the folder goes in which the put begins, it is indeterminate |
//! | put under `to`, rename | the first takes the name; the other finds it taken, by the same content or by other |
//! | put under `from`, rename | while the object is under both names, the put finds it there |
//! | rename, rename | they wait for each other. Of two from one name to two others one moves the object, and the other finds nothing |
//! | rename, delete | they wait for each other |
//! | rename, seal | the mark is made before or after. What is moved before goes with the seal of `to`, and is saved from that of `from` |
//!
//! **What a folder can't promise:**
//! - A rename has no one instant. For a moment the object is under both names; a process that dies in that moment leaves
//!   it so until the rename is made again, which is what every caller does. It is never under neither.
//! - A list is no one instant either, of however few names: what comes, goes or is renamed meanwhile may be seen or not.
//! - Who reads an object in the very moment in which it is put may have seen what a loss of power takes away, since
//!   the put was not answered yet. What was answered stays.
//! - A process that dies as it writes leaves a draft, `…=#N`. Drafts are never seen; they go with the seal of a prefix
//!   above, so those of a job go with the job. Others may be removed by hand, when they are older than a day.
//! - Durability is that of `fsync` on the files and folders: a mount that answers it and has nothing on disk (an
//!   asynchronous NFS export) loses with the power what it said it had.
//! - The mount must be coherent: who looks after another was answered must see what that did. An NFS client keeps for a
//!   while that a file is *not* there, and would miss a fresh mark: mount it with `lookupcache=none,noac`. It must
//!   have hard links, locks that reach all its clients, and tell upper from lower case; all three are tried when a
//!   cluster begins, as far as one machine can.
//! - A process that is stopped, not dead, in the midst of a removal holds others up that remove something by the same
//!   lock, of which there are 64, and all seals. They are *not done* after a while, and are made again.
//! - Nothing bounds how many objects or marks there are but the disk: where that is full a put or seal is refused `Full`.
//!
//! Errors of the file system end a call as *not done* as long as it has changed nothing, and else as *indeterminate*.

mod disk;
mod layout;
mod outcome;
mod place;
mod store;

pub use place::{ObjectStoreAddress, PlaceError};
pub use store::FolderObjectStore;
