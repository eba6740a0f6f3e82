//! `map-users` and `map-status`: both sides' lists, proposals, and what `--write` keeps.

mod support;

use support::Pair;

#[tokio::test(flavor = "multi_thread")]
async fn map_status_shows_both_lists_and_writes_what_it_guessed() {
    let pair = Pair::connected().await;
    let mut statuses = pair.openproject.statuses();
    let mut odd = statuses[0].clone();
    (odd.id, odd.name, odd.is_closed, odd.is_default) = (901, "Frobnicated".to_owned(), false, false);
    statuses.push(odd);
    pair.openproject.set_statuses(statuses);
    pair.run(&["map-status", "Work"]).complains(2, &["map --all"]);
    pair.run(&["map", "--all"]).ends(0);
    let said = pair.run(&["map-status", "Work"]).ends(0);
    for word in [
        "Frobnicated",
        "a guess by whether it is closed",
        "IS WRITTEN AS",
        "1 proposals",
        "--write",
    ] {
        assert!(said.out.contains(word), "{word:?} is missing in: {}", said.out);
    }
    let shown = pair.run(&["map-status", "Work", "--json"]).ends(0).json();
    let guessed = shown["tool"].as_array().unwrap();
    let guessed: Vec<_> = guessed.iter().filter(|row| !row["proposal"].is_null()).collect();
    assert_eq!((guessed.len(), &guessed[0]["proposal"]), (1, &"todo".into()));
    assert_eq!(shown["hub"].as_array().unwrap().len(), 6);
    let before = pair.writes();
    let shown = pair.run(&["map-status", "Work", "--write", "--json"]).ends(0).json();
    assert_eq!(shown["written"], true);
    let listed = pair.run(&["connections", "--json"]).ends(0).json();
    let work = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "Work")
        .unwrap();
    assert_eq!(work["options"]["status_map"]["Frobnicated"], "todo", "{work}");
    let said = pair.run(&["map-status", "Work"]).ends(0);
    assert!(
        said.out.contains("nothing to propose") && said.out.contains("status_map"),
        "{}",
        said.out
    );
    assert_eq!(pair.writes(), before, "nothing is written in a tool");
}

#[tokio::test(flavor = "multi_thread")]
async fn map_status_names_what_a_tool_has_no_status_for() {
    let pair = Pair::connected().await;
    let labels = [(3, "New", "NEW"), (0, "Done", "DONE")];
    let labels = labels.map(|(id, name, kind)| magnus_testkit::sim::leantime::StatusLabel::new(id, name, kind));
    pair.leantime.set_status_labels(pair.board, labels.to_vec());
    pair.run(&["map", "--all"]).ends(0);
    let said = pair.run(&["map-status", "Board"]).ends(0);
    assert!(said.out.contains("nothing in the tool means blocked"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn map_users_proposes_the_person_who_is_called_alike_and_writes_it() {
    let pair = Pair::connected().await;
    let user = pair.openproject.create_user("ghopper", "G. Hopper");
    let user_b = pair.openproject.create_user("unique", "Only Here");
    for id in [user, user_b] {
        let role = magnus_testkit::sim::openproject::Role::Member;
        pair.openproject.set_role(pair.project, id, role);
    }
    let grace = pair.leantime.create_person("Grace", "Hopper", "grace@home.test", 20);
    pair.leantime.assign(grace, pair.board);
    pair.run(&["map", "--all"]).ends(0);
    let said = pair.run(&["map-users", "Work"]).ends(0);
    for word in [
        "G. Hopper",
        "proposed: is this Grace Hopper <grace@home.test>?",
        "only in this tool so far",
        "known in the hub and its other tools: ",
    ] {
        assert!(said.out.contains(word), "{word:?} is missing in: {}", said.out);
    }
    let shown = pair.run(&["map-users", "Work", "--write", "--json"]).ends(0).json();
    assert_eq!(shown["written"], true, "{shown}");
    let listed = pair.run(&["connections", "--json"]).ends(0).json();
    let work = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "Work")
        .unwrap();
    assert_eq!(
        work["options"]["user_map"]["G. Hopper"],
        "Grace Hopper <grace@home.test>"
    );
    // And it holds: the assignee arrives as the person he is.
    let item = pair.openproject.work_packages().remove(0).id;
    pair.openproject
        .edit_work_package(item, |item| item.assignee_id = Some(user));
    pair.run(&["sync", "--all"]).ends(0);
    assert_eq!(pair.leantime.tickets()[0].editor_id, Some(grace.to_string()));
    let said = pair.run(&["map-users", "Work"]).ends(0);
    assert!(said.out.contains("nothing to propose"), "{}", said.out);
}
