//! An endpoint that writes down everything that happens to it.

use futures::{FutureExt, channel::oneshot};
use std::sync::{Arc, Mutex};
use wavetank::{
    gateway,
    system::rpc::{Context, Reply, RpcEndpoint, RpcError, RpcServer, StopFuture},
};

gateway! {
    /// Calls to a [`Probe`].
    pub gateway ProbeGateway serves ProbeHandler {
        /// Notes the text and answers with it.
        ask echo(text: String) -> String;
        /// Notes the text.
        tell note(text: String);
        /// Notes the text and answers with it when told to release.
        ask hold(text: String) -> String;
        /// Answers what is held, in the order of arrival.
        tell release();
        /// Drops its reply.
        ask forget() -> ();
        /// Answers with an error of the application.
        ask refuse(text: String) -> ();
        /// Answers with so many bytes.
        ask bytes(length: u64) -> Vec<u8>;
        /// Answers with an error text of so many bytes.
        ask refuse_at_length(length: u64) -> ();
        /// Panics.
        tell panic();
    }
}

/// What happened, in order.
pub type Log = Arc<Mutex<Vec<String>>>;

/// The end of the stop of an endpoint.
type StopSignal = oneshot::Receiver<Result<(), String>>;

/// The endpoint. Its twins share the log and the wishes.
#[derive(Default)]
pub struct Probe {
    log: Log,
    held: Vec<(String, Reply<String>)>,
    /// What `on_start` returns as its error.
    start_error: Option<String>,
    /// What the future of `on_stop` waits for.
    stop: Arc<Mutex<Option<StopSignal>>>,
}

impl Probe {
    /// One whose `on_start` returns this error.
    pub fn that_fails_to_start(error: &str) -> Probe {
        Probe { start_error: Some(error.to_string()), ..Probe::default() }
    }

    /// Another endpoint that writes to the same log.
    pub fn twin(&self) -> Probe {
        Probe {
            log: self.log.clone(),
            held: Vec::new(),
            start_error: self.start_error.clone(),
            stop: self.stop.clone(),
        }
    }

    /// What has happened so far.
    pub fn seen(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// From now on `on_stop` is done only when the sender says so.
    pub fn stops_when_told(&self) -> oneshot::Sender<Result<(), String>> {
        let (sender, receiver) = oneshot::channel();
        *self.stop.lock().unwrap() = Some(receiver);
        sender
    }

    /// Writes something down.
    pub fn write(&self, text: impl Into<String>) {
        self.log.lock().unwrap().push(text.into());
    }
}

impl RpcEndpoint for Probe {
    type Gateway = ProbeGateway;
    const SERVES_WHILE_STOPPING: bool = true;

    fn on_start(&mut self, _: &mut Context<Self>) -> Result<(), String> {
        self.write("on_start");
        self.start_error.take().map_or(Ok(()), Err)
    }

    fn on_stop(&mut self, _: &mut Context<Self>) -> StopFuture {
        self.write("on_stop");
        let stop = self.stop.lock().unwrap().take();
        async {
            match stop {
                Some(stop) => stop.await.unwrap_or(Ok(())),
                None => Ok(()),
            }
        }
        .boxed()
    }
}

impl ProbeHandler for Probe {
    fn echo(&mut self, _: &mut Context<Self>, text: String, reply: Reply<String>) {
        self.write(&text);
        reply.ok(text);
    }

    fn note(&mut self, _: &mut Context<Self>, text: String) {
        self.write(text);
    }

    fn hold(&mut self, _: &mut Context<Self>, text: String, reply: Reply<String>) {
        self.write(&text);
        self.held.push((text, reply));
    }

    fn release(&mut self, _: &mut Context<Self>) {
        for (text, reply) in self.held.drain(..) {
            reply.ok(text);
        }
    }

    fn forget(&mut self, _: &mut Context<Self>, _: Reply<()>) {
        self.write("forget");
    }

    fn refuse(&mut self, _: &mut Context<Self>, text: String, reply: Reply<()>) {
        reply.fail(RpcError::Application(text));
    }

    fn bytes(&mut self, _: &mut Context<Self>, length: u64, reply: Reply<Vec<u8>>) {
        self.write("bytes");
        reply.ok(vec![7; usize::try_from(length).unwrap()]);
    }

    fn refuse_at_length(&mut self, _: &mut Context<Self>, length: u64, reply: Reply<()>) {
        reply.fail(RpcError::Application("x".repeat(usize::try_from(length).unwrap())));
    }

    fn panic(&mut self, _: &mut Context<Self>) {
        panic!("on purpose");
    }
}

/// Runs `f` on the main thread, whatever the token, and waits for it.
pub async fn on_main<T: Send + 'static>(
    server: &RpcServer<Probe>,
    f: impl FnOnce(&mut Probe, &mut Context<Probe>) -> T + Send + 'static,
) -> T {
    let (done, output) = oneshot::channel();
    server.handle().run_without_fencing(move |probe, context| {
        let _ = done.send(f(probe, context));
    });
    output.await.expect("the endpoint runs")
}
