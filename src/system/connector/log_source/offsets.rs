//! Where reading begins. It is decided once, before the job is submitted, so that every attempt begins there.

use crate::system::service::log::{Log, LogRefusal};

/// Where a job begins to read a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StartingOffsets {
    /// At the first record of each partition that is kept.
    #[default]
    Earliest,
    /// Behind what there is by now.
    Latest,
    /// Where a group has got to; partitions of which it has committed nothing, or what is kept no longer, from the first
    /// record that is.
    Committed {
        /// The group.
        group: String,
    },
}

impl StartingOffsets {
    /// The offset of each partition that a topic has now; asks until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn resolve(&self, log: &dyn Log, topic: &str) -> Result<Vec<u64>, LogRefusal> {
        let ends = log.end_offsets_until_acknowledged(topic).await?;
        let mut starts = log.start_offsets_until_acknowledged(topic).await?;
        // Partitions may have been added in between.
        starts.truncate(ends.len());
        Ok(match self {
            StartingOffsets::Earliest => starts,
            StartingOffsets::Latest => ends,
            StartingOffsets::Committed { group } => {
                let mut start = starts;
                for (partition, offset) in
                    log.committed_offsets_until_acknowledged(group, topic).await?
                {
                    // One that was added meanwhile is found by discovery.
                    if let Some(of_partition) = start.get_mut(partition as usize) {
                        *of_partition = offset.max(*of_partition);
                    }
                }
                start
            }
        })
    }
}
