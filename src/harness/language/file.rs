//! Files of a user, read whole within bounds.

use std::{
    io::{self, Read},
    path::Path,
};

/// The most bytes of a scenario, a plan or a failure's record.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Reads a regular file of at most so many bytes. A device or a pipe may have no end, or nobody at the
/// other one.
///
/// # Errors
/// When it is something else, longer, or can't be read.
#[expect(clippy::disallowed_methods, reason = "the user's own file")]
pub fn read_file(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let about = std::fs::metadata(path)?;
    if about.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
    }
    if !about.is_file() {
        return Err(io::Error::other("it is a device, a pipe or a socket; a file is expected"));
    }
    let too_long = || {
        let what = format!("it has more than {} MiB, which is too long", bytes_max / (1024 * 1024));
        io::Error::new(io::ErrorKind::FileTooLarge, what)
    };
    if about.len() > bytes_max {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    // It may have grown since, and some files of the kernel don't tell their length.
    std::fs::File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max { Err(too_long()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_within_bounds_are_read() {
        let own = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let bytes = read_file(own, FILE_BYTES_MAX).expect("it is short");
        assert!(bytes.starts_with(b"[package]"));
        assert!(read_file(own, bytes.len() as u64).is_ok(), "just as long as it may be");
        let refused =
            |path: &str, max| read_file(Path::new(path), max).expect_err(path).to_string();
        assert!(read_file(own, bytes.len() as u64 - 1).is_err());
        assert!(refused("/dev/zero", 7).contains("a device, a pipe or a socket"));
        assert!(refused("/", 7).contains("a folder"));
        // It says of itself that it is empty.
        assert!(refused("/proc/self/status", 7).contains("too long"));
    }
}
