//! How a run ended: its final state, written down and told.

use std::time::Duration;

use tokio::time::sleep;

use super::registry::Ended;
use super::shared::Shared;
use crate::engine::{RunEnd, RunError, RunErrorKind};
use crate::model::{Run, RunReport, RunState};
use crate::store::{StoreError, StoreErrorKind};

/// How often the end of a run is tried to be written down.
const WRITE_TRIES: u32 = 5;

/// Why a run was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Asked,
    Shutdown,
    LeaseLost,
}

impl Stop {
    const fn state(self) -> RunState {
        match self {
            Self::Asked => RunState::Cancelled,
            Self::Shutdown | Self::LeaseLost => RunState::Interrupted,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Asked => "cancelled on request",
            Self::Shutdown => "the process was shut down",
            Self::LeaseLost => "the lease of the connection was lost to another process, or could not be prolonged",
        }
    }
}

/// How the engine let go of a run.
pub(super) enum Conclusion {
    Ended(Box<Result<RunEnd, RunError>>),
    Panicked(String),
    /// It did not stop in time and was dropped between two polls, as if the process had died.
    Dropped,
}

/// What is written down of a run that is over.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) state: RunState,
    pub(super) report: RunReport,
    /// Why it is not complete.
    pub(super) message: Option<String>,
}

/// Judges how a run ended. `counted` is what is known of a run that could not report any more.
pub(super) fn judge(conclusion: Conclusion, stop: Option<Stop>, counted: RunReport) -> Verdict {
    let ended = match conclusion {
        Conclusion::Ended(ended) => *ended,
        Conclusion::Panicked(message) => {
            let message = format!("the run panicked: {message}; a defect of Magnus or an adapter");
            return Verdict {
                state: RunState::Failed,
                report: counted,
                message: Some(message),
            };
        }
        Conclusion::Dropped => {
            let stop = stop.unwrap_or(Stop::Shutdown);
            let message = format!(
                "{}; it did not stop in time, the next run settles what was under way",
                stop.words()
            );
            return Verdict {
                state: stop.state(),
                report: counted,
                message: Some(message),
            };
        }
    };
    match ended {
        Ok(end) => judge_end(end, stop),
        Err(error) => judge_error(&error, stop),
    }
}

fn judge_end(end: RunEnd, stop: Option<Stop>) -> Verdict {
    let RunEnd { state, report, message } = end;
    match state {
        RunState::Cancelled => {
            let stop = stop.unwrap_or(Stop::Asked);
            Verdict {
                state: stop.state(),
                report,
                message: Some(stop.words().to_owned()),
            }
        }
        state if state.is_final() => Verdict { state, report, message },
        state => {
            let message = format!("the engine ended the run in the state {state}, which is no end; a defect");
            Verdict {
                state: RunState::Failed,
                report,
                message: Some(message),
            }
        }
    }
}

fn judge_error(error: &RunError, stop: Option<Stop>) -> Verdict {
    let report = error.report().clone();
    let stop = match error.kind() {
        RunErrorKind::Cancelled => Some(stop.unwrap_or(Stop::Asked)),
        RunErrorKind::LeaseLost => Some(Stop::LeaseLost),
        RunErrorKind::ShuttingDown => Some(Stop::Shutdown),
        _ => None,
    };
    match stop {
        Some(stop) => Verdict {
            state: stop.state(),
            report,
            message: Some(stop.words().to_owned()),
        },
        None => Verdict {
            state: RunState::Failed,
            report,
            message: Some(error.to_string()),
        },
    }
}

/// Writes down how a run ended, several times if need be: a run that is over must not look as if it went on.
pub(super) async fn write_down(shared: &Shared, run: &Run, verdict: Verdict) -> Result<(), StoreError> {
    let Verdict { state, report, message } = verdict;
    let mut tries = 1;
    loop {
        let error = match shared
            .store
            .finish_run(run.id, state, report.clone(), message.clone())
            .await
        {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if tries == WRITE_TRIES || error.kind() == StoreErrorKind::NotFound {
            tracing::error!(run = %run.id, %state, %error, "the end of the run could not be written down");
            return Err(error);
        }
        sleep(Duration::from_millis(100) * 2_u32.pow(tries)).await;
        tries += 1;
    }
}

/// Tells everybody how the run ended, as the log has it.
pub(super) async fn tell(shared: &Shared, run: &Run, written: Result<(), StoreError>) {
    let logged = match written {
        Ok(()) => shared.store.run(run.id).await,
        Err(error) => Err(error),
    };
    let error = match logged {
        Ok(Some(run)) => return shared.tell_end(run),
        Ok(None) => RunError::new(
            RunErrorKind::UnknownConnection,
            "the connection was deleted while it was synced",
        ),
        Err(error) if error.kind() == StoreErrorKind::NotFound => RunError::new(
            RunErrorKind::UnknownConnection,
            "the connection was deleted while it was synced",
        ),
        Err(error) => error.into(),
    };
    shared.registry.end(
        run.id,
        Ended::Unknown {
            kind: error.kind(),
            message: error.to_string(),
        },
    );
}
