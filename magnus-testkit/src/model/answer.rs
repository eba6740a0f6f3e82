//! A breakdown that fits any task: it is a fake.

use serde_json::{Value, json};

/// A good answer for a task of this title.
#[must_use]
pub fn good_answer(title: &str) -> Value {
    let subtask = |verb: &str, hours: f64, priority: &str, depends_on: &[usize]| {
        json!({
            "title": format!("{verb} \"{title}\""),
            "description": "Made up by a fake model, which knows nothing of the task.",
            "estimated_hours": hours, "priority": priority, "depends_on": depends_on,
        })
    };
    json!({
        "subtasks": [
            subtask("Agree on what is to come of", 1.0, "high", &[]),
            subtask("Draw up a plan for", 2.5, "medium", &[0]),
            subtask("Carry out the plan for", 8.0, "medium", &[1]),
            subtask("Check the result of", 1.5, "low", &[1, 2]),
        ],
        "total_estimate": 13.0,
        "suggested_sprint_points": 5,
        "notes": "This breakdown comes from a fake model.",
    })
}

/// The title of the task that a prompt is about: what stands as JSON between `<task>` and `</task>`.
pub(super) fn title_in(prompt: &str) -> String {
    let between = prompt
        .rsplit_once("<task>\n")
        .and_then(|(_, rest)| rest.split_once("\n</task>"));
    let task: Value = between
        .and_then(|(json, _)| serde_json::from_str(json).ok())
        .unwrap_or_default();
    let title: String = task["title"].as_str().unwrap_or("the task").chars().take(200).collect();
    title.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_is_found_and_the_answer_is_good() {
        let prompt = "Rules about <task> and </task>.\n<task>\n{\"title\": \"Move\\nhouse\"}\n</task>\nmore";
        assert_eq!(title_in(prompt), "Move house");
        assert_eq!(title_in("nothing"), "the task");
        let answer = magnus_core::breakdown::read_answer(&good_answer("Move").to_string(), &[]);
        assert_eq!(answer.unwrap().subtasks.len(), 4);
    }
}
