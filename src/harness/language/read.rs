//! Reads TOML tables key by key, so that each mistake is told with its place and what was expected.

use super::{
    error::{Mistakes, ScenarioError, shown},
    nearest::{did_you_mean, nearest},
    units::{DurationRange, NumberRange, Share, SignedDurationRange, parse_duration},
};
use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use toml::de::{DeTable, DeValue};

/// No run is nearly as long.
const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);

/// No word of ours has so many letters.
const WORD_MAX: usize = 64;

/// Of so many known words all are shown.
const KNOWN_SHOWN_MAX: usize = 24;
/// Of more than that, so many.
const KNOWN_SHOWN_FEW: usize = 6;

/// Whether the first of two durations, shares or numbers is the greater one.
fn is_reversed(low: &str, high: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    let of = |text| SignedDurationRange::parse(text).map(|range| range.low);
    let share = |text| Share::parse(text).map(|share| share.low);
    let greater = |one: Option<i64>, other: Option<i64>| one.zip(other).is_some_and(|(a, b)| a > b);
    number(low).zip(number(high)).is_some_and(|(low, high)| low > high)
        || greater(of(low), of(high))
        || greater(share(low), share(high))
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

/// The text that is read, for places.
struct Source {
    path: PathBuf,
    text: String,
    /// Where its lines begin.
    lines: Vec<usize>,
}

impl Source {
    fn new(path: &Path, text: &str) -> Self {
        Source { path: path.to_path_buf(), text: text.to_string(), lines: line_starts(text) }
    }

    fn error(&self, span: Range<usize>, message: String) -> ScenarioError {
        ScenarioError::at(&self.path, &self.text, &self.lines, span.start, message)
    }
}

/// At which bytes the lines of a text begin.
pub(in crate::harness) fn line_starts(text: &str) -> Vec<usize> {
    let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    [0].into_iter().chain(ends.map(|(at, _)| at + 1)).collect()
}

/// A value and its place.
#[derive(Clone)]
struct Value {
    span: Range<usize>,
    shape: Shape,
}

#[derive(Clone)]
enum Shape {
    /// A text, or a number as it was written.
    Word(String),
    Table(Keys),
    Array(Vec<Value>),
    Other,
}

/// Keys, their places and their values.
type Keys = BTreeMap<String, (Range<usize>, Value)>;

impl Value {
    fn new(span: Range<usize>, value: &DeValue<'_>) -> Self {
        let shape = match value {
            DeValue::String(text) => Shape::Word(text.to_string()),
            DeValue::Integer(number) => Shape::Word(number.to_string()),
            DeValue::Float(number) => Shape::Word(number.to_string()),
            DeValue::Table(table) => Shape::Table(keys(table)),
            DeValue::Array(array) => {
                let items = array.iter().map(|item| Value::new(item.span(), item.get_ref()));
                Shape::Array(items.collect())
            }
            DeValue::Boolean(_) | DeValue::Datetime(_) => Shape::Other,
        };
        Value { span, shape }
    }
}

fn keys(table: &DeTable<'_>) -> Keys {
    let keys = table.iter().map(|(key, value)| {
        (key.get_ref().to_string(), (key.span(), Value::new(value.span(), value.get_ref())))
    });
    keys.collect()
}

/// A table of which keys are taken one by one.
pub struct Reader {
    source: Arc<Source>,
    span: Range<usize>,
    /// Where the table stands in the file, for messages: `fault 2.on`.
    path: String,
    keys: Keys,
    /// The keys that were asked for, in order.
    asked: Vec<&'static str>,
}

/// One key's value, to be read as something.
pub struct Field {
    source: Arc<Source>,
    name: String,
    value: Value,
}

impl Reader {
    /// Reads a whole file's text.
    ///
    /// # Errors
    /// When it is no TOML.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ScenarioError> {
        let source = Arc::new(Source::new(path, text));
        match DeTable::parse(text) {
            Ok(table) => {
                let span = table.span();
                Ok(Reader::new(source, span, String::new(), keys(table.get_ref())))
            }
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                Err(source.error(span, error.message().to_string()))
            }
        }
    }

    fn new(source: Arc<Source>, span: Range<usize>, path: String, keys: Keys) -> Self {
        Reader { source, span, path, keys, asked: Vec::new() }
    }

    fn named(&self, key: &str) -> String {
        match self.path.is_empty() {
            true => key.to_string(),
            false => format!("{}.{key}", self.path),
        }
    }

    /// An error at the table as a whole.
    pub fn error(&self, message: impl Into<String>) -> ScenarioError {
        self.source.error(self.span.clone(), message.into())
    }

    /// Takes a key that may be absent.
    ///
    /// # Errors
    /// When the value is not what `read` expects.
    pub fn take<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Field) -> Result<T, ScenarioError>,
    ) -> Result<Option<T>, ScenarioError> {
        self.asked.push(key);
        let Some((_, value)) = self.keys.remove(key) else { return Ok(None) };
        read(&Field { source: self.source.clone(), name: self.named(key), value }).map(Some)
    }

    /// Takes a key that must be there.
    ///
    /// # Errors
    /// When it is absent or not what `read` expects.
    pub fn need<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Field) -> Result<T, ScenarioError>,
    ) -> Result<T, ScenarioError> {
        if self.keys.contains_key(key) {
            let value = self.take(key, read)?;
            return Ok(value.expect("it is there"));
        }
        self.asked.push(key);
        match self.slip(key) {
            Some(slip) => {
                let named = shown(&self.named(&slip));
                let message = format!("unknown key `{named}`; did you mean `{key}`?");
                // It is not to be told once more.
                let (span, _) = self.keys.remove(&slip).expect("it was found there");
                Err(self.source.error(span, message))
            }
            None => Err(self.error(format!("`{}` is missing", self.named(key)))),
        }
    }

    /// The key that somebody wrote who meant this one.
    fn slip(&self, key: &'static str) -> Option<String> {
        let near = |written: &&String| !did_you_mean(written, [key], '`').is_empty();
        self.keys.keys().find(near).cloned()
    }

    /// Takes a table; an absent one is empty.
    ///
    /// # Errors
    /// When it is something else.
    pub fn table(&mut self, key: &'static str) -> Result<Reader, ScenarioError> {
        Ok(self.take(key, Field::table)?.unwrap_or_else(|| self.empty(key)))
    }

    /// A table without keys.
    pub fn empty(&self, key: &'static str) -> Reader {
        Reader::new(self.source.clone(), self.span.clone(), self.named(key), Keys::new())
    }

    /// Whether a key is there that was not taken yet; it is one of those that are known.
    pub(in crate::harness) fn has(&mut self, key: &'static str) -> bool {
        self.asked.push(key);
        self.keys.contains_key(key)
    }

    /// The place of a key of a table of this one, for an error that can be told only when more is known.
    pub(in crate::harness) fn place(&self, table: &str, key: &str) -> Option<ScenarioError> {
        let (_, value) = self.keys.get(table)?;
        let Shape::Table(keys) = &value.shape else { return None };
        let (_, value) = keys.get(key)?;
        Some(self.source.error(value.span.clone(), String::new()))
    }

    /// The place of a key, for an error that can be told only when more is known.
    pub fn place_of(&self, key: &str) -> Option<ScenarioError> {
        let (_, value) = self.keys.get(key)?;
        Some(self.source.error(value.span.clone(), String::new()))
    }

    /// Passes over keys whose values nobody can judge.
    pub fn skip(&mut self, keys: &[&'static str]) {
        for key in keys {
            self.asked.push(key);
            self.keys.remove(*key);
        }
    }

    /// Takes an array of tables (`[[key]]`); an absent one is empty.
    ///
    /// # Errors
    /// When it is something else.
    pub fn tables(&mut self, key: &'static str) -> Result<Vec<Reader>, ScenarioError> {
        Ok(self.take(key, Field::tables)?.unwrap_or_default())
    }

    /// Refuses what was not asked for: every key that is left, with those that are known.
    pub fn finish(self, mistakes: &mut Mistakes) {
        for key in self.keys.keys() {
            let _: Option<()> = mistakes.keep(Err(self.unknown(key)));
        }
    }

    /// Refuses what was not asked for, in a table of which one mistake is enough.
    ///
    /// # Errors
    /// At the first key that is left, with those that are known.
    pub fn refuse_others(self) -> Result<(), ScenarioError> {
        let left = self.keys.iter().min_by_key(|(_, (span, _))| span.start);
        left.map_or(Ok(()), |(key, _)| Err(self.unknown(key)))
    }

    fn unknown(&self, key: &str) -> ScenarioError {
        let near = did_you_mean(key, self.asked.iter().copied(), '`');
        let message = format!("unknown key `{}`{near}", shown(&self.named(key)));
        let mut known: Vec<String> = Vec::new();
        for key in self.asked.iter().map(|key| format!("`{key}`")) {
            if !known.contains(&key) {
                known.push(key);
            }
        }
        let help = format!("expected one of {}", known.join(", "));
        self.source.error(self.keys[key].0.clone(), message).with_help(help)
    }
}

impl Field {
    /// An error at this value.
    pub fn expected(&self, what: &str) -> ScenarioError {
        let text = self.source.text.get(self.value.span.clone()).unwrap_or("");
        let text = shown(text.lines().next().unwrap_or(""));
        self.refused(format!("expected {what}, found {text}"))
    }

    /// An error at a range whose ends are the wrong way round, if it is one.
    fn reversed(&self) -> Option<ScenarioError> {
        let (low, high) = self.word()?.split_once("..")?;
        let reversed = is_reversed(low.trim(), high.trim());
        let what = || format!("the range \"{low}..{high}\" is reversed; write \"{high}..{low}\"");
        reversed.then(|| self.refused(what()))
    }

    /// A text, or a number as it was written.
    pub fn word(&self) -> Option<&str> {
        match &self.value.shape {
            Shape::Word(word) => Some(word),
            Shape::Table(_) | Shape::Array(_) | Shape::Other => None,
        }
    }

    /// Reads a text of one line.
    ///
    /// # Errors
    /// When it is something else, or would do something to a terminal.
    pub fn text(&self) -> Result<String, ScenarioError> {
        let plain = |text: &str| !text.contains(char::is_control);
        match self.word() {
            Some(text) if plain(text) => Ok(text.to_string()),
            Some(_) => Err(self.expected("a text of one line without control characters")),
            None => Err(self.expected("a text")),
        }
    }

    /// Reads a whole number of 64 bits.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number(&self) -> Result<u64, ScenarioError> {
        self.read("a whole number from 0 to 18446744073709551615", |text| text.parse().ok())
    }

    /// Reads a number or a range of numbers.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number_range(&self) -> Result<NumberRange, ScenarioError> {
        self.read("a whole number or a range such as \"3..8\"", NumberRange::parse)
    }

    /// Reads a duration.
    ///
    /// # Errors
    /// When it is something else.
    pub fn duration(&self) -> Result<Duration, ScenarioError> {
        self.read("a duration such as \"1500ms\" or \"2s\"", parse_duration)
    }

    /// Reads a duration or a range of durations.
    ///
    /// # Errors
    /// When it is something else.
    pub fn duration_range(&self) -> Result<DurationRange, ScenarioError> {
        let bounded =
            |text: &str| DurationRange::parse(text).filter(|range| range.high <= DURATION_MAX);
        self.read(
            "a duration of a day at most, such as \"2s\" or a range such as \"2s..5s\"",
            bounded,
        )
    }

    /// Reads a duration that may be negative, or a range.
    ///
    /// # Errors
    /// When it is something else.
    pub fn signed_duration_range(&self) -> Result<SignedDurationRange, ScenarioError> {
        self.read(
            "a duration such as \"-2s\" or a range such as \"-2s..5s\"",
            SignedDurationRange::parse,
        )
    }

    /// Reads a share or a range of shares.
    ///
    /// # Errors
    /// When it is something else.
    pub fn share(&self) -> Result<Share, ScenarioError> {
        self.read("a share such as \"5%\" or a range such as \"5%..20%\"", Share::parse)
    }

    /// Reads one of some words; `list` is the command that says what they mean.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn one_of<T: Clone>(&self, words: &[(&str, T)], list: &str) -> Result<T, ScenarioError> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text);
        let known = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>();
        found.map(|(_, value)| value.clone()).ok_or_else(|| self.unknown(&known(), list))
    }

    /// An error at a word that is none of those that are known.
    pub fn unknown(&self, known: &[&str], list: &str) -> ScenarioError {
        let text = self.word().unwrap_or_default();
        let near = did_you_mean(text, known.iter().copied(), '"');
        let error = self.refused(format!("there is no \"{}\"{near}", shown(text)));
        let shown = nearest(text, known.iter().copied());
        let help = match known.len() {
            0..=KNOWN_SHOWN_MAX => format!("expected one of {}", quoted(known)),
            all if shown.len() > 1 => format!("near it are {}, of {all} in all", quoted(&shown)),
            all => format!("there are {all}, such as {}", quoted(&known[..KNOWN_SHOWN_FEW])),
        };
        let error = error.with_help(help);
        if list.is_empty() { error } else { error.with_help(format!("see `cargo run -- {list}`")) }
    }

    /// An error at this value in these words.
    pub fn refused(&self, what: impl AsRef<str>) -> ScenarioError {
        let message = format!("`{}`: {}", self.name, what.as_ref());
        self.source.error(self.value.span.clone(), message)
    }

    /// Reads a text with a parser of one's own.
    ///
    /// # Errors
    /// When the parser gives nothing.
    pub fn read<T>(
        &self,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ScenarioError> {
        let parsed = self.word().and_then(parse);
        parsed.ok_or_else(|| self.reversed().unwrap_or_else(|| self.expected(what)))
    }

    /// Reads a table.
    ///
    /// # Errors
    /// When it is something else.
    pub fn table(&self) -> Result<Reader, ScenarioError> {
        self.table_as("a table")
    }

    /// Reads a table; the error shows how one is written of which `key` is the first and needed.
    ///
    /// # Errors
    /// When it is something else.
    pub fn table_of(&self, key: &str, example: &str) -> Result<Reader, ScenarioError> {
        // Mostly somebody wrote just what the first key says.
        let value = self.word().filter(|word| word.len() <= WORD_MAX).unwrap_or(example);
        self.table_as(&format!("a table such as {{ {key} = \"{value}\" }}"))
    }

    fn table_as(&self, what: &str) -> Result<Reader, ScenarioError> {
        match &self.value.shape {
            Shape::Table(keys) => Ok(self.reader(self.value.span.clone(), self.name.clone(), keys)),
            _ => Err(self.expected(what)),
        }
    }

    /// Reads a list.
    ///
    /// # Errors
    /// When it is something else, or at the first item that `read` refuses.
    pub fn list<T>(
        &self,
        read: impl Fn(&Field) -> Result<T, ScenarioError>,
    ) -> Result<Vec<T>, ScenarioError> {
        let Shape::Array(items) = &self.value.shape else { return Err(self.expected("a list")) };
        let item = |value: &Value| {
            read(&Field {
                source: self.source.clone(),
                name: self.name.clone(),
                value: value.clone(),
            })
        };
        items.iter().map(item).collect()
    }

    fn tables(&self) -> Result<Vec<Reader>, ScenarioError> {
        let what = format!("tables, each written [[{}]]", self.name);
        let Shape::Array(items) = &self.value.shape else { return Err(self.expected(&what)) };
        let tables = items.iter().enumerate().map(|(index, item)| match &item.shape {
            Shape::Table(keys) => {
                Ok(self.reader(item.span.clone(), format!("{} {}", self.name, index + 1), keys))
            }
            _ => Err(self.expected(&what)),
        });
        tables.collect()
    }

    fn reader(&self, span: Range<usize>, path: String, keys: &Keys) -> Reader {
        Reader::new(self.source.clone(), span, path, keys.clone())
    }
}
