//! Logs, for those who ask for them.

use tracing_subscriber::EnvFilter;

/// Logs to stderr what `MAGNUS_LOG` asks for. By default nothing: errors are told by the program itself.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_env("MAGNUS_LOG").unwrap_or_else(|_| EnvFilter::new("off"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
