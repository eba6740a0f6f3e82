//! Ten thousand tasks in each tool: what a first sync of them takes in memory, and how soon one that was killed goes on.
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use support::{Magnus, Pair};
use tokio::process::{Child, Command};
use tokio::time::Instant;

const TASKS: usize = 10_000;
/// Spread over so many projects, as those of a company are.
const MANY: usize = 20;
/// Grown in one for years.
const ONE: usize = 1;
/// What the process may take, in KiB: 150 MB.
const MEMORY: u64 = 146_484;
const LEASE: Duration = Duration::from_secs(10);
/// Within so much more than its lease, a run of a dead process is taken up.
const GRACE: Duration = Duration::from_secs(5);

async fn with_ten_thousand(projects: usize) -> Pair {
    let pair = Pair::connected_to(Magnus::new()).await;
    let text = "Before the first frost: water less, cut back, and note what grew well. ".repeat(4);
    for bed in 0..projects {
        let name = format!("Bed {bed}");
        let project = pair.openproject.create_project(&name, &format!("bed-{bed}"));
        let board = pair.leantime.create_project(&name);
        for number in 0..TASKS / projects {
            let title = format!("task {number} of bed {bed}");
            pair.openproject
                .create_work_package_with(project, &title, |item| item.description.clone_from(&text));
            let ticket = pair.leantime.create_ticket(board, &title);
            pair.leantime
                .edit_ticket(ticket, |ticket| ticket.description = Some(format!("<p>{text}</p>")));
        }
    }
    pair.run(&["map", "--all"]).ends(0);
    pair
}

/// Starts a sync; what it says is in the answered file.
fn sync(pair: &Pair) -> (Child, PathBuf) {
    let said = pair.magnus.directory.path().join("said");
    let file = std::fs::File::create(&said).expect("a file");
    let mut command = Command::from(pair.magnus.command(&["sync", "--all"]));
    command
        .env("MAGNUS_LEASE_SECONDS", LEASE.as_secs().to_string())
        // As the page on operations says: with a heap for each thread glibc keeps a third more than is used.
        .env("MALLOC_ARENA_MAX", "2")
        .stdout(file.try_clone().expect("a file"))
        .stderr(file);
    let child = command.spawn().expect("the program starts");
    (child, said)
}

/// The most memory that a process had so far, in KiB; `None` once it has ended.
fn peak(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()?)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

/// Lets a process end; answers the most memory that it took. The system forgets it with the process, so it is asked for
/// again and again.
async fn to_its_end((mut child, said): (Child, PathBuf)) -> u64 {
    let mut most = 0;
    let mut look = tokio::time::interval(Duration::from_millis(20));
    loop {
        most = peak(&child).unwrap_or(most).max(most);
        tokio::select! {
            status = child.wait() => {
                let said = std::fs::read_to_string(said).expect("a file");
                assert_eq!(status.expect("a child").code(), Some(0), "{said}");
                return most;
            }
            _ = look.tick() => {}
        }
    }
}

/// For each run that was interrupted: its connection, and when the next run of that one began.
fn taken_up(pair: &Pair) -> Vec<(String, DateTime<Utc>)> {
    let status = pair.run(&["status", "--json"]).ends(0).json();
    let runs = status["recent_syncs"].as_array().expect("runs");
    let began = |run: &Value| {
        let stamp = run["started_at"].as_str()?;
        Some(stamp.parse::<DateTime<Utc>>().expect("a time"))
    };
    let interrupted: Vec<&Value> = runs.iter().filter(|run| run["state"] == "interrupted").collect();
    assert!(!interrupted.is_empty(), "the kill interrupted nothing: {runs:?}");
    let next = |dead: &&Value| {
        let connection = dead["connection_id"].to_string();
        let later = runs.iter().filter(|run| run["connection_id"] == dead["connection_id"]);
        let later = later.filter_map(began).filter(|stamp| Some(*stamp) > began(dead));
        let next = later
            .min()
            .unwrap_or_else(|| panic!("nobody took up the run of {connection}: {runs:?}"));
        (connection, next)
    };
    interrupted.iter().map(next).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_of_ten_thousand_tasks_takes_little_memory_and_doubles_nothing() {
    takes_little_memory_and_doubles_nothing(MANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_of_ten_thousand_tasks_of_one_project_takes_little_memory_and_doubles_nothing() {
    takes_little_memory_and_doubles_nothing(ONE).await;
}

async fn takes_little_memory_and_doubles_nothing(projects: usize) {
    let pair = with_ten_thousand(projects).await;
    let began = Instant::now();
    let most = to_its_end(sync(&pair)).await;
    println!("{most} KiB at most, {:.1?}", began.elapsed());
    assert!(most < MEMORY, "{most} KiB");
    assert_eq!(pair.openproject.work_packages().len(), TASKS + 1);
    assert_eq!(pair.leantime.tickets().len(), TASKS + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_of_ten_thousand_tasks_that_is_killed_is_taken_up_by_the_next_process() {
    let pair = with_ten_thousand(MANY).await;
    let (mut child, said) = sync(&pair);
    let read = || std::fs::read_to_string(&said).expect("a file");
    let runs = pair.runs_until_called(&mut child, pair.calls() + 60, read).await;
    assert!(runs, "it is killed before it ends");
    child.kill().await.expect("a child");
    let killed_at = Utc::now();
    to_its_end(sync(&pair)).await;
    for (connection, taken_up_at) in taken_up(&pair) {
        let after = (taken_up_at - killed_at).to_std().expect("after the kill");
        println!("{connection}: taken up {after:.1?} after the kill, with a lease of {LEASE:?}");
        assert!(after <= LEASE + GRACE, "{connection}: {after:?}");
    }
    for there in pair.titles() {
        assert_eq!(there.len(), TASKS + 1);
        assert_eq!(
            there.into_iter().collect::<BTreeSet<_>>().len(),
            TASKS + 1,
            "none twice"
        );
    }
}
