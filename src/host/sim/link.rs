//! Links and the fates of the frames that cross them.
//!
//! A frame's fate is a draw keyed by (seed, source, target, kind, ordinal): whatever else happens in
//! the run, the n-th frame of a kind on a link draws the same words. Rules decide what the words
//! mean at that moment.

mod rate;
#[cfg(test)]
mod tests;

use super::{clock::Nanos, stamp::NodeId};
use crate::host::{
    Kind,
    random::{Draws, mix, nanos, scale, scale_duration},
};
use rate::Lines;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long a frame is under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Delay {
    /// Always the same.
    Constant(Duration),
    /// Uniform between two bounds, both included.
    Uniform(Duration, Duration),
    /// Exponential with this mean, cut off at ten times the mean.
    Exponential(Duration),
    /// Mostly uniform in the first pair, now and then in the second.
    Bimodal {
        /// The usual bounds.
        usual: (Duration, Duration),
        /// The rare bounds.
        rare: (Duration, Duration),
        /// How often the rare bounds are taken, in a million.
        rare_per_million: u32,
    },
    /// The same for all frames from one node to another, uniform up to this over the pairs.
    PerPair(Duration),
}

impl Delay {
    /// Maps two random words to a delay.
    pub fn sample(&self, first: u64, second: u64) -> Duration {
        let uniform = |low: Duration, high: Duration, bits| {
            low + scale_duration(bits, high.saturating_sub(low))
        };
        match *self {
            Delay::Constant(delay) => delay,
            Delay::Uniform(low, high) => uniform(low, high, first),
            Delay::Exponential(mean) => exponential(mean, first),
            Delay::Bimodal { usual, rare, rare_per_million } => {
                let bounds = if happens(rare_per_million, second) { rare } else { usual };
                uniform(bounds.0, bounds.1, first)
            }
            // The words of a rule are those of the pair.
            Delay::PerPair(most) => uniform(Duration::ZERO, most, first),
        }
    }
}

/// -mean * ln(u) for a uniform u, in integers only: libm may differ from machine to machine.
fn exponential(mean: Duration, bits: u64) -> Duration {
    const LN_2_Q32: u128 = 2_977_044_472;
    let u = u128::from(bits) + 1;
    let log2 = u.ilog2();
    let mut mantissa = if log2 >= 63 { u >> (log2 - 63) } else { u << (63 - log2) };
    let mut fraction = 0_u128;
    for bit in (0..32).rev() {
        mantissa = (mantissa * mantissa) >> 63;
        if mantissa >= 1 << 64 {
            mantissa >>= 1;
            fraction |= 1 << bit;
        }
    }
    let minus_log2_q32 = (64_u128 << 32) - ((u128::from(log2) << 32) | fraction);
    let minus_ln_q32 = (minus_log2_q32 * LN_2_Q32) >> 32;
    let delay = (u128::from(nanos(mean)) * minus_ln_q32) >> 32;
    Duration::from_nanos(u64::try_from(delay).unwrap_or(u64::MAX)).min(mean * 10)
}

/// Which nodes a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NodeSet {
    /// Every node.
    All,
    /// Just these.
    Only(BTreeSet<NodeId>),
}

impl NodeSet {
    /// Just this node.
    pub fn one(node: NodeId) -> Self {
        NodeSet::Only(BTreeSet::from([node]))
    }

    /// Whether the node is among them.
    pub fn contains(&self, node: NodeId) -> bool {
        match self {
            NodeSet::All => true,
            NodeSet::Only(nodes) => nodes.contains(&node),
        }
    }
}

/// What a rule does to the frames that it matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LinkEffect {
    /// Nothing passes, also nothing that is under way. Streams stall.
    Cut,
    /// A share of the frames is lost.
    Loss {
        /// How many in a million.
        per_million: u32,
    },
    /// Frames take longer by a drawn time.
    Delay(Delay),
    /// A share of the frames takes longer, so that later ones overtake them.
    Reorder {
        /// How many in a million.
        per_million: u32,
        /// How much longer at most.
        by: Duration,
    },
    /// A share of the frames arrives twice.
    Duplicate {
        /// How many in a million.
        per_million: u32,
    },
    /// A share of the frames arrives with one bit flipped.
    Corrupt {
        /// How many in a million.
        per_million: u32,
    },
    /// Of a share of the segments of streams only a beginning arrives, and their connections break right after
    /// it for both ends, as when a box on the way gives up. Such messages are lost.
    CutShort {
        /// How many in a million.
        per_million: u32,
    },
    /// Frames are kept back until the rule is lifted.
    Hold,
    /// On each link frames leave one after the other at a byte rate; behind them a queue waits, and
    /// what finds no room in it is lost. What else the rules do happens behind the queue.
    Rate {
        /// How many bytes leave in a second.
        bytes_per_second: u64,
        /// How many bytes wait at most. A frame that finds nobody before it always passes.
        window: u64,
    },
}

/// Some kinds of frames.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KindFilter {
    /// Those whose name begins with this.
    Prefix(String),
    /// The same, but not the answers to calls.
    CallsOf(String),
}

impl KindFilter {
    /// How the names begin.
    pub(in crate::host) fn prefix(&self) -> &str {
        let (KindFilter::Prefix(prefix) | KindFilter::CallsOf(prefix)) = self;
        prefix
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            KindFilter::Prefix(prefix) => name.starts_with(prefix.as_str()),
            KindFilter::CallsOf(prefix) => {
                name.starts_with(prefix.as_str()) && !name.ends_with(".reply")
            }
        }
    }
}

impl From<&str> for KindFilter {
    fn from(prefix: &str) -> Self {
        KindFilter::Prefix(prefix.to_string())
    }
}

/// A fault on the directed links from one set of nodes to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRule {
    /// The senders.
    pub from: NodeSet,
    /// The receivers.
    pub to: NodeSet,
    /// Only these kinds; all when `None`.
    pub kind: Option<KindFilter>,
    /// Only the frame of this number among those that match, from 1; all when `None`.
    pub nth: Option<u64>,
    /// What happens to the frames.
    pub effect: LinkEffect,
}

impl LinkRule {
    fn matches(&self, from: NodeId, to: NodeId, kind: Kind) -> bool {
        self.from.contains(from)
            && self.to.contains(to)
            && self.kind.as_ref().is_none_or(|filter| filter.matches(kind.name()))
    }
}

/// Names a rule in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u64);

impl RuleId {
    /// Counted from 1, in the order in which rules were added.
    pub(in crate::host) fn number(self) -> u64 {
        self.0
    }
}

/// Why a frame does not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::host) enum DropReason {
    /// A rule cuts its link.
    Cut,
    /// A rule loses a share of the frames.
    Drawn,
    /// The queue of a rule has no room.
    Overflow,
    /// Its link was cut while it was under way.
    CutUnderWay,
    /// Its rest was lost.
    CutShort,
    /// Connections were reset while it was under way.
    Reset,
    /// The machine has no power.
    NoPower,
    /// Nobody takes it in.
    InboxFull,
}

impl DropReason {
    /// As traces name it.
    pub fn name(self) -> &'static str {
        match self {
            DropReason::Cut => "cut",
            DropReason::Drawn => "loss",
            DropReason::Overflow => "overflow",
            DropReason::CutUnderWay => "cut-under-way",
            DropReason::CutShort => "cut-short",
            DropReason::Reset => "reset",
            DropReason::NoPower => "no-power",
            DropReason::InboxFull => "inbox-full",
        }
    }
}

/// What becomes of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::host) enum Fate {
    Lost(DropReason),
    Held(RuleId),
    /// Only a beginning arrives.
    CutShort {
        delay: Nanos,
        /// How much of it, counted modulo what there is.
        keep: u64,
    },
    Delivered {
        delay: Nanos,
        /// The delay of a second copy.
        copy: Option<Nanos>,
        /// The bit to flip, counted modulo the frame's bits.
        corrupt: Option<u64>,
    },
}

/// What the links must know of a frame.
#[derive(Clone, Copy, Debug)]
pub(in crate::host) struct LinkTraversal {
    pub from: NodeId,
    pub to: NodeId,
    pub kind: Kind,
    /// When it comes to the link; a delay counts from then.
    pub leaves: Nanos,
    pub bytes: usize,
}

/// A frame that did not plainly arrive, and what was drawn for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameFate {
    /// Simulated nanoseconds since the run began.
    pub time: u64,
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// Its kind.
    pub kind: Kind,
    /// Which frame of this kind on this link, from 0.
    pub ordinal: u64,
    /// `cut`, `loss`, `held`, `cut-short`, `duplicated`, `corrupted`, `overflow` or `reset`.
    pub fate: &'static str,
}

impl Fate {
    /// The word for it; `None` when the frame just arrives.
    fn word(&self) -> Option<&'static str> {
        match self {
            Fate::Lost(why) => Some(why.name()),
            Fate::Held(_) => Some("held"),
            Fate::CutShort { .. } => Some("cut-short"),
            Fate::Delivered { corrupt: Some(_), .. } => Some("corrupted"),
            Fate::Delivered { copy: Some(_), .. } => Some("duplicated"),
            Fate::Delivered { copy: None, corrupt: None, .. } => None,
        }
    }
}

/// Frames drawn so far on one link for one kind, and the stream of their words.
struct FateStream {
    draws: Draws,
    ordinal: u64,
}

struct RuleInForce {
    id: RuleId,
    rule: LinkRule,
    /// Frames that have matched.
    matched: u64,
    /// Those of them that it was for.
    met: u64,
    /// When each link is free again, by the rule's rate.
    lines: Lines,
}

impl RuleInForce {
    /// Whether the rule is for this frame.
    fn is_for(&mut self, from: NodeId, to: NodeId, kind: Kind) -> bool {
        if !self.rule.matches(from, to, kind) {
            return false;
        }
        self.matched += 1;
        let met = self.rule.nth.is_none_or(|nth| nth == self.matched);
        self.met += u64::from(met);
        met
    }
}

/// The state of all links.
pub(in crate::host) struct Links {
    seed: u64,
    latency: Delay,
    rules: Vec<RuleInForce>,
    rules_added: u64,
    /// How many frames each rule that has been lifted was for.
    met: BTreeMap<RuleId, u64>,
    /// By link and by the hash of the kind.
    streams: BTreeMap<(u64, u64), FateStream>,
    /// The branches that were taken so far.
    branches: Vec<u32>,
    frames: u64,
    /// The frames that did not plainly arrive, if they are to be kept.
    fates: Option<Vec<FrameFate>>,
}

/// By which a frame's words are told apart from those that decide other things.
const CUT_SHORT: u64 = 0xc075;

fn happens(per_million: u32, bits: u64) -> bool {
    per_million > 0 && scale(bits, 1_000_000) < u64::from(per_million)
}

/// The chance that at least one of two independent things happens.
fn either(first: u32, second: u32) -> u32 {
    let neither =
        u64::from(1_000_000 - first.min(1_000_000)) * u64::from(1_000_000 - second.min(1_000_000));
    1_000_000 - u32::try_from(neither / 1_000_000).expect("a share of a million")
}

impl Links {
    /// Links without rules; `fates` keeps the frames that do not plainly arrive.
    pub fn new(seed: u64, latency: Delay, fates: bool) -> Self {
        Links {
            seed,
            latency,
            rules: Vec::new(),
            rules_added: 0,
            met: BTreeMap::new(),
            streams: BTreeMap::new(),
            branches: Vec::new(),
            frames: 0,
            fates: fates.then(Vec::new),
        }
    }

    /// Frames sent so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The frames that did not plainly arrive, if they were kept.
    pub fn take_fates(&mut self) -> Vec<FrameFate> {
        self.fates.take().unwrap_or_default()
    }

    /// From now on frames draw other words.
    pub fn branch(&mut self, number: u32) {
        self.streams.values_mut().for_each(|stream| stream.draws.branch(number));
        self.branches.push(number);
    }

    pub fn add(&mut self, rule: LinkRule) -> RuleId {
        self.rules_added += 1;
        let id = RuleId(self.rules_added);
        self.rules.push(RuleInForce { id, rule, matched: 0, met: 0, lines: Lines::default() });
        id
    }

    pub fn remove(&mut self, id: RuleId) {
        if let Some(at) = self.rules.iter().position(|other| other.id == id) {
            let lifted = self.rules.remove(at);
            self.met.insert(id, lifted.met);
        }
    }

    /// How many frames a rule was for so far.
    pub fn met(&self, id: RuleId) -> u64 {
        let in_force = self.rules.iter().find(|rule| rule.id == id).map(|rule| rule.met);
        in_force.or_else(|| self.met.get(&id).copied()).unwrap_or(0)
    }

    /// Whether nothing of a kind passes from one node to the other.
    pub fn is_cut(&self, from: NodeId, to: NodeId, kind: Kind) -> bool {
        self.rules.iter().any(|RuleInForce { rule, .. }| {
            rule.effect == LinkEffect::Cut && rule.matches(from, to, kind)
        })
    }

    /// Draws the fate of the next frame of this kind on this link.
    pub fn fate(&mut self, now: Nanos, frame: &LinkTraversal) -> (u64, Fate) {
        self.frames += 1;
        let LinkTraversal { from, to, kind, .. } = *frame;
        let (seed, branches) = (self.seed, &self.branches);
        let key = (from.link_key(to), kind.hash());
        let stream = self.streams.entry(key).or_insert_with(|| {
            let mut draws = Draws::new(seed, "link", [key.0, key.1]);
            branches.iter().for_each(|number| draws.branch(*number));
            FateStream { draws, ordinal: 0 }
        });
        let ordinal = stream.ordinal;
        stream.ordinal += 1;
        // Always eight words: a rule may not shift what later frames draw.
        let words: [u64; 8] = std::array::from_fn(|_| stream.draws.next_u64());
        let fate = self.decide(frame, &words);
        if let Some(word) = fate.word() {
            self.note(now, frame, ordinal, word);
        }
        (ordinal, fate)
    }

    /// Keeps a frame's fate if fates are to be kept.
    pub fn note(&mut self, time: Nanos, frame: &LinkTraversal, ordinal: u64, fate: &'static str) {
        if let Some(fates) = &mut self.fates {
            let LinkTraversal { from, to, kind, .. } = *frame;
            fates.push(FrameFate { time, from, to, kind, ordinal, fate });
        }
    }

    fn decide(&mut self, frame: &LinkTraversal, words: &[u64; 8]) -> Fate {
        let LinkTraversal { from, to, kind, .. } = *frame;
        let [lost, delayed, mode, doubled, doubled_delay, damaged, place, extra] = *words;
        let mut delay = self.latency.sample(delayed, mode);
        let (mut loss, mut duplicate, mut corrupt, mut short) = (0, 0, 0, 0);
        let mut slow = false;
        let pair = mix(self.seed, from.link_key(to));
        for in_force in &mut self.rules {
            if !in_force.is_for(from, to, kind) {
                continue;
            }
            let id = in_force.id;
            match &in_force.rule.effect {
                LinkEffect::Cut => return Fate::Lost(DropReason::Cut),
                LinkEffect::Hold => return Fate::Held(id),
                LinkEffect::Loss { per_million } => loss = either(loss, *per_million),
                LinkEffect::Duplicate { per_million } => {
                    duplicate = either(duplicate, *per_million)
                }
                LinkEffect::Corrupt { per_million } => corrupt = either(corrupt, *per_million),
                LinkEffect::CutShort { per_million } => short = either(short, *per_million),
                LinkEffect::Reorder { per_million, by } => {
                    let word = mix(extra, id.0);
                    if happens(*per_million, word) {
                        delay += scale_duration(mix(word, 1), *by);
                    }
                }
                LinkEffect::Delay(more) => {
                    let per_pair = matches!(more, Delay::PerPair(_));
                    let word = mix(if per_pair { pair } else { extra }, id.0);
                    delay += more.sample(word, mix(word, 1));
                }
                LinkEffect::Rate { .. } => slow = true,
            }
        }
        if happens(loss, lost) {
            return Fate::Lost(DropReason::Drawn);
        }
        if slow {
            match self.queue(frame) {
                Some(wait) => delay += Duration::from_nanos(wait),
                None => return Fate::Lost(DropReason::Overflow),
            }
        }
        if happens(short, mix(place, CUT_SHORT)) {
            return Fate::CutShort { delay: nanos(delay), keep: extra };
        }
        let copy = happens(duplicate, doubled)
            .then(|| nanos(delay) + nanos(self.latency.sample(doubled_delay, mode)));
        let corrupt = happens(corrupt, damaged).then_some(place);
        Fate::Delivered { delay: nanos(delay), copy, corrupt }
    }

    /// How long a frame takes to leave through every rate in force, one behind the other; `None`
    /// when one of them has no room.
    fn queue(&mut self, frame: &LinkTraversal) -> Option<Nanos> {
        let mut at = frame.leaves;
        for RuleInForce { rule, lines, .. } in &mut self.rules {
            if let LinkEffect::Rate { bytes_per_second, window } = rule.effect
                && rule.matches(frame.from, frame.to, frame.kind)
            {
                let link = frame.from.link_key(frame.to);
                at = lines.pass(link, at, frame.bytes as u64, bytes_per_second, window)?;
            }
        }
        Some(at - frame.leaves)
    }
}
