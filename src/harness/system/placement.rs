//! On which rack and in which zone each node is: faults strike all that is at one place.

use crate::{
    harness::language::{NumberRange, number, numbers},
    host::{mix, name_hash},
};
use std::fmt;

/// How many racks or zones at most.
const PLACES_MAX: u32 = 64;
/// Ways to put nodes on racks that a file tells apart.
const LAYOUTS: u32 = 1_000_000;

crate::settings! {
    /// Where nodes are. Each is put on a rack by its name and the layout, and racks are dealt to zones in turn.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Placement {
        placement {
            "racks" racks: NumberRange = number(0, PLACES_MAX, 0).size(), "Racks, or machines of several nodes; without any no target is a rack.";
            "zones" zones: NumberRange = number(0, PLACES_MAX, 0).size(), "Zones among which the racks are dealt, or the nodes where there is no rack.";
            "layout" layout: NumberRange = numbers(0, LAYOUTS, (0, LAYOUTS)), "Which node is on which rack: another number, another way.";
        }
    }
}

/// What nodes can be put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A rack, or a machine of several nodes.
    Rack,
    /// A zone.
    Zone,
}

impl Place {
    /// Both.
    pub const ALL: [Place; 2] = [Place::Rack, Place::Zone];

    /// Its name in targets.
    pub fn name(self) -> &'static str {
        match self {
            Place::Rack => "rack",
            Place::Zone => "zone",
        }
    }

    /// The key of `[placement]` that says how many there are.
    pub fn key(self) -> &'static str {
        match self {
            Place::Rack => "racks",
            Place::Zone => "zones",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Placement {
    /// How many of them there are.
    pub fn count(&self, place: Place) -> NumberRange {
        match place {
            Place::Rack => self.racks,
            Place::Zone => self.zones,
        }
    }

    /// The number of the place where a node of that name is, from 1; `None` where there are no such places.
    pub fn of_node(&self, place: Place, node: &str) -> Option<u32> {
        let word = mix(name_hash(node), self.layout.low);
        let dealt = |count: u64, word: u64| (count > 0).then(|| word % count);
        let rack = dealt(self.racks.low, word);
        let found = match place {
            Place::Rack => rack,
            Place::Zone => dealt(self.zones.low, rack.unwrap_or(word)),
        };
        found.map(|number| u32::try_from(number).expect("few places") + 1)
    }
}
