//! Postgres refuses to run as root: then it runs as somebody without rights.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::server::PostgresError;

/// Who a server runs as.
#[derive(Debug, Clone)]
pub(super) enum User {
    /// Whoever runs the tests.
    Myself,
    /// Somebody else, since root runs the tests.
    Other { user: u32, group: u32, name: String },
}

pub(super) fn is_root() -> bool {
    effective_user() == Some(0)
}

/// The effective user of this process, as Linux tells it.
fn effective_user() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

impl User {
    pub(super) fn choose() -> Result<Self, PostgresError> {
        if !is_root() {
            return Ok(Self::Myself);
        }
        let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let entry = |wanted: &str| {
            known.lines().find_map(|line| {
                let fields: Vec<&str> = line.split(':').collect();
                let [name, _, user, group, ..] = fields[..] else {
                    return None;
                };
                (name == wanted).then(|| Some((user.parse().ok()?, group.parse().ok()?)))?
            })
        };
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| {
                entry(name).map(|(user, group)| Self::Other {
                    user,
                    group,
                    name: (*name).to_owned(),
                })
            })
            .ok_or(PostgresError::NoUser)
    }

    /// Gives a directory to this user.
    pub(super) fn own(&self, directory: &Path) -> std::io::Result<()> {
        match self {
            Self::Myself => Ok(()),
            #[cfg(unix)]
            Self::Other { user, group, .. } => std::os::unix::fs::chown(directory, Some(*user), Some(*group)),
            #[cfg(not(unix))]
            Self::Other { .. } => Ok(()),
        }
    }

    /// A program, run as this user.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Myself => Command::new(program),
            Self::Other { user, group, name } => {
                if on_path("setpriv") {
                    let mut command = Command::new("setpriv");
                    command
                        .arg(format!("--reuid={user}"))
                        .arg(format!("--regid={group}"))
                        .args(["--clear-groups", "--"])
                        .arg(program);
                    command
                } else {
                    let mut command = Command::new("runuser");
                    command.args(["-u", name, "--"]).arg(program);
                    command
                }
            }
        }
    }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
