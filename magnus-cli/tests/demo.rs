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
    assert!(!magnus.database().exists(), "the demo leaves the hub of its user alone");
}
