//! The built service: it starts, stops, is killed and goes on.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/service.rs"]
mod service;
mod support;

use std::collections::BTreeMap;

use magnus_testkit::sim::openproject::OpenProjectSimulator;
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule, Gate, Served};
use serde_json::{Value, json};
use service::{PATIENCE, Service, until};
use support::{KEY, Magnus, leantime, openproject};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

fn work(server: &Served) -> Value {
    json!({
        "tool_name": "openproject", "display_name": "Work", "instance_url": server.url, "api_key": KEY,
        "sync_frequency": "manual",
    })
}

/// OpenProject with so many tasks in a project.
async fn filled(tasks: usize) -> (OpenProjectSimulator, Served) {
    let (openproject, server) = openproject().await;
    let project = openproject.create_project("Garden", "garden");
    for number in 0..tasks {
        openproject.create_work_package(project, &format!("Task {number}"));
    }
    (openproject, server)
}

/// A listener to live events: each change of a run's state, by its number.
struct Listener {
    lines: BufReader<TcpStream>,
    last: Option<i64>,
}

impl Listener {
    async fn new(service: &Service, last: Option<i64>) -> Self {
        let address = service.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let resume = last
            .map(|last| format!("last-event-id: {last}\r\n"))
            .unwrap_or_default();
        let request = format!("GET /sync/events HTTP/1.1\r\nhost: {address}\r\n{resume}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Self {
            lines: BufReader::new(stream),
            last,
        }
    }

    /// The next change: its number, the run and its state. `None` once the connection is gone.
    async fn next(&mut self) -> Option<(i64, String, String)> {
        let mut data = Value::Null;
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(PATIENCE, self.lines.read_line(&mut line)).await;
            match read.expect("something comes") {
                Ok(1..) => {}
                _ => return None,
            }
            if let Some(text) = line.strip_prefix("data: ") {
                data = serde_json::from_str(text.trim()).unwrap();
            } else if let Some(id) = line.strip_prefix("id: ") {
                let id = id.trim().parse().unwrap();
                self.last = Some(id);
                let word = |key: &str| data[key].as_str().unwrap().to_owned();
                return Some((id, word("run_id"), word("status")));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_with_curl_goes_as_it_says() {
    the_tour(Magnus::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_with_curl_goes_as_it_says_on_postgres() {
    the_tour(Magnus::on_postgres().await).await;
}

async fn the_tour(magnus: Magnus) {
    let (openproject, op) = filled(3).await;
    let (leantime, lt) = leantime().await;
    leantime.create_project("Garden");
    let service = Service::start(&magnus);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/http/tour.sh");
    let mut command = std::process::Command::new("sh");
    command
        .arg(script)
        .env("MAGNUS", &service.url)
        .env("OPENPROJECT", &op.url)
        .env("OPENPROJECT_KEY", KEY)
        .env("LEANTIME", &lt.url)
        .env("LEANTIME_KEY", leantime.api_key());
    let said = support::said(command).ends(0);
    for line in [
        "Synchronizing 2 battlefields simultaneously. All pieces moving.",
        "run.finished",
        "All syncs complete.",
        "The dispute is settled. The next move carries it out.",
        "Named in the hub",
    ] {
        assert!(
            said.out.contains(line),
            "{line:?} is missing in:\n{}\n{}",
            said.out,
            said.err
        );
    }
    assert_eq!(said.out.trim().lines().last(), Some("Named in the hub"), "{}", said.out);
    assert!(
        openproject
            .work_packages()
            .iter()
            .any(|item| item.subject == "Named in the hub")
    );
    assert_eq!(leantime.tickets().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_end_it_stops_between_operations_and_the_next_start_goes_on() {
    let magnus = Magnus::new();
    let (openproject, server) = filled(3).await;
    let service = Service::start(&magnus);
    let id = service.post("/connections", &work(&server), 201).await["connection"]["id"].clone();
    let sync = format!("/connections/{}/sync", id.as_str().unwrap());
    let gate = Gate::default();
    let tasks = CallMatcher::any().path_contains("work_packages");
    openproject
        .faults()
        .inject(FaultRule::new(tasks, Fault::Hold(gate.clone())).always());
    let run = service.act(&sync, 202).await["run_id"].as_str().unwrap().to_owned();
    gate.reached(1).await;
    let mut listener = Listener::new(&service, None).await;
    service.ask_to_end();
    until("the stop", async || service.log().contains("stopping")).await;
    // What was begun is let end.
    gate.open();
    let told = listener.next().await.map(|(_, of, state)| (of, state));
    assert_eq!(told, Some((run.clone(), "interrupted".to_owned())));
    let anew = listener.next().await.map(|(_, _, state)| state);
    assert_eq!(anew.as_deref(), Some("queued"), "what is left waits for the next start");
    assert!(listener.next().await.is_none(), "the stream ends with the service");
    let (status, log) = service.ended();
    assert!(status.success(), "{status}: {log}");

    let service = Service::start(&magnus);
    assert_eq!(service.get(&format!("/sync/runs/{run}")).await["status"], "interrupted");
    until("the end of the run that goes on", async || {
        let runs = service.get("/sync/runs").await;
        runs["runs"][0]["trigger"] == "resume" && runs["runs"][0]["status"] == "completed"
    })
    .await;
    assert_eq!(service.get("/unified/tasks").await["total"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_everything_it_goes_on_and_listeners_miss_nothing() {
    let numbers = killed_in_the_middle_of_everything(Magnus::new()).await;
    assert_eq!(numbers, (1..=12).collect::<Vec<i64>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_everything_it_goes_on_and_listeners_miss_nothing_on_postgres() {
    // A sequence of Postgres may leave numbers out, but never turns back.
    let numbers = killed_in_the_middle_of_everything(Magnus::on_postgres().await).await;
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    assert_eq!(numbers.len(), 12);
}

/// Answers the numbers of the events that were heard.
async fn killed_in_the_middle_of_everything(magnus: Magnus) -> Vec<i64> {
    let (openproject, op) = filled(4).await;
    let (leantime, lt) = leantime().await;
    let garden = leantime.create_project("Garden");
    leantime.create_ticket(garden, "Weed");
    let service = Service::start(&magnus);
    service.post("/connections", &work(&op), 201).await;
    let board = json!({
        "tool_name": "leantime", "display_name": "Board", "instance_url": lt.url, "api_key": leantime.api_key(),
        "sync_frequency": "manual", "config": { "time_zone": "America/Los_Angeles" },
    });
    service.post("/connections", &board, 201).await;

    let gate = Gate::default();
    for faults in [openproject.faults(), leantime.faults()] {
        let after = FaultRule::new(CallMatcher::any(), Fault::Hold(gate.clone())).after(1);
        faults.inject(after.always());
    }
    let mut listener = Listener::new(&service, Some(0)).await;
    let all = service.act("/sync/all", 202).await;
    assert_eq!(all["connections_syncing"], 2);
    let mut heard = Vec::new();
    while heard.len() < 4 {
        heard.push(listener.next().await.unwrap());
    }
    gate.reached(2).await;
    service.kill();
    assert!(listener.next().await.is_none(), "the connection is gone");
    openproject.faults().clear();
    leantime.faults().clear();
    gate.open();

    let service = Service::start(&magnus);
    let mut listener = Listener::new(&service, listener.last).await;
    let mut states: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let finished = |states: &BTreeMap<String, Vec<String>>| {
        let last = |state: &str| {
            states
                .values()
                .filter(|of| of.last().is_some_and(|last| last == state))
                .count()
        };
        (last("interrupted"), last("completed"))
    };
    for (_, run, state) in &heard {
        states.entry(run.clone()).or_default().push(state.clone());
    }
    while finished(&states) != (2, 2) {
        let change = listener.next().await.unwrap();
        states.entry(change.1.clone()).or_default().push(change.2.clone());
        heard.push(change);
    }
    // No run skips a state.
    for of in states.values() {
        let (first, rest) = of.split_at(2);
        assert_eq!(first, ["queued", "started"], "{of:?}");
        assert!(rest == ["interrupted"] || rest == ["completed"], "{of:?}");
    }
    let status = service.get("/sync/status").await;
    assert_eq!((&status["in_progress"], &status["queued"]), (&json!(0), &json!(0)));
    assert_eq!(service.get("/unified/tasks").await["total"], 5);
    heard.iter().map(|(number, ..)| *number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_listens_elsewhere_only_with_a_token_and_lets_nobody_in_without_one() {
    let magnus = Magnus::new();
    magnus
        .run(&["serve", "--listen", "0.0.0.0:0"])
        .complains(2, &["no access token", "magnus tokens create"]);
    magnus
        .run(&["serve", "--listen", "nonsense"])
        .complains(2, &["nonsense", "127.0.0.1:8017"]);

    let made = magnus
        .run(&["--json", "tokens", "create", "dashboard", "--scope", "read"])
        .ends(0)
        .json();
    let token = made["token"].as_str().unwrap().to_owned();
    magnus
        .run(&["tokens", "create", "dashboard", "--scope", "read"])
        .complains(2, &["already"]);
    magnus.run(&["tokens", "create", "x", "--scope", "all"]).ends(2);
    let listed = magnus.run(&["tokens", "list"]).ends(0);
    assert!(listed.out.contains("dashboard") && !listed.out.contains(&token));

    let mut service = Service::start(&magnus);
    service.ask("GET", "/connections", None, 401).await;
    service.token = Some(token.clone());
    service.get("/connections").await;
    service.act("/sync/all", 403).await;
    magnus.run(&["tokens", "revoke", "dashboard"]).ends(0);
    service.ask("GET", "/connections", None, 401).await;
    assert!(!service.log().contains(&token));
    for entry in std::fs::read_dir(magnus.directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_on_no_more_than_it_was_told() {
    let magnus = Magnus::new();
    let service = Service::start_with(&magnus, &["--max-listeners", "1", "--max-requests", "8"], |_| {});
    let mut listener = Listener::new(&service, None).await;
    let mut line = String::new();
    listener.lines.read_line(&mut line).await.unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    let problem = service.ask("GET", "/sync/events", None, 503).await;
    assert_eq!(problem["type"], "urn:magnus:problem:busy");
    service.get("/connections").await;
    assert!(service.log().contains("max_listeners=1"), "{}", service.log());
    let said = magnus.run(&["serve", "--max-connections", "0"]).ends(2);
    assert!(said.err.contains("--max-connections"), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_master_key_opens_every_secret() {
    let magnus = Magnus::new();
    let (_openproject, server) = filled(1).await;
    let service = Service::start(&magnus);
    let mut body = work(&server);
    body["webhook_secret"] = json!("the secret of the webhook");
    let id = service.post("/connections", &body, 201).await["connection"]["id"].clone();
    service.terminate();

    let key = magnus.directory.path().join("hub.db.key");
    let before = std::fs::read(&key).unwrap();
    let said = magnus.run(&["--json", "keys", "rotate"]).ends(0).json();
    assert_eq!(said["sealed"], 2);
    assert_ne!(std::fs::read(&key).unwrap(), before);
    // Another hub may have been sealed with the old one.
    let files = std::fs::read_dir(magnus.directory.path()).unwrap();
    let kept = files
        .map(|file| file.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with(".old"));
    assert_eq!(std::fs::read(kept.unwrap()).unwrap(), before);
    let service = Service::start(&magnus);
    let path = format!("/connections/{}/sync?wait=true", id.as_str().unwrap());
    assert_eq!(service.act(&path, 200).await["status"], "completed");
    service.terminate();
    // With the old key nothing opens any more.
    std::fs::write(&key, before).unwrap();
    let service = Service::start(&magnus);
    let test = format!("/connections/{}/test", id.as_str().unwrap());
    let tested = service.get(&test).await;
    assert!(
        tested["reason"].as_str().unwrap().contains("another master key"),
        "{tested}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_it_answers_503_until_there_is_one() {
    let magnus = Magnus::new();
    let place = magnus.directory.path().join("place");
    std::fs::write(&place, "a file where a directory belongs").unwrap();
    let database = place.join("hub.db");
    let service = Service::start_with(&magnus, &[], |command| {
        command.env("MAGNUS_DATABASE", &database);
    });
    service.get("/health").await;
    for path in ["/ready", "/connections", "/sync/status"] {
        let problem = service.ask("GET", path, None, 503).await;
        assert_eq!(problem["type"], "urn:magnus:problem:unavailable");
    }
    std::fs::remove_file(&place).unwrap();
    until("the service", async || {
        service.send("GET", "/ready", None).await.0 == 200
    })
    .await;
    service.get("/connections").await;
}
