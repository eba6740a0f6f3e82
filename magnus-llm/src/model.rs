//! A language model that breaks tasks down.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use genai::Client;
use genai::chat::{ChatOptions, ChatRequest, ChatStreamEvent, JsonSpec, StopReason, StreamEnd};
use magnus_core::breakdown::{
    BreakdownError, BreakdownErrorKind as Kind, Draft, DraftRequest, MOST_ANSWER_BYTES, ModelInfo, TaskBreakdown,
};
use magnus_core::model::{ConnectionId, TokenCount};
use magnus_core::secret::SecretStore;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::failure::{explain, failed};
use crate::retry::{Retries, patiently};
use crate::settings::{ModelSettings, Provider};
use crate::{client, prompt, schema};

/// The most bytes of thoughts that come before an answer.
const MOST_THOUGHTS: usize = 1024 * 1024;

/// What waits between two tries.
type Pause = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// A language model that breaks tasks down. Clones share one client.
#[derive(Clone)]
pub struct LanguageModel {
    settings: ModelSettings,
    address: Url,
    client: Client,
    secrets: Arc<dyn SecretStore>,
    key: ConnectionId,
    retries: Retries,
    pause: Pause,
}

impl LanguageModel {
    /// The model of these settings, with the key that lies in `secrets` under `key`; a compatible server may need none.
    ///
    /// # Errors
    /// `Invalid` if the address makes no sense or no model is named.
    pub fn new(
        settings: ModelSettings,
        secrets: Arc<dyn SecretStore>,
        key: ConnectionId,
    ) -> Result<Self, BreakdownError> {
        if settings.model.trim().is_empty() {
            return Err(failed(Kind::Invalid, "no model is named"));
        }
        let address = client::address(&settings)?;
        Ok(Self {
            client: client::client(&address)?,
            settings,
            address,
            secrets,
            key,
            retries: Retries::default(),
            pause: Arc::new(|wait| Box::pin(tokio::time::sleep(wait))),
        })
    }

    /// How often it is asked again.
    #[must_use]
    pub const fn retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// Waits between two tries like this, in place of sleeping: for tests.
    #[must_use]
    pub fn pausing(mut self, pause: impl Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        self.pause = Arc::new(pause);
        self
    }

    async fn secret(&self) -> Result<Option<SecretString>, BreakdownError> {
        let secret =
            self.secrets.get(self.key).await.map_err(|error| {
                failed(Kind::NotConfigured, "the key of the model cannot be read").with_source(error)
            })?;
        let secret = secret.filter(|secret| !secret.expose_secret().trim().is_empty());
        if secret.is_none() && self.settings.provider != Provider::Compatible {
            let message = format!("there is no key for {}; set MAGNUS_AI_KEY", self.settings.provider);
            return Err(failed(Kind::NotConfigured, message));
        }
        Ok(secret)
    }

    fn options(&self) -> ChatOptions {
        let options = ChatOptions::default()
            .with_max_tokens(self.settings.most_output_tokens)
            .with_capture_usage(true)
            .with_stream_header_timeout(self.settings.silence)
            .with_stream_read_timeout(self.settings.silence);
        if self.settings.structured {
            options.with_response_format(JsonSpec::new("task_breakdown", schema::answer()))
        } else {
            options
        }
    }

    /// Asks once, and reads the answer as it comes.
    async fn ask(&self, request: ChatRequest, key: Option<&SecretString>) -> Result<Draft, BreakdownError> {
        let key = key.map(|key| key.expose_secret().trim());
        let target = client::target(&self.settings, &self.address, key);
        let told = |error: &genai::Error| explain(error, key.unwrap_or_default());
        let options = self.options();
        let answer = self.client.exec_chat_stream(target, request, Some(&options)).await;
        let mut events = answer.map_err(|error| told(&error))?.stream;
        let mut text = String::new();
        let mut thoughts = 0;
        while let Some(event) = events.next().await {
            match event.map_err(|error| told(&error))? {
                ChatStreamEvent::Chunk(chunk) => text.push_str(&chunk.content),
                ChatStreamEvent::ReasoningChunk(chunk) => thoughts += chunk.content.len(),
                ChatStreamEvent::End(end) => return self.ended(text, &end),
                _ => {}
            }
            if text.len() > MOST_ANSWER_BYTES || thoughts > MOST_THOUGHTS {
                let message = format!("the model's answer is longer than {MOST_ANSWER_BYTES} bytes");
                return Err(failed(Kind::BadAnswer, message).with_raw(text));
            }
        }
        Err(failed(Kind::Unavailable, "the server's answer broke off"))
    }

    fn ended(&self, text: String, end: &StreamEnd) -> Result<Draft, BreakdownError> {
        match &end.captured_stop_reason {
            Some(StopReason::MaxTokens(_)) => {
                let most = self.settings.most_output_tokens;
                let message = format!("the model's answer was cut off after {most} tokens; allow it more");
                Err(failed(Kind::OverBudget, message).with_raw(text))
            }
            Some(StopReason::ContentFilter(_)) => {
                Err(failed(Kind::Rejected, "the provider's filter stopped the answer").with_raw(text))
            }
            _ => Ok(Draft {
                tokens: tokens(&text, end),
                text,
            }),
        }
    }
}

/// What it took. Where the server does not say, it is guessed: four bytes are about a token.
fn tokens(text: &str, end: &StreamEnd) -> TokenCount {
    let usage = end.captured_usage.as_ref();
    let count = |number: Option<i32>| number.and_then(|number| u64::try_from(number).ok());
    let guessed = || u64::try_from(text.len() / 4).unwrap_or(u64::MAX);
    TokenCount {
        input: usage.and_then(|usage| count(usage.prompt_tokens)).unwrap_or_default(),
        output: usage
            .and_then(|usage| count(usage.completion_tokens))
            .unwrap_or_else(guessed),
    }
}

impl fmt::Debug for LanguageModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LanguageModel")
            .field("settings", &self.settings)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TaskBreakdown for LanguageModel {
    fn model(&self) -> ModelInfo {
        ModelInfo {
            provider: self.settings.provider.to_string(),
            model: self.settings.model.clone(),
            prompt_version: prompt::PROMPT_VERSION.to_owned(),
        }
    }

    async fn draft(&self, request: DraftRequest) -> Result<Draft, BreakdownError> {
        let key = self.secret().await?;
        let request = prompt::request(&request, self.settings.structured)?;
        let ask = || self.ask(request.clone(), key.as_ref());
        patiently(self.retries, ask, |wait| (self.pause)(wait)).await
    }
}
