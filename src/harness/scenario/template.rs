//! The scenario that an author starts from. Its defaults are the code's own.

use super::Scenario;
use crate::harness::{
    language::{COLUMNS, Setting, wrap},
    system::{AnySystem, Example},
};

/// A commented scenario of a system.
pub fn template(system: &dyn AnySystem) -> String {
    let general = Scenario::settings(system);
    let own = system.settings();
    let mut text = head(system);
    text += &keys(&general, "");
    let mut tables: Vec<(&str, &[Setting])> = Vec::new();
    for setting in &own {
        if !tables.iter().any(|(table, _)| *table == setting.table) {
            tables.push((setting.table, &own));
        }
    }
    tables.extend(["placement", "network", "converge"].map(|table| (table, &general[..])));
    for (table, settings) in tables {
        let title = match table {
            "cluster" => "Which nodes there are.",
            "workload" => "What they are given to do.",
            "[job]" => "A job; there may be several of these tables.",
            "placement" => "On which racks and in which zones the nodes are.",
            "network" => "The links between all nodes.",
            "converge" => "After the faults.",
            "meanwhile" => "While they last.",
            _ => "",
        };
        let title = if title.is_empty() { String::new() } else { format!("{}\n", comment(title)) };
        text += &format!("\n{title}[{table}]\n{}", keys(settings, table));
    }
    text + &faults(system) + &swarm(&general)
}

/// The table of generated faults, commented out.
fn swarm(settings: &[Setting]) -> String {
    let what = comment(
        "Or each seed generates faults: some kinds take part in a run, each with a strength of its own. \
         The table alone is enough; these are its defaults.",
    );
    format!("\n{what}\n#[swarm]\n{}", keys(settings, "swarm"))
}

fn comment(text: &str) -> String {
    text.lines().map(|line| wrap("# ", line)).collect::<Vec<_>>().join("\n").replace("\n  ", "\n# ")
}

fn head(system: &dyn AnySystem) -> String {
    let lines = comment(
        "A scenario: what runs, under which faults, and what must hold in the end.\n\
         A line such as #key = \"value\" shows a default; take the # away to set another.\n\
         Durations: \"250us\", \"1500ms\", \"2s\", \"1.5s\", \"10m\". Shares: \"5%\". A range such as \
         \"2s..5s\" is drawn anew by each seed.\n\
         The words: `cargo run -- list` with --systems, --faults, --targets, --milestones, --messages or \
         --invariants.",
    );
    let (described, systems) = (
        comment("What the scenario shows, in a line. It stands in the list of scenarios."),
        comment(&format!("What runs. {}", system.description())),
    );
    format!(
        "{lines}\n\n{described}\n\
         description = \"What this scenario shows, in a line.\"\n\n\
         {systems}\nsystem = \"{}\"\n\n",
        system.name()
    )
}

/// The keys of a table, each with its meaning and its default as a comment.
fn keys(settings: &[Setting], table: &str) -> String {
    let of_table = settings.iter().filter(|one| one.table == table && one.only.is_none());
    let line = |setting: &Setting| {
        let Setting { key, meaning, bounds, default, .. } = setting;
        match default {
            Some(default) => {
                let line = format!("#{key} = {default}");
                let beside = format!("{line:<32}  # {meaning}");
                match beside.chars().count() <= COLUMNS {
                    true => format!("{beside}\n"),
                    false => format!("{}\n{line}\n", comment(meaning)),
                }
            }
            None => format!("{}\n", comment(&format!("{key}, {bounds}: {meaning}"))),
        }
    };
    of_table.map(line).collect()
}

fn faults(system: &dyn AnySystem) -> String {
    let Example { crashed, cut_off, milestone, message, power_cut, paused } = system.example();
    let (first, on, more) = (
        comment("A fault that begins at a time: between 2s and 10s, as the seed draws."),
        comment(
            "A fault that begins on a milestone, whenever it is reached: here the 2nd to 6th time, \
             up to 50ms after it. It survives changes of the code better than a time.",
        ),
        comment(
            "More, commented out. `repeat` brings a fault again, `chance` leaves it out of some \
             runs. Without `from` and `to` a fault of links strikes everyone.",
        ),
    );
    format!(
        r#"
{first}
[[fault]]
kind = "crash"
target = "{crashed}"
at = "2s..10s"
duration = "500ms..5s"

{on}
[[fault]]
kind = "partition"
shape = "isolate"
target = "{cut_off}"
on = {{ milestone = "{milestone}", nth = "2..6", after = "0ms..50ms" }}
duration = "1s..8s"

{more}

#[[fault]]
#kind = "delay"
#message = "{message}"
#by = "50ms..1500ms"
#at = "0s..5s"
#duration = "5s..20s"

#[[fault]]
#kind = "power-cut"
#target = "{power_cut}"
#at = "5s..20s"
#duration = "500ms..3s"
#repeat = {{ times = "1..2", every = "4s..10s" }}
#chance = "50%"

#[[fault]]
#kind = "pause"
#target = "{paused}"
#at = "3s..15s"
#duration = "2s..9s"
"#
    )
}
