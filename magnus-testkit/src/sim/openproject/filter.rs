//! The `filters` parameter: one-key objects, ANDed; an invalid value is an error, never an empty result.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use serde_json::Value;

use super::error::{Cause, Refusal};
use super::types::{Project, WorkPackage};
use super::visibility::View;

/// One condition as parsed, with its name in camelCase and without `Id`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    pub(super) name: String,
    pub(super) operator: String,
    pub(super) values: Vec<String>,
}

/// Reads the parameter.
pub(super) fn parse(text: &str) -> Result<Vec<Filter>, Refusal> {
    let malformed = || {
        Refusal::from(Cause::query(
            "Filters contain invalid JSON or are not a list of objects.",
        ))
    };
    let parsed: Value = serde_json::from_str(text).map_err(|_| malformed())?;
    let mut filters = Vec::new();
    for entry in parsed.as_array().ok_or_else(malformed)? {
        for (name, condition) in entry.as_object().ok_or_else(malformed)? {
            let operator = condition
                .get("operator")
                .and_then(Value::as_str)
                .ok_or_else(malformed)?;
            let values = match condition.get("values") {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(values)) => values.iter().map(text_of).collect(),
                Some(_) => return Err(malformed()),
            };
            filters.push(Filter {
                name: canonical(name),
                operator: operator.to_owned(),
                values,
            });
        }
    }
    Ok(filters)
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn canonical(name: &str) -> String {
    let mut camel = String::new();
    let mut upper = false;
    for character in name.chars() {
        match character {
            '_' => upper = true,
            other if upper => {
                camel.extend(other.to_uppercase());
                upper = false;
            }
            other => camel.push(other),
        }
    }
    match camel.strip_suffix("Id") {
        Some(short) if !short.is_empty() && camel != "subjectOrId" => short.to_owned(),
        _ => camel,
    }
}

type Test<'view> = Box<dyn Fn(&WorkPackage) -> bool + 'view>;

/// Turns filters into one test, or refuses: several bad ones are one answer.
pub(super) fn compile<'view>(filters: &[Filter], view: View<'view>) -> Result<Vec<Test<'view>>, Refusal> {
    let mut tests = Vec::new();
    let mut causes = Vec::new();
    for filter in filters {
        match test(filter, view) {
            Ok(test) => tests.push(test),
            Err(cause) => causes.push(cause),
        }
    }
    if causes.is_empty() {
        Ok(tests)
    } else {
        Err(Refusal::Causes(causes))
    }
}

fn invalid_values(filter: &Filter) -> Cause {
    Cause::query(format!("{} filter has invalid values.", filter.name))
}

fn bad_operator(filter: &Filter) -> Cause {
    Cause::query(format!(
        "{} filter has an invalid operator: {}.",
        filter.name, filter.operator
    ))
}

fn test<'view>(filter: &Filter, view: View<'view>) -> Result<Test<'view>, Cause> {
    let state = view.state;
    match filter.name.as_str() {
        "status" => match filter.operator.as_str() {
            "*" => Ok(Box::new(|_| true)),
            "o" => Ok(Box::new(move |item| {
                !state.status(item.status_id).is_some_and(|status| status.is_closed)
            })),
            "c" => Ok(Box::new(move |item| {
                state.status(item.status_id).is_some_and(|status| status.is_closed)
            })),
            _ => member(filter, |id| state.status(id).is_some(), |item| Some(item.status_id)),
        },
        "type" => member(
            filter,
            |id| state.work_package_type(id).is_some(),
            |item| Some(item.type_id),
        ),
        "priority" => member(
            filter,
            |id| state.priorities.iter().any(|known| known.id == id),
            |item| Some(item.priority_id),
        ),
        "project" => {
            let known = |id: u64| {
                state
                    .projects
                    .get(&id)
                    .is_some_and(|project| view.sees_project(project))
            };
            member(filter, known, |item| Some(item.project_id))
        }
        "id" => member(filter, |id| view.work_package(id).is_some(), |item| Some(item.id)),
        "parent" => member(filter, |id| view.work_package(id).is_some(), |item| item.parent_id),
        "author" => member(
            &with_me(filter, view),
            |id| view.sees_user(id),
            |item| Some(item.author_id),
        ),
        "assignee" => member(&with_me(filter, view), |id| view.sees_user(id), |item| item.assignee_id),
        "responsible" => member(
            &with_me(filter, view),
            |id| view.sees_user(id),
            |item| item.responsible_id,
        ),
        "createdAt" => instant(filter, view, |item| item.created_at),
        "updatedAt" => instant(filter, view, |item| item.updated_at),
        "startDate" => date(filter, |item| item.start_date),
        "dueDate" => date(filter, |item| item.due_date),
        "subject" => words(filter),
        "subjectOrId" | "search" => {
            let wanted = filter.values.first().cloned().unwrap_or_default().to_lowercase();
            let id = wanted.trim_start_matches('#').parse::<u64>().ok();
            match filter.operator.as_str() {
                "**" => Ok(Box::new(move |item| {
                    item.subject.to_lowercase().contains(&wanted) || id == Some(item.id)
                })),
                _ => Err(bad_operator(filter)),
            }
        }
        name if view.options.filterable_custom_fields.contains(name) => custom_text(filter),
        // Whether sub-projects are in is decided before the filters are applied.
        "subproject" | "onlySubproject" => Ok(Box::new(|_| true)),
        _ => Err(Cause::query(format!("{} filter does not exist.", filter.name))),
    }
}

fn with_me(filter: &Filter, view: View<'_>) -> Filter {
    let me = view.caller.user_id().map(|id| id.to_string());
    let replace = |value: &String| match (&me, value.as_str()) {
        (Some(me), "me") => me.clone(),
        _ => value.clone(),
    };
    Filter {
        values: filter.values.iter().map(replace).collect(),
        ..filter.clone()
    }
}

fn member<'view>(
    filter: &Filter,
    known: impl Fn(u64) -> bool,
    value: impl Fn(&WorkPackage) -> Option<u64> + 'view,
) -> Result<Test<'view>, Cause> {
    match filter.operator.as_str() {
        "*" => return Ok(Box::new(move |item| value(item).is_some())),
        "!*" => return Ok(Box::new(move |item| value(item).is_none())),
        "=" | "!" => {}
        _ => return Err(bad_operator(filter)),
    }
    let mut ids = Vec::new();
    for text in &filter.values {
        match text.parse::<u64>() {
            Ok(id) if known(id) => ids.push(id),
            _ => return Err(invalid_values(filter)),
        }
    }
    if ids.is_empty() {
        return Err(invalid_values(filter));
    }
    let negated = filter.operator == "!";
    Ok(Box::new(move |item| {
        value(item).is_some_and(|id| ids.contains(&id)) != negated
    }))
}

fn bounds(filter: &Filter) -> Result<[Option<DateTime<Utc>>; 2], Cause> {
    let [from, to] = filter.values.as_slice() else {
        return Err(invalid_values(filter));
    };
    let parse = |text: &str| match text {
        "" => Ok(None),
        text => DateTime::parse_from_rfc3339(text)
            .map(|time| Some(time.to_utc()))
            .or_else(|_| {
                text.parse::<NaiveDate>()
                    .map(|day| Some(day.and_time(NaiveTime::MIN).and_utc()))
            })
            .map_err(|_| invalid_values(filter)),
    };
    let parsed = [parse(from)?, parse(to)?];
    if parsed == [None, None] {
        Err(invalid_values(filter))
    } else {
        Ok(parsed)
    }
}

fn instant<'view>(
    filter: &Filter,
    view: View<'view>,
    value: impl Fn(&WorkPackage) -> DateTime<Utc> + 'view,
) -> Result<Test<'view>, Cause> {
    let days_ago = || -> Result<DateTime<Utc>, Cause> {
        let days = filter
            .values
            .first()
            .and_then(|days| days.parse::<u64>().ok())
            .ok_or_else(|| invalid_values(filter))?;
        let today = view.options.clock.now().date_naive();
        let day = today
            .checked_sub_days(Days::new(days))
            .ok_or_else(|| invalid_values(filter))?;
        Ok(day.and_time(NaiveTime::MIN).and_utc())
    };
    match filter.operator.as_str() {
        "<>d" => {
            let [from, to] = bounds(filter)?;
            Ok(Box::new(move |item| {
                let at = value(item);
                from.is_none_or(|from| from <= at) && to.is_none_or(|to| at <= to)
            }))
        }
        "=d" => {
            let text = filter.values.first().map(String::as_str).unwrap_or_default();
            let from = bounds(&Filter {
                values: vec![text.to_owned(), String::new()],
                ..filter.clone()
            })?[0];
            Ok(Box::new(move |item| {
                from.is_some_and(|from| (from..from + Days::new(1)).contains(&value(item)))
            }))
        }
        ">t-" => days_ago().map(|from| Box::new(move |item: &WorkPackage| value(item) >= from) as Test<'view>),
        "<t-" => {
            days_ago().map(|to| Box::new(move |item: &WorkPackage| value(item) < to + Days::new(1)) as Test<'view>)
        }
        _ => Err(bad_operator(filter)),
    }
}

fn date<'view>(
    filter: &Filter,
    value: impl Fn(&WorkPackage) -> Option<NaiveDate> + 'view,
) -> Result<Test<'view>, Cause> {
    match filter.operator.as_str() {
        "!*" => Ok(Box::new(move |item| value(item).is_none())),
        "<>d" => {
            let bounds = bounds(filter)?.map(|bound| bound.map(|time| time.date_naive()));
            Ok(Box::new(move |item| {
                value(item)
                    .is_some_and(|at| bounds[0].is_none_or(|from| from <= at) && bounds[1].is_none_or(|to| at <= to))
            }))
        }
        "=d" => {
            let day = filter
                .values
                .first()
                .and_then(|day| day.parse::<NaiveDate>().ok())
                .ok_or_else(|| invalid_values(filter))?;
            Ok(Box::new(move |item| value(item) == Some(day)))
        }
        _ => Err(bad_operator(filter)),
    }
}

/// A custom field of one line: exactly one of the values, or a part of the text.
fn custom_text<'view>(filter: &Filter) -> Result<Test<'view>, Cause> {
    let (exact, negated) = match filter.operator.as_str() {
        "=" => (true, false),
        "!" => (true, true),
        "~" => (false, false),
        "!~" => (false, true),
        _ => return Err(bad_operator(filter)),
    };
    let wanted: Vec<String> = filter.values.iter().map(|value| value.to_lowercase()).collect();
    if wanted.iter().all(|value| value.trim().is_empty()) {
        return Err(invalid_values(filter));
    }
    let name = filter.name.clone();
    Ok(Box::new(move |item| {
        let text = item
            .custom_fields
            .get(&name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_lowercase();
        let fits = |value: &String| if exact { text == *value } else { text.contains(value) };
        wanted.iter().any(fits) != negated
    }))
}

fn words<'view>(filter: &Filter) -> Result<Test<'view>, Cause> {
    let negated = match filter.operator.as_str() {
        "~" => false,
        "!~" => true,
        _ => return Err(bad_operator(filter)),
    };
    let wanted = filter.values.first().cloned().unwrap_or_default().to_lowercase();
    if wanted.trim().is_empty() {
        return Err(invalid_values(filter));
    }
    Ok(Box::new(move |item| {
        let subject = item.subject.to_lowercase();
        wanted.split_whitespace().all(|word| subject.contains(word)) != negated
    }))
}

/// The filters of the project list.
pub(super) fn project_matches(filters: &[Filter], project: &Project) -> Result<bool, Refusal> {
    let mut matches = true;
    for filter in filters {
        matches &= match (filter.name.as_str(), filter.operator.as_str()) {
            ("active", "=" | "!") => {
                let wanted = match filter.values.first().map(String::as_str) {
                    Some("t") => true,
                    Some("f") => false,
                    _ => return Err(invalid_values(filter).into()),
                };
                (project.active == wanted) == (filter.operator == "=")
            }
            ("id", "=") => filter.values.contains(&project.id.to_string()),
            ("nameAndIdentifier", "~") => {
                let wanted = filter.values.first().cloned().unwrap_or_default().to_lowercase();
                project.name.to_lowercase().contains(&wanted) || project.identifier.contains(&wanted)
            }
            _ => return Err(Cause::query(format!("{} filter does not exist.", filter.name)).into()),
        };
    }
    Ok(matches)
}
