//! Events among the processes on one hub, over `NOTIFY` and `LISTEN`.

use std::fmt;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::{BoxStream, unfold};
use magnus_core::event::Event;
use magnus_core::exchange::EventExchange;
use magnus_core::store::{StoreError, StoreErrorKind};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::failed;

/// The channel, which all hubs in one database share.
const CHANNEL: &str = "magnus_events";

/// The server refuses payloads of 8000 bytes and more.
const MOST_BYTES: usize = 7_900;

/// How many characters of a message are passed on if all of it does not fit.
const MESSAGE_CUT: usize = 1_000;

/// What happens to runs, told to every process on the hub through the database. As long as somebody listens, one connection of
/// the pool is taken.
#[derive(Clone)]
pub struct PostgresExchange {
    store: PostgresStore,
    origin: Uuid,
}

/// What goes over the channel.
#[derive(Debug, Serialize, Deserialize)]
struct Letter {
    /// The hub, by its schema.
    hub: String,
    /// Who tells, so that he does not hear himself.
    origin: Uuid,
    event: Event,
}

impl PostgresExchange {
    /// This process's end of the exchange of a hub.
    #[must_use]
    pub fn new(store: &PostgresStore) -> Self {
        Self {
            store: store.clone(),
            origin: Uuid::new_v4(),
        }
    }

    fn payload(&self, event: Event) -> Result<String, StoreError> {
        let mut letter = Letter {
            hub: self.store.schema_name().to_owned(),
            origin: self.origin,
            event,
        };
        let write = |letter: &Letter| {
            serde_json::to_string(letter).map_err(|error| {
                StoreError::new(StoreErrorKind::Usage, "tell events", "an event cannot be written").with_source(error)
            })
        };
        let payload = write(&letter)?;
        if payload.len() < MOST_BYTES {
            return Ok(payload);
        }
        if let Event::RunFinished { message, .. } = &mut letter.event {
            *message = message.as_ref().map(|whole| whole.chars().take(MESSAGE_CUT).collect());
        }
        write(&letter)
    }
}

impl fmt::Debug for PostgresExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresExchange")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl EventExchange for PostgresExchange {
    async fn tell(&self, events: Vec<Event>) -> Result<(), StoreError> {
        const OPERATION: &str = "tell events";
        let payloads: Vec<String> = events
            .into_iter()
            .map(|event| self.payload(event))
            .collect::<Result<_, _>>()?;
        // Nothing is stored, so nobody needs to wait for the disk.
        let mut transaction = self.store.begin(OPERATION).await?;
        sqlx::query("SET LOCAL synchronous_commit = off")
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        sqlx::query(
            "SELECT pg_notify($1, payload) FROM unnest($2::text[]) WITH ORDINALITY AS told (payload, at) ORDER BY at",
        )
        .bind(CHANNEL)
        .bind(payloads)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        transaction.commit().await.map_err(failed(OPERATION))
    }

    async fn listen(&self) -> Result<BoxStream<'static, Event>, StoreError> {
        const OPERATION: &str = "listen to events";
        let mut listener = PgListener::connect_with(self.store.pool())
            .await
            .map_err(failed(OPERATION))?;
        listener.listen(CHANNEL).await.map_err(failed(OPERATION))?;
        let me = self.clone();
        let heard = unfold(listener, move |mut listener| {
            let me = me.clone();
            async move {
                loop {
                    // `None`: the connection was lost, and with it what was told meanwhile.
                    let told = match listener.try_recv().await {
                        Ok(told) => told?,
                        Err(error) => {
                            tracing::debug!(%error, "events of other processes cannot be heard any more");
                            return None;
                        }
                    };
                    match serde_json::from_str::<Letter>(told.payload()) {
                        Ok(letter) if letter.hub == me.store.schema_name() && letter.origin != me.origin => {
                            return Some((letter.event, listener));
                        }
                        Ok(_) => {}
                        // Another version of Magnus may know events that this one does not.
                        Err(error) => tracing::debug!(%error, "an event of another process is not understood"),
                    }
                }
            }
        });
        Ok(heard.boxed())
    }
}
