//! What people do to the tasks of one project on all sides, and what each side must hold of them in the end.
//!
//! Each task belongs to one side: only there it is edited, so that its last edit is what all must have.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate, NaiveDateTime, TimeDelta};
use serde_json::Value;

use crate::run;
use crate::support::Pair;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Hub,
    OpenProject,
    Leantime,
}

impl Side {
    pub(crate) const ALL: [Self; 3] = [Self::Hub, Self::OpenProject, Self::Leantime];
}

/// A status as each side calls it: the hub, OpenProject, and Leantime by its number.
type Status = (&'static str, &'static str, i64);

const STATUSES: [Status; 3] = [
    ("todo", "New", 3),
    ("in_progress", "In progress", 4),
    ("done", "Closed", 0),
];

/// What is compared of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sheet {
    description: String,
    status: Status,
    due: Option<NaiveDate>,
}

impl Sheet {
    const BLANK: Self = Self {
        description: String::new(),
        status: STATUSES[0],
        due: None,
    };
}

struct Tended {
    side: Side,
    title: String,
    sheet: Sheet,
}

pub(crate) struct Garden {
    pub(crate) pair: Pair,
    tasks: Vec<Tended>,
    /// How many edits there were, by side.
    pub(crate) edits: [usize; 3],
    serial: usize,
}

impl Garden {
    /// The garden of a pair that is mapped; its first task stands in OpenProject.
    pub(crate) fn new(pair: Pair) -> Self {
        let first = Tended {
            side: Side::OpenProject,
            title: "Water the tomatoes".to_owned(),
            sheet: Sheet::BLANK,
        };
        Self {
            pair,
            tasks: vec![first],
            edits: [0; 3],
            serial: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Somebody makes a task. It belongs to each side in turn, wherever it was made.
    pub(crate) fn add(&mut self, side: Side) {
        let title = format!("task {}", self.len());
        match side {
            Side::Hub => drop(run(&self.pair.magnus, &["task", "add", &title, "--project", "Garden"]).ends(0)),
            Side::OpenProject => {
                self.pair.openproject.create_work_package(self.pair.project, &title);
            }
            Side::Leantime => {
                self.pair.leantime.create_ticket(self.pair.board, &title);
            }
        }
        self.tasks.push(Tended {
            side: Side::ALL[self.len() % 3],
            title,
            sheet: Sheet::BLANK,
        });
    }

    /// Somebody edits a task on the side that it belongs to, if it has come there.
    pub(crate) fn edit(&mut self, task: usize, field: usize) {
        self.serial += 1;
        let task = &self.tasks[task];
        let mut sheet = task.sheet.clone();
        match field {
            0 => sheet.description = format!("words {}", self.serial),
            1 => sheet.status = STATUSES[self.serial % 3],
            _ => sheet.due = Some(a_day(self.serial)),
        }
        let (side, title) = (task.side, task.title.clone());
        let is_there = match side {
            Side::Hub => self.edit_hub(&title, &sheet),
            Side::OpenProject => self.edit_openproject(&title, &sheet),
            Side::Leantime => self.edit_leantime(&title, &sheet),
        };
        if is_there {
            let task = self.tasks.iter_mut().find(|task| task.title == title);
            task.expect("the task").sheet = sheet;
            self.edits[side as usize] += 1;
        }
    }

    fn edit_hub(&self, title: &str, sheet: &Sheet) -> bool {
        let due = sheet.due.map(|day| day.to_string());
        let mut arguments = vec!["task", "edit", title, "--status", sheet.status.0];
        if !sheet.description.is_empty() {
            arguments.extend(["--description", &sheet.description]);
        }
        if let Some(due) = &due {
            arguments.extend(["--due", due]);
        }
        let there = in_hub(&self.pair).iter().any(|(known, _)| known == title);
        if there {
            run(&self.pair.magnus, &arguments).ends(0);
        }
        there
    }

    fn edit_openproject(&self, title: &str, sheet: &Sheet) -> bool {
        let instance = &self.pair.openproject;
        let status = instance.status_id(sheet.status.1).expect("a status");
        let items = instance.work_packages();
        let Some(item) = items.iter().find(|item| item.subject == title) else {
            return false;
        };
        instance.edit_work_package(item.id, |item| {
            item.description.clone_from(&sheet.description);
            item.status_id = status;
            item.due_date = sheet.due;
        });
        true
    }

    fn edit_leantime(&self, title: &str, sheet: &Sheet) -> bool {
        let instance = &self.pair.leantime;
        let tickets = instance.tickets();
        let Some(ticket) = tickets.iter().find(|row| row.headline.as_deref() == Some(title)) else {
            return false;
        };
        instance.edit_ticket(ticket.id, |ticket| {
            if !sheet.description.is_empty() {
                ticket.description = Some(format!("<p>{}</p>", sheet.description));
            }
            ticket.status = sheet.status.2;
            ticket.date_to_finish = sheet.due.map(end_of_day).or(ticket.date_to_finish.take());
        });
        true
    }

    /// Every task is on every side once, and as it was last edited.
    pub(crate) fn is_everywhere(&self) {
        let titled = |task: &Tended| (task.title.clone(), task.sheet.clone());
        let expected: BTreeMap<String, Sheet> = self.tasks.iter().map(titled).collect();
        for (name, there) in [
            ("the hub", in_hub(&self.pair)),
            ("OpenProject", in_openproject(&self.pair)),
            ("Leantime", in_leantime(&self.pair)),
        ] {
            assert_eq!(
                there.len(),
                expected.len(),
                "{name} has some twice or not at all: {there:?}"
            );
            for (title, sheet) in there {
                assert_eq!(Some(&sheet), expected.get(&title), "{title:?} in {name}");
            }
        }
    }
}

/// A day of the winter, in which Leantime's server is eight hours behind.
fn a_day(serial: usize) -> NaiveDate {
    let first = NaiveDate::from_ymd_opt(2026, 12, 1).expect("a day");
    first + Days::new(u64::try_from(serial % 60).expect("a small number"))
}

const BEHIND: TimeDelta = TimeDelta::hours(8);
const STAMP: &str = "%Y-%m-%d %H:%M:%S";

fn end_of_day(day: NaiveDate) -> String {
    let end = day.and_hms_opt(23, 59, 59).expect("a time") + BEHIND;
    end.format(STAMP).to_string()
}

fn status_of(is: impl Fn(&Status) -> bool) -> Status {
    STATUSES.into_iter().find(is).expect("a status that somebody set")
}

/// The tasks of the hub, page by page.
fn in_hub(pair: &Pair) -> Vec<(String, Sheet)> {
    let mut tasks = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut arguments = vec!["tasks", "--json", "--limit", "1000"];
        if let Some(after) = &after {
            arguments.extend(["--after", after]);
        }
        let page = run(&pair.magnus, &arguments).ends(0).json();
        tasks.extend(page["tasks"].as_array().expect("tasks").iter().map(hub_task));
        match page["next_cursor"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => return tasks,
        }
    }
}

fn hub_task(task: &Value) -> (String, Sheet) {
    let sheet = Sheet {
        description: task["description"].as_str().unwrap_or_default().to_owned(),
        status: status_of(|(name, ..)| task["status"] == *name),
        due: task["due_date"].as_str().map(|day| day.parse().expect("a day")),
    };
    (task["title"].as_str().expect("a title").to_owned(), sheet)
}

fn in_openproject(pair: &Pair) -> Vec<(String, Sheet)> {
    let statuses = pair.openproject.statuses();
    let name = |id: u64| {
        statuses
            .iter()
            .find(|status| status.id == id)
            .expect("a status")
            .name
            .clone()
    };
    let items = pair.openproject.work_packages().into_iter();
    let sheet = |item: magnus_testkit::sim::openproject::WorkPackage| {
        let sheet = Sheet {
            status: status_of(|(_, known, _)| name(item.status_id) == *known),
            description: item.description,
            due: item.due_date,
        };
        (item.subject, sheet)
    };
    items.map(sheet).collect()
}

fn in_leantime(pair: &Pair) -> Vec<(String, Sheet)> {
    let tickets = pair.leantime.tickets().into_iter();
    let sheet = |ticket: magnus_testkit::sim::leantime::Ticket| {
        let html = ticket.description.unwrap_or_default();
        // A date that is not set is one of zeros.
        let due = ticket.date_to_finish.unwrap_or_default();
        let due = NaiveDateTime::parse_from_str(&due, STAMP).ok();
        let sheet = Sheet {
            description: html.trim_start_matches("<p>").trim_end_matches("</p>").to_owned(),
            status: status_of(|(.., number)| *number == ticket.status),
            due: due.map(|stamp| (stamp - BEHIND).date()),
        };
        (ticket.headline.unwrap_or_default(), sheet)
    };
    tickets.map(sheet).collect()
}
