//! A task that a language model breaks down into subtasks, and the job that does it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::status::named_enum;
use super::{BreakdownId, Priority, TaskId, Timestamp};

named_enum! {
    /// The state of a breakdown. `completed`, `failed` and `cancelled` are final.
    BreakdownState, "breakdown state", {
        /// Waits for its turn.
        Queued = "queued",
        /// The model is asked.
        Running = "running",
        /// There is a proposal.
        Completed = "completed",
        /// There is none, and the message says why.
        Failed = "failed",
        /// Stopped by request.
        Cancelled = "cancelled",
        /// Its process died or was shut down; it is tried again.
        Interrupted = "interrupted",
    }
}

impl BreakdownState {
    /// Whether the state will not change any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// A subtask that is proposed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProposedSubtask {
    /// Its title, which begins with a verb.
    pub title: String,
    /// What is to be done, in Markdown.
    pub description: String,
    /// Estimated work in hours.
    pub estimated_hours: f64,
    /// How pressing it is.
    pub priority: Priority,
    /// The subtasks that come before it, by their place in the proposal. They form no circle.
    pub depends_on: Vec<usize>,
}

/// What a model took in and gave out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCount {
    /// Tokens of what was asked.
    pub input: u64,
    /// Tokens of what was answered.
    pub output: u64,
}

impl TokenCount {
    /// Both together.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// With those of another exchange.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
        }
    }
}

/// Where a proposal came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The model, as its provider names it.
    pub model: String,
    /// Who runs the model.
    pub provider: String,
    /// The version of the words that the model was asked with.
    pub prompt_version: String,
    /// The SHA-256 of what the model was told of the task: another one now means that the task changed since.
    pub content_hash: String,
    /// What it took.
    pub tokens: TokenCount,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// When it was made.
    pub at: Timestamp,
}

/// A proposal: a task broken down into subtasks, validated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breakdown {
    /// The subtasks, 3 to 7.
    pub subtasks: Vec<ProposedSubtask>,
    /// The estimates added up, in hours.
    pub total_estimate: f64,
    /// Story points for the task as a whole.
    pub suggested_sprint_points: u32,
    /// What else the model had to say.
    pub notes: String,
    /// Where it came from.
    pub provenance: Provenance,
}

/// A breakdown that was asked for, as the store holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakdownJob {
    /// Its id.
    pub id: BreakdownId,
    /// The task that is broken down.
    pub task_id: TaskId,
    /// Where it stands.
    pub state: BreakdownState,
    /// Whether somebody asked to cancel it.
    pub cancel_requested: bool,
    /// How often a process began it.
    pub attempts: u32,
    /// The process that carries it out.
    pub holder: Option<String>,
    /// The proposal, once it is completed.
    pub breakdown: Option<Breakdown>,
    /// Why it failed, in words for people.
    pub error_message: Option<String>,
    /// What the model answered, cut short, if that was the trouble.
    pub raw: Option<String>,
    /// When a person turned the proposal down.
    pub discarded_at: Option<Timestamp>,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// When it was last begun.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

impl BreakdownJob {
    /// A job that waits for its turn.
    #[must_use]
    pub fn queued(task_id: TaskId, now: Timestamp) -> Self {
        Self {
            id: BreakdownId::generate(),
            task_id,
            state: BreakdownState::Queued,
            cancel_requested: false,
            attempts: 0,
            holder: None,
            breakdown: None,
            error_message: None,
            raw: None,
            discarded_at: None,
            queued_at: now,
            started_at: None,
            completed_at: None,
        }
    }
}
