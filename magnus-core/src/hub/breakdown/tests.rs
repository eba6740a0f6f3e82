use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::hub::NewTask;
use crate::memory::MemoryStore;
use crate::model::{
    BreakdownState, ConnectionSettings, ExternalId, Field, Mapping, Priority, Provenance, TaskPatch, TokenCount,
};
use crate::store::{Fence, MappingWrite};

fn proposal(titles: &[&str]) -> Breakdown {
    let subtask = |(place, title): (usize, &&str)| ProposedSubtask {
        title: (*title).to_owned(),
        description: "words".to_owned(),
        estimated_hours: 1.5,
        priority: Priority::High,
        depends_on: place.checked_sub(1).into_iter().collect(),
    };
    Breakdown {
        subtasks: titles.iter().enumerate().map(subtask).collect(),
        total_estimate: 4.5,
        suggested_sprint_points: 3,
        notes: String::new(),
        provenance: Provenance {
            model: "model".to_owned(),
            provider: "provider".to_owned(),
            prompt_version: "1".to_owned(),
            content_hash: String::new(),
            tokens: TokenCount::default(),
            duration_ms: 1,
            at: chrono::DateTime::UNIX_EPOCH,
        },
    }
}

/// A hub with a task, and a job with a proposal for it.
async fn proposed() -> (Hub, Task, BreakdownJob) {
    let hub = Hub::new(Arc::new(MemoryStore::new()));
    let project = hub.add_project("Garden").await.unwrap();
    let task = hub.add_task(NewTask::new(project.id, "Grow tomatoes")).await.unwrap();
    let mut job = BreakdownJob::queued(task.id, hub.now());
    job.state = BreakdownState::Completed;
    job.breakdown = Some(proposal(&["Dig", "Sow", "Water"]));
    let task = hub
        .propose_breakdown(&job, job.breakdown.as_ref().unwrap())
        .await
        .unwrap();
    (hub, task, job)
}

async fn accept(hub: &Hub, job: &BreakdownJob, chosen: &[usize]) -> Accepted {
    hub.accept_breakdown(job, Some(chosen.to_vec()), &BTreeSet::new())
        .await
        .unwrap()
}

#[tokio::test]
async fn accepting_makes_each_subtask_once() {
    let (hub, task, job) = proposed().await;
    let first = accept(&hub, &job, &[0, 2]).await;
    assert_eq!((first.created, first.subtasks.len()), (2, 2));
    let water = &first.subtasks[&2];
    assert_eq!((water.title.as_str(), water.parent_id), ("Water", Some(task.id)));
    assert_eq!((water.estimated_minutes, water.priority), (Some(90), Priority::High));
    assert_eq!(
        water.metadata["depends_on"],
        json!([]),
        "what it depends on was not chosen"
    );

    let second = accept(&hub, &job, &[1]).await;
    let (dig, sow) = (subtask_id(&job, 0), subtask_id(&job, 1));
    assert_eq!(second.subtasks[&1].metadata["depends_on"], json!([dig.to_string()]));
    let water = hub.task(subtask_id(&job, 2)).await.unwrap();
    assert_eq!(
        water.metadata["depends_on"],
        json!([sow.to_string()]),
        "it is there by now"
    );

    let writes = hub.store().changed_rows();
    let again = hub.accept_breakdown(&job, None, &BTreeSet::new()).await.unwrap();
    assert_eq!((again.created, again.subtasks.len()), (0, 3));
    assert_eq!(hub.store().changed_rows(), writes);
    let noted = hub.task(task.id).await.unwrap();
    assert_eq!(noted.metadata[METADATA_KEY]["accepted"]["1"], json!(sow.to_string()));
    assert_eq!(hub.accepted_subtasks(&job).await.unwrap().len(), 3);
}

#[tokio::test]
async fn two_who_accept_at_once_make_it_once_and_what_was_deleted_stays_so() {
    let (hub, task, job) = proposed().await;
    let flat = BTreeSet::new();
    let accepts = (0..4).map(|_| hub.accept_breakdown(&job, None, &flat));
    let all = futures::future::try_join_all(accepts).await.unwrap();
    assert_eq!(all.iter().map(|accepted| accepted.created).sum::<usize>(), 3);
    hub.delete_task(subtask_id(&job, 0)).await.unwrap();
    let again = accept(&hub, &job, &[0]).await;
    assert!(again.created == 0 && again.subtasks[&0].is_deleted());
    assert_eq!(hub.store().tasks_of_project(task.project_id).await.unwrap().len(), 4);
}

#[tokio::test]
async fn what_cannot_be_accepted_is_refused_by_name() {
    let (hub, _, job) = proposed().await;
    let refused = |job: BreakdownJob, chosen: Option<Vec<usize>>| {
        let hub = hub.clone();
        async move { hub.accept_breakdown(&job, chosen, &BTreeSet::new()).await.unwrap_err() }
    };
    let unknown = refused(job.clone(), Some(vec![3])).await;
    assert!(unknown.kind() == HubErrorKind::Invalid && unknown.to_string().contains("no subtask 3"));
    let mut other = job.clone();
    other.discarded_at = Some(hub.now());
    assert!(refused(other, None).await.to_string().contains("discarded"));
    let mut other = job.clone();
    other.breakdown = None;
    other.state = BreakdownState::Failed;
    let failed = refused(other, None).await;
    assert!(failed.kind() == HubErrorKind::Conflict && failed.to_string().contains("failed"));
    hub.delete_task(job.task_id).await.unwrap();
    assert_eq!(refused(job, None).await.kind(), HubErrorKind::NotFound);
}

#[tokio::test]
async fn a_proposal_leaves_other_metadata_alone_also_when_others_edit() {
    let (hub, task, mut job) = proposed().await;
    job.id = BreakdownId::generate();
    let mut edited = hub.task(task.id).await.unwrap();
    let before = edited.clone();
    edited.metadata.insert("openproject".to_owned(), json!({"x": 1}));
    assert!(hub.update(edited, &before, Vec::new()).await.unwrap());
    let before = hub.task(task.id).await.unwrap();

    let breakdown = proposal(&["Read", "Think", "Write"]);
    let titles = (0..5).map(|turn| {
        let patch: TaskPatch = [(Field::Title, Value::text(format!("Title {turn}")))]
            .into_iter()
            .collect();
        hub.edit_task(task.id, patch)
    });
    let (put, edits) = tokio::join!(
        hub.propose_breakdown(&job, &breakdown),
        futures::future::try_join_all(titles)
    );
    put.unwrap();
    edits.unwrap();
    let after = hub.task(task.id).await.unwrap();
    assert_eq!(after.metadata["openproject"], json!({"x": 1}));
    assert_eq!(after.metadata[METADATA_KEY]["subtasks"][0]["title"], json!("Read"));
    assert!(after.title.starts_with("Title ") && after.updated_at > before.updated_at);

    // Once it stands there it is not written again; taken away, nothing else goes with it.
    assert_eq!(
        hub.propose_breakdown(&job, &breakdown).await.unwrap().version,
        after.version
    );
    let taken = hub.discard_proposal(&job).await.unwrap();
    assert!(!taken.metadata.contains_key(METADATA_KEY) && taken.metadata.contains_key("openproject"));
    assert_eq!(hub.discard_proposal(&job).await.unwrap().version, taken.version);
}

#[tokio::test]
async fn subtasks_of_a_subtask_go_under_the_top_where_a_tool_has_one_level() {
    let (hub, top, _) = proposed().await;
    let below: TaskPatch = [(Field::Parent, Value::Task(top.id))].into_iter().collect();
    let middle = hub
        .add_task(NewTask::new(top.project_id, "Middle").fields(below))
        .await
        .unwrap();
    let mut job = BreakdownJob::queued(middle.id, hub.now());
    job.state = BreakdownState::Completed;
    job.breakdown = Some(proposal(&["One", "Two", "Three"]));
    let flat: BTreeSet<ToolName> = [ToolName::new("leantime")].into();
    let made = hub.accept_breakdown(&job, Some(vec![0]), &flat).await.unwrap();
    assert_eq!(
        made.subtasks[&0].parent_id,
        Some(middle.id),
        "no such tool has the project"
    );

    let settings = ConnectionSettings::new(ToolName::new("leantime"), "Board", "https://example.org", hub.now());
    let settings = hub.store().save_connection(settings).await.unwrap();
    let changeset = Changeset {
        mappings: vec![MappingWrite {
            mapping: Mapping::new(settings.id, ExternalId::from(1), "Garden", top.project_id),
            expected: None,
        }],
        ..Changeset::new()
    };
    hub.store().commit(Fence::Hub, changeset).await.unwrap();
    let made = hub.accept_breakdown(&job, Some(vec![1]), &flat).await.unwrap();
    assert_eq!(made.subtasks[&1].parent_id, Some(top.id));
    assert_eq!(
        made.subtasks[&1].metadata["from_breakdown"]["task_id"],
        json!(middle.id.to_string())
    );
}
