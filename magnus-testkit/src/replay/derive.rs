//! Answers at the end of a flow that were not recorded as such, but follow from what was.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Recording;

/// The result of a call at the end of the recordings, if it is one that is derived.
pub(super) fn answer(recordings: &[Recording], method: &str, params: &Value) -> Option<Value> {
    match method {
        "leantime.rpc.Projects.getAll" => Some(Value::Array(projects(recordings).into_values().collect())),
        "leantime.rpc.Projects.getProject" => {
            if recorded(recordings, method, params).is_some() {
                return None;
            }
            projects(recordings).remove(&params["id"].as_i64()?)
        }
        "leantime.rpc.Projects.getUsersAssignedToProject" => {
            let known = projects(recordings).contains_key(&params["projectId"].as_i64()?);
            (known && recorded(recordings, method, params).is_none()).then(|| json!([]))
        }
        "leantime.rpc.Tickets.getStatusLabels" => {
            let known = projects(recordings).contains_key(&params["projectId"].as_i64()?);
            if !known || recorded(recordings, method, params).is_some() {
                return None;
            }
            let other = recordings.iter().find(|recording| recording.method == method)?;
            other.answers.last()?.get("result").cloned()
        }
        "leantime.rpc.Tickets.getTicket" => ticket(recordings, params["id"].as_i64()?),
        _ => None,
    }
}

fn recorded<'a>(recordings: &'a [Recording], method: &str, params: &Value) -> Option<&'a Value> {
    let found = recordings
        .iter()
        .find(|known| known.method == method && known.params == *params)?;
    found.answers.last()?.get("result")
}

/// The last complete listing of each project.
fn listings(recordings: &[Recording]) -> BTreeMap<i64, &Vec<Value>> {
    recordings
        .iter()
        .filter(|recording| recording.method == "leantime.rpc.Tickets.getAll")
        .filter(|recording| recording.params["searchCriteria"]["status"] == "all")
        .filter_map(|recording| {
            let project = recording.params["searchCriteria"]["currentProject"].as_i64()?;
            Some((project, recording.answers.last()?.get("result")?.as_array()?))
        })
        .collect()
}

/// The projects with a complete listing, each as a row.
fn projects(recordings: &[Recording]) -> BTreeMap<i64, Value> {
    let mut rows: BTreeMap<i64, Value> = BTreeMap::new();
    for recording in recordings {
        let Some(result) = recording.answers.last().and_then(|answer| answer.get("result")) else {
            continue;
        };
        let found: Vec<&Value> = match recording.method.as_str() {
            "leantime.rpc.Projects.getAll" => result.as_array().map(|rows| rows.iter().collect()).unwrap_or_default(),
            "leantime.rpc.Projects.getProject" => vec![result],
            _ => continue,
        };
        for row in found {
            if let Some(id) = row.get("id").and_then(Value::as_i64) {
                rows.insert(id, row.clone());
            }
        }
    }
    let listed = listings(recordings);
    rows.retain(|id, _| listed.contains_key(id));
    rows
}

fn ticket(recordings: &[Recording], id: i64) -> Option<Value> {
    let row = listings(recordings)
        .into_values()
        .flatten()
        .find(|row| row.get("id").and_then(Value::as_i64) == Some(id))
        .and_then(Value::as_object);
    let objects = recordings
        .iter()
        .filter(|recording| recording.method == "leantime.rpc.Tickets.getTicket");
    let Some(row) = row else {
        // The flow asked for a ticket that is gone: its answer, in its own spelling.
        let absent = |result: &&Value| !result.is_object();
        return objects
            .filter_map(|recording| recording.answers.last()?.get("result"))
            .find(absent)
            .cloned();
    };
    let results = objects.filter_map(|recording| recording.answers.last()?.get("result")?.as_object());
    let template = results.fold(None, |best: Option<&Map<String, Value>>, object| match best {
        Some(best) if best.get("id").and_then(Value::as_i64) == Some(id) => Some(best),
        _ => Some(object),
    })?;
    let mut detail = template.clone();
    for (column, value) in row {
        // A single read never tells the logged hours.
        if detail.contains_key(column) && column != "bookedHours" {
            detail.insert(column.clone(), value.clone());
        }
    }
    detail.insert("userId".to_owned(), row.get("authorId").cloned().unwrap_or(Value::Null));
    Some(Value::Object(detail))
}
