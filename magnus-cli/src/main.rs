//! `magnus`: keeps project-management tools in step, from the command line.
//!
//! Data flows one way: [`arguments`] → a [`command`] over the [`house`] (store, hub, engine) → an [`answer`], which is
//! printed here and nowhere else. What goes wrong is a [`failure`], one line with its remedy and an exit code.

mod ai;
mod answer;
mod arguments;
mod choices;
mod command;
mod demo;

mod exit;
mod failure;
mod follow;
mod house;
mod key;
mod logging;
mod names;
mod options;
mod plain;
mod run_table;
mod service;
mod signals;
mod values;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use exit::Exit;
use failure::Failure;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // The parser has read nothing, so it cannot tell for whom the answer is.
            if error.use_stderr()
                && std::env::args_os()
                    .take_while(|part| part != "--")
                    .any(|part| part == "--json")
            {
                return Failure::malformed(&error).print(true).into();
            }
            // Nobody is left to tell if even that cannot be printed.
            let _printed = error.print();
            return exit.into();
        }
    };
    std::panic::set_hook(Box::new(|panic| {
        plain::to_stderr(&format!("magnus: internal error, please report it: {panic}"));
    }));
    logging::start(matches!(arguments.command, arguments::Command::Serve(_)));
    let json = arguments.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            plain::to_stderr(&format!("magnus: the runtime cannot be started: {error}"));
            return Exit::Unreachable.into();
        }
    };
    match runtime.block_on(command::run(arguments)) {
        Ok(answer) => answer.print(json),
        Err(failure) => failure.print(json),
    }
    .into()
}
