//! Which folders and which files know which others, and the circles among them.

use super::source::{Source, Words};
use std::collections::{BTreeMap, BTreeSet};

/// Files by their paths below `src/`.
pub type Sources = BTreeMap<String, Source>;

/// Who knows whom.
pub type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The folder of a file; one that has a folder of its own, such as `a.rs` beside `a/`, counts to that.
fn folder_of(path: &str, folders: &BTreeSet<String>) -> String {
    let own = path.trim_end_matches(".rs");
    if folders.contains(own) {
        return own.to_string();
    }
    path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_string())
}

/// Which folders know which others, leaving out those that one contains.
pub fn folder_arrows(files: &Sources) -> Arrows {
    let parents = |path: &String| {
        let ends = path.match_indices('/').map(|(at, _)| path[..at].to_string());
        ends.collect::<Vec<_>>()
    };
    let folders: BTreeSet<String> = files.keys().flat_map(parents).collect();
    let mut arrows = Arrows::new();
    for (path, source) in files {
        let from = folder_of(path, &folders);
        for named in &source.paths {
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

/// The module that a file is.
fn module_of(path: &str) -> Words {
    let path = path.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').filter(|word| *word != "lib").map(ToString::to_string).collect()
}

/// The files as modules that name each other's items.
struct Modules<'a> {
    files: &'a Sources,
    by_module: BTreeMap<Words, &'a str>,
    macros: BTreeMap<&'a str, &'a str>,
}

impl<'a> Modules<'a> {
    fn new(files: &'a Sources) -> Self {
        let by_module = files.keys().map(|path| (module_of(path), path.as_str())).collect();
        let macros = |(path, source): (&'a String, &'a Source)| {
            source.macros.iter().map(move |name| (name.as_str(), path.as_str())).collect::<Vec<_>>()
        };
        Modules { files, by_module, macros: files.iter().flat_map(macros).collect() }
    }

    /// Files that are compiled for tests alone.
    fn is_for_tests(&self, module: &[String]) -> bool {
        (1..=module.len()).any(|end| {
            let parent = self.by_module.get(&module[..end - 1]);
            parent.is_some_and(|file| self.files[*file].test_modules.contains(&module[end - 1]))
        })
    }

    /// The files that declare what a path names, as seen from a module. Exports are followed to the
    /// file that declares; a path that ends at a module names nothing of it yet.
    fn resolve(
        &self,
        from: &[String],
        path: &[String],
        depth: usize,
        found: &mut BTreeSet<&'a str>,
    ) {
        // Modules may take each other in whole.
        if depth > 16 {
            return;
        }
        let Some((first, mut rest)) = path.split_first() else { return };
        let mut module = from.to_vec();
        match first.as_str() {
            "crate" => module.clear(),
            "self" => {}
            "super" => {
                module.pop();
                while rest.first().is_some_and(|next| next == "super") {
                    module.pop();
                    rest = &rest[1..];
                }
            }
            _ => {
                rest = path;
                let file = &self.files[self.by_module[from]];
                let own = [from, std::slice::from_ref(first)].concat();
                if !self.by_module.contains_key(&own) && !file.imports.contains_key(first) {
                    return;
                }
            }
        }
        while let Some((name, after)) = rest.split_first() {
            let inner = [&module[..], std::slice::from_ref(name)].concat();
            if self.by_module.contains_key(&inner) {
                (module, rest) = (inner, after);
                continue;
            }
            let Some(path) = self.by_module.get(&module) else { return };
            let source = &self.files[*path];
            if let Some(file) = self.macros.get(name.as_str()).filter(|_| module.is_empty()) {
                found.insert(*file);
            } else if name == "*" || source.declared.contains(name) {
                found.insert(*path);
            } else if let Some(imports) = source.imports.get(name) {
                for import in imports {
                    let whole = [import, after].concat();
                    self.resolve(&module, &whole, depth + 1, found);
                }
            } else {
                let mut taken = BTreeSet::new();
                for glob in source.imports.get("*").into_iter().flatten() {
                    let whole = [glob, rest].concat();
                    self.resolve(&module, &whole, depth + 1, &mut taken);
                }
                if taken.is_empty() {
                    // Made by a macro of that file.
                    taken.insert(*path);
                }
                found.append(&mut taken);
            }
            return;
        }
    }
}

/// Which files know which others: whose items their code names.
///
/// A file knows where an item is declared, not the `mod.rs` that exports it; so a `mod` line or a
/// `pub use` is no arrow, and a `mod.rs` is met like any file by what it declares and names itself.
/// Tests may know everything, whether they have a file of their own or not.
pub fn file_arrows(files: &Sources) -> Arrows {
    let modules = Modules::new(files);
    let mut arrows = Arrows::new();
    for (path, source) in files {
        let module = module_of(path);
        if modules.is_for_tests(&module) {
            continue;
        }
        let mut known = BTreeSet::new();
        for named in &source.named {
            modules.resolve(&module, named, 0, &mut known);
        }
        known.remove(path.as_str());
        arrows.insert(path.clone(), known.into_iter().map(ToString::to_string).collect());
    }
    arrows
}

/// Pairs that reach each other, each once.
pub fn cycles(arrows: &Arrows) -> Vec<(String, String)> {
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
