//! Both sides of one connection as they stand in the end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use magnus_core::connection::{Connection, Translator};
use magnus_core::model::{
    Conflict, ConflictState, ConnectionId, ExternalId, Field, Link, LinkId, Mapping, ProjectId, Task, TaskId,
};

use crate::instance::Instance;
use crate::play::Play;

pub(crate) struct Sides<'a> {
    pub(crate) id: ConnectionId,
    pub(crate) name: String,
    pub(crate) instance: &'a Instance,
    pub(crate) connection: Arc<dyn Connection>,
    pub(crate) translator: Arc<dyn Translator>,
    pub(crate) hub: [ProjectId; 3],
    pub(crate) tasks: BTreeMap<TaskId, Task>,
    pub(crate) links: Vec<Link>,
    mappings: Vec<Mapping>,
    /// The tasks whose create waits for a person.
    pub(crate) waiting: Vec<TaskId>,
    open: HashMap<(LinkId, Field), Conflict>,
}

impl<'a> Sides<'a> {
    pub(crate) async fn of(play: &Play, instance: &'a Instance, id: ConnectionId) -> Self {
        let (settings, connection) = play.world.engine.open(id).await.unwrap();
        let projects = [0, 1].map(|place| ExternalId::new(instance.project(place)).unwrap());
        let translator = connection.translator(projects.to_vec()).await.unwrap();
        let open = play.world.conflicts().await.into_iter();
        let open = open.filter(|conflict| conflict.state == ConflictState::Open);
        Self {
            id,
            name: settings.name,
            instance,
            connection,
            translator,
            hub: play.hub,
            tasks: play.tasks().await.into_iter().map(|task| (task.id, task)).collect(),
            links: play.world.store.links(id).await.unwrap(),
            mappings: play.world.store.mappings(id).await.unwrap(),
            waiting: play.waiting(id).await,
            open: open
                .map(|conflict| ((conflict.link_id, conflict.field), conflict))
                .collect(),
        }
    }

    pub(crate) fn link_of_item(&self, item: &ExternalId) -> Option<&Link> {
        self.links.iter().find(|link| link.external_id == *item)
    }

    pub(crate) fn link_of_task(&self, task: TaskId) -> Option<&Link> {
        self.links.iter().find(|link| link.task_id == task)
    }

    /// Whether an item was moved in the tool and its task elsewhere in the hub: that is held for a person.
    pub(crate) fn are_moved_apart(&self, link: &Link, place: usize) -> bool {
        let from = self.mappings.iter().find(|mapping| mapping.id == link.mapping_id);
        from.is_some_and(|from| from.external_id.as_str() != self.instance.project(place))
    }

    pub(crate) fn open_conflict(&self, link: LinkId, field: Field) -> Option<&Conflict> {
        self.open.get(&(link, field))
    }
}
