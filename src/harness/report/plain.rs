//! What `Debug` prints of a value, in words: `HandlerStarted { endpoint: EndpointId(2) }` is "handler started, endpoint 2".

/// Words of a value that `Debug` has printed. What does not look like that stays as it is.
pub fn plain(debug: &str) -> String {
    let mut reader = Reader { rest: debug };
    match reader.value(true) {
        Some(words) if reader.rest.trim().is_empty() => words,
        _ => debug.to_string(),
    }
}

/// Of a longer list of bytes nobody reads anything.
const BYTES_SHOWN: usize = 4;

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// A value; the words of one that stands in another are in brackets where they are many.
    fn value(&mut self, outermost: bool) -> Option<String> {
        self.rest = self.rest.trim_start();
        match self.rest.chars().next()? {
            '"' => self.text(),
            '[' => self.list('[', ']').map(|all| listed(&all)),
            '{' => self.list('{', '}').map(|all| format!("{{{}}}", all.join(", "))),
            '(' => self.list('(', ')').map(|all| format!("({})", all.join(", "))),
            _ if begins_large(self.rest) => self.named(outermost),
            _ => self.word().map(str::to_string),
        }
    }

    /// A variant or a struct: a name, and what it holds.
    fn named(&mut self, outermost: bool) -> Option<String> {
        let name = self.word()?;
        let opens = self.rest.trim_start();
        if opens.starts_with('(') {
            let inside = self.list('(', ')')?.join(", ");
            // Of what only gives a value a type the value says all.
            let is_type = !outermost || name == "Some";
            return Some(if is_type { inside } else { format!("{} {inside}", words_of(name)) });
        }
        if self.rest.starts_with(" {") {
            let fields = self.list('{', '}')?.join(", ");
            let words = match outermost {
                true => format!("{}, {fields}", words_of(name)),
                false => format!("({fields})"),
            };
            return Some(words);
        }
        Some(words_of(name))
    }

    /// Values, or fields with their names, between two brackets.
    fn list(&mut self, opening: char, closing: char) -> Option<Vec<String>> {
        self.eat(opening)?;
        let mut all = Vec::new();
        while self.eat(closing).is_none() {
            let before = self.rest;
            let value = self.value(false)?;
            let item = match self.eat(':') {
                // It was the name of a field, or a key.
                Some(()) => {
                    let name = match before.trim_start().starts_with('"') {
                        true => value,
                        false => value.replace('_', " "),
                    };
                    let value = self.value(false)?;
                    (!is_id(&value)).then(|| format!("{name} {value}"))
                }
                None => Some(value),
            };
            all.extend(item);
            if self.eat(',').is_none() && !self.rest.trim_start().starts_with(closing) {
                return None;
            }
        }
        Some(all)
    }

    fn eat(&mut self, expected: char) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(expected)?;
        Some(())
    }

    /// Between quotes, which are left out.
    fn text(&mut self) -> Option<String> {
        let inside = self.rest.strip_prefix('"')?;
        let mut escaped = false;
        let end = inside.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        self.rest = &inside[end + 1..];
        Some(inside[..end].to_string())
    }

    /// Up to what separates values.
    fn word(&mut self) -> Option<&'a str> {
        let separates = |(at, c): (usize, char)| match c {
            // `::` and `12:30` are within a word, a field's name ends before a blank.
            ':' => self.rest[at + 1..].starts_with(' '),
            c => "()[]{},\"".contains(c) || c == ' ',
        };
        let end = self.rest.char_indices().position(separates);
        let end = end.map_or(self.rest.len(), |place| {
            self.rest.char_indices().nth(place).map_or(self.rest.len(), |(at, _)| at)
        });
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

fn begins_large(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
}

/// A list; of bytes how many they are.
fn listed(all: &[String]) -> String {
    let is_byte = |one: &String| one.parse::<u8>().is_ok();
    match all.len() > BYTES_SHOWN && all.iter().all(is_byte) {
        true => format!("{} bytes", all.len()),
        false => format!("[{}]", all.join(", ")),
    }
}

/// Whether a number only tells one thing from others: nobody reads anything in it.
fn is_id(value: &str) -> bool {
    value.len() > 6 && value.bytes().all(|byte| byte.is_ascii_digit())
}

/// `HandlerStarted` as "handler started"; other names stay.
fn words_of(name: &str) -> String {
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric());
    if !is_name || !name.chars().any(|c| c.is_ascii_lowercase()) || !begins_large(name) {
        return name.to_string();
    }
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// What is printed below.
    #[derive(Debug)]
    #[expect(dead_code, reason = "read by Debug alone")]
    enum Shown {
        Begun,
        HandlerStarted { endpoint: Id, kind: Kind, after: Option<Duration> },
        Ended(Id, Vec<Id>),
    }

    #[derive(Debug)]
    #[expect(dead_code, reason = "read by Debug alone")]
    struct Id(u64);

    struct Kind(&'static str);

    /// As the kinds of messages are printed.
    impl std::fmt::Debug for Kind {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    #[test]
    fn a_value_is_told_in_words() {
        let words = |shown: Shown| plain(&format!("{shown:?}"));
        assert_eq!(words(Shown::Begun), "begun");
        let started = Shown::HandlerStarted {
            endpoint: Id(2),
            kind: Kind("JobMasterGateway.register"),
            after: Some(Duration::from_millis(1500)),
        };
        assert_eq!(
            words(started),
            "handler started, endpoint 2, kind JobMasterGateway.register, after 1.5s"
        );
        assert_eq!(
            plain("Put { value: [1, 2, 3, 4, 255], at: [1, 2] }"),
            "put, value 5 bytes, at [1, 2]"
        );
        assert_eq!(plain("Told { call: 2199023255571, times: 3 }"), "told, times 3");
        assert_eq!(words(Shown::Ended(Id(1), vec![Id(2), Id(3)])), "ended 1, [2, 3]");
        assert_eq!(
            plain(r#"Told { text: "a \"b\" {", of: (1, -2), none: None }"#),
            r#"told, text a \"b\" {, of (1, -2), none none"#
        );
    }

    #[test]
    fn what_no_debug_has_printed_stays() {
        for text in ["", "a timer", "read of blobs/1", "Name {", "X { a b }", "\"open"] {
            assert_eq!(plain(text), text);
        }
    }
}
