//! `magnus serve` as a process of its own, asked over HTTP.

#![allow(
    dead_code,
    reason = "each test program uses a part of it, so no expectation would hold in all of them"
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use magnus_transport::{HttpOptions, HttpTransport, Transport as _};
use serde_json::Value;

use super::Magnus;

/// Long enough on a busy machine; nothing waits for it that goes well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A service that runs; dropping it kills it.
pub(crate) struct Service {
    child: Child,
    pub(crate) url: String,
    transport: HttpTransport,
    log: Arc<Mutex<String>>,
    /// Sent with every request, if there is one.
    pub(crate) token: Option<String>,
}

impl Service {
    pub(crate) fn start(magnus: &Magnus) -> Self {
        Self::start_with(magnus, &[], |_| {})
    }

    pub(crate) fn start_with(magnus: &Magnus, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let mut all = vec!["serve", "--listen", "127.0.0.1:0"];
        all.extend(arguments);
        let mut command = magnus.command(&all);
        command
            .env("MAGNUS_LEASE_SECONDS", "1")
            .env_remove("MAGNUS_API_TOKEN")
            .env_remove("MAGNUS_LISTEN")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let keeps = Arc::clone(&log);
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut part) {
                keeps.lock().unwrap().push_str(&String::from_utf8_lossy(&part[..read]));
            }
        });
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        tokio::task::block_in_place(|| stdout.read_line(&mut line)).unwrap();
        let url = line.trim().strip_prefix("listening on ").map(str::to_owned);
        let url = url.unwrap_or_else(|| panic!("{line:?}: {}", log.lock().unwrap()));
        Self {
            child,
            url,
            transport: HttpTransport::new(HttpOptions::default()).unwrap(),
            log,
            token: None,
        }
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, String) {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let bytes = body.map(ToString::to_string).unwrap_or_default();
        let answer = self
            .transport
            .send(request.body(Bytes::from(bytes)).unwrap())
            .await
            .unwrap();
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        (answer.status().as_u16(), text)
    }

    /// Asks, and wants an answer of this status.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<&Value>, status: u16) -> Value {
        let (got, text) = self.send(method, path, body).await;
        assert_eq!(got, status, "{method} {path}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ask("GET", path, None, 200).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value, status: u16) -> Value {
        self.ask("POST", path, Some(body), status).await
    }

    pub(crate) async fn act(&self, path: &str, status: u16) -> Value {
        self.ask("POST", path, None, status).await
    }

    /// Kills it, as a machine that loses its power does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        tokio::task::block_in_place(|| self.child.wait()).unwrap();
    }

    /// Asks it to end, as a service manager does.
    pub(crate) fn ask_to_end(&self) {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(asked.success());
    }

    /// Asks it to end and waits for that.
    pub(crate) fn terminate(self) -> (ExitStatus, String) {
        self.ask_to_end();
        self.ended()
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let status = tokio::task::block_in_place(|| self.child.wait()).unwrap();
        (status, self.log())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Waits until something holds, by looking again and again.
pub(crate) async fn until<F, R>(what: &str, mut look: F)
where
    F: FnMut() -> R,
    R: Future<Output = bool>,
{
    let waiting = async {
        while !look().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
        "{what} never came"
    );
}
