//! Writes that did not come through: held, looked at again, or failed for this run.

use super::RunError;
use super::job::Job;
use super::push::{see, settled};
use super::session::{Active, Session};
use crate::connection::{ConnectionError, ConnectionErrorKind, Outcome, ReadTask, Reading};
use crate::model::{ExternalId, Field, IntentOperation, Refusal, RefusalCause, RemoteTask, RemoteValue, SkipReason};
use crate::reconcile::Entry;
use crate::store::{LinkWrite, Unit};

/// A run ends after this many failures of one kind in a row that say something of the connection as a whole; and the
/// writing in a project after as many that were not allowed.
const IN_A_ROW: u32 = 3;

/// Failures in a row that say something of more than their items.
#[derive(Debug, Default)]
pub(super) struct InARow {
    kind: Option<ConnectionErrorKind>,
    count: u32,
}

impl InARow {
    /// A write went through, or failed for reasons of its own.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn note(&mut self, kind: ConnectionErrorKind) -> u32 {
        if self.kind != Some(kind) {
            *self = Self {
                kind: Some(kind),
                count: 0,
            };
        }
        self.count += 1;
        self.count
    }

    /// Whether nothing may be written where the last writes went.
    pub(super) fn is_not_allowed(&self) -> bool {
        self.kind == Some(ConnectionErrorKind::Forbidden) && self.count >= IN_A_ROW
    }
}

impl Session {
    /// A write that failed: its fields are held, the item is read again, or it has failed for this run.
    pub(super) async fn settle_failed(
        &mut self,
        actives: &mut [Active],
        index: usize,
        job: Job,
        error: ConnectionError,
    ) -> Result<(), RunError> {
        if error.outcome() != Outcome::NotApplied {
            // The journal entry stays open: the next run finds out before it does anything else.
            self.fail(
                &job,
                error.kind(),
                format!("{error}; whether it took place is settled by the next run"),
            );
            self.count_fatal(error);
            return Ok(());
        }
        let mut unit = Unit {
            intents: vec![settled(job.intent.clone(), false)],
            ..Unit::default()
        };
        match error.kind() {
            ConnectionErrorKind::Rejected if self.hold_refused(&job, &error, &mut unit).await? => {
                self.commit_settled(&job.intent, unit).await?;
                self.in_a_row.clear();
                return Ok(());
            }
            ConnectionErrorKind::VersionConflict | ConnectionErrorKind::NotFound => {
                self.commit_settled(&job.intent, unit).await?;
                return self.read_again(actives, index, &job, error).await;
            }
            _ => {}
        }
        self.commit_settled(&job.intent, unit).await?;
        self.fail(&job, error.kind(), error.to_string());
        self.count_fatal(error);
        Ok(())
    }

    fn fail(&mut self, job: &Job, kind: ConnectionErrorKind, detail: String) {
        let task = job.intent.task_id;
        self.note_failure(task, job.attempt.clone(), kind, &detail);
        self.blocked.insert(task, SkipReason::Backoff.because(detail.clone()));
        self.tally
            .failed(task, &job.entry.title, job.entry.external_id.clone(), detail);
    }

    /// What ends the run is kept until all answers of the batch are settled: some of its writes may have taken place.
    fn count_fatal(&mut self, error: ConnectionError) {
        let kind = error.kind();
        if !kind.is_fatal() && kind != ConnectionErrorKind::Forbidden {
            self.in_a_row.clear();
            return;
        }
        if self.in_a_row.note(kind) < IN_A_ROW || !kind.is_fatal() {
            return;
        }
        // It is not those items that are to blame.
        self.forget_last_failures(IN_A_ROW);
        self.in_a_row.clear();
        let ends = RunError::from(error).with_connection(self.settings.id);
        self.ends_with.get_or_insert(ends);
    }

    /// Whether this failure to look at an item ends the run: it concerns more than the item, or is one of several in a row
    /// that do.
    pub(super) fn ends_looking(&mut self, kind: ConnectionErrorKind) -> bool {
        match kind {
            ConnectionErrorKind::Unauthorized
            | ConnectionErrorKind::InvalidSettings
            | ConnectionErrorKind::RateLimited
            | ConnectionErrorKind::LeaseLost => true,
            kind if kind.is_fatal() => self.in_a_row.note(kind) >= IN_A_ROW,
            _ => false,
        }
    }

    /// What is left of a mapping's writes once the tool has said often enough that nothing may be written there.
    pub(super) fn give_up_on(&mut self, project: &str, entries: impl Iterator<Item = Entry>) {
        self.in_a_row.clear();
        let detail = format!("the key may not write in project {project:?}");
        for task in entries.filter_map(|entry| entry.task_id) {
            self.blocked.insert(task, SkipReason::Backoff.because(detail.clone()));
        }
        self.report.problems.push(detail);
    }

    /// Keeps refused values on the link (for a create: in the session), so that the rest is sent without them.
    /// `false` if the refusal names nothing that was sent.
    async fn hold_refused(&mut self, job: &Job, error: &ConnectionError, unit: &mut Unit) -> Result<bool, RunError> {
        let refused: Vec<_> = error
            .rejected()
            .iter()
            .flat_map(|rejected| {
                let blamed = blamed(rejected.field, job.fields.keys());
                blamed.into_iter().map(move |field| (rejected, field))
            })
            .filter_map(|(rejected, field)| Some((rejected, field, job.fields.get(&field)?)))
            .collect();
        // Nothing can be created without a title; a change can do without its new one.
        let creates = matches!(job.intent.operation, IntentOperation::Create { .. });
        if refused.is_empty() || (creates && error.rejected().iter().any(|rejected| rejected.field == Field::Title)) {
            return Ok(false);
        }
        match &job.intent.operation {
            IntentOperation::Create { .. } => {
                let held = self.create_refusals.entry(job.intent.task_id).or_default();
                for (rejected, field, _) in &refused {
                    held.insert(*field, rejected.message.clone());
                }
                Ok(true)
            }
            IntentOperation::Update {
                link_id, external_id, ..
            } => {
                let Some(mut link) = self.link_to(*link_id, external_id).await? else {
                    return Ok(false);
                };
                let expected = Some(link.version);
                for (rejected, name, field) in refused {
                    let refusal = Refusal {
                        local: field.local.clone(),
                        remote: field.seen.clone().unwrap_or(RemoteValue::NULL),
                        reason: rejected.message.clone(),
                        cause: RefusalCause::Refused,
                    };
                    link.refusals.insert(name, refusal);
                }
                unit.links.push(LinkWrite {
                    link: Box::new(link),
                    expected,
                });
                Ok(true)
            }
            IntentOperation::Delete { .. } => Ok(false),
        }
    }

    /// Somebody was faster: look again, and let the next round decide on what is there now.
    async fn read_again(
        &mut self,
        actives: &mut [Active],
        index: usize,
        job: &Job,
        error: ConnectionError,
    ) -> Result<(), RunError> {
        let external = match &job.intent.operation {
            IntentOperation::Update { external_id, .. } | IntentOperation::Delete { external_id, .. } => external_id,
            IntentOperation::Create { .. } => {
                self.fail(job, error.kind(), error.to_string());
                return Ok(());
            }
        };
        let attempts = self.attempts.entry(external.clone()).or_default();
        *attempts += 1;
        let attempts = *attempts;
        if attempts > 3 {
            self.fail(
                job,
                error.kind(),
                format!("{error}; given up after {attempts} attempts"),
            );
            return Ok(());
        }
        let request = ReadTask {
            id: external.clone(),
            project: actives[index].mapping.external_id.clone(),
        };
        let to_come = actives.iter().skip(index + 1);
        let projects: Vec<&ExternalId> = to_come.map(|active| &active.mapping.external_id).collect();
        let is_to_come = |task: &RemoteTask| projects.contains(&&task.project);
        match self
            .connection
            .read(vec![request])
            .await
            .map(|mut readings| readings.pop())
        {
            Ok(Some(Reading::Present(task))) => see(actives, index, *task),
            // With what it is below, for example: the mapping of its new project goes on with it, if its turn is still to come.
            Ok(Some(Reading::Moved(task))) if is_to_come(&task) => see(actives, index, *task),
            Ok(_) => {
                // Gone, or moved where this run is through or nothing is in step: the next run looks for evidence.
                self.fail(
                    job,
                    error.kind(),
                    format!("{error}; it is not there any more, and the next run looks for it"),
                );
            }
            Err(again) => {
                self.fail(
                    job,
                    error.kind(),
                    format!("{error}; and it could not be read again: {again}"),
                );
                self.count_fatal(again);
            }
        }
        Ok(())
    }
}

/// Which of the fields that were sent are to blame for a refusal of this field: itself, or, if it was not sent, those that
/// a tool computes it from. An estimate below what remains is refused in the name of what remains.
fn blamed<'a>(refused: Field, sent: impl Iterator<Item = &'a Field> + Clone) -> Vec<Field> {
    if sent.clone().any(|field| *field == refused) {
        return vec![refused];
    }
    let hangs_together = |field: &&Field| {
        [
            &[Field::StartDate, Field::DueDate][..],
            &[
                Field::EstimatedHours,
                Field::RemainingHours,
                Field::PercentageDone,
                Field::Status,
            ],
        ]
        .iter()
        .any(|group| group.contains(field) && group.contains(&refused))
    };
    sent.filter(hangs_together).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_blamed_on_what_was_sent() {
        let sent = [Field::Title, Field::EstimatedHours];
        assert_eq!(blamed(Field::Title, sent.iter()), [Field::Title]);
        assert_eq!(blamed(Field::RemainingHours, sent.iter()), [Field::EstimatedHours]);
        assert_eq!(blamed(Field::Assignee, sent.iter()), []);
    }
}
