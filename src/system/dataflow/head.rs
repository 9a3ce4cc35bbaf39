//! The beginning of a chain, as its task sees it.

use super::{
    data::{Data, decode_record},
    failure::Failure,
    operator::{Managed, Waits},
    stage::{Downstream, Scope, Stage},
};
use bytes::{Buf, Bytes};

/// What a source has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Records to be drained.
    Records,
    /// There is no more, ever.
    End,
}

/// A chain of operators with what is before it: a source, or records of other tasks. No call waits but `fetch`.
pub trait ChainHead: Downstream {
    /// Whether it begins with a source.
    fn is_source(&self) -> bool;

    /// Waits until the source has records, or none any more; may be dropped half-way. Never ready without a source.
    fn fetch(&mut self) -> Waits<'_, Fetched>;

    /// Whether something was fetched that was not handled yet.
    fn has_fetched(&self) -> bool;

    /// Handles what was fetched until the chain pauses; how many records.
    fn drain(&mut self, scope: &mut Scope) -> usize;

    /// Handles a record of another task.
    fn record(&mut self, record: &[u8], scope: &mut Scope);

    /// Lets those that want it see the records of a buffer before they are handled.
    ///
    /// # Errors
    /// Fails the task.
    fn look_ahead(&mut self, records: &Records) -> Result<(), Failure> {
        let _ = records;
        Ok(())
    }

    /// The operators, the first one first.
    fn managed(&mut self) -> Vec<&mut dyn Managed> {
        let mut all = Vec::new();
        self.add_managed(&mut all);
        all
    }
}

/// A chain that reads what other tasks emit.
pub(super) struct InputHead<T> {
    next: Box<dyn Stage<T>>,
}

impl<T> InputHead<T> {
    pub fn new(next: Box<dyn Stage<T>>) -> Self {
        InputHead { next }
    }
}

impl<T> Downstream for InputHead<T> {
    fn for_each_reader(&mut self, call: &mut dyn FnMut(&mut dyn Downstream)) {
        call(&mut *self.next);
    }

    fn add_managed<'a>(&'a mut self, all: &mut Vec<&'a mut dyn Managed>) {
        self.next.add_managed(all);
    }
}

impl<T: Data> ChainHead for InputHead<T> {
    fn is_source(&self) -> bool {
        false
    }

    fn fetch(&mut self) -> Waits<'_, Fetched> {
        Box::pin(std::future::pending())
    }

    fn has_fetched(&self) -> bool {
        false
    }

    fn drain(&mut self, _: &mut Scope) -> usize {
        0
    }

    fn look_ahead(&mut self, records: &Records) -> Result<(), Failure> {
        if !self.next.wants_look_ahead() {
            return Ok(());
        }
        let mut records = records.clone();
        while records.left > 0 {
            let record = records.next()?;
            records.left -= 1;
            self.next.look_ahead(&decode_record::<T>(&record)?.0)?;
        }
        self.next.end_look_ahead()
    }

    fn record(&mut self, record: &[u8], scope: &mut Scope) {
        match decode_record::<T>(record) {
            Ok((value, time)) => self.next.process(value, time, scope),
            Err(failure) => scope.fail(failure),
        }
    }
}

/// The records of a buffer that were not handled yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    left: u32,
    payload: Bytes,
}

impl Records {
    /// So many records, each its length and its bytes.
    pub fn new(count: u32, payload: Bytes) -> Self {
        Records { left: count, payload }
    }

    /// Whether all were handled.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Takes them through a chain until it pauses; how many.
    ///
    /// # Errors
    /// When they are not as many as was said, or cut short.
    pub fn drain(&mut self, chain: &mut dyn ChainHead, scope: &mut Scope) -> Result<u32, Failure> {
        let before = self.left;
        while self.left > 0 && !scope.is_paused() {
            let cut = || Failure::new("a buffer is cut short");
            let length = self.payload.try_get_u32_le().map_err(|_| cut())? as usize;
            let record = self.payload.get(..length).ok_or_else(cut)?;
            scope.step();
            chain.record(record, scope);
            self.payload.advance(length);
            self.left -= 1;
        }
        self.check_end()?;
        Ok(before - self.left)
    }

    /// Sends them once more to an output of a chain, of which they are.
    ///
    /// # Errors
    /// When they are not as many as was said, or cut short.
    pub fn send_again(
        mut self,
        output: usize,
        chain: &mut dyn ChainHead,
        scope: &mut Scope,
    ) -> Result<(), Failure> {
        while self.left > 0 {
            let record = self.next()?;
            chain.send_again(output, &record, scope);
            self.left -= 1;
        }
        self.check_end()
    }

    /// The record at the front.
    fn next(&mut self) -> Result<Bytes, Failure> {
        let cut = || Failure::new("a buffer is cut short");
        let length = self.payload.try_get_u32_le().map_err(|_| cut())? as usize;
        match self.payload.len() < length {
            true => Err(cut()),
            false => Ok(self.payload.split_to(length)),
        }
    }

    fn check_end(&self) -> Result<(), Failure> {
        match self.left == 0 && !self.payload.is_empty() {
            true => Err(Failure::new("a buffer has more than its records")),
            false => Ok(()),
        }
    }
}
