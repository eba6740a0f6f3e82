//! What comes from tools is text, whatever it looks like.

use magnus_core::model::{Field, Value};

use crate::browser::with_browser;
use crate::house::House;

const TITLE: &str = "<img src=x onerror=\"window.hit=1\"><script>window.hit=1</script> & <b>bold</b>";
const DESCRIPTION: &str = "**Strong** and <script>window.hit=1</script><img src=x onerror=\"window.hit=1\">\n\n[a link](javascript:window.hit=1) and [another](https://example.org/)\n\n<p id=\"main\" style=\"display:none\" onclick=\"window.hit=1\">inside</p>";

#[tokio::test(flavor = "multi_thread")]
async fn a_script_in_a_task_stays_text() {
    let house = House::new().await;
    let project = house.openproject.create_project("<i>Garden</i>", "garden");
    let item = house.openproject.create_work_package_with(project, TITLE, |package| {
        package.description = DESCRIPTION.to_owned();
    });
    let work = house
        .connect("openproject", |settings| settings.name = "<u>Work</u>".to_owned())
        .await;
    house.sync(&work).await;
    let task = house.tasks().await.remove(0);
    let title = Value::text(format!("{TITLE} in the hub"));
    house.edit(task.id, [(Field::Title, title)]).await;
    house
        .openproject
        .edit_work_package(item, |package| package.subject = format!("{TITLE} in the tool"));
    let run = house.sync(&work).await;
    with_browser(&house.url, async move |browser| {
        browser.open("/").await;
        browser.until_shown("li.connection", "<u>Work</u>").await;
        for (view, shown) in [
            ("/tasks".to_owned(), format!("{TITLE} in the hub")),
            (format!("/runs/{}", run.id), TITLE.to_owned()),
            ("/runs".to_owned(), "<u>Work</u>".to_owned()),
            ("/conflicts".to_owned(), format!("{TITLE} in the tool")),
            (format!("/tasks/{}", task.id), format!("{TITLE} in the hub")),
        ] {
            browser.go(&view).await;
            browser.until_shown("main", &shown).await;
            let foreign = "return document.querySelectorAll('main script, main img, main iframe, main [onclick], main [onerror], main [style], main i:not(.bars i), main u').length;";
            assert_eq!(browser.run(foreign).await, 0, "{view} holds markup that a tool sent");
        }
        // The description is Markdown, without what could do harm.
        browser.until_shown("#description strong", "Strong").await;
        browser.until_shown("#description", "inside").await;
        let links = browser.run("return [...document.querySelectorAll('#description a')].map((a) => a.getAttribute('href'));").await;
        assert_eq!(links, serde_json::json!([null, "https://example.org/"]));
        browser.click("#description a:not([href])").await;
        assert_eq!(browser.run("return window.hit ?? null;").await, serde_json::Value::Null);
        assert!(browser.wrongs().await.is_empty(), "{:?}", browser.wrongs().await);
    })
    .await;
}
