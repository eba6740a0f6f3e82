//! The command line.

use clap::{Parser, Subcommand};
use magnus_core::model::Direction;

use crate::command::{
    breakdown, conflicts, connect, disconnect, halted, keys, map, map_status, map_users, matching, migrate, plan,
    projects, resolve, retry, serve, set, sync, task, tasks, tokens, undo, why, worker,
};
use crate::{demo, exit};

/// Keeps project-management tools (OpenProject, Leantime) in two-way step, with a hub of your own in the middle
#[derive(Debug, Parser)]
#[command(name = "magnus", version, after_help = exit::HELP, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// The hub's database: a path or sqlite://path (made at first use), or postgres://user:password@host/database
    /// [default: magnus.db in the data directory]
    #[arg(
        long,
        global = true,
        env = "MAGNUS_DATABASE",
        hide_env_values = true,
        value_name = "DATABASE"
    )]
    pub(crate) database: Option<String>,
    /// Answer as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show it all at once: two simulated tools are filled, synced, edited and synced again
    Demo(demo::Arguments),
    /// Connect an instance of a tool; it is tested first and kept only if the test passes
    Connect(connect::Arguments),
    /// List the connections
    Connections,
    /// Change a connection's settings, or its key
    Set(set::Arguments),
    /// Remove a connection with its links and its key; hub tasks and the tool stay as they are
    Disconnect(disconnect::Arguments),
    /// List a tool's projects and where they are mapped, or the hub's own projects
    Projects(projects::Arguments),
    /// Say which project of a tool belongs to which project of the hub
    Map(map::Arguments),
    /// Show who a tool's people are in the hub, with proposals for those who are called otherwise there
    MapUsers(map_users::Arguments),
    /// Show what a tool's statuses mean in the hub, with proposals for those that are not known
    MapStatus(map_status::Arguments),
    /// List items of a tool that may be tasks of the hub, where a person has to say
    Matches(matching::ListArguments),
    /// Say which task of the hub an item of a tool is, or that it is a new one; the next sync follows
    Match(matching::DecideArguments),
    /// Show what a sync would do; writes nothing anywhere
    Plan(plan::Arguments),
    /// Sync one connection, or all of them at the same time, until nothing moves any more
    Sync(sync::Arguments),
    /// Show what goes on, what is queued, and the newest runs
    Status,
    /// List the hub's tasks
    Tasks(tasks::Arguments),
    /// Add, change, delete or show a task of the hub
    #[command(subcommand)]
    Task(task::Command),
    /// Have a language model break a task down into subtasks, as a proposal to accept
    Breakdown(breakdown::Arguments),
    /// Carry out the plan of a run that a guard halted
    Confirm(halted::Arguments),
    /// Drop the plan of a run that a guard halted
    Discard(halted::Arguments),
    /// Take back what a run did, as far as nobody has changed it since
    Undo(undo::Arguments),
    /// Tell the story of one task: what changed it, when, and by which rule
    Why(why::Arguments),
    /// List the conflicts that wait for a person
    Conflicts(conflicts::Arguments),
    /// Settle a conflict, or a write of which it is not known whether it took place; the next sync carries it out
    Resolve(resolve::Arguments),
    /// Let a task whose writes failed again and again be tried again
    Retry(retry::Arguments),
    /// Serve the HTTP API and the dashboard, and keep the schedules
    Serve(serve::Arguments),
    /// Make, list and revoke the access tokens of the service
    #[command(subcommand)]
    Tokens(tokens::Command),
    /// Look after the key that seals all others
    #[command(subcommand)]
    Keys(keys::Command),
    /// Bring the hub's database up to date, also one of the predecessor
    Migrate(migrate::Arguments),
    /// Carry out runs that are queued on a hub on Postgres, together with workers on other machines
    Worker(worker::Arguments),
}

/// Reads a direction; a misspelt one is refused with the known ones.
pub(crate) fn direction(text: &str) -> Result<Direction, String> {
    text.parse()
        .map_err(|error: magnus_core::model::UnknownName| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
