//! What a tool can do, as data.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Field, ToolName};

/// What a tool can do with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldSupport {
    /// It can be read and written.
    ReadWrite,
    /// The tool computes it; it can be read.
    ReadOnly,
}

/// What a tool can do. Anything else is refused before any I/O.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Capabilities {
    /// The tool.
    pub tool: ToolName,
    /// The host that is talked to; runs against one host share a limit.
    pub host: String,
    /// The fields that the tool has; one that is absent, it lacks.
    pub fields: BTreeMap<Field, FieldSupport>,
    /// Whether it can list what changed since a cursor.
    pub incremental: bool,
    /// Whether it can list ids alone, cheaper than whole tasks.
    pub id_sweep: bool,
    /// Whether a write names the version it was decided on and is refused if that moved.
    pub versions: bool,
    /// The version of a new item nobody has changed, where versions are numbers that rise by one with each write (now
    /// and then by more): then a version can prove that nobody else wrote.
    pub first_version: Option<u64>,
    /// Fields to which the tool by itself gives another value than the one it was sent: a date on a day off moves to
    /// the next working day.
    pub moves: BTreeSet<Field>,
    /// Whether the time of an item's last change is reliable, for `newest_wins`.
    pub change_times: bool,
    /// Whether tasks can be deleted.
    pub delete: bool,
    /// Whether tasks can be archived.
    pub archive: bool,
    /// Whether deleting a task deletes its children too.
    pub delete_cascades: bool,
    /// Whether writes mail people in a way that cannot be switched off.
    pub writes_notify: bool,
    /// If writes notify: the fields of which a change does. Empty: of all. A creation always does.
    pub notifying_fields: BTreeSet<Field>,
    /// Whether a new item can carry a marker, in a place that people have set apart for it: then a create whose answer
    /// was lost is known by that marker.
    pub create_marker: bool,
    /// The most writes, or reads, given to it in one call.
    pub batch_size: usize,
    /// How fast writes can be sent, if the tool limits that; it may change as the connection learns.
    pub pace: Option<Pace>,
}

impl Capabilities {
    /// A tool that can list, read, create and change tasks with these fields, one at a time, and nothing more.
    #[must_use]
    pub fn new(tool: ToolName, host: impl Into<String>, fields: BTreeMap<Field, FieldSupport>) -> Self {
        Self {
            tool,
            host: host.into(),
            fields,
            incremental: false,
            id_sweep: false,
            versions: false,
            first_version: None,
            moves: BTreeSet::new(),
            change_times: false,
            delete: false,
            archive: false,
            delete_cascades: false,
            writes_notify: false,
            notifying_fields: BTreeSet::new(),
            create_marker: false,
            batch_size: 1,
            pace: None,
        }
    }

    /// What the tool can do with a field; `None` if it lacks the field.
    #[must_use]
    pub fn field(&self, field: Field) -> Option<FieldSupport> {
        self.fields.get(&field).copied()
    }
}

/// How fast writes can be sent to a tool that limits the requests per minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Requests that are sent in a minute at most.
    pub requests_per_minute: u32,
    /// Requests sent in the minute that is running: the next ones have to wait for what is missing.
    pub requests_used: u32,
    /// Requests that one batch of writes takes.
    pub requests_per_batch: u32,
    /// How long one request takes, whatever is in it.
    pub per_request: Duration,
    /// How long one write takes beyond that.
    pub per_item: Duration,
    /// Writes in the next batch.
    pub batch: usize,
    /// Writes in a batch once its size has grown as far as it may; it doubles until then.
    pub largest_batch: usize,
}

impl Pace {
    /// How long so many writes will take.
    #[must_use]
    pub fn foreseen(&self, items: u64) -> Duration {
        let per_minute = self.requests_per_minute.max(1);
        // Requests are sent as they come until a minute's are used up; then the minute is waited out.
        let (mut used, mut into_minute) = (self.requests_used, Duration::ZERO);
        let mut elapsed = Duration::ZERO;
        let mut rest = items;
        let mut batch = u64::try_from(self.batch).unwrap_or(u64::MAX).max(1);
        let largest = u64::try_from(self.largest_batch).unwrap_or(u64::MAX).max(batch);
        while rest > 0 {
            let now = batch.min(rest);
            rest -= now;
            batch = batch.saturating_mul(2).min(largest);
            let writing = self
                .per_item
                .saturating_mul(u32::try_from(now).unwrap_or(u32::MAX))
                .checked_div(self.requests_per_batch.max(1))
                .unwrap_or_default();
            for _ in 0..self.requests_per_batch.max(1) {
                if used >= per_minute {
                    elapsed += MINUTE.saturating_sub(into_minute);
                    (used, into_minute) = (0, Duration::ZERO);
                }
                let took = self.per_request + writing;
                // A minute begins when its first request was answered.
                into_minute += if used == 0 { Duration::ZERO } else { took };
                elapsed += took;
                used += 1;
            }
        }
        elapsed
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(requests_per_minute: u32, requests_used: u32) -> Pace {
        Pace {
            requests_per_minute,
            requests_used,
            requests_per_batch: 2,
            per_request: Duration::from_millis(100),
            per_item: Duration::from_millis(10),
            batch: 50,
            largest_batch: 100,
        }
    }

    #[test]
    fn few_writes_take_as_long_as_their_answers() {
        assert_eq!(pace(10, 0).foreseen(0), Duration::ZERO);
        assert_eq!(pace(10, 0).foreseen(50), Duration::from_millis(700));
    }

    #[test]
    fn beyond_a_minutes_requests_the_minute_is_waited_out() {
        let used_up = pace(10, 10).foreseen(50);
        assert_eq!(used_up, Duration::from_millis(60_700));
        // 50 + 50 × 100 writes: 102 requests are ten minutes and two requests more.
        let many = pace(10, 0).foreseen(5_050).as_secs();
        assert!((600..=620).contains(&many), "{many}");
        let faster = pace(120, 0).foreseen(5_050).as_secs();
        assert!((60..=61).contains(&faster), "{faster}: nothing but the answers");
    }
}
