//! The demo keeps its promise.

mod support;

use support::Magnus;

#[tokio::test(flavor = "multi_thread")]
async fn the_third_run_writes_nothing_anywhere() {
    let magnus = Magnus::new();
    let said = magnus.run(&["demo"]).ends(0);
    for line in [
        "tasks now: 700 in OpenProject, 700 in Leantime, 900 in the hub",
        "conflict held: title is \"Rename agreed in the hub\" in the hub and \"Rename agreed in Leantime\" in Leantime",
        "third run: 0 writes to OpenProject, 0 to Leantime, 0 to the hub",
        "magnus connect openproject --url",
    ] {
        assert!(said.out.contains(line), "{line:?} is missing in: {}", said.out);
    }
    assert!(!said.out.contains("fake model"), "nobody asked for one");
    assert!(!magnus.database().exists(), "the demo leaves the hub of its user alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_fake_model_it_says_so_and_carries_the_subtasks_to_both_tools() {
    let magnus = Magnus::new();
    let said = magnus.run(&["demo", "--ai"]).ends(0);
    for line in [
        "a fake model at http://127.0.0.1:",
        "\"Move the office\" broken down by fake (compatible): 13 h, 5 points",
        "accepted: 4 subtasks in the hub",
        "children of \"Move the office\": 4 in OpenProject, 4 in Leantime",
        "accepted again, synced again: 0 writes anywhere",
    ] {
        assert!(said.out.contains(line), "{line:?} is missing in: {}", said.out);
    }
}
