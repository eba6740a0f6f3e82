//! Markdown as HTML that can do no harm.

use std::collections::HashSet;
use std::sync::LazyLock;

use ammonia::Builder;

/// Descriptions beyond this are shown as the text they are: nobody reads them as a page.
const LONGEST: usize = 200_000;

/// Elements that remain. No pictures: they would be loaded from elsewhere, which tells others who reads.
static ELEMENTS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    [
        "p",
        "br",
        "hr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "li",
        "strong",
        "b",
        "em",
        "i",
        "del",
        "s",
        "code",
        "pre",
        "blockquote",
        "a",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    ]
    .into()
});

/// How deep elements may lie within each other: to clean one takes as many steps as it lies deep.
const DEEPEST: usize = 100;

/// Renders Markdown, HTML in it included, and takes away whatever could do harm. It takes up to some ten milliseconds: not for
/// a thread that others wait for.
pub(crate) fn html(markdown: &str) -> String {
    let as_text = || format!("<pre>{}</pre>", ammonia::clean_text(markdown));
    if markdown.len() > LONGEST {
        return as_text();
    }
    let mut options = comrak::Options::default();
    options.extension.autolink = true;
    options.extension.strikethrough = true;
    options.extension.table = true;
    options.extension.tasklist = true;
    options.render.hardbreaks = true;
    // HTML in the text goes on to the sanitiser, so that what is harmless in it is seen.
    options.render.r#unsafe = true;
    let rendered = comrak::markdown_to_html(markdown, &options);
    if depth(&rendered) > DEEPEST {
        return as_text();
    }
    Builder::new()
        .tags(ELEMENTS.clone())
        .generic_attributes(HashSet::new())
        .tag_attributes([("a", HashSet::from(["href"]))].into())
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .clean(&rendered)
        .to_string()
}

/// How many elements are open at most, counted as if each were closed by itself.
fn depth(html: &str) -> usize {
    let mut open: usize = 0;
    let mut deepest = 0;
    for tag in html.split('<').skip(1) {
        let name: String = tag
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_lowercase())
            .collect();
        if tag.starts_with('/') {
            open = open.saturating_sub(1);
        } else if !name.is_empty() && !EMPTY.contains(&name.as_str()) {
            open += 1;
            deepest = deepest.max(open);
        }
    }
    deepest
}

/// Elements that nothing lies within.
const EMPTY: [&str; 5] = ["br", "hr", "img", "input", "wbr"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_is_shown_as_it_is_meant() {
        let shown = html("# Plan\n\n- **bold** and `code`\n- [a link](https://example.org/?a=1&b=2)\n\n~~gone~~");
        assert!(shown.contains("<h1>Plan</h1>"), "{shown}");
        assert!(shown.contains("<strong>bold</strong> and <code>code</code>"), "{shown}");
        assert!(shown.contains("href=\"https://example.org/?a=1&amp;b=2\""), "{shown}");
        assert!(shown.contains("<del>gone</del>"), "{shown}");
    }

    #[test]
    fn nothing_in_a_description_runs_loads_or_leads_astray() {
        for harmful in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "![a picture](https://elsewhere.example/x.png)",
            "[a link](javascript:alert(1))",
            "<a href=\"java\nscript:alert(1)\">x</a>",
            "<svg/onload=alert(1)>",
            "<iframe src=\"https://elsewhere.example\"></iframe>",
            "<p style=\"position:fixed\" onclick=\"alert(1)\" id=main class=top>x</p>",
            "<form action=\"https://elsewhere.example\"><input name=a></form>",
            "<base href=\"https://elsewhere.example\">",
            "<style>*{display:none}</style>",
            "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
            "[x](data:text/html;base64,PHNjcmlwdD4=)",
        ] {
            let shown = html(harmful);
            let tags = tags(&shown).to_lowercase();
            for forbidden in [
                "script",
                "img",
                "svg",
                "iframe",
                "form",
                "input",
                "base",
                "style",
                "math",
                "onerror",
                "onload",
                "onclick",
                "id=",
                "class=",
                "javascript",
                "data:",
                "src=",
            ] {
                assert!(!tags.contains(forbidden), "{harmful:?} became {shown:?}");
            }
        }
    }

    /// What stands within tags; the rest is text.
    fn tags(html: &str) -> String {
        let pieces = html.split('<').skip(1);
        pieces
            .filter_map(|piece| piece.split('>').next())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn what_is_too_long_is_text() {
        let shown = html(&"<b>x</b> ".repeat(LONGEST));
        assert!(shown.starts_with("<pre>") && !shown.contains("<b>"));
    }

    #[test]
    fn what_lies_too_deep_is_text() {
        for deep in [
            ">".repeat(LONGEST - 2) + " x",
            "<div>".repeat(LONGEST / 6) + "x",
            "> - ".repeat(LONGEST / 5) + "x",
            "<b><i>".repeat(DEEPEST) + "x",
        ] {
            let shown = html(&deep);
            assert!(shown.starts_with("<pre>"), "{}", &shown[..shown.len().min(80)]);
        }
        let quoted = html(&(">".repeat(20) + " twenty voices"));
        assert_eq!(quoted.matches("<blockquote>").count(), 20);
        let broken = html(&"a line<br>\n".repeat(500));
        assert!(broken.starts_with("<p>"), "{}", &broken[..80]);
    }
}
