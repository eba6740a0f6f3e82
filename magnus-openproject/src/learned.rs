//! What a connection learns about its instance while it works, so that nothing is refused twice.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use magnus_core::model::{Field, RemoteTask};

use crate::wire::WorkPackage;

/// Facts from answers. They only save requests: a wrong or missing one costs a refusal, never a value.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    milestones: Mutex<BTreeSet<u64>>,
    percentage_is_computed: AtomicBool,
}

impl Learned {
    /// Notes what an item shows, and marks the values of `task` that the tool is known to compute.
    pub(crate) fn note(&self, item: &WorkPackage, task: &mut RemoteTask) {
        let mut milestones = self.milestones.lock().unwrap_or_else(PoisonError::into_inner);
        if item.date.is_some() {
            milestones.insert(item.id);
        } else {
            milestones.remove(&item.id);
        }
        if self.computes_percentage()
            && let Some(shown) = task.fields.get_mut(&Field::PercentageDone)
        {
            shown.derived = true;
        }
    }

    /// Whether the item was a milestone when it was last seen.
    pub(crate) fn is_milestone(&self, id: u64) -> bool {
        let milestones = self.milestones.lock().unwrap_or_else(PoisonError::into_inner);
        milestones.contains(&id)
    }

    /// Whether the percentage follows the status.
    pub(crate) fn computes_percentage(&self) -> bool {
        self.percentage_is_computed.load(Ordering::Relaxed)
    }

    pub(crate) fn percentage_is_computed(&self) {
        self.percentage_is_computed.store(true, Ordering::Relaxed);
    }
}
