//! The sums of a campaign's shards, in a folder.

use super::{
    CliError, Outcome,
    explore::{code, counted},
    part::Part,
    print,
    progress::clock,
};
use crate::{
    harness::{
        check::Verdict,
        run::{RunOutcome, add_counts},
    },
    host::sim::TraceDigest,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

/// The file that says of which campaign a folder is.
const IDENTITY: &str = "campaign.json";
/// Failures that are told one by one.
const TOLD_MAX: usize = 20;
const SECONDS_OF_A_YEAR: f64 = 365.25 * 86_400.0;

/// What a campaign runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// All seeds.
    pub seeds: Range<u64>,
    /// How many of them are a shard.
    pub shard: u64,
    /// The scenarios among which each seed draws one.
    pub scenarios: Vec<String>,
}

/// A run that did not end as its scenario expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRun {
    /// Its seed.
    pub seed: u64,
    /// Its scenario.
    pub scenario: String,
    /// What it came to.
    pub verdict: String,
    /// No invariant broke: it did not converge.
    pub is_stuck: bool,
}

/// What came of a shard, or of several.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sum {
    /// The seeds.
    pub seeds: Range<u64>,
    /// The checksum of the program that has run them.
    pub build: String,
    /// Runs.
    pub runs: u64,
    /// Simulated time.
    pub simulated_seconds: f64,
    /// Time that it took.
    pub wall_seconds: f64,
    /// Those that failed.
    pub failed: Vec<FailedRun>,
    /// How many seeds were run twice.
    pub compared: u64,
    /// Those of them whose two runs were not the same.
    pub different: Vec<u64>,
    /// How often each milestone was reached.
    pub milestones: BTreeMap<String, u64>,
    /// How often each invariant was evaluated.
    pub invariants: BTreeMap<String, u64>,
    /// The checksum of the runs' digests, in the order of the seeds.
    pub digest: String,
}

impl Sum {
    /// That of a shard of which nothing has run, by the program of that checksum.
    pub fn of(seeds: &Range<u64>, build: &str) -> Self {
        Sum { seeds: seeds.clone(), build: build.to_string(), ..Sum::default() }
    }

    /// Counts a run.
    pub fn add(&mut self, run: &RunOutcome) {
        self.runs += 1;
        self.simulated_seconds += run.simulated.as_secs_f64();
        if !run.expected {
            self.failed.push(FailedRun {
                seed: run.seed,
                scenario: run.scenario.clone(),
                verdict: run.verdict.to_string(),
                is_stuck: matches!(run.verdict, Verdict::Stuck { .. }),
            });
        }
        for (milestone, count) in &run.milestones {
            *self.milestones.entry(milestone.name().to_string()).or_default() += count;
        }
        for (title, count) in &run.evaluations {
            *self.invariants.entry(code(title).to_string()).or_default() += count;
        }
    }

    /// Counts a seed that was run twice.
    pub fn compare(&mut self, seed: u64, is_same: bool) {
        self.compared += 1;
        if !is_same {
            self.different.push(seed);
        }
    }

    /// All of its seeds have run.
    pub fn seal(&mut self, digests: &BTreeMap<u64, TraceDigest>) {
        let lines: String = digests.iter().map(|(seed, of)| format!("{seed} {of}\n")).collect();
        self.digest = format!("{:08x}", crc32fast::hash(lines.as_bytes()));
        self.failed.sort_by_key(|failed| failed.seed);
        self.different.sort_unstable();
    }

    fn merge(&mut self, other: &Sum) {
        self.runs += other.runs;
        self.simulated_seconds += other.simulated_seconds;
        self.wall_seconds += other.wall_seconds;
        self.failed.extend(other.failed.iter().cloned());
        self.compared += other.compared;
        self.different.extend(&other.different);
        add_counts(&mut self.milestones, &other.milestones);
        add_counts(&mut self.invariants, &other.invariants);
    }

    /// The worst of what happened.
    pub fn outcome(&self) -> Outcome {
        let failed = self.failed.iter().map(|failed| match failed.is_stuck {
            true => Outcome::Stuck,
            false => Outcome::Violated,
        });
        let different = self.different.iter().map(|_| Outcome::NotDeterministic);
        failed.chain(different).fold(Outcome::Passed, Outcome::worse)
    }
}

/// The checksum of this program.
#[expect(clippy::disallowed_methods, reason = "a command reads its own program")]
pub fn build() -> String {
    let program = fs::read("/proc/self/exe").unwrap_or_default();
    format!("{:08x}", crc32fast::hash(&program))
}

/// The sums in a folder.
pub struct Sums {
    folder: PathBuf,
    identity: Identity,
    /// Those that are there, by first seed.
    kept: BTreeMap<u64, Sum>,
}

impl Sums {
    /// Reads a folder, which is made if it is not there.
    #[expect(clippy::disallowed_methods, reason = "a command reads files of its user")]
    pub fn open(folder: &Path, identity: Identity) -> Result<Self, CliError> {
        let of_folder =
            |error: std::io::Error| CliError::new(format!("{}: {error}", folder.display()));
        fs::create_dir_all(folder).map_err(of_folder)?;
        let named = folder.join(IDENTITY);
        if named.exists() {
            let found: Identity = read(&named)?;
            if found != identity {
                return Err(another(folder, &found, &identity));
            }
        } else {
            print::write_json(&named, &serde_json::json!(identity))?;
        }
        let mut sums = Sums { folder: folder.to_path_buf(), identity, kept: BTreeMap::new() };
        for shard in sums.all() {
            let file = sums.file(&shard);
            if file.exists() {
                let sum: Sum = read(&file)?;
                if sum.seeds != shard {
                    let what = format!("{} is not of the seeds {shard:?}", file.display());
                    return Err(CliError::new(format!("{what}; remove it and they run again")));
                }
                sums.kept.insert(shard.start, sum);
            }
        }
        Ok(sums)
    }

    fn all(&self) -> Vec<Range<u64>> {
        let Identity { seeds, shard, .. } = &self.identity;
        let step = usize::try_from(*shard).expect("it is bounded");
        let shards = seeds.clone().step_by(step);
        shards.map(|from| from..from.saturating_add(*shard).min(seeds.end)).collect()
    }

    fn file(&self, shard: &Range<u64>) -> PathBuf {
        self.folder.join(format!("{}-{}.json", shard.start, shard.end))
    }

    /// How many shards there are in all.
    pub fn shards(&self) -> u64 {
        let Identity { seeds, shard, .. } = &self.identity;
        (seeds.end - seeds.start).div_ceil(*shard)
    }

    /// The shards that have not run, of all or of a part.
    pub fn missing(&self, part: Option<Part>) -> Vec<Range<u64>> {
        let of_part = self.all().into_iter().enumerate();
        let of_part = of_part.filter(|(place, _)| part.is_none_or(|part| part.takes(*place)));
        let missing = of_part.filter(|(_, shard)| !self.kept.contains_key(&shard.start));
        missing.map(|(_, shard)| shard).collect()
    }

    /// Those of a folder that must be there, of the same campaign.
    pub fn there(folder: &Path, identity: Identity) -> Result<Self, CliError> {
        if !folder.join(IDENTITY).is_file() {
            let what = format!("{} is no folder of a campaign", folder.display());
            return Err(CliError::new(format!("{what}: there is no {IDENTITY}")));
        }
        Sums::open(folder, identity)
    }

    /// Keeps the sums of another folder as well. A shard that both have run must have come to the same.
    pub fn take_over(&mut self, other: Sums) -> Result<(), CliError> {
        for (start, sum) in other.kept {
            match self.kept.get(&start) {
                None => self.keep(sum)?,
                Some(mine) if mine.digest == sum.digest || mine.build != sum.build => {}
                Some(_) => {
                    return Err(CliError::new(format!(
                        "{} and {} have run the seeds {:?} by the same build and came to other runs: find the \
                         cause before anything else, with `cargo run -- verify-determinism`",
                        self.folder.display(),
                        other.folder.display(),
                        sum.seeds,
                    )));
                }
            }
        }
        Ok(())
    }

    /// Keeps the sum of a shard: whole or not at all.
    #[expect(clippy::disallowed_methods, reason = "a command writes files of its user")]
    pub fn keep(&mut self, sum: Sum) -> Result<(), CliError> {
        let file = self.file(&sum.seeds);
        let draft = file.with_extension("draft");
        print::write_json(&draft, &serde_json::json!(sum))?;
        fs::rename(&draft, &file)
            .map_err(|error| CliError::new(format!("{}: {error}", file.display())))?;
        self.kept.insert(sum.seeds.start, sum);
        Ok(())
    }

    /// All of them.
    pub fn total(&self) -> Sum {
        self.kept.values().fold(Sum::default(), |mut total, sum| {
            total.merge(sum);
            total
        })
    }

    fn builds(&self) -> BTreeSet<&str> {
        self.kept.values().map(|sum| sum.build.as_str()).collect()
    }

    /// What they come to, for people.
    pub fn describe(&self) -> String {
        let total = self.total();
        let years = total.simulated_seconds / SECONDS_OF_A_YEAR;
        let simulated = match years < 0.1 {
            true => clock(Duration::from_secs_f64(total.simulated_seconds)),
            false => format!("{years:.1} years"),
        };
        let wall = clock(Duration::from_secs_f64(total.wall_seconds));
        let ratio = total.simulated_seconds / total.wall_seconds.max(1.0);
        let mut lines = vec![
            format!(
                "{} of {}, {} of {}, by {}",
                self.kept.len(),
                counted(self.shards(), "shard"),
                counted(total.runs, "run"),
                counted(self.identity.scenarios.len() as u64, "scenario"),
                counted(self.builds().len() as u64, "build")
            ),
            format!("{simulated} simulated in {wall}, {ratio:.0}x"),
            format!(
                "{} run twice: {} differ{}",
                counted(total.compared, "seed"),
                total.different.len(),
                told(total.different.iter().map(u64::to_string))
            ),
            format!("{} failed", counted(total.failed.len() as u64, "run")),
        ];
        let failed = total.failed.iter().take(TOLD_MAX);
        lines.extend(failed.map(|FailedRun { seed, scenario, verdict, .. }| {
            format!("  cargo run -- run {scenario} --seed {seed}    # {verdict}")
        }));
        if total.failed.len() > TOLD_MAX {
            lines.push(format!("  and {} more", total.failed.len() - TOLD_MAX));
        }
        lines.join("\n")
    }

    /// The same and more, for programs.
    pub fn json(&self) -> serde_json::Value {
        let total = self.total();
        serde_json::json!({
            "campaign": self.identity,
            "shards": { "kept": self.kept.len(), "all": self.shards() },
            "builds": self.builds(),
            "runs": total.runs,
            "simulated_seconds": total.simulated_seconds,
            "wall_seconds": total.wall_seconds,
            "compared": total.compared,
            "different": total.different,
            "failed": total.failed,
            "milestones": total.milestones,
            "invariants": total.invariants,
        })
    }
}

/// A list behind a colon; nothing of an empty one.
fn told(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.take(TOLD_MAX).collect();
    if items.is_empty() { String::new() } else { format!(": {}", items.join(", ")) }
}

#[expect(clippy::disallowed_methods, reason = "a command reads files of its user")]
fn read<T: for<'a> Deserialize<'a>>(file: &Path) -> Result<T, CliError> {
    let damaged = |error: &dyn std::fmt::Display| {
        let name = file.display();
        CliError::new(format!("{name} can't be read: {error}\n  remove it and its seeds run again"))
    };
    let text = fs::read_to_string(file).map_err(|error| damaged(&error))?;
    serde_json::from_str(&text).map_err(|error| damaged(&error))
}

fn another(folder: &Path, found: &Identity, wanted: &Identity) -> CliError {
    let differs = if found.seeds != wanted.seeds {
        format!("its seeds are {:?}, these are {:?}", found.seeds, wanted.seeds)
    } else if found.shard != wanted.shard {
        format!("its shards have {} seeds, these have {}", found.shard, wanted.shard)
    } else {
        let of = |one: &Identity, other: &Identity| {
            one.scenarios.iter().find(|name| !other.scenarios.contains(name)).cloned()
        };
        match (of(wanted, found), of(found, wanted)) {
            (Some(new), _) => format!("it knows no scenario {new}"),
            (None, Some(gone)) => format!("it has a scenario {gone} that is not among these"),
            (None, None) => "its scenarios stand in another order".to_string(),
        }
    };
    let folder = folder.display();
    CliError::new(format!(
        "{folder} is of another campaign: {differs}\n  name another folder, or run it with what it is of"
    ))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests read and write files")]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity { seeds: 0..25, shard: 10, scenarios: vec!["a".to_string()] }
    }

    fn sum(seeds: Range<u64>) -> Sum {
        Sum { runs: seeds.end - seeds.start, compared: 1, ..Sum::of(&seeds, "0badcafe") }
    }

    #[test]
    fn shards_that_are_kept_do_not_run_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sums");
        let mut sums = Sums::open(&path, identity()).expect("it is new");
        assert_eq!(sums.missing(None), [0..10, 10..20, 20..25]);
        let mut failing = sum(10..20);
        failing.failed.push(FailedRun {
            seed: 11,
            scenario: "a".to_string(),
            verdict: "stuck".to_string(),
            is_stuck: true,
        });
        sums.keep(failing).expect("there is room");
        let mut sums = Sums::open(&path, identity()).expect("it is the same");
        assert_eq!(sums.missing(None), [0..10, 20..25]);
        assert_eq!(sums.total().outcome(), Outcome::Stuck);
        sums.keep(Sum { different: vec![21], ..sum(20..25) }).expect("there is room");
        let total = Sums::open(&path, identity()).expect("it is the same").total();
        assert_eq!((total.runs, total.compared, total.different), (15, 2, vec![21]));
        let told = sums.describe();
        assert!(told.contains("2 of 3 shards, 15 runs of 1 scenario, by 1 build"), "{told}");
        assert!(told.contains("2 seeds run twice: 1 differ: 21"), "{told}");
        assert!(told.contains("run a --seed 11"), "{told}");
    }

    #[test]
    fn parts_add_up_to_what_one_would_have_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let open =
            |name: &str| Sums::open(&folder.path().join(name), identity()).expect("it is one");
        let (mut whole, mut merged) = (open("whole"), open("merged"));
        for number in 1..=2 {
            let mut part = open(&format!("part-{number}"));
            let mine = part.missing(Some(Part::parse(&format!("{number}/2")).expect("a part")));
            assert_eq!(mine.len(), 3 - number, "{mine:?}");
            for shard in mine {
                part.keep(sum(shard.clone())).expect("there is room");
                whole.keep(sum(shard)).expect("there is room");
            }
            let there = Sums::there(&folder.path().join(format!("part-{number}")), identity());
            merged.take_over(there.expect("it is there")).expect("nothing is run twice");
        }
        assert_eq!(merged.describe(), whole.describe());
        assert_eq!(merged.json(), whole.json());
        // Once more changes nothing; what another run came to is refused.
        merged.take_over(open("part-1")).expect("it is the same");
        let mut other = open("other");
        other.keep(Sum { digest: "1".to_string(), ..sum(0..10) }).expect("there is room");
        let told = merged.take_over(other).expect_err("it differs").to_string();
        assert!(told.contains("the seeds 0..10 by the same build"), "{told}");
        let none = Sums::there(&folder.path().join("none"), identity()).err().expect("none");
        assert!(none.to_string().contains("there is no campaign.json"), "{none}");
        assert!(!folder.path().join("none").exists(), "nothing is made");
    }

    #[test]
    fn the_outcome_is_the_worst_of_all_runs() {
        let run = |is_stuck| FailedRun {
            seed: 1,
            scenario: "a".to_string(),
            verdict: String::new(),
            is_stuck,
        };
        let of = |failed: &[bool], different: &[u64]| {
            let failed = failed.iter().map(|stuck| run(*stuck)).collect();
            Sum { failed, different: different.to_vec(), ..Sum::default() }.outcome()
        };
        assert_eq!(of(&[], &[]), Outcome::Passed);
        assert_eq!(of(&[true], &[]), Outcome::Stuck);
        assert_eq!(of(&[true, false], &[]), Outcome::Violated);
        assert_eq!(of(&[true, false], &[3]), Outcome::NotDeterministic);
    }

    #[test]
    fn a_folder_is_of_one_campaign() {
        let folder = tempfile::tempdir().expect("a folder");
        Sums::open(folder.path(), identity()).expect("it is new");
        let refused = |other: Identity| match Sums::open(folder.path(), other) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("it was taken"),
        };
        let told = refused(Identity { seeds: 0..26, ..identity() });
        assert!(told.contains("its seeds are 0..25, these are 0..26"), "{told}");
        let told = refused(Identity { shard: 11, ..identity() });
        assert!(told.contains("its shards have 10 seeds"), "{told}");
        let told = refused(Identity { scenarios: vec!["b".to_string()], ..identity() });
        assert!(told.contains("it knows no scenario b"), "{told}");
    }

    #[test]
    fn a_sum_that_is_damaged_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut sums = Sums::open(folder.path(), identity()).expect("it is new");
        sums.keep(sum(0..10)).expect("there is room");
        let file = folder.path().join("0-10.json");
        let whole = fs::read_to_string(&file).expect("it was kept");
        fs::write(&file, &whole[..whole.len() / 2]).expect("it can be cut");
        let told = Sums::open(folder.path(), identity()).err().expect("it is cut").to_string();
        assert!(told.contains("0-10.json") && told.contains("remove it"), "{told}");
        fs::rename(&file, folder.path().join("10-20.json")).expect("it can be renamed");
        fs::write(folder.path().join("10-20.json"), whole).expect("it can be written");
        let told =
            Sums::open(folder.path(), identity()).err().expect("it is another's").to_string();
        assert!(told.contains("is not of the seeds 10..20"), "{told}");
    }
}
