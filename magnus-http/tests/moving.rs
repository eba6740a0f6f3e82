//! A connection that moves to another address.

mod support;

use http::Method;
use serde_json::json;
use support::Bench;

#[tokio::test]
async fn a_key_is_not_sent_to_another_server_than_the_one_it_was_given_for() {
    let bench = Bench::new();
    let id = bench.filled(1).await;
    let path = format!("/connections/{id}");
    let asked = || bench.openproject.recorder().total();
    let before = asked();
    for elsewhere in [
        "http://127.0.0.1:2",
        "https://127.0.0.1:1",
        "http://localhost:1",
        "http://127.0.0.1:1@127.0.0.1:2",
    ] {
        let problem = bench
            .ask(Method::PATCH, &path, json!({"instance_url": elsewhere}))
            .await
            .is(422)
            .json();
        assert_eq!(problem["type"], "urn:magnus:problem:invalid");
        if !elsewhere.contains('@') {
            assert_eq!(problem["errors"][0]["field"], "api_key", "{problem}");
            assert!(
                problem["detail"].as_str().unwrap().contains("another server"),
                "{problem}"
            );
        }
    }
    assert_eq!(asked(), before, "nobody was asked");
    assert_eq!(bench.get(&path).await.json()["instance_url"], "http://127.0.0.1:1");
    bench.act(&format!("{path}/sync?wait=true")).await.is(200);

    // On the same server the key is good; on another one the new key is tested and kept.
    let moved = bench
        .ask(
            Method::PATCH,
            &path,
            json!({"instance_url": "http://127.0.0.1:1/api/v3"}),
        )
        .await
        .is(200);
    assert_eq!(moved.json()["instance_url"], "http://127.0.0.1:1/api/v3");
    let wrong = json!({"instance_url": "http://127.0.0.1:2", "api_key": "a-wrong-key"});
    bench.ask(Method::PATCH, &path, wrong).await.is(422);
    assert_eq!(
        bench.get(&path).await.json()["instance_url"],
        "http://127.0.0.1:1/api/v3"
    );
    let right = json!({"instance_url": "http://127.0.0.1:2", "api_key": bench.openproject.api_key()});
    bench.ask(Method::PATCH, &path, right).await.is(200);
    bench.act(&format!("{path}/sync?wait=true")).await.is(200);
}
