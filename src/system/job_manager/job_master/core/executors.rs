//! The task executors that hold slots for the job: registration, offers, reports, loss.

use super::{Effect, Execution, JobMasterCore, Notice, scheduling::Failure};
use crate::{
    host::{Instant, NodeAddress},
    system::{
        heartbeat::HeartbeatSession,
        ids::{AllocationId, ExecutionAttemptId, JobId, ResourceId},
        job_manager::{JobEvent, LossCause},
        protocol::{
            ExecutorReport, JobStatus, MasterReport, OfferedSlots, RegistrationRefusal,
            TaskExecutionState, TaskExecutorInfo,
        },
        reason::shortened,
        sabotage,
    },
};

/// Task executors that one job's master is connected to at most.
const EXECUTORS_MAX: usize = 4096;

/// A connected task executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutorLink {
    /// Who it is.
    pub info: TaskExecutorInfo,
    /// The connection.
    pub heartbeat: HeartbeatSession,
    /// The newest round of offers that was answered.
    pub round: u64,
    /// The try that registered it.
    pub attempt: u64,
}

fn failure(why: &str) -> RegistrationRefusal {
    RegistrationRefusal::Failure(why.to_string())
}

impl JobMasterCore {
    /// Why a task executor is not connected now, if it is not. Only the end of the job itself lets it give up
    /// what it holds for the job.
    ///
    /// # Errors
    /// The refusal.
    pub fn may_connect(
        &self,
        job: JobId,
        info: &TaskExecutorInfo,
        attempt: u64,
    ) -> Result<(), RegistrationRefusal> {
        if job != self.id() {
            let why = format!("this is the master of {:?}", self.id());
            return Err(RegistrationRefusal::Rejected(why));
        }
        match self.status {
            JobStatus::Suspended => return Err(failure("the job master is stopping")),
            status if status.is_globally_terminal() => {
                return Err(RegistrationRefusal::Rejected("the job has ended".to_string()));
            }
            _ => {}
        }
        let known = self.executors.get(&info.resource);
        if known.is_some_and(|link| link.info.session == info.session && link.attempt >= attempt) {
            return Err(failure("a newer try is known"));
        }
        if known.is_none() && self.executors.len() >= EXECUTORS_MAX {
            return Err(failure("too many task executors"));
        }
        Ok(())
    }

    /// A task executor that introduced itself can be called, and is that life of it.
    ///
    /// # Errors
    /// As [`may_connect`](Self::may_connect).
    pub fn on_connected(
        &mut self,
        now: Instant,
        info: TaskExecutorInfo,
        attempt: u64,
        heartbeat: HeartbeatSession,
    ) -> Result<HeartbeatSession, RegistrationRefusal> {
        self.may_connect(self.id(), &info, attempt)?;
        let mut round = 0;
        if let Some(link) = self.executors.get(&info.resource) {
            let (life, monitored) = (link.info.session, link.heartbeat);
            if life == info.session {
                round = link.round;
                self.does(Effect::Unmonitor(info.resource.clone(), monitored));
            } else {
                // What ran in its earlier life is gone.
                if !self.switches.on(sabotage::EARLIER_LIFE_NOT_ENDED) {
                    let anew = LossCause::NewLife(info.session);
                    self.lose(now, &info.resource, anew, "the task executor began anew");
                }
                // That may have been the job's last failure.
                self.may_connect(self.id(), &info, attempt)?;
            }
        }
        let (job, resource) = (self.id(), info.resource.clone());
        let (session, connection) = (info.session, heartbeat);
        let connected =
            JobEvent::ExecutorConnected { job, resource: resource.clone(), session, connection };
        self.announce(connected);
        self.does(Effect::Connect(resource.clone(), heartbeat));
        self.executors.insert(resource, ExecutorLink { info, heartbeat, round, attempt });
        Ok(heartbeat)
    }

    /// Takes what is needed of a task executor's slots.
    ///
    /// # Errors
    /// When it is not registered so, or has offered them anew since.
    pub fn on_offered(
        &mut self,
        now: Instant,
        offered: OfferedSlots,
    ) -> Result<Vec<AllocationId>, RegistrationRefusal> {
        let OfferedSlots { resource, session, round, version, slots } = offered;
        if self.is_over() {
            return Err(failure("the job has ended"));
        }
        let link = self.executors.get_mut(&resource).filter(|link| link.info.session == session);
        let Some(link) = link else {
            return Err(failure("the task executor is not registered"));
        };
        if round <= link.round {
            self.does(Effect::Notice(Notice::OldRoundOfOffers));
            return Err(failure("a newer round of offers was answered"));
        }
        link.round = round;
        if self.waits_for_program() {
            // Others can use them.
            return Ok(Vec::new());
        }
        let (before, _) = self.slots.fill();
        let accepted = self.slots.offer(&resource, version, slots);
        for allocation in &accepted {
            let (job, resource, allocation) = (self.id(), resource.clone(), *allocation);
            self.announce(JobEvent::SlotAccepted { job, resource, allocation });
        }
        self.schedule(now);
        // One that it holds already and that is offered again is no other one.
        self.watch_idle_slots(self.slots.fill().0 > before);
        Ok(accepted)
    }

    /// A connection to a task executor is over: its slots are lost.
    fn lose(&mut self, now: Instant, resource: &ResourceId, cause: LossCause, why: &str) {
        let Some(link) = self.executors.remove(resource) else { return };
        let (session, connection, why) = (link.info.session, link.heartbeat, shortened(why));
        self.does(Effect::Unmonitor(resource.clone(), connection));
        let (job, master, lost) = (self.id(), self.session, resource.clone());
        let event =
            JobEvent::ExecutorLost { job, master, resource: lost, session, connection, cause };
        self.announce(event);
        self.does(Effect::Disconnect(resource.clone(), connection, why.to_string()));
        let mut failure = Failure::default();
        for allocation in self.slots.of(resource) {
            self.lose_slot(now, allocation, &format!("{resource} lost: {why}"), &mut failure);
        }
        self.fail(now, failure);
        self.maybe_finish(now);
    }

    fn stands(&self, resource: &ResourceId, connection: HeartbeatSession) -> bool {
        self.executors.get(resource).is_some_and(|link| link.heartbeat == connection)
    }

    /// A task executor ends a connection. Of one that was replaced it says nothing.
    pub fn on_left(
        &mut self,
        now: Instant,
        resource: &ResourceId,
        connection: HeartbeatSession,
        why: &str,
    ) {
        if self.stands(resource, connection) || self.switches.on(sabotage::FORMER_CONNECTION_OBEYED)
        {
            self.lose(now, resource, LossCause::Told(connection), why);
        }
    }

    /// No beat comes any more over a connection.
    pub fn on_silence(
        &mut self,
        now: Instant,
        resource: &ResourceId,
        connection: HeartbeatSession,
        why: &str,
    ) {
        if self.stands(resource, connection) {
            self.lose(now, resource, LossCause::Silent(connection), why);
        }
    }

    /// Tells every task executor that the master wants nothing of it any more.
    pub(super) fn leave_executors(&mut self, cause: &str) {
        for (resource, link) in std::mem::take(&mut self.executors) {
            self.does(Effect::Unmonitor(resource.clone(), link.heartbeat));
            self.does(Effect::Disconnect(resource, link.heartbeat, cause.to_string()));
        }
    }

    /// Compares what a task executor says it has with what it should have.
    pub fn on_report(
        &mut self,
        now: Instant,
        resource: &ResourceId,
        heartbeat: HeartbeatSession,
        report: ExecutorReport,
    ) {
        let link = self.executors.get(resource).filter(|link| link.heartbeat == heartbeat);
        let Some(session) = link.map(|link| link.info.session) else { return };
        for (attempt, metrics) in &report.attempts {
            let known = self.executions.get_mut(&attempt.vertex);
            match known.filter(|execution| execution.attempt == *attempt) {
                Some(execution) => execution.metrics.report(*metrics),
                None => self.does(Effect::CancelUnknown(resource.clone(), *attempt)),
            }
        }
        // What has ended and was not told before is told here, so that a task that is in neither list
        // is lost.
        for (attempt, state) in report.ended {
            self.on_task_state(now, attempt, state);
        }
        let missing = |execution: &&Execution| {
            execution.resource == *resource
                && execution.executor == session
                && !execution.state.is_terminal()
                && !report.attempts.contains_key(&execution.attempt)
                && match execution.deployed {
                    Some(version) => version <= report.version,
                    None => self.switches.on(sabotage::PENDING_TAKEN_FOR_MISSING),
                }
        };
        let missing = self.executions.values().filter(missing).map(|execution| execution.attempt);
        let mut failure = Failure::default();
        for attempt in missing.collect::<Vec<ExecutionAttemptId>>() {
            let cause = "its task executor does not run it".to_string();
            self.advance(now, attempt, TaskExecutionState::Failed(cause), &mut failure);
        }
        for allocation in self.slots.missing(resource, report.version, &report.allocations) {
            let cause = "its task executor does not hold it";
            self.lose_slot(now, allocation, cause, &mut failure);
        }
        self.fail(now, failure);
        self.maybe_finish(now);
    }

    /// Where a connected task executor listens for streams.
    pub fn data_port(&self, resource: &ResourceId) -> Option<NodeAddress> {
        self.executors.get(resource).map(|link| link.info.data.clone())
    }

    /// What to tell a task executor.
    pub fn report_to(&self, resource: &ResourceId) -> MasterReport {
        MasterReport {
            round: self.executors.get(resource).map_or(0, |link| link.round),
            allocations: self.slots.of(resource),
            completed: self.checkpoints.newest_and_finality(),
        }
    }
}
