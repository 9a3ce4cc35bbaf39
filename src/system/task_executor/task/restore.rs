//! What a task begins with: its part of a checkpoint, or its share of the parts of others.

use crate::system::{
    dataflow::{ChainHead, Emitted, Records, Scope, Timestamp},
    graph::{
        FormerPart, OperatorState, RestoredParts, RestoredState, StateHandle, StatePlace,
        TaskRestore, TaskState,
    },
    sabotage,
    service::object_store::ObjectStore,
    task_executor::{TaskError, error::caught},
};
use bytes::Bytes;
use std::collections::BTreeMap;

/// What was emitted and nobody had taken, by output and channel.
type Waiting = Vec<(u32, u32, Emitted)>;

/// What a task begins with.
#[derive(Default)]
pub struct RestoredTask {
    /// It is restored from behind the end of its data, or its job has been stopped: it handles nothing more.
    pub finished: bool,
    /// By uid.
    states: BTreeMap<String, RestoredState>,
    /// Whether an operator that is not there any more may have had a state: who started the job has agreed.
    may_leave_states: bool,
    /// What waits for the same channels.
    emitted: Waiting,
    /// What waits for whatever channels it belongs to now.
    emitted_again: Waiting,
}

impl RestoredTask {
    /// Reads it; nothing where a task begins anew.
    pub async fn read(
        objects: &dyn ObjectStore,
        restore: Option<&TaskRestore>,
    ) -> Result<Self, TaskError> {
        let Some(restore) = restore else { return Ok(RestoredTask::default()) };
        let mut task = match &restore.state {
            RestoredParts::Same(part) => {
                Self::same(read_part(objects, part, restore.savepoint.is_some()).await?)?
            }
            RestoredParts::Redistributed(parts) => Self::redistributed(objects, parts).await?,
        };
        if restore.stopped {
            task.finished = true;
            // It is for whoever begins from the savepoint.
            task.emitted.clear();
        }
        Ok(task)
    }

    fn same(state: TaskState) -> Result<Self, TaskError> {
        let TaskState { finished, operators, emitted } = state;
        let states = operators.into_iter().map(|(uid, state)| (uid, RestoredState::Same(state)));
        let (states, emitted) = (states.collect(), decoded(&emitted)?);
        Ok(RestoredTask { finished, states, emitted, ..RestoredTask::default() })
    }

    async fn redistributed(
        objects: &dyn ObjectStore,
        parts: &[FormerPart],
    ) -> Result<Self, TaskError> {
        let mut finished = !parts.is_empty();
        let mut states = BTreeMap::<String, Vec<(u32, OperatorState)>>::new();
        let mut emitted_again = Waiting::new();
        for FormerPart { subtask, same_chain, takes_emitted, state } in parts {
            let part = read_part(objects, state, true).await?;
            finished &= part.finished;
            for (uid, state) in part.operators {
                states.entry(uid).or_default().push((*subtask, state));
            }
            let emitted = decoded(&part.emitted)?;
            let is_lost = !same_chain && emitted.iter().any(|(.., one)| is_record(one));
            if is_lost {
                return Err(TaskError::Restore(
                    "records waited between operators that are connected otherwise now: start the program as it was, \
                     or from a savepoint that was taken while nothing waited"
                        .to_string(),
                ));
            }
            let records: Waiting = emitted.into_iter().filter(|(.., one)| is_record(one)).collect();
            let forgets = *takes_emitted
                && !records.is_empty()
                && objects.host().sabotaged(sabotage::WAITING_LOST_AT_A_RESCALE);
            if *takes_emitted && !forgets {
                emitted_again.extend(records);
            }
        }
        let redistributed = |(uid, states)| (uid, RestoredState::Redistributed(states));
        Ok(RestoredTask {
            finished,
            states: states.into_iter().map(redistributed).collect(),
            may_leave_states: true,
            emitted_again,
            ..RestoredTask::default()
        })
    }

    /// What an operator begins with.
    pub fn state_of(&mut self, uid: &str) -> RestoredState {
        self.states.remove(uid).unwrap_or_default()
    }

    /// Refuses a state that no operator has asked for.
    pub fn refuse_what_is_left(&self) -> Result<(), TaskError> {
        match self.states.keys().next().filter(|_| !self.may_leave_states) {
            Some(uid) => {
                Err(TaskError::Restore(format!("there is no operator {uid:?} for its state")))
            }
            None => Ok(()),
        }
    }

    /// Hands what was emitted and not taken to whom it is for, once all operators are open.
    pub fn emit_again(self, chain: &mut dyn ChainHead, scope: &mut Scope) -> Result<(), TaskError> {
        let restored = scope.outputs.restore(self.emitted);
        restored.map_err(|failure| TaskError::Restore(failure.0))?;
        scope.begin(Timestamp::MIN);
        caught(|| {
            for (output, _, emitted) in self.emitted_again {
                if let Emitted::Records(count, payload) = emitted {
                    Records::new(count, payload).send_again(output as usize, chain, scope)?;
                }
            }
            scope.end().map(drop)
        })
    }
}

/// Whether it is for the one channel that it waits for: watermarks are told anew.
fn is_record(emitted: &Emitted) -> bool {
    matches!(emitted, Emitted::Records(..))
}

fn decoded(emitted: &Bytes) -> Result<Waiting, TaskError> {
    if emitted.is_empty() {
        return Ok(Waiting::new());
    }
    postcard::from_bytes(emitted).map_err(|error| TaskError::Restore(error.to_string()))
}

/// Reads a part; the files that one `of_savepoint` names are found beside it.
async fn read_part(
    objects: &dyn ObjectStore,
    part: &StateHandle,
    of_savepoint: bool,
) -> Result<TaskState, TaskError> {
    let bytes = match &part.place {
        StatePlace::Inline(state) => state.clone(),
        StatePlace::Object(name) => {
            let bytes = objects.get_until_acknowledged(name).await;
            bytes.map_err(|refusal| TaskError::Restore(format!("{name}: {refusal}")))?
        }
    };
    if bytes.len() as u64 != part.length {
        let text = format!("{} bytes where {} were written", bytes.len(), part.length);
        return Err(TaskError::Restore(text));
    }
    let state = postcard::from_bytes(&bytes);
    let mut state: TaskState = state.map_err(|error| TaskError::Restore(error.to_string()))?;
    if let (true, StatePlace::Object(name)) = (of_savepoint, &part.place) {
        let path = name.rsplit_once("/chk-").map_or("", |(path, _)| path);
        for (_, operator) in &mut state.operators {
            for file in &mut operator.files {
                file.object = format!("{path}/{}", file.object);
            }
        }
    }
    Ok(state)
}
