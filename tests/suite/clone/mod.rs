//! A folder like a clone of the repository, as far as the tool looks at it.
#![expect(clippy::disallowed_methods, reason = "copies files of the repository")]

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

/// The repository.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What the pages and the tests tell the tool to write; a reader has it in the working tree.
const WRITTEN: &[&str] = &["late-answer", "old-answer", "my-fault", "executor-stalls"];

/// A clone of its own: no other test, and no other process that tests, has it. It is removed in the end,
/// unless the test fails.
pub struct Clone(PathBuf);

impl Deref for Clone {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Clone {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// A new folder of that name, with the scenarios, the snapshots and the README.
pub fn clone(name: &str) -> Clone {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{process}-{number}"));
    for part in ["scenarios", "snapshots"] {
        copy(&Path::new(ROOT).join(part), &folder.join(part));
    }
    fs::copy(Path::new(ROOT).join("README.md"), folder.join("README.md"))
        .expect("it can be copied");
    Clone(folder)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder of the repository") {
        let path = entry.expect("it can be listed").path();
        if WRITTEN.iter().any(|written| path.to_string_lossy().contains(written)) {
            continue;
        }
        let to = to.join(path.file_name().expect("it has a name"));
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(fs::copy(&path, &to).expect("it can be copied")),
        }
    }
}
