//! Webhooks: verified, gathered, and never trusted for more than a hint.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use axum::body::Body;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Request;
use serde_json::json;
use sha1::Sha1;
use sha2::Sha256;
use support::{Answer, Bench, until};

const SECRET: &str = "the secret of the webhook";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha1(body: &str, secret: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    format!("sha1={}", hex(&mac.finalize().into_bytes()))
}

fn sha256(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    format!("sha256={}", hex(&mac.finalize().into_bytes()))
}

impl Bench {
    async fn hook(&self, connection: &str, header: (&str, &str), body: &str) -> Answer {
        let request = Request::post(format!("/webhooks/{connection}"))
            .header("content-type", "application/json")
            .header(header.0, header.1)
            .body(Body::from(body.to_owned()))
            .unwrap();
        self.send(request).await
    }

    /// OpenProject with a webhook, synced once.
    async fn hooked(&self) -> String {
        let project = self.openproject.create_project("Garden", "garden");
        self.openproject.create_work_package(project, "Water");
        let mut body = self.openproject_in();
        body["webhook_secret"] = json!(SECRET);
        let id = self.connect(body).await;
        self.act(&format!("/connections/{id}/sync?wait=true")).await.is(200);
        id
    }

    async fn webhook_runs(&self) -> usize {
        let runs = self.get("/sync/runs?limit=100").await.json();
        let runs = runs["runs"].as_array().unwrap().clone();
        runs.iter()
            .filter(|run| run["trigger"] == "webhook" && run["status"] == "completed")
            .count()
    }

    async fn counted(&self, result: &str) -> u64 {
        let metrics = self.get("/metrics").await.text;
        let line = format!("magnus_webhooks_total{{result=\"{result}\"}} ");
        let count = metrics.lines().find_map(|there| there.strip_prefix(&line));
        count.map_or(0, |count| count.parse().unwrap())
    }
}

#[tokio::test]
async fn a_signed_webhook_starts_one_run_and_a_burst_of_them_not_many() {
    let bench = Bench::new();
    let id = bench.hooked().await;
    let item = bench.openproject.work_packages()[0].id;
    bench
        .openproject
        .edit_work_package(item, |item| item.subject = "Water the tomatoes".to_owned());
    let body = r#"{"action":"work_package:updated","work_package":{"id":999}}"#;
    for _ in 0..20 {
        bench
            .hook(&id, ("x-op-signature", &sha1(body, SECRET)), body)
            .await
            .is(202);
    }
    until("the run", async || bench.webhook_runs().await > 0).await;
    bench.orchestrator.idle().await;
    assert!(bench.webhook_runs().await <= 2, "they are gathered");
    assert_eq!(
        bench.get("/tasks").await.json()["tasks"][0]["title"],
        "Water the tomatoes"
    );
    assert_eq!(bench.counted("accepted").await, 20);

    let before = bench.webhook_runs().await;
    let body = r#"{"anything":true}"#;
    bench
        .hook(&id, ("x-magnus-signature", &sha256(body)), body)
        .await
        .is(202);
    until("another run", async || bench.webhook_runs().await > before).await;
}

#[tokio::test]
async fn what_is_not_signed_is_refused_and_counted() {
    let bench = Bench::new();
    let id = bench.hooked().await;
    let body = r#"{"action":"work_package:updated"}"#;
    let good = sha1(body, SECRET);
    bench
        .hook(&id, ("x-op-signature", &sha1(body, "another")), body)
        .await
        .is(401);
    bench
        .hook(&id, ("x-op-signature", &good), "{\"action\": \"other\"}")
        .await
        .is(401);
    bench.hook(&id, ("x-op-signature", "sha1=00"), body).await.is(401);
    bench.hook(&id, ("x-nothing", "x"), body).await.is(401);
    assert_eq!(bench.counted("refused").await, 4);
    let large = "x".repeat(1_100_000);
    bench
        .hook(&id, ("x-op-signature", &sha1(&large, SECRET)), &large)
        .await
        .is(413);

    // Without a secret nothing can be signed.
    let path = format!("/connections/{id}");
    bench
        .ask(http::Method::PATCH, &path, json!({"webhook_secret": null}))
        .await
        .is(200);
    bench.hook(&id, ("x-op-signature", &good), body).await.is(401);
    bench.hook(&id, ("x-op-signature", &sha1(body, "")), body).await.is(401);
    assert_eq!(bench.webhook_runs().await, 0);
}

#[tokio::test]
async fn the_echo_of_our_own_write_starts_nothing() {
    let bench = Bench::new();
    let id = bench.hooked().await;
    let task = bench.get("/tasks").await.json()["tasks"][0].clone();
    let path = format!("/tasks/{}", task["id"].as_str().unwrap());
    bench
        .ask(http::Method::PATCH, &path, json!({"title": "Ours"}))
        .await
        .is(200);
    bench.orchestrator.idle().await;
    let item = bench.openproject.work_packages()[0].clone();
    assert_eq!(item.subject, "Ours", "the edit flowed out");
    let body = json!({"action": "work_package:updated", "work_package": {"id": item.id}}).to_string();
    bench
        .hook(&id, ("x-op-signature", &sha1(&body, SECRET)), &body)
        .await
        .is(202);
    until("the echo", async || bench.counted("echo").await == 1).await;
    bench.orchestrator.idle().await;
    assert_eq!(bench.webhook_runs().await, 0);
}
