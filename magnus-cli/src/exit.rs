//! With which code the program ends.

use std::process::ExitCode;

/// With which code the program ends. The codes are part of the program's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked for is done.
    Done,
    /// A run ended failed, partial, halted, cancelled or interrupted; something still moves after all rounds; or the demo
    /// could not keep its promise.
    RunNotCompleted,
    /// The request makes no sense: an unknown name, a malformed value, something that is refused.
    Usage,
    /// The tool or the hub's database cannot be reached, or does not let us in.
    Unreachable,
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::RunNotCompleted => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The same in words, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  a run did not complete (failed, partial, halted, cancelled, interrupted),
     or something still moves after five rounds of `sync --all`
  2  the request makes no sense: unknown name, malformed value, refused
  3  the tool or the hub's database cannot be reached, or refuses the key

Environment:
  MAGNUS_DATABASE    the hub's database, as --database
  MAGNUS_MASTER_KEY  32 bytes in base64 that seal the API keys in the hub;
                     without it a key file is used: beside an SQLite file, or
                     in the data directory for Postgres
  MAGNUS_LISTEN      where `magnus serve` listens, as --listen
  MAGNUS_API_TOKEN   a token that may do everything with the service
  MAGNUS_LEASE_SECONDS
                     how long a connection of a process that died stays
                     blocked (30)
  MAGNUS_AI_PROVIDER, MAGNUS_AI_MODEL, MAGNUS_AI_URL, MAGNUS_AI_KEY
                     the language model that breaks tasks down; see
                     `magnus breakdown --help`
  MAGNUS_LOG         what to log to stderr, such as `info` or `magnus_core=debug`

With --json the answer is one JSON document on stdout; an error is one on stderr.";
