//! A sweep as plain text of at most [`COLUMNS`] columns.

use crate::harness::{
    event::Milestone,
    language::{COLUMNS, cut},
    run::{
        FailureGroup, KindCounts, Recipe, ScenarioTally, Signature, SweepSummary, never_reached,
    },
};
use std::fmt::Write;

/// The width of a name with its count: two stand side by side.
const CELL: usize = 40;

/// Seeds of a group of failures that are named.
const SEEDS_SHOWN: usize = 5;

/// The verdicts of the swept scenarios, how often each invariant was evaluated and each kind of fault
/// struck, and which of the candidates were never reached.
pub fn describe_sweep(summary: &SweepSummary, swept: &[&str], candidates: &[Milestone]) -> String {
    let mut text = verdict_table(summary);
    let idle = swept.iter().copied().filter(|name| !summary.tallies.contains_key(*name));
    let idle: Vec<&str> = idle.collect();
    if !idle.is_empty() && summary.total().runs > 0 {
        let _ = write!(text, "\n{}\n", wrapped("no run drew ", &idle));
    }
    let evaluated = summary.evaluations.iter().filter(|(_, count)| **count > 0);
    let counts = evaluated.map(|(title, count)| (*title, count.to_string()));
    let _ = write!(
        text,
        "\ninvariants and properties, and how often each was evaluated\n{}",
        cells(counts)
    );
    let idle = summary.evaluations.iter().filter(|(_, count)| **count == 0);
    let idle: Vec<&str> = idle.map(|(title, _)| *title).collect();
    if !idle.is_empty() && summary.total().runs > 0 {
        let _ = writeln!(text, "{}", wrapped("never evaluated: ", &idle));
    }
    text += &fault_table(summary);
    let missed = never_reached(&summary.milestones, candidates);
    if missed.is_empty() {
        let _ = write!(text, "\nall {} milestones were reached", candidates.len());
    } else {
        let missed: Vec<&str> = missed.into_iter().map(Milestone::name).collect();
        let _ = write!(text, "\n{}", wrapped("milestones never reached: ", &missed));
    }
    text
}

/// How many faults of each kind struck, and how many of all showed nothing.
fn fault_table(summary: &SweepSummary) -> String {
    if summary.kinds.is_empty() {
        return String::new();
    }
    let shown = |counts: &KindCounts| match counts.idle() {
        0 => counts.struck.to_string(),
        _ => format!("{} of {}", counts.struck, counts.drawn),
    };
    let counts = summary.kinds.iter().map(|(kind, counts)| (*kind, shown(counts)));
    let all = summary.all_kinds();
    let (never, nothing) = (all.drawn - all.came, all.came - all.struck);
    let share = format!("{:.1}% of {} drawn", all.idle_share() * 100.0, all.drawn);
    format!(
        "\nfaults of each kind that struck, of those that were drawn\n{}\
         struck nothing: {share}; {never} never came, {nothing} met nothing\n",
        cells(counts)
    )
}

fn verdict_table(summary: &SweepSummary) -> String {
    let row = |name: &str, cells: [&str; 4]| {
        let [runs, passed, violated, stuck] = cells;
        format!("{:<43} {runs:>8} {passed:>8} {violated:>8} {stuck:>8}\n", cut(name, 43))
    };
    let tally = |name: &str, tally: &ScenarioTally| {
        let cells = [tally.runs, tally.passed, tally.violated, tally.stuck].map(|n| n.to_string());
        row(name, cells.each_ref().map(String::as_str))
    };
    let mut text = row("scenario", ["runs", "passed", "violated", "stuck"]);
    let (passed, others): (Vec<_>, Vec<_>) =
        summary.tallies.iter().partition(|(_, one)| one.passed == one.runs);
    others.iter().for_each(|(name, one)| text += &tally(name, one));
    match passed[..] {
        // One row says no less than what it stands for.
        [] => {}
        [(name, one)] => text += &tally(name, one),
        _ => {
            let mut sum = ScenarioTally::default();
            passed.iter().for_each(|(_, one)| sum.merge(one));
            let which = if others.is_empty() { "all" } else { "the other" };
            text += &tally(&format!("{which} {} scenarios", passed.len()), &sum);
        }
    }
    // One row is its own sum.
    let rows = others.len() + usize::from(!passed.is_empty());
    if rows == 1 { text } else { text + &tally("total", &summary.total()) }
}

/// Names and values in columns; a long name takes the place of two.
fn cells(cells: impl Iterator<Item = (&'static str, String)>) -> String {
    let (mut text, mut column) = (String::new(), 0);
    for (name, value) in cells {
        // Two spaces before, one between.
        let least = name.len() + value.len() + 3;
        let width = least.next_multiple_of(CELL).min(COLUMNS);
        if column + width > COLUMNS {
            text.push('\n');
            column = 0;
        }
        column += width;
        let _ = write!(text, "  {name}{value:>rest$}", rest = width - name.len() - 2);
    }
    if text.is_empty() { text } else { text + "\n" }
}

/// Words with commas between, broken before the page's edge.
fn wrapped(lead: &str, words: &[&str]) -> String {
    let mut text = lead.to_string();
    let mut column = lead.len();
    for (index, word) in words.iter().enumerate() {
        let comma = if index + 1 < words.len() { "," } else { "" };
        let word = format!("{}{comma}", cut(word, COLUMNS - 4));
        let space = if column == lead.len() && index == 0 { "" } else { " " };
        if column + space.len() + word.chars().count() > COLUMNS {
            let _ = write!(text, "\n  {word}");
            column = 2 + word.chars().count();
        } else {
            let _ = write!(text, "{space}{word}");
            column += space.len() + word.chars().count();
        }
    }
    text
}

/// What a group of failures has in common: what broke, and the event that did it; how many there are, and where to find
/// them.
pub fn describe_group(signature: &Signature, group: &FailureGroup) -> Vec<String> {
    let scenario = &group.first.outcome.scenario;
    let seeds: Vec<String> = group.runs.keys().map(Recipe::to_string).collect();
    let by = match &signature.events[1][..] {
        [] => None,
        words => Some(cut(&format!("  by {}", words.join(" ")), COLUMNS)),
    };
    [cut(&group.kind(), COLUMNS)].into_iter().chain(by).chain([places(&seeds, scenario)]).collect()
}

fn places(seeds: &[String], scenario: &str) -> String {
    let first = &seeds[0];
    if seeds.len() == 1 {
        return cut(&format!("  1 run: seed {first} of {scenario}"), COLUMNS);
    }
    let shown: Vec<&str> = seeds.iter().take(SEEDS_SHOWN).map(String::as_str).collect();
    let more = if seeds.len() > SEEDS_SHOWN { ", …" } else { "" };
    let all = format!("  {} runs: seeds {}{more}", seeds.len(), shown.join(", "));
    let place = format!("seed {first} is of {scenario}");
    match all.chars().count() + place.chars().count() + 2 <= COLUMNS {
        true => format!("{all}; {place}"),
        false => format!("{}\n{}", cut(&all, COLUMNS), cut(&format!("  {place}"), COLUMNS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{event::OF_PROCESSES, fault::FAULT_KINDS};
    use std::collections::BTreeMap;

    fn widest(text: &str) -> usize {
        text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
    }

    fn summary(count: u64) -> SweepSummary {
        let names = ["short".to_string(), "a-name-without-end/".repeat(6)];
        let tally = ScenarioTally { runs: count, passed: count, ..ScenarioTally::default() };
        let titles = [
            "L2 fenced-mailbox",
            "no-panic",
            "C12 checkpoint-ends-in-time",
            "journal-exact",
            "L8 follower-without-contact-is-told",
            "coordination-durable",
            "S7 no-busy-loop",
        ];
        SweepSummary {
            tallies: names.into_iter().map(|name| (name, tally.clone())).collect(),
            evaluations: titles.into_iter().map(|title| (title, count)).collect(),
            ..SweepSummary::default()
        }
    }

    #[test]
    fn a_sweep_fits_a_page() {
        for count in [0, 7, 9_999_999, 40_000_000] {
            let mut summary = summary(count);
            let counts = KindCounts { drawn: count, came: count, struck: count / 2 };
            summary.kinds = FAULT_KINDS.iter().map(|kind| (kind.name, counts)).collect();
            let text = describe_sweep(&summary, &["other", "another"], OF_PROCESSES);
            assert!(widest(&text) <= COLUMNS, "{text}");
            for part in ["invariants", "faults"] {
                let part = text.lines().skip_while(|line| !line.starts_with(part));
                assert!(part.take_while(|line| !line.is_empty()).count() <= 30, "{text}");
            }
        }
    }

    #[test]
    fn a_sweep_tells_totals_and_what_never_came() {
        let mut summary = summary(5);
        summary.evaluations.insert("L2 fenced-mailbox", 0);
        let all = |milestone: &Milestone| (*milestone, 1);
        summary.milestones = OF_PROCESSES.iter().map(all).collect();
        let text = describe_sweep(&summary, &["short"], OF_PROCESSES);
        assert!(text.contains("\nnever evaluated: L2 fenced-mailbox\n"), "{text}");
        assert!(text.ends_with("milestones were reached"), "{text}");
        summary.milestones.remove(&OF_PROCESSES[0]);
        let text = describe_sweep(&summary, &[], OF_PROCESSES);
        assert!(text.ends_with("milestones never reached: process-restarted"), "{text}");
        let others = describe_sweep(&summary, &[], &OF_PROCESSES[1..]);
        let left = format!("all {} milestones were reached", OF_PROCESSES.len() - 1);
        assert!(others.ends_with(&left), "{others}");
    }

    #[test]
    fn what_passed_is_folded_and_what_had_no_run_is_named() {
        let row = |text: &str, name: &str| {
            let row = text.lines().find(|line| line.starts_with(name)).expect(name);
            let cells = row[name.len()..].split_whitespace();
            cells.map(|cell| cell.parse().expect("a number")).collect::<Vec<u64>>()
        };
        let mut summary = summary(5);
        let nothing = describe_sweep(&SweepSummary::default(), &["short"], &[]);
        assert_eq!(row(&nothing, "total"), [0, 0, 0, 0]);
        let text = describe_sweep(&summary, &["short", "idle"], &[]);
        assert_eq!(row(&text, "all 2 scenarios"), [10, 10, 0, 0]);
        assert!(!text.contains("short") && text.contains("\nno run drew idle\n"), "{text}");
        let broken = ScenarioTally { runs: 3, passed: 1, violated: 2, ..ScenarioTally::default() };
        summary.tallies.insert("broken".to_string(), broken);
        summary.kinds.insert("crash", KindCounts { drawn: 6, came: 4, struck: 3 });
        summary.kinds.insert("pause", KindCounts { drawn: 4, came: 4, struck: 4 });
        let text = describe_sweep(&summary, &["short"], &[]);
        assert_eq!(row(&text, "broken"), [3, 1, 2, 0]);
        assert_eq!(row(&text, "the other 2 scenarios"), [10, 10, 0, 0]);
        assert_eq!(row(&text, "total"), [13, 11, 2, 0]);
        let words: Vec<&str> = text.split_whitespace().collect();
        let has = |wanted: &[&str]| words.windows(wanted.len()).any(|found| found == wanted);
        assert!(has(&["crash", "3", "of", "6"]) && has(&["pause", "4"]), "{text}");
        let idle = "struck nothing: 30.0% of 10 drawn; 2 never came, 1 met nothing\n";
        assert!(text.contains(idle), "{text}");
    }

    #[test]
    fn a_group_of_failures_fits_a_page() {
        assert_eq!(places(&["7".to_string()], "a/b"), "  1 run: seed 7 of a/b");
        assert_eq!(
            places(&["7".to_string(), "9".to_string()], "a/b"),
            "  2 runs: seeds 7, 9; seed 7 is of a/b"
        );
        let many: Vec<String> = (1..9).map(|n: u64| (n * 1_000_000_007).to_string()).collect();
        let text = places(&many, &"long/".repeat(30));
        assert!(widest(&text) <= COLUMNS && text.contains(", …\n"), "{text}");
    }

    #[test]
    fn lists_are_broken() {
        let words: Vec<String> = (1..40).map(|n| "w".repeat(n)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let text = wrapped("words: ", &words);
        assert!(widest(&text) <= COLUMNS, "{text}");
        assert_eq!(text.split_whitespace().count(), 40, "{text}");
        assert!(cells(BTreeMap::new().into_iter()).is_empty());
    }
}
