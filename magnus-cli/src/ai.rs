//! Which language model breaks tasks down, from the command line and the environment.

use std::sync::Arc;

use clap::Args;
use magnus_core::breakdown::{BreakdownError, TaskBreakdown};
use magnus_core::model::{ConnectionId, ToolName};
use magnus_core::orchestrator::{BreakdownOptions, OrchestratorBuilder};
use magnus_core::secret::EnvSecretStore;
use magnus_llm::{LanguageModel, ModelSettings, Provider};

use crate::failure::Failure;
use crate::house::House;
use crate::signals::lease_ttl;

/// The variable that holds the key.
const KEY: &str = "MAGNUS_AI_KEY";

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Language model (its key is read from MAGNUS_AI_KEY)")]
pub(crate) struct AiOptions {
    /// Who runs the model that breaks tasks down: anthropic, openai, or compatible for a server that speaks like OpenAI
    #[arg(long, env = "MAGNUS_AI_PROVIDER", value_name = "PROVIDER")]
    ai_provider: Option<String>,
    /// The model, as its provider names it
    #[arg(long, env = "MAGNUS_AI_MODEL", value_name = "MODEL")]
    ai_model: Option<String>,
    /// The address of the model's API, such as http://127.0.0.1:11434/v1; with it the provider is compatible by default
    #[arg(long, env = "MAGNUS_AI_URL", value_name = "URL")]
    ai_url: Option<String>,
    /// Whether the model is asked for structured output; false for servers that do not know it
    #[arg(
        long,
        env = "MAGNUS_AI_STRUCTURED",
        default_value_t = true,
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    ai_structured: bool,
    /// How many tasks are broken down at once
    #[arg(
        long,
        env = "MAGNUS_AI_CONCURRENCY",
        default_value_t = 2,
        value_parser = clap::value_parser!(u16).range(1..=64),
        value_name = "COUNT"
    )]
    ai_concurrency: u16,
}

impl AiOptions {
    /// The model; `None` if nothing is said of one.
    pub(crate) fn model(&self) -> Result<Option<Arc<dyn TaskBreakdown>>, Failure> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let (provider, model, url) = (given(&self.ai_provider), given(&self.ai_model), given(&self.ai_url));
        let provider = match (provider, &model, &url) {
            (None, None, None) => return Ok(None),
            (Some(name), _, _) => name
                .parse::<Provider>()
                .map_err(|error| Failure::usage(error.to_string()))?,
            (None, _, Some(_)) => Provider::Compatible,
            (None, Some(_), None) => {
                return Err(Failure::usage(
                    "it is not said who runs the model; set --ai-provider or MAGNUS_AI_PROVIDER to anthropic, openai or \
                     compatible",
                ));
            }
        };
        let model = model.ok_or_else(|| Failure::usage("no model is named; set --ai-model or MAGNUS_AI_MODEL"))?;
        let mut settings = ModelSettings::new(provider, model).structured(self.ai_structured);
        if let Some(url) = url {
            settings = settings.base_url(url);
        }
        let key = ConnectionId::generate();
        let secrets = EnvSecretStore::new().named(key, KEY);
        Ok(Some(Arc::new(LanguageModel::new(settings, Arc::new(secrets), key)?)))
    }

    /// The model, or what to do to have one.
    pub(crate) fn needed_model(&self) -> Result<Arc<dyn TaskBreakdown>, Failure> {
        Ok(self.model()?.ok_or_else(BreakdownError::not_configured)?)
    }

    /// How breakdowns are carried out.
    pub(crate) fn options(&self) -> Result<BreakdownOptions, Failure> {
        let options = BreakdownOptions::new()
            .concurrency(usize::from(self.ai_concurrency))
            .claim_ttl(lease_ttl()?);
        Ok(with_known_tools(options))
    }

    /// Breaks tasks down, if a model is configured.
    pub(crate) fn add_to(
        &self,
        orchestrator: OrchestratorBuilder,
        house: &House,
    ) -> Result<OrchestratorBuilder, Failure> {
        let Some(model) = self.model()? else {
            return Ok(orchestrator);
        };
        let info = model.model();
        tracing::info!(
            provider = info.provider,
            model = info.model,
            "tasks are broken down by a language model"
        );
        Ok(orchestrator.breakdowns(house.breakdowns(), model, self.options()?))
    }
}

/// Leantime shows subtasks of tasks, and none of subtasks.
pub(crate) fn with_known_tools(options: BreakdownOptions) -> BreakdownOptions {
    options.flat_tool(ToolName::new("leantime"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(provider: Option<&str>, model: Option<&str>, url: Option<&str>) -> AiOptions {
        AiOptions {
            ai_provider: provider.map(str::to_owned),
            ai_model: model.map(str::to_owned),
            ai_url: url.map(str::to_owned),
            ai_structured: true,
            ai_concurrency: 2,
        }
    }

    #[test]
    fn a_model_is_there_once_it_is_named_and_what_is_missing_is_said() {
        let url = Some("http://127.0.0.1:11434/v1");
        assert!(options(None, None, None).model().unwrap().is_none());
        assert!(options(Some(" "), Some(""), None).model().unwrap().is_none());
        let local = options(None, Some("qwen3:8b"), url).model().unwrap().unwrap();
        assert_eq!(local.model().provider, "compatible");
        assert!(
            options(Some("Anthropic"), Some("claude"), None)
                .model()
                .unwrap()
                .is_some()
        );
        for (options, missing) in [
            (options(Some("anthropic"), None, None), "MAGNUS_AI_MODEL"),
            (options(None, Some("gpt"), None), "MAGNUS_AI_PROVIDER"),
            (
                options(Some("skynet"), Some("t800"), None),
                "anthropic, openai, compatible",
            ),
            (options(Some("compatible"), Some("x"), None), "needs its address"),
        ] {
            let failure = options.model().unwrap_err();
            assert!(failure.is_usage() && failure.message().contains(missing), "{failure:?}");
        }
    }
}
