use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn subtask(title: &str, hours: f64, depends_on: &[i64]) -> Value {
    json!({
        "title": title, "description": "words", "estimated_hours": hours, "priority": "high", "depends_on": depends_on,
    })
}

fn good() -> Value {
    json!({
        "subtasks": [subtask("Dig", 1.5, &[]), subtask("Sow", 0.5, &[0]), subtask("Water", 2.0, &[1, 0, 1])],
        "total_estimate": 4, "suggested_sprint_points": 3, "notes": "",
    })
}

/// The errors of a good answer after a change.
fn errors(change: impl FnOnce(&mut Value)) -> String {
    let mut answer = good();
    change(&mut answer);
    let existing = ["Buy a  spade".to_owned()];
    read_answer(&answer.to_string(), &existing).unwrap_err().join("; ")
}

#[test]
fn a_good_answer_is_read_in_order() {
    let answer = read_answer(&good().to_string(), &[]).unwrap();
    assert_eq!(answer.subtasks.len(), 3);
    assert_eq!(answer.subtasks[2].depends_on, [0, 1]);
    assert_eq!((answer.total_estimate, answer.suggested_sprint_points), (4.0, 3));
    let fenced = format!("Here you are:\n```json\n{:#}\n```\nHave fun!", good());
    assert_eq!(read_answer(&fenced, &[]).unwrap(), answer);
}

#[test]
fn each_rule_is_told_with_the_place_that_breaks_it() {
    let three: fn(&mut Value) -> &mut Vec<Value> = |answer| answer["subtasks"].as_array_mut().unwrap();
    for (told, expected) in [
        (
            errors(|answer| {
                three(answer).pop();
            }),
            "3 to 7",
        ),
        (
            errors(|answer| {
                let one = subtask("x", 1.0, &[]);
                three(answer).extend(vec![one; 5]);
            }),
            "8 of them",
        ),
        (
            errors(|answer| answer["subtasks"][0]["title"] = json!("  ")),
            "subtasks[0].title: it is blank",
        ),
        (
            errors(|answer| answer["subtasks"][1]["title"] = json!("DIG.")),
            "subtasks[1].title: another",
        ),
        (
            errors(|answer| answer["subtasks"][1]["title"] = json!("buy a spade!")),
            "subtasks[1].title: the task has",
        ),
        (
            errors(|answer| answer["subtasks"][1]["title"] = json!("a\nb")),
            "one line",
        ),
        (
            errors(|answer| answer["subtasks"][1]["title"] = json!("x".repeat(256))),
            "255 characters",
        ),
        (
            errors(|answer| answer["subtasks"][1]["description"] = json!("x".repeat(8001))),
            "8000 characters",
        ),
        (
            errors(|answer| answer["subtasks"][0]["estimated_hours"] = json!(0)),
            "more than 0",
        ),
        (
            errors(|answer| answer["subtasks"][0]["estimated_hours"] = json!(-1)),
            "more than 0",
        ),
        (
            errors(|answer| answer["subtasks"][0]["estimated_hours"] = json!(1e300)),
            "at most 200",
        ),
        (
            errors(|answer| answer["subtasks"][0]["priority"] = json!("urgent")),
            "subtasks[0].priority",
        ),
        (
            errors(|answer| answer["subtasks"][0]["depends_on"] = json!([0])),
            "depends on itself",
        ),
        (
            errors(|answer| answer["subtasks"][0]["depends_on"] = json!([3])),
            "there is no subtask 3",
        ),
        (
            errors(|answer| answer["subtasks"][0]["depends_on"] = json!([-1])),
            "negative",
        ),
        (
            errors(|answer| answer["subtasks"][0]["depends_on"] = json!([2])),
            "circle",
        ),
        (
            errors(|answer| answer["total_estimate"] = json!(5)),
            "add up to 4, not to 5",
        ),
        (
            errors(|answer| answer["suggested_sprint_points"] = json!(0)),
            "whole number",
        ),
        (
            errors(|answer| answer["suggested_sprint_points"] = json!(2.5)),
            "whole number",
        ),
        (errors(|answer| answer["notes"] = json!("x".repeat(8001))), "notes"),
        (
            errors(|answer| answer["run"] = json!("rm -rf /")),
            "unknown field `run`",
        ),
        (
            errors(|answer| answer["subtasks"][0]["tool"] = json!("x")),
            "unknown field `tool`",
        ),
        (errors(|answer| answer["subtasks"] = json!("x")), "shape"),
    ] {
        assert!(told.contains(expected), "{expected:?} is missing in {told:?}");
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    for text in ["", "I cannot do that.", "[]", "null", "{\"subtasks\":"] {
        assert_eq!(
            read_answer(text, &[]).unwrap_err(),
            ["the answer holds no JSON object"],
            "{text:?}"
        );
    }
    let long = format!("{}{}", " ".repeat(MOST_ANSWER_BYTES), good());
    assert!(read_answer(&long, &[]).unwrap_err()[0].contains("longer"));
}

proptest! {
    /// Whatever comes, it is answered; and what is taken keeps every rule.
    #[test]
    fn nothing_that_comes_breaks_it(text in ".{0,200}", hours in proptest::num::f64::ANY,
                                    depends in proptest::collection::vec(any::<i64>(), 0..4)) {
        let _answered = read_answer(&text, &[]);
        let mut answer = good();
        answer["subtasks"][1]["estimated_hours"] = json!(hours);
        answer["subtasks"][2]["depends_on"] = json!(depends);
        answer["subtasks"][2]["title"] = json!(text);
        if let Ok(answer) = read_answer(&answer.to_string(), &[]) {
            prop_assert!(answer.subtasks.iter().all(|subtask| subtask.estimated_hours > 0.0));
            prop_assert!(answer.subtasks.iter().flat_map(|subtask| &subtask.depends_on).all(|index| *index < 3));
        }
    }
}
