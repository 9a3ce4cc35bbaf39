//! Which file an object or a mark is, and what is in it.

use crate::system::service::object_store::{OBJECT_BYTES_MAX, ObjectSum, check_name};
use bytes::Bytes;
use object_store::{PutPayload, path::Path};

/// The folder of objects.
pub const OBJECTS: &str = "objects";
/// The folder of the marks of sealed prefixes.
pub const SEALED: &str = "sealed";
/// The folder of locks.
pub const LOCKS: &str = "locks";

/// Ends the name of each file: in no name of an object.
const END: char = '=';
/// Ends the name of a folder whose part of a name goes on in the next.
const GOES_ON: char = '+';
/// So long may a name of a file be anywhere, with what is put behind it.
const PIECE_BYTES: usize = 200;

/// What stands behind an object's content: its length, its CRC-32, and this.
const MAGIC: [u8; 4] = *b"WTO1";
const TRAILER_BYTES: usize = 16;
/// The largest file of an object.
pub const FILE_BYTES_MAX: u64 = (OBJECT_BYTES_MAX + TRAILER_BYTES) as u64;

/// A name's parts as names of folders, one within the other.
fn folders(top: &str, name: &str) -> String {
    let mut folders = top.to_string();
    for mut part in name.split('/') {
        folders.push('/');
        // Names are ASCII, so they can be cut anywhere.
        while let Some((piece, rest)) = part.split_at_checked(PIECE_BYTES)
            && !rest.is_empty()
        {
            folders.push_str(piece);
            folders.push(GOES_ON);
            folders.push('/');
            part = rest;
        }
        folders.push_str(part);
    }
    folders
}

/// The file of an object, or the mark of a prefix.
pub fn file(top: &str, name: &str) -> Path {
    let mut file = folders(top, name);
    file.push(END);
    Path::from(file)
}

/// The folder of all that is under a prefix, without what has its very name.
pub fn below(top: &str, prefix: &str) -> Path {
    match prefix {
        "" => Path::from(top),
        prefix => Path::from(folders(top, prefix)),
    }
}

/// The name of which that is the file; `None` for what is nobody's.
pub fn name(top: &str, file: &Path) -> Option<String> {
    let folders = file.as_ref().strip_prefix(top)?.strip_prefix('/')?.strip_suffix(END)?;
    let mut name = String::new();
    for folder in folders.split_inclusive('/') {
        let piece = folder.strip_suffix('/').unwrap_or(folder);
        match piece.strip_suffix(GOES_ON) {
            Some(piece) => name.push_str(piece),
            None => name.push_str(folder),
        }
    }
    // What was put there by others may have any name; only one file is a name's.
    (check_name(&name).is_ok() && self::file(top, &name) == *file).then_some(name)
}

fn trailer(sum: ObjectSum) -> [u8; TRAILER_BYTES] {
    let mut trailer = [0; TRAILER_BYTES];
    trailer[..8].copy_from_slice(&sum.length.to_le_bytes());
    trailer[8..12].copy_from_slice(&sum.crc.to_le_bytes());
    trailer[12..].copy_from_slice(&MAGIC);
    trailer
}

/// What the file of an object holds.
pub fn framed(content: Bytes) -> PutPayload {
    let trailer = Bytes::copy_from_slice(&trailer(ObjectSum::of(&content)));
    PutPayload::from_iter([content, trailer])
}

/// The content that a file holds, and what it is told from others by; `None` where it is not what was put.
pub fn content(file: &Bytes) -> Option<(Bytes, ObjectSum)> {
    let content = file.slice(..file.len().checked_sub(TRAILER_BYTES)?);
    let sum = ObjectSum::of(&content);
    (file[content.len()..] == trailer(sum)).then_some((content, sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::service::object_store::OBJECT_NAME_BYTES_MAX;
    use std::collections::BTreeSet;

    #[test]
    fn each_name_has_a_file_of_its_own_that_tells_it() {
        let long = |bytes| "a".repeat(bytes);
        let names: Vec<String> = ["a", "a/b", "a.b", "..a/b..", "-", "objects", "a/objects/sealed"]
            .map(String::from)
            .into_iter()
            .chain([199, 200, 201, 400, 401, OBJECT_NAME_BYTES_MAX].map(long))
            .chain([
                format!("{}/b", long(200)),
                format!("{}/b", long(201)),
                format!("x/{}", long(450)),
            ])
            .collect();
        let mut files = BTreeSet::new();
        for given in &names {
            let path = file(OBJECTS, given);
            assert_eq!(name(OBJECTS, &path).as_ref(), Some(given));
            assert!(path.as_ref().split('/').all(|part| part.len() <= PIECE_BYTES + 1), "{path}");
            assert!(files.insert(path), "{given} has another's file");
            // No file is a folder, of which there may be any.
            let folders = names.iter().map(|other| below(OBJECTS, other));
            assert!(folders.into_iter().all(|folder| !files.contains(&folder)), "{given}");
        }
        assert_eq!(file(OBJECTS, "a/b").as_ref(), "objects/a/b=");
        for others in ["objects/a", "objects/=", "objects/a+=", "objects/a/./b=", "sealed/a=", "a="]
        {
            let path = Path::from(others);
            assert_eq!(name(OBJECTS, &path), None, "{others}");
        }
        let cut = Path::from(format!("objects/{}+/b=", long(100)));
        assert_eq!(name(OBJECTS, &cut), None, "that name has another file");
    }

    #[test]
    fn what_is_not_as_it_was_put_has_no_content() {
        for put in ["", "some"] {
            let put = Bytes::from(put);
            let file = Bytes::from(framed(put.clone()).into_iter().collect::<Vec<_>>().concat());
            let sum = ObjectSum::of(&put);
            assert_eq!(content(&file), Some((put, sum)));
            for at in 0..file.len() {
                let mut changed = file.to_vec();
                changed[at] ^= 1;
                assert_eq!(content(&changed.into()), None, "byte {at}");
                assert_eq!(content(&file.slice(..at)), None, "{at} bytes");
            }
            assert_eq!(content(&[&file[..], b"0"].concat().into()), None, "longer");
        }
    }
}
