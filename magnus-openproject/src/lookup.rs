//! Lists that are read to their end in one call: what our user created, and what is below a task.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use magnus_core::connection::{ConnectionError, ConnectionErrorKind, FindCreated, ReadTask};
use magnus_core::model::{ExternalId, RemoteTask};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::{Answer, Client};
use crate::connection::{OpenProjectConnection, number};
use crate::listing::{PAGE_SIZE, astray, every_status, filters, has_more};
use crate::marker;
use crate::refusal::Attempt;
use crate::walk::condition;
use crate::wire::{Collection, WorkPackage};

/// How often a list is read anew when it changes while it is read.
const WHOLE_ATTEMPTS: usize = 3;

/// A list read to its end, or to where the caller has enough.
pub(crate) struct Whole<T> {
    pub(crate) items: Vec<T>,
    pub(crate) skew: TimeDelta,
}

/// Reads a list whose total must stay the same while it is read; else it is read anew.
pub(crate) async fn whole<T: DeserializeOwned>(
    client: &Client,
    operation: &'static str,
    path: &str,
    query: &[(&'static str, String)],
    enough: impl Fn(&T) -> bool,
) -> Result<Whole<T>, ConnectionError> {
    'anew: for _ in 0..WHOLE_ATTEMPTS {
        let mut whole = Whole {
            items: Vec::new(),
            skew: TimeDelta::zero(),
        };
        let mut total = None;
        for page in 1.. {
            let mut query = query.to_vec();
            query.push(("pageSize", PAGE_SIZE.to_string()));
            query.push(("offset", page.to_string()));
            let answer: Answer<Collection<T>> = client.get(operation, path, &query).await?;
            if *total.get_or_insert(answer.body.total) != answer.body.total {
                continue 'anew;
            }
            let more = has_more(&answer.body, page).map_err(astray(operation, None))?;
            whole.skew = answer.skew;
            whole.items.extend(answer.body.into_elements());
            if !more || whole.items.last().is_some_and(&enough) {
                return Ok(whole);
            }
        }
    }
    let message = "the list keeps changing while it is read";
    Err(ConnectionError::new(
        ConnectionErrorKind::Unavailable,
        operation,
        message,
    ))
}

/// Everything that our user created after an id, over all projects, and what carries one of the markers.
pub(crate) async fn created(
    connection: &OpenProjectConnection,
    request: FindCreated,
) -> Result<Vec<RemoteTask>, ConnectionError> {
    let operation = "find_created";
    let me = connection.me(operation).await?;
    let after = request.after.as_ref().and_then(number).unwrap_or(0);
    let query = [
        filters(vec![every_status(), condition("author", "=", &[me.to_string()])]),
        ("sortBy", r#"[["id","desc"]]"#.to_owned()),
    ];
    let enough = |item: &WorkPackage| item.id <= after;
    let mut listed = whole(&connection.client, operation, "/work_packages", &query, enough).await?;
    listed.items.retain(|item| item.id > after);
    if let Some(field) = connection.marker_field()
        && let Some(marked) = marker::marked(connection, operation, field, &request.markers).await?
    {
        let known: BTreeSet<u64> = listed.items.iter().map(|item| item.id).collect();
        let others = marked.items.into_iter().filter(|item| !known.contains(&item.id));
        listed.items.extend(others);
    }
    read_items(connection, operation, &listed)
}

fn read_items(
    connection: &OpenProjectConnection,
    operation: &'static str,
    listed: &Whole<WorkPackage>,
) -> Result<Vec<RemoteTask>, ConnectionError> {
    let read = |item: &WorkPackage| connection.read_item(Attempt::read(operation), item, listed.skew);
    listed.items.iter().map(read).collect()
}

/// Everything below a task, level by level, over all projects.
pub(crate) async fn descendants(
    connection: &OpenProjectConnection,
    request: ReadTask,
) -> Result<Vec<RemoteTask>, ConnectionError> {
    let operation = "list_descendants";
    // What is gone takes nothing along.
    let Some(top) = connection.fetch(operation, &request.id).await? else {
        return Ok(Vec::new());
    };
    let mut attempts = WHOLE_ATTEMPTS;
    let mut seen = BTreeSet::from([top.body.id]);
    let mut parents: Vec<u64> = Some(top.body)
        .filter(has_children)
        .map(|item| item.id)
        .into_iter()
        .collect();
    let mut found = Vec::new();
    while !parents.is_empty() {
        let mut next = Vec::new();
        let mut vanished = false;
        for some in parents.chunks(CHUNK) {
            let values: Vec<String> = some.iter().map(u64::to_string).collect();
            let query = [
                filters(vec![every_status(), condition("parent", "=", &values)]),
                ("sortBy", r#"[["id","asc"]]"#.to_owned()),
            ];
            let listed = whole(
                &connection.client,
                operation,
                "/work_packages",
                &query,
                |_: &WorkPackage| false,
            );
            let mut listed = match listed.await {
                Ok(listed) => listed,
                // One id that is gone by now makes the whole filter an error.
                Err(error) if is_invalid_query(&error) && attempts > 0 => {
                    attempts -= 1;
                    vanished = true;
                    break;
                }
                Err(error) => return Err(error),
            };
            listed.items.retain(|item| seen.insert(item.id));
            found.extend(read_items(connection, operation, &listed)?);
            next.extend(listed.items.into_iter().filter(has_children).map(|item| item.id));
        }
        parents = if vanished {
            next.extend(still_there(connection, operation, parents).await?);
            next
        } else {
            next
        };
    }
    Ok(found)
}

pub(crate) fn is_invalid_query(error: &ConnectionError) -> bool {
    error.context().contains(&("error", "InvalidQuery".to_owned()))
}

/// Those of the items that can still be read, one by one; what is gone takes nothing along.
async fn still_there(
    connection: &OpenProjectConnection,
    operation: &'static str,
    items: Vec<u64>,
) -> Result<Vec<u64>, ConnectionError> {
    let mut found = Vec::new();
    for id in items {
        if connection.fetch(operation, &ExternalId::from(id)).await?.is_some() {
            found.push(id);
        }
    }
    Ok(found)
}

/// Parents in one query, so that the address stays short.
const CHUNK: usize = 50;

fn has_children(item: &WorkPackage) -> bool {
    item.links
        .rest
        .get("children")
        .and_then(Value::as_array)
        .is_some_and(|children| !children.is_empty())
}
