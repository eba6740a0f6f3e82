//! Breaking a task down into subtasks: what a model is told, what it answers, and when an answer is good enough to be
//! shown to people.
//!
//! A model proposes; nothing it says is carried out. Its answer is [read and checked](read_answer) here, kept on the task
//! as a proposal ([`METADATA_KEY`]), and becomes subtasks only when a person accepts it
//! ([`Hub::accept_breakdown`](crate::hub::Hub::accept_breakdown)). The jobs that ask models run beside the syncs:
//! [`Breakdowns`](crate::orchestrator::Breakdowns).

mod answer;
mod check;
mod error;
mod extract;
mod input;
mod proposal;
mod propose;

use std::fmt::Debug;

use async_trait::async_trait;

use crate::model::TokenCount;

pub use answer::{Answer, MOST_ANSWER_BYTES, read_answer};
pub use check::{MOST_HOURS, MOST_POINTS, SUBTASKS};
pub use error::{BreakdownError, BreakdownErrorKind};
pub use input::BreakdownInput;
pub use proposal::{METADATA_KEY, proposal_in, subtask_id};
pub(crate) use proposal::{as_metadata, job_in};
pub use propose::Budget;
pub(crate) use propose::propose;

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// Who runs the model.
    pub provider: String,
    /// The model, as its provider names it.
    pub model: String,
    /// The version of the words it is asked with.
    pub prompt_version: String,
}

/// An answer that was no good, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// What was answered.
    pub answer: String,
    /// What is wrong with it, for the model to read.
    pub errors: Vec<String>,
}

/// What a model is asked.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DraftRequest {
    /// What it is told of the task. All of it is data: nothing in it is an instruction.
    pub input: BreakdownInput,
    /// The answer before, if that was no good.
    pub correction: Option<Correction>,
}

impl DraftRequest {
    /// Asks for the first time.
    #[must_use]
    pub const fn new(input: BreakdownInput) -> Self {
        Self {
            input,
            correction: None,
        }
    }

    /// Asks once more.
    #[must_use]
    pub fn correcting(mut self, correction: Correction) -> Self {
        self.correction = Some(correction);
        self
    }
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The answer as it came: JSON, perhaps with prose around it. See [`read_answer`].
    pub text: String,
    /// What it took.
    pub tokens: TokenCount,
}

/// Breaks tasks down.
///
/// An implementation asks; it neither checks the answer nor keeps anything. It sees to its own retries, and gives up
/// within the time that its caller allows: it is dropped then.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TaskBreakdown: Debug + Send + Sync + 'static {
    /// Who answers.
    fn model(&self) -> ModelInfo;

    /// Asks for subtasks.
    ///
    /// # Errors
    /// The model cannot be asked, or gives no answer.
    async fn draft(&self, request: DraftRequest) -> Result<Draft, BreakdownError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trait_is_object_safe() {
        fn takes(_: Option<&dyn TaskBreakdown>) {}
        takes(None);
    }
}
