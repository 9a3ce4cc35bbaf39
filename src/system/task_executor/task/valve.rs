//! One watermark out of those of all channels: the least of those that count, and never an earlier one.
//!
//! A channel counts while it is active and aligned. One that is idle holds nothing back. One that has become active
//! again counts from where it has caught up with what was told. When all are idle the largest of theirs is told, since
//! nobody holds it back any more, and then that the task is idle. One that has ended is out of the way for good, and
//! when all have, the end is told.

use crate::{
    host::Switches,
    system::{
        dataflow::{Timestamp, WatermarkStatus},
        sabotage,
    },
};

/// How far a channel counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChannelStatus {
    /// It holds the watermark back.
    Aligned,
    /// It was idle and is behind what was told.
    Behind,
    Idle,
    Ended,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    watermark: Timestamp,
    status: ChannelStatus,
}

/// What those behind hear, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The task is active again.
    pub active: bool,
    /// The watermark has grown to this.
    pub watermark: Option<Timestamp>,
    /// The task is idle.
    pub idle: bool,
}

/// What the channels of a task have said.
pub struct WatermarkValve {
    channels: Vec<Channel>,
    told: Timestamp,
    is_idle: bool,
    switches: Switches,
}

impl WatermarkValve {
    /// Of so many channels.
    pub fn new(channels: usize, switches: Switches) -> Self {
        let channel = Channel { watermark: Timestamp::MIN, status: ChannelStatus::Aligned };
        let channels = vec![channel; channels];
        WatermarkValve { channels, told: Timestamp::MIN, is_idle: false, switches }
    }

    /// A channel says that no record as early as this comes any more. While it is idle it says nothing.
    pub fn advance(&mut self, channel: usize, watermark: Timestamp) -> Told {
        if watermark == Timestamp::MAX {
            return self.end(channel);
        }
        let told = self.told;
        let of_channel = &mut self.channels[channel];
        let counts = matches!(of_channel.status, ChannelStatus::Aligned | ChannelStatus::Behind);
        if !counts || watermark <= of_channel.watermark {
            return Told::default();
        }
        of_channel.watermark = watermark;
        if watermark >= told {
            of_channel.status = ChannelStatus::Aligned;
        }
        Told { watermark: self.least(), ..Told::default() }
    }

    /// A channel has become idle, or active again.
    pub fn status(&mut self, channel: usize, status: WatermarkStatus) -> Told {
        let told = self.told;
        let of_channel = &mut self.channels[channel];
        match (status, of_channel.status) {
            (WatermarkStatus::Idle, ChannelStatus::Aligned | ChannelStatus::Behind) => {
                of_channel.status = ChannelStatus::Idle;
                let held_back = of_channel.watermark == told;
                self.without(held_back)
            }
            (WatermarkStatus::Active, ChannelStatus::Idle) => {
                let caught_up = of_channel.watermark >= told;
                of_channel.status =
                    if caught_up { ChannelStatus::Aligned } else { ChannelStatus::Behind };
                Told { active: std::mem::take(&mut self.is_idle), ..Told::default() }
            }
            _ => Told::default(),
        }
    }

    /// No record comes on a channel any more.
    pub fn end(&mut self, channel: usize) -> Told {
        let is_open = |one: &Channel| one.status != ChannelStatus::Ended;
        let others = self.channels.iter().filter(|one| is_open(one)).count() > 1;
        if others
            && is_open(&self.channels[channel])
            && self.switches.on(sabotage::ENDED_CHANNEL_HOLDS_BACK)
        {
            return Told::default();
        }
        let of_channel = &mut self.channels[channel];
        if of_channel.status == ChannelStatus::Ended {
            return Told::default();
        }
        let held_back = of_channel.watermark == self.told;
        of_channel.status = ChannelStatus::Ended;
        if self.channels.iter().all(|channel| channel.status == ChannelStatus::Ended) {
            let active = std::mem::take(&mut self.is_idle);
            return Told { active, watermark: self.tell(Timestamp::MAX), idle: false };
        }
        self.without(held_back)
    }

    /// A channel does not count any more that had held the watermark back, or had not.
    fn without(&mut self, held_back: bool) -> Told {
        let counts =
            |one: &Channel| matches!(one.status, ChannelStatus::Aligned | ChannelStatus::Behind);
        let is_held = self.channels.iter().any(counts);
        if is_held && !self.switches.on(sabotage::IDLE_CHANNEL_LETS_ALL_PASS) {
            let watermark = if held_back { self.least() } else { None };
            return Told { watermark, ..Told::default() };
        }
        // Who held back is gone: what the others know is true of all that has come.
        let watermark = if held_back { self.greatest_of_idle() } else { None };
        Told { active: false, watermark, idle: !std::mem::replace(&mut self.is_idle, true) }
    }

    /// The least of the channels that count, if it is news.
    fn least(&mut self) -> Option<Timestamp> {
        let aligned = self.channels.iter().filter(|one| one.status == ChannelStatus::Aligned);
        let least = aligned.map(|channel| channel.watermark).min()?;
        self.tell(least)
    }

    fn greatest_of_idle(&mut self) -> Option<Timestamp> {
        let idle = self.channels.iter().filter(|one| one.status == ChannelStatus::Idle);
        let greatest = idle.map(|channel| channel.watermark).max()?;
        self.tell(greatest)
    }

    fn tell(&mut self, watermark: Timestamp) -> Option<Timestamp> {
        (watermark > self.told).then(|| {
            self.told = watermark;
            watermark
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use WatermarkStatus::{Active, Idle};
    use proptest::prelude::*;

    const NOTHING: Told = Told { active: false, watermark: None, idle: false };
    const ACTIVE: Told = Told { active: true, ..NOTHING };
    const IDLE: Told = Told { idle: true, ..NOTHING };

    fn at(watermark: i64) -> Told {
        Told { watermark: Some(Timestamp(watermark)), ..NOTHING }
    }

    fn valve(channels: usize) -> WatermarkValve {
        WatermarkValve::new(channels, Switches::default())
    }

    impl WatermarkValve {
        /// A watermark on a channel.
        fn hears(&mut self, channel: usize, watermark: i64) -> Told {
            self.advance(channel, Timestamp(watermark))
        }
    }

    #[test]
    fn a_single_channel_tells_what_grows() {
        let mut valve = valve(1);
        assert_eq!(valve.hears(0, 0), at(0));
        assert_eq!(valve.hears(0, 25), at(25));
        assert_eq!((valve.hears(0, 18), valve.hears(0, 25)), (NOTHING, NOTHING));
        assert_eq!(valve.hears(0, 42), at(42));
    }

    #[test]
    fn a_single_channel_is_idle_and_active_in_turn() {
        let mut valve = valve(1);
        assert_eq!(valve.status(0, Active), NOTHING, "it is from the beginning");
        assert_eq!((valve.status(0, Idle), valve.status(0, Idle)), (IDLE, NOTHING));
        assert_eq!((valve.status(0, Active), valve.status(0, Active)), (ACTIVE, NOTHING));
        assert_eq!(valve.status(0, Idle), IDLE);
    }

    #[test]
    fn what_an_idle_channel_says_means_nothing() {
        let mut valve = valve(1);
        assert_eq!((valve.hears(0, 25), valve.status(0, Idle)), (at(25), IDLE));
        assert_eq!(valve.hears(0, 50), NOTHING);
        assert_eq!((valve.status(0, Active), valve.hears(0, 50)), (ACTIVE, at(50)));
    }

    #[test]
    fn several_channels_tell_once_all_have_spoken() {
        let mut valve = valve(4);
        assert_eq!(
            (valve.hears(0, 0), valve.hears(1, 0), valve.hears(2, 0)),
            (NOTHING, NOTHING, NOTHING)
        );
        assert_eq!(valve.hears(3, 0), at(0));
    }

    #[test]
    fn several_channels_tell_the_least_as_it_grows() {
        let mut valve = valve(3);
        assert_eq!(
            (valve.hears(0, 0), valve.hears(1, 0), valve.hears(2, 0)),
            (NOTHING, NOTHING, at(0))
        );
        assert_eq!(
            (valve.hears(0, 12), valve.hears(2, 10), valve.hears(1, 8)),
            (NOTHING, NOTHING, at(8))
        );
        assert_eq!((valve.hears(2, 20), valve.hears(1, 15)), (NOTHING, at(12)));
        assert_eq!(
            (valve.hears(0, 5), valve.hears(0, 19), valve.hears(1, 19)),
            (NOTHING, at(15), at(19))
        );
    }

    #[test]
    fn several_channels_that_go_back_tell_nothing() {
        let mut valve = valve(3);
        let begun = (valve.hears(0, 25), valve.hears(1, 10), valve.hears(2, 17));
        assert_eq!(begun, (NOTHING, NOTHING, at(10)));
        assert_eq!(
            (valve.hears(0, 12), valve.hears(1, 8), valve.hears(2, 15)),
            (NOTHING, NOTHING, NOTHING)
        );
    }

    #[test]
    fn several_channels_are_idle_once_all_are_and_active_once_one_is() {
        let mut valve = valve(2);
        assert_eq!((valve.status(0, Idle), valve.status(1, Idle)), (NOTHING, IDLE));
        assert_eq!((valve.status(0, Active), valve.status(1, Active)), (ACTIVE, NOTHING));
    }

    #[test]
    fn an_idle_channel_holds_nothing_back() {
        let mut valve = valve(3);
        assert_eq!((valve.hears(0, 15), valve.hears(1, 10)), (NOTHING, NOTHING));
        assert_eq!(valve.status(2, Idle), at(10));
        assert_eq!((valve.hears(0, 18), valve.hears(1, 20)), (NOTHING, at(18)));
    }

    #[test]
    fn channels_that_become_idle_one_by_one_let_the_others_pass() {
        let mut valve = valve(3);
        let begun = (valve.hears(0, 25), valve.hears(1, 10), valve.hears(2, 17));
        assert_eq!(begun, (NOTHING, NOTHING, at(10)));
        assert_eq!((valve.status(1, Idle), valve.status(2, Idle)), (at(17), at(25)));
        assert_eq!((valve.hears(0, 30), valve.status(0, Idle)), (at(30), IDLE));
    }

    #[test]
    fn once_all_are_idle_the_greatest_is_told_and_then_the_idleness() {
        let mut valve = valve(3);
        assert_eq!(
            (valve.hears(0, 10), valve.hears(1, 5), valve.hears(2, 12)),
            (NOTHING, NOTHING, at(5))
        );
        // Whoever does not hold the others back changes nothing by itself.
        assert_eq!((valve.status(0, Idle), valve.status(2, Idle)), (NOTHING, NOTHING));
        assert_eq!(valve.status(1, Idle), Told { watermark: Some(Timestamp(12)), ..IDLE });
    }

    #[test]
    fn a_channel_that_is_active_again_counts_once_it_has_caught_up() {
        let mut valve = valve(3);
        assert_eq!(
            (valve.hears(0, 30), valve.hears(1, 30), valve.status(2, Idle)),
            (NOTHING, NOTHING, at(30))
        );
        assert_eq!((valve.status(2, Active), valve.hears(2, 25)), (NOTHING, NOTHING));
        assert_eq!((valve.hears(0, 35), valve.hears(1, 37)), (NOTHING, at(35)), "it is behind");
        assert_eq!(valve.hears(2, 35), NOTHING, "from here on it counts");
        assert_eq!((valve.hears(0, 40), valve.hears(2, 39)), (NOTHING, at(37)));
    }

    #[test]
    fn while_all_that_are_active_are_behind_nothing_is_told() {
        let mut valve = valve(3);
        assert_eq!(
            (valve.status(0, Idle), valve.status(1, Idle), valve.hears(2, 10)),
            (NOTHING, NOTHING, at(10))
        );
        assert_eq!(valve.status(2, Idle), IDLE);
        assert_eq!((valve.status(0, Active), valve.hears(0, 5)), (ACTIVE, NOTHING));
        assert_eq!((valve.hears(0, 9), valve.hears(0, 11)), (NOTHING, at(11)));
    }

    #[test]
    fn a_channel_that_is_behind_and_becomes_idle_changes_nothing() {
        let mut valve = valve(2);
        assert_eq!((valve.hears(0, 10), valve.status(1, Idle)), (NOTHING, at(10)));
        assert_eq!((valve.status(1, Active), valve.hears(1, 4)), (NOTHING, NOTHING));
        assert_eq!((valve.status(1, Idle), valve.hears(0, 12)), (NOTHING, at(12)));
    }

    #[test]
    fn a_channel_that_has_ended_is_out_of_the_way_and_the_end_of_all_is_told() {
        let mut valve = valve(2);
        assert_eq!((valve.hears(0, 10), valve.end(1)), (NOTHING, at(10)));
        assert_eq!((valve.hears(1, 3), valve.status(1, Idle)), (NOTHING, NOTHING));
        // What is idle may still come: the end of the others is not its own.
        assert_eq!(
            (valve.status(0, Idle), valve.end(0)),
            (IDLE, Told { active: true, ..at(i64::MAX) })
        );
        assert_eq!(valve.end(0), NOTHING);
    }

    /// What is said on a channel.
    #[derive(Clone, Copy, Debug)]
    enum Said {
        Watermark(i64),
        Status(WatermarkStatus),
        End,
    }

    fn said() -> impl Strategy<Value = Said> {
        prop_oneof![
            6 => (-50..50_i64).prop_map(Said::Watermark),
            1 => Just(Said::Status(Idle)),
            1 => Just(Said::Status(Active)),
            1 => Just(Said::End),
        ]
    }

    proptest! {
        #[test]
        fn what_is_told_grows_and_no_active_channel_that_has_caught_up_is_passed(
            all in prop::collection::vec((0..3_usize, said()), 0..60),
        ) {
            let (mut valve, mut told) = (valve(3), i64::MIN);
            // Of each channel its watermark, if it is active; what has ended holds nothing back.
            let (mut newest, mut active, mut ended) = ([i64::MIN; 3], [true; 3], [false; 3]);
            for (channel, said) in all {
                let now = match said {
                    Said::Watermark(at) => {
                        if active[channel] && !ended[channel] {
                            newest[channel] = newest[channel].max(at);
                        }
                        valve.hears(channel, at)
                    }
                    Said::Status(status) => {
                        active[channel] = status == Active;
                        valve.status(channel, status)
                    }
                    Said::End => {
                        ended[channel] = true;
                        valve.end(channel)
                    }
                };
                let Some(Timestamp(watermark)) = now.watermark else { continue };
                prop_assert!(watermark > told);
                for of in (0..3).filter(|of| active[*of] && !ended[*of]) {
                    prop_assert!(newest[of] < told || watermark <= newest[of], "{:?}", (of, now));
                }
                prop_assert_eq!(watermark == i64::MAX, ended == [true; 3]);
                told = watermark;
            }
        }
    }
}
