//! Whole runs of the engine against the simulated tool: equal afterwards, and quiet after that.

#[path = "support/bench.rs"]
mod bench;

use bench::Bench;
use magnus_core::model::{DeletionPolicy, Person, Priority, ProjectId, RunState, Status, Task};
use magnus_testkit::sim::leantime::Dialect;
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};

fn full_task(project: ProjectId) -> Task {
    let mut task = Task::new(project, "From the hub", chrono::Utc::now());
    task.description =
        Some("# Plan\n\n- [x] first\n- [ ] `second` & <third>\n\n| a | b |\n|---|---|\n| 1 | 2 |".to_owned());
    task.status = Status::Review;
    task.priority = Priority::Critical;
    task.assignee = Person::parse("Ada Admin <admin@example.test>");
    task.start_date = "2026-03-28".parse().ok();
    task.due_date = "2026-03-29".parse().ok();
    task.estimated_minutes = Some(100);
    task.remaining_minutes = Some(50);
    task.tags = ["x".to_owned(), "a b".to_owned()].into();
    task
}

#[tokio::test(start_paused = true)]
async fn both_sides_are_equal_after_a_run_and_the_next_one_is_quiet_in_every_dialect() {
    for dialect in Dialect::ALL {
        let bench = Bench::new(dialect, |_| {}).await;
        let parent = bench
            .simulator
            .create_ticket_with(bench.project, "From the tool", |ticket| {
                ticket.description = Some("<p>Hello <b>world</b></p><ul><li><p>one</p></li></ul>".to_owned());
                ticket.date_to_finish = Some("2026-12-24 00:00:00".to_owned());
                ticket.priority = Some("5".to_owned());
                ticket.tags = Some("b,a".to_owned());
                ticket.plan_hours = Some(1.5);
                ticket.status = 2;
            });
        bench
            .simulator
            .create_ticket_with(bench.project, "Its child", |ticket| {
                ticket.depending_ticket_id = Some(parent);
                ticket.description = Some("plain text\nin two lines".to_owned());
                ticket.status = -1;
            });
        bench
            .simulator
            .create_ticket_with(bench.project, "A milestone", |ticket| {
                ticket.kind = "milestone".to_owned()
            });
        bench.put(full_task(bench.hub), true).await;

        let end = bench.sync().await;
        assert_eq!(end.state, RunState::Completed, "{:?}", end.message);
        let tasks = bench.tasks().await;
        let titles: Vec<&str> = tasks.iter().map(|task| task.title.as_str()).collect();
        assert_eq!(titles, ["From the hub", "From the tool", "Its child"]);
        let (pulled, child) = (&tasks[1], &tasks[2]);
        assert_eq!(pulled.description.as_deref(), Some("Hello **world**\n\n- one"));
        assert_eq!(
            (pulled.status, pulled.priority, pulled.estimated_minutes),
            (Status::Review, Priority::Low, Some(90))
        );
        assert_eq!(pulled.due_date, "2026-12-24".parse().ok());
        assert_eq!((child.parent_id, child.status), (Some(pulled.id), Status::Cancelled));

        let tickets = bench.simulator.tickets();
        let pushed = tickets
            .iter()
            .find(|ticket| ticket.headline.as_deref() == Some("From the hub"))
            .unwrap();
        assert_eq!(
            (pushed.status, pushed.priority.as_deref(), pushed.editor_id.as_deref()),
            (2, Some("1"), Some("1"))
        );
        assert_eq!(pushed.edit_from.as_deref(), Some("2026-03-27 23:00:00"));
        assert_eq!(
            pushed.date_to_finish.as_deref(),
            Some("2026-03-29 21:59:59"),
            "the night the clock changes"
        );
        assert_eq!(pushed.tags.as_deref(), Some("a b,x"));
        bench.is_quiet().await;
        assert_eq!(bench.tasks().await, tasks);
        bench.is_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn edits_on_both_sides_of_one_task_meet_in_every_dialect() {
    for dialect in Dialect::ALL {
        let bench = Bench::new(dialect, |_| {}).await;
        let id = bench.simulator.create_ticket(bench.project, "Task");
        bench.sync().await;
        bench.simulator.edit_ticket(id, |ticket| {
            ticket.status = 0;
            ticket.description = Some("<p>done <em>at last</em></p>".to_owned());
        });
        let mut task = bench.tasks().await.remove(0);
        task.due_date = "2026-12-24".parse().ok();
        task.tags = ["new".to_owned()].into();
        bench.put(task, false).await;
        let end = bench.sync().await;
        assert_eq!(end.state, RunState::Completed, "{:?}", end.message);
        let task = bench.tasks().await.remove(0);
        let ticket = bench.simulator.ticket(id).unwrap();
        assert_eq!(
            (task.status, task.description.as_deref()),
            (Status::Done, Some("done _at last_"))
        );
        assert_eq!((ticket.status, ticket.tags.as_deref()), (0, Some("new")));
        assert_eq!(ticket.date_to_finish.as_deref(), Some("2026-12-24 22:59:59"));
        assert_eq!(
            ticket.description.as_deref(),
            Some("<p>done <em>at last</em></p>"),
            "not written back"
        );
        bench.is_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_create_makes_no_second_ticket() {
    for dialect in Dialect::ALL {
        let bench = Bench::new(dialect, |_| {}).await;
        bench.sync().await;
        bench.put(full_task(bench.hub), true).await;
        let lost = FaultRule::new(CallMatcher::any().rpc("addTicket"), Fault::LoseAnswer);
        bench.simulator.faults().inject(lost);
        assert_ne!(bench.sync().await.state, RunState::Completed);
        for _ in 0..3 {
            bench.sync().await;
        }
        assert_eq!(
            (bench.simulator.tickets().len(), bench.tasks().await.len()),
            (1, 1),
            "{dialect:?}"
        );
        bench.is_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn losing_a_project_deletes_nothing_in_the_hub() {
    let bench = Bench::new(Dialect::V398, |settings| {
        settings.options.deletions = DeletionPolicy::Delete
    })
    .await;
    for n in 0..5 {
        bench.simulator.create_ticket(bench.project, &format!("task {n}"));
    }
    bench.sync().await;
    bench.simulator.delete_project(bench.project);
    for _ in 0..3 {
        let error = bench.try_sync().await.unwrap_err();
        assert!(error.to_string().contains("suspended"), "{error}");
    }
    assert_eq!(bench.tasks().await.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_realistic_tickets_are_pulled_and_then_cost_few_requests() {
    let bench = Bench::new(Dialect::V398, |_| {}).await;
    bench.simulator.seed_project(bench.project, 1_000, 7);
    let end = bench.sync().await;
    assert_eq!(
        (end.state, end.report.counts.tasks.created),
        (RunState::Completed, 1_000),
        "{:?}",
        end.message
    );
    assert_eq!(bench.simulator.writes(), 0, "pulling writes nothing to the tool");
    bench.is_quiet().await;
}
