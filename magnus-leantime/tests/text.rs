//! Markdown and HTML of descriptions: what is kept, what is refused, and that a trip changes nothing.

use magnus_leantime::text::{html_to_markdown, markdown_to_html};
use proptest::prelude::*;

fn trip(markdown: &str) {
    let first = markdown_to_html(markdown);
    let back = html_to_markdown(&first);
    let second = markdown_to_html(&back);
    assert_eq!(first, second, "Markdown {markdown:?} came back as {back:?}");
    assert_eq!(back, html_to_markdown(&second), "Markdown {markdown:?}");
}

const CORPUS: &[&str] = &[
    "Plain paragraph.",
    "one\ntwo\n\nthree",
    "hard\\\nbreak and  \nanother",
    "# Title\n\n## Second *with* emphasis\n\n###### six",
    "**bold** _italic_ ~~gone~~ `code` ***both*** **_mixed_**",
    "a*b*c and snake_case_name and 2 * 3 * 4",
    "- a\n- b\n  - nested\n    - deeper\n- c",
    "- loose\n\n- list",
    "- item\n\n  second paragraph\n\n  ```sh\n  ls\n  ```\n- next",
    "1. one\n2. two\n   1. inner",
    "7. seven\n8. eight",
    "- [x] done\n- [ ] open\n  - [ ] nested task",
    "> quote\n>\n> > nested\n>\n> - in a list",
    "```rust\nfn main() { println!(\"<hi> & bye\"); }\n```",
    "````\n```\ninner fence\n```\n````",
    "    indented code",
    "| a | b |\n| :-- | --: |\n| 1 | `x \\| y` |\n| **b** | c<br>d |",
    "[link](https://example.test/?a=1&b=2 \"Title\") and <https://example.test/x_y>",
    "https://example.test/path and www.example.test and me@example.test",
    "![picture](/files/a%20b.png \"t\")",
    "[paren](https://en.example.test/wiki/A_(b))",
    "Use <server> and <b>bold</b> and <script>alert(1)</script>",
    "<u>under</u> H<sub>2</sub>O <kbd>Ctrl</kbd> unclosed <u>tag",
    "<div align=\"center\">\n\n**x**\n\n</div>",
    "<!-- a comment -->\n\ntext",
    "&lt;b&gt; &amp;lt; &copy; &nbsp;x",
    "@ada please look, also @everyone",
    "1\\. not a list\n\n\\- nor this\n\n\\# nor that",
    "***\n\n---\n\ntext\n\n___",
    "- a\n\n* b\n\n1. c\n\n1) d",
    "[javascript](javascript:alert(1)) [data](data:text/html,x)",
    "Zahlung prüfen 🚀 修复登录 עדכון مرحبا",
    "`` a`b `` and ` `` `",
    "line with trailing backslash \\",
    "\\*not emphasis\\* \\[not link\\](x) \\`not code\\`",
    "a | b\n--|--\n1 | 2",
    "term: **x**y and **\"q\"**z",
    "~5 minutes ~~ and ~x~",
    "",
    "   ",
];

#[test]
fn a_trip_through_html_changes_nothing_for_the_corpus() {
    for markdown in CORPUS {
        trip(markdown);
    }
}

#[test]
fn what_the_web_editor_writes_becomes_plain_markdown() {
    let cases = [
        ("<p>Hello <b>world</b></p>", "Hello **world**"),
        (
            "<h2>Steps</h2><ol><li>Open the <strong>menu</strong></li><li>Click <em>Save</em></li></ol>",
            "## Steps\n\n1. Open the **menu**\n2. Click _Save_",
        ),
        (
            "<ul><li><p>one</p></li><li><p>two</p><ul><li><p>nested</p></li></ul></li></ul>",
            "- one\n- two\n  - nested",
        ),
        (
            "<pre><code class=\"language-rust\">fn main() { println!(\"&lt;hi&gt; &amp; bye\"); }</code></pre>",
            "```rust\nfn main() { println!(\"<hi> & bye\"); }\n```",
        ),
        (
            "<table><tbody><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>ü 🎉</td></tr></tbody></table>",
            "| a | b |\n| --- | --- |\n| 1 | ü 🎉 |",
        ),
        (
            "<ul data-type=\"taskList\"><li data-type=\"taskItem\" data-checked=\"true\"><p>done</p></li><li data-type=\"taskItem\" data-checked=\"false\"><p>open</p></li></ul>",
            "- [x] done\n- [ ] open",
        ),
        (
            "<p>a &lt;server&gt; placeholder, 2 &lt; 3 &amp;&amp; 4 &gt; 1<br>second line</p><p><a href=\"https://example.test/?a=1&amp;b=2\">link</a></p>",
            "a \\<server> placeholder, 2 < 3 && 4 > 1\\\nsecond line\n\n[link](https://example.test/?a=1&b=2)",
        ),
        (
            "<p>x</p><blockquote><p>quote</p></blockquote><hr>",
            "x\n\n> quote\n\n---",
        ),
        ("<p><s>old</s> <del>older</del></p>", "~~old~~ ~~older~~"),
        ("<p>a<strong> b </strong>c</p>", "a **b** c"),
        ("<p></p><p>text</p><p>&nbsp;</p>", "text"),
    ];
    for (html, markdown) in cases {
        assert_eq!(html_to_markdown(html), markdown, "{html}");
    }
}

#[test]
fn escaped_tags_never_become_live_ones() {
    let markdown = html_to_markdown("<p>&lt;b&gt;not bold&lt;/b&gt; &lt;script&gt;x&lt;/script&gt;</p>");
    let html = markdown_to_html(&markdown);
    assert_eq!(
        html,
        "<p>&lt;b&gt;not bold&lt;/b&gt; &lt;script&gt;x&lt;/script&gt;</p>"
    );
}

#[test]
fn scripts_and_unsafe_links_do_not_pass() {
    let markdown = html_to_markdown(
        "<p>a<script>alert(1)</script><a href=\"javascript:x()\">b</a><img src=x onerror=alert(1)></p>",
    );
    assert_eq!(markdown, "ab![](x)");
    let html = markdown_to_html("<script>alert(1)</script> [x](javascript:alert(1)) <img src=x onerror=alert(1)>");
    assert!(
        !html.contains("<script") && !html.contains("href") && !html.contains("<img"),
        "{html}"
    );
}

#[test]
fn plain_text_keeps_its_lines() {
    let markdown = html_to_markdown("first line\nsecond & third < 4\n\nnew paragraph with <server>");
    let html = markdown_to_html(&markdown);
    assert_eq!(
        html,
        "<p>first line<br>second &amp; third &lt; 4</p><p>new paragraph with &lt;server&gt;</p>"
    );
}

#[test]
fn a_typed_placeholder_inside_html_survives() {
    assert_eq!(html_to_markdown("<p>ping <server> now</p>"), "ping \\<server> now");
}

#[test]
fn mentions_are_text_and_notify_nobody() {
    let html = markdown_to_html("@ada and @everyone");
    assert_eq!(html, "<p>@ada and @everyone</p>");
    assert_eq!(
        html_to_markdown("<p><span data-type=\"mention\" data-id=\"7\">@Ada</span> hi</p>"),
        "@Ada hi"
    );
}

#[test]
fn hostile_input_is_bounded_and_keeps_its_text() {
    let deep = format!("{}core{}", "<div>".repeat(20_000), "</div>".repeat(20_000));
    assert_eq!(html_to_markdown(&deep), "core");
    let formatting: String = (0..4_000).map(|n| format!("<b id={n}><p>x")).collect();
    assert!(html_to_markdown(&formatting).contains('x'));
    let lists = format!("{}core", "<ul><li>".repeat(10_000));
    assert_eq!(html_to_markdown(&lists), "core");
    for hostile in [
        ">".repeat(20_000),
        "[".repeat(20_000),
        "*a ".repeat(5_000),
        "- ".repeat(5_000),
        "![".repeat(5_000),
        "<u>".repeat(3_000),
        "`a``".repeat(3_000),
    ] {
        let html = markdown_to_html(&hostile);
        html_to_markdown(&html);
    }
    assert!(html_to_markdown(&"<p>unclosed <div>nested</p>".repeat(50)).contains("nested"));
}

fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9 ]{1,12}",
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("**b**".to_owned()),
        Just("*".to_owned()),
        Just("_".to_owned()),
        Just("~~".to_owned()),
        Just("`".to_owned()),
        Just("- ".to_owned()),
        Just("\n- [ ] ".to_owned()),
        Just("\n1. ".to_owned()),
        Just("\n> ".to_owned()),
        Just("\n# ".to_owned()),
        Just("  \n".to_owned()),
        Just("<u>".to_owned()),
        Just("</u>".to_owned()),
        Just("<server>".to_owned()),
        Just("[x](y)".to_owned()),
        Just("|".to_owned()),
        Just("\n|a|b|\n|-|-|\n".to_owned()),
        Just("\n```\n".to_owned()),
        Just("&lt;".to_owned()),
        Just("\\".to_owned()),
        Just("<br>".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_trip_through_html_changes_nothing_for_any_markdown(parts in prop::collection::vec(fragment(), 0..14)) {
        trip(&parts.concat());
    }

    #[test]
    fn no_input_panics(html in "[<>/a-z&;# \"=\n!-]{0,120}", text in "\\PC{0,80}") {
        let _ = markdown_to_html(&html_to_markdown(&html));
        let _ = html_to_markdown(&markdown_to_html(&text));
        let _ = html_to_markdown(&text);
    }
}

fn html_piece() -> impl Strategy<Value = String> {
    let pieces = [
        "<p>",
        "</p>",
        "<b>",
        "</b>",
        "<em>",
        "</em>",
        "<s>",
        "</s>",
        "<u>",
        "</u>",
        "<br>",
        "<hr>",
        "<ul>",
        "<ol>",
        "<li>",
        "</li>",
        "</ul>",
        "</ol>",
        "<li data-type=\"taskItem\" data-checked=\"true\">",
        "<blockquote>",
        "</blockquote>",
        "<h2>",
        "</h2>",
        "<code>",
        "</code>",
        "<pre>",
        "</pre>",
        "<a href=\"https://x.test/a_(b)\">",
        "</a>",
        "<table><tr><td>",
        "<td>",
        "<tr>",
        "</table>",
        "<img src=\"/i.png\" alt=\"[a]\">",
        "<server>",
        "&lt;b&gt;",
        "&amp;copy;",
        " ",
        "\n",
        "a",
        "b c",
        "*",
        "_",
        "`",
        "1. ",
        "- ",
        "# ",
        "> ",
        "|",
        "\\",
        "~~",
        "https://x.test",
        "!",
        "[",
        "](x)",
        "&nbsp;",
        "<span style=\"color:red\">",
        "</span>",
        "<!-- note -->",
    ];
    prop::sample::select(pieces.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_any_html_became_is_a_fixed_point(parts in prop::collection::vec(html_piece(), 0..16)) {
        trip(&html_to_markdown(&parts.concat()));
    }
}
