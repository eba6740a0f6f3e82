//! What became of creates whose answers never came: adopted, sent again, or held until a person says.

use std::collections::{BTreeMap, HashMap, HashSet};

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

const ON_ITS_WAY: &str = "it may still be on its way; a later run looks again";

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
        let creates = self.without_strangers(creates).await?;
        let Search { found, failed } = self.newer_of_ours(&creates).await?;
        let open = self.without_failed(creates, &failed).await?;
        let open = self.settle_joined(open, &joined, &found, &taken).await?;
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
                None => rest.push((intent, *mapping)),
            }
        }
        for (intent, mapping) in rest {
            self.checkpoint()?;
            let left = candidates(intent, &found, &taken);
            let same_title = left.iter().filter(|item| has_title(item, intent)).count();
            if !left.is_empty() {
                let reason = format!(
                    "{} new items of ours in the tool may be it, {same_title} with its title; look and decide",
                    left.len(),
                );
                self.hold(intent, reason).await?;
            } else if self.may_be_on_its_way(intent).await? {
                self.leave(intent, SkipReason::Unsettled, ON_ITS_WAY.to_owned());
            } else {
                self.settle_unfound(intent, mapping, &taken).await?;
            }
        }
        Ok(())
    }

    /// Nothing was found of a create. That is believed as any absence is: while the project reads as open, to the user that
    /// sent it, and if a second search finds nothing either. Then it is sent again.
    async fn settle_unfound(
        &mut self,
        intent: &Intent,
        mapping: &Mapping,
        taken: &HashSet<ExternalId>,
    ) -> Result<(), RunError> {
        let again = [(intent.clone(), mapping)];
        let doubt = match self.doubt(mapping).await? {
            Some(doubt) => Some(doubt),
            None => {
                let search = self.newer_of_ours(&again).await?;
                let seen = !candidates(intent, &search.found, taken).is_empty();
                let marked = search.found.values().any(|item| item.is_marked(intent.id));
                let failed = search.failed.into_values().next();
                match failed {
                    Some(error) => Some(error.to_string()),
                    None => (seen || marked).then(|| "it has just come into sight".to_owned()),
                }
            }
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

    /// What another user has sent is not found among our new items, unless it carries a marker: such creates are for a person.
    /// Answers those that can be looked for.
    async fn without_strangers<'a>(&mut self, creates: Vec<Create<'a>>) -> Result<Vec<Create<'a>>, RunError> {
        let mut rest = Vec::new();
        for (intent, mapping) in creates {
            match &intent.operation {
                IntentOperation::Create {
                    marked: false,
                    sent_as: Some(user),
                    ..
                } if *user != self.seen_as => {
                    let reason = format!(
                        "it was sent with the key of user {user}, and the key is another user's now, among whose new items \
                         it cannot be found; look and decide"
                    );
                    self.hold(&intent, reason).await?;
                }
                _ => rest.push((intent, mapping)),
            }
        }
        Ok(rest)
    }

    /// While a create was out, a person joined its task with an item that was there. If it made another one all the same,
    /// that is for the person to tell: as a new task it would be there twice.
    async fn settle_joined<'a>(
        &mut self,
        creates: Vec<Create<'a>>,
        joined: &HashMap<TaskId, ExternalId>,
        found: &BTreeMap<ExternalId, RemoteTask>,
        taken: &HashSet<ExternalId>,
    ) -> Result<Vec<Create<'a>>, RunError> {
        let mut rest = Vec::new();
        for (intent, mapping) in creates {
            let Some(item) = joined.get(&intent.task_id) else {
                rest.push((intent, mapping));
                continue;
            };
            let made = |other: &&RemoteTask| {
                let newer = candidates(&intent, found, taken).iter().any(|new| new.id == other.id);
                other.id != *item && (other.is_marked(intent.id) || (newer && has_title(other, &intent)))
            };
            if let Some(made) = found.values().find(made) {
                let reason = format!(
                    "its task is item {item} by now, and item {} seems to have been made for it, too; look and decide",
                    made.id
                );
                self.hold(&intent, reason).await?;
            } else if found.contains_key(item) {
                self.commit_settled(&intent, closing(&intent, true)).await?;
            } else if self.may_be_on_its_way(&intent).await? {
                self.leave(&intent, SkipReason::Unsettled, ON_ITS_WAY.to_owned());
            } else {
                self.commit_settled(&intent, closing(&intent, false)).await?;
            }
        }
        Ok(rest)
    }

    async fn may_be_on_its_way(&self, intent: &Intent) -> Result<bool, RunError> {
        Ok(self.now() - self.sent_at_the_latest(intent).await? < SETTLE_AFTER)
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
                Ok(items) => search
                    .found
                    .extend(items.into_iter().map(|item| (item.id.clone(), item))),
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
