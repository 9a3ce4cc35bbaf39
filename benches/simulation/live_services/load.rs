//! Requests on kept connections, each with a number that its answer must have.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    time::timeout,
};

/// A front end answers 504 before.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// Connections of a load at a rate: more requests than these wait in the client.
const CONNECTIONS_AT_RATE: usize = 512;

/// What is asked.
pub struct Load {
    address: String,
    connections: usize,
    lasts: Duration,
    /// From the begin of one request to the next, of all connections; `None`: each comes after the last one's answer.
    every: Option<Duration>,
}

/// What came of it.
#[derive(Default)]
pub struct Loaded {
    /// How long each took that was answered 200, and when its answer came since the begin.
    answered: Vec<(Duration, Duration)>,
    /// Answers to something else.
    pub wrong: u64,
    /// 504.
    pub timed_out: u64,
    /// Another status.
    pub refused: u64,
    /// The connection ended, or nothing came.
    pub unanswered: u64,
    lasted: Duration,
}

impl Load {
    /// So many connections, each of which asks again when it is answered.
    pub fn closed(address: &str, connections: usize, lasts: Duration) -> Load {
        Load { address: address.to_string(), connections, lasts, every: None }
    }

    /// So many requests in a second, whatever is answered.
    pub fn at_rate(address: &str, rate: u32, lasts: Duration) -> Load {
        let every = Some(Duration::from_secs(1) / rate);
        Load { address: address.to_string(), connections: CONNECTIONS_AT_RATE, lasts, every }
    }

    /// Does it.
    pub fn run(&self) -> Loaded {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(self.put_on())
    }

    /// Gives a turn for each request when it is due, by a clock that is finer than the runtime's.
    fn pace(&self, begun: Instant, turns: Arc<Semaphore>) {
        let (Some(every), lasts) = (self.every, self.lasts) else { return };
        std::thread::spawn(move || {
            let mut due = Duration::ZERO;
            while due < lasts {
                std::thread::sleep(due.saturating_sub(begun.elapsed()));
                turns.add_permits(1);
                due += every;
            }
            // Whoever waits finds that the time is over.
            turns.add_permits(CONNECTIONS_AT_RATE);
        });
    }

    async fn put_on(&self) -> Loaded {
        let (begun, numbers) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let found = Arc::new(Mutex::new(Loaded::default()));
        let turns = Arc::new(Semaphore::new(0));
        self.pace(begun, turns.clone());
        let clients: Vec<_> = (0..self.connections)
            .map(|_| {
                let client = Client {
                    address: self.address.clone(),
                    stream: None,
                    found: found.clone(),
                    begun,
                    turns: turns.clone(),
                };
                tokio::spawn(client.ask_all(numbers.clone(), self.lasts, self.every))
            })
            .collect();
        for client in clients {
            client.await.expect("a client asks to its end");
        }
        let mut found = std::mem::take(&mut *found.lock().expect("no panic under it"));
        found.lasted = begun.elapsed();
        found
    }
}

struct Client {
    address: String,
    stream: Option<TcpStream>,
    found: Arc<Mutex<Loaded>>,
    begun: Instant,
    /// Of a load at a rate, one for each request that is due.
    turns: Arc<Semaphore>,
}

impl Client {
    async fn ask_all(mut self, numbers: Arc<AtomicU64>, lasts: Duration, every: Option<Duration>) {
        loop {
            if every.is_some() {
                let turn = self.turns.acquire().await.expect("it is never closed");
                turn.forget();
            }
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            let nth = u32::try_from(number).expect("a bench of so many requests");
            // What is due counts from when it is due, though all connections are busy.
            let due = every.map_or_else(Instant::now, |every| self.begun + every * nth);
            if due.duration_since(self.begun) >= lasts {
                return;
            }
            let answer = timeout(ANSWERED_WITHIN, self.ask(number)).await;
            let (took, now) = (due.elapsed(), self.begun.elapsed());
            let mut found = self.found.lock().expect("no panic under it");
            match answer {
                Ok(Some((200, body))) if body.contains(&format!("\"amount\":{number}")) => {
                    found.answered.push((took, now));
                }
                Ok(Some((200, _))) => found.wrong += 1,
                Ok(Some((504, _))) => found.timed_out += 1,
                Ok(Some(_)) => found.refused += 1,
                Ok(None) | Err(_) => {
                    found.unanswered += 1;
                    self.stream = None;
                }
            }
        }
    }

    /// The status and the body; nothing when the connection ends.
    async fn ask(&mut self, number: u64) -> Option<(u16, String)> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(&self.address).await.ok()?;
            stream.set_nodelay(true).ok()?;
            self.stream = Some(stream);
        }
        let stream = self.stream.as_mut().expect("it is connected");
        let body = format!("{{\"amount\":{number}}}");
        let request =
            format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut read = Vec::new();
        loop {
            if let Some(answer) = whole(&read) {
                return Some(answer);
            }
            if stream.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
        }
    }
}

/// An answer that has come whole.
fn whole(read: &[u8]) -> Option<(u16, String)> {
    let text = std::str::from_utf8(read).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
    })?;
    (body.len() >= length).then(|| (status, body[..length].to_string()))
}

impl Loaded {
    /// Requests answered in a second.
    pub fn per_second(&self) -> f64 {
        self.answered.len() as f64 / self.lasted.as_secs_f64()
    }

    /// How long a share of the answers took at most, in milliseconds.
    pub fn percentile(&self, share: f64) -> f64 {
        let mut took: Vec<Duration> = self.answered.iter().map(|(took, _)| *took).collect();
        took.sort_unstable();
        let place = (took.len() as f64 * share) as usize;
        took.get(place.min(took.len().saturating_sub(1)))
            .map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
    }

    /// How many were asked.
    pub fn all(&self) -> u64 {
        self.answered.len() as u64 + self.wrong + self.timed_out + self.refused + self.unanswered
    }

    /// The longest time without an answer.
    pub fn longest_gap(&self) -> Duration {
        let mut at: Vec<Duration> = self.answered.iter().map(|(_, at)| *at).collect();
        at.sort_unstable();
        at.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// No answer was that to another request.
    pub fn assert_right(&self) {
        assert_eq!(self.wrong, 0, "answers to something else");
    }
}
