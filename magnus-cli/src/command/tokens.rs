//! `magnus tokens`: who may ask the service for what.

use clap::Subcommand;
use magnus_core::model::{AccessScope, AccessToken, TokenId, UnknownName};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a token; it is shown once, and only its hash is kept
    Create {
        /// What it is for
        name: String,
        /// What it allows: read, sync (start runs, edit tasks, settle conflicts) or admin (connections, too)
        #[arg(long, value_parser = scope)]
        scope: AccessScope,
    },
    /// List the tokens
    List,
    /// Revoke a token
    Revoke {
        /// Its name or id
        token: String,
    },
}

fn scope(text: &str) -> Result<AccessScope, String> {
    text.parse().map_err(|error: UnknownName| error.to_string())
}

pub(crate) async fn run(house: &House, command: Command) -> Result<Answer, Failure> {
    match command {
        Command::Create { name, scope } => create(house, name.trim(), scope).await,
        Command::List => list(house).await,
        Command::Revoke { token } => revoke(house, &token).await,
    }
}

async fn create(house: &House, name: &str, scope: AccessScope) -> Result<Answer, Failure> {
    if name.is_empty() {
        return Err(Failure::usage("a token needs a name that says what it is for"));
    }
    let secret = magnus_http::new_token()
        .map_err(|error| Failure::usage(format!("there are no random numbers for a new token: {error}")))?;
    let token = AccessToken {
        id: TokenId::generate(),
        name: name.to_owned(),
        scope,
        hash: magnus_http::token_hash(&secret),
        created_at: chrono::Utc::now(),
    };
    house.service().add_token(token.clone()).await?;
    let shown = secret.expose_secret();
    let text = format!(
        "{shown}\nthis is token {name:?} with the scope {scope}; it is not shown again. Send it as\n  \
         authorization: Bearer {shown}"
    );
    Answer::new(
        text,
        &json!({ "token": shown, "id": token.id, "name": name, "scope": scope }),
    )
}

async fn list(house: &House) -> Result<Answer, Failure> {
    let tokens = house.service().tokens().await?;
    let lines: Vec<String> = tokens
        .iter()
        .map(|token| {
            let made = token.created_at.format("%Y-%m-%d %H:%M");
            format!("{}  {:<5}  {made}  {}", token.id, token.scope, token.name)
        })
        .collect();
    let text = if lines.is_empty() {
        "there are no tokens; make one with `magnus tokens create NAME --scope read`".to_owned()
    } else {
        lines.join("\n")
    };
    let data: Vec<_> = tokens
        .iter()
        .map(
            |token| json!({ "id": token.id, "name": token.name, "scope": token.scope, "created_at": token.created_at }),
        )
        .collect();
    Answer::new(text, &json!({ "tokens": data }))
}

async fn revoke(house: &House, wanted: &str) -> Result<Answer, Failure> {
    let store = house.service();
    let tokens = store.tokens().await?;
    let found = tokens
        .iter()
        .find(|token| token.name == wanted || token.id.to_string() == wanted);
    let Some(token) = found else {
        return Err(Failure::usage(format!(
            "there is no token {wanted:?}; see `magnus tokens list`"
        )));
    };
    store.delete_token(token.id).await?;
    Answer::new(
        format!("token {:?} is revoked", token.name),
        &json!({ "revoked": token.id }),
    )
}
