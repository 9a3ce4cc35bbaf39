//! What Flink's own tests assert, and which test or scenario of ours shows it: `docs/conformance.md` is written from
//! `table.toml`, and each name in it must be there.
#![expect(clippy::disallowed_methods, reason = "reads the sources and writes the page")]

use crate::{clone::ROOT, docs::REWRITE};
use serde::Deserialize;
use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

const PAGE: &str = "docs/conformance.md";
const TABLE: &str = include_str!("table.toml");

#[derive(Deserialize)]
struct Table {
    row: Vec<Row>,
}

/// One fact.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Row {
    /// The suite of Flink's that asserts it.
    suite: String,
    /// Its tests there; empty where the suite says it all.
    #[serde(default)]
    flink: String,
    /// In our words.
    fact: String,
    /// Each of which fails if it does not hold: `path::test`, `scenarios/….toml` or `invariant CODE`.
    #[serde(default)]
    shown_by: Vec<String>,
    /// Why it can't be shown here, and need not.
    not_applicable: Option<String>,
    /// What is still missing; what is in `shown_by` then shows a part of it.
    missing: Option<String>,
}

fn rows() -> Vec<Row> {
    let table: Table = toml::from_str(TABLE).expect("the table is sound");
    table.row
}

/// Why a name of what shows a fact is wrong, if it is.
fn wrong(name: &str) -> Option<String> {
    let there = |path: &str| Path::new(ROOT).join(path).exists();
    if let Some(code) = name.strip_prefix("invariant ") {
        let folder = Path::new(ROOT).join("src/under_test/cluster/invariants");
        let files = fs::read_dir(folder).expect("the invariants").filter_map(Result::ok);
        let mut names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        let stem = code.to_lowercase().replace('-', "_");
        let found =
            names.any(|file| file == format!("{stem}.rs") || file.starts_with(&format!("{stem}_")));
        return (!found).then(|| format!("there is no {name}"));
    }
    match name.split_once("::") {
        Some((path, test)) => match fs::read_to_string(Path::new(ROOT).join(path)) {
            Ok(text) if text.contains(&format!("fn {test}(")) => None,
            Ok(_) => Some(format!("{path} has no test {test}")),
            Err(_) => Some(format!("there is no {path}")),
        },
        None => (!there(name)).then(|| format!("there is no {name}")),
    }
}

#[test]
fn what_shows_a_fact_is_there() {
    let wrong: Vec<String> =
        rows().iter().flat_map(|row| &row.shown_by).filter_map(|name| wrong(name)).collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn each_fact_is_shown_or_it_is_said_why_not() {
    for Row { suite, fact, shown_by, not_applicable, missing, .. } in rows() {
        let said = match (&not_applicable, &missing) {
            (None, None) => !shown_by.is_empty(),
            (Some(why), None) => shown_by.is_empty() && !why.is_empty(),
            (None, Some(what)) => !what.is_empty(),
            (Some(_), Some(_)) => false,
        };
        assert!(said, "{suite}: {fact}");
    }
}

/// What shows a fact, with only the last part of a path.
fn short(name: &str) -> String {
    match name.rsplit_once("::") {
        Some((path, test)) => format!("`{test}` ({})", path.trim_end_matches(".rs")),
        None => format!("`{}`", name.trim_start_matches("scenarios/").trim_end_matches(".toml")),
    }
}

fn page() -> String {
    let rows = rows();
    let count = |of: fn(&Row) -> bool| rows.iter().filter(|row| of(row)).count();
    let (missing, no) = (count(|r| r.missing.is_some()), count(|r| r.not_applicable.is_some()));
    let mut page = format!(
        "# Conformance\n\nWhat Flink's own tests assert of the control plane (their names, the facts in our words), and \
         what shows it here: tests, scenarios that run under many seeds, and invariants that are judged at each step of \
         every run. Written from `tests/suite/conformance/table.toml`, whose names are checked:\n\n    \
         WAVETANK_REWRITE_PAGES=1 cargo test --test suite -- conformance\n\n{} facts: {} shown, {no} that do not \
         apply, {missing} not shown yet, or in part.\n",
        rows.len(),
        rows.len() - no - missing,
    );
    let mut suites = BTreeMap::<&str, Vec<&Row>>::new();
    rows.iter().for_each(|row| suites.entry(&row.suite).or_default().push(row));
    for (suite, rows) in suites {
        write!(page, "\n## {suite}\n\n| fact | Flink's | shown by |\n|---|---|---|\n")
            .expect("a text");
        for Row { flink, fact, shown_by, not_applicable, missing, .. } in rows {
            let mut shown = shown_by.iter().map(|name| short(name)).collect::<Vec<_>>().join(", ");
            if let Some(why) = not_applicable {
                shown = format!("*not applicable:* {why}");
            }
            if let Some(what) = missing {
                let part =
                    if shown.is_empty() { String::new() } else { format!("; in part by {shown}") };
                shown = format!("**not yet:** {what}{part}");
            }
            let cell = |text: &str| text.replace('|', "\\|");
            writeln!(page, "| {} | {} | {} |", cell(fact), cell(flink), cell(&shown))
                .expect("a text");
        }
    }
    page
}

#[test]
fn the_page_says_what_the_table_does() {
    let path = Path::new(ROOT).join(PAGE);
    if std::env::var_os(REWRITE).is_some() {
        fs::write(&path, page()).expect("a page");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    let again = format!("{REWRITE}=1 cargo test --test suite -- conformance");
    assert!(there == page(), "the table says something else now? {again}");
}
