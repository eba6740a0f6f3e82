//! Escaping for HTML and for Markdown.

/// A text between tags.
pub(crate) fn text(literal: &str) -> String {
    literal.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text inside a double-quoted attribute.
pub(crate) fn attribute(literal: &str) -> String {
    text(literal).replace('"', "&quot;")
}

/// How much of a text is escaped in Markdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Care {
    /// What nearly always needs it, so that the text stays pleasant to read.
    Usual,
    /// Every character that could mean something.
    Strict,
}

/// A text that Markdown reads back as itself. Line beginnings are the caller's matter, see [`line_start`].
pub(crate) fn markdown(literal: &str, care: Care, in_table: bool) -> String {
    let chars: Vec<char> = literal.chars().collect();
    let mut out = String::with_capacity(literal.len() + 8);
    for (at, &c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map_or(' ', |at| chars[at]);
        let after = chars.get(at + 1).copied().unwrap_or(' ');
        let escaped = match c {
            '\\' => after.is_ascii_punctuation() || at + 1 == chars.len() || after == '\n' || care == Care::Strict,
            '`' | '[' => true,
            '*' => care == Care::Strict || !(before.is_whitespace() && after.is_whitespace()),
            '_' => {
                let inside = before.is_alphanumeric() && after.is_alphanumeric();
                care == Care::Strict || !(inside || (before.is_whitespace() && after.is_whitespace()))
            }
            '<' => care == Care::Strict || after.is_ascii_alphabetic() || matches!(after, '/' | '!' | '?'),
            '&' => after.is_ascii_alphanumeric() || after == '#',
            '~' => care == Care::Strict || before == '~' || after == '~',
            '|' => in_table || care == Care::Strict,
            ']' | '>' | '#' | '!' | '@' | ':' | '=' | '{' | '}' | '$' | '^' | '"' => care == Care::Strict,
            '.' => care == Care::Strict && before.eq_ignore_ascii_case(&'w'),
            _ => false,
        };
        if escaped && (c != '&' || is_reference(&chars[at + 1..])) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn is_reference(after: &[char]) -> bool {
    after
        .iter()
        .take(40)
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '#' | ';'))
        .any(|c| *c == ';')
}

/// A line of a paragraph that must not be taken for the beginning of a block.
pub(crate) fn line_start(line: &str) -> String {
    let trimmed = line.trim_start_matches([' ', '\t']);
    let Some(first) = trimmed.chars().next() else {
        return String::new();
    };
    let risky = match first {
        '#' => trimmed.trim_start_matches('#').starts_with([' ', '\t']) || trimmed.chars().all(|c| c == '#'),
        '>' | '=' | '|' => true,
        '~' => trimmed.starts_with("~~~"),
        '-' | '+' => trimmed[1..].starts_with([' ', '\t', '-']) || trimmed.len() == 1,
        ':' => trimmed.starts_with(":-"),
        _ => false,
    };
    if risky {
        return format!("\\{trimmed}");
    }
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    if (1..=9).contains(&digits) {
        let rest = &trimmed[digits..];
        if rest.starts_with(['.', ')']) && (rest.len() == 1 || rest[1..].starts_with([' ', '\t'])) {
            return format!("{}\\{rest}", &trimmed[..digits]);
        }
    }
    trimmed.to_owned()
}
