//! An echo of hyper alone, in a process of its own.

use crate::measure::Effort;
use hyper::{
    Request, Response,
    body::{Body, Bytes, Frame, Incoming},
    rt::{Read, ReadBufCursor, Write},
    server::conn::http1,
    service::service_fn,
};
use std::{
    convert::Infallible,
    io::{self, BufRead, BufReader},
    pin::Pin,
    process::{Child, Command, Stdio},
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// The part that runs in a process of its own.
pub const BARE_ECHO_CHILD: &str = "bare-echo-child";
/// Bytes read at once.
const READ_BYTES: usize = 4096;

/// A process that echoes.
pub struct Bare {
    child: Child,
    pub address: String,
}

impl Bare {
    pub fn start() -> Bare {
        let this = std::env::current_exe().expect("this program has a file");
        let mut command = Command::new(this);
        let mut child =
            command.arg(BARE_ECHO_CHILD).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut address = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut address).expect("it says where it listens");
        Bare { child, address: address.trim().to_string() }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Echoes each body, for ever.
pub fn bare_echo(_: Effort) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("it listens"));
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("a connection");
            let echo = service_fn(|request: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(Echoed(Some(whole(request.into_body()).await))))
            });
            let served = http1::Builder::new().serve_connection(Wire(stream), echo);
            tokio::spawn(async move { drop(served.await) });
        }
    });
}

async fn whole(mut body: Incoming) -> Bytes {
    let mut read = Vec::new();
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
    {
        if let Ok(data) = frame.into_data() {
            read.extend_from_slice(&data);
        }
    }
    Bytes::from(read)
}

struct Echoed(Option<Bytes>);

impl Body for Echoed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(self.0.as_ref().map_or(0, |data| data.len() as u64))
    }
}

/// A stream of tokio as hyper takes it.
struct Wire(TcpStream);

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; READ_BYTES];
        let most = into.remaining().min(READ_BYTES);
        let mut read = ReadBuf::new(&mut bytes[..most]);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut read))?;
        into.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
