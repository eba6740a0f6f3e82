//! Connecting: tested first, and every way to get it wrong says what to do.

mod support;

use std::io::Write;
use std::process::Stdio;

use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use support::{KEY, Magnus, openproject, said};

fn connect<'a>(tool: &'a str, url: &'a str, key: &'a str) -> [&'a str; 8] {
    ["connect", tool, "--url", url, "--key-env", key, "--name", "Work"]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_says_who_it_is_and_its_key_is_nowhere_to_be_read() {
    let magnus = Magnus::new();
    let (_openproject, served) = openproject().await;
    let said = magnus.run(&connect("openproject", &served.url, "BOARD_KEY")).ends(0);
    for word in [
        "connected \"Work\"",
        "openproject",
        "reads and writes: title, description",
    ] {
        assert!(said.out.contains(word), "{word:?} is missing in: {}", said.out);
    }
    let listed = magnus.run(&["connections", "--json"]).ends(0).json();
    assert_eq!(listed[0]["name"], "Work");
    magnus.run(&["connections"]).ends(0);
    magnus.run(&["sync", "--all"]).ends(0);
    magnus.assert_key_is_not_stored();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_can_come_from_standard_input() {
    let magnus = Magnus::new();
    let (_openproject, served) = openproject().await;
    let mut command = magnus.command(&[
        "connect",
        "openproject",
        "--url",
        &served.url,
        "--key-stdin",
        "--name",
        "Work",
    ]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(format!("{KEY}\n").as_bytes())
        .unwrap();
    let output = tokio::task::block_in_place(|| child.wait_with_output().unwrap());
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    magnus.assert_key_is_not_stored();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_refused_and_nothing_is_kept() {
    let magnus = Magnus::new();
    let (openproject, served) = openproject().await;
    openproject.configure(|options| options.api_key = "another".to_owned());
    openproject.edit_user(openproject.sync_user(), |user| {
        user.api_key = Some("another".to_owned())
    });
    magnus
        .run(&connect("openproject", &served.url, "BOARD_KEY"))
        .complains(3, &["Work", "check", "not authenticated", "API key"]);
    assert_eq!(
        magnus
            .run(&["connections", "--json"])
            .ends(0)
            .json()
            .as_array()
            .unwrap()
            .len(),
        0
    );
    magnus.assert_key_is_not_stored();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_named_with_its_remedy() {
    let magnus = Magnus::new();
    let url = "http://127.0.0.1:9";
    magnus
        .run(&connect("trello", url, "BOARD_KEY"))
        .complains(2, &["trello", "leantime, openproject"]);
    magnus
        .run(&connect("openproject", "htp:/nowhere", "BOARD_KEY"))
        .complains(2, &["Work", "invalid settings", "URL", "https://example.org"]);
    magnus
        .run(&connect("openproject", url, "NO_SUCH_KEY"))
        .complains(2, &["NO_SUCH_KEY", "is not set"]);
    // Somebody took --key-env for the place of the key itself: it is not repeated.
    magnus
        .run(&connect("openproject", url, KEY))
        .complains(2, &["--key-env", "never stand on the command line"]);
    magnus
        .run(&["connect", "openproject", "--url", url, "--name", "Work"])
        .complains(2, &["--key-env VARIABLE", "--key-stdin"]);
    let mut misspelt = connect("openproject", url, "BOARD_KEY").to_vec();
    misspelt.extend(["--direction", "bidirectonal"]);
    let said = magnus.run(&misspelt).ends(2);
    assert!(said.err.contains("pull, push, bidirectional"), "{}", said.err);
    let mut option = connect("openproject", url, "BOARD_KEY").to_vec();
    option.extend(["--config", "deletion=delete"]);
    magnus.run(&option).complains(2, &["deletion", "deletions"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_not_sent_to_another_server_than_the_one_it_was_given_for() {
    let magnus = Magnus::new();
    let (_old, here) = openproject().await;
    let (new, there) = openproject().await;
    magnus.run(&connect("openproject", &here.url, "BOARD_KEY")).ends(0);
    let url = format!("url={}", there.url);
    magnus
        .run(&["set", "Work", &url])
        .complains(2, &["Work", "another server", "--key-env"]);
    assert_eq!(new.recorder().total(), 0, "nobody was asked");
    let shown = |magnus: &Magnus| magnus.run(&["connections", "--json"]).ends(0).json()[0]["url"].clone();
    assert_eq!(shown(&magnus), here.url);
    magnus.run(&["set", "Work", &url, "--key-env", "BOARD_KEY"]).ends(0);
    assert_eq!(shown(&magnus), there.url);
    magnus.run(&["sync", "Work"]).ends(0);
    assert!(new.recorder().total() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_or_is_no_api_is_unreachable_and_nothing_is_kept() {
    let magnus = Magnus::new();
    let (openproject, served) = openproject().await;
    openproject
        .faults()
        .inject(FaultRule::new(CallMatcher::any(), Fault::Html(200)).always());
    magnus
        .run(&connect("openproject", &served.url, "BOARD_KEY"))
        .complains(3, &["Work", "check", "answer not understood", "URL"]);
    openproject.faults().clear();
    openproject
        .faults()
        .inject(FaultRule::new(CallMatcher::any(), Fault::TruncateJson).always());
    magnus
        .run(&connect("openproject", &served.url, "BOARD_KEY"))
        .complains(3, &["Work", "check"]);
    let url = served.url.clone();
    drop(served);
    magnus
        .run(&connect("openproject", &url, "BOARD_KEY"))
        .complains(3, &["Work", "check", "unavailable", "server runs"]);
    assert_eq!(
        magnus
            .run(&["connections", "--json"])
            .ends(0)
            .json()
            .as_array()
            .unwrap()
            .len(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_one_json_document_for_those_who_ask_for_json() {
    let magnus = Magnus::new();
    let said = magnus.run(&["sync", "Nowhere", "--json"]).ends(2);
    let error: serde_json::Value = serde_json::from_str(&said.err).unwrap();
    assert_eq!(error["exit_code"], 2);
    assert!(error["error"].as_str().unwrap().contains("\"Nowhere\""), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_cannot_be_opened_is_named() {
    let magnus = Magnus::new();
    std::fs::write(
        magnus.database(),
        "this is no database, and long enough to be told from an empty file",
    )
    .unwrap();
    let said = said(magnus.command(&["tasks"]));
    said.complains(3, &["hub.db"]);
    for (database, code, named) in [
        ("mysql://somewhere/hub", 2, "sqlite://"),
        // Nobody listens there.
        (
            "postgres://u:hushhush@127.0.0.1:1/hub",
            3,
            "postgres://u@127.0.0.1:1/hub",
        ),
    ] {
        let mut command = magnus.command(&["tasks", "--database", database]);
        command.env_remove("MAGNUS_DATABASE");
        let said = support::said(command);
        assert!(!said.err.contains("hushhush"), "{}", said.err);
        said.complains(code, &[named]);
    }
}
