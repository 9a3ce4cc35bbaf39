//! How the log server behaves.

/// How the log server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogServerConfig {
    /// A segment of so many bytes takes no more records and becomes a file; 1 MiB.
    pub segment_bytes: u64,
    /// Committed records in memory, in bytes: if there are more, shorter segments become files, too; 16 MiB.
    pub memory_bytes: u64,
    /// Of records that were read from files or have become some, so many bytes stay in memory, or one segment; 16 MiB.
    pub cache_bytes: u64,
}

impl Default for LogServerConfig {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        LogServerConfig { segment_bytes: MIB, memory_bytes: 16 * MIB, cache_bytes: 16 * MIB }
    }
}
