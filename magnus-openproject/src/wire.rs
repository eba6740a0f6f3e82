//! What the API sends, read leniently: unknown properties do not matter, missing ones are told apart from null.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// A property that may be missing (`None`), null (`Some(None)`) or set.
pub(crate) type Shown<T> = Option<Option<T>>;

fn shown<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Shown<T>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A list, paged or not.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: DeserializeOwned")]
pub(crate) struct Collection<T> {
    pub(crate) total: u64,
    pub(crate) page_size: Option<u64>,
    /// The number of the page, from 1.
    pub(crate) offset: Option<u64>,
    #[serde(rename = "_embedded")]
    embedded: Embedded<T>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Embedded<T> {
    elements: Vec<T>,
}

impl<T> Collection<T> {
    pub(crate) fn elements(&self) -> &[T] {
        &self.embedded.elements
    }

    pub(crate) fn into_elements(self) -> Vec<T> {
        self.embedded.elements
    }
}

/// A reference: only its address counts.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Link {
    pub(crate) href: Option<String>,
    pub(crate) title: Option<String>,
}

impl Link {
    /// The id at the end of the address; `None` for no reference and for one that is not disclosed.
    pub(crate) fn id(&self) -> Option<u64> {
        self.href
            .as_deref()?
            .trim_end_matches('/')
            .rsplit_once('/')?
            .1
            .parse()
            .ok()
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Formattable {
    pub(crate) raw: Option<String>,
}

/// The entry of the API: whose user link tells whether anybody is logged in.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Root {
    pub(crate) core_version: Option<String>,
    #[serde(rename = "_links")]
    pub(crate) links: RootLinks,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RootLinks {
    pub(crate) user: Option<Link>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    pub(crate) id: u64,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) is_closed: bool,
    #[serde(default)]
    pub(crate) is_default: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Priority {
    pub(crate) id: u64,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) is_default: bool,
    pub(crate) is_active: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkPackageType {
    pub(crate) id: u64,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) is_milestone: bool,
}

/// A user, group or placeholder; the address is shown to administrators and to oneself only.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Principal {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) email: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Project {
    pub(crate) id: u64,
    pub(crate) identifier: Option<String>,
    pub(crate) name: String,
    pub(crate) active: Option<bool>,
    pub(crate) description: Option<Formattable>,
}

/// An element of the sweep.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SweptId {
    pub(crate) id: u64,
    #[serde(rename = "_links", default)]
    pub(crate) links: SweptLinks,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct SweptLinks {
    pub(crate) project: Option<Link>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkPackage {
    pub(crate) id: u64,
    pub(crate) lock_version: Option<u64>,
    pub(crate) subject: String,
    #[serde(default, deserialize_with = "shown")]
    pub(crate) description: Shown<Formattable>,
    pub(crate) schedule_manually: Option<bool>,
    /// Whether the status freezes everything but itself.
    #[serde(default)]
    pub(crate) readonly: Option<bool>,
    #[serde(default, deserialize_with = "shown")]
    pub(crate) start_date: Shown<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(crate) due_date: Shown<String>,
    /// Present exactly for milestones.
    #[serde(default, deserialize_with = "shown")]
    pub(crate) date: Shown<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(crate) estimated_time: Shown<String>,
    /// Left out when null.
    #[serde(default, deserialize_with = "shown")]
    pub(crate) remaining_time: Shown<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(crate) spent_time: Shown<String>,
    #[serde(default, deserialize_with = "shown")]
    pub(crate) percentage_done: Shown<u64>,
    pub(crate) updated_at: String,
    #[serde(rename = "_links")]
    pub(crate) links: WorkPackageLinks,
    /// Everything else, custom fields among it.
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct WorkPackageLinks {
    pub(crate) project: Link,
    pub(crate) status: Option<Link>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<Link>,
    pub(crate) priority: Option<Link>,
    pub(crate) assignee: Option<Link>,
    pub(crate) parent: Option<Link>,
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

/// An entry of a work package's journal.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Activity {
    pub(crate) created_at: Option<String>,
    pub(crate) updated_at: Option<String>,
    /// What was changed, in words of the user's language; none for a mere comment.
    #[serde(default)]
    pub(crate) details: Vec<Value>,
    #[serde(rename = "_links")]
    pub(crate) links: ActivityLinks,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ActivityLinks {
    pub(crate) user: Option<Link>,
}

/// An error body.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorBody {
    pub(crate) error_identifier: String,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(rename = "_embedded", default)]
    pub(crate) embedded: ErrorEmbedded,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct ErrorEmbedded {
    pub(crate) details: Option<ErrorDetails>,
    #[serde(default)]
    pub(crate) errors: Vec<ErrorBody>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ErrorDetails {
    pub(crate) attribute: Option<String>,
}

impl ErrorBody {
    /// The last part of the identifier: `UpdateConflict`, `NotFound`, ...
    pub(crate) fn name(&self) -> &str {
        self.error_identifier.rsplit(':').next().unwrap_or_default()
    }
}
