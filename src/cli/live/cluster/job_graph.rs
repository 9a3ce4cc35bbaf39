//! The file of a job graph, from which the job managers of a per-job cluster know their job.

use crate::{
    cli::live::{CliError, folder::write_whole},
    system::graph::JobGraph,
};
use std::path::Path;

/// What such a file begins with; the last is its format.
const MAGIC: &[u8] = b"wavetank job graph 1\n";
const CHECKSUM_BYTES: usize = 4;

/// Writes a job graph, whole.
pub fn write_job_graph(path: &Path, job: &JobGraph) -> Result<(), CliError> {
    write_whole(path, &encode(job)?)
}

/// Reads a job graph.
#[expect(clippy::disallowed_methods, reason = "a cluster's own folder")]
pub fn read_job_graph(path: &Path) -> Result<JobGraph, CliError> {
    let refused = |why: String| CliError::new(format!("job graph {}: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    decode(&bytes).map_err(refused)
}

fn encode(job: &JobGraph) -> Result<Vec<u8>, CliError> {
    let body = postcard::to_allocvec(job)?;
    Ok([MAGIC, &crc32fast::hash(&body).to_le_bytes()[..], &body].concat())
}

fn decode(bytes: &[u8]) -> Result<JobGraph, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("it is none of this format")?;
    let (checksum, body) = rest.split_at_checked(CHECKSUM_BYTES).ok_or("it is cut short")?;
    if crc32fast::hash(body).to_le_bytes() != checksum {
        return Err("it is damaged".to_string());
    }
    postcard::from_bytes(body).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        jobs::{common::JobSettings, word_count::word_count},
        system::{
            connector::{Input, LogSourceParameters},
            ids::JobId,
        },
    };

    #[test]
    fn what_is_written_is_read_again_and_damage_is_told() {
        let input = Input::Log(LogSourceParameters::new("in", vec![7]));
        let job = word_count(JobId(9), input, "out", &JobSettings::default());
        let job = job.expect("sound");
        let written = encode(&job).expect("it can be written");
        assert_eq!(decode(&written), Ok(job));
        let mut damaged = written.clone();
        *damaged.last_mut().expect("bytes") ^= 1;
        for (bytes, why) in [
            (&damaged[..], "damaged"),
            (&written[..MAGIC.len() + 2], "cut short"),
            (&written[..written.len() - 1], "damaged"),
            (b"{}", "none of this format"),
        ] {
            assert!(decode(bytes).expect_err(why).contains(why));
        }
    }
}
