//! `magnus connect`: tests a connection and keeps it if the test passes.

use clap::Args;
use magnus_core::connection::{Capabilities, Connection, FieldSupport, Identity};
use magnus_core::engine::Engine;
use magnus_core::model::{ConnectionSettings, Direction, ToolName};
use secrecy::SecretString;
use serde_json::json;

use crate::answer::Answer;
use crate::arguments;
use crate::failure::Failure;
use crate::house::House;
use crate::key::KeySource;
use crate::options;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The tool: openproject or leantime
    tool: String,
    /// Where the instance lives, such as `https://projects.example.org`
    #[arg(long)]
    url: String,
    #[command(flatten)]
    key: KeySource,
    /// What to call the connection
    #[arg(long)]
    name: String,
    /// Which way to sync: pull (tool to hub), push (hub to tool) or bidirectional
    #[arg(long, value_parser = arguments::direction, default_value = "bidirectional")]
    direction: Direction,
    /// A further setting, as for `magnus set`; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
}

pub(crate) async fn run(house: &House, arguments: Arguments) -> Result<Answer, Failure> {
    let mut settings = ConnectionSettings::new(
        ToolName::new(&arguments.tool),
        arguments.name.trim(),
        arguments.url.trim(),
        chrono::Utc::now(),
    );
    settings.direction = arguments.direction;
    for assignment in &arguments.config {
        options::assign(&mut settings, assignment)?;
    }
    refuse_taken_name(house, &settings.name).await?;
    let key = arguments
        .key
        .read()?
        .ok_or_else(|| Failure::usage("the API key is missing: give --key-env VARIABLE or --key-stdin"))?;
    let tested = test(&house.probe()?, &settings, key.clone()).await?;
    let saved = house
        .hub
        .add_connection(settings, key, house.secrets()?.as_ref())
        .await?;
    let text = format!(
        "connected {:?} to {} as {}{}\n{}\nnext: `magnus map --all`, then `magnus plan` and `magnus sync`",
        saved.name,
        saved.tool,
        tested.identity.name,
        tested.version(),
        tested.abilities(),
    );
    let data = json!({
        "status": "connected",
        "connection": saved,
        "identity": tested.identity,
        "capabilities": tested.capabilities,
    });
    Answer::new(text, &data)
}

async fn refuse_taken_name(house: &House, name: &str) -> Result<(), Failure> {
    if name.is_empty() {
        return Err(Failure::usage("a connection needs a name: give --name"));
    }
    let taken = house.store.connections().await?.iter().any(|other| other.name == name);
    if taken {
        return Err(Failure::usage(format!(
            "there is a connection {name:?} already; choose another name, or remove it with `magnus disconnect`"
        )));
    }
    Ok(())
}

/// What a test of a connection found out.
pub(crate) struct Tested {
    pub(crate) identity: Identity,
    pub(crate) capabilities: Capabilities,
}

/// Opens a connection and asks the tool who we are.
pub(crate) async fn test(engine: &Engine, settings: &ConnectionSettings, key: SecretString) -> Result<Tested, Failure> {
    let connection: std::sync::Arc<dyn Connection> = engine
        .connect(settings.clone(), key)
        .await
        .map_err(|error| Failure::from(error).about(&settings.name))?;
    let identity = connection
        .check()
        .await
        .map_err(|error| Failure::from(error).about(&settings.name))?;
    Ok(Tested {
        identity,
        capabilities: connection.capabilities(),
    })
}

impl Tested {
    pub(crate) fn version(&self) -> String {
        self.identity
            .version
            .as_ref()
            .map(|version| format!(" (version {version})"))
            .unwrap_or_default()
    }

    /// What may be done, in words.
    fn abilities(&self) -> String {
        let with = |support: FieldSupport| {
            let fields = self.capabilities.fields.iter().filter(|(_, has)| **has == support);
            fields
                .map(|(field, _)| field.to_string())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut lines = vec![format!("  reads and writes: {}", with(FieldSupport::ReadWrite))];
        let computed = with(FieldSupport::ReadOnly);
        if !computed.is_empty() {
            lines.push(format!("  only reads: {computed}"));
        }
        if self.capabilities.writes_notify {
            lines.push("  writes notify people, and the tool cannot be told not to".to_owned());
        }
        lines.extend(self.identity.notes.iter().map(|note| format!("  {note}")));
        lines.join("\n")
    }
}
