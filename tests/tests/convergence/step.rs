//! What may happen in a case.

use magnus_core::model::Field;
use magnus_testkit::crash::Mode;
use proptest::prelude::*;

/// Something that a person does. Who does it: 0 is somebody at the hub, the others are people of the tools in their order.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Add {
        who: usize,
    },
    Edit {
        who: usize,
        item: usize,
        field: usize,
        value: usize,
    },
    /// Moves an item to another project: two are mapped everywhere, the last one nowhere.
    Move {
        who: usize,
        item: usize,
        to: usize,
    },
    Delete {
        who: usize,
        item: usize,
    },
    Comment {
        who: usize,
        item: usize,
    },
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Do(Deed),
    Sync {
        who: usize,
    },
    /// A sync of which one call, or one that writes, is held up until people have done something.
    Amid {
        who: usize,
        call: usize,
        writes: bool,
        deeds: Vec<Deed>,
    },
    /// A sync that breaks at one of its effects.
    Break {
        who: usize,
        effect: usize,
        mode: Mode,
    },
}

pub(crate) const FIELDS: [Field; 12] = [
    Field::Title,
    Field::Description,
    Field::Status,
    Field::Priority,
    Field::Assignee,
    Field::StartDate,
    Field::DueDate,
    Field::EstimatedHours,
    Field::RemainingHours,
    Field::Tags,
    Field::PercentageDone,
    Field::Parent,
];

/// How far the steps of a property go.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reach {
    /// Syncs break among the others.
    pub(crate) breaks: bool,
    /// People move items between projects.
    pub(crate) moves: bool,
}

fn deed(tools: usize, moves: bool) -> BoxedStrategy<Deed> {
    let usual = prop_oneof![
        3 => (0..=tools).prop_map(|who| Deed::Add { who }),
        9 => (0..=tools, 0..8_usize, 0..FIELDS.len(), 0..8_usize)
            .prop_map(|(who, item, field, value)| Deed::Edit { who, item, field, value }),
        1 => (0..=tools, 0..8_usize).prop_map(|(who, item)| Deed::Delete { who, item }),
        1 => (1..=tools, 0..8_usize).prop_map(|(who, item)| Deed::Comment { who, item }),
    ];
    if !moves {
        return usual.boxed();
    }
    let moved = (0..=tools, 0..8_usize, 0..4_usize).prop_map(|(who, item, to)| Deed::Move { who, item, to });
    prop_oneof![14 => usual, 1 => moved].boxed()
}

/// A sync while people go on.
fn amid(tools: usize, moves: bool) -> impl Strategy<Value = Step> {
    let deeds = proptest::collection::vec(deed(tools, moves), 1..4);
    (1..=tools, 0..16_usize, any::<bool>(), deeds).prop_map(|(who, call, writes, deeds)| Step::Amid {
        who,
        // There are fewer of those that write.
        call: if writes { call % 4 } else { call },
        writes,
        deeds,
    })
}

/// What happens one after the other.
pub(crate) fn steps(tools: usize, reach: Reach) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        14 => deed(tools, reach.moves).prop_map(Step::Do),
        3 => (1..=tools).prop_map(|who| Step::Sync { who }),
        1 => amid(tools, reach.moves),
    ];
    let mode = (0..Mode::ALL.len()).prop_map(|mode| Mode::ALL[mode]);
    let broken = (1..=tools, 1..30_usize, mode).prop_map(|(who, effect, mode)| Step::Break { who, effect, mode });
    let step = if reach.breaks {
        prop_oneof![4 => step, 1 => broken].boxed()
    } else {
        step.boxed()
    };
    proptest::collection::vec(step, 1..24)
}
