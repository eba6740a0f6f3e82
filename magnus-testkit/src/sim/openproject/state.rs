//! The simulated database and its few invariants: ids are never reused, time never goes back.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SubsecRound, Utc};

use super::options::OpenProjectOptions;
use super::types::{AcceptedWrite, Priority, Project, Role, Status, User, WorkPackage, WorkPackageType};

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) users: BTreeMap<u64, User>,
    pub(super) members: BTreeMap<(u64, u64), Role>,
    pub(super) projects: BTreeMap<u64, Project>,
    pub(super) statuses: Vec<Status>,
    pub(super) types: Vec<WorkPackageType>,
    pub(super) priorities: Vec<Priority>,
    pub(super) work_packages: BTreeMap<u64, WorkPackage>,
    /// Successor → predecessor.
    pub(super) follows: BTreeMap<u64, u64>,
    /// Duplicate → what it is a duplicate of.
    pub(super) duplicates: BTreeMap<u64, u64>,
    /// Who changed a work package and when, oldest first; its creation is the first.
    pub(super) journals: BTreeMap<u64, Vec<(u64, DateTime<Utc>)>>,
    pub(super) accepted: Vec<AcceptedWrite>,
    last_id: u64,
    last_time: Option<DateTime<Utc>>,
}

pub(super) const FIRST_USER: u64 = 4;
pub(super) const OTHER_USER: u64 = 5;
pub(super) const ANONYMOUS_USER: u64 = 2;

impl State {
    pub(super) fn new(options: &OpenProjectOptions) -> Self {
        let user = |id: u64, login: &str, name: &str, admin: bool, api_key: Option<String>| {
            let email = format!("{login}@example.org");
            (
                id,
                User {
                    id,
                    login: login.to_owned(),
                    name: name.to_owned(),
                    email,
                    admin,
                    api_key,
                },
            )
        };
        let status = |id: u64, name: &str, is_closed: bool| Status {
            id,
            name: name.to_owned(),
            is_closed,
            is_default: id == 1,
            is_readonly: false,
            default_done_ratio: if is_closed { 100 } else { 0 },
        };
        let statuses = [
            "New",
            "In specification",
            "Specified",
            "Confirmed",
            "To be scheduled",
            "Scheduled",
            "In progress",
        ]
        .iter()
        .chain(&[
            "Developed",
            "In testing",
            "Tested",
            "Test failed",
            "Closed",
            "On hold",
            "Rejected",
        ])
        .zip(1..)
        .map(|(name, id)| status(id, name, matches!(*name, "Closed" | "Rejected")))
        .collect();
        let priorities = ["Low", "Normal", "High", "Immediate"]
            .iter()
            .zip(7..)
            .map(|(name, id)| Priority {
                id,
                name: (*name).to_owned(),
                is_default: *name == "Normal",
            })
            .collect();
        let types = ["Task", "Milestone", "Phase", "Feature", "Epic", "User story", "Bug"]
            .iter()
            .zip(1..)
            .map(|(name, id)| WorkPackageType {
                id,
                name: (*name).to_owned(),
                is_milestone: *name == "Milestone",
            })
            .collect();
        Self {
            users: BTreeMap::from([
                user(
                    FIRST_USER,
                    "sync",
                    "Sync Robot",
                    options.admin,
                    Some(options.api_key.clone()),
                ),
                user(OTHER_USER, "ada", "Ada Byron", false, None),
            ]),
            statuses,
            types,
            priorities,
            last_id: 100,
            ..Self::default()
        }
    }

    /// A new id, greater than all given before.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Writes down that a user made or changed a work package.
    pub(super) fn note_change(&mut self, id: u64, user: u64) {
        if let Some(at) = self.work_packages.get(&id).map(|item| item.updated_at) {
            self.journals.entry(id).or_default().push((user, at));
        }
    }

    /// The instance's time, to the microsecond; never before an earlier answer.
    pub(super) fn now(&mut self, options: &OpenProjectOptions) -> DateTime<Utc> {
        let asked = options.clock.now().trunc_subsecs(6);
        let now = self.last_time.map_or(asked, |last| last.max(asked));
        self.last_time = Some(now);
        now
    }

    /// Whether this is the id of a closed status.
    pub(super) fn is_closed(&self, status_id: u64) -> bool {
        self.status(status_id).is_some_and(|status| status.is_closed)
    }

    pub(super) fn status(&self, id: u64) -> Option<&Status> {
        self.statuses.iter().find(|status| status.id == id)
    }

    pub(super) fn work_package_type(&self, id: u64) -> Option<&WorkPackageType> {
        self.types.iter().find(|kind| kind.id == id)
    }

    pub(super) fn is_milestone(&self, work_package: &WorkPackage) -> bool {
        self.work_package_type(work_package.type_id)
            .is_some_and(|kind| kind.is_milestone)
    }

    pub(super) fn default_status(&self) -> u64 {
        self.statuses
            .iter()
            .find(|status| status.is_default)
            .or(self.statuses.first())
            .map_or(0, |status| status.id)
    }

    pub(super) fn default_priority(&self) -> u64 {
        let default = self.priorities.iter().find(|priority| priority.is_default);
        default.or(self.priorities.first()).map_or(0, |priority| priority.id)
    }

    pub(super) fn default_type(&self) -> u64 {
        self.types.first().map_or(0, |kind| kind.id)
    }

    pub(super) fn project_by_reference(&self, reference: &str) -> Option<&Project> {
        match reference.parse::<u64>() {
            Ok(id) => self.projects.get(&id),
            Err(_) => self
                .projects
                .values()
                .find(|project| project.identifier.eq_ignore_ascii_case(reference)),
        }
    }

    /// A project and everything below it.
    pub(super) fn with_subprojects(&self, root: u64) -> BTreeSet<u64> {
        let mut found = BTreeSet::from([root]);
        loop {
            let more: Vec<u64> = self
                .projects
                .values()
                .filter(|project| project.parent_id.is_some_and(|parent| found.contains(&parent)))
                .map(|project| project.id)
                .filter(|id| !found.contains(id))
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    pub(super) fn children(&self, id: u64) -> Vec<u64> {
        self.work_packages
            .values()
            .filter(|child| child.parent_id == Some(id))
            .map(|child| child.id)
            .collect()
    }

    /// Everything below a work package, not itself.
    pub(super) fn descendants(&self, id: u64) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            for child in self.children(next) {
                if found.insert(child) {
                    open.push(child);
                }
            }
        }
        found
    }

    /// The parent, its parent and so on, nearest first.
    pub(super) fn ancestors(&self, id: u64) -> Vec<u64> {
        let mut found = Vec::new();
        let mut at = self
            .work_packages
            .get(&id)
            .and_then(|work_package| work_package.parent_id);
        while let Some(parent) = at {
            if found.contains(&parent) {
                break;
            }
            found.push(parent);
            at = self
                .work_packages
                .get(&parent)
                .and_then(|work_package| work_package.parent_id);
        }
        found
    }
}
