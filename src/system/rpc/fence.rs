//! What a fenced endpoint has and an unfenced one lacks: its token, and whether that may change.

use super::ids::{FencingToken, Session, SessionNumber};
use std::sync::Mutex;

/// Lets calls through that carry the token; without a token none.
pub(super) struct Fence {
    /// Whether there is one token for the whole life of the endpoint.
    permanent: bool,
    /// Written on the main thread only.
    session: Mutex<Session>,
}

impl Fence {
    /// The fence of an endpoint whose token changes on its main thread.
    pub fn changing(token: Option<FencingToken>) -> Self {
        Fence { permanent: false, session: Mutex::new(Session { token, number: SessionNumber(0) }) }
    }

    /// The fence of an endpoint that has one token.
    pub fn permanent(token: FencingToken) -> Self {
        Fence { permanent: true, ..Fence::changing(Some(token)) }
    }

    /// The present session.
    pub fn session(&self) -> Session {
        *self.session.lock().expect("no panic under this lock")
    }

    /// Begins a session; false if this token holds already.
    ///
    /// # Panics
    /// When the token is for the whole life.
    pub fn begin_session(&self, token: Option<FencingToken>) -> bool {
        assert!(!self.permanent, "the token of a permanently fenced endpoint is to change");
        let mut session = self.session.lock().expect("no panic under this lock");
        let changed = session.token != token;
        if changed {
            *session = Session { token, number: SessionNumber(session.number.0 + 1) };
        }
        changed
    }

    /// Whether a call that carries this token may pass.
    pub fn admits(&self, found: Option<FencingToken>) -> bool {
        let expected = self.session().token;
        expected.is_some() && expected == found
    }
}
