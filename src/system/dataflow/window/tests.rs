//! Windows on a chain that is called record by record.

use super::{
    super::{
        data::Data,
        operator::Managed,
        output_tag::OutputTag,
        process::ProcessStage,
        side_output::{SideOutput, WithSideOutputs},
        stage::{Collector, Downstream, Scope, Stage},
        time::Timestamp,
    },
    Aggregate, WindowAssigner, WindowContext, WindowFunction,
    functions::{Collecting, EmitResult, Reducing},
    operator::WindowOperator,
};
use crate::system::{dataflow::Result, graph::OperatorState, ids::CheckpointId};
use futures::FutureExt;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// A number of a key.
type Record = (char, u64);

/// What came, and at which event time.
struct Seen<T>(Arc<Mutex<Vec<(T, i64)>>>);

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Seen(self.0.clone())
    }
}

impl<T: Send> Seen<T> {
    fn new() -> Self {
        Seen(Arc::default())
    }

    fn take(&self) -> Vec<(T, i64)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl<T: Send> Downstream for Seen<T> {
    fn add_managed<'a>(&'a mut self, _: &mut Vec<&'a mut dyn Managed>) {}
}

impl<T: Send> Stage<T> for Seen<T> {
    fn process(&mut self, value: T, time: Option<Timestamp>, _: &mut Scope) {
        let Timestamp(time) = time.expect("what comes of windows has a time");
        self.0.lock().unwrap().push((value, time));
    }
}

/// Windows by the letter of each record, and what came of them.
struct Windows<U> {
    stage: Box<dyn Stage<Record>>,
    out: Seen<U>,
    late: Seen<Record>,
    scope: Scope,
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn windows<A, W>(
    assigner: WindowAssigner,
    lateness: u64,
    aggregate: A,
    function: W,
) -> Windows<W::Out>
where
    A: Aggregate<Record>,
    W: WindowFunction<char, A::Out>,
{
    let (out, late, tag) = (Seen::new(), Seen::new(), OutputTag::new("late"));
    let side = SideOutput::<Record>::new(tag.id(), Box::new(late.clone()));
    let next = WithSideOutputs::new(Box::new(out.clone()), vec![Box::new(side)]);
    let late_tag = Some(tag);
    let lateness = ms(lateness);
    let operator =
        WindowOperator { assigner, lateness, late: late_tag, aggregate, function, context: None };
    let key = |record: &Record| record.0;
    let stage = ProcessStage::<char, Record, _, _>::new("windows", operator, key, Box::new(next));
    Windows { stage: Box::new(stage), out, late, scope: Scope::new(&[]) }
}

fn sums(assigner: WindowAssigner, lateness: u64) -> Windows<Record> {
    let sum = |a: Record, b: Record| (a.0, a.1 + b.1);
    windows(assigner, lateness, Reducing(sum), EmitResult)
}

impl<U: Data> Windows<U> {
    fn record(&mut self, key: char, number: u64, time: i64) {
        self.scope.begin(Timestamp(0));
        self.stage.process((key, number), Some(Timestamp(time)), &mut self.scope);
        assert_eq!(self.scope.end(), Ok(false));
    }

    /// What fires as the watermark grows to this.
    fn watermark(&mut self, watermark: i64) -> Vec<(U, i64)> {
        self.scope.begin(Timestamp(0));
        self.stage.watermark(Timestamp(watermark), &mut self.scope);
        assert_eq!(self.scope.end(), Ok(false));
        self.out.take()
    }

    /// The keyed state: nothing when no window is kept.
    fn state(&mut self) -> OperatorState {
        let mut all = Vec::new();
        self.stage.add_managed(&mut all);
        let snapshot = all[0].snapshot(CheckpointId(1)).now_or_never();
        snapshot.expect("it waits for nothing").expect("it can be encoded")
    }
}

#[test]
fn a_tumbling_window_fires_once_when_the_watermark_passes_its_end() {
    let mut windows = sums(WindowAssigner::tumbling(ms(10)), 0);
    windows.record('a', 1, 9);
    windows.record('b', 2, 3);
    windows.record('a', 4, 10);
    windows.record('a', 8, 0);
    assert_eq!(windows.watermark(8), []);
    assert_eq!(windows.watermark(9), [(('a', 9), 9), (('b', 2), 9)]);
    assert_eq!((windows.watermark(18), windows.watermark(30)), (vec![], vec![(('a', 4), 19)]));
    assert_eq!(windows.watermark(100), []);
    assert!(windows.state().keyed.is_empty(), "nothing is kept of what has fired");
}

#[test]
fn a_late_record_goes_to_the_side_output_and_changes_nothing() {
    let mut windows = sums(WindowAssigner::tumbling(ms(10)), 0);
    windows.record('a', 1, 5);
    windows.watermark(9);
    windows.record('a', 2, 6);
    windows.record('a', 4, 10);
    assert_eq!(windows.late.take(), [(('a', 2), 6)]);
    assert_eq!(windows.watermark(19), [(('a', 4), 19)]);
}

#[test]
fn an_allowed_late_record_fires_again_until_the_window_is_dropped() {
    let mut windows = sums(WindowAssigner::tumbling(ms(10)), 5);
    windows.record('a', 1, 5);
    assert_eq!(windows.watermark(9), [(('a', 1), 9)]);
    windows.record('a', 2, 6);
    assert_eq!(windows.out.take(), [(('a', 3), 9)], "at once, with all of the window");
    assert_eq!(windows.watermark(13), [], "and not again");
    windows.record('a', 4, 7);
    assert_eq!(windows.out.take(), [(('a', 7), 9)]);
    assert!(!windows.state().keyed.is_empty());
    assert_eq!(windows.watermark(14), []);
    assert!(windows.state().keyed.is_empty(), "the end and the lateness are over");
    windows.record('a', 8, 8);
    assert_eq!((windows.out.take(), windows.late.take()), (vec![], vec![(('a', 8), 8)]));
}

#[test]
fn a_record_is_in_every_sliding_window_around_it_and_late_for_none_or_all() {
    let mut windows = sums(WindowAssigner::sliding(ms(10), ms(5)), 0);
    windows.record('a', 1, 7);
    windows.record('a', 2, 12);
    assert_eq!(windows.watermark(9), [(('a', 1), 9)]);
    windows.record('a', 4, 8);
    assert!(windows.late.take().is_empty(), "one of its windows is there still");
    assert_eq!(windows.watermark(30), [(('a', 7), 14), (('a', 2), 19)]);
    windows.record('a', 8, 20);
    assert_eq!(windows.late.take(), [(('a', 8), 20)]);
    let mut apart = sums(WindowAssigner::sliding(ms(2), ms(5)), 0);
    apart.record('a', 1, 3);
    assert_eq!((apart.watermark(50), apart.late.take()), (vec![], vec![]), "between two windows");
}

/// Tells the window beside its numbers.
#[derive(Clone)]
struct Spans;

impl WindowFunction<char, Vec<Record>> for Spans {
    type Out = (char, i64, i64, Vec<u64>);

    fn process(
        &mut self,
        context: &WindowContext<'_, char>,
        records: Vec<Record>,
        out: &mut Collector<'_, Self::Out>,
    ) -> Result<()> {
        let mut numbers: Vec<u64> = records.into_iter().map(|(_, number)| number).collect();
        numbers.sort_unstable();
        let window = context.window;
        out.emit((*context.key, window.start.0, window.end.0, numbers));
        Ok(())
    }
}

fn sessions(gap: u64, lateness: u64) -> Windows<(char, i64, i64, Vec<u64>)> {
    windows(WindowAssigner::session(ms(gap)), lateness, Collecting::new(), Spans)
}

#[test]
fn sessions_that_touch_become_one_and_fire_once() {
    let mut windows = sessions(10, 0);
    windows.record('a', 1, 0);
    windows.record('a', 2, 30);
    windows.record('b', 3, 15);
    windows.record('a', 4, 18);
    assert_eq!(windows.watermark(8), []);
    // It ties the first to the one that begins where it ends.
    windows.record('a', 5, 10);
    assert_eq!(windows.watermark(20), []);
    assert_eq!(windows.watermark(24), [(('b', 15, 25, vec![3]), 24)]);
    assert_eq!(windows.watermark(27), [(('a', 0, 28, vec![1, 4, 5]), 27)]);
    assert_eq!(windows.watermark(90), [(('a', 30, 40, vec![2]), 39)]);
    assert!(windows.state().keyed.is_empty());
}

#[test]
fn a_session_that_has_fired_grows_by_what_is_allowed_and_fires_at_its_new_end() {
    let mut windows = sessions(10, 20);
    windows.record('a', 1, 0);
    assert_eq!(windows.watermark(12), [(('a', 0, 10, vec![1]), 9)]);
    windows.record('a', 2, 2);
    assert_eq!(windows.out.take(), [(('a', 0, 12, vec![1, 2]), 11)], "its end has passed too");
    windows.record('a', 3, 9);
    assert_eq!(windows.out.take(), [], "its end is to come");
    assert_eq!(windows.watermark(18), [(('a', 0, 19, vec![1, 2, 3]), 18)]);
    assert_eq!(windows.watermark(37), []);
    assert!(!windows.state().keyed.is_empty());
    assert_eq!(windows.watermark(38), []);
    assert!(windows.state().keyed.is_empty());
}

#[test]
fn a_late_record_that_touches_a_session_that_is_kept_is_part_of_it() {
    let mut windows = sessions(10, 0);
    windows.record('a', 1, 20);
    windows.watermark(25);
    windows.record('a', 2, 12);
    windows.record('a', 3, 5);
    assert_eq!(windows.late.take(), [], "both are of the session, the second by the first");
    windows.record('b', 4, 12);
    assert_eq!(windows.late.take(), [(('b', 4), 12)]);
    assert_eq!(windows.watermark(29), [(('a', 5, 30, vec![1, 2, 3]), 29)]);
}

#[test]
fn a_record_without_a_time_fails_the_task() {
    let mut windows = sums(WindowAssigner::tumbling(ms(10)), 0);
    windows.scope.begin(Timestamp(0));
    windows.stage.process(('a', 1), None, &mut windows.scope);
    assert!(windows.scope.end().is_err());
}

mod against_a_batch {
    use super::*;
    use proptest::prelude::*;

    /// Sessions of numbers whose times are never further out of order than is waited for, computed from all of them.
    fn batch(records: &[(char, i64)], gap: i64) -> BTreeMap<(char, i64, i64), Vec<u64>> {
        let mut sorted: Vec<_> =
            (0_u64..).zip(records).map(|(n, (key, at))| (*key, *at, n)).collect();
        sorted.sort_unstable();
        let mut sessions = BTreeMap::<(char, i64, i64), Vec<u64>>::new();
        for (key, at, number) in sorted {
            let before = sessions.last_key_value().map(|(session, _)| *session);
            let joined = before.filter(|(of, _, end)| *of == key && at <= *end);
            let mut numbers = joined.and_then(|old| sessions.remove(&old)).unwrap_or_default();
            numbers.push(number);
            sessions.insert((key, joined.map_or(at, |(_, start, _)| start), at + gap), numbers);
        }
        sessions
    }

    proptest! {
        #[test]
        fn sessions_are_those_of_the_whole_whatever_the_order(
            steps in prop::collection::vec((0..6_i64, 0..20_i64, 0..3_u8), 1..80),
        ) {
            let (mut windows, mut latest, mut records) = (sessions(7, 0), 0, Vec::new());
            let mut found = BTreeMap::new();
            for (number, (step, behind, key)) in (0..).zip(steps) {
                // Even times and an odd gap: a record that comes just a gap behind joins what has not fired yet.
                latest += step * 2;
                let (key, at) = (char::from(b'a' + key), latest - behind * 2);
                records.push((key, at));
                windows.record(key, number, at);
                let fired = windows.watermark(latest - 40);
                found.extend(fired.into_iter().map(|((key, start, end, numbers), _)| {
                    ((key, start, end), numbers)
                }));
            }
            let last = windows.watermark(i64::MAX);
            found.extend(last.into_iter().map(|((key, start, end, all), _)| ((key, start, end), all)));
            prop_assert!(windows.late.take().is_empty());
            let mut expected = batch(&records, 7);
            expected.values_mut().for_each(|numbers| numbers.sort_unstable());
            prop_assert_eq!(found, expected);
        }
    }
}
