//! A small hub to test with: two connections, both mapped to one project.

use std::sync::Arc;
use std::time::Duration;

use magnus_core::clock::Clock;
use magnus_core::model::{
    Base, Conflict, ConflictId, ConflictPolicy, ConflictState, ConnectionId, ConnectionSettings, ExternalId, Field,
    LastChange, Link, Mapping, Project, RemoteValue, RowVersion, Task, Timestamp, ToolName, Value,
};
use magnus_core::store::{
    Changeset, CommitOutcome, ConflictWrite, Fence, Lease, LeaseAnswer, LinkWrite, MappingWrite, ProjectWrite,
    StaleReason, StoreError, StoreErrorKind, TaskStore, TaskWrite, Unit,
};

use super::ManualClock;

/// How long the leases of the tests live.
pub(super) const TTL: Duration = Duration::from_secs(30);

/// A store with two connections (`here`, whose lease is held, and `there`) and one project mapped on both.
#[derive(Debug)]
pub struct World {
    pub(super) store: Arc<dyn TaskStore>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) here: ConnectionId,
    pub(super) there: ConnectionId,
    pub(super) project: Project,
    pub(super) mapping: Mapping,
    pub(super) mapping_there: Mapping,
    pub(super) lease: Lease,
}

impl World {
    /// Fills an empty store.
    ///
    /// # Errors
    /// Whatever the store answers.
    pub async fn new(store: Arc<dyn TaskStore>, clock: Arc<ManualClock>) -> Result<Self, StoreError> {
        let now = clock.now();
        let here = store.save_connection(connection("Here", now)).await?.id;
        let there = store.save_connection(connection("There", now)).await?.id;
        let project = Project::new("Moon", now);
        let mapping = Mapping::new(here, ExternalId::from(1), "Moon", project.id);
        let mapping_there = Mapping::new(there, ExternalId::from(1), "Moon", project.id);
        let changeset = Changeset {
            projects: vec![ProjectWrite {
                project: project.clone(),
                expected: None,
            }],
            mappings: [&mapping, &mapping_there]
                .map(|row| insert_mapping(row.clone()))
                .to_vec(),
            ..Changeset::new()
        };
        assert_eq!(store.commit(Fence::Hub, changeset).await?, CommitOutcome::default());
        let lease = granted(store.acquire_lease(here, "tests".to_owned(), TTL).await?);
        let read = |mut row: Mapping| {
            row.version = RowVersion(1);
            row
        };
        let project = Project {
            version: RowVersion(1),
            ..project
        };
        let (mapping, mapping_there) = (read(mapping), read(mapping_there));
        Ok(Self {
            store,
            clock,
            here,
            there,
            project,
            mapping,
            mapping_there,
            lease,
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn fence(&self) -> Fence {
        Fence::Lease(self.lease.clone())
    }

    pub(super) fn task(&self, title: &str) -> Task {
        Task::new(self.project.id, title, self.now())
    }

    pub(super) fn link(&self, task: &Task, external: u64) -> Link {
        let mut link = Link::new(&self.mapping, task.id, ExternalId::from(external), self.now());
        link.bases = [(
            Field::Title,
            Base::agreed(task.get(Field::Title), RemoteValue::text(&task.title)),
        )]
        .into();
        link
    }

    pub(super) fn link_there(&self, task: &Task, external: u64) -> Link {
        Link::new(&self.mapping_there, task.id, ExternalId::from(external), self.now())
    }

    pub(super) fn conflict(&self, link: &Link, field: Field, local: &str, remote: &str) -> Conflict {
        Conflict {
            id: ConflictId::generate(),
            connection_id: link.connection_id,
            link_id: link.id,
            task_id: link.task_id,
            external_id: link.external_id.clone(),
            field,
            base: None,
            local: Value::text(local),
            remote: RemoteValue::text(remote),
            remote_value: Value::text(remote),
            local_change: LastChange::at(Some(self.now())),
            remote_change: LastChange {
                at: None,
                by: Some("Ada \"the first\" Byron".to_owned()),
            },
            state: ConflictState::Open,
            policy: ConflictPolicy::Manual,
            loser: None,
            reason: "both sides changed it".to_owned(),
            run_id: None,
            created_at: self.now(),
            updated_at: self.now(),
            resolved_at: None,
            resolved_by: None,
            version: RowVersion::default(),
        }
    }

    /// Commits units in the right of the lease.
    pub(super) async fn commit(&self, units: Vec<Unit>) -> Result<CommitOutcome, StoreError> {
        self.store.commit(self.fence(), Changeset::of(units)).await
    }

    /// Commits units of which none may be stale.
    pub(super) async fn commit_all(&self, units: Vec<Unit>) -> Result<(), StoreError> {
        let outcome = self.commit(units).await?;
        assert_eq!(outcome, CommitOutcome::default(), "nothing is stale");
        Ok(())
    }

    /// Inserts a task as a person would.
    pub(super) async fn add_task(&self, title: &str) -> Result<Task, StoreError> {
        let task = self.task(title);
        self.commit_all(vec![insert_task(&task)]).await?;
        self.read_task(&task).await
    }

    /// Inserts a task and its link here.
    pub(super) async fn add_linked(&self, title: &str, external: u64) -> Result<(Task, Link), StoreError> {
        let task = self.task(title);
        let link = self.link(&task, external);
        self.commit_all(vec![with_link(insert_task(&task), &link)]).await?;
        Ok((
            self.read_task(&task).await?,
            Link {
                version: RowVersion(1),
                ..link
            },
        ))
    }

    pub(super) async fn read_task(&self, task: &Task) -> Result<Task, StoreError> {
        let mut tasks = self.store.tasks(vec![task.id]).await?;
        assert_eq!(tasks.len(), 1, "the task {} is there", task.title);
        Ok(tasks.remove(0))
    }
}

pub(super) fn connection(name: &str, now: Timestamp) -> ConnectionSettings {
    ConnectionSettings::new(ToolName::new("openproject"), name, "https://example.org", now)
}

pub(super) fn granted(answer: LeaseAnswer) -> Lease {
    match answer {
        LeaseAnswer::Granted(lease) => lease,
        LeaseAnswer::Held { holder, .. } => panic!("the lease is held by {holder}"),
    }
}

pub(super) fn insert_mapping(mapping: Mapping) -> MappingWrite {
    MappingWrite {
        mapping,
        expected: None,
    }
}

pub(super) fn insert_task(task: &Task) -> Unit {
    Unit {
        tasks: vec![TaskWrite::Insert {
            task: Box::new(task.clone()),
            guard: None,
        }],
        ..Unit::default()
    }
}

/// An update of the version that the task was read at.
pub(super) fn update_task(task: &Task) -> Unit {
    let write = TaskWrite::Update {
        task: Box::new(task.clone()),
        expected: task.version,
    };
    Unit {
        tasks: vec![write],
        ..Unit::default()
    }
}

pub(super) fn with_link(mut unit: Unit, link: &Link) -> Unit {
    unit.links.push(LinkWrite {
        link: Box::new(link.clone()),
        expected: None,
    });
    unit
}

/// An update of the version that the link was read at.
pub(super) fn update_link(link: &Link) -> Unit {
    let write = LinkWrite {
        link: Box::new(link.clone()),
        expected: Some(link.version),
    };
    Unit {
        links: vec![write],
        ..Unit::default()
    }
}

pub(super) fn insert_conflict(conflict: &Conflict) -> Unit {
    let write = ConflictWrite {
        conflict: Box::new(conflict.clone()),
        expected: None,
    };
    Unit {
        conflicts: vec![write],
        ..Unit::default()
    }
}

/// An update of the version that the conflict was read at.
pub(super) fn update_conflict(conflict: &Conflict) -> Unit {
    let write = ConflictWrite {
        conflict: Box::new(conflict.clone()),
        expected: Some(conflict.version),
    };
    Unit {
        conflicts: vec![write],
        ..Unit::default()
    }
}

/// The indexes and reasons of the stale units.
pub(super) fn stale(outcome: &CommitOutcome) -> Vec<(usize, StaleReason)> {
    outcome.stale.iter().map(|unit| (unit.index, unit.reason)).collect()
}

pub(super) fn assert_kind<T: std::fmt::Debug>(answer: Result<T, StoreError>, kind: StoreErrorKind) {
    match answer {
        Err(error) => assert_eq!(error.kind(), kind, "{error}"),
        Ok(answer) => panic!("expected {kind:?}, got {answer:?}"),
    }
}
