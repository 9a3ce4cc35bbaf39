//! The names of targets, by role and by state.

use super::SYSTEMS;
use wavetank::harness::system::Target;

#[test]
fn every_name_reads_back_where_it_is_understood() {
    for system in SYSTEMS.all() {
        let known = system.targets();
        for words in &known {
            assert_eq!(Target::parse(&words.name, &known), Some(words.target), "{}", words.name);
            let third = words.name.replace('1', "3");
            let read = Target::parse(&third, &known).map(|target| target.to_string());
            assert_eq!(read, Some(third), "{}", words.name);
        }
        for wrong in ["journal-0", "job-manager-0", "nobody", "subtask", ""] {
            assert_eq!(Target::parse(wrong, &known), None, "{wrong}");
        }
    }
    let journal = SYSTEMS.all()[0].targets();
    for name in ["leader", "follower", "journals", "some-journals", "random-journal", "journal-2"] {
        assert!(Target::parse(name, &journal).is_some(), "{name}");
    }
    assert_eq!(Target::parse("job-master", &journal), None, "it is of another system");
}

#[test]
fn the_nodes_are_those_that_boot() {
    for system in SYSTEMS.all() {
        let text =
            format!("system = \"{}\"\ndescription = \"A test.\"\nheal-at = \"1s\"", system.name());
        let outcome = super::run(&text);
        let mut counted = std::collections::BTreeMap::<String, u64>::new();
        for name in outcome.nodes.values() {
            let role = name.trim_end_matches(|c: char| c.is_ascii_digit());
            *counted.entry(role.trim_end_matches('-').to_string()).or_default() += 1;
        }
        let scenario = SYSTEMS.parse(&text, std::path::Path::new("a.toml")).expect("it is sound");
        let told = scenario.system.nodes().into_iter().filter(|nodes| nodes.count.low > 0);
        let told = told.map(|nodes| (nodes.name.to_string(), nodes.count.low));
        assert_eq!(told.collect::<std::collections::BTreeMap<_, _>>(), counted);
    }
}

#[test]
fn every_default_reads_back_as_itself() {
    for system in SYSTEMS.all() {
        let head = format!("system = \"{}\"\ndescription = \"A test.\"\n", system.name());
        let settings = system.settings();
        let mut tables: Vec<&str> = settings.iter().map(|setting| setting.table).collect();
        tables.dedup();
        let written = tables.iter().map(|table| {
            let of = settings.iter().filter(|one| one.table == *table && one.only.is_none());
            let lines = of.filter_map(|s| Some(format!("{} = {}\n", s.key, s.default.as_ref()?)));
            format!("[{table}]\n{}", lines.collect::<String>())
        });
        let text = format!("{head}{}", written.collect::<String>());
        let path = std::path::Path::new("a.toml");
        let written = SYSTEMS.parse(&text, path).expect("the defaults are sound");
        let plain = SYSTEMS.parse(&head, path).expect("it is sound");
        assert_eq!(written.system, plain.system, "{text}");
    }
}
