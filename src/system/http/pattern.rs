//! Patterns of paths, such as `/jobs/:job/vertices/:vertex`.

use super::percent::decode_segment;

/// One segment of a pattern. Literals come first, so that of two patterns that match the more exact one does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Parameter,
}

/// A pattern of paths. Two that differ in the names of their parameters alone are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern(Vec<Segment>);

/// Parameters of a path, in the order of its pattern.
pub type Parameters = Vec<(String, String)>;

impl Pattern {
    /// The pattern, and the names of its parameters in their order.
    ///
    /// # Panics
    /// When it does not begin with `/`, when a parameter has no name, and when two have the same.
    pub fn new(text: &str) -> (Pattern, Vec<String>) {
        let mut names = Vec::new();
        let segments = segments(text).expect("a pattern begins with /").map(|segment| {
            let Some(name) = segment.strip_prefix(':') else {
                return Segment::Literal(segment.to_string());
            };
            assert!(!name.is_empty(), "a parameter of {text} has no name");
            assert!(!names.iter().any(|of| of == name), "{text} has two parameters {name}");
            names.push(name.to_string());
            Segment::Parameter
        });
        (Pattern(segments.collect()), names)
    }

    /// The values of its parameters in a path, if it matches: decoded, and never empty.
    pub fn matches(&self, path: &str) -> Option<Vec<String>> {
        let (mut values, mut path) = (Vec::new(), segments(path)?);
        for segment in &self.0 {
            let found = decode_segment(path.next()?)?;
            match segment {
                Segment::Literal(literal) if *literal == found => {}
                Segment::Parameter if !found.is_empty() => values.push(found),
                _ => return None,
            }
        }
        path.next().is_none().then_some(values)
    }
}

/// What stands between the slashes of a path. An empty one at its end is none: `/jobs/` is `/jobs`.
fn segments(path: &str) -> Option<impl Iterator<Item = &str>> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    Some(path.split('/').filter(move |_| !path.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pattern: &str, path: &str) -> Option<Vec<String>> {
        Pattern::new(pattern).0.matches(path)
    }

    #[test]
    fn a_pattern_matches_segment_by_segment() {
        let found = |values: &[&str]| Some(values.iter().map(ToString::to_string).collect());
        assert_eq!(values("/", "/"), found(&[]));
        assert_eq!(values("/jobs", "/jobs"), found(&[]));
        assert_eq!(values("/jobs", "/jobs/"), found(&[]));
        assert_eq!(values("/jobs/:job", "/jobs/a%2Fb"), found(&["a/b"]));
        assert_eq!(values("/jobs/:a/vertices/:b", "/jobs/1/vertices/2"), found(&["1", "2"]));
        for wrong in ["/", "/jobs", "/jobs/", "/jobs//", "/jobs/1/2", "//jobs/1", "jobs/1", ""] {
            assert_eq!(values("/jobs/:job", wrong), None, "{wrong}");
        }
        assert_eq!(values("/jobs/:job", "/jobs/%zz"), None);
        assert_eq!(values("/jobs", "/%6Aobs"), found(&[]), "a literal may be encoded");
        assert_eq!(values("/jobs", "/Jobs"), None);
    }

    #[test]
    fn the_more_exact_pattern_comes_first() {
        let pattern = |text| Pattern::new(text).0;
        assert!(pattern("/jobs/overview") < pattern("/jobs/:job"));
        assert!(pattern("/jobs/z/:b") < pattern("/jobs/:a/b"));
        assert_eq!(pattern("/jobs/:a"), pattern("/jobs/:b"));
        assert_eq!(Pattern::new("/a/:b/:c").1, ["b", "c"]);
    }

    #[test]
    #[should_panic(expected = "two parameters job")]
    fn two_parameters_of_one_name_are_refused() {
        Pattern::new("/jobs/:job/:job");
    }
}
