//! One process of a live journal: the coordination server, a journal node or a client, which call the
//! same functions as the nodes in simulation.

use futures::future::{Either, select};
use journal::{COMPONENT, Entry, JournalClient, Workload, client_key, read_entries, serve_journal};
use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    pin::pin,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use wavetank::{
    host::{
        Host, MESSAGE_BYTES_MAX, NodeAddress, ParseAddressError,
        live::{ExitReason, NodeConfig, interrupted, run_node},
    },
    system::{
        cluster::{bind, serve_coordination},
        leadership::{LeaderInformation, LeaderRetrievalListener, LeaderRetrievalService},
        rpc::RpcService,
        service::coordination::{Coordination, CoordinationClient, CoordinationConfig, KeyPattern},
    },
};

const USAGE: &str = "\
One process of a live journal. All of them run on one machine; start each in a terminal of its own:
  coordination ADDRESS DIR              the coordination server; what stands is kept in DIR
  journal ADDRESS COORDINATION DIR      a journal node; of several one leads
  client FILE COORDINATION              sends the lines of FILE, reads the journal back and compares
such as
  coordination 127.0.0.1:7001 data/coordination
  journal 127.0.0.1:7002 127.0.0.1:7001 data/journal-1
  journal 127.0.0.1:7003 127.0.0.1:7001 data/journal-2
  client Cargo.lock 127.0.0.1:7001
Exit codes of the client: 0 the journal equals the file, 1 it does not, 2 it could not be tried.
Kill whom you like meanwhile and start it again: the same folder and address carry on.";

/// The number of the only client.
const CLIENT: u32 = 1;
/// Slow enough that there is time to kill somebody: some hundred lines a second.
const BATCH: usize = 10;
const PAUSE: Duration = Duration::from_millis(50);
/// Another node leads little more than this time after a leader was killed.
const SESSION_TIMEOUT: Duration = Duration::from_secs(2);
/// From one line of progress to the next.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// Lines that are read back in one message, and what they may have together; room is left for the keys.
const PAGE_LINES: usize = 1000;
const PAGE_BYTES_MAX: usize = MESSAGE_BYTES_MAX / 4;

/// Why a process could not do its work.
#[derive(Debug, thiserror::Error)]
enum LiveError {
    #[error("{0}")]
    Usage(&'static str),
    #[error(transparent)]
    Address(#[from] ParseAddressError),
    #[error("{journal} and {coordination} are on different hosts; here all processes share one")]
    OtherHost { journal: NodeAddress, coordination: NodeAddress },
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{}: another process is using it", path.display())]
    InUse { path: PathBuf },
    #[error("{}: {what}", path.display())]
    Input { path: PathBuf, what: &'static str },
    #[error("the process has ended: {0}")]
    Ended(String),
    #[error("interrupted; what was acknowledged stands, and the same command again carries on")]
    Interrupted,
}

/// Reads the command line and runs the process to its end.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            let from = if matches!(error, LiveError::Usage(_)) { "" } else { "journal: " };
            let _ = writeln!(io::stderr(), "{from}{error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[&str]) -> Result<ExitCode, LiveError> {
    match arguments {
        ["coordination", address, folder] => {
            let address: NodeAddress = address.parse()?;
            run_in(Path::new(folder), "coordination", &address.host, async |host| {
                let Some(service) = bind(&host, address.port).await else { return };
                greet("coordination server", &service);
                serve_coordination(&service).await;
            })?;
            Ok(ExitCode::SUCCESS)
        }
        ["journal", address, coordination, folder] => {
            let (journal, coordination): (NodeAddress, _) =
                (address.parse()?, coordination.parse::<NodeAddress>()?);
            if journal.host != coordination.host {
                return Err(LiveError::OtherHost { journal, coordination });
            }
            run_in(Path::new(folder), "journal", &journal.host, async |host| {
                let Some(service) = bind(&host, journal.port).await else { return };
                greet("journal node", &service);
                serve_journal(service, coordination_config(coordination)).await;
            })?;
            Ok(ExitCode::SUCCESS)
        }
        ["client", file, coordination] => send_file(Path::new(file), coordination.parse()?),
        ["help" | "--help" | "-h"] => {
            say(USAGE);
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(LiveError::Usage(USAGE)),
    }
}

/// Runs a node with this folder for its disk, which belongs to this process alone until it ends.
#[expect(clippy::disallowed_methods, reason = "the user's own folder")]
fn run_in(
    folder: &Path,
    name: &str,
    hostname: &str,
    main: impl AsyncFnOnce(Host),
) -> Result<(), LiveError> {
    let unusable = |error: io::Error| LiveError::File { path: folder.to_path_buf(), error };
    fs::create_dir_all(folder).map_err(unusable)?;
    let lock = File::create(folder.join("in-use")).map_err(unusable)?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => LiveError::InUse { path: folder.to_path_buf() },
        TryLockError::Error(error) => unusable(error),
    })?;
    let config = NodeConfig {
        name: name.to_string(),
        hostname: hostname.to_string(),
        data: folder.to_path_buf(),
        members: Vec::new(),
    };
    match run_node(config, main).map_err(unusable)? {
        ExitReason::Returned => Ok(()),
        ExitReason::Exited { reason } => Err(LiveError::Ended(reason)),
        ExitReason::Panicked { message } => Err(LiveError::Ended(message)),
    }
}

fn coordination_config(server: NodeAddress) -> CoordinationConfig {
    CoordinationConfig { session_timeout: SESSION_TIMEOUT, ..CoordinationConfig::new(server) }
}

/// The client: sends a file, reads the journal back and compares.
#[expect(clippy::disallowed_methods, reason = "the user's own file")]
fn send_file(file: &Path, coordination: NodeAddress) -> Result<ExitCode, LiveError> {
    let path = file.to_path_buf();
    let text =
        fs::read_to_string(file).map_err(|error| LiveError::File { path: path.clone(), error })?;
    let lines: Arc<Vec<String>> = Arc::new(text.lines().map(String::from).collect());
    if lines.is_empty() {
        return Err(LiveError::Input { path, what: "it has no line to send" });
    }
    let page_bytes = |page: &[String]| page.iter().map(String::len).sum::<usize>();
    if lines.chunks(PAGE_LINES).any(|page| page_bytes(page) > PAGE_BYTES_MAX) {
        return Err(LiveError::Input { path, what: "1000 lines of it have more than 2 MiB" });
    }
    // A client keeps nothing, but every node has a disk.
    let folder = std::env::temp_dir().join(format!("journal-client-{}", std::process::id()));
    let mut entries = None;
    let ran = run_in(&folder, "client", &coordination.host.clone(), async |host| {
        let sending = pin!(send(&host, coordination, lines.clone()));
        entries = match select(sending, pin!(interrupted())).await {
            Either::Left((entries, _)) => entries,
            Either::Right(_) => None,
        };
    });
    let _ = fs::remove_dir_all(&folder);
    ran?;
    let entries = entries.ok_or(LiveError::Interrupted)?;
    if let Some(difference) = first_difference(&entries, &lines) {
        say(&format!("the journal is NOT equal to {}: {difference}", file.display()));
        return Ok(ExitCode::FAILURE);
    }
    say(&format!("the journal, {} lines, equals {}", entries.len(), file.display()));
    Ok(ExitCode::SUCCESS)
}

/// Sends the lines until all stand, and reads the journal. `None` when the process is told to exit.
async fn send(
    host: &Host,
    coordination: NodeAddress,
    lines: Arc<Vec<String>>,
) -> Option<Vec<Entry>> {
    let service = bind(host, 0).await?;
    let config = coordination_config(coordination);
    let coordination: Arc<dyn Coordination> = Arc::new(CoordinationClient::new(&service, config));
    let _leaders = LeaderRetrievalService::start(COMPONENT, &coordination, Arc::new(Narrator));
    let all = lines.len();
    let workload = Workload { client: CLIENT, lines, batch: BATCH, pause: PAUSE };
    let client = JournalClient::new(&service, &coordination, workload);
    let own = KeyPattern::Exact(client_key(CLIENT));
    let mut sending = pin!(client.run());
    while host.timeout(LOOK_PERIOD, sending.as_mut()).await.is_err() {
        match coordination.read(&own).await {
            Ok(range) => {
                let stand = range.get(&client_key(CLIENT));
                let stand = stand.and_then(|found| postcard::from_bytes::<u64>(&found.value).ok());
                say(&format!("{} of {all} lines stand", stand.unwrap_or(0)));
            }
            Err(error) => say(&format!("the coordination server does not answer: {error}")),
        }
    }
    say("all lines stand; reading the journal back");
    loop {
        match read_entries(&*coordination).await {
            Ok(entries) => return Some(entries),
            Err(error) => say(&format!("the journal can't be read yet: {error}")),
        }
        host.sleep(LOOK_PERIOD).await;
    }
}

/// Says who leads, so that a person knows whom to kill.
struct Narrator;

impl LeaderRetrievalListener for Narrator {
    fn notify_leader(&self, leader: Option<LeaderInformation>) {
        match leader {
            Some(leader) => say(&format!("{} leads", leader.address)),
            None => say("nobody leads"),
        }
    }
}

/// Where a journal first differs from the lines of its only client.
fn first_difference(entries: &[Entry], lines: &[String]) -> Option<String> {
    let differs = |at: &usize| {
        let found = entries.get(*at).map(|entry| (entry.client, entry.sequence, &entry.line));
        found != lines.get(*at).map(|line| (CLIENT, *at as u64 + 1, line))
    };
    let at = (0..entries.len().max(lines.len())).find(differs)?;
    let (file, journal) = (lines.get(at), entries.get(at));
    Some(format!("line {}: the file has {file:?}, the journal {journal:?}", at + 1))
}

fn greet(role: &str, service: &RpcService) {
    say(&format!("{role}, pid {}, listens on {}", std::process::id(), service.address()));
}

/// One line on standard output. Whoever read it may have gone; the exit code still counts.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
