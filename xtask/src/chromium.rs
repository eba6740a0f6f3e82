//! The browser that the dashboard is tested in.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process;

/// What Debian calls them: the browser, what drives it, and letters to show.
const PACKAGES: [&str; 3] = ["chromium", "chromium-driver", "fonts-inter"];

const HOW: &str = "the browser tests need chromium and chromedriver in the path; on Debian: \
                   apt-get install chromium chromium-driver";

/// Sees to it that the browser tests have a browser: installs one where that is possible.
pub(crate) fn provide() -> Result<()> {
    if is_there() {
        return Ok(());
    }
    ensure!(is_root() && finds("apt-get"), HOW);
    println!("installing {} for the browser tests", PACKAGES.join(", "));
    let apt = |arguments: &[&str]| {
        let mut command = process::program_at_root("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        process::quietly(&mut command)
    };
    if let Err(error) = apt(&["update", "-qq"]) {
        // An index that cannot be refreshed may still be good enough.
        println!("{error:#}");
    }
    apt(&[&["install", "-qq", "-y", "--no-install-recommends"], &PACKAGES[..]].concat()).context(HOW)?;
    ensure!(is_there(), HOW);
    Ok(())
}

/// Writes the pictures of the README anew, into `docs/images`.
pub(crate) fn pictures() -> Result<()> {
    provide()?;
    let folder = crate::workspace::root().join("docs/images");
    process::run(
        process::cargo()
            .args([
                "test",
                "-p",
                "magnus-tests",
                "--test",
                "browser",
                "every_view_is_readable",
            ])
            .env("MAGNUS_PICTURES", &folder),
    )?;
    println!("see {}", folder.display());
    Ok(())
}

fn is_there() -> bool {
    let browser = ["chromium", "chromium-browser", "google-chrome"].into_iter().any(finds);
    browser && finds("chromedriver")
}

/// Whether there is such a program in the path.
fn finds(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

fn is_root() -> bool {
    if !Path::new("/usr/bin/id").exists() {
        return false;
    }
    let user = Command::new("/usr/bin/id").arg("-u").output();
    user.is_ok_and(|user| user.stdout.trim_ascii() == b"0")
}
