//! Telling our answers from what hyper writes on its own.
//!
//! hyper answers what it can't parse by itself, without a body, a date or a reason. What it writes is read here as
//! a peer would: a head up to the blank line, then as many bytes of body as its answer was announced with. A head
//! that nobody announced is hyper's own: an interim 100 passes, an error is taken out, so that ours can be sent.

use hyper::StatusCode;
use std::collections::VecDeque;

/// Answers on their way through hyper.
#[derive(Default)]
pub struct AnswerFraming {
    /// The lengths of the bodies of announced answers.
    announced: VecDeque<usize>,
    /// What there is of a head.
    head: Vec<u8>,
    /// What is missing of a body.
    body: usize,
    /// The error that hyper would have answered.
    refused: Option<StatusCode>,
}

impl AnswerFraming {
    /// An answer is handed over whose body has this length on the wire.
    pub fn announce(&mut self, body: usize) {
        self.announced.push_back(body);
    }

    /// Whether all that was announced has passed.
    pub fn is_through(&self) -> bool {
        self.announced.is_empty() && self.head.is_empty() && self.body == 0
    }

    /// The error that hyper answered by itself.
    pub fn refused(&self) -> Option<StatusCode> {
        self.refused
    }

    /// What is to be sent of the next bytes that hyper writes.
    pub fn pass(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut passed = Vec::with_capacity(bytes.len());
        while !bytes.is_empty() {
            if self.body > 0 {
                let count = self.body.min(bytes.len());
                passed.extend_from_slice(&bytes[..count]);
                (self.body, bytes) = (self.body - count, &bytes[count..]);
                continue;
            }
            self.head.push(bytes[0]);
            bytes = &bytes[1..];
            if self.head.ends_with(b"\r\n\r\n") {
                let head = std::mem::take(&mut self.head);
                self.pass_head(&head, &mut passed);
            }
        }
        passed
    }

    fn pass_head(&mut self, head: &[u8], passed: &mut Vec<u8>) {
        // After "HTTP/1.1 " or "HTTP/1.0 ".
        let status = head.get(9..12).and_then(|status| StatusCode::from_bytes(status).ok());
        if status.is_some_and(|status| status.is_informational()) {
            passed.extend_from_slice(head);
        } else if let Some(body) = self.announced.pop_front() {
            passed.extend_from_slice(head);
            self.body = body;
        } else {
            self.refused = status.or(Some(StatusCode::BAD_REQUEST));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_pass_however_they_are_cut_and_an_unannounced_error_does_not() {
        let told = b"HTTP/1.1 100 Continue\r\n\r\n\
            HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\na\r\n\r\nHTTP\
            HTTP/1.1 204 No Content\r\n\r\n";
        let own = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n";
        let all = [&told[..], &own[..]].concat();
        for step in [1, 2, 7, 30, all.len()] {
            let mut framing = AnswerFraming::default();
            framing.announce(9);
            framing.announce(0);
            assert!(!framing.is_through());
            let passed = all.chunks(step).flat_map(|chunk| framing.pass(chunk)).collect::<Vec<_>>();
            assert_eq!(String::from_utf8_lossy(&passed), String::from_utf8_lossy(told));
            assert!(framing.is_through());
            assert_eq!(framing.refused().map(|status| status.as_u16()), Some(431));
        }
    }

    #[test]
    fn an_answer_is_through_with_its_last_byte() {
        let mut framing = AnswerFraming::default();
        framing.announce(2);
        framing.pass(b"HTTP/1.1 200 OK\r\n\r\na");
        assert!(!framing.is_through());
        framing.pass(b"b");
        assert!(framing.is_through());
        assert_eq!(framing.refused(), None);
    }
}
