//! What the simulated instance holds.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::LeantimeOptions;

/// A ticket as its database row stands: texts are what was written, dates are UTC without a marker.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ticket {
    /// Number of the ticket.
    pub id: i64,
    /// The project, none for an orphan.
    pub project_id: Option<i64>,
    /// Title; a patch can empty it.
    pub headline: Option<String>,
    /// HTML, or whatever was written.
    pub description: Option<String>,
    /// `task`, `subtask`, `story`, `bug`, `milestone`, or whatever was written.
    pub kind: String,
    /// Status number, not necessarily one that the project defines.
    pub status: i64,
    /// When it was created or fully saved, `YYYY-MM-DD HH:MM:SS`.
    pub date: String,
    /// Due date, zero date or none.
    pub date_to_finish: Option<String>,
    /// Planned beginning.
    pub edit_from: Option<String>,
    /// Planned end.
    pub edit_to: Option<String>,
    /// `"1"` to `"5"`, empty, or whatever was written.
    pub priority: Option<String>,
    /// Joined with commas.
    pub tags: Option<String>,
    /// Assignee.
    pub editor_id: Option<String>,
    /// Author.
    pub user_id: i64,
    /// Sprint.
    pub sprint: Option<i64>,
    /// Effort.
    pub storypoints: Option<f64>,
    /// Estimated hours.
    pub plan_hours: Option<f64>,
    /// Remaining hours.
    pub hour_remaining: Option<f64>,
    /// Parent ticket.
    pub depending_ticket_id: Option<i64>,
    /// Milestone.
    pub milestone_id: Option<i64>,
    /// HTML.
    pub acceptance_criteria: Option<String>,
    /// Further users.
    pub collaborators: Vec<i64>,
    /// Logged hours.
    pub booked_hours: f64,
    /// When any column was last written; readable on [`Dialect::Master`](super::Dialect::Master) only.
    pub modified: String,
}

/// What dates hold that are not set.
pub(super) const ZERO_DATE: &str = "0000-00-00 00:00:00";

impl Ticket {
    pub(super) fn new(id: i64, project_id: Option<i64>, headline: &str, user_id: i64, now: &str) -> Self {
        Self {
            id,
            project_id,
            headline: Some(headline.to_owned()),
            description: Some(String::new()),
            kind: "task".to_owned(),
            status: 3,
            date: now.to_owned(),
            date_to_finish: Some(ZERO_DATE.to_owned()),
            edit_from: Some(ZERO_DATE.to_owned()),
            edit_to: Some(ZERO_DATE.to_owned()),
            priority: Some(String::new()),
            tags: Some(String::new()),
            editor_id: Some(String::new()),
            user_id,
            sprint: Some(0),
            storypoints: Some(0.0),
            plan_hours: Some(0.0),
            hour_remaining: Some(0.0),
            depending_ticket_id: Some(0),
            milestone_id: Some(0),
            acceptance_criteria: Some(String::new()),
            collaborators: Vec::new(),
            booked_hours: 0.0,
            modified: now.to_owned(),
        }
    }
}

/// A status of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusLabel {
    /// Status number.
    pub id: i64,
    /// Label.
    pub name: String,
    /// `NEW`, `INPROGRESS`, `DONE` or `NONE`.
    pub status_type: String,
}

impl StatusLabel {
    /// A status with this number, label and type.
    #[must_use]
    pub fn new(id: i64, name: &str, status_type: &str) -> Self {
        Self {
            id,
            name: name.to_owned(),
            status_type: status_type.to_owned(),
        }
    }
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Project {
    /// Number of the project.
    pub id: i64,
    /// Name, at most 100 characters.
    pub name: String,
    /// HTML.
    pub details: String,
    /// -1 is closed.
    pub state: Option<i64>,
    /// Users who may see it.
    pub members: BTreeSet<i64>,
    /// Its own statuses; none: the default set.
    pub statuses: Option<Vec<StatusLabel>>,
    /// When the project row was last written, in **local** time.
    pub modified: String,
}

/// A user: a person, or the user row of an API key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// Number of the user.
    pub id: i64,
    /// E-mail address, or the public half of an API key.
    pub username: String,
    /// First name.
    pub firstname: String,
    /// Last name.
    pub lastname: String,
    /// 5 read-only, 10 commenter, 20 editor, 30 manager, 40 admin, 50 owner.
    pub role: u8,
    /// Whether this is the row of an API key.
    pub is_api_key: bool,
}

#[derive(Clone)]
pub(super) struct State {
    pub(super) options: LeantimeOptions,
    pub(super) tickets: BTreeMap<i64, Ticket>,
    pub(super) projects: BTreeMap<i64, Project>,
    pub(super) users: BTreeMap<i64, User>,
    /// Credential as sent (key or token) to user.
    pub(super) keys: BTreeMap<String, i64>,
    pub(super) tokens: BTreeMap<String, i64>,
    pub(super) next_ticket: i64,
    pub(super) next_project: i64,
    pub(super) next_user: i64,
    pub(super) notices: usize,
    pub(super) database_down: bool,
    started: Instant,
    /// Per user: when its window of a minute began, and the hits in it.
    pub(super) windows: BTreeMap<i64, (Instant, u32)>,
    pub(super) failures: Option<(Instant, u32)>,
}

impl State {
    pub(super) fn new(options: LeantimeOptions) -> Self {
        Self {
            options,
            tickets: BTreeMap::new(),
            projects: BTreeMap::new(),
            users: BTreeMap::new(),
            keys: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next_ticket: 1,
            next_project: 1,
            next_user: 1,
            notices: 0,
            database_down: false,
            started: Instant::now(),
            windows: BTreeMap::new(),
            failures: None,
        }
    }

    /// The instance's clock: it starts at the configured instant and runs with `tokio`'s, paused time included.
    pub(super) fn now(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.started.elapsed()).unwrap_or_default();
        self.options.starts_at + elapsed
    }

    pub(super) fn stamp(&self) -> String {
        self.now().format("%Y-%m-%d %H:%M:%S").to_string()
    }

    pub(super) fn local_stamp(&self) -> String {
        self.now()
            .with_timezone(&self.options.time_zone)
            .format("%Y-%m-%d %H:%M:%S")
            .to_string()
    }

    pub(super) fn statuses_of(&self, project: Option<i64>) -> Vec<StatusLabel> {
        match project
            .and_then(|id| self.projects.get(&id))
            .and_then(|project| project.statuses.clone())
        {
            Some(mut own) => {
                own.push(StatusLabel::new(-1, "status.archived", "DONE"));
                own
            }
            None => default_statuses(),
        }
    }

    pub(super) fn can_see(&self, user: &User, project: Option<i64>) -> bool {
        user.role >= 40
            || project
                .and_then(|id| self.projects.get(&id))
                .is_some_and(|project| project.members.contains(&user.id))
    }

    /// The ticket, if it exists and this user may see it.
    pub(super) fn visible_ticket(&self, user: &User, id: i64) -> Option<&Ticket> {
        self.tickets
            .get(&id)
            .filter(|ticket| self.can_see(user, ticket.project_id))
    }

    pub(super) fn add_ticket(&mut self, project: Option<i64>, headline: &str, author: i64) -> i64 {
        let id = self.next_ticket;
        self.next_ticket += 1;
        let ticket = Ticket::new(id, project, headline, author, &self.stamp());
        self.tickets.insert(id, ticket);
        id
    }
}

fn default_statuses() -> Vec<StatusLabel> {
    vec![
        StatusLabel::new(3, "New", "NEW"),
        StatusLabel::new(1, "Blocked", "INPROGRESS"),
        StatusLabel::new(4, "In Progress", "INPROGRESS"),
        StatusLabel::new(2, "Waiting for Approval", "INPROGRESS"),
        StatusLabel::new(0, "Done", "DONE"),
        StatusLabel::new(-1, "Archived", "DONE"),
    ]
}
