//! Shows how runs go on: bars on a terminal, plain lines otherwise. Everything goes to stderr.

use std::collections::HashMap;
use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use magnus_core::engine::{Phase, Progress};
use magnus_core::event::Event;
use magnus_core::model::{ConnectionId, ConnectionSettings, RunId, RunState};
use magnus_core::orchestrator::Orchestrator;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::plain;

/// Follows all runs of an orchestrator until it is told to stop.
pub(crate) struct Follower {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Follower {
    /// Follows from now on; silently if the answer is for a program.
    pub(crate) fn start(orchestrator: &Orchestrator, connections: &[ConnectionSettings], silent: bool) -> Self {
        let names = connections
            .iter()
            .map(|settings| (settings.id, settings.name.clone()))
            .collect();
        let show: Box<dyn Show> = if silent {
            Box::new(Silent)
        } else if std::io::stderr().is_terminal() {
            Box::new(Bars::new(names))
        } else {
            Box::new(Lines {
                names,
                phases: HashMap::new(),
            })
        };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(follow(orchestrator.subscribe(), stopped, show));
        Self { stop, task }
    }

    /// Shows what is left to show.
    pub(crate) async fn finish(self) {
        drop(self.stop);
        // A follower that failed has nothing to show; the answer itself does not depend on it.
        let _ended = self.task.await;
    }
}

async fn follow(mut events: Receiver<Event>, mut stopped: oneshot::Receiver<()>, mut show: Box<dyn Show>) {
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(event) => show.event(&event),
                // Missed progress is made up for by what follows.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
            _ = &mut stopped => break,
        }
    }
    show.end();
}

/// A way to show events.
trait Show: Send {
    fn event(&mut self, event: &Event);
    fn end(&mut self);
}

struct Silent;

impl Show for Silent {
    fn event(&mut self, _: &Event) {}
    fn end(&mut self) {}
}

fn name(names: &HashMap<ConnectionId, String>, id: ConnectionId) -> String {
    names.get(&id).cloned().unwrap_or_else(|| id.to_string())
}

const fn words(phase: Phase) -> &'static str {
    match phase {
        Phase::Waiting => "waiting",
        Phase::Settling => "settling what was left open",
        Phase::Observing => "reading",
        Phase::Planning => "planning",
        Phase::Executing => "syncing",
        Phase::Finished => "done",
    }
}

fn waits_for(holder: &str) -> String {
    format!("waits: {holder} holds the lease of this connection")
}

/// A line when something begins or ends.
struct Lines {
    names: HashMap<ConnectionId, String>,
    phases: HashMap<RunId, Phase>,
}

impl Lines {
    fn line(&self, connection: ConnectionId, what: &str) {
        plain::to_stderr(&format!("{}: {what}", name(&self.names, connection)));
    }
}

impl Show for Lines {
    fn event(&mut self, event: &Event) {
        match event {
            Event::RunWaiting {
                connection_id, holder, ..
            } => self.line(*connection_id, &waits_for(holder)),
            Event::RunStarted { connection_id, .. } => self.line(*connection_id, "started"),
            Event::RunProgress {
                run_id,
                connection_id,
                progress,
            } => {
                let new = self.phases.insert(*run_id, progress.phase) != Some(progress.phase);
                if new && progress.phase != Phase::Finished {
                    self.line(*connection_id, words(progress.phase));
                }
            }
            Event::RunFinished {
                connection_id,
                state,
                counts,
                ..
            } => {
                let changed = counts.tasks.changed();
                self.line(
                    *connection_id,
                    &format!("{state}, {changed} tasks changed of {}", counts.tasks.total()),
                );
            }
            _ => {}
        }
    }

    fn end(&mut self) {}
}

/// A bar per run.
struct Bars {
    names: HashMap<ConnectionId, String>,
    all: MultiProgress,
    bars: HashMap<RunId, ProgressBar>,
}

impl Bars {
    fn new(names: HashMap<ConnectionId, String>) -> Self {
        Self {
            names,
            all: MultiProgress::new(),
            bars: HashMap::new(),
        }
    }

    fn bar(&mut self, run: RunId, connection: ConnectionId) -> &ProgressBar {
        let Self { names, all, bars } = self;
        bars.entry(run).or_insert_with(|| {
            let bar = all.add(ProgressBar::new(0));
            let style = ProgressStyle::with_template("{prefix:20!} [{bar:30}] {pos}/{len} {msg}");
            bar.set_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("=> "),
            );
            bar.set_prefix(name(names, connection));
            bar
        })
    }

    fn progress(bar: &ProgressBar, progress: Progress) {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        bar.set_message(words(progress.phase));
    }
}

impl Show for Bars {
    fn event(&mut self, event: &Event) {
        match event {
            Event::RunWaiting {
                run_id,
                connection_id,
                holder,
            } => self.bar(*run_id, *connection_id).set_message(waits_for(holder)),
            Event::RunStarted { run_id, connection_id } => self.bar(*run_id, *connection_id).set_message("started"),
            Event::RunProgress {
                run_id,
                connection_id,
                progress,
            } => Self::progress(self.bar(*run_id, *connection_id), *progress),
            Event::RunFinished {
                run_id,
                connection_id,
                state,
                ..
            } => {
                let bar = self.bar(*run_id, *connection_id);
                if *state == RunState::Completed {
                    bar.set_position(bar.length().unwrap_or_default());
                }
                bar.finish_with_message(state.to_string());
            }
            _ => {}
        }
    }

    fn end(&mut self) {
        for bar in self.bars.values().filter(|bar| !bar.is_finished()) {
            bar.abandon();
        }
    }
}
