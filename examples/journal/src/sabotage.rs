//! The journal's known bug.

wavetank::sabotages! {
    /// The journal is written without comparing the writer's session.
    JOURNAL_WRITTEN_AFTER_REVOKE = "journal-written-after-revoke", "FLINK-9494", ["L3", "no-panic"];
}
