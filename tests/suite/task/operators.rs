//! What the jobs of these tests run.

use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use wavetank::{
    host::Instant,
    system::{
        graph::{OperatorSpec, OperatorState},
        ids::{CheckpointId, ExecutionVertexId},
        task_executor::{
            Operator, OperatorContext, OperatorRegistry, Output, Record, Source, SourceStep,
            TaskError,
        },
    },
};

use super::ms;

type Done<'a> = BoxFuture<'a, Result<(), TaskError>>;

/// What the sinks hold, by subtask of the newest attempt, and what operators were told.
#[derive(Default)]
pub struct Seen {
    collected: Mutex<BTreeMap<ExecutionVertexId, Vec<u64>>>,
    log: Mutex<Vec<String>>,
}

impl Seen {
    pub fn of(&self, vertex: ExecutionVertexId) -> Vec<u64> {
        self.collected.lock().unwrap().get(&vertex).cloned().unwrap_or_default()
    }

    pub fn all(&self) -> Vec<u64> {
        let mut all: Vec<u64> =
            self.collected.lock().unwrap().values().flatten().copied().collect();
        all.sort_unstable();
        all
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn write(&self, text: String) {
        self.log.lock().unwrap().push(text);
    }
}

pub fn record(number: u64) -> Record {
    Record(Bytes::copy_from_slice(&number.to_le_bytes()))
}

pub fn number(record: &Record) -> u64 {
    u64::from_le_bytes(record.0[..].try_into().unwrap())
}

pub fn spec(uid: &str, name: &str, parameters: &impl Serialize) -> OperatorSpec {
    let parameters = postcard::to_stdvec(parameters).unwrap();
    OperatorSpec { uid: uid.to_string(), name: name.to_string(), parameters }
}

fn own(state: &impl Serialize) -> OperatorState {
    let own = Bytes::from(postcard::to_stdvec(state).unwrap());
    OperatorState { own, keyed: Vec::new() }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, TaskError> {
    postcard::from_bytes(bytes).map_err(|error| TaskError::User(error.to_string()))
}

/// Hands out `subtask * 1_000_000 + 0..count`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Numbers {
    pub count: u64,
    pub batch: u64,
    pub pause_ms: u64,
}

struct NumberSource {
    parameters: Numbers,
    context: Option<OperatorContext>,
    position: u64,
    due: Option<Instant>,
}

impl Source for NumberSource {
    fn open(&mut self, context: OperatorContext, restored: Option<OperatorState>) -> Done<'_> {
        Box::pin(async move {
            if let Some(state) = restored {
                self.position = read(&state.own)?;
            }
            self.context = Some(context);
            Ok(())
        })
    }

    fn next(&mut self) -> BoxFuture<'_, Result<SourceStep, TaskError>> {
        Box::pin(async {
            let context = self.context.as_ref().unwrap();
            let Numbers { count, batch, pause_ms } = self.parameters;
            if self.position == count {
                return Ok(SourceStep::End);
            }
            let due = *self.due.get_or_insert(context.host.now() + ms(pause_ms));
            context.host.sleep_until(due).await;
            self.due = None;
            let end = (self.position + batch).min(count);
            let offset = u64::from(context.subtask) * 1_000_000;
            let records = (self.position..end).map(|number| record(offset + number)).collect();
            self.position = end;
            Ok(SourceStep::Records(records))
        })
    }

    fn snapshot(&mut self, _: CheckpointId) -> BoxFuture<'_, Result<OperatorState, TaskError>> {
        Box::pin(async { Ok(own(&self.position)) })
    }
}

/// Hands on what it gets, so many times, with so much waiting.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pass {
    pub copies: u32,
    pub wait_ms: u64,
}

struct PassOperator {
    parameters: Pass,
    context: Option<OperatorContext>,
    seen: Arc<Seen>,
}

impl Operator for PassOperator {
    fn open(&mut self, context: OperatorContext, _: Option<OperatorState>) -> Done<'_> {
        self.context = Some(context);
        Box::pin(async { Ok(()) })
    }

    fn process<'a>(&'a mut self, record: Record, output: &'a mut Output) -> Done<'a> {
        Box::pin(async move {
            let context = self.context.as_ref().unwrap();
            if self.parameters.wait_ms > 0 {
                context.host.sleep(ms(self.parameters.wait_ms)).await;
            }
            for _ in 0..self.parameters.copies {
                output.emit(record.clone()).await?;
            }
            Ok(())
        })
    }

    fn finish<'a>(&'a mut self, _: &'a mut Output) -> Done<'a> {
        self.seen.write(format!("finish {:?}", self.context.as_ref().unwrap().attempt));
        Box::pin(async { Ok(()) })
    }

    fn snapshot(&mut self, _: CheckpointId) -> BoxFuture<'_, Result<OperatorState, TaskError>> {
        Box::pin(async { Ok(OperatorState::default()) })
    }
}

/// Counts records by the last digit in keyed state, and emits the counts at the end.
#[derive(Default)]
struct CountOperator {
    context: Option<OperatorContext>,
}

impl Operator for CountOperator {
    fn open(&mut self, context: OperatorContext, _: Option<OperatorState>) -> Done<'_> {
        self.context = Some(context);
        Box::pin(async { Ok(()) })
    }

    fn process<'a>(&'a mut self, record: Record, _: &'a mut Output) -> Done<'a> {
        Box::pin(async move {
            let keyed = &self.context.as_ref().unwrap().keyed;
            let key = last_digit(&record)?;
            let before = keyed.get(&key).await?;
            let before = before.map_or(0, |value| number(&Record(value)));
            keyed.put(key, super::operators::record(before + 1).0).await
        })
    }

    fn finish<'a>(&'a mut self, output: &'a mut Output) -> Done<'a> {
        Box::pin(async move {
            let keyed = &self.context.as_ref().unwrap().keyed;
            for digit in 0..10 {
                let key = last_digit(&record(digit))?;
                let Ok(Some(count)) = keyed.get(&key).await else { continue };
                output.emit(record(digit * 1_000_000 + number(&Record(count)))).await?;
            }
            Ok(())
        })
    }

    fn snapshot(&mut self, _: CheckpointId) -> BoxFuture<'_, Result<OperatorState, TaskError>> {
        Box::pin(async { Ok(OperatorState::default()) })
    }
}

fn last_digit(record: &Record) -> Result<Bytes, TaskError> {
    Ok(Bytes::from((number(record) % 10).to_string()))
}

/// Keeps what it gets; its state is all of it.
struct CollectOperator {
    seen: Arc<Seen>,
    vertex: Option<ExecutionVertexId>,
}

impl Operator for CollectOperator {
    fn open(&mut self, context: OperatorContext, restored: Option<OperatorState>) -> Done<'_> {
        Box::pin(async move {
            let begin: Vec<u64> = match restored {
                Some(state) => read(&state.own)?,
                None => Vec::new(),
            };
            self.vertex = Some(context.attempt.vertex);
            self.seen.collected.lock().unwrap().insert(context.attempt.vertex, begin);
            Ok(())
        })
    }

    fn process<'a>(&'a mut self, record: Record, _: &'a mut Output) -> Done<'a> {
        let mut collected = self.seen.collected.lock().unwrap();
        collected.get_mut(&self.vertex.unwrap()).unwrap().push(number(&record));
        Box::pin(async { Ok(()) })
    }

    fn snapshot(&mut self, _: CheckpointId) -> BoxFuture<'_, Result<OperatorState, TaskError>> {
        let state = own(&self.seen.of(self.vertex.unwrap()));
        Box::pin(async move { Ok(state) })
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Done<'_> {
        self.seen.write(format!("confirm {checkpoint}"));
        Box::pin(async { Ok(()) })
    }

    fn close(&mut self) -> Done<'_> {
        self.seen.write("close".to_string());
        Box::pin(async { Ok(()) })
    }
}

/// Misbehaves in one of its calls: `panic open`, `fail confirm`, `hang close` and the like.
struct BadOperator {
    how: String,
}

impl BadOperator {
    fn call(&self, name: &str) -> Done<'static> {
        let how = self.how.strip_suffix(name).map(|how| how.trim().to_string());
        let name = name.to_string();
        Box::pin(async move {
            match how.as_deref() {
                Some("panic") => panic!("in {name}"),
                Some("fail") => Err(TaskError::User(format!("no {name}"))),
                Some("hang") => std::future::pending().await,
                _ => Ok(()),
            }
        })
    }
}

impl Operator for BadOperator {
    fn open(&mut self, _: OperatorContext, _: Option<OperatorState>) -> Done<'_> {
        self.call("open")
    }

    fn process<'a>(&'a mut self, record: Record, output: &'a mut Output) -> Done<'a> {
        Box::pin(async move {
            self.call("process").await?;
            output.emit(record).await
        })
    }

    fn finish<'a>(&'a mut self, _: &'a mut Output) -> Done<'a> {
        self.call("finish")
    }

    fn snapshot(&mut self, _: CheckpointId) -> BoxFuture<'_, Result<OperatorState, TaskError>> {
        let call = self.call("snapshot");
        Box::pin(async { call.await.map(|()| OperatorState::default()) })
    }

    fn notify_checkpoint_complete(&mut self, _: CheckpointId) -> Done<'_> {
        self.call("confirm")
    }

    fn close(&mut self) -> Done<'_> {
        self.call("close")
    }
}

/// Everything that the tests name.
pub fn registry(seen: &Arc<Seen>) -> OperatorRegistry {
    let (passed, collected) = (seen.clone(), seen.clone());
    OperatorRegistry::new()
        .source("numbers", |parameters| {
            let parameters = read(parameters)?;
            Ok(Box::new(NumberSource { parameters, context: None, position: 0, due: None }))
        })
        .operator("pass", move |parameters| {
            let (parameters, seen) = (read(parameters)?, passed.clone());
            Ok(Box::new(PassOperator { parameters, context: None, seen }))
        })
        .operator("count", |_| Ok(Box::new(CountOperator::default())))
        .operator("collect", move |_| {
            Ok(Box::new(CollectOperator { seen: collected.clone(), vertex: None }))
        })
        .operator("bad", |how| Ok(Box::new(BadOperator { how: read(how)? })))
        .key_selector("last-digit", last_digit)
}
