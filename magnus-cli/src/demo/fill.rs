//! Fills the simulated tools with tasks as people write them.

use chrono::NaiveDate;
use magnus_core::model::text::canonical_text;
use magnus_leantime::text::{html_to_markdown, markdown_to_html};
use magnus_testkit::sim::leantime::LeantimeSimulator;
use magnus_testkit::sim::openproject::OpenProjectSimulator;
use magnus_testkit::sim::seed::{SeedPriority, SeedStatus, SeedTask, realistic};

/// Names of the projects that are in both tools.
pub(super) const COMMON: [&str; 2] = ["Harbour app", "Website relaunch"];
const ONLY_OPENPROJECT: &str = "Office move";
const ONLY_LEANTIME: &str = "Trade fair";

const TASKS: usize = 200;
const SAME: usize = 150;

/// A task that is in both tools from the start.
#[derive(Debug, Clone)]
pub(super) struct Twin {
    pub(super) title: String,
    pub(super) status: SeedStatus,
    pub(super) openproject: u64,
    pub(super) leantime: i64,
}

/// Fills both tools. Answers the twins of the first common project.
pub(super) fn fill(openproject: &OpenProjectSimulator, leantime: &LeantimeSimulator) -> Vec<Twin> {
    let mut twins = Vec::new();
    for (number, name) in COMMON.into_iter().enumerate() {
        let tasks = common_tasks(number as u64);
        let (same, rest) = tasks.split_at(SAME);
        let (left, right) = rest.split_at(TASKS - SAME);
        let in_openproject = fill_openproject(openproject, name, &[same, left].concat());
        let in_leantime = fill_leantime(leantime, name, &[same, right].concat());
        if number == 0 {
            let ids = in_openproject.into_iter().zip(in_leantime);
            twins.extend(same.iter().zip(ids).map(|(task, (openproject, leantime))| Twin {
                title: task.title.clone(),
                status: task.status,
                openproject,
                leantime,
            }));
        }
    }
    fill_openproject(openproject, ONLY_OPENPROJECT, &realistic(TASKS, 21));
    fill_leantime(leantime, ONLY_LEANTIME, &realistic(TASKS, 22));
    twins
}

/// Tasks of which the first 150 can be held by both tools alike.
fn common_tasks(seed: u64) -> Vec<SeedTask> {
    let mut tasks = realistic(SAME + 2 * (TASKS - SAME), 11 + seed);
    for task in tasks.iter_mut().take(SAME) {
        let back = html_to_markdown(&markdown_to_html(&task.description_markdown));
        if canonical_text(&back) != canonical_text(&task.description_markdown) {
            task.description_markdown = "As discussed; see the minutes of Monday.".to_owned();
        }
    }
    for task in &mut tasks {
        // Each tool gets a part of them: a parent may not be there.
        task.parent = task.parent.filter(|parent| *parent < SAME);
    }
    tasks
}

fn fill_openproject(openproject: &OpenProjectSimulator, name: &str, tasks: &[SeedTask]) -> Vec<u64> {
    let project = openproject.create_project(name, &name.to_lowercase().replace(' ', "-"));
    let mut ids: Vec<u64> = Vec::new();
    for task in tasks {
        let status = openproject.status_id(openproject_status(task.status)).unwrap_or(1);
        let priority = openproject
            .priority_id(openproject_priority(task.priority))
            .unwrap_or(1);
        let parent = task.parent.and_then(|index| ids.get(index).copied());
        ids.push(openproject.create_work_package_with(project, &task.title, |item| {
            item.description.clone_from(&task.description_markdown);
            item.status_id = status;
            item.priority_id = priority;
            item.start_date = task.start;
            item.due_date = task.due;
            item.estimated_minutes = task.estimate_minutes;
            item.parent_id = parent;
        }));
    }
    ids
}

fn fill_leantime(leantime: &LeantimeSimulator, name: &str, tasks: &[SeedTask]) -> Vec<i64> {
    let project = leantime.create_project(name);
    let mut ids: Vec<i64> = Vec::new();
    for task in tasks {
        let parent = task.parent.and_then(|index| ids.get(index).copied()).unwrap_or(0);
        ids.push(leantime.create_ticket_with(project, &task.title, |ticket| {
            ticket.description = Some(markdown_to_html(&task.description_markdown));
            ticket.status = leantime_status(task.status);
            ticket.priority = Some(leantime_priority(task.priority).to_owned());
            ticket.edit_from = task.start.map(day);
            ticket.date_to_finish = task.due.map(day);
            ticket.plan_hours = task.estimate_minutes.map(|minutes| minutes as f64 / 60.0);
            ticket.tags = Some(task.tags.join(","));
            ticket.depending_ticket_id = Some(parent);
        }));
    }
    ids
}

/// Midnight UTC: this day, anywhere.
fn day(date: NaiveDate) -> String {
    format!("{date} 00:00:00")
}

pub(super) const fn openproject_status(status: SeedStatus) -> &'static str {
    match status {
        SeedStatus::Todo => "New",
        SeedStatus::InProgress => "In progress",
        SeedStatus::Blocked => "On hold",
        SeedStatus::Review => "In testing",
        SeedStatus::Done => "Closed",
        SeedStatus::Cancelled => "Rejected",
    }
}

const fn openproject_priority(priority: SeedPriority) -> &'static str {
    match priority {
        SeedPriority::Critical => "Immediate",
        SeedPriority::High => "High",
        SeedPriority::Medium => "Normal",
        SeedPriority::Low => "Low",
    }
}

const fn leantime_status(status: SeedStatus) -> i64 {
    match status {
        SeedStatus::Todo => 3,
        SeedStatus::InProgress => 4,
        SeedStatus::Blocked => 1,
        SeedStatus::Review => 2,
        SeedStatus::Done => 0,
        SeedStatus::Cancelled => -1,
    }
}

const fn leantime_priority(priority: SeedPriority) -> &'static str {
    match priority {
        SeedPriority::Critical => "1",
        SeedPriority::High => "2",
        SeedPriority::Medium => "3",
        SeedPriority::Low => "4",
    }
}
