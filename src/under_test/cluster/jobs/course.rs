//! What becomes of a job before it ends: its client takes savepoints of it, and stops it with one to let it go on at
//! another parallelism.

use crate::{
    harness::language::{DurationRange, NumberRange, Share},
    host::Draws,
    jobs::common::{JobCourse, NextJob},
    system::{
        graph::{HEAP_INLINE, JobGraph, StateBackend},
        ids::JobId,
    },
};
use std::time::Duration;

/// What of a task's state is in memory, as was drawn.
pub struct StateMemory {
    /// Bytes, where it is on disk.
    pub on_disk: NumberRange,
    /// Keys that go into a part of a checkpoint, where it is on the heap.
    pub inline: NumberRange,
}

impl StateMemory {
    /// So many bytes on disk, and the default of what else there is.
    pub fn of(on_disk: NumberRange) -> Self {
        StateMemory { on_disk, inline: NumberRange::only(HEAP_INLINE.into()) }
    }
}

/// Where tasks keep their state, as was decided.
pub fn state_backend(in_memory: Share, on_disk: Share, memory: StateMemory) -> StateBackend {
    match (in_memory, on_disk) {
        (Share::ALWAYS, _) => StateBackend::Memory,
        (_, Share::ALWAYS) => StateBackend::Disk { memory: memory.on_disk.one().into() },
        _ => StateBackend::Heap { inline: memory.inline.one() },
    }
}

/// What the settings say of it, as was drawn.
pub struct Course {
    /// How often it is stopped and goes on.
    pub rescales: NumberRange,
    /// From each submission to the stop.
    pub after: DurationRange,
    /// From the last submission to the drain.
    pub drain_after: Option<DurationRange>,
    /// From savepoint to savepoint while it goes on.
    pub savepoint_every: Option<DurationRange>,
    /// The parallelism at which it begins, and the largest that it goes on at.
    pub parallelism: u32,
}

impl Course {
    /// It ends as it began.
    pub fn without_stops(parallelism: u32) -> Self {
        Course {
            rescales: NumberRange::only(0),
            after: DurationRange::only(Duration::ZERO),
            drain_after: None,
            savepoint_every: None,
            parallelism,
        }
    }

    /// The course of a run; `graph` makes the job of an id and a parallelism.
    pub fn of(&self, seed: u64, graph: impl Fn(JobId, u32) -> JobGraph) -> JobCourse {
        let next = |number: u32| {
            let mut draws = Draws::new(seed, "rescale", [u64::from(number), 0]);
            let drawn = 1 + draws.below(u64::from(self.parallelism));
            let parallelism = u32::try_from(drawn).expect("at most a parallelism");
            let id = JobId((u128::from(draws.next_u64()) << 64) | u128::from(draws.next_u64()));
            NextJob { after: self.after.one(), job: graph(id, parallelism) }
        };
        JobCourse {
            next: (0..self.rescales.one()).map(next).collect(),
            drain_after: self.drain_after.map(DurationRange::one),
            savepoint_every: self.savepoint_every.map(DurationRange::one),
        }
    }
}
