//! Canonical forms of texts: used only to compare and to match, never stored in place of what people wrote.

use unicode_normalization::UnicodeNormalization;

/// A title as it is compared and matched: composed Unicode (NFC), white space folded to single spaces, ends trimmed.
/// Case counts.
#[must_use]
pub fn canonical_title(title: &str) -> String {
    let composed: String = title.nfc().collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text as it is compared: `\n` line ends, no white space at line ends, no blank lines at either end.
#[must_use]
pub fn canonical_text(text: &str) -> String {
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = unix.lines().map(str::trim_end).collect();
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_that_look_the_same_are_the_same() {
        assert_eq!(
            canonical_title("  Caf\u{e9}  au lait "),
            canonical_title("Cafe\u{301} au\u{a0}lait")
        );
        assert_ne!(canonical_title("Fix"), canonical_title("fix"));
    }

    #[test]
    fn line_ends_do_not_count() {
        assert_eq!(canonical_text("a\r\nb  \r\n"), canonical_text("a\nb"));
        assert_ne!(canonical_text("a\n\nb"), canonical_text("a\nb"));
    }
}
