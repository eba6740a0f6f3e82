//! An instance of a tool in a case.

use std::sync::Arc;

use magnus_core::clock::Clock;
use magnus_core::model::{ConnectionId, ExternalId};
use magnus_testkit::clock::SetClock;
use magnus_testkit::sim::leantime::LeantimeSimulator;
use magnus_testkit::sim::openproject::{self, OpenProjectOptions, OpenProjectSimulator};
use magnus_testkit::sim::{CallMatcher, Faults};

use crate::book::{self, Marks};
use crate::house::House;
use crate::play::PROJECTS;
use crate::support::World;

/// A kind of tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    OpenProject,
    Leantime,
}

/// An OpenProject with its projects, and the people that somebody may name as assignee.
#[derive(Clone)]
pub(crate) struct OpenProject {
    pub(crate) simulator: OpenProjectSimulator,
    pub(crate) projects: [u64; 3],
    pub(crate) people: [u64; 3],
}

/// The same of a Leantime.
#[derive(Clone)]
pub(crate) struct Leantime {
    pub(crate) simulator: LeantimeSimulator,
    pub(crate) projects: [i64; 3],
    pub(crate) people: [i64; 3],
}

#[derive(Clone)]
pub(crate) enum Instance {
    OpenProject(OpenProject),
    Leantime(Leantime),
}

impl Instance {
    /// The options of every OpenProject of a case.
    pub(crate) fn options(house: &House, clock: &Arc<SetClock>) -> OpenProjectOptions {
        let time = Arc::clone(clock);
        house.openproject().clock(openproject::Clock::new(move || time.now()))
    }

    /// The instance that the world has of a tool.
    pub(crate) fn first(tool: Tool, world: &World, house: &House) -> (Self, ConnectionId) {
        match tool {
            Tool::OpenProject => (Self::openproject(world.openproject.clone(), house), world.op),
            Tool::Leantime => (Self::leantime(world.leantime.clone(), house), world.lt),
        }
    }

    /// One more instance of a tool.
    pub(crate) fn another(tool: Tool, house: &House, clock: &Arc<SetClock>) -> Self {
        match tool {
            Tool::OpenProject => Self::openproject(OpenProjectSimulator::new(Self::options(house, clock)), house),
            Tool::Leantime => Self::leantime(LeantimeSimulator::new(house.leantime()), house),
        }
    }

    fn openproject(simulator: OpenProjectSimulator, house: &House) -> Self {
        house.furnish_openproject(&simulator);
        let grace = simulator.create_user("grace", "Grace Hopper");
        let projects = PROJECTS.map(|name| simulator.create_project(name, &name.to_lowercase()));
        // Who comes later is a member of nothing.
        let nora = simulator.create_user("nora", "Nora Nobody");
        let people = [grace, simulator.other_user(), nora];
        Self::OpenProject(OpenProject {
            simulator,
            projects,
            people,
        })
    }

    fn leantime(simulator: LeantimeSimulator, house: &House) -> Self {
        let grace = simulator.create_person("Grace", "Hopper", "grace@example.org", 20);
        let nora = simulator.create_person("Nora", "Nobody", "nora@example.org", 20);
        let projects = PROJECTS.map(|name| simulator.create_project(name));
        for project in projects {
            simulator.assign(grace, project);
        }
        house.furnish_leantime(&simulator, projects[0]);
        let people = [grace, 1, nora];
        Self::Leantime(Leantime {
            simulator,
            projects,
            people,
        })
    }

    pub(crate) async fn connect(&self, world: &World, name: &str) -> ConnectionId {
        match self {
            Self::OpenProject(tool) => world.connect_openproject(name, &tool.simulator).await,
            Self::Leantime(tool) => world.connect_leantime(name, &tool.simulator).await,
        }
    }

    /// The id of a project, by its place in [`PROJECTS`].
    pub(crate) fn project(&self, place: usize) -> String {
        match self {
            Self::OpenProject(tool) => tool.projects[place].to_string(),
            Self::Leantime(tool) => tool.projects[place].to_string(),
        }
    }

    /// The place in [`PROJECTS`] of the project that an item is in; `None` if there is no such item.
    pub(crate) fn place_of(&self, item: &ExternalId) -> Option<usize> {
        match self {
            Self::OpenProject(tool) => {
                let project = tool.simulator.work_package(item.as_str().parse().ok()?)?.project_id;
                tool.projects.iter().position(|known| *known == project)
            }
            Self::Leantime(tool) => {
                let project = tool.simulator.ticket(item.as_str().parse().ok()?)?.project_id?;
                tool.projects.iter().position(|known| *known == project)
            }
        }
    }

    pub(crate) fn titles(&self) -> Vec<String> {
        match self {
            Self::OpenProject(tool) => tool
                .simulator
                .work_packages()
                .into_iter()
                .map(|item| item.subject)
                .collect(),
            Self::Leantime(tool) => tool
                .simulator
                .tickets()
                .into_iter()
                .filter_map(|row| row.headline)
                .collect(),
        }
    }

    /// What stands in all its items.
    pub(crate) fn marks(&self) -> Marks {
        match self {
            Self::OpenProject(tool) => tool
                .simulator
                .work_packages()
                .iter()
                .flat_map(book::of_work_package)
                .collect(),
            Self::Leantime(tool) => tool.simulator.tickets().iter().flat_map(book::of_ticket).collect(),
        }
    }

    pub(crate) fn writes(&self) -> usize {
        match self {
            Self::OpenProject(tool) => tool.simulator.writes(),
            Self::Leantime(tool) => tool.simulator.writes(),
        }
    }

    pub(crate) fn faults(&self) -> &Faults {
        match self {
            Self::OpenProject(tool) => tool.simulator.faults(),
            Self::Leantime(tool) => tool.simulator.faults(),
        }
    }

    /// The calls that change an item.
    pub(crate) fn writing(&self) -> CallMatcher {
        match self {
            Self::OpenProject(_) => CallMatcher::any().when(|call| call.method != "GET"),
            Self::Leantime(_) => CallMatcher::any().when(|call| {
                let writes = [
                    "Tickets.addTicket",
                    "Tickets.patchTicket",
                    "Tickets.patch",
                    "Tickets.delete",
                ];
                let is_one = |called: &String| writes.iter().any(|write| called.ends_with(write));
                call.rpc_methods.iter().any(is_one)
            }),
        }
    }
}
