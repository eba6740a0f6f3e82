//! Faults on demand: which calls, how many of them, and what goes wrong.
//!
//! ```
//! use magnus_testkit::sim::{CallMatcher, Fault, FaultRule, Faults};
//!
//! let faults = Faults::default();
//! faults.inject(FaultRule::new(CallMatcher::any().method("PATCH"), Fault::status(503, "busy")).times(2));
//! faults.inject(FaultRule::new(CallMatcher::any().rpc("addTicket"), Fault::LoseAnswer).after(3));
//! ```

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::Value;

use super::gate::Gate;
use super::record::Call;

type Predicate = Arc<dyn Fn(&Call) -> bool + Send + Sync>;
type Transform = Arc<dyn Fn(Value) -> Value + Send + Sync>;

/// Which calls a rule is for: all given conditions must hold.
#[derive(Clone, Default)]
pub struct CallMatcher {
    conditions: Vec<Predicate>,
}

impl fmt::Debug for CallMatcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CallMatcher")
            .field("conditions", &self.conditions.len())
            .finish()
    }
}

impl CallMatcher {
    /// Every call.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Only calls for which `condition` holds.
    #[must_use]
    pub fn when(mut self, condition: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        self.conditions.push(Arc::new(condition));
        self
    }

    /// Only calls with this HTTP method (`GET`, `PATCH`, …).
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        let method = method.to_owned();
        self.when(move |call| call.method.as_str().eq_ignore_ascii_case(&method))
    }

    /// Only calls whose path ends with this text.
    #[must_use]
    pub fn path_ends_with(self, end: &str) -> Self {
        let end = end.to_owned();
        self.when(move |call| call.path.ends_with(&end))
    }

    /// Only calls whose path contains this text.
    #[must_use]
    pub fn path_contains(self, part: &str) -> Self {
        let part = part.to_owned();
        self.when(move |call| call.path.contains(&part))
    }

    /// Only calls whose raw query contains this text.
    #[must_use]
    pub fn query_contains(self, part: &str) -> Self {
        let part = part.to_owned();
        self.when(move |call| call.query.contains(&part))
    }

    /// Only JSON-RPC calls one of whose methods ends with this name (`addTicket` for
    /// `leantime.rpc.Tickets.addTicket`).
    #[must_use]
    pub fn rpc(self, method: &str) -> Self {
        let method = method.to_owned();
        self.when(move |call| call.rpc_methods.iter().any(|called| called.ends_with(&method)))
    }

    /// Whether the rule is for this call.
    #[must_use]
    pub fn matches(&self, call: &Call) -> bool {
        self.conditions.iter().all(|condition| condition(call))
    }
}

/// An answer given instead of the tool's own.
#[derive(Debug, Clone)]
pub struct CannedAnswer {
    /// HTTP status.
    pub status: u16,
    /// Response headers, `content-type` among them.
    pub headers: HeaderMap,
    /// Response body.
    pub body: Bytes,
}

/// What goes wrong with a call.
#[derive(Clone)]
#[non_exhaustive]
pub enum Fault {
    /// The call never reaches the tool: this is answered instead.
    Answer(CannedAnswer),
    /// The tool does what was asked, then the connection breaks before the answer is complete.
    LoseAnswer,
    /// The connection breaks before the tool sees the call.
    LoseRequest,
    /// The call is done, but its answer is late by this much (a `tokio` sleep, so paused time works).
    Delay(Duration),
    /// The call reaches the tool once the gate is open.
    Hold(Gate),
    /// The call never reaches the tool and is never answered.
    Hang,
    /// The call is done but never answered.
    HangAfterApplying,
    /// The answer is cut in the middle of its JSON, with a status of success.
    TruncateJson,
    /// The answer is a page of HTML with this status, as from a proxy or a login page; the call is not done.
    Html(u16),
    /// In the answer, every text is a number and every number is a text.
    WrongTypes,
    /// The first matching answer is given again to every later call of the rule: a page that repeats.
    RepeatAnswer,
    /// The JSON of the answer is changed.
    Transform(Arc<dyn Fn(Value) -> Value + Send + Sync>),
}

impl fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Answer(answer) => return write!(formatter, "Answer({})", answer.status),
            Self::Delay(delay) => return write!(formatter, "Delay({delay:?})"),
            Self::Html(status) => return write!(formatter, "Html({status})"),
            Self::Hold(_) => "Hold",
            Self::LoseAnswer => "LoseAnswer",
            Self::LoseRequest => "LoseRequest",
            Self::Hang => "Hang",
            Self::HangAfterApplying => "HangAfterApplying",
            Self::TruncateJson => "TruncateJson",
            Self::WrongTypes => "WrongTypes",
            Self::RepeatAnswer => "RepeatAnswer",
            Self::Transform(_) => "Transform",
        };
        formatter.write_str(name)
    }
}

impl Fault {
    /// An answer of this status with a body: JSON if it reads as such, else plain text. The call is not done.
    #[must_use]
    pub fn status(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        let is_json = serde_json::from_str::<Value>(&body).is_ok();
        let content_type = if is_json {
            "application/json"
        } else {
            "text/plain; charset=utf-8"
        };
        Self::status_with(status, &[("content-type", content_type)], body)
    }

    /// An answer of this status with headers and a body; headers that are not valid HTTP are left out.
    #[must_use]
    pub fn status_with(status: u16, headers: &[(&str, &str)], body: impl Into<String>) -> Self {
        let headers = headers
            .iter()
            .filter_map(|(name, value)| {
                Some((
                    axum::http::HeaderName::try_from(*name).ok()?,
                    axum::http::HeaderValue::try_from(*value).ok()?,
                ))
            })
            .collect();
        Self::Answer(CannedAnswer {
            status,
            headers,
            body: Bytes::from(body.into()),
        })
    }

    /// The answer's JSON goes through `change`.
    #[must_use]
    pub fn transform(change: impl Fn(Value) -> Value + Send + Sync + 'static) -> Self {
        Self::Transform(Arc::new(change) as Transform)
    }
}

/// A fault, the calls it is for, and how many of them it hits.
#[derive(Debug, Clone)]
pub struct FaultRule {
    matcher: CallMatcher,
    fault: Fault,
    skip: usize,
    remaining: Option<usize>,
    repeated: Arc<Mutex<Option<CannedAnswer>>>,
}

impl FaultRule {
    /// A rule that hits the next matching call, once.
    #[must_use]
    pub fn new(matcher: CallMatcher, fault: Fault) -> Self {
        Self {
            matcher,
            fault,
            skip: 0,
            remaining: Some(1),
            repeated: Arc::default(),
        }
    }

    /// Hits this many matching calls.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.remaining = Some(times);
        self
    }

    /// Hits every matching call until the faults are cleared.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.remaining = None;
        self
    }

    /// Lets this many matching calls pass first.
    #[must_use]
    pub fn after(mut self, passing: usize) -> Self {
        self.skip = passing;
        self
    }
}

/// A fault chosen for one call, with the memory of its rule.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub(super) fault: Fault,
    pub(super) repeated: Arc<Mutex<Option<CannedAnswer>>>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<FaultRule>,
    delay: Option<Duration>,
}

/// The faults of one simulator, programmable while it runs. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    state: Arc<Mutex<State>>,
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule. Of several that match a call, the oldest with hits left applies.
    pub fn inject(&self, rule: FaultRule) {
        self.lock().rules.push(rule);
    }

    /// The next `times` calls that match are answered with this status and body, and not done.
    pub fn fail_next(&self, times: usize, matcher: CallMatcher, status: u16, body: impl Into<String>) {
        self.inject(FaultRule::new(matcher, Fault::status(status, body)).times(times));
    }

    /// Delays every answer by this much from now on; `None` ends it.
    pub fn delay_all(&self, delay: Option<Duration>) {
        self.lock().delay = delay;
    }

    /// Removes every rule and the general delay.
    pub fn clear(&self) {
        *self.lock() = State::default();
    }

    /// How many hits of counted rules are still to come.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.lock().rules.iter().filter_map(|rule| rule.remaining).sum()
    }

    pub(super) fn delay(&self) -> Option<Duration> {
        self.lock().delay
    }

    pub(super) fn choose(&self, call: &Call) -> Option<Chosen> {
        let mut state = self.lock();
        for rule in &mut state.rules {
            if rule.remaining == Some(0) || !rule.matcher.matches(call) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if let Some(remaining) = &mut rule.remaining {
                *remaining -= 1;
            }
            return Some(Chosen {
                fault: rule.fault.clone(),
                repeated: Arc::clone(&rule.repeated),
            });
        }
        None
    }
}
