//! One instance of Leantime.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono_tz::Tz;
use magnus_core::connection::{
    Capabilities, Connection, ConnectionError, ConnectionErrorKind as Kind, FieldSupport, FindCreated, Identity,
    ListIds, ListProjects, ListTasks, Outcome, Page, ProjectReading, ReadTask, Reading, RemoteWrite, Translator,
    Written, WrittenTask,
};
use magnus_core::model::{ConnectionOptions, ExternalId, Field, RemoteProject, RemoteTask, ToolName};
use magnus_transport::InstanceUrl;
use serde_json::{Value, json};

use crate::remote::{self, Surroundings};
use crate::rpc::{Answer, Call, Effect, Fault, Rpc};
use crate::translate::{LeantimeTranslator, StatusLabel, User};
use crate::wire::{self, Row};
use crate::write::{self, PatchMethod, Settled, get_project, get_ticket, number};

/// Reads in one request: half a second's work for the tool.
const READS: usize = 100;
/// Writes in one request, each of up to three calls.
const WRITES: usize = 50;

/// A connection to one instance of Leantime.
#[derive(Debug)]
pub(crate) struct LeantimeConnection {
    rpc: Rpc,
    instance: InstanceUrl,
    zone: Tz,
    options: ConnectionOptions,
    key_name: String,
    /// What a call taught us of the version.
    old_patch: AtomicBool,
    tells_modified: AtomicBool,
    /// Statuses of new tickets, from the last translator.
    first_statuses: Mutex<BTreeMap<ExternalId, i64>>,
}

impl LeantimeConnection {
    pub(crate) fn new(rpc: Rpc, instance: InstanceUrl, zone: Tz, options: ConnectionOptions, key_name: String) -> Self {
        Self {
            rpc,
            instance,
            zone,
            options,
            key_name,
            old_patch: AtomicBool::new(false),
            tells_modified: AtomicBool::new(false),
            first_statuses: Mutex::default(),
        }
    }

    fn around(&self) -> Surroundings {
        Surroundings {
            instance: self.instance.as_str().to_owned(),
            seconds_ahead: self.rpc.seconds_ahead(),
        }
    }

    fn task(&self, row: &Row) -> Option<RemoteTask> {
        let task = remote::task(row, &self.around())?;
        if task.updated_at.is_some() {
            self.tells_modified.store(true, Ordering::Relaxed);
        }
        Some(task)
    }

    /// All rows of a list as tasks; one that cannot be read makes the list worthless as a proof.
    fn tasks(
        &self,
        operation: &'static str,
        listed: Answer,
    ) -> Result<Vec<(RemoteTask, Option<i64>)>, ConnectionError> {
        let listed = listed.map_err(|fault| fault.into_error(operation, Effect::Read))?;
        let broken = |message: &str| ConnectionError::new(Kind::Protocol, operation, message);
        let Value::Array(rows) = listed else {
            return Err(broken("no list of tickets came"));
        };
        rows.iter()
            .map(|row| {
                let row = row.as_object().ok_or_else(|| broken("a ticket is no object"))?;
                let task = self.task(row).ok_or_else(|| broken("a ticket has no number"))?;
                Ok((task, row.get("authorId").and_then(wire::id)))
            })
            .collect()
    }

    /// Who the key is; versions up to 3.7 do not tell.
    fn user_of(answer: &Answer) -> Option<&Row> {
        answer.as_ref().ok().and_then(Value::as_object)
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
        self.read_created(settled).await
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
            let row = answers.get(at).and_then(Self::user_of);
            let task = row.and_then(|row| self.task(row));
            let task = task.ok_or_else(|| unread("the new ticket cannot be read"))?;
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

fn unsupported(operation: &'static str, message: &str) -> ConnectionError {
    ConnectionError::new(Kind::Unsupported, operation, message)
}

fn listing(project: &ExternalId) -> Call {
    Call::new(
        "Tickets.getAll",
        json!({"searchCriteria": {"currentProject": number(project), "status": "all"}}),
    )
}

/// An empty list proves nothing unless the project itself can be read.
fn readable(operation: &'static str, project: &ExternalId, answer: Answer) -> Result<Row, ConnectionError> {
    match answer {
        Ok(Value::Object(row)) => Ok(row),
        Ok(Value::Bool(false) | Value::Null) => {
            Err(ConnectionError::new(Kind::NotFound, operation, "the project is gone"))
        }
        Ok(_) => Err(ConnectionError::new(
            Kind::Protocol,
            operation,
            "the project is no object",
        )),
        Err(fault) => Err(fault.into_error(operation, Effect::Read)),
    }
    .map_err(|error| error.with_context("project", project))
}

#[async_trait]
impl Connection for LeantimeConnection {
    fn capabilities(&self) -> Capabilities {
        let fields = Field::ALL
            .iter()
            .filter(|field| remote::column(**field).is_some())
            .map(|field| {
                let computed = *field == Field::ActualHours;
                (
                    *field,
                    if computed {
                        FieldSupport::ReadOnly
                    } else {
                        FieldSupport::ReadWrite
                    },
                )
            })
            .collect();
        let host = self.instance.as_url().host_str().unwrap_or_default().to_owned();
        let mut capabilities = Capabilities::new(ToolName::new("leantime"), host, fields);
        capabilities.change_times = self.tells_modified.load(Ordering::Relaxed);
        capabilities.delete = true;
        capabilities.archive = true;
        capabilities.writes_notify = true;
        capabilities.batch_size = WRITES;
        capabilities
    }

    async fn check(&self) -> Result<Identity, ConnectionError> {
        let calls = vec![
            Call::new("Api.Config.getSystemInfo", json!({})),
            Call::new("Users.getUser", json!({})),
            Call::new("Projects.getAll", json!({})),
        ];
        let answers = self.rpc.batch("check", Effect::Read, calls).await?;
        let [system, user, projects] = answers.as_slice() else {
            return Err(ConnectionError::new(Kind::Protocol, "check", "an answer is missing"));
        };
        let listed = projects
            .clone()
            .map_err(|fault| fault.into_error("check", Effect::Read))?;
        let visible = listed
            .as_array()
            .ok_or_else(|| ConnectionError::new(Kind::Protocol, "check", "no list of projects came"))?
            .len();
        let mut notes = vec![format!("{visible} projects can be seen")];
        let user = Self::user_of(user);
        let role = user.and_then(|user| user.get("role")).and_then(wire::int);
        if role.is_some_and(|role| role < 20) {
            notes.push("the key may only read: give it the role Editor".to_owned());
        }
        if role.is_some_and(|role| role < 40) {
            notes.push("a project that is taken from this key looks empty; prefer an Admin key".to_owned());
        }
        notes.push("new tickets and status changes notify the members of the project".to_owned());
        if self.options.time_zone.is_none() {
            notes.push(format!(
                "time_zone is not set; {} is assumed, with which Leantime ships",
                self.zone
            ));
        }
        let word = |key: &str| {
            user.and_then(|user| user.get(key))
                .and_then(wire::text)
                .unwrap_or_default()
        };
        let name = format!("{} {}", word("firstname"), word("lastname")).trim().to_owned();
        let id = user
            .and_then(|user| user.get("id"))
            .and_then(wire::id)
            .and_then(|id| u64::try_from(id).ok());
        let id = match id {
            Some(id) => ExternalId::from(id),
            None => ExternalId::new(self.key_name.clone())
                .map_err(|error| ConnectionError::new(Kind::Protocol, "check", error.to_string()))?,
        };
        Ok(Identity {
            name: if name.is_empty() { self.key_name.clone() } else { name },
            id,
            version: system
                .as_ref()
                .ok()
                .and_then(|info| info.get("version"))
                .and_then(wire::text),
            notes,
        })
    }

    async fn translator(&self, projects: Vec<ExternalId>) -> Result<Arc<dyn Translator>, ConnectionError> {
        let operation = "translator";
        let mut calls = vec![Call::new("Users.getAll", json!({}))];
        for project in &projects {
            let params = json!({"projectId": number(project)});
            calls.push(Call::new("Tickets.getStatusLabels", params.clone()));
            calls.push(Call::new("Projects.getUsersAssignedToProject", params));
        }
        let mut answers = self.rpc.batch(operation, Effect::Read, calls).await?.into_iter();
        let mut translator = LeantimeTranslator::new(self.zone, self.options.clone());
        // Only administrators may list everybody.
        if let Some(Ok(users)) = answers.next() {
            translator = translator.with_users(User::list(&users));
        }
        let mut first_statuses = BTreeMap::new();
        for project in projects {
            // A project that cannot be read has no table; its listing says why.
            if let Some(Ok(labels)) = answers.next()
                && let Some(labels) = StatusLabel::list(&labels)
            {
                translator = translator.with_statuses(project.clone(), labels);
            }
            if let Some(Ok(members)) = answers.next() {
                translator = translator.with_members(project.clone(), User::list(&members));
            }
            if let Some(status) = translator.first_status(&project) {
                first_statuses.insert(project, status);
            }
        }
        *self.first_statuses.lock().unwrap_or_else(PoisonError::into_inner) = first_statuses;
        Ok(Arc::new(translator))
    }

    async fn list_projects(&self, _request: ListProjects) -> Result<Page<RemoteProject>, ConnectionError> {
        let operation = "list_projects";
        let listed = self
            .rpc
            .read(operation, Call::new("Projects.getAll", json!({})))
            .await?;
        let listed = listed.map_err(|fault| fault.into_error(operation, Effect::Read))?;
        let broken = || ConnectionError::new(Kind::Protocol, operation, "the list of projects cannot be read");
        let rows = listed.as_array().ok_or_else(broken)?;
        let mut projects = Vec::with_capacity(rows.len());
        for row in rows {
            let row = row.as_object().ok_or_else(broken)?;
            let kind = row.get("type").and_then(wire::text);
            if kind.is_none_or(|kind| kind == "project") {
                projects.push(remote::project(row, self.instance.as_str()).ok_or_else(broken)?);
            }
        }
        Ok(Page::whole(projects))
    }

    async fn list_tasks(&self, request: ListTasks) -> Result<Page<RemoteTask>, ConnectionError> {
        let operation = "list_tasks";
        if request.changed_since.is_some() {
            return Err(unsupported(operation, "Leantime cannot list what changed since"));
        }
        let calls = vec![get_project(&request.project), listing(&request.project)];
        let mut answers = self.rpc.batch(operation, Effect::Read, calls).await?.into_iter();
        let missing = || {
            Err(Fault {
                code: 0,
                message: "an answer is missing".to_owned(),
            })
        };
        readable(operation, &request.project, answers.next().unwrap_or_else(missing))?;
        let tasks = self.tasks(operation, answers.next().unwrap_or_else(missing))?;
        Ok(Page::whole(tasks.into_iter().map(|(task, _)| task).collect()))
    }

    async fn list_ids(&self, _request: ListIds) -> Result<Page<ExternalId>, ConnectionError> {
        Err(unsupported("list_ids", "Leantime lists whole tickets only"))
    }

    async fn read(&self, requests: Vec<ReadTask>) -> Result<Vec<Reading>, ConnectionError> {
        let operation = "read";
        let mut readings: Vec<Option<Reading>> = Vec::with_capacity(requests.len());
        for chunk in requests.chunks(READS) {
            let calls = chunk.iter().map(|request| get_ticket(&request.id)).collect();
            for (request, answer) in chunk.iter().zip(self.rpc.batch(operation, Effect::Read, calls).await?) {
                readings.push(match answer {
                    Ok(Value::Object(row)) => {
                        let task = self
                            .task(&row)
                            .ok_or_else(|| ConnectionError::new(Kind::Protocol, operation, "a ticket has no number"))?;
                        let task = Box::new(task);
                        let moved = task.project != request.project;
                        Some(if moved {
                            Reading::Moved(task)
                        } else {
                            Reading::Present(task)
                        })
                    }
                    Ok(Value::Bool(false) | Value::Null) => None,
                    Ok(_) => return Err(ConnectionError::new(Kind::Protocol, operation, "a ticket is no object")),
                    Err(fault) if fault.code == Fault::NOT_ALLOWED => Some(Reading::Denied),
                    Err(fault) if fault.code == Fault::NO_SUCH_TICKET => None,
                    Err(fault) => return Err(fault.into_error(operation, Effect::Read)),
                });
            }
        }
        // A ticket that cannot be seen looks like one that is gone: its project tells them apart.
        let mut projects: Vec<&ExternalId> = requests
            .iter()
            .zip(&readings)
            .filter(|(_, reading)| reading.is_none())
            .map(|(request, _)| &request.project)
            .collect();
        projects.sort();
        projects.dedup();
        let calls = projects.iter().map(|project| get_project(project)).collect();
        let answers = self.rpc.batch(operation, Effect::Read, calls).await?;
        let denied: Vec<&ExternalId> = projects
            .iter()
            .zip(answers)
            .filter(|(_, answer)| answer.is_err())
            .map(|(project, _)| *project)
            .collect();
        Ok(requests
            .iter()
            .zip(readings)
            .map(|(request, reading)| {
                let unseen = if denied.contains(&&request.project) {
                    Reading::Denied
                } else {
                    Reading::Absent
                };
                reading.unwrap_or(unseen)
            })
            .collect())
    }

    async fn read_project(&self, project: ExternalId) -> Result<ProjectReading, ConnectionError> {
        let operation = "read_project";
        let answer = self.rpc.read(operation, get_project(&project)).await?;
        match readable(operation, &project, answer) {
            Ok(row) if !remote::is_open(&row) => Ok(ProjectReading::Closed),
            Ok(row) => match remote::project(&row, self.instance.as_str()) {
                Some(project) => Ok(ProjectReading::Open(project)),
                None => Err(ConnectionError::new(
                    Kind::Protocol,
                    operation,
                    "a project has no number",
                )),
            },
            Err(error) if error.kind() == Kind::NotFound => Ok(ProjectReading::Absent),
            Err(error) if error.kind() == Kind::Forbidden => Ok(ProjectReading::Denied),
            Err(error) => Err(error),
        }
    }

    async fn write(&self, writes: Vec<RemoteWrite>) -> Vec<Result<Written, ConnectionError>> {
        let mut results: Vec<Result<Written, ConnectionError>> = Vec::with_capacity(writes.len());
        for chunk in writes.chunks(WRITES) {
            // Once the tool is away or refuses us, what is left is not sent at all.
            let stopped = match results.last() {
                Some(Err(error)) if error.kind().is_transient() || error.kind() == Kind::Unauthorized => {
                    Some(again(error).with_outcome(Outcome::NotApplied))
                }
                _ => None,
            };
            match stopped {
                Some(error) => results.extend(chunk.iter().map(|_| Err(again(&error)))),
                None => results.extend(self.write_chunk(chunk).await),
            }
        }
        results
    }

    async fn find_created(&self, request: FindCreated) -> Result<Vec<RemoteTask>, ConnectionError> {
        let operation = "find_created";
        let calls = vec![
            Call::new("Users.getUser", json!({})),
            get_project(&request.project),
            listing(&request.project),
            Call::new("Tickets.getAll", json!({"searchCriteria": {"status": "all"}})),
        ];
        let answers = self.rpc.batch(operation, Effect::Read, calls).await?;
        let Ok([user, project, own, all]) = <[Answer; 4]>::try_from(answers) else {
            return Err(ConnectionError::new(Kind::Protocol, operation, "an answer is missing"));
        };
        readable(operation, &request.project, project)?;
        // Without knowing who we are (up to 3.7), everything newer is a candidate.
        let us = Self::user_of(&user).and_then(|user| user.get("id")).and_then(wire::id);
        let mut found: BTreeMap<i64, RemoteTask> = BTreeMap::new();
        for (task, author) in self
            .tasks(operation, own)?
            .into_iter()
            .chain(self.tasks(operation, all)?)
        {
            let newer = request
                .after
                .as_ref()
                .is_none_or(|after| task.id.compare_by_age(after).is_gt());
            let ours = us.is_none() || author.is_none() || author == us;
            if newer && ours && task.skip.is_none() {
                found.insert(number(&task.id), task);
            }
        }
        Ok(found.into_values().collect())
    }

    async fn list_descendants(&self, task: ReadTask) -> Result<Vec<RemoteTask>, ConnectionError> {
        let operation = "list_descendants";
        let calls = vec![get_project(&task.project), listing(&task.project)];
        let mut answers = self.rpc.batch(operation, Effect::Read, calls).await?.into_iter();
        let missing = || {
            Err(Fault {
                code: 0,
                message: "an answer is missing".to_owned(),
            })
        };
        readable(operation, &task.project, answers.next().unwrap_or_else(missing))?;
        let mut rest: Vec<RemoteTask> = self
            .tasks(operation, answers.next().unwrap_or_else(missing))?
            .into_iter()
            .map(|(listed, _)| listed)
            .filter(|listed| listed.id != task.id)
            .collect();
        let mut parents = vec![task.id];
        let mut found = Vec::new();
        // Each round takes its children out of the rest, so a circle of parents ends too.
        while !parents.is_empty() {
            let is_child = |candidate: &RemoteTask| {
                let parent = candidate.value(Field::Parent).and_then(|value| value.as_external_id());
                parent.is_some_and(|parent| parents.contains(&parent))
            };
            let (children, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_child);
            rest = others;
            parents = children.iter().map(|child| child.id.clone()).collect();
            found.extend(children);
        }
        Ok(found)
    }
}
