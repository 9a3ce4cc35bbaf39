//! Scenarios from Rust, in the words of the files.
//!
//! What is built is written as TOML and read as a file is: the same words, the same defaults, the same
//! mistakes with the same explanations.

use super::{Scenario, ScenarioError};
use std::path::PathBuf;
use toml::Value;

/// The keys of a table, each set by the method of its name with `_` for `-`.
#[derive(Clone, Debug, Default)]
pub struct Keys(toml::Table);

/// An empty table.
pub fn keys() -> Keys {
    Keys::default()
}

/// A fault of a kind, see `list --faults`.
pub fn fault(kind: &str) -> Keys {
    keys().set("kind", kind)
}

/// A milestone, for `on` and `until`; see `list --milestones`.
pub fn milestone(name: &str) -> Keys {
    keys().set("milestone", name)
}

/// Another fault by its name, for `with`.
pub fn other(fault: &str) -> Keys {
    keys().set("fault", fault)
}

impl Keys {
    /// Sets a key by its name in files.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_string(), value.into());
        self
    }
}

impl From<Keys> for Value {
    fn from(keys: Keys) -> Self {
        Value::Table(keys.0)
    }
}

macro_rules! methods {
    ($($of:literal { $($method:ident = $key:literal),+ $(,)? })+) => {
        impl Keys {
            $($(
                #[doc = concat!("`", $key, "`, of ", $of, ".")]
                #[must_use]
                pub fn $method(self, value: impl Into<Value>) -> Self {
                    self.set($key, value)
                }
            )+)+
        }

        #[cfg(test)]
        const METHODS: &[(&str, &str)] = &[$($((stringify!($method), $key)),+),+];
    };
}

methods! {
    "every fault" {
        name = "name", at = "at", on = "on", with = "with", duration = "duration", until = "until",
        repeat = "repeat", chance = "chance", pick = "pick",
    }
    "faults of links" { from = "from", to = "to", message = "message", by = "by", shape = "shape" }
    "faults of some kinds" {
        probability = "probability", share = "share", nth = "nth", target = "target",
        every = "every", operation = "operation", drift = "drift", step = "step", rate = "rate",
        window = "window", unsynced = "unsynced", bits = "bits", file = "file", tolerates = "tolerates",
        slice = "slice", takes = "takes", applied = "applied",
    }
    "moments" {
        milestone = "milestone", after = "after", node = "node", checkpoint = "checkpoint", attempt = "attempt", of = "of",
        fault = "fault", edge = "edge", times = "times",
    }
    "`[cluster]`" {
        journals = "journals", clients = "clients", job_managers = "job-managers",
        task_executors = "task-executors", slots = "slots", session_timeout = "session-timeout",
        heartbeat = "heartbeat",
    }
    "`[workload]`" {
        lines = "lines", batch = "batch", pause = "pause", parallelism = "parallelism",
        line_words = "line-words", words = "words", lines_per_second = "lines-per-second",
        checkpoint_interval = "checkpoint-interval", checkpoint_timeout = "checkpoint-timeout",
        concurrent_checkpoints = "concurrent-checkpoints",
        retained_checkpoints = "retained-checkpoints", service_time = "service-time",
        buffer_timeout = "buffer-timeout", restarts = "restarts", restart_delay = "restart-delay",
        cancel_after = "cancel-after", fail_at = "fail-at", panic_at = "panic-at",
        fail_times = "fail-times", poisoned = "poisoned", slow_subtask = "slow-subtask",
        skew = "skew",
    }
    "`[network]`, and of `[swarm]`" { latency = "latency" }
    "`[converge]`" {
        within = "within", leaders = "leaders", tasks = "tasks", job = "job", leftovers = "leftovers",
    }
    "`[meanwhile]`" { failover = "failover", cancellation = "cancellation" }
    "`[swarm]`" {
        kinds = "kinds", without = "without", faults = "faults", begin = "begin",
        on_milestones = "on-milestones", messages = "messages", no_restarts = "no-restarts",
    }
}

/// A scenario in the making.
#[derive(Clone, Debug)]
pub struct ScenarioBuilder {
    name: String,
    file: toml::Table,
}

impl Scenario {
    /// A scenario that is built in Rust: its name, as `word-count/my-name`, and what it shows.
    ///
    /// ```
    /// use wavetank::harness::scenario::{Scenario, fault, keys, milestone};
    ///
    /// let scenario = Scenario::builder("word-count/cut-off", "A master is cut off.")
    ///     .system("word-count")
    ///     .workload(keys().lines(800).checkpoint_interval("500ms..2s"))
    ///     .fault(
    ///         fault("partition")
    ///             .shape("isolate")
    ///             .target("job-master")
    ///             .on(milestone("checkpoint-triggered").nth("2..6").after("0ms..50ms"))
    ///             .duration("1s..8s"),
    ///     )
    ///     .build()?;
    /// assert_eq!(scenario.faults.len(), 1);
    /// # Ok::<(), wavetank::harness::scenario::ScenarioError>(())
    /// ```
    pub fn builder(name: &str, description: &str) -> ScenarioBuilder {
        let builder = ScenarioBuilder { name: name.to_string(), file: toml::Table::new() };
        builder.set("description", description)
    }
}

macro_rules! tables {
    ($($(#[$doc:meta])+ $method:ident,)+) => {$(
        $(#[$doc])+
        #[must_use]
        pub fn $method(self, keys: Keys) -> Self {
            self.set(stringify!($method), keys)
        }
    )+};
}

impl ScenarioBuilder {
    fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.file.insert(key.to_string(), value.into());
        self
    }

    /// `system`: what runs, see `list --systems`.
    #[must_use]
    pub fn system(self, system: &str) -> Self {
        self.set("system", system)
    }

    /// `expect`: what a run must come to.
    #[must_use]
    pub fn expect(self, expect: &str) -> Self {
        self.set("expect", expect)
    }

    /// `heal-at`: when faults end.
    #[must_use]
    pub fn heal_at(self, end: &str) -> Self {
        self.set("heal-at", end)
    }

    /// `seed`: the plan seed of every run.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.set("seed", seed.to_string())
    }

    /// `reaches`: milestones that one of its runs must reach.
    #[must_use]
    pub fn reaches(self, milestones: &[&str]) -> Self {
        self.set("reaches", milestones.to_vec())
    }

    tables! {
        /// `[cluster]`: which nodes there are.
        cluster,
        /// `[workload]`: what they are given to do.
        workload,
        /// `[network]`: the links between all nodes.
        network,
        /// `[converge]`: how long a healed cluster may take.
        converge,
        /// `[meanwhile]`: how long it may take while faults last.
        meanwhile,
        /// `[swarm]`: within which bounds faults are generated.
        swarm,
    }

    /// One more `[[fault]]`.
    #[must_use]
    pub fn fault(mut self, keys: Keys) -> Self {
        let list = self.file.entry("fault").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(faults) = list {
            faults.push(keys.into());
        }
        self
    }

    /// The file that says the same.
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.file).expect("keys and texts can be written as TOML")
    }

    /// Reads it as a file is read.
    ///
    /// # Errors
    /// As [`Scenario::load`]; lines and columns are those of [`ScenarioBuilder::to_toml`].
    pub fn build(&self) -> Result<Scenario, ScenarioError> {
        Scenario::parse(&self.to_toml(), &PathBuf::from(format!("{}.toml", self.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{
        fault::{COMMON_KEYS, FAULT_KINDS, FaultKey},
        scenario::{SCENARIOS, SystemKind, discover},
    };
    use std::{collections::BTreeSet, path::Path};

    /// The keys of the tables within a fault.
    const MOMENTS: [&str; 11] = [
        "of",
        "milestone",
        "nth",
        "after",
        "node",
        "checkpoint",
        "attempt",
        "fault",
        "edge",
        "times",
        "every",
    ];

    #[test]
    fn every_key_of_a_file_has_its_method_and_no_other() {
        let of_kinds = FAULT_KINDS.iter().flat_map(|kind| kind.keys()).chain(COMMON_KEYS);
        let settings = SystemKind::ALL.iter().flat_map(|system| system.settings());
        let settings = settings.chain(Scenario::settings()).filter(|s| !s.table.is_empty());
        let words: BTreeSet<&str> = of_kinds
            .map(|key| key.key)
            .chain(settings.map(|setting| setting.key))
            .chain(MOMENTS)
            .collect();
        let methods: BTreeSet<&str> = METHODS.iter().map(|(_, key)| *key).collect();
        assert_eq!(methods, words);
        for (method, key) in METHODS {
            assert_eq!(method.replace('_', "-"), *key);
        }
    }

    /// A fault of a kind with these keys at their examples, as a file and as Rust.
    fn of_kind(kind: &str, keys: &[&FaultKey]) -> (String, Keys) {
        let lines = keys.iter().map(|key| format!("{} = {}\n", key.key, key.example));
        let text = format!("kind = \"{kind}\"\n{}", lines.collect::<String>());
        let table: toml::Table = toml::from_str(&text).expect("examples are TOML");
        let built =
            table.into_iter().fold(super::keys(), |built, (key, value)| built.set(&key, value));
        (format!("[[fault]]\n{text}"), built)
    }

    #[test]
    fn each_kind_of_fault_is_the_same_in_rust_and_in_a_file() {
        for kind in FAULT_KINDS {
            let when = |key: &&FaultKey| !["on", "with"].contains(&key.key);
            let keys = kind.keys().chain(COMMON_KEYS.iter().filter(when));
            // Which others belong there depends on its shape.
            let isolates = |key: &&FaultKey| !["from", "to"].contains(&key.key);
            let keys = keys.filter(|key| kind.name != "partition" || isolates(key));
            let keys: Vec<&FaultKey> = keys.collect();
            let (text, keys) = of_kind(kind.name, &keys);
            let path = Path::new("scenarios/a.toml");
            let file = Scenario::parse(&format!("description = \"A test.\"\n{text}"), path);
            let built = Scenario::builder("a", "A test.").fault(keys).build();
            assert_eq!(built.expect("sound"), file.expect("sound"), "{}", kind.name);
        }
    }

    #[test]
    fn every_shipped_scenario_can_be_built() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCENARIOS);
        for path in discover(&folder).expect("they are there") {
            let scenario = Scenario::load(&path).expect("it is sound");
            let mut builder = Scenario::builder(&scenario.name, "");
            builder.file = toml::from_str(&scenario.to_toml()).expect("it is TOML");
            assert_eq!(builder.build().as_ref(), Ok(&scenario), "{}", builder.to_toml());
        }
    }

    #[test]
    fn a_mistake_is_explained_as_in_a_file() {
        let wrong = Scenario::builder("a", "A test.").fault(fault("loss").at("1s").duration("2s"));
        let told = wrong.build().expect_err("a loss needs a probability").to_string();
        assert_eq!(told, "a.toml:3:1: `fault 1.probability` is missing");
    }
}
