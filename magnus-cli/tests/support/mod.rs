//! The built program against simulated tools on loopback.

// Each test program uses a part of it, so no expectation would hold in all of them.
#![allow(dead_code)]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use magnus_testkit::postgres::Database;
use magnus_testkit::sim::Served;
use magnus_testkit::sim::leantime::{LeantimeOptions, LeantimeSimulator};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Child;

/// Whatever is printed or stored, this must not be in it.
pub(crate) const KEY: &str = "canary7f3e9a51c0ffee";

/// How long a program may take to do what it is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the program said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        for text in [&self.out, &self.err] {
            assert!(!text.contains(KEY), "the key was printed: {text}");
            assert!(!text.contains("panicked") && !text.contains("RUST_BACKTRACE"), "{text}");
        }
        self
    }

    /// An error is one line that names all of these; causes may follow.
    #[track_caller]
    pub(crate) fn complains(self, code: i32, words: &[&str]) -> Self {
        let said = self.ends(code);
        let line = said
            .err
            .lines()
            .find(|line| line.starts_with("magnus: "))
            .unwrap_or_default();
        for word in words {
            assert!(line.contains(word), "{word:?} is missing in: {}", said.err);
        }
        said
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

/// A hub of its own for one test.
pub(crate) struct Magnus {
    pub(crate) directory: TempDir,
    postgres: Option<Database>,
}

impl Magnus {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            postgres: None,
        }
    }

    /// A hub on Postgres.
    pub(crate) async fn on_postgres() -> Self {
        Self {
            postgres: Some(Database::new().await),
            ..Self::new()
        }
    }

    /// Its database on Postgres.
    pub(crate) fn postgres(&self) -> &Database {
        self.postgres.as_ref().unwrap()
    }

    /// As `MAGNUS_DATABASE` names it.
    fn location(&self) -> std::ffi::OsString {
        match &self.postgres {
            Some(database) => database.url().into(),
            None => self.database().into(),
        }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.directory.path().join("hub.db")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_magnus"));
        command
            .args(arguments)
            .env("MAGNUS_DATABASE", self.location())
            .env("HOME", self.directory.path())
            .env("RUST_BACKTRACE", "1")
            .env("BOARD_KEY", KEY)
            .env_remove("MAGNUS_MASTER_KEY")
            .env_remove("MAGNUS_LOG")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments))
    }

    /// Every byte that was stored must be free of the key.
    pub(crate) fn assert_key_is_not_stored(&self) {
        for entry in std::fs::read_dir(self.directory.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes());
                assert!(!found, "the key stands in {}", path.display());
            }
        }
    }
}

pub(crate) fn said(mut command: Command) -> Said {
    // The simulators answer from this process: its other threads must go on.
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// An OpenProject that knows the key.
pub(crate) async fn openproject() -> (OpenProjectSimulator, Served) {
    let mut options = OpenProjectOptions::default();
    options.api_key = KEY.to_owned();
    let openproject = OpenProjectSimulator::new(options);
    let served = openproject.serve().await.unwrap();
    (openproject, served)
}

pub(crate) async fn leantime() -> (LeantimeSimulator, Served) {
    let leantime = LeantimeSimulator::new(LeantimeOptions::default());
    let served = leantime.serve().await.unwrap();
    (leantime, served)
}

/// Both tools, connected and with a project "Garden" of one task in OpenProject.
pub(crate) struct Pair {
    pub(crate) magnus: Magnus,
    pub(crate) openproject: OpenProjectSimulator,
    pub(crate) leantime: LeantimeSimulator,
    pub(crate) project: u64,
    pub(crate) board: i64,
    pub(crate) servers: (Served, Served),
}

impl Pair {
    pub(crate) async fn connected() -> Self {
        Self::connected_to(Magnus::new()).await
    }

    pub(crate) async fn connected_to(magnus: Magnus) -> Self {
        let (openproject, op_server) = openproject().await;
        let (leantime, lt_server) = leantime().await;
        let project = openproject.create_project("Garden", "garden");
        openproject.create_work_package(project, "Water the tomatoes");
        let board = leantime.create_project("Garden");
        magnus
            .run(&[
                "connect",
                "openproject",
                "--url",
                &op_server.url,
                "--key-env",
                "BOARD_KEY",
                "--name",
                "Work",
            ])
            .ends(0);
        let mut command = magnus.command(&[
            "connect",
            "leantime",
            "--url",
            &lt_server.url,
            "--key-env",
            "LEANTIME_KEY",
            "--name",
            "Board",
            "--config",
            "time_zone=America/Los_Angeles",
        ]);
        command.env("LEANTIME_KEY", leantime.api_key());
        said(command).ends(0);
        Self {
            magnus,
            openproject,
            leantime,
            project,
            board,
            servers: (op_server, lt_server),
        }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.magnus.run(arguments)
    }

    /// Both are mapped by name and synced until quiet.
    pub(crate) async fn synced() -> Self {
        let pair = Self::connected().await;
        pair.run(&["map", "--all"]).ends(0);
        pair.run(&["sync", "--all"]).ends(0);
        pair
    }

    pub(crate) fn writes(&self) -> usize {
        self.openproject.writes() + self.leantime.writes()
    }

    /// How often the tools were called.
    pub(crate) fn calls(&self) -> usize {
        self.openproject.recorder().total() + self.leantime.recorder().total()
    }

    /// Waits until the tools have been called this often, or until the program has ended; answers whether it still runs.
    /// `said` is what it printed so far, told if it never comes to that.
    pub(crate) async fn runs_until_called(&self, child: &mut Child, calls: usize, said: impl Fn() -> String) -> bool {
        let mut openproject = self.openproject.recorder().watch_total();
        let mut leantime = self.leantime.recorder().watch_total();
        let called = async {
            while *openproject.borrow_and_update() + *leantime.borrow_and_update() < calls {
                tokio::select! {
                    changed = openproject.changed() => changed.unwrap(),
                    changed = leantime.changed() => changed.unwrap(),
                }
            }
        };
        tokio::select! {
            () = called => true,
            ended = child.wait() => { ended.unwrap(); false }
            () = tokio::time::sleep(PATIENCE) => panic!(
                "{} calls instead of {calls} in {PATIENCE:?}; it said: {}",
                self.calls(),
                said()
            ),
        }
    }

    /// What there is in OpenProject and in Leantime.
    pub(crate) fn titles(&self) -> [Vec<String>; 2] {
        let openproject = self.openproject.work_packages().into_iter();
        let leantime = self.leantime.tickets().into_iter();
        [
            openproject.map(|row| row.subject).collect(),
            leantime.filter_map(|row| row.headline).collect(),
        ]
    }
}
