//! How a list that changes while it is read is walked without losing a row.
//!
//! Pages are cut by position, so a row that is touched while pages are read moves to the end and another slips onto
//! a page already read. Tasks are therefore walked by the value of their last change: each page starts at the last
//! stamp of the page before, inclusive. A stamp that fills more than a page, and the sweep of ids, are read from the
//! last page backwards: rows only ever leave such a list or join at its end, and what slips towards the front is
//! still to be read.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use magnus_core::connection::PageToken;

/// What the tool shows of an instant: milliseconds.
pub(crate) type Stamp = DateTime<Utc>;

/// The grain of shown stamps; what is stored is finer.
const GRAIN: TimeDelta = TimeDelta::milliseconds(1);

/// A stamp as the filters take it and as a cursor holds it.
pub(crate) fn shown(stamp: Stamp) -> String {
    stamp.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Why a walk is given up. Nothing may be concluded from what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Astray(pub(crate) &'static str);

/// Writes a position into a token.
pub(crate) fn token<T: Serialize>(position: &T) -> Option<PageToken> {
    // A position is numbers and times, which always have a JSON form.
    serde_json::to_string(position).ok().map(PageToken)
}

/// Reads a position from a token.
pub(crate) fn position<T: DeserializeOwned>(token: &PageToken) -> Result<T, Astray> {
    serde_json::from_str(&token.0).map_err(|_| Astray("the page token is not one of this connection"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
enum Step {
    /// The first page of what changed at or after a stamp.
    From { since: Option<Stamp> },
    /// How much there is of one stamp that fills more than a page.
    Probe { stamp: Stamp },
    /// A page of one stamp, from the last to the first.
    Back { stamp: Stamp, page: u64 },
}

/// Where a walk through the tasks of a project stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskWalk {
    #[serde(flatten)]
    step: Step,
    /// The page size to ask for.
    pub(crate) size: u64,
    /// The greatest stamp so far.
    pub(crate) cursor: Option<Stamp>,
}

/// What a page said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) stamps: Vec<Stamp>,
    pub(crate) total: u64,
    pub(crate) page_size: Option<u64>,
    pub(crate) offset: Option<u64>,
}

impl TaskWalk {
    /// The start: everything, or what changed since a cursor less an overlap (changes are stamped before they can be
    /// seen).
    pub(crate) fn start(cursor: Option<Stamp>, overlap: TimeDelta, size: u64) -> Self {
        Self {
            step: Step::From {
                since: cursor.map(|cursor| cursor - overlap),
            },
            size,
            cursor,
        }
    }

    /// The page number to ask for.
    pub(crate) fn offset(&self) -> u64 {
        if let Step::Back { page, .. } = self.step {
            page
        } else {
            1
        }
    }

    /// The bounds to filter by, both inclusive.
    pub(crate) fn bounds(&self) -> Option<[String; 2]> {
        match self.step {
            Step::From { since } => since.map(|since| [shown(since), String::new()]),
            Step::Probe { stamp } | Step::Back { stamp, .. } => Some([shown(stamp), shown(stamp + GRAIN)]),
        }
    }

    /// Whether the page size may still be changed: not while pages are counted.
    pub(crate) fn may_shrink(&self) -> bool {
        !matches!(self.step, Step::Back { .. })
    }

    fn check(&self, seen: &Seen) -> Result<(), Astray> {
        if seen.offset.is_some_and(|offset| offset != self.offset()) {
            return Err(Astray("the tool answered with another page than was asked for"));
        }
        if !seen.stamps.is_sorted() {
            return Err(Astray("the tool does not sort by the last change"));
        }
        let since = match self.step {
            Step::From { since } => since,
            Step::Probe { stamp } | Step::Back { stamp, .. } => Some(stamp),
        };
        match (since, seen.stamps.first()) {
            (Some(since), Some(first)) if *first + GRAIN <= since => Err(Astray(
                "the tool repeats a page, or ignores the filter by the last change",
            )),
            _ => Ok(()),
        }
    }

    /// The walk after a page; `None` for `step` when that was the last.
    pub(crate) fn after(&self, seen: &Seen) -> Result<(Option<Self>, Option<Stamp>), Astray> {
        self.check(seen)?;
        let last = seen.stamps.last().copied();
        let cursor = self.cursor.max(last);
        let count = u64::try_from(seen.stamps.len()).unwrap_or(u64::MAX);
        let size = seen
            .page_size
            .filter(|size| *size > 0)
            .unwrap_or(self.size)
            .min(self.size);
        let step = match self.step {
            Step::From { .. } if seen.total <= count => None,
            Step::From { since } => match last {
                None => return Err(Astray("an empty page before the end of the list")),
                Some(last) if since == Some(last) => Some(Step::Probe { stamp: last }),
                Some(last) => Some(Step::From { since: Some(last) }),
            },
            Step::Probe { stamp } => Some(match seen.total.div_ceil(size) {
                0 | 1 => Step::From {
                    since: Some(stamp + GRAIN),
                },
                page => Step::Back { stamp, page },
            }),
            Step::Back { stamp, page } if page > 1 => Some(Step::Back { stamp, page: page - 1 }),
            Step::Back { stamp, .. } => Some(Step::From {
                since: Some(stamp + GRAIN),
            }),
        };
        Ok((step.map(|step| Self { step, size, cursor }), cursor))
    }
}

/// Where a sweep through ids, in rising order, stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdWalk {
    /// The page, from the last to the first; `None`: the first look, which shows how many there are.
    page: Option<u64>,
    pub(crate) size: u64,
    /// The least id of the page read before.
    least: Option<u64>,
}

impl IdWalk {
    pub(crate) fn start(size: u64) -> Self {
        Self {
            page: None,
            size,
            least: None,
        }
    }

    /// The page number to ask for.
    pub(crate) fn offset(&self) -> u64 {
        self.page.unwrap_or(1)
    }

    /// The walk after a page; `None` when that was the last.
    pub(crate) fn after(&self, ids: &[u64], total: u64) -> Result<Option<Self>, Astray> {
        let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        let least = ids.iter().min().copied();
        if let (Some(before), Some(least)) = (self.least, least)
            && least >= before
        {
            return Err(Astray("the tool repeats a page of ids"));
        }
        match self.page {
            None if total <= count => Ok(None),
            None if count == 0 => Err(Astray("an empty page before the end of the list")),
            // The page is full, so its length is the size that the tool really uses.
            None => Ok(Some(Self {
                page: Some(total.div_ceil(count)),
                size: count,
                least: None,
            })),
            Some(page) if page > 1 => Ok(Some(Self {
                page: Some(page - 1),
                size: self.size,
                least: least.or(self.least),
            })),
            Some(_) => Ok(None),
        }
    }
}

/// One condition of a list's filters.
pub(crate) fn condition(name: &str, operator: &str, values: &[String]) -> Value {
    json!({ name: { "operator": operator, "values": values } })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of (id, stamp) as the tool pages it; rows may be touched between pages.
    #[derive(Debug, Clone)]
    struct Table(Vec<(u64, i64)>);

    impl Table {
        fn page(&self, walk: &TaskWalk) -> (Vec<u64>, Seen) {
            let bound = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_millis());
            let bounds = walk.bounds().map(|bounds| bounds.map(|text| bound(&text)));
            let inside = |at: i64| {
                bounds.is_none_or(|[from, to]| from.is_none_or(|from| from <= at) && to.is_none_or(|to| at <= to))
            };
            let mut rows: Vec<(i64, u64)> = self
                .0
                .iter()
                .filter(|(_, at)| inside(*at))
                .map(|(id, at)| (*at, *id))
                .collect();
            rows.sort_unstable();
            let (total, size) = (rows.len() as u64, walk.size.min(3));
            let skip = ((walk.offset() - 1) * size) as usize;
            let rows: Vec<(i64, u64)> = rows.into_iter().skip(skip).take(size as usize).collect();
            let stamps = rows
                .iter()
                .filter_map(|(at, _)| DateTime::from_timestamp_millis(*at))
                .collect();
            (
                rows.iter().map(|(_, id)| *id).collect(),
                Seen {
                    stamps,
                    total,
                    page_size: Some(size),
                    offset: Some(walk.offset()),
                },
            )
        }
    }

    fn walk(mut table: Table, mut between: impl FnMut(&mut Table, usize)) -> Vec<u64> {
        let mut at = TaskWalk::start(None, TimeDelta::zero(), 100);
        let mut found = std::collections::BTreeSet::new();
        for request in 0..100 {
            let (ids, seen) = table.page(&at);
            found.extend(ids);
            between(&mut table, request);
            match at.after(&seen).expect("not astray").0 {
                Some(next) => at = position(&token(&next).expect("a token")).expect("a position"),
                None => return found.into_iter().collect(),
            }
        }
        panic!("the walk does not end");
    }

    #[test]
    fn every_row_is_read_once_nothing_moves() {
        assert_eq!(
            walk(Table((1..=10).map(|id| (id, id as i64 * 10)).collect()), |_, _| ()),
            (1..=10).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_row_touched_while_pages_are_read_pushes_none_off_the_walk() {
        for touched in 1..=10 {
            for when in 0..4 {
                let found = walk(
                    Table((1..=10).map(|id| (id, id as i64 * 10)).collect()),
                    |table, request| {
                        if request == when {
                            table.0[touched - 1].1 = 1000;
                        }
                    },
                );
                assert_eq!(
                    found,
                    (1..=10).collect::<Vec<_>>(),
                    "row {touched} touched after request {when}"
                );
            }
        }
    }

    #[test]
    fn a_stamp_that_fills_several_pages_is_read_whole_even_if_rows_leave_it() {
        let rows: Vec<(u64, i64)> = (1..=11).map(|id| (id, 50)).chain([(12, 51), (13, 90)]).collect();
        assert_eq!(walk(Table(rows.clone()), |_, _| ()), (1..=13).collect::<Vec<_>>());
        for touched in 1..=11 {
            for when in 0..8 {
                let found = walk(Table(rows.clone()), |table, request| {
                    if request == when {
                        table.0[touched - 1].1 = 1000;
                    }
                });
                assert_eq!(
                    found,
                    (1..=13).collect::<Vec<_>>(),
                    "row {touched} touched after request {when}"
                );
            }
        }
    }

    #[test]
    fn a_cursor_overlaps_and_never_goes_back() {
        let at = DateTime::from_timestamp_millis(60_000);
        let walk = TaskWalk::start(at, TimeDelta::seconds(30), 100);
        assert_eq!(
            walk.bounds().map(|[from, _]| from).as_deref(),
            Some("1970-01-01T00:00:30.000Z")
        );
        let older = DateTime::from_timestamp_millis(40_000).expect("a time");
        let seen = Seen {
            stamps: vec![older],
            total: 1,
            page_size: Some(100),
            offset: Some(1),
        };
        assert_eq!(walk.after(&seen), Ok((None, at)));
    }

    #[test]
    fn a_page_that_repeats_ends_the_walk() {
        let stamp = |millis| DateTime::from_timestamp_millis(millis).expect("a time");
        let seen = Seen {
            stamps: vec![stamp(10), stamp(20)],
            total: 9,
            page_size: Some(2),
            offset: None,
        };
        let first = TaskWalk::start(None, TimeDelta::zero(), 2);
        let second = first.after(&seen).expect("the first page is fine").0.expect("more");
        assert!(second.after(&seen).is_err());
        let ids = IdWalk::start(2).after(&[1, 2], 6).expect("fine").expect("more");
        let ids = ids.after(&[5, 6], 6).expect("fine").expect("more");
        assert!(ids.after(&[5, 6], 6).is_err());
    }

    #[test]
    fn ids_are_swept_backwards_so_that_a_deletion_hides_none() {
        for deleted in 1..=10_u64 {
            for when in 0..5 {
                let mut rows: Vec<u64> = (1..=10).collect();
                let mut found = std::collections::BTreeSet::new();
                let mut at = IdWalk::start(100);
                for request in 0.. {
                    let size = at.size.min(3) as usize;
                    let page: Vec<u64> = rows
                        .iter()
                        .copied()
                        .skip((at.offset() as usize - 1) * size)
                        .take(size)
                        .collect();
                    let total = rows.len() as u64;
                    found.extend(page.clone());
                    if request == when {
                        rows.retain(|id| *id != deleted);
                    }
                    match at.after(&page, total).expect("not astray") {
                        Some(next) => at = next,
                        None => break,
                    }
                }
                let missed: Vec<u64> = (1..=10).filter(|id| !found.contains(id) && *id != deleted).collect();
                assert!(
                    missed.is_empty(),
                    "{missed:?} missed, {deleted} deleted after request {when}"
                );
            }
        }
    }
}
