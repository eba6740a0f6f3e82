//! What the simulated instance holds, as plain data.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

/// A user of the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Id.
    pub id: u64,
    /// Login name, shown only to the user and to administrators.
    pub login: String,
    /// Displayed name.
    pub name: String,
    /// Mail address, shown only to the user and to administrators.
    pub email: String,
    /// Whether the user administrates the instance.
    pub admin: bool,
    /// API token; nobody can log in as a user without one.
    pub api_key: Option<String>,
}

/// What a member may do in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sees and edits; can be assigned.
    Member,
    /// Sees only; can not be assigned.
    Reader,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Id.
    pub id: u64,
    /// Identifier, usable in paths instead of the id.
    pub identifier: String,
    /// Name.
    pub name: String,
    /// Description in Markdown.
    pub description: String,
    /// Whether it is not archived.
    pub active: bool,
    /// The project it is in.
    pub parent_id: Option<u64>,
    /// Creation.
    pub created_at: DateTime<Utc>,
    /// Last change of the project itself.
    pub updated_at: DateTime<Utc>,
}

/// A work package status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Id.
    pub id: u64,
    /// Name, freely chosen by the administrator.
    pub name: String,
    /// Whether items in it count as closed.
    pub is_closed: bool,
    /// Whether new items get it.
    pub is_default: bool,
    /// Whether it freezes everything but the status.
    pub is_readonly: bool,
    /// Percentage that goes with it in the status-based progress mode.
    pub default_done_ratio: i64,
}

/// A work package priority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priority {
    /// Id.
    pub id: u64,
    /// Name.
    pub name: String,
    /// Whether new items get it.
    pub is_default: bool,
}

/// A work package type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkPackageType {
    /// Id.
    pub id: u64,
    /// Name.
    pub name: String,
    /// Whether items of it are milestones: one date, no children.
    pub is_milestone: bool,
}

/// A work package as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkPackage {
    /// Id.
    pub id: u64,
    /// Project.
    pub project_id: u64,
    /// Parent, in this or another project.
    pub parent_id: Option<u64>,
    /// Title.
    pub subject: String,
    /// Description: raw Markdown, as sent.
    pub description: String,
    /// Status.
    pub status_id: u64,
    /// Type.
    pub type_id: u64,
    /// Priority.
    pub priority_id: u64,
    /// Who created it.
    pub author_id: u64,
    /// Assignee.
    pub assignee_id: Option<u64>,
    /// Accountable person.
    pub responsible_id: Option<u64>,
    /// First day.
    pub start_date: Option<NaiveDate>,
    /// Last day.
    pub due_date: Option<NaiveDate>,
    /// Days from start to due, both included, non-working days left out where they count.
    pub duration_days: Option<i64>,
    /// Whether the dates are the item's own (`true`) or its children's.
    pub schedule_manually: bool,
    /// Whether non-working days are ignored.
    pub ignore_non_working_days: bool,
    /// Work, in minutes.
    pub estimated_minutes: Option<i64>,
    /// Remaining work, in minutes.
    pub remaining_minutes: Option<i64>,
    /// Percentage done.
    pub percentage_done: Option<i64>,
    /// Logged time, in minutes.
    pub spent_minutes: i64,
    /// Custom fields by property name (`customField1`), for those in the options.
    pub custom_fields: BTreeMap<String, Value>,
    /// Comments, oldest first.
    pub comments: Vec<String>,
    /// Version for optimistic locking.
    pub lock_version: u64,
    /// Creation, to the microsecond.
    pub created_at: DateTime<Utc>,
    /// Last change, to the microsecond.
    pub updated_at: DateTime<Utc>,
}

/// A state-changing call that was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceptedWrite {
    /// `POST`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// The work package (for a comment: the one commented).
    pub work_package_id: u64,
    /// Whether people were notified.
    pub notify: bool,
    /// The body as sent; null for a deletion.
    pub body: Value,
}
