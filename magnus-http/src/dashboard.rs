//! The dashboard: a page of static files within the program. It loads nothing from elsewhere and runs no inline script.

use std::sync::LazyLock;

use axum::extract::{OriginalUri, Path};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::problem::{Kind, Problem};

/// What the browser may load and do: only what this service serves.
const POLICY: &str =
    "default-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

/// Where the page looks for its files, unless the service is nested in a host's own app.
const HERE: &str = "<base href=\"./\">";

const PAGE: &str = include_str!("../assets/index.html");

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// A file of the page.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
    etag: HeaderValue,
}

macro_rules! assets {
    ($($name:literal: $media_type:expr,)*) => {
        vec![$(Asset::new($name, $media_type, include_str!(concat!("../assets/", $name))),)*]
    };
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    assets! {
        "api.js": SCRIPT,
        "app.js": SCRIPT,
        "base.css": STYLE,
        "board.js": SCRIPT,
        "conflicts.js": SCRIPT,
        "connection-form.js": SCRIPT,
        "dom.js": SCRIPT,
        "events.js": SCRIPT,
        "knight.svg": PICTURE,
        "parts.css": STYLE,
        "proposal.js": SCRIPT,
        "prose.js": SCRIPT,
        "runs.js": SCRIPT,
        "sign-in.js": SCRIPT,
        "state.js": SCRIPT,
        "story.js": SCRIPT,
        "tasks.js": SCRIPT,
        "words.js": SCRIPT,
    }
});

impl Asset {
    fn new(name: &'static str, media_type: &'static str, content: &'static str) -> Self {
        Self {
            name,
            media_type,
            content,
            etag: etag(content),
        }
    }
}

/// The mark of a content, for conditional requests.
fn etag(content: &str) -> HeaderValue {
    let hash = Sha256::digest(content.as_bytes());
    let text: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    // Hexadecimal digits between quotes are always a header's value.
    HeaderValue::from_str(&format!("\"{text}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The page.
pub(crate) async fn page(OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    let page = page_at(uri.path());
    let etag = etag(&page);
    serve(&headers, page, "text/html; charset=utf-8", &etag)
}

/// The page as it is served at this path: nested in a host's app, its files are not beside it but below it.
fn page_at(path: &str) -> String {
    let base = path.trim_end_matches('/');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%".contains(&byte);
    if base.is_empty() || base.starts_with("//") || !base.bytes().all(is_plain) {
        return PAGE.to_owned();
    }
    PAGE.replacen(HERE, &format!("<base href=\"{base}/\">"), 1)
}

/// A file of the page.
pub(crate) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => serve(&headers, asset.content, asset.media_type, &asset.etag),
        None => Problem::new(Kind::NotFound, format!("there is no file {name:?}")).into_response(),
    }
}

fn serve(asked: &HeaderMap, content: impl IntoResponse, media_type: &'static str, etag: &HeaderValue) -> Response {
    let known = asked.get_all(header::IF_NONE_MATCH).iter().any(|known| {
        let known = known.to_str().unwrap_or_default();
        let etag = etag.to_str().unwrap_or_default();
        known
            .split(',')
            .any(|one| one.trim().trim_start_matches("W/") == etag || one.trim() == "*")
    });
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        content.into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::ETAG, etag.clone());
    // Kept by the browser, and asked about each time: an update of the service is an update of the page.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_beside_the_page_is_served_and_none_that_is_not_there() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "index.html")
            .collect();
        let served: BTreeSet<String> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        assert_eq!(there, served);
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere_and_nothing_becomes_markup() {
        let sources = ASSETS.iter().map(|asset| (asset.name, asset.content));
        for (name, content) in sources.chain([("index.html", PAGE)]) {
            for forbidden in [
                "src=\"http",
                "href=\"http",
                "url(http",
                "@import",
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                " style=\"",
                " onclick=",
                "from \"http",
            ] {
                assert!(!content.contains(forbidden), "{name} holds {forbidden}");
            }
        }
    }

    #[test]
    fn nested_in_a_hosts_app_the_page_finds_its_files() {
        for (path, base) in [
            ("/", "./"),
            ("/magnus", "/magnus/"),
            ("/a/b/", "/a/b/"),
            ("//evil.example", "./"),
            ("/\"><script>", "./"),
        ] {
            let page = page_at(path);
            assert!(page.contains(&format!("<base href=\"{base}\">")), "{path}: {page}");
        }
    }
}
