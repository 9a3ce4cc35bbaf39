//! Lines of a user's text.

use bytes::Bytes;

/// Whether no line is longer than that.
///
/// # Errors
/// The first that is.
pub fn check_lines(lines: &[Bytes], bytes_max: usize) -> Result<(), String> {
    match (1..).zip(lines).find(|(_, line)| line.len() > bytes_max) {
        Some((number, line)) => {
            let bytes = line.len();
            Err(format!("line {number} has {bytes} bytes; a line may have {bytes_max}"))
        }
        None => Ok(()),
    }
}
