//! What a system's code says of its properties: known to every system, as the hardware is.

use super::{kind::Reported, milestone::Milestone};
use crate::host::{Property, PropertyEvent, PropertyKind};

impl Reported for PropertyEvent {
    const KIND: &'static str = "property";

    /// What breaks a promise. The others are counted as milestones, and may come at every call.
    fn is_kept(&self) -> bool {
        self.is_violation()
    }

    fn in_words(&self) -> Option<String> {
        let details = match &self.details[..] {
            "" => String::new(),
            details => format!(": {details}"),
        };
        let not = if self.held { "" } else { "not " };
        Some(format!("{not}{}{details}", self.property))
    }
}

/// The milestones of properties: those that must come at some time, each name once.
pub fn milestones_of_properties<'a>(
    properties: impl IntoIterator<Item = &'a &'static Property>,
) -> Vec<Milestone> {
    let must_come = |one: &&&'static Property| one.kind() != PropertyKind::Always;
    let mut found: Vec<Milestone> =
        properties.into_iter().filter(must_come).map(|one| Milestone::of_property(one)).collect();
    found.dedup();
    found
}
