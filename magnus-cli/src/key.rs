//! API keys come from the environment or from standard input, and never from the command line: other users of the
//! machine can read that, and shells remember it.

use std::io::Read;

use clap::Args;
use secrecy::SecretString;

use crate::failure::Failure;

/// Longer input is not a key.
const MOST_BYTES: u64 = 64 * 1024;

/// Where the API key comes from.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct KeySource {
    /// Take the API key from this environment variable
    #[arg(long, value_name = "VARIABLE")]
    key_env: Option<String>,
    /// Read the API key from standard input
    #[arg(long)]
    key_stdin: bool,
}

impl KeySource {
    /// The key; `None` if neither source is named.
    pub(crate) fn read(&self) -> Result<Option<SecretString>, Failure> {
        if self.key_stdin {
            return from_stdin().map(Some);
        }
        self.key_env.as_deref().map(from_environment).transpose()
    }
}

fn from_environment(variable: &str) -> Result<SecretString, Failure> {
    let is_name = variable
        .chars()
        .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_');
    if !is_name {
        // It may be the key itself: it must not be repeated.
        return Err(Failure::usage(
            "--key-env takes the name of an environment variable in capitals, such as BOARD_KEY; the key itself must \
             never stand on the command line",
        ));
    }
    match std::env::var(variable) {
        Ok(key) if !key.trim().is_empty() => Ok(key.trim().into()),
        Ok(_) => Err(Failure::usage(format!(
            "the environment variable {variable} is empty; put the API key into it"
        ))),
        Err(std::env::VarError::NotPresent) => Err(Failure::usage(format!(
            "the environment variable {variable} is not set; put the API key into it and export it"
        ))),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::usage(format!(
            "the environment variable {variable} holds no text"
        ))),
    }
}

fn from_stdin() -> Result<SecretString, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(MOST_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("the key cannot be read from standard input: {error}")))?;
    let key = text.trim();
    if key.is_empty() {
        return Err(Failure::usage("there is no key on standard input; pipe the API key in"));
    }
    Ok(key.into())
}
