//! `magnus demo`: the whole thing, shown on two simulated tools.
//!
//! Everything but the tools themselves is what runs against real servers: the same adapters over HTTP, the same engine,
//! the same database.

mod breakdown;
mod edits;
mod fill;
mod world;

use clap::Args;
use magnus_core::model::{Run, RunState};
use magnus_core::orchestrator::SyncAll;
use serde_json::json;

use crate::answer::Answer;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{plain, run_table};
use world::World;

const NEXT: &str = "\
next, with servers of your own:
  OPENPROJECT_KEY=... magnus connect openproject --url https://projects.example.org --key-env OPENPROJECT_KEY --name Projects
  LEANTIME_KEY=...    magnus connect leantime --url https://leantime.example.org --key-env LEANTIME_KEY --name Board
  magnus map --all
  magnus plan
  magnus sync --all";

/// The verdict if something is not as it was foretold.
const BROKEN: &str = "this is not what was promised: please report it";

/// Tells the story as it goes, unless the answer is for a program.
struct Story {
    silent: bool,
}

impl Story {
    fn tell(&self, text: &str) {
        if !self.silent {
            // A reader who left does not stop the demo: its exit code still tells how it went.
            let _read = plain::to_stdout(text);
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Also have a task broken down; a fake model stands in for the language model
    #[arg(long)]
    ai: bool,
}

pub(crate) async fn run(json: bool, arguments: Arguments) -> Result<Answer, Failure> {
    let story = Story { silent: json };
    let world = World::start(json).await?;
    story.tell(&format!(
        "OpenProject (simulated) at {} and Leantime (simulated) at {}\n\
         3 projects with 200 tasks each; two projects have the same name in both, with 150 tasks the same\n",
        world.openproject_url(),
        world.leantime_url()
    ));
    for line in world.map_all().await? {
        story.tell(&line);
    }

    story.tell("\nfirst sync, both tools at the same time");
    let first = world.sync().await?;
    story.tell(&summary(&world, &first));
    story.tell(&world.sizes().await?);

    let edits = world.edit().await?;
    story.tell("\nedits on all three sides");
    for edit in edits.lines() {
        story.tell(&format!("  {edit}"));
    }
    story.tell("\nsecond sync");
    let second = world.sync().await?;
    story.tell(&summary(&world, &second));
    let (moved, all_moved) = world.outcome(&edits).await?;
    story.tell(&moved);
    let (conflict, one_conflict) = world.conflict_story(&edits).await?;
    story.tell(&conflict);

    let before = world.start_counting();
    let third = world.sync().await?;
    let writes = world.writes_since(before);
    story.tell(&format!(
        "\nthird run: {} writes to OpenProject, {} to Leantime, {} to the hub",
        writes.openproject, writes.leantime, writes.hub
    ));
    let broken_down = if arguments.ai {
        Some(breakdown::tell(&world, &story).await?)
    } else {
        None
    };
    story.tell(&format!("\n{NEXT}"));

    world.stop().await;

    let completed = [&first, &second, &third].into_iter().all(is_complete);
    let as_promised = broken_down.is_none_or(|broken_down| broken_down.is_kept());
    let kept = completed && all_moved && one_conflict && writes.is_quiet() && as_promised;
    if !kept {
        story.tell(&format!("\n{BROKEN}"));
    }
    let data = json!({
        "first": runs(&first),
        "second": runs(&second),
        "third": runs(&third),
        "third_run_writes": { "openproject": writes.openproject, "leantime": writes.leantime, "hub": writes.hub },
        "edits_arrived": all_moved,
        "one_conflict_held": one_conflict,
        "broken_down": broken_down,
    });
    let answer = if json {
        Answer::new("", &data)?
    } else {
        Answer::new("", &())?
    };
    Ok(judge(answer, kept))
}

/// Scripts go by the code: a promise that was not kept is no success.
fn judge(answer: Answer, kept: bool) -> Answer {
    if kept {
        answer
    } else {
        answer.exit(Exit::RunNotCompleted)
    }
}

fn is_complete(all: &SyncAll) -> bool {
    all.quiet && all.refused.is_empty() && all.runs.iter().all(|run| run.state == RunState::Completed)
}

fn runs(all: &SyncAll) -> &[Run] {
    &all.runs
}

fn summary(world: &World, all: &SyncAll) -> String {
    let mut lines = vec![run_table::runs(world.connections(), &all.runs)];
    lines.extend(run_table::remarks(world.connections(), &all.runs));
    for (_, error) in &all.refused {
        lines.push(format!("refused: {error}"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_that_was_not_kept_ends_with_a_code_of_its_own_wherever_that_is_seen() {
        let answer = || Answer::new("", &()).unwrap();
        assert_eq!(judge(answer(), true).print(false), Exit::Done);
        assert_eq!(judge(answer(), false).print(false), Exit::RunNotCompleted);
        let missing = edits::missing("Book the launch party");
        assert!(missing.message().contains(BROKEN), "{}", missing.message());
        assert_eq!(missing.print(false), Exit::RunNotCompleted);
    }
}
