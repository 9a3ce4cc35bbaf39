//! Mistakes that are refused, each with its place and in words that help.

use super::SYSTEMS;
use std::{fmt::Write, path::Path};
use wavetank::harness::{
    fault::fault_kinds,
    scenario::{Expectation, Scenario},
};

/// What is told of each mistake: line, column and message, and the help.
fn told(text: &str) -> String {
    let path = Path::new("a.toml");
    let mistakes = SYSTEMS.parse_all(text, path).expect_err("a mistaken scenario");
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
    told(&format!("description = \"A test.\"\nsystem = \"cluster\"\n{more}"))
}

/// A fault that strikes `target` and begins so.
fn crash(target: &str, when: &str) -> String {
    format!("[[fault]]\nkind = \"crash\"\ntarget = \"{target}\"\nduration = \"1s\"\n{when}\n")
}

fn hold(message: &str) -> String {
    format!("[[fault]]\nkind = \"hold\"\nmessage = \"{message}\"\nduration = \"1s\"\nat = \"1s\"\n")
}

#[test]
fn a_numbered_target_beyond_the_cluster_is_refused() {
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
fn a_milestone_of_another_system_is_refused() {
    let on = |milestone| crash("everyone", &format!("on = {{ milestone = \"{milestone}\" }}"));
    let told = word_count(&on("journal-written"));
    assert!(
        told.starts_with("7:20 `fault 1.on.milestone`: there is no \"journal-written\""),
        "{told}"
    );
    let told = journal(&on("job-finished"));
    assert!(
        told.starts_with("6:20 `fault 1.on.milestone`: there is no \"job-finished\""),
        "{told}"
    );
    let asked = crash("everyone", "on = { milestone = \"leader-granted\", checkpoint = 3 }");
    let told = word_count(&asked);
    assert!(told.contains("`leader-granted` has no number of a checkpoint"), "{told}");
    let slip = word_count(&on("checkpoint-trigered"));
    let expected = "7:20 `fault 1.on.milestone`: there is no \"checkpoint-trigered\"; did you mean \
                    \"checkpoint-triggered\"?";
    assert!(slip.starts_with(expected), "{slip}");
}

#[test]
fn a_message_that_nobody_sends_is_refused_with_the_nearest() {
    assert_eq!(
        word_count(&hold("JobMasterGateway.ofer_slots")),
        "5:11 `fault 1.message`: no message of a cluster begins with \
         \"JobMasterGateway.ofer_slots\"\n  \
         did you mean \"JobMasterGateway.offer_slots\" or \"JobMasterGateway.\"?\n  see `cargo run -- list --messages`"
    );
    assert_eq!(
        word_count(&hold("JournalGateway.append")),
        "5:11 `fault 1.message`: no message of a cluster begins with \
         \"JournalGateway.append\"\n  see `cargo run -- list --messages`"
    );
    for sound in ["JournalGateway.append", "JournalGateway.", "Coord", "handshake", "reset"] {
        let text = format!("description = \"A test.\"\n{}", hold(sound));
        assert!(SYSTEMS.parse(&text, Path::new("a.toml")).is_ok(), "{sound}");
    }
}

#[test]
fn a_fault_behind_the_end_of_faults_is_refused() {
    assert_eq!(
        journal(&format!("heal-at = \"20s\"\n{}", crash("leader", "at = \"20s..30s\""))),
        "7:6 `fault 1.at`: expected a time before `heal-at` (20s), found \"20s..30s\"\n  \
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
        fault_kinds(SYSTEMS.all()[0]).len()
    );
    assert!(kind.starts_with(&expected), "{kind}");
    let target = journal(&crash("folower", "at = \"1s\""));
    let expected = "4:10 `fault 1.target`: there is no \"folower\"; did you mean \"follower\"?";
    assert!(target.starts_with(expected), "{target}");
    assert_eq!(
        journal("system = \"clustr\""),
        "2:10 `system`: there is no \"clustr\"; did you mean \"cluster\"?\n  \
         expected one of \"journal\", \"cluster\"\n  see `cargo run -- list --systems`"
    );
}

#[test]
fn expectations_know_the_invariants_of_their_system() {
    let expect = |head: &str, text: &str| {
        let text = format!("description = \"A test.\"\n{head}expect = \"{text}\"\n");
        SYSTEMS.parse(&text, Path::new("a.toml")).map(|scenario| scenario.expect)
    };
    let violated = |name: &str| Ok(Expectation::Violated(name.to_string()));
    assert_eq!(expect("system = \"cluster\"\n", "violated:X4"), violated("X4"));
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
         there is no `system`, so it is read as a journal\n\
         4:19 `cluster.session-timeout`: expected a duration or a range, from 100ms to \
         10m, such as \"2s\" or \"2s..5s\", found \"1h\"\n\
         6:9 `workload.batch`: expected a whole number from 1 to 512, found 0"
    );
    assert_eq!(
        journal("[network]\nlatency = \"5ms..2m\""),
        "3:11 `network.latency`: expected a duration or a range, from 0us to 1m, such as \"2s\" or \
         \"2s..5s\", found \"5ms..2m\""
    );
}

#[test]
fn every_mistake_of_a_file_is_told_in_its_order() {
    let told = journal(&format!(
        "heal-at = 7\n[cluster]\njournal = 3\n{}{}",
        crash("nobody", "at = \"1s\""),
        crash("leader", "")
    ));
    let places: Vec<&str> = told.lines().filter(|line| !line.starts_with("  ")).collect();
    let places: Vec<&str> = places.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(places, ["2:11", "4:1", "7:10", "10:1"], "{told}");
    assert_eq!(told.matches("there is no `system`, so it is read as a journal").count(), 1);
}

#[test]
fn a_mistake_is_explained_with_its_line_and_a_caret() {
    let text = "description = \"A test.\"\n[cluster]\n\tjournals = \"många\"\n";
    let mistakes = SYSTEMS.parse_all(text, Path::new("a.toml")).expect_err("no number");
    assert_eq!(
        mistakes[0].explain(),
        "error: `cluster.journals`: expected a whole number from 1 to 16, found \"många\"\n \
         --> a.toml:3:13\n  |\n3 | \tjournals = \"många\"\n  | \t           ^"
    );
}

#[test]
fn every_mistake_of_a_fault_is_told() {
    let told = word_count(
        "[[fault]]\nkind = \"disk-slow\"\ntarget = \"nobody\"\noperation = \"raed\"\nby = \"5\"\n\
         on = { milestone = \"job-finishd\" }\nduration = 3\nuntil = 1\nchance = \"-5%\"\n\
         pick = \"x\"\nreapeat = 1\nzzz = 2\n",
    );
    let places: Vec<&str> = told
        .lines()
        .filter(|line| !line.starts_with("  "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let expected = ["5:10", "6:13", "7:6", "8:20", "9:12", "10:9", "11:10", "12:8", "13:1", "14:1"];
    assert_eq!(places, expected, "{told}");
    let of_links = journal(
        "[[fault]]\nkind = \"loss\"\nfrom = \"a\"\nto = \"b\"\nmessage = \"c\"\nat = \"1s\"\n\
         probabilty = \"5%\"\nduration = \"1s\"\n",
    );
    for what in ["fault 1.from", "fault 1.to", "fault 1.message", "did you mean `probability`?"] {
        assert_eq!(of_links.matches(what).count(), 1, "{what}: {of_links}");
    }
    assert!(!of_links.contains("is missing"), "{of_links}");
}

#[test]
fn a_milestone_alone_is_answered_with_how_it_is_written() {
    let told = journal(&crash("leader", "on = \"leader-granted\""));
    assert!(
        told.starts_with(
            "6:6 `fault 1.on`: expected a table such as { milestone = \"leader-granted\" }, found \
             \"leader-granted\""
        ),
        "{told}"
    );
    let told = journal(&crash("leader", "with = \"cut\""));
    assert!(told.contains("a table such as { fault = \"cut\" }"), "{told}");
    let told = journal(&crash("leader", "on = 3"));
    assert!(told.contains("a table such as { milestone = \"3\" }"), "{told}");
}

#[test]
fn the_known_keys_of_a_file_are_all_of_them() {
    let told = journal("zzz = 1");
    let known = told.split("expected one of ").nth(1).expect("the known keys");
    let known: std::collections::BTreeSet<&str> =
        known.split(", ").map(|key| key.trim_matches('`')).collect();
    let tables = ["description", "system", "cluster", "workload", "fault", "swarm"];
    let settings = Scenario::settings(SYSTEMS.default_system());
    let settings = settings.iter().map(|s| if s.table.is_empty() { s.key } else { s.table });
    assert_eq!(known, tables.into_iter().chain(settings).collect());
}

#[test]
fn faults_that_wait_for_each_other_are_refused() {
    let with = |name: &str, other: &str| {
        crash("leader", &format!("name = \"{name}\"\nwith = {{ fault = \"{other}\" }}"))
    };
    let ring = [with("a", "c"), with("b", "a"), with("c", "b"), with("d", "a")].concat();
    assert_eq!(
        journal(&ring),
        "2:1 \"a\", \"c\", \"b\" wait for each other, so that none of them begins"
    );
    let itself = journal(&with("a", "a"));
    assert_eq!(itself, "2:1 a fault can't refer to itself, \"a\"");
    let chain = [crash("leader", "name = \"a\"\nat = \"1s\""), with("b", "a"), with("c", "b")];
    let text = format!("description = \"A test.\"\n{}", chain.concat());
    assert!(SYSTEMS.parse(&text, Path::new("a.toml")).is_ok());
}

#[test]
fn a_pair_of_one_node_is_refused() {
    let pair = |kind: &str, from: &str, to: &str| {
        format!(
            "[[fault]]\n{kind}\nfrom = \"{from}\"\nto = \"{to}\"\nat = \"1s\"\n\
             duration = \"1s\"\n"
        )
    };
    let kinds = [
        "kind = \"partition\"\nshape = \"pair\"",
        "kind = \"partition\"\nshape = \"one-way\"",
        "kind = \"reset\"",
    ];
    for kind in kinds {
        for one in ["journal-1", "leader", "coordination"] {
            let told = journal(&pair(kind, one, one));
            assert_eq!(
                told, "2:1 `from` and `to` are one node, and no link is struck",
                "{kind} {one}"
            );
        }
        let lone =
            journal(&format!("[cluster]\nclients = 1\n{}", pair(kind, "clients", "clients")));
        assert!(lone.contains("are one node"), "{lone}");
        for [from, to] in
            [["journals", "journals"], ["leader", "follower"], ["journal-1", "journals"]]
        {
            let text = format!("description = \"A test.\"\n{}", pair(kind, from, to));
            assert!(SYSTEMS.parse(&text, Path::new("a.toml")).is_ok(), "{kind} {from} {to}");
        }
    }
}

#[test]
fn what_comes_again_at_once_is_refused() {
    let above = "expected a duration above 0s, found \"0s";
    let told = journal(&crash("leader", "at = \"1s\"\nrepeat = { times = 3, every = \"0s..1s\" }"));
    assert!(told.contains(above), "{told}");
    for kind in ["swizzle", "rolling-restart", "crash-loop"] {
        let fault = format!(
            "[[fault]]\nkind = \"{kind}\"\ntarget = \"journals\"\nevery = \"0s\"\nat = \"1s\"\n\
             duration = \"1s\"\n"
        );
        let told = journal(&fault);
        assert!(told.contains(above), "{kind}: {told}");
    }
}

#[test]
fn a_reversed_range_is_called_so() {
    for (text, turned) in [
        ("[network]\nlatency = \"5ms..2ms\"", "\"2ms..5ms\""),
        ("[workload]\nlines = \"9..5\"", "\"5..9\""),
        ("[workload]\npause = \"2s..500ms\"", "\"500ms..2s\""),
        (
            "[[fault]]\nkind = \"loss\"\nprobability = \"20%..5%\"\nat = \"1s\"\nduration = \"1s\"",
            "\"5%..20%\"",
        ),
        (
            "[[fault]]\nkind = \"clock\"\ntarget = \"leader\"\nstep = \"5s..-5s\"\nat = \"1s\"\nduration = \"1s\"",
            "\"-5s..5s\"",
        ),
        ("[swarm]\nfaults = \"14..1\"", "\"1..14\""),
    ] {
        let told = journal(text);
        assert!(told.contains("is reversed; write ") && told.contains(turned), "{text}: {told}");
    }
    let told = journal("[workload]\npause = \"2s..x\"");
    assert!(!told.contains("reversed"), "{told}");
}

/// Nobody waits while a file of many faults is read; each step of it is told once, not for each of the
/// others again.
#[test]
fn a_long_file_is_read() {
    const FAULTS: usize = 10_000;
    let fault = |number: usize| {
        let when = match number {
            0 => "at = \"1s\"".to_string(),
            _ => format!("with = {{ fault = \"f{}\" }}", number - 1),
        };
        crash("leader", &format!("name = \"f{number}\"\n{when}"))
    };
    let faults: String = (0..FAULTS).map(fault).collect();
    let text = format!("description = \"A test.\"\n{faults}");
    let scenario = SYSTEMS.parse(&text, Path::new("a.toml")).expect("it is sound");
    assert_eq!(scenario.faults.len(), FAULTS);
    let wrong = text.replace("duration = \"1s\"", "duration = \"1\"");
    let mistakes = SYSTEMS.parse_all(&wrong, Path::new("a.toml")).expect_err("each is wrong");
    assert_eq!(mistakes.len(), FAULTS);
}

#[test]
fn a_long_line_is_not_quoted_whole() {
    let text = format!(
        "description = \"{}\"\nsystem = \"{}\"\n",
        "x".repeat(100_000),
        "y".repeat(100_000)
    );
    let mistakes = SYSTEMS.parse_all(&text, Path::new("a.toml")).expect_err("no such system");
    for told in [mistakes[0].explain(), mistakes[0].to_string()] {
        assert!(told.len() < 1000, "{}", told.len());
    }
    let text = format!("description = \"{}\" x\n", "é".repeat(100_000));
    let mistake = SYSTEMS.parse(&text, Path::new("a.toml")).expect_err("no TOML");
    let told = mistake.explain();
    assert!(told.contains(":100019\n") || told.contains("100018") || told.len() < 1000, "{told}");
    let (quote, caret) =
        (told.lines().nth(3).expect("a quote"), told.lines().nth(4).expect("a caret"));
    let at = caret.chars().position(|c| c == '^').expect("a caret");
    assert_eq!(quote.chars().nth(at), Some('x'), "{told}");
}
