//! Fills a simulated instance with realistic work packages.

use super::simulator::OpenProjectSimulator;
use crate::sim::seed::{self, SeedPriority, SeedStatus};

impl OpenProjectSimulator {
    /// Adds `count` realistic work packages to a project, the same for the same `seed`; returns their ids.
    pub fn seed_project(&self, project: u64, count: usize, seed: u64) -> Vec<u64> {
        let default_status = self.statuses().first().map_or(0, |status| status.id);
        let default_priority = self.priorities().first().map_or(0, |priority| priority.id);
        let mut ids: Vec<u64> = Vec::with_capacity(count);
        for task in seed::realistic(count, seed) {
            let status = self.status_id(status_name(task.status)).unwrap_or(default_status);
            let priority = self
                .priority_id(priority_name(task.priority))
                .unwrap_or(default_priority);
            let parent = task.parent.and_then(|index| ids.get(index).copied());
            ids.push(self.create_work_package_with(project, &task.title, |item| {
                item.description.clone_from(&task.description_markdown);
                item.status_id = status;
                item.priority_id = priority;
                item.start_date = task.start;
                item.due_date = task.due;
                item.estimated_minutes = task.estimate_minutes;
                item.percentage_done = task.percentage_done;
                item.parent_id = parent;
            }));
        }
        ids
    }
}

fn status_name(status: SeedStatus) -> &'static str {
    match status {
        SeedStatus::Todo => "New",
        SeedStatus::InProgress => "In progress",
        SeedStatus::Blocked => "On hold",
        SeedStatus::Review => "In testing",
        SeedStatus::Done => "Closed",
        SeedStatus::Cancelled => "Rejected",
    }
}

fn priority_name(priority: SeedPriority) -> &'static str {
    match priority {
        SeedPriority::Critical => "Immediate",
        SeedPriority::High => "High",
        SeedPriority::Medium => "Normal",
        SeedPriority::Low => "Low",
    }
}
