//! What holds once all has come to rest.

use std::collections::{BTreeMap, HashMap, HashSet};

use magnus_core::connection::{ConnectionExt, Decoded, Encoded, FieldSupport, ListTasks};
use magnus_core::model::{ConflictState, ConnectionId, ExternalId, Field, LinkState, TaskId, Value};

use crate::play::Play;

impl Play {
    pub(crate) async fn check(&mut self) {
        let connections: Vec<ConnectionId> = self.tools.iter().map(|(_, id)| *id).collect();
        let mut rounds = 0;
        loop {
            let before = self.writes().await;
            for id in &connections {
                self.run(*id).await;
            }
            if self.writes().await == before {
                break;
            }
            rounds += 1;
            assert!(rounds <= 3 + 3 * connections.len(), "the sides do not come to rest");
        }
        let before = self.writes().await;
        for id in connections.iter().chain(&connections) {
            self.run(*id).await;
        }
        assert_eq!(self.writes().await, before, "quiet after convergence");
        for (instance, id) in &self.tools {
            self.check_equal(*id, instance.project()).await;
            let mut titles = instance.titles();
            titles.sort_unstable();
            let doubled: Vec<_> = titles.windows(2).filter(|pair| pair[0] == pair[1]).collect();
            assert!(doubled.is_empty(), "no duplicate in a tool: {doubled:?}");
        }
        self.check_not_lost().await;
    }

    async fn check_equal(&self, id: ConnectionId, project: String) {
        let project = ExternalId::new(project).unwrap();
        let waits = self.waits(id).await;
        let (settings, connection) = self.world.engine.open(id).await.unwrap();
        let translator = connection.translator(vec![project.clone()]).await.unwrap();
        let (remotes, _) = connection.all_tasks(ListTasks::new(project.clone())).await.unwrap();
        let links = self.world.store.links(id).await.unwrap();
        let by_external: HashMap<_, _> = links.iter().map(|link| (link.external_id.clone(), link)).collect();
        let live: HashSet<TaskId> = links
            .iter()
            .filter(|link| link.state == LinkState::Live)
            .map(|link| link.task_id)
            .collect();
        let tasks = self.world.tasks(self.hub).await;
        let open: HashSet<_> = self
            .world
            .conflicts()
            .await
            .into_iter()
            .filter(|conflict| conflict.state == ConflictState::Open)
            .map(|conflict| (conflict.link_id, conflict.field))
            .collect();
        for remote in remotes {
            let Some(link) = by_external.get(&remote.id) else {
                // While a create waits for a person, nothing that is new in its tool is taken over.
                assert!(waits, "{} has no link", remote.id);
                continue;
            };
            if link.state != LinkState::Live {
                continue;
            }
            let task = &tasks[&link.task_id];
            for (field, support) in &connection.capabilities().fields {
                let Some(observed) = remote.fields.get(field) else {
                    continue;
                };
                let exempt = open.contains(&(link.id, *field)) || link.refusals.contains_key(field) || observed.derived;
                if *support == FieldSupport::ReadOnly || exempt {
                    continue;
                }
                let local = task.get(*field);
                if *field == Field::Parent {
                    let parent = observed.value.as_external_id();
                    let parent = parent.map(|parent| by_external.get(&parent).map(|link| link.task_id));
                    match (local, parent) {
                        (Value::Task(task), _) if !live.contains(&task) => {}
                        (_, Some(None)) => {}
                        (_, Some(Some(task))) if !live.contains(&task) => {}
                        (local, parent) => {
                            let remote = parent.flatten().map_or(Value::Empty, Value::Task);
                            assert_eq!(local, remote, "parent of {:?} in {}", task.title, settings.name);
                        }
                    }
                    continue;
                }
                let decoded = match translator.decode(&project, *field, &observed.value) {
                    Decoded::Exact(value) | Decoded::Approximate(value) => value,
                    Decoded::Unresolved(_) => continue,
                };
                let encoded = translator.encode(&project, *field, &local);
                let holds = match &encoded {
                    Encoded::Value(expected) => *expected == observed.value,
                    Encoded::Unholdable(_) => true,
                };
                let moved_off_the_weekend = working_day(&local).is_some_and(|day| day == decoded);
                let both_unset = local.is_empty() && translator.is_default(&project, *field, &observed.value);
                assert!(
                    holds || both_unset || moved_off_the_weekend || decoded.is_same(&local, *field),
                    "{field} of {:?}: hub {local:?}, {} {decoded:?} ({:?}, expected {encoded:?}), base {:?}",
                    task.title,
                    settings.name,
                    observed.value,
                    link.bases.get(field)
                );
            }
        }
    }

    async fn check_not_lost(&self) {
        let mut present: Vec<String> = Vec::new();
        let tasks = self.world.tasks(self.hub).await;
        let mut titles = BTreeMap::new();
        for task in tasks.values() {
            *titles.entry(task.title.clone()).or_insert(0) += 1;
        }
        assert!(
            titles.values().all(|count| *count == 1),
            "no duplicate in the hub: {titles:?}"
        );
        present.extend(titles.into_keys());
        for (instance, _) in &self.tools {
            present.extend(instance.titles());
        }
        for conflict in self.world.conflicts().await {
            present.extend([conflict.local.to_string(), conflict.remote_value.to_string()]);
        }
        for title in self.typed.difference(&self.replaced) {
            assert!(present.contains(title), "{title:?} is lost without a trace");
        }
    }
}

/// The day to which OpenProject moves a day on a weekend.
fn working_day(value: &Value) -> Option<Value> {
    use chrono::Datelike;
    let Value::Date(date) = value else { return None };
    let ahead = match date.weekday() {
        chrono::Weekday::Sat => 2,
        chrono::Weekday::Sun => 1,
        _ => return None,
    };
    date.checked_add_days(chrono::Days::new(ahead)).map(Value::Date)
}
