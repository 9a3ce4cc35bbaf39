//! The state of one simulated world: its devices, and what each of them has to do with the others.

use super::{
    branch::{self, Branch},
    cause::{Cause, CurrentCause, EntryNumber},
    clock::Nanos,
    digest::TraceDigest,
    disk::Unsynced,
    entry::{Entry, MachineStep},
    hardware::ProcessEnd,
    link::{Delay, FrameFate},
    machine::Machine,
    message::{Datagram, Ports, Refused},
    network::{Network, Wire},
    stamp::{NodeId, Stamp},
    stream::Streams,
    timeline::{Action, Timeline},
    timer::{TimerKey, Timers},
    trace::TraceLine,
};
use crate::host::{Event, InjectedError, Instant, Sabotage, mix};
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicBool},
    task::Waker,
    time::Duration,
};

/// All devices of a world.
pub(in crate::host) struct State {
    seed: u64,
    timeline: Timeline,
    network: Network,
    machines: Vec<Machine>,
    timers: Timers,
    streams: Streams,
    /// Draws of the nodes' randomness and of injected errors.
    draws: u64,
    sabotage_executions: u64,
    asked: BTreeSet<Sabotage>,
    /// Taken once its entry is written.
    branch: Option<Branch>,
    /// The digest up to the last branch that was taken.
    branched: Option<TraceDigest>,
    /// Of what is due; empty but for that, and kept for its room.
    wakers: Vec<Waker>,
}

/// What a process leaves behind. Drop it where no lock is held: wakers and frames may own tasks,
/// whose destructors take the world's lock.
pub(in crate::host) struct Ended {
    pub madsim: madsim::task::NodeId,
    _ports: Ports,
    _wakers: [Vec<Waker>; 2],
}

impl State {
    /// A world without machines.
    pub fn new(seed: u64, latency: Delay, trace: bool, branch: Option<Branch>) -> Self {
        State {
            seed,
            timeline: Timeline::new(trace),
            network: Network::new(seed, latency, trace),
            machines: Vec::new(),
            timers: Timers::default(),
            streams: Streams::new(),
            draws: 0,
            sabotage_executions: 0,
            asked: BTreeSet::new(),
            branch,
            branched: None,
            wakers: Vec::new(),
        }
    }

    /// Takes the branch that was asked for, if its entry is written.
    pub fn branch_if_due(&mut self) {
        let timeline = &self.timeline;
        let is_due = |branch: &mut Branch| branch.after.get() <= timeline.digest().1;
        if let Some(branch) = self.branch.take_if(is_due) {
            self.branch(branch.number);
        }
    }

    /// From now on the run goes another way than its seeds say.
    pub fn branch(&mut self, number: u32) {
        self.branched = Some(self.timeline.digest().0);
        branch::draw_schedule(number);
        // Of what is added from now on.
        self.seed = if number > 0 { mix(self.seed, u64::from(number)) } else { self.seed };
        self.network.branch(number);
        self.machines.iter_mut().for_each(|machine| machine.branch(number));
    }

    /// The digest up to the last branch that was taken, if any was.
    pub fn branched(&self) -> Option<TraceDigest> {
        self.branched
    }

    /// What the run's hardware is drawn from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Adds a machine, powered on and without a process.
    pub fn add_machine(
        &mut self,
        now: Nanos,
        name: Arc<str>,
        madsim: madsim::task::NodeId,
    ) -> NodeId {
        self.timeline.name_node(&name);
        let id = self.network.connect(name);
        self.machines.push(Machine::new(self.seed, id, now, madsim));
        id
    }

    /// How many machines there are.
    pub fn machines(&self) -> usize {
        self.machines.len()
    }

    /// A machine and its devices.
    pub fn machine(&mut self, id: NodeId) -> &mut Machine {
        &mut self.machines[id.index()]
    }

    /// The machine of a name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.network.find(name)
    }

    /// Who is on the network, with its links.
    pub fn network(&mut self) -> &mut Network {
        &mut self.network
    }

    /// The network at this instant.
    pub fn wire(&mut self, now: Nanos) -> Wire<'_> {
        Wire::new(now, &mut self.network, &mut self.timeline)
    }

    /// The streams, and the network at this instant on which they act.
    pub fn streams(&mut self, now: Nanos) -> (&mut Streams, Wire<'_>) {
        let wire = Wire::new(now, &mut self.network, &mut self.timeline);
        (&mut self.streams, wire)
    }

    /// The current cause.
    pub fn cause(&self) -> &CurrentCause {
        self.timeline.cause()
    }

    /// Writes an entry under the current cause.
    pub fn note(&mut self, now: Nanos, entry: &Entry<'_>) -> EntryNumber {
        self.timeline.note(now, entry)
    }

    /// Something has happened because of that.
    pub fn note_caused(&mut self, now: Nanos, cause: Cause, entry: &Entry<'_>) -> EntryNumber {
        self.timeline.note_caused(now, cause, entry)
    }

    /// An event was announced.
    pub fn stamp_event(
        &mut self,
        now: Nanos,
        node: NodeId,
        incarnation: u64,
        event: &dyn Event,
    ) -> Stamp {
        let draws = self.draws;
        let entry = self.note(now, &Entry::Event { node, incarnation, draws, event });
        let cause = self.cause().get().entry();
        let time = Duration::from_nanos(now);
        Stamp { time, node, incarnation, entry: Some(entry), cause }
    }

    /// When something is due next.
    pub fn next_time(&self) -> Option<Nanos> {
        self.timeline.next_time()
    }

    /// Lets everything happen that is due, and collects who is to be woken by which cause.
    pub fn perform_due(&mut self, now: Nanos, woken: &mut Vec<(Waker, Cause)>) {
        let mut wakers = std::mem::take(&mut self.wakers);
        while let Some(action) = self.timeline.pop_due(now) {
            self.cause().set(Cause::NONE);
            match action {
                Action::Timer(key) => self.fire_timer(now, key, &mut wakers),
                Action::Arrive(datagram) => self.arrive(now, *datagram, &mut wakers),
                Action::Stream(action) => {
                    let (streams, mut wire) = self.streams(now);
                    streams.perform(&mut wire, action, &mut wakers);
                }
            }
            let cause = self.cause().get();
            woken.extend(wakers.drain(..).map(|waker| (waker, cause)));
        }
        self.wakers = wakers;
        self.cause().set(Cause::NONE);
    }

    fn arrive(&mut self, now: Nanos, datagram: Datagram, wakers: &mut Vec<Waker>) {
        let Some(arrival) = self.wire(now).arrival(&datagram) else { return };
        self.cause().set(arrival.into());
        let to = datagram.to;
        let reset_for = datagram.is_reset_for();
        let machine = self.machine(to);
        if reset_for.is_some_and(|incarnation| machine.running() != Some(incarnation)) {
            return;
        }
        match self.machine(to).ports.deliver(datagram, arrival.into()) {
            Ok(waker) => wakers.extend(waker),
            Err(Refused::Full(datagram)) => self.wire(now).drop_full(&datagram),
            // A reset is not answered by another.
            Err(Refused::Closed(_)) if reset_for.is_some() => {}
            Err(Refused::Closed(datagram)) => self.wire(now).send(datagram.reset()),
        }
    }

    /// Wakes at the first instant at which the machine's clock reads `deadline`.
    pub fn set_timer(&mut self, node: NodeId, deadline: Instant, waker: &Waker) -> TimerKey {
        let cause = self.cause().get();
        let key = self.timers.set(node, deadline, cause, waker.clone());
        let time = self.machine(node).clock.when(deadline);
        self.timeline.schedule(time, Action::Timer(key));
        key
    }

    /// Gives a waiting timer a new waker; false when it has fired.
    pub fn renew_timer(&mut self, key: TimerKey, waker: &Waker) -> bool {
        self.timers.renew(key, waker)
    }

    /// Forgets a timer; its waker is dropped by the caller, unlocked.
    pub fn cancel_timer(&mut self, key: TimerKey) -> Option<Waker> {
        self.timers.remove(key).map(|(_, waker)| waker)
    }

    fn fire_timer(&mut self, now: Nanos, key: TimerKey, wakers: &mut Vec<Waker>) {
        let Some((node, deadline)) = self.timers.deadline(key) else { return };
        let clock = &self.machine(node).clock;
        if clock.now(now) < deadline {
            let time = clock.when(deadline);
            self.timeline.schedule(time, Action::Timer(key));
            return;
        }
        let (cause, waker) = self.timers.remove(key).expect("it was just looked up");
        let fired = self.note_caused(now, cause, &Entry::TimerFired { node, deadline });
        self.cause().set(fired.into());
        wakers.push(waker);
    }

    /// Makes both clocks of a machine gain or lose from now on.
    pub fn set_drift(&mut self, now: Nanos, node: NodeId, per_million: i64) {
        let State { machines, timers, timeline, .. } = self;
        let clock = &mut machines[node.index()].clock;
        clock.set_drift(now, per_million);
        // A timer may now be due earlier than it was queued for.
        for (key, deadline) in timers.on(node) {
            timeline.schedule(clock.when(deadline), Action::Timer(key));
        }
    }

    /// 64 random bits of a machine's process.
    pub fn draw(&mut self, node: NodeId) -> u64 {
        self.draws += 1;
        self.machine(node).draws.next_u64()
    }

    /// What becomes of a call of that kind that the machine's service is about to handle.
    pub fn draw_injected_error(
        &mut self,
        now: Nanos,
        node: NodeId,
        call: &str,
    ) -> Option<InjectedError> {
        let (injected_error, drawn) = self.machine(node).injected_errors.draw(call);
        self.draws += drawn;
        if let Some(injected_error) = injected_error {
            let step = MachineStep::ServiceError(injected_error);
            self.note(now, &Entry::Machine(node, step));
        }
        injected_error
    }

    /// The switched line of the sabotage ran.
    pub fn count_sabotage(&mut self) {
        self.sabotage_executions += 1;
    }

    /// Somebody asked whether a switch is on.
    pub fn note_asked(&mut self, switch: Sabotage) {
        self.asked.insert(switch);
    }

    /// The switches that were asked for, if that was noted.
    pub fn take_asked(&mut self) -> BTreeSet<Sabotage> {
        std::mem::take(&mut self.asked)
    }

    /// How often the switched line of the sabotage ran.
    pub fn sabotage_executions(&self) -> u64 {
        self.sabotage_executions
    }

    /// Takes the trace and the frames that did not plainly arrive, if they were kept.
    pub fn take_trace(&mut self) -> (Vec<TraceLine>, Vec<FrameFate>) {
        (self.timeline.take_trace(), self.network.take_fates())
    }

    /// The digest so far and how many entries it covers.
    pub fn digest(&self) -> (TraceDigest, u64) {
        self.timeline.digest()
    }

    /// Starts a new incarnation on a machine, which is powered on if need be; its number, and what
    /// tells that it is dead.
    ///
    /// # Panics
    /// When a process runs there already.
    pub fn boot(&mut self, node: NodeId) -> (u64, Arc<AtomicBool>) {
        self.network.set_powered(node, true);
        let running = self.machine(node).running();
        assert!(running.is_none(), "{} is running already", self.network.name(node));
        self.machine(node).boot()
    }

    /// Ends the machine's process, if one runs, and its power with a power cut.
    pub fn end_process(
        &mut self,
        now: Nanos,
        node: NodeId,
        end: &ProcessEnd,
        unsynced: Unsynced,
    ) -> Option<Ended> {
        let power_cut = *end == ProcessEnd::PowerCut;
        if power_cut {
            self.network.set_powered(node, false);
        }
        let machine = self.machine(node);
        if machine.end_process().is_none() {
            // The machine can lose power without a process, and with it its page cache.
            if power_cut {
                let none = machine.disk.power_cut(unsynced);
                debug_assert!(none.is_empty(), "no process, no operations");
                self.end_streams(now, node, true);
            }
            return None;
        }
        let disk_wakers = match power_cut {
            true => machine.disk.power_cut(unsynced),
            false => machine.disk.process_ended(),
        };
        let madsim = machine.madsim();
        let ports = std::mem::take(&mut machine.ports);
        self.end_streams(now, node, power_cut);
        let timers = self.timers.remove_all(node);
        Some(Ended { madsim, _ports: ports, _wakers: [timers, disk_wakers] })
    }

    fn end_streams(&mut self, now: Nanos, node: NodeId, silent: bool) {
        let (streams, mut wire) = self.streams(now);
        streams.end_all(&mut wire, node, silent);
    }
}
