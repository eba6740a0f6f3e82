//! When a connection is to be run by itself: decided from what is known, without a clock and without waiting.

use chrono::{Days, LocalResult, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use sha2::{Digest, Sha256};

use crate::model::{ConnectionId, ConnectionSettings, RunState, SyncFrequency, Timestamp};
use crate::store::RunDigest;

/// The day's time of a daily sync that names none: when few people work.
const USUAL_TIME: NaiveTime = match NaiveTime::from_hms_opt(3, 0, 0) {
    Some(time) => time,
    None => NaiveTime::MIN,
};

/// The longest that failures put a run off.
const MOST_BACKOFF: TimeDelta = TimeDelta::hours(1);

/// When a connection is run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextRun {
    /// At this time, or as soon as possible if that has passed.
    At(Timestamp),
    /// Not by itself, for this reason.
    Never(NoSchedule),
}

/// Why a connection is not run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSchedule {
    /// It is switched off.
    Disabled,
    /// It is run only when asked for.
    Manual,
    /// Nobody asked for its first run yet.
    NeverAsked,
    /// A guard halted its newest run; a person has to confirm or discard it.
    Halted,
    /// A run is queued or goes on; what comes after it is decided then.
    Running,
}

impl NoSchedule {
    /// The reason in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Disabled => "the connection is switched off",
            Self::Manual => "it is synced only when asked for",
            Self::NeverAsked => "it waits for the first sync that a person asks for",
            Self::Halted => "a halted run waits to be confirmed or discarded",
            Self::Running => "a run is queued or in progress",
        }
    }
}

/// When a connection is next run by itself.
///
/// The time runs from the newest run, whoever asked for it. Failures in a row put it off, twice as long each, by at most
/// an hour beyond the interval. Each connection has an offset of its own, up to a tenth of the interval, so that not
/// all of them begin at once.
#[must_use]
pub fn next_run(settings: &ConnectionSettings, digest: &RunDigest) -> NextRun {
    let never = |why| NextRun::Never(why);
    if !settings.enabled {
        return never(NoSchedule::Disabled);
    }
    if settings.frequency == SyncFrequency::Manual {
        return never(NoSchedule::Manual);
    }
    let Some(newest) = &digest.newest else {
        return never(NoSchedule::NeverAsked);
    };
    if !digest.asked_by_person {
        return never(NoSchedule::NeverAsked);
    }
    match newest.state {
        RunState::Halted => return never(NoSchedule::Halted),
        state if !state.is_final() => return never(NoSchedule::Running),
        _ => {}
    }
    let began = newest.queued_at;
    let (due, interval) = match settings.frequency {
        SyncFrequency::Hourly => (began + TimeDelta::hours(1), TimeDelta::hours(1)),
        SyncFrequency::Daily => (next_daily(settings, began), TimeDelta::minutes(50)),
        _ => (began + TimeDelta::minutes(1), TimeDelta::minutes(1)),
    };
    NextRun::At(due + jitter(settings.id, interval) + backoff(interval, digest.failures_in_a_row))
}

/// The first moment after `began` at which it is the time of the daily sync in the connection's time zone.
fn next_daily(settings: &ConnectionSettings, began: Timestamp) -> Timestamp {
    let zone: Tz = settings
        .options
        .time_zone
        .as_deref()
        .and_then(|zone| zone.parse().ok())
        .unwrap_or(Tz::UTC);
    let time = settings.options.daily_at.unwrap_or(USUAL_TIME);
    let today = began.with_timezone(&zone).date_naive();
    // The offset of the day before may still lie ahead, and an hour may be missing from a day: three days hold one.
    (0..3)
        .filter_map(|days| today.checked_add_days(Days::new(days)))
        .filter_map(|day| match zone.from_local_datetime(&day.and_time(time)) {
            LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => Some(moment.to_utc()),
            // The clock is put forward over that time: the hour after it.
            LocalResult::None => zone
                .from_local_datetime(&(day.and_time(time) + TimeDelta::hours(1)))
                .earliest()
                .map(|moment| moment.to_utc()),
        })
        .find(|moment| *moment > began)
        .unwrap_or(began + TimeDelta::days(1))
}

/// Up to a tenth of the interval, always the same for one connection.
fn jitter(id: ConnectionId, interval: TimeDelta) -> TimeDelta {
    let hash = Sha256::digest(id.as_uuid().as_bytes());
    let part = i64::from(hash[0]) * 256 + i64::from(hash[1]);
    TimeDelta::milliseconds(interval.num_milliseconds() / 10 * part / 65_536)
}

fn backoff(interval: TimeDelta, failures: u32) -> TimeDelta {
    match failures {
        0 => TimeDelta::zero(),
        _ => interval
            .checked_mul(1 << (failures - 1).min(10))
            .unwrap_or(MOST_BACKOFF)
            .min(MOST_BACKOFF),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Run, RunId, RunReport, RunRequest, ToolName};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn settings(frequency: SyncFrequency) -> ConnectionSettings {
        let mut settings = ConnectionSettings::new(
            ToolName::new("board"),
            "Board",
            "https://example.org",
            at("2026-01-01T00:00:00Z"),
        );
        settings.frequency = frequency;
        settings
    }

    fn digest(settings: &ConnectionSettings, queued_at: &str, state: RunState, failures: u32) -> RunDigest {
        let run = Run {
            id: RunId::generate(),
            connection_id: settings.id,
            request: RunRequest::new(settings.id),
            state,
            cancel_requested: false,
            report: RunReport::default(),
            error_message: None,
            queued_at: at(queued_at),
            started_at: None,
            completed_at: None,
        };
        RunDigest {
            newest: Some(run),
            last_success_at: None,
            asked_by_person: true,
            failures_in_a_row: failures,
        }
    }

    #[track_caller]
    fn assert_within(next: NextRun, from: &str, to: &str) {
        let NextRun::At(next) = next else { panic!("{next:?}") };
        assert!(
            at(from) <= next && next < at(to),
            "{next} is not within {from} and {to}"
        );
    }

    #[test]
    fn nothing_runs_by_itself_before_a_person_asked_or_while_one_must_decide() {
        let mut board = settings(SyncFrequency::Realtime);
        let asked = digest(&board, "2026-01-01T12:00:00Z", RunState::Completed, 0);
        let by = |change: &dyn Fn(&mut RunDigest)| {
            let mut digest = asked.clone();
            change(&mut digest);
            digest
        };
        for (digest, why) in [
            (RunDigest::default(), NoSchedule::NeverAsked),
            (by(&|digest| digest.asked_by_person = false), NoSchedule::NeverAsked),
            (
                by(&|digest| digest.newest.as_mut().unwrap().state = RunState::Halted),
                NoSchedule::Halted,
            ),
            (
                by(&|digest| digest.newest.as_mut().unwrap().state = RunState::Started),
                NoSchedule::Running,
            ),
        ] {
            assert_eq!(next_run(&board, &digest), NextRun::Never(why));
        }
        board.frequency = SyncFrequency::Manual;
        assert_eq!(next_run(&board, &asked), NextRun::Never(NoSchedule::Manual));
        board.enabled = false;
        assert_eq!(next_run(&board, &asked), NextRun::Never(NoSchedule::Disabled));
    }

    #[test]
    fn the_interval_runs_from_the_newest_run_and_everybody_has_an_offset() {
        let noon = "2026-01-01T12:00:00Z";
        for _ in 0..50 {
            let board = settings(SyncFrequency::Realtime);
            let next = next_run(&board, &digest(&board, noon, RunState::Completed, 0));
            assert_within(next, "2026-01-01T12:01:00Z", "2026-01-01T12:01:06Z");
            let board = settings(SyncFrequency::Hourly);
            let next = next_run(&board, &digest(&board, noon, RunState::Cancelled, 0));
            assert_within(next, "2026-01-01T13:00:00Z", "2026-01-01T13:06:00Z");
            assert_eq!(next, next_run(&board, &digest(&board, noon, RunState::Cancelled, 0)));
        }
        let offset = |board: &ConnectionSettings| jitter(board.id, TimeDelta::hours(1));
        let (one, other) = (settings(SyncFrequency::Hourly), settings(SyncFrequency::Hourly));
        assert_ne!(offset(&one), offset(&other));
    }

    #[test]
    fn failures_put_it_off_up_to_an_hour() {
        let board = settings(SyncFrequency::Realtime);
        let mut last = at("2026-01-01T12:00:00Z");
        for failures in 0..=RunDigest::MOST_FAILURES {
            let digest = digest(&board, "2026-01-01T12:00:00Z", RunState::Failed, failures);
            let NextRun::At(next) = next_run(&board, &digest) else {
                panic!()
            };
            assert!(next >= last && next < at("2026-01-01T13:01:10Z"), "{failures}: {next}");
            last = next;
        }
        assert!(last > at("2026-01-01T13:01:00Z"));
    }

    #[test]
    fn a_daily_sync_keeps_to_the_local_time_over_the_change_of_clocks() {
        let mut board = settings(SyncFrequency::Daily);
        board.options.time_zone = Some("Europe/Berlin".to_owned());
        board.options.daily_at = NaiveTime::from_hms_opt(2, 30, 0);
        for (began, from) in [
            ("2026-01-10T12:00:00Z", "2026-01-11T01:30:00Z"),
            ("2026-07-10T12:00:00Z", "2026-07-11T00:30:00Z"),
            ("2026-07-10T00:10:00Z", "2026-07-10T00:30:00Z"),
            // 02:30 does not exist on this day.
            ("2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),
        ] {
            let next = next_run(&board, &digest(&board, began, RunState::Completed, 0));
            let NextRun::At(next) = next else { panic!() };
            let late = next - at(from);
            assert!(
                late >= TimeDelta::zero() && late < TimeDelta::minutes(5),
                "{began}: {next}"
            );
        }
        board.options.daily_at = None;
        board.options.time_zone = None;
        let next = next_run(&board, &digest(&board, "2026-01-10T12:00:00Z", RunState::Completed, 0));
        assert_within(next, "2026-01-11T03:00:00Z", "2026-01-11T03:05:00Z");
    }
}
