//! What statuses and priorities mean: the settings' tables first, then names in use, then whether a status is closed.

use std::collections::BTreeMap;

use magnus_core::connection::{Decoded, Encoded};
use magnus_core::model::{Priority, RemoteValue, Status, Value};

use crate::names::{PRIORITY_NAMES, STATUS_NAMES, known, rank};
use crate::wire;

/// An entry of a settings' table: by id, else by name whatever its case.
pub(crate) fn configured<'map, T>(map: &'map BTreeMap<String, T>, id: u64, name: &str) -> Option<&'map T> {
    map.get(&id.to_string()).or_else(|| {
        let name = name.trim().to_lowercase();
        map.iter()
            .find(|(key, _)| key.trim().to_lowercase() == name)
            .map(|(_, value)| value)
    })
}

#[derive(Debug, Clone)]
struct StatusEntry {
    status: wire::Status,
    meaning: Status,
    /// By the settings or by a known name; else only by whether it is closed.
    sure: bool,
    configured: bool,
}

/// The statuses of an instance, in the tool's order.
#[derive(Debug, Clone)]
pub(crate) struct StatusTable(Vec<StatusEntry>);

impl StatusTable {
    pub(crate) fn new(statuses: Vec<wire::Status>, map: &BTreeMap<String, Status>) -> Self {
        let entry = |status: wire::Status| {
            if let Some(meaning) = configured(map, status.id, &status.name).copied() {
                return StatusEntry {
                    status,
                    meaning,
                    sure: true,
                    configured: true,
                };
            }
            let (meaning, sure) = by_name(&status);
            StatusEntry {
                status,
                meaning,
                sure,
                configured: false,
            }
        };
        Self(statuses.into_iter().map(entry).collect())
    }

    fn entry(&self, value: &RemoteValue) -> Option<&StatusEntry> {
        let id: u64 = value.as_text()?.parse().ok()?;
        self.0.iter().find(|entry| entry.status.id == id)
    }

    pub(crate) fn statuses(&self) -> impl Iterator<Item = &wire::Status> {
        self.0.iter().map(|entry| &entry.status)
    }

    pub(crate) fn decode(&self, value: &RemoteValue) -> Decoded {
        match self.entry(value) {
            Some(entry) if entry.sure => Decoded::Exact(Value::Status(entry.meaning)),
            Some(entry) => Decoded::Approximate(Value::Status(entry.meaning)),
            None => Decoded::Unresolved(format!("status {value} is not in the list of statuses")),
        }
    }

    pub(crate) fn encode(&self, wanted: Status) -> Encoded {
        let sure = self.0.iter().filter(|entry| entry.sure && entry.meaning == wanted);
        let best = sure.min_by_key(|entry| {
            (
                !entry.configured,
                !entry.status.is_default,
                rank(STATUS_NAMES, &wanted, &entry.status.name),
            )
        });
        match best.or_else(|| self.fallback(wanted)) {
            Some(entry) => Encoded::Value(RemoteValue::text(entry.status.id.to_string())),
            None => Encoded::Unholdable(format!(
                "no status of OpenProject means {wanted}; name one in the connection's `status_map`"
            )),
        }
    }

    /// Without a status that surely means it: the one that new items get is `todo`, the only closed one is `done`.
    fn fallback(&self, wanted: Status) -> Option<&StatusEntry> {
        let unsure = |entry: &&StatusEntry| !entry.sure && entry.meaning == wanted;
        match wanted {
            Status::Todo => self.0.iter().filter(unsure).find(|entry| entry.status.is_default),
            Status::Done => {
                let mut closed = self.0.iter().filter(unsure);
                closed.next().filter(|_| closed.next().is_none())
            }
            _ => None,
        }
    }

    pub(crate) fn is_default(&self, value: &RemoteValue) -> bool {
        self.entry(value).is_some_and(|entry| entry.status.is_default)
    }
}

/// What a status means by its name, unless the name contradicts whether it is closed: names are freely chosen.
fn by_name(status: &wire::Status) -> (Status, bool) {
    let finished = |meaning: Status| matches!(meaning, Status::Done | Status::Cancelled);
    match known(STATUS_NAMES, &status.name) {
        Some(meaning) if finished(meaning) == status.is_closed => (meaning, true),
        _ if status.is_closed => (Status::Done, false),
        Some(meaning) if finished(meaning) => (Status::Review, false),
        _ => (Status::Todo, false),
    }
}

#[derive(Debug, Clone)]
struct PriorityEntry {
    priority: wire::Priority,
    meaning: Priority,
    sure: bool,
    configured: bool,
}

/// The priorities of an instance, in the tool's order.
#[derive(Debug, Clone)]
pub(crate) struct PriorityTable(Vec<PriorityEntry>);

impl PriorityTable {
    pub(crate) fn new(priorities: Vec<wire::Priority>, map: &BTreeMap<String, Priority>) -> Self {
        let entry = |priority: wire::Priority| {
            if let Some(meaning) = configured(map, priority.id, &priority.name).copied() {
                return PriorityEntry {
                    priority,
                    meaning,
                    sure: true,
                    configured: true,
                };
            }
            let named = known(PRIORITY_NAMES, &priority.name);
            PriorityEntry {
                meaning: named.unwrap_or(Priority::Medium),
                sure: named.is_some(),
                configured: false,
                priority,
            }
        };
        Self(priorities.into_iter().map(entry).collect())
    }

    fn entry(&self, value: &RemoteValue) -> Option<&PriorityEntry> {
        let id: u64 = value.as_text()?.parse().ok()?;
        self.0.iter().find(|entry| entry.priority.id == id)
    }

    pub(crate) fn priorities(&self) -> impl Iterator<Item = &wire::Priority> {
        self.0.iter().map(|entry| &entry.priority)
    }

    pub(crate) fn decode(&self, value: &RemoteValue) -> Decoded {
        match self.entry(value) {
            Some(entry) if entry.sure => Decoded::Exact(Value::Priority(entry.meaning)),
            Some(entry) => Decoded::Approximate(Value::Priority(entry.meaning)),
            None => Decoded::Unresolved(format!("priority {value} is not in the list of priorities")),
        }
    }

    pub(crate) fn encode(&self, wanted: Priority) -> Encoded {
        let usable =
            |entry: &&PriorityEntry| entry.sure && entry.meaning == wanted && entry.priority.is_active != Some(false);
        let best = self.0.iter().filter(usable).min_by_key(|entry| {
            (
                !entry.configured,
                !entry.priority.is_default,
                rank(PRIORITY_NAMES, &wanted, &entry.priority.name),
            )
        });
        match best {
            Some(entry) => Encoded::Value(RemoteValue::text(entry.priority.id.to_string())),
            None => Encoded::Unholdable(format!(
                "no priority of OpenProject means {wanted}; name one in the connection's `priority_map`"
            )),
        }
    }

    pub(crate) fn is_default(&self, value: &RemoteValue) -> bool {
        self.entry(value).is_some_and(|entry| entry.priority.is_default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(id: u64, name: &str, is_closed: bool) -> wire::Status {
        wire::Status {
            id,
            name: name.to_owned(),
            is_closed,
            is_default: id == 1,
        }
    }

    fn exact(status: Status) -> Decoded {
        Decoded::Exact(Value::Status(status))
    }

    fn id(id: u64) -> RemoteValue {
        RemoteValue::text(id.to_string())
    }

    #[test]
    fn statuses_go_by_name_whatever_the_case_or_the_language() {
        let table = StatusTable::new(
            vec![
                status(1, "NEU", false),
                status(2, "In progress ", false),
                status(3, "Abgelehnt", true),
            ],
            &BTreeMap::new(),
        );
        assert_eq!(table.decode(&id(1)), exact(Status::Todo));
        assert_eq!(table.decode(&id(2)), exact(Status::InProgress));
        assert_eq!(table.decode(&id(3)), exact(Status::Cancelled));
    }

    #[test]
    fn closed_is_what_the_flag_says_and_not_the_name() {
        let table = StatusTable::new(
            vec![
                status(1, "Done", false),
                status(2, "Tested", true),
                status(3, "Odd", true),
                status(4, "Even", false),
            ],
            &BTreeMap::new(),
        );
        assert_eq!(
            table.decode(&id(1)),
            Decoded::Approximate(Value::Status(Status::Review))
        );
        assert_eq!(table.decode(&id(2)), Decoded::Approximate(Value::Status(Status::Done)));
        assert_eq!(table.decode(&id(3)), Decoded::Approximate(Value::Status(Status::Done)));
        assert_eq!(table.decode(&id(4)), Decoded::Approximate(Value::Status(Status::Todo)));
    }

    #[test]
    fn the_settings_table_wins_by_id_or_name() {
        let map = BTreeMap::from([("9".to_owned(), Status::Blocked), ("odd".to_owned(), Status::Review)]);
        let table = StatusTable::new(vec![status(9, "New", false), status(2, "Odd", false)], &map);
        assert_eq!(table.decode(&id(9)), exact(Status::Blocked));
        assert_eq!(table.encode(Status::Review), Encoded::Value(id(2)));
    }

    #[test]
    fn of_several_statuses_the_default_or_most_usual_is_written() {
        let table = StatusTable::new(
            vec![
                status(5, "Scheduled", false),
                status(1, "New", false),
                status(7, "Completed", true),
                status(8, "Closed", true),
            ],
            &BTreeMap::new(),
        );
        assert_eq!(table.encode(Status::Todo), Encoded::Value(id(1)));
        assert_eq!(table.encode(Status::Done), Encoded::Value(id(8)));
        assert!(matches!(table.encode(Status::Cancelled), Encoded::Unholdable(_)));
    }

    #[test]
    fn with_names_of_its_own_an_instance_still_takes_todo_and_done() {
        let table = StatusTable::new(
            vec![
                status(1, "Uusi", false),
                status(2, "Työn alla", false),
                status(3, "Valmis", true),
            ],
            &BTreeMap::new(),
        );
        assert_eq!(table.encode(Status::Todo), Encoded::Value(id(1)));
        assert_eq!(table.encode(Status::Done), Encoded::Value(id(3)));
        assert!(matches!(table.encode(Status::InProgress), Encoded::Unholdable(_)));
    }

    #[test]
    fn an_inactive_priority_is_read_but_not_written() {
        let priority = |id: u64, name: &str, active: bool| wire::Priority {
            id,
            name: name.to_owned(),
            is_default: false,
            is_active: Some(active),
        };
        let table = PriorityTable::new(
            vec![priority(1, "Immediate", false), priority(2, "Urgent", true)],
            &BTreeMap::new(),
        );
        assert_eq!(
            table.decode(&id(1)),
            Decoded::Exact(Value::Priority(Priority::Critical))
        );
        assert_eq!(table.encode(Priority::Critical), Encoded::Value(id(2)));
        assert!(matches!(table.encode(Priority::Low), Encoded::Unholdable(_)));
    }
}
