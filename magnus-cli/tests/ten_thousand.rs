//! Ten thousand tasks in each tool: what a first sync of them takes in memory, and how soon one that was killed goes on.
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use support::{Magnus, Pair};
use tokio::time::Instant;

const TASKS: usize = 10_000;
/// They are spread over so many projects, as those of a company are.
const PROJECTS: usize = 20;
/// What the process may take, in KiB.
const MEMORY: u64 = 150_000;
const LEASE: Duration = Duration::from_secs(10);

async fn with_ten_thousand() -> Pair {
    let pair = Pair::connected_to(Magnus::new()).await;
    let text = "Before the first frost: water less, cut back, and note what grew well. ".repeat(4);
    for bed in 0..PROJECTS {
        let name = format!("Bed {bed}");
        let project = pair.openproject.create_project(&name, &format!("bed-{bed}"));
        let board = pair.leantime.create_project(&name);
        for number in 0..TASKS / PROJECTS {
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
    let child = pair
        .magnus
        .command(&["sync", "--all"])
        .env("MAGNUS_LEASE_SECONDS", LEASE.as_secs().to_string())
        .stdout(file.try_clone().expect("a file"))
        .stderr(file)
        .spawn()
        .expect("the program starts");
    (child, said)
}

/// The most memory that a process had so far, in KiB; `None` once it has ended.
fn peak(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

/// Lets a process end; answers the most memory that it took.
async fn to_its_end((mut child, said): (Child, PathBuf)) -> u64 {
    let mut most = 0;
    loop {
        most = peak(&child).unwrap_or(most).max(most);
        if let Some(status) = child.try_wait().expect("a child") {
            let said = std::fs::read_to_string(said).expect("a file");
            assert_eq!(status.code(), Some(0), "{said}");
            return most;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn calls(pair: &Pair) -> usize {
    pair.openproject.recorder().total() + pair.leantime.recorder().total()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_of_ten_thousand_tasks_takes_little_memory_and_doubles_nothing() {
    let pair = with_ten_thousand().await;
    let began = Instant::now();
    let most = to_its_end(sync(&pair)).await;
    println!("{most} KiB at most, {:.1?}", began.elapsed());
    assert!(most < MEMORY, "{most} KiB");
    assert_eq!(pair.openproject.work_packages().len(), TASKS + 1);
    assert_eq!(pair.leantime.tickets().len(), TASKS + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_of_ten_thousand_tasks_that_is_killed_is_taken_up_by_the_next_process() {
    let pair = with_ten_thousand().await;
    let before = calls(&pair);
    let (mut child, _) = sync(&pair);
    while calls(&pair) < before + 60 {
        assert!(
            child.try_wait().expect("a child").is_none(),
            "it is killed before it ends"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    child.kill().expect("a child");
    tokio::task::block_in_place(|| child.wait()).expect("a child");
    let (killed, at_kill) = (Instant::now(), calls(&pair));
    let next = sync(&pair);
    while calls(&pair) == at_kill {
        assert!(killed.elapsed() < Duration::from_secs(120), "nobody takes it up");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!(
        "taken up {:.1?} after the kill, with a lease of {LEASE:?}",
        killed.elapsed()
    );
    to_its_end(next).await;
    let subjects: Vec<String> = pair
        .openproject
        .work_packages()
        .into_iter()
        .map(|row| row.subject)
        .collect();
    let headlines: Vec<String> = pair
        .leantime
        .tickets()
        .into_iter()
        .filter_map(|row| row.headline)
        .collect();
    for there in [subjects, headlines] {
        assert_eq!(there.len(), TASKS + 1);
        assert_eq!(
            there.into_iter().collect::<BTreeSet<_>>().len(),
            TASKS + 1,
            "none twice"
        );
    }
}
