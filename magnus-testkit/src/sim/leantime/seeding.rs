//! Fills a project with realistic tickets.

use super::LeantimeSimulator;
use crate::sim::seed::{SeedPriority, SeedStatus, SeedTask, realistic};

impl LeantimeSimulator {
    /// Adds `count` realistic tickets to a project, the same for the same `seed`; answers their numbers.
    ///
    /// Dates are written as the web page does (the local day's end or beginning), descriptions as its editor does.
    pub fn seed_project(&self, project: i64, count: usize, seed: u64) -> Vec<i64> {
        let mut numbers: Vec<i64> = Vec::with_capacity(count);
        for task in realistic(count, seed) {
            let parent = task.parent.and_then(|parent| numbers.get(parent)).copied();
            numbers.push(self.seed_ticket(project, &task, parent));
        }
        numbers
    }

    fn seed_ticket(&self, project: i64, task: &SeedTask, parent: Option<i64>) -> i64 {
        let zone = self.lock().options.time_zone;
        self.create_ticket_with(project, &task.title, |ticket| {
            ticket.description = Some(paragraphs(&task.description_markdown));
            ticket.status = match task.status {
                SeedStatus::Todo => 3,
                SeedStatus::InProgress => 4,
                SeedStatus::Blocked => 1,
                SeedStatus::Review => 2,
                SeedStatus::Done => 0,
                SeedStatus::Cancelled => -1,
            };
            let priority = match task.priority {
                SeedPriority::Critical => "1",
                SeedPriority::High => "2",
                SeedPriority::Medium => "3",
                SeedPriority::Low => "4",
            };
            ticket.priority = Some(priority.to_owned());
            if let Some(start) = task.start {
                ticket.edit_from = super::dates::local(start.and_hms_opt(0, 0, 0), zone).or(ticket.edit_from.take());
            }
            if let Some(due) = task.due {
                let end = super::dates::local(due.and_hms_opt(23, 59, 59), zone);
                ticket.date_to_finish = end.or(ticket.date_to_finish.take());
            }
            // A quarter of an hour is what people estimate in, and what a float holds exactly.
            ticket.plan_hours = Some(task.estimate_minutes.map_or(0.0, |minutes| (minutes / 15) as f64 / 4.0));
            if let Some(parent) = parent {
                ticket.depending_ticket_id = Some(parent);
                ticket.kind = "subtask".to_owned();
            }
            ticket.tags = Some(
                task.tags
                    .iter()
                    .map(|tag| tag.replace(',', " "))
                    .collect::<Vec<_>>()
                    .join(","),
            );
        })
    }
}

/// Text as the web editor keeps it when somebody types it: paragraphs with breaks.
fn paragraphs(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let paragraphs = escaped
        .split("\n\n")
        .map(str::trim)
        .filter(|paragraph| !paragraph.is_empty());
    paragraphs
        .map(|paragraph| format!("<p>{}</p>", paragraph.replace('\n', "<br>")))
        .collect()
}
