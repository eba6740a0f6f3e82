//! The properties of convergence on new seeds, for as long as one likes.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::process;

/// Cases of each property per seed: a failing seed is found again in about a minute.
const CASES: &str = "300";

/// Runs until the time is over. Every seed is printed; one that fails ends it with how to repeat it.
pub(crate) fn run(minutes: &str) -> Result<()> {
    let minutes: u64 = minutes
        .parse()
        .with_context(|| format!("--minutes takes a whole number, not {minutes:?}"))?;
    let until = Instant::now() + Duration::from_secs(minutes * 60);
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut seeds: u32 = 0;
    while Instant::now() < until {
        println!("seed {seed}");
        let passed = process::stream(
            process::cargo()
                .args([
                    "test",
                    "--quiet",
                    "-p",
                    "magnus-core",
                    "-p",
                    "magnus-tests",
                    "--test",
                    "convergence",
                ])
                .env("PROPTEST_CASES", CASES)
                .env("PROPTEST_RNG_SEED", seed.to_string()),
            |line| {
                if !line.is_empty() && line != "." {
                    println!("  {line}");
                }
            },
        )?;
        if !passed {
            bail!(
                "seed {seed} fails; repeat it with PROPTEST_CASES={CASES} PROPTEST_RNG_SEED={seed} \
                 cargo test -p magnus-core -p magnus-tests --test convergence"
            );
        }
        seeds += 1;
        seed += 1;
    }
    println!("{seeds} seeds of {CASES} cases for each property passed");
    Ok(())
}
