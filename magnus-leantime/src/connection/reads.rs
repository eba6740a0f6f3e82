//! Reads: lists, single tasks, and the evidence for an absence.

use std::collections::BTreeMap;

use magnus_core::connection::{
    ConnectionError, ConnectionErrorKind as Kind, FindCreated, ListTasks, Page, ProjectReading, ReadTask, Reading,
};
use magnus_core::model::{ExternalId, Field, RemoteProject, RemoteTask};
use serde_json::{Value, json};

use super::{LeantimeConnection, unsupported, user_of};
use crate::answer::{Answer, Text};
use crate::remote;
use crate::rpc::{Call, Effect, Fault};
use crate::wire::{self, Row};
use crate::write::{get_project, get_ticket, number};

/// Reads in one request: half a second's work for the tool.
const READS: usize = 100;

impl LeantimeConnection {
    /// All rows of a list as tasks with their authors; one that cannot be read makes the list worthless as a proof.
    fn tasks(&self, operation: &'static str, listed: Text) -> Result<Vec<(RemoteTask, Option<i64>)>, ConnectionError> {
        let broken = |message: &str| ConnectionError::new(Kind::Protocol, operation, message);
        listed.rows(operation, |row| {
            let row = row.as_object().ok_or_else(|| broken("a ticket is no object"))?;
            let task = self.task(row).ok_or_else(|| broken("a ticket has no number"))?;
            Ok((task, row.get("authorId").and_then(wire::id)))
        })
    }

    /// The tasks of a project, with their authors.
    async fn listed(
        &self,
        operation: &'static str,
        project: &ExternalId,
    ) -> Result<Vec<(RemoteTask, Option<i64>)>, ConnectionError> {
        let calls = vec![get_project(project), listing(project)];
        let texts = self.rpc.texts(operation, Effect::Read, calls).await?;
        let [about, listed] = exactly(operation, texts)?;
        readable(operation, project, about.parsed(operation, Effect::Read)?)?;
        self.tasks(operation, listed)
    }

    pub(super) async fn visible_projects(&self) -> Result<Page<RemoteProject>, ConnectionError> {
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

    pub(super) async fn tasks_of(&self, request: ListTasks) -> Result<Page<RemoteTask>, ConnectionError> {
        let operation = "list_tasks";
        if request.changed_since.is_some() {
            return Err(unsupported(operation, "Leantime cannot list what changed since"));
        }
        let tasks = self.listed(operation, &request.project).await?;
        Ok(Page::whole(tasks.into_iter().map(|(task, _)| task).collect()))
    }

    pub(super) async fn read_tasks(&self, requests: Vec<ReadTask>) -> Result<Vec<Reading>, ConnectionError> {
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
                    // Nothing but `false` says that there is no such ticket.
                    Ok(Value::Bool(false)) => None,
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
            .filter(|(_, answer)| !matches!(answer, Ok(Value::Object(_) | Value::Bool(false))))
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

    pub(super) async fn project_reading(&self, project: ExternalId) -> Result<ProjectReading, ConnectionError> {
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

    pub(super) async fn newer_of_ours(&self, request: FindCreated) -> Result<Vec<RemoteTask>, ConnectionError> {
        let operation = "find_created";
        let calls = vec![
            Call::new("Users.getUser", json!({})),
            get_project(&request.project),
            listing(&request.project),
            Call::new("Tickets.getAll", json!({"searchCriteria": {"status": "all"}})),
        ];
        let texts = self.rpc.texts(operation, Effect::Read, calls).await?;
        let [user, project, own, all] = exactly(operation, texts)?;
        let user = user.parsed(operation, Effect::Read)?;
        readable(operation, &request.project, project.parsed(operation, Effect::Read)?)?;
        // Without knowing who we are (up to 3.7), everything newer is a candidate.
        let us = user_of(&user).and_then(|user| user.get("id")).and_then(wire::id);
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

    pub(super) async fn descendants(&self, task: ReadTask) -> Result<Vec<RemoteTask>, ConnectionError> {
        let operation = "list_descendants";
        let mut rest: Vec<RemoteTask> = self
            .listed(operation, &task.project)
            .await?
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

/// As many answers as calls.
fn exactly<const N: usize>(operation: &'static str, texts: Vec<Text>) -> Result<[Text; N], ConnectionError> {
    texts
        .try_into()
        .map_err(|_| ConnectionError::new(Kind::Protocol, operation, "an answer is missing"))
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
        Ok(Value::Bool(false)) => Err(ConnectionError::new(Kind::NotFound, operation, "the project is gone")),
        Ok(_) => Err(ConnectionError::new(
            Kind::Protocol,
            operation,
            "the project is no object",
        )),
        Err(fault) => Err(fault.into_error(operation, Effect::Read)),
    }
    .map_err(|error| error.with_context("project", project))
}
