//! What happens in one mapping: every linked item, then what has no link yet.

mod deleted;
mod export;
mod import;
mod linked;
mod planner;
mod planning;
mod unlinked;

use std::collections::{BTreeMap, HashMap};

use super::item::{Outgoing, Setting};
use super::observation::Observation;
use super::plan::{FieldChange, PlannedAction};
use crate::connection::Translator;
use crate::model::{
    Conflict, ConnectionOptions, Direction, ExternalId, Field, Link, LinkId, Mapping, MappingId, Reason, RemoteTask,
    RemoteValue, Task, TaskEntry, TaskId,
};
use crate::store::Unit;
pub use planning::Planning;

/// Everything that the plan of one mapping depends on.
#[derive(Debug, Clone, Copy)]
pub struct MappingInput<'a> {
    /// The mapping.
    pub mapping: &'a Mapping,
    /// All mappings of the connection, those that take no part in the run, too.
    pub mappings: &'a [Mapping],
    /// The mappings in whose projects this run has looked, with the ways that data may go there.
    pub taking_part: &'a HashMap<MappingId, Direction>,
    /// The connection's options.
    pub options: &'a ConnectionOptions,
    /// The tasks of the hub project, and those of links that point out of it; one is asked for whole when it is its turn.
    pub tasks: &'a HashMap<TaskId, TaskEntry>,
    /// All links of the connection; their bases are asked for when it is their turn.
    pub links: &'a [Link],
    /// The open conflicts of the connection.
    pub conflicts: &'a [Conflict],
    /// What the tool showed.
    pub observation: &'a Observation,
    /// The tool's tables.
    pub translator: &'a dyn Translator,
    /// Why nothing may be created in the tool now; `None`: it may.
    pub no_creation: Option<&'a Reason>,
    /// Why no new item of the tool may be taken over now (a create is unsettled); `None`: it may.
    pub no_import: Option<&'a Reason>,
    /// Tasks whose remote write is unsettled or failed in this run: nothing is sent for them.
    pub blocked: &'a HashMap<TaskId, Reason>,
    /// What is the same for all items.
    pub setting: Setting<'a>,
}

/// What goes to the tool for one item.
#[derive(Debug, Clone, PartialEq)]
pub enum Push {
    /// A new external task.
    Create {
        /// The hub task.
        task: Box<Task>,
        /// What is sent.
        fields: BTreeMap<Field, Outgoing>,
        /// How many of its ancestors are created by the same plan.
        depth: usize,
    },
    /// A changed external task.
    Update {
        /// The link.
        link_id: LinkId,
        /// The hub task.
        task_id: TaskId,
        /// The external task as it was decided on.
        remote: Box<RemoteTask>,
        /// What is sent.
        fields: BTreeMap<Field, Outgoing>,
        /// The mapping to move it to.
        move_to: Option<Box<Mapping>>,
    },
    /// A deleted external task.
    Delete {
        /// The link.
        link_id: LinkId,
        /// The hub task.
        task_id: TaskId,
        /// The external task.
        external_id: ExternalId,
        /// Whether it is deleted since its making is undone, and not since the hub's side is gone.
        undoes: bool,
    },
    /// An archived external task: a tool archives by a status of its own.
    Archive {
        /// The link.
        link_id: LinkId,
        /// The hub task.
        task_id: TaskId,
        /// The external task as it was decided on.
        remote: Box<RemoteTask>,
        /// The status that stands for archived.
        status: RemoteValue,
    },
}

/// What happens to one item.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What is shown of it; `None`: only bases move, nothing that a person would call a change.
    pub action: Option<PlannedAction>,
    /// Its title.
    pub title: String,
    /// The hub task.
    pub task_id: Option<TaskId>,
    /// The external task.
    pub external_id: Option<ExternalId>,
    /// The fields that change or are held.
    pub changes: Vec<FieldChange>,
    /// Why it is left alone.
    pub reason: Option<Reason>,
    /// Whether a conflict was found that was not on record.
    pub conflicted: bool,
    /// What changes in the hub.
    pub unit: Unit,
    /// What goes to the tool.
    pub push: Option<Push>,
}

/// What happens in one mapping.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MappingPlan {
    /// Items for which something happens or that are skipped; parents before children.
    pub entries: Vec<Entry>,
    /// Linked items looked at and found unchanged.
    pub unchanged: Vec<TaskId>,
    /// Live links.
    pub linked: u64,
    /// Tasks whose write failed before and is not tried now.
    pub held_back: Vec<TaskId>,
    /// Whether something waits for what is planned before it: it is planned anew once that is committed.
    pub waits: bool,
    /// Whether something was changed in the hub while the rest was planned, and is not in the plan.
    pub drifted: bool,
}
