//! Connections, syncs and what they answer.

mod support;

use http::Method;
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use serde_json::json;
use support::{Bench, until};

#[tokio::test]
async fn a_connection_is_tested_kept_and_shown_without_its_key() {
    let bench = Bench::new();
    let answer = bench.post("/connections", bench.openproject_in()).await.is(201);
    assert_eq!(answer.says(), "The openproject board is now under my control.");
    let body = answer.json();
    assert_eq!(body["status"], "connected");
    let connection = &body["connection"];
    assert_eq!(connection["sync_direction"], "bidirectional");
    assert_eq!(connection["sync_frequency"], "realtime");
    assert_eq!(connection["state"], "new");
    assert_eq!(
        connection["no_schedule"],
        "it waits for the first sync that a person asks for"
    );
    assert!(connection.get("api_key").is_none());
    let id = connection["id"].as_str().unwrap();
    let listed = bench.get("/connections").await.is(200).json();
    assert_eq!(listed["connections"][0], *connection);
    assert_eq!(listed["tools"], json!(["leantime", "openproject"]));

    let tested = bench.get(&format!("/connections/{id}/test")).await.is(200).json();
    assert_eq!(tested["status"], "ok");
    let user = bench.openproject.sync_user();
    bench
        .openproject
        .edit_user(user, |user| user.api_key = Some("another".to_owned()));
    let tested = bench.get(&format!("/connections/{id}/test")).await.is(200).json();
    assert_eq!(tested["status"], "failed");
    assert!(
        tested["reason"].as_str().unwrap().contains("not authenticated"),
        "{tested}"
    );

    // A new key is tried before it is kept, and holds at once.
    let path = format!("/connections/{id}");
    bench
        .ask(Method::PATCH, &path, json!({"api_key": "wrong"}))
        .await
        .is(422);
    bench
        .ask(Method::PATCH, &path, json!({"api_key": "another"}))
        .await
        .is(200);
    let tested = bench.get(&format!("/connections/{id}/test")).await.is(200).json();
    assert_eq!(tested["status"], "ok");
}

#[tokio::test]
async fn what_does_not_pass_the_test_is_not_kept() {
    let bench = Bench::new();
    let by = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut body = bench.openproject_in();
        change(&mut body);
        body
    };
    for (body, status, field) in [
        (by(&|body| body["api_key"] = json!("wrong")), 422, None),
        (by(&|body| body["tool_name"] = json!("trello")), 422, Some("tool_name")),
        (
            by(&|body| body["sync_direction"] = json!("bidirectonal")),
            422,
            Some("sync_direction"),
        ),
        (
            by(&|body| body["sync_frequency"] = json!("sometimes")),
            422,
            Some("sync_frequency"),
        ),
        (by(&|body| body["display_name"] = json!(" ")), 422, Some("display_name")),
        (
            by(&|body| body["instance_url"] = json!("ftp://127.0.0.1")),
            422,
            Some("instance_url"),
        ),
        (
            by(&|body| body["instance_url"] = json!("http://169.254.169.254")),
            422,
            Some("instance_url"),
        ),
        (
            by(&|body| body["config"] = json!({"deletion": "delete"})),
            422,
            Some("config"),
        ),
        (
            by(&|body| body["config"] = json!({"time_zone": "Mars/Base"})),
            422,
            Some("config.time_zone"),
        ),
        (
            by(&|body| drop(body.as_object_mut().unwrap().remove("api_key"))),
            422,
            Some("api_key"),
        ),
        (by(&|body| body["colour"] = json!("red")), 422, Some("colour")),
    ] {
        let answer = bench.post("/connections", body.clone()).await.is(status);
        let named = answer.json()["errors"][0]["field"].as_str().map(str::to_owned);
        assert_eq!(named.as_deref(), field, "{body}");
    }
    bench
        .openproject
        .faults()
        .inject(FaultRule::new(CallMatcher::any(), Fault::status(503, "down")).always());
    bench.post("/connections", bench.openproject_in()).await.is(502);
    assert!(bench.store.connections().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_sync_starts_at_once_and_a_waited_one_tells_the_counts() {
    let bench = Bench::new();
    let id = bench.filled(5).await;
    let answer = bench.act(&format!("/connections/{id}/sync")).await.is(202);
    assert_eq!(
        answer.says(),
        "The pieces are moving. I'll update you when the board is set."
    );
    let run = answer.json()["run_id"].as_str().unwrap().to_owned();
    let path = format!("/sync/runs/{run}");
    until("the end of the run", async || {
        bench.get(&path).await.json()["status"] == "completed"
    })
    .await;
    let run = bench.get(&path).await.is(200).json();
    assert_eq!((&run["counts"]["created"], &run["total"]), (&json!(5), &json!(5)));
    assert_eq!(run["details"]["items"].as_array().unwrap().len(), 5);

    let answer = bench.act(&format!("/connections/{id}/sync?wait=true")).await.is(200);
    assert_eq!(answer.says(), "All pieces synchronized. The board is current.");
    let body = answer.json();
    assert_eq!(
        (&body["status"], &body["tasks"]["unchanged"]),
        (&json!("completed"), &json!(5))
    );

    let status = bench.get("/sync/status").await.is(200);
    assert_eq!(status.says(), "All syncs complete.");
    assert_eq!(status.json()["recent_syncs"].as_array().unwrap().len(), 2);
    let listed = bench.get("/connections").await.json();
    let connection = &listed["connections"][0];
    assert_eq!(
        (&connection["state"], &connection["last_sync_status"]),
        (&json!("ok"), &json!("completed"))
    );
    assert!(connection["next_run_at"].is_string(), "{connection}");
}

#[tokio::test]
async fn a_plan_writes_nothing() {
    let bench = Bench::new();
    let id = bench.filled(3).await;
    let body = bench
        .act(&format!("/connections/{id}/sync?dry_run=true"))
        .await
        .is(200)
        .json();
    assert_eq!(
        (&body["status"], &body["tasks"]["created"]),
        (&json!("planned"), &json!(3))
    );
    assert_eq!(bench.get("/unified/tasks").await.json()["total"], 0);
    assert_eq!(bench.get("/sync/status").await.json()["recent_syncs"], json!([]));
}

#[tokio::test]
async fn a_run_that_fails_is_a_problem_that_names_it() {
    let bench = Bench::new();
    let id = bench.filled(1).await;
    bench
        .openproject
        .faults()
        .inject(FaultRule::new(CallMatcher::any(), Fault::status(503, "down")).always());
    let problem = bench
        .act(&format!("/connections/{id}/sync?wait=true"))
        .await
        .is(502)
        .json();
    let run = problem["run_id"].as_str().unwrap();
    let run = bench.get(&format!("/sync/runs/{run}")).await.is(200).json();
    assert_eq!(run["status"], "failed");
    assert_eq!(run["error_message"], problem["detail"]);
    assert_eq!(
        bench.get(&format!("/connections/{id}/projects")).await.is(502).status,
        502
    );
}

#[tokio::test]
async fn a_wider_direction_is_refused_and_a_switched_off_connection_too() {
    let bench = Bench::new();
    let mut body = bench.openproject_in();
    body["sync_direction"] = json!("pull");
    let id = bench.connect(body).await;
    let problem = bench
        .act(&format!("/connections/{id}/sync?direction=push"))
        .await
        .is(409)
        .json();
    assert_eq!(problem["type"], "urn:magnus:problem:direction-too-wide");
    bench
        .ask(
            Method::PATCH,
            &format!("/connections/{id}"),
            json!({"sync_enabled": false}),
        )
        .await
        .is(200);
    bench.act(&format!("/connections/{id}/sync")).await.is(409);
    let all = bench.act("/sync/all").await.is(202);
    assert_eq!(all.json()["connections_syncing"], 0);
    assert_eq!(bench.get("/sync/status").await.json()["recent_syncs"], json!([]));
}

#[tokio::test]
async fn all_are_synced_at_once_and_edits_flow_through_the_hub() {
    let bench = Bench::new();
    let (work, _) = bench.pair(4).await;
    assert_eq!(bench.leantime.tickets().len(), 4);
    let answer = bench.act("/sync/all").await.is(202);
    assert_eq!(
        answer.says(),
        "Synchronizing 2 battlefields simultaneously. All pieces moving."
    );
    let body = answer.json();
    assert_eq!(body["tools"], json!(["leantime", "openproject"]));
    assert_eq!(body["run_ids"].as_array().unwrap().len(), 2);
    bench.orchestrator.idle().await;

    let tasks = bench.get("/unified/tasks?order=title&limit=2").await.is(200).json();
    assert_eq!(
        (&tasks["total"], &tasks["by_source"]),
        (&json!(4), &json!({"openproject": 4}))
    );
    let task = &tasks["tasks"][0];
    assert_eq!(
        (&task["title"], &task["project_name"]),
        (&json!("Task 000"), &json!("Garden"))
    );
    assert_eq!(task["links"].as_array().unwrap().len(), 2);
    assert!(task["links"][0]["external_url"].is_string());

    // An edit of the hub flows to both tools, which are kept in real time.
    let path = format!("/tasks/{}", task["id"].as_str().unwrap());
    bench
        .ask(Method::PATCH, &path, json!({"title": "Water the tomatoes"}))
        .await
        .is(200);
    until("the edit in both tools", async || {
        bench.orchestrator.idle().await;
        let there = bench
            .openproject
            .work_packages()
            .iter()
            .any(|item| item.subject == "Water the tomatoes");
        there
            && bench
                .leantime
                .tickets()
                .iter()
                .any(|item| item.headline.as_deref() == Some("Water the tomatoes"))
    })
    .await;
    let story = bench.get(&format!("{path}/story")).await.is(200).json();
    let last = story["history"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["field"], &last["after"]),
        (&json!("title"), &json!("Water the tomatoes"))
    );

    let dashboard = bench.get("/unified/dashboard").await.is(200).json();
    assert_eq!(
        (&dashboard["total"], &dashboard["connections"][0]["linked"]),
        (&json!(4), &json!(4))
    );
    bench
        .ask(Method::DELETE, &format!("/connections/{work}"), json!({}))
        .await
        .is(204);
    assert_eq!(bench.get("/unified/tasks").await.json()["total"], 4);
}

#[tokio::test]
async fn a_conflict_is_shown_and_settled() {
    let bench = Bench::new();
    let (work, _) = bench.pair(1).await;
    let task = bench.get("/tasks").await.json()["tasks"][0].clone();
    bench
        .ask(
            Method::PATCH,
            &format!("/connections/{work}"),
            json!({"sync_frequency": "manual"}),
        )
        .await
        .is(200);
    let path = format!("/tasks/{}", task["id"].as_str().unwrap());
    bench.ask(Method::PATCH, &path, json!({"title": "Ours"})).await.is(200);
    let item = bench.openproject.work_packages()[0].id;
    bench
        .openproject
        .edit_work_package(item, |item| item.subject = "Theirs".to_owned());
    let run = bench
        .act(&format!("/connections/{work}/sync?wait=true"))
        .await
        .is(200)
        .json();
    assert_eq!(run["tasks"]["conflicted"], 1);

    let conflicts = bench.get("/conflicts").await.is(200).json();
    assert_eq!(conflicts["total"], 1);
    let conflict = &conflicts["conflicts"][0];
    assert_eq!(
        (
            &conflict["field"],
            &conflict["hub_value"],
            &conflict["external_value"],
            &conflict["base_value"]
        ),
        (&json!("title"), &json!("Ours"), &json!("Theirs"), &json!("Task 000"))
    );
    for at in ["hub_changed_at", "external_changed_at"] {
        assert!(conflict[at].is_string(), "{at}: {conflict}");
    }
    assert_eq!(conflict["hub_changed_by"], json!(null), "an edit of the hub itself");
    assert_eq!(conflict["external_changed_by"], "Ada Byron");
    let resolve = format!("/conflicts/{}/resolve", conflict["id"].as_str().unwrap());
    for (body, field) in [
        (json!({"resolution": "both"}), "resolution"),
        (json!({"resolution": "merged"}), "fields"),
        (json!({"resolution": "merged", "fields": {"title": 7}}), "fields.title"),
    ] {
        let problem = bench.post(&resolve, body).await.is(422).json();
        assert_eq!(problem["errors"][0]["field"], field);
    }
    // Somebody else looked at it while the tool still said something else.
    let seen = conflict["updated_at"].clone();
    bench
        .openproject
        .edit_work_package(item, |package| package.subject = "Theirs, again".to_owned());
    bench.act(&format!("/connections/{work}/sync?wait=true")).await.is(200);
    let outdated = json!({"resolution": "hub", "updated_at": seen});
    bench.post(&resolve, outdated).await.is(409);
    let conflict = bench.get("/conflicts").await.is(200).json()["conflicts"][0].clone();
    assert_eq!(
        (&conflict["status"], &conflict["external_value"]),
        (&json!("open"), &json!("Theirs, again"))
    );
    let body = json!({
        "resolution": "merged", "fields": {"title": "Both"}, "updated_at": conflict["updated_at"],
    });
    let answer = bench.post(&resolve, body.clone()).await.is(200).json();
    assert_eq!(answer["conflict"]["status"], "merged");
    bench.post(&resolve, body).await.is(409);
    bench.act(&format!("/connections/{work}/sync?wait=true")).await.is(200);
    assert_eq!(bench.openproject.work_package(item).unwrap().subject, "Both");
    assert_eq!(bench.get("/conflicts").await.json()["total"], 0);
    assert_eq!(bench.get("/conflicts?all=true").await.json()["total"], 1);
}

#[tokio::test]
async fn what_may_be_the_same_is_listed_and_decided() {
    let bench = Bench::new();
    let mut body = bench.openproject_in();
    let garden = bench.openproject.create_project("Garden", "garden");
    for title in ["Dig", "Rake", "Sow", "Sow"] {
        bench.openproject.create_work_package(garden, title);
    }
    body["config"] = json!({"match": "ask", "projects": "mapped"});
    body["sync_frequency"] = json!("manual");
    let work = bench.connect(body).await;
    let hub = bench.post("/projects", json!({"name": "Garden"})).await.is(201).json();
    let project = hub["id"].as_str().or(hub["project"]["id"].as_str()).unwrap().to_owned();
    let path = format!("/connections/{work}/map-project?external_project_id={garden}&magnus_project_id={project}");
    bench.act(&path).await.is(200);
    for title in ["Dig", "Rake", "Sow"] {
        bench
            .post("/tasks", json!({"project_id": project, "title": title}))
            .await
            .is(201);
    }
    let matches = format!("/connections/{work}/matches");
    let sync = format!("/connections/{work}/sync?wait=true");
    bench.act(&sync).await.is(200);
    let found = bench.get(&matches).await.is(200).json();
    let found = found["matches"].as_array().unwrap().clone();
    let titles: Vec<&str> = found.iter().map(|one| one["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Dig", "Rake", "Sow"]);
    assert_eq!(found[2]["external_task_ids"].as_array().unwrap().len(), 2);

    let item = |index: usize, which: usize| found[index]["external_task_ids"][which].clone();
    for wrong in [
        json!({}),
        json!({"external_task_id": item(0, 0)}),
        json!({"external_task_id": item(0, 0), "task_id": found[0]["task_ids"][0], "new": true}),
        json!({"external_task_id": item(0, 0), "task_id": "Dig"}),
        json!({"external_task_id": item(0, 0), "sure": true}),
    ] {
        bench.post(&matches, wrong).await.is(422);
    }
    let decide = json!({"external_task_id": item(2, 0), "task_id": found[2]["task_ids"][0]});
    assert_eq!(bench.post(&matches, decide.clone()).await.is(200).json()["decided"], 1);
    bench.post(&matches, decide).await.is(409);
    bench.post(&matches, json!({"sure": true})).await.is(200);
    bench.act(&sync).await.is(200);
    // The second of those that are called alike has nothing left that it could be.
    assert_eq!(bench.get("/unified/tasks").await.json()["total"], 4);
    assert_eq!(bench.openproject.work_packages().len(), 4);
    assert_eq!(bench.get(&matches).await.json()["matches"], json!([]));
}

#[tokio::test]
async fn a_halted_run_shows_its_plan_and_is_confirmed_or_discarded() {
    let bench = Bench::new();
    let (_, board) = bench.pair(2).await;
    let path = format!("/connections/{board}");
    let strict = json!({"sync_frequency": "manual",
        "config": {"guard": {"creations": {"count": 0, "percent": 0}}}});
    bench.ask(Method::PATCH, &path, strict).await.is(200);
    let project = bench.get("/projects").await.json()["projects"][0]["id"].clone();
    bench
        .post("/tasks", json!({"project_id": project, "title": "New"}))
        .await
        .is(201);
    let halted = bench.act(&format!("{path}/sync?wait=true")).await.is(200).json();
    assert_eq!(halted["status"], "halted");
    assert!(!halted["halts"].as_array().unwrap().is_empty());
    let run = format!("/sync/runs/{}", halted["run_id"].as_str().unwrap());
    let shown = bench.get(&run).await.is(200).json();
    assert!(shown["details"]["plan"].is_object(), "{shown}");
    let state = bench.get(&path).await.json();
    assert_eq!(
        (&state["state"], &state["last_sync_status"]),
        (&json!("halted"), &json!("halted"))
    );

    let done = bench.act(&format!("{run}/confirm?wait=true")).await.is(200).json();
    assert_eq!(
        (&done["status"], &done["tasks"]["created"]),
        (&json!("completed"), &json!(1))
    );
    assert_eq!(bench.leantime.tickets().len(), 3);
    bench
        .act(&format!(
            "{}/confirm",
            run.replace(&run[10..], "/00000000-0000-7000-8000-000000000000")
        ))
        .await
        .is(404);
    let confirmed = format!("/sync/runs/{}", done["run_id"].as_str().unwrap());
    bench.act(&format!("{confirmed}/confirm")).await.is(409);
    assert_eq!(
        bench.act(&format!("{confirmed}/cancel")).await.is(200).json()["status"],
        "over"
    );

    bench
        .post("/tasks", json!({"project_id": project, "title": "Newer"}))
        .await
        .is(201);
    let halted = bench.act(&format!("{path}/sync?wait=true")).await.is(200).json();
    let run = format!("/sync/runs/{}", halted["run_id"].as_str().unwrap());
    assert_eq!(
        bench.act(&format!("{run}/cancel")).await.is(200).json()["status"],
        "discarded"
    );
    assert_eq!(bench.leantime.tickets().len(), 3);
}

#[tokio::test]
async fn a_member_of_an_object_among_the_options_is_set_and_goes_with_null() {
    let bench = Bench::new();
    let work = bench.connect(bench.openproject_in()).await;
    let path = format!("/connections/{work}");
    let change = async |config: serde_json::Value| {
        let body = json!({ "config": config });
        bench.ask(Method::PATCH, &path, body).await.is(200).json()["config"]["status_map"].clone()
    };
    let set = change(json!({"status_map": {"Waiting": "todo", "Frozen": "done"}})).await;
    assert_eq!(set, json!({"Waiting": "todo", "Frozen": "done"}));
    let one_less = change(json!({"status_map": {"Frozen": null}})).await;
    assert_eq!(one_less, json!({"Waiting": "todo"}));
}

#[tokio::test]
async fn a_halted_undoing_is_confirmed_as_what_it_is() {
    let bench = Bench::new();
    let (_, board) = bench.pair(2).await;
    let path = format!("/connections/{board}");
    let project = bench.get("/projects").await.json()["projects"][0]["id"].clone();
    bench
        .post("/tasks", json!({"project_id": project, "title": "New"}))
        .await
        .is(201);
    let done = bench.act(&format!("{path}/sync?wait=true")).await.is(200).json();
    assert_eq!(bench.leantime.tickets().len(), 3);
    let strict = json!({"config": {"guard": {"deletions": {"count": 0, "percent": 0}}}});
    bench.ask(Method::PATCH, &path, strict).await.is(200);
    let run = format!("/sync/runs/{}", done["run_id"].as_str().unwrap());
    let halted = bench.act(&format!("{run}/undo?wait=true")).await.is(200).json();
    assert_eq!(halted["status"], "halted", "{halted}");
    let halted = format!("/sync/runs/{}", halted["run_id"].as_str().unwrap());
    let undone = bench.act(&format!("{halted}/confirm?wait=true")).await.is(200).json();
    assert_eq!(undone["status"], "completed", "{undone}");
    assert_eq!(bench.leantime.tickets().len(), 2, "it is undone");
}
