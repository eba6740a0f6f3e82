//! The built program, killed at random moments while people add and edit on all sides: nothing is doubled, no edit is lost,
//! and it goes on by itself.
//!
//! `MAGNUS_KILLS` says how often (30), `MAGNUS_KILL_SEED` how the moments are chosen.
#![cfg(unix)]

#[path = "killed/garden.rs"]
mod garden;
mod support;

use std::process::Stdio;
use std::time::Duration;

use garden::{Garden, Side};
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use support::{Magnus, Pair, Said};
use tokio::time::Instant;

/// Numbers that look random and are the same for the same seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).expect("a length"))).expect("a length")
    }
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().expect("a number"))
}

fn command(magnus: &Magnus, arguments: &[&str]) -> std::process::Command {
    let mut command = magnus.command(arguments);
    command.env("MAGNUS_LEASE_SECONDS", "1");
    command
}

fn run(magnus: &Magnus, arguments: &[&str]) -> Said {
    support::said(command(magnus, arguments))
}

/// Starts a sync and kills it when the tools have been called this often since, or lets it end if it does so first.
async fn killed_after(pair: &Pair, calls: usize) -> bool {
    let until = pair.calls() + calls;
    let said = pair.magnus.directory.path().join("said");
    let file = std::fs::File::create(&said).expect("a file");
    let mut command = tokio::process::Command::from(command(&pair.magnus, &["sync", "--all"]));
    command.stdout(Stdio::null()).stderr(file);
    let mut child = command.spawn().expect("the program starts");
    let read = || std::fs::read_to_string(&said).expect("a file");
    if !pair.runs_until_called(&mut child, until, read).await {
        return false;
    }
    child.kill().await.expect("a child");
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_it_doubles_nothing_loses_nothing_and_goes_on_by_itself_on_sqlite() {
    killed_at_random_moments(Magnus::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_it_doubles_nothing_loses_nothing_and_goes_on_by_itself_on_postgres() {
    killed_at_random_moments(Magnus::on_postgres().await).await;
}

async fn killed_at_random_moments(magnus: Magnus) {
    let kills = from_environment("MAGNUS_KILLS", 30);
    let seed = from_environment("MAGNUS_KILL_SEED", 1);
    println!("seed {seed}, {kills} kills");
    let mut numbers = Numbers(seed);
    let pair = Pair::connected_to(magnus).await;
    pair.run(&["map", "--all"]).ends(0);
    // Every call takes a moment, so that a kill finds requests under way.
    for faults in [pair.openproject.faults(), pair.leantime.faults()] {
        faults.inject(FaultRule::new(CallMatcher::any(), Fault::Delay(Duration::from_millis(5))).always());
    }
    let mut garden = Garden::new(pair);
    let mut landed = 0;
    for round in 0.. {
        if landed == kills {
            break;
        }
        assert!(round < 20 * kills, "the runs end before they can be killed");
        for _ in 0..=numbers.below(2) {
            garden.add(Side::ALL[numbers.index(3)]);
        }
        for _ in 0..=numbers.below(3) {
            garden.edit(numbers.index(garden.len()), numbers.index(3));
        }
        let calls = 1 + numbers.index(40);
        landed += u64::from(killed_after(&garden.pair, calls).await);
    }
    let pair = &garden.pair;
    // What was killed is not in progress once its lease has run out.
    let began = Instant::now();
    while run(&pair.magnus, &["status", "--json"]).ends(0).json()["in_progress"] != 0 {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "a dead run stays in progress"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // A create of which nothing is to be seen is believed lost only after a while.
    let began = Instant::now();
    loop {
        let before = pair.writes();
        let said = run(&pair.magnus, &["sync", "--all"]);
        if said.code == 0 && pair.writes() == before {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(150),
            "it does not come to rest: {said:?}"
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    garden.is_everywhere();
    let edits = garden.edits;
    println!("{landed} kills, {} tasks, {edits:?} edits by side", garden.len());
    assert!(edits.iter().all(|edits| *edits > 0), "every side edits: {edits:?}");
}
