//! The table of scenarios: what is there and agreed, and what people then do before anything is synced again.

use magnus_core::model::{ConflictPolicy, ConnectionSettings, DeletionPolicy, Direction, Field, MatchPolicy, Status};
use magnus_testkit::sim::openproject::{OpenProjectOptions, Progress, Workflow};

use super::act::Act::{self, Add, AddIn, Delete, Do, Map, MoveTo, Set};
use super::act::Side::{Hub, Lt, Op};

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The settings of both connections.
    pub(crate) settings: fn(&mut ConnectionSettings),
    /// How OpenProject is set up.
    pub(crate) tools: fn(&mut OpenProjectOptions),
    /// Done and synced beforehand.
    pub(crate) before: &'static [Act],
    /// Done since.
    pub(crate) then: &'static [Act],
    /// Whether both connections run at once.
    pub(crate) at_once: bool,
}

const fn scenario(name: &'static str, before: &'static [Act], then: &'static [Act]) -> Scenario {
    Scenario {
        name,
        settings: |_| {},
        tools: |_| {},
        before,
        then,
        at_once: false,
    }
}

impl Scenario {
    const fn settings(mut self, settings: fn(&mut ConnectionSettings)) -> Self {
        self.settings = settings;
        self
    }

    const fn tools(mut self, tools: fn(&mut OpenProjectOptions)) -> Self {
        self.tools = tools;
        self
    }

    const fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }
}

const TASK: &[Act] = &[Add(Op, "task")];
const PAIR: &[Act] = &[Add(Op, "one"), Add(Lt, "two")];
const FAMILY: &[Act] = &[
    Add(Op, "parent"),
    Add(Op, "child"),
    Add(Op, "other"),
    Set(Op, "child", Field::Parent, "parent"),
];

fn deletes(settings: &mut ConnectionSettings) {
    settings.options.deletions = DeletionPolicy::Delete;
}

fn archives(settings: &mut ConnectionSettings) {
    // OpenProject cannot archive.
    if settings.tool.as_str() == "leantime" {
        settings.options.deletions = DeletionPolicy::Archive;
    }
}

fn hub_wins(settings: &mut ConnectionSettings) {
    settings.options.conflicts = ConflictPolicy::HubWins;
}

fn external_wins(settings: &mut ConnectionSettings) {
    settings.options.conflicts = ConflictPolicy::ExternalWins;
}

fn newest_wins(settings: &mut ConnectionSettings) {
    settings.options.conflicts = ConflictPolicy::NewestWins;
}

fn never_matches(settings: &mut ConnectionSettings) {
    settings.options.matching = MatchPolicy::None;
}

/// From New only to In progress, from there only to Closed.
fn narrow_workflow(options: &mut OpenProjectOptions) {
    options.workflow = Some(Workflow::new([(1, 7), (7, 12)]));
}

fn derives(options: &mut OpenProjectOptions) {
    options.progress = Progress::WorkBased;
    options.parent_becomes_automatic = true;
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    // Created.
    scenario(
        "created in the hub",
        &[],
        &[
            Add(Hub, "new"),
            Set(Hub, "new", Field::Description, "some *words*"),
            Set(Hub, "new", Field::Status, "in_progress"),
            Set(Hub, "new", Field::DueDate, "2026-12-24"),
        ],
    ),
    scenario(
        "created in OpenProject",
        &[],
        &[
            Add(Op, "new"),
            Set(Op, "new", Field::Description, "some *words*"),
            Set(Op, "new", Field::Status, "In testing"),
        ],
    ),
    scenario(
        "created in Leantime",
        &[],
        &[
            Add(Lt, "new"),
            Set(Lt, "new", Field::Status, "4"),
            Set(Lt, "new", Field::Tags, "red,blue"),
        ],
    ),
    scenario(
        "created on all sides",
        &[],
        &[Add(Hub, "a"), Add(Op, "b"), Add(Lt, "c")],
    ),
    scenario(
        "several created in the hub",
        TASK,
        &[Add(Hub, "a"), Add(Hub, "b"), Add(Hub, "c"), Add(Hub, "d")],
    ),
    // Updated.
    scenario(
        "updated in the hub",
        PAIR,
        &[
            Set(Hub, "one", Field::Title, "first"),
            Set(Hub, "first", Field::Status, "done"),
            Set(Hub, "two", Field::DueDate, "2026-12-24"),
            Set(Hub, "two", Field::EstimatedHours, "90"),
        ],
    ),
    scenario(
        "updated in OpenProject",
        PAIR,
        &[
            Set(Op, "one", Field::Title, "first"),
            Set(Op, "two", Field::Status, "Closed"),
            Set(Op, "two", Field::PercentageDone, "40"),
        ],
    ),
    scenario(
        "updated in Leantime",
        PAIR,
        &[
            Set(Lt, "one", Field::Title, "first"),
            Set(Lt, "two", Field::Status, "4"),
            Set(Lt, "two", Field::Priority, "1"),
        ],
    ),
    scenario(
        "different fields on all sides",
        TASK,
        &[
            Set(Hub, "task", Field::DueDate, "2026-12-24"),
            Set(Op, "task", Field::Description, "words"),
            Set(Lt, "task", Field::Tags, "red"),
        ],
    ),
    scenario(
        "the same value on all sides",
        TASK,
        &[
            Set(Hub, "task", Field::Status, "in_progress"),
            Set(Op, "task", Field::Status, "In progress"),
            Set(Lt, "task", Field::Status, "4"),
        ],
    ),
    scenario(
        "a field cleared",
        &[
            Add(Op, "task"),
            Set(Op, "task", Field::Description, "old"),
            Set(Op, "task", Field::DueDate, "2026-12-24"),
        ],
        &[
            Set(Hub, "task", Field::Description, ""),
            Set(Op, "task", Field::DueDate, ""),
        ],
    ),
    scenario(
        "new items and changed ones",
        PAIR,
        &[
            Add(Hub, "three"),
            Set(Hub, "one", Field::Priority, "critical"),
            Set(Op, "two", Field::Title, "second"),
            Add(Lt, "four"),
        ],
    ),
    scenario(
        "a comment only",
        TASK,
        &[
            Do(|world| world.openproject.comment(world.work_package("task").id, "hello")),
            Set(Hub, "task", Field::Priority, "low"),
        ],
    ),
    // Deleted.
    scenario("deleted in the hub, kept", PAIR, &[Delete(Hub, "one")]),
    scenario("deleted in OpenProject, kept", PAIR, &[Delete(Op, "one")]),
    scenario("deleted in Leantime, kept", PAIR, &[Delete(Lt, "one")]),
    scenario("deleted in the hub, carried over", PAIR, &[Delete(Hub, "one")]).settings(deletes),
    scenario("deleted in OpenProject, carried over", PAIR, &[Delete(Op, "one")]).settings(deletes),
    scenario("deleted in Leantime, carried over", PAIR, &[Delete(Lt, "one")]).settings(deletes),
    scenario("deleted in the hub, archived", PAIR, &[Delete(Hub, "one")]).settings(archives),
    scenario("deleted in Leantime, archived", PAIR, &[Delete(Lt, "one")]).settings(archives),
    scenario(
        "deleted on both sides",
        PAIR,
        &[Delete(Hub, "one"), Delete(Op, "one"), Delete(Lt, "two")],
    )
    .settings(deletes),
    scenario(
        "deleted in the hub, edited in OpenProject",
        TASK,
        &[Delete(Hub, "task"), Set(Op, "task", Field::Description, "still wanted")],
    )
    .settings(deletes),
    scenario(
        "deleted in Leantime, edited in the hub",
        TASK,
        &[Delete(Lt, "task"), Set(Hub, "task", Field::Description, "still wanted")],
    )
    .settings(deletes),
    // Moved.
    scenario("moved in the hub", TASK, &[MoveTo(Hub, "task", "Other")]),
    scenario("moved in OpenProject", TASK, &[MoveTo(Op, "task", "Other")]),
    scenario("moved in Leantime", TASK, &[MoveTo(Lt, "task", "Other")]),
    scenario(
        "moved in the hub with an edit",
        TASK,
        &[
            MoveTo(Hub, "task", "Other"),
            Set(Hub, "task", Field::Status, "in_progress"),
            Set(Op, "task", Field::Description, "words"),
        ],
    ),
    scenario(
        "moved out of what is mapped",
        TASK,
        &[
            Do(|world| {
                world.openproject.create_project("Unmapped", "unmapped");
            }),
            MoveTo(Op, "task", "Unmapped"),
        ],
    )
    .settings(|settings| settings.options.projects = magnus_core::model::ProjectPolicy::Mapped),
    // Both edited.
    scenario(
        "conflict, a person decides",
        TASK,
        &[
            Set(Hub, "task", Field::Description, "hub"),
            Set(Op, "task", Field::Description, "tool"),
            Set(Hub, "task", Field::Status, "done"),
        ],
    ),
    scenario(
        "conflict, the hub wins",
        TASK,
        &[
            Set(Hub, "task", Field::Description, "hub"),
            Set(Op, "task", Field::Description, "tool"),
        ],
    )
    .settings(hub_wins),
    scenario(
        "conflict, the tool wins",
        TASK,
        &[
            Set(Hub, "task", Field::Description, "hub"),
            Set(Op, "task", Field::Description, "tool"),
        ],
    )
    .settings(external_wins),
    scenario(
        "conflict, the newest wins: the tool",
        TASK,
        &[
            Set(Hub, "task", Field::Description, "hub"),
            Set(Op, "task", Field::Description, "tool"),
        ],
    )
    .settings(newest_wins),
    scenario(
        "conflict, the newest wins: the hub",
        TASK,
        &[
            Set(Op, "task", Field::Description, "tool"),
            Set(Hub, "task", Field::Description, "hub"),
        ],
    )
    .settings(newest_wins),
    scenario(
        "conflict with Leantime, the newest wins: nobody can tell",
        TASK,
        &[
            Set(Lt, "task", Field::Title, "tool"),
            Set(Hub, "task", Field::Title, "hub"),
        ],
    )
    .settings(newest_wins),
    scenario(
        "conflict with Leantime, the hub wins",
        TASK,
        &[
            Set(Hub, "task", Field::Status, "done"),
            Set(Lt, "task", Field::Status, "4"),
            Set(Lt, "task", Field::Description, "<p>words</p>"),
        ],
    )
    .settings(hub_wins),
    scenario(
        "conflict with Leantime, the tool wins",
        TASK,
        &[
            Set(Hub, "task", Field::Status, "done"),
            Set(Lt, "task", Field::Status, "4"),
        ],
    )
    .settings(external_wins),
    scenario(
        "conflict among three, a person decides",
        TASK,
        &[
            Set(Op, "task", Field::Priority, "High"),
            Set(Lt, "task", Field::Priority, "1"),
        ],
    ),
    scenario(
        "conflict among three, the hub wins",
        TASK,
        &[
            Set(Hub, "task", Field::Title, "hub"),
            Set(Op, "task", Field::Title, "openproject"),
            Set(Lt, "task", Field::Title, "leantime"),
        ],
    )
    .settings(hub_wins),
    // Matched.
    scenario(
        "matched: three of four",
        &[],
        &[
            Add(Op, "a"),
            Add(Op, "b"),
            Add(Op, "c"),
            Add(Op, "only there"),
            Add(Lt, "a"),
            Add(Lt, "b"),
            Add(Lt, "c"),
            Add(Lt, "only here"),
        ],
    ),
    scenario(
        "matched with the hub, with different fields",
        &[],
        &[
            Add(Hub, "same"),
            Add(Op, "same"),
            Add(Lt, "same"),
            Set(Hub, "same", Field::Description, "from the hub"),
            Set(Op, "same", Field::Status, "In progress"),
            Set(Lt, "same", Field::Tags, "red"),
        ],
    ),
    scenario(
        "matched, with a conflict",
        &[],
        &[
            Add(Hub, "same"),
            Add(Op, "same"),
            Set(Hub, "same", Field::Description, "hub"),
            Set(Op, "same", Field::Description, "tool"),
        ],
    ),
    scenario(
        "two of one title match nothing",
        &[],
        &[Add(Hub, "twin"), Add(Op, "twin"), Add(Op, "twin"), Add(Hub, "single")],
    ),
    scenario("never matched", &[], &[Add(Hub, "same"), Add(Op, "same")]).settings(never_matches),
    // Parents and children.
    scenario(
        "a tree created in the hub",
        &[],
        &[
            Add(Hub, "root"),
            Add(Hub, "branch"),
            Add(Hub, "leaf"),
            Set(Hub, "branch", Field::Parent, "root"),
            Set(Hub, "leaf", Field::Parent, "branch"),
        ],
    ),
    scenario(
        "a tree created in OpenProject",
        &[],
        &[
            Add(Op, "leaf"),
            Add(Op, "branch"),
            Add(Op, "root"),
            Set(Op, "branch", Field::Parent, "root"),
            Set(Op, "leaf", Field::Parent, "branch"),
        ],
    ),
    scenario(
        "a tree created in Leantime",
        &[],
        &[
            Add(Lt, "child"),
            Add(Lt, "parent"),
            Set(Lt, "child", Field::Parent, "parent"),
        ],
    ),
    scenario(
        "another parent in the hub",
        FAMILY,
        &[Set(Hub, "child", Field::Parent, "other")],
    ),
    scenario(
        "another parent in OpenProject",
        FAMILY,
        &[Set(Op, "child", Field::Parent, "other")],
    ),
    scenario(
        "another parent in Leantime",
        FAMILY,
        &[Set(Lt, "child", Field::Parent, "other")],
    ),
    scenario(
        "a new parent for an old child",
        FAMILY,
        &[Add(Hub, "adopter"), Set(Hub, "child", Field::Parent, "adopter")],
    ),
    scenario("no parent any more", FAMILY, &[Set(Hub, "child", Field::Parent, "")]),
    scenario("a parent deleted in the hub, kept", FAMILY, &[Delete(Hub, "parent")]),
    scenario("a parent deleted in the hub", FAMILY, &[Delete(Hub, "parent")]).settings(deletes),
    scenario(
        "a family deleted in the hub",
        FAMILY,
        &[Delete(Hub, "child"), Delete(Hub, "parent")],
    )
    .settings(deletes),
    scenario("a parent deleted in OpenProject", FAMILY, &[Delete(Op, "parent")]).settings(deletes),
    scenario("a parent deleted in Leantime", FAMILY, &[Delete(Lt, "parent")]).settings(deletes),
    // Values that a tool refuses, lacks or makes its own.
    scenario(
        "a status that the workflow refuses",
        TASK,
        &[
            Set(Hub, "task", Field::Status, "done"),
            Set(Hub, "task", Field::Description, "goes through"),
        ],
    )
    .tools(narrow_workflow),
    scenario(
        "a status that the workflow refuses to a new item",
        &[],
        &[Add(Hub, "new"), Set(Hub, "new", Field::Status, "done")],
    )
    .tools(narrow_workflow),
    scenario(
        "a title that is refused",
        TASK,
        &[
            Set(Hub, "task", Field::DueDate, "2026-12-24"),
            Add(Hub, LONG_TITLE),
            Add(Hub, "short"),
        ],
    ),
    scenario(
        "values that a tool lacks",
        TASK,
        &[
            Set(Hub, "task", Field::Tags, "red,blue"),
            Set(Hub, "task", Field::PercentageDone, "40"),
            Set(Hub, "task", Field::Assignee, "Nobody Known <nobody@example.org>"),
            Set(Op, "task", Field::Status, "On hold"),
        ],
    ),
    scenario(
        "a new item with values that a tool lacks",
        &[],
        &[
            Add(Hub, "new"),
            Set(Hub, "new", Field::Tags, "red,blue"),
            Set(Hub, "new", Field::PercentageDone, "40"),
            Set(Hub, "new", Field::Status, "cancelled"),
            Set(Hub, "new", Field::Assignee, "Nobody Known <nobody@example.org>"),
        ],
    ),
    scenario(
        "values that the tool derives",
        FAMILY,
        &[
            Set(Op, "child", Field::EstimatedHours, "120"),
            Set(Hub, "child", Field::DueDate, "2026-12-24"),
            Set(Hub, "parent", Field::DueDate, "2026-12-31"),
        ],
    )
    .tools(derives),
    scenario(
        "Markdown to HTML",
        TASK,
        &[
            Set(Hub, "task", Field::Description, MARKDOWN),
            Add(Hub, "new"),
            Set(Hub, "new", Field::Description, MARKDOWN),
        ],
    ),
    scenario(
        "HTML to Markdown",
        TASK,
        &[
            Set(Lt, "task", Field::Description, HTML),
            Add(Lt, "new"),
            Set(Lt, "new", Field::Description, HTML),
        ],
    ),
    scenario(
        "text that does not survive the trip",
        &[Add(Op, "task"), Set(Op, "task", Field::Description, MARKDOWN)],
        &[
            Set(
                Op,
                "task",
                Field::Description,
                "a <server> & `code <b>`\r\n\r\n| a | b |\r\n| --- | --- |\r\n| c | d |",
            ),
            Set(Lt, "task", Field::Tags, "red"),
        ],
    ),
    // Settings and mappings that change.
    scenario(
        "another table of statuses",
        &[Add(Op, "task"), Set(Op, "task", Field::Status, "On hold")],
        &[
            Act::Settings(Op, |settings| {
                settings.options.status_map.insert("On hold".to_owned(), Status::Review);
            }),
            Set(Op, "task", Field::DueDate, "2026-12-24"),
        ],
    ),
    scenario(
        "a mapping switched off",
        TASK,
        &[
            Map(Op, "Common", |mapping| mapping.enabled = false),
            Set(Hub, "task", Field::Description, "hub"),
            Add(Hub, "new"),
        ],
    ),
    scenario(
        "a mapping that only pulls",
        TASK,
        &[
            Map(Op, "Common", |mapping| mapping.direction = Some(Direction::Pull)),
            Set(Hub, "task", Field::Description, "hub"),
            Set(Op, "task", Field::Status, "In progress"),
            Add(Op, "new"),
        ],
    ),
    scenario(
        "a connection that only pushes",
        TASK,
        &[
            Act::Settings(Lt, |settings| settings.direction = Direction::Push),
            Set(Hub, "task", Field::Description, "hub"),
            Set(Lt, "task", Field::Tags, "red"),
            Add(Lt, "new"),
            Add(Hub, "from the hub"),
        ],
    ),
    scenario(
        "a project that is new",
        TASK,
        &[
            Do(|world| {
                world.openproject.create_project("Fresh", "fresh");
            }),
            AddIn(Op, "Fresh", "first"),
            AddIn(Op, "Fresh", "second"),
        ],
    ),
    scenario(
        "a project that is renamed",
        TASK,
        &[
            Do(|world| {
                let project = world.openproject_project("Common");
                world
                    .openproject
                    .edit_project(project, |row| row.name = "Shared".to_owned());
            }),
            Set(Hub, "task", Field::Description, "hub"),
        ],
    ),
    scenario(
        "a project that is archived",
        PAIR,
        &[
            Set(Hub, "one", Field::Description, "hub"),
            Do(|world| world.openproject.archive_project(world.openproject_project("Other"))),
        ],
    ),
    // Two at once.
    scenario(
        "both at once: one title in both tools",
        &[],
        &[Add(Op, "a"), Add(Lt, "a"), Add(Op, "b"), Add(Lt, "c"), Add(Hub, "d")],
    )
    .at_once(),
    scenario(
        "both at once: edits on all sides",
        PAIR,
        &[
            Set(Hub, "one", Field::DueDate, "2026-12-24"),
            Set(Op, "two", Field::Title, "second"),
            Set(Lt, "one", Field::Tags, "red"),
            Add(Hub, "three"),
        ],
    )
    .at_once(),
];

const LONG_TITLE: &str = concat!(
    "a title that goes on and on, a title that goes on and on, a title that goes on and on, ",
    "a title that goes on and on, a title that goes on and on, a title that goes on and on, ",
    "a title that goes on and on, a title that goes on and on, a title that goes on and on, ",
    "a title that goes on and on, a title that goes on and on, a title that goes on and on.",
);

const MARKDOWN: &str =
    "# Heading\n\ntext with **bold** & _italics_\n\n- [ ] open\n- [x] done\n\n```rust\nlet x = 1;\n```";

const HTML: &str =
    "<h2>Heading</h2><ul><li>one</li><li><strong>two</strong> &amp; more</li></ul><p>a &lt;server&gt;</p>";
