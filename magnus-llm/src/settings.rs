//! Which model, and where.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Who runs the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// Anthropic.
    Anthropic,
    /// OpenAI.
    OpenAi,
    /// A server that speaks like OpenAI, at an address of its own; it may need no key.
    Compatible,
}

/// A provider that is none of the known ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownProvider(String);

impl fmt::Display for UnknownProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown provider {:?}; known are: anthropic, openai, compatible",
            self.0
        )
    }
}

impl std::error::Error for UnknownProvider {}

impl Provider {
    /// Its name, as in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Compatible => "compatible",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "anthropic" => Ok(Self::Anthropic),
            "openai" => Ok(Self::OpenAi),
            "compatible" => Ok(Self::Compatible),
            _ => Err(UnknownProvider(text.to_owned())),
        }
    }
}

/// Which model, and how it is asked. Made with [`ModelSettings::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelSettings {
    /// Who runs it.
    pub provider: Provider,
    /// Its name there.
    pub model: String,
    /// The address of the API, up to its version: `http://127.0.0.1:11434/v1`. Needed for a compatible server only.
    pub base_url: Option<String>,
    /// Whether structured output is asked for.
    pub structured: bool,
    /// The most tokens of one answer, thoughts included.
    pub most_output_tokens: u32,
    /// How long a server may be silent before a try is given up.
    pub silence: Duration,
}

impl ModelSettings {
    /// This model, with structured output.
    #[must_use]
    pub fn new(provider: Provider, model: impl Into<String>) -> Self {
        Self {
            provider,
            model: model.into(),
            base_url: None,
            structured: true,
            most_output_tokens: 8192,
            silence: Duration::from_secs(60),
        }
    }

    /// At this address.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Whether structured output is asked for.
    #[must_use]
    pub const fn structured(mut self, structured: bool) -> Self {
        self.structured = structured;
        self
    }

    /// The most tokens of one answer.
    #[must_use]
    pub const fn most_output_tokens(mut self, tokens: u32) -> Self {
        self.most_output_tokens = tokens;
        self
    }

    /// How long a server may be silent.
    #[must_use]
    pub const fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }
}
