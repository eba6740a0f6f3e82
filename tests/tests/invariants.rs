//! `ARCHITECTURE.md` names a test for each sentence of what always holds.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::path::Path;

/// The Rust sources of a directory, in one text.
fn sources(directory: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            text.push_str(&sources(&path));
        } else if name.ends_with(".rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
    text
}

#[test]
fn each_invariant_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sources = sources(root);
    let page = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let (_, section) = page.split_once("## What always holds").unwrap();
    let section = section.split("\n## ").next().unwrap();
    // Each numbered sentence with the test names below it.
    let mut invariants: Vec<Vec<&str>> = Vec::new();
    for line in section.lines().map(str::trim) {
        let number = format!("{}. ", invariants.len() + 1);
        if line.starts_with(&number) {
            invariants.push(Vec::new());
        } else if let Some(name) = line.strip_prefix("- `").and_then(|rest| rest.strip_suffix('`')) {
            invariants.last_mut().unwrap().push(name);
        }
    }
    assert_eq!(invariants.len(), 20, "sentences are numbered in order");
    for (index, tests) in invariants.iter().enumerate() {
        assert!(!tests.is_empty(), "sentence {} names no test", index + 1);
        for test in tests {
            assert!(sources.contains(&format!("fn {test}(")), "there is no test {test:?}");
        }
    }
}
