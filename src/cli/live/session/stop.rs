//! `stop-cluster`: ends a cluster.

use super::folder::{ClusterFolder, Found};
use crate::cli::live::{
    CliError, Outcome,
    text::{parse_duration, say},
};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// From look to look.
const TICK: Duration = Duration::from_millis(20);

/// End a cluster that runs.
///
/// Asks its supervisor to end all processes, by SIGTERM, and waits until that has ended. The jobs stay in the
/// folder, and go on from their last checkpoints when a cluster is started there again; `cancel` ends one for
/// good.
///
/// Exit codes: 0 no cluster runs there any more, 2 none ever did, or the supervisor can't be asked, 3 it has not
/// ended in time.
///
/// Try `cargo live stop-cluster && cargo live start-cluster`.
#[derive(Args)]
pub struct StopCluster {
    #[command(flatten)]
    folder: ClusterFolder,
    /// Give up after this time
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    within: Duration,
}

impl StopCluster {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        let folder = &self.folder;
        let pid = match folder.look()? {
            Found::Running(cluster) => cluster.pid,
            Found::Starting(Some(pid)) => pid,
            Found::Starting(None) => {
                return Err(folder.refused("a cluster is just being started here; try again"));
            }
            Found::Ended(why) => {
                say(&format!("no cluster runs in {}: {why}", folder.path().display()));
                return Ok(Outcome::Passed);
            }
            Found::Nothing => return Err(folder.refused("there is no cluster")),
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "how long a person waits is no part of a run"
        )]
        let since = Instant::now();
        terminate(pid)?;
        while folder.is_held()? {
            if since.elapsed() >= self.within {
                return Err(CliError::stuck(format!(
                    "the supervisor, pid {pid}, has not ended within {:?}; `kill -9 {pid}` ends it and all its \
                     processes, and harms no job",
                    self.within
                )));
            }
            #[expect(clippy::disallowed_methods, reason = "nothing else is to be done meanwhile")]
            std::thread::sleep(TICK);
        }
        say(&format!(
            "the cluster in {} was stopped in {:.1} s; its jobs go on when it is started again: {}",
            folder.path().display(),
            since.elapsed().as_secs_f64(),
            folder.how_to_start()
        ));
        Ok(Outcome::Passed)
    }
}

/// Asks a process to end. That it has ended already is as good.
pub fn terminate(pid: u32) -> Result<(), CliError> {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = raw.ok_or_else(|| CliError::new(format!("{pid} is no process id")))?;
    match kill_process(pid, Signal::TERM) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(CliError::new(format!("pid {pid} can't be asked to end: {error}"))),
    }
}
