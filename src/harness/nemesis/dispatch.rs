//! Which function does each kind of fault.

use super::{devices, links, processes, strike::Strike};
use crate::harness::fault::{Drawn, FaultKind as Kind};

/// Does a fault, within this very step.
pub(super) fn strike(strike: &Strike, kind: &Kind<Drawn>) {
    match kind {
        Kind::Loss { probability, links } => links::lose(strike, links, *probability),
        Kind::Delay { by, shape, links } => links::delay(strike, links, *shape, *by),
        Kind::Reorder { probability, by, links } => {
            links::reorder(strike, links, *probability, *by);
        }
        Kind::Duplicate { probability, links } => links::duplicate(strike, links, *probability),
        Kind::Corrupt { probability, links } => links::corrupt(strike, links, *probability),
        Kind::CutShort { probability, nth, links } => {
            links::cut_short(strike, links, *probability, *nth);
        }
        Kind::Hold { nth, links } => links::hold(strike, links, *nth),
        Kind::LoseOne { nth, links } => links::lose_one(strike, links, *nth),
        Kind::SlowLink { rate, window, links } => links::slow(strike, links, *rate, *window),
        Kind::Reset { from, to } => links::reset(strike, from, to),
        Kind::Partition { cut } => links::partition(strike, cut),
        Kind::Swizzle { target, every } => links::swizzle(strike, target, *every),
        Kind::Crash { target } => processes::crash(strike, target),
        Kind::PowerCut { target, unsynced } => processes::cut_power(strike, target, *unsynced),
        Kind::WipeDisk { target } => processes::wipe_disk(strike, target),
        Kind::RollingRestart { target, every } => {
            processes::rolling_restart(strike, target, *every);
        }
        Kind::Pause { target } => processes::pause(strike, target),
        Kind::CrashLoop { target, every } => processes::crash_loop(strike, target, *every),
        Kind::Slow { target, share, slice } => processes::slow(strike, target, *share, *slice),
        Kind::SlowStop { target, takes } => processes::slow_stop(strike, target, *takes),
        Kind::RestartAsNew { target } => processes::restart_as_new(strike, target),
        Kind::ServiceError { target, probability, applied, call, nth } => {
            devices::service_error(strike, target, *probability, *applied, call.as_ref(), *nth);
        }
        Kind::DiskError { target, operation, probability, nth } => {
            devices::disk_error(strike, target, *operation, *probability, *nth);
        }
        Kind::BitRot { target, bits, file, tolerates } => {
            devices::bit_rot(strike, target, *bits, file.as_deref(), *tolerates);
        }
        Kind::DiskFull { target, room } => devices::disk_full(strike, target, *room),
        Kind::DiskSetBack { target, age, tolerates } => {
            processes::set_disk_back(strike, target, *age, *tolerates);
        }
        Kind::OtherVersion { target } => processes::other_version(strike, target),
        Kind::Quiet {} => strike.note_everyone(),
        Kind::DiskSlow { target, operation, by } => {
            devices::disk_slow(strike, target, *operation, *by);
        }
        Kind::DiskStall { target, operation } => devices::disk_stall(strike, target, *operation),
        Kind::Clock { target, drift, step } => devices::clock(strike, target, *drift, *step),
        Kind::Own { fault, target } => strike.each(target, |node| fault.strike(strike, node)),
    }
}
