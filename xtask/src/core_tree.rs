//! `magnus-core` decides and describes; it must never come to depend on a network or a database.

use anyhow::{Result, bail};

use crate::process;

/// Crates whose presence means a network, an HTTP stack or a database. A name also stands for those that begin with
/// it and a dash.
const FORBIDDEN: [&str; 23] = [
    "axum",
    "curl",
    "diesel",
    "h2",
    "heed",
    "hyper",
    "isahc",
    "libsqlite3-sys",
    "mio",
    "mysql",
    "native-tls",
    "openssl",
    "postgres",
    "redb",
    "reqwest",
    "rocksdb",
    "rusqlite",
    "rustls",
    "socket2",
    "sqlx",
    "tokio-postgres",
    "tower",
    "ureq",
];

pub(crate) fn check() -> Result<()> {
    let tree = process::read(process::cargo().args([
        "tree",
        "--package",
        "magnus-core",
        "--all-features",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let mut found = forbidden(&tree);
    found.sort_unstable();
    found.dedup();
    if !found.is_empty() {
        bail!(
            "magnus-core depends on {}. Core holds no HTTP client, no network and no SQL: put the code into an adapter \
             or a store crate, behind one of core's traits. `cargo tree -p magnus-core --all-features -i <crate>` \
             shows who brings it in.",
            found.join(", ")
        );
    }
    Ok(())
}

/// The crates of `tree` (one `name version …` per line) that core must not have.
fn forbidden(tree: &str) -> Vec<&str> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| is_forbidden(name)).collect()
}

fn is_forbidden(name: &str) -> bool {
    let other_member = name.starts_with("magnus-") && name != "magnus-core";
    other_member
        || FORBIDDEN.iter().any(|forbidden| {
            name.strip_prefix(forbidden)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_or_http_client_in_core_is_found_by_name_and_by_family() {
        let tree = "magnus-core v0.1.0 (/here)\nserde v1.0.0\nsqlx-core v0.9.0\nreqwest v0.13.0 (*)\ntokio v1.50.0\n";
        assert_eq!(forbidden(tree), ["sqlx-core", "reqwest"]);
    }

    #[test]
    fn core_depends_on_no_other_crate_of_the_workspace() {
        assert_eq!(
            forbidden("magnus-core v0.1.0\nmagnus-testkit v0.1.0\n"),
            ["magnus-testkit"]
        );
    }

    #[test]
    fn a_name_that_only_begins_alike_is_allowed() {
        assert_eq!(forbidden("h2o v1.0.0\naxumish v0.1.0\n"), Vec::<&str>::new());
    }
}
