//! L3: no durable write by an older leader after the first durable write of a newer one. Judged on
//! the coordination server's own log: taking the latch is a term's first write.

use super::{Check, Invariant};
use crate::{
    harness::check::{
        history::{Moment, Seen},
        model::Model,
    },
    jobs::journal::{self, COMPONENT},
    system::{
        leadership::{LeaderInformation, LeaderSessionId, latch_key, leader_key},
        service::coordination::{Change, CoordinationEvent},
    },
};

/// Follows the terms in the order of their latches.
#[derive(Default)]
pub struct NoStaleWrite {
    newest: Option<(LeaderSessionId, Moment)>,
}

/// The term that a write belongs to.
fn writer(key: &str, value: &[u8]) -> Option<LeaderSessionId> {
    if key == leader_key(COMPONENT) {
        postcard::from_bytes::<LeaderInformation>(value).ok().map(|leader| leader.session)
    } else if key == journal::TAIL_KEY {
        journal::tail_term(value)
    } else {
        None
    }
}

impl Invariant for NoStaleWrite {
    fn name(&self) -> &'static str {
        "L3"
    }

    fn promise(&self) -> &'static str {
        "no durable write by an older leader after the first durable write of a newer one"
    }

    fn looks_at_rpc(&self) -> bool {
        false
    }

    fn observe(&mut self, at: Moment, seen: Seen<'_>, _: &Model) -> Check {
        let (revision, changes) = match seen {
            Seen::Coordination(CoordinationEvent::Committed { revision, changes }) => {
                (revision, changes)
            }
            // A latch that was synced but not announced before a crash shows only here.
            Seen::Coordination(CoordinationEvent::Recovered { keys, .. }) => {
                let latch = keys.iter().find(|(key, _, _)| *key == latch_key(COMPONENT));
                let session = latch.and_then(|(_, value, _)| LeaderSessionId::from_bytes(value));
                self.newest = session.map(|session| (session, at)).or(self.newest);
                return Check::Ignored;
            }
            _ => return Check::Ignored,
        };
        let mut check = Check::Ignored;
        for change in changes {
            let Change::Put { key, value, .. } = change else { continue };
            if *key == latch_key(COMPONENT) {
                self.newest = LeaderSessionId::from_bytes(value).map(|session| (session, at));
            }
            let Some(writer) = writer(key, value) else { continue };
            match self.newest {
                Some((newest, _)) if newest == writer => check = Check::Held,
                Some((newest, since)) => {
                    return Check::broken(
                        format!("{since}: {newest:?} took the latch"),
                        format!("{at}: revision {} of {key} is written by {writer:?}", revision.0),
                    );
                }
                None => {
                    return Check::broken(
                        "nobody has taken the latch",
                        format!("{at}: {key} is written by {writer:?}"),
                    );
                }
            }
        }
        check
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, NoStaleWrite};

    fn two_terms() -> History<NoStaleWrite> {
        History::new()
            .holds(process(0, 1), committed(1, vec![latch(1)]))
            .holds(process(0, 1), committed(2, vec![record(1)]))
            .holds(process(0, 1), committed(3, vec![latch(2)]))
    }

    #[test]
    fn each_term_writing_while_it_is_the_newest_is_accepted() {
        two_terms().holds(process(0, 1), committed(4, vec![record(2)]));
    }

    #[test]
    fn a_write_of_an_older_term_is_refused() {
        two_terms().breaks(process(0, 1), committed(4, vec![record(1)]));
    }

    #[test]
    fn a_write_before_any_latch_is_refused() {
        History::<NoStaleWrite>::new().breaks(process(0, 1), committed(1, vec![record(1)]));
    }
}
