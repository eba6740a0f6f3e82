//! A field that two sides keep putting different values into.
//!
//! Each tool is in step with the hub alone, and to each of them the other one's value is an edit: without a limit, both
//! would be carried to and fro for ever. What tells it from a person's work is that a tool brings the *same* value in
//! place of the *same* one of the hub, again and again, with nobody having edited the hub in between.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::model::{Field, Swing, Value};

/// How often a tool may bring the same value back in place of the same one. At the next time it is not overwritten again
/// but held for a person.
const MOST_SWINGS: u32 = 2;

/// Notes that the tool's value comes to the hub in place of the hub's.
pub(super) fn note(swings: &mut BTreeMap<Field, Swing>, field: Field, hub: &Value, tool: &Value) {
    let pair = digest(hub, tool);
    let times = match swings.get(&field) {
        Some(before) if before.pair == pair => before.times.saturating_add(1),
        _ => 1,
    };
    swings.insert(field, Swing { pair, times });
}

/// Whether to send the hub's value in place of the tool's would only begin it once more.
pub(super) fn is_swinging(swings: &BTreeMap<Field, Swing>, field: Field, hub: &Value, tool: &Value) -> bool {
    swings
        .get(&field)
        .is_some_and(|swing| swing.times >= MOST_SWINGS && swing.pair == digest(hub, tool))
}

/// Values of one field are of one kind, so that their words tell them apart.
fn digest(hub: &Value, tool: &Value) -> String {
    let (hub, tool) = (hub.to_string(), tool.to_string());
    let digest = Sha256::new()
        .chain_update(hub.len().to_le_bytes())
        .chain_update(hub)
        .chain_update(tool)
        .finalize();
    digest.iter().take(16).fold(String::new(), |mut text, byte| {
        // Writing to a text does not fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::text(value)
    }

    #[test]
    fn the_same_value_in_place_of_the_same_one_is_counted() {
        let mut swings = BTreeMap::new();
        let swinging = |swings: &_| is_swinging(swings, Field::Title, &text("ours"), &text("theirs"));
        for times in 1..=3 {
            note(&mut swings, Field::Title, &text("ours"), &text("theirs"));
            assert_eq!(swinging(&swings), times >= MOST_SWINGS);
        }
        assert!(!is_swinging(&swings, Field::Title, &text("ours"), &text("another")));
        assert!(!is_swinging(&swings, Field::Title, &text("another"), &text("theirs")));
        assert!(!is_swinging(&swings, Field::Title, &text("ourst"), &text("heirs")));
        assert!(!is_swinging(&swings, Field::Tags, &text("ours"), &text("theirs")));
    }

    #[test]
    fn another_value_begins_anew() {
        let mut swings = BTreeMap::new();
        // Somebody goes to and fro in the tool alone: each value comes in place of the other one.
        for _ in 0..5 {
            note(&mut swings, Field::Title, &text("a"), &text("b"));
            note(&mut swings, Field::Title, &text("b"), &text("a"));
        }
        assert!(!is_swinging(&swings, Field::Title, &text("a"), &text("b")));
        assert!(!is_swinging(&swings, Field::Title, &text("b"), &text("a")));
    }
}
