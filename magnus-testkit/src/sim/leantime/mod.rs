//! A simulator of Leantime's JSON-RPC API, in three dialects, as observed on the wire.
//!
//! It is as lenient and as treacherous as the real one: nothing is validated, texts are trimmed and cut silently,
//! dates without an offset are taken as the server's local time, and lost access looks like an empty project.

mod dates;
mod http;
mod listing;
mod projects;
mod rpc;
mod seeding;
mod state;
mod tickets;
mod users;
mod values;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{Faults, Recorder, Served, serve_router};
use state::State;
pub use state::{Project, StatusLabel, Ticket, User};

/// Which version of Leantime is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dialect {
    /// 3.7.3: scalars in lists of one, `patch` instead of `patchTicket`, no system information, no whoami.
    V373,
    /// 3.9.8: `patchTicket`; a ticket's `modified` cannot be read.
    #[default]
    V398,
    /// After 3.9.8: `modified` is in lists and in `getTicket`. The version it reports is still 3.9.8.
    Master,
}

impl Dialect {
    /// Every dialect, for tests that must hold on all.
    pub const ALL: [Self; 3] = [Self::V373, Self::V398, Self::Master];
}

/// How the simulated instance is set up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LeantimeOptions {
    /// The version.
    pub dialect: Dialect,
    /// The server's time zone, in which dates without an offset are read.
    pub time_zone: Tz,
    /// HTTP requests per user and minute; none: no limit. A batch is one request.
    pub rate_limit_per_minute: Option<u32>,
    /// What the instance's clock shows when it is made. It runs with `tokio`'s clock.
    pub starts_at: DateTime<Utc>,
}

impl Default for LeantimeOptions {
    /// 3.9.8 in Los Angeles (the shipped default), without a rate limit.
    fn default() -> Self {
        Self {
            dialect: Dialect::default(),
            time_zone: chrono_tz::America::Los_Angeles,
            rate_limit_per_minute: None,
            starts_at: DateTime::from_timestamp(1_795_348_800, 0).unwrap_or_default(),
        }
    }
}

impl LeantimeOptions {
    /// The default instance, of this version.
    #[must_use]
    pub fn dialect(dialect: Dialect) -> Self {
        Self {
            dialect,
            ..Self::default()
        }
    }

    /// With this time zone of the server.
    #[must_use]
    pub fn time_zone(mut self, time_zone: Tz) -> Self {
        self.time_zone = time_zone;
        self
    }

    /// With a limit of HTTP requests per user and minute.
    #[must_use]
    pub fn rate_limit_per_minute(mut self, limit: u32) -> Self {
        self.rate_limit_per_minute = Some(limit);
        self
    }
}

/// Requests since the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// HTTP requests; a batch is one.
    pub http: usize,
    /// JSON-RPC calls by method, `leantime.rpc.` left out.
    pub methods: BTreeMap<String, usize>,
}

/// The simulated instance. Clones share it.
#[derive(Clone)]
pub struct LeantimeSimulator {
    state: Arc<Mutex<State>>,
    recorder: Recorder,
    faults: Faults,
    api_key: String,
}

impl std::fmt::Debug for LeantimeSimulator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LeantimeSimulator").finish_non_exhaustive()
    }
}

impl LeantimeSimulator {
    /// An instance with one person (`admin@example.test`, user 1) and one API key of an owner (user 2).
    #[must_use]
    pub fn new(options: LeantimeOptions) -> Self {
        let mut simulator = Self {
            state: Arc::new(Mutex::new(State::new(options))),
            recorder: Recorder::default(),
            faults: Faults::default(),
            api_key: String::new(),
        };
        simulator.create_person("Ada", "Admin", "admin@example.test", 50);
        simulator.api_key = simulator.create_api_key(50);
        simulator
    }

    /// An instance of its own that holds the same by now; its calls and faults begin anew.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            state: Arc::new(Mutex::new(self.lock().clone())),
            recorder: Recorder::default(),
            faults: Faults::default(),
            api_key: self.api_key.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The API as a router, to be called in the process.
    pub fn router(&self) -> Router {
        http::router(Arc::clone(&self.state), self.recorder.clone(), self.faults.clone())
    }

    /// Serves the API on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn serve(&self) -> std::io::Result<Served> {
        serve_router(self.router()).await
    }

    /// The faults of this instance.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Everything that was called.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Requests since the last reset.
    #[must_use]
    pub fn requests(&self) -> RequestCounts {
        let calls = self.recorder.calls();
        let mut counts = RequestCounts {
            http: calls.len(),
            methods: BTreeMap::new(),
        };
        for method in calls.iter().flat_map(|recorded| &recorded.call.rpc_methods) {
            let name = method.strip_prefix("leantime.rpc.").unwrap_or(method).to_owned();
            *counts.methods.entry(name).or_default() += 1;
        }
        counts
    }

    /// Calls over the API that write, since the last reset, whether or not anything changed.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.recorder.writes()
    }

    /// Notices sent to project members by writes over the API.
    #[must_use]
    pub fn notices(&self) -> usize {
        self.lock().notices
    }

    /// Forgets the calls so far.
    pub fn reset_counts(&self) {
        self.recorder.reset();
        self.lock().notices = 0;
    }

    /// The key of the owner.
    #[must_use]
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// What the instance's clock shows.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.lock().now()
    }

    /// A new API key with a user row of its own: 5 read-only, 10 commenter, 20 editor, 30 manager, 40 admin, 50 owner.
    pub fn create_api_key(&self, role: u8) -> String {
        let id = self.add_user("sync", "", String::new(), role, true);
        let key = format!("lt_{id:0>32}_{:0>32}", id * 7919);
        let mut state = self.lock();
        state.keys.insert(key.clone(), id);
        if let Some(user) = state.users.get_mut(&id) {
            user.username = format!("{id:0>32}");
        }
        key
    }

    /// The user row behind an API key.
    #[must_use]
    pub fn user_of_key(&self, key: &str) -> Option<i64> {
        self.lock().keys.get(key).copied()
    }

    /// A new person.
    pub fn create_person(&self, firstname: &str, lastname: &str, email: &str, role: u8) -> i64 {
        self.add_user(firstname, lastname, email.to_owned(), role, false)
    }

    fn add_user(&self, firstname: &str, lastname: &str, username: String, role: u8, is_api_key: bool) -> i64 {
        let mut state = self.lock();
        let id = state.next_user;
        state.next_user += 1;
        let (firstname, lastname) = (firstname.to_owned(), lastname.to_owned());
        state.users.insert(
            id,
            User {
                id,
                username,
                firstname,
                lastname,
                role,
                is_api_key,
            },
        );
        id
    }

    /// A personal token that acts as this user.
    pub fn create_token(&self, user: i64) -> String {
        let token = format!("{user:0>40}");
        self.lock().tokens.insert(token.clone(), user);
        token
    }

    /// Makes a key invalid.
    pub fn revoke_key(&self, key: &str) {
        self.lock().keys.remove(key);
    }

    /// Whether the database is down: every call is then answered 401.
    pub fn set_database_down(&self, down: bool) {
        self.lock().database_down = down;
    }

    /// A new project without members.
    pub fn create_project(&self, name: &str) -> i64 {
        let mut state = self.lock();
        let id = state.next_project;
        state.next_project += 1;
        let modified = state.local_stamp();
        let project = Project {
            id,
            name: name.to_owned(),
            details: String::new(),
            state: None,
            members: [1].into(),
            statuses: None,
            modified,
        };
        state.projects.insert(id, project);
        id
    }

    /// Changes a project as another user would.
    pub fn edit_project(&self, id: i64, change: impl FnOnce(&mut Project)) {
        let mut state = self.lock();
        let modified = state.local_stamp();
        if let Some(project) = state.projects.get_mut(&id) {
            change(project);
            project.modified = modified;
        }
    }

    /// Deletes a project with its tickets.
    pub fn delete_project(&self, id: i64) {
        let mut state = self.lock();
        state.projects.remove(&id);
        state.tickets.retain(|_, ticket| ticket.project_id != Some(id));
    }

    /// Lets a user see a project.
    pub fn assign(&self, user: i64, project: i64) {
        if let Some(project) = self.lock().projects.get_mut(&project) {
            project.members.insert(user);
        }
    }

    /// Takes a project away from a user. Admins see it still.
    pub fn unassign(&self, user: i64, project: i64) {
        if let Some(project) = self.lock().projects.get_mut(&project) {
            project.members.remove(&user);
        }
    }

    /// Gives a project statuses of its own; the archive (-1) is always added.
    pub fn set_status_labels(&self, project: i64, labels: Vec<StatusLabel>) {
        self.edit_project(project, |project| project.statuses = Some(labels));
    }

    /// The statuses of a project.
    #[must_use]
    pub fn status_labels(&self, project: i64) -> Vec<StatusLabel> {
        self.lock().statuses_of(Some(project))
    }

    /// A new ticket by the person, status New.
    pub fn create_ticket(&self, project: i64, headline: &str) -> i64 {
        self.lock().add_ticket(Some(project), headline, 1)
    }

    /// A new ticket with columns of its own.
    pub fn create_ticket_with(&self, project: i64, headline: &str, change: impl FnOnce(&mut Ticket)) -> i64 {
        let id = self.create_ticket(project, headline);
        self.edit_ticket(id, change);
        id
    }

    /// Changes a ticket as another user would.
    pub fn edit_ticket(&self, id: i64, change: impl FnOnce(&mut Ticket)) {
        let mut state = self.lock();
        let stamp = state.stamp();
        if let Some(ticket) = state.tickets.get_mut(&id) {
            change(ticket);
            ticket.modified = stamp;
        }
    }

    /// Moves a ticket into another project.
    pub fn move_ticket(&self, id: i64, project: i64) {
        self.edit_ticket(id, |ticket| ticket.project_id = Some(project));
    }

    /// Deletes a ticket; what refers to it keeps the dead number.
    pub fn delete_ticket(&self, id: i64) {
        self.lock().tickets.remove(&id);
    }

    /// A ticket.
    #[must_use]
    pub fn ticket(&self, id: i64) -> Option<Ticket> {
        self.lock().tickets.get(&id).cloned()
    }

    /// Every ticket, by number.
    #[must_use]
    pub fn tickets(&self) -> Vec<Ticket> {
        self.lock().tickets.values().cloned().collect()
    }

    /// Every project, by number.
    #[must_use]
    pub fn projects(&self) -> Vec<Project> {
        self.lock().projects.values().cloned().collect()
    }

    /// Every user, by number.
    #[must_use]
    pub fn users(&self) -> Vec<User> {
        self.lock().users.values().cloned().collect()
    }
}
