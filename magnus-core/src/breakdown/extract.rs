//! Finds the JSON in an answer that has more in it.

use serde_json::{Map, Value};

/// The first JSON object in a text: the whole text, what stands in a fence, or what stands between the first and the last
/// brace.
pub(super) fn object_in(text: &str) -> Option<Map<String, Value>> {
    let whole = std::iter::once(text.trim());
    let braces = text.find('{').zip(text.rfind('}'));
    let between = braces.and_then(|(from, to)| text.get(from..=to));
    whole.chain(fenced(text)).chain(between).find_map(object)
}

fn object(text: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// What stands in fences of three backticks, without the name of the language.
fn fenced(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").skip(1).step_by(2).map(|block| {
        let (first, rest) = block.split_once('\n').unwrap_or(("", block));
        // A fence on one line has no name of a language.
        if first.contains('{') { block.trim() } else { rest.trim() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_found_wherever_it_stands() {
        for text in [
            r#"{"a":1}"#,
            "  {\"a\":1}\n",
            "```json\n{\"a\":1}\n```",
            "```\n{\"a\":1}\n```",
            "```{\"a\":1}```",
            "Sure! Here it is:\n```json\n{\"a\":1}\n```\nAnything else?",
            "Here: {\"a\":1} - good luck",
            "```text\nfirst some words\n```\nand then\n```json\n{\"a\":1}\n```",
        ] {
            let found = object_in(text).unwrap_or_default();
            assert_eq!(Value::Object(found), serde_json::json!({"a": 1}), "{text}");
        }
    }

    #[test]
    fn what_holds_no_object_has_none() {
        for text in ["", "no", "[1]", "{", "}{", "```json\n{\"a\":\n```", "`", "``````"] {
            assert!(object_in(text).is_none(), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(object_in(&format!("{{\"a\":{deep}}}")).is_none());
    }
}
