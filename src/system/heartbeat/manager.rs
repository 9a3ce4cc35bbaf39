//! The side that is asked, what both sides share, and the endpoint that owns either.

use super::{
    Beat, HeartbeatConfig, HeartbeatMonitor, HeartbeatSession, HeartbeatTarget, MonitorState,
    event::HeartbeatEvent, monitor::CallsInARow, outbox::Outbox,
};
use crate::{
    host::Instant,
    system::{
        rpc::{Context, RpcEndpoint, RpcError},
        sabotage,
    },
};
use futures::{
    FutureExt,
    channel::oneshot,
    future::{BoxFuture, Either, Shared, select},
};
use std::{
    collections::BTreeMap,
    marker::PhantomData,
    sync::{Arc, Weak},
};

/// Ready when a target is no longer monitored.
type Ended = Shared<oneshot::Receiver<()>>;

/// Which of a target's two methods sends a beat.
#[derive(Clone, Copy)]
pub(super) enum Way {
    Answer,
    Request,
}

/// An endpoint with a heartbeat manager for the role `R`, any type that tells one manager of the
/// endpoint from another. Everything here runs on the endpoint's main thread.
pub trait HeartbeatListener<R: 'static>: RpcEndpoint {
    /// What targets say in their beats.
    type In: Send + 'static;
    /// What this endpoint says in its own.
    type Out: Send + 'static;

    /// The manager of this role.
    fn heartbeats(&mut self) -> &mut HeartbeatManager<Self, R>;

    /// No beat came for the time-out; at most once a monitored session. The target is not asked any
    /// more and stays known until it is unmonitored.
    fn notify_heartbeat_timeout(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
    );

    /// Too many calls in a row found nobody there. Comes instead of a time-out, and is treated as one
    /// unless a listener says otherwise.
    fn notify_target_unreachable(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
    ) {
        self.notify_heartbeat_timeout(context, id, session);
    }

    /// A beat of the target came.
    fn report_payload(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
        payload: Self::In,
    );

    /// What to say to the target in a beat that leaves now.
    fn retrieve_payload(&mut self, context: &mut Context<Self>, id: &str) -> Self::Out;
}

/// Monitors targets by their beats and answers their requests.
///
/// The functions that may call the listener take the whole endpoint in place of `&mut self`.
pub struct HeartbeatManager<E: HeartbeatListener<R>, R: 'static> {
    own_id: String,
    config: HeartbeatConfig,
    monitors: BTreeMap<String, HeartbeatMonitor<E::Out>>,
    outbox: Outbox,
    stopped: bool,
    role: PhantomData<fn() -> R>,
}

impl<E: HeartbeatListener<R>, R: 'static> HeartbeatManager<E, R> {
    /// A manager of the resource `own_id`, monitoring nobody yet.
    ///
    /// # Panics
    /// When the interval is zero, which would ask for ever at one instant.
    pub fn new(own_id: impl Into<String>, config: HeartbeatConfig) -> Self {
        assert!(!config.interval.is_zero(), "a heartbeat interval is longer than nothing");
        HeartbeatManager {
            own_id: own_id.into(),
            config,
            monitors: BTreeMap::new(),
            outbox: Outbox::default(),
            stopped: false,
            role: PhantomData,
        }
    }

    /// The settings.
    pub fn config(&self) -> &HeartbeatConfig {
        &self.config
    }

    /// Monitors a session of the target `id` from now on; an earlier session of it is unmonitored.
    /// Monitoring a session that is monitored already, or after [`stop`](Self::stop), does nothing.
    pub fn monitor_target(
        &mut self,
        context: &Context<E>,
        id: &str,
        session: HeartbeatSession,
        target: Arc<dyn HeartbeatTarget<E::Out>>,
    ) {
        let known = self.monitors.get(id).map(HeartbeatMonitor::session);
        if self.stopped || known == Some(session) {
            return;
        }
        if let Some(earlier) = known {
            self.unmonitor_target(context, id, earlier);
        }
        let (watch, ended) = oneshot::channel();
        let broken = target.connection_broken();
        let monitor = HeartbeatMonitor::new(session, target, context.host().now(), watch);
        let calls = monitor.calls();
        self.monitors.insert(id.to_string(), monitor);
        self.watch_connection(context, id, session, broken, ended.shared());
        let (by, target) = (self.own_id.clone(), id.to_string());
        context.host().announce(&HeartbeatEvent::TargetMonitored { by, id: target, session });
        let id = id.to_string();
        context.schedule(self.config.timeout, move |endpoint, context| {
            Self::check_silence(endpoint, context, id, session, calls);
        });
    }

    /// Forgets a session of the target `id`: no notice of it comes any more. Says whether that very
    /// session was known.
    pub fn unmonitor_target(
        &mut self,
        context: &Context<E>,
        id: &str,
        session: HeartbeatSession,
    ) -> bool {
        let known = self.monitors.get(id).is_some_and(|monitor| monitor.session() == session);
        if known && let Some(mut monitor) = self.monitors.remove(id) {
            monitor.end(MonitorState::Canceled);
            let (by, id) = (self.own_id.clone(), id.to_string());
            context.host().announce(&HeartbeatEvent::TargetUnmonitored { by, id, session });
        }
        known
    }

    /// Forgets all targets for good: nothing is sent, answered or notified any more.
    pub fn stop(&mut self, context: &Context<E>) {
        self.stopped = true;
        self.outbox = Outbox::default();
        let sessions = self.monitors.iter().map(|(id, monitor)| (id.clone(), monitor.session()));
        for (id, session) in sessions.collect::<Vec<_>>() {
            self.unmonitor_target(context, &id, session);
        }
    }

    /// What is known of the target `id`, if it is monitored.
    pub fn monitor(&self, id: &str) -> Option<&HeartbeatMonitor<E::Out>> {
        self.monitors.get(id)
    }

    /// When the last beat of the target `id` came, on the node's clock; `None` when none has, or the
    /// target is unknown.
    pub fn last_heartbeat(&self, id: &str) -> Option<Instant> {
        self.monitors.get(id).and_then(HeartbeatMonitor::last_heartbeat)
    }

    /// Takes a beat that this side asked for. Beats of unknown origins and of other sessions are
    /// ignored, and so are those of a target that was given up.
    pub fn receive_heartbeat(endpoint: &mut E, context: &mut Context<E>, beat: Beat<E::In>) {
        let Beat { origin, session, payload } = beat;
        let now = context.host().now();
        let counts = !context.host().sabotaged(sabotage::BEATS_NOT_COUNTED);
        let manager = endpoint.heartbeats();
        let Some(monitor) = manager.running(&origin, session) else { return };
        if counts {
            monitor.report_heartbeat(now);
        }
        let (by, id) = (manager.own_id.clone(), origin.clone());
        context.host().announce(&HeartbeatEvent::BeatReceived { by, id, session });
        endpoint.report_payload(context, &origin, session, payload);
    }

    /// Takes a request for a beat, which is a beat itself, and answers it.
    pub fn request_heartbeat(endpoint: &mut E, context: &mut Context<E>, beat: Beat<E::In>) {
        let (origin, session) = (beat.origin.clone(), beat.session);
        Self::receive_heartbeat(endpoint, context, beat);
        Self::beat(endpoint, context, &origin, session, Way::Answer);
    }

    /// The running targets and their sessions.
    pub(super) fn running_targets(&self) -> Vec<(String, HeartbeatSession)> {
        let running = self.monitors.iter().filter(|(_, m)| m.state() == MonitorState::Running);
        running.map(|(id, monitor)| (id.clone(), monitor.session())).collect()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Sends a beat to a target that is still running.
    pub(super) fn beat(
        endpoint: &mut E,
        context: &mut Context<E>,
        id: &str,
        session: HeartbeatSession,
        way: Way,
    ) {
        if endpoint.heartbeats().running(id, session).is_none() {
            return;
        }
        let payload = endpoint.retrieve_payload(context, id);
        let manager = endpoint.heartbeats();
        let origin = manager.own_id.clone();
        let Some(monitor) = manager.running(id, session) else { return };
        let (calls, beat) = (monitor.calls(), Beat { origin, session, payload });
        let outcome = match way {
            Way::Answer => monitor.target().receive_heartbeat(beat),
            Way::Request => monitor.target().request_heartbeat(beat),
        };
        let watched = manager.watch(context, id.to_string(), session, calls, outcome);
        manager.outbox.push(context.host(), watched);
    }

    fn running(
        &mut self,
        id: &str,
        session: HeartbeatSession,
    ) -> Option<&mut HeartbeatMonitor<E::Out>> {
        let monitor = self.monitors.get_mut(id)?;
        let fits = monitor.session() == session && monitor.state() == MonitorState::Running;
        fits.then_some(monitor)
    }

    /// Waits until a target's connection breaks, or the target is no longer monitored.
    fn watch_connection(
        &mut self,
        context: &Context<E>,
        id: &str,
        session: HeartbeatSession,
        broken: BoxFuture<'static, ()>,
        ended: Ended,
    ) {
        let (executor, id) = (context.executor(), id.to_string());
        let watch = async move {
            if let Either::Left(_) = select(broken, ended.clone()).await {
                executor.execute(move |endpoint, context| {
                    Self::connection_broke(endpoint, context, id, session, ended);
                });
            }
        };
        self.outbox.push(context.host(), watch.boxed());
    }

    /// Finds out at once whether the target is still there; if it is, another connection is watched after an
    /// interval.
    fn connection_broke(
        endpoint: &mut E,
        context: &mut Context<E>,
        id: String,
        session: HeartbeatSession,
        ended: Ended,
    ) {
        let manager = endpoint.heartbeats();
        let Some(monitor) = manager.running(&id, session) else { return };
        if let Some(calls) = monitor.calls().upgrade() {
            calls.suspect();
        }
        let (by, lost) = (manager.own_id.clone(), id.clone());
        context.host().announce(&HeartbeatEvent::ConnectionBroken { by, id: lost, session });
        Self::beat(endpoint, context, &id, session, Way::Request);
        let interval = endpoint.heartbeats().config.interval;
        context.schedule(interval, move |endpoint, context| {
            let manager = endpoint.heartbeats();
            let Some(monitor) = manager.running(&id, session) else { return };
            let broken = monitor.target().connection_broken();
            manager.watch_connection(context, &id, session, broken, ended);
        });
    }

    /// Waits for a call's outcome; the one that is too many comes back to the main thread.
    fn watch(
        &self,
        context: &Context<E>,
        id: String,
        session: HeartbeatSession,
        calls: Weak<CallsInARow>,
        outcome: BoxFuture<'static, Result<(), RpcError>>,
    ) -> BoxFuture<'static, ()> {
        let (executor, threshold) = (context.executor(), self.config.unreachable_threshold);
        let (host, by) = (context.host().clone(), self.own_id.clone());
        async move {
            let outcome = outcome.await;
            let Some(in_a_row) = calls.upgrade() else { return };
            match outcome {
                Ok(()) if in_a_row.succeeded() => {
                    return host.announce(&HeartbeatEvent::CallAnswered { by, id, session });
                }
                Err(RpcError::RecipientUnreachable) => {}
                Ok(()) | Err(_) => return,
            }
            let nobody = HeartbeatEvent::CallFoundNobody { by, id: id.clone(), session };
            host.announce(&nobody);
            if threshold.is_some() && host.sabotaged(sabotage::UNREACHABLE_IGNORED) {
                return;
            }
            let too_many = threshold.is_some_and(|threshold| in_a_row.unreachable(threshold));
            drop(in_a_row);
            if too_many {
                executor.execute(move |endpoint, context| {
                    if calls.strong_count() > 0 {
                        Self::give_up(endpoint, context, &id, session, MonitorState::Unreachable);
                    }
                });
            }
        }
        .boxed()
    }

    /// Gives a silent target up, or comes back when it may be one.
    fn check_silence(
        endpoint: &mut E,
        context: &mut Context<E>,
        id: String,
        session: HeartbeatSession,
        calls: Weak<CallsInARow>,
    ) {
        let manager = endpoint.heartbeats();
        let timeout = manager.config.timeout;
        let monitor = manager.running(&id, session).filter(|_| calls.strong_count() > 0);
        let Some(monitor) = monitor else { return };
        let left = monitor.deadline(timeout) - context.host().now();
        if left.is_zero() {
            return Self::give_up(endpoint, context, &id, session, MonitorState::Timeout);
        }
        let left = match context.host().sabotaged(sabotage::SILENCE_COUNTED_FROM_A_LOOK) {
            true => timeout,
            false => left,
        };
        context.schedule(left, move |endpoint, context| {
            Self::check_silence(endpoint, context, id, session, calls);
        });
    }

    /// Ends a running monitor and tells the listener.
    fn give_up(
        endpoint: &mut E,
        context: &mut Context<E>,
        id: &str,
        session: HeartbeatSession,
        loss: MonitorState,
    ) {
        let manager = endpoint.heartbeats();
        let ended = manager.running(id, session).is_some_and(|monitor| monitor.end(loss));
        if !ended {
            return;
        }
        let (by, lost) = (manager.own_id.clone(), id.to_string());
        match loss {
            MonitorState::Unreachable => {
                context.host().announce(&HeartbeatEvent::Unreachable { by, id: lost, session });
                endpoint.notify_target_unreachable(context, id, session);
            }
            _ => {
                context.host().announce(&HeartbeatEvent::TimedOut { by, id: lost, session });
                endpoint.notify_heartbeat_timeout(context, id, session);
            }
        }
    }
}
