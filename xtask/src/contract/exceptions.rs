//! Where the description is wrong or behind: the server wins, and the simulator does as the server does.

use std::collections::BTreeSet;

use super::schema::Finding;

/// A finding that is none.
struct Exception {
    /// The operation as described, or empty for all.
    operation: &'static str,
    /// How the place ends.
    place: &'static str,
    /// How the problem starts.
    problem: &'static str,
    reason: &'static str,
}

const fn on(operation: &'static str, place: &'static str, problem: &'static str, reason: &'static str) -> Exception {
    Exception {
        operation,
        place,
        problem,
        reason,
    }
}

const fn any(place: &'static str, problem: &'static str, reason: &'static str) -> Exception {
    on("", place, problem, reason)
}

const EXCEPTIONS: &[Exception] = &[
    on("POST /api/v3/work_packages", "/", "status 201", "a create answers 201"),
    on(
        "POST /api/v3/projects/{id}/work_packages",
        "/",
        "status 201",
        "a create answers 201",
    ),
    on(
        "GET /api/v3/work_packages",
        "/_type",
        "is \"WorkPackageCollection\"",
        "the list of work packages has a kind of its own",
    ),
    on(
        "GET /api/v3/projects/{id}/work_packages",
        "/_type",
        "is \"WorkPackageCollection\"",
        "the list of work packages has a kind of its own",
    ),
    any(
        "/pageSize",
        "is not described",
        "work packages and users come in pages, like the lists that are described so",
    ),
    any(
        "/offset",
        "is not described",
        "work packages and users come in pages, like the lists that are described so",
    ),
    any(
        "/_links/jumpTo",
        "is not described",
        "lists in pages link to other pages",
    ),
    any(
        "/_links/changeSize",
        "is not described",
        "lists in pages link to other pages",
    ),
    any(
        "/_links/nextByOffset",
        "is not described",
        "lists in pages link to other pages",
    ),
    any(
        "/_links/previousByOffset",
        "is not described",
        "lists in pages link to other pages",
    ),
    any("/displayId", "is not described", "shown since 17.4"),
    any("/remainingTime", "is not described", "shown; the description is behind"),
    any(
        "/derivedRemainingTime",
        "is not described",
        "shown; the description is behind",
    ),
    any(
        "/_links/activities",
        "is not described",
        "shown; the description is behind",
    ),
    on(
        "GET /api/v3/work_packages/{id}",
        "/_embedded",
        "is not described",
        "a single work package embeds what it refers to",
    ),
    on(
        "PATCH /api/v3/work_packages/{id}",
        "/_embedded",
        "is not described",
        "a single work package embeds what it refers to",
    ),
    on(
        "POST /api/v3/work_packages",
        "/_embedded",
        "is not described",
        "a single work package embeds what it refers to",
    ),
    on(
        "POST /api/v3/projects/{id}/work_packages",
        "/_embedded",
        "is not described",
        "a single work package embeds what it refers to",
    ),
    on(
        "PATCH /api/v3/work_packages/{id}",
        "/_embedded/errors",
        "is not described",
        "several causes are embedded in one error",
    ),
    on(
        "GET /api/v3/configuration",
        "/maximumApiV3PageSize",
        "is not described",
        "shown; the description is behind",
    ),
    on(
        "GET /api/v3/configuration",
        "/_type",
        "is not described",
        "every resource names its kind and links to itself; this schema leaves that out",
    ),
    on(
        "GET /api/v3/configuration",
        "/_links",
        "is not described",
        "every resource names its kind and links to itself; this schema leaves that out",
    ),
    on(
        "GET /api/v3/priorities",
        "/_embedded/elements/*/_type",
        "is not described",
        "every resource names its kind and links to itself; this schema leaves that out",
    ),
    on(
        "GET /api/v3/projects/{id}/types",
        "/_embedded/elements/*/_type",
        "is not described",
        "every resource names its kind and links to itself; this schema leaves that out",
    ),
];

/// The exception that covers a finding.
pub(crate) fn position(operation: &str, finding: &Finding) -> Option<usize> {
    EXCEPTIONS.iter().position(|exception| {
        (exception.operation.is_empty() || exception.operation == operation)
            && finding.place.ends_with(exception.place)
            && finding.problem.starts_with(exception.problem)
    })
}

/// Exceptions that no answer needed: the description has caught up, or the simulator no longer does so.
pub(crate) fn unused(used: &BTreeSet<usize>) -> Vec<String> {
    EXCEPTIONS
        .iter()
        .enumerate()
        .filter(|(position, _)| !used.contains(position))
        .map(|(_, exception)| {
            format!(
                "the exception for {} {:?} ({}) is no longer needed",
                exception.operation, exception.place, exception.reason
            )
        })
        .collect()
}
