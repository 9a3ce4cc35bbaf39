//! Between which times a fault begins whatever it hangs on, and whether it must strike.

use super::form::{Drawn, Form, Ranges};
use crate::{
    harness::language::{DurationRange, Field, Mistakes, Reader, Writer, exact_duration},
    host::Draws,
};
use std::time::Duration;

/// What bounds a fault's begin and its end besides what it hangs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window<F: Form = Ranges> {
    /// What it hangs on is not looked for before that time of the run.
    pub not_before: Option<F::Duration>,
    /// It begins then if it has not begun.
    pub no_later_than: Option<F::Duration>,
    /// Whether it looks for something else to strike when it would strike nothing.
    pub must_strike: bool,
}

const YES_OR_NO: &[(&str, bool)] = &[("yes", true), ("no", false)];

impl<F: Form> Window<F> {
    /// Nothing is bounded.
    pub const OPEN: Self = Window { not_before: None, no_later_than: None, must_strike: false };
}

impl Window {
    /// Reads its keys; `hangs` says whether the fault begins on something else than a time. Nothing if there
    /// are mistakes, which are kept.
    pub(super) fn read(
        table: &mut Reader,
        hangs: bool,
        heal_at: Duration,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let time = |field: &Field| {
            let time = field.duration_range()?;
            match (hangs, time.low < heal_at) {
                (false, _) => Err(field.refused(
                    "a fault that begins `at` a time is bounded by that; this is for `on` and `with`",
                )),
                (true, false) => Err(field.expected(&format!(
                    "a time before `heal-at` ({})",
                    exact_duration(heal_at)
                ))),
                (true, true) => Ok(time),
            }
        };
        let not_before = mistakes.keep(table.take("not-before", time));
        let no_later_than = mistakes.keep(table.take("no-later-than", time));
        let must = |field: &Field| field.one_of(YES_OR_NO, "list --faults");
        let must_strike = mistakes.keep(table.take("must-strike", must));
        let window: Window = Window {
            not_before: not_before?,
            no_later_than: no_later_than?,
            must_strike: must_strike?.unwrap_or(false),
        };
        if let (Some(from), Some(to)) = (window.not_before, window.no_later_than)
            && from.low > to.high
        {
            let what =
                "`not-before` is after `no-later-than`, so what it hangs on is never looked for";
            let _: Option<()> = mistakes.keep(Err(table.error(what)));
        }
        Some(window)
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let Window { not_before, no_later_than, must_strike } = self;
        writer.maybe("not-before", not_before.as_ref());
        writer.maybe("no-later-than", no_later_than.as_ref());
        if *must_strike {
            writer.text("must-strike", "yes");
        }
    }

    pub(super) fn draw(&self, draws: &mut Draws) -> Window<Drawn> {
        Window {
            not_before: self.not_before.map(|time| time.draw(draws)),
            no_later_than: self.no_later_than.map(|time| time.draw(draws)),
            must_strike: self.must_strike,
        }
    }
}

impl Window<Drawn> {
    /// As a file says it.
    pub(super) fn to_ranges(&self) -> Window {
        Window {
            not_before: self.not_before.map(DurationRange::only),
            no_later_than: self.no_later_than.map(DurationRange::only),
            must_strike: self.must_strike,
        }
    }

    /// The same with a later end.
    pub(super) fn later(&self, by: Duration) -> Self {
        Window { no_later_than: self.no_later_than.map(|time| time + by), ..self.clone() }
    }
}
