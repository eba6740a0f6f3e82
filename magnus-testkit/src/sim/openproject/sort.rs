//! The `sortBy` parameter: at most three criteria, newest id first as the last tie break.

use std::cmp::Ordering;

use serde_json::Value;

use super::error::{Cause, Refusal};
use super::types::WorkPackage;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Id,
    Subject,
    CreatedAt,
    UpdatedAt,
    StartDate,
    DueDate,
    Status,
    Priority,
    Project,
}

/// An order of work packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order(Vec<(Column, bool)>);

impl Order {
    /// Reads the parameter; without it, newest id first.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Refusal> {
        let mut criteria = Vec::new();
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            let parsed: Vec<Value> =
                serde_json::from_str(text).map_err(|_| Cause::query("Sort criteria are not valid JSON."))?;
            for entry in parsed.iter().take(3) {
                let name = entry.get(0).and_then(Value::as_str).unwrap_or_default();
                let descending = entry.get(1).and_then(Value::as_str) == Some("desc");
                let column = column(name).ok_or_else(|| Cause::query(format!("Can't sort by column: {name}")))?;
                criteria.push((column, descending));
            }
        }
        if !criteria.iter().any(|(column, _)| *column == Column::Id) {
            criteria.push((Column::Id, true));
        }
        Ok(Self(criteria))
    }

    pub(super) fn compare(&self, left: &WorkPackage, right: &WorkPackage) -> Ordering {
        self.0.iter().fold(Ordering::Equal, |so_far, (column, descending)| {
            so_far.then_with(|| {
                let order = column.compare(left, right);
                if *descending { order.reverse() } else { order }
            })
        })
    }
}

fn column(name: &str) -> Option<Column> {
    Some(match name {
        // A parent sorts as its own id would.
        "id" | "parent" => Column::Id,
        "subject" => Column::Subject,
        "createdAt" | "created_at" => Column::CreatedAt,
        "updatedAt" | "updated_at" => Column::UpdatedAt,
        "startDate" | "start_date" => Column::StartDate,
        "dueDate" | "due_date" => Column::DueDate,
        "status" => Column::Status,
        "priority" => Column::Priority,
        "project" => Column::Project,
        _ => return None,
    })
}

impl Column {
    fn compare(self, left: &WorkPackage, right: &WorkPackage) -> Ordering {
        match self {
            Self::Id => left.id.cmp(&right.id),
            Self::Subject => left.subject.to_lowercase().cmp(&right.subject.to_lowercase()),
            Self::CreatedAt => left.created_at.cmp(&right.created_at),
            Self::UpdatedAt => left.updated_at.cmp(&right.updated_at),
            Self::StartDate => left.start_date.cmp(&right.start_date),
            Self::DueDate => left.due_date.cmp(&right.due_date),
            Self::Status => left.status_id.cmp(&right.status_id),
            Self::Priority => left.priority_id.cmp(&right.priority_id),
            Self::Project => left.project_id.cmp(&right.project_id),
        }
    }
}
