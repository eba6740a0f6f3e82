//! No secret is told, logged or stored in plain text, whatever goes wrong.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/service.rs"]
mod service;
mod support;

use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use serde_json::{Value, json};
use service::Service;
use support::{KEY, Magnus, openproject};

const HOOK: &str = "canary-of-the-webhook-5d1c";
const WRONG: &str = "canary-of-a-wrong-key-77aa";
const TOKEN: &str = "canary-of-the-token-90ee";

/// Everything that the service says, checked as it comes.
struct Witness {
    service: Service,
    heard: Vec<String>,
}

impl Witness {
    async fn ask(&mut self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (_, text) = self.service.send(method, path, body.as_ref()).await;
        self.heard.push(format!("{method} {path}: {text}"));
        serde_json::from_str(&text).unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_told_logged_or_stored_whatever_goes_wrong() {
    let magnus = Magnus::new();
    let (openproject, server) = openproject().await;
    let project = openproject.create_project("Garden", "garden");
    openproject.create_work_package(project, "Water");
    let mut service = Service::start_with(&magnus, &[], |command| {
        command.env("MAGNUS_LOG", "trace").env("MAGNUS_API_TOKEN", TOKEN);
    });
    service.token = Some(TOKEN.to_owned());
    let mut witness = Witness {
        service,
        heard: Vec::new(),
    };
    let body = |key: Value| {
        json!({ "tool_name": "openproject", "display_name": "Work", "instance_url": server.url, "api_key": key,
            "webhook_secret": HOOK, "sync_frequency": "manual" })
    };
    // Refused in many ways, with the secret in the body.
    witness.ask("POST", "/connections", Some(body(json!(WRONG)))).await;
    witness.ask("POST", "/connections", Some(body(json!([WRONG])))).await;
    witness
        .ask("POST", "/connections", Some(json!({"api_key": WRONG, "tool_name": 7})))
        .await;
    witness
        .ask("POST", "/connections", Some(json!({"api_key": WRONG})))
        .await;
    witness.ask("POST", "/connections", Some(json!(WRONG))).await;
    let mut with_password = body(json!(WRONG));
    with_password["instance_url"] = json!(format!("http://user:{WRONG}@127.0.0.1:1"));
    witness.ask("POST", "/connections", Some(with_password)).await;

    let added = witness.ask("POST", "/connections", Some(body(json!(KEY)))).await;
    let id = added["connection"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{added}"))
        .to_owned();
    let path = format!("/connections/{id}");
    witness.ask("POST", &format!("{path}/sync?wait=true"), None).await;
    witness.ask("PATCH", &path, Some(json!({"api_key": WRONG}))).await;
    witness
        .ask("PATCH", &path, Some(json!({"api_key": KEY, "webhook_secret": HOOK})))
        .await;
    witness
        .ask("POST", &format!("/webhooks/{id}"), Some(json!({"secret": "unsigned"})))
        .await;
    // The tool fails, and even repeats the key.
    for fault in [
        Fault::status(500, format!("the key {KEY} is broken")),
        Fault::status(403, format!(r#"{{"_type":"Error","message":"{KEY}"}}"#)),
        Fault::TruncateJson,
    ] {
        openproject
            .faults()
            .inject(FaultRule::new(CallMatcher::any(), fault).always());
        witness.ask("GET", &format!("{path}/test"), None).await;
        witness.ask("GET", &format!("{path}/projects"), None).await;
        witness.ask("POST", &format!("{path}/sync?dry_run=true"), None).await;
        witness.ask("POST", &format!("{path}/sync?wait=true"), None).await;
        openproject.faults().clear();
    }
    for path in [
        "/connections",
        &path,
        "/sync/status",
        "/sync/runs?limit=100",
        "/unified/dashboard",
        "/unified/tasks",
        "/conflicts",
        "/metrics",
        "/openapi.json",
        "/nothing",
    ] {
        witness.ask("GET", path, None).await;
    }
    let Witness { service, heard } = witness;
    let (status, log) = service.terminate();
    assert!(status.success(), "{status}");
    assert!(log.contains("request"), "the log tells what went on");
    for secret in [KEY, HOOK, WRONG, TOKEN] {
        for said in &heard {
            assert!(!said.contains(secret), "{secret} was told: {said}");
        }
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} was logged");
        for entry in std::fs::read_dir(magnus.directory.path()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap_or_default();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} stands in {}", path.display());
        }
    }
}
