//! Several processes on one hub, and readers who leave.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Stdio};

use magnus_testkit::sim::{CallMatcher, Fault, FaultRule, Gate};
use support::{Magnus, Pair};

fn start(magnus: &Magnus, arguments: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let mut command = magnus.command(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    (child, stderr)
}

/// Reads what a process says until one of these is said; fails if it ends before.
fn read_until(stderr: &mut impl BufRead, words: &[&str]) {
    let mut said = String::new();
    while stderr.read_line(&mut said).unwrap() > 0 {
        if words.iter().any(|words| said.contains(words)) {
            return;
        }
    }
    panic!("it never said one of {words:?}: {said}");
}

fn end(mut child: Child, mut stderr: impl Read) -> (Option<i32>, String) {
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_at_once_make_nothing_twice_and_the_second_says_who_holds_the_lease_on_sqlite() {
    two_processes_at_once(Magnus::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_at_once_make_nothing_twice_and_the_second_says_who_holds_the_lease_on_postgres() {
    two_processes_at_once(Magnus::on_postgres().await).await;
}

async fn two_processes_at_once(magnus: Magnus) {
    let pair = Pair::connected_to(magnus).await;
    pair.run(&["map", "--all"]).ends(0);
    for number in 0..40 {
        pair.openproject
            .create_work_package(pair.project, &format!("task {number}"));
    }
    let gate = Gate::default();
    pair.openproject
        .faults()
        .inject(FaultRule::new(CallMatcher::any(), Fault::Hold(gate.clone())).always());
    let (first, first_says) = start(&pair.magnus, &["sync", "Work"]);
    gate.reached(1).await;
    let (second, mut second_says) = start(&pair.magnus, &["sync", "Work"]);
    tokio::task::block_in_place(|| read_until(&mut second_says, &["holds the lease", "joined the run"]));
    gate.open();
    let ends = tokio::task::block_in_place(|| [end(first, first_says), end(second, second_says)]);
    for (code, said) in ends {
        assert_eq!(code, Some(0), "{said}");
    }
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
    for signal in ["-INT", "-TERM"] {
        let gate = Gate::default();
        pair.openproject
            .faults()
            .inject(FaultRule::new(CallMatcher::any(), Fault::Hold(gate.clone())).always());
        let (child, mut says) = start(&pair.magnus, &["sync", "Work"]);
        gate.reached(1).await;
        let killed = std::process::Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
        tokio::task::block_in_place(|| read_until(&mut says, &["stopping between two operations"]));
        gate.open();
        let (code, said) = tokio::task::block_in_place(|| end(child, says));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("the next sync goes on"), "{said}");
        assert_eq!(pair.run(&["status", "--json"]).ends(0).json()["in_progress"], 0);
        pair.openproject.faults().clear();
    }
    pair.run(&["sync"]).ends(0);
    assert_eq!(pair.leantime.tickets().len(), 1);
}
