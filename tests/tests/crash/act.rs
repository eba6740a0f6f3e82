//! What people do, as data: on the hub, in OpenProject, in Leantime.

use magnus_core::model::{ConnectionSettings, Field, Mapping, Person, Value};

use super::world::World;

/// Where something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Hub,
    Op,
    Lt,
}

/// Something that a person does. Items are named by their titles, projects by their names; a value is written as the side
/// itself writes it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Add(Side, &'static str),
    AddIn(Side, &'static str, &'static str),
    Set(Side, &'static str, Field, &'static str),
    Delete(Side, &'static str),
    MoveTo(Side, &'static str, &'static str),
    /// Changes the settings of one connection.
    Settings(Side, fn(&mut ConnectionSettings)),
    /// Changes the mapping of a project on one connection.
    Map(Side, &'static str, fn(&mut Mapping)),
    /// Anything else.
    Do(fn(&World)),
}

pub(crate) async fn perform(world: &World, act: Act) {
    world.clock.advance(10);
    match act {
        Act::Add(side, title) => add(world, side, "Common", title).await,
        Act::AddIn(side, project, title) => add(world, side, project, title).await,
        Act::Set(Side::Hub, title, field, value) => {
            let value = match field {
                Field::Parent if !value.is_empty() => Value::Task(world.task(value).await.id),
                _ => hub_value(field, value),
            };
            world
                .edit(title, |task| task.set(field, value).unwrap(), Some(field))
                .await;
        }
        Act::Set(Side::Op, title, field, value) => set_openproject(world, title, field, value),
        Act::Set(Side::Lt, title, field, value) => set_leantime(world, title, field, value),
        Act::Delete(Side::Hub, title) => {
            let now = world.now();
            world.edit(title, |task| task.deleted_at = Some(now), None).await;
        }
        Act::Delete(Side::Op, title) => world.openproject.delete_work_package(world.work_package(title).id),
        Act::Delete(Side::Lt, title) => world.leantime.delete_ticket(world.ticket(title).id),
        Act::MoveTo(Side::Hub, title, project) => {
            let project = world.common(project).hub;
            world.edit(title, |task| task.project_id = project, None).await;
        }
        Act::MoveTo(Side::Op, title, project) => {
            let project = world.openproject_project(project);
            world
                .openproject
                .move_work_package(world.work_package(title).id, project);
        }
        Act::MoveTo(Side::Lt, title, project) => {
            let project = world.leantime_project(project);
            world.leantime.move_ticket(world.ticket(title).id, project);
        }
        Act::Settings(side, change) => world.change_settings(side, change).await,
        Act::Map(side, project, change) => world.change_mapping(side, project, change).await,
        Act::Do(act) => act(world),
    }
}

async fn add(world: &World, side: Side, project: &str, title: &str) {
    match side {
        Side::Hub => world.add(project, title).await,
        Side::Op => {
            let project = world.openproject_project(project);
            world.openproject.create_work_package(project, title);
        }
        Side::Lt => {
            let project = world.leantime_project(project);
            world.leantime.create_ticket(project, title);
        }
    }
}

fn hub_value(field: Field, value: &str) -> Value {
    if value.is_empty() {
        return Value::Empty;
    }
    match field {
        Field::Status => Value::Status(value.parse().unwrap()),
        Field::Priority => Value::Priority(value.parse().unwrap()),
        Field::StartDate | Field::DueDate => Value::Date(value.parse().unwrap()),
        Field::EstimatedHours | Field::RemainingHours => Value::Minutes(value.parse().unwrap()),
        Field::PercentageDone => Value::Percent(value.parse().unwrap()),
        Field::Tags => Value::tags(value.split(',').map(str::to_owned).collect()),
        Field::Assignee => Value::Person(Person::parse(value).unwrap()),
        _ => Value::text(value),
    }
}

fn set_openproject(world: &World, title: &str, field: Field, value: &str) {
    let simulator = &world.openproject;
    let number = || (!value.is_empty()).then(|| value.parse().unwrap());
    let date = || (!value.is_empty()).then(|| value.parse().unwrap());
    let parent = (field == Field::Parent && !value.is_empty()).then(|| world.work_package(value).id);
    simulator.edit_work_package(world.work_package(title).id, |item| match field {
        Field::Title => value.clone_into(&mut item.subject),
        Field::Description => value.clone_into(&mut item.description),
        Field::Status => item.status_id = simulator_status(world, value),
        Field::Priority => item.priority_id = simulator_priority(world, value),
        Field::StartDate => item.start_date = date(),
        Field::DueDate => item.due_date = date(),
        Field::EstimatedHours => item.estimated_minutes = number(),
        Field::PercentageDone => item.percentage_done = number(),
        Field::Parent => item.parent_id = parent,
        _ => unreachable!("no scenario sets {field} in OpenProject"),
    });
}

// The instance is locked while it is edited: its tables are those that every instance begins with.
fn simulator_status(world: &World, name: &str) -> u64 {
    world.op_statuses[name]
}

fn simulator_priority(world: &World, name: &str) -> u64 {
    world.op_priorities[name]
}

fn set_leantime(world: &World, title: &str, field: Field, value: &str) {
    let text = || (!value.is_empty()).then(|| value.to_owned());
    let parent = (field == Field::Parent && !value.is_empty()).then(|| world.ticket(value).id);
    world
        .leantime
        .edit_ticket(world.ticket(title).id, |ticket| match field {
            Field::Title => ticket.headline = text(),
            Field::Description => ticket.description = text(),
            Field::Status => ticket.status = value.parse().unwrap(),
            Field::Priority => ticket.priority = text(),
            Field::StartDate => ticket.edit_from = text(),
            Field::DueDate => ticket.date_to_finish = text(),
            Field::EstimatedHours => ticket.plan_hours = Some(value.parse().unwrap()),
            Field::Tags => ticket.tags = text(),
            Field::Parent => ticket.depending_ticket_id = parent,
            _ => unreachable!("no scenario sets {field} in Leantime"),
        });
}
