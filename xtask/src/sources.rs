//! No test is switched off and no code is left to be written.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::{process, workspace};

/// What must not stand in the sources. Put together from halves, or this file would find itself.
const FORBIDDEN: [&str; 4] = [
    concat!("#[", "ignore"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("``", "`ignore"),
];

pub(crate) fn check() -> Result<()> {
    // New files count before they are committed; what git ignores does not.
    let files = ["ls-files", "--cached", "--others", "--exclude-standard", "*.rs", "*.md"];
    let listing = process::read(process::program_at_root("git").args(files))?;
    let mut findings = Vec::new();
    for name in listing.lines() {
        let path = workspace::root().join(name);
        // A file that was deleted but not yet committed is still listed.
        if !path.exists() {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
        findings.extend(forbidden(&text).map(|(line, what)| format!("{name}:{line}: `{what}`")));
    }
    if !findings.is_empty() {
        bail!(
            "a test that is there must run, and code that is there must work:\n{}",
            findings.join("\n")
        );
    }
    Ok(())
}

/// Line numbers, from 1, and what was found on them.
fn forbidden(text: &str) -> impl Iterator<Item = (usize, &'static str)> {
    text.lines().enumerate().flat_map(|(index, line)| {
        FORBIDDEN
            .into_iter()
            .filter(move |what| line.contains(what))
            .map(move |what| (index + 1, what))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switched_off_test_is_found_with_its_line() {
        let text = format!("#[test]\n{}]\nfn rule() {{}}\n", FORBIDDEN[0]);
        assert_eq!(forbidden(&text).collect::<Vec<_>>(), [(2, FORBIDDEN[0])]);
    }

    #[test]
    fn unfinished_code_is_found() {
        let text = format!("fn later() {{ {}) }}", FORBIDDEN[1]);
        assert_eq!(forbidden(&text).count(), 1);
    }
}
