//! One process answers, another one runs: whoever asks the first sees what the second does, while it does it.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/service.rs"]
mod service;
mod support;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use service::{PATIENCE, Service};
use support::{Magnus, Pair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A worker that goes with the test.
struct Worker(Child);

impl Worker {
    fn start(magnus: &Magnus) -> Self {
        let mut command = magnus.command(&["worker", "--concurrency", "4"]);
        command.env("MAGNUS_LEASE_SECONDS", "20");
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn end(mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        assert!(asked.unwrap().success());
        assert!(tokio::task::block_in_place(|| self.0.wait()).unwrap().success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// The live events of a service, as they come.
struct Events {
    stream: TcpStream,
    text: String,
}

impl Events {
    async fn of(service: &Service) -> Self {
        let host = service.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).await.unwrap();
        let request = format!("GET /sync/events HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut events = Self {
            stream,
            text: String::new(),
        };
        events.until("\r\n\r\n").await;
        events
    }

    /// Reads on until this was told.
    async fn until(&mut self, words: &str) {
        let reading = async {
            let mut part = [0; 4096];
            while !self.text.contains(words) {
                let read = self.stream.read(&mut part).await.unwrap();
                assert!(read > 0, "the stream ended: {}", self.text);
                self.text.push_str(&String::from_utf8_lossy(&part[..read]));
            }
        };
        let heard = tokio::time::timeout(PATIENCE, reading).await;
        assert!(heard.is_ok(), "{words:?} was not told: {}", self.text);
    }
}

async fn pair_with_work() -> Pair {
    let pair = Pair::connected_to(Magnus::on_postgres().await).await;
    pair.run(&["map", "--all"]).ends(0);
    for number in 0..30 {
        pair.openproject
            .create_work_package(pair.project, &format!("bed {number}"));
    }
    for faults in [pair.openproject.faults(), pair.leantime.faults()] {
        faults.inject(FaultRule::new(CallMatcher::any(), Fault::Delay(Duration::from_millis(30))).always());
    }
    pair
}

async fn connection(service: &Service, name: &str) -> String {
    let connections = service.get("/connections").await;
    let rows = connections.as_array().or_else(|| connections["connections"].as_array());
    let found = rows.unwrap().iter().find(|row| row["display_name"] == name);
    found.unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_runs_of_its_own_tells_live_what_a_worker_does() {
    let pair = pair_with_work().await;
    let service = Service::start_with(&pair.magnus, &["--no-runs"], |_| {});
    let mut events = Events::of(&service).await;
    let work = connection(&service, "Work").await;
    let board = connection(&service, "Board").await;

    // Nobody works yet: it is written down and waits.
    let started = service.act(&format!("/connections/{work}/sync"), 202).await;
    let run = started["run_id"].as_str().unwrap().to_owned();
    events.until("event: run.queued").await;
    assert_eq!(service.get(&format!("/sync/runs/{run}")).await["status"], "queued");
    assert_eq!(pair.writes(), 0);

    let worker = Worker::start(&pair.magnus);
    events.until("event: run.started").await;
    // Progress is never stored: it can only have come from the worker itself.
    events.until("event: run.progress").await;
    events.until("event: run.finished").await;
    let done = service.get(&format!("/sync/runs/{run}")).await;
    assert_eq!(done["status"], "completed", "{done}");

    // Whoever waits here is told when it is over there.
    let waited = service.act(&format!("/connections/{board}/sync?wait=true"), 200).await;
    assert_eq!(waited["status"], "completed", "{waited}");
    assert_eq!(pair.leantime.tickets().len(), 31);
    worker.end();
    let (status, log) = service.terminate();
    assert!(status.success(), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_worker_is_cancelled_through_the_service() {
    let pair = pair_with_work().await;
    let service = Service::start_with(&pair.magnus, &["--no-runs"], |_| {});
    let worker = Worker::start(&pair.magnus);
    for number in 0..100 {
        pair.leantime.create_ticket(pair.board, &format!("row {number}"));
    }
    let board = connection(&service, "Board").await;
    service.act(&format!("/connections/{board}/sync?wait=true"), 200).await;

    // To the other tool they go one by one.
    let mut events = Events::of(&service).await;
    let work = connection(&service, "Work").await;
    let started = service.act(&format!("/connections/{work}/sync"), 202).await;
    let run = started["run_id"].as_str().unwrap();
    events.until("event: run.progress").await;
    service.act(&format!("/sync/runs/{run}/cancel"), 202).await;
    events.until("event: run.finished").await;
    let ended = service.get(&format!("/sync/runs/{run}")).await;
    assert_eq!(ended["status"], "cancelled", "{ended}");
    assert!(pair.openproject.work_packages().len() < 131);
    worker.end();
    let (status, log) = service.terminate();
    assert!(status.success(), "{log}");
}
