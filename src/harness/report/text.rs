//! Reports as plain text of at most 80 columns where that can be had.

use super::{
    causes::what_led_to_it,
    lost::Lost,
    stuck::{last_steps, since_it_moved},
    subject::said_of_it,
    timeline::{last_changes, leadership_timeline},
};
use crate::harness::{
    fault::PlannedFault,
    language::{cut, wrap},
    nemesis::ExecutedFault,
    run::RunOutcome,
};
use std::{fmt::Write, time::Duration};

/// As the events of a report tell it.
fn millis(duration: Duration) -> String {
    format!("{:.3}s", duration.as_secs_f64())
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

/// The plan, what became of it, the leadership timeline and the verdict of one run.
pub fn describe_run(outcome: &RunOutcome, sizes: Option<&str>) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}  seed {}  schedule {}",
        outcome.scenario,
        outcome.recipe(),
        outcome.schedule
    );
    if let Some(sizes) = sizes {
        let _ = writeln!(text, "{}", wrap("drew ", sizes));
    }
    let _ = writeln!(text, "\nplan");
    if outcome.plan.faults.is_empty() {
        let _ = writeln!(text, "  no faults");
    }
    for (index, fault) in outcome.plan.faults.iter().enumerate() {
        let _ = writeln!(text, "{}", planned_line(outcome, index, fault));
    }
    let _ = writeln!(text, "\nleadership");
    for term in leadership_timeline(outcome) {
        let leader = &outcome.nodes[&term.leader];
        let end = match term.end {
            Some((at, how)) => format!("{how} at {}", seconds(at.time)),
            None => "leads to the end".to_string(),
        };
        let confirmed = term
            .confirmed
            .map_or("never confirmed".to_string(), |at| format!("confirmed {}", seconds(at.time)));
        let granted = seconds(term.granted.time);
        let who = format!("  {:<16} {:<3} {leader:<14} ", term.component, term.epoch);
        let what = format!("granted {granted:>6}, {confirmed}, {end}");
        let _ = writeln!(text, "{}", wrap(&who, &what));
    }
    let _ = writeln!(
        text,
        "\n{}, {} messages, {} simulated",
        outcome.output,
        outcome.messages,
        seconds(outcome.simulated)
    );
    let _ = writeln!(text, "digest {}", outcome.digest);
    let note = if outcome.expected { "" } else { " (not what the scenario expects)" };
    let _ = write!(text, "{}", wrap("verdict: ", &format!("{}{note}", outcome.verdict)));
    for reason in &outcome.reasons {
        let _ = write!(text, "\n{}", wrap("  ", reason));
    }
    text
}

fn planned_line(outcome: &RunOutcome, index: usize, fault: &PlannedFault) -> String {
    let came = came_to(outcome, index);
    let fault = wrap("  ", &fault.to_string()).replace("\n  ", "\n      ");
    format!("{fault}\n    {came}")
}

/// From when to when a fault of the plan was in force, and whom it struck.
pub fn came_to(outcome: &RunOutcome, index: usize) -> String {
    let Some(executed) = outcome.executed.iter().find(|executed| executed.index == index) else {
        return "did not come to it".to_string();
    };
    let end = executed.ended.map_or("the end".to_string(), seconds);
    let met = match executed.met {
        Some(0) => ", struck nothing".to_string(),
        Some(met) => format!(", met {met}"),
        None => String::new(),
    };
    format!("{} to {end}{met}{}", seconds(executed.began), whom(executed))
}

/// Whom a fault struck, where that depended on the state of the run.
fn whom(executed: &ExecutedFault) -> String {
    match executed.describe_resolved() {
        nobody if nobody.is_empty() => nobody,
        whom => format!(": {whom}"),
    }
}

/// Changes of state and faults in force that a report shows.
const CHANGES_MAX: usize = 5;
const FAULTS_MAX: usize = 6;
/// Other promises that broke by the same event, and characters of a line of a section.
const ALSO_MAX: usize = 3;
const LINE_MAX: usize = 320;

/// About 25 lines on a run that failed: the invariant, the two events in conflict, what led to
/// each of them if the trace was kept (else the last changes of state), when it was lost if that is known, the faults in
/// force, then what `last` says: where the plan is and the command. Of a run that is stuck, what moved last, what was
/// tried since, and where each node stands.
pub fn failure_report(outcome: &RunOutcome, lost: Option<&Lost>, last: &[(&str, &str)]) -> String {
    let mut text = String::new();
    match outcome.violations.first() {
        Some(violation) => {
            let _ = writeln!(text, "{}", wrap("", &violation.to_string()));
            let before = outcome.named(&violation.before);
            let _ = writeln!(text, "{}", wrap("  before  ", &before));
            let _ = writeln!(text, "{}", wrap("  now     ", &outcome.named(&violation.now)));
            let at_once = outcome.violations[1..].iter().filter(|other| other.at == violation.at);
            for other in at_once.take(ALSO_MAX) {
                let also = format!("{}: {}", other.title, outcome.named(&other.now));
                let _ = writeln!(text, "{}", wrap("  also    ", &also));
            }
        }
        None => {
            let at = seconds(outcome.simulated);
            let _ = writeln!(text, "{}", wrap("", &format!("{} at {at}", outcome.verdict)));
            for reason in &outcome.reasons {
                let _ = writeln!(text, "{}", wrap("  ", reason));
            }
        }
    }
    let switch = outcome.sabotage.map(|switch| format!(", sabotage {}", switch.name()));
    let switch = switch.unwrap_or_default();
    let from =
        format!("{}, seed {}, schedule {}", outcome.scenario, outcome.recipe(), outcome.schedule);
    let _ = writeln!(text, "{}", wrap("  in ", &format!("{from}{switch}")));
    let parts_after = lost.and_then(Lost::parts_after);
    let led = what_led_to_it(outcome, parts_after);
    if led.to_it.is_empty() {
        let last = last_changes(outcome, CHANGES_MAX, end_of(outcome));
        section(&mut text, "the last changes of state", &last);
    }
    section(&mut text, "what led to it, the last step first", &led.to_it);
    section(&mut text, "what led to the event before, besides", &led.to_before);
    section(&mut text, "what else it says of these", &said_of_it(outcome));
    if outcome.violations.is_empty() {
        section(&mut text, "since then", &since_it_moved(outcome));
        section(&mut text, "the last that each node did, timers apart", &last_steps(outcome));
    }
    if let Some(lost) = lost {
        let _ = writeln!(text, "\n{lost}");
    }
    let _ = writeln!(text, "\nfaults in force, or lifted in the second before");
    let in_force = faults_in_force(outcome);
    if in_force.is_empty() {
        let _ = writeln!(text, "  none");
    }
    for fault in in_force.iter().take(FAULTS_MAX) {
        let _ = writeln!(text, "{}", wrap("  ", fault));
    }
    if in_force.len() > FAULTS_MAX {
        let _ = writeln!(text, "  and {} more", in_force.len() - FAULTS_MAX);
    }
    for (title, line) in last {
        let _ = write!(text, "\n{title:<8}{line}");
    }
    text
}

/// A title and its lines, if there are any.
fn section(text: &mut String, title: &str, lines: &[String]) {
    if !lines.is_empty() {
        let _ = writeln!(text, "\n{title}");
    }
    for line in lines {
        // What follows on the next line stands below the words, not below the time.
        let (time, words) =
            line.split_at(line.find("s  ").filter(|at| *at < 14).map_or(0, |at| at + 3));
        let words = cut(words, LINE_MAX);
        let _ = writeln!(text, "{}", wrap(&format!("  {time}"), &words));
    }
}

/// When the run failed.
fn end_of(outcome: &RunOutcome) -> Duration {
    outcome.violations.first().map_or(outcome.simulated, |violation| violation.at.time)
}

fn faults_in_force(outcome: &RunOutcome) -> Vec<String> {
    let end = end_of(outcome);
    let lately = end.saturating_sub(Duration::from_secs(1));
    let concerns = |executed: &&ExecutedFault| {
        executed.began <= end && executed.ended.is_none_or(|ended| ended >= lately)
    };
    let described = outcome.executed.iter().filter(concerns).map(|executed| {
        let lifted = executed.ended.filter(|ended| *ended <= end);
        let lifted = lifted.map(|at| format!(", lifted {}", millis(at))).unwrap_or_default();
        let whom = whom(executed);
        format!("{} since {}{lifted}{whom}", executed.what, millis(executed.began))
    });
    described.collect()
}
