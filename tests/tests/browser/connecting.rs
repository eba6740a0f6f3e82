//! Connecting a tool, and the first sync.

use std::time::Duration;

use crate::browser::with_browser;
use crate::house::House;

/// Notes how far each progress bar came.
const NOTE_PROGRESS: &str = "
    window.steps = new Set();
    const look = () => { for (const bar of document.querySelectorAll('progress[value]')) steps.add(bar.value + ' of ' + bar.max); };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
";

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_connected_by_its_key_typed_once_synced_changed_and_removed() {
    let house = House::new().await;
    let project = house.openproject.create_project("Garden", "garden");
    for number in 0..60 {
        house
            .openproject
            .create_work_package(project, &format!("Task {number:02}"));
    }
    let (at, key) = (house.openproject_at.url.clone(), house.openproject.api_key());
    with_browser(&house.url, async move |browser| {
        browser.open("/").await;
        browser.until_shown("main", "The board is empty").await;
        browser.click("#add-connection").await;
        browser.click("input[name=tool_name][value=openproject]").await;
        browser.fill("#connection-instance_url", &at).await;
        browser.fill("#connection-api_key", "a-wrong-key").await;
        browser.until_shown("#connection-test", "not authenticated").await;
        browser.fill("#connection-api_key", &key).await;
        browser.until_shown("#connection-test", "It answers to").await;
        browser.fill("#connection-display_name", "Work").await;
        browser.click("#connection-save").await;
        browser.until_shown("li.connection", "Work").await;
        browser.until_shown("li.connection", "Not synced yet").await;
        // What was typed is nowhere any more.
        let page = browser.run("return document.documentElement.outerHTML;").await;
        assert!(!page.as_str().unwrap().contains(&key));

        browser.click("#sync-all").await;
        browser
            .until_shown(".toasts", "Synchronizing 1 battlefields simultaneously")
            .await;
        browser.until_shown("li.connection", "In step").await;
        browser.until_shown("li.connection", "60 tasks").await;
        browser.until_shown("li.run", "60 created").await;

        browser.click("[data-act=test]").await;
        browser.until_shown("[data-tested]", "It answers to").await;
        browser.click("[data-act=pause]").await;
        browser.until_shown("li.connection", "Paused").await;
        browser
            .until(
                "nothing is left to sync",
                "document.getElementById('sync-all').disabled",
            )
            .await;
        browser.click("[data-act=pause]").await;
        browser.until_shown("li.connection", "In step").await;
        browser.click("[data-act=edit]").await;
        browser.fill("#connection-display_name", "Workshop").await;
        browser.click("dialog button.primary").await;
        browser.until_shown("li.connection", "Workshop").await;
        browser.click("[data-act=edit]").await;
        browser.click("dialog button.danger").await;
        browser.until_shown("dialog", "Remove Workshop?").await;
        browser.click("dialog button[value=yes]").await;
        browser.until_shown("main", "The board is empty").await;
        assert!(browser.wrongs().await.is_empty(), "{:?}", browser.wrongs().await);
    })
    .await;
    assert!(house.store.connections().await.unwrap().is_empty());
    assert_eq!(house.openproject.work_packages().len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_progress_of_a_sync_moves() {
    let house = House::new().await;
    let (_, board) = house.garden();
    for number in 0..40 {
        house.leantime.create_ticket(board, &format!("Task {number:02}"));
    }
    let board = house.connect("leantime", |_| {}).await;
    house.sync(&board).await;
    house.connect("openproject", |_| {}).await;
    // Slow enough to be looked at.
    house.openproject.faults().delay_all(Some(Duration::from_millis(30)));
    with_browser(&house.url, async move |browser| {
        browser.open("/").await;
        browser.until_shown("main", "Work").await;
        browser.run(NOTE_PROGRESS).await;
        browser.click("#sync-all").await;
        browser
            .until_shown(".toasts", "Synchronizing 2 battlefields simultaneously")
            .await;
        browser.until("the progress moves", "steps.size >= 3").await;
        let told = "document.getElementById('progress-words').textContent.includes('Work')";
        browser.until("progress is told to those who hear", told).await;
        browser.until_shown("li.run", "40 created").await;
        browser
            .until("all is done", "!document.querySelector('progress')")
            .await;
        assert!(browser.wrongs().await.is_empty(), "{:?}", browser.wrongs().await);
    })
    .await;
    assert_eq!(house.openproject.work_packages().len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tool_refuses_is_said_and_nothing_is_kept() {
    let house = House::new().await;
    let at = house.openproject_at.url.clone();
    with_browser(&house.url, async move |browser| {
        browser.open("/").await;
        browser.click("#add-connection").await;
        browser.click("#connection-save").await;
        browser.until_shown("dialog", "Where does the tool live?").await;
        browser.click("input[name=tool_name][value=openproject]").await;
        browser.fill("#connection-instance_url", &at).await;
        browser.fill("#connection-api_key", "a-wrong-key").await;
        browser.click("#connection-save").await;
        browser.until_shown("dialog [role=alert]", "not authenticated").await;
        browser.press(thirtyfour::Key::Escape).await;
        browser
            .until("the form is closed", "!document.querySelector('dialog')")
            .await;
        browser.until_shown("main", "The board is empty").await;
    })
    .await;
    assert!(house.store.connections().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_with_tokens_asks_for_one() {
    let house = House::guarded("a-token-for-this-test".to_owned()).await;
    let url = house.url.clone();
    with_browser(&house.url, async move |browser| {
        browser.driver.goto(url.as_str()).await.unwrap();
        browser.until_shown("dialog", "An access token, please").await;
        browser.fill("#token", "not-the-token").await;
        browser.click("dialog button").await;
        browser.until_shown("dialog", "That token is not known.").await;
        browser.fill("#token", "a-token-for-this-test").await;
        browser.click("dialog button").await;
        browser
            .until("the page is live", "document.body.dataset.link === 'live'")
            .await;
        browser.until_shown("main", "The board is empty").await;
        let kept = browser.run("return [localStorage.length, document.cookie];").await;
        assert_eq!(
            kept,
            serde_json::json!([0, ""]),
            "the token is kept nowhere but in the tab"
        );
    })
    .await;
}
