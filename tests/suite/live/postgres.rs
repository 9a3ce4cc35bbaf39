//! A PostgreSQL server of a test's own, from Debian's package.

use super::Folder;
use std::{
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where Debian's packages have their programs, a folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A server in a folder of its own, ended with the test.
pub struct Postgres {
    programs: PathBuf,
    folder: Folder,
    port: u16,
}

impl Postgres {
    /// One that has begun, or none, which is said.
    pub fn start(test: &str) -> Option<Postgres> {
        let Some(programs) = programs() else {
            // Not by a macro, whose output the test's harness would keep to itself.
            let skipped = format!(
                "SKIPPED {test}: there is no PostgreSQL on this machine (apt-get install postgresql)\n"
            );
            std::io::stderr().write_all(skipped.as_bytes()).expect("a standard error");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = port.expect("a free port").port();
        let postgres = Postgres { programs, folder: Folder::new(test), port };
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(&postgres.folder.0).status();
            assert!(owned.expect("there is a chown").success(), "there is a user postgres");
        }
        let initdb = ["-U", "wavetank", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"];
        postgres.run("initdb", &initdb);
        postgres.begin();
        Some(postgres)
    }

    pub fn url(&self) -> String {
        format!("postgres://wavetank@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends it as the loss of its process would, and starts it again.
    pub fn crash(&self) {
        self.run("pg_ctl", &["-m", "immediate", "stop"]);
        self.begin();
    }

    fn begin(&self) {
        let options =
            format!("-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''", self.port);
        self.run("pg_ctl", &["-w", "-t", "120", "-l", "log", "-o", &options, "start"]);
    }

    /// Runs one of its programs on its folder, as a user who is not root, whom it would refuse.
    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        let data = self.folder.0.join("data");
        command.current_dir(&self.folder.0).arg("-D").arg(data).args(arguments);
        // A server that it starts would keep a pipe open.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.status().expect("the program runs");
        assert!(status.success(), "{command:?}: {status}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-m", "immediate", "stop"]);
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("there is an id");
    id.stdout == b"0\n"
}

/// The folder of the newest version's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(DEBIAN).ok()?.filter_map(Result::ok);
    let folders = versions.map(|version| version.path().join("bin"));
    let mut complete: Vec<PathBuf> =
        folders.filter(|bin| has(bin, "initdb") && has(bin, "pg_ctl")).collect();
    complete.sort();
    complete.pop()
}

fn has(folder: &Path, program: &str) -> bool {
    folder.join(program).is_file()
}
