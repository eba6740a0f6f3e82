//! The table of traps names tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The functions under `folder` that are tests.
fn tests_below(folder: &Path, found: &mut BTreeSet<String>) {
    let entries = fs::read_dir(folder).expect("a folder of sources");
    for path in entries.map(|entry| entry.expect("readable").path()) {
        if path.is_dir() {
            tests_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("readable");
            let lines: Vec<&str> = source.lines().map(str::trim).collect();
            let is_test = |line: &str| line.starts_with("#[test") || line.starts_with("#[tokio::test");
            found.extend(lines.windows(2).filter(|pair| is_test(pair[0])).filter_map(|pair| {
                let name = pair[1].trim_start_matches("async ").strip_prefix("fn ")?;
                Some(name.split_once('(')?.0.to_owned())
            }));
        }
    }
}

/// Rows as (trap, test names in backticks of the last column).
fn rows(table: &str) -> Vec<(String, Vec<String>)> {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_matches('|');
        inner.split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    table
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("| Trap |") && !line.starts_with("| ---"))
        .map(cells)
        .map(|row| {
            assert_eq!(row.len(), 3, "{row:?}");
            let names = row[2].split('`').skip(1).step_by(2).map(str::to_owned).collect();
            (row[0].clone(), names)
        })
        .collect()
}

#[test]
fn every_row_of_the_table_of_traps_names_a_test_that_exists() {
    let table = fs::read_to_string(root().join("TRAPS.md")).expect("the table");
    let mut tests = BTreeSet::new();
    tests_below(&root().join("src"), &mut tests);
    tests_below(&root().join("tests"), &mut tests);
    tests_below(&root().join("../magnus-testkit/src/sim/openproject"), &mut tests);
    let rows = rows(&table);
    assert!(rows.len() > 60, "{} rows", rows.len());
    for (trap, names) in rows {
        assert!(!names.is_empty(), "no test: {trap}");
        for name in names {
            assert!(tests.contains(&name), "{trap}: there is no test `{name}`");
        }
    }
}
