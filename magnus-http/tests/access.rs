//! Who may ask, under which name and from which page, and what is never told.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request};
use magnus_core::memory::MemoryStore;
use magnus_core::model::{AccessScope, AccessToken, TokenId};
use magnus_http::{new_token, token_hash};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use support::{Answer, Bench};

impl Bench {
    async fn token(&self, scope: AccessScope) -> SecretString {
        let secret = new_token().unwrap();
        let token = AccessToken {
            id: TokenId::generate(),
            name: format!("a token for {scope}"),
            scope,
            hash: token_hash(&secret),
            created_at: chrono::Utc::now(),
        };
        self.store.add_token(token).await.unwrap();
        secret
    }

    async fn send_with(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn by(&self, token: &SecretString, method: Method, path: &str) -> Answer {
        let bearer = format!("Bearer {}", token.expose_secret());
        self.send_with(method, path, &[("authorization", &bearer)]).await
    }
}

#[tokio::test]
async fn once_there_is_a_token_nobody_gets_in_without_one() {
    let bench = Bench::with(Arc::new(MemoryStore::new()), |_| {});
    let reader = bench.token(AccessScope::Read).await;
    let syncer = bench.token(AccessScope::Sync).await;
    let admin = bench.token(AccessScope::Admin).await;
    let answer = bench.get("/connections").await.is(401);
    assert!(answer.headers.contains_key("www-authenticate"));
    for wrong in ["Bearer nonsense", "Bearer ", "Basic YTpi", "nonsense"] {
        bench
            .send_with(Method::GET, "/connections", &[("authorization", wrong)])
            .await
            .is(401);
    }
    bench.act("/sync/all").await.is(401);
    for open in ["/health", "/ready", "/docs", "/openapi.json"] {
        assert_eq!(bench.get(open).await.status, 200, "{open}");
    }
    bench.by(&reader, Method::GET, "/connections").await.is(200);
    bench.by(&reader, Method::GET, "/metrics").await.is(200);
    bench.by(&reader, Method::POST, "/sync/all").await.is(403);
    bench.by(&syncer, Method::POST, "/sync/all").await.is(202);
    bench.by(&syncer, Method::POST, "/connections").await.is(403);
    bench.by(&admin, Method::POST, "/connections").await.is(415);
    bench.by(&admin, Method::POST, "/sync/all").await.is(202);

    let id = bench
        .store
        .tokens()
        .await
        .unwrap()
        .into_iter()
        .find(|token| token.scope == AccessScope::Read);
    bench.store.delete_token(id.unwrap().id).await.unwrap();
    bench.by(&reader, Method::GET, "/connections").await.is(401);
}

#[tokio::test]
async fn a_token_from_outside_allows_everything_and_closes_the_door() {
    let token = SecretString::from("from-the-environment");
    let bench = Bench::with(Arc::new(MemoryStore::new()), |options| {
        options.admin_token = Some(token.clone())
    });
    bench.get("/connections").await.is(401);
    bench.by(&token, Method::GET, "/connections").await.is(200);
    bench.by(&token, Method::POST, "/connections").await.is(415);
    let closed = Bench::with(Arc::new(MemoryStore::new()), |options| {
        options.open_without_tokens = false
    });
    closed.get("/connections").await.is(401);
}

#[tokio::test]
async fn foreign_names_and_foreign_pages_are_refused() {
    let bench = Bench::with(Arc::new(MemoryStore::new()), |options| {
        *options = options.clone().loopback_and(["Magnus.Example".to_owned()]);
        options.origins = ["https://board.example".to_owned()].into();
    });
    for known in [
        "localhost:8017",
        "127.0.0.1:8017",
        "[::1]:8017",
        "LOCALHOST",
        "magnus.example:443",
    ] {
        bench
            .send_with(Method::GET, "/connections", &[("host", known)])
            .await
            .is(200);
    }
    for foreign in [
        "evil.example",
        "evil.example:8017",
        "127.0.0.1.evil.example",
        "169.254.169.254",
    ] {
        bench
            .send_with(Method::GET, "/connections", &[("host", foreign)])
            .await
            .is(421);
    }
    bench.send_with(Method::GET, "/connections", &[]).await.is(421);

    let from = |origin: &'static str| [("host", "localhost:8017"), ("origin", origin)];
    let own = bench
        .send_with(Method::POST, "/sync/all", &from("http://localhost:8017"))
        .await
        .is(202);
    assert!(!own.headers.contains_key("access-control-allow-origin"));
    for foreign in ["https://evil.example", "null", "http://localhost:9000", ""] {
        bench.send_with(Method::POST, "/sync/all", &from(foreign)).await.is(403);
    }
    let known = bench
        .send_with(Method::GET, "/connections", &from("https://board.example"))
        .await
        .is(200);
    assert_eq!(known.headers["access-control-allow-origin"], "https://board.example");
    let mut asked = from("https://board.example").to_vec();
    asked.push(("access-control-request-method", "PATCH"));
    let preflight = bench.send_with(Method::OPTIONS, "/tasks/1", &asked).await.is(204);
    assert!(
        preflight.headers["access-control-allow-methods"]
            .to_str()
            .unwrap()
            .contains("PATCH")
    );
}

#[tokio::test]
async fn who_asks_too_much_waits() {
    let bench = Bench::with(Arc::new(MemoryStore::new()), |options| options.requests_per_second = 1);
    bench.get("/health").await.is(200);
    bench.get("/health").await.is(200);
    let refused = bench.get("/health").await.is(429);
    assert_eq!(refused.headers["retry-after"], "1");
}

#[tokio::test]
async fn answers_are_what_they_say_they_are() {
    let bench = Bench::new();
    for path in ["/connections", "/docs", "/nothing"] {
        let headers = bench.get(path).await.headers;
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["x-frame-options"], "DENY");
        assert_eq!(headers["cache-control"], "no-store");
    }
    let page = bench.get("/docs").await.text;
    for elsewhere in ["https://", "http://", "//cdn", "@import"] {
        assert!(
            !page.contains(elsewhere),
            "the page loads something from elsewhere: {elsewhere}"
        );
    }
}

#[tokio::test]
async fn every_endpoint_is_described_with_its_problems() {
    let bench = Bench::new();
    let api = bench.get("/openapi.json").await.json();
    assert!(
        api["openapi"].as_str().unwrap().starts_with("3.1"),
        "{}",
        api["openapi"]
    );
    let text = api.to_string();
    let mut references: Vec<&str> = text.split("\"$ref\":\"#/components/schemas/").skip(1).collect();
    references
        .iter_mut()
        .for_each(|rest| *rest = rest.split('"').next().unwrap());
    for name in references {
        assert!(
            api["components"]["schemas"][name].is_object(),
            "{name} is not described"
        );
    }
    let paths = api["paths"].as_object().unwrap();
    for path in [
        "/connections/{id}/sync",
        "/sync/all",
        "/sync/events",
        "/webhooks/{id}",
        "/unified/tasks",
        "/conflicts/{id}/resolve",
        "/metrics",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            assert!(
                responses.keys().any(|status| status.starts_with('2')),
                "{method} {path}"
            );
            assert!(operation["summary"].is_string(), "{method} {path} has no title");
            for status in ["401", "403", "429", "500", "503"] {
                let content = &responses[status]["content"]["application/problem+json"];
                assert!(content.is_object(), "{method} {path} {status}");
            }
        }
    }
    assert!(api["x-problem-types"].as_array().unwrap().len() > 10);
    assert_eq!(api["components"]["securitySchemes"]["token"]["scheme"], json!("bearer"));
}

/// What is wrong with a value under its schema, if anything is.
fn misfit(api: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        return misfit(api, api.pointer(name.trim_start_matches('#')).unwrap(), value, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let wrong: Vec<_> = choices.iter().map(|choice| misfit(api, choice, value, at)).collect();
        return wrong.into_iter().min().flatten();
    }
    let types = match &schema["type"] {
        Value::Null => return None,
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_allowed = |kind: &Value| kind == is || (kind == "number" && is == "integer");
    if !types.iter().any(is_allowed) {
        return Some(format!("{at}: {is} and not {types:?}"));
    }
    let format = schema["format"].as_str().unwrap_or_default();
    if let Some(text) = value.as_str() {
        let is_good = match format {
            "uuid" => text.parse::<uuid::Uuid>().is_ok(),
            "date" => text.parse::<chrono::NaiveDate>().is_ok(),
            "date-time" => text.ends_with('Z') && text.parse::<chrono::DateTime<chrono::Utc>>().is_ok(),
            _ => true,
        };
        return (!is_good).then(|| format!("{at}: {text} is no {format}"));
    }
    if let Some(items) = value.as_array() {
        return items
            .iter()
            .find_map(|item| misfit(api, &schema["items"], item, &format!("{at}[]")));
    }
    let members = value.as_object()?;
    let properties = schema["properties"].as_object();
    let required = schema["required"].as_array().into_iter().flatten();
    if let Some(name) = required
        .filter_map(Value::as_str)
        .find(|name| !members.contains_key(*name))
    {
        return Some(format!("{at}.{name}: missing"));
    }
    members.iter().find_map(|(name, value)| {
        let at = format!("{at}.{name}");
        match properties.map(|properties| properties.get(name)) {
            Some(Some(schema)) => misfit(api, schema, value, &at),
            Some(None) => Some(format!("{at}: unknown")),
            None => misfit(api, &schema["additionalProperties"], value, &at),
        }
    })
}

#[tokio::test]
async fn every_body_has_an_example_that_keeps_to_its_schema() {
    let bench = Bench::new();
    let api = bench.get("/openapi.json").await.json();
    let mut bodies = 0;
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let answers = operation["responses"].as_object().unwrap();
            let asked = operation.get("requestBody").map(|body| ("request", body));
            let all = answers.iter().map(|(status, answer)| (status.as_str(), answer));
            for (what, body) in all.chain(asked) {
                for (media_type, content) in body["content"].as_object().into_iter().flatten() {
                    let at = format!("{method} {path} {what} {media_type}");
                    let schema = &content["schema"];
                    let name = schema["$ref"].as_str().or(schema["oneOf"][0]["$ref"].as_str());
                    let by_name = name.and_then(|name| api.pointer(name.trim_start_matches('#')));
                    let example = content
                        .get("example")
                        .or(by_name.and_then(|schema| schema.get("example")));
                    let example = example.unwrap_or_else(|| panic!("{at}: no example"));
                    assert_eq!(misfit(&api, schema, example, &at), None);
                    bodies += 1;
                }
            }
        }
    }
    assert!(bodies > 300, "{bodies}");
    let wrong = json!({ "connections": [{ "id": "no id" }], "tools": [] });
    let schema = json!({ "$ref": "#/components/schemas/Connections" });
    assert!(misfit(&api, &schema, &wrong, "").is_some(), "a misfit is seen");
}
