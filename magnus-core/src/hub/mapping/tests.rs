use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::hub::NewTask;
use crate::memory::MemoryStore;
use crate::model::{ExternalId, Link, RunReport, RunRequest, ToolName};
use crate::store::{Fence, LeaseAnswer, LinkWrite, Unit};

fn external(id: u64, name: &str) -> RemoteProject {
    RemoteProject {
        id: ExternalId::from(id),
        name: name.to_owned(),
        description: None,
        open: true,
        url: None,
    }
}

async fn connection(hub: &Hub, tool: &str, name: &str) -> ConnectionId {
    let settings = ConnectionSettings::new(ToolName::new(tool), name, format!("https://{tool}.example"), hub.now());
    hub.store().save_connection(settings).await.unwrap().id
}

fn hub() -> Hub {
    Hub::new(Arc::new(MemoryStore::new()))
}

#[tokio::test]
async fn projects_of_two_tools_meet_by_equal_canonical_name() {
    let hub = hub();
    let one = connection(&hub, "openproject", "One").await;
    let two = connection(&hub, "leantime", "Two").await;
    let first = hub
        .map_all(one, &[external(1, "Caf\u{e9}"), external(2, "Kitchen")])
        .await;
    let second = hub
        .map_all(two, &[external(9, " Cafe\u{301} "), external(8, "Cellar")])
        .await;
    let answer = |mapped: &(RemoteProject, Result<Mapped, HubError>)| mapped.1.as_ref().unwrap().answer;
    assert_eq!(first.iter().map(answer).collect::<Vec<_>>(), [MapAnswer::Created; 2]);
    assert_eq!(
        second.iter().map(answer).collect::<Vec<_>>(),
        [MapAnswer::Joined, MapAnswer::Created]
    );
    assert_eq!(
        first[0].1.as_ref().unwrap().project.id,
        second[0].1.as_ref().unwrap().project.id
    );
    let before = hub.store().changed_rows();
    let again = hub.map(one, &external(1, "Caf\u{e9}"), None).await.unwrap();
    assert_eq!(again.answer, MapAnswer::AlreadyThere);
    assert_eq!(hub.store().changed_rows(), before);
}

#[tokio::test]
async fn two_projects_of_one_tool_with_one_name_get_a_hub_project_each() {
    let hub = hub();
    let one = connection(&hub, "openproject", "One").await;
    let answers = hub.map_all(one, &[external(1, "Twin"), external(2, "Twin")]).await;
    let ids: Vec<_> = answers
        .iter()
        .map(|(_, mapped)| mapped.as_ref().unwrap().project.id)
        .collect();
    assert_ne!(ids[0], ids[1]);
    let error = hub.map(one, &external(3, "Third"), Some(ids[0])).await.unwrap_err();
    assert!(error.to_string().contains("belongs to project \"Twin\""), "{error}");

    let two = connection(&hub, "leantime", "Two").await;
    let error = hub.map(two, &external(1, "Twin"), None).await.unwrap_err();
    assert!(error.to_string().contains(&ids[1].to_string()), "{error}");
}

#[tokio::test]
async fn a_project_moves_to_another_hub_project_only_before_anything_was_linked() {
    let hub = hub();
    let one = connection(&hub, "openproject", "One").await;
    let mapped = hub.map(one, &external(1, "Garden"), None).await.unwrap();
    let goal = hub.add_project("Goal").await.unwrap();
    let moved = hub.map(one, &external(1, "Garden"), Some(goal.id)).await.unwrap();
    assert_eq!((moved.answer, moved.project.id), (MapAnswer::Moved, goal.id));
    let left = hub.project(mapped.project.id).await.unwrap();
    assert!(left.archived_at.is_some(), "the emptied hub project is archived");

    let other = hub.add_project("Other").await.unwrap();
    hub.store().enqueue_run(RunRequest::new(one)).await.unwrap();
    let minute = Duration::from_secs(60);
    let answer = hub
        .store()
        .acquire_lease(one, "worker".to_owned(), minute)
        .await
        .unwrap();
    let LeaseAnswer::Granted(lease) = answer else {
        panic!("{answer:?}");
    };
    let run = hub.store().claim_run(Fence::Lease(lease)).await.unwrap().unwrap();
    let error = hub.map(one, &external(1, "Garden"), Some(other.id)).await.unwrap_err();
    assert!(error.to_string().contains("wait for its end"), "{error}");
    hub.store()
        .finish_run(run.id, RunState::Completed, RunReport::default(), None)
        .await
        .unwrap();

    let task = hub.add_task(NewTask::new(goal.id, "Task")).await.unwrap();
    let link = Link::new(&moved.mapping, task.id, ExternalId::from(5), hub.now());
    let unit = Unit {
        links: vec![LinkWrite {
            link: Box::new(link),
            expected: None,
        }],
        ..Unit::default()
    };
    assert!(hub.commit(Changeset::of(vec![unit])).await.unwrap());
    let error = hub.map(one, &external(1, "Garden"), Some(other.id)).await.unwrap_err();
    assert!(error.to_string().contains("1 tasks linked"), "{error}");
}

#[tokio::test]
async fn a_project_of_one_instance_is_synced_by_one_enabled_connection_only() {
    let hub = hub();
    let one = connection(&hub, "openproject", "First").await;
    let two = connection(&hub, "openproject", "Second").await;
    hub.map(one, &external(1, "Garden"), None).await.unwrap();
    let error = hub.map(two, &external(1, "Garden"), None).await.unwrap_err();
    assert!(error.to_string().contains("\"First\""), "{error}");
    let mut settings = hub.store().connection(one).await.unwrap().unwrap();
    settings.enabled = false;
    hub.store().save_connection(settings).await.unwrap();
    hub.map(two, &external(1, "Garden"), None).await.unwrap();
}
