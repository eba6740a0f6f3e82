//! A corpus of awkward texts, each with what it becomes and what comes back.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::mpsc;
use std::time::{Duration, Instant};

use magnus_leantime::text::{html_to_markdown, markdown_to_html};

const HIDDEN: [(&str, &str); 6] = [
    ("⟦CR⟧", "\r"),
    ("⟦NUL⟧", "\0"),
    ("⟦NBSP⟧", "\u{a0}"),
    ("⟦TAB⟧", "\t"),
    ("⟦SP⟧", " "),
    ("⟦BOM⟧", "\u{feff}"),
];

fn reveal(text: &str) -> String {
    HIDDEN
        .iter()
        .fold(text.to_owned(), |text, (mark, hidden)| text.replace(mark, hidden))
}

/// One text of the corpus.
struct Case {
    name: String,
    text: String,
    becomes: String,
    /// What comes back; the text itself unless the corpus says otherwise.
    back: String,
}

fn cases(corpus: &str, becomes: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for section in corpus.split("\n=== ").skip(1) {
        let (name, body) = section.split_once('\n').unwrap();
        let mut parts = body.split("\n--> ");
        let text = parts.next().unwrap();
        let mut case = Case {
            name: name.to_owned(),
            text: reveal(text.trim_end_matches('\n')),
            becomes: String::new(),
            back: String::new(),
        };
        case.back = case.text.clone();
        for part in parts {
            let (kind, content) = part.split_once('\n').unwrap_or((part, ""));
            let content = reveal(content.trim_end_matches('\n'));
            match kind {
                "back" => case.back = content,
                kind => {
                    assert_eq!(kind, becomes, "{name}");
                    case.becomes = content;
                }
            }
        }
        cases.push(case);
    }
    cases
}

/// Every case goes there and back; a second trip changes neither form. What differs is shown as the corpus writes it.
fn check(corpus: &str, kind: &str, there: fn(&str) -> String, back: fn(&str) -> String) -> usize {
    let cases = cases(corpus, kind);
    let mut wrong = String::new();
    for case in &cases {
        let became = there(&case.text);
        let came_back = back(&became);
        if became != case.becomes || came_back != case.back {
            wrong.push_str(&format!("\n=== {}\n{}\n--> {kind}\n{became}\n", case.name, case.text));
            if came_back != case.text {
                wrong.push_str(&format!("--> back\n{came_back}\n"));
            }
        }
        let again = there(&came_back);
        assert_eq!(back(&again), came_back, "{}: not at rest after one trip", case.name);
        assert_eq!(there(&back(&again)), again, "{}: not at rest after one trip", case.name);
    }
    assert!(wrong.is_empty(), "what these texts become has changed:\n{wrong}");
    cases.len()
}

#[test]
fn awkward_markdown_becomes_what_the_corpus_says_and_comes_back() {
    let corpus = include_str!("corpus/from_markdown.txt");
    assert!(check(corpus, "html", markdown_to_html, html_to_markdown) >= 60);
}

#[test]
fn awkward_html_becomes_what_the_corpus_says_and_comes_back() {
    let corpus = include_str!("corpus/from_html.txt");
    assert!(check(corpus, "markdown", html_to_markdown, markdown_to_html) >= 50);
}

#[test]
fn no_text_of_the_corpus_becomes_live_script() {
    let corpora = [
        (include_str!("corpus/from_markdown.txt"), "html"),
        (include_str!("corpus/from_html.txt"), "markdown"),
    ];
    for case in corpora.iter().flat_map(|(corpus, kind)| cases(corpus, kind)) {
        for html in [
            markdown_to_html(&case.text),
            markdown_to_html(&html_to_markdown(&case.text)),
        ] {
            let lower = html.to_lowercase();
            for tag in lower.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
                let element = tag.split([' ', '/']).next().unwrap();
                let lives = ["script", "iframe", "svg", "form", "style", "span", "mention", "input"].contains(&element);
                let address = ["javascript:", "vbscript:", "data:"]
                    .iter()
                    .any(|scheme| tag.contains(scheme));
                let handler = element != "!--" && tag.contains(" on");
                assert!(!lives && !address && !handler, "{}: {html}", case.name);
            }
        }
    }
}

/// What takes longer grows faster than its text: at these sizes it would go on for hours.
const ENDLESS: Duration = Duration::from_secs(60);

/// A task of the hub is written and read in threads of an asynchronous host, whose stacks are small.
fn in_small_thread(start: &str, work: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel();
    let began = Instant::now();
    let work = move || {
        work();
        ended.send(()).unwrap();
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap();
    let waited = end.recv_timeout(ENDLESS);
    assert_ne!(waited, Err(mpsc::RecvTimeoutError::Timeout), "{start} goes on and on");
    thread.join().unwrap();
    println!("{:?} {start}", began.elapsed());
}

#[test]
fn hostile_html_is_bounded_in_time_stack_and_size() {
    let n = 100_000;
    let deep = |open: &str, close: &str| format!("{}core{}", open.repeat(n), close.repeat(n));
    let hostile = [
        deep("<div>", "</div>"),
        deep("<b>", ""),
        deep("<ul><li>", ""),
        deep("<blockquote>", "</blockquote>"),
        deep("<table><tr><td>", ""),
        deep("<a href=x>", ""),
        deep("<p>", "</p>"),
        deep("<li>", "</li>"),
        deep("<font color=red>", ""),
        deep("<unknown>", "</unknown>"),
        deep("</p>", ""),
        deep("<", ">"),
        deep("<!--", ""),
        deep("<p title=\"", ""),
        deep("&", ";"),
        deep("&amp;", ""),
        format!(
            "<table><tr>{}</tr>{}</table>",
            "<td>x".repeat(n),
            "<tr><td>core".repeat(1_000)
        ),
        format!("<p>core {}</p>", "long word ".repeat(200_000)),
        format!("<pre>core{}</pre>", "`".repeat(n)),
    ];
    for html in hostile {
        let start: String = html.chars().take(20).collect();
        in_small_thread(&start, move || {
            let markdown = html_to_markdown(&html);
            assert!(markdown.contains("core") || html.contains("<!--") || html.contains("title="));
            assert!(markdown.len() <= 4 * html.len(), "{} bytes", markdown.len());
            let back = markdown_to_html(&markdown);
            assert!(back.len() <= 40 * html.len(), "{} bytes", back.len());
        });
    }
}

#[test]
fn hostile_markdown_is_bounded_in_time_stack_and_size() {
    let n = 100_000;
    let hostile = [
        "> ".repeat(n),
        "- ".repeat(n),
        "1. ".repeat(n),
        "[".repeat(n),
        "![".repeat(n),
        "*a ".repeat(n),
        "**a_ ".repeat(n),
        "~~a ".repeat(n),
        "`".repeat(n),
        "<u>".repeat(n),
        "<server ".repeat(n),
        "[a](".repeat(n),
        "\\".repeat(n),
        "&lt;".repeat(n),
        "| a ".repeat(n),
        format!(
            "{}\n{}\n{}",
            "|a".repeat(2_000),
            "|-".repeat(2_000),
            "|b\n".repeat(2_000)
        ),
        "https://a.test ".repeat(n),
        "word ".repeat(400_000),
    ];
    for markdown in hostile {
        let start: String = markdown.chars().take(20).collect();
        in_small_thread(&start, move || {
            let html = markdown_to_html(&markdown);
            assert!(html.len() <= 40 * markdown.len().max(1_000), "{} bytes", html.len());
            html_to_markdown(&html);
        });
    }
}
