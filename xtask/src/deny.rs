//! `cargo deny`: which crates may be depended on, under which licences, and from where.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result};

use crate::{process, workspace};

/// The version that is installed when none is at hand: the same one everywhere.
const VERSION: &str = "0.20.2";

pub(crate) fn check() -> Result<()> {
    let arguments = [
        "--workspace",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ];
    process::run(process::program_at_root(program()?).args(arguments))
}

/// The program on the path, else the one kept with the build artifacts, which is installed at first use.
fn program() -> Result<OsString> {
    let on_path = process::program_at_root("cargo-deny").arg("--version").output();
    if on_path.is_ok_and(|output| output.status.success()) {
        return Ok("cargo-deny".into());
    }
    let tools = workspace::target_directory()?
        .join("tools")
        .join(format!("cargo-deny-{VERSION}"));
    let kept = tools
        .join("bin")
        .join("cargo-deny")
        .with_extension(std::env::consts::EXE_EXTENSION);
    if !kept.exists() {
        install(&tools)?;
    }
    Ok(kept.into())
}

/// Unoptimised, since compiling takes longer than the check itself will.
fn install(tools: &Path) -> Result<()> {
    println!("installing cargo-deny {VERSION} into the target directory");
    let mut command = process::cargo();
    command.args([
        "install",
        "--quiet",
        "--locked",
        "--debug",
        "cargo-deny",
        "--version",
        VERSION,
        "--root",
    ]);
    command
        .arg(tools)
        .env("CARGO_TARGET_DIR", tools.join("build"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    process::run(&mut command).context("cargo-deny is needed for this check")?;
    // Only the program is wanted; its build artifacts are larger than those of the workspace.
    let build = tools.join("build");
    std::fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))
}
