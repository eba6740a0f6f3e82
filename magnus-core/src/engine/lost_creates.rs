//! What became of creates whose answers never came: adopted, sent again, or held until a person says.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::RunError;
use super::recover::closing;
use super::session::Session;
use super::settle::put_in_place;
use crate::connection::{ConnectionError, ConnectionErrorKind as Kind, FindCreated};
use crate::model::{
    Base, ExternalId, Intent, IntentOperation, Link, LinkState, Mapping, RemoteBase, RemoteTask, Rule, SkipReason,
    TaskId, Timestamp,
};
use crate::reconcile::{
    adopted, candidates, has_title, is_replaced, refers, sent_title, sure_match, untouched_since_creation,
};
use crate::store::{LinkWrite, Unit};

/// What was sent is believed not to have arrived only when this much time has passed since it can have been sent at the latest:
/// a request's longest time and more, so that it cannot land after we looked.
pub(super) const SETTLE_AFTER: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

/// What another user has sent is for a person once this much time has passed without that user's key.
pub(super) const STRANGERS_AFTER: chrono::TimeDelta = chrono::TimeDelta::hours(1);

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
        let joined = links.iter().filter(holds);
        let joined: HashMap<TaskId, ExternalId> = joined.map(|link| (link.task_id, link.external_id.clone())).collect();
        let mut taken: HashSet<ExternalId> = links.into_iter().map(|link| link.external_id).collect();
        let Search { found, failed } = self.newer_of_ours(&creates).await?;
        let open = self.without_failed(creates, &failed).await?;
        let open = self.settle_marked(open, &joined, &found, &mut taken).await?;
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
            let sure = sure_match(intent, mapping, &candidates, &rivals);
            match sure.filter(|_| !joined.contains_key(&intent.task_id) && !self.is_strangers(intent, mapping)) {
                Some(item) => {
                    taken.insert(item.id.clone());
                    self.adopt(intent, mapping, item, Proof::Title).await?;
                }
                None => rest.push((intent, *mapping)),
            }
        }
        for (intent, mapping) in rest {
            self.checkpoint()?;
            self.settle_unsure(intent, mapping, &found, &taken, joined.get(&intent.task_id))
                .await?;
        }
        Ok(())
    }

    /// No item is surely the one. While the create was out, a person may have joined its task with an item that was there: if it
    /// made another one all the same, that is for the person to tell; as a new task it would be there twice.
    async fn settle_unsure(
        &mut self,
        intent: &Intent,
        mapping: &Mapping,
        found: &BTreeMap<ExternalId, RemoteTask>,
        taken: &HashSet<ExternalId>,
        joined: Option<&ExternalId>,
    ) -> Result<(), RunError> {
        let left = candidates(intent, found, taken);
        let same_title = left.iter().filter(|item| has_title(item, intent)).count();
        if !left.is_empty() {
            let now = joined.map_or(String::new(), |item| format!("its task is item {item} by now, and "));
            let reason = format!(
                "{now}{} new items of ours in the tool may be it, {same_title} with its title; look and decide",
                left.len(),
            );
            self.hold(intent, reason).await
        } else if self.leave_if_on_its_way(intent).await? {
            Ok(())
        } else if joined.is_some_and(|item| found.contains_key(item)) {
            self.commit_settled(intent, closing(intent, true)).await.map(drop)
        } else {
            self.settle_unfound(intent, mapping, taken).await
        }
    }

    /// Nothing was found of a create. That is believed as any absence is: while the project reads as open, to the user that
    /// sent it, and if a second search finds nothing either. Then it is sent again, if its task still wants it.
    async fn settle_unfound(
        &mut self,
        intent: &Intent,
        mapping: &Mapping,
        taken: &HashSet<ExternalId>,
    ) -> Result<(), RunError> {
        if self.is_strangers(intent, mapping) {
            let words = "the key is another user's than the one that sent it, and may not find what that one has made";
            // The tool may have told another user for a moment.
            if self.was_sent_within(intent, STRANGERS_AFTER).await? {
                let words = format!("{words}; go on with a key of the same user, or wait an hour and decide");
                self.note_sender(intent, mapping).await?;
                self.leave(intent, SkipReason::Unsettled, words);
                return Ok(());
            }
            return self.hold(intent, format!("{words}; look and decide")).await;
        }
        let doubt = match self.project_doubt(&mapping.external_id).await {
            Ok(Some(doubt)) => Some(doubt),
            Ok(None) => {
                let again = self.newer_of_ours(&[(intent.clone(), mapping)]).await?;
                let seen = !candidates(intent, &again.found, taken).is_empty();
                let marked = again.found.values().any(|item| item.is_marked(intent.id));
                match again.failed.into_values().next() {
                    Some(error) => Some(error.to_string()),
                    None => (seen || marked).then(|| "it has just come into sight".to_owned()),
                }
            }
            Err(error) if self.ends_looking(error.kind()) => return Err(error.into()),
            Err(error) => Some(format!("its project could not be read: {error}")),
        };
        match doubt {
            None => drop(self.commit_settled(intent, closing(intent, false)).await?),
            Some(doubt) => {
                let words = format!("it is not found, which proves nothing: {doubt}");
                self.leave(intent, SkipReason::Unsettled, words);
            }
        }
        Ok(())
    }

    /// Whether another user has sent it, whose new items are not among ours.
    fn is_strangers(&self, intent: &Intent, mapping: &Mapping) -> bool {
        let sent_as = match &intent.operation {
            IntentOperation::Create {
                sent_as: Some(user), ..
            } => Some(user),
            _ => mapping.seen_as.as_ref(),
        };
        sent_as.is_some_and(|user| *user != self.seen_as)
    }

    /// An entry of the journal that does not tell who sent it: whoever saw the project last. Once this run has seen it, that is
    /// forgotten there.
    async fn note_sender(&mut self, intent: &Intent, mapping: &Mapping) -> Result<(), RunError> {
        let mut told = intent.clone();
        let IntentOperation::Create { sent_as, .. } = &mut told.operation else {
            return Ok(());
        };
        if sent_as.is_none() {
            sent_as.clone_from(&mapping.seen_as);
            let intents = vec![told];
            self.commit_unit(Unit {
                intents,
                ..Unit::default()
            })
            .await?;
        }
        Ok(())
    }

    /// Leaves what may still arrive for a later run. Answers whether it did.
    pub(super) async fn leave_if_on_its_way(&mut self, intent: &Intent) -> Result<bool, RunError> {
        let may_arrive = self.was_sent_within(intent, SETTLE_AFTER).await?;
        if may_arrive {
            let words = "it may still be on its way; a later run looks again";
            self.leave(intent, SkipReason::Unsettled, words.to_owned());
        }
        Ok(may_arrive)
    }

    pub(super) async fn was_sent_within(&self, intent: &Intent, time: chrono::TimeDelta) -> Result<bool, RunError> {
        Ok(self.now() - self.sent_at_the_latest(intent).await? < time)
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
        joined: &HashMap<TaskId, ExternalId>,
        found: &BTreeMap<ExternalId, RemoteTask>,
        taken: &mut HashSet<ExternalId>,
    ) -> Result<Vec<Create<'a>>, RunError> {
        let mut rest = Vec::new();
        for (intent, mapping) in creates {
            self.checkpoint()?;
            let joined = joined.get(&intent.task_id);
            let marked: Vec<&RemoteTask> = found.values().filter(|item| item.is_marked(intent.id)).collect();
            match marked.as_slice() {
                [] => rest.push((intent, mapping)),
                [item] if joined == Some(&item.id) => {
                    self.commit_settled(&intent, closing(&intent, true)).await?;
                }
                [item] if let Some(joined) = joined => {
                    let reason = format!(
                        "its task is item {joined} by now, and item {} was made for it; look and decide",
                        item.id
                    );
                    self.hold(&intent, reason).await?;
                }
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
                Some(error) if error.kind().is_transient() => {
                    let words = format!("it could not be looked for ({error}); a later run looks again");
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
    async fn newer_of_ours(&mut self, creates: &[Create<'_>]) -> Result<Search, RunError> {
        let mut requests: BTreeMap<ExternalId, FindCreated> = BTreeMap::new();
        for (intent, _) in creates {
            let IntentOperation::Create {
                project,
                greatest_seen,
                marked,
                ..
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
                Ok(items) => {
                    self.in_a_row.clear();
                    let items = items.into_iter().map(|item| (item.id.clone(), item));
                    search.found.extend(items);
                }
                Err(error) if self.ends_looking(error.kind()) => return Err(error.into()),
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
        let untouched = untouched_since_creation(item, &self.capabilities);
        for (field, sent) in &intent.fields {
            let Some(now) = item.value(*field).filter(|now| **now != sent.sent) else {
                continue;
            };
            // Where nobody else wrote, what differs from what was sent is the tool's own, as it is in the answer to a write; and
            // another reference is its own, also if the item was saved again.
            let by_tool = untouched || (proof == Proof::Marker && refers(*field));
            if by_tool && is_replaced(*field, sent, now) {
                put_in_place(&mut link, *field, sent, now);
            } else if untouched && self.capabilities.moves.contains(field) {
                link.bases.insert(*field, Base::agreed(sent.local.clone(), now.clone()));
            }
        }
        if !untouched && proof == Proof::Title {
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

/// Where to look from to find what was made after either; `None` is the beginning.
fn older(left: Option<ExternalId>, right: Option<&ExternalId>) -> Option<ExternalId> {
    let (left, right) = (left?, right?);
    Some(if right.compare_by_age(&left).is_lt() {
        right.clone()
    } else {
        left
    })
}
