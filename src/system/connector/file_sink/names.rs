//! The names of parts, each of which is given once: to a part of an attempt.

use super::error::FileSinkError;
use crate::system::{
    dataflow::OperatorContext,
    service::object_store::{ObjectStore, ObjectStoreRefusal},
    store::object_prefix,
};
use bytes::Bytes;

/// Under which all final files of an object store are.
pub const FILES: &str = "files";

/// The longest directory, in bytes.
const DIRECTORY_BYTES_MAX: usize = 200;
/// The longest uid of a sink, in bytes.
const UID_BYTES_MAX: usize = 100;

/// The prefix under which the final files of a directory are, with the slash at its end.
pub fn file_folder(directory: &str) -> String {
    format!("{FILES}/{directory}/")
}

/// The lines of a final file, without their line breaks.
pub fn part_lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

/// By what final files are put in order: their directory, job and sink, and then subtask, epoch and number.
fn place(file: &str) -> (&str, [u64; 3]) {
    let mut parts = file.rsplitn(4, '-');
    let mut number = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    let (last, epoch, subtask) = (number(), number(), number());
    (parts.next().unwrap_or(file), [subtask, epoch, last])
}

/// Whether that is a final file of a directory, and none of a directory within it.
pub fn is_file_of(directory: &str, name: &str) -> bool {
    name.strip_prefix(&file_folder(directory)).is_some_and(|file| !file.contains('/'))
}

/// The final files of a directory with their contents: sink by sink and subtask by subtask, in the order in which their
/// lines were written. What becomes visible later is not among them.
///
/// # Errors
/// `NotFound` when a file is taken away meanwhile.
pub async fn read_files(
    objects: &dyn ObjectStore,
    directory: &str,
) -> Result<Vec<(String, Bytes)>, ObjectStoreRefusal> {
    let mut names = objects.list_until_acknowledged(&file_folder(directory)).await?;
    names.retain(|name| is_file_of(directory, name));
    names.sort_by(|a, b| place(a).cmp(&place(b)));
    let mut files = Vec::new();
    for name in names {
        let content = objects.get_until_acknowledged(&name).await?;
        files.push((name, content));
    }
    Ok(files)
}

/// How a subtask of a sink names its parts.
///
/// A pending part is under the job's own prefix, so that it goes with the job: `JOB/files/UID-SUBTASK/EPOCH-NUMBER`. A
/// final one is `files/DIRECTORY/part-JOB-UID-SUBTASK-EPOCH-NUMBER`. The epoch is drawn anew for each attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartNames {
    pending: String,
    file: String,
    epoch: u64,
}

impl PartNames {
    /// Those of a subtask's attempt of this epoch that writes to a directory.
    ///
    /// # Errors
    /// When the sink's uid can be no part of a name.
    pub fn new(
        directory: &str,
        context: &OperatorContext,
        epoch: u64,
    ) -> Result<Self, FileSinkError> {
        let (job, uid, subtask) = (context.attempt.job, &context.uid, context.subtask);
        if uid.len() > UID_BYTES_MAX || !is_plain(uid) {
            return Err(FileSinkError::BadUid { uid: uid.clone() });
        }
        Ok(PartNames {
            pending: format!("{}{FILES}/{uid}-{subtask}/", object_prefix(job)),
            file: format!("{}part-{job}-{uid}-{subtask}", file_folder(directory)),
            epoch,
        })
    }

    /// The prefix of this subtask's pending parts, of all its attempts.
    pub fn all_pending(&self) -> &str {
        &self.pending
    }

    /// The pending and the final name of this attempt's part of a number.
    pub fn of(&self, number: u64) -> (String, String) {
        let PartNames { pending, file, epoch } = self;
        (format!("{pending}{epoch}-{number}"), format!("{file}-{epoch}-{number}"))
    }

    /// Whether a pending part is one of an older attempt. One that has another name is none of a sink.
    pub fn is_older(&self, name: &str) -> bool {
        let part = name.strip_prefix(&self.pending).and_then(|part| part.split_once('-'));
        part.and_then(|(epoch, _)| epoch.parse::<u64>().ok()).is_some_and(|of| of < self.epoch)
    }
}

/// Refuses what can be no part of a name.
pub fn check_directory(directory: &str) -> Result<(), FileSinkError> {
    match directory.len() <= DIRECTORY_BYTES_MAX && directory.split('/').all(is_plain) {
        true => Ok(()),
        false => Err(FileSinkError::BadDirectory { directory: directory.to_string() }),
    }
}

/// Whether it can stand between the slashes of a name.
fn is_plain(part: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !matches!(part, "" | "." | "..") && part.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_in_the_order_in_which_they_were_written() {
        let ordered = [
            "files/a/part-0f-sink-0-9-10",
            "files/a/part-0f-sink-0-10-0",
            "files/a/part-0f-sink-0-10-2",
            "files/a/part-0f-sink-0-10-11",
            "files/a/part-0f-sink-2-1-0",
            "files/a/part-0f-sink-10-1-0",
            "files/a/part-0f-to-sink-1-1-0",
        ];
        let mut names = ordered;
        names.reverse();
        names.sort_by(|a, b| place(a).cmp(&place(b)));
        assert_eq!(names, ordered);
    }

    #[test]
    fn what_lies_in_a_directory_within_is_not_of_it() {
        assert!(is_file_of("a", "files/a/part-1") && is_file_of("a/b", "files/a/b/part-1"));
        for other in ["files/a/b/part-1", "files/ab/part-1", "files/a", "a/part-1"] {
            assert!(!is_file_of("a", other), "{other}");
        }
    }

    #[test]
    fn a_file_has_the_lines_that_were_written() {
        let lines = |content: &'static str| {
            part_lines(content.as_bytes()).map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        assert_eq!(lines("a\n\nb\n"), [b"a".to_vec(), b"".to_vec(), b"b".to_vec()]);
        assert!(lines("").is_empty());
    }
}
