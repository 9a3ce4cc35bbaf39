//! What must come to be once all faults are lifted.

use super::model::Model;

/// What a healed cluster still waits for; `None` when it has converged: one leader, published and
/// known to every follower, and every client finished.
pub fn waits_for(model: &Model, clients: u32) -> Option<String> {
    let Some(latch) = model.latch() else { return Some("a holder of the latch".to_string()) };
    let leaders: Vec<_> = model.granted.iter().collect();
    match leaders[..] {
        [(_, session)] if *session == latch => {}
        [] => return Some("a contender that believes it leads".to_string()),
        [_] => return Some("the leader to learn that another term holds the latch".to_string()),
        _ => {
            return Some(format!(
                "{} contenders to learn that they no longer lead",
                leaders.len() - 1
            ));
        }
    }
    let Some(record) = model.record().filter(|record| record.session == latch) else {
        return Some("the leader to publish itself".to_string());
    };
    let wrong = model.notified.values().filter(|told| told.as_ref() != Some(&record)).count();
    if wrong > 0 {
        return Some(format!("{wrong} followers to learn who leads"));
    }
    let unfinished: Vec<String> = (1..=clients)
        .filter(|client| !model.finished.contains(client))
        .map(|client| {
            let lines = model.acknowledged.get(&client).copied().unwrap_or(0);
            format!("client {client} to finish ({lines} lines acknowledged)")
        })
        .collect();
    (!unfinished.is_empty()).then(|| unfinished.join(", "))
}
