//! What a tool tells of an item beyond the fields that are synced: kept with the task, and never sent anywhere.

use serde_json::{Map, Value};

use crate::model::{ConnectionId, ToolName};

/// The metadata of a task with what an instance of a tool tells now, as `{tool: {connection: {...}}}`: two instances of
/// one tool may both have the task and tell different things of it. `None` if nothing changes.
pub(super) fn with_told(
    metadata: &Map<String, Value>,
    tool: &ToolName,
    connection: ConnectionId,
    told: &Map<String, Value>,
) -> Option<Map<String, Value>> {
    let connection = connection.to_string();
    let of_tool = metadata.get(tool.as_str()).and_then(Value::as_object);
    let known = of_tool.and_then(|instances| instances.get(&connection));
    let same = match known {
        Some(known) => known.as_object() == Some(told),
        None => told.is_empty(),
    };
    if same {
        return None;
    }
    let mut instances = of_tool.cloned().unwrap_or_default();
    // Before instances were told apart, what a tool told stood here itself.
    instances.retain(|key, _| key.parse::<uuid::Uuid>().is_ok());
    instances.insert(connection, Value::Object(told.clone()));
    let mut metadata = metadata.clone();
    metadata.insert(tool.as_str().to_owned(), Value::Object(instances));
    Some(metadata)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn two_instances_of_one_tool_do_not_write_over_each_other() {
        let tool = ToolName::new("leantime");
        let (one, other) = (ConnectionId::generate(), ConnectionId::generate());
        let task = map(json!({"ai_breakdown": 1}));
        let first = with_told(&task, &tool, one, &map(json!({"type": "task"}))).unwrap();
        let both = with_told(&first, &tool, other, &map(json!({"type": "subtask"}))).unwrap();
        let expected = json!({"ai_breakdown": 1, "leantime": {
            one.to_string(): {"type": "task"},
            other.to_string(): {"type": "subtask"},
        }});
        assert_eq!(Value::Object(both.clone()), expected);
        assert_eq!(with_told(&both, &tool, one, &map(json!({"type": "task"}))), None);
        assert_eq!(with_told(&both, &tool, other, &map(json!({"type": "subtask"}))), None);
    }

    #[test]
    fn what_is_told_no_more_is_emptied_and_nothing_is_added_for_nothing() {
        let tool = ToolName::new("leantime");
        let id = ConnectionId::generate();
        assert_eq!(with_told(&Map::new(), &tool, id, &Map::new()), None);
        let told = with_told(&Map::new(), &tool, id, &map(json!({"storypoints": 3}))).unwrap();
        let emptied = with_told(&told, &tool, id, &Map::new()).unwrap();
        assert_eq!(Value::Object(emptied), json!({"leantime": {id.to_string(): {}}}));
    }

    #[test]
    fn data_that_stood_under_the_tool_itself_gives_way() {
        let tool = ToolName::new("leantime");
        let id = ConnectionId::generate();
        let before = map(json!({"leantime": {"type": "bug"}}));
        let after = with_told(&before, &tool, id, &map(json!({"type": "bug"}))).unwrap();
        assert_eq!(
            Value::Object(after),
            json!({"leantime": {id.to_string(): {"type": "bug"}}})
        );
    }
}
