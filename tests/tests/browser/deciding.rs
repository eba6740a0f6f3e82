//! What waits for a person: a halted plan, a conflict.

use magnus_core::model::{Field, GuardLimit, RunState, Value};
use magnus_core::store::{ConflictQuery, RunQuery};

use crate::browser::with_browser;
use crate::house::House;

/// A house in which a sync of Leantime would create ten tasks where three are allowed.
async fn halted() -> House {
    let house = House::new().await;
    let (project, _) = house.garden();
    for number in 0..10 {
        house
            .openproject
            .create_work_package(project, &format!("Task {number}"));
    }
    let work = house.connect("openproject", |_| {}).await;
    let board = house
        .connect("leantime", |settings| {
            settings.options.guard.creations = GuardLimit { count: 3, percent: 1 };
        })
        .await;
    house.sync(&work).await;
    assert_eq!(house.sync(&board).await.state, RunState::Halted);
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halted_plan_is_looked_at_and_carried_out() {
    let house = halted().await;
    with_browser(&house.url, async move |browser| {
        browser.open("/").await;
        browser
            .until_shown(".attention", "Board stopped before the first move")
            .await;
        browser.until_shown(".attention", "exceed both").await;
        browser.click(".attention [data-key^=plan-]").await;
        browser.until_shown("#plan", "Create in the tool: 10").await;
        for number in 0..10 {
            browser.until_shown("#plan", &format!("Task {number}")).await;
        }
        browser.click("[data-act=confirm]").await;
        browser.until_shown("main", "Completed").await;
        browser.until_shown("main", "Created").await;
        browser.go("/").await;
        browser
            .until(
                "nothing waits any more",
                "document.querySelector('section[aria-label=\"Needs you\"]').hidden",
            )
            .await;
        assert!(browser.wrongs().await.is_empty(), "{:?}", browser.wrongs().await);
    })
    .await;
    assert_eq!(house.leantime.tickets().len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halted_plan_is_discarded_and_nothing_is_written() {
    let house = halted().await;
    with_browser(&house.url, async move |browser| {
        browser.open("/").await;
        browser.click(".attention [data-key^=plan-]").await;
        browser.click("[data-act=discard]").await;
        browser.until_shown("main", "Cancelled").await;
        browser
            .until("the plan is off the table", "!document.getElementById('plan')")
            .await;
    })
    .await;
    assert!(house.leantime.tickets().is_empty());
    let runs = house.store.run_page(RunQuery::default()).await.unwrap().runs;
    assert_eq!(runs[0].state, RunState::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_decided_field_by_field_and_carried_out() {
    let house = House::new().await;
    let (project, _) = house.garden();
    let item = house.openproject.create_work_package(project, "Water the tomatoes");
    let work = house.connect("openproject", |_| {}).await;
    house.sync(&work).await;
    let task = house.tasks().await.remove(0);
    let edits = [
        (Field::Title, Value::text("Water the tomatoes daily")),
        (Field::Description, Value::text("From the hub.")),
    ];
    house.edit(task.id, edits).await;
    house.openproject.edit_work_package(item, |package| {
        package.subject = "Water all tomatoes".to_owned();
        package.description = "From the tool.".to_owned();
    });
    house.sync(&work).await;
    let open = house.store.conflicts(ConflictQuery::open(None)).await.unwrap();
    assert_eq!(open.len(), 2, "{open:?}");

    with_browser(&house.url, async move |browser| {
        browser.open("/").await;
        browser.until_shown("#conflict-count", "2").await;
        browser.click(".attention [data-key=decide]").await;
        browser
            .until_shown("[data-field=title]", "Water the tomatoes daily")
            .await;
        browser.until_shown("[data-field=title]", "Water all tomatoes").await;
        browser.until_shown("[data-field=description]", "From the tool.").await;
        browser.click("[data-act=decide]").await;
        browser.until_shown("form.conflict", "Choose a side first.").await;
        browser.click("[data-field=title] input[value=external]").await;
        browser.fill("[data-field=description] textarea", "From both.").await;
        browser.click("[data-act=decide]").await;
        browser.until_shown("main", "Nothing to decide").await;
        browser.go("/").await;
        browser.until_shown("li.connection", "In step").await;
        assert!(browser.wrongs().await.is_empty(), "{:?}", browser.wrongs().await);
    })
    .await;
    house.sync_all().await;
    let package = house.openproject.work_package(item).unwrap();
    assert_eq!(
        (package.subject.as_str(), package.description.as_str()),
        ("Water all tomatoes", "From both.")
    );
    let task = house.store.tasks(vec![task.id]).await.unwrap().remove(0);
    assert_eq!(task.title, "Water all tomatoes");
    assert_eq!(task.description.as_deref(), Some("From both."));
}
