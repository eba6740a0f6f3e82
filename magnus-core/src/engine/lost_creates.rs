//! What became of creates whose answers never came: adopted, sent again, or held until a person says.

use std::collections::{BTreeMap, HashSet};

use super::RunError;
use super::recover::closing;
use super::session::Session;
use crate::connection::{ConnectionError, ConnectionErrorKind as Kind, FindCreated};
use crate::model::{
    ExternalId, Field, Intent, IntentField, IntentOperation, Link, LinkState, Mapping, RemoteBase, RemoteTask, Rule,
    SkipReason, TaskId, Timestamp, text,
};
use crate::reconcile::{adopted, untouched_since_creation};
use crate::store::LinkWrite;

/// A create that is not found is sent again only when this much time has passed since it can have been sent at the latest: a
/// request's longest time and more, so that it cannot land after we looked.
const SETTLE_AFTER: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

/// What says that an item was made by a create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Marker,
    Title,
}

/// An open create with the mapping it was made for.
type Create<'a> = (Intent, &'a Mapping);

impl Session {
    /// Sure matches are adopted before anything else is said of the rest: what one create has made is no doubt about
    /// another one.
    pub(super) async fn settle_creates(&mut self, creates: Vec<Create<'_>>) -> Result<(), RunError> {
        let links = self.store.link_index(self.settings.id).await?;
        // Where the tool's side is gone and the hub's is there, a create was sent to make it anew.
        let holds = |link: &&Link| !matches!(link.state, LinkState::Restored | LinkState::GoneLocal);
        let linked_tasks: HashSet<TaskId> = links.iter().filter(holds).map(|link| link.task_id).collect();
        let mut taken: HashSet<ExternalId> = links.into_iter().map(|link| link.external_id).collect();
        let mut open = Vec::new();
        for (intent, mapping) in creates {
            if linked_tasks.contains(&intent.task_id) {
                self.commit_settled(&intent, closing(&intent, true)).await?;
            } else {
                open.push((intent, mapping));
            }
        }
        let Search { found, failed } = self.newer_of_ours(&open).await?;
        let open = self.without_failed(open, &failed).await?;
        let open = self.settle_marked(open, &found, &mut taken).await?;
        let mut rest = Vec::new();
        for (index, (intent, mapping)) in open.iter().enumerate() {
            self.checkpoint()?;
            let rivals: Vec<&Intent> = open
                .iter()
                .enumerate()
                .filter(|(other, (rival, _))| *other != index && sent_title(rival) == sent_title(intent))
                .map(|(_, (rival, _))| rival)
                .collect();
            let candidates = candidates(intent, &found, &taken);
            match sure_match(intent, mapping, &candidates, &rivals) {
                Some(item) => {
                    taken.insert(item.id.clone());
                    self.adopt(intent, mapping, item, Proof::Title).await?;
                }
                None => rest.push(intent),
            }
        }
        for intent in rest {
            self.checkpoint()?;
            let left = candidates(intent, &found, &taken);
            let same_title = left.iter().filter(|item| has_title(item, intent)).count();
            if !left.is_empty() {
                let reason = format!(
                    "{} new items of ours in the tool may be it, {same_title} with its title; look and decide",
                    left.len(),
                );
                self.hold(intent, reason).await?;
            } else if self.now() - self.sent_at_the_latest(intent).await? >= SETTLE_AFTER {
                self.commit_settled(intent, closing(intent, false)).await?;
            } else {
                let words = "it may still be on its way; a later run looks again".to_owned();
                self.leave(intent, SkipReason::Unsettled, words);
            }
        }
        Ok(())
    }

    /// A request may leave long after its entry in the journal, since it waits for its turn at the tool, or for those before it;
    /// but not after the end of its run.
    async fn sent_at_the_latest(&self, intent: &Intent) -> Result<Timestamp, RunError> {
        let run = self.store.run(intent.run_id).await?;
        let end = run.map(|run| run.completed_at.unwrap_or_else(|| self.now()));
        // A run that is in the log no more ended long ago.
        Ok(end.map_or(intent.created_at, |end| end.max(intent.created_at)))
    }

    /// A marker decides at once, whatever its item is called by now and wherever it is. Answers the creates of which no
    /// item carries the marker.
    async fn settle_marked<'a>(
        &mut self,
        creates: Vec<Create<'a>>,
        found: &BTreeMap<ExternalId, RemoteTask>,
        taken: &mut HashSet<ExternalId>,
    ) -> Result<Vec<Create<'a>>, RunError> {
        let mut rest = Vec::new();
        for (intent, mapping) in creates {
            self.checkpoint()?;
            let marked: Vec<&RemoteTask> = found.values().filter(|item| item.is_marked(intent.id)).collect();
            match marked.as_slice() {
                [] => rest.push((intent, mapping)),
                [item] if taken.insert(item.id.clone()) => {
                    self.adopt(&intent, mapping, item, Proof::Marker).await?;
                }
                [item] => {
                    let reason = format!(
                        "item {} carries its marker, but is another task's; look and decide",
                        item.id
                    );
                    self.hold(&intent, reason).await?;
                }
                several => {
                    let ids: Vec<&str> = several.iter().map(|item| item.id.as_str()).collect();
                    let reason = format!("items {} all carry its marker; look and decide", ids.join(", "));
                    self.hold(&intent, reason).await?;
                }
            }
        }
        Ok(rest)
    }

    /// Where the tool gives no usable answer to the search, it will give none tomorrow either: such creates are for a person.
    /// Where it does not let us look, it may later. The rest of the run goes on. Answers the creates that were looked for.
    async fn without_failed<'a>(
        &mut self,
        creates: Vec<Create<'a>>,
        failed: &BTreeMap<ExternalId, ConnectionError>,
    ) -> Result<Vec<Create<'a>>, RunError> {
        let mut rest = Vec::new();
        for (intent, mapping) in creates {
            let error = match &intent.operation {
                IntentOperation::Create { project, .. } => failed.get(project),
                _ => None,
            };
            match error {
                None => rest.push((intent, mapping)),
                Some(error) if matches!(error.kind(), Kind::Forbidden | Kind::NotFound) => {
                    let words = "the tool does not let us look for it".to_owned();
                    self.leave(&intent, SkipReason::Unsettled, words);
                }
                Some(error) => {
                    let reason = format!("it could not be looked for in the tool ({error}); look and decide");
                    self.hold(&intent, reason).await?;
                }
            }
        }
        Ok(rest)
    }

    /// What our user made since the oldest of these creates: asked for once for each project.
    async fn newer_of_ours(&self, creates: &[Create<'_>]) -> Result<Search, RunError> {
        let mut requests: BTreeMap<ExternalId, FindCreated> = BTreeMap::new();
        for (intent, _) in creates {
            let IntentOperation::Create {
                project,
                greatest_seen,
                marked,
            } = &intent.operation
            else {
                continue;
            };
            let request = requests.entry(project.clone()).or_insert_with(|| FindCreated {
                project: project.clone(),
                after: greatest_seen.clone(),
                markers: Vec::new(),
            });
            request.after = older(request.after.take(), greatest_seen.as_ref());
            request.markers.extend(marked.then_some(intent.id));
        }
        let mut search = Search::default();
        for (project, request) in requests {
            match self.connection.find_created(request).await {
                Ok(items) => search
                    .found
                    .extend(items.into_iter().map(|item| (item.id.clone(), item))),
                Err(error) if ends_the_run(error.kind()) => return Err(error.into()),
                Err(error) => drop(search.failed.insert(project, error)),
            }
        }
        Ok(search)
    }

    async fn adopt(
        &mut self,
        intent: &Intent,
        mapping: &Mapping,
        item: &RemoteTask,
        proof: Proof,
    ) -> Result<(), RunError> {
        let new = adopted(intent, mapping, item.id.clone(), self.now());
        let (mut link, expected) = self.in_place_of_a_gone_one(mapping, new).await?;
        link.external_url.clone_from(&item.url);
        if untouched_since_creation(item, &self.capabilities) {
            for (field, base) in &mut link.bases {
                if let (true, Some(now)) = (self.capabilities.moves.contains(field), item.value(*field)) {
                    base.remote = RemoteBase::Agreed(now.clone());
                }
            }
        } else if proof == Proof::Title {
            // It may be a stranger's after all: what differs from what was sent was never agreed on.
            link.bases.retain(|field, base| match &base.remote {
                RemoteBase::Agreed(sent) => item.value(*field).is_none_or(|now| now == sent),
                RemoteBase::Unseen(_) => true,
            });
        }
        let mut unit = closing(intent, true);
        let told = intent
            .fields
            .iter()
            .map(|(field, sent)| self.history_of(intent, *field, sent, Rule::Created));
        unit.history.extend(told);
        unit.links.push(LinkWrite {
            link: Box::new(link),
            expected,
        });
        self.commit_settled(intent, unit).await?;
        Ok(())
    }
}

/// What was found of lost creates, and the projects in which they could not be looked for.
#[derive(Debug, Default)]
struct Search {
    found: BTreeMap<ExternalId, RemoteTask>,
    failed: BTreeMap<ExternalId, ConnectionError>,
}

/// What says something of the connection as a whole, or may be otherwise a moment later.
const fn ends_the_run(kind: Kind) -> bool {
    kind.is_fatal() || kind.is_transient() || matches!(kind, Kind::LeaseLost)
}

/// Where to look from to find what was made after either; `None` is the beginning.
fn older(left: Option<ExternalId>, right: Option<&ExternalId>) -> Option<ExternalId> {
    let (left, right) = (left?, right?);
    Some(if right.compare_by_age(&left).is_lt() {
        right.clone()
    } else {
        left
    })
}

/// What may be the item of a create: newer than all that was seen before the send, nobody else's, and without the
/// marker of another create.
fn candidates<'a>(
    intent: &Intent,
    found: &'a BTreeMap<ExternalId, RemoteTask>,
    taken: &HashSet<ExternalId>,
) -> Vec<&'a RemoteTask> {
    let IntentOperation::Create { greatest_seen, .. } = &intent.operation else {
        return Vec::new();
    };
    let newer = |id: &ExternalId| {
        greatest_seen
            .as_ref()
            .is_none_or(|seen| id.compare_by_age(seen).is_gt())
    };
    let mut candidates: Vec<&RemoteTask> = found
        .values()
        .filter(|item| newer(&item.id) && !taken.contains(&item.id) && item.marker.is_none())
        .collect();
    candidates.sort_by(|a, b| a.id.compare_by_age(&b.id));
    candidates
}

/// The item that surely is the one: alone with its title, or one of several that were sent alike and are not more than
/// the creates that wait for them.
fn sure_match<'a>(
    intent: &Intent,
    mapping: &Mapping,
    candidates: &[&'a RemoteTask],
    rivals: &[&Intent],
) -> Option<&'a RemoteTask> {
    let matching: Vec<&RemoteTask> = candidates
        .iter()
        .copied()
        .filter(|item| has_title(item, intent))
        .collect();
    let in_place = matching.iter().all(|item| item.project == mapping.external_id);
    let alike = rivals
        .iter()
        .all(|rival| rival.mapping_id == intent.mapping_id && rival.fields == intent.fields);
    let first = matching.first()?;
    (in_place && alike && matching.len() <= rivals.len() + 1).then_some(*first)
}

fn has_title(item: &RemoteTask, intent: &Intent) -> bool {
    text::canonical_title(item.title()) == sent_title(intent)
}

fn sent_title(intent: &Intent) -> String {
    let title = intent.fields.get(&Field::Title).map(|field: &IntentField| &field.sent);
    text::canonical_title(title.and_then(|title| title.as_text()).unwrap_or_default())
}
