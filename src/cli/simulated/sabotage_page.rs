//! The page of known bugs: what became of each, with the command that shows it.

use super::{CliError, sabotage_shrunk::Shrinking};
use crate::{
    harness::explore::{Detection, Hunted},
    host::Sabotage,
};
use std::{collections::BTreeMap, fmt::Write, path::Path};

/// Between these lines a page is written anew; what stands around them is somebody's own.
const BEGIN: &str = "<!-- begin: written by `sabotage --page` -->";
const END: &str = "<!-- end -->";

/// What a page is made of.
pub struct Page<'a> {
    /// What became of each bug.
    pub hunted: &'a [Hunted],
    /// The names of the scenarios.
    pub scenarios: &'a [String],
    /// The searches for each bug.
    pub searches: usize,
    /// The most runs of a search.
    pub runs_max: u64,
    /// The runs without a switch, and how many of them failed.
    pub control: (u64, usize),
    /// What shrinking their plans came to, where it was asked for.
    pub shrunk: &'a BTreeMap<Sabotage, Shrinking>,
}

impl Page<'_> {
    /// Writes it between the two lines of a file.
    ///
    /// # Errors
    /// When there is no such file, it lacks the lines, or it can't be written.
    #[expect(clippy::disallowed_methods, reason = "the page is for whoever asked for it")]
    pub fn write(&self, path: &Path) -> Result<(), CliError> {
        let told = |why: String| CliError::new(format!("{}: {why}", path.display()));
        let page = std::fs::read_to_string(path).map_err(|error| told(error.to_string()))?;
        let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
            let (_, behind) = rest.split_once(END)?;
            Some((before, behind))
        });
        let lines =
            || told(format!("there is no place for the table: the lines {BEGIN} and {END}"));
        let (before, behind) = parts.ok_or_else(lines)?;
        let page = format!("{before}{BEGIN}\n{}{END}{behind}", self.text());
        std::fs::write(path, page).map_err(|error| told(error.to_string()))
    }

    /// One line of what all came to.
    pub fn summary(&self) -> String {
        let count = |wanted: Detection| {
            self.hunted.iter().filter(|hunted| hunted.detection() == wanted).count()
        };
        let medians = self.hunted.iter().filter(|hunted| hunted.detection() == Detection::Caught);
        let mut medians: Vec<u64> = medians.filter_map(Hunted::median).collect();
        medians.sort_unstable();
        let median = medians.get(medians.len() / 2).copied().unwrap_or(0);
        let (runs, failed) = self.control;
        let is_masked = |hunted: &&Hunted| hunted.masked(self.hunted).is_some();
        let masked = self.hunted.iter().filter(is_masked).count();
        format!(
            "Of {} known bugs {} are caught by each of {} searches of at most {} runs, after {median} in the median; \
             {} by some searches, {} only by a check that is not there for them. {masked} are masked by another mechanism, as \
             switching both off shows; {} by none though their line ran, and the line of {} never ran. Of {runs} runs \
             without a switch {failed} failed.",
            self.hunted.len(),
            count(Detection::Caught),
            self.searches,
            self.runs_max,
            count(Detection::CaughtBySome),
            count(Detection::CaughtByAnother),
            count(Detection::Uncaught) - masked,
            count(Detection::NeverReached),
        )
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.summary());
        if let Some(line) = self.shrunk_summary() {
            text += &format!("{line}\n\n");
        }
        let is_shrunk = !self.shrunk.is_empty();
        let more =
            if is_shrunk { " faults left | nodes | lines | candidates | seconds |" } else { "" };
        let columns = 6 + more.matches('|').count();
        text += &format!("| bug | published | caught by | runs | line ran | shown by |{more}\n");
        text += &format!("|{}\n", "---|".repeat(columns));
        for hunted in self.hunted {
            let switch = hunted.switch;
            let runs =
                hunted.median().map_or(format!("> {}", self.runs_max), |runs| runs.to_string());
            writeln!(
                text,
                "| {} `{}` | {} | {} | {runs} | {} | {} |{}",
                switch.description(),
                switch.name(),
                switch.published(),
                class(hunted, self.hunted),
                hunted.executions(),
                self.command(switch, hunted).map_or("–".to_string(), |line| format!("`{line}`")),
                if is_shrunk { self.shrunk_cells(switch) } else { String::new() },
            )
            .expect("a string takes all");
        }
        text
    }

    fn shrunk_cells(&self, switch: Sabotage) -> String {
        let none = || std::array::from_fn(|_| "–".to_string());
        let cells = self.shrunk.get(&switch).map_or_else(none, Shrinking::cells);
        cells.iter().map(|cell| format!(" {cell} |")).collect()
    }

    /// The medians of what shrinking came to.
    fn shrunk_summary(&self) -> Option<String> {
        let median = |of: fn(&Shrinking) -> f64| {
            let mut all: Vec<f64> = self.shrunk.values().map(of).collect();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied()
        };
        let faults = median(|one| one.measures[1].faults as f64)?;
        let nodes = median(|one| one.measures[1].nodes as f64)?;
        let candidates = median(|one| one.candidates as f64)?;
        let seconds = median(|one| one.seconds)?;
        Some(format!(
            "Of {} of them the plan of the shortest search was shrunk: {faults} faults and {nodes} nodes, of those whose \
             number is a setting, are left in the median, after {candidates} candidates. That took {seconds:.1} \
             seconds, with the runs that show how often the first and the last plan fail.",
            self.shrunk.len()
        ))
    }

    /// The one command that shows the catch of the search that was the shortest.
    fn command(&self, switch: Sabotage, hunted: &Hunted) -> Option<String> {
        let shortest = hunted.searches.iter().filter(|search| search.caught.is_some());
        let caught = shortest.min_by_key(|search| search.runs)?.caught.as_ref()?;
        let (scenario, seed) = (&self.scenarios[caught.scenario], caught.seed);
        Some(format!("cargo run -- run {scenario} --seed {seed} --sabotage {}", switch.name()))
    }
}

/// What caught it, or why nothing did.
fn class(hunted: &Hunted, all: &[Hunted]) -> String {
    if let Some(shown) = hunted.masked(all) {
        return format!("masked: see `{}`", shown.name());
    }
    let checks = || {
        let verdicts = hunted.verdicts().into_iter();
        let marked =
            verdicts.map(|(name, wanted)| name + if wanted { "" } else { " (not for it)" });
        marked.collect::<Vec<_>>().join(", ")
    };
    match hunted.detection() {
        Detection::Caught | Detection::CaughtByAnother => checks(),
        Detection::CaughtBySome => {
            format!("{}; {} of {} searches", checks(), hunted.found(), hunted.searches.len())
        }
        Detection::Uncaught => "reached, uncaught".to_string(),
        Detection::NeverReached => "never reached".to_string(),
    }
}
