//! Lists: always with explicit filters, since without any the tool hides what is closed.

use chrono::{DateTime, TimeDelta, Utc};
use magnus_core::connection::{ConnectionError, ListIds, ListProjects, ListTasks, Page, PageToken};
use magnus_core::model::{Cursor, ExternalId, RemoteProject, RemoteTask};
use magnus_transport::{InstanceUrl, TransportError, TransportErrorKind};
use serde_json::Value;

use crate::client::Answer;
use crate::connection::OpenProjectConnection;
use crate::refusal::Attempt;
use crate::walk::{self, Astray, IdWalk, Seen, Stamp, TaskWalk, condition};
use crate::wire::{self, Collection, SweptId, WorkPackage};

/// Asked for; the instance cuts it to its own maximum.
pub(crate) const PAGE_SIZE: u64 = 1000;

/// Below this a page that is too large is not cut further.
const LEAST_PAGE_SIZE: u64 = 10;

/// A change is stamped when it is saved and seen when it is committed: what is stamped this long before the cursor
/// may have been invisible when the cursor was read.
const OVERLAP: TimeDelta = TimeDelta::seconds(30);

pub(crate) fn astray(operation: &'static str, project: Option<&ExternalId>) -> impl Fn(Astray) -> ConnectionError {
    let project = project.cloned();
    move |astray| {
        let error = Attempt::read(operation).protocol(astray.0);
        match &project {
            Some(project) => error.with_context("project", project),
            None => error,
        }
    }
}

pub(crate) fn filters(conditions: Vec<Value>) -> (&'static str, String) {
    ("filters", Value::Array(conditions).to_string())
}

pub(crate) fn every_status() -> Value {
    condition("status", "*", &[])
}

/// A page of the tasks of one project, in every status, without those of sub-projects.
pub(crate) async fn tasks(
    connection: &OpenProjectConnection,
    request: ListTasks,
) -> Result<Page<RemoteTask>, ConnectionError> {
    let operation = "list_tasks";
    let lost = astray(operation, Some(&request.project));
    let mut at = match &request.page {
        Some(token) => walk::position(token).map_err(&lost)?,
        None => {
            let cursor = request.changed_since.as_ref().map(stamp).transpose().map_err(&lost)?;
            TaskWalk::start(cursor, OVERLAP, PAGE_SIZE)
        }
    };
    let answer = loop {
        match tasks_page(connection, &request.project, &at).await {
            Err(error) if is_too_large(&error) && at.may_shrink() && at.size > LEAST_PAGE_SIZE => at.size /= 2,
            other => break other?,
        }
    };
    let attempt = Attempt::read(operation);
    let tasks = read_all(connection, attempt, &answer)?;
    let stamps = answer
        .body
        .elements()
        .iter()
        .map(|item| stamp_of(&item.updated_at))
        .collect::<Result<Vec<_>, _>>();
    let seen = Seen {
        stamps: stamps.map_err(&lost)?,
        total: answer.body.total,
        page_size: answer.body.page_size,
        offset: answer.body.offset,
    };
    let (next, cursor) = at.after(&seen).map_err(&lost)?;
    Ok(Page {
        items: tasks
            .into_iter()
            .filter(|task| task.project == request.project)
            .collect(),
        next: next.as_ref().and_then(walk::token),
        total: request.page.is_none().then_some(answer.body.total),
        cursor: cursor.map(|cursor| Cursor(walk::shown(cursor))),
    })
}

async fn tasks_page(
    connection: &OpenProjectConnection,
    project: &ExternalId,
    at: &TaskWalk,
) -> Result<Answer<Collection<WorkPackage>>, ConnectionError> {
    let mut conditions = vec![every_status()];
    if let Some(bounds) = at.bounds() {
        conditions.push(condition("updatedAt", "<>d", &bounds));
    }
    let query = [
        filters(conditions),
        ("includeSubprojects", "false".to_owned()),
        ("sortBy", r#"[["updatedAt","asc"],["id","asc"]]"#.to_owned()),
        ("pageSize", at.size.to_string()),
        ("offset", at.offset().to_string()),
    ];
    let path = format!("/projects/{project}/work_packages");
    connection
        .client
        .get("list_tasks", &path, &query)
        .await
        .map_err(|error| error.with_context("project", project))
}

fn is_too_large(error: &ConnectionError) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<TransportError>());
    source.is_some_and(|source| source.kind() == TransportErrorKind::BodyTooLarge)
}

fn stamp_of(text: &str) -> Result<Stamp, Astray> {
    let parsed = DateTime::parse_from_rfc3339(text).map_err(|_| Astray("a time of change is not understood"))?;
    // Walked in the grain that is shown, whatever a version shows.
    let millis = parsed.timestamp_millis();
    DateTime::<Utc>::from_timestamp_millis(millis).ok_or(Astray("a time of change is out of range"))
}

fn stamp(cursor: &Cursor) -> Result<Stamp, Astray> {
    stamp_of(&cursor.0).map_err(|_| Astray("the cursor is not one of this connection"))
}

fn read_all(
    connection: &OpenProjectConnection,
    attempt: Attempt,
    answer: &Answer<Collection<WorkPackage>>,
) -> Result<Vec<RemoteTask>, ConnectionError> {
    let read = |item: &WorkPackage| connection.read_item(attempt, item, answer.skew);
    answer.body.elements().iter().map(read).collect()
}

/// A page of the ids of one project.
pub(crate) async fn ids(
    connection: &OpenProjectConnection,
    request: ListIds,
) -> Result<Page<ExternalId>, ConnectionError> {
    let operation = "list_ids";
    let lost = astray(operation, Some(&request.project));
    let at: IdWalk = match &request.page {
        Some(token) => walk::position(token).map_err(&lost)?,
        None => IdWalk::start(PAGE_SIZE),
    };
    let query = [
        filters(vec![every_status()]),
        ("includeSubprojects", "false".to_owned()),
        ("sortBy", r#"[["id","asc"]]"#.to_owned()),
        ("select", "total,elements/id,elements/project".to_owned()),
        ("pageSize", at.size.to_string()),
        ("offset", at.offset().to_string()),
    ];
    let path = format!("/projects/{}/work_packages", request.project);
    let page: Collection<SweptId> = match connection.client.get(operation, &path, &query).await {
        Ok(answer) => answer.body,
        Err(error) => return Err(error.with_context("project", &request.project)),
    };
    let swept: Vec<u64> = page.elements().iter().map(|element| element.id).collect();
    let next = at.after(&swept, page.total).map_err(&lost)?;
    let here = |element: &&SweptId| {
        let project = element.links.project.as_ref().and_then(wire::Link::id);
        project.is_none_or(|project| request.project == ExternalId::from(project))
    };
    Ok(Page {
        items: page
            .elements()
            .iter()
            .filter(here)
            .map(|element| ExternalId::from(element.id))
            .collect(),
        next: next.as_ref().and_then(walk::token),
        total: request.page.is_none().then_some(page.total),
        cursor: None,
    })
}

/// A page of projects; for an administrator archived ones are among them, marked.
pub(crate) async fn projects(
    connection: &OpenProjectConnection,
    request: ListProjects,
) -> Result<Page<RemoteProject>, ConnectionError> {
    let operation = "list_projects";
    let lost = astray(operation, None);
    let page: u64 = match &request.page {
        Some(token) => walk::position(token).map_err(&lost)?,
        None => 1,
    };
    let query = [
        filters(Vec::new()),
        ("sortBy", r#"[["id","asc"]]"#.to_owned()),
        ("pageSize", PAGE_SIZE.to_string()),
        ("offset", page.to_string()),
    ];
    let answer: Collection<wire::Project> = connection.client.get(operation, "/projects", &query).await?.body;
    let more = has_more(&answer, page).map_err(&lost)?;
    Ok(Page {
        total: Some(answer.total),
        next: if more {
            walk::token(&(page + 1))
        } else {
            None::<PageToken>
        },
        items: answer
            .into_elements()
            .into_iter()
            .map(|found| project(&connection.client.base, found))
            .collect(),
        cursor: None,
    })
}

/// Whether there is a page after this one, by the size that the tool really used.
pub(crate) fn has_more<T>(page: &Collection<T>, asked: u64) -> Result<bool, Astray> {
    if page.offset.is_some_and(|offset| offset != asked) {
        return Err(Astray("the tool answered with another page than was asked for"));
    }
    let count = u64::try_from(page.elements().len()).unwrap_or(u64::MAX);
    // An old version ignored the size for projects and sent all of them at once.
    let size = page.page_size.unwrap_or(count).max(count);
    if count == 0 {
        return if page.total > (asked - 1).saturating_mul(size) && size > 0 {
            Err(Astray("an empty page before the end of the list"))
        } else {
            Ok(false)
        };
    }
    Ok(asked.saturating_mul(size) < page.total)
}

/// A project as the core sees it.
pub(crate) fn project(base: &InstanceUrl, found: wire::Project) -> RemoteProject {
    let reference = found.identifier.clone().unwrap_or_else(|| found.id.to_string());
    RemoteProject {
        id: ExternalId::from(found.id),
        name: found.name,
        description: found
            .description
            .and_then(|text| text.raw)
            .filter(|raw| !raw.is_empty()),
        open: found.active != Some(false),
        url: Some(format!("{}/projects/{reference}", base.as_str())),
    }
}
