//! Several processes on one hub, and readers who leave.

mod support;

use std::process::Stdio;
use std::time::Duration;

use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use support::Pair;

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_at_once_make_nothing_twice_and_the_second_says_who_holds_the_lease() {
    let pair = Pair::connected().await;
    pair.run(&["map", "--all"]).ends(0);
    for number in 0..40 {
        pair.openproject
            .create_work_package(pair.project, &format!("task {number}"));
    }
    // Long enough for the second process to meet the first one.
    let slow = FaultRule::new(CallMatcher::any(), Fault::Delay(Duration::from_millis(400))).always();
    pair.openproject.faults().inject(slow);
    let started = |arguments: &[&str]| {
        let mut command = pair.magnus.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let first = started(&["sync", "Work"]);
    let began = tokio::time::Instant::now();
    while pair.openproject.recorder().total() == 0 {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "the first process calls nobody"
        );
        tokio::task::yield_now().await;
    }
    let second = started(&["sync", "Work"]);
    let (first, second) =
        tokio::task::block_in_place(|| (first.wait_with_output().unwrap(), second.wait_with_output().unwrap()));
    for output in [&first, &second] {
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(
        said.contains("holds the lease") || said.contains("joined the run"),
        "{said}"
    );
    assert_eq!(pair.run(&["tasks", "--json"]).ends(0).json()["total"], 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_leaves_is_no_error() {
    let pair = Pair::synced().await;
    let mut command = pair.magnus.command(&["tasks", "--json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = tokio::task::block_in_place(|| child.wait_with_output().unwrap());
    assert_eq!(
        (output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()),
        (Some(0), "")
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_stopped_is_not_in_progress_and_the_next_one_goes_on() {
    let pair = Pair::connected().await;
    pair.run(&["map", "--all"]).ends(0);
    pair.openproject.reset_counts();
    let slow = FaultRule::new(CallMatcher::any(), Fault::Delay(Duration::from_millis(300))).always();
    pair.openproject.faults().inject(slow);
    for signal in ["-INT", "-TERM"] {
        let mut command = pair.magnus.command(&["sync", "Work"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let calls = pair.openproject.recorder().total();
        let child = command.spawn().unwrap();
        let began = tokio::time::Instant::now();
        while pair.openproject.recorder().total() == calls {
            assert!(began.elapsed() < Duration::from_secs(60), "the process calls nobody");
            tokio::task::yield_now().await;
        }
        let killed = std::process::Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
        let output = tokio::task::block_in_place(|| child.wait_with_output().unwrap());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("the next sync goes on"), "{said}");
        assert_eq!(pair.run(&["status", "--json"]).ends(0).json()["in_progress"], 0);
    }
    pair.openproject.faults().clear();
    pair.run(&["sync"]).ends(0);
    assert_eq!(pair.leantime.tickets().len(), 1);
}
