//! Random edits on the hub and two tools, random faults, random runs in between: then all sides agree, nothing is
//! doubled, nothing is lost, and all is quiet.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::collections::{BTreeMap, HashMap, HashSet};

use magnus_core::model::{ConflictPolicy, ConflictState, Field, IntentState, LinkState, Value};
use magnus_core::store::LinkStore;
use proptest::prelude::*;
use support::bench::Bench;
use support::toy::{Habits, Mishap, Toy};

/// Who does something: 0 is the hub, the others are tools.
#[derive(Debug, Clone)]
enum Step {
    Add {
        who: usize,
    },
    Edit {
        who: usize,
        item: usize,
        field: usize,
        value: usize,
    },
    Delete {
        who: usize,
        item: usize,
    },
    Sync {
        tool: usize,
    },
    Mishap {
        tool: usize,
        mishap: Mishap,
    },
    Meddle {
        tool: usize,
        item: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..3_usize;
    let tool = 0..2_usize;
    let step = prop_oneof![
        3 => who.clone().prop_map(|who| Step::Add { who }),
        8 => (who.clone(), 0..8_usize, 0..6_usize, 0..4_usize)
            .prop_map(|(who, item, field, value)| Step::Edit { who, item, field, value }),
        1 => (who, 0..8_usize).prop_map(|(who, item)| Step::Delete { who, item }),
        4 => tool.clone().prop_map(|tool| Step::Sync { tool }),
        1 => (tool.clone(), prop_oneof![Just(Mishap::AnswerLost), Just(Mishap::NeverArrived), Just(Mishap::Refused)])
            .prop_map(|(tool, mishap)| Step::Mishap { tool, mishap }),
        1 => (tool, 0..8_usize).prop_map(|(tool, item)| Step::Meddle { tool, item }),
    ];
    proptest::collection::vec(step, 1..40)
}

const EDITED: [Field; 6] = [
    Field::Description,
    Field::Title,
    Field::DueDate,
    Field::Status,
    Field::Tags,
    Field::Parent,
];

/// What people did, to be accounted for at the end.
#[derive(Default)]
struct Ledger {
    /// Texts that somebody typed and that must be somewhere: each is unique.
    typed: HashSet<String>,
    /// Texts that somebody replaced with his own hands.
    replaced: HashSet<String>,
    serial: usize,
}

impl Ledger {
    fn unique(&mut self, what: &str) -> String {
        self.serial += 1;
        let text = format!("{what} {}", self.serial);
        self.typed.insert(text.clone());
        text
    }

    fn replace(&mut self, before: &Value) {
        if let Value::Text(before) = before {
            self.replaced.insert(before.clone());
        }
    }
}

struct World {
    bench: Bench,
    ledger: Ledger,
}

impl World {
    async fn new(policy: ConflictPolicy) -> Self {
        let toys = vec![Toy::new("exact", Habits::exact()), Toy::new("loose", Habits::loose())];
        let bench = Bench::with(toys, |settings| settings.options.conflicts = policy).await;
        Self {
            bench,
            ledger: Ledger::default(),
        }
    }

    fn toy(&self, tool: usize) -> &Toy {
        &self.bench.toys[tool].0
    }

    fn item(&self, tool: usize, item: usize) -> Option<u64> {
        let state = self.toy(tool).state();
        let ids: Vec<u64> = state.items.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[item % ids.len()])
    }

    async fn play(&mut self, step: Step) {
        match step {
            Step::Add { who } => {
                let title = self.ledger.unique("title");
                match who {
                    0 => drop(self.bench.add(&title).await),
                    tool => drop(self.toy(tool - 1).add(&title)),
                }
            }
            Step::Edit {
                who,
                item,
                field,
                value,
            } => self.edit(who, item, EDITED[field], value).await,
            Step::Delete { who: 0, item } => {
                let tasks = self.bench.tasks().await;
                let alive: Vec<_> = tasks.values().filter(|task| !task.is_deleted()).collect();
                if !alive.is_empty() {
                    let task = alive[item % alive.len()];
                    self.ledger.replace(&task.get(Field::Title));
                    self.ledger.replace(&task.get(Field::Description));
                    self.bench.delete(task.id).await;
                }
            }
            Step::Delete { who, item } => {
                if let Some(id) = self.item(who - 1, item) {
                    let toy = self.toy(who - 1).clone();
                    self.ledger.replace(&toy.value(id, Field::Title));
                    self.ledger.replace(&toy.value(id, Field::Description));
                    toy.delete(id);
                }
            }
            Step::Sync { tool } => {
                // A run may fail under faults; what it did must add up all the same.
                let _ = self.bench.try_sync(tool).await;
            }
            Step::Mishap { tool, mishap } => self.toy(tool).state().mishaps.push(mishap),
            Step::Meddle { tool, item } => {
                if let Some(id) = self.item(tool, item) {
                    let text = self.ledger.unique("words");
                    let toy = self.toy(tool);
                    toy.meddle();
                    let raw = toy.raw(Field::Description, &Value::text(text));
                    toy.state().meddle = Some((id, Field::Description, raw));
                }
            }
        }
    }

    async fn edit(&mut self, who: usize, item: usize, field: Field, value: usize) {
        let nothing_there = match who {
            0 => self.bench.tasks().await.values().all(|task| task.is_deleted()),
            who => self.item(who - 1, item).is_none(),
        };
        if nothing_there {
            return;
        }
        let new = match field {
            Field::Title => Value::text(self.ledger.unique("title")),
            Field::Description if value == 0 => Value::Empty,
            Field::Description => Value::text(self.ledger.unique("words")),
            Field::DueDate if value == 0 => Value::Empty,
            Field::DueDate => Value::Date(format!("2026-12-0{value}").parse().unwrap()),
            Field::Status => Value::Status(["todo", "in_progress", "done", "review"][value].parse().unwrap()),
            Field::Tags => Value::tags((0..value).map(|tag| format!("tag{tag}")).collect()),
            _ => Value::Empty,
        };
        if who == 0 {
            let tasks = self.bench.tasks().await;
            let alive: Vec<_> = tasks
                .values()
                .filter(|task| !task.is_deleted())
                .map(|task| task.id)
                .collect();
            let task = alive[item % alive.len()];
            let parent = alive[value % alive.len()];
            let new = match field {
                Field::Parent if parent == task || tasks[&parent].parent_id.is_some() => Value::Empty,
                Field::Parent if tasks.values().any(|other| other.parent_id == Some(task)) => Value::Empty,
                Field::Parent => Value::Task(parent),
                _ => new,
            };
            let before = self.bench.edit(task, field, new).await;
            self.ledger.replace(&before);
        } else if let Some(id) = self.item(who - 1, item) {
            let toy = self.toy(who - 1).clone();
            if field == Field::Parent {
                let parent = self.item(who - 1, value).unwrap();
                let raw_id = serde_json::Value::String(id.to_string());
                let state = toy.state();
                let has_parent = !state.items[&parent].fields[&Field::Parent].is_null();
                let is_parent = state.items.values().any(|other| other.fields[&Field::Parent] == raw_id);
                drop(state);
                let raw = if parent == id || has_parent || is_parent {
                    serde_json::Value::Null
                } else {
                    parent.to_string().into()
                };
                toy.edit_raw(id, field, raw);
                return;
            }
            let before = toy.value(id, field);
            toy.edit(id, field, &new);
            self.ledger.replace(&before);
        }
    }

    async fn check(&mut self) {
        for tool in 0..2 {
            self.toy(tool).meddle();
            self.toy(tool).state().mishaps.clear();
        }
        self.bench.settle().await;
        let before = self.bench.writes();
        for tool in [0, 1, 0, 1] {
            self.bench.sync(tool).await;
        }
        assert_eq!(self.bench.writes(), before, "property 1: quiet after convergence");
        self.check_equal().await;
        self.check_not_lost().await;
    }

    async fn check_equal(&self) {
        let tasks = self.bench.tasks().await;
        let held: HashSet<_> = self
            .bench
            .conflicts()
            .await
            .into_iter()
            .filter(|conflict| conflict.state == ConflictState::Open)
            .map(|conflict| (conflict.link_id, conflict.field))
            .collect();
        for tool in 0..2 {
            let toy = self.toy(tool);
            let links = self.bench.links(tool).await;
            let by_external: HashMap<_, _> = links
                .iter()
                .map(|link| (link.external_id.as_str().to_owned(), link))
                .collect();
            assert_eq!(by_external.len(), links.len(), "property 3: one link per external item");
            // While a create is uncertain nothing unlinked is taken over on that connection: held until a person says.
            let connection = self.bench.toys[tool].1;
            let uncertain = self.bench.store.unsettled_intents(connection).await.unwrap();
            assert!(
                uncertain
                    .iter()
                    .all(|intent| matches!(intent.state, IntentState::Uncertain { .. }))
            );
            for id in toy.state().items.keys().filter(|_| uncertain.is_empty()) {
                assert!(
                    by_external.contains_key(&id.to_string()),
                    "{}'s item {id} has no link",
                    toy.name
                );
            }
            let tasks_of: BTreeMap<_, _> = links
                .iter()
                .map(|link| (link.external_id.as_str().to_owned(), link.task_id))
                .collect();
            for link in links.iter().filter(|link| link.state == LinkState::Live) {
                let task = &tasks[&link.task_id];
                let id: u64 = link.external_id.as_str().parse().unwrap();
                for field in EDITED.iter().filter(|field| !held.contains(&(link.id, **field))) {
                    let remote = match field {
                        Field::Parent => {
                            let raw = toy.state().items[&id].fields[field].clone();
                            let parent = raw.as_str().map(str::to_owned);
                            // A parent that is gone, or not live here, cannot be held in common.
                            match parent {
                                None => Value::Empty,
                                Some(parent) => match tasks_of.get(&parent) {
                                    Some(task) => Value::Task(*task),
                                    None => continue,
                                },
                            }
                        }
                        field => toy.value(id, *field),
                    };
                    let local = task.get(*field);
                    if *field == Field::Parent && !self.parent_is_live(tool, &local, &remote).await {
                        continue;
                    }
                    assert!(
                        local.is_same(&remote, *field),
                        "property 2: {field} of {:?}: hub {local:?}, {} {remote:?}",
                        task.title,
                        toy.name
                    );
                }
            }
        }
        let mut titles: Vec<_> = tasks.values().map(|task| task.title.as_str()).collect();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), tasks.len(), "property 3: no duplicate in the hub");
    }

    /// Whether both ends of a parent reference are kept in step on this tool.
    async fn parent_is_live(&self, tool: usize, local: &Value, remote: &Value) -> bool {
        let live: HashSet<_> = self
            .bench
            .links(tool)
            .await
            .iter()
            .filter(|link| link.state == LinkState::Live)
            .map(|link| link.task_id)
            .collect();
        [local, remote].into_iter().all(|value| match value {
            Value::Task(task) => live.contains(task),
            _ => true,
        })
    }

    async fn check_not_lost(&mut self) {
        for tool in 0..2 {
            let toy = self.toy(tool).clone();
            for raw in toy.state().meddled_over.drain(..) {
                let text = raw
                    .as_str()
                    .unwrap_or_default()
                    .trim_start_matches("<p>")
                    .trim_end_matches("</p>");
                self.ledger.replaced.insert(text.to_owned());
            }
        }
        let mut present: HashSet<String> = HashSet::new();
        let mut see = |value: Value| {
            if let Value::Text(text) = value {
                present.insert(text);
            }
        };
        for task in self.bench.tasks().await.into_values() {
            see(task.get(Field::Title));
            see(task.get(Field::Description));
        }
        for tool in 0..2 {
            let ids: Vec<u64> = self.toy(tool).state().items.keys().copied().collect();
            for id in ids {
                see(self.toy(tool).value(id, Field::Title));
                see(self.toy(tool).value(id, Field::Description));
            }
        }
        for conflict in self.bench.conflicts().await {
            see(conflict.local);
            see(conflict.remote_value);
        }
        let lost: Vec<_> = self
            .ledger
            .typed
            .iter()
            .filter(|text| !present.contains(*text) && !self.ledger.replaced.contains(*text))
            .collect();
        assert!(lost.is_empty(), "property 4: lost without a trace: {lost:?}");
    }
}

fn run(policy: ConflictPolicy, steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(policy).await;
        for step in steps {
            world.play(step).await;
        }
        world.check().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(400), max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_sides_converge_when_people_decide(steps in steps()) {
        run(ConflictPolicy::Manual, steps);
    }

    #[test]
    fn all_sides_converge_when_the_hub_wins(steps in steps()) {
        run(ConflictPolicy::HubWins, steps);
    }

    #[test]
    fn all_sides_converge_when_the_tool_wins(steps in steps()) {
        run(ConflictPolicy::ExternalWins, steps);
    }
}
