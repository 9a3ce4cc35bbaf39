//! The laws of the house that no compiler checks, read from the parsed sources. Each rule is shown to
//! bite below.
#![expect(clippy::disallowed_methods, reason = "reads the sources")]

use proc_macro2::{TokenStream, TokenTree};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use syn::visit::{self, Visit};

const LINES_MAX: usize = 600;

/// The floors, bottom to top.
const FLOORS: &[&str] = &["host", "system", "jobs", "harness", "cli"];

/// Folders that still know each other, each with all below it.
const CYCLIC: &[&str] = &["harness", "system"];

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
const NAMES_OLD_WORDS: &[&str] = &["harness/scenario/nearest.rs"];

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

/// The paths that a file names, as lists of words, whether imported, written out or within a macro.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl Paths {
    fn of(text: &str) -> Self {
        let mut paths = Paths::default();
        paths.visit_file(&syn::parse_file(text).expect("it compiles"));
        paths
    }

    fn import(&mut self, tree: &syn::UseTree, mut before: Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.import(&path.tree, before);
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, before.clone()));
            }
            syn::UseTree::Name(name) => {
                before.push(name.ident.to_string());
                self.0.push(before);
            }
            syn::UseTree::Rename(name) => {
                before.push(name.ident.to_string());
                self.0.push(before);
            }
            syn::UseTree::Glob(_) => self.0.push(before),
        }
    }

    /// Paths within a macro are not parsed; words with `::` between them are.
    fn tokens(&mut self, tokens: TokenStream) {
        let (mut path, mut colons) = (Vec::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Ident(word) => {
                    if colons != 2 {
                        self.0.push(std::mem::take(&mut path));
                    }
                    path.push(word.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.tokens(group.stream());
                    colons = 0;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => colons = 0,
            }
        }
        self.0.push(path);
    }
}

impl<'a> Visit<'a> for Paths {
    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.import(&item.tree, Vec::new());
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, of: &'a syn::Macro) {
        self.tokens(of.tokens.clone());
        visit::visit_macro(self, of);
    }
}

/// What is wrong with a file of `src/`.
fn faults(path: &str, text: &str) -> Vec<String> {
    let floor = path.split('/').next().unwrap_or_default();
    let code = || text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut faults = Vec::new();
    let paths = Paths::of(text).0;
    let outside = |path: &Vec<String>| {
        path.first().is_some_and(|first| ["tokio", "madsim"].contains(&first.as_str()))
            && path.len() > 1
    };
    if floor != "host" && paths.iter().any(outside) {
        faults.push("names tokio or madsim outside host".to_string());
    }
    if let Some(height) = FLOORS.iter().position(|known| *known == floor) {
        for upper in &FLOORS[height + 1..] {
            if paths.iter().any(|path| path.len() > 1 && path[0] == "crate" && path[1] == *upper) {
                faults.push(format!("reaches up to {upper}"));
            }
        }
    }
    let door =
        ["lib.rs", "main.rs", "harness/mod.rs"].contains(&path) || ["host", "cli"].contains(&floor);
    if !door && code().any(|line| line.contains("madsim)") && line.contains("cfg(")) {
        faults.push("switches worlds outside the doors".to_string());
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

/// The folder of a file; one that has a folder of its own, such as `a.rs` beside `a/`, counts to that.
fn folder_of(path: &str, folders: &BTreeSet<String>) -> String {
    let own = path.trim_end_matches(".rs");
    if folders.contains(own) {
        return own.to_string();
    }
    path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_string())
}

/// Which folders know which others, leaving out those that one contains.
fn arrows(files: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
    let parents = |path: &String| {
        let ends = path.match_indices('/').map(|(at, _)| path[..at].to_string());
        ends.collect::<Vec<_>>()
    };
    let folders: BTreeSet<String> = files.keys().flat_map(parents).collect();
    let mut arrows = BTreeMap::<String, BTreeSet<String>>::new();
    for (path, text) in files {
        let from = folder_of(path, &folders);
        for named in Paths::of(text).0 {
            if named.first().is_none_or(|first| first != "crate") {
                continue;
            }
            let mut places = (1..=named.len()).map(|end| named[1..end].join("/"));
            let Some(to) = places.rfind(|place| folders.contains(place)) else { continue };
            let within = |inner: &str, outer: &str| inner.starts_with(&format!("{outer}/"));
            if to != from && !within(&from, &to) && !within(&to, &from) {
                arrows.entry(from.clone()).or_default().insert(to);
            }
        }
    }
    arrows
}

/// Pairs of folders that reach each other, each once.
fn cycles(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<(String, String)> {
    let reached = |from: &String| {
        let (mut seen, mut todo) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(at) = todo.pop() {
            for to in arrows.get(&at).into_iter().flatten() {
                if seen.insert(to.clone()) {
                    todo.push(to.clone());
                }
            }
        }
        seen
    };
    let all: BTreeMap<&String, BTreeSet<String>> =
        arrows.keys().map(|from| (from, reached(from))).collect();
    let mut found = Vec::new();
    for (from, there) in &all {
        for to in there.iter().filter(|to| from.as_str() < to.as_str()) {
            if all.get(to).is_some_and(|back| back.contains(*from)) {
                found.push(((*from).clone(), to.clone()));
            }
        }
    }
    found
}

/// The public items of a file that are declared at its top level.
fn public_items(text: &str) -> Vec<String> {
    let is_public = |visibility: &syn::Visibility| matches!(visibility, syn::Visibility::Public(_));
    let name = |item: syn::Item| match item {
        syn::Item::Fn(item) if is_public(&item.vis) => Some(item.sig.ident),
        syn::Item::Struct(item) if is_public(&item.vis) => Some(item.ident),
        syn::Item::Enum(item) if is_public(&item.vis) => Some(item.ident),
        syn::Item::Trait(item) if is_public(&item.vis) => Some(item.ident),
        syn::Item::Type(item) if is_public(&item.vis) => Some(item.ident),
        syn::Item::Const(item) if is_public(&item.vis) => Some(item.ident),
        _ => None,
    };
    let items = syn::parse_file(text).expect("it compiles").items;
    items.into_iter().filter_map(name).map(|ident| ident.to_string()).collect()
}

/// Public items that nothing names but their declaration and what only exports them.
fn dead(files: &BTreeMap<String, String>, users: &[BTreeMap<String, String>]) -> Vec<String> {
    let mut named = BTreeMap::<&str, usize>::new();
    for text in files.values().chain(users.iter().flat_map(BTreeMap::values)) {
        let code = text.lines().filter(|line| {
            let line = line.trim_start();
            !line.starts_with("//") && !line.starts_with("pub use") && !line.starts_with("use ")
        });
        let words = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
        words.for_each(|word| *named.entry(word).or_default() += 1);
    }
    let mut found = Vec::new();
    for (path, text) in files {
        let unused = |item: &String| named.get(item.as_str()).is_none_or(|count| *count < 2);
        let items = public_items(text).into_iter().filter(unused);
        found.extend(items.map(|item| format!("src/{path}: nothing uses {item}")));
    }
    found
}

fn files(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(path, text)| ((*path).to_string(), (*text).to_string())).collect()
}

#[test]
fn the_house_is_tidy() {
    let sources = tree("src");
    assert!(sources.len() > 50, "the sources were found");
    let mut wrong = Vec::new();
    for (name, text) in &sources {
        wrong.extend(faults(name, text).into_iter().map(|fault| format!("src/{name} {fault}")));
    }
    let known = |folder: &str| {
        CYCLIC.iter().any(|known| folder == *known || folder.starts_with(&format!("{known}/")))
    };
    let cycles = cycles(&arrows(&sources));
    let new = cycles.iter().filter(|(one, other)| !known(one) || !known(other));
    wrong.extend(new.map(|(one, other)| format!("src/{one} and src/{other} know each other")));
    for known in CYCLIC {
        let is = |folder: &String| folder == known || folder.starts_with(&format!("{known}/"));
        if !cycles.iter().any(|(one, other)| is(one) || is(other)) {
            wrong.push(format!("src/{known} has no cycle any more; take it from the list"));
        }
    }
    wrong.extend(dead(&sources, &[tree("tests"), tree("benches")]));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_arrow_upwards_is_refused() {
    let up = ["reaches up to harness"];
    assert_eq!(faults("system/a.rs", "use crate::harness::check;"), up);
    assert_eq!(faults("system/a.rs", "use crate::{host, harness::{check, fault}};"), up);
    assert_eq!(faults("system/a.rs", "fn f() { crate::harness::check() }"), up);
    assert_eq!(faults("system/a.rs", "fn f() { vec![crate::harness::CHECK]; }"), up);
    assert_eq!(faults("harness/a.rs", "use crate::system::rpc;").len(), 0);
    assert_eq!(faults("system/a.rs", "// use crate::harness").len(), 0);
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
    assert_eq!(cycles(&arrows(&cyclic)), all);
    let straight = files(&[("a/mod.rs", "use crate::b::X;"), ("b/mod.rs", "use crate::c::Y;")]);
    assert_eq!(cycles(&arrows(&straight)), vec![]);
    let inner = files(&[("a/mod.rs", "use crate::a::b::X;"), ("a/b/mod.rs", "use crate::a::Y;")]);
    assert_eq!(cycles(&arrows(&inner)), vec![], "a folder may know its own parts");
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
    let told = faults("system/a.rs", "/// A mishap of a service.\nfn f() {}");
    assert_eq!(told, ["says \"mishap\"; say injected error"]);
    assert_eq!(faults("system/a.rs", "fn f() { g(\"no Sign of Life\") }").len(), 1);
    assert_eq!(faults("system/a.rs", "struct Spread;").len(), 1);
    assert_eq!(faults("system/a.rs", "// it spreads, an unlawful_thing aside").len(), 0);
}

#[test]
fn the_other_rules_bite() {
    assert_eq!(faults("system/a.rs", "use tokio::time;"), ["names tokio or madsim outside host"]);
    assert_eq!(faults("host/live/a.rs", "use tokio::time;").len(), 0);
    assert_eq!(
        faults("jobs/a.rs", "#[cfg(not(madsim))]\nmod b;"),
        ["switches worlds outside the doors"]
    );
    assert_eq!(faults("cli/mod.rs", "#[cfg(madsim)]\nmod b;").len(), 0);
    assert_eq!(faults("jobs/a.rs", &"\n".repeat(700)), ["has more than 600 lines"]);
    assert_eq!(faults("jobs/a.rs", "// cfg(madsim), tokio::time").len(), 0);
}
