//! The shape of an answer, for models that can be held to one.

use serde_json::{Value, json};

/// The schema of an answer. Without ranges: some providers refuse them, and they are checked anyway.
pub(crate) fn answer() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["subtasks", "total_estimate", "suggested_sprint_points", "notes"],
        "properties": {
            "subtasks": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["title", "description", "estimated_hours", "priority", "depends_on"],
                    "properties": {
                        "title": { "type": "string" },
                        "description": { "type": "string" },
                        "estimated_hours": { "type": "number" },
                        "priority": { "type": "string", "enum": ["critical", "high", "medium", "low"] },
                        "depends_on": { "type": "array", "items": { "type": "integer" } },
                    },
                },
            },
            "total_estimate": { "type": "number" },
            "suggested_sprint_points": { "type": "integer" },
            "notes": { "type": "string" },
        },
    })
}
