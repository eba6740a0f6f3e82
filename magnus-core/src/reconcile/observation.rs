//! What one side showed, and how far it can be believed.

use std::collections::{HashMap, HashSet};

use super::sightings::Sightings;
use crate::model::ExternalId;

/// What a direct read said of an item that a complete listing did not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// Not there, while its project reads as open.
    Gone,
    /// In another project.
    MovedTo(ExternalId),
    /// There, and we may not see it; or it cannot be told.
    Unsure(String),
}

/// What a tool showed of one project.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// Tasks listed or read.
    pub tasks: Sightings,
    /// Items that a complete listing did not show, as a direct read explained it.
    pub absent: HashMap<ExternalId, Absence>,
    /// All ids of the project, if they were swept or the listing was whole: only then may something be created, since
    /// only then is it known what is there already.
    pub ids: Option<HashSet<ExternalId>>,
    /// How many items the listing lacked that are there all the same: then nobody knows what else it lacks.
    pub unlisted: usize,
}

impl Observation {
    /// Whether everything that is in the project is known.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.ids.is_some() && self.unlisted == 0
    }
}
