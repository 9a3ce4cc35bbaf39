//! What of the RPC layer shows on real clocks alone.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use wavetank::{
    gateway,
    host::{Host, run_two},
    system::rpc::{Context, Gateway, Reply, RpcConfig, RpcEndpoint, RpcSystem, StopFuture},
};

/// Far longer than a busy machine keeps a task from going on, most of the time.
const BOUND: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_millis(500);

gateway! {
    /// Calls to a [`Holder`].
    pub gateway HolderGateway serves HolderHandler {
        /// Answers after so many milliseconds, and keeps the main thread meanwhile.
        ask hold(millis: u64) -> ();
        /// Answers after so many milliseconds, and lets the main thread go.
        ask wait(millis: u64) -> ();
    }
}

/// Keeps its main thread when it is told to, and when it stops.
struct Holder;

/// Keeps the thread that calls.
fn hold(host: &Host, time: Duration) {
    let begin = host.now();
    while host.now() - begin < time {
        std::hint::spin_loop();
    }
}

impl RpcEndpoint for Holder {
    type Gateway = HolderGateway;

    fn on_stop(&mut self, context: &mut Context<Self>) -> StopFuture {
        hold(context.host(), LONG);
        Box::pin(async { Ok(()) })
    }
}

impl HolderHandler for Holder {
    fn hold(&mut self, context: &mut Context<Self>, millis: u64, reply: Reply<()>) {
        hold(context.host(), Duration::from_millis(millis));
        reply.ok(());
    }

    fn wait(&mut self, context: &mut Context<Self>, millis: u64, reply: Reply<()>) {
        context.schedule(Duration::from_millis(millis), |_, _| reply.ok(()));
    }
}

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

thread_local! {
    /// What the test of this thread logs.
    static LOG: Log = Log::default();
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic under this lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// What was announced of main threads that were held.
    fn held(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text");
        let lines = text.lines().filter(|line| line.contains("MainThreadHeld"));
        lines.map(str::to_string).collect()
    }
}

#[test]
fn a_handler_that_holds_its_main_thread_is_announced_with_endpoint_method_and_time() {
    // One of a thread's own would be told nothing where a thread without one comes by first.
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(|| LOG.with(Log::clone)).finish();
    tracing::subscriber::set_global_default(subscriber)
        .expect("no other test reads what is logged");
    run_two(
        |_| async {},
        |host| async move {
            let config = RpcConfig { handler_time_max: BOUND, ..RpcConfig::default() };
            let system = RpcSystem::load(&config).expect("the usual transport");
            let service = system.bind(&host, 0).await.expect("a free port");
            let server = service.start_server("holder", Holder).expect("a free name");
            server.start();
            let gateway = server.self_gateway().with_timeout(Duration::from_secs(60));
            gateway.hold(0).await.expect("it runs");
            gateway.wait(600).await.expect("it runs");
            gateway.hold(500).await.expect("it runs");
            server.handle().run_without_fencing(|_, context| hold(context.host(), LONG));
            server.terminate();
            server.termination().await.expect("it ends well");
        },
    );
    let held = LOG.with(Log::held);
    let kinds = ["HolderGateway.hold", "closure", "on_stop"];
    assert_eq!(held.len(), kinds.len(), "{held:#?}");
    for (line, kind) in held.iter().zip(kinds) {
        assert!(line.contains("\"holder\"") && line.contains(kind), "{kind}: {line}");
        assert!(
            line.contains("took: 5") || line.contains("took: 6"),
            "500 ms and little more: {line}"
        );
    }
}

#[test]
fn a_stopped_service_lets_its_port_go() {
    run_two(
        |_| async {},
        |host| async move {
            let service = RpcSystem::default().bind(&host, 0).await.expect("a free port");
            let server = service.start_server("holder", Holder).expect("a free name");
            server.start();
            service.stop().await;
            server.termination().await.expect("it ends well");
            let port = service.address().port;
            RpcSystem::default().bind(&host, port).await.expect("the port is free at once");
        },
    );
}
