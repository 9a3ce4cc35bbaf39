//! How errors of the file system end a call.

use crate::system::{
    rpc::RpcError,
    service::{
        ServiceError,
        object_store::{ObjectStoreError, ObjectStoreRefusal},
    },
};
use std::{error::Error, fmt::Display, io::ErrorKind};

/// An error of a call that has changed nothing yet.
pub fn not_done(error: impl Display) -> ObjectStoreError {
    ServiceError::NotDone(RpcError::Application(error.to_string()))
}

/// An error of a call that may have changed something.
pub fn maybe(error: impl Display) -> ObjectStoreError {
    ServiceError::Indeterminate(RpcError::Application(error.to_string()))
}

/// The same error of one that has changed something before.
pub fn since(error: ObjectStoreError) -> ObjectStoreError {
    match error {
        ServiceError::NotDone(error) => ServiceError::Indeterminate(error),
        error => error,
    }
}

/// A refusal.
pub fn refused<T>(refusal: ObjectStoreRefusal) -> Result<T, ObjectStoreError> {
    Err(ServiceError::Refused(refusal))
}

/// Whether there is no room on the disk, or none for this user.
pub fn is_full(error: &(dyn Error + 'static)) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    let is = matches!(kind, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded));
    is || error.source().is_some_and(is_full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_full_disk_is_told_from_one_that_fails() {
        let of_crate = |kind: ErrorKind| object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(io::Error::from(kind)),
        };
        assert!(is_full(&of_crate(ErrorKind::StorageFull)));
        assert!(is_full(&of_crate(ErrorKind::QuotaExceeded)));
        assert!(!is_full(&of_crate(ErrorKind::PermissionDenied)));
    }
}
