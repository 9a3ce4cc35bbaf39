//! Linearizability (Herlihy and Wing): whether a history of calls that overlap could have come of an object that does
//! one call after the other, each at one moment between its begin and its answer.
//!
//! The search is that of Wing and Gong, with Lowe's memory: which calls are done and what the object is then is looked
//! at once. Histories of several objects are judged object by object, which is the same and takes far less.

use std::collections::BTreeSet;

/// An object that does one call after the other.
pub trait SequentialObject: Clone + Ord {
    /// What is asked of it.
    type Call;
    /// What it answers.
    type Answer: PartialEq;

    /// Does a call.
    fn call(&mut self, call: &Self::Call) -> Self::Answer;
}

/// One call, as the client saw it. Times are the places of events in one order of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<C, A> {
    /// What was asked.
    pub call: C,
    /// When.
    pub began: u64,
    /// When the answer came, and which. `None`: nobody knows; it is done at any moment after its begin, or never.
    pub answered: Option<(u64, A)>,
}

/// What is known of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linearizability {
    /// There is such an order.
    Linearizable {
        /// The operations that it has, by their places in the history.
        order: Vec<usize>,
    },
    /// There is none.
    Refuted {
        /// A longest order of a beginning, by places in the history.
        longest: Vec<usize>,
        /// The operations one of which would have to come next; none gets its answer then.
        next: Vec<usize>,
    },
    /// It was not found out in so many steps.
    Undecided {
        /// How many.
        steps: u64,
    },
}

/// Which operations are done.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Done(Vec<u64>);

impl Done {
    fn none_of(count: usize) -> Self {
        Done(vec![0; count.div_ceil(64)])
    }

    fn has(&self, place: usize) -> bool {
        self.0[place / 64] >> (place % 64) & 1 == 1
    }

    fn with(&self, place: usize) -> Self {
        let mut with = self.clone();
        with.0[place / 64] |= 1 << (place % 64);
        with
    }
}

/// Where the search stands: what is done, what the object is, and what was not tried there yet.
struct Place<S> {
    done: Done,
    object: S,
    untried: Vec<usize>,
}

/// Looks for an order in which an object that begins as `object` answers as the history says, in at most `steps_max`
/// steps.
pub fn linearizability<S: SequentialObject>(
    object: S,
    history: &[Operation<S::Call, S::Answer>],
    steps_max: u64,
) -> Linearizability {
    let mut seen = BTreeSet::new();
    let begin = Done::none_of(history.len());
    let untried = next_of(history, &begin);
    let mut path = vec![Place { done: begin, object, untried }];
    let mut order: Vec<usize> = Vec::new();
    let mut longest = Vec::new();
    let mut steps = 0;
    loop {
        let Some(place) = path.last_mut() else {
            let done = longest.iter().fold(Done::none_of(history.len()), |done, of| done.with(*of));
            return Linearizability::Refuted { next: next_of(history, &done), longest };
        };
        if (0..history.len()).all(|of| place.done.has(of) || history[of].answered.is_none()) {
            return Linearizability::Linearizable { order };
        }
        let Some(next) = place.untried.pop() else {
            path.pop();
            order.pop();
            continue;
        };
        steps += 1;
        if steps > steps_max {
            return Linearizability::Undecided { steps: steps_max };
        }
        let mut object = place.object.clone();
        let answer = object.call(&history[next].call);
        if history[next].answered.as_ref().is_some_and(|(_, expected)| *expected != answer) {
            continue;
        }
        let done = place.done.with(next);
        if !seen.insert((done.clone(), object.clone())) {
            continue;
        }
        order.push(next);
        if order.len() > longest.len() {
            longest.clone_from(&order);
        }
        let untried = next_of(history, &done);
        path.push(Place { done, object, untried });
    }
}

/// Those of which one may come next: they began before any other was answered that is not done. The last is tried first:
/// those that were answered before those of which nobody knows, which fit anywhere, and the earliest of each.
fn next_of<C, A>(history: &[Operation<C, A>], done: &Done) -> Vec<usize> {
    let left = || history.iter().enumerate().filter(|(place, _)| !done.has(*place));
    let answers = left().filter_map(|(_, operation)| operation.answered.as_ref());
    let first = answers.map(|(at, _)| *at).min().unwrap_or(u64::MAX);
    let mut next: Vec<((bool, u64), usize)> = left()
        .filter(|(_, operation)| operation.began <= first)
        .map(|(place, operation)| ((operation.answered.is_none(), operation.began), place))
        .collect();
    next.sort_unstable_by(|a, b| b.cmp(a));
    next.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Draws;

    /// An account that refuses to be overdrawn.
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
    struct Account(i64);

    impl SequentialObject for Account {
        /// What is added.
        type Call = i64;
        /// What is there then, or that it is refused.
        type Answer = Option<i64>;

        fn call(&mut self, call: &i64) -> Option<i64> {
            if self.0 + call < 0 {
                return None;
            }
            self.0 += call;
            Some(self.0)
        }
    }

    type Booking = Operation<i64, Option<i64>>;

    fn booked(call: i64, began: u64, at: u64, answer: Option<i64>) -> Booking {
        Operation { call, began, answered: Some((at, answer)) }
    }

    fn lost(call: i64, began: u64) -> Booking {
        Operation { call, began, answered: None }
    }

    fn judged(history: &[Booking]) -> Linearizability {
        linearizability(Account(0), history, 1_000_000)
    }

    fn stands(history: &[Booking]) -> bool {
        match judged(history) {
            Linearizability::Linearizable { order } => {
                let mut account = Account(0);
                for place in order {
                    let answer = account.call(&history[place].call);
                    let expected = &history[place].answered;
                    assert!(expected.as_ref().is_none_or(|(_, expected)| *expected == answer));
                }
                true
            }
            Linearizability::Refuted { .. } => false,
            Linearizability::Undecided { .. } => panic!("it is small"),
        }
    }

    #[test]
    fn one_after_the_other_answers_are_those_of_the_object() {
        let history = [booked(5, 1, 2, Some(5)), booked(-7, 3, 4, None), booked(-5, 5, 6, Some(0))];
        assert!(stands(&history));
        assert!(!stands(&[booked(5, 1, 2, Some(5)), booked(-5, 3, 4, None)]), "it has enough");
        assert!(!stands(&[booked(5, 1, 2, Some(5)), booked(5, 3, 4, Some(5))]), "one is lost");
    }

    #[test]
    fn those_that_overlap_may_come_in_either_order() {
        let late_first = [booked(5, 1, 4, Some(8)), booked(3, 2, 3, Some(3))];
        assert!(stands(&late_first));
        let apart = [booked(5, 1, 2, Some(8)), booked(3, 3, 4, Some(3))];
        assert!(!stands(&apart), "the first was answered before the second began");
    }

    #[test]
    fn what_nobody_knows_is_done_or_is_not_but_not_before_it_began() {
        assert!(stands(&[lost(5, 1), booked(3, 2, 3, Some(3))]), "not done");
        assert!(stands(&[lost(5, 1), booked(3, 2, 3, Some(8))]), "done");
        assert!(stands(&[lost(5, 1), booked(3, 2, 3, Some(3)), booked(1, 4, 5, Some(9))]), "late");
        assert!(!stands(&[booked(3, 1, 2, Some(8)), lost(5, 3)]), "it had not begun");
        let twice = [lost(5, 1), booked(1, 2, 3, Some(6)), booked(1, 4, 5, Some(12))];
        assert!(!stands(&twice), "it is done once");
    }

    #[test]
    fn a_refutation_shows_how_far_an_order_goes() {
        let history =
            [booked(5, 1, 2, Some(5)), booked(2, 3, 4, Some(7)), booked(1, 5, 6, Some(9))];
        let Linearizability::Refuted { longest, next } = judged(&history) else {
            panic!("7 and 1 are 8")
        };
        assert_eq!((longest, next), (vec![0, 1], vec![2]));
    }

    #[test]
    fn what_takes_too_long_is_not_called_sound() {
        let history: Vec<Booking> = (0..30).map(|of| booked(1 << of, of, 1000, Some(-1))).collect();
        let judged = linearizability(Account(0), &history, 1000);
        assert!(matches!(judged, Linearizability::Refuted { .. }), "no first one gets its answer");
        let mut history: Vec<Booking> = (0..30).map(|of| lost(1 << of, of)).collect();
        history.push(booked(1, 100, 101, Some(-1)));
        let judged = linearizability(Account(0), &history, 1000);
        assert_eq!(judged, Linearizability::Undecided { steps: 1000 });
    }

    /// The same by trying all orders of all subsets.
    fn by_all_orders(account: &Account, history: &[Booking], left: &[usize]) -> bool {
        if left.iter().all(|of| history[*of].answered.is_none()) {
            return true;
        }
        left.iter().any(|of| {
            let overtaken = left.iter().any(|other| {
                history[*other].answered.is_some_and(|(at, _)| at < history[*of].began)
            });
            let mut account = account.clone();
            let answer = account.call(&history[*of].call);
            let fits = history[*of].answered.is_none_or(|(_, expected)| expected == answer);
            let rest: Vec<usize> = left.iter().copied().filter(|other| other != of).collect();
            !overtaken && fits && by_all_orders(&account, history, &rest)
        })
    }

    #[test]
    fn it_finds_what_trying_all_orders_finds() {
        let (mut sound, mut unsound) = (0, 0);
        for seed in 0..3000 {
            let mut draws = Draws::new(seed, "history", [0, 0]);
            let count = 2 + draws.below(4);
            let history: Vec<Booking> = (0..count)
                .map(|number| {
                    let call = i64::try_from(draws.below(5)).unwrap() - 2;
                    // Begins and answers are at odd and even times, so that no two are at once.
                    let began = 2 * (draws.below(6) * 8 + number);
                    let at = began + 1 + 2 * draws.below(20) * 8;
                    let answer = i64::try_from(draws.below(4)).unwrap() - 1;
                    match draws.below(5) {
                        0 => lost(call, began),
                        _ => booked(call, began, at, (answer >= 0).then_some(answer)),
                    }
                })
                .collect();
            let left: Vec<usize> = (0..history.len()).collect();
            let expected = by_all_orders(&Account(0), &history, &left);
            assert_eq!(stands(&history), expected, "{history:?}");
            if expected { sound += 1 } else { unsound += 1 }
        }
        assert!(sound > 100 && unsound > 100, "{sound} {unsound}");
    }
}
