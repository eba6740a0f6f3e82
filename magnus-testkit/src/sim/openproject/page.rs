//! Pages: `offset` is a page number, and a size that is too large is cut without a word.

use serde_json::{Value, json};

use super::error::{Cause, Refusal};
use super::options::OpenProjectOptions;

/// The decoded query parameters of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(raw: &str) -> Self {
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            let bytes = spaced.as_bytes();
            let mut decoded = Vec::with_capacity(bytes.len());
            let mut at = 0;
            while let Some(byte) = bytes.get(at) {
                let escaped = bytes
                    .get(at + 1..at + 3)
                    .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
                match (byte, escaped) {
                    (b'%', Some(value)) => {
                        decoded.push(value);
                        at += 3;
                    }
                    _ => {
                        decoded.push(*byte);
                        at += 1;
                    }
                }
            }
            String::from_utf8_lossy(&decoded).into_owned()
        };
        let pairs = raw.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(k, v)| (decode(k), decode(v)))
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) offset: usize,
    pub(super) size: usize,
}

impl Window {
    pub(super) fn parse(query: &Query, options: &OpenProjectOptions) -> Result<Self, Refusal> {
        let offset = query
            .get("offset")
            .and_then(|text| text.parse::<usize>().ok())
            .unwrap_or(1)
            .max(1);
        let size = match query.get("pageSize").and_then(|text| text.parse::<i64>().ok()) {
            None => options.page_size_default.min(options.page_size_max),
            Some(-1) => options.page_size_max,
            Some(negative) if negative < 0 => {
                return Err(Cause::new(500, "InternalServerError", "An internal error has occured.").into());
            }
            Some(asked) => usize::try_from(asked).unwrap_or(usize::MAX).min(options.page_size_max),
        };
        Ok(Self { offset, size })
    }

    pub(super) fn cut<T>(self, items: Vec<T>) -> Vec<T> {
        items
            .into_iter()
            .skip((self.offset - 1).saturating_mul(self.size))
            .take(self.size)
            .collect()
    }

    /// The collection around the elements of this window.
    pub(super) fn collection(self, kind: &str, path: &str, total: usize, elements: Vec<Value>) -> Value {
        let href = |offset: usize| format!("{path}?offset={offset}&pageSize={}", self.size);
        let mut links = json!({
            "self": { "href": href(self.offset) },
            "jumpTo": { "href": format!("{path}?offset={{offset}}&pageSize={}", self.size), "templated": true },
            "changeSize": { "href": format!("{path}?offset={}&pageSize={{size}}", self.offset), "templated": true },
        });
        if self.offset.saturating_mul(self.size) < total && self.size > 0 {
            links["nextByOffset"] = json!({ "href": href(self.offset + 1) });
        }
        if self.offset > 1 {
            links["previousByOffset"] = json!({ "href": href(self.offset - 1) });
        }
        json!({
            "_type": kind,
            "total": total,
            "count": elements.len(),
            "pageSize": self.size,
            "offset": self.offset,
            "_embedded": { "elements": elements },
            "_links": links,
        })
    }
}
