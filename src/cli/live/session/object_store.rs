//! Where the objects of a cluster are, which its folder knows from its first start on.

use super::{
    deployment::{read_json, remove, write_json},
    folder::OBJECT_STORE_FILE,
    state::{STATE_FILE, read_text, write_text},
};
use crate::{
    adapters::folder::{ObjectStoreAddress, PlaceError},
    cli::live::CliError,
};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Of the file.
const FORMAT: u32 = 1;

/// A folder for the objects, as one types it.
#[derive(Args, Clone, Debug, Default)]
pub struct ObjectStoreArgument {
    /// Keep checkpoints, savepoints and files in this folder, which is there and empty or was used so before, instead of
    /// at a server of the cluster's own: file:///PATH, local or mounted. The cluster's folder remembers it
    #[arg(long, value_name = "URL", value_parser = parse)]
    object_store: Option<ObjectStoreAddress>,
}

fn parse(text: &str) -> Result<ObjectStoreAddress, PlaceError> {
    ObjectStoreAddress::folder(text)
}

/// What stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ObjectStoreFile {
    format: u32,
    #[serde(serialize_with = "write_text", deserialize_with = "read_text")]
    object_store: ObjectStoreAddress,
}

impl ObjectStoreFile {
    /// Where the objects of the folder's cluster are, if they are elsewhere.
    pub fn read(folder: &Path) -> Result<Option<ObjectStoreAddress>, CliError> {
        let file: Option<ObjectStoreFile> = read_json(&folder.join(OBJECT_STORE_FILE))?;
        Ok(file.map(|file| file.object_store))
    }
}

impl ObjectStoreArgument {
    /// Whether a folder was named.
    pub fn is_given(&self) -> bool {
        self.object_store.is_some()
    }

    /// Settles where the objects of a cluster are that is about to start in a folder, and makes that ready. A cluster
    /// that was started before keeps them where they are.
    pub fn settle(&self, folder: &Path) -> Result<(), CliError> {
        let (wanted, known) = (&self.object_store, ObjectStoreFile::read(folder)?);
        if std::fs::exists(folder.join(STATE_FILE))? {
            if wanted.is_some() && *wanted != known {
                let known = known.map_or("at its own server".to_string(), |at| format!("in {at}"));
                return Err(CliError::new(format!(
                    "--object-store: the objects of the cluster in {} are {known}, with its checkpoints; another \
                     folder for --data begins a new cluster",
                    folder.display()
                )));
            }
            // A folder that is empty now is not mounted.
            return known.map_or(Ok(()), |known| Ok(known.check()?));
        }
        let path = folder.join(OBJECT_STORE_FILE);
        let Some(object_store) = wanted.clone() else { return remove(&path) };
        object_store.prepare()?;
        write_json(&path, &ObjectStoreFile { format: FORMAT, object_store })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::live::{
        folder::DataFolder,
        session::state::{ClusterFile, ClusterState},
    };

    fn argument(folder: &Path) -> ObjectStoreArgument {
        ObjectStoreArgument { object_store: Some(ObjectStoreAddress::Folder(folder.to_path_buf())) }
    }

    #[test]
    fn a_cluster_keeps_its_objects_where_they_were_when_it_was_started_first() {
        let kept = DataFolder::open(None, "object-store").expect("a folder");
        let make = |name: &str| {
            let folder = kept.path().join(name);
            std::fs::create_dir(&folder).expect("space");
            folder
        };
        let (cluster, shared, other) = (make("cluster"), make("shared"), make("other"));
        let none = ObjectStoreArgument::default();
        let read = || ObjectStoreFile::read(&cluster).expect("it is whole");
        argument(&other).settle(&cluster).expect("it is empty");
        none.settle(&cluster).expect("it was not started yet");
        assert_eq!(read(), None);
        argument(&shared).settle(&cluster).expect("it is empty");
        ClusterFile::write(&cluster, ClusterState::Starting { pid: None }).expect("space");
        for again in [&none, &argument(&shared)] {
            again.settle(&cluster).expect("it is the same");
            assert_eq!(read(), argument(&shared).object_store);
        }
        let told = argument(&other).settle(&cluster).expect_err("it is another").to_string();
        assert!(told.contains("are in file://") && told.contains("shared"), "{told}");
        std::fs::remove_dir_all(&shared).expect("its own");
        std::fs::create_dir(&shared).expect("space");
        let told = none.settle(&cluster).expect_err("what was there is not").to_string();
        assert!(told.contains("or is not mounted"), "{told}");

        let begun = make("begun");
        ClusterFile::write(&begun, ClusterState::Starting { pid: None }).expect("space");
        none.settle(&begun).expect("its objects are its own");
        let told = argument(&other).settle(&begun).expect_err("they stay there").to_string();
        assert!(told.contains("at its own server"), "{told}");
    }
}
