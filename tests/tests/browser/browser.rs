//! Headless Chromium.

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use serde_json::{Value, json};
use thirtyfour::TypingData;
use thirtyfour::prelude::*;

/// Long enough on a busy machine; nothing waits for it that goes well.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Notes what must not happen: errors in scripts, and what the content security policy had to stop.
const WATCH: &str = "
    window.seen = [];
    addEventListener('error', (event) => seen.push('error: ' + event.message));
    addEventListener('unhandledrejection', (event) => seen.push('unhandled: ' + event.reason));
    addEventListener('securitypolicyviolation', (event) => seen.push('stopped: ' + event.violatedDirective + ' ' + event.blockedURI));
";

/// A page in a browser of its own.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    url: String,
}

/// A chromedriver that ends with the test.
struct Driver {
    child: Child,
    port: u16,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It has ended already, or does so now; there is nobody left to tell.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// The first of these programs that is in the path.
fn program(names: &[&str]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = names
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|program| program.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "{} is not installed; on Debian: apt-get install chromium chromium-driver (as root, `cargo xtask test` does)",
            names[0]
        )
    })
}

impl Driver {
    fn start() -> Self {
        let mut child = Command::new(program(&["chromedriver"]))
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse().ok()
            })
            .expect("chromedriver says on which port it listens");
        // What it says later is read, so that it never waits to say it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }
}

/// Opens a browser for a test, and closes it whatever comes of that.
pub(crate) async fn with_browser<F, R>(url: &str, test: F)
where
    F: FnOnce(Browser) -> R,
    R: Future<Output = ()>,
{
    let profile = tempfile::tempdir().unwrap();
    let chromedriver = Driver::start();
    let mut capabilities = DesiredCapabilities::chrome();
    capabilities
        .set_binary(&program(&["chromium", "chromium-browser", "google-chrome"]).to_string_lossy())
        .unwrap();
    for argument in [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--lang=en-US",
        "--force-color-profile=srgb",
        &format!("--user-data-dir={}", profile.path().display()),
    ] {
        capabilities.add_arg(argument).unwrap();
    }
    let driver = WebDriver::new(format!("http://127.0.0.1:{}", chromedriver.port), capabilities)
        .await
        .unwrap();
    let browser = Browser {
        driver: driver.clone(),
        url: url.to_owned(),
    };
    browser
        .ask("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH }))
        .await;
    browser
        .ask(
            "Emulation.setTimezoneOverride",
            json!({ "timezoneId": "Europe/Berlin" }),
        )
        .await;
    browser.size(1280, 900).await;
    let outcome = AssertUnwindSafe(test(browser.clone())).catch_unwind().await;
    if outcome.is_err() {
        browser.tell_what_is_there().await;
    }
    // A browser that is gone already is closed, too.
    let _quit = driver.quit().await;
    drop(chromedriver);
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

impl Browser {
    /// A command of the browser's own protocol.
    pub(crate) async fn ask(&self, command: &str, parameters: Value) {
        self.driver.cdp().send_raw(command, parameters).await.unwrap();
    }

    pub(crate) async fn size(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    pub(crate) async fn scheme(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.ask("Emulation.setEmulatedMedia", features).await;
    }

    /// Opens a view and waits until the page hears the service.
    pub(crate) async fn open(&self, view: &str) {
        self.driver.goto(format!("{}/#{view}", self.url)).await.unwrap();
        self.until("the page is live", "document.body.dataset.link === 'live'")
            .await;
    }

    /// Goes to another view of the open page.
    pub(crate) async fn go(&self, view: &str) {
        self.run(&format!("location.hash = {};", json!(view))).await;
    }

    /// Runs a script; answers what it returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        let answer = self.driver.execute(script, Vec::new()).await.unwrap();
        answer.json().clone()
    }

    /// Waits until an expression is truthy; answers its value.
    pub(crate) async fn until(&self, what: &str, expression: &str) -> Value {
        let begun = Instant::now();
        loop {
            let script = format!("try {{ return ({expression}); }} catch (error) {{ return null; }}");
            let value = self.run(&script).await;
            let is_falsy = matches!(&value, Value::Null | Value::Bool(false))
                || value.as_str() == Some("")
                || value.as_f64() == Some(0.0);
            if !is_falsy {
                return value;
            }
            assert!(begun.elapsed() < PATIENCE, "it never came to this: {what}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until what is shown in a place holds a text.
    pub(crate) async fn until_shown(&self, place: &str, text: &str) {
        let expression = format!(
            "[...document.querySelectorAll({})].some((element) => element.checkVisibility() && element.innerText.includes({}))",
            json!(place),
            json!(text)
        );
        self.until(&format!("{place} shows {text:?}"), &expression).await;
    }

    /// Does something with an element once it is there and can be used. Places are drawn anew now and then: an element
    /// that is gone by then is looked up again.
    async fn with<R>(&self, place: &str, work: impl AsyncFn(&WebElement) -> WebDriverResult<R>) -> R {
        let begun = Instant::now();
        loop {
            let tried = async {
                let element = self.driver.find(By::Css(place)).await?;
                if !element.is_enabled().await? {
                    return Err(thirtyfour::error::WebDriverError::FatalError(
                        "it is disabled".to_owned(),
                    ));
                }
                work(&element).await
            };
            match tried.await {
                Ok(done) => return done,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{place}: {error}"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub(crate) async fn click(&self, place: &str) {
        self.with(place, async |element| element.click().await).await;
    }

    /// Types into an emptied field.
    pub(crate) async fn fill(&self, place: &str, text: &str) {
        self.with(place, async |element| {
            element.clear().await?;
            element.send_keys(text).await
        })
        .await;
    }

    /// Presses keys, wherever the focus is.
    pub(crate) async fn press(&self, keys: impl Into<TypingData>) {
        self.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// Goes one back with the tab key.
    pub(crate) async fn tab_back(&self) {
        let keys = self.driver.action_chain().key_down(Key::Shift).send_keys(Key::Tab);
        keys.key_up(Key::Shift).perform().await.unwrap();
    }

    /// What went wrong in the page so far.
    pub(crate) async fn wrongs(&self) -> Vec<String> {
        let seen = self.run("return window.seen;").await;
        serde_json::from_value(seen).unwrap()
    }

    /// For a test that fails: what the page shows.
    async fn tell_what_is_there(&self) {
        let script = "return [location.href, document.body.innerText, JSON.stringify(window.seen)];";
        if let Ok(shown) = self.driver.execute(script, Vec::new()).await {
            for text in shown.json().as_array().into_iter().flatten() {
                println!("{}", text.as_str().unwrap_or_default());
            }
        }
    }
}
