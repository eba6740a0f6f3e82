//! The developers' commands: `cargo xtask test`, `cargo xtask lint`, `cargo xtask contract`, `cargo xtask soak`,
//! `cargo xtask pictures`.
//!
//! Continuous integration calls these and nothing else, so that what passes here passes there.

mod chromium;
mod contract;
mod core_tree;
mod deny;
mod lint;
mod process;
mod scratch;
mod soak;
mod sources;
mod tally;
mod test;
mod workspace;

use std::path::Path;
use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask <command>

Commands:
  test   Run every test, documentation test and example of the workspace;
         the last line says `N passed, N failed`
  lint   Check formatting, clippy, documentation, licences, the dependency
         tree of magnus-core, and that no test is switched off
  contract --spec FILE
         Check what the simulated OpenProject answers against the tool's own
         OpenAPI description of its API
  soak --minutes N
         Play the convergence properties on new seeds until the time is over
  pictures
         Write the pictures of the dashboard in docs/images anew
  help   Print this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test"] => test::run(),
        ["lint"] => lint::run(),
        ["contract", "--spec", file] => contract::run(Path::new(file)),
        ["soak", "--minutes", minutes] => soak::run(minutes),
        ["pictures"] => chromium::pictures(),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        [] => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
        other => {
            eprintln!("xtask: unknown arguments: {}\n\n{HELP}", other.join(" "));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
