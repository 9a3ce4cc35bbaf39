//! When the sinks of a task write what they have gathered.

use crate::{
    host::Instant,
    system::{
        dataflow::{ChainHead, Managed},
        task_executor::{TaskError, error::guarded},
    },
};
use std::time::Duration;

/// How long sinks that want to write may gather more, as long as more is there.
const GATHERING_MAX: Duration = Duration::from_millis(1);

/// The sinks of a chain.
#[derive(Default)]
pub struct Sinks {
    /// Since when they gather what they could write.
    since: Option<Instant>,
}

impl Sinks {
    /// Lets those write that have gathered enough.
    pub async fn flush_full(&self, chain: &mut dyn ChainHead) -> Result<(), TaskError> {
        flush(chain, |operator| operator.is_full()).await
    }

    /// Whether one of them wants to write.
    pub fn are_gathering(&mut self, chain: &mut dyn ChainHead) -> bool {
        let are_gathering = chain.managed().iter().any(|operator| operator.wants_flush());
        if !are_gathering {
            self.since = None;
        }
        are_gathering
    }

    /// Lets those write that want to, unless more has come already that can be written with it.
    pub async fn flush_gathered(
        &mut self,
        chain: &mut dyn ChainHead,
        now: Instant,
        has_more: bool,
    ) -> Result<(), TaskError> {
        let since = *self.since.get_or_insert(now);
        if has_more && now.saturating_since(since) < GATHERING_MAX {
            return Ok(());
        }
        self.since = None;
        flush(chain, |operator| operator.wants_flush()).await
    }
}

async fn flush(
    chain: &mut dyn ChainHead,
    which: impl Fn(&dyn Managed) -> bool,
) -> Result<(), TaskError> {
    for operator in chain.managed() {
        if which(operator) {
            guarded(operator.flush()).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{
        dataflow::{Downstream, Fetched, OperatorContext, Scope, Waits, ready},
        graph::{OperatorState, RestoredState},
        ids::CheckpointId,
    };
    use futures::FutureExt;

    /// A chain that is a sink, full of three records.
    #[derive(Default)]
    struct OneSink {
        gathered: u32,
        written: Vec<u32>,
    }

    impl Managed for OneSink {
        fn uid(&self) -> &'static str {
            "sink"
        }

        fn open<'a>(&'a mut self, _: &'a OperatorContext, _: RestoredState) -> Waits<'a, ()> {
            ready(())
        }

        fn is_full(&self) -> bool {
            self.gathered >= 3
        }

        fn wants_flush(&self) -> bool {
            self.gathered > 0
        }

        fn flush(&mut self) -> Waits<'_, ()> {
            self.written.push(std::mem::take(&mut self.gathered));
            ready(())
        }

        fn snapshot(&mut self, _: CheckpointId) -> Waits<'_, OperatorState> {
            Box::pin(std::future::pending())
        }
    }

    impl Downstream for OneSink {
        fn add_managed<'a>(&'a mut self, all: &mut Vec<&'a mut dyn Managed>) {
            all.push(self);
        }
    }

    impl ChainHead for OneSink {
        fn is_source(&self) -> bool {
            false
        }

        fn fetch(&mut self) -> Waits<'_, Fetched> {
            Box::pin(std::future::pending())
        }

        fn has_fetched(&self) -> bool {
            false
        }

        fn drain(&mut self, _: &mut Scope) -> usize {
            0
        }

        fn record(&mut self, _: &[u8], _: &mut Scope) {
            self.gathered += 1;
        }
    }

    /// What is written when so many are gathered after so many microseconds.
    fn look(sinks: &mut Sinks, chain: &mut OneSink, micros: u64, has_more: bool) -> usize {
        let now = Instant::ORIGIN + Duration::from_micros(micros);
        if sinks.are_gathering(chain) {
            let done = sinks.flush_gathered(chain, now, has_more).now_or_never();
            done.expect("nothing waits").expect("nothing fails");
        }
        chain.written.len()
    }

    #[test]
    fn what_is_gathered_is_written_when_there_is_no_more_or_a_millisecond_later() {
        let (mut sinks, mut chain) = (Sinks::default(), OneSink::default());
        assert_eq!(look(&mut sinks, &mut chain, 0, false), 0, "nothing is gathered");
        chain.gathered = 1;
        assert_eq!(look(&mut sinks, &mut chain, 1_000, true), 0);
        assert_eq!(look(&mut sinks, &mut chain, 1_999, true), 0);
        assert_eq!(look(&mut sinks, &mut chain, 2_000, true), 1);
        chain.gathered = 1;
        assert_eq!(look(&mut sinks, &mut chain, 2_500, true), 1, "its millisecond begins anew");
        assert_eq!(look(&mut sinks, &mut chain, 2_500, false), 2);
        assert_eq!(chain.written, [1, 1]);
    }

    #[test]
    fn one_that_is_full_writes_whatever_else_there_is() {
        let (sinks, mut chain) = (Sinks::default(), OneSink { gathered: 2, ..OneSink::default() });
        for full in [false, true] {
            let done = sinks.flush_full(&mut chain).now_or_never();
            done.expect("nothing waits").expect("nothing fails");
            assert_eq!(!chain.written.is_empty(), full);
            chain.gathered += 1;
        }
    }
}
