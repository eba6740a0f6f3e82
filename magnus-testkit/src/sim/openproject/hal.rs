//! How things are shown: HAL+JSON, times cut to milliseconds, durations with days first.

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use serde_json::{Value, json};

use super::hierarchy::Tree;
use super::options::OpenProjectOptions;
use super::progress::format_duration;
use super::types::{Priority, Project, Status, User, WorkPackage, WorkPackageType};
use super::visibility::View;

pub(super) fn time(at: DateTime<Utc>) -> String {
    at.trunc_subsecs(3).to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn formattable(raw: &str) -> Value {
    let escaped = raw.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    json!({ "format": "markdown", "raw": raw, "html": format!("<p class=\"op-uc-p\">{escaped}</p>") })
}

fn link(kind: &str, id: u64, title: &str) -> Value {
    json!({ "href": format!("/api/v3/{kind}/{id}"), "title": title })
}

pub(super) fn status(status: &Status, position: usize) -> Value {
    json!({
        "_type": "Status", "id": status.id, "name": status.name, "isClosed": status.is_closed,
        "color": "#1098AD", "isDefault": status.is_default, "isReadonly": status.is_readonly,
        "excludedFromTotals": false, "defaultDoneRatio": status.default_done_ratio, "position": position,
        "_links": { "self": link("statuses", status.id, &status.name) },
    })
}

pub(super) fn priority(priority: &Priority, position: usize) -> Value {
    json!({
        "_type": "Priority", "id": priority.id, "name": priority.name, "position": position,
        "isDefault": priority.is_default, "isActive": true,
        "_links": { "self": link("priorities", priority.id, &priority.name) },
    })
}

/// When the instance was set up.
const SET_UP: &str = "2024-01-08T09:00:00.000Z";

pub(super) fn work_package_type(kind: &WorkPackageType, position: usize) -> Value {
    json!({
        "_type": "Type", "id": kind.id, "name": kind.name, "color": "#1A67A3", "position": position,
        "isDefault": position == 1, "isMilestone": kind.is_milestone,
        "createdAt": SET_UP, "updatedAt": SET_UP,
        "_links": { "self": link("types", kind.id, &kind.name) },
    })
}

/// Login and mail are shown to the user and to administrators only.
pub(super) fn user(user: &User, view: &View<'_>) -> Value {
    let mut shown = json!({
        "_type": "User", "id": user.id, "name": user.name, "avatar": null,
        "_links": { "self": link("users", user.id, &user.name) },
    });
    if view.caller.is_admin() || view.caller.user_id() == Some(user.id) {
        shown["login"] = json!(user.login);
        shown["email"] = json!(user.email);
        shown["status"] = json!("active");
        shown["language"] = json!("en");
    }
    if view.caller.is_admin() {
        shown["admin"] = json!(user.admin);
    }
    shown
}

/// The anonymous user looks like any other: id, name and an empty login.
pub(super) fn anonymous() -> Value {
    let id = super::state::ANONYMOUS_USER;
    json!({
        "_type": "User", "id": id, "login": "", "name": "Anonymous", "status": "active", "avatar": null,
        "_links": { "self": link("users", id, "Anonymous") },
    })
}

pub(super) fn root(view: &View<'_>) -> Value {
    let mut root = json!({
        "_type": "Root",
        "instanceName": "OpenProject",
        "_links": {
            "self": { "href": "/api/v3" },
            "configuration": { "href": "/api/v3/configuration" },
            "memberships": { "href": "/api/v3/memberships" },
            "priorities": { "href": "/api/v3/priorities" },
            "relations": { "href": "/api/v3/relations" },
            "statuses": { "href": "/api/v3/statuses" },
            "time_entries": { "href": "/api/v3/time_entries" },
            "types": { "href": "/api/v3/types" },
            "userPreferences": { "href": "/api/v3/my_preferences" },
            "workPackages": { "href": "/api/v3/work_packages" },
        },
    });
    if view.caller.is_admin() {
        root["coreVersion"] = json!("17.4.0");
    }
    // Present for those who are logged in only.
    if let Some(me) = view.caller.user_id().and_then(|id| view.state.users.get(&id)) {
        root["_links"]["user"] = link("users", me.id, &me.name);
    }
    root
}

pub(super) fn configuration(view: &View<'_>) -> Value {
    json!({
        "_type": "Configuration",
        "maximumAttachmentFileSize": 5_242_880,
        "maximumApiV3PageSize": view.options.page_size_max,
        "perPageOptions": [view.options.page_size_default, 100],
        "hostName": "openproject.example.org",
        "_links": { "self": { "href": "/api/v3/configuration" } },
    })
}

pub(super) fn project(project: &Project, view: &View<'_>) -> Value {
    let parent = project
        .parent_id
        .and_then(|id| view.state.projects.get(&id))
        .filter(|parent| view.sees_project(parent));
    let mut links = json!({
        "self": link("projects", project.id, &project.name),
        "workPackages": { "href": format!("/api/v3/projects/{}/work_packages", project.id) },
        "categories": { "href": format!("/api/v3/projects/{}/categories", project.id) },
        "status": { "href": null },
        "parent": parent.map_or(json!({ "href": null }), |parent| link("projects", parent.id, &parent.name)),
    });
    if view.may_edit(project.id) {
        let href = format!("/api/v3/projects/{}/work_packages", project.id);
        links["createWorkPackage"] = json!({ "href": format!("{href}/form"), "method": "post" });
        links["createWorkPackageImmediately"] = json!({ "href": href, "method": "post" });
    }
    json!({
        "_type": "Project", "id": project.id, "identifier": project.identifier, "name": project.name,
        "active": project.active, "public": false, "description": formattable(&project.description),
        "statusExplanation": formattable(""),
        "createdAt": time(project.created_at), "updatedAt": time(project.updated_at),
        "_links": links,
    })
}

/// What can be said of work packages of a type in a project, as far as it is asked for: the title and custom fields.
pub(super) fn schema(project: &Project, kind: &WorkPackageType, options: &OpenProjectOptions) -> Value {
    let href = format!("/api/v3/work_packages/schemas/{}-{}", project.id, kind.id);
    let field = |format: &str, name: &str, required: bool| json!({ "type": format, "name": name, "required": required, "hasDefault": false, "writable": true });
    let mut shown = json!({
        "_type": "Schema", "_dependencies": [],
        "subject": field("String", "Subject", true),
        "_links": { "self": { "href": href } },
    });
    let active = options
        .custom_fields
        .iter()
        .filter(|name| !options.dropped_attributes.contains(*name));
    for name in active {
        let format = options.custom_field_formats.get(name).map_or("String", String::as_str);
        shown[name] = field(format, name, false);
    }
    shown
}

/// Renders many work packages with one look at who is whose child.
pub(super) struct Renderer<'state> {
    view: View<'state>,
    tree: Tree<'state>,
}

impl<'state> Renderer<'state> {
    pub(super) fn new(view: View<'state>) -> Self {
        Self {
            view,
            tree: Tree::new(view.state),
        }
    }

    /// An element of a collection: no embedded resources.
    pub(super) fn element(&self, item: &WorkPackage) -> Value {
        let totals = self.tree.totals(item.id);
        let (derived_start, derived_due) = self.tree.span(item.id);
        let milestone = self.view.state.is_milestone(item);
        let frozen = self
            .view
            .state
            .status(item.status_id)
            .is_some_and(|status| status.is_readonly);
        let mut shown = json!({
            "_type": "WorkPackage", "id": item.id, "displayId": self.display_id(item), "lockVersion": item.lock_version,
            "subject": item.subject, "description": formattable(&item.description),
            "scheduleManually": item.schedule_manually, "readonly": frozen,
            "derivedStartDate": derived_start, "derivedDueDate": derived_due,
            "estimatedTime": item.estimated_minutes.map(format_duration),
            "derivedEstimatedTime": totals.estimated_minutes.map(format_duration),
            "derivedRemainingTime": totals.remaining_minutes.map(format_duration),
            "percentageDone": item.percentage_done, "derivedPercentageDone": totals.percentage(),
            "spentTime": format_duration(item.spent_minutes),
            "ignoreNonWorkingDays": item.ignore_non_working_days,
            "duration": item.duration_days.map(|days| format!("P{days}D")),
            "createdAt": time(item.created_at), "updatedAt": time(item.updated_at),
            "_links": self.links(item),
        });
        if milestone {
            shown["date"] = json!(item.due_date.or(item.start_date));
        } else {
            shown["startDate"] = json!(item.start_date);
            shown["dueDate"] = json!(item.due_date);
        }
        if let Some(remaining) = item.remaining_minutes {
            shown["remainingTime"] = json!(format_duration(remaining));
        }
        for (name, value) in &item.custom_fields {
            shown[name] = value.clone();
        }
        shown
    }

    fn display_id(&self, item: &WorkPackage) -> String {
        let project = self.view.state.projects.get(&item.project_id);
        match project.filter(|_| self.view.options.semantic_ids) {
            Some(project) => format!("{}-{}", project.identifier.to_uppercase(), item.id % 100),
            None => item.id.to_string(),
        }
    }

    /// A single resource: with what it refers to embedded.
    pub(super) fn single(&self, item: &WorkPackage) -> Value {
        let state = self.view.state;
        let mut shown = self.element(item);
        let mut embedded = json!({});
        if let Some(found) = state.status(item.status_id) {
            embedded["status"] = status(found, 1);
        }
        if let Some(found) = state.work_package_type(item.type_id) {
            embedded["type"] = work_package_type(found, 1);
        }
        if let Some(found) = state.priorities.iter().find(|known| known.id == item.priority_id) {
            embedded["priority"] = priority(found, 1);
        }
        if let Some(found) = state.projects.get(&item.project_id) {
            embedded["project"] = project(found, &self.view);
        }
        for (name, id) in [("author", Some(item.author_id)), ("assignee", item.assignee_id)] {
            if let Some(found) = id.and_then(|id| state.users.get(&id)) {
                embedded[name] = user(found, &self.view);
            }
        }
        shown["_embedded"] = embedded;
        shown
    }

    fn links(&self, item: &WorkPackage) -> Value {
        let state = self.view.state;
        let none = || json!({ "href": null });
        let undisclosed = || json!({ "href": "urn:openproject-org:api:v3:undisclosed", "title": "Undisclosed" });
        let person = |id: Option<u64>| match id.and_then(|id| state.users.get(&id)) {
            Some(user) => link("users", user.id, &user.name),
            None => none(),
        };
        let related = |other: &WorkPackage| {
            if self.view.sees(other) {
                link("work_packages", other.id, &other.subject)
            } else {
                undisclosed()
            }
        };
        let name_of_status = state.status(item.status_id).map_or("", |status| &status.name);
        let name_of_type = state.work_package_type(item.type_id).map_or("", |kind| &kind.name);
        let name_of_priority = state
            .priorities
            .iter()
            .find(|known| known.id == item.priority_id)
            .map_or("", |known| &known.name);
        let name_of_project = state.projects.get(&item.project_id).map_or("", |project| &project.name);
        let ancestors: Vec<Value> = state
            .ancestors(item.id)
            .iter()
            .rev()
            .filter_map(|id| state.work_packages.get(id))
            .map(related)
            .collect();
        let children: Vec<Value> = self
            .tree
            .children(item.id)
            .filter(|child| self.view.sees(child))
            .map(related)
            .collect();
        let mut links = json!({
            "self": link("work_packages", item.id, &item.subject),
            "schema": { "href": format!("/api/v3/work_packages/schemas/{}-{}", item.project_id, item.type_id) },
            "status": link("statuses", item.status_id, name_of_status),
            "type": link("types", item.type_id, name_of_type),
            "priority": link("priorities", item.priority_id, name_of_priority),
            "project": link("projects", item.project_id, name_of_project),
            "author": person(Some(item.author_id)),
            "assignee": person(item.assignee_id),
            "responsible": person(item.responsible_id),
            "version": none(),
            "category": none(),
            "parent": item.parent_id.and_then(|id| state.work_packages.get(&id)).map_or_else(none, related),
            "ancestors": ancestors,
            "activities": { "href": format!("/api/v3/work_packages/{}/activities", item.id) },
        });
        if !children.is_empty() {
            links["children"] = json!(children);
        }
        if self.view.may_edit(item.project_id) {
            let href = format!("/api/v3/work_packages/{}", item.id);
            links["update"] = json!({ "href": format!("{href}/form"), "method": "post" });
            links["updateImmediately"] = json!({ "href": href, "method": "patch" });
            links["delete"] = json!({ "href": href, "method": "delete" });
            links["addComment"] = json!({ "href": format!("{href}/activities"), "method": "post" });
        }
        links
    }
}

/// A change without a note as an activity; what was changed is not told.
pub(super) fn change(item: &WorkPackage, index: usize, user: (u64, &str), at: DateTime<Utc>) -> Value {
    json!({
        "_type": "Activity", "id": item.id * 1000 + 500 + index as u64, "version": index + 1,
        "comment": { "format": "markdown", "raw": "", "html": "" },
        "details": [{ "format": "custom", "raw": "changed", "html": "changed" }],
        "createdAt": time(at), "updatedAt": time(at),
        "_links": {
            "workPackage": link("work_packages", item.id, &item.subject),
            "user": link("users", user.0, user.1),
        },
    })
}

/// A comment as an activity.
pub(super) fn comment(item: &WorkPackage, index: usize, text: &str) -> Value {
    json!({
        "_type": "Activity::Comment", "id": item.id * 1000 + index as u64, "comment": formattable(text), "version": index + 1,
        "createdAt": time(item.updated_at), "updatedAt": time(item.updated_at),
        "_links": { "workPackage": link("work_packages", item.id, &item.subject) },
    })
}

/// A list that is not paged.
pub(super) fn unpaged(path: &str, elements: Vec<Value>) -> Value {
    json!({
        "_type": "Collection", "total": elements.len(), "count": elements.len(),
        "_embedded": { "elements": elements },
        "_links": { "self": { "href": path } },
    })
}
