//! One watermark out of those of all channels: the least of them, and never an earlier one.

use crate::system::dataflow::Timestamp;

/// What the channels of a task have said.
pub struct WatermarkValve {
    /// The newest of each channel.
    channels: Vec<Timestamp>,
    told: Timestamp,
}

impl WatermarkValve {
    /// Of so many channels.
    pub fn new(channels: usize) -> Self {
        WatermarkValve { channels: vec![Timestamp::MIN; channels], told: Timestamp::MIN }
    }

    /// A channel says that no record as early as this comes any more; the watermark of all, if it grows by that.
    pub fn advance(&mut self, channel: usize, watermark: Timestamp) -> Option<Timestamp> {
        let of_channel = &mut self.channels[channel];
        *of_channel = watermark.max(*of_channel);
        let least = self.channels.iter().min().copied()?;
        (least > self.told).then(|| {
            self.told = least;
            least
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_tells_the_least_of_all_and_only_more_than_before(
            said in prop::collection::vec((0..3_usize, -50..50_i64), 0..60),
        ) {
            let (mut valve, mut newest, mut told) = (WatermarkValve::new(3), [i64::MIN; 3], i64::MIN);
            for (channel, watermark) in said {
                newest[channel] = newest[channel].max(watermark);
                let least = newest.into_iter().min().unwrap();
                let expected = (least > told).then_some(Timestamp(least));
                prop_assert_eq!(valve.advance(channel, Timestamp(watermark)), expected);
                told = told.max(least);
            }
        }
    }
}
