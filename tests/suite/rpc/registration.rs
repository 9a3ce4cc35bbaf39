//! Registering at a leader, try by try, and the link of an endpoint to a leader that it follows.

use super::{Pair, ms, pair, text};
use futures::channel::oneshot;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};
use wavetank::{
    gateway,
    host::sim::World,
    system::{
        leadership::{LeaderAddress, LeaderInformation, LeaderSessionId},
        protocol::RegistrationRefusal,
        registration::{LeaderLink, Numbers, RegistrationConfig, connect, register},
        rpc::{Context, Reply, RpcAddress, RpcEndpoint, RpcServer},
    },
};

const SESSION: LeaderSessionId = LeaderSessionId(1 << 96);

type Answered = Result<String, RegistrationRefusal>;

gateway! {
    /// Calls to a [`Leader`].
    pub gateway LeaderGateway serves LeaderHandler {
        /// One try to register.
        ask register(number: u64) -> Answered;
    }
}

/// What a leader does with a try.
#[derive(Clone, Copy)]
enum Answer {
    Accept,
    Fail,
    Reject,
    /// The reply is dropped.
    Err,
    /// The reply is kept.
    Silence,
}

/// When tries came, and their numbers.
type Tries = Arc<Mutex<Vec<(Duration, u64)>>>;

/// Answers tries in turn, and accepts all beyond.
struct Leader {
    world: World,
    answers: VecDeque<Answer>,
    tries: Tries,
    kept: Arc<Mutex<Vec<Reply<Answered>>>>,
}

impl RpcEndpoint for Leader {
    type Gateway = LeaderGateway;
}

impl LeaderHandler for Leader {
    fn register(&mut self, _: &mut Context<Self>, number: u64, reply: Reply<Answered>) {
        self.tries.lock().unwrap().push((self.world.elapsed(), number));
        match self.answers.pop_front().unwrap_or(Answer::Accept) {
            Answer::Accept => reply.ok(Ok(format!("accepted {number}"))),
            Answer::Fail => reply.ok(Err(RegistrationRefusal::Failure(text("not now")))),
            Answer::Reject => reply.ok(Err(RegistrationRefusal::Rejected(text("never")))),
            Answer::Err => drop(reply),
            Answer::Silence => self.kept.lock().unwrap().push(reply),
        }
    }
}

/// A leader of the server, and what it met with.
struct Led {
    tries: Tries,
    kept: Arc<Mutex<Vec<Reply<Answered>>>>,
    leader: LeaderInformation,
}

impl Led {
    fn new(pair: &Pair, answers: &[Answer]) -> Led {
        let led = Led::absent(pair);
        led.start(pair, answers);
        led
    }

    /// One that is not there yet.
    fn absent(pair: &Pair) -> Led {
        let address = RpcAddress::new(pair.server.address().clone(), "leader");
        let leader = LeaderInformation { session: SESSION, address: LeaderAddress::Rpc(address) };
        Led { tries: Tries::default(), kept: Arc::default(), leader }
    }

    fn start(&self, pair: &Pair, answers: &[Answer]) {
        let leader = Leader {
            world: pair.world.clone(),
            answers: answers.iter().copied().collect(),
            tries: self.tries.clone(),
            kept: self.kept.clone(),
        };
        let token = self.leader.session.token();
        let server = pair.server.start_permanently_fenced_server("leader", leader, token);
        server.expect("a free name").start();
    }

    /// Registers as an endpoint does, with numbers that grow.
    async fn register(&self, pair: &Pair) -> Result<String, String> {
        let mut number = 0;
        let call = move |gateway: &LeaderGateway| {
            number += 1;
            gateway.register(number)
        };
        let config = RegistrationConfig::default();
        register(&pair.client, &self.leader, config, call).await.map(|(_, answer)| answer)
    }

    fn numbers(&self) -> Vec<u64> {
        self.tries.lock().unwrap().iter().map(|(_, number)| *number).collect()
    }

    /// The times between the tries, in milliseconds.
    fn pauses(&self) -> Vec<u128> {
        let tries = self.tries.lock().unwrap();
        tries.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_millis()).collect()
    }
}

/// Whether times are about as expected: messages take up to 8 ms.
fn about(found: &[u128], expected: &[u128]) -> bool {
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| found.abs_diff(*expected) <= 8)
}

#[test]
fn a_registration_that_is_accepted_takes_one_try() {
    pair(async |pair| {
        let led = Led::new(&pair, &[]);
        assert_eq!(pair.at_once(led.register(&pair)).await.as_deref(), Ok("accepted 1"));
        pair.world.sleep(ms(10_000)).await;
        assert_eq!(led.numbers(), [1]);
    });
}

#[test]
fn a_registration_that_is_refused_is_tried_again_after_a_pause() {
    pair(async |pair| {
        let led = Led::new(&pair, &[Answer::Fail, Answer::Fail]);
        assert_eq!(led.register(&pair).await.as_deref(), Ok("accepted 3"));
        assert!(about(&led.pauses(), &[500, 500]), "{:?}", led.pauses());
    });
}

#[test]
fn a_registration_that_meets_an_error_is_tried_again_after_a_pause() {
    pair(async |pair| {
        let led = Led::new(&pair, &[Answer::Err]);
        assert_eq!(led.register(&pair).await.as_deref(), Ok("accepted 2"));
        assert!(about(&led.pauses(), &[500]), "{:?}", led.pauses());
    });
}

#[test]
fn a_try_without_an_answer_is_repeated_at_once_and_given_twice_the_time() {
    pair(async |pair| {
        let led = Led::new(&pair, &[Answer::Silence; 6]);
        assert_eq!(led.register(&pair).await.as_deref(), Ok("accepted 7"));
        let expected = [200, 400, 800, 1600, 3200, 5000];
        assert!(about(&led.pauses(), &expected), "{:?}", led.pauses());
    });
}

#[test]
fn a_rejection_ends_a_registration_with_the_leaders_words() {
    pair(async |pair| {
        let led = Led::new(&pair, &[Answer::Fail, Answer::Reject]);
        assert_eq!(led.register(&pair).await, Err(text("never")));
        pair.world.sleep(ms(10_000)).await;
        assert_eq!(led.numbers(), [1, 2]);
    });
}

#[test]
fn a_leader_that_is_not_there_yet_is_looked_for_until_it_is() {
    pair(async |pair| {
        let led = Led::absent(&pair);
        let registration = async {
            let begin = pair.world.elapsed();
            (led.register(&pair).await, pair.world.elapsed() - begin)
        };
        let appears = async {
            pair.world.sleep(ms(1200)).await;
            led.start(&pair, &[]);
        };
        let ((answer, took), ()) = futures::join!(registration, appears);
        assert_eq!(answer.as_deref(), Ok("accepted 1"));
        assert!(took >= ms(1200) && took < ms(1800), "{took:?}");
    });
}

#[test]
fn a_registration_that_is_given_up_is_tried_no_more() {
    pair(async |pair| {
        let led = Led::new(&pair, &[Answer::Silence; 100]);
        let host = pair.client.host();
        assert!(host.timeout(ms(300), led.register(&pair)).await.is_err());
        assert_eq!(led.numbers(), [1, 2]);
        pair.world.sleep(ms(10_000)).await;
        assert_eq!(led.numbers(), [1, 2]);
    });
}

gateway! {
    /// Calls to a [`Follower`].
    pub gateway FollowerGateway serves FollowerHandler {
        /// Answers.
        ask ping() -> ();
    }
}

/// What a registration came to.
type Heard = Arc<Mutex<Vec<Result<String, String>>>>;

/// Follows a leader.
struct Follower {
    link: LeaderLink<LeaderGateway>,
    heard: Heard,
}

impl RpcEndpoint for Follower {
    type Gateway = FollowerGateway;
}

impl FollowerHandler for Follower {
    fn ping(&mut self, _: &mut Context<Self>, reply: Reply<()>) {
        reply.ok(());
    }
}

impl Follower {
    fn start(pair: &Pair) -> (RpcServer<Follower>, Heard) {
        let heard = Heard::default();
        let follower =
            Follower { link: LeaderLink::new(&Numbers::default()), heard: heard.clone() };
        let server = pair.client.start_server("follower", follower).expect("a free name");
        server.start();
        (server, heard)
    }

    fn connect(&mut self, context: &Context<Self>) {
        let config = RegistrationConfig::default();
        let now = |follower: &Follower| Some(follower.link.connection());
        let call = |leader: &LeaderGateway, number| leader.register(number);
        connect(context, &self.link, config, now, call, |follower, _, registered| {
            let heard = registered.map(|(session, gateway, answer)| {
                assert_eq!(session, SESSION);
                follower.link.set_connected(gateway);
                answer
            });
            follower.heard.lock().unwrap().push(heard);
        });
    }
}

/// Does something to a follower and waits until it is done.
async fn follower(
    server: &RpcServer<Follower>,
    f: impl FnOnce(&mut Follower, &mut Context<Follower>) + Send + 'static,
) {
    let (done, is_done) = oneshot::channel();
    server.handle().run_without_fencing(move |follower, context| {
        f(follower, context);
        let _ = done.send(());
    });
    is_done.await.expect("the endpoint runs");
}

#[test]
fn a_follower_is_told_that_it_is_registered_or_rejected() {
    for (answer, expected) in
        [(Answer::Accept, Ok(text("accepted 2"))), (Answer::Reject, Err(text("never")))]
    {
        pair(async move |pair| {
            let led = Led::new(&pair, &[answer]);
            let (server, heard) = Follower::start(&pair);
            let leader = led.leader.clone();
            follower(&server, |follower, context| {
                follower.link.follow(Some(leader));
                follower.connect(context);
            })
            .await;
            pair.settle().await;
            let accepted = expected.is_ok();
            assert_eq!(*heard.lock().unwrap(), [expected]);
            follower(&server, move |follower, _| {
                assert_eq!(follower.link.connected().is_some(), accepted);
            })
            .await;
        });
    }
}

#[test]
fn a_closed_link_gives_its_registration_up_and_hears_of_no_late_answer() {
    pair(async |pair| {
        let led = Led::new(&pair, &[Answer::Silence]);
        let (server, heard) = Follower::start(&pair);
        let leader = led.leader.clone();
        follower(&server, |follower, context| {
            follower.link.follow(Some(leader));
            follower.connect(context);
        })
        .await;
        pair.settle().await;
        follower(&server, |follower, _| drop(follower.link.disconnect())).await;
        for reply in led.kept.lock().unwrap().drain(..) {
            reply.ok(Ok(text("late")));
        }
        pair.world.sleep(ms(10_000)).await;
        assert_eq!(led.numbers().len(), 1);
        assert!(heard.lock().unwrap().is_empty());
    });
}

#[test]
fn a_link_that_connects_anew_registers_anew_with_a_greater_number() {
    pair(async |pair| {
        let led = Led::new(&pair, &[]);
        let (server, heard) = Follower::start(&pair);
        let leader = led.leader.clone();
        follower(&server, |follower, _| follower.link.follow(Some(leader))).await;
        for round in 1..=3 {
            follower(&server, |follower, context| {
                follower.link.disconnect();
                follower.connect(context);
            })
            .await;
            pair.settle().await;
            assert_eq!(heard.lock().unwrap().len(), round);
        }
        let numbers = led.numbers();
        assert!(
            numbers.len() == 3 && numbers.is_sorted_by(|one, other| one < other),
            "{numbers:?}"
        );
    });
}
