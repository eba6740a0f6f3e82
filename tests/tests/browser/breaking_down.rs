//! A task that a model breaks down.

use magnus_core::model::Task;
use magnus_testkit::model::{FakeModel, Reply};
use magnus_testkit::sim::Served;

use crate::browser::with_browser;
use crate::house::{House, fake_model};

/// What a model that repeats its task will say, too.
const TITLE: &str = "Move <img src=x onerror=\"window.hit=1\"> house";

/// A house with a fake model, and a task in both tools.
struct Scene {
    house: House,
    fake: FakeModel,
    task: Task,
    _served: Served,
}

async fn scene(script: impl IntoIterator<Item = Reply>) -> Scene {
    let fake = FakeModel::scripted(script);
    let (model, served) = fake_model(&fake).await;
    let house = House::thinking(model).await;
    let (project, _) = house.garden();
    house.openproject.create_work_package(project, TITLE);
    house.connect("openproject", |_| {}).await;
    house.connect("leantime", |_| {}).await;
    house.sync_all().await;
    let task = house.tasks().await.remove(0);
    Scene {
        house,
        fake,
        task,
        _served: served,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_is_asked_for_accepted_in_part_and_discarded() {
    let Scene {
        house,
        fake,
        task,
        _served,
    } = scene([Reply::AtGate]).await;
    let model = fake.clone();
    with_browser(&house.url, async move |browser| {
        browser.open(&format!("/tasks/{}", task.id)).await;
        browser
            .until_shown("#proposal", "A language model proposes subtasks")
            .await;
        browser.click("[data-key=break-down]").await;
        browser.until_shown("#proposal", "The model is asked.").await;
        // Whoever comes back finds it there.
        browser.open("/").await;
        browser.go(&format!("/tasks/{}", task.id)).await;
        browser.until_shown("#proposal", "The model is asked.").await;
        model.gate().open();
        browser.until_shown("#proposal", "Proposed subtasks").await;
        browser.until_shown("#proposal", "13 h in all, 5 points").await;
        browser
            .until_shown("#proposal", &format!("2. Draw up a plan for \"{TITLE}\""))
            .await;
        browser.until_shown("#proposal", "after 2 and 3").await;
        let foreign = "return document.querySelectorAll('main script, main img, main [onerror]').length;";
        assert_eq!(browser.run(foreign).await, 0, "what the model says is text");

        browser.click("#proposed-0").await;
        browser.click("#proposed-3").await;
        browser.click("[data-key=accept-proposal]").await;
        browser.until_shown(".toasts", "2 subtasks made.").await;
        browser
            .until(
                "what was made is linked",
                "document.querySelectorAll('#proposal a[href^=\"#/tasks/\"]').length === 2",
            )
            .await;
        browser.click("[data-key=discard-proposal]").await;
        browser
            .until_shown("#proposal", "A language model proposes subtasks")
            .await;
        assert!(browser.wrongs().await.is_empty(), "{:?}", browser.wrongs().await);
    })
    .await;
    assert_eq!(fake.requests().len(), 1);
    assert_eq!(house.tasks().await.len(), 3);
    house.sync_all().await;
    let children = |title: &str| {
        let packages = house.openproject.work_packages();
        packages
            .iter()
            .filter(|package| package.subject.starts_with(title))
            .count()
    };
    assert_eq!(
        (children("Draw up"), children("Carry out"), children("Agree")),
        (1, 1, 0)
    );
    assert_eq!(house.leantime.tickets().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_says_so_and_is_asked_again_and_stopped() {
    let Scene {
        house,
        fake,
        task,
        _served,
    } = scene([Reply::Status(400), Reply::AtGate]).await;
    with_browser(&house.url, async move |browser| {
        browser.open(&format!("/tasks/{}", task.id)).await;
        browser.click("[data-key=break-down]").await;
        browser.until_shown("#proposal", "The model proposed nothing").await;
        browser.open("/").await;
        browser.go(&format!("/tasks/{}", task.id)).await;
        browser.until_shown("#proposal", "The model proposed nothing").await;
        browser.click("[data-key=break-down]").await;
        browser.until_shown("#proposal", "The model is asked.").await;
        browser.click("[data-key=stop-breakdown]").await;
        browser
            .until_shown("#proposal", "A language model proposes subtasks")
            .await;
        assert!(browser.wrongs().await.is_empty(), "{:?}", browser.wrongs().await);
    })
    .await;
    assert!(fake.requests().len() <= 2);
    assert_eq!(house.tasks().await.len(), 1, "nothing was made");
}
