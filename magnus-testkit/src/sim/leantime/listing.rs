//! Lists of tickets, and a ticket as JSON.

use serde_json::{Map, Value, json};

use super::Dialect;
use super::rpc::Failure;
use super::state::{State, Ticket, User};
use super::values::{Params, number, text_of};

pub(super) fn get_all(state: &State, caller: &User, params: &Params) -> Result<Value, Failure> {
    let criteria = params.optional_object("searchCriteria")?;
    let limit = params.optional_int("limit")?;
    let mut found: Vec<&Ticket> = state
        .tickets
        .values()
        .filter(|ticket| state.can_see(caller, ticket.project_id) && matches(state, ticket, &criteria))
        .collect();
    found.sort_by(|a, b| b.date.cmp(&a.date).then(b.id.cmp(&a.id)));
    if let Some(limit) = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .filter(|limit| *limit > 0)
    {
        found.truncate(limit);
    }
    Ok(found.into_iter().map(|ticket| row(state, ticket)).collect())
}

pub(super) fn subtasks(state: &State, caller: &User, params: &Params) -> Result<Value, Failure> {
    let parent = params.int("ticketId")?;
    let children = state
        .tickets
        .values()
        .filter(|ticket| ticket.depending_ticket_id == Some(parent) && state.can_see(caller, ticket.project_id));
    Ok(children.map(|ticket| row(state, ticket)).collect())
}

fn status_type(state: &State, ticket: &Ticket) -> Option<(String, String)> {
    let labels = state.statuses_of(ticket.project_id);
    labels
        .into_iter()
        .find(|label| label.id == ticket.status)
        .map(|label| (label.name, label.status_type))
}

fn listed(criterion: &str, value: &str) -> bool {
    criterion.split(',').any(|part| part.trim() == value)
}

fn matches(state: &State, ticket: &Ticket, criteria: &Map<String, Value>) -> bool {
    let text = |name: &str| criteria.get(name).and_then(text_of);
    let project = ticket.project_id.map(|id| id.to_string()).unwrap_or_default();
    let in_scope = match (text("projects"), text("currentProject")) {
        (Some(projects), _) => listed(&projects, &project),
        (None, Some(current)) => current == project,
        (None, None) => ticket
            .project_id
            .and_then(|id| state.projects.get(&id))
            .is_some_and(|project| project.state != Some(-1)),
    };
    let done = || status_type(state, ticket).is_some_and(|(_, status_type)| status_type == "DONE");
    let status = match text("status").as_deref() {
        None => ticket.status != -1,
        Some("all") => true,
        Some("done") => done(),
        Some("not_done") => !done(),
        Some(numbers) => listed(numbers, &ticket.status.to_string()),
    };
    let is = |name: &str, value: String| text(name).is_none_or(|criterion| listed(&criterion, &value));
    in_scope
        && status
        && is("type", ticket.kind.clone())
        && text("excludeType").is_none_or(|kind| kind != ticket.kind)
        && is("milestone", ticket.milestone_id.unwrap_or(0).to_string())
        && is("priority", ticket.priority.clone().unwrap_or_default())
        && is("users", ticket.editor_id.clone().unwrap_or_default())
        && text("sprint").is_none_or(|sprint| {
            let current = ticket.sprint.unwrap_or(0);
            if sprint == "backlog" {
                current <= 0
            } else {
                sprint == current.to_string()
            }
        })
        && text("term").is_none_or(|term| {
            let has = |text: &Option<String>| text.as_deref().unwrap_or_default().contains(&term);
            has(&ticket.headline) || has(&ticket.description)
        })
}

fn names(state: &State, user: Option<i64>) -> (Value, Value) {
    let found = user.and_then(|id| state.users.get(&id));
    (
        json!(found.map(|user| &user.firstname)),
        json!(found.map(|user| &user.lastname)),
    )
}

/// A row of a list.
fn row(state: &State, ticket: &Ticket) -> Value {
    let project = ticket.project_id.and_then(|id| state.projects.get(&id));
    let headline_of = |id: Option<i64>| {
        id.and_then(|id| state.tickets.get(&id))
            .and_then(|found| found.headline.clone())
    };
    let (author_first, author_last) = names(state, Some(ticket.user_id));
    let editor = ticket.editor_id.as_deref().and_then(|id| id.parse().ok());
    let (editor_first, editor_last) = names(state, editor);
    let mut row = json!({
        "id": ticket.id, "headline": ticket.headline, "description": ticket.description, "date": ticket.date,
        "sprint": ticket.sprint, "storypoints": number(ticket.storypoints), "sortindex": null,
        "dateToFinish": ticket.date_to_finish, "projectId": ticket.project_id, "priority": ticket.priority,
        "status": ticket.status, "tags": ticket.tags, "editorId": ticket.editor_id,
        "dependingTicketId": ticket.depending_ticket_id, "milestoneid": ticket.milestone_id,
        "planHours": number(ticket.plan_hours), "editFrom": ticket.edit_from, "editTo": ticket.edit_to,
        "hourRemaining": number(ticket.hour_remaining), "sprintName": null,
        "projectName": project.map(|project| &project.name), "clientName": "Acme", "clientId": 1,
        "authorId": ticket.user_id, "authorLastname": author_last, "authorFirstname": author_first,
        "authorProfileId": "", "editorFirstname": editor_first, "editorLastname": editor_last,
        "editorProfileId": null, "milestoneHeadline": headline_of(ticket.milestone_id),
        "parentHeadline": headline_of(ticket.depending_ticket_id), "type": ticket.kind,
        "milestoneColor": "var(--grey)", "bookedHours": format!("{:.2}", ticket.booked_hours),
        "commentCount": 0, "fileCount": 0, "subtaskCount": 0
    });
    if let Some(columns) = row.as_object_mut() {
        if state.options.dialect == Dialect::Master {
            columns.insert("modified".to_owned(), json!(ticket.modified));
        }
        // Only tickets whose status is known and not of type DONE carry a label.
        if let Some((name, status_type)) = status_type(state, ticket)
            && status_type != "DONE"
        {
            columns.insert("statusLabel".to_owned(), json!(name));
        }
    }
    row
}

/// What `getTicket` answers.
pub(super) fn detail(state: &State, ticket: &Ticket) -> Value {
    let project = ticket.project_id.and_then(|id| state.projects.get(&id));
    let (user_first, user_last) = names(state, Some(ticket.user_id));
    let editor = ticket.editor_id.as_deref().and_then(|id| id.parse().ok());
    let (editor_first, editor_last) = names(state, editor);
    let modified = if state.options.dialect == Dialect::Master {
        json!(ticket.modified)
    } else {
        Value::Null
    };
    let mut detail = json!({
        "id": ticket.id, "headline": ticket.headline, "type": ticket.kind, "description": ticket.description,
        "projectId": ticket.project_id, "projectDescription": project.map(|project| &project.details),
        "editorId": ticket.editor_id, "userId": ticket.user_id, "priority": ticket.priority, "sortIndex": null,
        "date": ticket.date, "timelineDate": null, "timelineDateToFinish": null,
        "dateToFinish": ticket.date_to_finish, "timeToFinish": null, "status": ticket.status,
        "storypoints": number(ticket.storypoints), "hourRemaining": number(ticket.hour_remaining),
        "planHours": number(ticket.plan_hours), "sprint": ticket.sprint,
        "acceptanceCriteria": ticket.acceptance_criteria, "tags": ticket.tags, "url": null,
        "editFrom": ticket.edit_from, "timeFrom": null, "editTo": ticket.edit_to, "timeTo": null,
        "dependingTicketId": ticket.depending_ticket_id, "parentHeadline": null
    });
    let rest = json!({
        "milestoneid": ticket.milestone_id, "projectName": project.map(|project| &project.name),
        "clientName": "Acme", "userFirstname": user_first, "userLastname": user_last,
        "editorFirstname": editor_first, "editorLastname": editor_last, "doneTickets": null, "allTickets": null,
        "percentDone": null, "milestoneHeadline": null, "milestoneColor": null, "editorProfileId": null,
        "bookedHours": null, "children": null, "collaborators": ticket.collaborators, "modified": modified
    });
    if let (Some(columns), Value::Object(rest)) = (detail.as_object_mut(), rest) {
        columns.extend(rest);
        if state.options.dialect == Dialect::Master {
            columns.insert("outcomeImpact".to_owned(), json!(""));
        }
    }
    detail
}
