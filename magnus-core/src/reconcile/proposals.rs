//! Items of both sides that may be the same, for a person to tell: what a plan left alone because of that, put together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use crate::model::{ExternalId, MappingId, ProjectId, SkipReason, TaskId, text};

/// Items of one title on both sides of a mapping that are not linked yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The mapping; `None` if it is not stored yet, and so nothing can be decided yet.
    pub mapping_id: Option<MappingId>,
    /// The hub project.
    pub project_id: ProjectId,
    /// The external project's name.
    pub project: String,
    /// The title, as the hub has it or else the tool.
    pub title: String,
    /// The hub tasks without a link here.
    pub tasks: Vec<TaskId>,
    /// The tool's items without a link.
    pub externals: Vec<ExternalId>,
    /// Why a person is asked.
    pub reason: String,
}

impl Proposal {
    /// The only pair there is; `None` if there are several on a side.
    #[must_use]
    pub fn pair(&self) -> Option<(TaskId, &ExternalId)> {
        match (self.tasks.as_slice(), self.externals.as_slice()) {
            ([task], [external]) => Some((*task, external)),
            _ => None,
        }
    }
}

/// What a plan asks a person to match, by mapping and title.
#[must_use]
pub fn proposals(plan: &Plan) -> Vec<Proposal> {
    let mut found = Vec::new();
    for mapping in &plan.mappings {
        let mut by_title: BTreeMap<String, Proposal> = BTreeMap::new();
        for item in &mapping.items {
            let Some(reason) = item
                .reason
                .as_ref()
                .filter(|reason| reason.code == SkipReason::AmbiguousMatch)
            else {
                continue;
            };
            let proposal = by_title
                .entry(text::canonical_title(&item.title))
                .or_insert_with(|| Proposal {
                    mapping_id: mapping.mapping_id,
                    project_id: mapping.project_id,
                    project: mapping.name.clone(),
                    title: item.title.clone(),
                    tasks: Vec::new(),
                    externals: Vec::new(),
                    reason: reason.detail.clone(),
                });
            proposal.tasks.extend(item.task_id);
            proposal.externals.extend(item.external_id.clone());
            if item.task_id.is_some() {
                proposal.title.clone_from(&item.title);
            }
        }
        // What a plan says of one side alone leaves nothing to choose.
        found.extend(by_title.into_values().filter(|found| !found.externals.is_empty()));
    }
    found
}
