//! Random edits on the hub, OpenProject and Leantime through the real adapters, then syncs until quiet: all three agree in
//! every field that all can hold, nothing is doubled, nothing is lost, and further syncs write nothing.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use magnus_core::connection::{ConnectionExt, Decoded, Encoded, FieldSupport, ListTasks};
use magnus_core::engine::{RunContext, SyncEngine};
use magnus_core::model::{
    ConflictPolicy, ConflictState, ConnectionId, ExternalId, Field, LinkState, Priority, RunRequest, RunState, Status,
    TaskId, Value,
};
use magnus_core::store::{Fence, LeaseAnswer};
use magnus_testkit::sim::openproject::{OpenProjectOptions, Workflow};
use proptest::prelude::*;
use support::{Common, Setup, World};

/// Who does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Hub,
    OpenProject,
    Leantime,
}

#[derive(Debug, Clone)]
enum Step {
    Add(Who),
    Edit {
        who: Who,
        item: usize,
        field: usize,
        value: usize,
    },
    Delete {
        who: Who,
        item: usize,
    },
    Comment {
        item: usize,
    },
    Sync(Who),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = || prop_oneof![Just(Who::Hub), Just(Who::OpenProject), Just(Who::Leantime)];
    let tool = prop_oneof![Just(Who::OpenProject), Just(Who::Leantime)];
    let step = prop_oneof![
        3 => who().prop_map(Step::Add),
        9 => (who(), 0..8_usize, 0..FIELDS.len(), 0..8_usize)
            .prop_map(|(who, item, field, value)| Step::Edit { who, item, field, value }),
        1 => (who(), 0..8_usize).prop_map(|(who, item)| Step::Delete { who, item }),
        1 => (0..8_usize).prop_map(|item| Step::Comment { item }),
        3 => tool.prop_map(Step::Sync),
    ];
    proptest::collection::vec(step, 1..24)
}

const FIELDS: [Field; 10] = [
    Field::Title,
    Field::Description,
    Field::Status,
    Field::Priority,
    Field::StartDate,
    Field::DueDate,
    Field::EstimatedHours,
    Field::Tags,
    Field::PercentageDone,
    Field::Parent,
];

/// Descriptions as people write them; `{}` is made unique.
const MARKDOWN: [&str; 8] = [
    "plain {}",
    "# Heading {}\n\ntext with **bold** and _italics_",
    "- one {}\n- two\n  - nested",
    "- [ ] open {}\n- [x] done",
    "a <server> placeholder {} & `code <b>`",
    "| a | b |\n| --- | --- |\n| {} | ü 🎉 |",
    "```rust\nlet x = \"{}\";\n```",
    "first {}\r\nsecond line\r\n\r\nשלום",
];

const HTML: [&str; 4] = [
    "<p>plain {}</p>",
    "<h2>Heading {}</h2><ul><li>one</li><li><strong>two</strong></li></ul>",
    "words {} without any tag",
    "<p>a &lt;server&gt; {} &amp; more</p><script>alert(1)</script>",
];

struct Play {
    world: World,
    common: Common,
    serial: usize,
    /// Titles typed by somebody: each must be somewhere in the end, or somebody replaced it with his own hands.
    typed: HashSet<String>,
    replaced: HashSet<String>,
}

impl Play {
    async fn new(policy: ConflictPolicy, openproject: OpenProjectOptions) -> Self {
        let settings: fn(&mut magnus_core::model::ConnectionSettings) = match policy {
            ConflictPolicy::Manual => |_| {},
            ConflictPolicy::HubWins => |settings| settings.options.conflicts = ConflictPolicy::HubWins,
            ConflictPolicy::ExternalWins => |settings| settings.options.conflicts = ConflictPolicy::ExternalWins,
            ConflictPolicy::NewestWins => |settings| settings.options.conflicts = ConflictPolicy::NewestWins,
        };
        let world = World::with(Setup {
            settings,
            openproject,
            ..Setup::default()
        })
        .await;
        let common = world.common_project("Common").await;
        Self {
            world,
            common,
            serial: 0,
            typed: HashSet::new(),
            replaced: HashSet::new(),
        }
    }

    fn unique(&mut self, pattern: &str) -> String {
        self.serial += 1;
        pattern.replace("{}", &format!("no{}", self.serial))
    }

    fn title(&mut self, value: usize) -> String {
        // Some titles are longer than any tool takes.
        let long = if value == 7 { "long ".repeat(60) } else { String::new() };
        let title = self.unique(&format!("title {{}}{long}")).trim_end().to_owned();
        self.typed.insert(title.clone());
        title
    }

    /// One run by hand, so that a case is the same every time.
    async fn run(&self, id: ConnectionId) -> magnus_core::engine::RunEnd {
        let ttl = Duration::from_secs(30);
        let answer = self
            .world
            .store
            .acquire_lease(id, "play".to_owned(), ttl)
            .await
            .unwrap();
        let LeaseAnswer::Granted(lease) = answer else {
            panic!("one at a time: {answer:?}")
        };
        let context = RunContext {
            fence: Fence::Lease(lease.clone()),
            ..RunContext::detached()
        };
        let end = self.world.engine.run(RunRequest::new(id), context).await.unwrap();
        self.world.store.release_lease(lease).await.unwrap();
        assert_eq!(end.state, RunState::Completed, "{end:#?}");
        end
    }

    async fn hub_ids(&self) -> Vec<TaskId> {
        let tasks = self.world.tasks(self.common.hub).await;
        tasks
            .values()
            .filter(|task| !task.is_deleted())
            .map(|task| task.id)
            .collect()
    }

    fn op_ids(&self) -> Vec<u64> {
        self.world
            .openproject
            .work_packages()
            .iter()
            .map(|item| item.id)
            .collect()
    }

    fn lt_ids(&self) -> Vec<i64> {
        self.world.leantime.tickets().iter().map(|ticket| ticket.id).collect()
    }

    async fn play(&mut self, step: Step) {
        match step {
            Step::Add(who) => {
                let title = self.title(0);
                match who {
                    Who::Hub => drop(self.world.add(self.common.hub, &title).await),
                    Who::OpenProject => drop(self.world.openproject.create_work_package(self.common.op, &title)),
                    Who::Leantime => drop(self.world.leantime.create_ticket(self.common.lt, &title)),
                }
            }
            Step::Edit {
                who: Who::Hub,
                item,
                field,
                value,
            } => {
                if let Some(id) = pick(&self.hub_ids().await, item) {
                    self.edit_hub(id, FIELDS[field], value).await;
                }
            }
            Step::Edit {
                who: Who::OpenProject,
                item,
                field,
                value,
            } => {
                if let Some(id) = pick(&self.op_ids(), item) {
                    self.edit_openproject(id, FIELDS[field], value);
                }
            }
            Step::Edit {
                who: Who::Leantime,
                item,
                field,
                value,
            } => {
                if let Some(id) = pick(&self.lt_ids(), item) {
                    self.edit_leantime(id, FIELDS[field], value);
                }
            }
            Step::Delete { who, item } => self.delete(who, item).await,
            Step::Comment { item } => {
                if let Some(id) = pick(&self.op_ids(), item) {
                    self.world.openproject.comment(id, "looks good");
                }
            }
            Step::Sync(Who::Leantime) => drop(self.run(self.world.lt).await),
            Step::Sync(_) => drop(self.run(self.world.op).await),
        }
    }

    async fn edit_hub(&mut self, id: TaskId, field: Field, value: usize) {
        let new = match field {
            Field::Title => Value::text(self.title(value)),
            Field::Description if value == 0 => Value::Empty,
            Field::Description => Value::text(self.unique(MARKDOWN[value])),
            Field::Status => Value::Status(Status::ALL[value % 6]),
            Field::Priority => Value::Priority(Priority::ALL[value % 4]),
            Field::StartDate => day(value, 1),
            Field::DueDate => day(value, 11),
            Field::EstimatedHours if value == 0 => Value::Empty,
            Field::EstimatedHours => Value::Minutes(u32::try_from(value).unwrap() * 45),
            Field::Tags => Value::tags((0..value % 4).map(|tag| format!("tag{tag}")).collect()),
            Field::PercentageDone => Value::Percent(u8::try_from(value).unwrap() * 10),
            _ => {
                let tasks = self.world.tasks(self.common.hub).await;
                let ids = self.hub_ids().await;
                let parent = ids[value % ids.len()];
                let tangled = parent == id
                    || tasks[&parent].parent_id.is_some()
                    || tasks.values().any(|task| task.parent_id == Some(id));
                if tangled { Value::Empty } else { Value::Task(parent) }
            }
        };
        if let Value::Text(before) = self.world.edit(id, field, new).await
            && field == Field::Title
        {
            self.replaced.insert(before);
        }
    }

    fn edit_openproject(&mut self, id: u64, field: Field, value: usize) {
        let simulator = self.world.openproject.clone();
        let title = (field == Field::Title).then(|| self.title(0));
        let description = self.unique(MARKDOWN[value]);
        let statuses = simulator.statuses();
        let priorities = simulator.priorities();
        let items = simulator.work_packages();
        let parent = pick(&self.op_ids(), value).filter(|parent| {
            *parent != id
                && !items.iter().any(|item| item.id == *parent && item.parent_id.is_some())
                && !items.iter().any(|item| item.parent_id == Some(id))
        });
        let mut replaced = None;
        simulator.edit_work_package(id, |item| match field {
            Field::Title => replaced = Some(std::mem::replace(&mut item.subject, title.unwrap_or_default())),
            Field::Description if value == 0 => item.description.clear(),
            Field::Description => item.description = description,
            Field::Status => item.status_id = statuses[value % statuses.len()].id,
            Field::Priority => item.priority_id = priorities[value % priorities.len()].id,
            Field::StartDate => item.start_date = date(value, 1),
            Field::DueDate => item.due_date = date(value, 11),
            Field::EstimatedHours => item.estimated_minutes = (value > 0).then_some(i64::try_from(value).unwrap() * 30),
            Field::PercentageDone => item.percentage_done = Some(i64::try_from(value).unwrap() * 5),
            Field::Parent => item.parent_id = parent,
            _ => {}
        });
        self.replaced.extend(replaced);
    }

    fn edit_leantime(&mut self, id: i64, field: Field, value: usize) {
        let simulator = self.world.leantime.clone();
        let title = (field == Field::Title).then(|| self.title(0));
        let description = self.unique(HTML[value % 4]);
        let tickets = simulator.tickets();
        let parent = pick(&self.lt_ids(), value).filter(|parent| {
            *parent != id
                && !tickets
                    .iter()
                    .any(|ticket| ticket.id == *parent && ticket.depending_ticket_id.unwrap_or(0) != 0)
                && !tickets.iter().any(|ticket| ticket.depending_ticket_id == Some(id))
        });
        let stamp = |day: usize, time: &str| (value > 0).then(|| format!("2026-12-{:02} {time}", day + value));
        let mut replaced = None;
        simulator.edit_ticket(id, |ticket| match field {
            Field::Title => replaced = std::mem::replace(&mut ticket.headline, title),
            Field::Description if value == 0 => ticket.description = None,
            Field::Description => ticket.description = Some(description),
            Field::Status => ticket.status = [3, 1, 4, 2, 0, -1][value % 6],
            Field::Priority => ticket.priority = Some((value % 6).to_string()),
            Field::StartDate => ticket.edit_from = stamp(1, "08:00:00"),
            Field::DueDate => ticket.date_to_finish = stamp(12, "07:59:59"),
            Field::EstimatedHours => ticket.plan_hours = Some(value as f64 * 0.25),
            Field::Tags => {
                ticket.tags = Some(
                    (0..value % 3)
                        .map(|tag| format!("tag{tag}"))
                        .collect::<Vec<_>>()
                        .join(","),
                )
            }
            Field::Parent => ticket.depending_ticket_id = parent,
            _ => {}
        });
        self.replaced.extend(replaced);
    }

    async fn delete(&mut self, who: Who, item: usize) {
        match who {
            Who::Hub => {
                if let Some(id) = pick(&self.hub_ids().await, item) {
                    let task = self.world.tasks(self.common.hub).await.remove(&id).unwrap();
                    self.replaced.insert(task.title.clone());
                    self.world.delete(id).await;
                }
            }
            Who::OpenProject => {
                // Children would go with it; people delete leaves here.
                let items = self.world.openproject.work_packages();
                let leaves: Vec<u64> = self
                    .op_ids()
                    .into_iter()
                    .filter(|id| !items.iter().any(|item| item.parent_id == Some(*id)))
                    .collect();
                if let Some(id) = pick(&leaves, item) {
                    self.replaced
                        .insert(self.world.openproject.work_package(id).unwrap().subject);
                    self.world.openproject.delete_work_package(id);
                }
            }
            Who::Leantime => {
                if let Some(id) = pick(&self.lt_ids(), item) {
                    self.replaced.extend(self.world.leantime.ticket(id).unwrap().headline);
                    self.world.leantime.delete_ticket(id);
                }
            }
        }
    }

    async fn check(&mut self) {
        let mut rounds = 0;
        loop {
            let before = self.world.writes();
            self.run(self.world.op).await;
            self.run(self.world.lt).await;
            if self.world.writes() == before {
                break;
            }
            rounds += 1;
            assert!(rounds <= 6, "the sides do not come to rest");
        }
        let before = self.world.writes();
        for id in [self.world.op, self.world.lt, self.world.op, self.world.lt] {
            self.run(id).await;
        }
        assert_eq!(self.world.writes(), before, "quiet after convergence");
        self.check_equal(self.world.op, self.common.op.to_string()).await;
        self.check_equal(self.world.lt, self.common.lt.to_string()).await;
        self.check_not_lost().await;
    }

    async fn check_equal(&self, id: ConnectionId, project: String) {
        let project = ExternalId::new(project).unwrap();
        let (settings, connection) = self.world.engine.open(id).await.unwrap();
        let translator = connection.translator(vec![project.clone()]).await.unwrap();
        let (remotes, _) = connection.all_tasks(ListTasks::new(project.clone())).await.unwrap();
        let links = self.world.store.links(id).await.unwrap();
        let by_external: HashMap<_, _> = links.iter().map(|link| (link.external_id.clone(), link)).collect();
        let live: HashSet<TaskId> = links
            .iter()
            .filter(|link| link.state == LinkState::Live)
            .map(|link| link.task_id)
            .collect();
        let tasks = self.world.tasks(self.common.hub).await;
        let open: HashSet<_> = self
            .world
            .conflicts()
            .await
            .into_iter()
            .filter(|conflict| conflict.state == ConflictState::Open)
            .map(|conflict| (conflict.link_id, conflict.field))
            .collect();
        for remote in remotes {
            let link = by_external
                .get(&remote.id)
                .unwrap_or_else(|| panic!("{} has no link", remote.id));
            if link.state != LinkState::Live {
                continue;
            }
            let task = &tasks[&link.task_id];
            for (field, support) in &connection.capabilities().fields {
                let Some(observed) = remote.fields.get(field) else {
                    continue;
                };
                let exempt = open.contains(&(link.id, *field)) || link.refusals.contains_key(field) || observed.derived;
                if *support == FieldSupport::ReadOnly || exempt {
                    continue;
                }
                let local = task.get(*field);
                if *field == Field::Parent {
                    let parent = observed.value.as_external_id();
                    let parent = parent.map(|parent| by_external.get(&parent).map(|link| link.task_id));
                    match (local, parent) {
                        (Value::Task(task), _) if !live.contains(&task) => {}
                        (_, Some(None)) => {}
                        (_, Some(Some(task))) if !live.contains(&task) => {}
                        (local, parent) => {
                            let remote = parent.flatten().map_or(Value::Empty, Value::Task);
                            assert_eq!(local, remote, "parent of {:?} in {}", task.title, settings.name);
                        }
                    }
                    continue;
                }
                let decoded = match translator.decode(&project, *field, &observed.value) {
                    Decoded::Exact(value) | Decoded::Approximate(value) => value,
                    Decoded::Unresolved(_) => continue,
                };
                let encoded = translator.encode(&project, *field, &local);
                let holds = match &encoded {
                    Encoded::Value(expected) => *expected == observed.value,
                    Encoded::Unholdable(_) => true,
                };
                let moved_off_the_weekend = working_day(&local).is_some_and(|day| day == decoded);
                let both_unset = local.is_empty() && translator.is_default(&project, *field, &observed.value);
                assert!(
                    holds || both_unset || moved_off_the_weekend || decoded.is_same(&local, *field),
                    "{field} of {:?}: hub {local:?}, {} {decoded:?} ({:?}, expected {encoded:?}), base {:?}",
                    task.title,
                    settings.name,
                    observed.value,
                    link.bases.get(field)
                );
            }
        }
    }

    async fn check_not_lost(&self) {
        let mut present: Vec<String> = Vec::new();
        let tasks = self.world.tasks(self.common.hub).await;
        let mut titles = BTreeMap::new();
        for task in tasks.values() {
            *titles.entry(task.title.clone()).or_insert(0) += 1;
        }
        assert!(
            titles.values().all(|count| *count == 1),
            "no duplicate in the hub: {titles:?}"
        );
        present.extend(titles.into_keys());
        present.extend(
            self.world
                .openproject
                .work_packages()
                .into_iter()
                .map(|item| item.subject),
        );
        present.extend(
            self.world
                .leantime
                .tickets()
                .into_iter()
                .filter_map(|ticket| ticket.headline),
        );
        for conflict in self.world.conflicts().await {
            present.extend([conflict.local.to_string(), conflict.remote_value.to_string()]);
        }
        for title in self.typed.difference(&self.replaced) {
            assert!(present.contains(title), "{title:?} is lost without a trace");
        }
    }
}

/// The day to which OpenProject moves a day on a weekend.
fn working_day(value: &Value) -> Option<Value> {
    use chrono::Datelike;
    let Value::Date(date) = value else { return None };
    let ahead = match date.weekday() {
        chrono::Weekday::Sat => 2,
        chrono::Weekday::Sun => 1,
        _ => return None,
    };
    date.checked_add_days(chrono::Days::new(ahead)).map(Value::Date)
}

fn pick<T: Copy>(items: &[T], index: usize) -> Option<T> {
    (!items.is_empty()).then(|| items[index % items.len()])
}

fn date(value: usize, first: usize) -> Option<chrono::NaiveDate> {
    (value > 0).then(|| format!("2026-12-{:02}", first + value).parse().unwrap())
}

fn day(value: usize, first: usize) -> Value {
    date(value, first).map_or(Value::Empty, Value::Date)
}

/// Everything that a real OpenProject does by itself, and a workflow that goes only one step forward or back.
fn wilful() -> OpenProjectOptions {
    let steps = (1..14).flat_map(|status| [(status, status + 1), (status + 1, status)]);
    OpenProjectOptions::strict().workflow(Workflow::new(steps))
}

/// 1,000 for each property, more if `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(1_000)
}

fn play(policy: ConflictPolicy, openproject: OpenProjectOptions, steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut play = Play::new(policy, openproject).await;
        for step in steps {
            play.play(step).await;
        }
        play.check().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_hub_and_both_tools_converge_when_people_decide(steps in steps()) {
        play(ConflictPolicy::Manual, OpenProjectOptions::default(), steps);
    }

    #[test]
    fn the_hub_and_both_tools_converge_when_the_hub_wins(steps in steps()) {
        play(ConflictPolicy::HubWins, OpenProjectOptions::default(), steps);
    }

    #[test]
    fn the_hub_and_both_tools_converge_when_the_tools_win(steps in steps()) {
        play(ConflictPolicy::ExternalWins, OpenProjectOptions::default(), steps);
    }

    /// With everything turned on that a real OpenProject does by itself: progress fields that derive each other, days
    /// moved off weekends, parents whose dates become their children's, a workflow that refuses.
    #[test]
    fn all_converge_with_a_tool_that_has_a_mind_of_its_own_when_people_decide(steps in steps()) {
        play(ConflictPolicy::Manual, wilful(), steps);
    }

    #[test]
    fn all_converge_with_a_tool_that_has_a_mind_of_its_own_when_the_hub_wins(steps in steps()) {
        play(ConflictPolicy::HubWins, wilful(), steps);
    }
}
