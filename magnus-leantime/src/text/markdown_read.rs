//! Reads Markdown into the model.

use comrak::nodes::{AstNode, ListType, NodeValue, TableAlignment};
use comrak::{Arena, Options, parse_document};

use super::model::{Alignment, Block, Inline, Item, List, MAX_CELLS, MAX_DEPTH, Mark, Table};
use super::normalize;

/// The document that a Markdown text describes.
pub(crate) fn read(markdown: &str) -> Vec<Block> {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    options.extension.autolink = true;
    options.parse.relaxed_tasklist_matching = false;
    let arena = Arena::new();
    let root = parse_document(&arena, markdown, &options);
    blocks_of(root, 0)
}

fn blocks_of<'a>(node: &'a AstNode<'a>, depth: usize) -> Vec<Block> {
    normalize::blocks(node.children().filter_map(|child| block(child, depth + 1)).collect())
}

fn block<'a>(node: &'a AstNode<'a>, depth: usize) -> Option<Block> {
    if depth > MAX_DEPTH {
        return Some(Block::Paragraph(normalize::paragraph(vec![Inline::Text(text_below(
            node,
        ))])));
    }
    Some(match &node.data().value {
        NodeValue::Paragraph => Block::Paragraph(normalize::paragraph(inlines_of(node, depth))),
        NodeValue::Heading(heading) => Block::Heading(
            heading.level.clamp(1, 6),
            normalize::single_line(inlines_of(node, depth)),
        ),
        NodeValue::BlockQuote => Block::Quote(blocks_of(node, depth)),
        NodeValue::List(list) => Block::List(List {
            start: (list.list_type == ListType::Ordered).then(|| u32::try_from(list.start).unwrap_or(1)),
            items: node.children().map(|item| item_of(item, depth + 1)).collect(),
        }),
        NodeValue::CodeBlock(code) => Block::Code {
            language: code.info.split_whitespace().next().unwrap_or_default().replace('`', ""),
            text: code.literal.trim_end_matches('\n').to_owned(),
        },
        NodeValue::ThematicBreak => Block::Rule,
        NodeValue::Table(table) if table.alignments.len().saturating_mul(node.children().count()) > MAX_CELLS => {
            Block::Paragraph(normalize::paragraph(vec![Inline::Text(text_of_rows(node))]))
        }
        NodeValue::Table(table) => table_of(node, &table.alignments, depth),
        NodeValue::HtmlBlock(html) => match comment(&html.literal) {
            Some(text) => Block::Comment(text),
            None => Block::Paragraph(normalize::paragraph(vec![Inline::Text(html.literal.clone())])),
        },
        _ => Block::Paragraph(normalize::paragraph(inlines_of(node, depth))),
    })
}

/// The content of a text that is one HTML comment and nothing else.
fn comment(literal: &str) -> Option<String> {
    let content = literal.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
    let plain = !content.contains("--") && !content.starts_with(['>', '-']) && !content.ends_with('-');
    plain.then(|| content.trim().to_owned())
}

fn item_of<'a>(node: &'a AstNode<'a>, depth: usize) -> Item {
    let checked = match &node.data().value {
        NodeValue::TaskItem(task) => Some(task.symbol.is_some()),
        _ => None,
    };
    Item {
        checked,
        blocks: blocks_of(node, depth),
    }
}

fn table_of<'a>(node: &'a AstNode<'a>, alignments: &[TableAlignment], depth: usize) -> Block {
    let alignments: Vec<Alignment> = alignments
        .iter()
        .map(|alignment| match alignment {
            TableAlignment::None => Alignment::None,
            TableAlignment::Left => Alignment::Left,
            TableAlignment::Center => Alignment::Center,
            TableAlignment::Right => Alignment::Right,
        })
        .collect();
    let rows = node
        .children()
        .map(|row| {
            let mut cells: Vec<_> = row
                .children()
                .map(|cell| normalize::cell(inlines_of(cell, depth + 1)))
                .collect();
            cells.resize(alignments.len(), Vec::new());
            cells
        })
        .collect();
    Block::Table(Table { alignments, rows })
}

/// The text of a table, a line for each row.
fn text_of_rows<'a>(table: &'a AstNode<'a>) -> String {
    let mut out = String::new();
    for row in table.children() {
        for cell in row.children() {
            let text = text_below(cell);
            if !text.is_empty() {
                out.push_str(&text);
                out.push(' ');
            }
        }
        out.push('\n');
    }
    out
}

/// A raw tag that is still open, with what was written of it, and what it holds so far.
type Level = (Option<(Mark, String)>, Vec<Inline>);

fn inlines_of<'a>(node: &'a AstNode<'a>, depth: usize) -> Vec<Inline> {
    if depth > MAX_DEPTH {
        return vec![Inline::Text(text_below(node))];
    }
    // Raw tags come one by one; those of a known mark that are opened and closed here become the mark.
    let mut levels: Vec<Level> = vec![(None, Vec::new())];
    for child in node.children() {
        let inline = match &child.data().value {
            NodeValue::HtmlInline(tag) => {
                raw_tag(tag, &mut levels);
                continue;
            }
            NodeValue::Text(text) => Inline::Text(text.to_string()),
            NodeValue::SoftBreak => Inline::Text("\n".to_owned()),
            NodeValue::LineBreak => Inline::HardBreak,
            NodeValue::Code(code) => Inline::Code(code.literal.clone()),
            NodeValue::Emph => Inline::Marked(Mark::Emphasis, inlines_of(child, depth + 1)),
            NodeValue::Strong => Inline::Marked(Mark::Strong, inlines_of(child, depth + 1)),
            NodeValue::Strikethrough => Inline::Marked(Mark::Strikethrough, inlines_of(child, depth + 1)),
            NodeValue::Link(link) => Inline::Link {
                url: link.url.clone(),
                title: link.title.clone(),
                content: inlines_of(child, depth + 1),
            },
            NodeValue::Image(link) => Inline::Image {
                url: link.url.clone(),
                title: link.title.clone(),
                alt: text_below(child),
            },
            _ => Inline::Text(text_below(child)),
        };
        append(&mut levels, inline);
    }
    while levels.len() > 1 {
        close_unmatched(&mut levels);
    }
    levels.pop().map(|(_, content)| content).unwrap_or_default()
}

fn append(levels: &mut [Level], inline: Inline) {
    if let Some((_, content)) = levels.last_mut() {
        content.push(inline);
    }
}

fn close_unmatched(levels: &mut Vec<Level>) {
    if let Some((Some((_, tag)), content)) = levels.pop() {
        append(levels, Inline::Text(tag));
        content.into_iter().for_each(|inline| append(levels, inline));
    }
}

fn raw_tag(tag: &str, levels: &mut Vec<Level>) {
    if comment(tag).is_some() {
        return;
    }
    let name = tag
        .trim_start_matches(['<', '/'])
        .trim_end_matches(['>', '/'])
        .trim()
        .to_ascii_lowercase();
    // OpenProject marks whom a text mentions; elsewhere the name alone stays, and notifies nobody.
    if name.split_whitespace().next() == Some("mention") {
        return;
    }
    let closing = tag.starts_with("</");
    match (name.as_str(), Mark::of_element(&name)) {
        ("br", _) if !closing => append(levels, Inline::HardBreak),
        (_, Some(mark)) if !closing && levels.len() < MAX_DEPTH => {
            levels.push((Some((mark, tag.to_owned())), Vec::new()));
        }
        (_, Some(mark))
            if closing
                && levels
                    .iter()
                    .any(|level| matches!(&level.0, Some((open, _)) if *open == mark)) =>
        {
            while !matches!(levels.last(), Some((Some((open, _)), _)) if *open == mark) {
                close_unmatched(levels);
            }
            if let Some((_, content)) = levels.pop() {
                append(levels, Inline::Marked(mark, content));
            }
        }
        _ => append(levels, Inline::Text(tag.to_owned())),
    }
}

fn text_below<'a>(node: &'a AstNode<'a>) -> String {
    let mut out = String::new();
    for below in node.descendants() {
        match &below.data().value {
            NodeValue::Text(text) => out.push_str(text),
            NodeValue::Code(code) => out.push_str(&code.literal),
            NodeValue::CodeBlock(code) => out.push_str(&code.literal),
            NodeValue::HtmlInline(tag) => out.push_str(tag),
            NodeValue::HtmlBlock(html) => out.push_str(&html.literal),
            NodeValue::SoftBreak | NodeValue::LineBreak | NodeValue::Paragraph => out.push('\n'),
            _ => {}
        }
    }
    out
}
