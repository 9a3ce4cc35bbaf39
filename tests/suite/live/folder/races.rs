//! Processes that work in one folder at one time, held against what is promised.

use super::{
    Shared,
    history::{self, Answer, Call, Clock, Entry},
};
use crate::object_contract::{content, refused};
use bytes::Bytes;
use std::{
    fs,
    sync::{Arc, Barrier},
    thread,
};
use wavetank::{
    adapters::folder::FolderObjectStore,
    host::Draws,
    system::service::{
        ServiceError,
        object_store::{OBJECT_BYTES_MAX, ObjectStore, ObjectStoreRefusal, ObjectSum},
    },
};

#[test]
fn a_put_that_began_before_a_seal_and_comes_after_it_is_refused() {
    let shared = Shared::new("folder-late-put");
    let large = Bytes::from(vec![7; OBJECT_BYTES_MAX]);
    let mut late = 0;
    for round in 0..50 {
        let at = |place: &str| shared.root.join(place.replace('*', &round.to_string()));
        let (shared, large) = (&shared, large.clone());
        thread::scope(|scope| {
            let sealed = scope.spawn(move || {
                // As soon as the draft is there; whether the object was not yet when the mark was.
                while !at("objects/p*/a=#1").exists() && !at("objects/p*/a=").exists() {
                    thread::yield_now();
                }
                fs::write(at("sealed/p*="), "").expect("space");
                !at("objects/p*/a=").exists()
            });
            shared.race(1, |_, objects, _| {
                let large = large.clone();
                async move {
                    let put = objects.put(&format!("p{round}/a"), large).await;
                    assert!(
                        [Ok(()), refused(ObjectStoreRefusal::Sealed)].contains(&put),
                        "{put:?}"
                    );
                    let name = format!("objects/p{round}/a=");
                    let is_left = shared.root.join(name).exists();
                    assert_eq!(is_left, put.is_ok(), "round {round}");
                    fs::write(shared.folder.0.join("told"), format!("{}", put.is_ok()))
                        .expect("space");
                }
            });
            let is_late = sealed.join().expect("no panic");
            let told = fs::read_to_string(shared.folder.0.join("told")).expect("it was told");
            assert!(!(is_late && told == "true"), "round {round}: it came after the seal");
            late += u32::from(is_late);
        });
    }
    shared.race(1, |_, objects, _| async move {
        assert_eq!(objects.list("").await, Ok(vec![]), "nobody sees any of them");
    });
    assert!(late > 0, "no put was late");
}

/// Rounds of a race; each has names of its own.
const ROUNDS: u64 = 400;
const CLIENTS: u64 = 3;
const CALLS: u64 = 4;

fn draw_call(draws: &mut Draws, round: u64) -> Call {
    let all = ["p/a", "p/b", "q/a", "q"];
    let mut name = || format!("{round}/{}", draws.pick(&all));
    let (name, other) = (name(), name());
    let content = draws.below(2);
    match draws.below(20) {
        0..=6 => Call::Put(name, content),
        7..=9 => Call::Get(name),
        10..=12 => Call::Delete(name),
        13 => Call::Seal(format!("{round}/{}", draws.pick(&["p", "q", "q/a"]))),
        _ => Call::Rename(name, other, content),
    }
}

/// What a number stands for.
fn content_of(number: u64) -> Bytes {
    content(&format!("content {number}"))
}

async fn ask(objects: &FolderObjectStore, call: &Call) -> Answer {
    let nothing = |()| None;
    let told = match call {
        Call::Put(name, content) => objects.put(name, content_of(*content)).await.map(nothing),
        Call::Get(name) => objects.get(name).await.map(Some),
        Call::Delete(name) => objects.delete(std::slice::from_ref(name)).await.map(nothing),
        Call::Seal(prefix) => objects.seal(prefix).await.map(nothing),
        Call::Rename(from, to, content) => {
            let sum = ObjectSum::of(&content_of(*content));
            objects.rename(from, to, sum).await.map(nothing)
        }
    };
    match told {
        Ok(None) => Answer::Done,
        Ok(Some(found)) => {
            Answer::Content((0..2).find(|number| content_of(*number) == found).expect("it was put"))
        }
        Err(ServiceError::Refused(refusal)) => Answer::Refused(refusal),
        Err(ServiceError::NotDone(_) | ServiceError::Indeterminate(_)) => Answer::Unknown,
    }
}

#[test]
fn calls_of_processes_at_one_time_come_out_as_if_they_came_in_turn() {
    let shared = Shared::new("folder-race");
    let (clock, begins) = (Arc::new(Clock::default()), Arc::new(Barrier::new(CLIENTS as usize)));
    shared.race(CLIENTS, |client, objects, _| {
        let (clock, begins) = (clock.clone(), begins.clone());
        async move {
            for round in 0..ROUNDS {
                let mut draws = Draws::new(round, "calls", [client, 0]);
                begins.wait();
                for _ in 0..CALLS {
                    let call = draw_call(&mut draws, round);
                    let began = clock.tick();
                    let answer = ask(&objects, &call).await;
                    clock.note(round, Entry { call, answer, began, ended: clock.tick() });
                }
            }
        }
    });
    // What there is at last is told by calls that come after all of them.
    shared.race(1, |_, objects, _| {
        let clock = clock.clone();
        async move {
            for round in 0..ROUNDS {
                for name in ["p/a", "p/b", "q/a", "q"] {
                    let call = Call::Get(format!("{round}/{name}"));
                    let (began, answer) = (clock.tick(), ask(&objects, &call).await);
                    let listed = objects.list(&format!("{round}")).await.expect("a folder");
                    let is_listed = listed.contains(&format!("{round}/{name}"));
                    assert_eq!(is_listed, matches!(answer, Answer::Content(_)), "{round}/{name}");
                    clock.note(round, Entry { call, answer, began, ended: clock.tick() });
                }
            }
        }
    });
    let rounds = clock.rounds();
    assert_eq!(rounds.len() as u64, ROUNDS);
    let unknown = rounds.values().flatten().filter(|entry| entry.answer == Answer::Unknown);
    let unknown = unknown.count() as u64;
    assert!(unknown < ROUNDS / 4, "{unknown} calls have no answer");
    for (round, entries) in rounds {
        assert!(history::has_an_order(&entries), "round {round}: {entries:#?}");
    }
}

#[test]
fn one_of_many_puts_under_a_name_is_first() {
    let shared = Shared::new("folder-puts");
    let (winners, begins) = (Arc::new(Clock::default()), Arc::new(Barrier::new(4)));
    shared.race(4, |client, objects, _| {
        let (winners, begins) = (winners.clone(), begins.clone());
        async move {
            for round in 0..100 {
                begins.wait();
                // In a folder that none of them finds.
                let call = Call::Put(format!("{round}/deep/er/name"), client);
                let answer = ask(&objects, &call).await;
                winners.note(round, Entry { call, answer, began: 0, ended: 0 });
            }
        }
    });
    let shared = &shared;
    shared.race(1, |_, objects, _| {
        let winners = winners.clone();
        async move {
            for (round, entries) in winners.rounds() {
                let first: Vec<&Entry> =
                    entries.iter().filter(|entry| entry.answer == Answer::Done).collect();
                let [Entry { call: Call::Put(name, content), .. }] = first[..] else {
                    panic!("round {round}: {entries:?}")
                };
                let exists = Answer::Refused(ObjectStoreRefusal::Exists);
                assert_eq!(entries.iter().filter(|entry| entry.answer == exists).count(), 3);
                assert_eq!(objects.get(name).await, Ok(content_of(*content)), "round {round}");
            }
        }
    });
}

#[test]
fn of_renames_to_many_names_one_moves_the_object_and_nothing_is_lost() {
    let shared = Shared::new("folder-renames-race");
    let (told, begins) = (Arc::new(Clock::default()), Arc::new(Barrier::new(3)));
    shared.race(3, |client, objects, _| {
        let (told, begins) = (told.clone(), begins.clone());
        async move {
            for round in 0..100 {
                if client == 0 {
                    let put = objects.put(&format!("{round}/from"), content_of(1)).await;
                    assert_eq!(put, Ok(()));
                }
                begins.wait();
                let (from, to) = (format!("{round}/from"), format!("{round}/to/{client}"));
                let call = Call::Rename(from, to, 1);
                let answer = ask(&objects, &call).await;
                told.note(round, Entry { call, answer, began: 0, ended: 0 });
                begins.wait();
                let listed = objects.list(&format!("{round}")).await.expect("a folder");
                assert_eq!(listed.len(), 1, "round {round}: {listed:?}");
                assert_eq!(objects.get(&listed[0]).await, Ok(content_of(1)));
            }
        }
    });
    for (round, entries) in told.rounds() {
        let done = entries.iter().filter(|entry| entry.answer == Answer::Done).count();
        assert_eq!(done, 1, "round {round}: {entries:?}");
    }
}

#[test]
fn nothing_is_seen_under_a_prefix_once_its_seal_was_answered() {
    let shared = Shared::new("folder-seal-race");
    const WRITERS: u64 = 3;
    let begins = Arc::new(Barrier::new(WRITERS as usize + 1));
    shared.race(WRITERS + 1, |client, objects, _| {
        let begins = begins.clone();
        async move {
            for round in 0..60 {
                let prefix = format!("{round}/chk");
                begins.wait();
                if client == 0 {
                    let mut sealed = objects.seal(&prefix).await;
                    while !matches!(sealed, Ok(())) {
                        sealed = objects.seal(&prefix).await;
                    }
                    assert_eq!(objects.list(&format!("{round}")).await, Ok(vec![]));
                    for number in 0..WRITERS {
                        let name = format!("{prefix}/{}/0", number + 1);
                        assert_eq!(objects.get(&name).await, refused(ObjectStoreRefusal::NotFound));
                    }
                } else {
                    let mut number = 0;
                    loop {
                        let name = format!("{prefix}/{client}/{number}");
                        let call = Call::Put(name.clone(), 1);
                        match ask(&objects, &call).await {
                            Answer::Refused(ObjectStoreRefusal::Sealed) => break,
                            Answer::Done => number += 1,
                            Answer::Unknown => {}
                            answer => panic!("{name}: {answer:?}"),
                        }
                    }
                }
                begins.wait();
                assert_eq!(objects.list("").await, Ok(vec![]), "round {round}");
            }
        }
    });
    assert_eq!(shared.files("objects"), [""; 0], "and nothing is left");
}
