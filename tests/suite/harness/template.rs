//! The scenario that an author starts from.

use super::SYSTEMS;
use std::path::Path;
use wavetank::harness::{
    language::{COLUMNS, Setting},
    scenario::{Scenario, lints, template},
};

fn read(text: &str) -> Scenario {
    SYSTEMS.parse(text, Path::new("scenarios/a.toml")).unwrap_or_else(|error| panic!("{error}"))
}

/// Takes the `#` from lines that are keys or tables, and not prose.
fn uncommented(text: &str) -> String {
    let code = |rest: &&str| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    let line = |line: &str| line.strip_prefix('#').filter(code).unwrap_or(line).to_string() + "\n";
    text.lines().map(line).collect()
}

#[test]
fn its_defaults_are_those_of_the_code() {
    for system in SYSTEMS.all() {
        let text = template(*system);
        let (head, faults) = text.split_once("[[fault]]").expect("two live faults");
        let with_defaults = format!("{}[[fault]]{faults}", uncommented(head));
        assert_ne!(with_defaults, text);
        assert_eq!(read(&with_defaults), read(&text));
        let shown = |setting: &Setting| {
            let Some(default) = setting.default.as_ref().filter(|_| setting.only.is_none()) else {
                return true;
            };
            text.contains(&format!("\n#{} = {default}", setting.key))
        };
        assert!(system.settings().iter().chain(&Scenario::settings(*system)).all(shown), "{text}");
    }
}

#[test]
fn what_is_commented_out_can_be_used() {
    for system in SYSTEMS.all() {
        let text = template(*system);
        assert_eq!(read(&text).faults.len(), 2);
        assert_eq!(read(&uncommented(&text)).faults.len(), 5);
        assert_eq!(lints(&read(&text)), Vec::<String>::new());
    }
}

#[test]
fn it_fits_on_a_screen() {
    for system in SYSTEMS.all() {
        let text = template(*system);
        let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > COLUMNS).collect();
        assert_eq!(wide, Vec::<&str>::new());
    }
}
