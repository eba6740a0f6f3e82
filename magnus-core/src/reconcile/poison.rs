//! Items whose writes keep failing: tried again later and later, and at last set aside, so that one of them neither holds
//! up the others nor hammers the tool.

use std::collections::HashMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::lens::Sendable;
use super::mapping::{Entry, Push};
use super::plan::PlannedAction;
use crate::connection::ConnectionErrorKind;
use crate::model::{ConnectionId, Field, ItemFailure, Reason, RunId, SkipReason, TaskId, Timestamp};

/// The wait after the first failure; each further one doubles it.
const FIRST_WAIT: chrono::TimeDelta = chrono::TimeDelta::minutes(1);

/// The longest wait.
const LONGEST_WAIT: chrono::TimeDelta = chrono::TimeDelta::hours(6);

/// What failed, as the next record of it needs to know.
#[derive(Debug, Clone)]
pub struct FailedAttempt<'a> {
    /// The connection.
    pub connection_id: ConnectionId,
    /// The hub task.
    pub task_id: TaskId,
    /// The run.
    pub run_id: RunId,
    /// What went wrong.
    pub kind: ConnectionErrorKind,
    /// In words for people.
    pub message: &'a str,
    /// The digest of the write: see [`attempt`].
    pub attempt: String,
    /// When.
    pub at: Timestamp,
}

/// The record of a failure that follows on the one before, if there is one. A different write begins anew.
#[must_use]
pub fn failed_again(before: Option<&ItemFailure>, failed: FailedAttempt<'_>) -> ItemFailure {
    let earlier = before
        .filter(|before| before.attempt == failed.attempt)
        .map_or(0, |before| before.failures);
    let failures = earlier.saturating_add(1);
    let doubled = i32::try_from(earlier.min(16)).map_or(1, |times| 1 << times);
    ItemFailure {
        connection_id: failed.connection_id,
        task_id: failed.task_id,
        kind: failed.kind,
        message: failed.message.to_owned(),
        failures,
        attempt: failed.attempt,
        run_id: failed.run_id,
        failed_at: failed.at,
        next_try_at: failed.at + (FIRST_WAIT * doubled).min(LONGEST_WAIT),
    }
}

/// Why a write is not tried now; `None`: it is. A person's request tries everything that is not set aside.
#[must_use]
pub fn held_back(failure: &ItemFailure, attempt: &str, asked_by_person: bool, now: Timestamp) -> Option<Reason> {
    if failure.attempt != attempt {
        return None;
    }
    if failure.is_quarantined() {
        return Some(SkipReason::Quarantined.because(format!(
            "failed {} times, and is tried again once it changes or a person says so: {}",
            failure.failures, failure.message
        )));
    }
    (!asked_by_person && now < failure.next_try_at).then(|| {
        let at = failure.next_try_at.format("%Y-%m-%d %H:%M:%SZ");
        SkipReason::Backoff.because(format!(
            "failed {} times, next try at {at}: {}",
            failure.failures, failure.message
        ))
    })
}

/// Takes out of an entry what is not to be tried now; what changes in the hub stays in it. Answers whether it did.
#[must_use]
pub fn hold_back(
    entry: &mut Entry,
    failures: &HashMap<TaskId, ItemFailure>,
    asked_by_person: bool,
    now: Timestamp,
) -> bool {
    let failure = entry.task_id.and_then(|task| failures.get(&task));
    let (Some(failure), Some(push)) = (failure, &entry.push) else {
        return false;
    };
    match held_back(failure, &attempt(push), asked_by_person, now) {
        Some(reason) => {
            leave_alone(entry, reason);
            true
        }
        None => false,
    }
}

/// Leaves an entry alone in this plan. What changes in the hub stays in it.
pub(super) fn leave_alone(entry: &mut Entry, reason: Reason) {
    entry.push = None;
    entry.reason = Some(reason);
    let only_sends = matches!(
        entry.action,
        Some(PlannedAction::CreateInTool | PlannedAction::DeleteInTool)
    );
    if only_sends || entry.unit.tasks.is_empty() {
        entry.action = Some(PlannedAction::Skip);
    }
}

/// A digest of what a write would do, the same for the same write in every run.
#[must_use]
pub fn attempt(push: &Push) -> String {
    let mut words = String::new();
    match push {
        Push::Create { fields, .. } => {
            words.push_str("create");
            for (field, outgoing) in fields {
                add(&mut words, *field, &outgoing.local, sent(&outgoing.sent));
            }
        }
        Push::Update {
            remote,
            fields,
            move_to,
            ..
        } => {
            let target = move_to.as_ref().map_or("", |mapping| mapping.external_id.as_str());
            add_words(&mut words, &["update", remote.id.as_str(), target]);
            for (field, outgoing) in fields {
                add(&mut words, *field, &outgoing.local, sent(&outgoing.sent));
                let seen = outgoing.seen.as_ref().map(ToString::to_string);
                add_words(&mut words, &[seen.as_deref().unwrap_or("-")]);
            }
        }
        Push::Delete { external_id, .. } => add_words(&mut words, &["delete", external_id.as_str()]),
        Push::Archive { remote, .. } => add_words(&mut words, &["archive", remote.id.as_str()]),
    }
    let digest = Sha256::digest(words.as_bytes());
    digest.iter().take(16).fold(String::new(), |mut text, byte| {
        // Writing to a text does not fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

fn sent(sendable: &Sendable) -> String {
    match sendable {
        Sendable::Now(value) => value.to_string(),
        Sendable::OnceCreated(task) => task.to_string(),
        Sendable::Unholdable(_) => String::new(),
    }
}

fn add(words: &mut String, field: Field, local: &crate::model::Value, sent: String) {
    add_words(words, &[field.as_str(), &local.to_string(), &sent]);
}

/// Each word with its length, so that no two lists of words look alike.
fn add_words(words: &mut String, more: &[&str]) {
    for word in more {
        let _written = write!(words, "{}:{word};", word.len());
    }
}
