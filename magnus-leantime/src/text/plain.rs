//! Descriptions that are not HTML, or too hostile to be read as such.

use super::model::{Block, Inline};
use super::normalize;

/// Larger inputs are not parsed. Leantime itself cuts a description at 65,535 bytes.
const MAX_BYTES: usize = 1 << 20;

/// More elements than this open at once are not written by any editor, and make a parser slow.
const MAX_OPEN: usize = 64;

const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "address",
    "article",
    "aside",
    "audio",
    "b",
    "bdi",
    "bdo",
    "big",
    "blockquote",
    "body",
    "br",
    "button",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "details",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "fieldset",
    "figcaption",
    "figure",
    "font",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hgroup",
    "hr",
    "html",
    "i",
    "iframe",
    "img",
    "input",
    "ins",
    "kbd",
    "label",
    "legend",
    "li",
    "main",
    "mark",
    "math",
    "menu",
    "nav",
    "object",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "script",
    "section",
    "select",
    "small",
    "span",
    "strike",
    "strong",
    "style",
    "sub",
    "summary",
    "sup",
    "svg",
    "table",
    "tbody",
    "td",
    "template",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "time",
    "title",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
    "video",
    "wbr",
];

/// Elements that are never nested by being left open.
const UNNESTED: &[&str] = &[
    "br", "col", "dd", "dt", "hr", "img", "input", "li", "p", "tbody", "td", "tfoot", "th", "thead", "tr", "wbr",
];

/// Whether a name is an element of HTML.
pub(crate) fn is_element(name: &str) -> bool {
    ELEMENTS.binary_search(&name).is_ok()
}

/// Whether a text holds at least one tag of HTML, or a comment.
pub(crate) fn looks_like_html(text: &str) -> bool {
    text.contains("<!--") || tags(text).any(|(name, _)| is_element(&name))
}

/// Whether a text is too large or too deeply nested to be parsed in bounded time.
pub(crate) fn is_hostile(html: &str) -> bool {
    if html.len() > MAX_BYTES {
        return true;
    }
    let mut open = 0_usize;
    for (name, closing) in tags(html) {
        if UNNESTED.binary_search(&name.as_str()).is_ok() {
            continue;
        }
        open = if closing { open.saturating_sub(1) } else { open + 1 };
        if open > MAX_OPEN {
            return true;
        }
    }
    false
}

/// The tags of a text, each with its name in lower case and whether it closes.
fn tags(text: &str) -> impl Iterator<Item = (String, bool)> + '_ {
    text.match_indices('<').filter_map(|(at, _)| {
        let rest = &text[at + 1..];
        let closing = rest.starts_with('/');
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        let end = rest.bytes().take(32).position(|b| !(b.is_ascii_alphanumeric()))?;
        let delimited = matches!(rest.as_bytes()[end], b'>' | b'/' | b' ' | b'\t' | b'\n' | b'\r' | 0xc);
        (end > 0 && delimited && rest.as_bytes()[0].is_ascii_alphabetic())
            .then(|| (rest[..end].to_ascii_lowercase(), closing))
    })
}

/// Paragraphs from a text: an empty line separates them, a line feed is a break.
pub(crate) fn read_text(text: &str) -> Vec<Block> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut blocks = Vec::new();
    let mut lines: Vec<Inline> = Vec::new();
    for line in text.split('\n') {
        if line.trim().is_empty() {
            blocks.push(Block::Paragraph(normalize::paragraph(std::mem::take(&mut lines))));
        } else {
            lines.push(Inline::Text(line.to_owned()));
            lines.push(Inline::HardBreak);
        }
    }
    blocks.push(Block::Paragraph(normalize::paragraph(lines)));
    normalize::blocks(blocks)
}

/// What is left of HTML without its tags; one pass, whatever the input.
pub(crate) fn strip_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len().min(MAX_BYTES));
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        out.push_str(&rest[..start]);
        let tag = &rest[start..];
        match tag.find('>') {
            Some(end) if tag[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!') => {
                out.push('\n');
                rest = &tag[end + 1..];
            }
            Some(_) => {
                out.push('<');
                rest = &tag[1..];
            }
            None => {
                out.push_str(tag);
                rest = "";
            }
        }
    }
    out.push_str(rest);
    decode_references(&out)
}

/// Replaces the character references that matter in plain text.
pub(crate) fn decode_references(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        let reference = &rest[start + 1..];
        let end = reference.bytes().take(12).position(|b| b == b';');
        match end.and_then(|end| decode(&reference[..end]).map(|c| (c, end))) {
            Some((c, end)) => {
                out.push(c);
                rest = &reference[end + 1..];
            }
            None => {
                out.push('&');
                rest = reference;
            }
        }
    }
    out.push_str(rest);
    out
}

fn decode(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "hellip" => '…',
        "ndash" => '–',
        "mdash" => '—',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|c| *c != '\0')?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{ELEMENTS, UNNESTED};

    #[test]
    fn element_lists_are_sorted_for_binary_search() {
        assert!(ELEMENTS.is_sorted());
        assert!(UNNESTED.is_sorted());
    }
}
