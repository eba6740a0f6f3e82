//! What became of a change whose answer was lost, from what was seen before, what was sent, and what stands there now.

use std::collections::BTreeMap;

use super::replaced::is_replaced;
use crate::connection::Capabilities;
use crate::model::{Field, IntentField, RemoteTask, RemoteValue, RemoteVersion};

/// What became of one field of a lost change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The old value stands there and nobody wrote: it did not take place.
    NotApplied,
    /// What was sent stands there.
    Applied,
    /// What stands there is what the tool made of ours: the version proves that nobody else wrote.
    InItsForm(RemoteValue),
    /// The tool put another value in the place of ours: the version proves that nobody else wrote.
    Replaced(RemoteValue),
    /// The old value stands there, but somebody wrote: ours may have been set back. What stands there goes on record.
    SetBack,
    /// The tool moves such values by itself, and it cannot be told whether this is ours: it is taken, and ours goes on
    /// record.
    Yields(RemoteValue),
    /// Another value stands there: an ordinary merge decides.
    Merge,
}

impl Fate {
    /// Whether the tool shows that the write took place.
    #[must_use]
    pub const fn has_arrived(&self) -> bool {
        matches!(self, Self::Applied | Self::InItsForm(_) | Self::Replaced(_))
    }
}

/// Judges the fields of a lost change. Pure and total.
#[must_use]
pub fn fates(
    sent: &BTreeMap<Field, IntentField>,
    version: Option<&RemoteVersion>,
    now: &RemoteTask,
    capabilities: &Capabilities,
) -> BTreeMap<Field, Fate> {
    let moved = now.version.as_ref() != version;
    let alone = rose_by_one(version, now.version.as_ref(), capabilities);
    let as_sent = |field: &Field| {
        sent.get(field)
            .is_some_and(|sent| now.value(*field) == Some(&sent.sent))
    };
    let fate = |field: Field, sent_field: &IntentField| {
        let Some(value) = now.value(field) else {
            return Fate::NotApplied;
        };
        if *value == sent_field.sent {
            return Fate::Applied;
        }
        match &sent_field.seen {
            Some(seen) if value == seen && !moved => return Fate::NotApplied,
            Some(seen) if value == seen => return Fate::SetBack,
            _ => {}
        }
        let others: Vec<&Field> = sent.keys().filter(|other| **other != field).collect();
        let proven = alone && !others.is_empty() && others.into_iter().all(as_sent);
        let moves = capabilities.moves.contains(&field);
        if proven && is_replaced(field, sent_field, value) {
            Fate::Replaced(value.clone())
        } else if !moves {
            Fate::Merge
        } else if proven {
            Fate::InItsForm(value.clone())
        } else {
            Fate::Yields(value.clone())
        }
    };
    sent.iter().map(|(field, sent)| (*field, fate(*field, sent))).collect()
}

/// Whether an item is as its creation left it: what stands there is what the tool made of what was sent.
#[must_use]
pub fn untouched_since_creation(item: &RemoteTask, capabilities: &Capabilities) -> bool {
    let version = item.version.as_ref().and_then(number);
    version.is_some() && version == capabilities.first_version
}

fn rose_by_one(before: Option<&RemoteVersion>, now: Option<&RemoteVersion>, capabilities: &Capabilities) -> bool {
    let (Some(before), Some(now), Some(_)) = (
        before.and_then(number),
        now.and_then(number),
        capabilities.first_version,
    ) else {
        return false;
    };
    before.checked_add(1) == Some(now)
}

fn number(version: &RemoteVersion) -> Option<u64> {
    version.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ExternalId, ToolName, Value};

    const DATE: Field = Field::DueDate;

    /// What is computed from something else is given in place of ours, and is no form of it.
    #[test]
    fn rule_6_another_amount_is_no_form_of_the_one_that_was_sent() {
        let mut capabilities = Capabilities::new(ToolName::new("tool"), "host", BTreeMap::new());
        capabilities.first_version = Some(0);
        let field = Field::RemainingHours;
        capabilities.moves.insert(field);
        let sent = |sent: RemoteValue, seen: RemoteValue| IntentField {
            local: Value::Empty,
            sent,
            seen: Some(seen),
            loser: None,
        };
        let fields = BTreeMap::from([
            (field, sent(RemoteValue(30.into()), RemoteValue(10.into()))),
            (Field::Title, sent(RemoteValue::text("new"), RemoteValue::text("old"))),
        ]);
        let mut now = RemoteTask::new(ExternalId::from(1), ExternalId::from(1));
        now.version = Some(RemoteVersion("5".to_owned()));
        now.fields.insert(field, RemoteValue(20.into()).into());
        now.fields.insert(Field::Title, RemoteValue::text("new").into());
        let before = RemoteVersion("4".to_owned());
        let fate = |now: &RemoteTask| fates(&fields, Some(&before), now, &capabilities)[&field].clone();
        assert_eq!(fate(&now), Fate::Replaced(RemoteValue(20.into())));
        now.version = Some(RemoteVersion("6".to_owned()));
        assert_eq!(
            fate(&now),
            Fate::Yields(RemoteValue(20.into())),
            "somebody else wrote, too"
        );
    }

    fn judged(version: &str, date: &str, title: &str) -> Fate {
        let mut capabilities = Capabilities::new(ToolName::new("tool"), "host", BTreeMap::new());
        capabilities.first_version = Some(0);
        capabilities.moves.insert(DATE);
        let sent = |sent: &str, seen: &str| IntentField {
            local: Value::text(sent),
            sent: RemoteValue::text(sent),
            seen: Some(RemoteValue::text(seen)),
            loser: None,
        };
        let fields = BTreeMap::from([(DATE, sent("13", "10")), (Field::Title, sent("new", "old"))]);
        let mut now = RemoteTask::new(ExternalId::from(1), ExternalId::from(1));
        now.version = Some(RemoteVersion(version.to_owned()));
        now.fields.insert(DATE, RemoteValue::text(date).into());
        now.fields.insert(Field::Title, RemoteValue::text(title).into());
        fates(&fields, Some(&RemoteVersion("4".to_owned())), &now, &capabilities)[&DATE].clone()
    }

    #[test]
    fn rule_6_a_version_proves_whose_value_stands_there() {
        assert_eq!(judged("5", "13", "new"), Fate::Applied);
        assert_eq!(judged("4", "10", "old"), Fate::NotApplied);
        assert_eq!(judged("6", "10", "old"), Fate::SetBack);
        let moved = RemoteValue::text("14");
        assert_eq!(
            judged("5", "14", "new"),
            Fate::InItsForm(moved.clone()),
            "nobody else wrote"
        );
        assert_eq!(
            judged("6", "14", "new"),
            Fate::Yields(moved.clone()),
            "somebody else wrote, too"
        );
        assert_eq!(
            judged("5", "14", "old"),
            Fate::Yields(moved),
            "the one write was not ours"
        );
    }
}
