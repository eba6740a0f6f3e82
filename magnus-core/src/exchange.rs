//! Carries events among the processes on one hub, so that each can tell of runs that go on in another.
//!
//! What is so stands in the run log; an exchange only saves the waiting until somebody looks. What is lost on the way is found
//! by looking, a little later.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::broadcast;

use crate::event::Event;
use crate::store::StoreError;

/// One process's end of an exchange of events. See the [module](self) documentation.
#[async_trait]
pub trait EventExchange: Debug + Send + Sync + 'static {
    /// Tells all other processes, in this order. Long messages may be cut short on the way.
    ///
    /// # Errors
    /// Whatever keeps the events from being told; they are then lost.
    async fn tell(&self, events: Vec<Event>) -> Result<(), StoreError>;

    /// What other processes tell from now on, until the stream is dropped. It ends when it cannot go on; then listen anew, and
    /// look at what may have been missed. A listener that falls far behind misses some.
    ///
    /// # Errors
    /// Whatever keeps this process from listening.
    async fn listen(&self) -> Result<BoxStream<'static, Event>, StoreError>;
}

/// Events that a slow listener may fall behind before it misses some.
const EVENTS_KEPT: usize = 1024;

/// An exchange among several orchestrators in one process, for programs that have several, and for tests.
#[derive(Debug)]
pub struct LocalExchange {
    end: usize,
    ends: Arc<AtomicUsize>,
    told: broadcast::Sender<(usize, Event)>,
}

impl LocalExchange {
    /// A new exchange with one end.
    #[must_use]
    pub fn new() -> Self {
        Self {
            end: 0,
            ends: Arc::new(AtomicUsize::new(1)),
            told: broadcast::channel(EVENTS_KEPT).0,
        }
    }

    /// A further end of the same exchange.
    #[must_use]
    pub fn another_end(&self) -> Self {
        Self {
            end: self.ends.fetch_add(1, Ordering::Relaxed),
            ends: Arc::clone(&self.ends),
            told: self.told.clone(),
        }
    }
}

impl Default for LocalExchange {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl EventExchange for LocalExchange {
    async fn tell(&self, events: Vec<Event>) -> Result<(), StoreError> {
        for event in events {
            // Nobody listens: nobody misses it.
            let _listeners = self.told.send((self.end, event)).unwrap_or_default();
        }
        Ok(())
    }

    async fn listen(&self) -> Result<BoxStream<'static, Event>, StoreError> {
        let me = self.end;
        let heard = futures::stream::unfold(self.told.subscribe(), move |mut told| async move {
            loop {
                match told.recv().await {
                    Ok((end, event)) if end != me => return Some((event, told)),
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        Ok(heard.boxed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trait_is_object_safe() {
        fn takes(_: Option<&dyn EventExchange>) {}
        takes(None);
    }
}
