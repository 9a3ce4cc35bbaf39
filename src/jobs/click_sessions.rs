//! Click sessions: clicks of users with an event time, out of order and some too late, put into a session window for
//! each user.
//!
//! A record of the input is `USER TIME NUMBER`, the time in milliseconds; the number tells clicks of one user at one time
//! apart. A session comes out as `session USER START END TIME:NUMBER …`, again with all its clicks for each one that
//! comes later than the session's end and is allowed; a click that is too late as `late USER TIME:NUMBER`. Both go to the
//! same partition of the output, through a sink of their own each.
//!
//! Which of the clicks that are further out of order than is waited for are late depends on what other partitions hold,
//! so the job's oracle ([`Oracle`]) asks more of the others: while no partition is idle they are never late, and form
//! just the sessions that a look at all of them finds. Every click comes out, in one place.

use super::{
    common::{
        FailedAttempts, FailureInjection, FaultyOperator, JobArguments, JobOracle, JobSettings,
        Topics, job_of,
    },
    job::Job,
};
use crate::system::{
    connector::{Input, LogSink},
    dataflow::{
        Collector, Failure, OutputTag, Program, ProgramError, Result, StreamEnv, Text, Timestamp,
        WatermarkStrategy, WindowAssigner, WindowContext, WindowFunction,
    },
    graph::JobGraph,
    ids::JobId,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

/// A session whose clicks are no more can be written in one record.
pub const CLICKS_MAX: usize = 500;
/// The longest name of a user, in bytes.
pub const USER_BYTES_MAX: usize = 200;

/// The topics of the click sessions of a number, from 1: `clicks` and `sessions` of the first.
pub fn topics(number: u32) -> Topics {
    Topics::numbered("clicks", "sessions", number)
}

/// What a session is, and how late a click may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSettings {
    /// A session ends so long behind its last click; whole milliseconds.
    pub gap: Duration,
    /// How much earlier than the latest click of its partition a click may be that is waited for.
    pub out_of_orderness: Duration,
    /// For how long a session is kept behind its end.
    pub lateness: Duration,
    /// A partition without a click for so long is idle; never if it is not said.
    pub idleness: Option<Duration>,
}

impl SessionSettings {
    /// Sessions that end ten seconds behind their last click, and are kept for a minute.
    fn example() -> Self {
        SessionSettings {
            gap: Duration::from_secs(10),
            out_of_orderness: Duration::from_secs(2),
            lateness: Duration::from_secs(60),
            idleness: None,
        }
    }
}

/// What the job is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Arguments {
    input: Input,
    output: String,
    #[serde(default)]
    failures: FailureInjection,
    sessions: SessionSettings,
}

/// A click.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Click {
    /// Who clicked.
    pub user: Text,
    /// When, in milliseconds since the epoch.
    pub time: i64,
    /// Which of the user's clicks at that time.
    pub number: u64,
}

impl Click {
    /// Reads one; `None` if the line is none.
    pub fn parse(line: &[u8]) -> Option<Click> {
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        let (user, time, number) = (words.next()?, words.next()?, words.next()?);
        let is_whole = words.next().is_none() && (1..=USER_BYTES_MAX).contains(&user.len());
        let click =
            Click { user: user.into(), time: time.parse().ok()?, number: number.parse().ok()? };
        is_whole.then_some(click)
    }
}

/// Clicks of a user that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    user: Text,
    start: i64,
    end: i64,
    /// Time and number of each, in order.
    clicks: Vec<(i64, u64)>,
}

/// The program. Functions that fail on purpose remember in `failed` that they have.
pub fn program(failed: &FailedAttempts) -> Program {
    let failed = failed.clone();
    let program =
        Program::new("click-sessions", 1, move |env, arguments| describe(env, arguments, &failed));
    let JobArguments { input, output, failures } = JobArguments::example("sessions");
    program.with_example(&Arguments {
        input,
        output,
        failures,
        sessions: SessionSettings::example(),
    })
}

/// The job of this program, for whoever runs it live.
pub(super) fn job() -> Job {
    Job::with_own_settings(program(&FailedAttempts::default()))
        .about("Put clicks, lines such as `ada 1500 1` (user, time in ms, number), into sessions")
        .writes(
            "a session as `session USER START END TIME:NUMBER ...`, again for each allowed click that comes later, and a \
             click that is too late as `late USER TIME:NUMBER`",
        )
        .arguments(json!({ "sessions": SessionSettings::example() }))
        .reads(|line| {
            let none = || "it is no click, such as `ada 1500 1`".to_string();
            Click::parse(line).map(drop).ok_or_else(none)
        })
}

fn describe(env: &mut StreamEnv, arguments: &Arguments, failed: &FailedAttempts) -> Result<()> {
    let Arguments { input, output, failures, sessions } = arguments;
    let late = OutputTag::<Click>::new("late-clicks");
    let mut lines = env.source("source", input.source()?);
    if *failures != FailureInjection::default() {
        lines = lines.apply("faulty-lines", FaultyOperator::new(failures.clone(), failed));
    }
    let mut strategy = WatermarkStrategy::for_bounded_out_of_orderness(
        sessions.out_of_orderness,
        |click: &Click| Timestamp(click.time),
    );
    if let Some(timeout) = sessions.idleness {
        strategy = strategy.with_idleness(timeout);
    }
    let of_users = lines
        .try_flat_map("clicks", |line: Bytes, out: &mut Collector<'_, Click>| {
            let click = Click::parse(&line).ok_or_else(|| Failure::new("a line is no click"))?;
            out.emit(click);
            Ok(())
        })
        .assign_timestamps_and_watermarks("event-time", strategy)
        .key_by(|click| click.user.clone())
        .window(WindowAssigner::session(sessions.gap))
        .allowed_lateness(sessions.lateness)
        .side_output_late_data(&late)
        .process("sessions", Sessions);
    of_users.sink("sink", LogSink::encoding(output, write_session));
    of_users.side_output(&late).sink("late-sink", LogSink::encoding(output, write_late));
    Ok(())
}

/// The sessions of the clicks that `input` says, into a topic.
///
/// # Errors
/// When the parallelism is out of bounds, or there is nothing to read.
pub fn click_sessions(
    id: JobId,
    input: Input,
    output: &str,
    settings: &JobSettings,
    sessions: SessionSettings,
    failures: FailureInjection,
) -> Result<JobGraph, ProgramError> {
    let arguments = Arguments { input, output: output.to_string(), failures, sessions };
    job_of(&program(&FailedAttempts::default()), id, &arguments, settings)
}

/// Makes a session of the clicks of a window.
#[derive(Clone, Debug)]
struct Sessions;

impl WindowFunction<Text, Vec<Click>> for Sessions {
    type Out = Session;

    fn process(
        &mut self,
        context: &WindowContext<'_, Text>,
        clicks: Vec<Click>,
        out: &mut Collector<'_, Session>,
    ) -> Result<()> {
        let mut clicks: Vec<_> = clicks.iter().map(|click| (click.time, click.number)).collect();
        clicks.sort_unstable();
        let (start, end) = (context.window.start.0, context.window.end.0);
        out.emit(Session { user: context.key.clone(), start, end, clicks });
        Ok(())
    }
}

fn write_session(session: &Session) -> Result<Bytes> {
    let Session { user, start, end, clicks } = session;
    let mut text = format!("session {user} {start} {end}");
    for (time, number) in clicks {
        write!(text, " {time}:{number}")?;
    }
    Ok(Bytes::from(text))
}

fn write_late(click: &Click) -> Result<Bytes> {
    let Click { user, time, number } = click;
    Ok(Bytes::from(format!("late {user} {time}:{number}")))
}

/// Where a click has come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Late,
    /// In the session of that number, from 0.
    Session(usize),
}

/// A click of the input.
#[derive(Clone, Debug)]
struct Made {
    /// It is no further out of order than is waited for.
    on_time: bool,
    place: Option<Place>,
}

/// Follows the output of click sessions.
#[derive(Clone, Debug)]
pub struct Oracle {
    settings: SessionSettings,
    /// The latest time of each partition.
    latest: BTreeMap<u32, i64>,
    /// By user, time and number.
    clicks: BTreeMap<(String, i64, u64), Made>,
    sessions: usize,
}

fn whole_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Oracle {
    /// For a job that was told so.
    pub fn new(settings: SessionSettings) -> Self {
        Oracle { settings, latest: BTreeMap::new(), clicks: BTreeMap::new(), sessions: 0 }
    }

    fn made(&mut self, user: &str, click: &str) -> Result<((i64, u64), &mut Made), String> {
        let read = || -> Option<(i64, u64)> {
            let (time, number) = click.split_once(':')?;
            Some((time.parse().ok()?, number.parse().ok()?))
        };
        let (time, number) = read().ok_or_else(|| format!("{click:?} is no click"))?;
        let made = self.clicks.get_mut(&(user.to_string(), time, number));
        Ok(((time, number), made.ok_or_else(|| format!("{user} never clicked at {click}"))?))
    }

    fn late(&mut self, user: &str, click: &str) -> Result<(), String> {
        let (_, made) = self.made(user, click)?;
        match (made.place, made.on_time) {
            (Some(_), _) => Err(format!("the click of {user} at {click} comes twice")),
            (None, true) => Err(format!("the click of {user} at {click} was on time")),
            (None, false) => {
                made.place = Some(Place::Late);
                Ok(())
            }
        }
    }

    fn session(&mut self, user: &str, start: i64, end: i64, clicks: &[&str]) -> Result<(), String> {
        let (mut times, mut before, mut has_news) = (Vec::new(), BTreeSet::new(), false);
        for click in clicks {
            let (key, made) = self.made(user, click)?;
            times.push(key);
            match made.place {
                Some(Place::Late) => {
                    return Err(format!("the click of {user} at {click} was late before"));
                }
                Some(Place::Session(session)) => drop(before.insert(session)),
                None => has_news = true,
            }
        }
        let gap = whole_millis(self.settings.gap);
        let in_reach = |pair: &[(i64, u64)]| pair[0] < pair[1] && pair[1].0 - pair[0].0 <= gap;
        let first_and_last = times.first().zip(times.last());
        let spans = first_and_last
            .is_some_and(|(first, last)| first.0 == start && last.0.saturating_add(gap) == end);
        if !spans || !times.windows(2).all(in_reach) {
            return Err(format!("no session of {user} goes from {start} to {end}"));
        }
        if !has_news {
            return Err(format!("the session of {user} from {start} comes again with nothing new"));
        }
        let is_part = |((_, time, number), made): (&(String, i64, u64), &Made)| {
            let is_before = |session| before.contains(&session);
            matches!(made.place, Some(Place::Session(session)) if is_before(session))
                && times.binary_search(&(*time, *number)).is_err()
        };
        if self.of_user(user).any(is_part) {
            return Err(format!("the session of {user} from {start} lacks clicks that it had"));
        }
        for (time, number) in times {
            let made = self.clicks.get_mut(&(user.to_string(), time, number));
            made.expect("it was found before").place = Some(Place::Session(self.sessions));
        }
        self.sessions += 1;
        Ok(())
    }

    fn of_user(&self, user: &str) -> impl Iterator<Item = (&(String, i64, u64), &Made)> {
        let first = (user.to_string(), i64::MIN, 0);
        let last = (user.to_string(), i64::MAX, u64::MAX);
        self.clicks.range(first..=last)
    }

    /// Two clicks on time that are of one session and came out in two.
    fn torn(&self) -> Option<String> {
        let gap = whole_millis(self.settings.gap);
        let on_time: Vec<_> = self.clicks.iter().filter(|(_, made)| made.on_time).collect();
        on_time.windows(2).find_map(|pair| {
            let [((user, time, _), made), ((other, next, _), next_made)] = pair else {
                return None;
            };
            let apart = user == other && next - time < gap && made.place != next_made.place;
            apart.then(|| format!("the clicks of {user} at {time} and {next} are one session"))
        })
    }
}

impl JobOracle for Oracle {
    fn promise(&self) -> &'static str {
        "each click comes out once, in the session of those around it or as late"
    }

    fn input(&mut self, partition: u32, record: &[u8]) {
        let Some(Click { user, time, number }) = Click::parse(record) else { return };
        let latest = self.latest.entry(partition).or_insert(time);
        let waited = latest.saturating_sub(whole_millis(self.settings.out_of_orderness));
        // Nobody waits for a partition that may be idle.
        let on_time = self.settings.idleness.is_none() && time >= waited;
        *latest = time.max(*latest);
        self.clicks.insert((user.to_string(), time, number), Made { on_time, place: None });
    }

    fn output(&mut self, _: u32, record: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(record);
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["late", user, click] => self.late(user, click),
            ["session", user, start, end, ref clicks @ ..] => {
                let time = |word: &str| {
                    word.parse::<i64>().map_err(|_| format!("{word:?} is no time of a session"))
                };
                self.session(user, time(start)?, time(end)?, clicks)
            }
            _ => Err(format!("{text:?} is neither a session nor a late click")),
        }
    }

    fn missing(&self) -> Option<String> {
        let lost = self.clicks.iter().find(|(_, made)| made.place.is_none());
        let lost =
            lost.map(|((user, time, _), _)| format!("the click of {user} at {time} is lost"));
        lost.or_else(|| self.torn())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::connector::LogSourceParameters;

    const SETTINGS: SessionSettings = SessionSettings {
        gap: Duration::from_millis(10),
        out_of_orderness: Duration::from_millis(5),
        lateness: Duration::from_millis(20),
        idleness: None,
    };

    /// Clicks of one user in two partitions; the last one is further out of order than is waited for.
    fn clicked(settings: SessionSettings) -> Oracle {
        let mut oracle = Oracle::new(settings);
        for (partition, line) in [(0, "a 10 1"), (1, "a 18 2"), (0, "a 40 3"), (0, "a 20 4")] {
            oracle.input(partition, line.as_bytes());
        }
        oracle
    }

    fn told(oracle: &Oracle, lines: &[&str]) -> Result<Oracle, String> {
        let mut oracle = oracle.clone();
        lines.iter().try_for_each(|line| oracle.output(0, line.as_bytes()))?;
        Ok(oracle)
    }

    #[test]
    fn the_job_is_a_chain_of_clicks_their_windows_and_two_sinks() {
        let input = Input::Log(LogSourceParameters::new("in", vec![1, 1]));
        let settings = JobSettings { parallelism: 2, ..JobSettings::default() };
        let job = click_sessions(
            JobId(1),
            input,
            "out",
            &settings,
            SETTINGS,
            FailureInjection::default(),
        );
        let job = job.expect("it can run");
        let names: Vec<&str> = job.vertices.iter().map(|vertex| vertex.name.as_str()).collect();
        assert_eq!(names, ["source -> clicks -> event-time", "sessions", "sink", "late-sink"]);
    }

    #[test]
    fn clicks_are_read_and_other_lines_are_not() {
        let click = Click { user: "a".into(), time: -3, number: 7 };
        assert_eq!(Click::parse(b"a -3 7"), Some(click));
        for line in [&b"a 3"[..], b" 3 7", b"a 3 7 9", b"a b 7", b"a 3 -7", b"\xff 3 7", b""] {
            assert_eq!(Click::parse(line), None);
        }
    }

    #[test]
    fn sessions_and_late_clicks_are_accepted_until_nothing_is_missing() {
        let oracle = clicked(SETTINGS);
        assert_eq!(oracle.missing().as_deref(), Some("the click of a at 10 is lost"));
        let begun = told(&oracle, &["session a 10 28 10:1 18:2"]).unwrap();
        assert_eq!(begun.missing().as_deref(), Some("the click of a at 20 is lost"));
        let late = told(&begun, &["late a 20:4", "session a 40 50 40:3"]).unwrap();
        assert_eq!(late.missing(), None);
        let allowed = told(&begun, &["session a 10 30 10:1 18:2 20:4", "session a 40 50 40:3"]);
        assert_eq!(allowed.unwrap().missing(), None);
    }

    #[test]
    fn what_comes_twice_too_early_or_as_nobody_clicked_is_refused() {
        let begun =
            told(&clicked(SETTINGS), &["session a 10 28 10:1 18:2", "late a 20:4"]).unwrap();
        for wrong in [
            "session a 10 28 10:1 18:2",
            "late a 18:2",
            "late a 20:4",
            "late a 40:3",
            "session a 10 30 10:1 18:2 20:4",
            "session a 40 49 40:3",
            "session a 40 51 40:3 41:9",
            "session b 40 50 40:3",
            "session a 40 50",
            "click a 40:3",
        ] {
            assert!(told(&begun, &[wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_session_that_grows_has_all_its_clicks_and_one_that_is_torn_is_missed() {
        let begun = told(&clicked(SETTINGS), &["session a 10 28 10:1 18:2"]).unwrap();
        assert!(told(&begun, &["session a 18 30 18:2 20:4"]).is_err(), "it lacks one");
        assert!(told(&begun, &["session a 10 50 10:1 18:2 40:3"]).is_err(), "too far apart");
        let torn = ["session a 10 20 10:1", "session a 18 30 18:2 20:4", "session a 40 50 40:3"];
        let end = told(&clicked(SETTINGS), &torn).unwrap();
        assert_eq!(end.missing().as_deref(), Some("the clicks of a at 10 and 18 are one session"));
        // Where partitions may be idle nobody waits for either.
        let idle = SessionSettings { idleness: Some(Duration::from_secs(1)), ..SETTINGS };
        assert_eq!(told(&clicked(idle), &torn).unwrap().missing(), None);
        assert!(told(&clicked(idle), &["late a 40:3"]).is_ok());
    }
}
