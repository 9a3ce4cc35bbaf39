//! The kinds of faults. Each is declared once: reading and writing files, drawing, the words that
//! `list --faults` prints and the Rust constructor follow from it.

use super::{
    actor::Actor,
    links::{FROM, LinkSpec, MESSAGE, TO},
    swarm::{Generated, Wild},
    term::{
        DelayShape, SLICE, Spares, actor, count, drift, every, part, path, service, signed, span,
        word,
    },
    words::{FaultKey, FaultWords},
};
use crate::{
    harness::scenario::{
        DurationRange, Mistakes, NumberRange, Reader, Share, SignedDurationRange, Subject, Term,
        Writer,
    },
    host::{
        Draws,
        sim::{Applied, DiskOp, Unsynced},
    },
};

macro_rules! fault_kinds {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident = $text:literal $(+ $links:ident)? {
            $($key:literal $field:ident: $type:ty = $mode:ident($($how:expr),+), $meaning:literal, $example:literal;)*
        }
    )+) => {
        /// What a fault does.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum FaultKind {
            $($(#[doc = $doc])+ $name {
                $(#[doc = $meaning] $field: $type,)*
                $(#[doc = "the links and messages that it strikes"] $links: LinkSpec,)?
            },)+
        }

        impl FaultKind {
            /// The name in files.
            pub fn name(&self) -> &'static str {
                match self { $(FaultKind::$name { .. } => $text,)+ }
            }

            /// Reads the keys of the kind of that name; nothing if there are mistakes, which are kept.
            ///
            /// # Panics
            /// When there is no such kind.
            pub(super) fn read(
                name: &str,
                table: &mut Reader,
                subject: &Subject,
                mistakes: &mut Mistakes,
            ) -> Option<Self> {
                match name {
                    $($text => {
                        $(let $field =
                            mistakes.keep(fault_kinds!(@$mode table, subject, $key, $($how),+));)*
                        $(let $links = LinkSpec::read(table, subject, mistakes);)?
                        Some(FaultKind::$name { $($field: $field?,)* $($links: $links?,)? })
                    })+
                    other => panic!("there is no kind of fault {other:?}"),
                }
            }

            /// Makes one of the kind of that name up, at the strength of its examples.
            ///
            /// # Panics
            /// When there is no such kind.
            pub(super) fn generate(name: &str, wild: &mut Wild<'_>) -> Self {
                match name {
                    $($text => FaultKind::$name {
                        $($field: Generated::generate($example, wild),)*
                        $($links: LinkSpec::generate("", wild),)?
                    },)+
                    other => panic!("there is no kind of fault {other:?}"),
                }
            }

            /// Writes `kind` and the keys that belong to it.
            pub(super) fn write(&self, writer: &mut Writer) {
                writer.text("kind", self.name());
                match self {
                    $(FaultKind::$name { $($field,)* $($links,)? } => {
                        $($field.write($key, writer);)*
                        $($links.write(writer);)?
                    })+
                }
            }

            /// Draws every range; the order is that of the declaration.
            pub(super) fn draw(&self, draws: &mut Draws) -> Self {
                match self {
                    $(FaultKind::$name { $($field,)* $($links,)? } => {
                        let _ = &draws;
                        FaultKind::$name {
                            $($field: $field.draw(draws),)*
                            $($links: $links.clone(),)?
                        }
                    })+
                }
            }

            /// The values by key, as people read them; without those that are absent.
            pub fn terms(&self) -> Vec<(&'static str, String)> {
                let mut terms = Vec::new();
                match self {
                    $(FaultKind::$name { $($field,)* $($links,)? } => {
                        $(terms.extend($field.show().map(|shown| ($key, shown)));)*
                        $(terms.push(("links", $links.to_string()));)?
                    })+
                }
                terms
            }
        }

        /// The kinds and what they do.
        pub const FAULT_KINDS: &[FaultWords] = &[$(FaultWords {
            name: $text,
            does: concat!($($doc),+).trim_ascii(),
            keys: &[
                $(fault_kinds!(@word $mode, $key, $meaning, $example),)*
                $({ const _: &str = stringify!($links); FROM }, TO, MESSAGE,)?
            ],
        },)+];
    };
    (@needed $table:ident, $subject:ident, $key:literal, $read:expr) => {
        $table.need($key, |field| $read(field, $subject))
    };
    (@or $table:ident, $subject:ident, $key:literal, $read:expr, $default:expr) => {
        $table.take($key, |field| $read(field, $subject)).map(|read| read.unwrap_or($default))
    };
    (@maybe $table:ident, $subject:ident, $key:literal, $read:expr) => {
        $table.take($key, |field| $read(field, $subject))
    };
    (@word needed, $key:literal, $meaning:literal, $example:literal) => {
        FaultKey { key: $key, needed: true, meaning: $meaning, example: $example }
    };
    (@word $other:ident, $key:literal, $meaning:literal, $example:literal) => {
        FaultKey { key: $key, needed: false, meaning: $meaning, example: $example }
    };
}

fault_kinds! {
    /// A share of the frames is lost.
    Loss = "loss" + links {
        "share" share: Share = needed(part), "how many of the frames", "\"5%..20%\"";
    }
    /// Frames take longer.
    Delay = "delay" + links {
        "by" by: DurationRange = needed(span), "how much longer at most; the mean of an exponential one", "\"10ms..200ms\"";
        "shape" shape: DelayShape = or(word, DelayShape::Uniform), "\"uniform\" from nothing (when absent), \"exponential\", \"bimodal\" (one in twenty takes that long) or \"constant\" for each pair of nodes", "\"exponential\"";
    }
    /// A share of the frames takes longer, so that later ones overtake them.
    Reorder = "reorder" + links {
        "share" share: Share = needed(part), "how many of the frames", "\"5%..30%\"";
        "by" by: DurationRange = needed(span), "how much longer at most", "\"10ms..500ms\"";
    }
    /// A share of the frames arrives twice.
    Duplicate = "duplicate" + links {
        "share" share: Share = needed(part), "how many of the frames", "\"5%..20%\"";
    }
    /// A share of the frames arrives damaged.
    Corrupt = "corrupt" + links {
        "share" share: Share = needed(part), "how many of the frames", "\"0.1%..4%\"";
    }
    /// Frames are kept back until the end.
    Hold = "hold" + links {
        "nth" nth: Option<NumberRange> = maybe(count), "only this one of those that match, counted from the fault's begin; all when absent", "\"1..5\"";
    }
    /// One frame is lost: the n-th that matches, counted from the fault's begin.
    LoseOne = "lose-one" + links {
        "nth" nth: NumberRange = or(count, NumberRange { low: 1, high: 1 }), "which one; the first when absent", "\"1..5\"";
    }
    /// Frames and segments of streams leave each link one after the other at a byte rate; what finds no
    /// room in the queue behind them is lost.
    SlowLink = "slow-link" + links {
        "rate" rate: NumberRange = needed(count), "how many bytes leave each link in a second", "\"500..5000\"";
        "window" window: Option<NumberRange> = maybe(count), "how many bytes wait on each link at most; 65536 when absent", "\"2000..20000\"";
    }
    /// A box on the way forgets its connections: at the fault's begin open streams between the two break
    /// for both ends, and messages under way between them are lost. How long it lasts means nothing.
    Reset = "reset" {
        "from" from: Actor = or(actor, Actor::Everyone), "one side; everyone when absent", "\"everyone\"";
        "to" to: Actor = or(actor, Actor::Everyone), "the other side; everyone when absent", "\"everyone\"";
    }
    /// Somebody can't reach the rest, nor be reached.
    Partition = "partition" {
        "isolate" isolate: Actor = needed(actor), "whom, see `list --actors`", "\"coordination\"";
    }
    /// The nodes fall into two halves, by drawing, that can't reach each other.
    Halves = "halves" {
        "bridge" bridge: Option<Actor> = maybe(actor), "who still reaches both halves; nobody when absent", "\"coordination\"";
    }
    /// Two can't reach each other, while both reach everybody else.
    CutPair = "cut-pair" {
        "from" from: Actor = needed(actor), "one side", "\"clients\"";
        "to" to: Actor = needed(actor), "the other side", "\"coordination\"";
    }
    /// Nothing passes from one to the other; the way back is open.
    OneWay = "one-way" {
        "from" from: Actor = needed(actor), "the senders", "\"clients\"";
        "to" to: Actor = needed(actor), "the receivers", "\"coordination\"";
    }
    /// Links between nodes are cut one by one in a drawn order, and restored in another.
    Swizzle = "swizzle" {
        "target" target: Actor = needed(actor), "the nodes that are cut off one by one", "\"everyone\"";
        "every" every: DurationRange = needed(every), "from one cut or restored link to the next", "\"50ms..500ms\"";
    }
    /// The process is killed, and restarted at the end.
    Crash = "crash" {
        "target" target: Actor = needed(actor), "whom it strikes, see `list --actors`", "\"coordination\"";
    }
    /// The machine loses power and what was not synced, and is restarted at the end.
    PowerCut = "power-cut" {
        "target" target: Actor = needed(actor), "whom it strikes, see `list --actors`", "\"coordination\"";
        "unsynced" unsynced: Option<Unsynced> = maybe(word), "what becomes of what was not synced: \"drawn\" (when absent), all \"lost\", all \"kept\" or \"torn\", which is drawn but tears each file's last write of several sectors", "\"drawn\"";
    }
    /// The machine loses power, and an empty disk is in it when it is restarted at the end. Servers that
    /// keep what the cluster has promised are spared: no promise covers their disks.
    Replace = "replace" {
        "target" target: Actor = needed(actor), "whom it strikes, see `list --actors`", "\"clients\"";
    }
    /// Processes are killed and restarted one after the other, in a drawn order.
    RollingRestart = "rolling-restart" {
        "target" target: Actor = needed(actor), "whom it strikes, see `list --actors`", "\"clients\"";
        "every" every: DurationRange = needed(every), "from one restart to the next; each is down for half of it", "\"500ms..3s\"";
    }
    /// The process stands still until the end.
    Pause = "pause" {
        "target" target: Actor = needed(actor), "whom it strikes, see `list --actors`", "\"coordination\"";
    }
    /// The process is killed so long after each boot, again and again; at the end it stays up.
    CrashLoop = "crash-loop" {
        "target" target: Actor = needed(actor), "whom it strikes, see `list --actors`", "\"clients\"";
        "every" every: DurationRange = needed(every), "from a boot to the next kill", "\"500ms..4s\"";
    }
    /// A slow node: the process stands still for a share of the time, in short slices, restarts or not.
    Slow = "slow" {
        "target" target: Actor = needed(actor), "whom it strikes, see `list --actors`", "\"coordination\"";
        "share" share: Share = needed(part), "how much of the time it stands still", "\"50%..95%\"";
        "slice" slice: DurationRange = or(span, SLICE), "a turn of standing still and going on, half as long to half as long again; 10ms..50ms when absent", "\"10ms..50ms\"";
    }
    /// A node stops slowly: no new calls reach it, then, while it still works and sends, its process
    /// ends. It is restarted at the end.
    SlowStop = "slow-stop" {
        "target" target: Actor = needed(actor), "whom it strikes, see `list --actors`", "\"clients\"";
        "takes" takes: DurationRange = needed(span), "how long it works on; at most half of `lasts`", "\"500ms..5s\"";
    }
    /// The machine is lost for good, and at the end a new one of a new name takes its place: of journal
    /// nodes, job managers and task executors. Others lose power and come back with their disks.
    Relocate = "relocate" {
        "target" target: Actor = needed(actor), "whom it strikes, see `list --actors`", "\"coordination\"";
    }
    /// A server answers a share of the calls with an error of its own, which says nothing about whether
    /// the call was handled.
    ServiceError = "service-error" {
        "target" target: Actor = needed(service), "\"coordination\", \"blobs\" or \"log\"", "\"coordination\"";
        "share" share: Share = needed(part), "how many of the calls", "\"1%..20%\"";
        "applied" applied: Applied = or(word, Applied::Either), "whether they are handled all the same: \"yes\", \"no\" or \"either\" (when absent)", "\"either\"";
    }
    /// A share of the disk's operations fails with EIO until the end.
    DiskError = "disk-error" {
        "target" target: Actor = needed(actor), "whom it strikes, see `list --actors`", "\"coordination\"";
        "operation" operation: DiskOp = needed(word), "\"read\", \"write\", \"sync\", \"metadata\" or \"any\"", "\"sync\"";
        "share" share: Share = needed(part), "how many of the operations", "\"1%..10%\"";
        "nth" nth: Option<NumberRange> = maybe(count), "only this one of the operations, counted from the fault's begin, and with that share as its chance; all when absent", "\"1..20\"";
    }
    /// Bits at rest flip in files, at the fault's begin; how long it lasts means nothing. Servers whose disk
    /// is the only copy of what the cluster has promised are spared unless `spares` says otherwise.
    Rot = "rot" {
        "target" target: Actor = needed(actor), "whom it strikes, see `list --actors`", "\"clients\"";
        "bits" bits: NumberRange = needed(count), "how many bits of all the files together", "\"1..8\"";
        "file" file: Option<String> = maybe(path), "only files whose path begins with this; all when absent", "\"coordination/\"";
        "spares" spares: Option<Spares> = maybe(word), "\"sole-copies\" (when absent) or \"nobody\": then no promise is left but that nothing damaged is ever served", "\"sole-copies\"";
    }
    /// The disk has no room until the end.
    DiskFull = "disk-full" {
        "target" target: Actor = needed(actor), "whom it strikes, see `list --actors`", "\"coordination\"";
    }
    /// The disk's operations that begin before the end take longer.
    DiskSlow = "disk-slow" {
        "target" target: Actor = needed(actor), "whom it strikes, see `list --actors`", "\"coordination\"";
        "operation" operation: DiskOp = or(word, DiskOp::Any), "\"read\", \"write\", \"sync\", \"metadata\" or \"any\" (when absent)", "\"sync\"";
        "by" by: DurationRange = needed(span), "how much longer at most", "\"10ms..500ms\"";
    }
    /// The disk's operations don't complete until the end.
    DiskStall = "disk-stall" {
        "target" target: Actor = needed(actor), "whom it strikes, see `list --actors`", "\"coordination\"";
        "operation" operation: DiskOp = or(word, DiskOp::Any), "\"read\", \"write\", \"sync\", \"metadata\" or \"any\" (when absent)", "\"sync\"";
    }
    /// The clock drifts until the end, or wall time is stepped once; one of both is needed.
    Clock = "clock" {
        "target" target: Actor = needed(actor), "whom it strikes, see `list --actors`", "\"coordination\"";
        "drift" drift: Option<Share> = maybe(drift), "how much faster or slower it runs, -50% to 50%", "\"-5%..5%\"";
        "step" step: Option<SignedDurationRange> = maybe(signed), "by how much wall time jumps", "\"-5s..5s\"";
    }
}

impl FaultKind {
    /// Why a fault of these values can do nothing at all; `None` when it can.
    pub(super) fn strikes_nothing(&self, subject: &Subject) -> Option<&'static str> {
        let both_ends = match self {
            FaultKind::CutPair { from, to }
            | FaultKind::OneWay { from, to }
            | FaultKind::Reset { from, to } => Some((from, to)),
            _ => None,
        };
        match (self, both_ends) {
            (FaultKind::Clock { drift: None, step: None, .. }, _) => {
                Some("a clock fault needs `drift` or `step`")
            }
            (_, Some((from, to))) if from == to && from.is_one(subject) => {
                Some("`from` and `to` are one node, and no link is struck")
            }
            _ => None,
        }
    }
}
