//! `cargo xtask test`: every test, documentation test and example, and one line that sums them up.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use crate::process;
use crate::tally::Tally;

const SELECTION: [&str; 2] = ["--workspace", "--all-features"];

pub(crate) fn run() -> Result<()> {
    let mut tally = Tally::default();
    let examples = build()?;
    let tests_succeeded = process::stream(
        process::cargo().arg("test").args(SELECTION).arg("--no-fail-fast"),
        |line| {
            println!("{line}");
            tally.read(line);
        },
    )?;
    for example in &examples {
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

/// Builds everything that is run later, and returns the programs of the examples.
fn build() -> Result<Vec<PathBuf>> {
    let mut examples = Vec::new();
    let built = process::stream(
        process::cargo()
            .arg("test")
            .args(SELECTION)
            .args(["--no-run", "--message-format=json-render-diagnostics"]),
        |line| examples.extend(example_program(line)),
    )?;
    ensure!(built, "the workspace does not compile");
    examples.sort();
    Ok(examples)
}

/// The program that a message of cargo announces, if it is that of an example.
fn example_program(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let kinds = message["target"]["kind"].as_array()?;
    kinds.iter().any(|kind| kind == "example").then_some(())?;
    message["executable"].as_str().map(PathBuf::from)
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
        let example = r#"{"reason":"compiler-artifact","target":{"kind":["example"]},"executable":"/t/embed"}"#;
        let library = r#"{"reason":"compiler-artifact","target":{"kind":["lib"]},"executable":"/t/lib-test"}"#;
        assert_eq!(example_program(example), Some(PathBuf::from("/t/embed")));
        assert_eq!(example_program(library), None);
        assert_eq!(example_program("   Compiling magnus-core"), None);
    }
}
