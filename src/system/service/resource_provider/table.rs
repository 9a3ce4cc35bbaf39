//! What a provider keeps in mind, however its machines are started.

use super::{ProviderRefusal, ProviderSession, WorkerSpec};
use crate::system::ids::ResourceId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Names that are remembered after they have gone.
const GONE_MAX: usize = 1024;

/// The workers of one cluster: those that were asked for and neither given back nor lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerTable {
    /// Workers at most.
    workers_max: usize,
    /// The latest term that attached, and the number of the newest worker that it asked for.
    attached: Option<(ProviderSession, u64)>,
    workers: BTreeMap<ResourceId, WorkerSpec>,
    /// The last names that were given back, refused or lost: a late request brings none of them again.
    gone: VecDeque<ResourceId>,
    /// What became of the cluster.
    outcome: Option<String>,
}

impl WorkerTable {
    /// No workers, and room for so many.
    pub fn new(workers_max: usize) -> Self {
        WorkerTable { workers_max, ..WorkerTable::default() }
    }

    /// A resource manager's term begins. Answers the workers.
    ///
    /// # Errors
    /// [`ProviderRefusal::Ended`]; [`ProviderRefusal::Superseded`] when a later term has attached: this one's word
    /// was long on its way.
    pub fn attach(&mut self, session: ProviderSession) -> Result<Vec<ResourceId>, ProviderRefusal> {
        if self.outcome.is_some() {
            return Err(ProviderRefusal::Ended);
        }
        match self.attached {
            Some((attached, _)) if attached.number > session.number => {
                return Err(ProviderRefusal::Superseded);
            }
            Some((attached, _)) if attached == session => {}
            _ => self.attached = Some((session, 0)),
        }
        self.listed(session)
    }

    fn check(&self, session: ProviderSession) -> Result<u64, ProviderRefusal> {
        match self.attached {
            _ if self.outcome.is_some() => Err(ProviderRefusal::Ended),
            Some((attached, newest)) if attached == session => Ok(newest),
            _ => Err(ProviderRefusal::Superseded),
        }
    }

    /// A worker is asked for.
    ///
    /// # Errors
    /// [`ProviderRefusal`].
    pub fn request(
        &mut self,
        session: ProviderSession,
        number: u64,
        worker: WorkerSpec,
    ) -> Result<(), ProviderRefusal> {
        let newest = self.check(session)?;
        if self.workers.contains_key(&worker.resource) {
            return Ok(());
        }
        // It was given back, or is lost, or comes too late.
        if number <= newest || self.gone.contains(&worker.resource) {
            return Err(ProviderRefusal::Outdated);
        }
        self.attached = Some((session, number));
        if self.workers.len() >= self.workers_max {
            self.lose(&worker.resource);
            return Err(ProviderRefusal::Exhausted);
        }
        self.workers.insert(worker.resource.clone(), worker);
        Ok(())
    }

    /// A worker is given back.
    ///
    /// # Errors
    /// [`ProviderRefusal`].
    pub fn release(
        &mut self,
        session: ProviderSession,
        worker: &ResourceId,
    ) -> Result<(), ProviderRefusal> {
        self.check(session)?;
        self.lose(worker);
        Ok(())
    }

    /// The names of the workers.
    ///
    /// # Errors
    /// [`ProviderRefusal`].
    pub fn listed(&self, session: ProviderSession) -> Result<Vec<ResourceId>, ProviderRefusal> {
        self.check(session)?;
        Ok(self.workers.keys().cloned().collect())
    }

    /// A worker's machine is gone, or its process has ended.
    pub fn lose(&mut self, worker: &ResourceId) {
        self.workers.remove(worker);
        if self.gone.contains(worker) {
            return;
        }
        if self.gone.len() == GONE_MAX {
            self.gone.pop_front();
        }
        self.gone.push_back(worker.clone());
    }

    /// The cluster has ended, and with it every worker.
    pub fn deregister(&mut self, outcome: String) {
        self.outcome.get_or_insert(outcome);
        self.workers.clear();
    }

    /// What became of the cluster, once it has ended.
    pub fn outcome(&self) -> Option<&str> {
        self.outcome.as_deref()
    }

    /// The workers that there should be.
    pub fn workers(&self) -> impl Iterator<Item = &WorkerSpec> {
        self.workers.values()
    }

    /// Whether there should be such a worker.
    pub fn contains(&self, worker: &ResourceId) -> bool {
        self.workers.contains_key(worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::leadership::LeaderSessionId;

    // The names of terms have no order.
    const FIRST: ProviderSession = ProviderSession { number: 4, term: LeaderSessionId(9) };
    const SECOND: ProviderSession = ProviderSession { number: 7, term: LeaderSessionId(2) };

    fn worker(name: &str) -> WorkerSpec {
        WorkerSpec { resource: ResourceId(name.to_string()), slots: 2 }
    }

    fn attached() -> WorkerTable {
        let mut table = WorkerTable::new(2);
        assert_eq!(table.attach(FIRST), Ok(vec![]));
        assert_eq!(table.request(FIRST, 1, worker("a")), Ok(()));
        table
    }

    #[test]
    fn what_is_asked_for_twice_comes_once_and_what_was_given_back_never_again() {
        let mut table = attached();
        assert_eq!(table.request(FIRST, 1, worker("a")), Ok(()));
        assert_eq!(table.workers().count(), 1);
        assert_eq!(table.release(FIRST, &worker("a").resource), Ok(()));
        assert_eq!(table.request(FIRST, 1, worker("a")), Err(ProviderRefusal::Outdated));
        assert_eq!(table.request(FIRST, 3, worker("c")), Ok(()));
        assert_eq!(table.request(FIRST, 2, worker("b")), Err(ProviderRefusal::Outdated));
        // The request comes after its own release.
        assert_eq!(table.release(FIRST, &worker("d").resource), Ok(()));
        assert_eq!(table.request(FIRST, 4, worker("d")), Err(ProviderRefusal::Outdated));
        // Numbers count anew for who attaches anew, names don't.
        table.attach(SECOND).unwrap();
        assert_eq!(table.request(SECOND, 1, worker("a")), Err(ProviderRefusal::Outdated));
        assert_eq!(table.request(SECOND, 1, worker("e")), Ok(()));
    }

    #[test]
    fn an_earlier_term_that_attaches_late_takes_nothing_over() {
        let mut table = attached();
        table.attach(SECOND).unwrap();
        assert_eq!(table.request(SECOND, 1, worker("b")), Ok(()));
        assert_eq!(table.attach(FIRST), Err(ProviderRefusal::Superseded));
        assert_eq!(table.request(FIRST, 2, worker("c")), Err(ProviderRefusal::Superseded));
        assert_eq!(table.release(SECOND, &worker("b").resource), Ok(()), "it is obeyed as before");
        assert_eq!(table.request(SECOND, 2, worker("d")), Ok(()));
    }

    #[test]
    fn the_latest_term_is_obeyed_and_knows_all_workers() {
        let mut table = attached();
        assert_eq!(table.request(SECOND, 1, worker("b")), Err(ProviderRefusal::Superseded));
        assert_eq!(table.attach(SECOND), Ok(vec![worker("a").resource]));
        assert_eq!(table.release(FIRST, &worker("a").resource), Err(ProviderRefusal::Superseded));
        assert_eq!(table.request(FIRST, 2, worker("b")), Err(ProviderRefusal::Superseded));
        // Its numbers are its own, also where it attaches again.
        assert_eq!(table.request(SECOND, 1, worker("b")), Ok(()));
        assert_eq!(table.attach(SECOND), Ok(vec![worker("a").resource, worker("b").resource]));
        table.lose(&worker("b").resource);
        assert_eq!(table.request(SECOND, 1, worker("b")), Err(ProviderRefusal::Outdated));
    }

    #[test]
    fn there_are_no_more_than_there_is_room_for_and_none_after_the_end() {
        let mut table = attached();
        assert_eq!(table.request(FIRST, 2, worker("b")), Ok(()));
        assert_eq!(table.request(FIRST, 3, worker("c")), Err(ProviderRefusal::Exhausted));
        table.deregister("SUCCEEDED".to_string());
        table.deregister("FAILED".to_string());
        assert_eq!((table.outcome(), table.workers().count()), (Some("SUCCEEDED"), 0));
        assert_eq!(table.request(FIRST, 4, worker("d")), Err(ProviderRefusal::Ended));
        assert_eq!(table.attach(SECOND), Err(ProviderRefusal::Ended));
    }
}
