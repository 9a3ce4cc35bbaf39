//! Reasons for people: why something failed. They come from user code and from peers, so whoever keeps one or hands
//! it on cuts it first.

/// Of a reason, bytes that are kept.
pub const REASON_BYTES_MAX: usize = 1024;

/// The beginning of a reason, as much as is kept of it.
pub fn shortened(reason: &str) -> &str {
    let most = REASON_BYTES_MAX.min(reason.len());
    let end = (0..=most).rev().find(|end| reason.is_char_boundary(*end));
    &reason[..end.unwrap_or(0)]
}

/// The same of one that is owned.
pub fn bounded(mut reason: String) -> String {
    reason.truncate(shortened(&reason).len());
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters_and_a_short_one_is_left_alone() {
        assert_eq!(shortened("disk full"), "disk full");
        let long = format!("x{}", "ä".repeat(REASON_BYTES_MAX));
        assert_eq!(shortened(&long).len(), REASON_BYTES_MAX - 1);
        assert_eq!(bounded(long.clone()), shortened(&long));
    }
}
