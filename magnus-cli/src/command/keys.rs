//! `magnus keys`: the key that seals all others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use magnus_core::model::ConnectionId;
use magnus_core::secret::SecretStore;
use magnus_seal::{MasterKey, SealedSecretStore};
use secrecy::SecretString;
use serde_json::json;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;

/// Where the new key stands if the old one is not in a file.
const NEW_KEY: &str = "MAGNUS_NEW_MASTER_KEY";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Seal every secret anew under a new master key; stop `magnus serve` before
    #[command(after_help = "\
If the master key is in its file, a new one is made and takes its place. If it is in MAGNUS_MASTER_KEY, put the new one
into MAGNUS_NEW_MASTER_KEY, and afterwards into MAGNUS_MASTER_KEY. If it is cut short, run it again: it goes on.")]
    Rotate,
}

pub(crate) async fn run(house: &House, command: Command) -> Result<Answer, Failure> {
    let Command::Rotate = command;
    let old = house.master_key()?;
    let in_environment = std::env::var_os(MasterKey::VARIABLE).is_some();
    let (new, draft) = if in_environment {
        (new_from_environment()?, None)
    } else {
        let file = draft_of(&house.key_file()?);
        (MasterKey::from_file(&file)?, Some(file))
    };
    let mut sealed = 0;
    for settings in house.store.connections().await? {
        for (from, to) in [
            (api_keys(house, &old), api_keys(house, &new)),
            (webhooks(house, &old), webhooks(house, &new)),
        ] {
            sealed += u32::from(reseal(settings.id, &from, &to).await?);
        }
    }
    let place = match draft {
        None => format!("put the new key from {NEW_KEY} into {} now", MasterKey::VARIABLE),
        Some(draft) => {
            let file = house.key_file()?;
            let kept = keep_old(&file, chrono::Utc::now())?;
            take_place(&draft, &file)?;
            format!(
                "the new key lies in {}; the old one is kept in {} for other hubs that use it, delete it if there are none",
                file.display(),
                kept.display()
            )
        }
    };
    let text = format!("{sealed} secrets are sealed anew; {place}, and start `magnus serve` again");
    Answer::new(text, &json!({ "sealed": sealed }))
}

fn api_keys(house: &House, key: &MasterKey) -> SealedSecretStore {
    SealedSecretStore::new(Arc::clone(&house.store), key)
}

fn webhooks(house: &House, key: &MasterKey) -> SealedSecretStore {
    SealedSecretStore::for_webhooks(Arc::clone(&house.store), key)
}

/// Seals one secret anew; `false` if there is none. One that opens with the new key was done before.
async fn reseal(connection: ConnectionId, from: &SealedSecretStore, to: &SealedSecretStore) -> Result<bool, Failure> {
    if let Ok(secret) = to.get(connection).await {
        return Ok(secret.is_some());
    }
    let Some(secret) = from.get(connection).await? else {
        return Ok(false);
    };
    to.put(connection, secret).await?;
    Ok(true)
}

fn new_from_environment() -> Result<MasterKey, Failure> {
    let text = std::env::var(NEW_KEY).map_err(|_| {
        Failure::usage(format!(
            "the master key is in {}; put the new one into {NEW_KEY}: 32 random bytes in base64",
            MasterKey::VARIABLE
        ))
    })?;
    Ok(MasterKey::from_base64(&SecretString::from(text), NEW_KEY)?)
}

fn draft_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Keeps the old key under another name: hubs on a server share the file of their user.
fn keep_old(file: &Path, now: chrono::DateTime<chrono::Utc>) -> Result<PathBuf, Failure> {
    let mut name = file.as_os_str().to_owned();
    name.push(now.format(".%Y%m%dT%H%M%S%.3fZ.old").to_string());
    let kept = PathBuf::from(name);
    // Never moved away: without a key in its place the next process would make a new one.
    let linked = std::fs::hard_link(file, &kept).or_else(|_| std::fs::copy(file, &kept).map(drop));
    match linked {
        Ok(()) => Ok(kept),
        Err(error) => Err(Failure::unreachable(format!(
            "the key in {} cannot be kept as {}: {error}; nothing is lost, run it again",
            file.display(),
            kept.display()
        ))),
    }
}

fn take_place(draft: &Path, file: &Path) -> Result<(), Failure> {
    std::fs::rename(draft, file).map_err(|error| {
        Failure::unreachable(format!(
            "the secrets are sealed under the key in {}, but it cannot take the place of {}: {error}; move it there",
            draft.display(),
            file.display()
        ))
    })
}
