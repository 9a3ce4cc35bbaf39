//! One task that waits for the outcomes of all calls of a manager.

use crate::host::Host;
use futures::{
    StreamExt,
    channel::mpsc::{self, UnboundedReceiver, UnboundedSender},
    future::BoxFuture,
    stream::FuturesUnordered,
};

/// Runs calls beside the main thread. Dropping it forgets those under way.
///
/// At any time it holds what one target is sent within a call's time-out, times the targets.
#[derive(Default)]
pub(super) struct Outbox {
    calls: Option<UnboundedSender<BoxFuture<'static, ()>>>,
}

impl Outbox {
    /// Runs a call; the first one starts the task.
    pub fn push(&mut self, host: &Host, call: BoxFuture<'static, ()>) {
        let calls = self.calls.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded();
            host.spawn(run(receiver));
            sender
        });
        // The task ends before its outbox only when the process does.
        let _ = calls.unbounded_send(call);
    }
}

async fn run(mut calls: UnboundedReceiver<BoxFuture<'static, ()>>) {
    let mut under_way = FuturesUnordered::new();
    loop {
        futures::select_biased! {
            call = calls.next() => match call {
                Some(call) => under_way.push(call),
                None => return,
            },
            () = under_way.select_next_some() => {}
        }
    }
}
