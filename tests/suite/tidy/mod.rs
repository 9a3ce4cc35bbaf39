//! The laws of the architecture that no compiler checks, read from the parsed sources. Each rule is shown to
//! bite below.
#![expect(clippy::disallowed_methods, reason = "reads the sources")]

mod cycles;
mod source;

use cycles::{Sources, cycles, file_arrows, folder_arrows};
use source::Source;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

const LINES_MAX: usize = 600;

/// The layers, and which others each may know.
const LAYERS: &[(&str, &[&str])] = &[
    ("host", &[]),
    ("system", &["host"]),
    ("adapters", &["host", "system"]),
    ("jobs", &["host", "system"]),
    ("harness", &["host"]),
    ("under_test", &["host", "system", "jobs", "harness"]),
    ("cli", &["host", "system", "jobs", "harness", "under_test", "adapters"]),
];

/// Folders that still know each other, each with all below it.
const CYCLIC: &[&str] = &[];

/// Folders whose files still know each other, each with all below it and the file beside it.
const CYCLIC_FILES: &[&str] =
    &["cli/simulated", "system/job_manager/job_master", "system/task_executor/endpoint"];

/// What embeds the services, which the rest of the system reaches by their traits.
const EMBEDDED: &[&str] = &[
    "CoordinationClient",
    "CoordinationConfig",
    "CoordinationGateway",
    "CoordinationServer",
    "ObjectStoreClient",
    "ObjectStoreConfig",
    "BlobGateway",
    "ObjectStoreServer",
    "LogClient",
    "LogConfig",
    "LogGateway",
    "LogServer",
    "DatabaseClient",
    "DatabaseConfig",
    "DatabaseGateway",
    "DatabaseServer",
];

/// Where the embedded services are made, beside their own folder.
const WIRING: &str = "system/cluster.rs";

/// Words of ours for which the field has one.
const BANNED: &[(&str, &str)] = &[
    ("mishap", "injected error"),
    ("undertaker", "process supervisor, on_process_exit"),
    ("partaker", "enabled kind"),
    ("oddity", "lint"),
    ("oddities", "lints"),
    ("lawful", "sound, or a reason that is no bug"),
    ("leavings", "leftovers"),
    ("voyage", "run supervised"),
    ("mourn", "on exit"),
    ("sworn", "checked invariant"),
    ("ruling", "check report"),
    ("troubled", "faulty"),
    ("unlent", "unannounced"),
    ("sign of life", "heartbeat, keep-alive"),
    ("nobody is there", "unreachable"),
    ("belongs to nobody", "is garbage"),
    ("takes its leave", "deregisters"),
    ("in the tank", "in simulation"),
    ("ResultWriter", "RecordWriter"),
    ("Exchanged", "ResultPartitionManager"),
    ("Spread", "ChannelSelector"),
    ("LinkCrossing", "LinkTraversal"),
];

/// Files that name what is banned to say what it is called now.
const NAMES_OLD_WORDS: &[&str] = &["harness/language/nearest.rs"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every file below a folder of the repository, by its path in it.
fn tree(folder: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    sources(&root, &mut found);
    let named = found.into_iter().map(|path| {
        let name = path.strip_prefix(&root).expect("it was found there").display().to_string();
        (name, fs::read_to_string(&path).expect("a text"))
    });
    named.collect()
}

/// What is wrong with a file of `src/`.
fn faults(path: &str, source: &Source) -> Vec<String> {
    let (text, paths) = (&source.text, &source.paths);
    let layer = path.split('/').next().unwrap_or_default();
    let code = || text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut faults = Vec::new();
    let outside = |path: &Vec<String>| {
        path.first().is_some_and(|first| ["tokio", "madsim"].contains(&first.as_str()))
            && path.len() > 1
    };
    if layer != "host" && paths.iter().any(outside) {
        faults.push("names tokio or madsim outside host".to_string());
    }
    if let Some((_, known)) = LAYERS.iter().find(|(known, _)| *known == layer) {
        for (other, _) in
            LAYERS.iter().filter(|(other, _)| *other != layer && !known.contains(other))
        {
            if paths.iter().any(|path| path.len() > 1 && path[0] == "crate" && path[1] == *other) {
                faults.push(format!("reaches up to {other}"));
            }
        }
    }
    let by_trait = ["system", "jobs"].contains(&layer)
        && path != WIRING
        && !path.starts_with("system/service/");
    let embedded = EMBEDDED
        .iter()
        .filter(|name| paths.iter().any(|path| path.iter().any(|word| word == *name)));
    faults.extend(embedded.filter(|_| by_trait).map(|name| format!("names {name}, not the trait")));
    let door =
        ["lib.rs", "main.rs", "harness/mod.rs"].contains(&path) || ["host", "cli"].contains(&layer);
    if !door && code().any(|line| line.contains("madsim)") && line.contains("cfg(")) {
        faults.push("switches worlds where it may not".to_string());
    }
    if text.lines().count() > LINES_MAX {
        faults.push(format!("has more than {LINES_MAX} lines"));
    }
    if !NAMES_OLD_WORDS.contains(&path) {
        faults.extend(banned(text));
    }
    faults
}

/// The banned words of a text, each with what to say instead. Case counts where a word has a capital.
fn banned(text: &str) -> Vec<String> {
    let is_word = |c: char| c.is_ascii_alphabetic();
    let lower = text.to_lowercase();
    let says = |word: &str| {
        let text = if word.chars().any(char::is_uppercase) { text } else { &lower };
        text.match_indices(word).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + word.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
    };
    let found = BANNED.iter().filter(|(word, _)| says(word));
    found.map(|(word, instead)| format!("says {word:?}; say {instead}")).collect()
}

/// Public items that nothing names but their declaration and what only exports them.
fn dead(files: &Sources, users: &[BTreeMap<String, String>]) -> Vec<String> {
    let mut named = BTreeMap::<&str, usize>::new();
    let own = files.values().map(|source| &source.text);
    for text in own.chain(users.iter().flat_map(BTreeMap::values)) {
        let code = text.lines().filter(|line| {
            let line = line.trim_start();
            !line.starts_with("//") && !line.starts_with("pub use") && !line.starts_with("use ")
        });
        let words = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
        words.for_each(|word| *named.entry(word).or_default() += 1);
    }
    let mut found = Vec::new();
    for (path, source) in files {
        let unused = |item: &str| named.get(item).is_none_or(|count| *count < 2);
        let items = source.public.iter().filter(|item| unused(item));
        found.extend(items.map(|item| format!("src/{path}: nothing uses {item}")));
    }
    found
}

/// Files that a test makes up.
fn files(files: &[(&str, &str)]) -> Sources {
    files
        .iter()
        .map(|(path, text)| ((*path).to_string(), Source::new((*text).to_string())))
        .collect()
}

/// Neighbours on a circle that shouldn't be, and listed folders that are clean by now.
fn cyclic(arrows: &cycles::Arrows, listed: &[&str]) -> Vec<String> {
    let within = |place: &str, folder: &str| {
        let rest = place.strip_suffix(".rs").unwrap_or(place).strip_prefix(folder);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let known = |place: &str| listed.iter().any(|folder| within(place, folder));
    let cycles = cycles(arrows);
    let direct = |from: &str, to: &str| arrows.get(from).is_some_and(|there| there.contains(to));
    let new = cycles.iter().filter(|(one, other)| {
        (!known(one) || !known(other)) && (direct(one, other) || direct(other, one))
    });
    let new = new.map(|(one, other)| format!("src/{one} and src/{other} know each other"));
    let clean = listed.iter().filter(|folder| {
        !cycles.iter().any(|(one, other)| within(one, folder) || within(other, folder))
    });
    let clean =
        clean.map(|folder| format!("src/{folder} has no cycle any more; take it from the list"));
    new.chain(clean).collect()
}

/// The faults of one made-up file.
fn faults_of(path: &str, text: &str) -> Vec<String> {
    faults(path, &Source::new(text.to_string()))
}

#[test]
fn the_sources_are_tidy() {
    let sources: Sources =
        tree("src").into_iter().map(|(path, text)| (path, Source::new(text))).collect();
    assert!(sources.len() > 50, "the sources were found");
    let mut wrong = Vec::new();
    for (name, source) in &sources {
        wrong.extend(faults(name, source).into_iter().map(|fault| format!("src/{name} {fault}")));
    }
    wrong.extend(cyclic(&folder_arrows(&sources), CYCLIC));
    wrong.extend(cyclic(&file_arrows(&sources), CYCLIC_FILES));
    let users = [
        "tests",
        "benches",
        "examples/journal/src",
        "examples/tally/src",
        "examples/word-count/src",
    ];
    wrong.extend(dead(&sources, &users.map(tree)));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_arrow_upwards_is_refused() {
    let up = ["reaches up to harness"];
    assert_eq!(faults_of("system/a.rs", "use crate::harness::check;"), up);
    assert_eq!(faults_of("system/a.rs", "use crate::{host, harness::{check, fault}};"), up);
    assert_eq!(faults_of("system/a.rs", "fn f() { crate::harness::check() }"), up);
    assert_eq!(faults_of("system/a.rs", "fn f() { vec![crate::harness::CHECK]; }"), up);
    assert_eq!(faults_of("harness/a.rs", "use crate::system::rpc;"), ["reaches up to system"]);
    assert_eq!(faults_of("under_test/a.rs", "use crate::{harness::check, system::rpc};").len(), 0);
    assert_eq!(
        faults_of("jobs/a.rs", "use crate::under_test::SYSTEMS;"),
        ["reaches up to under_test"]
    );
    assert_eq!(faults_of("system/a.rs", "// use crate::harness").len(), 0);
}

#[test]
fn a_cycle_of_folders_is_refused() {
    let cyclic = files(&[
        ("a/mod.rs", "use crate::b::c::X;"),
        ("b/c/mod.rs", "fn f() { crate::d::f() }"),
        ("d/mod.rs", "use crate::{a, host};"),
        ("host/mod.rs", ""),
    ]);
    let pair = |one: &str, other: &str| (one.to_string(), other.to_string());
    let all = vec![pair("a", "b/c"), pair("a", "d"), pair("b/c", "d")];
    assert_eq!(cycles(&folder_arrows(&cyclic)), all);
    let straight = files(&[("a/mod.rs", "use crate::b::X;"), ("b/mod.rs", "use crate::c::Y;")]);
    assert_eq!(cycles(&folder_arrows(&straight)), vec![]);
    let inner = files(&[("a/mod.rs", "use crate::a::b::X;"), ("a/b/mod.rs", "use crate::a::Y;")]);
    assert_eq!(cycles(&folder_arrows(&inner)), vec![], "a folder may know its own parts");
}

#[test]
fn a_cycle_of_files_is_refused() {
    let pairs = |named: &[(&str, &str)]| cycles(&file_arrows(&files(named)));
    let pair = |one: &str, other: &str| vec![(one.to_string(), other.to_string())];
    let (one, other) =
        (("a/b.rs", "use super::c::C;"), ("a/c.rs", "use crate::a::b::B; struct C;"));
    let plain = pairs(&[one, other, ("a/mod.rs", "mod b; mod c;")]);
    assert_eq!(plain, pair("a/b.rs", "a/c.rs"));
    // What a file declares is its own, whoever exports it.
    let exported = [
        ("a/mod.rs", "mod b; mod c; pub use b::{B, f as g};"),
        ("a/b.rs", "pub fn f() {} pub struct B; use super::c::C;"),
        ("a/c.rs", "pub struct C; fn f() { vec![super::g()]; }"),
    ];
    assert_eq!(pairs(&exported), pair("a/b.rs", "a/c.rs"));
    let straight = [exported[0], ("a/b.rs", "pub fn f() {}"), exported[2]];
    assert_eq!(pairs(&straight), []);
    // A parent may declare what its children name, or name what they declare.
    let parent = |text| pairs(&[("a.rs", text), ("a/b.rs", "use super::A; pub struct B;")]);
    assert_eq!(parent("pub mod b; pub use b::B; pub struct A;"), []);
    assert_eq!(parent("mod b; pub struct A(b::B);"), pair("a.rs", "a/b.rs"));
    assert_eq!(parent("mod b; pub use b::B; pub struct A(B);"), pair("a.rs", "a/b.rs"));
    assert_eq!(parent("mod b; use b::*; pub struct A;"), pair("a.rs", "a/b.rs"));
    // Three in a row, over folders.
    let three = [
        ("a/mod.rs", "use crate::b; fn f() { b::f() }"),
        ("b.rs", "pub fn f() { crate::c::d::f() }"),
        ("c/mod.rs", "mod d;"),
        ("c/d.rs", "pub fn f() { crate::a::f() }"),
    ];
    assert_eq!(pairs(&three).len(), 3);
    // Tests may know everything.
    let tests = [
        ("a.rs", "#[cfg(test)] mod tests; fn f() {}\n#[cfg(test)] mod here { use crate::b::f; }"),
        ("a/tests.rs", "use super::*; pub fn g() {}"),
        ("b.rs", "use crate::a::f; #[cfg(test)] use crate::a::tests::g;"),
    ];
    assert_eq!(pairs(&tests), []);
    let loops = file_arrows(&files(&[one, other, ("a/mod.rs", "mod b; mod c;")]));
    assert_eq!(cyclic(&loops, &[]), ["src/a/b.rs and src/a/c.rs know each other"]);
    assert_eq!(cyclic(&loops, &["a"]), [""; 0]);
    assert_eq!(cyclic(&loops, &["a", "b"]), ["src/b has no cycle any more; take it from the list"]);
}

#[test]
fn a_dead_public_item_is_refused() {
    let with = |user: &str| {
        let files = files(&[("a.rs", "pub fn alive() {}\npub use b::*;\n"), ("b.rs", user)]);
        dead(&files, &[])
    };
    assert_eq!(with("pub use super::alive;\n// alive\n"), ["src/a.rs: nothing uses alive"]);
    assert_eq!(with("fn f() {\n    alive();\n}\n"), ["src/b.rs: nothing uses f"; 0]);
}

#[test]
fn a_banned_word_is_refused_with_what_to_say() {
    let told = faults_of("system/a.rs", "/// A mishap of a service.\nfn f() {}");
    assert_eq!(told, ["says \"mishap\"; say injected error"]);
    assert_eq!(faults_of("system/a.rs", "fn f() { g(\"no Sign of Life\") }").len(), 1);
    assert_eq!(faults_of("system/a.rs", "struct Spread;").len(), 1);
    assert_eq!(faults_of("system/a.rs", "// it spreads, an unlawful_thing aside").len(), 0);
}

#[test]
fn an_embedded_service_is_refused_where_its_trait_is_to_be_named() {
    let text = "use crate::system::service::{Services, log::{Log, LogClient}};";
    let refused = ["names LogClient, not the trait"];
    assert_eq!(faults_of("system/connector/a.rs", text), refused);
    assert_eq!(faults_of("jobs/a.rs", "fn f() { LogClient::new() }"), refused);
    for free in [WIRING, "system/service/log/client.rs", "under_test/a.rs"] {
        assert_eq!(faults_of(free, text).len(), 0, "{free}");
    }
}

#[test]
fn the_other_rules_bite() {
    assert_eq!(
        faults_of("system/a.rs", "use tokio::time;"),
        ["names tokio or madsim outside host"]
    );
    assert_eq!(faults_of("host/live/a.rs", "use tokio::time;").len(), 0);
    assert_eq!(
        faults_of("jobs/a.rs", "#[cfg(not(madsim))]\nmod b;"),
        ["switches worlds where it may not"]
    );
    assert_eq!(faults_of("cli/mod.rs", "#[cfg(madsim)]\nmod b;").len(), 0);
    assert_eq!(faults_of("jobs/a.rs", &"\n".repeat(700)), ["has more than 600 lines"]);
    assert_eq!(faults_of("jobs/a.rs", "// cfg(madsim), tokio::time").len(), 0);
}
