//! Where the next page of a list starts: opaque to clients.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

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

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// At most this many, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl PageParams {
    /// The page of a list that is in the order of its keys, and where the next one starts.
    pub(crate) fn page<T, K>(&self, all: Vec<T>, key: impl Fn(&T) -> K) -> Result<(Vec<T>, Option<String>), Problem>
    where
        K: Ord + Serialize + DeserializeOwned,
    {
        page(all, key, limit(self.limit, 100, 1000)?, self.cursor.as_deref())
    }
}

fn page<T, K>(
    all: Vec<T>,
    key: impl Fn(&T) -> K,
    limit: usize,
    cursor: Option<&str>,
) -> Result<(Vec<T>, Option<String>), Problem>
where
    K: Ord + Serialize + DeserializeOwned,
{
    let after: Option<K> = read(cursor)?;
    let mut page: Vec<T> = all
        .into_iter()
        // By the key and not by a number: what was added or removed in between moves nothing.
        .filter(|item| after.as_ref().is_none_or(|after| key(item) > *after))
        .take(limit.saturating_add(1))
        .collect();
    let has_more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| has_more).map(|last| write(&key(last)));
    Ok((page, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_on_one_page_whatever_goes_meanwhile() {
        let (first, next) = page(vec![1, 2, 3, 4, 5], |item| *item, 2, None).unwrap();
        assert_eq!(first, [1, 2]);
        let (second, next) = page(vec![1, 3, 4, 5], |item| *item, 2, next.as_deref()).unwrap();
        assert_eq!(second, [3, 4]);
        let (last, next) = page(vec![1, 3, 4, 5], |item| *item, 2, next.as_deref()).unwrap();
        assert_eq!((last, next), (vec![5], None));
        assert!(page(vec![1], |item| *item, 2, Some("nonsense")).is_err());
    }

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
