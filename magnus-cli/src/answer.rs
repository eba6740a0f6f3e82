//! What a command has to say: for people and for programs.

use serde::Serialize;
use serde_json::Value;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::plain;

/// What a command has to say.
#[derive(Debug)]
pub(crate) struct Answer {
    text: String,
    json: Value,
    exit: Exit,
}

impl Answer {
    /// The same in words and as data.
    pub(crate) fn new(text: impl Into<String>, data: &impl Serialize) -> Result<Self, Failure> {
        let json = serde_json::to_value(data)
            .map_err(|error| Failure::usage(format!("the answer cannot be written as JSON: {error}")))?;
        Ok(Self {
            text: text.into(),
            json,
            exit: Exit::Done,
        })
    }

    /// Ends with this code.
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// What is said to people.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn print(self, json: bool) -> Exit {
        if json {
            plain::to_stdout(&format!("{:#}", self.json));
        } else if !self.text.is_empty() {
            plain::to_stdout(self.text.trim_end());
        }
        self.exit
    }
}
