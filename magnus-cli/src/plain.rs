//! Writing to streams that may be closed at the other end.

use std::io::{self, Write};

/// Writes text and a line end. That nobody reads any more is no error; `false` says so.
pub(crate) fn to_stdout(text: &str) -> bool {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).is_ok()
}

/// Writes text and a line end to stderr; there is no place left to complain if that fails.
pub(crate) fn to_stderr(text: &str) {
    let _written = writeln!(io::stderr().lock(), "{text}");
}
