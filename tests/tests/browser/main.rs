//! The dashboard in a real browser: headless Chromium, driven over WebDriver, over the service and both simulated tools.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod breaking_down;
mod browser;
mod connecting;
mod deciding;
mod house;
mod keyboard;
mod looks;
mod offline;
mod safety;
