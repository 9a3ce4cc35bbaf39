//! Writes faults as scenario files spell them.

use super::{
    actor::Actor,
    spec::{DISK_OPERATIONS, FaultKind, FaultSpec, LinkSpec, Repeat, When},
};
use crate::{
    harness::scenario::{Share, Writer},
    host::sim::DiskOp,
};

impl FaultSpec {
    /// Writes the keys of a `[[fault]]` table that reads back as this fault.
    pub fn write(&self, writer: &mut Writer) {
        let FaultSpec { kind, when, lasts, repeat, chance, pick } = self;
        write_kind(kind, writer);
        match when {
            When::At(at) => writer.text("at", at),
            When::On { milestone, nth, after } => {
                let on = format!(
                    "{{ milestone = \"{milestone}\", nth = \"{nth}\", after = \"{after}\" }}"
                );
                writer.raw("on", on);
            }
        }
        writer.text("lasts", lasts);
        if let Some(Repeat { times, every }) = repeat {
            writer.raw("repeat", format!("{{ times = \"{times}\", every = \"{every}\" }}"));
        }
        if *chance != Share::ALWAYS {
            writer.text("chance", chance);
        }
        if let Some(pick) = pick {
            writer.text("pick", pick);
        }
    }
}

fn write_kind(kind: &FaultKind, writer: &mut Writer) {
    match kind {
        FaultKind::Loss(links, share) => write_share("loss", links, share, writer),
        FaultKind::Duplicate(links, share) => write_share("duplicate", links, share, writer),
        FaultKind::Corrupt(links, share) => write_share("corrupt", links, share, writer),
        FaultKind::Delay(links, by) => {
            writer.text("kind", "delay");
            write_links(links, writer);
            writer.text("by", by);
        }
        FaultKind::Hold(links) => {
            writer.text("kind", "hold");
            write_links(links, writer);
        }
        FaultKind::Partition(isolate) => {
            writer.text("kind", "partition");
            writer.text("isolate", isolate);
        }
        FaultKind::OneWay(from, to) => {
            writer.text("kind", "one-way");
            writer.text("from", from);
            writer.text("to", to);
        }
        FaultKind::Crash(target) => write_target("crash", *target, writer),
        FaultKind::PowerCut(target) => write_target("power-cut", *target, writer),
        FaultKind::Pause(target) => write_target("pause", *target, writer),
        FaultKind::DiskError(target, operation, share) => {
            write_target("disk-error", *target, writer);
            writer.text("operation", operation_name(*operation));
            writer.text("share", share);
        }
        FaultKind::Clock(target, drift, step) => {
            write_target("clock", *target, writer);
            if let Some(drift) = drift {
                writer.text("drift", drift);
            }
            if let Some(step) = step {
                writer.text("step", step);
            }
        }
    }
}

fn write_share(kind: &str, links: &LinkSpec, share: &Share, writer: &mut Writer) {
    writer.text("kind", kind);
    write_links(links, writer);
    writer.text("share", share);
}

fn write_links(links: &LinkSpec, writer: &mut Writer) {
    writer.text("from", links.from);
    writer.text("to", links.to);
    if let Some(message) = &links.message {
        writer.text("message", message);
    }
}

fn write_target(kind: &str, target: Actor, writer: &mut Writer) {
    writer.text("kind", kind);
    writer.text("target", target);
}

/// The name of a kind of disk operations.
pub fn operation_name(operation: DiskOp) -> &'static str {
    let known = DISK_OPERATIONS.iter().find(|(_, known)| *known == operation);
    known.expect("every operation has a name").0
}
