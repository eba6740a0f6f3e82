//! A proposal as it stands on its task.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Builder;

use crate::model::{Breakdown, BreakdownId, BreakdownJob, Task, TaskId};
use crate::store::{StoreError, StoreErrorKind};

/// The key of a task's metadata under which its proposal lies.
pub const METADATA_KEY: &str = "ai_breakdown";

/// A proposal as it is kept in the metadata of its task.
pub(crate) fn as_metadata(job: BreakdownId, breakdown: &Breakdown) -> Result<Value, StoreError> {
    let mut value = serde_json::to_value(breakdown).map_err(|error| {
        StoreError::new(StoreErrorKind::Usage, "write", "a proposal cannot be written as JSON").with_source(error)
    })?;
    value["job_id"] = job.to_string().into();
    value["accepted"] = Value::Object(Map::new());
    Ok(value)
}

/// The job that made the proposal on a task.
pub(crate) fn job_in(task: &Task) -> Option<BreakdownId> {
    task.metadata.get(METADATA_KEY)?.get("job_id")?.as_str()?.parse().ok()
}

/// The proposal on a task, if there is one that can be read.
#[must_use]
pub fn proposal_in(task: &Task) -> Option<Breakdown> {
    serde_json::from_value(task.metadata.get(METADATA_KEY)?.clone()).ok()
}

/// The id that a subtask has once it is accepted: always the same, so that accepting it twice makes it once. It is as old
/// as the request, and in the order of the proposal.
#[must_use]
pub fn subtask_id(job: &BreakdownJob, index: usize) -> TaskId {
    let mut hash = Sha256::new();
    hash.update(b"magnus subtask 1:");
    hash.update(job.id.as_uuid().as_bytes());
    hash.update(u64::try_from(index).unwrap_or(u64::MAX).to_be_bytes());
    let mut random = [0; 10];
    for (to, from) in random.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    // The first twelve bits come right after the time: in them the place decides the order.
    random[0] = 0;
    random[1] = u8::try_from(index).unwrap_or(u8::MAX);
    let millis = u64::try_from(job.queued_at.timestamp_millis()).unwrap_or_default();
    TaskId::from_uuid(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_subtasks_are_the_same_each_time_and_in_order() {
        let now = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let (job, other) = (
            BreakdownJob::queued(TaskId::generate(), now),
            BreakdownJob::queued(TaskId::generate(), now),
        );
        let ids: Vec<TaskId> = (0..7).map(|index| subtask_id(&job, index)).collect();
        assert_eq!(ids, (0..7).map(|index| subtask_id(&job, index)).collect::<Vec<_>>());
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_ne!(ids[0], subtask_id(&other, 0));
        assert_eq!(ids[0].as_uuid().get_version_num(), 7);
    }
}
