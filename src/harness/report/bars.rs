//! What lasted in a run, by what its events say: the bars of a page's diagram.

use crate::{
    harness::{
        event::{Moment, Span},
        run::RunOutcome,
    },
    host::sim::Hardware,
};
use std::collections::BTreeMap;

/// Something that began and has mostly ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Which bars it stands among.
    pub group: &'static str,
    /// What it is, and how it ended.
    pub label: String,
    /// When and where it began.
    pub began: Moment,
    /// When it ended; `None` if it lasts.
    pub ended: Option<Moment>,
}

/// The bars of a run, in the order in which they began.
pub fn bars(outcome: &RunOutcome) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    let mut open: BTreeMap<(&'static str, String), usize> = BTreeMap::new();
    for (at, kept) in &outcome.history {
        if matches!(kept.get(), Some(Hardware::Ended(_))) {
            open.retain(|_, index| {
                let died = bars[*index].began.process == at.process;
                if died {
                    bars[*index].ended = Some(*at);
                }
                !died
            });
        }
        match kept.span() {
            Some(Span::Began { group, key }) => {
                if let Some(earlier) = open.insert((group, key.clone()), bars.len()) {
                    bars[earlier].ended = Some(*at);
                }
                bars.push(Bar { group, label: key, began: *at, ended: None });
            }
            Some(Span::Ended { group, key, how }) => {
                if let Some(index) = open.remove(&(group, key)) {
                    bars[index].ended = Some(*at);
                    bars[index].label += &format!(": {how}");
                }
            }
            None => {}
        }
    }
    bars
}
