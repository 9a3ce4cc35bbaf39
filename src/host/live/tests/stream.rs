//! Streams between nodes of one process.

use super::*;
use crate::host::{Stream, StreamListener};
use bytes::Bytes;
use std::io::ErrorKind;

async fn pair(client: &Host, server: &Host) -> (Stream, Stream, StreamListener) {
    let mut listener = soon(server.listen(0)).await.expect("a free port");
    let address = listener.address().clone();
    let near = soon(client.connect(&address)).await.expect("it listens");
    assert_eq!(near.peer_address(), &address);
    let far = soon(listener.accept()).await.expect("it was connected");
    (near, far, listener)
}

/// Everything up to the orderly end.
async fn read_all(stream: &mut Stream) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(bytes) = soon(stream.read()).await? {
        assert!(!bytes.is_empty());
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

#[tokio::test]
async fn bytes_go_both_ways_up_to_an_orderly_end() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let (mut near, mut far, _listener) = pair(&a, &b).await;
    near.write(Bytes::from_static(b"one ")).await.unwrap();
    near.write(Bytes::from_static(b"two")).await.unwrap();
    near.close();
    near.close();
    let late = near.write(Bytes::from_static(b"late")).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(read_all(&mut far).await.unwrap(), b"one two");
    far.write(Bytes::from_static(b"answer")).await.unwrap();
    far.close();
    assert_eq!(read_all(&mut near).await.unwrap(), b"answer");
}

#[tokio::test]
async fn many_connect_before_the_first_is_accepted() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let listener = soon(b.listen(0)).await.expect("a free port");
    let connects = (0..300).map(|_| a.connect(listener.address()));
    soon(futures::future::try_join_all(connects)).await.expect("nobody waits for a second try");
}

#[tokio::test]
async fn a_full_window_makes_the_writer_wait_and_nothing_is_lost() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let (near, mut far, _listener) = pair(&a, &b).await;
    let (_reader, mut writer) = near.split();
    let data: Bytes = (0..32 * 1024 * 1024_u32).map(|n| n.to_le_bytes()[1]).collect();
    let sent = data.clone();
    let done = Arc::new(AtomicU64::new(0));
    let written = done.clone();
    a.spawn(async move {
        writer.write(sent).await.expect("the other side reads");
        writer.close();
        written.store(1, Ordering::SeqCst);
        std::future::pending::<()>().await;
        drop(writer);
    });
    tokio::time::sleep(ms(100)).await;
    assert_eq!(done.load(Ordering::SeqCst), 0, "the window is bounded");
    assert!(read_all(&mut far).await.unwrap() == data);
}

#[tokio::test]
async fn nobody_listening_is_refused() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let listener = soon(b.listen(0)).await.expect("a free port");
    let address = listener.address().clone();
    drop(listener);
    let refused = soon(a.connect(&address)).await.err().expect("refused");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let unknown = soon(a.connect(&NodeAddress::new("", 1))).await.err().expect("refused");
    assert_eq!(unknown.kind(), ErrorKind::ConnectionRefused);
    soon(b.listen(address.port)).await.expect("free again");
}

#[tokio::test]
async fn a_stream_dropped_without_close_is_broken() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let (mut near, mut far, _listener) = pair(&a, &b).await;
    near.write(Bytes::from_static(b"half of it")).await.unwrap();
    drop(near);
    assert_eq!(read_all(&mut far).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_write_that_was_given_up_ends_the_writing() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let (mut near, mut far, _listener) = pair(&a, &b).await;
    assert!(pends(near.write(Bytes::from(vec![7; 32 * 1024 * 1024]))).await);
    let next = soon(near.write(Bytes::from_static(b"next"))).await;
    assert_eq!(next.unwrap_err().kind(), ErrorKind::BrokenPipe);
    near.close();
    drop(near);
    assert_eq!(read_all(&mut far).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn the_death_of_a_node_breaks_its_streams_and_closes_its_listeners() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let (mut near, far, listener) = pair(&a, &b).await;
    let address = listener.address().clone();
    b.spawn(async move {
        let _held = (far, listener);
        std::future::pending::<()>().await;
    });
    tokio::time::sleep(ms(10)).await;
    b.exit("killed");
    let refused = soon(a.connect(&address)).await.err().expect("refused at once");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(soon(near.read()).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn halves_can_be_polled_by_hand() {
    let folder = Folder::new();
    let (a, b) = (folder.start(), folder.start());
    let (near, far, _listener) = pair(&a, &b).await;
    let (_keep, mut writer) = near.split();
    let (mut reader, _other) = far.split();
    let mut data: Bytes = (0..16 * 1024 * 1024_u32).map(|n| n.to_le_bytes()[1]).collect();
    let sent = data.clone();
    let write = std::future::poll_fn(|cx| writer.poll_write(cx, &mut data));
    let read = async {
        let mut all = Vec::new();
        while all.len() < sent.len() {
            let bytes = std::future::poll_fn(|cx| reader.poll_read(cx)).await.expect("whole");
            all.extend_from_slice(&bytes.expect("not ended"));
        }
        all
    };
    let (written, all) = soon(futures::future::join(write, read)).await;
    written.expect("the other side reads");
    assert!(data.is_empty() && all == sent);
}
