//! A working day with the program: map, plan, sync, edit, settle.

mod support;

use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use support::{Magnus, Pair};

#[test]
fn with_json_wrong_arguments_are_an_error_in_json_too() {
    let magnus = Magnus::new();
    for arguments in [
        ["sync", "--direction", "sideways", "--json"].as_slice(),
        &["--json", "sink"],
        &["--json"],
    ] {
        let said = magnus.run(arguments).ends(2);
        assert_eq!(said.out, "");
        let error: serde_json::Value = serde_json::from_str(&said.err).unwrap_or_else(|_| panic!("{}", said.err));
        assert_eq!(error["exit_code"], 2, "{error}");
        assert!(error["error"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
        assert!(
            error["remedy"].as_str().is_some_and(|text| text.contains("--help")),
            "{error}"
        );
    }
    magnus.run(&["sync", "--direction", "sideways", "--", "--json"]).ends(2);
    magnus.run(&["--json", "--version"]).ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_shows_what_a_sync_would_do_and_writes_nothing() {
    let pair = Pair::connected().await;
    let mapped = pair.run(&["map", "--all"]).ends(0);
    assert!(
        mapped
            .out
            .contains("Work: \"Garden\" is mapped to hub project \"Garden\""),
        "{}",
        mapped.out
    );
    pair.openproject.reset_counts();
    pair.leantime.reset_counts();
    let plan = pair.run(&["plan", "Work"]).ends(0);
    assert!(plan.out.contains("create in hub: Water the tomatoes"), "{}", plan.out);
    assert_eq!(pair.run(&["tasks", "--json"]).ends(0).json()["total"], 0);
    assert_eq!(pair.writes(), 0);

    pair.run(&["sync"]).ends(0);
    assert_eq!(pair.leantime.tickets().len(), 1);
    let id = pair.openproject.work_packages()[0].id;
    pair.openproject
        .edit_work_package(id, |item| item.subject = "Water the roses".to_owned());
    let plan = pair.run(&["plan"]).ends(0);
    assert!(
        plan.out.contains("hub title: Water the tomatoes -> Water the roses"),
        "{}",
        plan.out
    );
    let json = pair.run(&["plan", "Work", "--json"]).ends(0).json();
    assert_eq!(json[0]["plan"]["counts"]["tasks"]["updated"], 1, "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_the_hub_are_added_changed_and_deleted_and_reach_the_tools() {
    let pair = Pair::synced().await;
    let added = pair
        .run(&[
            "task",
            "add",
            "--project",
            "Garden",
            "Cut the hedge",
            "--due",
            "2026-12-24",
            "--status",
            "in_progress",
            "--estimate",
            "1h30",
            "--json",
        ])
        .ends(0)
        .json();
    let id = added["id"].as_str().unwrap().to_owned();
    pair.run(&["sync", "--all", "--wait"]).ends(0);
    let item = pair
        .openproject
        .work_packages()
        .into_iter()
        .find(|item| item.subject == "Cut the hedge")
        .unwrap();
    assert_eq!(
        (item.due_date.unwrap().to_string().as_str(), item.estimated_minutes),
        ("2026-12-24", Some(90))
    );

    pair.run(&["task", "edit", &id, "--clear", "due_date", "--priority", "high"])
        .ends(0);
    pair.run(&["sync"]).ends(0);
    assert_eq!(pair.openproject.work_package(item.id).unwrap().due_date, None);
    let shown = pair.run(&["task", "show", "Cut the hedge"]).ends(0);
    for word in [
        "priority: high",
        "linked: Work",
        "linked: Board",
        "due_date: 2026-12-24 -> (none)",
    ] {
        assert!(shown.out.contains(word), "{word:?} is missing in: {}", shown.out);
    }
    let high = pair
        .run(&["tasks", "--status", "in_progress", "--project", "Garden", "--json"])
        .ends(0)
        .json();
    assert_eq!(
        (high["total"].as_u64(), high["by_source"]["hub"].as_u64()),
        (Some(1), Some(1))
    );

    pair.run(&["task", "rm", &id]).ends(0);
    pair.run(&["sync"]).ends(0);
    assert!(
        pair.openproject.work_package(item.id).is_some(),
        "deletions are kept to the hub by default"
    );
    assert_eq!(pair.run(&["tasks", "--json"]).ends(0).json()["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_held_listed_and_settled_by_a_person() {
    for (choice, expected) in [
        (["--hub"].as_slice(), "from the hub"),
        (&["--external"], "from OpenProject"),
        (&["--value", "from both"], "from both"),
    ] {
        let pair = Pair::synced().await;
        let item = pair.openproject.work_packages()[0].id;
        pair.run(&["task", "edit", "Water the tomatoes", "--title", "from the hub"])
            .ends(0);
        pair.openproject
            .edit_work_package(item, |item| item.subject = "from OpenProject".to_owned());
        let synced = pair.run(&["sync"]).ends(0);
        assert!(synced.out.contains("magnus conflicts"), "{}", synced.out);

        let listed = pair.run(&["conflicts", "--json"]).ends(0).json();
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
        let conflict = listed[0]["conflict"]["id"].as_str().unwrap();
        let end = &conflict[conflict.len() - 8..];
        assert!(pair.run(&["conflicts"]).ends(0).out.contains(end));
        let mut arguments = vec!["resolve", end];
        arguments.extend(choice);
        pair.run(&arguments).ends(0);
        pair.run(&arguments).complains(2, &["settled already"]);

        pair.run(&["sync"]).ends(0);
        assert_eq!(pair.openproject.work_package(item).unwrap().subject, expected);
        assert_eq!(pair.leantime.tickets()[0].headline.as_deref(), Some(expected));
        assert_eq!(pair.run(&["conflicts"]).ends(0).out.trim(), "no conflicts");
        assert_eq!(
            pair.run(&["conflicts", "--all", "--json"])
                .ends(0)
                .json()
                .as_array()
                .unwrap()
                .len(),
            1
        );
        pair.openproject.reset_counts();
        pair.leantime.reset_counts();
        pair.run(&["sync"]).ends(0);
        assert_eq!(pair.writes(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_nobody_has_are_answered_with_those_that_are_there() {
    let pair = Pair::synced().await;
    for arguments in [
        ["sync", "Wrok"].as_slice(),
        &["plan", "Wrok"],
        &["projects", "Wrok"],
        &["set", "Wrok", "enabled=false"],
        &["disconnect", "Wrok"],
        &["map", "Wrok", "Garden"],
    ] {
        pair.run(arguments).complains(2, &["\"Wrok\"", "\"Board\", \"Work\""]);
    }
    pair.run(&["map", "Work", "Gardn"])
        .complains(2, &["\"Gardn\"", "\"Garden\"", "Work"]);
    pair.run(&["map", "Work", "Garden", "--to", "Kitchen"])
        .complains(2, &["\"Kitchen\"", "\"Garden\""]);
    pair.run(&["task", "show", "Nothing"])
        .complains(2, &["\"Nothing\"", "magnus tasks"]);
    pair.run(&["task", "add", "--project", "Garden", "  "])
        .complains(2, &["title"]);
    pair.run(&["task", "edit", "Water the tomatoes", "--due", "tomorrow"])
        .complains(2, &["due_date", "tomorrow"]);
    pair.run(&["task", "edit", "Water the tomatoes", "--clear", "title"])
        .complains(2, &["title"]);
    pair.run(&["resolve", "00000000", "--hub"]).complains(2, &["00000000"]);
    for arguments in [
        ["sync", "Work", "--direction", "sideways"].as_slice(),
        &["tasks", "--status", "finished"],
        &["resolve", "00000000"],
        &["frobnicate"],
    ] {
        pair.run(arguments).ends(2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_off_or_too_narrow_is_refused_with_that_reason() {
    let pair = Pair::synced().await;
    pair.run(&["set", "Work", "enabled=false", "direction=pull"]).ends(0);
    pair.run(&["sync", "Work"])
        .complains(2, &["Work", "switched off", "enabled=true"]);
    pair.run(&["set", "Work", "enabled=true"]).ends(0);
    pair.run(&["sync", "Work", "--direction", "push"])
        .complains(2, &["Work", "allows pull only"]);
    pair.run(&["set", "Work", "deletions=archive"])
        .complains(2, &["Work", "archive"]);
    pair.run(&["set", "Work", "deletions=sometimes"])
        .complains(2, &["Work", "sometimes"]);
    pair.run(&["set", "Work", "url=http://127.0.0.1:9", "--key-env", "BOARD_KEY"])
        .complains(3, &["Work", "check"]);
    let listed = pair.run(&["connections", "--json"]).ends(0).json();
    assert_eq!(
        (&listed[1]["direction"], &listed[1]["options"]["deletions"]),
        (&"pull".into(), &"keep".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_against_a_sick_server_fails_and_status_says_why() {
    let pair = Pair::synced().await;
    pair.openproject
        .faults()
        .inject(FaultRule::new(CallMatcher::any(), Fault::Html(200)).always());
    let said = pair.run(&["sync", "Work"]).ends(1);
    assert!(
        said.out.contains("failed") && said.out.contains("answer not understood"),
        "{}",
        said.out
    );
    let status = pair.run(&["status", "--json"]).ends(0).json();
    assert_eq!((&status["in_progress"], &status["queued"]), (&0.into(), &0.into()));
    assert_eq!(status["recent_syncs"][0]["state"], "failed");
    let status = pair.run(&["status"]).ends(0);
    assert!(
        status.out.contains("0 in progress, 0 queued") && status.out.contains("Work: failed"),
        "{}",
        status.out
    );
    pair.openproject.faults().clear();
    pair.run(&["sync", "Work"]).ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_connection_leaves_the_tasks_and_a_new_key_is_tried_before_it_is_kept() {
    let pair = Pair::synced().await;
    let wrong = pair.magnus.command(&["set", "Work", "--key-env", "WRONG_KEY"]);
    let mut wrong = wrong;
    wrong.env("WRONG_KEY", "nobody-has-this-key");
    support::said(wrong).complains(3, &["Work", "not authenticated"]);
    pair.run(&["sync", "Work"]).ends(0);
    let revision = || {
        let listed = pair.run(&["connections", "--json"]).ends(0).json();
        let connections = listed.as_array().unwrap();
        let work = connections.iter().find(|connection| connection["name"] == "Work");
        work.unwrap()["revision"].as_i64().unwrap()
    };
    let before = revision();
    pair.run(&["set", "Work", "--key-env", "BOARD_KEY"]).ends(0);
    assert!(
        revision() > before,
        "a process that has the connection open sees that it must open it anew"
    );
    pair.run(&["disconnect", "Work"]).ends(0);
    pair.run(&["sync", "Work"]).complains(2, &["\"Work\"", "\"Board\""]);
    assert_eq!(pair.run(&["tasks", "--json"]).ends(0).json()["total"], 1);
    assert_eq!(pair.openproject.work_packages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_the_same_waits_and_is_decided() {
    let pair = Pair::connected().await;
    pair.run(&["set", "Work", "match=ask"]).ends(0);
    pair.run(&["map", "--all"]).ends(0);
    for title in ["Water the tomatoes", "Cut the hedge"] {
        pair.run(&["task", "add", "--project", "Garden", title]).ends(0);
    }
    let hedge = pair.openproject.create_work_package(pair.project, "Cut the hedge");
    pair.run(&["sync", "Work"]).ends(0);
    assert_eq!(pair.openproject.work_packages().len(), 2, "nothing is doubled");
    let listed = pair.run(&["matches", "Work"]).ends(0);
    for words in [
        "Water the tomatoes",
        "Cut the hedge",
        &hedge.to_string(),
        "magnus match \"Work\" --sure",
    ] {
        assert!(listed.out.contains(words), "{words}: {}", listed.out);
    }
    assert_eq!(
        pair.run(&["matches", "Work", "--json"])
            .ends(0)
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let hedge = hedge.to_string();
    let said = pair.run(&["match", "Work", &hedge]).ends(2);
    assert!(said.err.contains("--with"), "{}", said.err);
    pair.run(&["match", "Work", &hedge, "--with", "Paint the fence"])
        .complains(2, &["Paint the fence"]);
    let said = pair.run(&["match", "Work", &hedge, "--new"]).ends(0);
    assert!(said.out.contains("is the new task \"Cut the hedge\""), "{}", said.out);
    let said = pair.run(&["match", "Work", "--sure"]).ends(0);
    assert!(said.out.contains("1 matched, 0 left"), "{}", said.out);
    pair.run(&["sync", "Work"]).ends(0);
    assert_eq!(pair.run(&["tasks", "--json"]).ends(0).json()["total"], 3);
    assert_eq!(
        pair.openproject.work_packages().len(),
        3,
        "the hub's own hedge is made there"
    );
    assert!(pair.run(&["matches", "Work"]).ends(0).out.contains("nothing waits"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_for_markers_is_checked_when_it_is_set() {
    let pair = Pair::synced().await;
    pair.run(&["set", "Work", "tool.create_marker_field=customField7"])
        .complains(2, &["customField7", "create_marker_field"]);
    pair.openproject.configure(|options| {
        options.custom_fields.insert("customField7".to_owned());
    });
    pair.run(&["set", "Work", "tool.create_marker_field=customField7"])
        .ends(0);
    pair.run(&["task", "add", "--project", "Garden", "Cut the hedge"])
        .ends(0);
    pair.run(&["sync", "Work"]).ends(0);
    let items = pair.openproject.work_packages();
    let hedge = items.iter().find(|item| item.subject == "Cut the hedge").unwrap();
    let marker = hedge.custom_fields["customField7"].as_str().unwrap();
    assert!(marker.parse::<magnus_core::model::IntentId>().is_ok(), "{marker}");
    let story = pair.run(&["task", "show", "Cut the hedge", "--json"]).ends(0);
    assert!(!story.out.contains(marker), "it is no metadata: {}", story.out);
}
