//! Writes the model as Markdown, and checks that Markdown reads it back as the same document.

use super::escape::{self, Care};
use super::markdown_read;
use super::model::{Alignment, Block, Inline, Item, List, Mark, Table, plain_text};

/// The document as Markdown, without a line feed at its end.
///
/// A block is written with few escapes first. If that does not read back as the same block (a run of asterisks, a
/// mark in the middle of a word), it is written again with every escape and with tags instead of the doubtful marks.
pub(crate) fn write(blocks: &[Block]) -> String {
    let usual = Writer { care: Care::Usual }.blocks(blocks);
    if reads_as(&usual, blocks) {
        return usual;
    }
    let mut out = String::new();
    let mut previous = None;
    for block in blocks {
        let light = Writer { care: Care::Usual }.block(block, flips(previous, block));
        let text = if reads_as(&light, std::slice::from_ref(block)) {
            light
        } else {
            Writer { care: Care::Strict }.block(block, flips(previous, block))
        };
        append(&mut out, &text);
        previous = Some((block, flips(previous, block)));
    }
    out
}

/// Whether a Markdown text reads as these blocks. An address in the text that became a link is still the same text.
fn reads_as(markdown: &str, blocks: &[Block]) -> bool {
    let read = markdown_read::read(markdown);
    read == blocks || (read.len() == blocks.len() && without_bare_links(read) == without_bare_links(blocks.to_vec()))
}

fn append(out: &mut String, block: &str) {
    if !out.is_empty() {
        out.push_str("\n\n");
    }
    out.push_str(block);
}

/// Whether a list needs the other marker, lest it continue the list before it.
fn flips(previous: Option<(&Block, bool)>, block: &Block) -> bool {
    match (previous, block) {
        (Some((Block::List(before), flipped)), Block::List(list)) => {
            before.start.is_some() == list.start.is_some() && !flipped
        }
        _ => false,
    }
}

struct Writer {
    care: Care,
}

impl Writer {
    fn blocks(&self, blocks: &[Block]) -> String {
        self.joined(blocks, "\n\n")
    }

    fn joined(&self, blocks: &[Block], separator: &str) -> String {
        let mut out = String::new();
        let mut previous = None;
        for block in blocks {
            let flip = flips(previous, block);
            if previous.is_some() {
                out.push_str(separator);
            }
            out.push_str(&self.block(block, flip));
            previous = Some((block, flip));
        }
        out
    }

    fn block(&self, block: &Block, flip: bool) -> String {
        match block {
            Block::Paragraph(content) => self.paragraph(content),
            Block::Heading(level, content) => {
                let mut text = self.inlines(content, false);
                // A closing run of # would be taken for part of the heading's frame.
                let before = text.trim_end_matches('#');
                if before.len() < text.len() && !before.ends_with('\\') {
                    text.insert(text.len() - 1, '\\');
                }
                format!("{} {text}", "#".repeat(usize::from(*level)))
            }
            Block::Quote(content) => prefixed(&self.blocks(content), "> ", "> "),
            Block::List(list) => self.list(list, flip),
            Block::Code { language, text } => code_block(language, text),
            Block::Rule => "---".to_owned(),
            Block::Table(table) => self.table(table),
            Block::Comment(text) => format!("<!-- {text} -->"),
        }
    }

    fn paragraph(&self, content: &[Inline]) -> String {
        self.inlines(content, false)
            .split('\n')
            .map(escape::line_start)
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn list(&self, list: &List, flip: bool) -> String {
        let tight = list.items.iter().all(is_tight);
        let numbers = u64::from(list.start.unwrap_or(0))..;
        let mut out = String::new();
        for (number, item) in numbers.zip(&list.items) {
            if !out.is_empty() {
                out.push_str(if tight { "\n" } else { "\n\n" });
            }
            let marker = match list.start {
                Some(_) => format!("{number}{} ", if flip { ')' } else { '.' }),
                None => format!("{} ", if flip { '*' } else { '-' }),
            };
            let mut text = self.joined(&item.blocks, if tight { "\n" } else { "\n\n" });
            if let Some(Block::Rule) = item.blocks.first() {
                // After a list's own marker, dashes would make the whole line a rule.
                text.replace_range(.."---".len(), "___");
            }
            if let Some(checked) = item.checked {
                text = format!("[{}] {text}", if checked { 'x' } else { ' ' });
            }
            out.push_str(&prefixed(&text, &marker, &" ".repeat(marker.len())));
        }
        out
    }

    fn table(&self, table: &Table) -> String {
        let mut lines = Vec::with_capacity(table.rows.len() + 1);
        for (at, row) in table.rows.iter().enumerate() {
            let cells: Vec<String> = row.iter().map(|cell| self.inlines(cell, true)).collect();
            lines.push(format!("| {} |", cells.join(" | ")));
            if at == 0 {
                let rules: Vec<&str> = table
                    .alignments
                    .iter()
                    .map(|alignment| match alignment {
                        Alignment::None => "---",
                        Alignment::Left => ":--",
                        Alignment::Center => ":-:",
                        Alignment::Right => "--:",
                    })
                    .collect();
                lines.push(format!("| {} |", rules.join(" | ")));
            }
        }
        lines.join("\n")
    }

    fn inlines(&self, inlines: &[Inline], in_table: bool) -> String {
        let mut out = String::new();
        for (at, inline) in inlines.iter().enumerate() {
            let next = inlines.get(at + 1);
            match inline {
                Inline::Text(text) => out.push_str(&escape::markdown(text, self.care, in_table)),
                Inline::Code(code) => out.push_str(&code_span(code, in_table)),
                Inline::HardBreak => out.push_str(if in_table || self.care == Care::Strict {
                    "<br>"
                } else {
                    "\\\n"
                }),
                Inline::Marked(mark, content) => {
                    let content = self.inlines(content, in_table);
                    let (open, close) = self.delimiters(*mark, &out, next);
                    out.push_str(&format!("{open}{content}{close}"));
                }
                Inline::Link { url, title, content } => {
                    let text = self.inlines(content, in_table);
                    let usual = self.care == Care::Usual && title.is_empty();
                    let own = usual.then(|| autolink(url, &plain_text(content), &out, next));
                    if let Some(own) = own.flatten().filter(|own| !in_table || !own.contains('|')) {
                        out.push_str(&own);
                    } else {
                        out.push_str(&format!(
                            "[{}]({})",
                            close_brackets(&text),
                            destination(url, title, in_table)
                        ));
                    }
                }
                Inline::Image { url, title, alt } => {
                    let alt = close_brackets(&escape::markdown(alt, self.care, in_table));
                    out.push_str(&format!("![{alt}]({})", destination(url, title, in_table)));
                }
            }
        }
        out
    }

    fn delimiters(&self, mark: Mark, before: &str, next: Option<&Inline>) -> (String, String) {
        let in_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let delimiter = match (mark, self.care) {
            (Mark::Emphasis, Care::Usual) => {
                let word = in_word(before.chars().next_back()) || in_word(next_char(next));
                Some(if word { "*" } else { "_" })
            }
            (Mark::Strong, Care::Usual) => Some("**"),
            (Mark::Strikethrough, Care::Usual) => Some("~~"),
            _ => None,
        };
        match delimiter {
            Some(delimiter) => (delimiter.to_owned(), delimiter.to_owned()),
            None => (format!("<{}>", mark.element()), format!("</{}>", mark.element())),
        }
    }
}

fn next_char(next: Option<&Inline>) -> Option<char> {
    match next? {
        Inline::Text(text) => text.chars().next(),
        _ => None,
    }
}

fn is_tight(item: &Item) -> bool {
    item.blocks.iter().enumerate().all(|(at, block)| match block {
        Block::Paragraph(_) => at == 0,
        // A list that does not begin with 1 cannot follow a text without an empty line between.
        Block::List(list) => at == 0 || list.start.is_none_or(|start| start == 1),
        _ => false,
    })
}

fn prefixed(text: &str, first: &str, rest: &str) -> String {
    let lines = text.split('\n').enumerate().map(|(at, line)| {
        let prefix = if at == 0 { first } else { rest };
        if line.is_empty() {
            prefix.trim_end().to_owned()
        } else {
            format!("{prefix}{line}")
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn code_block(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
    format!(
        "{fence}{language}\n{}{}{fence}",
        text,
        if text.is_empty() { "" } else { "\n" }
    )
}

fn code_span(code: &str, in_table: bool) -> String {
    let fence = "`".repeat(shortest_free_run(code));
    let code = if in_table {
        code.replace('|', "\\|")
    } else {
        code.to_owned()
    };
    let padded = code.starts_with('`') || code.ends_with('`') || (code.starts_with(' ') && code.ends_with(' '));
    let pad = if padded { " " } else { "" };
    format!("{fence}{pad}{code}{pad}{fence}")
}

fn runs(text: &str, of: char) -> Vec<usize> {
    text.split(|c| c != of).map(str::len).collect()
}

fn longest_run(text: &str, of: char) -> usize {
    runs(text, of).into_iter().max().unwrap_or(0)
}

fn shortest_free_run(text: &str) -> usize {
    let taken = runs(text, '`');
    (1..).find(|length| !taken.contains(length)).unwrap_or(1)
}

/// A bracket that was not escaped would end a link's text.
fn close_brackets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut escaped = false;
    for c in text.chars() {
        if c == ']' && !escaped && !text.contains("](") {
            out.push('\\');
        }
        escaped = c == '\\' && !escaped;
        out.push(c);
    }
    out
}

fn destination(url: &str, title: &str, in_table: bool) -> String {
    let mut url = url.replace('&', "&amp;");
    if !url.contains("&amp;") || !url.contains(';') || is_harmless(&url) {
        url = url.replace("&amp;", "&");
    }
    if url.is_empty() || url.contains(['(', ')']) {
        url = format!("<{url}>");
    }
    let title = title.replace('\\', "\\\\").replace('"', "\\\"").replace('&', "&amp;");
    let both = if title.is_empty() {
        url
    } else {
        format!("{url} \"{title}\"")
    };
    if in_table { both.replace('|', "\\|") } else { both }
}

/// Whether no ampersand of an address could be read as a character reference.
fn is_harmless(escaped: &str) -> bool {
    escaped.split("&amp;").skip(1).all(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '#'));
        !end.is_some_and(|end| rest[end..].starts_with(';'))
    })
}

/// A link to the address that is its own text: bare where that is read as one, else in angle brackets.
fn autolink(url: &str, text: &str, before: &str, next: Option<&Inline>) -> Option<String> {
    let web = url == text && (url.starts_with("https://") || url.starts_with("http://"));
    let mail = url.strip_prefix("mailto:") == Some(text);
    let short = url.strip_prefix("http://") == Some(text) && text.starts_with("www.");
    if !(web || mail || short) {
        return None;
    }
    let clear = before.is_empty() || before.ends_with([' ', '\n']);
    let ends = text.ends_with(|c: char| c.is_ascii_alphanumeric() || (c == '/' && !mail));
    let plain = !text.contains(['_', '*', '|', '[', ']', '~', '&', '<', '(', ')', '\'']);
    if clear && ends && plain && next.is_none_or(ends_address) {
        return Some(text.to_owned());
    }
    (web || mail).then(|| format!("<{text}>"))
}

/// Whether a bare address before this is not continued by it: by white space, or by the end of a sentence.
fn ends_address(next: &Inline) -> bool {
    let Inline::Text(text) = next else { return false };
    let mut rest = text.trim_start_matches(['.', ',', ';', ':', '!', '?']).chars();
    rest.next().is_none_or(char::is_whitespace)
}

/// Blocks in which an address linked to itself is text, and neighbouring texts are one.
fn without_bare_links(blocks: Vec<Block>) -> Vec<Block> {
    blocks
        .into_iter()
        .map(|block| match block {
            Block::Paragraph(content) => Block::Paragraph(unlinked(content)),
            Block::Heading(level, content) => Block::Heading(level, unlinked(content)),
            Block::Quote(content) => Block::Quote(without_bare_links(content)),
            Block::List(list) => Block::List(List {
                items: list
                    .items
                    .into_iter()
                    .map(|item| Item {
                        checked: item.checked,
                        blocks: without_bare_links(item.blocks),
                    })
                    .collect(),
                ..list
            }),
            Block::Table(table) => Block::Table(Table {
                rows: table
                    .rows
                    .into_iter()
                    .map(|row| row.into_iter().map(unlinked).collect())
                    .collect(),
                ..table
            }),
            other => other,
        })
        .collect()
}

fn unlinked(inlines: Vec<Inline>) -> Vec<Inline> {
    let mut out: Vec<Inline> = Vec::new();
    for inline in inlines {
        let inline = match inline {
            Inline::Link { url, title, content } if title.is_empty() => {
                let text = plain_text(&content);
                let same = url == text
                    || url.strip_prefix("mailto:") == Some(&text)
                    || url.strip_prefix("http://") == Some(&text);
                if same {
                    Inline::Text(text)
                } else {
                    Inline::Link {
                        url,
                        title,
                        content: unlinked(content),
                    }
                }
            }
            Inline::Marked(mark, content) => Inline::Marked(mark, unlinked(content)),
            other => other,
        };
        match (out.last_mut(), inline) {
            (Some(Inline::Text(last)), Inline::Text(text)) => last.push_str(&text),
            (_, inline) => out.push(inline),
        }
    }
    out
}
