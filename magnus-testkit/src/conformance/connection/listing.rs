//! Lists: complete, in every status, whatever others do meanwhile.

use std::collections::BTreeSet;

use magnus_core::connection::{ConnectionExt as _, ListTasks};
use magnus_core::model::{ExternalId, Field, RemoteTask, RemoteValue};

use super::bench::{Bench, assert_same_fields};
use super::verdict::needs;
use super::{Checked, ConnectionFixture, Verdict};

/// Rows in the lists of these rules; pages are a few of them.
const ROWS: usize = 17;

fn ids(tasks: &[RemoteTask]) -> BTreeSet<ExternalId> {
    tasks.iter().map(|task| task.id.clone()).collect()
}

async fn filled(bench: &Bench<'_>) -> Result<BTreeSet<ExternalId>, magnus_core::connection::ConnectionError> {
    let mut made = BTreeSet::new();
    for number in 0..ROWS {
        made.insert(bench.create(&format!("Row {number}")).await?.id);
    }
    Ok(made)
}

/// A project without tasks is an empty list, and no error.
pub async fn an_empty_project_lists_nothing(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    assert_eq!(bench.list().await?, []);
    if bench.can().id_sweep {
        assert!(bench.connection.all_ids(bench.project.clone()).await?.is_empty());
    }
    assert_eq!(bench.found_created(None).await?, []);
    Ok(Verdict::Holds)
}

/// Every task is listed once, over as many pages as it takes.
pub async fn every_task_is_listed_over_all_pages(fixture: &dyn ConnectionFixture) -> Checked {
    needs!(fixture.page_size(4).await, "the tool's pages cannot be made small");
    let bench = Bench::new(fixture).await?;
    let made = filled(&bench).await?;
    let first = bench.connection.list_tasks(bench.list_request()).await?;
    assert!(first.next.is_some(), "the list takes more than one page");
    let listed = bench.list().await?;
    assert_eq!(ids(&listed), made);
    assert_eq!(listed.len(), ROWS);
    Ok(Verdict::Holds)
}

/// A task is listed whatever its status, closed and given up ones too.
pub async fn tasks_in_every_status_are_listed(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let mut made = BTreeSet::new();
    let statuses = bench.samples(Field::Status);
    for status in &statuses {
        let task = bench.create("In some status").await?;
        bench.update(&task, [(Field::Status, status.clone())].into()).await?;
        made.insert(task.id);
    }
    needs!((!made.is_empty()).then_some(()), "the tool has no statuses");
    let listed = bench.list().await?;
    assert_eq!(ids(&listed), made, "each of {statuses:?} is listed");
    let shown: BTreeSet<String> = listed
        .iter()
        .filter_map(|task| task.value(Field::Status).map(ToString::to_string))
        .collect();
    assert_eq!(shown, statuses.iter().map(RemoteValue::to_string).collect());
    Ok(Verdict::Holds)
}

/// Rows that others change between two pages, and so move within the list, are all listed.
pub async fn no_row_is_lost_while_others_edit_during_paging(fixture: &dyn ConnectionFixture) -> Checked {
    needs!(fixture.page_size(4).await, "the tool's pages cannot be made small");
    let bench = Bench::new(fixture).await?;
    let made = filled(&bench).await?;
    let edited: Vec<&ExternalId> = made.iter().collect();
    let mut seen = BTreeSet::new();
    let mut request = bench.list_request();
    for round in 0.. {
        assert!(round < 200, "the walk through the pages ends");
        let page = bench.connection.list_tasks(request.clone()).await?;
        seen.extend(page.items.iter().map(|task| task.id.clone()));
        let Some(next) = page.next else { break };
        request = request.page(Some(next));
        if round < ROWS {
            let task = edited[(round * 5) % ROWS];
            needs!(
                fixture.other_renames(task, &format!("Edited {round}")).await,
                "nobody else can edit"
            );
        }
    }
    let lost: Vec<_> = made.difference(&seen).collect();
    assert!(lost.is_empty(), "rows were lost: {lost:?}");
    let listed = bench.list().await?;
    assert_eq!((ids(&listed), listed.len()), (made, ROWS), "and none is doubled");
    Ok(Verdict::Holds)
}

/// Rows behind one that is deleted between two pages move up, and are all listed.
pub async fn no_row_is_lost_while_others_delete_during_paging(fixture: &dyn ConnectionFixture) -> Checked {
    needs!(fixture.page_size(4).await, "the tool's pages cannot be made small");
    let bench = Bench::new(fixture).await?;
    let mut rest = filled(&bench).await?;
    let mut seen = BTreeSet::new();
    let mut request = bench.list_request();
    for round in 0..200 {
        let page = bench.connection.list_tasks(request.clone()).await?;
        let first = page.items.first().map(|task| task.id.clone());
        seen.extend(page.items.into_iter().map(|task| task.id));
        let Some(next) = page.next else { break };
        request = request.page(Some(next));
        if let Some(task) = first.filter(|task| round < 3 && rest.contains(task)) {
            needs!(fixture.other_deletes(&task).await, "nobody else can delete");
            rest.remove(&task);
        }
    }
    let lost: Vec<_> = rest.difference(&seen).collect();
    assert!(lost.is_empty(), "rows were lost: {lost:?}");
    Ok(Verdict::Holds)
}

/// Reading changes nothing: the same list twice.
pub async fn a_list_reads_the_same_twice(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    for field in bench.writable() {
        for value in bench.samples(field).into_iter().take(1) {
            let task = bench.create(&format!("With {field}")).await?;
            bench.update(&task, [(field, value)].into()).await?;
        }
    }
    let key = |task: &RemoteTask| task.id.clone();
    let (mut first, mut second) = (bench.list().await?, bench.list().await?);
    first.sort_by_key(key);
    second.sort_by_key(key);
    assert_eq!(first.len(), second.len());
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(
            (&first.id, &first.fields, &first.version, &first.metadata, &first.url),
            (
                &second.id,
                &second.fields,
                &second.version,
                &second.metadata,
                &second.url
            )
        );
    }
    Ok(Verdict::Holds)
}

/// A task in a list and read alone show the same values.
pub async fn a_task_reads_alone_as_it_is_listed(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let fields = bench
        .writable()
        .into_iter()
        .filter_map(|field| Some((field, bench.samples(field).into_iter().next()?)));
    let made = bench.create_with(fields.collect()).await?;
    let listed = bench.list().await?.remove(0);
    let read = bench.present(&made.id).await?;
    assert_same_fields(&listed, &read, &[], "the list");
    assert_eq!(
        (
            &listed.project,
            &listed.version,
            &listed.metadata,
            &listed.skip,
            &listed.url
        ),
        (&read.project, &read.version, &read.metadata, &read.skip, &read.url)
    );
    Ok(Verdict::Holds)
}

/// The sweep of ids names what the list holds, over small pages too.
pub async fn the_sweep_of_ids_equals_the_list(fixture: &dyn ConnectionFixture) -> Checked {
    let _ = fixture.page_size(4).await;
    let bench = Bench::new(fixture).await?;
    needs!(bench.can().id_sweep.then_some(()), "the tool cannot list ids alone");
    let made = filled(&bench).await?;
    for (task, status) in bench.list().await?.iter().zip(bench.samples(Field::Status)) {
        bench.update(task, [(Field::Status, status)].into()).await?;
    }
    let swept = bench.connection.all_ids(bench.project.clone()).await?;
    assert_eq!(swept.into_iter().collect::<BTreeSet<_>>(), made);
    assert_eq!(ids(&bench.list().await?), made);
    Ok(Verdict::Holds)
}

/// What others make is listed like our own.
pub async fn tasks_of_others_are_listed(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let ours = bench.create("Ours").await?.id;
    let theirs = needs!(fixture.other_creates("Theirs").await, "nobody else can create");
    let listed = bench.list().await?;
    assert_eq!(ids(&listed), BTreeSet::from([ours, theirs]));
    assert_eq!(bench.find("Theirs").await?.len(), 1);
    Ok(Verdict::Holds)
}

/// A list holds the tasks of its project and of no other.
pub async fn tasks_of_other_projects_are_not_listed(fixture: &dyn ConnectionFixture) -> Checked {
    let other = needs!(fixture.another_project().await, "the tool has but one project");
    let bench = Bench::new(fixture).await?;
    let here = bench.create("Here").await?.id;
    let there = bench.create("There").await?.id;
    needs!(fixture.other_moves(&there, &other).await, "nobody else can move");
    assert_eq!(ids(&bench.list().await?), BTreeSet::from([here]));
    let (elsewhere, _) = bench.connection.all_tasks(ListTasks::new(other)).await?;
    assert_eq!(ids(&elsewhere), BTreeSet::from([there]));
    Ok(Verdict::Holds)
}

/// A page that repeats is noticed: the list is an error or complete, and it ends.
pub async fn a_page_that_repeats_is_no_list(fixture: &dyn ConnectionFixture) -> Checked {
    use super::{Calls, Trouble};
    needs!(fixture.page_size(4).await, "the tool's pages cannot be made small");
    let bench = Bench::new(fixture).await?;
    let made = filled(&bench).await?;
    needs!(
        fixture.trouble(Calls::Reads, Trouble::RepeatPage).await,
        "pages cannot be made to repeat"
    );
    if let Ok((listed, _)) = bench.connection.all_tasks(bench.list_request()).await {
        assert_eq!(ids(&listed), made, "a short list");
    }
    fixture.heal().await;
    assert_eq!(ids(&bench.list().await?), made);
    Ok(Verdict::Holds)
}

/// All below a task, and nothing else.
pub async fn descendants_are_all_below_a_task(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    needs!(bench.has_parents(), "the tool has no parents");
    let top = bench.create("Top").await?;
    let below = |task: &RemoteTask, title: &str| {
        let mut fields = bench.titled(title);
        fields.insert(Field::Parent, RemoteValue::from(&task.id));
        fields
    };
    let child = bench.create_with(below(&top, "Child")).await?;
    let grandchild = bench.create_with(below(&child, "Grandchild")).await?;
    bench.create("Beside").await?;
    let found = |task: RemoteTask| {
        let connection = &bench.connection;
        let request = bench.reading(&task.id);
        async move { Ok(ids(&connection.list_descendants(request).await?)) }
    };
    assert_eq!(
        found(top).await?,
        BTreeSet::from([child.id.clone(), grandchild.id.clone()])
    );
    assert_eq!(found(child).await?, BTreeSet::from([grandchild.id.clone()]));
    let none: Result<_, magnus_core::connection::ConnectionError> = found(grandchild).await;
    assert!(none?.is_empty());
    Ok(Verdict::Holds)
}
