//! What makes a breakdown a good one.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::model::{ProposedSubtask, text};

/// How many subtasks a breakdown has.
pub const SUBTASKS: RangeInclusive<usize> = 3..=7;

/// The most hours that one subtask may take.
pub const MOST_HOURS: f64 = 200.0;

/// The most story points of a task.
pub const MOST_POINTS: u32 = 100;

/// The longest title that every tool takes, in characters.
const LONGEST_TITLE: usize = 255;

/// The longest description, in characters.
const LONGEST_TEXT: usize = 8000;

/// How far the sum of the estimates may be off, in hours: models round.
const TOLERANCE: f64 = 0.051;

pub(super) fn subtasks(subtasks: &[ProposedSubtask], existing: &[String], errors: &mut Vec<String>) {
    if !SUBTASKS.contains(&subtasks.len()) {
        let (least, most) = (SUBTASKS.start(), SUBTASKS.end());
        errors.push(format!(
            "subtasks: {} of them; expected {least} to {most}",
            subtasks.len()
        ));
    }
    let existing: BTreeSet<String> = existing.iter().map(|title| key(title)).collect();
    let mut seen = BTreeSet::new();
    for (at, subtask) in subtasks.iter().enumerate() {
        let title = key(&subtask.title);
        let mut wrong = |field: &str, why: &str| errors.push(format!("subtasks[{at}].{field}: {why}"));
        if title.is_empty() {
            wrong("title", "it is blank");
        } else if existing.contains(&title) {
            wrong("title", "the task has a subtask of this title already");
        } else if !seen.insert(title) {
            wrong("title", "another subtask has the same title");
        }
        if subtask.title.chars().count() > LONGEST_TITLE {
            wrong("title", &format!("it is longer than {LONGEST_TITLE} characters"));
        }
        if subtask.title.chars().any(char::is_control) {
            wrong("title", "it is not one line of text");
        }
        if subtask.description.chars().count() > LONGEST_TEXT {
            wrong("description", &format!("it is longer than {LONGEST_TEXT} characters"));
        }
        let hours = subtask.estimated_hours;
        if hours == 0.0 || !(0.0..=MOST_HOURS).contains(&hours) {
            wrong(
                "estimated_hours",
                &format!("expected more than 0 and at most {MOST_HOURS}"),
            );
        }
        for &index in &subtask.depends_on {
            if index == at {
                wrong("depends_on", "it depends on itself");
            } else if index >= subtasks.len() {
                wrong(
                    "depends_on",
                    &format!("there is no subtask {index}; they are counted from 0"),
                );
            }
        }
    }
    if has_circle(subtasks) {
        errors.push("subtasks: their dependencies form a circle".to_owned());
    }
}

pub(super) fn total(subtasks: &[ProposedSubtask], told: f64, errors: &mut Vec<String>) {
    let sum: f64 = subtasks.iter().map(|subtask| subtask.estimated_hours).sum();
    let is_close = (sum - told).abs() <= TOLERANCE;
    if !is_close {
        errors.push(format!("total_estimate: the estimates add up to {sum}, not to {told}"));
    }
}

pub(super) fn points(told: f64, errors: &mut Vec<String>) -> u32 {
    if (1.0..=f64::from(MOST_POINTS)).contains(&told) && told.fract() == 0.0 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was looked at just now"
        )]
        return told as u32;
    }
    errors.push(format!(
        "suggested_sprint_points: expected a whole number from 1 to {MOST_POINTS}"
    ));
    0
}

pub(super) fn notes(told: &str, errors: &mut Vec<String>) {
    if told.chars().count() > LONGEST_TEXT {
        errors.push(format!("notes: longer than {LONGEST_TEXT} characters"));
    }
}

/// A title as it is compared: in canonical form, in lower case, without a full stop at its end.
fn key(title: &str) -> String {
    let title = text::canonical_title(title).to_lowercase();
    title.trim_end_matches(['.', '!']).trim().to_owned()
}

/// Whether dependencies lead back to where they began. Those on nothing that is there are ignored.
fn has_circle(subtasks: &[ProposedSubtask]) -> bool {
    let mut open: BTreeSet<usize> = (0..subtasks.len()).collect();
    loop {
        let free: Vec<usize> = open
            .iter()
            .copied()
            .filter(|&at| {
                let before = subtasks.get(at).map(|subtask| subtask.depends_on.as_slice());
                !before
                    .unwrap_or_default()
                    .iter()
                    .any(|index| *index != at && open.contains(index))
            })
            .collect();
        if free.is_empty() {
            return !open.is_empty();
        }
        for at in free {
            open.remove(&at);
        }
    }
}
