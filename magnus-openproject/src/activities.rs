//! Who last changed a work package, from its journal.

use chrono::DateTime;
use magnus_core::connection::{ConnectionError, ConnectionErrorKind, ReadTask};
use magnus_core::model::LastChange;

use crate::connection::{OpenProjectConnection, number};
use crate::wire::{Activity, Collection};

/// The newest change of the work package that is not our own user's; comments change nothing. The journal names no
/// attributes in a form that does not depend on a language, so it is the last change of any of them.
///
/// Changes that one user makes within minutes are one entry, whose time is that of the last of them.
pub(crate) async fn last_change(
    connection: &OpenProjectConnection,
    task: &ReadTask,
) -> Result<Option<LastChange>, ConnectionError> {
    let operation = "last_change";
    let Some(id) = number(&task.id) else { return Ok(None) };
    let me = connection.me(operation).await?;
    let path = format!("/work_packages/{id}/activities");
    let answer = match connection
        .client
        .get::<Collection<Activity>>(operation, &path, &[])
        .await
    {
        Ok(answer) => answer,
        Err(error) if error.kind() == ConnectionErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.with_context("task", id)),
    };
    let skew = answer.skew;
    let newest = answer.body.into_elements().into_iter().filter_map(|activity| {
        let user = activity.links.user?;
        let by_us = user.id() == Some(me);
        let at = activity.updated_at.or(activity.created_at)?;
        let at = DateTime::parse_from_rfc3339(&at).ok()?.to_utc() + skew;
        (!by_us && !activity.details.is_empty()).then_some((at, user))
    });
    let Some((at, user)) = newest.max_by_key(|(at, _)| *at) else {
        return Ok(None);
    };
    let by = user.title.filter(|name| !name.trim().is_empty());
    Ok(Some(LastChange { at: Some(at), by }))
}
