//! Where the objects of a live cluster are: at a server, or in a folder.

use super::{disk, store::FolderObjectStore};
use crate::{
    host::{NodeAddress, ParseAddressError},
    system::{
        rpc::RpcService,
        service::object_store::{ObjectStore, ObjectStores},
    },
};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

const SCHEME: &str = "file://";

/// Where the objects of a cluster are, as one types it: `HOST:PORT` of a server, or `file:///PATH` of a folder that all
/// processes of the cluster reach under that absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectStoreAddress {
    /// At the embedded server that listens there.
    Server(NodeAddress),
    /// In that folder.
    Folder(PathBuf),
}

/// Why that is no place for objects.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// It is no address of a server.
    #[error(transparent)]
    Address(#[from] ParseAddressError),
    /// It is no absolute path.
    #[error("{0:?} is no folder's: expected an absolute path, as in file:///mnt/shared")]
    Path(String),
    /// The folder can't be used.
    #[error("{place}: {error}")]
    Folder {
        /// Where it is.
        place: ObjectStoreAddress,
        /// Why not.
        error: io::Error,
    },
}

impl ObjectStoreAddress {
    /// A folder, by its URL alone: for who may not name a server.
    ///
    /// # Errors
    /// [`PlaceError::Path`].
    pub fn folder(url: &str) -> Result<Self, PlaceError> {
        match url.strip_prefix(SCHEME).map(Path::new) {
            Some(path) if path.is_absolute() => Ok(ObjectStoreAddress::Folder(path.to_path_buf())),
            _ => Err(PlaceError::Path(url.to_string())),
        }
    }

    /// Makes a folder that is there ready for objects, if it is not yet, and tries what its file system can. Processes
    /// of a cluster work only in a folder that was prepared.
    ///
    /// # Errors
    /// [`PlaceError::Folder`]: it is not there, holds something else, or can't do what is needed.
    pub fn prepare(&self) -> Result<(), PlaceError> {
        match self {
            ObjectStoreAddress::Server(_) => Ok(()),
            ObjectStoreAddress::Folder(path) => disk::prepare(path)
                .map_err(|error| PlaceError::Folder { place: self.clone(), error }),
        }
    }

    /// Whether a folder that was prepared is there.
    ///
    /// # Errors
    /// [`PlaceError::Folder`].
    pub fn check(&self) -> Result<(), PlaceError> {
        match self {
            ObjectStoreAddress::Server(_) => Ok(()),
            ObjectStoreAddress::Folder(path) => disk::open(path)
                .map(drop)
                .map_err(|error| PlaceError::Folder { place: self.clone(), error }),
        }
    }
}

impl FromStr for ObjectStoreAddress {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        match text.starts_with("file:") {
            true => ObjectStoreAddress::folder(text),
            false => Ok(ObjectStoreAddress::Server(text.parse()?)),
        }
    }
}

impl fmt::Display for ObjectStoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectStoreAddress::Server(address) => address.fmt(f),
            ObjectStoreAddress::Folder(path) => write!(f, "{SCHEME}{}", path.display()),
        }
    }
}

impl ObjectStores for ObjectStoreAddress {
    fn open(&self, service: &RpcService) -> Arc<dyn ObjectStore> {
        match self {
            ObjectStoreAddress::Server(address) => address.open(service),
            ObjectStoreAddress::Folder(path) => {
                Arc::new(FolderObjectStore::new(service.host(), path))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_and_told_again() {
        for text in ["127.0.0.1:6123", "file:///mnt/shared", "file:///mnt/a b"] {
            let place: ObjectStoreAddress = text.parse().expect("a place");
            assert_eq!(place.to_string(), text);
            assert_eq!(ObjectStoreAddress::folder(text).is_ok(), text.starts_with("file"));
        }
        for (text, why) in [
            ("file://shared", "expected an absolute path"),
            ("file:/mnt", "expected an absolute path"),
            ("file://", "expected an absolute path"),
            ("/mnt/shared", ""),
        ] {
            let told = text.parse::<ObjectStoreAddress>().expect_err(text).to_string();
            assert!(told.contains(why), "{told}");
        }
        let none = ObjectStoreAddress::folder("file:///no/such/folder").expect("a place");
        let told = none.prepare().expect_err("it is not there").to_string();
        assert!(told.starts_with("file:///no/such/folder: No such file"), "{told}");
    }
}
