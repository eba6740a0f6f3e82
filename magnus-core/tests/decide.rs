//! The decision on one field, as a table: bases, both present values, direction, policy, and what comes of it.

use magnus_core::connection::{Decoded, Encoded, FieldSupport, Translator};
use magnus_core::model::{
    Base, ConflictPolicy, ConnectionId, Direction, ExternalId, Field, Link, LocalBase, Mapping, ProjectId, Refusal,
    RefusalCause, RemoteBase, RemoteField, RemoteTask, RemoteValue, TaskId, Timestamp, Value,
};
use magnus_core::reconcile::{FieldDecision, FieldInput, Lens, References, decide};

/// A tool that says everything in capitals, holds nothing with an `x`, and understands nothing with a `?`.
#[derive(Debug)]
struct Loud;

impl Translator for Loud {
    fn decode(&self, _: &ExternalId, _: Field, value: &RemoteValue) -> Decoded {
        match value.as_text() {
            None => Decoded::Exact(Value::Empty),
            Some(text) if text.contains('?') => Decoded::Unresolved("a question".to_owned()),
            Some(text) => Decoded::Exact(Value::text(text.to_lowercase())),
        }
    }

    fn encode(&self, _: &ExternalId, _: Field, value: &Value) -> Encoded {
        match value {
            Value::Text(text) if text.contains('x') => Encoded::Unholdable("an x".to_owned()),
            Value::Text(text) => Encoded::Value(RemoteValue::text(text.to_uppercase())),
            _ => Encoded::Value(RemoteValue::NULL),
        }
    }

    fn is_default(&self, _: &ExternalId, _: Field, value: &RemoteValue) -> bool {
        value.as_text() == Some("DEFAULT")
    }
}

fn local(text: &str) -> Value {
    Value::text(text)
}

fn raw(text: &str) -> RemoteValue {
    if text.is_empty() {
        RemoteValue::NULL
    } else {
        RemoteValue::text(text)
    }
}

/// `-`: no base; `!a|B`: the local value was never sent; `a|?B`: the remote one was never understood; `a|B`: agreed.
fn base(text: &str) -> Option<Base> {
    let (left, right) = text.split_once('|')?;
    Some(Base {
        local: if left.starts_with('!') {
            LocalBase::Unsent
        } else {
            LocalBase::Agreed(local(left))
        },
        remote: match right.strip_prefix('~') {
            Some(unseen) => RemoteBase::Unseen(raw(unseen)),
            None => RemoteBase::Agreed(raw(right)),
        },
    })
}

fn told(decision: FieldDecision) -> String {
    match decision {
        FieldDecision::Unchanged => "unchanged".to_owned(),
        FieldDecision::Record(base) => match base.remote {
            RemoteBase::Agreed(_) => "record".to_owned(),
            RemoteBase::Unseen(_) => "record unseen".to_owned(),
        },
        FieldDecision::Pull { value, loser, .. } => {
            format!(
                "pull {value}{}",
                loser.map(|loser| format!(" over {loser}")).unwrap_or_default()
            )
        }
        FieldDecision::Push { sent, loser, .. } => {
            let magnus_core::reconcile::Sendable::Now(sent) = sent else {
                panic!("{sent:?}")
            };
            format!(
                "push {sent}{}",
                loser.map(|loser| format!(" over {loser}")).unwrap_or_default()
            )
        }
        FieldDecision::Held { hold, base, .. } => {
            format!("held {}{}", hold.as_str(), if base.is_some() { " noted" } else { "" })
        }
        FieldDecision::Conflict { remote_value, .. } => format!("conflict {remote_value}"),
    }
}

const BOTH: Direction = Direction::Bidirectional;
const MANUAL: ConflictPolicy = ConflictPolicy::Manual;

/// Base, hub's value, tool's value, direction, policy → what comes of it.
const TABLE: &[(&str, &str, &str, Direction, ConflictPolicy, &str)] = &[
    // Neither moved, one moved, both moved to the same.
    ("a|A", "a", "A", BOTH, MANUAL, "unchanged"),
    ("a|A", "a", "B", BOTH, MANUAL, "pull b"),
    ("a|A", "a", "", BOTH, MANUAL, "pull (none)"),
    ("a|A", "b", "A", BOTH, MANUAL, "push B"),
    ("a|A", "", "A", BOTH, MANUAL, "push (none)"),
    ("a|A", "b", "B", BOTH, MANUAL, "record"),
    // What a tool made of a value is no edit: only each side against its own base counts.
    ("a|ODD", "a", "ODD", BOTH, MANUAL, "unchanged"),
    ("a|A", "b", "b", BOTH, MANUAL, "record"),
    // Both moved: the policy decides, and the loser is told.
    ("a|A", "b", "C", BOTH, MANUAL, "conflict c"),
    ("a|A", "b", "C", BOTH, ConflictPolicy::HubWins, "push B over c"),
    ("a|A", "b", "C", BOTH, ConflictPolicy::ExternalWins, "pull c over b"),
    ("a|A", "b", "C", BOTH, ConflictPolicy::NewestWins, "conflict c"),
    ("a|A", "bx", "C", BOTH, ConflictPolicy::HubWins, "conflict c"),
    ("a|A", "b", "C?", BOTH, ConflictPolicy::ExternalWins, "conflict (none)"),
    // Direction.
    ("a|A", "b", "A", Direction::Pull, MANUAL, "held direction"),
    ("a|A", "a", "B", Direction::Push, MANUAL, "held direction"),
    ("a|A", "b", "C", Direction::Pull, ConflictPolicy::HubWins, "conflict c"),
    (
        "a|A",
        "b",
        "C",
        Direction::Pull,
        ConflictPolicy::ExternalWins,
        "pull c over b",
    ),
    // What one side cannot hold or understand.
    ("a|A", "bx", "A", BOTH, MANUAL, "held unholdable"),
    ("a|A", "a", "B?", BOTH, MANUAL, "held unresolved noted"),
    ("a|~B?", "a", "B?", BOTH, MANUAL, "unchanged"),
    ("a|~B?", "a", "B", BOTH, MANUAL, "pull b"),
    ("a|~B?", "c", "B?", BOTH, MANUAL, "push C"),
    ("!|A", "bx", "A", BOTH, MANUAL, "held unholdable"),
    ("!|A", "b", "A", BOTH, MANUAL, "push B"),
    ("!|A", "a", "A", BOTH, MANUAL, "record"),
    // First contact: unset yields to set, and only two set, different values are a conflict.
    ("-", "a", "A", BOTH, MANUAL, "record"),
    ("-", "", "A", BOTH, MANUAL, "pull a"),
    ("-", "a", "", BOTH, MANUAL, "push A"),
    ("-", "a", "DEFAULT", BOTH, MANUAL, "push A"),
    ("-", "a", "B", BOTH, MANUAL, "conflict b"),
    ("-", "a", "B", BOTH, ConflictPolicy::ExternalWins, "pull b over a"),
    ("-", "ax", "", BOTH, MANUAL, "held unholdable noted"),
    // What the hub has set never gives way to a value that nobody could tell at first.
    ("-", "a", "B?", BOTH, MANUAL, "held unresolved"),
    ("-", "", "B?", BOTH, MANUAL, "held unresolved noted"),
];

struct Case<'a> {
    base: &'a str,
    local: &'a str,
    remote: &'a str,
    derived: bool,
    refusal: Option<Refusal>,
    times: (Option<Timestamp>, Option<Timestamp>),
    linked_at: Option<Timestamp>,
}

fn outcome(case: &Case<'_>, direction: Direction, policy: ConflictPolicy) -> String {
    let project = ExternalId::from(1);
    let references = References::default();
    let lens = Lens::new(&Loud, &project, &references);
    let base = base(case.base);
    let (hub, tool) = (
        local(case.local),
        RemoteField {
            value: raw(case.remote),
            derived: case.derived,
        },
    );
    let input = FieldInput {
        held: None,
        field: Field::Description,
        support: FieldSupport::ReadWrite,
        base: base.as_ref(),
        local: &hub,
        remote: &tool,
        refusal: case.refusal.as_ref(),
        local_time: case.times.0,
        linked_at: case.linked_at,
        remote_time: case.times.1,
    };
    told(decide(&input, &lens, direction, policy))
}

fn plain<'a>(base: &'a str, local: &'a str, remote: &'a str) -> Case<'a> {
    Case {
        base,
        local,
        remote,
        derived: false,
        refusal: None,
        times: (None, None),
        linked_at: None,
    }
}

#[test]
fn each_combination_of_bases_and_values_has_one_outcome() {
    for (base, local, remote, direction, policy, expected) in TABLE {
        let got = outcome(&plain(base, local, remote), *direction, *policy);
        assert_eq!(
            got, *expected,
            "base {base}, hub {local:?}, tool {remote:?}, {direction}, {policy}"
        );
    }
}

#[test]
fn rule_23_what_a_tool_computes_is_never_pushed_and_a_computed_nothing_never_clears() {
    let derived = |base, local, remote| Case {
        derived: true,
        ..plain(base, local, remote)
    };
    assert_eq!(
        outcome(&derived("a|A", "b", "A"), BOTH, MANUAL),
        "held computed_by_tool"
    );
    assert_eq!(outcome(&derived("a|A", "a", ""), BOTH, MANUAL), "record");
    assert_eq!(outcome(&derived("a|A", "a", "B"), BOTH, MANUAL), "pull b");
    assert_eq!(outcome(&derived("a|A", "c", "B"), BOTH, MANUAL), "pull b over c");
}

/// The sides meet for the first time, and the tool computes what the hub has set: it gives way, on record. A run that may
/// not change the hub agrees on nothing: the value would never get there.
#[test]
fn rule_23_a_computed_value_is_agreed_on_only_once_the_hub_has_it() {
    let derived = |base, local, remote| Case {
        derived: true,
        ..plain(base, local, remote)
    };
    assert_eq!(outcome(&derived("-", "a", "B"), BOTH, MANUAL), "pull b over a");
    assert_eq!(outcome(&derived("-", "", "B"), BOTH, MANUAL), "pull b");
    for base in ["-", "a|A"] {
        assert_eq!(
            outcome(&derived(base, "a", "B"), Direction::Push, MANUAL),
            "held direction"
        );
        assert_eq!(outcome(&derived(base, "a", "B?"), BOTH, MANUAL), "record unseen");
    }
    assert_eq!(outcome(&derived("a|~B?", "a", "B"), BOTH, MANUAL), "pull b");
    assert_eq!(
        outcome(&derived("a|A", "c", "B"), Direction::Push, MANUAL),
        "held computed_by_tool",
        "without a base: a later run that may change the hub pulls it"
    );
}

/// Whether an item that the hub has deleted was worked on in the tool.
#[test]
fn rule_23_what_a_tool_computes_is_no_work_on_its_item() {
    let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("an instant");
    let mapping = Mapping::new(ConnectionId::generate(), 1.into(), "Alpha", ProjectId::generate());
    let mut link = Link::new(&mapping, TaskId::generate(), 7.into(), now);
    link.bases.insert(Field::DueDate, Base::agreed(local("a"), raw("A")));
    let mut item = RemoteTask::new(7.into(), 1.into());
    for (derived, moved) in [(true, false), (false, true)] {
        let value = raw("B");
        item.fields.insert(Field::DueDate, RemoteField { value, derived });
        assert_eq!(link.moved_in_tool(&item), moved, "derived: {derived}");
    }
}

/// What a person has set since the sides were joined goes out, also over what nobody can tell.
#[test]
fn rule_7_an_edit_since_the_first_contact_is_an_edit() {
    let at = |second: u32| Some(format!("2026-11-22T12:00:{second:02}Z").parse().expect("a time"));
    let case = |edited| Case {
        times: (at(edited), None),
        linked_at: at(5),
        ..plain("-", "a", "B?")
    };
    assert_eq!(
        outcome(&case(9), BOTH, MANUAL),
        "push A over (none)",
        "what stood there goes on record"
    );
    assert_eq!(outcome(&case(5), BOTH, MANUAL), "held unresolved");
    assert_eq!(outcome(&case(9), Direction::Pull, MANUAL), "held direction noted");
}

#[test]
fn rule_9_a_refused_value_waits_until_either_side_moves() {
    let refusal = |hub, tool| {
        Some(Refusal {
            local: local(hub),
            remote: raw(tool),
            reason: "no".to_owned(),
            cause: RefusalCause::Refused,
        })
    };
    let case = |refusal| Case {
        refusal,
        ..plain("a|A", "b", "A")
    };
    assert_eq!(outcome(&case(refusal("b", "A")), BOTH, MANUAL), "held refused");
    assert_eq!(outcome(&case(refusal("c", "A")), BOTH, MANUAL), "push B");
    assert_eq!(outcome(&case(refusal("b", "Z")), BOTH, MANUAL), "push B");
}

#[test]
fn rule_25_the_newest_wins_only_where_both_times_are_known_and_apart() {
    let at = |second: u32| Some(format!("2026-11-22T12:00:{second:02}Z").parse().expect("a time"));
    let case = |hub, tool| Case {
        times: (hub, tool),
        ..plain("a|A", "b", "C")
    };
    let newest = ConflictPolicy::NewestWins;
    assert_eq!(outcome(&case(at(10), at(5)), BOTH, newest), "push B over c");
    assert_eq!(outcome(&case(at(5), at(10)), BOTH, newest), "pull c over b");
    assert_eq!(outcome(&case(at(5), at(7)), BOTH, newest), "conflict c");
    assert_eq!(outcome(&case(at(5), None), BOTH, newest), "conflict c");
}
