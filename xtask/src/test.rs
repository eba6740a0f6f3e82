//! `cargo xtask test`: every test, documentation test and example, and one line that sums them up.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use crate::process;

const SELECTION: [&str; 2] = ["--workspace", "--all-features"];

/// What all test programs together reported.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Counts the line `test result: ok. 3 passed; 0 failed; 1 ignored; …`; other lines say nothing.
    fn count(&mut self, line: &str) {
        let Some(result) = line.trim().strip_prefix("test result: ") else {
            return;
        };
        let counts = result.split_once(". ").map_or(result, |(_verdict, counts)| counts);
        for part in counts.split("; ") {
            let Some((number, what)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

pub(crate) fn run() -> Result<()> {
    let mut tally = Tally::default();
    let examples = build()?;
    let tests_succeeded = process::stream(
        process::cargo().arg("test").args(SELECTION).arg("--no-fail-fast"),
        |line| {
            println!("{line}");
            tally.count(line);
        },
    )?;
    for example in &examples {
        run_example(example, &mut tally);
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

fn run_example(program: &Path, tally: &mut Tally) {
    let name = program.file_stem().unwrap_or_default().to_string_lossy();
    println!("\n     Running example {name}");
    match process::run(&mut process::program_at_root(program)) {
        Ok(()) => {
            println!("example {name} ... ok");
            tally.passed += 1;
        }
        Err(error) => {
            println!("example {name} ... FAILED: {error:#}");
            tally.failed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_test_programs_are_added_up() {
        let mut tally = Tally::default();
        tally.count("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s");
        tally
            .count("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s");
        assert_eq!(
            tally,
            Tally {
                passed: 15,
                failed: 2,
                ignored: 1
            }
        );
    }

    #[test]
    fn lines_that_are_no_result_count_nothing() {
        let mut tally = Tally::default();
        for line in [
            "",
            "running 3 tests",
            "test a_rule ... ok",
            "5 passed; 0 failed",
            "test result: nonsense",
        ] {
            tally.count(line);
        }
        assert_eq!(tally, Tally::default());
    }

    #[test]
    fn only_programs_of_examples_are_run_as_examples() {
        let example = r#"{"reason":"compiler-artifact","target":{"kind":["example"]},"executable":"/t/embed"}"#;
        let library = r#"{"reason":"compiler-artifact","target":{"kind":["lib"]},"executable":"/t/lib-test"}"#;
        assert_eq!(example_program(example), Some(PathBuf::from("/t/embed")));
        assert_eq!(example_program(library), None);
        assert_eq!(example_program("   Compiling magnus-core"), None);
    }
}
