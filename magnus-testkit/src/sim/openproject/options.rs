//! How an instance is set up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

/// Where the instance's time comes from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// A clock that asks `now`. The simulator never lets time go back: an earlier answer repeats the last one.
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(Utc::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}

/// How work, remaining work and percentage hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    /// Not at all: each is stored as sent.
    #[default]
    Independent,
    /// Work, remaining work and percentage derive each other.
    WorkBased,
    /// The percentage follows the status and can not be written.
    StatusBased,
}

/// The status transitions that are allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workflow {
    transitions: BTreeSet<(u64, u64)>,
}

impl Workflow {
    /// Allows exactly these changes of status id, from → to.
    #[must_use]
    pub fn new(transitions: impl IntoIterator<Item = (u64, u64)>) -> Self {
        Self {
            transitions: transitions.into_iter().collect(),
        }
    }

    pub(super) fn allows(&self, from: u64, to: u64) -> bool {
        from == to || self.transitions.contains(&(from, to))
    }

    pub(super) fn knows(&self, status: u64) -> bool {
        self.transitions
            .iter()
            .any(|(from, to)| *from == status || *to == status)
    }
}

/// The settings of a simulated instance. The defaults are the simple traits: nothing is derived, every status change
/// is allowed, every day is a working day.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenProjectOptions {
    /// The API token of the first user.
    pub api_key: String,
    /// Whether the first user is an administrator.
    pub admin: bool,
    /// Page size when none is asked for.
    pub page_size_default: usize,
    /// Greatest page size; more is cut silently.
    pub page_size_max: usize,
    /// Whether a request without credentials is served as the anonymous user (who sees `public_projects`).
    pub anonymous_access: bool,
    /// Whether the anonymous user sees every active project.
    pub public_projects: bool,
    /// Whether Basic authentication is on.
    pub basic_auth: bool,
    /// How work, remaining work and percentage hang together.
    pub progress: Progress,
    /// Whether what is closed is complete: 100 %, and nothing left to do.
    pub closed_is_complete: bool,
    /// Allowed status changes; `None` allows all.
    pub workflow: Option<Workflow>,
    /// Whether Saturday and Sunday are non-working days.
    pub non_working_days: bool,
    /// Whether a parent's dates become its children's when it gets its first child.
    pub parent_becomes_automatic: bool,
    /// Whether a parent may be in another project.
    pub cross_project_parents: bool,
    /// Whether each update raises the version by two, as when derived values are saved again.
    pub extra_version_step: bool,
    /// Custom fields that exist and can be written, by property name (`customField1`).
    pub custom_fields: BTreeSet<String>,
    /// The format of custom fields other than one line of text, as a schema names it (`Integer`).
    pub custom_field_formats: BTreeMap<String, String>,
    /// Custom fields that lists can be filtered by.
    pub filterable_custom_fields: BTreeSet<String>,
    /// Attributes of a request that are dropped without a word, as where a type's form lacks them.
    pub dropped_attributes: BTreeSet<String>,
    /// What a new item's empty description is replaced by.
    pub description_template: String,
    /// Whether items and projects have readable identifiers (`GARDEN-12`) beside their ids.
    pub semantic_ids: bool,
    /// Where time comes from.
    pub clock: Clock,
}

impl Default for OpenProjectOptions {
    fn default() -> Self {
        Self {
            api_key: "opapi-simulated-key".to_owned(),
            admin: false,
            page_size_default: 20,
            page_size_max: 1000,
            anonymous_access: false,
            public_projects: false,
            basic_auth: true,
            progress: Progress::default(),
            closed_is_complete: false,
            workflow: None,
            non_working_days: false,
            parent_becomes_automatic: false,
            cross_project_parents: true,
            extra_version_step: false,
            custom_fields: BTreeSet::new(),
            custom_field_formats: BTreeMap::new(),
            filterable_custom_fields: BTreeSet::new(),
            dropped_attributes: BTreeSet::new(),
            description_template: String::new(),
            semantic_ids: false,
            clock: Clock::default(),
        }
    }
}

impl OpenProjectOptions {
    /// Every strict trait at once: derived progress, non-working days, parents that become automatic.
    #[must_use]
    pub fn strict() -> Self {
        Self {
            progress: Progress::WorkBased,
            non_working_days: true,
            parent_becomes_automatic: true,
            ..Self::default()
        }
    }

    /// With this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// With this greatest page size.
    #[must_use]
    pub fn page_size_max(mut self, size: usize) -> Self {
        self.page_size_max = size;
        self
    }

    /// With this progress mode.
    #[must_use]
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// With only these status changes.
    #[must_use]
    pub fn workflow(mut self, workflow: Workflow) -> Self {
        self.workflow = Some(workflow);
        self
    }

    /// With Saturday and Sunday as non-working days.
    #[must_use]
    pub fn non_working_days(mut self) -> Self {
        self.non_working_days = true;
        self
    }

    /// With parents that take their children's dates.
    #[must_use]
    pub fn parent_becomes_automatic(mut self) -> Self {
        self.parent_becomes_automatic = true;
        self
    }

    /// With requests without credentials served as the anonymous user, who sees every active project.
    #[must_use]
    pub fn anonymous_access(mut self) -> Self {
        self.anonymous_access = true;
        self.public_projects = true;
        self
    }

    /// With an administrator as the first user.
    #[must_use]
    pub fn admin(mut self) -> Self {
        self.admin = true;
        self
    }

    /// With a custom field, by property name (`customField1`).
    #[must_use]
    pub fn custom_field(mut self, name: &str) -> Self {
        self.custom_fields.insert(name.to_owned());
        self
    }

    /// With a custom field of a format other than one line of text, as a schema names it (`Integer`).
    #[must_use]
    pub fn custom_field_of(mut self, name: &str, format: &str) -> Self {
        self.custom_field_formats.insert(name.to_owned(), format.to_owned());
        self.custom_field(name)
    }

    /// With a custom field that lists can be filtered by.
    #[must_use]
    pub fn filterable_custom_field(mut self, name: &str) -> Self {
        self.filterable_custom_fields.insert(name.to_owned());
        self.custom_field(name)
    }
}
