//! What a connection says of itself and of its user.

use magnus_core::connection::{
    ConnectionErrorKind, ConnectionExt as _, FieldSupport, ListIds, ListTasks, ProjectReading,
};
use magnus_core::model::{Cursor, ExternalId, Field};

use super::bench::Bench;
use super::verdict::needs;
use super::{Checked, ConnectionFixture, Verdict};

/// The capabilities are ones that a caller can work with, and stay the same.
pub async fn capabilities_are_sane(fixture: &dyn ConnectionFixture) -> Checked {
    let connection = fixture.connect().await;
    let can = connection.capabilities();
    assert!(!can.tool.as_str().is_empty(), "the tool has a name");
    assert!(
        !can.host.is_empty() && !can.host.contains("://") && !can.host.contains(['/', '@']),
        "{:?} is a host, maybe with a port, and nothing else",
        can.host
    );
    assert!(can.batch_size > 0, "at least one write fits into a call");
    assert_eq!(can.field(Field::Title), Some(FieldSupport::ReadWrite));
    connection.translator(vec![fixture.project()]).await?;
    assert_eq!(connection.capabilities().fields, can.fields);
    assert_eq!(fixture.connect().await.capabilities().host, can.host);
    Ok(Verdict::Holds)
}

/// The tool is asked who we are.
pub async fn check_tells_who_we_are(fixture: &dyn ConnectionFixture) -> Checked {
    let connection = fixture.connect().await;
    let first = connection.check().await?;
    assert!(!first.name.trim().is_empty(), "our user has a name");
    assert_eq!(connection.check().await?.id, first.id);
    Ok(Verdict::Holds)
}

/// The project is listed once, open, and reads the same directly.
pub async fn the_project_is_listed_and_reads_the_same_directly(fixture: &dyn ConnectionFixture) -> Checked {
    let connection = fixture.connect().await;
    let projects = connection.all_projects().await?;
    let found: Vec<_> = projects
        .iter()
        .filter(|project| project.id == fixture.project())
        .collect();
    assert_eq!(found.len(), 1, "the project is listed once: {projects:?}");
    assert!(found[0].open && !found[0].name.is_empty());
    match connection.read_project(fixture.project()).await? {
        ProjectReading::Open(project) => assert_eq!((&project.id, &project.name), (&found[0].id, &found[0].name)),
        other => panic!("an open project reads {other:?}"),
    }
    Ok(Verdict::Holds)
}

/// A project that is not there is said to be absent or denied, and cannot be listed.
pub async fn an_unknown_project_is_never_an_empty_list(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let nowhere = ExternalId::from(999_999);
    let reading = bench.connection.read_project(nowhere.clone()).await?;
    assert!(
        matches!(reading, ProjectReading::Absent | ProjectReading::Denied),
        "{reading:?}"
    );
    let listed = bench.connection.all_tasks(ListTasks::new(nowhere.clone())).await;
    assert!(listed.is_err(), "the tasks of no project are {listed:?}");
    if bench.can().id_sweep {
        let ids = bench.connection.all_ids(nowhere).await;
        assert!(ids.is_err(), "the ids of no project are {ids:?}");
    }
    Ok(Verdict::Holds)
}

/// What the tool lacks is refused as such, without asking it.
pub async fn what_the_tool_lacks_is_refused_before_any_request(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let can = bench.can();
    needs!(
        (!can.incremental || !can.id_sweep || !can.delete).then_some(()),
        "the tool can do all that may be lacking"
    );
    let task = if can.delete {
        None
    } else {
        Some(bench.create("Stays").await?)
    };
    let before = fixture.requests().await;
    let mut refused = Vec::new();
    if !can.incremental {
        let request = ListTasks::new(bench.project.clone()).changed_since(Some(Cursor("1".to_owned())));
        refused.push(bench.connection.list_tasks(request).await.err());
    }
    if !can.id_sweep {
        refused.push(
            bench
                .connection
                .list_ids(ListIds::new(bench.project.clone()))
                .await
                .err(),
        );
    }
    if let Some(task) = &task {
        refused.push(bench.write_one(bench.deletion(&task.id)).await.err());
    }
    for error in refused {
        assert_eq!(error.map(|error| error.kind()), Some(ConnectionErrorKind::Unsupported));
    }
    assert_eq!(fixture.requests().await, before, "nothing was asked");
    Ok(Verdict::Holds)
}

/// Nothing that a connection shows of itself holds its secret.
pub async fn a_connection_shows_no_secret(fixture: &dyn ConnectionFixture) -> Checked {
    let secret = needs!(fixture.secret(), "the connection has no secret");
    let bench = Bench::new(fixture).await?;
    let identity = bench.connection.check().await?;
    let shown = format!(
        "{:?} {:?} {:?} {identity:?}",
        bench.connection,
        bench.can(),
        bench.translator
    );
    assert!(!shown.contains(&secret), "the secret shows: {shown}");
    let task = bench.create("Seen by all").await?;
    assert!(!format!("{task:?}").contains(&secret));
    let nonsense = bench.connection.read_project(ExternalId::from(999_998)).await;
    assert!(!format!("{nonsense:?}").contains(&secret));
    Ok(Verdict::Holds)
}
