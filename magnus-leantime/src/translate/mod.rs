//! Between Leantime's values and the hub's: pure, with tables read beforehand.

mod choices;
mod people;
mod status;
mod values;

use std::collections::BTreeMap;

use chrono_tz::Tz;
use magnus_core::connection::{Choice, Decoded, Encoded, Translator};
use magnus_core::model::{ConnectionOptions, ExternalId, Field, RemoteValue, Value};

pub use people::User;
pub use status::{StatusLabel, StatusType};

/// The translator of one instance, with the statuses and people of its projects.
#[derive(Debug, Clone)]
pub struct LeantimeTranslator {
    zone: Tz,
    options: ConnectionOptions,
    statuses: BTreeMap<ExternalId, Vec<StatusLabel>>,
    members: BTreeMap<ExternalId, Vec<User>>,
    users: Vec<User>,
}

impl LeantimeTranslator {
    /// A translator without tables, for an instance in this time zone.
    pub fn new(zone: Tz, options: ConnectionOptions) -> Self {
        Self {
            zone,
            options,
            statuses: BTreeMap::new(),
            members: BTreeMap::new(),
            users: Vec::new(),
        }
    }

    /// With the statuses of a project, in their order.
    #[must_use]
    pub fn with_statuses(mut self, project: ExternalId, statuses: Vec<StatusLabel>) -> Self {
        self.statuses.insert(project, statuses);
        self
    }

    /// With the people assigned to a project.
    #[must_use]
    pub fn with_members(mut self, project: ExternalId, members: Vec<User>) -> Self {
        self.members.insert(project, members);
        self
    }

    /// With the people of the instance; of these, administrators can be assigned everywhere.
    #[must_use]
    pub fn with_users(mut self, users: Vec<User>) -> Self {
        self.users = users;
        self
    }

    /// The status that a new ticket of a project gets: the first of type NEW. `None` if its statuses are not known.
    pub(crate) fn first_status(&self, project: &ExternalId) -> Option<i64> {
        self.statuses.get(project).and_then(|labels| status::first_new(labels))
    }
}

impl Translator for LeantimeTranslator {
    fn decode(&self, project: &ExternalId, field: Field, value: &RemoteValue) -> Decoded {
        match field {
            Field::Title => values::decode_title(value),
            Field::Description => values::decode_description(value),
            Field::Status => status::decode(value, self.statuses.get(project), &self.options.status_map),
            Field::Priority => values::decode_priority(value, &self.options.priority_map),
            Field::Assignee => self.people(project).decode(value),
            Field::StartDate | Field::DueDate => values::decode_date(value, self.zone),
            Field::EstimatedHours | Field::RemainingHours | Field::ActualHours => values::decode_minutes(value),
            Field::Tags => values::decode_tags(value),
            Field::PercentageDone | Field::Parent => Decoded::Unresolved("Leantime has no such field".to_owned()),
        }
    }

    fn encode(&self, project: &ExternalId, field: Field, value: &Value) -> Encoded {
        match (field, value) {
            (Field::Title, Value::Text(title)) => values::encode_title(title),
            (Field::Description, Value::Text(markdown)) => values::encode_description(markdown),
            (Field::Status, Value::Status(status)) => {
                status::encode(*status, self.statuses.get(project), &self.options.status_map)
            }
            (Field::Priority, Value::Priority(priority)) => {
                values::encode_priority(*priority, &self.options.priority_map)
            }
            (Field::Assignee, Value::Person(person)) => self.people(project).encode(person),
            (Field::StartDate | Field::DueDate, Value::Date(day)) => values::encode_date(field, *day, self.zone),
            (Field::EstimatedHours | Field::RemainingHours, Value::Minutes(minutes)) => {
                values::encode_minutes(*minutes)
            }
            (Field::Tags, Value::Tags(tags)) => values::encode_tags(tags),
            (Field::ActualHours, _) => Encoded::Unholdable("Leantime computes the hours spent".to_owned()),
            (Field::PercentageDone, _) => Encoded::Unholdable("Leantime has no percentage".to_owned()),
            (Field::Title | Field::Status | Field::Priority, _) => {
                Encoded::Unholdable(format!("Leantime cannot clear the {field}"))
            }
            (_, Value::Empty) => Encoded::Value(RemoteValue::NULL),
            (field, other) => Encoded::Unholdable(format!("{field} does not take {other}")),
        }
    }

    fn is_default(&self, project: &ExternalId, field: Field, value: &RemoteValue) -> bool {
        match field {
            Field::Status => {
                let number = value.0.as_i64();
                number == Some(3) || (number.is_some() && number == self.first_status(project))
            }
            Field::Priority => value.is_null() || value.as_text() == Some("3"),
            _ => value.is_null(),
        }
    }

    fn choices(&self, project: &ExternalId, field: Field) -> Vec<Choice> {
        choices::choices(self, project, field)
    }
}

impl LeantimeTranslator {
    fn people(&self, project: &ExternalId) -> people::People<'_> {
        people::People {
            members: self.members.get(project).map(Vec::as_slice).unwrap_or_default(),
            users: &self.users,
            elsewhere: &self.members,
            map: &self.options.user_map,
        }
    }
}
