//! Where the next page of a list starts: opaque to clients.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// A place in a list as text.
pub(crate) fn write(place: &impl Serialize) -> String {
    // Places hold texts and ids: they can always be written.
    let bytes = serde_json::to_vec(place).unwrap_or_default();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The place that [`write`] wrote.
pub(crate) fn read<T: DeserializeOwned>(text: Option<&str>) -> Result<Option<T>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let bytes: Option<Vec<u8>> = (text.is_ascii() && text.len().is_multiple_of(2))
        .then(|| {
            (0..text.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
                .collect()
        })
        .flatten();
    let place = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    place
        .map(Some)
        .ok_or_else(|| Problem::invalid("cursor", "expected the next_cursor of the page before"))
}

/// A limit within its bounds.
pub(crate) fn limit(given: Option<u32>, default: usize, most: usize) -> Result<usize, Problem> {
    match given.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)) {
        None => Ok(default),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::invalid("limit", format!("expected a number from 1 to {most}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_the_trip_and_nonsense_is_refused() {
        let place = ("ä".to_owned(), 7);
        assert_eq!(read::<(String, i32)>(Some(&write(&place))).unwrap(), Some(place));
        assert_eq!(read::<(String, i32)>(None).unwrap(), None);
        for nonsense in ["x", "zz", "ä", "7b7d", ""] {
            assert!(read::<(String, i32)>(Some(nonsense)).is_err(), "{nonsense}");
        }
    }
}
