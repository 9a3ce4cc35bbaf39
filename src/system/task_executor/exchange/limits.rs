//! How much goes into a buffer, waits in a queue and is granted at once.

/// Data buffers that wait in one subpartition before the producer waits; one more for each event.
pub const SUBPARTITION_BUFFERS_MAX: usize = 4;

/// Events that wait in one subpartition, besides the data, before the producer waits.
pub const SUBPARTITION_EVENTS_MAX: usize = 64;

/// Buffers that a channel may have received and not yet handled: the credit that it grants.
pub const CHANNEL_CREDIT: u32 = 4;

/// Partitions of one task executor at most.
pub const PARTITIONS_MAX: usize = 64 * 1024;
