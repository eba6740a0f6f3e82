//! `cargo xtask lint`: every check that needs no test run. All of them run; the end lists those that failed.

use anyhow::{Result, bail};

use crate::{core_tree, deny, process, sources};

/// A check: its name as printed, and what it does.
type Check = (&'static str, fn() -> Result<()>);

const CHECKS: [Check; 7] = [
    ("formatting", formatting),
    ("no test switched off, nothing left to do", sources::check),
    ("magnus-core knows no network and no database", core_tree::check),
    ("magnus-core compiles by itself", core_alone),
    ("clippy", clippy),
    ("documentation", documentation),
    ("dependencies, licences and their sources", deny::check),
];

pub(crate) fn run() -> Result<()> {
    let mut failures = Vec::new();
    for (name, check) in CHECKS {
        println!("==> {name}");
        if let Err(error) = check() {
            eprintln!("{error:#}");
            failures.push(name);
        }
    }
    if !failures.is_empty() {
        bail!("failed: {}", failures.join("; "));
    }
    println!("all {} checks passed", CHECKS.len());
    Ok(())
}

fn formatting() -> Result<()> {
    process::run(process::cargo().args(["fmt", "--all", "--check"]))
}

/// In a build of the whole workspace, features that other crates switch on could hide one that core lacks.
fn core_alone() -> Result<()> {
    process::run(process::cargo().args(["check", "--package", "magnus-core"]))
}

fn clippy() -> Result<()> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ];
    process::run(process::cargo().args(arguments))
}

fn documentation() -> Result<()> {
    let arguments = ["doc", "--keep-going", "--workspace", "--all-features", "--no-deps"];
    process::run(process::cargo().args(arguments).env("RUSTDOCFLAGS", "-D warnings"))
}
