//! Runs as a table.

use comfy_table::{ContentArrangement, Table, presets};
use magnus_core::model::{ConnectionSettings, Run, RunState};

use crate::names;

/// How many items of a kind a run's remarks name.
const MOST_ITEMS: usize = 5;

/// A table without ornaments.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.map(str::to_uppercase));
    table
}

/// A table as text, without the blanks that pad its last column.
pub(crate) fn text(table: &Table) -> String {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// The name of a run's connection.
pub(crate) fn connection_name(connections: &[ConnectionSettings], run: &Run) -> String {
    connections
        .iter()
        .find(|settings| settings.id == run.connection_id)
        .map_or_else(|| run.connection_id.to_string(), |settings| settings.name.clone())
}

/// One row per run.
pub(crate) fn runs(connections: &[ConnectionSettings], runs: &[Run]) -> String {
    let mut table = table([
        "connection",
        "state",
        "created",
        "updated",
        "deleted",
        "unchanged",
        "conflicted",
        "skipped",
        "failed",
        "seconds",
    ]);
    for run in runs {
        let tasks = run.report.counts.tasks;
        let seconds = run
            .started_at
            .zip(run.completed_at)
            .map(|(start, end)| format!("{:.1}", (end - start).as_seconds_f64()));
        table.add_row([
            connection_name(connections, run),
            run.state.to_string(),
            tasks.created.to_string(),
            tasks.updated.to_string(),
            tasks.deleted.to_string(),
            tasks.unchanged.to_string(),
            tasks.conflicted.to_string(),
            tasks.skipped.to_string(),
            tasks.failed.to_string(),
            seconds.unwrap_or_default(),
        ]);
    }
    text(&table)
}

/// What is worth knowing of runs that did not just complete.
pub(crate) fn remarks(connections: &[ConnectionSettings], runs: &[Run]) -> Vec<String> {
    let mut lines = Vec::new();
    for run in runs {
        let name = connection_name(connections, run);
        if let Some(message) = &run.error_message {
            lines.push(format!("{name}: {}: {message}", run.state));
        }
        if run.state == RunState::Halted {
            let id = names::short(run.id);
            lines.push(format!(
                "{name}: look with `magnus plan show {id}`, then `magnus confirm {id}` or `magnus discard {id}`"
            ));
        }
        for outcome in ["failed", "skipped"] {
            let items: Vec<_> = run.report.items.iter().filter(|item| item.outcome == outcome).collect();
            for item in items.iter().take(MOST_ITEMS) {
                lines.push(format!("{name}: {outcome}: {}: {}", quoted(&item.title), item.detail));
            }
            if items.len() > MOST_ITEMS {
                lines.push(format!(
                    "{name}: {} more {outcome}; --json lists them",
                    items.len() - MOST_ITEMS
                ));
            }
        }
    }
    lines
}

/// How much of a value a line shows; the whole of it is in the JSON.
const MOST_LETTERS: usize = 60;

/// One line, not too long, without control characters.
pub(crate) fn shown(value: &str) -> String {
    let line: String = value.split_whitespace().collect::<Vec<_>>().join(" ");
    // A title from elsewhere must not steer the terminal.
    let line: String = line
        .chars()
        .map(|letter| if letter.is_control() { '\u{fffd}' } else { letter })
        .collect();
    if line.chars().count() <= MOST_LETTERS {
        return line;
    }
    line.chars().take(MOST_LETTERS - 1).chain(['…']).collect()
}

/// The same in quotes, with letters of every script as they are.
pub(crate) fn quoted(value: &str) -> String {
    format!("\"{}\"", shown(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_or_hostile_value_stays_one_short_line() {
        assert_eq!(shown("a\nb\tc"), "a b c");
        assert_eq!(shown(&"é".repeat(500)).chars().count(), MOST_LETTERS);
        assert_eq!(quoted("\u{1b}[2Jclear"), "\"\u{fffd}[2Jclear\"");
    }
}
