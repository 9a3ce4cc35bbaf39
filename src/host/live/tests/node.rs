//! Life and death of nodes; clocks and tasks.

use super::*;

#[test]
fn a_node_ends_when_its_main_returns() {
    let folder = Folder::new();
    let reason = run_node(folder.config(), async |host: Host| {
        host.sleep(ms(1)).await;
    });
    assert_eq!(reason.unwrap(), ExitReason::Returned);
}

#[test]
fn exit_ends_the_node_from_any_task() {
    let folder = Folder::new();
    let reason = run_node(folder.config(), async |host: Host| {
        let task = host.clone();
        host.spawn(async move { task.exit("enough") });
        std::future::pending::<()>().await;
    });
    assert_eq!(reason.unwrap(), ExitReason::Exited { reason: "enough".to_string() });
}

#[test]
fn a_panic_in_a_task_or_in_main_ends_the_node() {
    let expected = ExitReason::Panicked { message: "on purpose 7".to_string() };
    let folder = Folder::new();
    let in_task = run_node(folder.config(), async |host: Host| {
        host.spawn(async { panic!("on purpose {}", 7) });
        std::future::pending::<()>().await;
    });
    assert_eq!(in_task.unwrap(), expected);
    let in_main = run_node(folder.config(), async |_: Host| panic!("on purpose {}", 7));
    assert_eq!(in_main.unwrap(), expected);
}

/// A log whose reader has gone.
struct BrokenLog;

impl tracing::Subscriber for BrokenLog {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        // What tokio and others log is none of this test's business.
        assert!(!event.metadata().target().starts_with("wavetank"), "broken pipe");
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn a_node_whose_log_panics_ends_all_the_same() {
    let folder = Folder::new();
    let host = folder.start();
    let _log = tracing::subscriber::set_default(BrokenLog);
    let task = host.clone();
    host.spawn(async move { task.exit("enough") });
    let reason = soon(Node::ended(&host)).await;
    assert_eq!(reason, ExitReason::Exited { reason: "enough".to_string() });
}

#[tokio::test]
async fn a_panic_leaves_the_other_nodes_of_the_process_alone() {
    let folder = Folder::new();
    let (dying, living) = (folder.start(), folder.start());
    dying.spawn(async { panic!("on purpose") });
    let reason = soon(Node::ended(&dying)).await;
    assert_eq!(reason, ExitReason::Panicked { message: "on purpose".to_string() });
    soon(living.sleep(ms(1))).await;
}

#[tokio::test]
async fn a_dead_node_has_no_effect() {
    struct OnDrop(Host, Arc<AtomicU64>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            assert_eq!(self.0.random_u64(), 0, "no draw is made");
            self.0.spawn(async { unreachable!("spawned by the dead") });
            drop(self.0.sleep(ms(1)));
            self.0.exit("again");
            self.1.fetch_add(100, Ordering::SeqCst);
        }
    }
    let folder = Folder::new();
    let host = folder.start();
    let (seen, task_host) = (Arc::new(AtomicU64::new(0)), host.clone());
    let count = seen.clone();
    host.spawn(async move {
        let _guard = OnDrop(task_host.clone(), count.clone());
        task_host.exit("done");
        count.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        count.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(soon(Node::ended(&host)).await, ExitReason::Exited { reason: "done".to_string() });
    tokio::time::sleep(ms(20)).await;
    assert_eq!(seen.load(Ordering::SeqCst), 101, "code runs on to its next await, no further");
    assert!(pends(host.sleep(ms(0))).await);
    assert!(pends(host.bind(0)).await);
    assert!(pends(host.disk().list("")).await);
}

#[tokio::test]
async fn a_cancelled_task_goes_no_further_and_a_detached_one_does() {
    let folder = Folder::new();
    let host = folder.start();
    let ran = Arc::new(AtomicU64::new(0));
    let start = |add: u64| {
        let (ran, task_host) = (ran.clone(), host.clone());
        host.spawn(async move {
            task_host.sleep(ms(20)).await;
            ran.fetch_add(add, Ordering::SeqCst);
        })
    };
    start(1).cancel();
    drop(start(10));
    soon(async {
        while ran.load(Ordering::SeqCst) < 10 {
            host.sleep(ms(5)).await;
        }
    })
    .await;
    host.sleep(ms(50)).await;
    assert_eq!(ran.load(Ordering::SeqCst), 10);
}

#[tokio::test]
async fn sleep_timeout_and_interval_follow_the_clock() {
    let folder = Folder::new();
    let host = folder.start();
    let start = host.now();
    soon(host.sleep(ms(20))).await;
    assert!(host.now() - start >= ms(20));
    assert_eq!(soon(host.timeout(ms(5), host.sleep(ms(60_000)))).await, Err(Elapsed));
    assert_eq!(soon(host.timeout(ms(60_000), async { 7 })).await, Ok(7));

    let start = host.now();
    let mut interval = host.interval(ms(10));
    for _ in 0..3 {
        soon(interval.tick()).await;
    }
    assert!(host.now() - start >= ms(30));
    drop(host.sleep(Duration::MAX));
}

#[tokio::test]
async fn every_node_has_its_own_identity() {
    let folder = Folder::new();
    let (one, other) = (folder.start(), folder.start());
    assert_ne!(one.incarnation(), other.incarnation());
    assert_ne!(one.random_u128(), one.random_u128());
    assert!(one.wall().as_millis() > 1_600_000_000_000);
    assert_eq!((one.name(), one.hostname()), ("test", "127.0.0.1"));
    assert!(!one.sabotaged(crate::host::Sabotage::new("a", "", "", &[])));
}

#[test]
fn two_nodes_run_until_the_client_is_done() {
    let ran = Arc::new(AtomicU64::new(0));
    let count = ran.clone();
    run_two(
        |_| std::future::pending(),
        |host| async move {
            host.sleep(ms(1)).await;
            count.fetch_add(1, Ordering::SeqCst);
        },
    );
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[test]
#[should_panic(expected = "on purpose")]
fn the_panic_of_a_server_is_told_though_its_client_waits() {
    run_two(|_| async { panic!("on purpose") }, |_| std::future::pending());
}

#[tokio::test]
async fn live_a_property_that_fails_is_an_error_in_the_log_and_the_process_goes_on() {
    let log = Lines::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _log = tracing::subscriber::set_default(subscriber);
    let folder = Folder::new();
    let host = folder.start();
    for number in 1..=2 {
        let unasked = || -> u32 { panic!("what holds is not described") };
        crate::always!(host, "test-live-holds", number <= 2, "{}", unasked());
        crate::sometimes!(host, "test-live-second", number == 2, "number {number}");
        crate::always!(host, "test-live-fails", number < 2, "number {number}");
    }
    crate::reachable!(host, "test-live-reached");
    soon(host.sleep(ms(1))).await;
    let lines = log.of("wavetank::property");
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains("TRACE") && lines[0].contains("sometimes test-live-second"));
    assert!(lines[1].contains("ERROR") && lines[1].contains("always test-live-fails"));
    assert!(lines[1].contains("`number < 2` holds") && lines[1].contains("number 2"));
    assert!(lines[2].contains("reachable test-live-reached"), "{lines:?}");
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl Lines {
    fn of(&self, target: &str) -> Vec<String> {
        let bytes = self.0.lock().expect("no panic under this lock").clone();
        let text = String::from_utf8(bytes).expect("a log is text");
        text.lines().filter(|line| line.contains(target)).map(str::to_string).collect()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic under this lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_task_that_holds_its_thread_holds_up_nothing_else() {
    let folder = Folder::new();
    let node = folder.start();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let done = Arc::new(AtomicU64::new(0));
    let count = done.clone();
    let host = node.clone();
    let holds = async move {
        // This runtime has one thread: on it nobody could ever send what is waited for here.
        held.recv().expect("it is sent");
        host.sleep(Duration::from_millis(1)).await;
        assert!(std::thread::current().name().is_some_and(|name| name == "holds"));
        count.fetch_add(1, Ordering::SeqCst);
    };
    node.spawn_on_thread("holds", holds).expect("there are threads");
    node.sleep(Duration::from_millis(1)).await;
    release.send(()).expect("it waits");
    soon(async {
        while done.load(Ordering::SeqCst) == 0 {
            node.sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_task_on_a_thread_is_cancelled_and_its_panic_ends_the_process() {
    let folder = Folder::new();
    let node = folder.start();
    let dropped = Arc::new(AtomicU64::new(0));
    let guard = CountsDrop(dropped.clone());
    let task = node.spawn_on_thread("cancelled", async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    task.expect("there are threads").cancel();
    soon(async {
        while dropped.load(Ordering::SeqCst) == 0 {
            node.sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let panics = async { panic!("at once") };
    node.spawn_on_thread("panics", panics).expect("there are threads");
    let reason = soon(Node::ended(&node)).await;
    assert!(format!("{reason:?}").contains("at once"), "{reason:?}");
}

struct CountsDrop(Arc<AtomicU64>);

impl Drop for CountsDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
