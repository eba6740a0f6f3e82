//! Writes: the tool's version decides whether a change still holds, and proves who wrote.

use std::collections::BTreeMap;

use http::Method;
use magnus_core::connection::{
    ConnectionError, ConnectionErrorKind, CreateTask, DeleteTask, RejectedField, RemoteWrite, UpdateTask, Written,
    WrittenTask,
};
use magnus_core::model::{Field, RemoteTask, RemoteValue, RemoteVersion};
use serde_json::Value;

use crate::blame;
use crate::client::Answer;
use crate::connection::{OpenProjectConnection, number};
use crate::payload;
use crate::refusal::{Attempt, names_attribute, says_read_only};
use crate::wire::WorkPackage;

pub(crate) async fn write(connection: &OpenProjectConnection, write: RemoteWrite) -> Result<Written, ConnectionError> {
    match write {
        RemoteWrite::Create(task) => create(connection, task).await,
        RemoteWrite::Update(task) => {
            let id = task.id.clone();
            update(connection, task)
                .await
                .map_err(|error| error.with_context("task", id))
        }
        RemoteWrite::Delete(task) => delete(connection, task).await,
    }
}

fn api(connection: &OpenProjectConnection) -> String {
    format!("{}/api/v3", connection.client.base.path_prefix())
}

async fn create(connection: &OpenProjectConnection, task: CreateTask) -> Result<Written, ConnectionError> {
    known_refusal(connection, &task.fields)?;
    let kind = connection.created_kind().await?;
    let path = format!("/projects/{}/work_packages", task.project);
    let post = async |marker| {
        let body = payload::create(&api(connection), &task.fields, kind.as_ref(), marker);
        let notify = [connection.notify()];
        connection.client.put_in(Method::POST, &path, &notify, &body).await
    };
    let marker = connection.marker_field().zip(task.marker);
    let answer = match (post(marker).await, marker) {
        // A project may want something else of the field. Nothing was made, and without a marker it can be.
        (Err(error), Some((field, _))) if names_attribute(&error, field.name()) => post(None).await,
        (answer, _) => answer,
    };
    let answer: Answer<WorkPackage> = answer.map_err(|error| {
        if says_read_only(&error, Field::PercentageDone) {
            connection.learned.percentage_is_computed();
        }
        blamed(error, &task.fields).with_context("project", &task.project)
    })?;
    // A new item starts at 0; anything else was saved again, by whomever.
    let sole_writer = answer.body.lock_version == Some(0);
    written(connection, &answer, None, sole_writer)
}

/// What the instance is known to refuse, said without asking it again.
fn known_refusal(
    connection: &OpenProjectConnection,
    fields: &BTreeMap<Field, RemoteValue>,
) -> Result<(), ConnectionError> {
    if !connection.learned.computes_percentage() || !fields.contains_key(&Field::PercentageDone) {
        return Ok(());
    }
    let message = "the percentage follows the status in this instance";
    let refusal = RejectedField {
        field: Field::PercentageDone,
        message: message.to_owned(),
    };
    Err(ConnectionError::new(ConnectionErrorKind::Rejected, "write", message).with_rejected(vec![refusal]))
}

/// The error, naming of what was sent what it means.
fn blamed(error: ConnectionError, sent: &BTreeMap<Field, RemoteValue>) -> ConnectionError {
    let rejected = blame::by_sent(error.rejected(), |field| sent.contains_key(&field));
    error.with_rejected(rejected)
}

async fn update(connection: &OpenProjectConnection, task: UpdateTask) -> Result<Written, ConnectionError> {
    known_refusal(connection, &task.fields)?;
    let (version, before) = match task.version.clone() {
        Some(version) => (version, None),
        None => {
            let before = current(connection, &task).await?;
            let task = connection.task(Attempt::read("write"), &before)?;
            let version = task.version.clone().ok_or_else(|| {
                ConnectionError::new(ConnectionErrorKind::Protocol, "write", "the tool sent no lockVersion")
            })?;
            (version, Some(task))
        }
    };
    let body = |milestone: bool| {
        payload::update(
            &api(connection),
            &task.fields,
            task.move_to.as_ref(),
            &version,
            milestone,
        )
    };
    let milestone = number(&task.id).is_some_and(|id| connection.learned.is_milestone(id));
    let answer = match patch(connection, &task, &body(milestone)).await {
        // A milestone takes its date by another name; nothing was applied, so it can be said again.
        Err(error) if !milestone && names_dates(&error) && task.fields.contains_key(&Field::DueDate) => {
            if current(connection, &task).await?.body.date.is_none() {
                return Err(blamed(error, &task.fields));
            }
            patch(connection, &task, &body(true)).await
        }
        other => other,
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            // A frozen item refuses everything; only of one that is not does it say how the instance works.
            if says_read_only(&error, Field::PercentageDone)
                && matches!(current(connection, &task).await, Ok(now) if now.body.readonly != Some(true))
            {
                connection.learned.percentage_is_computed();
            }
            return Err(blamed(error, &task.fields));
        }
    };
    let sole_writer = proves_sole_writer(&version, answer.body.lock_version);
    written(connection, &answer, before, sole_writer)
}

/// Exactly one version later nobody else wrote; the same version means that nothing had to change.
fn proves_sole_writer(decided_on: &RemoteVersion, now: Option<u64>) -> bool {
    match (decided_on.0.parse::<u64>(), now) {
        (Ok(before), Some(now)) => now == before || before.checked_add(1) == Some(now),
        _ => false,
    }
}

fn names_dates(error: &ConnectionError) -> bool {
    let dates = [Field::StartDate, Field::DueDate];
    error.kind() == ConnectionErrorKind::Rejected
        && error.rejected().iter().any(|rejected| dates.contains(&rejected.field))
}

async fn current(
    connection: &OpenProjectConnection,
    task: &UpdateTask,
) -> Result<Answer<WorkPackage>, ConnectionError> {
    let found = connection.fetch("write", &task.id).await?;
    found.ok_or_else(|| {
        ConnectionError::new(
            ConnectionErrorKind::NotFound,
            "write",
            "gone, or hidden from the key's user",
        )
    })
}

async fn patch(
    connection: &OpenProjectConnection,
    task: &UpdateTask,
    body: &Value,
) -> Result<Answer<WorkPackage>, ConnectionError> {
    let path = format!("/work_packages/{}", task.id);
    connection
        .client
        .put_in(Method::PATCH, &path, &[connection.notify()], body)
        .await
}

async fn delete(connection: &OpenProjectConnection, task: DeleteTask) -> Result<Written, ConnectionError> {
    let path = format!("/work_packages/{}", task.id);
    match connection.client.delete(&path, &[connection.notify()]).await {
        Ok(()) => Ok(Written::Deleted),
        Err(error) if error.kind() == ConnectionErrorKind::NotFound => Ok(Written::Deleted),
        Err(error) => Err(error.with_context("task", &task.id)),
    }
}

fn written(
    connection: &OpenProjectConnection,
    answer: &Answer<WorkPackage>,
    before: Option<RemoteTask>,
    sole_writer: bool,
) -> Result<Written, ConnectionError> {
    let task = connection.task(Attempt::WRITE, answer)?;
    Ok(Written::Task(Box::new(WrittenTask {
        task,
        before,
        sole_writer,
    })))
}
