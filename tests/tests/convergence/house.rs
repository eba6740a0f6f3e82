//! How a case is set up: what the policies are, and what the tools do by themselves.

use magnus_core::model::{ConflictPolicy, DeletionPolicy};
use magnus_testkit::sim::leantime::{Dialect, LeantimeOptions, LeantimeSimulator, StatusLabel};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator, Progress, Workflow};
use proptest::prelude::*;

/// How a case is set up.
#[derive(Debug, Clone)]
pub(crate) struct House {
    pub(crate) policy: ConflictPolicy,
    pub(crate) deletions: DeletionPolicy,
    /// What the tools do by themselves; `None`: nothing.
    pub(crate) wilful: Option<Wilful>,
}

/// Tools with a mind of their own. What is not named here, all of them do: see [`House::openproject`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wilful {
    /// OpenProject's percentage goes by the status; else work, remaining work and percentage derive each other.
    by_status: bool,
    /// A closed work package is frozen but for its status.
    freezes: bool,
    dialect: Dialect,
}

impl House {
    /// Tools that do as they are told, and deletions that stay where they were.
    pub(crate) fn plain(policy: ConflictPolicy) -> Self {
        Self {
            policy,
            deletions: DeletionPolicy::Keep,
            wilful: None,
        }
    }

    /// As plain, but that OpenProject computes progress from the status.
    pub(crate) fn by_status() -> Self {
        Self::wilful(true)
    }

    /// Tools that do all sorts of things by themselves.
    pub(crate) fn with_a_mind_of_its_own() -> Self {
        Self::wilful(false)
    }

    fn wilful(by_status: bool) -> Self {
        Self {
            wilful: Some(Wilful {
                by_status,
                freezes: false,
                dialect: Dialect::V373,
            }),
            ..Self::plain(ConflictPolicy::Manual)
        }
    }

    /// Everything that a real OpenProject does by itself: days moved off weekends, parents whose dates become their
    /// children's, progress fields that derive each other, what is closed made complete, and a workflow that goes one step
    /// forward or back, and in which two statuses do not occur.
    pub(crate) fn openproject(&self) -> OpenProjectOptions {
        let Some(wilful) = self.wilful else {
            return OpenProjectOptions::default();
        };
        let steps = (1..12).flat_map(|status| [(status, status + 1), (status + 1, status)]);
        let mut options = OpenProjectOptions::strict().workflow(Workflow::new(steps));
        options.closed_is_complete = true;
        if wilful.by_status {
            options.progress = Progress::StatusBased;
        }
        options
    }

    pub(crate) fn leantime(&self) -> LeantimeOptions {
        LeantimeOptions::dialect(self.wilful.map_or_else(Dialect::default, |wilful| wilful.dialect))
    }

    /// What an administrator of OpenProject sets up.
    pub(crate) fn furnish_openproject(&self, instance: &OpenProjectSimulator) {
        let Some(wilful) = self.wilful else { return };
        let mut statuses = instance.statuses();
        for (status, percentage) in statuses.iter_mut().zip((0..).step_by(9)) {
            status.is_readonly = wilful.freezes && status.is_closed;
            status.default_done_ratio = if status.is_closed { 100 } else { percentage };
        }
        instance.set_statuses(statuses);
    }

    /// What a manager of a project of Leantime sets up: statuses of its own, none of which means review.
    pub(crate) fn furnish_leantime(&self, instance: &LeantimeSimulator, project: i64) {
        if self.wilful.is_none() {
            return;
        }
        let labels = [
            (7, "Backlog", "NEW"),
            (4, "Doing", "INPROGRESS"),
            (9, "On hold", "INPROGRESS"),
            (0, "Finished", "DONE"),
        ];
        let labels = labels.map(|(id, name, kind)| StatusLabel::new(id, name, kind));
        instance.set_status_labels(project, labels.to_vec());
    }

    /// Whether numbers and days stay as they were typed.
    pub(crate) fn keeps_numbers(&self) -> bool {
        self.wilful.is_none()
    }
}

/// Every policy, every dialect, and everything turned on that tools do by themselves.
pub(crate) fn wilful() -> impl Strategy<Value = House> {
    let one_of = |count: usize| 0..count;
    (
        one_of(ConflictPolicy::ALL.len()),
        one_of(DeletionPolicy::ALL.len()),
        any::<bool>(),
        any::<bool>(),
        one_of(Dialect::ALL.len()),
    )
        .prop_map(|(policy, deletions, by_status, freezes, dialect)| House {
            policy: ConflictPolicy::ALL[policy],
            deletions: DeletionPolicy::ALL[deletions],
            wilful: Some(Wilful {
                by_status,
                freezes,
                dialect: Dialect::ALL[dialect],
            }),
        })
}
