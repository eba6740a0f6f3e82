//! Writes as calls, and what their answers mean.

use magnus_core::connection::{
    ConnectionError, ConnectionErrorKind as Kind, CreateTask, DeleteTask, Outcome, RemoteWrite, UpdateTask, Written,
    WrittenTask,
};
use magnus_core::model::{ExternalId, Field, RemoteTask, RemoteValue};
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::remote::{self, Surroundings};
use crate::rpc::{Call, Effect, Fault};
use crate::wire;

pub(crate) const OPERATION: &str = "write";

/// What the tickets are patched with; it was renamed after 3.8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchMethod {
    PatchTicket,
    Patch,
}

/// What is known of a write once its calls were answered.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It is done with.
    Done(Result<Written, ConnectionError>),
    /// A ticket with this number was made and must be read.
    Created(i64),
    /// The method does not exist in this version; nothing was done.
    OtherMethod,
}

pub(crate) fn get_ticket(id: &ExternalId) -> Call {
    Call::new("Tickets.getTicket", json!({"id": number(id)}))
}

pub(crate) fn get_project(id: &ExternalId) -> Call {
    Call::new("Projects.getProject", json!({"id": number(id)}))
}

/// Ids are numbers; one that is not was never this tool's and finds nothing.
pub(crate) fn number(id: &ExternalId) -> i64 {
    id.as_str().parse().unwrap_or(0)
}

/// The calls of a write. `first_status` is what a new ticket gets if no status is given.
pub(crate) fn calls(write: &RemoteWrite, method: PatchMethod, first_status: Option<i64>) -> Vec<Call> {
    match write {
        RemoteWrite::Create(create) => vec![add_ticket(create, first_status)],
        RemoteWrite::Update(update) => {
            let values = patch_values(update);
            if values.is_empty() {
                return vec![get_ticket(&update.id)];
            }
            let patch = patch(number(&update.id), values, method);
            vec![get_ticket(&update.id), patch, get_ticket(&update.id)]
        }
        RemoteWrite::Delete(delete) => vec![
            Call::new("Tickets.delete", json!({"id": number(&delete.id)})),
            get_ticket(&delete.id),
            get_project(&delete.project),
        ],
    }
}

fn columns<'a>(fields: impl IntoIterator<Item = (&'a Field, &'a RemoteValue)>) -> Map<String, Value> {
    fields
        .into_iter()
        .filter(|(field, _)| **field != Field::ActualHours)
        .filter_map(|(field, value)| Some((remote::column(*field)?.to_owned(), remote::sent(*field, value))))
        .collect()
}

fn add_ticket(create: &CreateTask, first_status: Option<i64>) -> Call {
    let mut values = columns(&create.fields);
    // Only what is set: a null would be stored as such and not as the default.
    values.retain(|column, value| !value.is_null() && (column != "dependingTicketId" || *value != json!(0)));
    if let Some(status) = first_status.filter(|_| !values.contains_key("status")) {
        // The tool's own default is 3 even where the project has no such status.
        values.insert("status".to_owned(), json!(status));
    }
    let is_child = create
        .fields
        .get(&Field::Parent)
        .is_some_and(|parent| !parent.is_null());
    values.insert("type".to_owned(), json!(if is_child { "subtask" } else { "task" }));
    values.insert("projectId".to_owned(), json!(number(&create.project)));
    Call::new("Tickets.addTicket", json!({"values": values}))
}

fn patch_values(update: &UpdateTask) -> Map<String, Value> {
    let mut values = columns(&update.fields);
    if let Some(target) = &update.move_to {
        values.insert("projectId".to_owned(), json!(number(target)));
        // Those of the old project mean nothing in the new one.
        values.insert("milestoneid".to_owned(), json!(0));
        values.insert("sprint".to_owned(), json!(0));
    }
    values
}

/// The type that a ticket should have after a change of its parent, if it has another: a task below a task is a
/// subtask, else the web page shows it beside its parent. Bugs and stories stay what they are.
pub(crate) fn other_type(write: &RemoteWrite, task: &RemoteTask) -> Option<&'static str> {
    let RemoteWrite::Update(update) = write else {
        return None;
    };
    let parent = update.fields.get(&Field::Parent)?;
    let kind = task.metadata.get("type").and_then(Value::as_str).unwrap_or("task");
    match (kind, parent.is_null()) {
        ("task", false) => Some("subtask"),
        ("subtask", true) => Some("task"),
        _ => None,
    }
}

/// The calls that give a ticket another type.
pub(crate) fn retype(id: &ExternalId, kind: &str, method: PatchMethod) -> Vec<Call> {
    vec![patch(number(id), json!({"type": kind}), method), get_ticket(id)]
}

fn patch(id: i64, values: impl Into<Value>, method: PatchMethod) -> Call {
    let values = values.into();
    match method {
        PatchMethod::PatchTicket => Call::new("Tickets.patchTicket", json!({"id": id, "values": values})),
        PatchMethod::Patch => Call::new("Tickets.patch", json!({"id": id, "params": values})),
    }
}

/// What the answers of a write's calls mean.
pub(crate) fn settle(write: &RemoteWrite, answers: &[Answer], around: &Surroundings) -> Settled {
    match write {
        RemoteWrite::Create(create) => settle_create(create, answers),
        RemoteWrite::Update(update) => settle_update(update, answers, around),
        RemoteWrite::Delete(delete) => Settled::Done(settle_delete(delete, answers)),
    }
}

fn error(kind: Kind, message: impl Into<String>, outcome: Outcome) -> ConnectionError {
    ConnectionError::new(kind, OPERATION, message).with_outcome(outcome)
}

fn settle_create(create: &CreateTask, answers: &[Answer]) -> Settled {
    let failed = |error: ConnectionError| Settled::Done(Err(error.with_context("project", &create.project)));
    match answers.first() {
        Some(Ok(result)) => match wire::id(result) {
            Some(id) => Settled::Created(id),
            None => failed(match wire::failure(result) {
                Some(reason) => error(Kind::Rejected, reason, Outcome::NotApplied),
                None => error(Kind::Protocol, "no number came for the new ticket", Outcome::Unknown),
            }),
        },
        Some(Err(fault)) => failed(fault.clone().into_error(OPERATION, Effect::Write)),
        None => failed(error(Kind::Protocol, "an answer is missing", Outcome::Unknown)),
    }
}

fn settle_update(update: &UpdateTask, answers: &[Answer], around: &Surroundings) -> Settled {
    let read = |at: usize| -> Option<RemoteTask> {
        let row = answers.get(at)?.as_ref().ok()?.as_object()?;
        remote::task(row, around)
    };
    let failed = |error: ConnectionError| Settled::Done(Err(error.with_context("task", &update.id)));
    let (patched, after) = match answers {
        [_] => (Ok(&Value::Bool(true)), read(0)),
        [_, patched, _] => (patched.as_ref(), read(2)),
        _ => return failed(error(Kind::Protocol, "an answer is missing", Outcome::Unknown)),
    };
    let before = read(0);
    match patched {
        Err(fault) if fault.code == Fault::NO_SUCH_METHOD => Settled::OtherMethod,
        Err(fault) => failed(fault.clone().into_error(OPERATION, Effect::Write)),
        Ok(result) if wire::failure(result).is_some() => {
            let (kind, message) = match before {
                Some(_) => (Kind::Rejected, "Leantime did not take the change"),
                None => (Kind::NotFound, "the ticket is gone or hidden"),
            };
            failed(error(kind, message, Outcome::NotApplied))
        }
        Ok(_) => match after {
            Some(task) => Settled::Done(Ok(Written::Task(Box::new(WrittenTask {
                task,
                before,
                sole_writer: false,
            })))),
            None => failed(error(
                Kind::NotFound,
                "the ticket was gone right after the change",
                Outcome::Applied,
            )),
        },
    }
}

/// Gone is believed only if the ticket cannot be read while its project can.
fn settle_delete(delete: &DeleteTask, answers: &[Answer]) -> Result<Written, ConnectionError> {
    let failed = |error: ConnectionError| Err(error.with_context("task", &delete.id));
    let [deleted, ticket, project] = answers else {
        return failed(error(Kind::Protocol, "an answer is missing", Outcome::Unknown));
    };
    match deleted {
        Err(fault) => failed(fault.clone().into_error(OPERATION, Effect::Write)),
        Ok(Value::Bool(true)) if matches!(ticket, Ok(Value::Object(_))) => {
            failed(error(Kind::Rejected, "the ticket is still there", Outcome::NotApplied))
        }
        Ok(Value::Bool(true)) => Ok(Written::Deleted),
        Ok(_) => match (ticket, project) {
            (Ok(Value::Bool(false)), Ok(Value::Object(_))) => Ok(Written::Deleted),
            (Ok(Value::Object(_)), _) => failed(error(
                Kind::Forbidden,
                "Leantime does not delete the ticket",
                Outcome::NotApplied,
            )),
            _ => failed(error(
                Kind::Forbidden,
                "the ticket cannot be seen, nor its project; whether it is gone is not known",
                Outcome::NotApplied,
            )),
        },
    }
}
