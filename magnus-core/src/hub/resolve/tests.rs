use std::sync::Arc;

use super::*;
use crate::connection::{Decoded, Encoded, FieldSupport, Translator};
use crate::hub::NewTask;
use crate::memory::MemoryStore;
use crate::model::{
    ConflictPolicy, ConnectionSettings, Direction, ExternalId, LastChange, Link, Mapping, RemoteField, RemoteValue,
    RowVersion, Task, ToolName,
};
use crate::reconcile::{FieldDecision, FieldInput, Lens, References, Sendable, decide};
use crate::store::MappingWrite;

/// A tool that holds every text as it is.
#[derive(Debug)]
struct Plain;

impl Translator for Plain {
    fn decode(&self, _: &ExternalId, _: Field, value: &RemoteValue) -> Decoded {
        Decoded::Exact(Value::text(value.as_text().unwrap_or_default()))
    }

    fn encode(&self, _: &ExternalId, _: Field, value: &Value) -> Encoded {
        Encoded::Value(RemoteValue::text(value.to_string()))
    }

    fn is_default(&self, _: &ExternalId, _: Field, value: &RemoteValue) -> bool {
        value.is_null()
    }
}

fn next_run(base: &Base, local: &str, remote: &str) -> FieldDecision {
    let (references, project) = (References::default(), ExternalId::from(1));
    let remote = RemoteField::from(RemoteValue::text(remote));
    let input = FieldInput {
        field: Field::Title,
        support: FieldSupport::ReadWrite,
        base: Some(base),
        local: &Value::text(local),
        remote: &remote,
        held: None,
        refusal: None,
        local_time: None,
        linked_at: None,
        remote_time: None,
    };
    let lens = Lens::new(&Plain, &project, &references);
    decide(&input, &lens, Direction::Bidirectional, ConflictPolicy::Manual)
}

/// The hub says "hub", the tool says "tool", and both said "base" once, or never agreed.
struct Held {
    hub: Hub,
    task: Task,
    link: Link,
    conflict: Conflict,
}

async fn held(base: Option<Base>) -> Held {
    let hub = Hub::new(Arc::new(MemoryStore::new()));
    let now = hub.now();
    let project = hub.add_project("Garden").await.unwrap();
    let task = hub.add_task(NewTask::new(project.id, "hub")).await.unwrap();
    let settings = ConnectionSettings::new(ToolName::new("board"), "Board", "https://example.org", now);
    let settings = hub.store().save_connection(settings).await.unwrap();
    let mapping = Mapping::new(settings.id, ExternalId::from(1), "Garden", project.id);
    let mut link = Link::new(&mapping, task.id, ExternalId::from(7), now);
    link.bases.extend(base.clone().map(|base| (Field::Title, base)));
    let conflict = Conflict {
        id: ConflictId::generate(),
        connection_id: settings.id,
        link_id: link.id,
        task_id: task.id,
        external_id: link.external_id.clone(),
        field: Field::Title,
        base,
        local: Value::text("hub"),
        remote: RemoteValue::text("tool"),
        remote_value: Value::text("tool"),
        local_change: LastChange::default(),
        remote_change: LastChange::default(),
        state: ConflictState::Open,
        policy: ConflictPolicy::Manual,
        loser: None,
        reason: "both sides differ".to_owned(),
        run_id: None,
        created_at: now,
        updated_at: now,
        resolved_at: None,
        resolved_by: None,
        version: RowVersion::default(),
    };
    let mut changeset = Changeset::of(vec![Unit {
        links: vec![LinkWrite {
            link: Box::new(link.clone()),
            expected: None,
        }],
        conflicts: vec![ConflictWrite {
            conflict: Box::new(conflict.clone()),
            expected: None,
        }],
        ..Unit::default()
    }]);
    changeset.mappings.push(MappingWrite {
        mapping,
        expected: None,
    });
    assert!(hub.commit(changeset).await.unwrap());
    Held {
        hub,
        task,
        link,
        conflict,
    }
}

impl Held {
    async fn resolve(&self, resolution: Resolution) -> (Conflict, Base) {
        let conflict = self.hub.resolve(self.conflict.id, resolution, "Ada").await.unwrap();
        let link = self.hub.store().link(self.link.id).await.unwrap().unwrap();
        (conflict, link.bases.get(&Field::Title).unwrap().clone())
    }
}

fn once_agreed() -> Option<Base> {
    Some(Base::agreed(Value::text("base"), RemoteValue::text("base")))
}

fn sends(decision: &FieldDecision, value: &str) -> bool {
    matches!(decision, FieldDecision::Push { sent: Sendable::Now(sent), loser: None, .. } if *sent == RemoteValue::text(value))
}

fn takes(decision: &FieldDecision, expected: &str) -> bool {
    matches!(decision, FieldDecision::Pull { value, loser: None, .. } if *value == Value::text(expected))
}

#[tokio::test]
async fn for_the_hub_the_next_run_sends_and_a_new_edit_in_the_tool_is_a_new_conflict() {
    for base in [once_agreed(), None] {
        let held = held(base).await;
        let (conflict, base) = held.resolve(Resolution::Hub).await;
        assert_eq!(
            (conflict.state, conflict.loser),
            (ConflictState::ResolvedHub, Some(Side::External))
        );
        assert_eq!(conflict.resolved_by.as_deref(), Some("Ada"));
        assert!(sends(&next_run(&base, "hub", "tool"), "hub"));
        // Also when the hub was edited since, even back to what both once agreed on.
        assert!(sends(&next_run(&base, "base", "tool"), "base"));
        assert!(matches!(
            next_run(&base, "hub", "newer"),
            FieldDecision::Conflict { .. }
        ));
    }
}

#[tokio::test]
async fn for_the_tool_the_next_run_takes_over_and_a_new_edit_in_the_hub_is_a_new_conflict() {
    for base in [once_agreed(), None] {
        let held = held(base).await;
        let (conflict, base) = held.resolve(Resolution::External).await;
        assert_eq!(
            (conflict.state, conflict.loser),
            (ConflictState::ResolvedExternal, Some(Side::Hub))
        );
        assert!(takes(&next_run(&base, "hub", "tool"), "tool"));
        // Also when the tool was edited since, even back to what both once agreed on.
        assert!(takes(&next_run(&base, "hub", "base"), "base"));
        assert!(matches!(
            next_run(&base, "newer", "tool"),
            FieldDecision::Conflict { .. }
        ));
    }
}

#[tokio::test]
async fn a_merged_value_is_set_in_the_hub_and_sent_by_the_next_run() {
    let held = held(once_agreed()).await;
    let (conflict, base) = held.resolve(Resolution::Merged(Value::text("both"))).await;
    assert_eq!(conflict.state, ConflictState::Merged);
    let task = held.hub.task(held.task.id).await.unwrap();
    assert_eq!(task.title, "both");
    let last = held.hub.store().history(task.id).await.unwrap().pop().unwrap();
    assert_eq!((last.rule, last.before), (Rule::Resolved, Value::text("hub")));
    assert!(sends(&next_run(&base, "both", "tool"), "both"));
    // A person who merged to what the tool has needs no write.
    assert!(matches!(next_run(&base, "tool", "tool"), FieldDecision::Record(_)));
}

#[tokio::test]
async fn a_merged_value_does_not_replace_an_edit_that_nobody_saw() {
    let held = held(once_agreed()).await;
    let patch = [(Field::Title, Value::text("newer"))].into_iter().collect();
    held.hub.edit_task(held.task.id, patch).await.unwrap();
    let merged = || Resolution::Merged(Value::text("both"));
    let error = held.hub.resolve(held.conflict.id, merged(), "Ada").await.unwrap_err();
    assert_eq!(error.kind(), HubErrorKind::Conflict, "{error}");
    assert_eq!(held.hub.task(held.task.id).await.unwrap().title, "newer");
    // Who has typed the merged value into the hub already has seen it.
    let patch = [(Field::Title, Value::text("both"))].into_iter().collect();
    held.hub.edit_task(held.task.id, patch).await.unwrap();
    let (conflict, _) = held.resolve(merged()).await;
    assert_eq!(conflict.state, ConflictState::Merged);
}

#[tokio::test]
async fn a_settled_conflict_and_a_value_that_does_not_fit_are_refused() {
    let held = held(once_agreed()).await;
    let wrong = Resolution::Merged(Value::Percent(4));
    let error = held.hub.resolve(held.conflict.id, wrong, "Ada").await.unwrap_err();
    assert_eq!(error.kind(), HubErrorKind::Invalid);
    held.resolve(Resolution::Hub).await;
    let error = held.hub.resolve(held.conflict.id, Resolution::External, "Ada").await;
    assert!(error.unwrap_err().to_string().contains("settled already"));
}

#[tokio::test]
async fn a_decision_on_values_that_stand_there_no_more_is_refused() {
    let held = held(once_agreed()).await;
    let mut seen = held.conflict.clone();
    seen.remote = RemoteValue::text("what the tool had before");
    let error = held
        .hub
        .resolve_as_seen(&seen, Resolution::Hub, "Ada")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), HubErrorKind::Conflict);
    assert!(error.to_string().contains("look at it again"));
    let settled = held.hub.resolve_as_seen(&held.conflict, Resolution::Hub, "Ada").await;
    assert_eq!(settled.unwrap().state, ConflictState::ResolvedHub);
}
