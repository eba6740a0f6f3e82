//! How the page looks: on a telephone and on a wide screen, light and dark.
//!
//! With `MAGNUS_PICTURES` set to a folder, pictures of it are written there: `cargo xtask pictures`.

use std::path::PathBuf;
use std::time::Duration;

use magnus_core::model::{BreakdownState, ConnectionSettings, Field, GuardLimit, Run, RunRequest, RunState, Value};

use magnus_testkit::model::FakeModel;
use magnus_testkit::sim::Served;

use crate::browser::{Browser, with_browser};
use crate::house::{House, fake_model};

const WIDTHS: [(&str, u32, u32); 2] = [("wide", 1600, 1000), ("narrow", 360, 760)];
const SCHEMES: [&str; 2] = ["light", "dark"];

/// The pictures that are kept.
const KEPT: [&str; 9] = [
    "board-wide-light",
    "board-wide-dark",
    "board-narrow-light",
    "board-narrow-dark",
    "conflicts-wide-light",
    "plan-wide-light",
    "progress-wide-light",
    "proposal-wide-light",
    "task-wide-dark",
];

/// Text that is hard to read: less than 4.5 to 1 against what is behind it, or 3 to 1 where it is large.
const HARD_TO_READ: &str = r"
    const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number); return { r, g, b, a }; };
    const over = (top, under) => ({ r: top.r * top.a + under.r * (1 - top.a), g: top.g * top.a + under.g * (1 - top.a), b: top.b * top.a + under.b * (1 - top.a), a: 1 });
    const behind = (element) => {
        const layers = [];
        for (let at = element; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
        return layers.reverse().reduce((under, top) => over(top, under), { r: 255, g: 255, b: 255, a: 1 });
    };
    const light = ({ r, g, b }) => {
        const part = (value) => { const s = value / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; };
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const found = new Set();
    const check = (element, style, words) => {
        const under = behind(element);
        const [one, other] = [light(over(parse(style.color), under)), light(under)].sort((a, b) => b - a);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        const ratio = (one + 0.05) / (other + 0.05);
        if (ratio < (large ? 3 : 4.5)) found.add(`${words.trim().slice(0, 40)}: ${ratio.toFixed(2)} (${style.color})`);
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || element.closest('.unseen, noscript')) continue;
        check(element, getComputedStyle(element), walker.currentNode.data);
    }
    for (const input of document.querySelectorAll('input[placeholder]')) check(input, getComputedStyle(input, '::placeholder'), input.placeholder);
    return [...found];
";

/// What sticks out to the side.
const STICKS_OUT: &str = "
    if (document.documentElement.scrollWidth <= innerWidth) return [];
    return [...document.querySelectorAll('body *')].filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
        .map((element) => element.tagName + '.' + element.className).slice(0, 5);
";

/// Buttons, fields and links without a name for those who do not see them.
const NAMELESS: &str = "
    return [...document.querySelectorAll('button, a[href], input, select, textarea, progress')].filter((element) => element.checkVisibility())
        .filter((element) => !(element.innerText?.trim() || element.textContent?.trim() || element.getAttribute('aria-label') || element.labels?.length))
        .map((element) => element.outerHTML.slice(0, 120));
";

/// Tasks of a project: title, status and due day.
const HARBOUR: [(&str, &str, &str); 14] = [
    ("Draw the quay walls from the survey", "Closed", "2026-10-02"),
    (
        "Berth booking: let a skipper change the date",
        "In progress",
        "2026-12-02",
    ),
    ("Berth booking: mail the harbour master", "New", "2026-12-04"),
    ("Show free berths on the map", "In progress", "2026-11-20"),
    ("Offline mode for the last mile", "On hold", ""),
    ("Read the wind from the pier station", "Closed", "2026-09-18"),
    ("Warn at force 7 and above", "New", "2026-12-15"),
    ("Translate the app into Danish", "New", "2027-01-22"),
    ("Translate the app into Dutch", "New", "2027-01-22"),
    ("Pay the berth by card", "In progress", "2026-12-11"),
    ("Receipts as PDF", "New", ""),
    ("Crash when the mast light is off", "Closed", "2026-11-06"),
    ("Dark colours for the night watch", "In progress", "2026-11-18"),
    ("Store pictures in a smaller size", "New", ""),
];

/// A few weeks of work: two tools in step, a conflict, a halted plan.
struct Scene {
    house: House,
    board: ConnectionSettings,
    harbour: i64,
    halted: Run,
    task: String,
    /// A task that a model has broken down.
    broken_down: String,
    _model: Served,
}

async fn scene() -> Scene {
    let (model, served) = fake_model(&FakeModel::new()).await;
    let house = House::thinking(model).await;
    let app = house.openproject.create_project("Harbour app", "harbour-app");
    let fair = house.openproject.create_project("Trade fair", "trade-fair");
    let harbour = house.leantime.create_project("Harbour app");
    for (title, status, due) in HARBOUR {
        let status = house.openproject.status_id(status).unwrap();
        house.openproject.create_work_package_with(app, title, |package| {
            package.status_id = status;
            package.due_date = due.parse().ok();
        });
    }
    for title in [
        "Book the stand",
        "Order the carpet",
        "Print 500 leaflets",
        "Invite the press",
        "Rent the coffee machine",
        "Plan the evening",
        "Write the talk",
        "Test the demo on stage",
    ] {
        house.openproject.create_work_package(fair, title);
    }
    let story = house.openproject.create_work_package_with(app, "Show tides in the harbour map", |package| {
        package.description = "The map shows **high and low water** for the next two days.\n\n- tide tables from the [agency](https://example.org/tides)\n- works offline\n- `UTC` inside, local time on screen\n".to_owned();
        package.due_date = "2026-12-18".parse().ok();
    });
    let work = house
        .connect("openproject", |settings| settings.name = "Engineering".to_owned())
        .await;
    house.sync(&work).await;
    let board = house
        .connect("leantime", |settings| settings.name = "Product board".to_owned())
        .await;
    house.sync_all().await;
    let tasks = house.tasks().await;
    let task = tasks.iter().find(|task| task.title.starts_with("Show tides")).unwrap();
    let edits = [
        (Field::Title, Value::text("Show tides and currents in the harbour map")),
        (Field::DueDate, Value::Date("2026-12-11".parse().unwrap())),
    ];
    house.edit(task.id, edits).await;
    house.openproject.edit_work_package(story, |package| {
        package.subject = "Show tides in the map, two days ahead".to_owned();
        package.due_date = "2026-12-21".parse().ok();
    });
    house.sync(&work).await;
    house.sync(&board).await;
    let broken_down = tasks
        .iter()
        .find(|task| task.title.starts_with("Pay the berth"))
        .unwrap();
    let breakdowns = house.orchestrator().breakdowns().unwrap();
    let job = breakdowns.start(broken_down.id).await.unwrap().wait().await.unwrap();
    assert_eq!(job.state, BreakdownState::Completed);
    // Another board, which the eight tasks of the fair would go to, where three are allowed.
    house.leantime.create_project("Trade fair");
    let limit = |settings: &mut ConnectionSettings| {
        settings.name = "Events".to_owned();
        settings.options.projects = magnus_core::model::ProjectPolicy::Mapped;
        settings.options.guard.creations = GuardLimit { count: 3, percent: 1 };
    };
    let events = house.connect("leantime", limit).await;
    let halted = house.sync(&events).await;
    assert_eq!(halted.state, RunState::Halted);
    Scene {
        task: task.id.to_string(),
        broken_down: broken_down.id.to_string(),
        house,
        board,
        harbour,
        halted,
        _model: served,
    }
}

/// Where pictures go, if they are wanted.
fn pictures() -> Option<PathBuf> {
    std::env::var_os("MAGNUS_PICTURES").map(PathBuf::from)
}

async fn picture(browser: &Browser, name: &str, height: u32) {
    let Some(folder) = pictures().filter(|_| KEPT.contains(&name)) else {
        return;
    };
    browser.run("document.activeElement.blur();").await;
    // Waits for fonts and for what moves.
    browser.until("the page is painted", "document.fonts.status === 'loaded' && document.getAnimations().every((animation) => animation.playState !== 'running' || animation.effect.getTiming().iterations === Infinity)").await;
    browser
        .ask("Emulation.setScrollbarsHidden", serde_json::json!({ "hidden": true }))
        .await;
    let width = browser.run("return innerWidth;").await.as_u64().unwrap();
    let whole = browser
        .run("return document.documentElement.scrollHeight;")
        .await
        .as_u64()
        .unwrap();
    browser
        .size(
            u32::try_from(width).unwrap(),
            u32::try_from(whole).unwrap().clamp(height, 1700),
        )
        .await;
    browser
        .run("document.getElementById('toasts').replaceChildren();")
        .await;
    let png = browser.driver.screenshot_as_png().await.unwrap();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.png")), png).unwrap();
    browser.size(u32::try_from(width).unwrap(), height).await;
}

async fn check(browser: &Browser, place: &str) {
    for (what, script) in [
        ("hard to read", HARD_TO_READ),
        ("too wide", STICKS_OUT),
        ("without a name", NAMELESS),
    ] {
        let found = browser.run(script).await;
        assert_eq!(found, serde_json::json!([]), "{what} in {place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_readable_at_each_width_in_both_colour_schemes() {
    let Scene {
        house,
        board,
        harbour,
        halted,
        task,
        broken_down,
        _model,
    } = scene().await;
    let views = [
        ("board", "/".to_owned(), "Last runs"),
        ("tasks", "/tasks".to_owned(), "Harbour app"),
        ("task", format!("/tasks/{task}"), "high and low water"),
        ("proposal", format!("/tasks/{broken_down}"), "Proposed subtasks"),
        ("runs", "/runs".to_owned(), "Halted"),
        ("plan", format!("/runs/{}", halted.id), "Create in the tool"),
        ("conflicts", "/conflicts".to_owned(), "two days ahead"),
    ];
    let orchestrator = house.orchestrator().clone();
    let leantime = house.leantime.clone();
    let slow = house.openproject.faults().clone();
    with_browser(&house.url, async move |browser| {
        for (width_name, width, height) in WIDTHS {
            browser.size(width, height).await;
            for scheme in SCHEMES {
                browser.scheme(scheme).await;
                browser.open("/").await;
                for (name, view, shown) in &views {
                    browser.go(view).await;
                    browser.until_shown("main", shown).await;
                    if *name == "board" {
                        browser.until_shown("main", "Product board").await;
                    }
                    check(&browser, &format!("{name}, {width_name}, {scheme}")).await;
                    picture(&browser, &format!("{name}-{width_name}-{scheme}"), height).await;
                }
                browser.go("/").await;
                browser.click("#add-connection").await;
                browser
                    .fill("#connection-instance_url", "https://projects.example.org")
                    .await;
                browser
                    .run("document.querySelector('dialog details').open = true;")
                    .await;
                check(&browser, &format!("the form, {width_name}, {scheme}")).await;
                picture(&browser, &format!("form-{width_name}-{scheme}"), height).await;
                browser.press(thirtyfour::Key::Escape).await;
                browser
                    .until("the form is closed", "!document.querySelector('dialog')")
                    .await;
            }
        }
        // While a sync goes on.
        browser.size(1600, 1000).await;
        browser.scheme("light").await;
        slow.delay_all(Some(Duration::from_millis(150)));
        for number in 1..=40 {
            leantime.create_ticket(harbour, &format!("Check buoy {number}"));
        }
        let pulled = orchestrator
            .start(RunRequest::new(board.id))
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        assert_eq!(pulled.state, RunState::Completed);
        browser.click("#sync-all").await;
        browser
            .until("a bar moves", "document.querySelector('progress[value]')")
            .await;
        check(&browser, "the board during a sync").await;
        browser
            .until(
                "it is under way",
                "document.querySelector('progress[value]').value >= 5",
            )
            .await;
        picture(&browser, "progress-wide-light", 1000).await;
        assert!(browser.wrongs().await.is_empty(), "{:?}", browser.wrongs().await);
        orchestrator.shutdown(Duration::from_secs(30)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_empty_or_not_there_says_so() {
    let house = House::new().await;
    with_browser(&house.url, async move |browser| {
        for (_, width, height) in WIDTHS {
            browser.size(width, height).await;
            for scheme in SCHEMES {
                browser.scheme(scheme).await;
                browser.open("/").await;
                for (view, shown) in [
                    ("/", "The board is empty"),
                    ("/tasks", "No tasks yet"),
                    ("/tasks?status=done", "Nothing matches"),
                    ("/runs", "No runs"),
                    ("/conflicts", "Nothing to decide"),
                    ("/tasks/0190c0de-0000-7000-8000-000000000000", "There is no such task"),
                    ("/runs/0190c0de-0000-7000-8000-000000000000", "There is no such run"),
                    ("/nowhere", "There is nothing here"),
                ] {
                    browser.go(view).await;
                    browser.until_shown("main", shown).await;
                    check(&browser, view).await;
                }
            }
        }
    })
    .await;
}
