//! Writes the model as the HTML that Leantime's editor writes itself.

use super::escape::{attribute, text};
use super::model::{Alignment, Block, Inline, List, Table};

/// The document as HTML, without line breaks between its blocks.
pub(crate) fn write(blocks: &[Block]) -> String {
    let mut out = String::new();
    write_blocks(blocks, &mut out);
    out
}

fn write_blocks(blocks: &[Block], out: &mut String) {
    for block in blocks {
        match block {
            Block::Paragraph(content) => wrap("p", content, out),
            Block::Heading(level, content) => wrap(&format!("h{level}"), content, out),
            Block::Quote(content) => {
                out.push_str("<blockquote>");
                write_blocks(content, out);
                out.push_str("</blockquote>");
            }
            Block::List(list) => write_list(list, out),
            Block::Code { language, text: code } => {
                out.push_str("<pre><code");
                if !language.is_empty() {
                    out.push_str(&format!(" class=\"language-{}\"", attribute(language)));
                }
                out.push('>');
                out.push_str(&text(code));
                out.push_str("</code></pre>");
            }
            Block::Rule => out.push_str("<hr>"),
            Block::Table(table) => write_table(table, out),
            Block::Comment(comment) => out.push_str(&format!("<!-- {comment} -->")),
        }
    }
}

fn wrap(element: &str, content: &[Inline], out: &mut String) {
    out.push_str(&format!("<{element}>"));
    write_inlines(content, out);
    out.push_str(&format!("</{element}>"));
}

fn write_list(list: &List, out: &mut String) {
    let tasks = list.items.iter().any(|item| item.checked.is_some());
    let (open, close) = match list.start {
        Some(1) => ("<ol>".to_owned(), "</ol>"),
        Some(start) => (format!("<ol start=\"{start}\">"), "</ol>"),
        None if tasks => ("<ul data-type=\"taskList\">".to_owned(), "</ul>"),
        None => ("<ul>".to_owned(), "</ul>"),
    };
    out.push_str(&open);
    for item in &list.items {
        match item.checked {
            Some(checked) => {
                out.push_str(&format!("<li data-type=\"taskItem\" data-checked=\"{checked}\">"));
            }
            None => out.push_str("<li>"),
        }
        write_blocks(&item.blocks, out);
        out.push_str("</li>");
    }
    out.push_str(close);
}

fn write_table(table: &Table, out: &mut String) {
    out.push_str("<table><tbody>");
    for (number, row) in table.rows.iter().enumerate() {
        let element = if number == 0 { "th" } else { "td" };
        out.push_str("<tr>");
        for (cell, alignment) in row.iter().zip(&table.alignments) {
            let style = match alignment {
                Alignment::None => "",
                Alignment::Left => " style=\"text-align: left\"",
                Alignment::Center => " style=\"text-align: center\"",
                Alignment::Right => " style=\"text-align: right\"",
            };
            out.push_str(&format!("<{element}{style}>"));
            write_inlines(cell, out);
            out.push_str(&format!("</{element}>"));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
}

fn write_inlines(inlines: &[Inline], out: &mut String) {
    for inline in inlines {
        match inline {
            Inline::Text(literal) => out.push_str(&text(literal)),
            Inline::Code(code) => out.push_str(&format!("<code>{}</code>", text(code))),
            Inline::Marked(mark, content) => wrap(mark.element(), content, out),
            Inline::Link { url, title, content } => {
                out.push_str(&format!("<a href=\"{}\"{}>", attribute(url), title_attribute(title)));
                write_inlines(content, out);
                out.push_str("</a>");
            }
            Inline::Image { url, title, alt } => out.push_str(&format!(
                "<img src=\"{}\" alt=\"{}\"{}>",
                attribute(url),
                attribute(alt),
                title_attribute(title)
            )),
            Inline::HardBreak => out.push_str("<br>"),
        }
    }
}

fn title_attribute(title: &str) -> String {
    if title.is_empty() {
        String::new()
    } else {
        format!(" title=\"{}\"", attribute(title))
    }
}
