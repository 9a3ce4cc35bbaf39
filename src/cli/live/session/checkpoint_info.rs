//! `checkpoint-info`: what is in a savepoint.

use super::{
    connection::{Target, connected},
    table::{Cell, aligned, colours, size},
};
use crate::{
    cli::live::{CliError, Outcome, text::say},
    system::{
        protocol::AfterSavepoint,
        savepoint::{Contents, read_contents},
    },
};
use clap::Args;

/// Tell what is in a savepoint: operators, subtasks, key groups, bytes.
///
/// PATH is what `savepoint` and `stop --savepoint` have printed. All of it is read, so that whoever is told knows that
/// it can be.
///
/// Exit codes: 0 it was read; 2 there is none, it can't be read, or no cluster runs there; 3 the object store gives no
/// answer.
///
/// Try `cargo live checkpoint-info savepoints/savepoint-3f…`.
#[derive(Args)]
pub struct CheckpointInfo {
    /// Where it lies in the object store
    #[arg(value_name = "PATH")]
    path: String,
    #[command(flatten)]
    target: Target,
}

impl CheckpointInfo {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        connected(&self.target, async |connection| {
            let path = self.path.trim_end_matches('/');
            let reading = read_contents(&*connection.services.objects, path);
            let read = connection.answered("the object store", reading).await?;
            let read =
                read.map_err(|error| CliError::new(format!("the savepoint {path}: {error}")))?;
            tell(path, &read);
            Ok(Outcome::Passed)
        })
    }
}

fn tell(path: &str, read: &Contents) {
    let Contents { savepoint, operators, waiting_bytes, bytes: all } = read;
    let then = match savepoint.then {
        AfterSavepoint::GoOn => "went on",
        AfterSavepoint::Stop => "was stopped with it",
        AfterSavepoint::Drain => "was drained: nothing goes on from it",
    };
    say(&format!("{path}, {}", size(*all)));
    say(&format!(
        "of job {} ({}), program {} version {}, which {then}",
        savepoint.job, savepoint.name, savepoint.program.name, savepoint.program.version
    ));
    say(&format!("a copy of checkpoint {}", savepoint.checkpoint));
    if *waiting_bytes > 0 {
        say(&format!("{} of records waited between tasks", size(*waiting_bytes)));
    }
    say("");
    let row = |cells: [String; 6]| cells.into_iter().map(Cell::from).collect::<Vec<_>>();
    let head =
        ["operator", "subtasks", "key groups", "by key", "in files", "besides"].map(str::to_string);
    let max_parallelism = |uid: &str| {
        let mut vertices = savepoint.vertices.iter();
        let of = vertices.find(|vertex| vertex.operators.iter().any(|known| known == uid));
        of.map_or(0, |vertex| vertex.max_parallelism)
    };
    let rows = operators.iter().map(|(uid, operator)| {
        let groups = match operator.key_groups.len() {
            0 => "-".to_string(),
            some => format!("{some} of {}", max_parallelism(uid)),
        };
        row([
            uid.clone(),
            operator.subtasks.to_string(),
            groups,
            size(operator.keyed_bytes),
            match operator.files {
                0 => "-".to_string(),
                files => format!("{} in {files}", size(operator.file_bytes)),
            },
            size(operator.own_bytes),
        ])
    });
    let rows: Vec<_> = std::iter::once(row(head)).chain(rows).collect();
    for line in aligned(&rows, colours()) {
        say(&line);
    }
}
