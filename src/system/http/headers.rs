//! Headers: names and values in an order.

use hyper::header::{CONNECTION, CONTENT_LENGTH, DATE, HOST, TRANSFER_ENCODING};
use hyper::{HeaderMap, header};

/// What the server or client says itself, and nobody else: how a message is framed, to whom, and when.
const OWN: [header::HeaderName; 5] = [CONNECTION, CONTENT_LENGTH, DATE, HOST, TRANSFER_ENCODING];

/// Headers in their order. Names are lower-case; those of the same name stand one after the other when they were
/// received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Adds a header behind the others; its name is made lower-case.
    pub fn add(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_ascii_lowercase(), value.into()));
    }

    /// The first value of a header, whose `name` is lower-case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(of, _)| *of == name).map(|(_, value)| value)
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What was received. Bytes of a value that are no UTF-8 become U+FFFD.
    pub(super) fn received(map: &HeaderMap) -> Self {
        // A HeaderMap keeps its entries in the order of their insertion, whatever its hashes are.
        let header = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
            (name.as_str().to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Headers(map.iter().map(header).collect())
    }

    /// What is to be sent, without what only the sender itself says.
    ///
    /// # Errors
    /// The name of a header that can't be sent.
    pub(super) fn to_send(&self) -> Result<HeaderMap, String> {
        let mut map = HeaderMap::with_capacity(self.0.len() + OWN.len());
        for (name, value) in self.iter() {
            let sent = header::HeaderName::from_bytes(name.as_bytes());
            let (Ok(sent), Ok(value)) = (sent, header::HeaderValue::from_str(value)) else {
                return Err(name.to_string());
            };
            if !OWN.contains(&sent) {
                map.append(sent, value);
            }
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_what_frames_a_message_is_left_out() {
        let mut headers = Headers::default();
        for n in 0..60 {
            headers.add(&format!("X-{}", n * 37 % 60), n.to_string());
        }
        headers.add("Content-Length", "7");
        headers.add("connection", "close");
        let sent = headers.to_send().expect("they can be sent");
        let received = Headers::received(&sent);
        assert_eq!(received.iter().count(), 60);
        assert!(received.iter().eq(headers.iter().take(60)));
        assert_eq!(received.get("x-37"), Some("1"));
        assert_eq!(received.get("content-length"), None);
    }

    #[test]
    fn what_would_begin_another_header_is_refused() {
        let mut headers = Headers::default();
        headers.add("location", "/jobs\r\nset-cookie: a");
        assert_eq!(headers.to_send(), Err("location".to_string()));
        let mut headers = Headers::default();
        headers.add("a b", "c");
        assert_eq!(headers.to_send(), Err("a b".to_string()));
    }
}
