//! What holds once all has come to rest.

use std::collections::BTreeMap;

use magnus_core::connection::{ConnectionExt, Encoded, ListTasks};
use magnus_core::model::{ConnectionId, DeletionPolicy, ExternalId, Field, LinkState, Value};

use crate::book;
use crate::equal::Pair;
use crate::play::Play;
use crate::sides::Sides;

impl Play {
    pub(crate) async fn check(&self) {
        self.check_rest().await;
        for (instance, id) in &self.tools {
            let sides = Sides::of(self, instance, *id).await;
            self.check_equal(&sides).await;
            sides.check_reached();
            self.check_not_deleted(&sides).await;
            let mut titles = instance.titles();
            titles.sort_unstable();
            let doubled: Vec<_> = titles.windows(2).filter(|pair| pair[0] == pair[1]).collect();
            assert!(doubled.is_empty(), "no duplicate in a tool: {doubled:?}");
        }
        self.check_not_lost().await;
    }

    /// Further syncs write nothing.
    async fn check_rest(&self) {
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
    }

    /// Every item of a tool is a task of the hub, and they are equal in every field that both can hold.
    async fn check_equal(&self, sides: &Sides<'_>) {
        for place in [0, 1] {
            let project = ExternalId::new(sides.instance.project(place)).unwrap();
            let (remotes, _) = sides.connection.all_tasks(ListTasks::new(project)).await.unwrap();
            for remote in &remotes {
                let Some(link) = sides.link_of_item(&remote.id) else {
                    // While a create waits for a person, nothing that is new in its tool is taken over.
                    assert!(!sides.waiting.is_empty(), "{} has no link", remote.id);
                    continue;
                };
                let task = &sides.tasks[&link.task_id];
                if link.state != LinkState::Live {
                    let told = task.is_deleted() || task.project_id == self.hub[2];
                    assert!(told, "{:?} is in {} and {}", task.title, sides.name, link.state);
                    continue;
                }
                if sides.are_moved_apart(link, place) {
                    continue;
                }
                assert_eq!(task.project_id, self.hub[place], "project of {:?}", task.title);
                for field in sides.connection.capabilities().fields.keys() {
                    if let Some(observed) = remote.fields.get(field) {
                        let pair = Pair {
                            sides,
                            link,
                            task,
                            project: &remote.project,
                            field: *field,
                            observed,
                        };
                        pair.check();
                    }
                }
            }
        }
    }

    /// Nothing is gone that nobody deleted.
    async fn check_not_deleted(&self, sides: &Sides<'_>) {
        let all = self
            .world
            .store
            .links_of_tasks(sides.tasks.keys().copied().collect())
            .await
            .unwrap();
        let book = self.book();
        let keeps = self.house.deletions == DeletionPolicy::Keep;
        let item_deleted = |id: ConnectionId, item: &ExternalId| book.deleted_items.contains(&(id, item.clone()));
        for link in &sides.links {
            let task = &sides.tasks[&link.task_id];
            let there = sides.instance.place_of(&link.external_id).is_some();
            let may_be_gone = item_deleted(sides.id, &link.external_id) || (!keeps && task.is_deleted());
            assert!(there || may_be_gone, "{:?} is gone from {}", task.title, sides.name);
        }
        for task in sides.tasks.values() {
            let mut links = all.iter().filter(|link| link.task_id == task.id);
            let in_a_tool = !keeps && links.any(|link| item_deleted(link.connection_id, &link.external_id));
            let may_be_gone = in_a_tool || book.deleted_tasks.contains(&task.id);
            assert!(
                may_be_gone || !task.is_deleted(),
                "{:?} is gone from the hub",
                task.title
            );
            assert!(in_a_tool || task.archived_at.is_none(), "{:?} is archived", task.title);
        }
    }

    /// What somebody typed, and nobody replaced, stands somewhere.
    async fn check_not_lost(&self) {
        let tasks = self.tasks().await;
        let mut titles = BTreeMap::new();
        for task in &tasks {
            *titles.entry(task.title.clone()).or_insert(0) += 1;
        }
        assert!(
            titles.values().all(|count| *count == 1),
            "no duplicate in the hub: {titles:?}"
        );
        let mut present: book::Marks = tasks.iter().flat_map(book::of_task).collect();
        for (instance, _) in &self.tools {
            present.extend(instance.marks());
        }
        let on_record = self.world.conflicts().await;
        present.extend(on_record.iter().flat_map(|conflict| book::of_value(&conflict.local)));
        present.extend(
            on_record
                .iter()
                .flat_map(|conflict| book::of_value(&conflict.remote_value)),
        );
        for mark in self.book().kept() {
            let checked = self.house.keeps_numbers() || book::is_word(mark);
            assert!(!checked || present.contains(mark), "{mark:?} is lost without a trace");
        }
    }
}

impl Sides<'_> {
    /// Every task of the hub is in the tool, or it is known why not.
    fn check_reached(&self) {
        for task in self.tasks.values() {
            let Some(place) = self
                .hub
                .iter()
                .position(|project| *project == task.project_id)
                .filter(|place| *place < 2)
            else {
                continue;
            };
            if task.is_deleted() {
                continue;
            }
            let words = format!("{:?} in {}", task.title, self.name);
            let Some(link) = self.links.iter().find(|link| link.task_id == task.id) else {
                let project = ExternalId::new(self.instance.project(place)).unwrap();
                let title = self
                    .translator
                    .encode(&project, Field::Title, &Value::text(task.title.clone()));
                let known = matches!(title, Encoded::Unholdable(_)) || self.waiting.contains(&task.id);
                assert!(known || task.archived_at.is_some(), "{words}: it did not get there");
                continue;
            };
            let at = self.instance.place_of(&link.external_id);
            match link.state {
                LinkState::Live => {
                    let apart = at.is_some_and(|at| self.are_moved_apart(link, at));
                    assert!(at == Some(place) || apart, "{words}: its project is {at:?}");
                }
                LinkState::GoneRemote => assert_eq!(at, None, "{words}: it is still there"),
                // What became of it where nothing is mapped is not looked at.
                LinkState::OutOfScope => assert!(at.is_none_or(|at| at == 2), "{words}: its project is mapped"),
                state => panic!("{words}: {state}"),
            }
        }
    }
}
