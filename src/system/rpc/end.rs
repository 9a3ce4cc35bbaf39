//! How an endpoint ended, and who waits to hear of it.

use futures::channel::oneshot;
use std::{future::Future, sync::Mutex};

/// How an endpoint ended: well, or with this error.
pub type Termination = Result<(), String>;

/// The end of one endpoint.
pub(super) struct End {
    state: Mutex<State>,
}

enum State {
    Ahead(Vec<oneshot::Sender<Termination>>),
    Over(Termination),
}

impl End {
    /// It is ahead.
    pub fn new() -> Self {
        End { state: Mutex::new(State::Ahead(Vec::new())) }
    }

    /// It is over; a second word changes nothing.
    pub fn tell(&self, termination: &Termination) {
        let waiting = {
            let mut state = self.state.lock().expect("no panic under this lock");
            match &mut *state {
                State::Over(_) => return,
                State::Ahead(waiting) => {
                    let waiting = std::mem::take(waiting);
                    *state = State::Over(termination.clone());
                    waiting
                }
            }
        };
        for waiting in waiting {
            // Who gave up waiting needs no word.
            let _ = waiting.send(termination.clone());
        }
    }

    /// Ready when it is over.
    pub fn wait(&self) -> impl Future<Output = Termination> + Send + use<> {
        let waiting = self.subscribe();
        async move {
            match waiting {
                Ok(over) => over,
                Err(ahead) => ahead.await.unwrap_or_else(|_| died()),
            }
        }
    }

    fn subscribe(&self) -> Result<Termination, oneshot::Receiver<Termination>> {
        let mut state = self.state.lock().expect("no panic under this lock");
        match &mut *state {
            State::Over(termination) => Ok(termination.clone()),
            State::Ahead(waiting) => {
                let (sender, receiver) = oneshot::channel();
                // Who asks again and again takes the room of who gave up.
                waiting.retain(|waiting| !waiting.is_canceled());
                waiting.push(sender);
                Err(receiver)
            }
        }
    }
}

/// The end of an endpoint whose process ended first.
pub(super) fn died() -> Termination {
    Err("its process died".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn who_waits_hears_of_the_end_and_who_comes_late_too() {
        let end = End::new();
        let (early, given_up) = (end.wait(), end.wait());
        drop(given_up);
        assert_eq!(end.wait().now_or_never(), None);
        end.tell(&Err("dirty".to_string()));
        end.tell(&Ok(()));
        for heard in [early.now_or_never(), end.wait().now_or_never()] {
            assert_eq!(heard, Some(Err("dirty".to_string())));
        }
    }

    #[test]
    fn who_gave_up_waiting_is_forgotten() {
        let end = End::new();
        let _kept = end.wait();
        for _ in 0..100 {
            drop(end.wait());
        }
        let State::Ahead(waiting) = &*end.state.lock().expect("no panic") else {
            panic!("it is ahead");
        };
        assert!(waiting.len() <= 2, "{} wait", waiting.len());
    }
}
