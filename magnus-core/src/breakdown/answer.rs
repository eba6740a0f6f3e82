//! An answer of a model, read strictly.

use serde::Deserialize;
use serde_json::Value;

use super::check;
use super::extract::object_in;
use crate::model::{Priority, ProposedSubtask};

/// The longest answer that is read, in bytes.
pub const MOST_ANSWER_BYTES: usize = 64 * 1024;

/// A good answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The subtasks.
    pub subtasks: Vec<ProposedSubtask>,
    /// The estimates added up, in hours.
    pub total_estimate: f64,
    /// Story points for the task as a whole.
    pub suggested_sprint_points: u32,
    /// What else there is to say.
    pub notes: String,
}

/// The shape of an answer. There is no room in it for anything that could be acted upon.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    subtasks: Vec<ToldSubtask>,
    total_estimate: f64,
    suggested_sprint_points: f64,
    notes: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldSubtask {
    title: String,
    description: String,
    estimated_hours: f64,
    priority: String,
    depends_on: Vec<i64>,
}

/// Reads the answer of a model and checks it. `existing` are the titles of the subtasks that the task has already.
///
/// # Errors
/// All that is wrong with it, in words that the model and people understand.
pub fn read_answer(text: &str, existing: &[String]) -> Result<Answer, Vec<String>> {
    if text.len() > MOST_ANSWER_BYTES {
        return Err(vec![format!("the answer is longer than {MOST_ANSWER_BYTES} bytes")]);
    }
    let Some(object) = object_in(text) else {
        return Err(vec!["the answer holds no JSON object".to_owned()]);
    };
    let told: Told = serde_json::from_value(Value::Object(object))
        .map_err(|error| vec![format!("the answer has not the shape asked for: {error}")])?;
    let mut errors = Vec::new();
    let subtasks: Vec<ProposedSubtask> = told
        .subtasks
        .into_iter()
        .enumerate()
        .map(|(at, told)| subtask(at, told, &mut errors))
        .collect();
    check::subtasks(&subtasks, existing, &mut errors);
    check::total(&subtasks, told.total_estimate, &mut errors);
    let points = check::points(told.suggested_sprint_points, &mut errors);
    check::notes(&told.notes, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Answer {
        subtasks,
        total_estimate: told.total_estimate,
        suggested_sprint_points: points,
        notes: told.notes,
    })
}

fn subtask(at: usize, told: ToldSubtask, errors: &mut Vec<String>) -> ProposedSubtask {
    let priority = told.priority.parse().unwrap_or_else(|error| {
        errors.push(format!("subtasks[{at}].priority: {error}"));
        Priority::Medium
    });
    let mut depends_on: Vec<usize> = told
        .depends_on
        .iter()
        .filter_map(|index| {
            let index = usize::try_from(*index);
            if index.is_err() {
                errors.push(format!("subtasks[{at}].depends_on: an index is negative"));
            }
            index.ok()
        })
        .collect();
    depends_on.sort_unstable();
    depends_on.dedup();
    ProposedSubtask {
        title: told.title.trim().to_owned(),
        description: told.description.trim().to_owned(),
        estimated_hours: told.estimated_hours,
        priority,
        depends_on,
    }
}

#[cfg(test)]
mod tests;
