//! Tests of a host app that stand in for Magnus and its tools: the mocks of `magnus-core`'s feature `mock`.

use std::sync::Arc;

use anyhow::ensure;
use magnus_core::connection::{
    Connection, ConnectionError, ConnectionErrorKind, ConnectionExt as _, MockConnection, Page,
};
use magnus_core::engine::{MockSyncEngine, RunContext, RunEnd, SyncEngine};
use magnus_core::model::{ConnectionId, ExternalId, RemoteProject, RunReport, RunRequest, RunState};

/// What the host app's "sync now" button tells its user.
async fn sync_now(engine: Arc<dyn SyncEngine>, connection: ConnectionId) -> String {
    match engine.run(RunRequest::new(connection), RunContext::detached()).await {
        Ok(end) if end.state == RunState::Completed => format!("{} changes written", end.report.remote_writes),
        Ok(end) => end.message.unwrap_or_else(|| "not finished".to_owned()),
        Err(error) => format!("could not sync: {error}"),
    }
}

/// The host app's list of boards to choose from.
async fn board_names(connection: Arc<dyn Connection>) -> Result<Vec<String>, ConnectionError> {
    let projects = connection.all_projects().await?;
    Ok(projects
        .into_iter()
        .filter(|board| board.open)
        .map(|board| board.name)
        .collect())
}

fn board(id: u64, name: &str, open: bool) -> RemoteProject {
    RemoteProject {
        id: ExternalId::from(id),
        name: name.to_owned(),
        description: None,
        open,
        url: None,
    }
}

async fn the_button_says_why_a_run_was_halted() -> anyhow::Result<()> {
    let mut engine = MockSyncEngine::new();
    engine.expect_run().times(1).returning(|_, _| {
        Ok(RunEnd {
            state: RunState::Halted,
            report: RunReport::default(),
            message: Some("40 tasks would be deleted; please confirm".to_owned()),
        })
    });
    let said = sync_now(Arc::new(engine), ConnectionId::generate()).await;
    ensure!(said == "40 tasks would be deleted; please confirm", "{said}");
    Ok(())
}

async fn closed_boards_are_not_offered() -> anyhow::Result<()> {
    let mut connection = MockConnection::new();
    let boards = vec![board(1, "Garden", true), board(2, "Attic", false)];
    connection
        .expect_list_projects()
        .returning(move |_| Ok(Page::whole(boards.clone())));
    let names = board_names(Arc::new(connection)).await?;
    ensure!(names == ["Garden"], "{names:?}");
    Ok(())
}

async fn a_tool_that_is_away_is_no_empty_list_of_boards() -> anyhow::Result<()> {
    let mut connection = MockConnection::new();
    connection.expect_list_projects().returning(|_| {
        let kind = ConnectionErrorKind::Unavailable;
        Err(ConnectionError::new(kind, "list_projects", "is it running?"))
    });
    ensure!(board_names(Arc::new(connection)).await.is_err());
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    the_button_says_why_a_run_was_halted().await?;
    closed_boards_are_not_offered().await?;
    a_tool_that_is_away_is_no_empty_list_of_boards().await?;
    println!("the host app does the right thing, and no tool was needed to see it");
    Ok(())
}
