//! The dashboard in a real browser: headless Chromium, driven over WebDriver, over the service and both simulated tools.

mod browser;
mod connecting;
mod deciding;
mod house;
mod keyboard;
mod looks;
mod offline;
mod safety;
