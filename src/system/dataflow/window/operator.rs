//! The windows of a key: what a record does to them, and what a timer does.

use super::{
    super::{
        data::{Data, Key},
        failure::{Failure, Result},
        operator::OperatorContext,
        output_tag::OutputTag,
        process::{KeyContext, Process, Timer},
        stage::Collector,
        time::Timestamp,
    },
    Aggregate, Window, WindowAssigner, WindowContext, WindowEvent, WindowFunction,
};
use crate::system::sabotage;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A window and what is kept of its records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pane<A> {
    window: Window,
    contents: A,
}

/// Puts records into windows, and fires them.
pub(super) struct WindowOperator<T, A, W> {
    pub assigner: WindowAssigner,
    pub lateness: Duration,
    /// Where late records go.
    pub late: Option<OutputTag<T>>,
    pub aggregate: A,
    pub function: W,
    /// Since it is open.
    pub context: Option<OperatorContext>,
}

impl<T, A: Clone, W: Clone> Clone for WindowOperator<T, A, W> {
    fn clone(&self) -> Self {
        WindowOperator {
            assigner: self.assigner,
            lateness: self.lateness,
            late: self.late.clone(),
            aggregate: self.aggregate.clone(),
            function: self.function.clone(),
            context: self.context.clone(),
        }
    }
}

type Context<'a, K, A> = KeyContext<'a, K, Vec<Pane<A>>>;

impl<T: Data, A: Aggregate<T>, W> WindowOperator<T, A, W> {
    /// When nothing is kept of a window any more.
    fn cleanup_time(&self, window: Window) -> Timestamp {
        window.max_timestamp().after(self.lateness)
    }

    fn announce(&self, event: impl FnOnce(&OperatorContext) -> WindowEvent) {
        if let Some(context) = &self.context {
            context.host.announce(&event(context));
        }
    }

    /// The window into which a record goes, with all that becomes one with it.
    fn target<K: Key>(
        &self,
        window: Window,
        context: &mut Context<'_, K, A::Accumulator>,
    ) -> Window {
        let touched = context.state().iter().map(|pane| pane.window);
        match self.assigner.merges() {
            true => touched.filter(|other| other.touches(window)).fold(window, Window::cover),
            false => window,
        }
    }

    /// The contents of a window, with those of all that become one with it.
    fn contents<'a, K: Key>(
        &self,
        window: Window,
        context: &'a mut Context<'_, K, A::Accumulator>,
    ) -> Result<&'a mut A::Accumulator> {
        let known = context.state().iter().position(|pane| pane.window == window);
        let place = match known {
            Some(place) => place,
            None => self.begin(window, context)?,
        };
        Ok(&mut context.state()[place].contents)
    }

    /// Begins a window, out of those that become one with it; its place.
    fn begin<K: Key>(
        &self,
        window: Window,
        context: &mut Context<'_, K, A::Accumulator>,
    ) -> Result<usize> {
        let (mut contents, mut merged_any) = (A::Accumulator::default(), false);
        if self.assigner.merges() {
            let merges = |pane: &mut Pane<_>| pane.window.touches(window);
            let merged: Vec<_> = context.state().extract_if(.., merges).collect();
            let count = merged.len();
            merged_any = count > 0;
            if count > 1 {
                self.announce(|context| WindowEvent::Merged {
                    attempt: context.attempt,
                    window,
                    count,
                });
            }
            for pane in merged {
                context.delete_timer(Timer::Event(pane.window.max_timestamp()))?;
                context.delete_timer(Timer::Event(self.cleanup_time(pane.window)))?;
                self.aggregate.merge(&mut contents, pane.contents)?;
            }
        }
        let panes = context.state();
        panes.push(Pane { window, contents });
        let place = panes.len() - 1;
        // Others may have a timer in common with one that was deleted.
        let first = if merged_any { 0 } else { place };
        let windows: Vec<Window> = panes[first..].iter().map(|pane| pane.window).collect();
        windows.into_iter().try_for_each(|window| self.set_timers(window, context))?;
        Ok(place)
    }

    fn set_timers<K: Key>(
        &self,
        window: Window,
        context: &mut Context<'_, K, A::Accumulator>,
    ) -> Result<()> {
        // One that has fired does not fire again by itself.
        if window.max_timestamp() > context.watermark() {
            context.set_timer(Timer::Event(window.max_timestamp()))?;
        }
        context.set_timer(Timer::Event(self.cleanup_time(window)))
    }

    fn fire<K: Key>(
        &mut self,
        pane: Pane<A::Accumulator>,
        context: &Context<'_, K, A::Accumulator>,
        out: &mut Collector<'_, W::Out>,
    ) -> Result<()>
    where
        W: WindowFunction<K, A::Out>,
    {
        let Pane { window, contents } = pane;
        self.announce(|context| WindowEvent::Fired {
            attempt: context.attempt,
            window,
            restored: context.restored,
        });
        let result = self.aggregate.result(contents)?;
        let of_window =
            WindowContext { key: context.key(), window, watermark: context.watermark() };
        self.function.process(&of_window, result, &mut out.at(window.max_timestamp()))
    }

    /// Adds a record to a window; whether the window was there still.
    fn add<K: Key>(
        &mut self,
        window: Window,
        value: T,
        context: &mut Context<'_, K, A::Accumulator>,
        out: &mut Collector<'_, W::Out>,
    ) -> Result<bool>
    where
        W: WindowFunction<K, A::Out>,
    {
        let window = self.target(window, context);
        if self.cleanup_time(window) <= context.watermark() {
            return Ok(false);
        }
        let contents = self.contents(window, context)?;
        self.aggregate.add(contents, value)?;
        if window.max_timestamp() <= context.watermark() {
            let contents = self.contents(window, context)?.clone();
            self.fire(Pane { window, contents }, context, out)?;
        }
        Ok(true)
    }

    /// Whether a window fires at the end of what is kept of it, though it has fired before.
    fn fires_again(&self) -> bool {
        let restored = self.context.as_ref().filter(|context| context.restored.is_some());
        restored.is_some_and(|context| {
            context.host.sabotaged(sabotage::WINDOW_FIRES_AGAIN_AFTER_RESTORE)
        })
    }
}

impl<K, T, A, W> Process<K, T> for WindowOperator<T, A, W>
where
    K: Key,
    T: Data,
    A: Aggregate<T>,
    W: WindowFunction<K, A::Out>,
{
    type State = Vec<Pane<A::Accumulator>>;
    type Out = W::Out;

    fn open(&mut self, context: &OperatorContext) -> Result<()> {
        self.context = Some(context.clone());
        Ok(())
    }

    fn process(
        &mut self,
        value: T,
        context: &mut Context<'_, K, A::Accumulator>,
        out: &mut Collector<'_, W::Out>,
    ) -> Result<()> {
        let without = || Failure::new("a record without event time has come to windows");
        let time = context.time().ok_or_else(without)?;
        let mut is_in_one = false;
        for window in self.assigner.assign(time) {
            is_in_one |= self.add(window, value.clone(), context, out)?;
        }
        if !is_in_one && time.after(self.lateness) <= context.watermark() {
            let side_output = self.late.is_some();
            self.announce(|context| WindowEvent::LateRecord {
                attempt: context.attempt,
                side_output,
            });
            if let Some(late) = &self.late {
                out.emit_to(late, value);
            }
        }
        if context.state().is_empty() {
            context.clear();
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        timer: Timer,
        context: &mut Context<'_, K, A::Accumulator>,
        out: &mut Collector<'_, W::Out>,
    ) -> Result<()> {
        let Timer::Event(time) = timer else { return Ok(()) };
        let mut kept = Vec::new();
        for pane in std::mem::take(context.state()) {
            let fires = pane.window.max_timestamp() == time;
            let ends = self.cleanup_time(pane.window) == time;
            match (fires, ends) {
                (true, true) => self.fire(pane, context, out)?,
                (false, true) if self.fires_again() => self.fire(pane, context, out)?,
                (false, true) => {}
                (true, false) => {
                    self.fire(pane.clone(), context, out)?;
                    kept.push(pane);
                }
                (false, false) => kept.push(pane),
            }
        }
        match kept.is_empty() {
            true => context.clear(),
            false => *context.state() = kept,
        }
        Ok(())
    }
}
