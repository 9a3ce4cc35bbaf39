//! The bookings of bank transfers in files, exactly once.
//!
//! It reads and books as [`bank_transfers`](super::bank_transfers) does, has that job's oracle, and writes each booking as
//! the line `ACCOUNT AMOUNT BALANCE`. A line that stood twice in the files, was there before its checkpoint and then made
//! anew on another balance, or was missing in the end, would be told.

use super::{
    bank_transfers::{Oracle, booked, check_transfer, drawn_transfer, record},
    job::Job,
};
use crate::system::{
    connector::{FileSink, Input},
    dataflow::{Program, Result, StreamEnv},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How large a file is at most unless its arguments say otherwise, in bytes.
const FILE_BYTES: usize = 512;

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Arguments {
    input: Input,
    /// The directory to which it writes.
    output: String,
    /// How large a file is at most, in bytes.
    file_bytes: usize,
}

fn describe(env: &mut StreamEnv, arguments: &Arguments) -> Result<()> {
    let Arguments { input, output, file_bytes } = arguments;
    let files = FileSink::new(output, |booked| Ok(record(booked)))?.roll_at(*file_bytes);
    booked(env, input)?.sink("statements", files);
    Ok(())
}

/// The job.
pub(super) fn job() -> Job {
    let program = Program::new("bank-statements", 1, describe);
    Job::with_oracle(program, |_| Box::<Oracle>::default())
        .about("Book transfers, lines such as `ada bob 25`, in files of the object store, exactly once")
        .writes("the lines `ACCOUNT AMOUNT BALANCE` to files of the directory `--output`")
        .in_files()
        .arguments(json!({ "file_bytes": FILE_BYTES }))
        .workload(drawn_transfer)
        .reads(check_transfer)
}
