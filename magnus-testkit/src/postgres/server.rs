//! One server in a temporary directory.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::program;
use super::user::User;

/// How often another port is tried if one was taken between choosing and using it.
const TRIES: u32 = 5;

/// A Postgres server on a free port of the loopback address, without passwords and without care for power cuts. It is
/// stopped and removed when it is dropped, and also when the process ends in whatever way.
#[derive(Debug)]
pub struct Server {
    programs: PathBuf,
    user: User,
    // Dropped after the watch was waited for; whoever comes last removes what is left.
    directory: TempDir,
    port: u16,
    watch: Option<Child>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The programs are not there.
    #[error(
        "these tests need the programs of a Postgres server (initdb, pg_ctl, postgres), version 13 or newer, and found \
         none on the path or in /usr/lib/postgresql: install the package `postgresql` (Debian, Ubuntu, Alpine), \
         `postgresql-server` (Fedora) or `postgresql@17` (Homebrew), or set MAGNUS_TEST_POSTGRES to the address of a \
         server that may be used for tests, such as postgres://postgres@127.0.0.1:5432/postgres"
    )]
    Missing,
    /// Root runs the tests, and there is nobody else to run the server.
    #[error("Postgres does not run as root, and neither `postgres` nor `nobody` is a user of this machine")]
    NoUser,
    /// One of the programs failed.
    #[error("{program} failed: {words}")]
    Failed {
        /// The program.
        program: &'static str,
        /// What it said.
        words: String,
    },
    /// The machine did not let us.
    #[error("the test server cannot be set up: {0}")]
    Io(#[from] io::Error),
}

impl Server {
    /// Makes and starts a server.
    ///
    /// # Errors
    /// The programs are not there and cannot be installed, or do not work; the error says what to do.
    pub fn start() -> Result<Self, PostgresError> {
        let programs = program::directory()?;
        let user = User::choose()?;
        let directory = tempfile::Builder::new().prefix("magnus-postgres-").tempdir()?;
        user.own(directory.path())?;
        let mut server = Self {
            programs,
            user,
            directory,
            port: 0,
            watch: None,
        };
        server.run("initdb", |command| {
            command
                .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
                .args(["--locale=C", "--no-sync", "--pgdata"])
                .arg(server.data());
        })?;
        // Watched before it runs: from here on it goes when we go.
        server.watch = Some(server.watch()?);
        for tries in 1.. {
            server.port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            match server.begin() {
                Err(PostgresError::Failed { .. }) if tries < TRIES => {}
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        Ok(server)
    }

    /// The address of the database `postgres`, as a superuser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops the server as a crash would, and starts it again on the same port.
    ///
    /// # Errors
    /// It does not come back.
    pub fn crash_and_restart(&self) -> Result<(), PostgresError> {
        self.stop()?;
        self.begin()
    }

    /// Stops the server as a crash would.
    ///
    /// # Errors
    /// It does not run.
    pub fn stop(&self) -> Result<(), PostgresError> {
        self.run("pg_ctl", |command| {
            command
                .args(["stop", "--wait", "--mode=immediate", "--silent", "--pgdata"])
                .arg(self.data());
        })
    }

    /// Starts the server again, on the same port.
    ///
    /// # Errors
    /// It does not start.
    pub fn begin(&self) -> Result<(), PostgresError> {
        // A power cut is not what is tested here; speed is what tests need. What was committed outlives a crash.
        let options = format!(
            "-p {} -h 127.0.0.1 -k '' -F -c full_page_writes=off -c max_connections=400 \
             -c shared_buffers=64MB -c max_wal_size=2GB -c autovacuum_naptime=60",
            self.port
        );
        self.run("pg_ctl", |command| {
            command
                .args(["start", "--wait", "--timeout=120", "--silent", "--pgdata"])
                .arg(self.data())
                .arg("--log")
                .arg(self.log())
                .args(["--options", &options]);
        })
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn run(&self, program: &'static str, arguments: impl FnOnce(&mut Command)) -> Result<(), PostgresError> {
        let mut command = self.user.command(self.programs.join(program));
        // The directory of the tests may be closed to the other user.
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        arguments(&mut command);
        // The server inherits what pg_ctl is given, so that a pipe would stay open for as long as it runs.
        let words = self.directory.path().join(format!("{program}.out"));
        let output = std::fs::File::create(&words)?;
        command.stdout(output.try_clone()?).stderr(output);
        let status = command.status()?;
        if status.success() {
            return Ok(());
        }
        let words = [words, self.log()].map(|file| tail(&file)).join("\n");
        Err(PostgresError::Failed { program, words })
    }

    /// A shell that waits for the end of this process, however it comes, and then stops and removes the server.
    fn watch(&self) -> io::Result<Child> {
        const SCRIPT: &str = r#"
            trap '' INT TERM HUP
            cat > /dev/null
            "$1" stop --mode=immediate --silent --pgdata "$2/data" > /dev/null 2>&1
            cd / && rm -rf "$2"
        "#;
        self.user
            .command("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(self.programs.join("pg_ctl"))
            .arg(self.directory.path())
            .current_dir(self.directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut watch) = self.watch.take() {
            drop(watch.stdin.take());
            // If it fails there is nobody to tell; the directory is removed in any case.
            let _status = watch.wait();
        }
    }
}

/// The end of a file, for a message.
fn tail(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
