//! What a service asks of the hub.

use async_trait::async_trait;
use chrono::TimeDelta;

use super::MemoryStore;
use crate::model::{
    AccessToken, Conflict, ConflictId, ConflictState, ConnectionId, IntentState, LinkState, Run, RunId, RunState,
    Timestamp, TokenId, Trigger,
};
use crate::store::{
    ConflictPage, ConflictQuery, ConnectionCounts, LinkStore, OnceAnswer, OnceEntry, OnceRequest, RunDigest, RunEvent,
    RunPage, RunQuery, RunStanding, ServiceStore, SettingsStore, StoreError, StoreErrorKind, TaskCounts, TaskCursor,
    TaskSearch, TaskSearchPage, TaskSource,
};

fn in_brief(run: &Run) -> Run {
    Run {
        report: run.report.brief(),
        ..run.clone()
    }
}

#[async_trait]
impl ServiceStore for MemoryStore {
    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn run_page(&self, query: RunQuery) -> Result<RunPage, StoreError> {
        let tables = self.tables();
        let age = |run: &Run| (run.queued_at, run.id);
        let after = match query.after.map(|id| tables.runs.get(&id)) {
            None => None,
            Some(Some(run)) => Some(age(run)),
            Some(None) => return Ok(RunPage::default()),
        };
        let mut runs: Vec<&Run> = tables
            .runs
            .values()
            .filter(|run| {
                query.connection_id.is_none_or(|id| run.connection_id == id)
                    && query.state.is_none_or(|state| run.state == state)
                    && after.is_none_or(|after| age(run) < after)
            })
            .collect();
        runs.sort_by_key(|run| std::cmp::Reverse(age(run)));
        let limit = query.effective_limit();
        let next = (runs.len() > limit).then(|| runs[limit - 1].id);
        Ok(RunPage {
            runs: runs.into_iter().take(limit).map(in_brief).collect(),
            next,
        })
    }

    async fn run_digest(&self, connection: ConnectionId) -> Result<RunDigest, StoreError> {
        let tables = self.tables();
        let mut runs: Vec<&Run> = tables
            .runs
            .values()
            .filter(|run| run.connection_id == connection)
            .collect();
        runs.sort_by_key(|run| std::cmp::Reverse((run.queued_at, run.id)));
        let is_success = |run: &&&Run| matches!(run.state, RunState::Completed | RunState::Partial);
        let failures = runs
            .iter()
            .filter(|run| run.state.is_final())
            .take(RunDigest::MOST_FAILURES as usize)
            .take_while(|run| run.state == RunState::Failed);
        Ok(RunDigest {
            newest: runs.first().map(|run| in_brief(run)),
            last_success_at: runs.iter().find(is_success).and_then(|run| run.completed_at),
            asked_by_person: runs.iter().any(|run| run.request.trigger == Trigger::Manual),
            failures_in_a_row: u32::try_from(failures.count()).unwrap_or(RunDigest::MOST_FAILURES),
        })
    }

    async fn run_standings(&self) -> Result<Vec<RunStanding>, StoreError> {
        let connections = self.connections().await?;
        let tables = self.tables();
        let standing = |id: ConnectionId| {
            let of_it = || tables.runs.values().filter(|run| run.connection_id == id);
            let newest = of_it().max_by_key(|run| (run.queued_at, run.id));
            RunStanding {
                connection_id: id,
                newest: newest.map(|run| (run.id, run.state)),
                in_progress: of_it().any(|run| run.state == RunState::Started),
                queued: of_it().any(|run| run.state == RunState::Queued),
            }
        };
        Ok(connections.into_iter().map(|settings| standing(settings.id)).collect())
    }

    async fn connection_counts(&self) -> Result<Vec<ConnectionCounts>, StoreError> {
        let connections = self.connections().await?;
        let tables = self.tables();
        let count = |id: ConnectionId| {
            let links = tables.all_links().filter(|link| link.connection_id == id);
            let (live, other): (Vec<_>, Vec<_>) = links.partition(|link| link.state == LinkState::Live);
            let is_open = |state| state == ConflictState::Open;
            let conflicts = tables.all_conflicts().filter(|conflict| conflict.connection_id == id);
            ConnectionCounts {
                connection_id: id,
                linked: live.len() as u64,
                unlinked: other.len() as u64,
                open_conflicts: conflicts.filter(|conflict| is_open(conflict.state)).count() as u64,
            }
        };
        Ok(connections.into_iter().map(|settings| count(settings.id)).collect())
    }

    async fn conflict_page(
        &self,
        query: ConflictQuery,
        limit: usize,
        after: Option<ConflictId>,
    ) -> Result<ConflictPage, StoreError> {
        let mut found = self.conflicts(query).await?;
        let total = found.len() as u64;
        if let Some(after) = after {
            // One that was settled since keeps its place, also where only open ones are listed.
            let place = |conflict: &Conflict| (conflict.created_at, conflict.id);
            let after = self.conflict(after).await?.as_ref().map(place);
            found.retain(|conflict| after.is_some_and(|after| place(conflict) < after));
        }
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| has_more).map(|conflict| conflict.id);
        Ok(ConflictPage {
            conflicts: found,
            total,
            next,
        })
    }

    async fn prune_runs(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut tables = self.tables();
        let tables = &mut *tables;
        let age = |run: &Run| (run.queued_at, run.id);
        let is_success = |run: &Run| matches!(run.state, RunState::Completed | RunState::Partial);
        let is_by_person = |run: &Run| run.request.trigger == Trigger::Manual;
        let is_kept = |run: &Run| {
            let newer = || {
                let others = tables.runs.values();
                others.filter(|other| other.connection_id == run.connection_id && age(other) > age(run))
            };
            newer().next().is_none()
                || (is_success(run) && !newer().any(is_success))
                || (is_by_person(run) && !newer().any(is_by_person))
        };
        let mut old: Vec<&Run> = tables
            .runs
            .values()
            .filter(|run| run.state.is_final() && run.completed_at.is_some_and(|at| at < before) && !is_kept(run))
            .collect();
        old.sort_by_key(|run| (run.completed_at, run.id));
        let old: Vec<RunId> = old.into_iter().take(limit).map(|run| run.id).collect();
        tables.runs.retain(|id, _| !old.contains(id));
        tables.run_events.retain(|event| !old.contains(&event.run_id));
        tables
            .intents
            .retain(|_, intent| !(matches!(intent.state, IntentState::Settled { .. }) && old.contains(&intent.run_id)));
        Ok(u64::try_from(old.len()).unwrap_or(u64::MAX))
    }

    async fn run_events(&self, after: i64, limit: usize) -> Result<Vec<RunEvent>, StoreError> {
        let tables = self.tables();
        let events = tables.run_events.iter().filter(|event| event.sequence > after);
        Ok(events
            .filter(|event| tables.runs.contains_key(&event.run_id))
            .take(limit)
            .copied()
            .collect())
    }

    async fn last_run_event(&self) -> Result<i64, StoreError> {
        Ok(self.tables().run_events.last().map_or(0, |event| event.sequence))
    }

    async fn search_tasks(&self, search: TaskSearch) -> Result<TaskSearchPage, StoreError> {
        let tables = self.tables();
        let mut found: Vec<_> = tables
            .all_tasks()
            .filter(|task| search.matches(task) && search.is_after_cursor(task))
            .map(|task| ((search.order.key(task), task.id), task))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        if search.order.is_descending() {
            found.reverse();
        }
        let limit = search.effective_limit();
        let next = (found.len() > limit).then(|| {
            let (key, id) = found[limit - 1].0.clone();
            TaskCursor { key, id }
        });
        Ok(TaskSearchPage {
            tasks: found.into_iter().take(limit).map(|(_, task)| task.clone()).collect(),
            next,
        })
    }

    async fn count_tasks(&self, search: TaskSearch) -> Result<TaskCounts, StoreError> {
        let tables = self.tables();
        let mut counts = TaskCounts::default();
        for task in tables.all_tasks().filter(|task| search.matches(task)) {
            let source = task.source_tool.clone().map_or(TaskSource::Hub, TaskSource::Tool);
            counts.add(source, task.status, task.priority, 1);
        }
        Ok(counts)
    }

    async fn add_token(&self, token: AccessToken) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let is_taken =
            |other: &AccessToken| other.name == token.name || other.id == token.id || other.hash == token.hash;
        if tables.tokens.iter().any(is_taken) {
            return Err(StoreError::new(
                StoreErrorKind::Conflict,
                "add token",
                "there is a token of this name already",
            ));
        }
        tables.tokens.push(token);
        Ok(())
    }

    async fn tokens(&self) -> Result<Vec<AccessToken>, StoreError> {
        let mut tokens = self.tables().tokens.clone();
        tokens.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tokens)
    }

    async fn token_by_hash(&self, hash: String) -> Result<Option<AccessToken>, StoreError> {
        Ok(self.tables().tokens.iter().find(|token| token.hash == hash).cloned())
    }

    async fn delete_token(&self, id: TokenId) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let before = tables.tokens.len();
        tables.tokens.retain(|token| token.id != id);
        Ok(tables.tokens.len() < before)
    }

    async fn begin_once(&self, request: OnceRequest) -> Result<OnceEntry, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        tables.once.retain(|_, (begun, _)| *begun > now - TimeDelta::days(1));
        if let Some((_, known)) = tables.once.get(&request.key) {
            return Ok(known.clone());
        }
        let entry = OnceEntry {
            is_new: false,
            fingerprint: request.fingerprint,
            reserved: request.reserved,
            answer: None,
        };
        tables.once.insert(request.key, (now, entry.clone()));
        Ok(OnceEntry { is_new: true, ..entry })
    }

    async fn settle_once(&self, key: String, answer: OnceAnswer) -> Result<(), StoreError> {
        if let Some((_, entry)) = self.tables().once.get_mut(&key) {
            entry.answer.get_or_insert(answer);
        }
        Ok(())
    }

    async fn forget_once(&self, key: String) -> Result<(), StoreError> {
        let mut tables = self.tables();
        if tables.once.get(&key).is_some_and(|(_, entry)| entry.answer.is_none()) {
            tables.once.remove(&key);
        }
        Ok(())
    }
}
