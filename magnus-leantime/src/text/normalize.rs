//! One form for documents that mean the same: white space collapsed and outside of marks, equal neighbours merged,
//! empty pieces dropped, unsafe links unwrapped. Both readers end here, so their results can be compared.

use super::model::{Block, Inline, Table};

/// Inlines in normal form; white space at the edges stays (a caller that makes a block trims it).
pub(crate) fn inlines(input: Vec<Inline>) -> Vec<Inline> {
    let mut out: Vec<Inline> = Vec::with_capacity(input.len());
    for inline in input {
        match inline {
            Inline::Text(text) => push(&mut out, Inline::Text(text.replace('\0', ""))),
            Inline::Code(text) => {
                let text = text.replace(['\n', '\r'], " ").replace('\0', "");
                if !text.trim().is_empty() {
                    push(&mut out, Inline::Code(text));
                }
            }
            Inline::Marked(mark, content) => {
                let (before, content, after) = split_edges(inlines(content));
                push(&mut out, Inline::Text(before));
                if !content.is_empty() {
                    push(&mut out, Inline::Marked(mark, unwrap_same(mark, content)));
                }
                push(&mut out, Inline::Text(after));
            }
            Inline::Link { url, title, content } => {
                let (before, content, after) = split_edges(inlines(unlink(content)));
                push(&mut out, Inline::Text(before));
                match safe_url(&url) {
                    Some(url) if !content.is_empty() => {
                        push(
                            &mut out,
                            Inline::Link {
                                url,
                                title: one_line(&title),
                                content,
                            },
                        );
                    }
                    _ => content.into_iter().for_each(|inline| push(&mut out, inline)),
                }
                push(&mut out, Inline::Text(after));
            }
            Inline::Image { url, title, alt } => match safe_image_url(&url) {
                Some(url) => push(
                    &mut out,
                    Inline::Image {
                        url,
                        title: one_line(&title),
                        alt: one_line(&alt),
                    },
                ),
                None => push(&mut out, Inline::Text(one_line(&alt))),
            },
            Inline::HardBreak => push(&mut out, Inline::HardBreak),
        }
    }
    collapse(out)
}

/// Inlines as the content of a paragraph: normal, and without white space or breaks at the edges.
pub(crate) fn paragraph(input: Vec<Inline>) -> Vec<Inline> {
    split_edges(inlines(input)).1
}

/// Inlines as one line: a heading or a table's header. Breaks become spaces.
pub(crate) fn single_line(input: Vec<Inline>) -> Vec<Inline> {
    paragraph(unbroken(inlines(input), true))
}

/// Inlines as a table's cell: soft breaks become spaces, hard ones stay.
pub(crate) fn cell(input: Vec<Inline>) -> Vec<Inline> {
    paragraph(unbroken(inlines(input), false))
}

/// Blocks without empty ones; neither has a list empty items.
pub(crate) fn blocks(input: Vec<Block>) -> Vec<Block> {
    input
        .into_iter()
        .map(|mut block| {
            if let Block::List(list) = &mut block {
                list.items.retain(|item| !item.blocks.is_empty());
                // In Markdown a check box stands before text; a quote or a table alone cannot have one.
                for item in &mut list.items {
                    item.checked = item
                        .checked
                        .filter(|_| matches!(item.blocks.first(), Some(Block::Paragraph(_))));
                }
            }
            block
        })
        .filter(|block| !is_empty(block))
        .collect()
}

fn is_empty(block: &Block) -> bool {
    match block {
        Block::Paragraph(content) | Block::Heading(_, content) => content.is_empty(),
        Block::Quote(content) => content.is_empty(),
        Block::List(list) => list.items.is_empty(),
        Block::Table(Table { rows, alignments }) => rows.is_empty() || alignments.is_empty(),
        Block::Code { .. } | Block::Rule | Block::Comment(_) => false,
    }
}

fn unbroken(input: Vec<Inline>, hard_too: bool) -> Vec<Inline> {
    input
        .into_iter()
        .map(|inline| match inline {
            Inline::Text(text) => Inline::Text(text.replace(['\n', '\r'], " ")),
            Inline::Marked(mark, content) => Inline::Marked(mark, unbroken(content, hard_too)),
            Inline::Link { url, title, content } => Inline::Link {
                url,
                title,
                content: unbroken(content, hard_too),
            },
            Inline::HardBreak if hard_too => Inline::Text(" ".to_owned()),
            other => other,
        })
        .collect()
}

/// A link cannot hold a link: inner ones keep their text only.
fn unlink(content: Vec<Inline>) -> Vec<Inline> {
    content
        .into_iter()
        .flat_map(|inline| match inline {
            Inline::Link { content, .. } => unlink(content),
            Inline::Marked(mark, content) => vec![Inline::Marked(mark, unlink(content))],
            other => vec![other],
        })
        .collect()
}

fn unwrap_same(mark: super::model::Mark, content: Vec<Inline>) -> Vec<Inline> {
    let flat = content
        .into_iter()
        .flat_map(|inline| match inline {
            Inline::Marked(inner, content) if inner == mark => content,
            other => vec![other],
        })
        .fold(Vec::new(), |mut out, inline| {
            push(&mut out, inline);
            out
        });
    collapse(flat)
}

fn push(out: &mut Vec<Inline>, inline: Inline) {
    match (out.last_mut(), inline) {
        (_, Inline::Text(text)) if text.is_empty() => {}
        (Some(Inline::Text(last)), Inline::Text(text)) => last.push_str(&text),
        (Some(Inline::Code(last)), Inline::Code(text)) => last.push_str(&text),
        (Some(Inline::Marked(last, content)), Inline::Marked(mark, more)) if *last == mark => {
            let mut merged = std::mem::take(content);
            more.into_iter().for_each(|inline| push(&mut merged, inline));
            *content = collapse(merged);
        }
        (_, inline) => out.push(inline),
    }
}

/// Collapses white space in the texts of one level and removes it around hard breaks.
fn collapse(mut input: Vec<Inline>) -> Vec<Inline> {
    for at in 0..input.len() {
        let after_break = at > 0 && matches!(input[at - 1], Inline::HardBreak);
        let before_break = matches!(input.get(at + 1), Some(Inline::HardBreak));
        if let Inline::Text(text) = &mut input[at] {
            let mut collapsed = collapse_text(text);
            if after_break {
                collapsed = collapsed.trim_start().to_owned();
            }
            if before_break {
                collapsed = collapsed.trim_end().to_owned();
            }
            *text = collapsed;
        }
    }
    input.retain(|inline| !matches!(inline, Inline::Text(text) if text.is_empty()));
    input
}

/// Runs of white space become one space, or one line feed when they hold one. Non-breaking spaces stay.
fn collapse_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run: Option<char> = None;
    for c in text.chars() {
        if matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}') {
            let feed = c == '\n' || c == '\r';
            run = Some(if feed || run == Some('\n') { '\n' } else { ' ' });
        } else {
            out.extend(run.take());
            out.push(c);
        }
    }
    out.extend(run);
    out
}

/// Splits white space and hard breaks off both ends: what is before, the rest, what is after.
fn split_edges(mut content: Vec<Inline>) -> (String, Vec<Inline>, String) {
    let (mut before, mut after) = (String::new(), String::new());
    while let Some(first) = content.first_mut() {
        match first {
            Inline::Text(text) => {
                let rest = text.trim_start().to_owned();
                before.push_str(&text[..text.len() - rest.len()]);
                if !rest.is_empty() {
                    *text = rest;
                    break;
                }
            }
            Inline::HardBreak => before.push('\n'),
            _ => break,
        }
        content.remove(0);
    }
    while let Some(last) = content.last_mut() {
        match last {
            Inline::Text(text) => {
                let rest = text.trim_end().to_owned();
                after.insert_str(0, &text[rest.len()..]);
                if !rest.is_empty() {
                    *text = rest;
                    break;
                }
            }
            Inline::HardBreak => after.insert(0, '\n'),
            _ => break,
        }
        content.pop();
    }
    (before, content, after)
}

/// A text on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('\0', "")
}

/// A link's address in the form it is written, if it is safe to click.
pub(crate) fn safe_url(url: &str) -> Option<String> {
    let url = clean_url(url);
    let scheme = scheme_of(&url);
    let safe = match scheme.as_deref() {
        None => !url.is_empty(),
        Some(scheme) => matches!(
            scheme,
            "http" | "https" | "mailto" | "ftp" | "ftps" | "tel" | "sftp" | "ssh" | "git"
        ),
    };
    safe.then_some(url)
}

fn safe_image_url(url: &str) -> Option<String> {
    let cleaned = clean_url(url);
    let lower = cleaned.get(..16).unwrap_or(&cleaned).to_ascii_lowercase();
    let inline_picture = ["data:image/png", "data:image/gif", "data:image/jpeg", "data:image/webp"];
    if inline_picture.iter().any(|prefix| lower.starts_with(prefix)) {
        return Some(cleaned);
    }
    safe_url(&cleaned)
}

fn clean_url(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for c in url.trim().chars() {
        match c {
            c if c.is_control() => {}
            ' ' => out.push_str("%20"),
            '<' => out.push_str("%3C"),
            '>' => out.push_str("%3E"),
            '"' => out.push_str("%22"),
            '\\' => out.push_str("%5C"),
            '`' => out.push_str("%60"),
            c if c.is_whitespace() => out.push_str("%20"),
            c => out.push(c),
        }
    }
    out
}

fn scheme_of(url: &str) -> Option<String> {
    let (scheme, _) = url.split_once(':')?;
    let mut chars = scheme.chars();
    let first = chars.next()?.is_ascii_alphabetic();
    (first && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')))
        .then(|| scheme.to_ascii_lowercase())
}
