//! How breakdowns are carried out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::breakdown::Budget;
use crate::clock::{Clock, SystemClock};
use crate::model::ToolName;

/// How breakdowns are carried out. Made with [`BreakdownOptions::new`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BreakdownOptions {
    /// The most models that are asked at once by this process; at least 1.
    pub concurrency: usize,
    /// What one breakdown may take.
    pub budget: Budget,
    /// How long a claim on a job lasts without a sign of life, and thus how long the job of a dead process waits.
    pub claim_ttl: Duration,
    /// How often to look for jobs that other processes queued, or left behind when they died.
    pub look_every: Duration,
    /// How often a job is begun before it is given up: something about it may kill the process.
    pub most_attempts: u32,
    /// The tools in which a subtask has no subtasks of its own.
    pub flat_tools: BTreeSet<ToolName>,
    /// Tells the time of day.
    pub clock: Arc<dyn Clock>,
}

impl BreakdownOptions {
    /// Two at once, on the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self {
            concurrency: 2,
            budget: Budget::default(),
            claim_ttl: Duration::from_secs(30),
            look_every: Duration::from_secs(5),
            most_attempts: 5,
            flat_tools: BTreeSet::new(),
            clock: Arc::new(SystemClock),
        }
    }

    /// The most models that are asked at once.
    #[must_use]
    pub const fn concurrency(mut self, models: usize) -> Self {
        self.concurrency = models;
        self
    }

    /// What one breakdown may take.
    #[must_use]
    pub const fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// How long a claim lasts, and how often to look for jobs of others: several times within that.
    #[must_use]
    pub fn claim_ttl(mut self, ttl: Duration) -> Self {
        self.claim_ttl = ttl;
        self.look_every = self.look_every.min(ttl / 2);
        self
    }

    /// A tool in which a subtask has no subtasks of its own.
    #[must_use]
    pub fn flat_tool(mut self, tool: ToolName) -> Self {
        self.flat_tools.insert(tool);
        self
    }

    /// Tells the time of day by another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl Default for BreakdownOptions {
    fn default() -> Self {
        Self::new()
    }
}
