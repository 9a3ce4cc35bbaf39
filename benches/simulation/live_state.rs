//! What a store of state on the disk does with records that are counted: read, increased and written, by one thread,
//! in batches that are made resident. Keys are drawn by Zipf's law or uniformly, and are numbers (`id`) or have no order
//! (`random`), 16 bytes with their key group; values are what the runtime writes for a `u64`.
//!
//! `--keys=N` of them, `--mib=N` of memory for the store and `--seconds=N` for each figure. To limit the memory of the
//! whole process with its page cache, start it in a cgroup of its own.

use crate::{
    live_cluster::option,
    measure::{Effort, row},
};
use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};
use wavetank::{
    host::{
        live::{Node, NodeConfig},
        mix,
    },
    system::{
        graph::{KeyGroupRange, key_group},
        state::disk_store::{ChainFile, DiskStore, Options},
    },
};

const GROUPS: u32 = 128;
const BATCH: usize = 64 << 10;
/// What a task would let the store do after each batch.
const WORK_BYTES: u64 = 6 << 20;
/// Batches between two snapshots.
const BATCHES: usize = 16;

/// Which keys there are and which of them are drawn.
#[derive(Clone, Copy)]
struct Workload {
    keys: u64,
    is_zipf: bool,
    is_random: bool,
}

impl Workload {
    fn key(self, id: u64) -> [u8; 16] {
        let mut key = [0; 16];
        if self.is_random {
            key[2..10].copy_from_slice(&mix(7, id).to_be_bytes());
            key[10..].copy_from_slice(&mix(8, id).to_be_bytes()[2..]);
        } else {
            key[8..].copy_from_slice(&id.to_be_bytes());
        }
        let group = u16::try_from(key_group(&key[2..], GROUPS)).expect("there are few");
        key[..2].copy_from_slice(&group.to_be_bytes());
        key
    }

    fn draw(self, word: u64) -> u64 {
        if !self.is_zipf {
            return word % self.keys;
        }
        let share = (word >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = ((share * (self.keys as f64).ln()).exp() as u64).clamp(1, self.keys) - 1;
        // What is common is no neighbour of what is common: a prime spreads the ranks.
        rank * 6_793_007 % self.keys
    }

    fn name(self) -> &'static str {
        match (self.is_zipf, self.is_random) {
            (true, false) => "zipf 1.0, keys are numbers",
            (true, true) => "zipf 1.0, keys without order",
            (false, false) => "uniform, keys are numbers",
            (false, true) => "uniform, keys without order",
        }
    }
}

/// Prints what it came to.
///
/// # Panics
/// When the disk fails, or a value is not what was written.
pub fn live_state(effort: Effort) {
    let keys = option("keys", 10_000_000 / u64::from(effort.divisor));
    let memory = usize::try_from(option("mib", 32)).expect("a size") << 20;
    let seconds = option("seconds", 10);
    println!("live state: {keys} keys, {} MiB, batches of {BATCH}", memory >> 20);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _within = runtime.enter();
    for (is_zipf, is_random) in [(true, false), (false, false), (true, true), (false, true)] {
        let data = std::env::temp_dir().join(format!("wavetank-live-state-{}", std::process::id()));
        measure(Workload { keys, is_zipf, is_random }, memory, seconds, &data);
        std::fs::remove_dir_all(data).expect("the folder is still there");
    }
}

fn measure(workload: Workload, memory: usize, seconds: u64, data: &Path) {
    let config = NodeConfig {
        name: "bench".to_string(),
        hostname: "127.0.0.1".to_string(),
        data: data.to_path_buf(),
        members: Vec::new(),
    };
    let door = Node::start(config).expect("a writable folder").disk().synchronous();
    let groups = KeyGroupRange { start: 0, end: GROUPS };
    let store = DiskStore::create(door.clone(), "state", Options::new(memory, groups, 1));
    let mut bench = Bench { workload, store: store.expect("a healthy disk"), drawn: 0 };
    println!(" {}", workload.name());
    bench.fill();
    bench.rate(seconds);
    bench.snapshots();
    let files = bench.last_snapshot();
    let (bytes, live) = (length(&files), bench.store.live_bytes());
    drop(bench);
    let begun = Instant::now();
    let options = Options::new(memory, groups, 2);
    let restored = DiskStore::restore(door, "state", options, &files).expect("a healthy disk");
    let per_gb = begun.elapsed().as_secs_f64() * 1e9 / live as f64;
    drop(restored);
    row(
        "restore",
        format!("{per_gb:.1} s/GB (aim 30), reads {:.2} of the state", bytes as f64 / live as f64),
    );
}

fn length(files: &[ChainFile]) -> u64 {
    files.iter().map(|file| file.length).sum()
}

struct Bench {
    workload: Workload,
    store: DiskStore,
    drawn: u64,
}

impl Bench {
    fn fill(&mut self) {
        let begun = Instant::now();
        for id in 0..self.workload.keys {
            self.store.put(&self.workload.key(id), &[0]).expect("a healthy disk");
            if id.is_multiple_of(BATCH as u64) {
                self.store.work(2 * WORK_BYTES).expect("a healthy disk");
            }
        }
        self.finish_work();
        let rate = self.workload.keys as f64 / begun.elapsed().as_secs_f64() / 1e6;
        let live = self.store.live_bytes() as f64 / 1e6;
        row("filled", format!("{rate:.2} M/s, {live:.1} MB on the disk"));
    }

    fn finish_work(&mut self) {
        while self.store.work(64 << 20).expect("a healthy disk") {}
    }

    fn batch(&mut self) -> Vec<[u8; 16]> {
        let mut draw = || {
            self.drawn += 1;
            self.workload.key(self.workload.draw(mix(1, self.drawn)))
        };
        (0..BATCH).map(|_| draw()).collect()
    }

    fn count(&mut self, batch: &[[u8; 16]]) {
        self.store.make_resident(batch).expect("a healthy disk");
        for key in batch {
            let counted = self.store.get(key).expect("a healthy disk").expect("it was filled");
            let counted: u64 = postcard::from_bytes(counted).expect("a number");
            let mut value = [0; 10];
            let value = postcard::to_slice(&(counted + 1), &mut value).expect("it fits");
            self.store.put(key, value).expect("a healthy disk");
        }
        self.store.work(WORK_BYTES).expect("a healthy disk");
    }

    fn rate(&mut self, seconds: u64) {
        let (mut time, mut worst, mut counted) = (Duration::ZERO, Duration::ZERO, 0);
        let (mut held, mut files) = (0, 0);
        while time < Duration::from_secs(seconds) {
            let batch = self.batch();
            let begun = Instant::now();
            self.count(&batch);
            let took = begun.elapsed();
            (time, worst, counted) = (time + took, worst.max(took), counted + BATCH);
            held = held.max(self.store.memory_bytes());
            files = files.max(self.store.disk_bytes());
        }
        let rate = counted as f64 / time.as_secs_f64() / 1e6;
        let aim = if self.workload.is_zipf { 1.2 } else { 0.25 };
        row("counted", format!("{rate:.2} M/s (aim {aim}), a batch {worst:.0?} at most"));
        let files = files as f64 / self.store.live_bytes() as f64;
        let held = held as f64 / f64::from(1 << 20);
        row("memory, files at most", format!("{held:.1} MiB, {files:.2} of the state"));
    }

    fn snapshots(&mut self) {
        let _ = self.last_snapshot();
        let mut changed = BTreeSet::new();
        for _ in 0..BATCHES {
            let batch = self.batch();
            self.count(&batch);
            changed.extend(batch);
        }
        let id = self.next_id();
        let begun = Instant::now();
        self.store.snapshot(id);
        let took = begun.elapsed();
        self.finish_work();
        let snapshot = self.store.written_snapshot().expect("all is written");
        let mut new = snapshot.files;
        new.retain(|file| file.snapshot == id && !file.is_base);
        // Each changed record's key and, mostly, one byte of its value.
        let ratio = length(&new) as f64 / (changed.len() * 17) as f64;
        row("snapshot", format!("{took:.1?} (aim 10 ms)"));
        row("increment", format!("{ratio:.2} of what changed (aim 1.5), {} keys", changed.len()));
    }

    fn next_id(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }

    /// Its files stay where they are, since it is not said to be complete.
    fn last_snapshot(&mut self) -> Vec<ChainFile> {
        let id = self.next_id();
        self.store.snapshot(id);
        self.finish_work();
        self.store.written_snapshot().expect("all is written").files
    }
}
