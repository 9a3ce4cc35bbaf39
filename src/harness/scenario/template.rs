//! The scenario that an author starts from. Its defaults are the code's own.

use super::{Scenario, Setting, SystemKind};
use crate::harness::report::{COLUMNS, wrap};

/// A commented scenario of a system.
pub fn template(system: SystemKind) -> String {
    let general = Scenario::settings();
    let own = system.settings();
    let mut text = head(system);
    text += &keys(&general, "");
    for (title, table, settings) in [
        ("Which nodes there are.", "cluster", &own),
        ("What they are given to do.", "workload", &own),
        ("The links between all nodes.", "network", &general),
        ("After the faults.", "converge", &general),
        ("While they last.", "meanwhile", &general),
    ] {
        text += &format!("\n{}\n[{table}]\n{}", comment(title), keys(settings, table));
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

fn head(system: SystemKind) -> String {
    let lines = comment(
        "A scenario: what runs, under which faults, and what must hold in the end.\n\
         A line such as #key = \"value\" shows a default; take the # away to set another.\n\
         Durations: \"250us\", \"1500ms\", \"2s\", \"1.5s\", \"10m\". Shares: \"5%\". A range such as \
         \"2s..5s\" is drawn anew by each seed.\n\
         The words: `wavetank list` with --systems, --faults, --targets, --milestones, --messages or \
         --invariants.",
    );
    let (described, systems) = (
        comment("What the scenario shows, in a line. It stands in the list of scenarios."),
        comment(&format!("What runs. {}", system.description())),
    );
    format!(
        "{lines}\n\n{described}\n\
         description = \"What this scenario shows, in a line.\"\n\n\
         {systems}\nsystem = \"{system}\"\n\n"
    )
}

/// The keys of a table, each with its meaning and its default as a comment.
fn keys(settings: &[Setting], table: &str) -> String {
    let of_table = settings.iter().filter(|setting| setting.table == table);
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

/// Whom the faults of the template strike, and on what.
struct TemplateNames {
    crashed: &'static str,
    cut_off: &'static str,
    milestone: &'static str,
    message: &'static str,
    second: &'static str,
}

fn template_names(system: SystemKind) -> TemplateNames {
    match system {
        SystemKind::Journal => TemplateNames {
            crashed: "random-journal",
            cut_off: "leader",
            milestone: "journal-written",
            message: "JournalGateway.append",
            second: "follower",
        },
        SystemKind::WordCount => TemplateNames {
            crashed: "random-task-executor",
            cut_off: "job-master",
            milestone: "checkpoint-triggered",
            message: "TaskExecutorGateway.",
            second: "busy-task-executor",
        },
    }
}

fn faults(system: SystemKind) -> String {
    let TemplateNames { crashed, cut_off, milestone, message, second } = template_names(system);
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
#target = "coordination"
#at = "5s..20s"
#duration = "500ms..3s"
#repeat = {{ times = "1..2", every = "4s..10s" }}
#chance = "50%"

#[[fault]]
#kind = "pause"
#target = "{second}"
#at = "3s..15s"
#duration = "2s..9s"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(text: &str) -> Scenario {
        Scenario::parse(text, Path::new("scenarios/a.toml"))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Takes the `#` from lines that are keys or tables, and not prose.
    fn uncommented(text: &str) -> String {
        let code = |rest: &&str| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
        let line =
            |line: &str| line.strip_prefix('#').filter(code).unwrap_or(line).to_string() + "\n";
        text.lines().map(line).collect()
    }

    #[test]
    fn its_defaults_are_those_of_the_code() {
        for system in SystemKind::ALL {
            let text = template(*system);
            let (head, faults) = text.split_once("[[fault]]").expect("two live faults");
            let with_defaults = format!("{}[[fault]]{faults}", uncommented(head));
            assert_ne!(with_defaults, text);
            assert_eq!(read(&with_defaults), read(&text));
            let shown = |setting: &Setting| {
                let Some(default) = &setting.default else { return true };
                text.contains(&format!("\n#{} = {default}", setting.key))
            };
            assert!(system.settings().iter().chain(&Scenario::settings()).all(shown), "{text}");
        }
    }

    #[test]
    fn what_is_commented_out_can_be_used() {
        for system in SystemKind::ALL {
            let text = template(*system);
            assert_eq!(read(&text).faults.len(), 2);
            assert_eq!(read(&uncommented(&text)).faults.len(), 5);
            assert_eq!(super::super::lints(&read(&text)), Vec::<String>::new());
        }
    }

    #[test]
    fn it_fits_on_a_screen() {
        for system in SystemKind::ALL {
            let text = template(*system);
            let wide: Vec<&str> =
                text.lines().filter(|line| line.chars().count() > COLUMNS).collect();
            assert_eq!(wide, Vec::<&str>::new());
        }
    }
}
