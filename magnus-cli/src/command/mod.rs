//! One file per command; each reads its arguments, acts, and answers.

pub(crate) mod breakdown;
pub(crate) mod conflicts;
pub(crate) mod connect;
mod connections;
pub(crate) mod disconnect;
pub(crate) mod halted;
pub(crate) mod keys;
pub(crate) mod map;
pub(crate) mod map_status;
pub(crate) mod map_users;
pub(crate) mod matching;
pub(crate) mod migrate;
pub(crate) mod plan;
pub(crate) mod projects;
pub(crate) mod resolve;
pub(crate) mod retry;
pub(crate) mod serve;
pub(crate) mod set;
mod status;
pub(crate) mod sync;
pub(crate) mod task;
pub(crate) mod tasks;
pub(crate) mod tokens;
pub(crate) mod undo;
pub(crate) mod why;
pub(crate) mod worker;

use std::sync::Arc;
use std::time::Duration;

use magnus_core::clock::SystemClock;
use magnus_core::orchestrator::Orchestrator;
use magnus_core::store::ServiceStore;

use crate::answer::Answer;
use crate::arguments::{Arguments, Command};
use crate::demo;
use crate::failure::Failure;
use crate::house::House;

/// Keeps the schedules and prunes the run log, until the orchestrator shuts down.
fn keep_house(orchestrator: &Orchestrator, store: &Arc<dyn ServiceStore>, log_kept: Option<Duration>) {
    let (keeper, service) = (orchestrator.clone(), Arc::clone(store));
    tokio::spawn(async move { keeper.keep_schedules(service, Arc::new(SystemClock)).await });
    if let Some(kept) = log_kept {
        let (keeper, service) = (orchestrator.clone(), Arc::clone(store));
        tokio::spawn(async move { keeper.keep_log(service, Arc::new(SystemClock), kept).await });
    }
}

/// Carries out what the command line asks for.
pub(crate) async fn run(arguments: Arguments) -> Result<Answer, Failure> {
    if let Command::Demo(options) = arguments.command {
        return demo::run(arguments.json, options).await;
    }
    if let Command::Migrate(options) = arguments.command {
        return migrate::run(arguments.database.as_deref(), options).await;
    }
    if let Command::Worker(options) = arguments.command {
        return worker::run(arguments.database.as_deref(), options).await;
    }
    if let Command::Serve(options) = arguments.command {
        return serve::run(arguments.database.as_deref(), options).await;
    }
    let house = House::open(arguments.database.as_deref()).await?;
    let answer = match arguments.command {
        Command::Demo(options) => demo::run(arguments.json, options).await,
        Command::Migrate(options) => migrate::run(arguments.database.as_deref(), options).await,
        Command::Worker(options) => worker::run(arguments.database.as_deref(), options).await,
        Command::Serve(options) => serve::run(arguments.database.as_deref(), options).await,
        Command::Tokens(command) => tokens::run(&house, command).await,
        Command::Keys(command) => keys::run(&house, command).await,
        Command::Connect(options) => connect::run(&house, options).await,
        Command::Connections => connections::run(&house).await,
        Command::Set(options) => set::run(&house, options).await,
        Command::Disconnect(options) => disconnect::run(&house, options).await,
        Command::Projects(options) => projects::run(&house, options).await,
        Command::Map(options) => map::run(&house, options).await,
        Command::MapUsers(options) => map_users::run(&house, options).await,
        Command::MapStatus(options) => map_status::run(&house, options).await,
        Command::Matches(options) => matching::list(&house, options).await,
        Command::Match(options) => matching::decide(&house, options).await,
        Command::Plan(options) => plan::run(&house, options).await,
        Command::Sync(options) => sync::run(&house, options, arguments.json).await,
        Command::Confirm(options) => halted::confirm(&house, options, arguments.json).await,
        Command::Discard(options) => halted::discard(&house, options).await,
        Command::Why(options) => why::run(&house, options).await,
        Command::Status => status::run(&house).await,
        Command::Tasks(options) => tasks::run(&house, options).await,
        Command::Task(command) => task::run(&house, command).await,
        Command::Breakdown(options) => breakdown::run(&house, options).await,
        Command::Conflicts(options) => conflicts::run(&house, options).await,
        Command::Resolve(options) => resolve::run(&house, options).await,
        Command::Undo(options) => undo::run(&house, options, arguments.json).await,
        Command::Retry(options) => retry::run(&house, options).await,
    };
    house.close().await;
    answer
}
