//! The jobs of a binary.

use super::{
    common::JobSettings,
    job::{Job, JobTest},
    service::Service,
};
use crate::system::{
    dataflow::{ProgramError, Programs},
    ids::JobId,
    request_reply::{Delivery, ServiceArguments},
};
use std::fmt::Write;

/// The jobs of a binary, the same in all its processes, each with another name. In scenario files the first is that of
/// a `[[job]]` without a name.
#[derive(Clone, Debug, Default)]
pub struct Jobs {
    all: Vec<Job>,
    services: Vec<Service>,
}

/// There is no job of a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no job {name:?} in this binary; {there_are}")]
pub struct UnknownJob {
    /// The name.
    pub name: String,
    /// Those that there are, a line each.
    pub there_are: String,
}

/// There is no service of a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no service {name:?} in this binary; {there_are}")]
pub struct UnknownService {
    /// The name.
    pub name: String,
    /// Those that there are, a line each.
    pub there_are: String,
}

/// Lines of a workload that are looked at before it is used: as many as there are by default.
const LINES_TRIED: u64 = 1_000;

/// Why a job can't be put under test.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untestable {
    /// It can't be described with the arguments that it has by default.
    #[error(
        "{0}\n  in simulation a job is given `input`, `output` and what `Job::arguments` says; `graph` shows what becomes of it"
    )]
    Undescribed(ProgramError),
    /// It can't read what it is given.
    #[error(
        "the job {job:?} can't read a line of its workload: {why}\n  `Job::workload` says what it is given in simulation, `Job::reads` what it can read"
    )]
    Unreadable {
        /// Its name.
        job: String,
        /// Why.
        why: String,
    },
    /// It has nothing to do with what it is given.
    #[error(
        "of the {LINES_TRIED} first lines of its workload, such as {line:?}, the job {job:?} has nothing to commit: runs of it would show nothing\n  \
         `Job::workload` says what it is given in simulation"
    )]
    Idle {
        /// Its name.
        job: String,
        /// One of the lines.
        line: String,
    },
}

impl From<Job> for Jobs {
    fn from(job: Job) -> Self {
        Jobs::default().with(job)
    }
}

impl Jobs {
    /// The same and one more.
    ///
    /// # Panics
    /// When there is one of its name.
    #[must_use]
    pub fn with(mut self, job: Job) -> Self {
        self.check_new(job.name());
        self.all.push(job);
        self
    }

    /// The same and one more service.
    ///
    /// # Panics
    /// When there is a job or service of its name.
    #[must_use]
    pub fn serving(mut self, service: Service) -> Self {
        self.check_new(service.name());
        self.services.push(service);
        self
    }

    fn check_new(&self, name: &str) {
        let jobs = self.all.iter().map(Job::name);
        let taken = jobs.chain(self.services.iter().map(Service::name)).any(|other| other == name);
        assert!(!taken, "the job {name:?} is registered twice");
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Job> {
        self.all.iter()
    }

    /// All services, in order.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.iter()
    }

    /// The service of a name.
    ///
    /// # Errors
    /// That there is none, with those that there are.
    pub fn service(&self, name: &str) -> Result<&Service, UnknownService> {
        let found = self.services.iter().find(|service| service.name() == name);
        found.ok_or_else(|| UnknownService {
            name: name.to_string(),
            there_are: match self.services.is_empty() {
                true => "it has none".to_string(),
                false => format!("there are{}", self.listed_services()),
            },
        })
    }

    /// A line for each service, behind a line break.
    pub fn listed_services(&self) -> String {
        listed(self.services.iter().map(|service| (service.name(), service.description())))
    }

    /// The job of a name.
    ///
    /// # Errors
    /// That there is none, with those that there are.
    pub fn get(&self, name: &str) -> Result<&Job, UnknownJob> {
        let found = self.all.iter().find(|job| job.name() == name);
        found.ok_or_else(|| UnknownJob {
            name: name.to_string(),
            there_are: match self.all.is_empty() {
                true => "it has none".to_string(),
                false => format!("there are{}", self.listed()),
            },
        })
    }

    /// A line for each, behind a line break.
    pub fn listed(&self) -> String {
        listed(self.all.iter().map(|job| (job.name(), job.description())))
    }

    /// Whether each can be put under test: described with the arguments that it has by default, its workload read, and
    /// something to be committed of it.
    ///
    /// # Errors
    /// The first that can't, and why.
    pub fn check(&self) -> Result<(), Untestable> {
        self.all.iter().try_for_each(|job| {
            job.required_slots(1).map_err(Untestable::Undescribed)?;
            let JobTest::Standard(workload) = job.test() else { return Ok(()) };
            let drawn = workload.lines(0, LINES_TRIED);
            drawn
                .iter()
                .try_for_each(|line| job.check_line(line))
                .map_err(|why| Untestable::Unreadable { job: job.name().to_string(), why })?;
            match workload.is_idle(&drawn) {
                true => Err(Untestable::Idle {
                    job: job.name().to_string(),
                    line: String::from_utf8_lossy(&drawn[0]).into_owned(),
                }),
                false => Ok(()),
            }
        })?;
        self.services.iter().try_for_each(|service| {
            let arguments = ServiceArguments::new("requests", 1, "responses", Delivery::default());
            let graph = service.graph(JobId(0), &arguments, &JobSettings::default());
            graph.map(drop).map_err(Untestable::Undescribed)
        })
    }

    /// What the processes of a cluster can run.
    pub fn programs(&self) -> Programs {
        let programs = self.all.iter().map(Job::program);
        let programs = programs.chain(self.services.iter().map(Service::program)).cloned();
        programs.fold(Programs::new(), Programs::with)
    }
}

/// A line for each name and description, behind a line break.
fn listed<'a>(all: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> String {
    let width = all.clone().map(|(name, _)| name.len()).max().unwrap_or_default();
    all.fold(String::new(), |mut told, (name, description)| {
        let _ = write!(told, "\n  {name:width$}  {description}");
        told
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        jobs::{common::JobArguments, shipped},
        system::{
            connector::DiscardingSink,
            dataflow::{Program, StreamEnv},
        },
    };

    #[test]
    fn an_unknown_job_is_answered_with_those_that_there_are() {
        let told = shipped().get("word-cuont").expect_err("none").to_string();
        assert!(told.contains("there are\n  word-count       Count words"), "{told}");
        let none = Jobs::default().get("a").expect_err("none").to_string();
        assert!(none.ends_with("it has none"), "{none}");
        assert_eq!(shipped().get("pipelines").map(Job::name), Ok("pipelines"));
    }

    #[test]
    fn a_job_that_lacks_arguments_is_told_how_it_gets_them() {
        assert_eq!(shipped().check(), Ok(()));
        #[derive(serde::Deserialize)]
        struct Wanted {
            #[expect(dead_code, reason = "it is never there")]
            limit: u64,
        }
        let lacking = Job::new(Program::new("p", 1, |_, _: &Wanted| Ok(())), |_| Vec::new());
        let told = Jobs::from(lacking).check().expect_err("no limit").to_string();
        assert!(told.contains("`limit`") && told.contains("Job::arguments"), "{told}");
    }

    #[test]
    fn a_job_that_can_not_read_its_workload_is_told_apart() {
        let job = || {
            let program = Program::new("p", 1, |env, arguments: &JobArguments| {
                let lines = env.source("lines", arguments.input.source()?);
                lines.sink("sink", DiscardingSink);
                Ok(())
            });
            Job::new(program, <[bytes::Bytes]>::to_vec)
        };
        let numbers = |line: &[u8]| match line.iter().all(u8::is_ascii_digit) {
            true => Ok(()),
            false => Err("it is no number".to_string()),
        };
        let told = Jobs::from(job().reads(numbers)).check().expect_err("words").to_string();
        assert!(told.contains("\"p\"") && told.contains("it is no number"), "{told}");
        let counted = job().workload(|number, _| bytes::Bytes::from(number.to_string()));
        assert_eq!(Jobs::from(counted.reads(numbers)).check(), Ok(()));
        let long = [b'1'; crate::jobs::common::TEXT_BYTES_MAX + 1];
        assert!(job().reads(numbers).check_line(&long).is_err(), "no line may be so long");
    }

    #[test]
    fn a_job_that_makes_nothing_of_its_workload_is_refused() {
        let long = |lines: &[bytes::Bytes]| {
            lines.iter().filter(|line| line.len() > 20).cloned().collect::<Vec<_>>()
        };
        let describe = |env: &mut StreamEnv, arguments: &JobArguments| {
            env.source("lines", arguments.input.source()?).sink("sink", DiscardingSink);
            Ok(())
        };
        let job = || Job::new(Program::new("p", 1, describe), long);
        let told = Jobs::from(job()).check().expect_err("three short words a line").to_string();
        assert!(told.contains("nothing to commit") && told.contains("Job::workload"), "{told}");
        let given = job().workload(|_, _| bytes::Bytes::from_static(b"internationalization it is"));
        assert_eq!(Jobs::from(given).check(), Ok(()));
    }

    #[test]
    #[should_panic(expected = "registered twice")]
    fn two_jobs_of_one_name_are_refused() {
        drop(shipped().with(crate::jobs::word_count::job()));
    }
}
