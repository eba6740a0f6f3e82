//! Finding the server's programs, or installing them where that may be done.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::server::PostgresError;

/// The directory with `initdb`, `pg_ctl` and `postgres`.
pub(super) fn directory() -> Result<PathBuf, PostgresError> {
    if let Some(found) = find() {
        return Ok(found);
    }
    if super::user::is_root() && succeeds(Command::new("apt-get").arg("--version")) {
        install()?;
        if let Some(found) = find() {
            return Ok(found);
        }
    }
    Err(PostgresError::Missing)
}

fn find() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let asked = Command::new("pg_config").arg("--bindir").output().ok();
    let asked = asked.filter(|output| output.status.success());
    let asked = asked.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    std::env::split_paths(&on_path)
        .chain(installed())
        .chain(asked)
        .find(|directory| is_complete(directory))
}

/// Where Debian and its kin put the programs, the newest version first.
fn installed() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, path)| path).collect()
}

fn is_complete(directory: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"]
        .iter()
        .all(|program| directory.join(program).is_file())
}

fn install() -> Result<(), PostgresError> {
    eprintln!("no Postgres server is installed; installing the package postgresql...");
    for arguments in [
        &["update"][..],
        &["install", "--yes", "--no-install-recommends", "postgresql"],
    ] {
        let done = succeeds(
            Command::new("apt-get")
                .args(arguments)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        );
        // An index that cannot be refreshed may still be good enough.
        if !done && arguments[0] == "install" {
            return Err(PostgresError::Missing);
        }
    }
    Ok(())
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
