//! A job as one names it: by the first digits of its id.

use crate::system::{ids::JobId, protocol::JobOverview};

/// Digits of an id that are shown at least.
const SHOWN_MIN: usize = 8;
const DIGITS: usize = 32;
/// Jobs that are listed where several are meant.
const LISTED_MAX: usize = 8;

/// Reads the first digits of an id.
pub fn parse_job(text: &str) -> Result<String, String> {
    let digits = text.to_ascii_lowercase();
    if digits.is_empty() || digits.len() > DIGITS || !digits.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return Err(format!(
            "expected a job id or its first digits (hexadecimal, {DIGITS} at most), found {text:?}"
        ));
    }
    Ok(digits)
}

/// The one job whose id begins with these digits.
pub fn find(digits: &str, jobs: &[JobOverview]) -> Result<JobId, String> {
    if let Ok(job) = digits.parse::<JobId>() {
        return Ok(job);
    }
    let meant: Vec<&JobOverview> =
        jobs.iter().filter(|job| job.job.to_string().starts_with(digits)).collect();
    match &meant[..] {
        [job] => Ok(job.job),
        [] => Err(format!("no job's id begins with {digits}; `jobs` lists those that are known")),
        several => {
            let line = |job: &&JobOverview| format!("\n  {}  {}", job.job, job.name);
            let mut told: String = several.iter().take(LISTED_MAX).map(line).collect();
            if several.len() > LISTED_MAX {
                told += "\n  …";
            }
            Err(format!(
                "{digits} begins the ids of {} jobs; give more digits:{told}",
                several.len()
            ))
        }
    }
}

/// How many digits tell the jobs apart.
pub fn digits_shown(jobs: &[JobOverview]) -> usize {
    let mut ids: Vec<String> = jobs.iter().map(|job| job.job.to_string()).collect();
    ids.sort();
    let common = |pair: &[String]| {
        pair[0].bytes().zip(pair[1].bytes()).take_while(|(one, other)| one == other).count()
    };
    let most = ids.windows(2).map(common).max().unwrap_or_default();
    (most + 1).clamp(SHOWN_MIN, DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::protocol::{JobDetails, JobStatus};

    fn jobs(ids: &[u128]) -> Vec<JobOverview> {
        let job =
            |id: &u128| JobDetails::bare(JobId(*id), "a", JobStatus::Running, None).overview();
        ids.iter().map(job).collect()
    }

    #[test]
    fn the_first_digits_name_a_job_if_no_other_begins_so() {
        let known = jobs(&[0x12 << 120, 0x13 << 120, 0xa1 << 120]);
        assert_eq!(find("a", &known), Ok(JobId(0xa1 << 120)));
        assert_eq!(find("13", &known), Ok(JobId(0x13 << 120)));
        let several = find("1", &known).expect_err("two begin so");
        assert!(several.contains("of 2 jobs") && several.contains("  1200000"), "{several}");
        assert!(find("2", &known).expect_err("none begins so").contains("begins with 2"));
        let whole = format!("{:032x}", 5);
        assert_eq!(find(&whole, &known), Ok(JobId(5)), "the list may have forgotten it");
    }

    #[test]
    fn what_is_no_part_of_an_id_is_refused() {
        assert_eq!(parse_job("0Ab"), Ok("0ab".to_string()));
        for text in ["", "xyz", "12 ", &"1".repeat(33)] {
            assert!(parse_job(text).expect_err(text).contains("first digits"));
        }
    }

    #[test]
    fn as_many_digits_are_shown_as_tell_the_jobs_apart() {
        assert_eq!(digits_shown(&[]), SHOWN_MIN);
        assert_eq!(digits_shown(&jobs(&[1 << 127, 1 << 3])), SHOWN_MIN);
        assert_eq!(digits_shown(&jobs(&[0x10, 0x20])), 31);
        assert_eq!(digits_shown(&jobs(&[1, 2])), DIGITS);
    }
}
