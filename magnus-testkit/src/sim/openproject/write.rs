//! Creating, changing and deleting work packages, with every rule the tool checks.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::auth::Caller;
use super::error::{Cause, Refusal};
use super::hierarchy::Watch;
use super::options::OpenProjectOptions;
use super::request::Attributes;
use super::state::State;
use super::types::WorkPackage;
use super::visibility::View;
use super::{progress, schedule};

/// Creates a work package; the project comes from the path or from the body.
pub(super) fn create(
    state: &mut State,
    options: &OpenProjectOptions,
    caller: Caller,
    project_in_path: Option<u64>,
    sent: &Attributes,
) -> Result<u64, Refusal> {
    let view = View { state, options, caller };
    let project_id = project_in_path.or(sent.project.flatten());
    let Some(project) = project_id
        .and_then(|id| view.project(&id.to_string()))
        .filter(|project| project.active)
    else {
        return Err(Cause::constraint("project", "Project can't be blank.").into());
    };
    if !view.may_edit(project.id) {
        return Err(Refusal::forbidden());
    }
    let project_id = project.id;
    let mut item = blank(state, caller, project_id);
    let mut causes = Vec::new();
    causes.extend(apply(&mut item, None, sent, &View { state, options, caller }));
    inherit_dates(&mut item, sent, state);
    if item.description.is_empty() {
        item.description.clone_from(&options.description_template);
    }
    if sent.schedule_manually == Some(false) {
        causes.push(Cause::constraint(
            "scheduleManually",
            "Cannot be automatic without predecessors or children.",
        ));
    }
    if sent.created_at.is_some() {
        causes.push(Cause::read_only("createdAt"));
    }
    if !causes.is_empty() {
        return Err(Refusal::Causes(causes));
    }
    let now = state.now(options);
    item.id = state.next_id();
    (item.created_at, item.updated_at) = (now, now);
    let watch = Watch::new(state, item.parent_id);
    let id = item.id;
    state.work_packages.insert(id, item);
    state.note_change(id, caller.user_id().unwrap_or(super::state::ANONYMOUS_USER));
    watch.settle(state, options, now);
    Ok(id)
}

/// Creates a work package as a user, without any check.
pub(super) fn insert(
    state: &mut State,
    options: &OpenProjectOptions,
    project_id: u64,
    author_id: u64,
    subject: &str,
    fill: impl FnOnce(&mut WorkPackage),
) -> u64 {
    let mut item = blank(
        state,
        Caller::User {
            id: author_id,
            admin: false,
        },
        project_id,
    );
    item.subject = subject.to_owned();
    fill(&mut item);
    let now = state.now(options);
    let id = state.next_id();
    (item.id, item.lock_version, item.created_at, item.updated_at) = (id, 0, now, now);
    let watch = Watch::new(state, item.parent_id);
    state.work_packages.insert(id, item);
    state.note_change(id, author_id);
    watch.settle(state, options, now);
    id
}

fn blank(state: &State, caller: Caller, project_id: u64) -> WorkPackage {
    WorkPackage {
        id: 0,
        project_id,
        parent_id: None,
        subject: String::new(),
        description: String::new(),
        status_id: state.default_status(),
        type_id: state.default_type(),
        priority_id: state.default_priority(),
        author_id: caller.user_id().unwrap_or(super::state::ANONYMOUS_USER),
        assignee_id: None,
        responsible_id: None,
        start_date: None,
        due_date: None,
        duration_days: None,
        schedule_manually: true,
        ignore_non_working_days: false,
        estimated_minutes: None,
        remaining_minutes: None,
        percentage_done: None,
        spent_minutes: 0,
        custom_fields: BTreeMap::new(),
        comments: Vec::new(),
        lock_version: 0,
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
    }
}

/// A new child takes the parent's dates where the request says nothing about its own.
fn inherit_dates(item: &mut WorkPackage, sent: &Attributes, state: &State) {
    let Some(parent) = item.parent_id.and_then(|id| state.work_packages.get(&id)) else {
        return;
    };
    let start = if sent.start_date.is_none() && sent.date.is_none() {
        parent.start_date
    } else {
        item.start_date
    };
    let due = if sent.due_date.is_none() && sent.date.is_none() {
        parent.due_date
    } else {
        item.due_date
    };
    if let (Some(start), Some(due)) = (start, due)
        && due < start
    {
        return;
    }
    (item.start_date, item.due_date) = (start, due);
    if let (Some(start), Some(due)) = (start, due) {
        item.duration_days = Some((due - start).num_days() + 1);
    }
}

/// Changes a work package; without an effective change nothing moves.
pub(super) fn update(
    state: &mut State,
    options: &OpenProjectOptions,
    caller: Caller,
    id: u64,
    sent: &Attributes,
) -> Result<(), Refusal> {
    let view = View { state, options, caller };
    let before = view.work_package(id).ok_or_else(Refusal::not_found)?.clone();
    if !view.may_edit(before.project_id) {
        return Err(Refusal::forbidden());
    }
    if sent.lock_version != Some(before.lock_version) {
        return Err(Refusal::conflict());
    }
    let mut item = before.clone();
    let mut causes = apply(&mut item, Some(&before), sent, &view);
    if let Some(manually) = sent.schedule_manually {
        if !manually && state.children(id).is_empty() && !state.follows.contains_key(&id) {
            causes.push(Cause::constraint(
                "scheduleManually",
                "Cannot be automatic without predecessors or children.",
            ));
        }
        item.schedule_manually = manually;
    }
    causes.extend(read_only_causes(&before, &item, sent, state));
    if !causes.is_empty() {
        return Err(Refusal::Causes(causes));
    }
    if options.closed_is_complete && state.is_closed(item.status_id) && !state.is_closed(before.status_id) {
        item.percentage_done = Some(100);
        item.remaining_minutes = item.remaining_minutes.map(|_| 0);
    }
    if item == before {
        return Ok(());
    }
    let now = state.now(options);
    replace(state, options, item, now);
    state.note_change(id, caller.user_id().unwrap_or(super::state::ANONYMOUS_USER));
    Ok(())
}

/// Stores a changed work package with a new version, and settles what hangs on it.
pub(super) fn replace(state: &mut State, options: &OpenProjectOptions, mut item: WorkPackage, now: DateTime<Utc>) {
    let before = state.work_packages.get(&item.id).cloned();
    let old_parent = before.as_ref().and_then(|before| before.parent_id);
    let watch = Watch::new(state, old_parent.into_iter().chain(item.parent_id));
    item.lock_version += if options.extra_version_step { 2 } else { 1 };
    item.updated_at = now;
    let (id, project_id, status_id) = (item.id, item.project_id, item.status_id);
    state.work_packages.insert(id, item);
    if state.is_closed(status_id) {
        close_duplicates(state, id, status_id, now);
    }
    if before.is_some_and(|before| before.project_id != project_id) {
        for descendant in state.descendants(id) {
            if let Some(child) = state.work_packages.get_mut(&descendant) {
                child.project_id = project_id;
                child.lock_version += 1;
                child.updated_at = now;
            }
        }
    }
    watch.settle(state, options, now);
}

/// What is a duplicate of a closed work package is closed too.
fn close_duplicates(state: &mut State, original: u64, status_id: u64, now: DateTime<Utc>) {
    let of_it = state.duplicates.iter().filter(|(_, of)| **of == original);
    for duplicate in of_it.map(|(duplicate, _)| *duplicate).collect::<Vec<_>>() {
        let open = |item: &&mut WorkPackage| !state.statuses.iter().any(|s| s.id == item.status_id && s.is_closed);
        if let Some(item) = state.work_packages.get_mut(&duplicate).filter(open) {
            item.status_id = status_id;
            item.lock_version += 1;
            item.updated_at = now;
        }
    }
}

/// Deletes a work package and everything below it.
pub(super) fn delete(state: &mut State, options: &OpenProjectOptions, caller: Caller, id: u64) -> Result<(), Refusal> {
    let view = View { state, options, caller };
    let item = view.work_package(id).ok_or_else(Refusal::not_found)?;
    if !view.may_edit(item.project_id) {
        return Err(Refusal::forbidden());
    }
    remove(state, options, id);
    Ok(())
}

/// Removes a work package and everything below it, whoever asks.
pub(super) fn remove(state: &mut State, options: &OpenProjectOptions, id: u64) {
    let Some(parent) = state.work_packages.get(&id).map(|item| item.parent_id) else {
        return;
    };
    let now = state.now(options);
    let watch = Watch::new(state, parent);
    for descendant in state.descendants(id) {
        state.work_packages.remove(&descendant);
    }
    state.work_packages.remove(&id);
    watch.settle(state, options, now);
}

/// Applies everything that was sent to `item` and returns what is wrong with it.
fn apply(item: &mut WorkPackage, before: Option<&WorkPackage>, sent: &Attributes, view: &View<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(subject) = &sent.subject {
        item.subject = subject.clone().unwrap_or_default();
    }
    if item.subject.trim().is_empty() {
        causes.push(Cause::constraint("subject", "Subject can't be blank."));
    } else if item.subject.chars().count() > 255 {
        causes.push(Cause::constraint(
            "subject",
            "Subject is too long (maximum is 255 characters).",
        ));
    }
    if let Some(description) = &sent.description {
        item.description = description.clone().unwrap_or_default();
    }
    for (name, value) in &sent.custom_fields {
        item.custom_fields.insert(name.clone(), value.clone());
    }
    causes.extend(apply_project(item, sent, view));
    causes.extend(apply_lists(item, before, sent, view));
    causes.extend(apply_people(item, sent, view));
    causes.extend(apply_parent(item, before, sent, view));
    let milestone = view.state.is_milestone(item);
    causes.extend(schedule::apply(item, sent, view.options.non_working_days, milestone));
    causes.extend(progress::apply(
        item,
        sent,
        view.options.progress,
        view.state.status(item.status_id),
    ));
    causes
}

fn apply_project(item: &mut WorkPackage, sent: &Attributes, view: &View<'_>) -> Vec<Cause> {
    let Some(project) = sent.project else { return Vec::new() };
    let found = project
        .and_then(|id| view.project(&id.to_string()))
        .filter(|project| project.active);
    match found {
        Some(project) if project.id == item.project_id || view.may_edit(project.id) => {
            item.project_id = project.id;
            Vec::new()
        }
        _ => vec![Cause::constraint(
            "project",
            "Project does not exist or may not be used.",
        )],
    }
}

fn apply_lists(item: &mut WorkPackage, before: Option<&WorkPackage>, sent: &Attributes, view: &View<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(kind) = sent.kind {
        match kind.filter(|id| view.state.work_package_type(*id).is_some()) {
            Some(id) => item.type_id = id,
            None => causes.push(Cause::constraint(
                "type",
                "Type is not set to one of the allowed values.",
            )),
        }
    }
    if let Some(priority) = sent.priority {
        match priority.filter(|id| view.state.priorities.iter().any(|known| known.id == *id)) {
            Some(id) => item.priority_id = id,
            None => causes.push(Cause::constraint(
                "priority",
                "Priority is not set to one of the allowed values.",
            )),
        }
    }
    if let Some(status) = sent.status {
        match status.filter(|id| view.state.status(*id).is_some()) {
            Some(id) => item.status_id = id,
            None => causes.push(Cause::constraint(
                "status",
                "Status is not set to one of the allowed values.",
            )),
        }
    }
    if let Some(workflow) = &view.options.workflow {
        match before.filter(|before| before.type_id == item.type_id) {
            Some(before) if !workflow.allows(before.status_id, item.status_id) => {
                let message = "Status is invalid because no valid transition exists from old to new status for the current user's roles.";
                causes.push(Cause::constraint("status", message));
            }
            Some(_) => {}
            // Not checked on create or with another type: a status outside the workflow becomes the default one.
            None if !workflow.knows(item.status_id) => item.status_id = view.state.default_status(),
            None => {}
        }
    }
    causes
}

fn apply_people(item: &mut WorkPackage, sent: &Attributes, view: &View<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let assignable = view.assignable(item.project_id);
    let mut check = |sent: Option<Option<u64>>, attribute: &str, target: &mut Option<u64>| {
        let Some(person) = sent else { return };
        if person.is_some_and(|id| !assignable.contains(&id)) {
            let message = format!("The chosen user is not allowed to be '{attribute}' for this work package.");
            causes.push(Cause::constraint(attribute, message));
        }
        *target = person;
    };
    check(sent.assignee, "assignee", &mut item.assignee_id);
    check(sent.responsible, "responsible", &mut item.responsible_id);
    causes
}

fn apply_parent(
    item: &mut WorkPackage,
    before: Option<&WorkPackage>,
    sent: &Attributes,
    view: &View<'_>,
) -> Vec<Cause> {
    let Some(parent) = sent.parent else { return Vec::new() };
    let unchanged = before.is_some_and(|before| before.parent_id == parent);
    item.parent_id = parent;
    let Some(id) = parent.filter(|_| !unchanged) else {
        return Vec::new();
    };
    let refuse = |message: &str| vec![Cause::constraint("parent", message)];
    let Some(found) = view.work_package(id) else {
        return refuse("Parent does not exist.");
    };
    if let Some(before) = before {
        if id == before.id {
            return refuse("Parent cannot be the work package itself.");
        }
        if view.state.descendants(before.id).contains(&id) {
            return refuse("Parent cannot be one of the work package's descendants.");
        }
    }
    if view.state.is_milestone(found) {
        return refuse("Parent cannot be a milestone.");
    }
    if found.project_id != item.project_id && !view.options.cross_project_parents {
        return refuse("Parent is in another project.");
    }
    Vec::new()
}

fn read_only_causes(before: &WorkPackage, item: &WorkPackage, sent: &Attributes, state: &State) -> Vec<Cause> {
    let differs = |sent: &Option<String>, stored: DateTime<Utc>| {
        // Bodies carry milliseconds, the database microseconds: an echoed time differs too.
        sent.as_ref()
            .is_some_and(|text| DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()) != Ok(stored))
    };
    let mut causes = Vec::new();
    if differs(&sent.created_at, before.created_at) {
        causes.push(Cause::read_only("createdAt"));
    }
    if differs(&sent.updated_at, before.updated_at) {
        causes.push(Cause::read_only("updatedAt"));
    }
    if sent.author.is_some_and(|author| author != Some(before.author_id)) {
        causes.push(Cause::read_only("author"));
    }
    let frozen = state.status(before.status_id).is_some_and(|status| status.is_readonly);
    let but_status = WorkPackage {
        status_id: before.status_id,
        ..item.clone()
    };
    if frozen && item.status_id == before.status_id && but_status != *before {
        for (changed, attribute) in [
            (item.subject != before.subject, "subject"),
            (item.description != before.description, "description"),
            (item.priority_id != before.priority_id, "priority"),
            (item.assignee_id != before.assignee_id, "assignee"),
            (item.start_date != before.start_date, "startDate"),
            (item.due_date != before.due_date, "dueDate"),
            (item.parent_id != before.parent_id, "parent"),
            (item.estimated_minutes != before.estimated_minutes, "estimatedTime"),
        ] {
            if changed {
                causes.push(Cause::read_only(attribute));
            }
        }
    }
    causes
}
