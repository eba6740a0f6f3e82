//! Asks a model for a proposal, and once more if the answer is no good.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::Instant;

use super::{
    BreakdownError, BreakdownErrorKind, BreakdownInput, Correction, Draft, DraftRequest, TaskBreakdown, read_answer,
};
use crate::clock::Clock;
use crate::model::{Breakdown, Provenance, TokenCount};

const OPERATION: &str = "break down";

/// How much of an answer that was no good is kept, in bytes.
const KEPT: usize = 16 * 1024;

/// How often a model is asked: once, and once more with what was wrong.
const TRIES: usize = 2;

/// What one breakdown may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The time in all.
    pub time: Duration,
    /// The tokens in all, of what is asked and what is answered.
    pub tokens: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(180),
            tokens: 50_000,
        }
    }
}

/// Asks for a proposal. The time is for the caller to keep.
pub(crate) async fn propose(
    model: &dyn TaskBreakdown,
    input: BreakdownInput,
    clock: &dyn Clock,
    budget: Budget,
) -> Result<Breakdown, BreakdownError> {
    let begun = Instant::now();
    let hash = input.content_hash();
    let existing = input.existing_subtasks.clone();
    let mut request = DraftRequest::new(input);
    let mut tokens = TokenCount::default();
    let mut last = (String::new(), Vec::new());
    for _ in 0..TRIES {
        let Draft { text, tokens: took } = draft(model, request.clone()).await?;
        tokens = tokens.plus(took);
        if tokens.total() > budget.tokens {
            let message = format!("it took {} tokens, and {} are allowed", tokens.total(), budget.tokens);
            return Err(BreakdownError::new(BreakdownErrorKind::OverBudget, OPERATION, message).with_raw(kept(&text)));
        }
        match read_answer(&text, &existing) {
            Ok(answer) => {
                let info = model.model();
                return Ok(Breakdown {
                    subtasks: answer.subtasks,
                    total_estimate: answer.total_estimate,
                    suggested_sprint_points: answer.suggested_sprint_points,
                    notes: answer.notes,
                    provenance: Provenance {
                        model: info.model,
                        provider: info.provider,
                        prompt_version: info.prompt_version,
                        content_hash: hash,
                        tokens,
                        duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
                        at: clock.now(),
                    },
                });
            }
            Err(errors) => {
                let answer = kept(&text);
                tracing::debug!(?errors, "the model's answer is no good");
                last = (answer.clone(), errors.clone());
                request = request.correcting(Correction { answer, errors });
            }
        }
    }
    let (raw, errors) = last;
    let message = format!(
        "the model's answer is no breakdown, also when asked again: {}",
        errors.join("; ")
    );
    Err(BreakdownError::new(BreakdownErrorKind::BadAnswer, OPERATION, message).with_raw(raw))
}

/// Asks, and takes a panic of whoever asks the model for what it is: the failure of this breakdown.
async fn draft(model: &dyn TaskBreakdown, request: DraftRequest) -> Result<Draft, BreakdownError> {
    match AssertUnwindSafe(model.draft(request)).catch_unwind().await {
        Ok(answer) => answer,
        Err(payload) => {
            let message = format!("a defect of the model's adapter: {}", panic_message(payload.as_ref()));
            Err(BreakdownError::new(BreakdownErrorKind::Unavailable, OPERATION, message))
        }
    }
}

/// The beginning of an answer.
fn kept(text: &str) -> String {
    if text.len() <= KEPT {
        return text.to_owned();
    }
    let at = text.floor_char_boundary(KEPT);
    format!("{}…", &text[..at])
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(no message)").to_owned()
}
