//! Scenarios from Rust, in the words of the files.
//!
//! What is built is written as TOML and read as a file is: the same words, the same defaults, the same
//! mistakes with the same explanations.

use super::Scenario;
use crate::harness::{language::ScenarioError, system::Systems};
use std::path::PathBuf;
use toml::Value;

/// The keys of a table. Those of every scenario are set by the method of their name with `_` for `-`, those of
/// a system by [`Keys::set`].
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
        nodes = "nodes", every = "every", operation = "operation", drift = "drift", step = "step", rate = "rate",
        window = "window", unsynced = "unsynced", bits = "bits", file = "file", tolerates = "tolerates",
        slice = "slice", takes = "takes", applied = "applied",
    }
    "moments" {
        milestone = "milestone", after = "after", node = "node",
        fault = "fault", edge = "edge", times = "times",
    }
    "`[network]`, and of `[swarm]`" { latency = "latency" }
    "`[converge]`" { within = "within" }
    "`[swarm]`" {
        kinds = "kinds", without = "without", faults = "faults", begin = "begin",
        on_milestones = "on-milestones", messages = "messages",
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
    /// use wavetank::{
    ///     harness::scenario::{Scenario, fault, keys, milestone},
    ///     under_test::SYSTEMS,
    /// };
    ///
    /// let scenario = Scenario::builder("word-count/cut-off", "A master is cut off.")
    ///     .system("cluster")
    ///     .job(keys().set("lines", 800).set("checkpoint-interval", "500ms..2s"))
    ///     .fault(
    ///         fault("partition")
    ///             .shape("isolate")
    ///             .target("job-master")
    ///             .on(milestone("checkpoint-triggered").nth("2..6").after("0ms..50ms"))
    ///             .duration("1s..8s"),
    ///     )
    ///     .build(SYSTEMS)?;
    /// assert_eq!(scenario.faults.len(), 1);
    /// # Ok::<(), wavetank::harness::language::ScenarioError>(())
    /// ```
    pub fn builder(name: &str, description: &str) -> ScenarioBuilder {
        let builder = ScenarioBuilder { name: name.to_string(), file: toml::Table::new() };
        builder.set("description", description)
    }
}

impl Scenario {
    /// A scenario of a name that is what a file says.
    pub fn builder_of(name: &str, file: toml::Table) -> ScenarioBuilder {
        ScenarioBuilder { name: name.to_string(), file }
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
        /// `[swarm]`: within which bounds faults are generated.
        swarm,
    }

    /// A table of the system's own.
    #[must_use]
    pub fn table(self, name: &str, keys: Keys) -> Self {
        self.set(name, keys)
    }

    /// One more `[[fault]]`.
    #[must_use]
    pub fn fault(self, keys: Keys) -> Self {
        self.one_more("fault", keys)
    }

    /// One more `[[job]]`, where the system has jobs.
    #[must_use]
    pub fn job(self, keys: Keys) -> Self {
        self.one_more("job", keys)
    }

    fn one_more(mut self, name: &str, keys: Keys) -> Self {
        let list = self.file.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(tables) = list {
            tables.push(keys.into());
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
    /// As [`Systems::load`]; lines and columns are those of [`ScenarioBuilder::to_toml`].
    pub fn build(&self, systems: Systems) -> Result<Scenario, ScenarioError> {
        systems.parse(&self.to_toml(), &PathBuf::from(format!("{}.toml", self.name)))
    }
}
