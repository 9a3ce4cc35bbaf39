//! What all processes of a live cluster have in common.

use crate::{
    adapters::{database::LiveDatabases, folder::ObjectStoreAddress},
    cli::live::text::parse_duration,
    host::NodeAddress,
    system::cluster::ClusterConfig,
};
use clap::Args;
use std::{sync::Arc, time::Duration};

/// A shorter one would be lost whenever the machine is busy.
const SESSION_TIMEOUT_MIN: Duration = Duration::from_millis(500);
/// There is a beat each second: one may be late.
const HEARTBEAT_TIMEOUT_MIN: Duration = Duration::from_secs(2);

/// Nobody waits for longer.
const TIMEOUT_MAX: Duration = Duration::from_secs(60 * 60);

/// After how long one process takes another one for lost that is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// How long a leader that is killed leads on.
    pub session: Duration,
    /// How long a task executor, master or resource manager may send no beat.
    pub heartbeat: Duration,
}

impl Timeouts {
    /// Those of a cluster that is told none.
    pub const DEFAULT: Timeouts =
        Timeouts { session: Duration::from_secs(6), heartbeat: Duration::from_secs(5) };
}

/// The same as one types it.
#[derive(Args, Clone, Copy, Debug)]
pub struct TimeoutArguments {
    /// How long a job manager that is killed leads on, before another one may: 500ms at least
    #[arg(long, value_name = "TIME", default_value = "6s", value_parser = parse_session_timeout)]
    session_timeout: Duration,
    /// How long a process that stands still is waited for: 2s at least. One that ends is missed at once
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_heartbeat_timeout)]
    heartbeat_timeout: Duration,
}

fn parse_session_timeout(text: &str) -> Result<Duration, String> {
    at_least(SESSION_TIMEOUT_MIN, text)
}

fn parse_heartbeat_timeout(text: &str) -> Result<Duration, String> {
    at_least(HEARTBEAT_TIMEOUT_MIN, text)
}

fn at_least(least: Duration, text: &str) -> Result<Duration, String> {
    let timeout = parse_duration(text)?;
    match (timeout < least, timeout > TIMEOUT_MAX) {
        (true, _) => Err(format!("must be {least:?} at least")),
        (_, true) => Err("must be an hour at most".to_string()),
        _ => Ok(timeout),
    }
}

impl TimeoutArguments {
    /// What they come to.
    pub fn timeouts(self) -> Timeouts {
        Timeouts { session: self.session_timeout, heartbeat: self.heartbeat_timeout }
    }
}

/// Time-outs, to be typed once more: each option with its value.
pub fn timeouts_again(timeouts: Timeouts) -> [(&'static str, String); 2] {
    let Timeouts { session, heartbeat } = timeouts;
    [("--session-timeout", session), ("--heartbeat-timeout", heartbeat)]
        .map(|(option, time)| (option, format!("{}us", time.as_micros())))
}

/// Where the services of a live cluster are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// The coordination server.
    pub coordination: NodeAddress,
    /// The object store: a server, or a folder.
    pub object_store: ObjectStoreAddress,
    /// The log server.
    pub log: NodeAddress,
}

/// How a live cluster behaves whose services are there.
pub fn cluster_config(servers: Servers, timeouts: Timeouts) -> ClusterConfig {
    let Servers { coordination, object_store, log } = servers;
    let mut config = ClusterConfig::new(coordination, object_store, log);
    config.databases = Arc::new(LiveDatabases);
    config.coordination.session_timeout = timeouts.session;
    config.job_manager.heartbeat.timeout = timeouts.heartbeat;
    config.task_executor.heartbeat.timeout = timeouts.heartbeat;
    config
}

/// What [`cluster_config`] was told.
pub fn timeouts_of(config: &ClusterConfig) -> Timeouts {
    let heartbeat = config.task_executor.heartbeat.timeout;
    Timeouts { session: config.coordination.session_timeout, heartbeat }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        arguments: TimeoutArguments,
    }

    #[test]
    fn what_is_typed_again_is_the_same_and_the_defaults_are_told() {
        let typed = |arguments: &[String]| {
            let typed = std::iter::once("start".to_string()).chain(arguments.iter().cloned());
            Typed::try_parse_from(typed).map(|typed| typed.arguments.timeouts())
        };
        assert_eq!(typed(&[]).expect("nothing is needed"), Timeouts::DEFAULT);
        let timeouts =
            Timeouts { session: Duration::from_millis(700), heartbeat: Duration::from_secs(3) };
        let again = timeouts_again(timeouts).map(|(option, value)| format!("{option}={value}"));
        assert_eq!(typed(&again).expect("sound"), timeouts);
        for (wrong, why) in [
            ("--session-timeout=499ms", "at least"),
            ("--heartbeat-timeout=1999ms", "at least"),
            ("--heartbeat-timeout=3601s", "at most"),
        ] {
            let refused = typed(&[wrong.to_string()]).expect_err("out of bounds").to_string();
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn a_cluster_is_told_all_of_its_time_outs() {
        let address = || "a:1".parse().expect("an address");
        let object_store = "file:///a".parse().expect("a place");
        let servers = Servers { coordination: address(), object_store, log: address() };
        let timeouts =
            Timeouts { session: Duration::from_secs(1), heartbeat: Duration::from_secs(2) };
        let config = cluster_config(servers, timeouts);
        assert_eq!(config.object_store.to_string(), "file:///a");
        assert_eq!(timeouts_of(&config), timeouts);
        assert_eq!(config.job_manager.heartbeat, config.task_executor.heartbeat);
    }
}
