//! The listening side over real sockets: nobody keeps a place for longer than he uses it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use magnus_http::{ServerLimits, serve};
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule, Gate};
use support::{Bench, PATIENCE, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Short, and nothing depends on how short: what ends by it is waited for.
const SOON: Duration = Duration::from_millis(50);

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3600);

struct Server {
    address: SocketAddr,
    end: CancellationToken,
    serving: JoinHandle<()>,
}

impl Server {
    fn start(app: Router, change: impl FnOnce(&mut ServerLimits)) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // What is on its way to a client is little: one that takes nothing is soon noticed.
        socket.set_send_buffer_size(4096).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener: TcpListener = socket.listen(64).unwrap();
        let address = listener.local_addr().unwrap();
        let mut limits = ServerLimits::default();
        (limits.head_time, limits.write_time) = (NEVER, NEVER);
        change(&mut limits);
        let end = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, app, limits, end.clone()));
        Self { address, end, serving }
    }

    async fn connect(&self) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Client(socket.connect(self.address).await.unwrap())
    }

    /// Asks over a connection that is closed after it.
    async fn ask(&self, path: &str) -> String {
        let mut client = self.connect().await;
        client
            .send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"))
            .await;
        client.rest().await
    }

    /// Ends, and all of it is over in time.
    async fn ends(self) {
        self.end.cancel();
        tokio::time::timeout(PATIENCE, self.serving).await.unwrap().unwrap();
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// What comes up to and with this.
    async fn until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            let byte = tokio::time::timeout(PATIENCE, self.0.read_u8()).await;
            text.push(byte.expect("something comes").unwrap());
        }
        String::from_utf8(text).unwrap()
    }

    /// What comes until the server closes the connection.
    async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await;
        // A connection that is closed with something unread ends with an error.
        let _end = read.expect("the connection ends");
        String::from_utf8(bytes).unwrap()
    }

    /// Asks, and leaves the connection open.
    async fn health(&mut self) -> String {
        self.send("GET /health HTTP/1.1\r\nhost: a\r\n\r\n").await;
        self.until("}").await
    }
}

#[tokio::test]
async fn a_connection_too_many_is_told_so_and_one_that_left_makes_room() {
    let server = Server::start(Bench::new().app, |limits| limits.connections = 1);
    let mut first = server.connect().await;
    assert!(first.health().await.starts_with("HTTP/1.1 200"));
    let refused = server.ask("/health").await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    for part in [
        "content-type: application/problem+json",
        "retry-after: 1",
        "urn:magnus:problem:busy",
        "connection: close",
    ] {
        assert!(refused.contains(part), "{part} is missing in {refused}");
    }
    assert!(first.health().await.starts_with("HTTP/1.1 200"), "it keeps its place");
    drop(first);
    until("a place", async || {
        server.ask("/health").await.starts_with("HTTP/1.1 200")
    })
    .await;
    server.ends().await;
}

#[tokio::test]
async fn who_sends_a_request_drop_by_drop_or_nothing_at_all_loses_the_connection() {
    let server = Server::start(Bench::new().app, |limits| limits.head_time = SOON);
    let mut slow = server.connect().await;
    slow.send("GET /health HTTP/1.1\r\nhost: a\r\nx-and-so: ").await;
    let answer = slow.rest().await;
    assert!(!answer.contains("200 OK"), "{answer}");
    let mut silent = server.connect().await;
    assert_eq!(silent.rest().await, "");
    let mut idle = server.connect().await;
    assert!(idle.health().await.starts_with("HTTP/1.1 200"));
    assert_eq!(idle.rest().await, "", "an idle connection is closed");
    server.ends().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = Server::start(Bench::new().app, |limits| {
        (limits.head_bytes, limits.head_fields) = (4096, 20)
    });
    let large = format!(
        "GET /health HTTP/1.1\r\nhost: a\r\nx-large: {}\r\n\r\n",
        "a".repeat(5000)
    );
    let fields: String = (0..30).map(|number| format!("x-{number}: 1\r\n")).collect();
    let many = format!("GET /health HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
    for head in [large, many] {
        let mut client = server.connect().await;
        client.send(&head).await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    assert!(server.ask("/health").await.starts_with("HTTP/1.1 200"));
    server.ends().await;
}

#[tokio::test]
async fn a_listener_that_never_reads_is_given_up() {
    let bench = Bench::new();
    let id = bench.filled(0).await;
    let server = Server::start(bench.app.clone(), |limits| limits.write_time = SOON);
    let mut listener = server.connect().await;
    listener.send("GET /sync/events HTTP/1.1\r\nhost: a\r\n\r\n").await;
    listener.until("\r\n\r\n").await;
    let sync = format!("/connections/{id}/sync?wait=true");
    until("the end of the listener", async || {
        bench.act(&sync).await;
        let metrics = bench.get("/metrics").await.text;
        metrics.contains("magnus_event_listeners 0")
    })
    .await;
    // It was there to be told, all the time.
    drop(listener);
    server.ends().await;
}

#[tokio::test]
async fn at_the_end_what_was_asked_is_answered_and_idle_connections_are_closed() {
    let bench = Bench::new();
    let gate = Gate::default();
    let rule = FaultRule::new(CallMatcher::any(), Fault::Hold(gate.clone()));
    bench.openproject.faults().inject(rule.always());
    let server = Server::start(bench.app.clone(), |_| {});
    let mut idle = server.connect().await;
    idle.health().await;
    let mut asking = server.connect().await;
    let body = bench.openproject_in().to_string();
    let head = format!(
        "POST /connections HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    asking.send(&(head + &body)).await;
    gate.reached(1).await;
    server.end.cancel();
    assert_eq!(idle.rest().await, "");
    let refused = until_refused(server.address);
    tokio::time::timeout(PATIENCE, refused)
        .await
        .expect("nobody new is let in");
    assert!(!server.serving.is_finished());
    gate.open();
    let answer = asking.rest().await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    server.ends().await;
}

async fn until_refused(address: SocketAddr) {
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
