//! Message sockets between nodes of one process.

use super::*;
use crate::host::MESSAGE_BYTES_MAX;
use bytes::Bytes;
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpStream};

async fn bind(host: &Host, port: u16) -> (MessageSender, MessageReceiver) {
    soon(host.bind(port)).await.expect("a free port")
}

/// The next frame, as its sender and text; resets are passed over.
async fn frame(receiver: &mut MessageReceiver) -> (NodeAddress, String) {
    soon(async {
        loop {
            if let Inbound::Frame { from, frame } = receiver.recv().await {
                return (from.address().clone(), String::from_utf8(frame.to_vec()).unwrap());
            }
        }
    })
    .await
}

/// The token of the next reset, and whose it is.
async fn reset(receiver: &mut MessageReceiver) -> (NodeAddress, u64) {
    match soon(receiver.recv()).await {
        Inbound::Unreachable { peer, token } => (peer.address().clone(), token),
        other => panic!("expected a reset, found {other:?}"),
    }
}

fn send(sender: &MessageSender, to: &NodeAddress, token: u64, text: &'static str) {
    let frame = Bytes::from_static(text.as_bytes());
    sender.send(&sender.peer(to), KIND, token, frame).expect("a small frame");
}

/// Sends until one gets through, as a caller with retries does.
async fn send_until_received(
    sender: &MessageSender,
    to: &NodeAddress,
    receiver: &mut MessageReceiver,
) {
    soon(async {
        loop {
            send(sender, to, 0, "again");
            if !pends(receiver.recv()).await {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn messages_go_both_ways_and_to_oneself() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let (a_sender, mut a_receiver) = bind(&a, 0).await;
    let (b_sender, mut b_receiver) = bind(&b, 0).await;
    assert_ne!(a_sender.address().port, 0);

    send(&a_sender, b_sender.address(), 1, "ping");
    let (from, text) = frame(&mut b_receiver).await;
    assert_eq!((&from, text.as_str()), (a_sender.address(), "ping"));
    send(&b_sender, &from, 2, "pong");
    let (from, text) = frame(&mut a_receiver).await;
    assert_eq!((&from, text.as_str()), (b_sender.address(), "pong"));
    send(&a_sender, a_sender.address(), 3, "self");
    let (from, text) = frame(&mut a_receiver).await;
    assert_eq!((&from, text.as_str()), (a_sender.address(), "self"));
}

#[tokio::test]
async fn frames_of_every_allowed_size_arrive_and_larger_ones_are_refused() {
    let folder = Folder::new();
    let host = folder.start();
    let (sender, mut receiver) = bind(&host, 0).await;
    let own = sender.peer(sender.address());
    for size in [0, 1, 100_000, MESSAGE_BYTES_MAX] {
        sender.send(&own, KIND, 0, Bytes::from(vec![7; size])).expect("not too large");
        match soon(receiver.recv()).await {
            Inbound::Frame { frame, .. } => assert!(frame.len() == size, "{size}"),
            other => panic!("{other:?}"),
        }
    }
    let oversize = sender.send(&own, KIND, 0, Bytes::from(vec![7; MESSAGE_BYTES_MAX + 1]));
    assert_eq!(oversize.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_burst_arrives_in_full_and_an_overflow_is_dropped() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let (a_sender, _a_receiver) = bind(&a, 0).await;
    let (b_sender, mut b_receiver) = bind(&b, 0).await;
    for _ in 0..4_096 + 500 {
        send(&a_sender, b_sender.address(), 0, "many");
    }
    for _ in 0..4_096 {
        frame(&mut b_receiver).await;
    }
    assert!(pends(b_receiver.recv()).await, "what was above the bound is lost");
    send(&a_sender, b_sender.address(), 0, "more");
    assert_eq!(frame(&mut b_receiver).await.1, "more");
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_resets_every_frame() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let (sender, mut receiver) = bind(&a, 0).await;
    let (gone, gone_receiver) = bind(&b, 0).await;
    let address = gone.address().clone();
    drop(gone_receiver);
    for token in 1..=3 {
        send(&sender, &address, token, "ping");
    }
    for token in 1..=3 {
        assert_eq!(reset(&mut receiver).await, (address.clone(), token));
    }
}

#[tokio::test]
async fn an_unknown_host_resets() {
    let folder = Folder::new();
    let host = folder.start();
    let (sender, mut receiver) = bind(&host, 0).await;
    let nowhere = NodeAddress::new("", 1);
    send(&sender, &nowhere, 9, "ping");
    assert_eq!(reset(&mut receiver).await, (nowhere, 9));
}

#[tokio::test]
async fn a_taken_port_can_not_be_bound_twice() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let (sender, receiver) = bind(&a, 0).await;
    let port = sender.address().port;
    let taken = soon(b.bind(port)).await.err().expect("the port is taken");
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    drop(receiver);
    bind(&b, port).await;
}

#[tokio::test]
async fn a_killed_peer_resets_what_it_was_sent_and_its_successor_is_found() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let (sender, mut receiver) = bind(&a, 0).await;
    let (b_sender, mut b_receiver) = bind(&b, 0).await;
    let address = b_sender.address().clone();
    for token in [4, 5] {
        send(&sender, &address, token, "ping");
        frame(&mut b_receiver).await;
    }
    b.exit("killed");
    assert_eq!(reset(&mut receiver).await, (address.clone(), 4));
    assert_eq!(reset(&mut receiver).await, (address.clone(), 5));
    send(&sender, &address, 6, "ping");
    assert_eq!(reset(&mut receiver).await, (address.clone(), 6));

    let c = folder.start();
    let (_c_sender, mut c_receiver) = bind(&c, address.port).await;
    send_until_received(&sender, &address, &mut c_receiver).await;
}

#[tokio::test]
async fn a_dropped_receiver_resets_and_can_be_bound_anew() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let (sender, mut receiver) = bind(&a, 0).await;
    let (b_sender, mut b_receiver) = bind(&b, 0).await;
    let address = b_sender.address().clone();
    send(&sender, &address, 4, "ping");
    frame(&mut b_receiver).await;
    drop(b_receiver);
    assert_eq!(reset(&mut receiver).await, (address.clone(), 4));
    let (_b_sender, mut b_receiver) = bind(&b, address.port).await;
    send_until_received(&sender, &address, &mut b_receiver).await;
}

#[tokio::test]
async fn garbage_on_the_port_harms_nobody() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let (a_sender, _a_receiver) = bind(&a, 0).await;
    let (b_sender, mut b_receiver) = bind(&b, 0).await;
    let mut oversize = bytes::BytesMut::new();
    wire::put_preamble(&mut oversize, a_sender.address());
    oversize.extend_from_slice(&[0xff; 64]);
    let mut nameless = bytes::BytesMut::new();
    wire::put_preamble(&mut nameless, &NodeAddress::new("", 1));
    let inputs: [&[u8]; 4] = [b"GET / HTTP/1.1\r\n\r\n", &oversize, &nameless, &[0xff; 100_000]];
    for input in inputs {
        let port = b_sender.address().port;
        let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("the port is open");
        // A reset may come while this still writes.
        let _written = tcp.write_all(input).await;
        let mut rest = Vec::new();
        let _read = soon(tcp.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "closed without a word");
    }
    send(&a_sender, b_sender.address(), 1, "ping");
    assert_eq!(frame(&mut b_receiver).await.1, "ping");
}

#[tokio::test]
async fn a_server_that_talks_is_no_peer() {
    let folder = Folder::new();
    let host = folder.start();
    let (sender, mut receiver) = bind(&host, 0).await;
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = NodeAddress::new("127.0.0.1", server.local_addr().unwrap().port());
    send(&sender, &address, 8, "ping");
    let (mut tcp, _) = soon(server.accept()).await.expect("the courier comes");
    tcp.write_all(b"220 hello\r\n").await.expect("the connection is open");
    assert_eq!(reset(&mut receiver).await, (address, 8));
}

#[tokio::test]
async fn a_dead_node_sends_nothing() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let (a_sender, mut a_receiver) = bind(&a, 0).await;
    let (b_sender, mut b_receiver) = bind(&b, 0).await;
    send(&b_sender, a_sender.address(), 0, "too late");
    a.exit("killed");
    send(&a_sender, b_sender.address(), 0, "from the grave");
    let silent = pends(async {
        loop {
            if let Inbound::Frame { .. } = b_receiver.recv().await {
                return;
            }
        }
    });
    assert!(silent.await);
    assert!(pends(a_receiver.recv()).await);
}
