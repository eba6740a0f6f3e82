//! How OpenAI and Anthropic put an answer on the wire: whole, or in pieces as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::Body as HttpBody;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, Stream};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::Asked;

/// Whose format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    OpenAi,
    Anthropic,
}

/// What is answered.
#[derive(Debug)]
pub(super) enum Body {
    Whole(String),
    Slow(String, Duration),
    CutOff(String),
    Endless,
    BreaksDown,
    BreaksOff,
}

impl Body {
    pub(super) const fn whole(text: String) -> Self {
        Self::Whole(text)
    }
}

/// How many characters a piece holds.
const PIECE: usize = 40;

impl Wire {
    pub(super) fn refusal(self, status: u16, retry_after: Option<u64>) -> Response {
        let message = format!("refused with {status} by the script");
        let body = match self {
            Self::OpenAi => json!({ "error": { "message": message, "type": "scripted", "code": null } }),
            Self::Anthropic => json!({ "type": "error", "error": { "type": "scripted", "message": message } }),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    pub(super) fn answer(self, asked: &Asked, body: Body) -> Response {
        if asked.body["stream"] == true {
            return self.streamed(body);
        }
        let text = match body {
            Body::Whole(text) | Body::Slow(text, _) | Body::CutOff(text) => text,
            Body::Endless => "x".repeat(1024 * 1024),
            Body::BreaksDown | Body::BreaksOff => return self.refusal(529, None),
        };
        Json(self.whole(&text)).into_response()
    }

    fn whole(self, text: &str) -> Value {
        match self {
            Self::OpenAi => json!({
                "id": "chatcmpl-fake", "object": "chat.completion", "created": 0, "model": "fake",
                "choices": [{ "index": 0, "finish_reason": "stop",
                              "message": { "role": "assistant", "content": text } }],
                "usage": { "prompt_tokens": 700, "completion_tokens": 300, "total_tokens": 1000 },
            }),
            Self::Anthropic => json!({
                "id": "msg_fake", "type": "message", "role": "assistant", "model": "fake", "stop_reason": "end_turn",
                "content": [{ "type": "text", "text": text }],
                "usage": { "input_tokens": 700, "output_tokens": 300 },
            }),
        }
    }

    fn streamed(self, body: Body) -> Response {
        let begun = stream::iter(self.begin());
        let pieces: std::pin::Pin<Box<dyn Stream<Item = String> + Send>> = match body {
            Body::Whole(text) => Box::pin(stream::iter(self.pieces(&text).into_iter().chain(self.end(false)))),
            Body::CutOff(text) => {
                let half: String = text.chars().take(text.chars().count() / 2).collect();
                Box::pin(stream::iter(self.pieces(&half).into_iter().chain(self.end(true))))
            }
            Body::Slow(text, pause) => {
                let all: Vec<String> = self.pieces(&text).into_iter().chain(self.end(false)).collect();
                Box::pin(stream::iter(all).then(move |piece| async move {
                    tokio::time::sleep(pause).await;
                    piece
                }))
            }
            Body::Endless => {
                let piece = self.piece(&"never ending ".repeat(100));
                Box::pin(stream::repeat(piece))
            }
            Body::BreaksDown => Box::pin(stream::iter([self.piece("{\"subtasks\":"), self.error()])),
            Body::BreaksOff => Box::pin(stream::iter([self.piece("{\"subtasks\":")])),
        };
        let bytes = begun.chain(pieces).map(|event| Ok::<_, Infallible>(Bytes::from(event)));
        let mut response = HttpBody::from_stream(bytes).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        response
    }

    fn begin(self) -> Vec<String> {
        match self {
            Self::OpenAi => vec![openai(&json!({ "role": "assistant", "content": "" }), None)],
            Self::Anthropic => vec![
                anthropic(
                    "message_start",
                    &json!({ "message": {
                    "id": "msg_fake", "type": "message", "role": "assistant", "model": "fake", "content": [],
                    "stop_reason": null, "usage": { "input_tokens": 700, "output_tokens": 1 },
                } }),
                ),
                anthropic(
                    "content_block_start",
                    &json!({ "index": 0, "content_block": { "type": "text", "text": "" } }),
                ),
                anthropic("ping", &json!({})),
            ],
        }
    }

    fn pieces(self, text: &str) -> Vec<String> {
        let characters: Vec<char> = text.chars().collect();
        characters
            .chunks(PIECE)
            .map(|piece| self.piece(&piece.iter().collect::<String>()))
            .collect()
    }

    fn piece(self, text: &str) -> String {
        match self {
            Self::OpenAi => openai(&json!({ "content": text }), None),
            Self::Anthropic => anthropic(
                "content_block_delta",
                &json!({ "index": 0, "delta": { "type": "text_delta", "text": text } }),
            ),
        }
    }

    fn end(self, is_cut_off: bool) -> Vec<String> {
        match self {
            Self::OpenAi => {
                let usage = json!({
                    "id": "chatcmpl-fake", "object": "chat.completion.chunk", "model": "fake", "choices": [],
                    "usage": { "prompt_tokens": 700, "completion_tokens": 300, "total_tokens": 1000 },
                });
                vec![
                    openai(&json!({}), Some(if is_cut_off { "length" } else { "stop" })),
                    format!("data: {usage}\n\n"),
                    "data: [DONE]\n\n".to_owned(),
                ]
            }
            Self::Anthropic => vec![
                anthropic("content_block_stop", &json!({ "index": 0 })),
                anthropic(
                    "message_delta",
                    &json!({
                        "delta": { "stop_reason": if is_cut_off { "max_tokens" } else { "end_turn" } },
                        "usage": { "output_tokens": 300 },
                    }),
                ),
                anthropic("message_stop", &json!({})),
            ],
        }
    }

    fn error(self) -> String {
        let error = json!({ "type": "overloaded_error", "message": "Overloaded by the script" });
        match self {
            Self::OpenAi => format!("data: {}\n\n", json!({ "error": error })),
            Self::Anthropic => anthropic("error", &json!({ "error": error })),
        }
    }
}

fn openai(delta: &Value, finish_reason: Option<&str>) -> String {
    let chunk = json!({
        "id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 0, "model": "fake",
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish_reason }],
    });
    format!("data: {chunk}\n\n")
}

fn anthropic(event: &str, rest: &Value) -> String {
    let mut data = rest.clone();
    data["type"] = event.into();
    format!("event: {event}\ndata: {data}\n\n")
}
