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
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _log = tracing::subscriber::set_default(subscriber);
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
    // On a busy machine others may be held as well, and all of them for longer.
    let held = log.held();
    let took = |line: &str| {
        let (_, text) = line.split_once("took: ").expect("it tells how long");
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').expect("a unit follows");
        let unit = if text[end..].starts_with("ms") { 0.001 } else { 1.0 };
        text[..end].parse::<f64>().expect("a number") * unit
    };
    for line in &held {
        assert!(line.contains("\"holder\"") && took(line) >= BOUND.as_secs_f64(), "{line}");
    }
    for kind in ["HolderGateway.hold", "closure", "on_stop"] {
        let is_told = |line: &String| line.contains(kind) && took(line) >= 0.5;
        assert!(held.iter().any(is_told), "{kind}: {held:#?}");
    }
    let waits = |line: &&String| line.contains("HolderGateway.wait") && took(line) >= 0.6;
    assert_eq!(held.iter().find(waits), None, "who waits holds nothing");
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
