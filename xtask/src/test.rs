//! `cargo xtask test`: every test, documentation test and example, and one line that sums them up.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::chromium;
use crate::process;
use crate::scratch::Scratch;
use crate::tally::Tally;

/// The seed of the property tests: the same change meets the same cases each time, and `cargo xtask soak` plays new ones.
const SEED: &str = "1795638627";

/// Examples that are not run by themselves: one serves until it is ended, and one loads a service that runs.
const NOT_RUN: [&str; 2] = ["simulators", "load"];

const SELECTION: [&str; 2] = ["--workspace", "--all-features"];

/// The program that lends the tests a Postgres server; it belongs to magnus-testkit.
const WITH_POSTGRES: &str = "with-postgres";

/// What was built.
#[derive(Debug, Default)]
struct Built {
    examples: Vec<PathBuf>,
    with_postgres: Option<PathBuf>,
}

pub(crate) fn run() -> Result<()> {
    let mut tally = Tally::default();
    chromium::provide()?;
    let built = build()?;
    let with_postgres = built.with_postgres.context("with-postgres was not built")?;
    // One server for all test programs. It is stopped when the tests are over, whatever came of them.
    let cargo = process::cargo();
    let mut tests = process::program_at_root(with_postgres);
    tests
        .arg(cargo.get_program())
        .arg("test")
        .args(SELECTION)
        .arg("--no-fail-fast");
    let scratch = Scratch::in_memory();
    if let Some(scratch) = &scratch {
        tests.env("TMPDIR", scratch.path());
    }
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        tests.env("PROPTEST_RNG_SEED", SEED);
    }
    let tests_succeeded = process::stream(&mut tests, |line| {
        println!("{line}");
        tally.read(line);
    })?;
    let ending = |program: &&PathBuf| {
        !program
            .file_stem()
            .is_some_and(|name| NOT_RUN.iter().any(|not_run| name == *not_run))
    };
    for example in built.examples.iter().filter(ending) {
        run_example(example, &mut tally);
    }

    if !tally.failures.is_empty() {
        println!("\nWhat failed, once more:\n\n{}", tally.failures.join("\n\n"));
    }
    println!("\n{} passed, {} failed", tally.passed, tally.failed);
    ensure!(tally.passed + tally.failed > 0, "no test ran");
    ensure!(
        tally.ignored == 0,
        "{} tests are switched off; a test that is there must run",
        tally.ignored
    );
    if !tests_succeeded || tally.failed > 0 {
        bail!("the tests failed");
    }
    Ok(())
}

/// Builds everything that is run later.
fn build() -> Result<Built> {
    let mut all = Built::default();
    let built = process::stream(
        process::cargo()
            .arg("test")
            .args(SELECTION)
            .args(["--no-run", "--message-format=json-render-diagnostics"]),
        |line| all.note(line),
    )?;
    ensure!(built, "the workspace does not compile");
    all.examples.sort();
    Ok(all)
}

impl Built {
    /// Keeps the program that a message of cargo announces, if it is one that is run later.
    fn note(&mut self, message: &str) {
        let Ok(message) = serde_json::from_str::<Value>(message) else {
            return;
        };
        let Some(program) = message["executable"].as_str().map(PathBuf::from) else {
            return;
        };
        let is = |kind: &str| {
            message["target"]["kind"]
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|k| k == kind))
        };
        if is("example") {
            self.examples.push(program);
        } else if is("bin") && message["target"]["name"] == WITH_POSTGRES && message["profile"]["test"] == false {
            self.with_postgres = Some(program);
        }
    }
}

/// Runs an example. What it prints is shown only if it fails: some print a great deal.
fn run_example(program: &Path, tally: &mut Tally) {
    let name = format!("example {}", program.file_stem().unwrap_or_default().to_string_lossy());
    println!("\n     Running {name}");
    let outcome = process::quietly(&mut process::program_at_root(program)).map_err(|error| format!("{error:#}"));
    println!("{name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
    tally.program(&name, outcome);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_of_examples_are_run_as_examples() {
        let mut built = Built::default();
        for message in [
            r#"{"reason":"compiler-artifact","target":{"kind":["example"]},"executable":"/t/embed"}"#,
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"]},"executable":"/t/lib-test"}"#,
            "   Compiling magnus-core",
        ] {
            built.note(message);
        }
        assert_eq!(built.examples, [PathBuf::from("/t/embed")]);
        assert_eq!(built.with_postgres, None);
    }

    #[test]
    fn the_program_that_lends_a_server_is_told_from_its_own_tests() {
        let mut built = Built::default();
        for (program, test) in [("/t/with-postgres", false), ("/t/with-postgres-0123", true)] {
            built.note(&format!(
                r#"{{"target":{{"kind":["bin"],"name":"with-postgres"}},"profile":{{"test":{test}}},"executable":"{program}"}}"#
            ));
        }
        assert_eq!(built.with_postgres, Some(PathBuf::from("/t/with-postgres")));
    }
}
