//! Who sees and may change what.

use super::auth::Caller;
use super::options::OpenProjectOptions;
use super::state::State;
use super::types::{Project, Role, WorkPackage};

/// The instance as one caller sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'state> {
    pub(super) state: &'state State,
    pub(super) options: &'state OpenProjectOptions,
    pub(super) caller: Caller,
}

impl<'state> View<'state> {
    /// Archived projects are visible to administrators only.
    pub(super) fn sees_project(&self, project: &Project) -> bool {
        if !project.active {
            return self.caller.is_admin();
        }
        match self.caller {
            Caller::User { admin: true, .. } => true,
            Caller::User { id, .. } => self.state.members.contains_key(&(project.id, id)),
            Caller::Anonymous => self.options.public_projects,
        }
    }

    /// Work packages of archived projects are out of reach for everybody.
    pub(super) fn sees(&self, work_package: &WorkPackage) -> bool {
        self.state
            .projects
            .get(&work_package.project_id)
            .is_some_and(|project| project.active && self.sees_project(project))
    }

    pub(super) fn may_edit(&self, project_id: u64) -> bool {
        match self.caller {
            Caller::User { admin: true, .. } => true,
            Caller::User { id, .. } => self.state.members.get(&(project_id, id)) == Some(&Role::Member),
            Caller::Anonymous => false,
        }
    }

    pub(super) fn work_package(&self, id: u64) -> Option<&'state WorkPackage> {
        self.state
            .work_packages
            .get(&id)
            .filter(|work_package| self.sees(work_package))
    }

    pub(super) fn project(&self, reference: &str) -> Option<&'state Project> {
        self.state
            .project_by_reference(reference)
            .filter(|project| self.sees_project(project))
    }

    /// Users who share a project with the caller, and the caller.
    pub(super) fn sees_user(&self, user: u64) -> bool {
        if self.caller.is_admin() || self.caller.user_id() == Some(user) {
            return true;
        }
        let shares = |project: &u64| {
            self.caller
                .user_id()
                .is_some_and(|me| self.state.members.contains_key(&(*project, me)))
        };
        self.state
            .members
            .keys()
            .any(|(project, member)| *member == user && shares(project))
    }

    /// Members who can be assigned work in a project.
    pub(super) fn assignable(&self, project_id: u64) -> Vec<u64> {
        let members = self.state.members.iter();
        members
            .filter(|((project, _), role)| *project == project_id && **role == Role::Member)
            .map(|((_, user), _)| *user)
            .collect()
    }
}
