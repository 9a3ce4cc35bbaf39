//! A run that goes another way from one entry on.

use super::cause::EntryNumber;

/// From which entry on a run goes another way than its seeds say, and which. Up to that entry it is the very same run;
/// then tasks are scheduled otherwise, and whatever links, disks and nodes draw is drawn otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The last entry that is the same; those that belong to the same step are, too.
    pub after: EntryNumber,
    /// Which of the other ways it goes; 0 is none of them.
    pub number: u32,
}

/// The stream from which tasks are scheduled has no key to which a number could be added: it is moved on by so many
/// words, of which there are enough for any number of branches that somebody looks at.
const SHIFTS: u32 = 4096;

/// Takes words from the stream from which the next tasks are drawn.
pub(super) fn draw_schedule(number: u32) {
    for _ in 0..number % SHIFTS {
        let _: u64 = madsim::rand::random();
    }
}
