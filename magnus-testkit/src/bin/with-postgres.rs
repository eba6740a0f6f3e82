//! `with-postgres COMMAND [ARGUMENT...]`: runs a command with a throwaway Postgres server, named in
//! `MAGNUS_TEST_POSTGRES`. One that is named there already is used as it is.

use std::process::{Command, ExitCode};

use magnus_testkit::postgres::{Server, VARIABLE};

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        eprintln!("usage: with-postgres COMMAND [ARGUMENT...]");
        return ExitCode::from(2);
    };
    let mut command = Command::new(program);
    command.args(words);
    let named = std::env::var_os(VARIABLE).is_some_and(|url| !url.is_empty());
    let server = if named {
        None
    } else {
        match Server::start() {
            Ok(server) => Some(server),
            Err(error) => {
                eprintln!("with-postgres: {error}");
                return ExitCode::FAILURE;
            }
        }
    };
    if let Some(server) = &server {
        command.env(VARIABLE, server.url());
    }
    let status = command.status();
    drop(server);
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            eprintln!("with-postgres: the command cannot be started: {error}");
            ExitCode::FAILURE
        }
    }
}
