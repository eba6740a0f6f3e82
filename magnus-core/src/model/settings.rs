//! What a connection is told to do.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address;
use super::status::named_enum;
use super::{ConnectionId, Direction, Priority, Status, Timestamp, ToolName};

named_enum! {
    /// How often a connection is synced by itself.
    SyncFrequency, "frequency", {
        /// Every minute and on webhooks.
        Realtime = "realtime",
        /// Every hour.
        Hourly = "hourly",
        /// Once a day.
        Daily = "daily",
        /// Only when asked.
        Manual = "manual",
    }
}

named_enum! {
    /// Which external projects are synced.
    ProjectPolicy, "project policy", {
        /// Every visible open project gets a hub project at the first pull.
        All = "all",
        /// Only those mapped by a person.
        Mapped = "mapped",
    }
}

named_enum! {
    /// What a deletion on one side does to the other.
    DeletionPolicy, "deletion policy", {
        /// Both sides stay as they are; the link remembers.
        Keep = "keep",
        /// The other side is archived.
        Archive = "archive",
        /// The other side is deleted.
        Delete = "delete",
    }
}

named_enum! {
    /// How items that are on both sides already find each other.
    MatchPolicy, "match policy", {
        /// The same canonical title, exactly one on each side.
        ExactTitle = "exact_title",
        /// Never: everything is created on the other side.
        None = "none",
        /// Sure pairs are listed and wait for a person.
        Ask = "ask",
    }
}

named_enum! {
    /// Who wins when both sides changed one field.
    ConflictPolicy, "conflict policy", {
        /// Nobody: the field is held until a person says.
        Manual = "manual",
        /// The hub.
        HubWins = "hub_wins",
        /// The tool.
        ExternalWins = "external_wins",
        /// The later edit, where both times can be trusted; else as `manual`.
        NewestWins = "newest_wins",
    }
}

/// A limit that is exceeded only if both its parts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardLimit {
    /// More than this many items...
    pub count: u32,
    /// ...and more than this many percent of the linked ones.
    pub percent: u32,
}

/// The limits beyond which a plan halts until a person confirms it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardLimits {
    /// Deletions on either side.
    pub deletions: GuardLimit,
    /// Items of the tool of which a value is overwritten.
    pub overwrites: GuardLimit,
    /// Items created in the tool.
    pub creations: GuardLimit,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self {
            deletions: GuardLimit { count: 25, percent: 20 },
            overwrites: GuardLimit {
                count: 100,
                percent: 50,
            },
            creations: GuardLimit {
                count: 500,
                percent: 50,
            },
        }
    }
}

/// What a connection's `config` holds. An unknown key is refused, so that a misspelt one is not silently ignored;
/// what only one tool knows stands under `tool`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// Which external projects are synced.
    pub projects: ProjectPolicy,
    // Known for its default only: a project is made in the tool by people, with its members and rights, and then mapped.
    #[serde(deserialize_with = "only_false")]
    create_projects: bool,
    /// What a deletion on one side does to the other.
    pub deletions: DeletionPolicy,
    /// How items that are on both sides already find each other.
    #[serde(rename = "match")]
    pub matching: MatchPolicy,
    /// Who wins when both sides changed one field.
    pub conflicts: ConflictPolicy,
    /// Limits beyond which a plan halts.
    pub guard: GuardLimits,
    /// The tool's status (id or name) → hub status, before the default table.
    pub status_map: BTreeMap<String, Status>,
    /// The tool's priority (id or name) → hub priority, before the default table.
    pub priority_map: BTreeMap<String, Priority>,
    /// The tool's user (id or name) → hub person (`Name <address>`), before e-mail and name.
    pub user_map: BTreeMap<String, String>,
    /// The instance's time zone (IANA name), where the tool stores local times.
    pub time_zone: Option<String>,
    /// When a daily sync begins, in that time zone or else in UTC (`03:00` if omitted).
    #[serde(with = "time_of_day", skip_serializing_if = "Option::is_none")]
    pub daily_at: Option<chrono::NaiveTime>,
    /// Whether the tool may notify people of what Magnus writes, where it can be told not to.
    pub notify: bool,
    /// Options that only this tool's adapter knows.
    pub tool: serde_json::Map<String, serde_json::Value>,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            projects: ProjectPolicy::All,
            create_projects: false,
            deletions: DeletionPolicy::Keep,
            matching: MatchPolicy::ExactTitle,
            conflicts: ConflictPolicy::Manual,
            guard: GuardLimits::default(),
            status_map: BTreeMap::new(),
            priority_map: BTreeMap::new(),
            user_map: BTreeMap::new(),
            time_zone: None,
            daily_at: None,
            notify: false,
            tool: serde_json::Map::new(),
        }
    }
}

fn only_false<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let message = "create_projects: true is not supported; create the project in the tool, then map it";
    match bool::deserialize(deserializer)? {
        true => Err(serde::de::Error::custom(message)),
        false => Ok(false),
    }
}

/// A time of day as people write it: `03:00`.
mod time_of_day {
    use chrono::NaiveTime;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    // As serde wants it.
    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(time: &Option<NaiveTime>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(|time| time.format("%H:%M").to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NaiveTime>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let time = NaiveTime::parse_from_str(&text, "%H:%M");
        time.map(Some)
            .map_err(|_| D::Error::custom(format!("{text:?} is not a time of day such as 03:00")))
    }
}

/// The settings of a connection: the hub's link to one instance of a tool. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionSettings {
    /// Its id.
    pub id: ConnectionId,
    /// The tool.
    pub tool: ToolName,
    /// What people call it; unique among connections.
    pub name: String,
    /// Where the instance lives.
    pub url: String,
    /// Which way it is synced.
    pub direction: Direction,
    /// How often it is synced by itself.
    pub frequency: SyncFrequency,
    /// Whether it is synced at all.
    pub enabled: bool,
    /// Further options.
    pub options: ConnectionOptions,
    /// Raised by every change; an open connection of an older revision is opened again.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl ConnectionSettings {
    /// New settings with the defaults: two-way, real time, enabled.
    #[must_use]
    pub fn new(tool: ToolName, name: impl Into<String>, url: impl Into<String>, now: Timestamp) -> Self {
        Self {
            id: ConnectionId::generate(),
            tool,
            name: name.into(),
            url: url.into(),
            direction: Direction::Bidirectional,
            frequency: SyncFrequency::Realtime,
            enabled: true,
            options: ConnectionOptions::default(),
            revision: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// Whether both lead to the same instance of the same tool, whatever case, port or slash its address is given with.
    #[must_use]
    pub fn same_instance(&self, other: &Self) -> bool {
        self.tool == other.tool && address::canonical(&self.url) == address::canonical(&other.url)
    }

    /// Whether both lead to the same server: to scheme, host and port of the one. A key that was given for one server is
    /// not sent to another.
    #[must_use]
    pub fn same_origin(&self, other: &Self) -> bool {
        address::origin(&self.url) == address::origin(&other.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_option_is_refused_by_name() {
        let error = serde_json::from_str::<ConnectionOptions>(r#"{"deletion":"delete"}"#).unwrap_err();
        assert!(error.to_string().contains("`deletion`"), "{error}");
        let options: ConnectionOptions = serde_json::from_str(r#"{"match":"none","conflicts":"hub_wins"}"#).unwrap();
        assert_eq!(
            (options.matching, options.conflicts),
            (MatchPolicy::None, ConflictPolicy::HubWins)
        );
        assert_eq!(options.deletions, DeletionPolicy::Keep);
    }

    #[test]
    fn projects_are_not_created_in_tools_and_who_asks_for_it_is_told() {
        let read = |text: &str| serde_json::from_str::<ConnectionOptions>(text);
        assert_eq!(
            read(r#"{"create_projects":false}"#).unwrap(),
            ConnectionOptions::default()
        );
        let error = read(r#"{"create_projects":true}"#).unwrap_err().to_string();
        assert!(error.contains("then map it"), "{error}");
    }

    #[test]
    fn a_time_of_day_is_written_as_people_write_it() {
        let options: ConnectionOptions = serde_json::from_str(r#"{"daily_at":"05:30"}"#).unwrap();
        assert_eq!(options.daily_at, chrono::NaiveTime::from_hms_opt(5, 30, 0));
        let text = serde_json::to_string(&options).unwrap();
        assert!(text.contains(r#""daily_at":"05:30""#), "{text}");
        assert_eq!(serde_json::from_str::<ConnectionOptions>(&text).unwrap(), options);
        assert!(serde_json::from_str::<ConnectionOptions>(r#"{"daily_at":"25:00"}"#).is_err());
    }
}
