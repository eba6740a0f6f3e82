//! Tells what happens to breakdowns.

use tokio::sync::{broadcast, mpsc};

use crate::event::{BreakdownNews, Event};
use crate::model::{BreakdownJob, BreakdownState};

/// How much is told of why there is no proposal: what goes to other processes must be short.
const MOST_WORDS: usize = 500;

/// Tells those who listen in this process, and those in others. By default there is nobody.
#[derive(Debug, Clone, Default)]
pub(in crate::orchestrator) struct Teller {
    pub(in crate::orchestrator) here: Option<broadcast::Sender<Event>>,
    pub(in crate::orchestrator) elsewhere: Option<mpsc::UnboundedSender<Event>>,
}

impl Teller {
    /// Tells the state that a job came to.
    pub(super) fn tell_state(&self, job: &BreakdownJob) {
        self.tell(
            job,
            match job.state {
                BreakdownState::Queued => BreakdownNews::Queued,
                BreakdownState::Running => BreakdownNews::Started,
                BreakdownState::Completed => BreakdownNews::Completed,
                BreakdownState::Failed => BreakdownNews::Failed,
                BreakdownState::Cancelled => BreakdownNews::Cancelled,
                BreakdownState::Interrupted => BreakdownNews::Interrupted,
            },
        );
    }

    pub(super) fn tell(&self, job: &BreakdownJob, news: BreakdownNews) {
        let event = Event::Breakdown {
            job_id: job.id,
            task_id: job.task_id,
            news,
            message: job
                .error_message
                .as_deref()
                .map(|words| words.chars().take(MOST_WORDS).collect()),
        };
        if let Some(elsewhere) = &self.elsewhere {
            // It is closed only when nobody is left to pass it on.
            elsewhere.send(event.clone()).unwrap_or_default();
        }
        if let Some(here) = &self.here {
            // Nobody listens: nobody misses it.
            let _listeners = here.send(event).unwrap_or_default();
        }
    }
}
