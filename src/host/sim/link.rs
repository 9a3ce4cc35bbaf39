//! Links and the fates of the frames that cross them.
//!
//! A frame's fate is a draw keyed by (seed, source, target, kind, ordinal): whatever else happens in
//! the run, the n-th frame of a kind on a link draws the same words. Rules decide what the words
//! mean at that moment.

use super::{NodeId, world::Nanos};
use crate::host::{
    Kind,
    random::{Draws, mix, nanos, scale, scale_duration},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long a frame is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Frames are kept back until the rule is lifted.
    Hold,
}

/// A fault on the directed links from one set of nodes to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRule {
    /// The senders.
    pub from: NodeSet,
    /// The receivers.
    pub to: NodeSet,
    /// Only kinds whose name begins with this; all when `None`.
    pub kind: Option<String>,
    /// Only the frame of this number among those that match, from 1; all when `None`.
    pub nth: Option<u64>,
    /// What happens to the frames.
    pub effect: LinkEffect,
}

impl LinkRule {
    fn matches(&self, from: NodeId, to: NodeId, kind: Kind) -> bool {
        self.from.contains(from)
            && self.to.contains(to)
            && self.kind.as_ref().is_none_or(|prefix| kind.name().starts_with(prefix.as_str()))
    }
}

/// Names a rule in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u64);

/// What becomes of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::host) enum Fate {
    Lost(&'static str),
    Held(RuleId),
    Delivered {
        delay: Nanos,
        /// The delay of a second copy.
        copy: Option<Nanos>,
        /// The bit to flip, counted modulo the frame's bits.
        corrupt: Option<u64>,
    },
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
    /// `cut`, `loss`, `held`, `duplicated` or `corrupted`.
    pub fate: &'static str,
}

impl Fate {
    /// The word for it; `None` when the frame just arrives.
    fn word(&self) -> Option<&'static str> {
        match self {
            Fate::Lost(why) => Some(why),
            Fate::Held(_) => Some("held"),
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
}

impl RuleInForce {
    /// Whether the rule is for this frame.
    fn is_for(&mut self, from: NodeId, to: NodeId, kind: Kind) -> bool {
        if !self.rule.matches(from, to, kind) {
            return false;
        }
        self.matched += 1;
        self.rule.nth.is_none_or(|nth| nth == self.matched)
    }
}

/// The state of all links.
pub(in crate::host) struct Links {
    seed: u64,
    latency: Delay,
    rules: Vec<RuleInForce>,
    rules_added: u64,
    /// By link and by the hash of the kind.
    streams: BTreeMap<(u64, u64), FateStream>,
    pub frames: u64,
    /// The frames that did not plainly arrive, if they are to be kept.
    pub fates: Option<Vec<FrameFate>>,
}

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
    pub fn new(seed: u64, latency: Delay) -> Self {
        Links {
            seed,
            latency,
            rules: Vec::new(),
            rules_added: 0,
            streams: BTreeMap::new(),
            frames: 0,
            fates: None,
        }
    }

    pub fn add(&mut self, rule: LinkRule) -> RuleId {
        self.rules_added += 1;
        let id = RuleId(self.rules_added);
        self.rules.push(RuleInForce { id, rule, matched: 0 });
        id
    }

    pub fn remove(&mut self, id: RuleId) {
        self.rules.retain(|other| other.id != id);
    }

    /// Whether nothing passes from one node to the other.
    pub fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.rules.iter().any(|RuleInForce { rule, .. }| {
            rule.effect == LinkEffect::Cut && rule.from.contains(from) && rule.to.contains(to)
        })
    }

    /// Draws the fate of the next frame of this kind on this link.
    pub fn fate(&mut self, now: Nanos, from: NodeId, to: NodeId, kind: Kind) -> (u64, Fate) {
        self.frames += 1;
        let seed = self.seed;
        let key = (from.link_key(to), kind.hash());
        let stream = self.streams.entry(key).or_insert_with(|| FateStream {
            draws: Draws::new(seed, "link", [key.0, key.1]),
            ordinal: 0,
        });
        let ordinal = stream.ordinal;
        stream.ordinal += 1;
        // Always eight words: a rule may not shift what later frames draw.
        let words: [u64; 8] = std::array::from_fn(|_| stream.draws.next_u64());
        let fate = self.decide(from, to, kind, &words);
        if let (Some(fates), Some(fate)) = (&mut self.fates, fate.word()) {
            fates.push(FrameFate { time: now, from, to, kind, ordinal, fate });
        }
        (ordinal, fate)
    }

    fn decide(&mut self, from: NodeId, to: NodeId, kind: Kind, words: &[u64; 8]) -> Fate {
        let [lost, delayed, mode, doubled, doubled_delay, damaged, place, extra] = *words;
        let mut delay = self.latency.sample(delayed, mode);
        let (mut loss, mut duplicate, mut corrupt) = (0, 0, 0);
        let pair = mix(self.seed, from.link_key(to));
        for in_force in &mut self.rules {
            if !in_force.is_for(from, to, kind) {
                continue;
            }
            let id = in_force.id;
            match &in_force.rule.effect {
                LinkEffect::Cut => return Fate::Lost("cut"),
                LinkEffect::Hold => return Fate::Held(id),
                LinkEffect::Loss { per_million } => loss = either(loss, *per_million),
                LinkEffect::Duplicate { per_million } => {
                    duplicate = either(duplicate, *per_million)
                }
                LinkEffect::Corrupt { per_million } => corrupt = either(corrupt, *per_million),
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
            }
        }
        if happens(loss, lost) {
            return Fate::Lost("loss");
        }
        let copy = happens(duplicate, doubled)
            .then(|| nanos(delay) + nanos(self.latency.sample(doubled_delay, mode)));
        let corrupt = happens(corrupt, damaged).then_some(place);
        Fate::Delivered { delay: nanos(delay), copy, corrupt }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIND: Kind = Kind::new("Test.kind");
    const OTHER: Kind = Kind::new("Test.other");

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn links(seed: u64) -> Links {
        Links::new(seed, Delay::Uniform(ms(1), ms(3)))
    }

    fn rule(effect: LinkEffect) -> LinkRule {
        LinkRule { from: NodeSet::All, to: NodeSet::All, kind: None, nth: None, effect }
    }

    fn fates(links: &mut Links, kind: Kind, count: usize) -> Vec<Fate> {
        (0..count).map(|_| links.fate(0, NodeId(0), NodeId(1), kind).1).collect()
    }

    #[test]
    fn other_links_and_kinds_do_not_shift_a_fate() {
        let alone = fates(&mut links(7), KIND, 50);
        let mut busy = links(7);
        let mixed: Vec<Fate> = (0..50)
            .map(|n| {
                for _ in 0..n % 4 {
                    busy.fate(0, NodeId(0), NodeId(1), OTHER);
                    busy.fate(0, NodeId(1), NodeId(0), KIND);
                    busy.fate(0, NodeId(2), NodeId(1), KIND);
                }
                busy.fate(0, NodeId(0), NodeId(1), KIND).1
            })
            .collect();
        assert_eq!(alone, mixed);
    }

    #[test]
    fn a_lifted_rule_leaves_the_later_fates_as_they_were() {
        let plain = fates(&mut links(7), KIND, 60);
        let mut links = links(7);
        let id = links.add(rule(LinkEffect::Loss { per_million: 500_000 }));
        let lossy = fates(&mut links, KIND, 30);
        assert!(lossy.iter().any(|fate| matches!(fate, Fate::Lost(_))));
        links.remove(id);
        assert_eq!(fates(&mut links, KIND, 30), plain[30..]);
    }

    #[test]
    fn a_rule_for_a_kind_and_a_direction_touches_nothing_else() {
        let mut links = links(1);
        links.add(LinkRule {
            from: NodeSet::one(NodeId(0)),
            to: NodeSet::one(NodeId(1)),
            kind: Some("Test.k".into()),
            nth: None,
            effect: LinkEffect::Cut,
        });
        assert_eq!(links.fate(0, NodeId(0), NodeId(1), KIND).1, Fate::Lost("cut"));
        for (from, to, kind) in [(0, 1, OTHER), (1, 0, KIND), (0, 2, KIND)] {
            assert!(matches!(
                links.fate(0, NodeId(from), NodeId(to), kind).1,
                Fate::Delivered { .. }
            ));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn shares_are_as_wanted(seed: u64, loss in 0..=1_000_000u32, copies in 0..=1_000_000u32) {
            let mut links = links(seed);
            links.add(rule(LinkEffect::Loss { per_million: loss }));
            links.add(rule(LinkEffect::Duplicate { per_million: copies }));
            let drawn = fates(&mut links, KIND, 400);
            let lost = drawn.iter().filter(|fate| matches!(fate, Fate::Lost(_))).count() as f64;
            let copied = drawn.iter().filter(|f| matches!(f, Fate::Delivered { copy: Some(_), .. })).count() as f64;
            let arrived = 400.0 - lost;
            // Six standard deviations of a binomial share of 400 are below 0.15.
            prop_assert!((lost / 400.0 - f64::from(loss) / 1e6).abs() < 0.15);
            if arrived > 200.0 {
                prop_assert!((copied / arrived - f64::from(copies) / 1e6).abs() < 0.22);
            }
        }

        #[test]
        fn delays_stay_in_their_bounds(first: u64, second: u64, low in 0..1000u64, width in 0..1000u64) {
            let (low, high) = (ms(low), ms(low + width));
            let delay = Delay::Uniform(low, high).sample(first, second);
            prop_assert!(low <= delay && delay <= high);
            prop_assert_eq!(Delay::Constant(high).sample(first, second), high);
            prop_assert!(Delay::Exponential(high).sample(first, second) <= high * 10);
            let bimodal = Delay::Bimodal {
                usual: (low, low),
                rare: (high, high),
                rare_per_million: 1000,
            };
            let delay = bimodal.sample(first, second);
            prop_assert!(delay == low || delay == high);
        }
    }

    #[test]
    fn a_rule_for_one_frame_strikes_just_that_one() {
        let plain = fates(&mut links(7), KIND, 20);
        let mut links = links(7);
        let lost = LinkEffect::Loss { per_million: 1_000_000 };
        links.add(LinkRule { nth: Some(5), ..rule(lost) });
        let struck = fates(&mut links, KIND, 20);
        assert_eq!(struck[4], Fate::Lost("loss"));
        assert!((0..20).filter(|at| *at != 4).all(|at| struck[at] == plain[at]));
    }

    #[test]
    fn reordering_delays_as_many_as_asked_and_leaves_the_others_alone() {
        let plain = fates(&mut links(7), KIND, 2000);
        let mut links = links(7);
        links.add(rule(LinkEffect::Reorder { per_million: 300_000, by: ms(500) }));
        let struck = fates(&mut links, KIND, 2000);
        let later = (0..2000).filter(|at| struck[*at] != plain[*at]).count();
        assert!((520..680).contains(&later), "{later}");
        let delay = |fate: &Fate| match fate {
            Fate::Delivered { delay, .. } => *delay,
            _ => panic!("nothing is lost"),
        };
        let most = (0..2000).map(|at| delay(&struck[at]) - delay(&plain[at])).max();
        assert!((480_000_000..=500_000_000).contains(&most.unwrap()), "{most:?}");
    }

    #[test]
    fn a_delay_of_a_pair_is_the_same_for_all_its_frames() {
        let extra = |from: u32, to: u32| {
            let (mut plain, mut slow) = (links(7), links(7));
            slow.add(rule(LinkEffect::Delay(Delay::PerPair(ms(1000)))));
            let mut extra = |_| {
                let delays = [&mut plain, &mut slow].map(|links| {
                    match links.fate(0, NodeId(from), NodeId(to), KIND).1 {
                        Fate::Delivered { delay, .. } => delay,
                        _ => panic!("nothing is lost"),
                    }
                });
                delays[1] - delays[0]
            };
            let extras: Vec<u64> = (0..20).map(&mut extra).collect();
            assert!(extras.iter().all(|one| *one == extras[0]), "{extras:?}");
            extras[0]
        };
        let pairs = [extra(0, 1), extra(1, 0), extra(0, 2), extra(2, 1)];
        assert!(pairs.windows(2).all(|pair| pair[0] != pair[1]), "{pairs:?}");
    }

    #[test]
    fn exponential_delays_have_their_mean_and_median() {
        let mut draws = Draws::new(1, "test", [0, 0]);
        let mut delays: Vec<f64> = (0..20_000)
            .map(|_| Delay::Exponential(ms(100)).sample(draws.next_u64(), 0).as_secs_f64() * 1000.0)
            .collect();
        delays.sort_by(f64::total_cmp);
        let mean = delays.iter().sum::<f64>() / 20_000.0;
        assert!((97.0..103.0).contains(&mean), "mean {mean}");
        assert!((66.0..72.5).contains(&delays[10_000]), "median {}", delays[10_000]);
    }

    #[test]
    fn bimodal_delays_take_the_rare_bounds_as_often_as_asked() {
        let delay = Delay::Bimodal {
            usual: (ms(1), ms(2)),
            rare: (ms(50), ms(60)),
            rare_per_million: 100_000,
        };
        let mut draws = Draws::new(1, "test", [0, 0]);
        let rare = (0..10_000)
            .filter(|_| delay.sample(draws.next_u64(), draws.next_u64()) >= ms(50))
            .count();
        assert!((900..1100).contains(&rare), "{rare}");
    }
}
