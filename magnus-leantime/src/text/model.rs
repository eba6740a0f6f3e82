//! The document model between Markdown and HTML.

/// How deep blocks and inlines may nest; what is deeper is flattened to its text.
pub(crate) const MAX_DEPTH: usize = 40;

/// More cells than this (rows times the widest row) are not a table anybody reads: they become paragraphs.
pub(crate) const MAX_CELLS: usize = 20_000;

/// A block of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    Paragraph(Vec<Inline>),
    Heading(u8, Vec<Inline>),
    Quote(Vec<Block>),
    List(List),
    Code { language: String, text: String },
    Rule,
    Table(Table),
    Comment(String),
}

/// A list; `start` is set for an ordered one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) start: Option<u32>,
    pub(crate) items: Vec<Item>,
}

/// An item of a list; `checked` is set for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) checked: Option<bool>,
    pub(crate) blocks: Vec<Block>,
}

/// A table whose first row is its header. Every row has as many cells as there are alignments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) alignments: Vec<Alignment>,
    pub(crate) rows: Vec<Vec<Vec<Inline>>>,
}

/// The alignment of a table's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alignment {
    None,
    Left,
    Center,
    Right,
}

/// A piece of text. A line feed inside [`Inline::Text`] is a soft break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Inline {
    Text(String),
    Code(String),
    Marked(Mark, Vec<Inline>),
    Link {
        url: String,
        title: String,
        content: Vec<Inline>,
    },
    Image {
        url: String,
        title: String,
        alt: String,
    },
    HardBreak,
}

/// What a span of text is marked as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Emphasis,
    Strong,
    Strikethrough,
    Underline,
    Subscript,
    Superscript,
    Highlight,
    Keyboard,
    Inserted,
    Small,
}

impl Mark {
    /// The mark of an HTML element, if it has one.
    pub(crate) fn of_element(name: &str) -> Option<Self> {
        Some(match name {
            "em" | "i" | "cite" | "dfn" | "var" => Self::Emphasis,
            "strong" | "b" => Self::Strong,
            "del" | "s" | "strike" => Self::Strikethrough,
            "u" => Self::Underline,
            "sub" => Self::Subscript,
            "sup" => Self::Superscript,
            "mark" => Self::Highlight,
            "kbd" => Self::Keyboard,
            "ins" => Self::Inserted,
            "small" => Self::Small,
            _ => return None,
        })
    }

    /// The HTML element that is written for this mark.
    pub(crate) fn element(self) -> &'static str {
        match self {
            Self::Emphasis => "em",
            Self::Strong => "strong",
            Self::Strikethrough => "s",
            Self::Underline => "u",
            Self::Subscript => "sub",
            Self::Superscript => "sup",
            Self::Highlight => "mark",
            Self::Keyboard => "kbd",
            Self::Inserted => "ins",
            Self::Small => "small",
        }
    }
}

/// The text of inlines, without their marks.
pub(crate) fn plain_text(inlines: &[Inline]) -> String {
    let mut out = String::new();
    push_plain_text(inlines, &mut out);
    out
}

fn push_plain_text(inlines: &[Inline], out: &mut String) {
    for inline in inlines {
        match inline {
            Inline::Text(text) | Inline::Code(text) => out.push_str(text),
            Inline::Marked(_, content) | Inline::Link { content, .. } => push_plain_text(content, out),
            Inline::Image { alt, .. } => out.push_str(alt),
            Inline::HardBreak => out.push('\n'),
        }
    }
}
