//! Percent-encoding: segments of a path, and pairs of a query.

/// A text as one segment of a path, or one side of a query's pair: all but letters, digits and `-._~` is encoded.
pub fn encode_segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The text that is encoded so. `None` when a `%` is not followed by two hex digits, or it is no UTF-8.
pub fn decode_segment(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let (high, low) = (hex(*after.first()?)?, hex(*after.get(1)?)?);
            bytes.push(high << 4 | low);
            rest = &after[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

/// The pairs of a query in their order, as forms write them: `+` is a blank, a missing `=` an empty value.
pub fn decode_query(query: &str) -> Option<Vec<(String, String)>> {
    let decode = |text: &str| decode_segment(&text.replace('+', " "));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(name)?, decode(value)?))
    });
    pairs.collect()
}

/// The query of these pairs.
pub fn encode_query(pairs: &[(String, String)]) -> String {
    let pair = |(name, value): &(String, String)| {
        format!("{}={}", encode_segment(name), encode_segment(value))
    };
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_encoded_right_is_refused() {
        assert_eq!(decode_segment("a%2Fb%c3%a9"), Some("a/bé".to_string()));
        assert_eq!(decode_segment("a+b"), Some("a+b".to_string()));
        for wrong in ["%", "%2", "%2g", "%g2", "a%", "%ff", "%+1"] {
            assert_eq!(decode_segment(wrong), None, "{wrong}");
            assert_eq!(decode_query(&format!("a={wrong}")), None, "{wrong}");
        }
    }

    #[test]
    fn a_query_is_read_as_forms_write_it() {
        let pairs = |query: &str| {
            let pairs = decode_query(query).expect("it is well-formed");
            pairs.into_iter().map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>()
        };
        assert_eq!(pairs("b=1&a=x+y%26&b=2&&c&d=e=f"), ["b:1", "a:x y&", "b:2", "c:", "d:e=f"]);
        assert_eq!(pairs(""), [""; 0]);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_again(text: String, pairs: Vec<(String, String)>) {
            prop_assert_eq!(decode_segment(&encode_segment(&text)), Some(text));
            prop_assert_eq!(decode_query(&encode_query(&pairs)), Some(pairs));
        }
    }
}
