//! Why a job can't begin from a savepoint.

/// Why a job can't begin from a savepoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SavepointError {
    /// No metadata lies at the path.
    #[error("there is none: no object {0}. `savepoint` prints the path of one when it is whole")]
    Missing(String),
    /// What lies there is something else.
    #[error("{object} is not the metadata of a savepoint")]
    NotASavepoint {
        /// The object.
        object: String,
    },
    /// It was written by a version that this one can't read.
    #[error(
        "its format is {found}, and this version reads up to {newest}: start the job with the version that wrote it, \
         or a newer one"
    )]
    Format {
        /// The format.
        found: u32,
        /// The newest that is read.
        newest: u32,
    },
    /// The metadata is not what was written.
    #[error("{object} is corrupt: {what}. Put it back as it was, or start from another savepoint")]
    Corrupt {
        /// The object.
        object: String,
        /// What is wrong.
        what: String,
    },
    /// A part is not there, or has another length.
    #[error(
        "its part {object} is not what was written: {what}. Put it back, or start from another savepoint"
    )]
    Part {
        /// The object.
        object: String,
        /// What is wrong.
        what: String,
    },
    /// All its data had ended.
    #[error(
        "it was drained: its event time has come to its end, and nothing is left to go on with. Start the job anew, or \
         from a savepoint that was taken without --drain"
    )]
    Drained,
    /// An operator that has state in it is not in the job.
    #[error(
        "it has state of {uids:?}, and the job has no such operators: give them their uids back, or say \
         --allow-non-restored-state to start without that state"
    )]
    NotRestored {
        /// The uids.
        uids: Vec<String>,
    },
    /// None of the job's operators is in it.
    #[error("it has no state of any operator of the job: it is of the program {program:?}")]
    Foreign {
        /// The program of which it is.
        program: String,
    },
    /// The number of key groups is fixed with the first state.
    #[error(
        "{uid:?} has {job} key groups in the job and {savepoint} in the savepoint, which can't be changed: set the \
         maximum parallelism to {savepoint}"
    )]
    MaxParallelism {
        /// The operator.
        uid: String,
        /// In the job.
        job: u32,
        /// In the savepoint.
        savepoint: u32,
    },
}
