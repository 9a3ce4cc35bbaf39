//! The kinds of faults. Each is declared once: reading and writing files, drawing, and the words that
//! `list --faults` prints follow from it. What each does is in `nemesis`.

use super::{
    form::{Drawn, Form, Ranges},
    generated::{FaultGenerator, Generated},
    links::{self, LinkSpec},
    partition::{self, PartitionSpec},
    targets::Targets,
    values::{
        CallPrefix, DelayShape, SLICE, Tolerates, bits, call, count, drift, every, part, path,
        room, service, signed, span, struck_by, target, word,
    },
    words::{FaultKey, FaultWords},
};
use crate::{
    harness::{
        language::{KeyValue, Mistakes, NumberRange, Reader, Writer},
        system::{AnySystem, OwnFault, SystemSpec},
    },
    host::{
        Draws,
        sim::{Applied, DiskOp, Unsynced},
    },
};

macro_rules! fault_kinds {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident = $text:literal $(+ $part:ident: $part_type:ident)? {
            $($key:literal $field:ident: $type:ty = $mode:ident($($how:expr),+), $meaning:literal, $example:literal;)*
        }
    )+) => {
        /// What a fault does.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum FaultKind<F: Form = Ranges> {
            $($(#[doc = $doc])+ $name {
                $(#[doc = $meaning] $field: $type,)*
                $(#[doc = "the links that it strikes"] $part: $part_type,)?
            },)+
            /// What a system's own fault does.
            Own {
                /// The kind.
                fault: &'static OwnFault,
                /// whom it strikes
                target: Targets,
            },
        }

        impl<F: Form> FaultKind<F> {
            /// The name in files.
            pub fn name(&self) -> &'static str {
                match self {
                    $(FaultKind::$name { .. } => $text,)+
                    FaultKind::Own { fault, .. } => fault.name(),
                }
            }
        }

        impl FaultKind {

            /// Reads the keys of the kind of that name; nothing if there are mistakes, which are kept.
            ///
            /// # Panics
            /// When the system has no such kind.
            pub(super) fn read(
                name: &str,
                table: &mut Reader,
                system: &SystemSpec,
                mistakes: &mut Mistakes,
            ) -> Option<Self> {
                match name {
                    $($text => {
                        $(let $field =
                            mistakes.keep(fault_kinds!(@$mode table, system, $key, $($how),+));)*
                        $(let $part = $part_type::read(table, system, mistakes);)?
                        Some(FaultKind::$name { $($field: $field?,)* $($part: $part?,)? })
                    })+
                    own => {
                        let fault = system.faults().iter().find(|fault| fault.name() == own);
                        let fault = fault.expect("a kind of fault that is known");
                        let read = table.need("target", |field| struck_by(fault, field, system));
                        Some(FaultKind::Own { fault, target: mistakes.keep(read)? })
                    }
                }
            }

            /// Generates one of the kind of that name, at the strength of its examples.
            ///
            /// # Panics
            /// When the system has no such kind.
            pub(super) fn generate(name: &str, generator: &mut FaultGenerator<'_>) -> Self {
                match name {
                    $($text => FaultKind::$name {
                        $($field: Generated::generate($example, generator),)*
                        $($part: $part_type::generate("", generator),)?
                    },)+
                    own => {
                        let mut known = generator.vocabulary.own_faults.iter();
                        let fault = known.find(|fault| fault.name() == own);
                        let fault = fault.expect("a kind of fault that is known");
                        let target = generator.target_of(|role| fault.strikes(role)).into();
                        FaultKind::Own { fault, target }
                    }
                }
            }

            /// Writes `kind` and the keys that belong to it.
            pub(super) fn write(&self, writer: &mut Writer) {
                writer.text("kind", self.name());
                match self {
                    $(FaultKind::$name { $($field,)* $($part,)? } => {
                        $($field.write($key, writer);)*
                        $($part.write(writer);)?
                    })+
                    FaultKind::Own { target, .. } => target.write("target", writer),
                }
            }

            /// Draws every range; the order is that of the declaration.
            pub(super) fn draw(&self, draws: &mut Draws) -> FaultKind<Drawn> {
                match self {
                    $(FaultKind::$name { $($field,)* $($part,)? } => {
                        let _ = &draws;
                        FaultKind::$name {
                            $($field: KeyValue::draw($field, draws),)*
                            $($part: $part.clone(),)?
                        }
                    })+
                    FaultKind::Own { fault, target } => {
                        FaultKind::Own { fault, target: target.clone() }
                    }
                }
            }

            /// The same with ranges of which it is drawn that only an end is left.
            pub(super) fn at_edges(&self, draws: &mut Draws) -> Self {
                match self {
                    $(FaultKind::$name { $($field,)* $($part,)? } => {
                        let _ = &draws;
                        FaultKind::$name {
                            $($field: KeyValue::at_edge($field, draws),)*
                            $($part: $part.clone(),)?
                        }
                    })+
                    FaultKind::Own { .. } => self.clone(),
                }
            }

            /// The values by key, as people read them; without those that are absent.
            pub fn terms(&self) -> Vec<(&'static str, String)> {
                let mut terms = Vec::new();
                match self {
                    $(FaultKind::$name { $($field,)* $($part,)? } => {
                        $(terms.extend($field.show().map(|shown| ($key, shown)));)*
                        $(terms.push((stringify!($part), $part.to_string()));)?
                    })+
                    FaultKind::Own { target, .. } => terms.push(("target", target.to_string())),
                }
                terms
            }
        }

        impl FaultKind<Drawn> {
            /// As a file says it.
            pub fn to_ranges(&self) -> FaultKind {
                match self {
                    $(FaultKind::$name { $($field,)* $($part,)? } => FaultKind::$name {
                        $($field: KeyValue::fixed($field),)*
                        $($part: $part.clone(),)?
                    },)+
                    FaultKind::Own { fault, target } => {
                        FaultKind::Own { fault, target: target.clone() }
                    }
                }
            }
        }

        /// The kinds that every system can meet, and what they do; with a system's own they are
        /// [`fault_kinds`].
        pub const FAULT_KINDS: &[FaultWords] = &[$(FaultWords {
            name: $text,
            does: concat!($($doc),+).trim_ascii(),
            keys: &[
                &[$(fault_kinds!(@word $mode, $key, $meaning, $example),)*],
                $(fault_kinds!(@keys $part_type),)?
            ],
        },)+];
    };
    (@needed $table:ident, $system:ident, $key:literal, $read:expr) => {
        $table.need($key, |field| $read(field, $system))
    };
    (@or $table:ident, $system:ident, $key:literal, $read:expr, $default:expr) => {
        $table.take($key, |field| $read(field, $system)).map(|read| read.unwrap_or($default))
    };
    (@maybe $table:ident, $system:ident, $key:literal, $read:expr) => {
        $table.take($key, |field| $read(field, $system))
    };
    (@keys LinkSpec) => { links::KEYS };
    (@keys PartitionSpec) => { partition::KEYS };
    (@word needed, $key:literal, $meaning:literal, $example:literal) => {
        FaultKey { key: $key, needed: true, meaning: $meaning, example: $example }
    };
    (@word $other:ident, $key:literal, $meaning:literal, $example:literal) => {
        FaultKey { key: $key, needed: false, meaning: $meaning, example: $example }
    };
}

fault_kinds! {
    /// A share of the frames is lost.
    Loss = "loss" + links: LinkSpec {
        "probability" probability: F::Share = needed(part), "of each of the frames", "\"5%..20%\"";
    }
    /// Frames take longer.
    Delay = "delay" + links: LinkSpec {
        "by" by: F::Duration = needed(span), "how much longer at most; the mean of an exponential one", "\"10ms..200ms\"";
        "shape" shape: DelayShape = or(word, DelayShape::Uniform), "\"uniform\" from nothing (when absent), \"exponential\", \"bimodal\" (one in twenty takes that long) or \"constant\" for each pair of nodes", "\"exponential\"";
    }
    /// A share of the frames takes longer, so that later ones overtake them.
    Reorder = "reorder" + links: LinkSpec {
        "probability" probability: F::Share = needed(part), "of each of the frames", "\"5%..30%\"";
        "by" by: F::Duration = needed(span), "how much longer at most", "\"10ms..500ms\"";
    }
    /// A share of the frames arrives twice.
    Duplicate = "duplicate" + links: LinkSpec {
        "probability" probability: F::Share = needed(part), "of each of the frames", "\"5%..20%\"";
    }
    /// A share of the frames arrives damaged.
    Corrupt = "corrupt" + links: LinkSpec {
        "probability" probability: F::Share = needed(part), "of each of the frames", "\"0.1%..4%\"";
    }
    /// Of a share of what streams carry only a beginning arrives, and the connection breaks for both ends.
    /// Such messages are lost.
    CutShort = "cut-short" + links: LinkSpec {
        "probability" probability: F::Share = needed(part), "of each of the frames", "\"0.1%..4%\"";
        "nth" nth: Option<F::Number> = maybe(count), "only this one of those that match, counted from the fault's begin, and with that probability; all when absent", "\"1..50\"";
    }
    /// Frames are kept back until the end.
    Hold = "hold" + links: LinkSpec {
        "nth" nth: Option<F::Number> = maybe(count), "only this one of those that match, counted from the fault's begin; all when absent", "\"1..5\"";
    }
    /// One frame is lost: the n-th that matches, counted from the fault's begin.
    LoseOne = "lose-one" + links: LinkSpec {
        "nth" nth: F::Number = or(count, NumberRange { low: 1, high: 1 }), "which one; the first when absent", "\"1..5\"";
    }
    /// Frames and segments of streams leave each link one after the other at a byte rate; what finds no
    /// room in the queue behind them is lost.
    SlowLink = "slow-link" + links: LinkSpec {
        "rate" rate: F::Number = needed(count), "how many bytes leave each link in a second", "\"500..5000\"";
        "window" window: Option<F::Number> = maybe(count), "how many bytes wait on each link at most; 65536 when absent", "\"2000..20000\"";
    }
    /// A box on the way forgets its connections: at the fault's begin open streams between the two break
    /// for both ends, and messages under way between them are lost. How long it lasts means nothing.
    Reset = "reset" {
        "from" from: Targets = or(target, Targets::everyone()), "one side; everyone when absent", "\"everyone\"";
        "to" to: Targets = or(target, Targets::everyone()), "the other side; everyone when absent", "\"everyone\"";
    }
    /// Links between sets of nodes are cut: nobody hears from the other side until the end.
    Partition = "partition" + cut: PartitionSpec {}
    /// Links between nodes are cut one by one in a drawn order, and restored in another.
    Swizzle = "swizzle" {
        "target" target: Targets = needed(target), "the nodes that are cut off one by one", "\"everyone\"";
        "every" every: F::Duration = needed(every), "from one cut or restored link to the next", "\"50ms..500ms\"";
    }
    /// The process is killed, and restarted at the end.
    Crash = "crash" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"coordination\"";
    }
    /// The machine loses power and what was not synced, and is restarted at the end.
    PowerCut = "power-cut" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"coordination\"";
        "unsynced" unsynced: Option<Unsynced> = maybe(word), "what becomes of what was not synced: \"drawn\" (when absent), all \"lost\", all \"kept\" or \"torn\", which is drawn but tears each file's last write of several sectors", "\"drawn\"";
    }
    /// The machine loses power, and an empty disk is in it when it is restarted at the end. Servers that
    /// keep what the cluster has promised are spared: no promise covers their disks.
    WipeDisk = "wipe-disk" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"clients\"";
    }
    /// Processes are killed and restarted one after the other, in a drawn order.
    RollingRestart = "rolling-restart" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"clients\"";
        "every" every: F::Duration = needed(every), "from one restart to the next; each is down for half of it", "\"500ms..3s\"";
    }
    /// The process stands still until the end.
    Pause = "pause" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"coordination\"";
    }
    /// The process is killed so long after each boot, again and again; at the end it stays up.
    CrashLoop = "crash-loop" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"clients\"";
        "every" every: F::Duration = needed(every), "from a boot to the next kill", "\"500ms..4s\"";
    }
    /// A slow node: the process stands still for a share of the time, in short slices, restarts or not.
    Slow = "slow" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"coordination\"";
        "share" share: F::Share = needed(part), "how much of the time it stands still", "\"50%..95%\"";
        "slice" slice: F::Duration = or(span, SLICE), "a turn of standing still and going on, half as long to half as long again; 10ms..50ms when absent", "\"10ms..50ms\"";
    }
    /// A node stops slowly: no new calls reach it, then, while it still works and sends, its process
    /// ends. It is restarted at the end.
    SlowStop = "slow-stop" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"clients\"";
        "takes" takes: F::Duration = needed(span), "how long it works on; at most half of `duration`", "\"500ms..5s\"";
    }
    /// The machine is lost for good, and at the end a new one of a new name takes its place, where the role
    /// allows it. Others lose power and come back with their disks.
    RestartAsNew = "restart-as-new" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"coordination\"";
    }
    /// The process is killed and comes back as a binary of another version of the protocol, with which nobody
    /// shakes hands; at the end the former binary takes its place again.
    OtherVersion = "other-version" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"coordination\"";
    }
    /// A server answers a share of the calls, or one of them, with an error of its own, which says nothing
    /// about whether the call was handled.
    ServiceError = "service-error" {
        "target" target: Targets = needed(service), "a server that can answer with an injected error", "\"coordination\"";
        "probability" probability: F::Share = needed(part), "of each of the calls", "\"1%..20%\"";
        "applied" applied: Applied = or(word, Applied::Either), "whether they are handled all the same: \"yes\", \"no\" or \"either\" (when absent)", "\"either\"";
        "call" call: Option<CallPrefix> = maybe(call), "only calls whose kind begins with this, see `list --messages`; all when absent", "\"CoordinationGateway.transact\"";
        "nth" nth: Option<F::Number> = maybe(count), "only this one of the calls, counted from the fault's begin, and with that probability; all when absent", "\"1..20\"";
    }
    /// A share of the disk's operations fails with EIO until the end.
    DiskError = "disk-error" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"coordination\"";
        "operation" operation: DiskOp = needed(word), "\"read\", \"write\", \"sync\", \"metadata\" or \"any\"", "\"sync\"";
        "probability" probability: F::Share = needed(part), "of each of the operations", "\"1%..10%\"";
        "nth" nth: Option<F::Number> = maybe(count), "only this one of the operations, counted from the fault's begin, and with that probability; all when absent", "\"1..20\"";
    }
    /// Bits at rest flip in files, at the fault's begin; how long it lasts means nothing. Servers whose disk
    /// is the only copy of what the cluster has promised are spared unless `tolerates` says otherwise.
    BitRot = "bit-rot" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"clients\"";
        "bits" bits: F::Number = needed(bits), "how many bits of all the files together", "\"1..8\"";
        "file" file: Option<String> = maybe(path), "only files whose path begins with this; all when absent", "\"coordination/\"";
        "tolerates" tolerates: Option<Tolerates> = maybe(word), "\"copies\" (when absent) or \"nothing\": then no promise is left but that nothing damaged is ever served", "\"copies\"";
    }
    /// The disk has no room until the end.
    DiskFull = "disk-full" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"coordination\"";
        "room" room: Option<F::Number> = maybe(room), "how many bytes there is room for at first: the write that finds too little is written in part; none when absent", "\"1..4096\"";
    }
    /// What is on the disk goes back to what it was: at the fault's begin an image is taken, some time later
    /// the power goes, and at the end the machine is restarted with that image. Servers whose disk is the only
    /// copy of what the cluster has promised are spared unless `tolerates` says otherwise.
    DiskSetBack = "disk-set-back" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"coordination\"";
        "age" age: F::Duration = needed(span), "how old the image is when the power goes; at most half of `duration`", "\"1s..8s\"";
        "tolerates" tolerates: Option<Tolerates> = maybe(word), "\"copies\" (when absent) or \"nothing\": then no promise is left but that it is noticed", "\"copies\"";
    }
    /// The disk's operations that begin before the end take longer.
    DiskSlow = "disk-slow" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"coordination\"";
        "operation" operation: DiskOp = or(word, DiskOp::Any), "\"read\", \"write\", \"sync\", \"metadata\" or \"any\" (when absent)", "\"sync\"";
        "by" by: F::Duration = needed(span), "how much longer at most", "\"10ms..500ms\"";
    }
    /// The disk's operations don't complete until the end.
    DiskStall = "disk-stall" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"coordination\"";
        "operation" operation: DiskOp = or(word, DiskOp::Any), "\"read\", \"write\", \"sync\", \"metadata\" or \"any\" (when absent)", "\"sync\"";
    }
    /// A quiet period: at its begin all other faults end, and what would begin begins at its end.
    Quiet = "quiet" {}
    /// The clock drifts until the end, or wall time is stepped once; one of both is needed.
    Clock = "clock" {
        "target" target: Targets = needed(target), "whom it strikes, see `list --targets`", "\"coordination\"";
        "drift" drift: Option<F::Share> = maybe(drift), "how much faster or slower it runs, -50% to 50%", "\"-5%..5%\"";
        "step" step: Option<F::SignedDuration> = maybe(signed), "by how much wall time jumps", "\"-5s..5s\"";
    }
}

/// The kinds of faults that a system can meet: [`FAULT_KINDS`], then its own.
pub fn fault_kinds(system: &dyn AnySystem) -> Vec<FaultWords> {
    let own = system.faults().iter().map(|fault| FaultWords {
        name: fault.name(),
        does: fault.does(),
        keys: &[OWN_KEYS],
    });
    FAULT_KINDS.iter().copied().chain(own).collect()
}

/// The key of every system's own faults.
const OWN_KEYS: &[FaultKey] = &[FaultKey {
    key: "target",
    needed: true,
    meaning: "whom it strikes, see `list --targets`",
    example: "\"everyone\"",
}];

impl<F: Form> FaultKind<F> {
    /// Whether all that it does it does at its begin, so that how long it lasts means nothing.
    pub(in crate::harness) fn is_momentary(&self) -> bool {
        match self {
            FaultKind::Reset { .. }
            | FaultKind::BitRot { .. }
            | FaultKind::Clock { drift: None, step: Some(_), .. } => true,
            FaultKind::Own { fault, .. } => fault.is_at_once(),
            _ => false,
        }
    }
}

impl FaultKind {
    /// Whether a target says whom it strikes.
    pub(in crate::harness) fn has_target(&self) -> bool {
        match self {
            FaultKind::Partition { cut } => cut.has_target(),
            kind => kind.terms().iter().any(|(key, _)| *key == "target"),
        }
    }

    /// Why a fault of these values can do nothing at all; `None` when it can.
    pub(super) fn strikes_nothing(&self, system: &SystemSpec) -> Option<&'static str> {
        let both_ends = match self {
            FaultKind::Partition { cut } => cut.sets(),
            FaultKind::Reset { from, to } => Some((from, to)),
            _ => None,
        };
        match (self, both_ends) {
            (FaultKind::Clock { drift: None, step: None, .. }, _) => {
                Some("a clock fault needs `drift` or `step`")
            }
            (_, Some((from, to))) if from == to && from.is_one(system) => {
                Some("`from` and `to` are one node, and no link is struck")
            }
            _ => None,
        }
    }
}
