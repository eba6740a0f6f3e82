//! What goes wrong on the way: never a panic, never an absence, and never a secret.

use std::error::Error as _;
use std::time::Duration;

use magnus_core::connection::{ConnectionError, ConnectionErrorKind as Kind, Outcome};

use super::bench::Bench;
use super::verdict::needs;
use super::{Calls, Checked, ConnectionFixture, Trouble, Verdict};

/// Asks every kind of read under some trouble. Each must fail, and the error is of one of these kinds.
async fn each_read_fails(
    bench: &Bench<'_>,
    trouble: Trouble,
    kinds: &[Kind],
) -> Result<Option<Vec<ConnectionError>>, ConnectionError> {
    let task = bench.create("Still there").await?;
    if bench.fixture.trouble(Calls::Reads, trouble).await.is_none() {
        return Ok(None);
    }
    let said = bench.every_read(&task.id).await;
    bench.fixture.heal().await;
    let mut errors = Vec::new();
    for (read, said) in said {
        match said {
            Ok(_) => panic!("{read} answered under {trouble:?}"),
            Err(error) => {
                assert!(kinds.contains(&error.kind()), "{read} under {trouble:?}: {error}");
                assert_eq!(error.outcome(), Outcome::NotApplied, "a read changes nothing: {error}");
                assert!(
                    !error.operation().is_empty() && !error.message().is_empty(),
                    "{error:?}"
                );
                errors.push(error);
            }
        }
    }
    // Whoever mends a connection tests it first, and a run begins with that too.
    bench.connection.check().await?;
    for (read, said) in bench.every_read(&task.id).await {
        assert!(said?, "{read} works again after {trouble:?}");
    }
    Ok(Some(errors))
}

macro_rules! each_read_fails {
    ($bench:expr, $trouble:expr, $kinds:expr) => {
        needs!(
            each_read_fails($bench, $trouble, $kinds).await?,
            "this trouble cannot be made"
        )
    };
}

/// A server error is an error of every read, and not an empty answer.
pub async fn a_server_error_is_never_an_answer(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    for status in [500, 502, 503, 504] {
        each_read_fails!(&bench, Trouble::Status(status), &[Kind::Unavailable]);
    }
    each_read_fails!(&bench, Trouble::Html(502), &[Kind::Unavailable]);
    Ok(Verdict::Holds)
}

/// Too many requests are said to be just that, with the wait that the tool asks for.
pub async fn too_many_requests_tell_how_long_to_wait(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let wait = Duration::from_secs(7);
    let trouble = Trouble::TooManyRequests(wait);
    let errors = each_read_fails!(&bench, trouble, &[Kind::RateLimited]);
    for error in errors {
        assert!(
            error.retry_after().is_some_and(|asked| asked >= wait.mul_f32(0.5)),
            "{error:?}"
        );
    }
    needs!(
        fixture.trouble(Calls::Writes, trouble).await,
        "this trouble cannot be made"
    );
    let error = bench.create("Not now").await.expect_err("too many requests");
    assert_eq!(
        (error.kind(), error.outcome(), error.retry_after()),
        (Kind::RateLimited, Outcome::NotApplied, Some(wait)),
        "{error}"
    );
    fixture.heal().await;
    assert_eq!(bench.find("Not now").await?, []);
    Ok(Verdict::Holds)
}

/// A refused key is said to be just that.
pub async fn a_refused_key_is_unauthorized(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    each_read_fails!(&bench, Trouble::Status(401), &[Kind::Unauthorized]);
    needs!(
        fixture.trouble(Calls::Writes, Trouble::Status(401)).await,
        "this trouble cannot be made"
    );
    let error = bench.create("By nobody").await.expect_err("nobody writes");
    assert_eq!(
        (error.kind(), error.outcome()),
        (Kind::Unauthorized, Outcome::NotApplied)
    );
    Ok(Verdict::Holds)
}

/// A proxy's 404 proves no absence.
pub async fn a_proxys_404_proves_no_absence(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let kinds = [Kind::Protocol, Kind::InvalidSettings, Kind::Unavailable];
    each_read_fails!(&bench, Trouble::Html(404), &kinds);
    Ok(Verdict::Holds)
}

/// A login page, half an answer or another one's answer is an error, and not an empty answer.
pub async fn an_answer_that_is_not_the_tools_is_an_error(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    for trouble in [
        Trouble::Html(200),
        Trouble::Truncate,
        Trouble::Body(""),
        Trouble::Body("null"),
        Trouble::Body("true"),
        Trouble::Body("7"),
        Trouble::Body("\"\""),
        Trouble::Body("[]"),
        Trouble::Body("{}"),
        Trouble::Body("\u{1F}\u{7F}{]"),
        Trouble::Body(r#"{"error": null, "result": []}"#),
        Trouble::Body(r#"{"_embedded": {"elements": []}}"#),
    ] {
        each_read_fails!(
            &bench,
            trouble,
            &[Kind::Protocol, Kind::Unauthorized, Kind::Unavailable]
        );
    }
    Ok(Verdict::Holds)
}

/// Numbers for texts and texts for numbers make no panic and no absence.
pub async fn wrong_types_prove_no_absence(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let task = bench.create("Of the right type").await?;
    needs!(
        fixture.trouble(Calls::Reads, Trouble::WrongTypes).await,
        "this trouble cannot be made"
    );
    for (read, said) in bench.every_read(&task.id).await {
        if let Ok(truth) = said {
            assert!(truth, "{read} says that it is not there");
        }
    }
    Ok(Verdict::Holds)
}

/// A connection that breaks is an error of every read.
pub async fn a_broken_connection_is_never_an_answer(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let kinds = [Kind::Unavailable, Kind::Timeout, Kind::Protocol];
    each_read_fails!(&bench, Trouble::LoseRequest, &kinds);
    each_read_fails!(&bench, Trouble::LoseAnswer, &kinds);
    Ok(Verdict::Holds)
}

/// A read may be dropped at any time; the connection works on.
pub async fn a_dropped_read_leaves_the_connection_usable(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let task = bench.create("Waited for").await?;
    needs!(
        fixture.trouble(Calls::Reads, Trouble::Hang).await,
        "the tool cannot be made to hang"
    );
    for _ in 0..3 {
        let patience = Duration::from_millis(20);
        let answer = tokio::time::timeout(patience, bench.every_read(&task.id)).await;
        if let Ok(said) = answer {
            assert!(said.iter().all(|(_, said)| said.is_err()), "no answer came");
        }
    }
    fixture.heal().await;
    // Whoever mends a connection tests it first, and a run begins with that too.
    bench.connection.check().await?;
    for (read, said) in bench.every_read(&task.id).await {
        assert!(said?, "{read} works again");
    }
    Ok(Verdict::Holds)
}

/// No error, whatever the trouble, holds the secret.
pub async fn no_error_holds_the_secret(fixture: &dyn ConnectionFixture) -> Checked {
    let secret = needs!(fixture.secret(), "the connection has no secret");
    let bench = Bench::new(fixture).await?;
    let task = bench.create("Public").await?;
    let mut errors = Vec::new();
    for trouble in [
        Trouble::Status(401),
        Trouble::Status(403),
        Trouble::Status(500),
        Trouble::Html(200),
        Trouble::Body("{}"),
        Trouble::LoseRequest,
    ] {
        for calls in [Calls::Reads, Calls::Writes] {
            needs!(fixture.trouble(calls, trouble).await, "this trouble cannot be made");
            let said = bench.every_read(&task.id).await;
            errors.extend(said.into_iter().filter_map(|(_, said)| said.err()));
            errors.extend(bench.create("Secret").await.err());
            fixture.heal().await;
        }
    }
    assert!(!errors.is_empty());
    for error in errors {
        let mut shown = format!("{error} {error:?}");
        let mut source = error.source();
        while let Some(error) = source {
            shown.push_str(&format!(" {error} {error:?}"));
            source = error.source();
        }
        assert!(!shown.contains(&secret), "the secret shows: {shown}");
    }
    Ok(Verdict::Holds)
}
