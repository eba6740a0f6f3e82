//! A gate at which calls wait, so that a test decides what happens first and need not guess how long things take.

use std::sync::Arc;

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, Default)]
struct State {
    open: bool,
    held: usize,
}

/// A gate at which calls wait until it is opened. Clones are the same gate; it is closed at first.
#[derive(Debug, Clone)]
pub struct Gate {
    state: Arc<watch::Sender<State>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            state: Arc::new(watch::Sender::new(State::default())),
        }
    }
}

impl Gate {
    /// Lets all calls pass, those that wait and those to come.
    pub fn open(&self) {
        self.state.send_modify(|state| state.open = true);
    }

    /// Waits until this many calls have come to the closed gate since it was made.
    pub async fn reached(&self, calls: usize) {
        // This gate holds the sender, so the wait ends only with what is waited for.
        let mut state = self.state.subscribe();
        let _state = state.wait_for(|state| state.held >= calls).await;
    }

    pub(crate) async fn pass(&self) {
        let mut state = self.state.subscribe();
        self.state.send_if_modified(|state| {
            state.held += usize::from(!state.open);
            !state.open
        });
        let _state = state.wait_for(|state| state.open).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_wait_until_the_gate_is_opened() {
        let gate = Gate::default();
        let call = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        gate.reached(1).await;
        assert!(!call.is_finished());
        gate.open();
        call.await.unwrap();
        gate.pass().await;
    }
}
