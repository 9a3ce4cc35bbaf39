//! Faults that a system brings.

use super::{
    SYSTEMS,
    faults::{JOB, mistake},
    run, times,
};
use std::path::Path;
use wavetank::harness::{fault::fault_kinds, scenario::FaultPlan};

const SWARM: &str = "system = \"cluster\"\ndescription = \"test\"\n[[job]]\nlines = 100\n[swarm]\n";

#[test]
fn a_client_cancels_and_submits_again_at_a_milestone() {
    let outcome = run(&format!(
        "{JOB}
        [[fault]]
        kind = \"submit-again\"
        target = \"client-1\"
        on = {{ milestone = \"checkpoint-completed\" }}
        [[fault]]
        kind = \"cancel-job\"
        target = \"client-1\"
        on = {{ milestone = \"checkpoint-triggered\", nth = 2 }}"
    ));
    assert!(outcome.expected, "{}", outcome.verdict);
    assert_eq!(times(&outcome, "cancellation-asked"), 1);
    assert_eq!(times(&outcome, "job-canceled"), 1);
    let entered = outcome.trace.iter().filter(|line| format!("{line:?}").contains("line-entered"));
    assert_eq!(entered.count(), 2);
}

#[test]
fn they_are_known_where_kinds_are_named() {
    let swarm =
        |keys: &str| SYSTEMS.parse(&format!("{SWARM}{keys}"), Path::new("scenarios/t.toml"));
    let drawn = |keys: &str| {
        let scenario = swarm(keys).unwrap_or_else(|mistake| panic!("{mistake}"));
        let faults = (0..40).flat_map(|seed| FaultPlan::draw(&scenario, seed).faults);
        faults.map(|fault| (fault.kind.name(), fault.to_string())).collect::<Vec<_>>()
    };
    let is_own = |(name, _): &&(&str, String)| ["cancel-job", "submit-again"].contains(name);
    let all = drawn("kinds = \"100%\"\nfaults = 20");
    let own: Vec<_> = all.iter().filter(is_own).collect();
    assert!(own.len() > 5, "{own:?}");
    assert!(own.iter().all(|(_, what)| what.contains("client")), "{own:?}");
    let without = "kinds = \"100%\"\nfaults = 20\nwithout = [\"cancel-job\", \"submit-again\"]";
    assert_eq!(drawn(without).iter().find(is_own), None);
    let told = swarm("without = [\"cancel-jobs\"]").expect_err("no kind of that name").to_string();
    assert!(told.contains("\"cancel-jobs\"; did you mean \"cancel-job\"?"), "{told}");
    let kinds = |name: &str| {
        let system = SYSTEMS.all().iter().find(|system| system.name() == name).expect("registered");
        fault_kinds(*system).into_iter().any(|kind| kind.name == "cancel-job")
    };
    assert!(kinds("cluster") && !kinds("journal"));
    assert!(
        mistake("[[fault]]\nkind = \"cancel-job\"\nat = \"1s\"")
            .contains("there is no \"cancel-job\"")
    );
}

#[test]
fn only_nodes_of_its_role_are_struck() {
    let fault =
        "[[fault]]\nkind = \"cancel-job\"\ntarget = \"log\"\nat = \"1s\"\nduration = \"0s\"";
    let told = SYSTEMS.parse(&format!("{JOB}{fault}"), Path::new("scenarios/t.toml"));
    let told = told.expect_err("the log cancels no job").to_string();
    assert!(told.contains("log is no client, and \"cancel-job\" strikes only those"), "{told}");
}
