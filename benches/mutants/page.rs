//! The page of the drawn mutants.

use crate::{Arguments, Judged, gamma::Verdict};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::{collections::BTreeMap, fmt::Write, path::Path};

/// Beside this crate: what was found out about survivors, by mutant.
const REASONS: &str = "benches/mutants/reasons.toml";
/// Between these lines the page is written anew.
const BEGIN: &str = "<!-- begin: written by benches/mutants -->";
const END: &str = "<!-- end -->";
/// Characters of a piece of source that are shown.
const SOURCE_MAX: usize = 60;

/// Why nobody noticed a mutant.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
enum Class {
    /// It does what the source does.
    Equivalent,
    /// Another mechanism prevents the harm.
    Masked,
    /// No run comes there.
    Unreached,
    /// Runs come there, and no check looks.
    Unchecked,
}

#[derive(Deserialize)]
struct Reason {
    class: Class,
    reason: String,
}

/// What is written.
pub struct Page<'a> {
    arguments: &'a Arguments,
    /// Those that compile.
    judged: Vec<&'a Judged>,
    drawn: usize,
    reasons: BTreeMap<String, Reason>,
}

/// A row of the table of folders.
#[derive(Default)]
struct Row {
    viable: usize,
    by_scenarios: usize,
    by_units: usize,
    argued: usize,
    survivors: usize,
}

impl Row {
    fn add(&mut self, other: &Row) {
        self.viable += other.viable;
        self.by_scenarios += other.by_scenarios;
        self.by_units += other.by_units;
        self.argued += other.argued;
        self.survivors += other.survivors;
    }

    fn cells(&self) -> String {
        let of = self.viable - self.argued;
        let share = |part: usize| match of {
            0 => "–".to_string(),
            of => format!("{:.0} %", 100.0 * part as f64 / of as f64),
        };
        let Row { viable, by_scenarios, by_units, argued, survivors } = self;
        let (alone, both) = (share(*by_scenarios), share(by_scenarios + by_units));
        format!(
            "{viable} | {argued} | {by_scenarios} | {by_units} | {survivors} | {alone} | {both}"
        )
    }
}

impl<'a> Page<'a> {
    pub fn new(arguments: &'a Arguments, judged: &'a [Judged]) -> Result<Self> {
        let path = arguments.folder.join(REASONS);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(Page {
            arguments,
            judged: judged.iter().filter(|judged| judged.scenarios.is_some()).collect(),
            drawn: judged.len(),
            reasons: toml::from_str(&text).context("the reasons")?,
        })
    }

    /// One line of what all came to.
    pub fn summary(&self) -> String {
        let rows = self.rows();
        let mut all = Row::default();
        rows.values().for_each(|row| all.add(row));
        let of = (all.viable - all.argued).max(1) as f64;
        let share = |part: usize| format!("{:.1} %", 100.0 * part as f64 / of);
        format!(
            "Of {} drawn mutants {} compile, and {} of these are argued to be equivalent or masked. Of the other {} the \
             scenarios notice {} ({}) within {} runs each, and unit tests {} of the rest: {} in all.",
            self.drawn,
            all.viable,
            all.argued,
            all.viable - all.argued,
            all.by_scenarios,
            share(all.by_scenarios),
            self.arguments.runs,
            all.by_units,
            share(all.by_scenarios + all.by_units),
        )
    }

    /// Writes it between the two lines of a file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let page = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let Some((before, rest)) = page.split_once(BEGIN) else { bail!("no line {BEGIN}") };
        let Some((_, behind)) = rest.split_once(END) else { bail!("no line {END}") };
        let text = self.text();
        std::fs::write(path, format!("{before}{BEGIN}\n{text}{END}{behind}"))?;
        Ok(())
    }

    fn reason(&self, judged: &Judged) -> Option<&Reason> {
        self.reasons.get(&judged.mutant.id).filter(|_| !is_noticed(judged))
    }

    fn is_argued(&self, judged: &Judged) -> bool {
        let argued = |reason: &Reason| matches!(reason.class, Class::Equivalent | Class::Masked);
        self.reason(judged).is_some_and(argued)
    }

    fn rows(&self) -> BTreeMap<&str, Row> {
        let mut rows = BTreeMap::<&str, Row>::new();
        for judged in &self.judged {
            let row = rows.entry(folder(&judged.mutant.file)).or_default();
            row.viable += 1;
            match (judged.scenarios.is_some_and(Verdict::is_noticed), is_noticed(judged)) {
                (true, _) => row.by_scenarios += 1,
                (false, true) => row.by_units += 1,
                (false, false) if self.is_argued(judged) => row.argued += 1,
                (false, false) => row.survivors += 1,
            }
        }
        rows
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.summary());
        text += "| folder of `src/system` | compile | argued | by scenarios | by unit tests | by nobody | scenarios alone | all |\n";
        text += "|---|---|---|---|---|---|---|---|\n";
        let rows = self.rows();
        let mut all = Row::default();
        for (folder, row) in &rows {
            writeln!(text, "| {folder} | {} |", row.cells()).expect("a string takes all");
            all.add(row);
        }
        writeln!(text, "| **all** | {} |\n", all.cells()).expect("a string takes all");
        text += "## Noticed by nobody\n\n";
        text += "| where | what | class | why |\n|---|---|---|---|\n";
        let mut survivors: Vec<&&Judged> =
            self.judged.iter().filter(|judged| !is_noticed(judged)).collect();
        survivors.sort_by_key(|judged| (&judged.mutant.file, judged.mutant.line));
        for judged in survivors {
            let mutant = &judged.mutant;
            let file = within(&mutant.file);
            let (class, why) = match self.reason(judged) {
                Some(reason) => (format!("{:?}", reason.class).to_lowercase(), &*reason.reason),
                None => ("not looked at".to_string(), ""),
            };
            let change =
                format!("`{}` → `{}`", shown(&mutant.original), shown(&mutant.replacement));
            writeln!(
                text,
                "| {file}:{} `{}` | {change} ({}) | {class} | {why} |",
                mutant.line, mutant.item_path, mutant.id
            )
            .expect("a string takes all");
        }
        text
    }
}

fn is_noticed(judged: &Judged) -> bool {
    judged.scenarios.is_some_and(Verdict::is_noticed)
        || judged.units.is_some_and(Verdict::is_noticed)
}

/// A file's path in the system's folder.
fn within(file: &str) -> &str {
    file.strip_prefix("src/system/").unwrap_or(file)
}

fn folder(file: &str) -> &str {
    within(file).split_once('/').map_or("(files)", |(folder, _)| folder)
}

/// A piece of source, on one line of a table.
fn shown(source: &str) -> String {
    let line: String = source.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().take(SOURCE_MAX).collect();
    let cut = cut.replace('|', "\\|").replace('`', "'");
    if line.chars().count() > SOURCE_MAX {
        cut + " …"
    } else if cut.is_empty() {
        "nothing".to_string()
    } else {
        cut
    }
}
