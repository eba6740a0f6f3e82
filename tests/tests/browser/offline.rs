//! The service goes away and comes back.

use crate::browser::with_browser;
use crate::house::House;
use std::sync::Arc;
use tokio::sync::Mutex;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_that_the_service_is_away_and_comes_back_by_itself() {
    let house = House::new().await;
    let (project, _) = house.garden();
    house.openproject.create_work_package(project, "Task 1");
    let work = house.connect("openproject", |_| {}).await;
    house.sync(&work).await;
    let url = house.url.clone();
    let house = Arc::new(Mutex::new(house));
    with_browser(&url, async move |browser| {
        let mut house = house.lock_owned().await;
        browser.open("/").await;
        browser.until_shown("li.connection", "1 task").await;
        browser.run("window.notLoadedAgain = true;").await;

        house.stop().await;
        browser.until_shown("#banner", "Magnus cannot be reached").await;
        browser.until_shown("#link-state", "Disconnected").await;
        browser
            .until(
                "what cannot work is off",
                "document.querySelector('[data-act=sync]').disabled && document.getElementById('sync-all').disabled",
            )
            .await;
        // What was known is still there to be read.
        browser.until_shown("li.connection", "1 task").await;

        house.openproject.create_work_package(project, "Task 2");
        house.start().await;
        browser.until_shown("#link-state", "Live").await;
        browser
            .until("the banner is gone", "document.getElementById('banner').hidden")
            .await;
        // Events are heard again, too.
        house.sync(&work).await;
        browser.until_shown("li.connection", "2 tasks").await;
        assert_eq!(browser.run("return window.notLoadedAgain;").await, true);
        house.stop().await;
    })
    .await;
}
