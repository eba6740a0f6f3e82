//! `magnus migrate`: brings the hub's database up to date, also one of the predecessor.

use clap::Args;
use magnus_postgres::{PostgresOptions, Upgrade};
use magnus_seal::Sealer;
use serde_json::json;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::{self, House};

#[derive(Debug, Args)]
#[command(after_help = "\
A database of the predecessor is upgraded in its place: every row and every other table stays, reports go on. API keys
that stood in plain text are sealed with the master key, and wiped. The predecessor must not run meanwhile.
It may be called again and again: what is done is not done twice.")]
pub(crate) struct Arguments {
    /// Only list what would change; nothing is changed, and nobody waits for it
    #[arg(long)]
    check: bool,
}

pub(crate) async fn run(database: Option<&str>, arguments: Arguments) -> Result<Answer, Failure> {
    let location = house::location(database)?;
    if !house::is_postgres(&location) {
        if arguments.check {
            return Err(Failure::usage(
                "an SQLite hub is brought up to date whenever it is opened; there is nothing to check before",
            ));
        }
        House::open(database).await?.close().await;
        return Answer::new("the hub is up to date".to_owned(), &json!({ "up_to_date": true }));
    }
    let options = PostgresOptions::new();
    let done = if arguments.check {
        magnus_postgres::check_upgrade(&location, &options).await
    } else {
        let sealer = Sealer::new(&house::master_key_of_a_server()?);
        magnus_postgres::upgrade(&location, &options, &sealer).await
    };
    let report = done.map_err(|error| {
        Failure::from(error).about_database(&house::without_password(&location), house::origin(database))
    })?;
    Answer::new(lines(&report, arguments.check).join("\n"), &report)
}

fn lines(report: &Upgrade, check: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if report.up_to_date {
        lines.push("the hub is up to date; there is nothing to change".to_owned());
    } else if report.predecessor {
        let would = if check { "would be" } else { "were" };
        lines.push(format!(
            "tables of the predecessor were found; these rows {would} changed:"
        ));
        for change in &report.changes {
            lines.push(format!("  {:>7} in {}: {}", change.rows, change.table, change.what));
        }
    } else if check {
        lines.push("the tables of the hub would be made, or brought up to date".to_owned());
    } else {
        lines.push("the tables of the hub were made, or brought up to date".to_owned());
    }
    lines.extend(report.notes.iter().cloned());
    lines
}
