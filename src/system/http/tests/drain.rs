//! The end of a server: in order, at a deadline, at once.

use super::*;
use futures::join;

/// What a client does while the server drains for so long when it is told to.
fn draining<F: Future<Output = ()> + Send + 'static>(
    time: Duration,
    ends_in_time: bool,
    client: impl FnOnce(Host, NodeAddress, oneshot::Sender<()>, oneshot::Receiver<()>) -> F
    + Send
    + 'static,
) {
    let (started, address) = oneshot::channel();
    let (drain, told) = oneshot::channel();
    let (drained, ended) = oneshot::channel();
    run_two(
        async move |host| {
            let server = start(&host, HttpLimits::default(), Arc::default()).await;
            let _ = started.send(server.address().clone());
            let _ = told.await;
            let began = host.now();
            assert_eq!(server.drain(began + time).await, ends_in_time);
            let took = host.now() - began;
            assert!(took <= time + ms(500), "{took:?}");
            assert!(ends_in_time || took >= time, "{took:?}");
            let _ = drained.send(());
            pending().await
        },
        async move |host| {
            let address = address.await.expect("it starts");
            let all = client(host.clone(), address, drain, ended);
            host.timeout(LONG, all).await.expect("the client ends");
        },
    );
}

#[test]
fn what_is_in_flight_is_finished_and_what_is_idle_ends() {
    draining(LONG, true, |host, to, drain, ended| async move {
        let mut idle = Raw::connect(&host, &to).await;
        idle.send(get("/hello")).await;
        idle.until("hello").await;
        let mut fresh = Raw::connect(&host, &to).await;
        let mut handled = Raw::connect(&host, &to).await;
        handled.send(get("/slow/300") + &get("/hello")).await;
        let mut coming = Raw::connect(&host, &to).await;
        coming.send("GET /hello HTTP/1.1\r\nHo").await;
        host.sleep(ms(100)).await;
        drain.send(()).expect("the server waits for it");
        host.sleep(ms(100)).await;
        let refused = host.connect(&to).await;
        assert!(refused.is_err(), "nothing listens any more");
        coming.send("st: a\r\n\r\n").await;
        let (idle, fresh, handled, coming) =
            join!(idle.rest(), fresh.rest(), handled.rest(), coming.rest());
        assert_eq!((idle.as_str(), fresh.as_str()), ("", ""));
        for (answer, end) in [(&handled, "slept"), (&coming, "hello")] {
            assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 1, "{answer}");
            assert!(answer.contains("\r\nconnection: close\r\n\r\n"), "{answer}");
            assert!(answer.ends_with(end), "{answer}");
        }
        ended.await.expect("it has drained");
    });
}

#[test]
fn what_is_left_at_the_deadline_is_cut() {
    draining(ms(300), false, |host, to, drain, ended| async move {
        let mut raw = Raw::connect(&host, &to).await;
        raw.send(get("/endless")).await;
        host.sleep(ms(100)).await;
        drain.send(()).expect("the server waits for it");
        // An end or a reset, and no answer.
        assert!(!matches!(raw.stream.read().await, Ok(Some(_))));
        ended.await.expect("it has drained");
    });
}

#[test]
fn a_server_without_connections_drains_at_once() {
    draining(LONG, true, |_, _, drain, ended| async move {
        drain.send(()).expect("the server waits for it");
        ended.await.expect("it has drained");
    });
}

#[test]
fn a_dropped_server_ends_everything() {
    let (started, address) = oneshot::channel();
    let (drop_it, told) = oneshot::channel::<()>();
    let dropped = Arc::<AtomicBool>::default();
    let seen = dropped.clone();
    run_two(
        async move |host| {
            let server = start(&host, HttpLimits::default(), dropped).await;
            let _ = started.send(server.address().clone());
            let _ = told.await;
            drop(server);
            pending().await
        },
        async move |host| {
            let to = address.await.expect("it starts");
            let mut raw = Raw::connect(&host, &to).await;
            raw.send(get("/endless")).await;
            host.sleep(ms(100)).await;
            assert!(!seen.load(Ordering::Relaxed));
            drop(drop_it);
            let read = host.timeout(LONG, raw.stream.read()).await.expect("it ends");
            assert!(!matches!(read, Ok(Some(_))));
            assert!(seen.load(Ordering::Relaxed), "the handler's future is dropped");
            assert!(host.connect(&to).await.is_err(), "nothing listens any more");
        },
    );
}
