//! Mistakes that are refused, each with its place and in words that help.

use super::*;
use crate::harness::fault::FAULT_KINDS;
use std::fmt::Write;

/// What is told of each mistake: line, column and message, and the help.
fn told(text: &str) -> String {
    let path = Path::new("a.toml");
    let mistakes = Scenario::parse_all(text, path).expect_err("a mistaken scenario");
    let mut told = String::new();
    for mistake in mistakes {
        let (line, column) = mistake.place.expect("a place");
        writeln!(told, "{line}:{column} {}", mistake.message).expect("a text");
        mistake.help.iter().for_each(|help| writeln!(told, "  {help}").expect("a text"));
    }
    told.trim_end().to_string()
}

fn journal(more: &str) -> String {
    told(&format!("description = \"A test.\"\n{more}"))
}

fn word_count(more: &str) -> String {
    told(&format!("description = \"A test.\"\nsubject = \"word-count\"\n{more}"))
}

/// A fault that strikes `target` and begins so.
fn crash(target: &str, when: &str) -> String {
    format!("[[fault]]\nkind = \"crash\"\ntarget = \"{target}\"\nlasts = \"1s\"\n{when}\n")
}

fn hold(message: &str) -> String {
    format!("[[fault]]\nkind = \"hold\"\nmessage = \"{message}\"\nlasts = \"1s\"\nat = \"1s\"\n")
}

#[test]
fn a_numbered_actor_beyond_the_cluster_is_refused() {
    let at = "at = \"1s\"";
    assert_eq!(
        journal(&crash("journal-7", at)),
        "4:10 `fault 1.target`: there is no \"journal-7\"; there are 3, \"journal-1\" to \
         \"journal-3\"\n  `journals` of `[cluster]` says how many"
    );
    assert_eq!(
        journal(&format!("[cluster]\nclients = 1\n{}", crash("client-3", at))),
        "6:10 `fault 1.target`: there is no \"client-3\"; \"client-1\" is the only one\n  \
         `clients` of `[cluster]` says how many"
    );
    assert_eq!(
        word_count(&format!("[cluster]\ntask-executors = 8\n{}", crash("task-executor-9", at))),
        "7:10 `fault 1.target`: there is no \"task-executor-9\"; there are 8, \
         \"task-executor-1\" to \"task-executor-8\"\n  \
         `task-executors` of `[cluster]` says how many"
    );
    assert_eq!(
        word_count(&crash("client-2", at)),
        "5:10 `fault 1.target`: there is no \"client-2\"; \"client-1\" is the only one"
    );
}

#[test]
fn a_milestone_of_another_subject_is_refused() {
    let on = |milestone| crash("everyone", &format!("on = {{ milestone = \"{milestone}\" }}"));
    assert_eq!(
        word_count(&on("journal-written")),
        "7:20 `fault 1.on.milestone`: a word-count never reaches \"journal-written\"\n  \
         see `wavetank list --milestones`"
    );
    assert_eq!(
        journal(&on("job-finished")),
        "6:20 `fault 1.on.milestone`: a journal never reaches \"job-finished\"\n  \
         see `wavetank list --milestones`"
    );
    let slip = word_count(&on("checkpoint-trigered"));
    let expected = "7:20 `fault 1.on.milestone`: there is no \"checkpoint-trigered\"; did you mean \
                    \"checkpoint-triggered\"?";
    assert!(slip.starts_with(expected), "{slip}");
}

#[test]
fn a_message_that_nobody_sends_is_refused_with_the_nearest() {
    assert_eq!(
        word_count(&hold("JobMasterGateway.ofer_slots")),
        "5:11 `fault 1.message`: no message of a word-count begins with \
         \"JobMasterGateway.ofer_slots\"\n  \
         did you mean \"JobMasterGateway.offer_slots\" or \"JobMasterGateway.\"?\n  see `wavetank list --messages`"
    );
    assert_eq!(
        word_count(&hold("JournalGateway.append")),
        "5:11 `fault 1.message`: no message of a word-count begins with \
         \"JournalGateway.append\"\n  see `wavetank list --messages`"
    );
    for sound in ["JournalGateway.append", "JournalGateway.", "Coord", "handshake", "reset"] {
        let text = format!("description = \"A test.\"\n{}", hold(sound));
        assert!(Scenario::parse(&text, Path::new("a.toml")).is_ok(), "{sound}");
    }
}

#[test]
fn a_fault_behind_the_end_of_faults_is_refused() {
    assert_eq!(
        journal(&format!("faults-end = \"20s\"\n{}", crash("leader", "at = \"20s..30s\""))),
        "7:6 `fault 1.at`: expected a time before `faults-end` (20s), found \"20s..30s\"\n  \
         from then on everything is healed, and no fault begins"
    );
}

#[test]
fn near_misses_are_told() {
    assert_eq!(
        journal("[workload]\nlins = 3"),
        "3:1 unknown key `workload.lins`; did you mean `lines`?\n  \
         expected one of `lines`, `batch`, `pause`"
    );
    assert_eq!(
        journal("[[fault]]\nknd = \"crash\""),
        "3:1 unknown key `fault 1.knd`; did you mean `kind`?"
    );
    let kind = journal("[[fault]]\nkind = \"crsh\"");
    let expected = format!(
        "3:8 `fault 1.kind`: there is no \"crsh\"; did you mean \"crash\"?\n  \
         there are {}, such as \"loss\", \"delay\", ",
        FAULT_KINDS.len()
    );
    assert!(kind.starts_with(&expected), "{kind}");
    let actor = journal(&crash("folower", "at = \"1s\""));
    let expected = "4:10 `fault 1.target`: there is no \"folower\"; did you mean \"follower\"?";
    assert!(actor.starts_with(expected), "{actor}");
    assert_eq!(
        journal("subject = \"wordcount\""),
        "2:11 `subject`: there is no \"wordcount\"; did you mean \"word-count\"?\n  \
         expected one of \"journal\", \"word-count\"\n  see `wavetank list --jobs`"
    );
}

#[test]
fn expectations_know_the_invariants_of_their_subject() {
    let expect = |head: &str, text: &str| {
        let text = format!("description = \"A test.\"\n{head}expect = \"{text}\"\n");
        Scenario::parse(&text, Path::new("a.toml")).map(|scenario| scenario.expect)
    };
    let violated = |name: &str| Ok(Expectation::Violated(name.to_string()));
    assert_eq!(expect("subject = \"word-count\"\n", "violated:X4"), violated("X4"));
    assert_eq!(expect("", "violated:L2"), violated("L2"));
    assert_eq!(expect("", "stuck"), Ok(Expectation::Stuck));
    assert!(expect("", "violated:X4").is_err(), "no job, no output of one");
    let slip = journal("expect = \"violated:no-panik\"");
    let expected = "2:10 `expect`: there is no \"violated:no-panik\"; did you mean \
                    \"violated:no-panic\"?";
    assert!(slip.starts_with(expected), "{slip}");
}

#[test]
fn bounds_are_told() {
    assert_eq!(
        journal("[cluster]\njournals = 17\nsession-timeout = \"1h\"\n[workload]\nbatch = 0"),
        "3:12 `cluster.journals`: expected a whole number from 1 to 16, found 17\n  \
         there is no `subject`, so it is read as a journal\n\
         4:19 `cluster.session-timeout`: expected a duration or a range, from 100ms to \
         10m, such as \"2s\" or \"2s..5s\", found \"1h\"\n\
         6:9 `workload.batch`: expected a whole number from 1 to 512, found 0"
    );
    assert_eq!(
        journal("[network]\nlatency = \"5ms..2ms\""),
        "3:11 `network.latency`: expected a duration or a range, from 0us to 1m, such as \"2s\" or \
         \"2s..5s\", found \"5ms..2ms\""
    );
}

#[test]
fn every_mistake_of_a_file_is_told_in_its_order() {
    let told = journal(&format!(
        "faults-end = 7\n[cluster]\njournal = 3\n{}{}",
        crash("nobody", "at = \"1s\""),
        crash("leader", "")
    ));
    let places: Vec<&str> = told.lines().filter(|line| !line.starts_with("  ")).collect();
    let places: Vec<&str> = places.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(places, ["2:14", "4:1", "7:10", "10:1"], "{told}");
    assert_eq!(told.matches("there is no `subject`, so it is read as a journal").count(), 1);
}

#[test]
fn a_mistake_is_explained_with_its_line_and_a_caret() {
    let text = "description = \"A test.\"\n[cluster]\n\tjournals = \"många\"\n";
    let mistakes = Scenario::parse_all(text, Path::new("a.toml")).expect_err("no number");
    assert_eq!(
        mistakes[0].explain(),
        "error: `cluster.journals`: expected a whole number from 1 to 16, found \"många\"\n \
         --> a.toml:3:13\n  |\n3 | \tjournals = \"många\"\n  | \t           ^"
    );
}
