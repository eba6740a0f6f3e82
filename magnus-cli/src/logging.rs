//! Logs, for those who ask for them.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Logs to stderr what `MAGNUS_LOG` asks for. By default nothing, since errors are told by the program itself; a service
/// tells what it does.
pub(crate) fn start(is_service: bool) {
    let usual = if is_service { "info" } else { "off" };
    let mut filter = EnvFilter::try_from_env("MAGNUS_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    // It logs what a model's server says, whole, and that may repeat the key; we tell the same without.
    if let Ok(silent) = "genai=off".parse() {
        filter = filter.add_directive(silent);
    }
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
