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
            found.extend(tests_in(&fs::read_to_string(&path).expect("readable")));
        }
    }
}

/// A function counts if the attribute of a test stands right above it.
fn tests_in(source: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_test = |line: &str| line.starts_with("#[test") || line.starts_with("#[tokio::test");
    let names = lines.windows(2).filter(|pair| is_test(pair[0])).filter_map(|pair| {
        let name = pair[1].trim_start_matches("async ").strip_prefix("fn ")?;
        Some(name.split_once('(')?.0.to_owned())
    });
    names.collect()
}

#[test]
fn only_what_has_the_attribute_is_a_test() {
    let source = "#[test]\nfn one() {}\n#[tokio::test(start_paused = true)]\nasync fn two() {}\nfn helper() {}";
    assert_eq!(tests_in(source), BTreeSet::from(["one".to_owned(), "two".to_owned()]));
}

#[test]
fn every_trap_of_the_table_has_its_test() {
    let mut tests = BTreeSet::new();
    tests_below(&root().join("src"), &mut tests);
    tests_below(&root().join("tests"), &mut tests);
    let table = fs::read_to_string(root().join("TRAPS.md")).expect("the table");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| Trap"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 40, "{} rows", rows.len());
    for row in rows {
        let [trap, does, named] = row.as_slice() else {
            panic!("not three columns: {row:?}")
        };
        assert!(!trap.is_empty() && !does.is_empty(), "{row:?}");
        let names: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {trap}");
        for name in names {
            assert!(tests.contains(name), "{trap}: there is no test `{name}`");
        }
    }
}
