//! What people do to the hub and to the tools.

use magnus_core::model::{Field, Priority, Status, TaskId, Value};
use magnus_testkit::sim::leantime::LeantimeSimulator;
use magnus_testkit::sim::openproject::OpenProjectSimulator;

use crate::play::{Instance, Play};

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

impl Play {
    pub(crate) async fn add(&mut self, who: usize) {
        let title = self.title(0);
        match self.instance(who) {
            None => drop(self.world.add(self.hub, &title).await),
            Some(Instance::OpenProject(instance, project)) => drop(instance.create_work_package(project, &title)),
            Some(Instance::Leantime(instance, project)) => drop(instance.create_ticket(project, &title)),
        }
    }

    pub(crate) async fn edit(&mut self, who: usize, item: usize, field: Field, value: usize) {
        match self.instance(who) {
            None => {
                if let Some(id) = pick(&self.hub_ids().await, item) {
                    self.edit_hub(id, field, value).await;
                }
            }
            Some(Instance::OpenProject(instance, _)) => {
                if let Some(id) = pick(&work_package_ids(&instance), item) {
                    self.edit_openproject(&instance, id, field, value);
                }
            }
            Some(Instance::Leantime(instance, _)) => {
                if let Some(id) = pick(&ticket_ids(&instance), item) {
                    self.edit_leantime(&instance, id, field, value);
                }
            }
        }
    }

    pub(crate) fn comment(&self, who: usize, item: usize) {
        if let Some(Instance::OpenProject(instance, _)) = self.instance(who)
            && let Some(id) = pick(&work_package_ids(&instance), item)
        {
            instance.comment(id, "looks good");
        }
    }

    pub(crate) async fn delete(&mut self, who: usize, item: usize) {
        match self.instance(who) {
            None => {
                if let Some(id) = pick(&self.hub_ids().await, item) {
                    let task = self.world.tasks(self.hub).await.remove(&id).unwrap();
                    self.replaced.insert(task.title.clone());
                    self.world.delete(id).await;
                }
            }
            Some(Instance::OpenProject(instance, _)) => {
                // Children would go with it; people delete leaves here.
                let items = instance.work_packages();
                let leaves: Vec<u64> = work_package_ids(&instance)
                    .into_iter()
                    .filter(|id| !items.iter().any(|item| item.parent_id == Some(*id)))
                    .collect();
                if let Some(id) = pick(&leaves, item) {
                    self.replaced.insert(instance.work_package(id).unwrap().subject);
                    instance.delete_work_package(id);
                }
            }
            Some(Instance::Leantime(instance, _)) => {
                if let Some(id) = pick(&ticket_ids(&instance), item) {
                    self.replaced.extend(instance.ticket(id).unwrap().headline);
                    instance.delete_ticket(id);
                }
            }
        }
    }

    fn instance(&self, who: usize) -> Option<Instance> {
        let tool = who.checked_sub(1)?;
        Some(self.tools[tool].0.clone())
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
                let tasks = self.world.tasks(self.hub).await;
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

    fn edit_openproject(&mut self, simulator: &OpenProjectSimulator, id: u64, field: Field, value: usize) {
        let title = (field == Field::Title).then(|| self.title(0));
        let description = self.unique(MARKDOWN[value]);
        let statuses = simulator.statuses();
        let priorities = simulator.priorities();
        let items = simulator.work_packages();
        let parent = pick(&work_package_ids(simulator), value).filter(|parent| {
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

    fn edit_leantime(&mut self, simulator: &LeantimeSimulator, id: i64, field: Field, value: usize) {
        let title = (field == Field::Title).then(|| self.title(0));
        let description = self.unique(HTML[value % 4]);
        let tickets = simulator.tickets();
        let parent = pick(&ticket_ids(simulator), value).filter(|parent| {
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
}

fn work_package_ids(instance: &OpenProjectSimulator) -> Vec<u64> {
    instance.work_packages().iter().map(|item| item.id).collect()
}

fn ticket_ids(instance: &LeantimeSimulator) -> Vec<i64> {
    instance.tickets().iter().map(|ticket| ticket.id).collect()
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
