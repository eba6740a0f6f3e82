//! What people do to the hub and to the tools.

use magnus_core::model::{ExternalId, Field, Person, Priority, Status, Task, TaskId, Value};

use crate::book;
use crate::instance::{Instance, Leantime, OpenProject};
use crate::play::Play;
use crate::step::{Deed, FIELDS};

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

/// People as somebody at the hub writes them: known to all, to one tool, as no member of anything, to nobody.
const PEOPLE: [&str; 7] = [
    "Grace Hopper",
    "Grace Hopper <grace@example.org>",
    "Ada Byron",
    "Ada Admin <admin@example.test>",
    "Nora Nobody",
    "nora@example.org",
    "A Stranger <stranger@example.org>",
];

/// The columns of both tools take so much of a title.
const TITLE_LIMIT: usize = 255;

impl Play {
    pub(crate) async fn perform(&self, deed: &Deed) {
        match *deed {
            Deed::Add { who } => self.add(who).await,
            Deed::Edit {
                who,
                item,
                field,
                value,
            } => self.edit(who, item, FIELDS[field], value).await,
            Deed::Move { who, item, to } => self.carry(who, item, to).await,
            Deed::Delete { who, item } => self.delete(who, item).await,
            Deed::Comment { who, item } => self.comment(who, item),
        }
    }

    async fn add(&self, who: usize) {
        let title = self.title(0);
        let typed = book::of_text(&title).collect();
        self.book().edited(&book::Marks::new(), &typed);
        match self.instance(who) {
            None => drop(self.world.add(self.hub[0], &title).await),
            Some(Instance::OpenProject(tool)) => {
                tool.simulator.create_work_package(tool.projects[0], &title);
            }
            Some(Instance::Leantime(tool)) => {
                tool.simulator.create_ticket(tool.projects[0], &title);
            }
        }
    }

    async fn edit(&self, who: usize, item: usize, field: Field, value: usize) {
        match self.instance(who) {
            None => {
                if let Some(task) = pick(&self.present().await, item) {
                    self.edit_hub(&task, field, value).await;
                }
            }
            Some(Instance::OpenProject(tool)) => {
                if let Some(id) = pick(&work_package_ids(&tool), item) {
                    self.edit_openproject(&tool, id, field, value);
                }
            }
            Some(Instance::Leantime(tool)) => {
                if let Some(id) = pick(&ticket_ids(&tool), item) {
                    self.edit_leantime(&tool, id, field, value);
                }
            }
        }
    }

    /// Takes an item to another project. One in four goes where nobody syncs.
    async fn carry(&self, who: usize, item: usize, to: usize) {
        let to = [1, 0, 1, 2][to];
        match self.instance(who) {
            None => {
                if let Some(task) = pick(&self.present().await, item) {
                    self.world.carry(task.id, self.hub[to]).await;
                }
            }
            Some(Instance::OpenProject(tool)) => {
                if let Some(id) = pick(&work_package_ids(&tool), item) {
                    tool.simulator.move_work_package(id, tool.projects[to]);
                }
            }
            Some(Instance::Leantime(tool)) => {
                if let Some(id) = pick(&ticket_ids(&tool), item) {
                    tool.simulator.move_ticket(id, tool.projects[to]);
                }
            }
        }
    }

    fn comment(&self, who: usize, item: usize) {
        if let Some(Instance::OpenProject(tool)) = self.instance(who)
            && let Some(id) = pick(&work_package_ids(&tool), item)
        {
            tool.simulator.comment(id, "looks good");
        }
    }

    async fn delete(&self, who: usize, item: usize) {
        match self.instance(who) {
            None => {
                if let Some(task) = pick(&self.present().await, item) {
                    self.book().gave_up(book::of_task(&task));
                    self.book().deleted_tasks.insert(task.id);
                    self.world.delete(task.id).await;
                }
            }
            Some(Instance::OpenProject(tool)) => {
                // Children would go with it; people delete leaves here.
                let items = tool.simulator.work_packages();
                let leaves: Vec<u64> = work_package_ids(&tool)
                    .into_iter()
                    .filter(|id| !items.iter().any(|item| item.parent_id == Some(*id)))
                    .collect();
                if let Some(id) = pick(&leaves, item) {
                    let item = tool.simulator.work_package(id).unwrap();
                    self.gave_up(who, book::of_work_package(&item), id.to_string());
                    tool.simulator.delete_work_package(id);
                }
            }
            Some(Instance::Leantime(tool)) => {
                if let Some(id) = pick(&ticket_ids(&tool), item) {
                    let ticket = tool.simulator.ticket(id).unwrap();
                    self.gave_up(who, book::of_ticket(&ticket), id.to_string());
                    tool.simulator.delete_ticket(id);
                }
            }
        }
    }

    fn gave_up(&self, who: usize, marks: book::Marks, id: String) {
        let mut book = self.book();
        book.gave_up(marks);
        book.deleted_items
            .insert((self.tools[who - 1].1, ExternalId::new(id).unwrap()));
    }

    fn instance(&self, who: usize) -> Option<Instance> {
        let tool = who.checked_sub(1)?;
        Some(self.tools[tool].0.clone())
    }

    /// The tasks of the hub that are not deleted.
    async fn present(&self) -> Vec<Task> {
        let mut tasks = self.tasks().await;
        tasks.retain(|task| !task.is_deleted());
        tasks
    }

    fn title(&self, value: usize) -> String {
        // Some titles are longer than any tool takes.
        let long = if value == 7 { " long".repeat(60) } else { String::new() };
        self.book().text(&format!("title {{}}{long}"))
    }

    /// A title as the column of a tool keeps it.
    fn short_title(&self, value: usize) -> String {
        self.title(value).chars().take(TITLE_LIMIT).collect()
    }

    async fn edit_hub(&self, task: &Task, field: Field, value: usize) {
        let new = match field {
            Field::Title => Value::text(self.title(value)),
            Field::Description if value > 0 => Value::text(self.book().text(MARKDOWN[value])),
            Field::Status => Value::Status(Status::ALL[value % 6]),
            Field::Priority => Value::Priority(Priority::ALL[value % 4]),
            Field::Assignee if value > 0 => Value::Person(Person::parse(PEOPLE[value - 1]).unwrap()),
            Field::StartDate if value > 0 => Value::Date(self.book().day(0)),
            Field::DueDate if value > 0 => Value::Date(self.book().day(40)),
            Field::EstimatedHours | Field::RemainingHours if value > 0 => Value::Minutes(self.book().minutes()),
            Field::Tags if value > 0 => {
                let own = self.book().text("{}");
                Value::tags((1..value % 4).map(|tag| format!("tag{tag}")).chain([own]).collect())
            }
            Field::PercentageDone if value > 0 => Value::Percent(u8::try_from(value).unwrap() * 10),
            Field::Parent => self.parent_in_hub(task.id, value).await,
            _ => Value::Empty,
        };
        let before = book::of_value(&task.get(field));
        self.book().edited(&before, &book::of_value(&new));
        self.world.edit(task.id, field, new).await;
    }

    async fn parent_in_hub(&self, id: TaskId, value: usize) -> Value {
        let tasks = self.tasks().await;
        let Some(parent) = pick(&self.present().await, value) else {
            return Value::Empty;
        };
        let tangled =
            parent.id == id || parent.parent_id.is_some() || tasks.iter().any(|task| task.parent_id == Some(id));
        if tangled { Value::Empty } else { Value::Task(parent.id) }
    }

    fn edit_openproject(&self, tool: &OpenProject, id: u64, field: Field, value: usize) {
        let simulator = &tool.simulator;
        let title = self.short_title(value);
        let (text, start, due, minutes) = {
            let mut book = self.book();
            let text = book.text(MARKDOWN[value]);
            (text, book.day(0), book.day(40), i64::from(book.minutes()))
        };
        let statuses = simulator.statuses();
        let priorities = simulator.priorities();
        let items = simulator.work_packages();
        let parent = pick(&work_package_ids(tool), value).filter(|parent| {
            *parent != id
                && !items.iter().any(|item| item.id == *parent && item.parent_id.is_some())
                && !items.iter().any(|item| item.parent_id == Some(id))
        });
        let before = simulator.work_package(id).unwrap();
        simulator.edit_work_package(id, |item| match field {
            Field::Title => item.subject = title,
            Field::Description if value == 0 => item.description.clear(),
            Field::Description => item.description = text,
            Field::Status => item.status_id = statuses[value % statuses.len()].id,
            Field::Priority => item.priority_id = priorities[value % priorities.len()].id,
            Field::Assignee => {
                item.assignee_id = [None, Some(0), Some(1), Some(2)][value % 4].map(|who: usize| tool.people[who])
            }
            // The page does not offer the dates of an automatic parent.
            Field::StartDate if item.schedule_manually => item.start_date = (value > 0).then_some(start),
            Field::DueDate if item.schedule_manually => item.due_date = (value > 0).then_some(due),
            Field::EstimatedHours => item.estimated_minutes = (value > 0).then_some(minutes),
            Field::RemainingHours => {
                let left = (value > 0).then_some(minutes);
                item.remaining_minutes = left.map(|left| item.estimated_minutes.map_or(left, |work| work.min(left)));
            }
            Field::PercentageDone => item.percentage_done = Some(i64::try_from(value).unwrap() * 5),
            Field::Parent => item.parent_id = parent,
            _ => {}
        });
        let after = simulator.work_package(id).unwrap();
        self.book()
            .edited(&book::of_work_package(&before), &book::of_work_package(&after));
    }

    fn edit_leantime(&self, tool: &Leantime, id: i64, field: Field, value: usize) {
        let simulator = &tool.simulator;
        let title = self.short_title(value);
        let (text, tag, start, due, hours) = {
            let mut book = self.book();
            let (text, tag) = (book.text(HTML[value % 4]), book.text("{}"));
            (text, tag, book.day(0), book.day(40), f64::from(book.minutes()) / 60.0)
        };
        let before = simulator.ticket(id).unwrap();
        let labels = simulator.status_labels(before.project_id.unwrap());
        let tickets = simulator.tickets();
        let parent = pick(&ticket_ids(tool), value).filter(|parent| {
            *parent != id
                && !tickets
                    .iter()
                    .any(|ticket| ticket.id == *parent && ticket.depending_ticket_id.unwrap_or(0) != 0)
                && !tickets.iter().any(|ticket| ticket.depending_ticket_id == Some(id))
        });
        let set = value > 0;
        simulator.edit_ticket(id, |ticket| match field {
            Field::Title => ticket.headline = Some(title),
            Field::Description => ticket.description = set.then_some(text),
            Field::Status => ticket.status = labels[value % labels.len()].id,
            Field::Priority => ticket.priority = Some((value % 6).to_string()),
            Field::Assignee => {
                let who = [None, Some(0), Some(1), Some(2)][value % 4];
                ticket.editor_id = Some(who.map_or_else(String::new, |who: usize| tool.people[who].to_string()));
            }
            Field::StartDate => ticket.edit_from = set.then(|| book::stamp(start, false)),
            Field::DueDate => ticket.date_to_finish = set.then(|| book::stamp(due, true)),
            Field::EstimatedHours => ticket.plan_hours = Some(if set { hours } else { 0.0 }),
            Field::RemainingHours => ticket.hour_remaining = Some(if set { hours } else { 0.0 }),
            Field::Tags => {
                let tags = (1..value % 3).map(|tag| format!("tag{tag}")).chain(set.then_some(tag));
                ticket.tags = Some(tags.collect::<Vec<_>>().join(","));
            }
            Field::Parent => ticket.depending_ticket_id = parent,
            _ => {}
        });
        let after = simulator.ticket(id).unwrap();
        self.book().edited(&book::of_ticket(&before), &book::of_ticket(&after));
    }
}

fn work_package_ids(tool: &OpenProject) -> Vec<u64> {
    tool.simulator.work_packages().iter().map(|item| item.id).collect()
}

fn ticket_ids(tool: &Leantime) -> Vec<i64> {
    tool.simulator.tickets().iter().map(|ticket| ticket.id).collect()
}

fn pick<T: Clone>(items: &[T], index: usize) -> Option<T> {
    (!items.is_empty()).then(|| items[index % items.len()].clone())
}
