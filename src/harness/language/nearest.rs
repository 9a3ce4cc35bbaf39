//! Near misses: which known word somebody may have meant.

/// No word of ours is nearly as long, and comparing takes the product of the lengths.
const WORD_MAX: usize = 200;

/// What words of scenario files were called before.
const RENAMED: &[(&str, &str)] = &[
    ("subject", "system"),
    ("workload", "job"),
    ("faults-end", "heal-at"),
    ("lasts", "duration"),
    ("share", "probability"),
    ("isolate", "target"),
    ("bridge", "target"),
    ("spares", "tolerates"),
    ("nobody", "nothing"),
    ("sole-copies", "copies"),
    ("leavings", "leftovers"),
    ("held", "passed"),
    ("halves", "partition"),
    ("cut-pair", "partition"),
    ("one-way", "partition"),
    ("relocate", "restart-as-new"),
    ("replace", "wipe-disk"),
    ("rot", "bit-rot"),
];

/// The known words nearest to `word`, best first; none that is too far from it. What the word is called
/// now is nearest.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if word.len() > WORD_MAX {
        return Vec::new();
    }
    let renamed = |known: &str| RENAMED.contains(&(word, known));
    // Of a short word nearly every other one is near.
    let far = (word.chars().count() / 3).clamp(1, 4);
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .map(|known| match renamed(known) {
            true => (0, known),
            false => (strsim::osa_distance(word, known), known),
        })
        .filter(|(distance, known)| *distance <= far || begins_alike(word, known))
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    near.into_iter().map(|(_, known)| known).collect()
}

/// Whether one is the other with its end cut off, and not merely a letter or two.
fn begins_alike(word: &str, known: &str) -> bool {
    let shorter = word.len().min(known.len());
    shorter >= 4 && (known.starts_with(word) || word.starts_with(known))
}

/// `; did you mean "x"?`, or nothing when no word is near.
pub fn did_you_mean<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    quote: char,
) -> String {
    match nearest(word, known).first() {
        Some(near) => format!("; did you mean {quote}{near}{quote}?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_another_word_finds_none() {
        let known = ["leader", "follower", "journals", "everyone"];
        assert_eq!(nearest("leeder", known), ["leader"]);
        assert_eq!(nearest("laeder", known), ["leader"]);
        assert_eq!(nearest("journal", known), ["journals"]);
        assert_eq!(nearest("nobody", known), Vec::<&str>::new());
        assert_eq!(nearest("at", ["on", "by"]), Vec::<&str>::new());
        assert_eq!(did_you_mean("leeder", known, '"'), "; did you mean \"leader\"?");
        assert_eq!(did_you_mean("x", known, '"'), "");
        let keys = ["last", "duration", "probability", "share-of"];
        assert_eq!(nearest("lasts", keys)[0], "duration", "what it is called now");
        assert_eq!(nearest("share", keys)[0], "probability");
    }
}
