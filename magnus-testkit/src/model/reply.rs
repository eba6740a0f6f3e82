//! What the script of a fake model may say.

use std::time::Duration;

use axum::response::Response;
use serde_json::json;

use super::Asked;
use super::answer::{good_answer, title_in};
use super::wire::{Body, Wire};
use crate::sim::Gate;

/// What a fake model answers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// A good answer.
    Good,
    /// A good answer in a fence, with prose around it.
    Fenced,
    /// This text.
    Text(String),
    /// A text that begins as JSON and does not end as such.
    BadJson,
    /// JSON of another shape.
    WrongShape,
    /// Subtasks that depend on each other in a circle.
    Circle,
    /// What a model says that was taken in by instructions in the task: more than was asked for, to be carried out.
    Obedient,
    /// Text without end.
    Endless,
    /// A refusal with this status.
    Status(u16),
    /// 429, with the wish to be left alone for this many seconds.
    ComeBackAfter(u64),
    /// An error in the middle of an answer, as an overloaded server sends it.
    BreaksDown,
    /// The connection ends in the middle of an answer.
    BreaksOff,
    /// A good answer once the gate is opened.
    AtGate,
    /// No answer ever.
    Hangs,
    /// A good answer letter by letter, with a pause after each piece.
    Slow(Duration),
    /// An answer that was cut off because it took too many tokens.
    CutOff,
}

impl Reply {
    pub(super) async fn give(self, wire: Wire, asked: &Asked, gate: &Gate) -> Response {
        let text = |text: String| wire.answer(asked, Body::whole(text));
        let good = || good_answer(&title_in(&asked.text()));
        match self {
            Self::Good => text(good().to_string()),
            Self::Fenced => text(format!(
                "Gladly! Here is a plan:\n\n```json\n{:#}\n```\n\nGood luck.",
                good()
            )),
            Self::Text(words) => text(words),
            Self::BadJson => text("{\"subtasks\": [{\"title\": \"Dig".to_owned()),
            Self::WrongShape => text(json!({ "steps": ["dig", "sow"], "confidence": 0.9 }).to_string()),
            Self::Circle => {
                let mut answer = good();
                answer["subtasks"][0]["depends_on"] = json!([2]);
                text(answer.to_string())
            }
            Self::Obedient => {
                let mut answer = good();
                answer["tool_calls"] = json!([{ "name": "delete_all_tasks", "arguments": {} }]);
                answer["subtasks"][0]["assignee"] = json!("attacker@example.org");
                text(answer.to_string())
            }
            Self::Endless => wire.answer(asked, Body::Endless),
            Self::Status(status) => wire.refusal(status, None),
            Self::ComeBackAfter(seconds) => wire.refusal(429, Some(seconds)),
            Self::BreaksDown => wire.answer(asked, Body::BreaksDown),
            Self::BreaksOff => wire.answer(asked, Body::BreaksOff),
            Self::AtGate => {
                gate.pass().await;
                text(good().to_string())
            }
            Self::Hangs => std::future::pending().await,
            Self::Slow(pause) => wire.answer(asked, Body::Slow(good().to_string(), pause)),
            Self::CutOff => wire.answer(asked, Body::CutOff(good().to_string())),
        }
    }
}
