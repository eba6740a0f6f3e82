//! The handle of a simulated instance: its router, and what a test does to it as another user.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use chrono::{DateTime, Utc};

use super::options::OpenProjectOptions;
use super::routes;
use super::state::{FIRST_USER, OTHER_USER, State};
use super::types::{AcceptedWrite, Priority, Project, Role, Status, User, WorkPackage, WorkPackageType};
use super::write;
use crate::sim::faults::Faults;
use crate::sim::instrument;
use crate::sim::record::Recorder;
use crate::sim::serve::{Served, serve_router};

/// The instance behind the lock: what it holds and how it is set up.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) state: State,
    pub(super) options: OpenProjectOptions,
}

impl Instance {
    /// A comment moves `updatedAt` but not the version.
    pub(super) fn comment(&mut self, id: u64, text: &str) {
        let now = self.state.now(&self.options);
        if let Some(item) = self.state.work_packages.get_mut(&id) {
            item.comments.push(text.to_owned());
            item.updated_at = now;
        }
    }
}

/// A simulated OpenProject. Clones are the same instance.
#[derive(Debug, Clone)]
pub struct OpenProjectSimulator {
    instance: Arc<Mutex<Instance>>,
    recorder: Recorder,
    faults: Faults,
}

impl OpenProjectSimulator {
    /// An instance with the usual statuses, priorities and types, two users and no project.
    #[must_use]
    pub fn new(options: OpenProjectOptions) -> Self {
        let instance = Instance {
            state: State::new(&options),
            options,
        };
        Self {
            instance: Arc::new(Mutex::new(instance)),
            recorder: Recorder::default(),
            faults: Faults::default(),
        }
    }

    /// An instance of its own that holds the same by now; its calls and faults begin anew.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            instance: Arc::new(Mutex::new(self.lock().clone())),
            recorder: Recorder::default(),
            faults: Faults::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Instance> {
        self.instance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The API as a service to call in the process; every call is recorded and may meet a fault.
    pub fn router(&self) -> Router {
        instrument(routes::router(self.clone()), self.recorder.clone(), self.faults.clone())
    }

    /// The API on a free port of the loopback address, until the result is dropped.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn serve(&self) -> io::Result<Served> {
        serve_router(self.router()).await
    }

    /// What goes wrong on demand.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Every call, with its answer's status.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// How often each (method, route) was called.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<(String, String), usize> {
        self.recorder.counts()
    }

    /// How many state-changing calls were accepted.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.recorder.writes()
    }

    /// Starts counting anew.
    pub fn reset_counts(&self) {
        self.recorder.reset();
        self.lock().state.accepted.clear();
    }

    /// The accepted state-changing calls since the last reset, with what was sent.
    #[must_use]
    pub fn accepted_writes(&self) -> Vec<AcceptedWrite> {
        self.lock().state.accepted.clone()
    }

    /// Changes the options while the instance runs.
    pub fn configure(&self, change: impl FnOnce(&mut OpenProjectOptions)) {
        change(&mut self.lock().options);
    }

    /// The API token of the first user, who stands for the sync.
    #[must_use]
    pub fn api_key(&self) -> String {
        self.lock().options.api_key.clone()
    }

    /// The user whose token [`api_key`](Self::api_key) is.
    #[must_use]
    pub fn sync_user(&self) -> u64 {
        FIRST_USER
    }

    /// A second user, a person, who is the author of what a test creates.
    #[must_use]
    pub fn other_user(&self) -> u64 {
        OTHER_USER
    }

    /// Adds a user who is a member of nothing yet.
    pub fn create_user(&self, login: &str, name: &str) -> u64 {
        let mut instance = self.lock();
        let id = instance.state.next_id();
        let email = format!("{login}@example.org");
        let user = User {
            id,
            login: login.to_owned(),
            name: name.to_owned(),
            email,
            admin: false,
            api_key: None,
        };
        instance.state.users.insert(id, user);
        id
    }

    /// Changes a user, the API token included.
    pub fn edit_user(&self, id: u64, change: impl FnOnce(&mut User)) {
        if let Some(user) = self.lock().state.users.get_mut(&id) {
            change(user);
        }
    }

    /// Adds a project of which all present users are members.
    pub fn create_project(&self, name: &str, identifier: &str) -> u64 {
        self.add_project(name, identifier, None)
    }

    /// Adds a project inside another one.
    pub fn create_subproject(&self, parent: u64, name: &str, identifier: &str) -> u64 {
        self.add_project(name, identifier, Some(parent))
    }

    fn add_project(&self, name: &str, identifier: &str, parent_id: Option<u64>) -> u64 {
        let mut instance = self.lock();
        let Instance { state, options } = &mut *instance;
        let now = state.now(options);
        let id = state.next_id();
        let project = Project {
            id,
            identifier: identifier.to_owned(),
            name: name.to_owned(),
            description: String::new(),
            active: true,
            parent_id,
            created_at: now,
            updated_at: now,
        };
        state.projects.insert(id, project);
        let users: Vec<u64> = state.users.keys().copied().collect();
        state
            .members
            .extend(users.into_iter().map(|user| ((id, user), Role::Member)));
        id
    }

    /// Changes a project (its name, `active`, …).
    pub fn edit_project(&self, id: u64, change: impl FnOnce(&mut Project)) {
        let mut instance = self.lock();
        let Instance { state, options } = &mut *instance;
        let now = state.now(options);
        if let Some(project) = state.projects.get_mut(&id) {
            change(project);
            project.updated_at = now;
        }
    }

    /// Archives a project: its work packages are out of reach for everybody, their rows do not change.
    pub fn archive_project(&self, id: u64) {
        self.edit_project(id, |project| project.active = false);
    }

    /// Brings an archived project back.
    pub fn unarchive_project(&self, id: u64) {
        self.edit_project(id, |project| project.active = true);
    }

    /// Deletes a project with its work packages.
    pub fn delete_project(&self, id: u64) {
        let mut instance = self.lock();
        instance.state.projects.remove(&id);
        instance.state.work_packages.retain(|_, item| item.project_id != id);
    }

    /// Makes a user a member, or changes the role.
    pub fn set_role(&self, project: u64, user: u64, role: Role) {
        self.lock().state.members.insert((project, user), role);
    }

    /// Ends a membership: the project answers 404 to that user from now on.
    pub fn remove_membership(&self, project: u64, user: u64) {
        self.lock().state.members.remove(&(project, user));
    }

    /// The statuses.
    #[must_use]
    pub fn statuses(&self) -> Vec<Status> {
        self.lock().state.statuses.clone()
    }

    /// Replaces the statuses.
    pub fn set_statuses(&self, statuses: Vec<Status>) {
        self.lock().state.statuses = statuses;
    }

    /// The id of the status of this name.
    #[must_use]
    pub fn status_id(&self, name: &str) -> Option<u64> {
        self.lock()
            .state
            .statuses
            .iter()
            .find(|status| status.name == name)
            .map(|status| status.id)
    }

    /// The priorities.
    #[must_use]
    pub fn priorities(&self) -> Vec<Priority> {
        self.lock().state.priorities.clone()
    }

    /// Replaces the priorities.
    pub fn set_priorities(&self, priorities: Vec<Priority>) {
        self.lock().state.priorities = priorities;
    }

    /// The id of the priority of this name.
    #[must_use]
    pub fn priority_id(&self, name: &str) -> Option<u64> {
        self.lock()
            .state
            .priorities
            .iter()
            .find(|priority| priority.name == name)
            .map(|priority| priority.id)
    }

    /// The work package types.
    #[must_use]
    pub fn types(&self) -> Vec<WorkPackageType> {
        self.lock().state.types.clone()
    }

    /// Replaces the work package types.
    pub fn set_types(&self, types: Vec<WorkPackageType>) {
        self.lock().state.types = types;
    }

    /// Every project.
    #[must_use]
    pub fn projects(&self) -> Vec<Project> {
        self.lock().state.projects.values().cloned().collect()
    }

    /// Every work package, also those nobody sees, by id.
    #[must_use]
    pub fn work_packages(&self) -> Vec<WorkPackage> {
        self.lock().state.work_packages.values().cloned().collect()
    }

    /// One work package.
    #[must_use]
    pub fn work_package(&self, id: u64) -> Option<WorkPackage> {
        self.lock().state.work_packages.get(&id).cloned()
    }

    /// Creates a work package as the other user, with defaults for all but the title.
    pub fn create_work_package(&self, project: u64, subject: &str) -> u64 {
        self.create_work_package_with(project, subject, |_| ())
    }

    /// Creates a work package as the other user; `fill` sets what it likes (ids, versions and times are the tool's).
    pub fn create_work_package_with(&self, project: u64, subject: &str, fill: impl FnOnce(&mut WorkPackage)) -> u64 {
        let mut instance = self.lock();
        let Instance { state, options } = &mut *instance;
        write::insert(state, options, project, OTHER_USER, subject, fill)
    }

    /// Changes a work package as the other user: version and time move if something changed, and its ancestors with
    /// it.
    pub fn edit_work_package(&self, id: u64, change: impl FnOnce(&mut WorkPackage)) {
        let mut instance = self.lock();
        let Instance { state, options } = &mut *instance;
        let Some(before) = state.work_packages.get(&id).cloned() else {
            return;
        };
        let mut item = before.clone();
        change(&mut item);
        if item.estimated_minutes != before.estimated_minutes && item.remaining_minutes == before.remaining_minutes {
            // The tool lets nobody leave more work to do than there is.
            item.remaining_minutes = item.remaining_minutes.min(item.estimated_minutes);
        }
        if item != before {
            let now = state.now(options);
            write::replace(state, options, item, now);
            state.note_change(id, OTHER_USER);
        }
    }

    /// Moves a work package, with everything below it, to another project.
    pub fn move_work_package(&self, id: u64, project: u64) {
        self.edit_work_package(id, |item| item.project_id = project);
    }

    /// Deletes a work package and everything below it.
    pub fn delete_work_package(&self, id: u64) {
        let mut instance = self.lock();
        let Instance { state, options } = &mut *instance;
        write::remove(state, options, id);
    }

    /// Makes a work package start when another one has ended: its dates are the tool's from now on.
    pub fn follow(&self, successor: u64, predecessor: u64) {
        self.lock().state.follows.insert(successor, predecessor);
        self.edit_work_package(successor, |item| item.schedule_manually = false);
    }

    /// Makes a work package the duplicate of another one: it is closed with it.
    pub fn duplicate(&self, duplicate: u64, original: u64) {
        self.lock().state.duplicates.insert(duplicate, original);
    }

    /// Logs time: neither the stamp nor the version moves.
    pub fn log_time(&self, id: u64, minutes: i64) {
        if let Some(item) = self.lock().state.work_packages.get_mut(&id) {
            item.spent_minutes += minutes;
        }
    }

    /// Comments on a work package: its time moves, its version does not.
    pub fn comment(&self, id: u64, text: &str) {
        self.lock().comment(id, text);
    }

    /// Sets the time of a work package's last change as stored, for equal or odd stamps.
    pub fn set_updated_at(&self, id: u64, at: DateTime<Utc>) {
        if let Some(item) = self.lock().state.work_packages.get_mut(&id) {
            item.updated_at = at;
        }
    }
}
