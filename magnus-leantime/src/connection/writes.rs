//! Writes: in batches, with the method that this version has, and read back.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use magnus_core::connection::{
    ConnectionError, ConnectionErrorKind as Kind, Outcome, RemoteWrite, Written, WrittenTask, check_right_to_write,
};
use magnus_core::model::{ExternalId, Field, RemoteField, RemoteValue};

use super::{LeantimeConnection, user_of};
use crate::rpc::{Call, Effect};
use crate::write::{self, PatchMethod, Settled, get_ticket};

/// A web server refuses more than a megabyte unless it is told otherwise.
const BODY_BYTES: usize = 900_000;
const CALL_BYTES: usize = 400;

impl LeantimeConnection {
    pub(super) async fn write_all(&self, writes: Vec<RemoteWrite>) -> Vec<Result<Written, ConnectionError>> {
        let mut results: Vec<Result<Written, ConnectionError>> = Vec::with_capacity(writes.len());
        let mut rest = writes.as_slice();
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at(fitting(rest, self.tempo.batch()));
            rest = others;
            // Once the tool is away or refuses us, what is left is not sent at all.
            let stopped = match results.last() {
                Some(Err(error)) if error.kind().is_transient() || error.kind() == Kind::Unauthorized => {
                    Some(again(error).with_outcome(Outcome::NotApplied))
                }
                // Between two requests the process may have stood still.
                _ => check_right_to_write().err(),
            };
            match stopped {
                Some(error) => results.extend(chunk.iter().map(|_| Err(again(&error)))),
                None => {
                    let (requests, spent) = self.rpc.spent();
                    results.extend(self.write_chunk(chunk).await);
                    let (requests_after, spent_after) = self.rpc.spent();
                    let requests = u32::try_from(requests_after - requests).unwrap_or(u32::MAX);
                    self.tempo.learn(chunk.len(), requests, spent_after - spent);
                }
            }
        }
        results
    }

    async fn write_chunk(&self, writes: &[RemoteWrite]) -> Vec<Result<Written, ConnectionError>> {
        let mut settled = match self.send(writes).await {
            Ok(settled) => settled,
            Err(error) => return writes.iter().map(|_| Err(again(&error))).collect(),
        };
        let retried: Vec<usize> = settled
            .iter()
            .enumerate()
            .filter(|(_, settled)| matches!(settled, Settled::OtherMethod))
            .map(|(at, _)| at)
            .collect();
        if !retried.is_empty() && self.patch_method() == PatchMethod::PatchTicket {
            self.old_patch.store(true, Ordering::Relaxed);
            let writes: Vec<RemoteWrite> = retried.iter().map(|at| writes[*at].clone()).collect();
            match self.send(&writes).await {
                Ok(second) => retried
                    .iter()
                    .zip(second)
                    .for_each(|(at, second)| settled[*at] = second),
                Err(error) => retried
                    .iter()
                    .for_each(|at| settled[*at] = Settled::Done(Err(again(&error)))),
            }
        }
        self.retype(writes, &mut settled).await;
        self.read_created(settled).await
    }

    /// Makes subtasks of tasks that got a parent, and tasks of subtasks that lost theirs, in one request. The change
    /// itself is done; if this fails, the ticket is only shown in another place.
    async fn retype(&self, writes: &[RemoteWrite], settled: &mut [Settled]) {
        let mut wanted = Vec::new();
        let mut calls = Vec::new();
        for (at, (write, settled)) in writes.iter().zip(settled.iter()).enumerate() {
            if let Settled::Done(Ok(Written::Task(written))) = settled
                && let Some(kind) = write::other_type(write, &written.task)
            {
                wanted.push(at);
                calls.extend(write::retype(&written.task.id, kind, self.patch_method()));
            }
        }
        let answers = match self.rpc.batch(write::OPERATION, Effect::Write, calls).await {
            Ok(answers) => answers,
            Err(error) => {
                tracing::warn!(%error, "tickets with a new parent could not be made subtasks");
                return;
            }
        };
        for (at, answers) in wanted.into_iter().zip(answers.chunks(2)) {
            let after = answers.get(1).and_then(user_of).and_then(|row| self.task(row));
            if let (Some(after), Settled::Done(Ok(Written::Task(written)))) = (after, &mut settled[at]) {
                written.task = after;
            }
        }
    }

    /// Sends writes in one request; one result each, where `None` asks for the other method.
    async fn send(&self, writes: &[RemoteWrite]) -> Result<Vec<Settled>, ConnectionError> {
        let method = self.patch_method();
        let calls: Vec<Vec<Call>> = writes
            .iter()
            .map(|write| write::calls(write, method, self.first_status(write)))
            .collect();
        let lengths: Vec<usize> = calls.iter().map(Vec::len).collect();
        let answers = self
            .rpc
            .batch(write::OPERATION, Effect::Write, calls.into_iter().flatten().collect())
            .await?;
        let around = self.around();
        let mut rest = answers.as_slice();
        Ok(writes
            .iter()
            .zip(lengths)
            .map(|(write, length)| {
                let (own, others) = rest.split_at(length.min(rest.len()));
                rest = others;
                write::settle(write, own, &around)
            })
            .collect())
    }

    /// Reads what was created, in one request.
    async fn read_created(&self, settled: Vec<Settled>) -> Vec<Result<Written, ConnectionError>> {
        let made: Vec<ExternalId> = settled
            .iter()
            .filter_map(|settled| match settled {
                Settled::Created(id) => u64::try_from(*id).ok().map(ExternalId::from),
                _ => None,
            })
            .collect();
        let read = self
            .rpc
            .batch(write::OPERATION, Effect::Read, made.iter().map(get_ticket).collect())
            .await;
        let mut created = made.iter().enumerate().map(|(at, id)| {
            let unread = |message: &str| {
                ConnectionError::new(Kind::Protocol, write::OPERATION, message)
                    .with_outcome(Outcome::Applied)
                    .with_context("task", id)
            };
            let answers = read
                .as_ref()
                .map_err(|error| again(error).with_outcome(Outcome::Applied).with_context("task", id))?;
            let row = answers.get(at).and_then(user_of);
            let task = row.and_then(|row| self.task(row));
            let mut task = task.ok_or_else(|| unread("the new ticket cannot be read"))?;
            // A single read does not tell the logged hours; of a new ticket they are known to be none.
            let none = RemoteField {
                value: RemoteValue::NULL,
                derived: true,
            };
            if !task.fields.contains_key(&Field::ActualHours) {
                task.fields.insert(Field::ActualHours, none);
            }
            Ok(Written::Task(Box::new(WrittenTask {
                task,
                before: None,
                sole_writer: false,
            })))
        });
        settled
            .into_iter()
            .map(|settled| match settled {
                Settled::Done(result) => result,
                Settled::Created(_) => created.next().unwrap_or_else(|| {
                    let message = "the new ticket has no usable number";
                    Err(ConnectionError::new(Kind::Protocol, write::OPERATION, message).with_outcome(Outcome::Applied))
                }),
                Settled::OtherMethod => Err(ConnectionError::new(
                    Kind::Unsupported,
                    write::OPERATION,
                    "this version of Leantime has no way to change a ticket over its API",
                )),
            })
            .collect()
    }

    fn patch_method(&self) -> PatchMethod {
        if self.old_patch.load(Ordering::Relaxed) {
            PatchMethod::Patch
        } else {
            PatchMethod::PatchTicket
        }
    }

    fn first_status(&self, write: &RemoteWrite) -> Option<i64> {
        let RemoteWrite::Create(create) = write else {
            return None;
        };
        self.first_statuses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&create.project)
            .copied()
    }
}

/// How many of the writes go into one request: no more than so many, and no larger than web servers take by default.
fn fitting(writes: &[RemoteWrite], most: usize) -> usize {
    let mut bytes = 0;
    let within = |write: &&RemoteWrite| {
        bytes += size(write);
        bytes <= BODY_BYTES
    };
    writes.iter().take(most).take_while(within).count().max(1)
}

/// About how many bytes a write takes in a request.
fn size(write: &RemoteWrite) -> usize {
    let fields = match write {
        RemoteWrite::Create(create) => &create.fields,
        RemoteWrite::Update(update) => &update.fields,
        RemoteWrite::Delete(_) => return CALL_BYTES,
    };
    let values = fields.values().map(|value| value.0.to_string().len() + 30);
    CALL_BYTES + values.sum::<usize>()
}

/// The same error for another item.
fn again(error: &ConnectionError) -> ConnectionError {
    let mut copy = ConnectionError::new(error.kind(), error.operation(), error.message())
        .with_outcome(error.outcome())
        .with_retry_after(error.retry_after());
    for (key, value) in error.context() {
        copy = copy.with_context(key, value);
    }
    match std::error::Error::source(error) {
        Some(source) => copy.with_source(source.to_string()),
        None => copy,
    }
}
