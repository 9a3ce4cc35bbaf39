//! `[converge]`: how long a healed system may take.

use crate::harness::{
    language::{
        Bounds, DurationRange, Fixed, KeyValue, MaybeTime, Mistakes, Reader, Setting, Writer,
        fixed, maybe_time,
    },
    system::AnySystem,
};
use std::time::Duration;

/// The table.
const TABLE: &str = "converge";
/// The key of what has no bound of its own.
const WITHIN_KEY: &str = "within";
const WITHIN: Fixed = fixed("0s", "600m", "60s");
const OWN: MaybeTime = maybe_time("0s", "600m");

/// The bounds of convergence, each counted from the moment at which all faults are lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converge {
    /// How long after the faults anything may take that has no bound of its own.
    within: Duration,
    /// The system's goals that have one.
    own: Vec<(&'static str, DurationRange)>,
}

impl Converge {
    /// Reads the table as it is understood where that system runs; a key with a mistake, which is kept,
    /// gets a stand-in.
    pub(super) fn read(
        file: &mut Reader,
        system: Option<&dyn AnySystem>,
        mistakes: &mut Mistakes,
    ) -> Self {
        let Some(system) = system else {
            // Which keys it has depends on it.
            file.skip(&[TABLE]);
            return Converge { within: WITHIN.default().one(), own: Vec::new() };
        };
        let table = mistakes.keep(file.table(TABLE));
        let mut table = table.unwrap_or_else(|| file.empty(TABLE));
        let within = mistakes.keep(WITHIN.take(&mut table, WITHIN_KEY));
        let within = within.unwrap_or_else(|| WITHIN.default()).one();
        let goals = system.goals().iter().map(|(key, _)| *key);
        let own = goals.filter_map(|key| {
            let bound = mistakes.keep(OWN.take(&mut table, key)).flatten();
            bound.map(|bound| (key, bound))
        });
        let own = own.collect();
        table.finish(mistakes);
        Converge { within, own }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.table(&format!("[{TABLE}]"));
        DurationRange::only(self.within).write(WITHIN_KEY, writer);
        self.own.iter().for_each(|(key, bound)| bound.write(key, writer));
    }

    pub(super) fn draw(&self, seed: u64) -> Self {
        let drawn = |(key, bound): &(&'static str, DurationRange)| {
            let hash = crate::host::name_hash(key);
            let mut draws = crate::host::Draws::new(seed, "setting", [hash, 0]);
            (*key, KeyValue::fixed(&KeyValue::draw(bound, &mut draws)))
        };
        Converge { within: self.within, own: self.own.iter().map(drawn).collect() }
    }

    /// How long a goal may take, of drawn bounds.
    pub fn bound(&self, goal: &str) -> Duration {
        let own = self.own.iter().find(|(key, _)| *key == goal);
        own.map_or(self.within, |(_, bound)| bound.one())
    }

    /// Every key where that system runs.
    pub(super) fn settings(system: &dyn AnySystem) -> Vec<Setting> {
        let meaning = "How long after the faults anything may take that has no bound of its own.";
        let mut settings = vec![Setting::new(TABLE, WITHIN_KEY, meaning, &WITHIN)];
        let own = system.goals().iter();
        settings.extend(own.map(|(key, meaning)| Setting::new(TABLE, key, meaning, &OWN)));
        settings
    }
}
