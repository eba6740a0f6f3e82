//! Lists come in pages, and counts are of all of it.

mod support;

use http::Method;
use serde_json::json;
use support::Bench;

#[tokio::test]
async fn the_run_log_is_paged() {
    let bench = Bench::new();
    let id = bench.filled(0).await;
    for _ in 0..5 {
        bench.act(&format!("/connections/{id}/sync?wait=true")).await;
    }
    let mut seen = Vec::new();
    let mut path = "/sync/runs?limit=2".to_owned();
    loop {
        let page = bench.get(&path).await.is(200).json();
        seen.extend(page["runs"].as_array().unwrap().iter().map(|run| run["id"].clone()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/sync/runs?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    let whole = bench.get("/sync/status").await.json();
    let whole: Vec<_> = whole["recent_syncs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["id"].clone())
        .collect();
    assert_eq!((seen.len(), seen), (5, whole));
}

#[tokio::test]
async fn every_open_conflict_is_counted_however_few_are_listed() {
    let bench = Bench::new();
    let id = bench.filled(4).await;
    bench.act(&format!("/connections/{id}/sync?wait=true")).await.is(200);
    for package in bench.openproject.work_packages() {
        let edit = |package: &mut magnus_testkit::sim::openproject::WorkPackage| package.subject.push('!');
        bench.openproject.edit_work_package(package.id, edit);
    }
    bench
        .ask(
            Method::PATCH,
            &format!("/connections/{id}"),
            json!({"sync_frequency": "manual"}),
        )
        .await
        .is(200);
    let tasks = bench.get("/tasks").await.json();
    for task in tasks["tasks"].as_array().unwrap() {
        let path = format!("/tasks/{}", task["id"].as_str().unwrap());
        bench.ask(Method::PATCH, &path, json!({"title": "Mine"})).await.is(200);
    }
    bench.act(&format!("/connections/{id}/sync?wait=true")).await.is(200);

    let mut seen = Vec::new();
    let mut path = "/conflicts?limit=3".to_owned();
    loop {
        let page = bench.get(&path).await.is(200).json();
        assert_eq!(page["total"], 4);
        seen.extend(
            page["conflicts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|conflict| conflict["id"].clone()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/conflicts?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 4);
    let dashboard = bench.get("/unified/dashboard").await.is(200).json();
    assert_eq!(
        (&dashboard["conflicts"], &dashboard["in_progress"]),
        (&json!(4), &json!(0))
    );
    let standing = &dashboard["connections"][0];
    assert_eq!(
        (
            &standing["linked"],
            &standing["unlinked"],
            &standing["conflicts"],
            &standing["last_run_status"]
        ),
        (&json!(4), &json!(0), &json!(4), &json!("completed"))
    );
    assert!(standing["last_run_id"].is_string());
}

#[tokio::test]
async fn projects_and_connections_come_in_pages() {
    let bench = Bench::new();
    for number in [3, 1, 4, 2, 5] {
        bench
            .post("/projects", json!({"name": format!("Project {number}")}))
            .await
            .is(201);
        let mut body = bench.openproject_in();
        body["display_name"] = json!(format!("Connection {number}"));
        bench.connect(body).await;
    }
    for (path, list, name, word) in [
        ("/projects", "projects", "name", "Project"),
        ("/connections", "connections", "display_name", "Connection"),
    ] {
        let mut seen = Vec::new();
        let mut page = format!("{path}?limit=2");
        loop {
            let answer = bench.get(&page).await.is(200).json();
            assert_eq!(answer["total"], 5);
            let rows = answer[list].as_array().unwrap();
            seen.extend(rows.iter().map(|row| row[name].as_str().unwrap().to_owned()));
            match answer["next_cursor"].as_str() {
                Some(cursor) => page = format!("{path}?limit=2&cursor={cursor}"),
                None => break,
            }
        }
        let expected: Vec<String> = (1..=5).map(|number| format!("{word} {number}")).collect();
        assert_eq!(seen, expected);
        assert_eq!(bench.get(path).await.json()[list].as_array().unwrap().len(), 5);
        bench.get(&format!("{path}?limit=0")).await.is(422);
        bench.get(&format!("{path}?cursor=nonsense")).await.is(422);
    }
}
