//! Reads HTML into the model.

use scraper::{ElementRef, Html, Node};

use super::model::{Alignment, Block, Inline, Item, List, MAX_CELLS, MAX_DEPTH, Mark, Table, plain_text};
use super::normalize;

/// The document that an HTML fragment describes.
pub(crate) fn read(html: &str) -> Vec<Block> {
    let fragment = Html::parse_fragment(html);
    let mut reader = Reader::default();
    reader.children(fragment.root_element(), 0);
    reader.finish()
}

/// Collects blocks; inlines between them gather in an open paragraph.
#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    open: Vec<Inline>,
}

impl Reader {
    fn finish(mut self) -> Vec<Block> {
        self.flush();
        normalize::blocks(self.blocks)
    }

    fn flush(&mut self) {
        let content = normalize::paragraph(std::mem::take(&mut self.open));
        self.push(Block::Paragraph(content));
    }

    fn push(&mut self, block: Block) {
        self.blocks.push(block);
    }

    fn block(&mut self, block: Block) {
        self.flush();
        self.push(block);
    }

    fn children(&mut self, element: ElementRef<'_>, depth: usize) {
        for child in element.children() {
            match child.value() {
                Node::Text(text) => self.open.push(Inline::Text(text.to_string())),
                Node::Comment(comment) if self.open.iter().all(is_blank) => {
                    let text = comment.trim();
                    if !text.contains("--") && !text.starts_with(['>', '-']) && !text.ends_with('-') {
                        self.block(Block::Comment(text.to_owned()));
                    }
                }
                Node::Element(_) => {
                    if let Some(element) = ElementRef::wrap(child) {
                        self.element(element, depth + 1);
                    }
                }
                _ => {}
            }
        }
    }

    fn element(&mut self, element: ElementRef<'_>, depth: usize) {
        if depth > MAX_DEPTH {
            self.open.push(Inline::Text(text_below(element)));
            return;
        }
        match element.value().name() {
            "script" | "style" | "template" | "head" | "title" | "svg" | "math" | "object" | "colgroup" | "audio"
            | "video" | "select" | "textarea" => {}
            "p" | "div" | "section" | "article" | "header" | "footer" | "main" | "nav" | "aside" | "figure"
            | "figcaption" | "details" | "summary" | "address" | "center" | "form" | "fieldset" | "legend" | "dl"
            | "dt" | "dd" | "caption" | "hgroup" | "li" => {
                self.flush();
                self.children(element, depth);
                self.flush();
            }
            name @ ("h1" | "h2" | "h3" | "h4" | "h5" | "h6") => {
                let level = name.as_bytes()[1] - b'0';
                self.block(Block::Heading(level, normalize::single_line(inlines(element, depth))));
            }
            "blockquote" => self.block(Block::Quote(nested(element, depth))),
            "ul" | "ol" | "menu" => self.block(Block::List(list(element, depth))),
            "pre" => self.block(code_block(element)),
            "hr" => self.block(Block::Rule),
            "table" => self.table(element, depth),
            _ if has_block(element) => {
                self.flush();
                self.children(element, depth);
                self.flush();
            }
            _ => inline(element, depth, &mut self.open),
        }
    }

    fn table(&mut self, element: ElementRef<'_>, depth: usize) {
        let mut rows: Vec<(Vec<Vec<Inline>>, Vec<Alignment>)> = Vec::new();
        collect_rows(element, depth, &mut rows);
        let columns = rows.iter().map(|(cells, _)| cells.len()).max().unwrap_or(0);
        if columns.saturating_mul(rows.len()) > MAX_CELLS {
            for (cells, _) in rows {
                let text = cells.iter().map(|cell| plain_text(cell)).collect::<Vec<_>>().join(" ");
                self.block(Block::Paragraph(normalize::paragraph(vec![Inline::Text(text)])));
            }
            return;
        }
        let mut alignments = rows
            .first()
            .map(|(_, alignments)| alignments.clone())
            .unwrap_or_default();
        alignments.resize(columns, Alignment::None);
        let rows = rows
            .into_iter()
            .map(|(mut cells, _)| {
                cells.resize(columns, Vec::new());
                cells
            })
            .collect();
        self.block(Block::Table(Table { alignments, rows }));
    }
}

fn is_blank(inline: &Inline) -> bool {
    matches!(inline, Inline::Text(text) if text.trim().is_empty())
}

fn nested(element: ElementRef<'_>, depth: usize) -> Vec<Block> {
    let mut reader = Reader::default();
    reader.children(element, depth);
    reader.finish()
}

fn list(element: ElementRef<'_>, depth: usize) -> List {
    let ordered = element.value().name() == "ol";
    let start = ordered.then(|| element.attr("start").and_then(|start| start.parse().ok()).unwrap_or(1));
    let mut items: Vec<Item> = Vec::new();
    for child in element.child_elements() {
        if child.value().name() == "li" {
            let checked = checkbox(child);
            items.push(Item {
                checked,
                blocks: nested(child, depth + 1),
            });
        } else {
            // A list straight inside a list belongs to the item before it.
            let mut reader = Reader::default();
            reader.element(child, depth + 1);
            let blocks = reader.finish();
            match items.last_mut() {
                Some(item) => item.blocks.extend(blocks),
                None => items.push(Item { checked: None, blocks }),
            }
        }
    }
    List { start, items }
}

/// Whether an item is a task, and done: the editor's own attribute, or a check box at its beginning.
fn checkbox(item: ElementRef<'_>) -> Option<bool> {
    if let Some(checked) = item.attr("data-checked") {
        return Some(checked == "true" || checked == "checked");
    }
    let mut at = Some(item);
    while let Some(element) = at {
        if element.value().name() == "input" {
            return (element.attr("type") == Some("checkbox")).then(|| element.attr("checked").is_some());
        }
        let first = element
            .children()
            .find(|child| !matches!(child.value(), Node::Text(text) if text.trim().is_empty()));
        at = first
            .and_then(ElementRef::wrap)
            .filter(|first| matches!(first.value().name(), "input" | "label" | "p"));
    }
    None
}

fn code_block(element: ElementRef<'_>) -> Block {
    let language = std::iter::once(element)
        .chain(element.child_elements().filter(|child| child.value().name() == "code"))
        .flat_map(|element| element.value().classes())
        .find_map(|class| class.strip_prefix("language-").or_else(|| class.strip_prefix("lang-")))
        .map(|language| language.replace('`', ""))
        .unwrap_or_default();
    let mut text = String::new();
    for node in element.descendants() {
        match node.value() {
            Node::Text(piece) => text.push_str(piece),
            Node::Element(element) if element.name() == "br" => text.push('\n'),
            _ => {}
        }
    }
    let text = text.replace("\r\n", "\n").replace(['\r', '\0'], "");
    Block::Code {
        language,
        text: text.trim_end_matches('\n').to_owned(),
    }
}

fn collect_rows(element: ElementRef<'_>, depth: usize, rows: &mut Vec<(Vec<Vec<Inline>>, Vec<Alignment>)>) {
    for child in element.child_elements() {
        match child.value().name() {
            "thead" | "tbody" | "tfoot" if depth <= MAX_DEPTH => collect_rows(child, depth + 1, rows),
            "tr" => {
                let cells = child
                    .child_elements()
                    .filter(|cell| matches!(cell.value().name(), "td" | "th"));
                rows.push(
                    cells
                        .map(|cell| (cell_content(cell, depth + 1), alignment(cell)))
                        .unzip(),
                );
            }
            _ => {}
        }
    }
}

/// A cell holds one line: its blocks are joined by breaks.
fn cell_content(cell: ElementRef<'_>, depth: usize) -> Vec<Inline> {
    let mut out = Vec::new();
    for block in nested(cell, depth) {
        if !out.is_empty() {
            out.push(Inline::HardBreak);
        }
        flatten(block, &mut out);
    }
    normalize::cell(out)
}

fn flatten(block: Block, out: &mut Vec<Inline>) {
    match block {
        Block::Paragraph(content) | Block::Heading(_, content) => out.extend(content),
        Block::Code { text, .. } => out.push(Inline::Code(text)),
        Block::Quote(blocks) => blocks.into_iter().for_each(|block| flatten(block, out)),
        Block::List(list) => {
            for (at, block) in list.items.into_iter().flat_map(|item| item.blocks).enumerate() {
                if at > 0 {
                    out.push(Inline::HardBreak);
                }
                flatten(block, out);
            }
        }
        Block::Table(table) => {
            let text = table
                .rows
                .iter()
                .flatten()
                .map(|cell| plain_text(cell))
                .collect::<Vec<_>>()
                .join(" ");
            out.push(Inline::Text(text));
        }
        Block::Rule | Block::Comment(_) => {}
    }
}

fn alignment(cell: ElementRef<'_>) -> Alignment {
    let style = cell.attr("style").unwrap_or_default().to_ascii_lowercase();
    let from_style = style.split(';').find_map(|rule| {
        let (name, value) = rule.split_once(':')?;
        (name.trim() == "text-align").then(|| value.trim().to_owned())
    });
    let value = from_style
        .or_else(|| cell.attr("align").map(str::to_ascii_lowercase))
        .unwrap_or_default();
    match value.as_str() {
        "left" => Alignment::Left,
        "center" => Alignment::Center,
        "right" => Alignment::Right,
        _ => Alignment::None,
    }
}

fn inlines(element: ElementRef<'_>, depth: usize) -> Vec<Inline> {
    let mut out = Vec::new();
    for child in element.children() {
        match child.value() {
            Node::Text(text) => out.push(Inline::Text(text.to_string())),
            Node::Element(_) => {
                if let Some(element) = ElementRef::wrap(child) {
                    inline(element, depth + 1, &mut out);
                }
            }
            _ => {}
        }
    }
    out
}

fn inline(element: ElementRef<'_>, depth: usize, out: &mut Vec<Inline>) {
    if depth > MAX_DEPTH {
        out.push(Inline::Text(text_below(element)));
        return;
    }
    let name = element.value().name();
    if let Some(mark) = Mark::of_element(name) {
        out.push(Inline::Marked(mark, inlines(element, depth)));
        return;
    }
    match name {
        "br" => out.push(Inline::HardBreak),
        "code" | "tt" | "samp" => out.push(Inline::Code(text_below(element))),
        "a" => {
            let content = inlines(element, depth);
            match element.attr("href") {
                Some(url) => out.push(Inline::Link {
                    url: url.to_owned(),
                    title: element.attr("title").unwrap_or_default().to_owned(),
                    content,
                }),
                None => out.extend(content),
            }
        }
        "img" => out.push(Inline::Image {
            url: element.attr("src").unwrap_or_default().to_owned(),
            title: element.attr("title").unwrap_or_default().to_owned(),
            alt: element.attr("alt").unwrap_or_default().to_owned(),
        }),
        "iframe" => {
            let url = element.attr("src").unwrap_or_default().to_owned();
            out.push(Inline::Link {
                url: url.clone(),
                title: String::new(),
                content: vec![Inline::Text(url)],
            });
        }
        "script" | "style" | "template" | "svg" | "math" | "object" | "input" | "select" | "textarea" => {}
        _ => {
            // Not an element at all, but a placeholder somebody typed: `<server>`.
            if !super::plain::is_element(name) && !name.contains([':', '-']) && name != "mention" {
                out.push(Inline::Text(format!("<{name}>")));
            }
            out.extend(inlines(element, depth));
        }
    }
}

fn has_block(element: ElementRef<'_>) -> bool {
    element.descendants().skip(1).any(|node| {
        matches!(node.value(), Node::Element(element) if matches!(element.name(),
            "p" | "div" | "section" | "article" | "figure" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6"
            | "blockquote" | "ul" | "ol" | "pre" | "hr" | "table" | "li" | "dl"))
    })
}

fn text_below(element: ElementRef<'_>) -> String {
    element.text().collect()
}
