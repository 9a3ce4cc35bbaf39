//! Files that several checkpoints name: one goes when none names it any more, nor any that is under way may.
//!
//! A task names files again of the newest checkpoint that it knows to be complete. One that is pending may so name files
//! of a checkpoint that goes meanwhile; they stay until all have ended that were pending then. A task that knows less may
//! even name files that are gone: its part is refused, and with it the checkpoint.

use super::{Checkpoints, Effect, JobMasterCore};
use crate::system::{
    graph::{SharedFile, StateHandle},
    ids::{CheckpointId, ExecutionVertexId},
    sabotage,
    store::object_prefix,
};
use std::collections::{BTreeMap, BTreeSet};

/// Files that no checkpoint names, each with the checkpoints that may.
#[derive(Debug, Default)]
pub struct UnnamedFiles(BTreeMap<String, BTreeSet<CheckpointId>>);

impl Checkpoints {
    /// Whether a checkpoint that is pending may name a file that none names.
    pub(super) fn may_be_named(&self, file: &str) -> bool {
        self.unnamed.0.contains_key(file)
    }
}

fn files_of(states: &[(ExecutionVertexId, StateHandle)]) -> impl Iterator<Item = &str> {
    states.iter().flat_map(|(_, state)| &state.shared).map(|file| file.object.as_str())
}

impl JobMasterCore {
    /// The files that checkpoints name which are complete, or of which parts have come.
    pub(super) fn named(&self) -> BTreeSet<&str> {
        let checkpoints = &self.checkpoints;
        let mut named: BTreeSet<&str> = BTreeSet::new();
        for completed in &checkpoints.completed {
            named.extend(files_of(&completed.states));
        }
        for copied in self.savepoints.copied() {
            named.extend(files_of(&copied.states));
        }
        if let Some(storing) = &checkpoints.storing {
            named.extend(files_of(&storing.checkpoint().states));
        }
        for pending in checkpoints.pending.values() {
            named.extend(pending.shared().map(|file| file.object.as_str()));
        }
        named
    }

    /// The first file of a part that is neither new nor there any more; it is refused then.
    pub(super) fn missing_file(&self, state: &StateHandle) -> Option<String> {
        if state.shared.is_empty() {
            return None;
        }
        let (named, own) = (self.named(), object_prefix(self.id()));
        let is_there = |file: &&SharedFile| {
            file.is_new
                // Those of a savepoint are its user's.
                || !file.object.starts_with(&own)
                || named.contains(file.object.as_str())
                || self.checkpoints.unnamed.0.contains_key(&file.object)
        };
        let missing = state.shared.iter().find(|file| !is_there(file))?;
        let taken = self.switches.on(sabotage::REMOVED_FILES_NAMED_AGAIN);
        (!taken).then(|| missing.object.clone())
    }

    /// A part, or a checkpoint with it, names these files no more.
    pub(super) fn release_files<'a>(&mut self, files: impl Iterator<Item = &'a SharedFile>) {
        let own = object_prefix(self.id());
        let released: Vec<String> =
            files.map(|file| file.object.clone()).filter(|name| name.starts_with(&own)).collect();
        if released.is_empty() {
            return;
        }
        let pending: BTreeSet<CheckpointId> = match self.switches.on(sabotage::FILES_GO_AT_ONCE) {
            true => BTreeSet::new(),
            false => self.checkpoints.pending.keys().copied().collect(),
        };
        for name in released {
            self.checkpoints.unnamed.0.entry(name).or_default().extend(&pending);
        }
        self.remove_unnamed(None);
    }

    /// Removes files that no checkpoint can name any more. `ended`: that one is pending no more.
    pub(super) fn remove_unnamed(&mut self, ended: Option<CheckpointId>) {
        if self.checkpoints.unnamed.0.is_empty() {
            return;
        }
        let named: BTreeSet<String> = self.named().into_iter().map(str::to_string).collect();
        let mut gone = Vec::new();
        let any_in_use = self.checkpoints.unnamed.0.keys().any(|name| named.contains(name));
        let removes = any_in_use && self.switches.on(sabotage::FILES_IN_USE_REMOVED);
        self.checkpoints.unnamed.0.retain(|name, may_be_named_by| {
            may_be_named_by.retain(|checkpoint| Some(*checkpoint) != ended);
            if named.contains(name) && !removes {
                return false;
            }
            if may_be_named_by.is_empty() {
                gone.push(name.clone());
            }
            !may_be_named_by.is_empty()
        });
        if !gone.is_empty() {
            self.does(Effect::Discard(gone));
        }
    }
}
