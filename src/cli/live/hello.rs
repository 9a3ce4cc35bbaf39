//! `hello`: a call to another process.

use super::{
    CliError, Outcome,
    folder::DataFolder,
    process::Process,
    text::{say, warn},
};
use crate::{
    host::{
        Host,
        live::{LOOPBACK, NodeConfig, run_node},
    },
    jobs::hello::HelloGateway,
    system::rpc::{RpcAddress, RpcSystem},
};
use clap::Args;
use std::{ffi::OsString, path::Path, time::Duration};

/// A server that has not answered by then never will.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Call a server in another process: the smallest use of the RPC layer.
///
/// Starts a server process, connects to it over loopback TCP from this one, calls `say_hello` as if
/// it were a local function, prints the greeting and ends the server.
#[derive(Args)]
pub struct Hello {
    /// Who is greeted
    #[arg(long, default_value = "World")]
    name: String,
}

impl Hello {
    /// Does it.
    pub fn run(&self, log: &str) -> Result<Outcome, CliError> {
        let folder = DataFolder::open(None, "hello")?;
        let data = folder.path().join("client");
        let config = NodeConfig {
            name: "client".to_string(),
            hostname: LOOPBACK.to_string(),
            data,
            members: Vec::new(),
        };
        let mut answer = None;
        run_node(config, async |host| {
            let server = server_arguments(&folder.path().join("server"), log);
            answer = host.timeout(TIME_MAX, call(&host, &server, &self.name)).await.ok();
        })?;
        let Some(greeting) = answer.transpose()? else {
            warn(&format!("the server did not answer within {TIME_MAX:?}"));
            return Ok(Outcome::Stuck);
        };
        say(&format!("client  was answered {greeting:?}"));
        Ok(Outcome::Passed)
    }
}

fn server_arguments(data: &Path, log: &str) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        ["hello", "--name", "server", "--port", "0", "--log", log, "--data"].map(Into::into).into();
    arguments.push(data.into());
    arguments
}

/// Starts a server, calls it once and ends it.
async fn call(host: &Host, server: &[OsString], name: &str) -> Result<String, CliError> {
    let mut server = Process::start(server)?;
    let announced = server.announced().await;
    let announced = announced.ok_or_else(|| CliError::new("the server has ended at once"))?;
    let address: RpcAddress = announced.parse()?;
    say(&format!("server  pid {} at {address}", server.id()));
    let service = RpcSystem::default().bind(host, 0).await?;
    let hello: HelloGateway = service.connect(&address).await?;
    say(&format!("client  pid {} calls say_hello({name:?})", std::process::id()));
    Ok(hello.say_hello(name.to_string()).await?)
}
