//! Everything that matters can be done without a mouse.

use magnus_core::model::{Field, Value};
use magnus_core::store::ConflictQuery;
use thirtyfour::Key;

use crate::browser::{Browser, with_browser};
use crate::house::House;

/// Whether the focus can be seen where it is.
const FOCUS_SEEN: &str = "
    const at = document.activeElement;
    const outlined = (element) => element && getComputedStyle(element).outlineStyle !== 'none' && parseFloat(getComputedStyle(element).outlineWidth) >= 2;
    return outlined(at) || outlined(at.closest('label'));
";

/// Goes on with the tab key until the focus is on such an element.
async fn tab_to(browser: &Browser, place: &str) {
    for _ in 0..80 {
        browser.press(Key::Tab).await;
        let script = format!("return document.activeElement.matches({});", serde_json::json!(place));
        if browser.run(&script).await == true {
            assert_eq!(
                browser.run(FOCUS_SEEN).await,
                true,
                "the focus on {place} cannot be seen"
            );
            return;
        }
    }
    panic!("the tab key never comes to {place}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_connected_and_synced_with_the_keyboard_alone() {
    let house = House::new().await;
    let project = house.openproject.create_project("Garden", "garden");
    house.openproject.create_work_package(project, "Task 1");
    let (at, key) = (house.openproject_at.url.clone(), house.openproject.api_key());
    with_browser(&house.url, async move |browser| {
        browser.open("/").await;
        browser.until_shown("main", "The board is empty").await;
        tab_to(&browser, "#add-connection").await;
        browser.press(Key::Enter).await;
        browser
            .until(
                "the form has the focus",
                "document.activeElement.id === 'connection-instance_url'",
            )
            .await;
        browser.press(at.as_str()).await;
        // Back to the tools: the arrow keys choose among them.
        browser.tab_back().await;
        browser
            .until("a tool has the focus", "document.activeElement.name === 'tool_name'")
            .await;
        for _ in 0..2 {
            if browser
                .run("return document.activeElement.value === 'openproject';")
                .await
                == true
            {
                break;
            }
            browser.press(Key::Down).await;
        }
        tab_to(&browser, "#connection-api_key").await;
        browser.press(key.as_str()).await;
        browser.until_shown("#connection-test", "It answers to").await;
        tab_to(&browser, "#connection-display_name").await;
        browser.press("Work").await;
        browser.press(Key::Enter).await;
        browser.until_shown("li.connection", "Not synced yet").await;
        // The focus is where one goes on: on the new connection's sync.
        browser
            .until("the focus waits", "document.activeElement.matches('[data-act=sync]')")
            .await;
        browser.press(Key::Enter).await;
        browser.until_shown("li.connection", "In step").await;
        browser.until_shown("li.connection", "1 task").await;

        browser.run("document.activeElement.blur(); scrollTo(0, 0);").await;
        tab_to(&browser, ".tabs a[data-tab=tasks]").await;
        browser.press(Key::Enter).await;
        browser.until_shown("main", "1 task").await;
        tab_to(&browser, ".task-link").await;
        browser.press(Key::Enter).await;
        browser.until_shown("main", "What happened").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_decided_with_the_keyboard_alone() {
    let house = House::new().await;
    let project = house.openproject.create_project("Garden", "garden");
    let item = house.openproject.create_work_package(project, "Task");
    let work = house.connect("openproject", |_| {}).await;
    house.sync(&work).await;
    let task = house.tasks().await.remove(0);
    house.edit(task.id, [(Field::Title, Value::text("Hub"))]).await;
    house
        .openproject
        .edit_work_package(item, |package| package.subject = "Tool".to_owned());
    house.sync(&work).await;
    with_browser(&house.url, async move |browser| {
        browser.open("/conflicts").await;
        browser.until_shown("[data-field=title]", "Tool").await;
        tab_to(&browser, "input[type=radio]").await;
        browser.press(Key::Down).await;
        browser
            .until(
                "the tool's side is chosen",
                "document.querySelector('input[value=external]').checked",
            )
            .await;
        tab_to(&browser, "[data-act=decide]").await;
        browser.press(Key::Enter).await;
        browser.until_shown("main", "Nothing to decide").await;
    })
    .await;
    assert!(
        house
            .store
            .conflicts(ConflictQuery::open(None))
            .await
            .unwrap()
            .is_empty()
    );
    house.sync_all().await;
    assert_eq!(house.store.tasks(vec![task.id]).await.unwrap()[0].title, "Tool");
}
