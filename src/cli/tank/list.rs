//! `list`: what there is.

use super::{CliError, Outcome, find_scenarios};
use crate::{
    harness::{
        check::{Milestone, journal_invariants, word_count_invariants},
        fault::{Actor, FAULT_KINDS},
        sabotage,
    },
    host::Sabotage,
};
use clap::Args;

/// Lists the scenarios, or the words that scenario files understand.
#[derive(Args)]
pub struct List {
    /// The kinds of faults
    #[arg(long, group = "what")]
    faults: bool,
    /// The moments on which faults can hang
    #[arg(long, group = "what")]
    milestones: bool,
    /// Whom faults can strike
    #[arg(long, group = "what")]
    actors: bool,
    /// What is checked
    #[arg(long, group = "what")]
    invariants: bool,
    /// The known bugs that can be switched on
    #[arg(long, group = "what")]
    sabotages: bool,
}

fn row(name: &str, text: &str) {
    println!("{name:<36} {text}");
}

impl List {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        if self.faults {
            FAULT_KINDS.iter().for_each(|(name, text)| row(name, text));
        } else if self.milestones {
            Milestone::ALL.iter().for_each(|m| row(m.name(), m.description()));
        } else if self.actors {
            Actor::NAMES.iter().for_each(|(name, _, text, _)| row(name, text));
            for (prefix, _, text, _) in Actor::NUMBERED {
                row(&format!("{prefix}N"), text);
            }
        } else if self.invariants {
            let mut invariants = word_count_invariants();
            invariants.extend(journal_invariants(Vec::new()).pop());
            invariants.iter().for_each(|invariant| row(invariant.name(), invariant.promise()));
        } else if self.sabotages {
            for switch in Sabotage::ALL {
                let caught = sabotage::caught_by(*switch).join(" or ");
                row(
                    switch.name(),
                    &format!(
                        "{} ({}; caught by {caught})",
                        switch.description(),
                        switch.published()
                    ),
                );
            }
        } else {
            for scenario in find_scenarios(&[])? {
                row(&scenario.name, &scenario.description);
            }
        }
        Ok(Outcome::Held)
    }
}
