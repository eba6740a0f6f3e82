//! Values between the hub and the tool.

use chrono::NaiveDate;
use magnus_core::connection::{ConnectionErrorKind, Decoded, Encoded, Outcome};
use magnus_core::model::{ExternalId, Field, RemoteValue, Value};
use serde_json::json;

use super::bench::Bench;
use super::samples::{self, AWKWARD_TEXTS, AWKWARD_TITLES};
use super::verdict::needs;
use super::{Checked, ConnectionFixture, Verdict};

/// What is encoded means the same when it comes back.
pub async fn what_is_encoded_means_the_same_when_it_comes_back(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    for field in bench.writable() {
        let mut holdable = 0;
        let mut values = samples::of(field, fixture.assignee());
        values.extend(values.is_empty().then_some(Value::Empty));
        for value in values {
            let Some(encoded) = bench.encode(field, &value) else {
                continue;
            };
            holdable += 1;
            match bench.decode(field, &encoded) {
                Decoded::Exact(back) => assert!(back.is_same(&value, field), "{field}: {value} came back as {back}"),
                other => panic!("{field}: {value} came back as {other:?}"),
            }
        }
        assert!(holdable > 0, "{field} can be written, but not with any value");
    }
    Ok(Verdict::Holds)
}

/// What a tool holds, taken to the hub and back, is what it holds: nothing is there to push.
pub async fn what_the_tool_holds_survives_the_way_to_the_hub_and_back(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let task = bench.create("Bare").await?;
    for field in bench.writable() {
        let Some(shown) = task.value(field) else { continue };
        let Decoded::Exact(value) = bench.decode(field, shown) else {
            panic!("{field}: what a new task shows ({shown}) has a meaning")
        };
        if let Some(sent) = bench.encode(field, &value) {
            assert_eq!(
                bench.decode(field, &sent),
                Decoded::Exact(value),
                "{field}: {shown} went there and back"
            );
        }
        let untouched = bench.translator.is_default(&bench.project, field, shown);
        assert!(untouched || field == Field::Title, "{field}: nobody set {shown}");
    }
    Ok(Verdict::Holds)
}

/// Nothing that a tool might send makes the translator panic, and nothing of a wrong kind is sent.
pub async fn the_translator_takes_whatever_comes(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let elsewhere = ExternalId::from(999_999);
    let garbage = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5e300),
        json!(u64::MAX),
        json!(""),
        json!("   "),
        json!("\u{0}\u{202e}\u{feff}"),
        json!("999999999999999999999"),
        json!("2026-02-31"),
        json!("0000-00-00 00:00:00"),
        json!("+262143-12-31"),
        json!("9".repeat(10_000)),
        json!([]),
        json!([null, [1], {"a": []}]),
        json!({}),
        json!({"raw": null, "id": []}),
    ];
    for project in [&bench.project, &elsewhere] {
        for field in Field::ALL.iter().copied().filter(|field| *field != Field::Parent) {
            for value in garbage.iter().cloned().map(RemoteValue) {
                let _ = bench.translator.is_default(project, field, &value);
                let meaning = bench.translator.decode(project, field, &value);
                if let Decoded::Exact(value) | Decoded::Approximate(value) = meaning {
                    assert!(value.fits(field), "{field} became {value}");
                }
            }
            for value in samples::of_every_kind() {
                let encoded = bench.translator.encode(project, field, &value);
                let takes = value.fits(field) && bench.can().fields.contains_key(&field);
                if !takes && !matches!(value, Value::Empty | Value::Text(_) | Value::Percent(_)) {
                    assert!(
                        matches!(encoded, Encoded::Unholdable(_)),
                        "{field} took {value}: {encoded:?}"
                    );
                }
            }
        }
    }
    Ok(Verdict::Holds)
}

/// What happened to a text: held, or refused before or by the tool, and never changed in meaning.
async fn survives(
    bench: &Bench<'_>,
    field: Field,
    text: &str,
) -> Result<bool, magnus_core::connection::ConnectionError> {
    let value = Value::text(text);
    let Some(sent) = bench.encode(field, &value) else {
        return Ok(false);
    };
    let mut fields = bench.titled("With a text");
    fields.insert(field, sent);
    let made = match bench.create_with(fields).await {
        Ok(made) => made,
        Err(error) => {
            let refused = (error.kind(), error.outcome());
            assert_eq!(refused, (ConnectionErrorKind::Rejected, Outcome::NotApplied), "{error}");
            return Ok(false);
        }
    };
    let read = bench.present(&made.id).await?;
    let back = bench.value(&read, field).unwrap_or(Value::Empty);
    if back.is_same(&value, field) {
        return Ok(true);
    }
    let excerpt: String = text.chars().take(60).collect();
    let shown: String = back.to_string().chars().take(300).collect();
    let length = text.chars().count();
    assert!(
        field == Field::Description && words(&back.to_string()) == words(text),
        "{field} {excerpt:?} ({length} characters) came back as {shown:?}"
    );
    // Another spelling of the same markup is no loss, as long as it stays so on every further trip.
    let again = bench.encode(field, &back).map(|sent| bench.decode(field, &sent));
    assert!(
        matches!(&again, Some(Decoded::Exact(again)) if again.is_same(&back, field)),
        "{field} {excerpt:?} came back as {shown:?}, and then as {again:?}"
    );
    Ok(true)
}

/// The words of a text without the markup around them.
fn words(text: &str) -> Vec<&str> {
    text.split(|letter: char| letter.is_whitespace() || letter.is_ascii_punctuation())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Titles in any script, with emoji and markup, come back as they were.
pub async fn awkward_titles_come_back_as_they_were(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    for title in AWKWARD_TITLES {
        assert!(survives(&bench, Field::Title, title).await?, "{title:?} can be held");
    }
    Ok(Verdict::Holds)
}

/// Descriptions with lists, code, CRLF and any script come back as they were, or in another spelling of the same markup
/// that every further trip keeps.
pub async fn awkward_descriptions_come_back_as_they_were(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    needs!(
        bench.writable().contains(&Field::Description).then_some(()),
        "the tool has no descriptions"
    );
    for text in AWKWARD_TEXTS {
        assert!(
            survives(&bench, Field::Description, text).await?,
            "{text:?} can be held"
        );
    }
    Ok(Verdict::Holds)
}

/// A title of any length is held whole or refused, and never cut.
pub async fn a_long_title_is_held_whole_or_refused(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    for length in [100, 254, 255, 256, 300, 1_000, 10_000] {
        for letter in ["x", "é", "🎉"] {
            survives(&bench, Field::Title, &letter.repeat(length)).await?;
        }
    }
    assert!(
        survives(&bench, Field::Title, &"x".repeat(80)).await?,
        "80 characters are usual"
    );
    Ok(Verdict::Holds)
}

/// A description of any length is held whole or refused, and never cut.
pub async fn a_long_description_is_held_whole_or_refused(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    needs!(
        bench.writable().contains(&Field::Description).then_some(()),
        "the tool has no descriptions"
    );
    for length in [1_000, 13_000, 13_107, 13_200, 60_000, 250_000] {
        for words in ["word ", "wörd ", "🎉 "] {
            survives(&bench, Field::Description, &words.repeat(length)).await?;
        }
    }
    Ok(Verdict::Holds)
}

/// A value of each field is held as it is, or refused: odd days, amounts and tags.
pub async fn odd_values_are_held_exactly_or_refused(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).map(Value::Date);
    let tags = |tags: &[&str]| Value::Tags(tags.iter().map(|tag| (*tag).to_owned()).collect());
    for field in bench.writable() {
        let odd: Vec<Value> = match field {
            Field::DueDate | Field::StartDate => [
                (2024, 2, 29),
                (1970, 1, 1),
                (1999, 12, 31),
                (2099, 12, 31),
                (2026, 3, 29),
                (2026, 10, 25),
            ]
            .into_iter()
            .filter_map(|(y, m, d)| day(y, m, d))
            .collect(),
            Field::EstimatedHours | Field::RemainingHours => [0, 1, 7, 20, 59, 61, 1_439, 1_441, 100_003]
                .map(Value::Minutes)
                .to_vec(),
            Field::PercentageDone => [0, 1, 33, 99, 100].map(Value::Percent).to_vec(),
            Field::Tags => vec![
                tags(&["two words"]),
                tags(&["comma, inside", "b"]),
                tags(&["ünï", "🎉"]),
                tags(&["Case", "case"]),
                tags(&["b", "a", "c"]),
                tags(&["x".repeat(300).as_str()]),
            ],
            _ => continue,
        };
        for value in odd {
            let Some(sent) = bench.encode(field, &value) else {
                continue;
            };
            let mut fields = bench.titled("Odd");
            fields.insert(field, sent);
            let made = match bench.create_with(fields).await {
                Err(error) if error.kind() == ConnectionErrorKind::Rejected => continue,
                made => made?,
            };
            let read = bench.present(&made.id).await?;
            let back = bench.value(&read, field).unwrap_or(Value::Empty);
            // No work and work that nobody estimated are the same to some tools.
            let nothing = value == Value::Minutes(0) && back.is_empty();
            assert!(
                nothing || back.is_same(&value, field),
                "{field}: {value} came back as {back}"
            );
        }
    }
    Ok(Verdict::Holds)
}
