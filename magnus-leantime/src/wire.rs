//! Leantime's JSON, read leniently: the same column is a number in one version, a text in the next.

use serde_json::{Map, Value};

/// An object with columns.
pub(crate) type Row = Map<String, Value>;

/// A whole number, also one written as a text.
pub(crate) fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn whole(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

/// An id: a whole number above zero. Zero, nothing and garbage are no reference.
pub(crate) fn id(value: &Value) -> Option<i64> {
    int(value).filter(|id| *id > 0)
}

/// A text that is not empty; a number as its digits.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A text that stands for something: `"0"` is how Leantime writes "none" for people and priorities.
pub(crate) fn choice(value: &Value) -> Option<String> {
    text(value)
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty() && text != "0")
}

/// An amount of hours as minutes; zero and nothing are the same to Leantime.
pub(crate) fn minutes(value: &Value) -> Option<u32> {
    let hours = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let minutes = (hours * 60.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked"
    )]
    (minutes.is_finite() && minutes >= 1.0 && minutes <= f64::from(u32::MAX)).then_some(minutes as u32)
}

/// A stored date; the zero dates are none.
pub(crate) fn stamp(value: &Value) -> Option<String> {
    let text = text(value)?;
    let none = text.starts_with("0000-00-00") || text.starts_with("-0001") || text == "1969-12-31 00:00:00";
    (!none).then_some(text)
}

/// Tags, sorted and without doubles. A list written as JSON is understood too.
pub(crate) fn tags(value: &Value) -> Vec<String> {
    let mut tags: Vec<String> = match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        other => {
            let joined = text(other).unwrap_or_default();
            match serde_json::from_str::<Vec<String>>(&joined) {
                Ok(list) => list,
                Err(_) => joined.split(',').map(str::to_owned).collect(),
            }
        }
    };
    for tag in &mut tags {
        *tag = tag.trim().to_owned();
    }
    tags.retain(|tag| !tag.is_empty());
    tags.sort();
    tags.dedup();
    tags
}

/// What a call reports as failed inside its result: `false`, or an object that says `error`.
pub(crate) fn failure(result: &Value) -> Option<String> {
    let word = |key: &str| result.get(key).and_then(Value::as_str);
    match result {
        Value::Bool(false) => Some("the tool answered no, without a reason".to_owned()),
        Value::Object(_) if word("type") == Some("error") => Some(word("msg").unwrap_or("error").to_owned()),
        Value::Object(_) if word("status") == Some("error") => Some(word("message").unwrap_or("error").to_owned()),
        _ => None,
    }
}

/// Up to 3.7 a scalar comes as a list of one.
pub(crate) fn unwrapped(result: Value) -> Value {
    match result {
        Value::Array(mut items)
            if items.len() == 1 && matches!(items[0], Value::Bool(_) | Value::Number(_) | Value::String(_)) =>
        {
            items.pop().unwrap_or(Value::Null)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_spelling_of_nothing_is_nothing() {
        for nothing in [json!(null), json!(""), json!("0"), json!(0)] {
            assert_eq!(
                (choice(&nothing), id(&nothing), minutes(&nothing)),
                (None, None, None),
                "{nothing}"
            );
        }
        for date in ["", "0000-00-00 00:00:00", "1969-12-31 00:00:00"] {
            assert_eq!(stamp(&json!(date)), None, "{date}");
        }
    }

    #[test]
    fn three_shapes_of_failure_are_recognised() {
        assert!(failure(&json!(false)).is_some());
        let refused = json!({"msg": "notifications.ticket_delete_error", "type": "error"});
        assert_eq!(failure(&refused).as_deref(), Some("notifications.ticket_delete_error"));
        assert_eq!(
            failure(&json!({"status": "error", "message": "Headline Missing"})).as_deref(),
            Some("Headline Missing")
        );
        assert_eq!(failure(&json!({"id": 1, "type": "task", "status": 3})), None);
        assert_eq!(failure(&json!(true)), None);
    }

    #[test]
    fn a_list_of_one_scalar_is_the_scalar_and_a_list_of_one_row_stays() {
        assert_eq!(unwrapped(json!([10])), json!(10));
        assert_eq!(unwrapped(json!([false])), json!(false));
        assert_eq!(unwrapped(json!([{"id": 1}])), json!([{"id": 1}]));
    }

    #[test]
    fn tags_are_a_set_however_they_were_written() {
        assert_eq!(tags(&json!("b, a,,b")), ["a", "b"]);
        assert_eq!(tags(&json!("[\"b\",\"a\"]")), ["a", "b"]);
        assert!(tags(&json!(null)).is_empty());
    }
}
