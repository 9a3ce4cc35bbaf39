//! A dispatcher of one job that counts what it is asked, and answers as a test wants.

use super::stubs::Shared;
use wavetank::system::{
    graph::JobGraph,
    ids::JobId,
    protocol::{
        DispatcherGateway, DispatcherHandler, JobDetails, JobOverview, JobRefusal, JobResult,
        JobStatus, SavepointRequest, SavepointStatus, SubmitRefusal,
    },
    rpc::{Context, Reply, RpcEndpoint, RpcError},
};

pub const JOB: JobId = JobId(7 << 96);

/// What becomes of a question.
#[derive(Clone, Copy, Default)]
pub enum Mood {
    #[default]
    Answers,
    /// It may be done, and nobody says so.
    SaysNothing,
    /// Nothing is done.
    GoesAway,
}

/// What a dispatcher was asked, and how it answers.
#[derive(Default)]
pub struct Dispatcher {
    pub mood: Mood,
    /// How far the job is, and for how many milliseconds it has been that and others.
    pub statuses: Vec<(JobStatus, u64)>,
    pub refusal: Option<JobRefusal>,
    pub asked: u32,
    pub canceled: u32,
}

impl Dispatcher {
    pub fn of(status: JobStatus) -> Self {
        let statuses = vec![(JobStatus::Created, 5_000), (status, 2_000)];
        Dispatcher { statuses, ..Dispatcher::default() }
    }

    fn details(&self) -> JobDetails {
        let status = self.statuses.last().expect("it has one").0;
        JobDetails { statuses: self.statuses.clone(), ..JobDetails::bare(JOB, "one", status, None) }
    }

    fn answer<T: serde::Serialize>(&self, reply: Reply<T>, answer: T) {
        match self.mood {
            Mood::Answers => reply.ok(answer),
            Mood::SaysNothing => drop(reply),
            Mood::GoesAway => reply.fail(RpcError::GoingAway),
        }
    }
}

pub struct StubDispatcher(pub Shared<Dispatcher>);

impl RpcEndpoint for StubDispatcher {
    type Gateway = DispatcherGateway;
}

impl DispatcherHandler for StubDispatcher {
    fn submit_job(
        &mut self,
        _: &mut Context<Self>,
        _: JobGraph,
        reply: Reply<Result<(), SubmitRefusal>>,
    ) {
        reply.ok(Err(SubmitRefusal::Stopping));
    }

    fn job_details(
        &mut self,
        _: &mut Context<Self>,
        _: JobId,
        reply: Reply<Result<JobDetails, JobRefusal>>,
    ) {
        let mut state = self.0.now();
        state.asked += 1;
        let answer = state.refusal.clone().map_or_else(|| Ok(state.details()), Err);
        state.answer(reply, answer);
    }

    fn job_result(
        &mut self,
        _: &mut Context<Self>,
        _: JobId,
        reply: Reply<Result<Option<JobResult>, JobRefusal>>,
    ) {
        reply.ok(Ok(None));
    }

    fn cancel_job(
        &mut self,
        _: &mut Context<Self>,
        _: JobId,
        reply: Reply<Result<(), JobRefusal>>,
    ) {
        let mut state = self.0.now();
        state.canceled += 1;
        let answer = state.refusal.clone().map_or(Ok(()), Err);
        state.answer(reply, answer);
    }

    fn savepoint(
        &mut self,
        _: &mut Context<Self>,
        _: JobId,
        _: SavepointRequest,
        reply: Reply<Result<SavepointStatus, JobRefusal>>,
    ) {
        reply.ok(Ok(SavepointStatus::InProgress));
    }

    fn job_overviews(&mut self, _: &mut Context<Self>, reply: Reply<Vec<JobOverview>>) {
        let mut state = self.0.now();
        state.asked += 1;
        state.answer(reply, vec![state.details().overview()]);
    }

    fn list_jobs(&mut self, _: &mut Context<Self>, reply: Reply<Vec<JobId>>) {
        reply.ok(Vec::new());
    }
}
