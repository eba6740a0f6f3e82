//! The words of Magnus as types: what the hub holds, what a tool shows, and what joins them.

mod access;
mod address;
mod breakdown;
mod conflict;
mod direction;
mod failure;
mod field;
mod history;
mod ids;
mod intent;
mod link;
mod mapping;
mod patch;
mod person;
mod project;
mod reason;
mod remote;
mod remote_fields;
mod run;
mod settings;
mod status;
mod task;
mod task_entry;
pub mod text;
mod value;

pub use access::{AccessScope, AccessToken};
pub use breakdown::{Breakdown, BreakdownJob, BreakdownState, ProposedSubtask, Provenance, TokenCount};
pub use conflict::{Conflict, ConflictState, LastChange, Resolution, Side};
pub use direction::Direction;
pub use failure::ItemFailure;
pub use field::{Field, UnknownField};
pub use history::{HistoryEntry, Rule};
pub use ids::{
    BreakdownId, ChangesetId, ConflictId, ConnectionId, ExternalId, IntentId, InvalidExternalId, LinkId, MappingId,
    ProjectId, RowVersion, RunId, TaskId, TokenId, ToolName,
};
pub use intent::{Intent, IntentField, IntentOperation, IntentState};
pub use link::{Base, Link, LinkState, LocalBase, Refusal, RefusalCause, RemoteBase, Swing};
pub use mapping::{Cursor, Mapping, MappingState};
pub use patch::TaskPatch;
pub use person::Person;
pub use project::Project;
pub use reason::{Reason, SkipReason};
pub use remote::{RemoteField, RemoteProject, RemoteTask, RemoteValue, RemoteVersion};
pub use remote_fields::RemoteFields;
pub use run::{Counts, ItemOutcome, Run, RunCounts, RunReport, RunRequest, RunState, Scope, Trigger};
pub use settings::{
    ConflictPolicy, ConnectionOptions, ConnectionSettings, DeletionPolicy, GuardLimit, GuardLimits, MatchPolicy,
    ProjectPolicy, SyncFrequency,
};
pub(crate) use status::named_enum;
pub use status::{Priority, Status, UnknownName};
pub use task::Task;
pub use task_entry::TaskEntry;
pub use value::{Value, WrongValueType};

/// An instant in UTC. Calendar dates never pass through it.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
