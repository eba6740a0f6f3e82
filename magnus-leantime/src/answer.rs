//! The answers of a batch: first as they lie in the text of the response, parsed only when they are looked at. A list of all
//! tickets is five times as large once it is parsed, and is wanted ticket by ticket.

use bytes::Bytes;
use magnus_core::connection::{ConnectionError, ConnectionErrorKind as Kind};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::rpc::{Effect, Fault};
use crate::wire;

/// The answer of one call.
pub(crate) type Answer = Result<Value, Fault>;

/// The answer of one call, its result still as the text that came.
#[derive(Debug, Clone)]
pub(crate) struct Text(Result<Bytes, Fault>);

impl Text {
    /// The answer, parsed whole.
    pub(crate) fn parsed(self, operation: &'static str, effect: Effect) -> Result<Answer, ConnectionError> {
        Ok(match self.0 {
            Err(fault) => Err(fault),
            Ok(text) => {
                let result = serde_json::from_slice(&text)
                    .map_err(|error| broken(operation, effect, "the answer is not JSON").with_source(error))?;
                Ok(wire::unwrapped(result))
            }
        })
    }

    /// The rows of an answer that is a list, one after the other: what `row` makes of each.
    pub(crate) fn rows<T>(
        self,
        operation: &'static str,
        mut row: impl FnMut(Value) -> Result<T, ConnectionError>,
    ) -> Result<Vec<T>, ConnectionError> {
        let text = self.0.map_err(|fault| fault.into_error(operation, Effect::Read))?;
        let rows: Vec<&RawValue> = serde_json::from_slice(&text)
            .map_err(|error| broken(operation, Effect::Read, "no list came").with_source(error))?;
        rows.into_iter()
            .map(|text| {
                let value = serde_json::from_str(text.get())
                    .map_err(|error| broken(operation, Effect::Read, "a row is not JSON").with_source(error))?;
                row(value)
            })
            .collect()
    }
}

/// One answer of a batch, as JSON-RPC wraps it.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    error: Value,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
}

/// A result that is `null` is one all the same.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Envelope<'_> {
    fn text(self, body: &Bytes) -> Text {
        if !self.error.is_null() {
            return Text(Err(fault(&self.error)));
        }
        Text(match self.result {
            Some(result) => Ok(body.slice_ref(result.get().as_bytes())),
            None => Err(Fault {
                code: 0,
                message: "an answer without a result".to_owned(),
            }),
        })
    }
}

fn fault(error: &Value) -> Fault {
    let word = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
    let (message, data) = (word("message"), word("data"));
    let message = if data.is_empty() {
        message.to_owned()
    } else {
        format!("{message}: {data}")
    };
    Fault {
        code: error.get("code").and_then(wire::int).unwrap_or(0),
        message,
    }
}

fn broken(operation: &'static str, effect: Effect, message: &str) -> ConnectionError {
    ConnectionError::new(Kind::Protocol, operation, message).with_outcome(effect.outcome_when_lost())
}

/// Takes the answer to a batch of so many calls apart.
pub(crate) fn split(
    operation: &'static str,
    effect: Effect,
    body: &Bytes,
    wanted: usize,
) -> Result<Vec<Text>, ConnectionError> {
    let broken = |message: &str| broken(operation, effect, message);
    let whole: &RawValue = serde_json::from_slice(body).map_err(|error| {
        let page = body.trim_ascii_start().starts_with(b"<");
        let message = if page {
            "a web page came instead of an answer; is a login or a proxy in front of Leantime?"
        } else {
            "the answer is not JSON"
        };
        broken(message).with_source(error)
    })?;
    let whole = whole.get();
    let envelopes: Vec<&RawValue> = match whole.as_bytes().first() {
        Some(b'[') => {
            serde_json::from_str(whole).map_err(|error| broken("the answer is not JSON").with_source(error))?
        }
        Some(b'{') => {
            // The batch as a whole was refused.
            let single = serde_json::from_str::<Envelope<'_>>(whole).map(|envelope| envelope.text(body).0);
            return Err(match single {
                Ok(Err(fault)) => fault.into_error(operation, effect),
                _ => broken("one answer came for a batch"),
            });
        }
        _ => return Err(broken("the answer is no JSON-RPC")),
    };
    let mut answers: Vec<Option<Text>> = vec![None; wanted];
    // What is no answer is none to any call, and the call's own is then missing.
    for envelope in envelopes
        .into_iter()
        .filter_map(|text| serde_json::from_str::<Envelope<'_>>(text.get()).ok())
    {
        let at = wire::int(&envelope.id).and_then(|id| usize::try_from(id).ok());
        if let Some(slot) = at.and_then(|id| id.checked_sub(1)).and_then(|at| answers.get_mut(at)) {
            *slot = Some(envelope.text(body));
        }
    }
    answers
        .into_iter()
        .collect::<Option<Vec<Text>>>()
        .ok_or_else(|| broken("an answer of the batch is missing"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answers(body: &str, wanted: usize) -> Result<Vec<Text>, ConnectionError> {
        split("read", Effect::Read, &Bytes::copy_from_slice(body.as_bytes()), wanted)
    }

    fn parsed(text: &Text) -> Answer {
        text.clone().parsed("read", Effect::Read).unwrap()
    }

    #[test]
    fn answers_are_told_apart_by_their_numbers_however_they_are_ordered_and_spelled() {
        let body = r#" [{"id":"2","result":null,"jsonrpc":"2.0"},
            {"jsonrpc":"2.0","id":1,"result":[true]},
            {"id":3,"error":{"code":"-32001","message":"no","data":"really"},"result":null}, 7, {"id":9,"result":1}] "#;
        let answers = answers(body, 3).unwrap();
        assert_eq!(
            parsed(&answers[0]),
            Ok(json!(true)),
            "up to 3.7 a scalar comes as a list of one"
        );
        assert_eq!(parsed(&answers[1]), Ok(Value::Null));
        let refused = Fault {
            code: Fault::NOT_ALLOWED,
            message: "no: really".to_owned(),
        };
        assert_eq!(parsed(&answers[2]), Err(refused));
    }

    #[test]
    fn what_is_no_batch_of_answers_is_refused_with_words() {
        let words = |body: &str| answers(body, 1).unwrap_err().to_string();
        assert!(words("<html>").contains("a web page came"), "{}", words("<html>"));
        assert!(words("[").contains("not JSON"));
        assert!(words("7").contains("no JSON-RPC"));
        assert!(words("[]").contains("missing"));
        assert!(words(r#"{"id":1,"result":1}"#).contains("one answer came for a batch"));
        assert!(words(r#"{"id":null,"error":{"code":-32601,"message":"no such method"}}"#).contains("no such method"));
        let nested = format!("[{{\"id\":1,\"result\":{}{}}}]", "[".repeat(500), "]".repeat(500));
        let deep = answers(&nested, 1).unwrap().remove(0).parsed("read", Effect::Read);
        assert!(
            deep.unwrap_err().to_string().contains("not JSON"),
            "refused, and nothing overflows"
        );
    }

    #[test]
    fn rows_are_handed_over_one_by_one() {
        let list = answers(r#"[{"id":1,"result":[{"a":1},{"a":2}]}]"#, 1)
            .unwrap()
            .remove(0);
        let doubled = list.rows("read", |row| Ok(row["a"].as_i64().unwrap_or(0) * 2)).unwrap();
        assert_eq!(doubled, [2, 4]);
        let none = answers(r#"[{"id":1,"result":{"a":1}}]"#, 1).unwrap().remove(0);
        assert!(none.rows("read", Ok).unwrap_err().to_string().contains("no list came"));
    }
}
