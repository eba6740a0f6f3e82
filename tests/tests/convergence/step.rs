//! What may happen in a case.

use magnus_core::model::Field;
use magnus_testkit::crash::Mode;
use proptest::prelude::*;

/// One thing that happens. Who does it: 0 is the hub, the others are tools in their order.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Add {
        who: usize,
    },
    Edit {
        who: usize,
        item: usize,
        field: usize,
        value: usize,
    },
    Delete {
        who: usize,
        item: usize,
    },
    Comment {
        who: usize,
        item: usize,
    },
    Sync {
        who: usize,
    },
    /// A sync that breaks at one of its effects.
    Break {
        who: usize,
        effect: usize,
        mode: Mode,
    },
}

pub(crate) const FIELDS: [Field; 10] = [
    Field::Title,
    Field::Description,
    Field::Status,
    Field::Priority,
    Field::StartDate,
    Field::DueDate,
    Field::EstimatedHours,
    Field::Tags,
    Field::PercentageDone,
    Field::Parent,
];

fn step(tools: usize) -> BoxedStrategy<Step> {
    let tool = || 1..=tools;
    prop_oneof![
        3 => (0..=tools).prop_map(|who| Step::Add { who }),
        9 => (0..=tools, 0..8_usize, 0..FIELDS.len(), 0..8_usize)
            .prop_map(|(who, item, field, value)| Step::Edit { who, item, field, value }),
        1 => (0..=tools, 0..8_usize).prop_map(|(who, item)| Step::Delete { who, item }),
        1 => (tool(), 0..8_usize).prop_map(|(who, item)| Step::Comment { who, item }),
        3 => tool().prop_map(|who| Step::Sync { who }),
    ]
    .boxed()
}

/// What people do, and syncs that end well.
pub(crate) fn steps(tools: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(tools), 1..24)
}

/// The same, with syncs that break among them.
pub(crate) fn broken_steps(tools: usize) -> impl Strategy<Value = Vec<Step>> {
    let mode = (0..Mode::ALL.len()).prop_map(|mode| Mode::ALL[mode]);
    let broken = (1..=tools, 1..30_usize, mode).prop_map(|(who, effect, mode)| Step::Break { who, effect, mode });
    proptest::collection::vec(prop_oneof![4 => step(tools), 1 => broken], 1..24)
}
