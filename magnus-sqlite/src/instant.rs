//! Instants as text: UTC with microseconds, so that the order of texts is the order of times.

use chrono::SecondsFormat;
use magnus_core::model::Timestamp;

pub(crate) fn to_text(instant: Timestamp) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Micros, true)
}

pub(crate) fn optional_to_text(instant: Option<Timestamp>) -> Option<String> {
    instant.map(to_text)
}

#[cfg(test)]
mod tests {
    use super::to_text;

    #[test]
    fn order_of_texts_is_the_order_of_times() {
        let whole = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let later = whole + chrono::TimeDelta::microseconds(1);
        assert_eq!(to_text(whole), "2026-09-21T14:13:20.000000Z");
        assert!(to_text(whole) < to_text(later));
    }
}
