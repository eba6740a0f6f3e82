//! The fields of a task that are kept in step.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A field name that Magnus does not know.
pub type UnknownField = super::UnknownName;

use super::status::named_enum;

named_enum! {
    /// A field of a task. Each is compared, merged and pushed by itself.
    Field, "field", {
        /// The title, one line.
        Title = "title",
        /// The description, Markdown.
        Description = "description",
        /// Where the task stands.
        Status = "status",
        /// How pressing it is.
        Priority = "priority",
        /// Who does it.
        Assignee = "assignee",
        /// The calendar day work starts.
        StartDate = "start_date",
        /// The calendar day it is due.
        DueDate = "due_date",
        /// Estimated work. Kept in minutes, so that no decimal fraction drifts.
        EstimatedHours = "estimated_hours",
        /// Remaining work. Kept in minutes.
        RemainingHours = "remaining_hours",
        /// Time spent. Kept in minutes; tools compute it, so it is never pushed.
        ActualHours = "actual_hours",
        /// Progress from 0 to 100.
        PercentageDone = "percentage_done",
        /// The parent task.
        Parent = "parent",
        /// Tags, a set.
        Tags = "tags",
    }
}
