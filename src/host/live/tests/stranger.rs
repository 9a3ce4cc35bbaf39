//! What a stranger who reaches the port can take, and what is left to members.

use super::*;
use crate::host::{
    MESSAGE_BYTES_MAX,
    live::{inbound::Limits, message::bind_limited},
};
use bytes::{BufMut, BytesMut};
use std::{io::Write, sync::Mutex};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpStream};

/// A node with a socket of these limits, and the host that must live as long.
async fn limited(folder: &Folder, limits: Limits) -> (Host, MessageSender, MessageReceiver) {
    let host = folder.start();
    let (sender, receiver) = bind_limited(&host.imp, 0, limits).await.expect("a free port");
    (host, sender, receiver)
}

/// A connection that brings these bytes and stays open.
async fn stranger(sender: &MessageSender, bytes: &[u8]) -> TcpStream {
    let port = sender.address().port;
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("the port is open");
    tcp.write_all(bytes).await.expect("the connection is open");
    tcp
}

/// What a member that listens there says first, and the beginning of a frame of that length.
fn beginning(from: &NodeAddress, length: u32, body: usize) -> BytesMut {
    let mut bytes = BytesMut::new();
    wire::put_preamble(&mut bytes, from);
    bytes.put_u32(length);
    bytes.put_bytes(7, body);
    bytes
}

/// Waits until the other side has closed the connection.
async fn closed(tcp: &mut TcpStream) {
    let mut rest = Vec::new();
    let _reset = soon(tcp.read_to_end(&mut rest)).await;
    assert!(rest.is_empty(), "closed without a word");
}

/// Sends one frame and waits for it.
async fn reaches(from: &MessageSender, to: &MessageSender, receiver: &mut MessageReceiver) {
    let frame = bytes::Bytes::from_static(b"member");
    from.send(&from.peer(to.address()), KIND, 0, frame).expect("a small frame");
    soon(async {
        loop {
            if let Inbound::Frame { frame, .. } = receiver.recv().await
                && frame == "member"
            {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn idle_connections_keep_no_member_out() {
    let folder = Folder::new();
    let limits = Limits { connections: 8, ..Limits::default() };
    let (_host, sender, mut receiver) = limited(&folder, limits).await;
    let (_member, from, _inbox) = limited(&folder, Limits::default()).await;
    reaches(&from, &sender, &mut receiver).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(stranger(&sender, b"").await);
    }
    // The member's connection is older than all of them, and has brought a frame.
    reaches(&from, &sender, &mut receiver).await;
    for tcp in &mut idle[..12] {
        closed(tcp).await;
    }
    let (_newcomer, other, _inbox) = limited(&folder, Limits::default()).await;
    reaches(&other, &sender, &mut receiver).await;
}

#[tokio::test]
async fn of_connections_that_brought_frames_the_one_that_was_silent_for_longest_gives_way() {
    let folder = Folder::new();
    let limits = Limits { connections: 4, ..Limits::default() };
    let (_host, sender, mut receiver) = limited(&folder, limits).await;
    let (_member, from, _inbox) = limited(&folder, Limits::default()).await;
    let mut chatty = Vec::new();
    for _ in 0..6 {
        chatty.push(stranger(&sender, &beginning(from.address(), 4, 4)).await);
        // Its frame is there before the next one comes.
        soon(receiver.recv()).await;
        reaches(&from, &sender, &mut receiver).await;
    }
    closed(&mut chatty[0]).await;
    reaches(&from, &sender, &mut receiver).await;
}

#[tokio::test]
async fn a_connection_without_a_frame_ends_in_time() {
    let folder = Folder::new();
    let limits = Limits { first_frame: ms(100), frame: ms(100), ..Limits::default() };
    let (_host, sender, _receiver) = limited(&folder, limits).await;
    let own = sender.address().clone();
    for bytes in [BytesMut::new(), beginning(&own, 100, 0), beginning(&own, 100, 99)] {
        closed(&mut stranger(&sender, &bytes).await).await;
    }
    let mut second = beginning(&own, 4, 4);
    second.put_u32(100);
    closed(&mut stranger(&sender, &second).await).await;
}

#[tokio::test]
async fn unfinished_frames_give_up_their_bytes() {
    let folder = Folder::new();
    let limits = Limits { held_bytes: 2 * MESSAGE_BYTES_MAX, grace: ms(50), ..Limits::default() };
    let (_host, sender, mut receiver) = limited(&folder, limits).await;
    let (_member, from, _inbox) = limited(&folder, Limits::default()).await;
    let length = u32::try_from(MESSAGE_BYTES_MAX).expect("a few MiB");
    let mut holders = Vec::new();
    for _ in 0..3 {
        let begun = beginning(from.address(), length, 0);
        let mut tcp = stranger(&sender, &begun).await;
        holders.push(tokio::spawn(async move {
            let body = vec![7; MESSAGE_BYTES_MAX - 1];
            // It is cut off at some byte.
            let _sent = tcp.write_all(&body).await;
            closed(&mut tcp).await;
        }));
    }
    for _ in 0..5 {
        reaches(&from, &sender, &mut receiver).await;
    }
}

#[tokio::test]
async fn nobody_but_a_member_is_answered() {
    let folder = Folder::new();
    let (_host, sender, mut receiver) = limited(&folder, Limits::default()).await;
    let elsewhere = NodeAddress::new("192.0.2.1", 80);
    closed(&mut stranger(&sender, &beginning(&elsewhere, 4, 4)).await).await;
    assert!(pends(receiver.recv()).await, "its frame is not taken either");

    let members = vec!["192.0.2.1".to_string()];
    let config = NodeConfig { members, ..folder.config() };
    let host = Node::start(config).expect("a writable temporary folder");
    let (sender, mut receiver) = soon(host.bind(0)).await.expect("a free port");
    let _open = stranger(&sender, &beginning(&elsewhere, 4, 4)).await;
    let Inbound::Frame { from, .. } = soon(receiver.recv()).await else { panic!("a reset") };
    assert_eq!(from.address(), &elsewhere);
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic under this lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn many_malformed_connections_are_one_line_of_the_log() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _scope = tracing::subscriber::set_default(subscriber);
    let folder = Folder::new();
    let (_host, sender, _receiver) = limited(&folder, Limits::default()).await;
    for _ in 0..30 {
        closed(&mut stranger(&sender, b"GET / HTTP/1.1\r\n\r\n").await).await;
    }
    let told = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text");
    assert_eq!(told.matches("closed a malformed message connection").count(), 1, "{told}");
}
