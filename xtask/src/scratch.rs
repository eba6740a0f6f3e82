//! Where tests keep their databases while they run: in memory, where there is room for it.
//!
//! Each commit of a hub is synced to the disk, and tests make hundreds of thousands of them. That a process dies is tested; that
//! the power goes is not, and so a file system in memory tests the same in a part of the time.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Linux offers it to everybody.
const IN_MEMORY: &str = "/dev/shm";

/// What must be free there, in KiB: more than all tests together take.
const ROOM: u64 = 6 * 1024 * 1024;

/// A directory in memory, removed in the end.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A directory in memory; none if there is no room for one, or if somebody has said where temporary files go.
    pub(crate) fn in_memory() -> Option<Self> {
        if std::env::var_os("TMPDIR").is_some() || free(IN_MEMORY)? < ROOM {
            return None;
        }
        let directory = Path::new(IN_MEMORY).join(format!("magnus-tests-{}", std::process::id()));
        std::fs::create_dir(&directory).ok()?;
        let scratch = Self(directory);
        open_to_all(&scratch.0).ok()?;
        Some(scratch)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} could not be removed: {error}", self.0.display());
        }
    }
}

/// A database server may run as a user of its own.
#[cfg(unix)]
fn open_to_all(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o1777))
}

#[cfg(not(unix))]
fn open_to_all(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// How many KiB are free.
fn free(directory: &str) -> Option<u64> {
    let output = Command::new("df").args(["-P", "-k", directory]).output().ok()?;
    parse_free(&String::from_utf8(output.stdout).ok()?)
}

fn parse_free(table: &str) -> Option<u64> {
    table.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_is_read_from_the_table() {
        let table = "Filesystem 1024-blocks Used Available Capacity Mounted on\ntmpfs 24000 10 23990 1% /dev/shm\n";
        assert_eq!(parse_free(table), Some(23_990));
        assert_eq!(parse_free("df: no such file"), None);
    }
}
