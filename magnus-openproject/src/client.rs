//! Requests to one instance: authentication, addresses, JSON in and out.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use magnus_core::clock::Clock;
use magnus_core::connection::{ConnectionError, ConnectionErrorKind};
use magnus_transport::{InstanceUrl, Transport, server_date};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::refusal::{Attempt, from_answer, from_transport};

/// Talks to one instance with one key.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) base: InstanceUrl,
    pub(crate) authorization: HeaderValue,
    pub(crate) clock: Arc<dyn Clock>,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// A decoded answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer<T> {
    pub(crate) body: T,
    /// How far our clock is ahead of the server's; zero when that cannot be told from the second's grain.
    pub(crate) skew: TimeDelta,
}

/// The grain of the `Date` header, and a slow answer.
const SKEW_TOLERANCE: TimeDelta = TimeDelta::seconds(2);

impl Client {
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Answer<T>, ConnectionError> {
        let attempt = Attempt::read(operation);
        let answer = self.send(attempt, Method::GET, path, query, None).await?;
        self.decode(attempt, &answer)
    }

    /// A create or change, answered with the resulting state.
    pub(crate) async fn put_in<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: &Value,
    ) -> Result<Answer<T>, ConnectionError> {
        let answer = self.send(Attempt::WRITE, method, path, query, Some(body)).await?;
        self.decode(Attempt::WRITE, &answer)
    }

    pub(crate) async fn delete(&self, path: &str, query: &[(&str, String)]) -> Result<(), ConnectionError> {
        self.send(Attempt::WRITE, Method::DELETE, path, query, None)
            .await
            .map(|_| ())
    }

    fn decode<T: DeserializeOwned>(
        &self,
        attempt: Attempt,
        answer: &Response<Bytes>,
    ) -> Result<Answer<T>, ConnectionError> {
        let skew = server_date(answer)
            .map(|date| self.clock.now() - date)
            .filter(|skew| skew.abs() > SKEW_TOLERANCE);
        match serde_json::from_slice(answer.body()) {
            Ok(body) => Ok(Answer {
                body,
                skew: skew.unwrap_or_default(),
            }),
            Err(error) => {
                let html = answer
                    .headers()
                    .get(CONTENT_TYPE)
                    .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
                let message = if html {
                    "a web page came back; is the URL right, and is there a sign-in page in front of the instance?"
                } else {
                    "the answer is not what the API promises"
                };
                Err(attempt.protocol(message).with_source(error))
            }
        }
    }

    async fn send(
        &self,
        attempt: Attempt,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Response<Bytes>, ConnectionError> {
        let mut target = format!("api/v3{path}");
        if !query.is_empty() {
            let encoded = Serializer::new(String::new()).extend_pairs(query).finish();
            target = format!("{target}?{encoded}");
        }
        let invalid = |error: Box<dyn std::error::Error + Send + Sync>| {
            attempt
                .error(ConnectionErrorKind::InvalidSettings, "check the instance URL")
                .with_source(error)
        };
        let url = self.base.endpoint(&target).map_err(|error| invalid(error.into()))?;
        let mut request = Request::builder()
            .method(method.clone())
            .uri(url.as_str())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, "application/hal+json, application/json");
        // Old versions want it of a DELETE too, which has no body.
        if body.is_some() || method == Method::DELETE {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(bytes).map_err(|error| invalid(error.into()))?;
        let answer = self
            .transport
            .send(request)
            .await
            .map_err(|error| from_transport(attempt, error))?;
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(from_answer(attempt, &answer))
        }
    }
}
