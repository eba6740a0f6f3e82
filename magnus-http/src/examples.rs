//! An example of each answer, for the description: one connection, one run, one task and one conflict, wherever they
//! appear.

use serde_json::{Map, Value, json};

const CONNECTION: &str = "0190c0de-0000-7000-8000-000000000001";
const PROJECT: &str = "0190c0de-0000-7000-8000-000000000002";
const TASK: &str = "0190c0de-0000-7000-8000-000000000003";
const RUN: &str = "0190c0de-0000-7000-8000-000000000004";
const CONFLICT: &str = "0190c0de-0000-7000-8000-000000000005";
const MAPPING: &str = "0190c0de-0000-7000-8000-000000000006";
const BREAKDOWN: &str = "0190c0de-0000-7000-8000-000000000008";
const SUBTASK: &str = "0190c0de-0000-7000-8000-000000000009";
const WRITE: &str = "0190c0de-0000-7000-8000-000000000007";

const BEGUN: &str = "2026-03-02T09:30:00.000000Z";
const ENDED: &str = "2026-03-02T09:30:04.000000Z";

/// Gives the schemas of answers their examples.
pub(crate) fn add_to(schemas: &mut Map<String, Value>) {
    for (name, example) in all() {
        if let Some(schema) = schemas.get_mut(name) {
            schema["example"] = example;
        }
    }
}

/// The example of a body that is no JSON object, by its media type.
pub(crate) fn of_media_type(media_type: &str) -> Option<Value> {
    match media_type {
        "text/event-stream" => Some(Value::String(format!(
            "id: 2\nevent: run.started\ndata: {{\"sequence\":2,\"run_id\":\"{RUN}\",\"connection_id\":\"{CONNECTION}\",\
             \"status\":\"started\",\"at\":\"{BEGUN}\"}}\n\n"
        ))),
        "text/plain" => Some(json!("magnus_runs{state=\"started\"} 1\n")),
        _ => None,
    }
}

fn all() -> Vec<(&'static str, Value)> {
    let (connection, run, task, conflict) = (connection(), run(), task(), conflict());
    let says = "All pieces synchronized. The board is current.";
    let project = json!({
        "id": PROJECT, "name": "Garden", "description": null, "source_tool": "openproject", "archived_at": null,
        "created_at": BEGUN, "updated_at": BEGUN,
    });
    let uncertain = json!({
        "id": WRITE, "connection_id": CONNECTION, "tool_name": "openproject", "display_name": "Work", "task_id": TASK,
        "task_title": "Water the tomatoes", "reason": "the answer was lost, and the tool shows no such task",
        "run_id": RUN, "created_at": BEGUN,
    });
    let by_source = json!({ "openproject": 1 });
    vec![
        (
            "Matches",
            json!({ "matches": [{
                "project_name": "Garden", "project_id": PROJECT, "title": "Water the tomatoes", "task_ids": [TASK],
                "external_task_ids": ["42"], "reason": "may be the same as one on the other side",
            }] }),
        ),
        (
            "Matched",
            json!({ "status": "matched", "decided": 1, "magnus_says": says }),
        ),
        (
            "MapProject",
            json!({ "external_project_id": "3", "magnus_project_id": PROJECT }),
        ),
        (
            "Connections",
            json!({
                "connections": [connection], "total": 1, "next_cursor": null, "tools": ["leantime", "openproject"],
            }),
        ),
        (
            "Connected",
            json!({
                "status": "connected", "connection": connection,
                "magnus_says": "The openproject board is now under my control.",
            }),
        ),
        ("ConnectionOut", connection),
        (
            "Tested",
            json!({
                "status": "ok", "reason": null, "user": "Magnus", "version": "15.0.0", "notes": [],
            }),
        ),
        (
            "ExternalProjects",
            json!({ "projects": [{
            "external_project_id": "3", "name": "Garden", "open": true, "magnus_project_id": PROJECT,
            "magnus_project_name": "Garden", "suspended": null,
        }] }),
        ),
        (
            "ProjectMapped",
            json!({
                "status": "joined", "mapping_id": MAPPING, "external_project_id": "3", "magnus_project_id": PROJECT,
                "project_name": "Garden", "magnus_says": "Garden takes its place on the board.",
            }),
        ),
        (
            "SyncEnded",
            json!({
                "status": "completed", "projects": counts(0, 1), "tasks": counts(1, 41), "run_id": RUN, "run": run,
                "plan": null, "halts": [], "magnus_says": says,
            }),
        ),
        (
            "SyncAllOut",
            json!({
                "status": "started", "connections_syncing": 1, "tools": ["openproject"], "run_ids": [RUN], "refused": [],
                "quiet": null, "magnus_says": "Synchronizing 1 battlefields simultaneously. All pieces moving.",
            }),
        ),
        (
            "StatusOut",
            json!({
                "in_progress": 0, "queued": 0, "recent_syncs": [run], "magnus_says": "All syncs complete.",
            }),
        ),
        ("Runs", json!({ "runs": [run], "next_cursor": null })),
        (
            "RunAnswer",
            json!({
                "status": "over", "run_id": RUN, "run": run, "magnus_says": "That game is already over.",
            }),
        ),
        (
            "Dashboard",
            json!({
                "total": 1, "by_status": { "todo": 1 }, "by_priority": { "high": 1 }, "by_source": by_source, "overdue": 0,
                "due_today": 0, "today": "2026-03-02", "conflicts": 1, "in_progress": 0, "queued": 0, "projects": 1,
                "connections": [{
                    "connection_id": CONNECTION, "tool_name": "openproject", "display_name": "Work", "linked": 1,
                    "unlinked": 0, "conflicts": 1, "suspended": [], "last_run_id": RUN, "last_run_status": "completed",
                }],
                "recent_syncs": [run], "magnus_says": "The board is quiet.",
            }),
        ),
        ("RunOut", run),
        (
            "Tasks",
            json!({
                "tasks": [task], "total": 1, "by_source": by_source, "next_cursor": null,
                "magnus_says": "One piece on the board.",
            }),
        ),
        (
            "Overdue",
            json!({
                "tasks": [task], "total": 1, "by_source": by_source, "next_cursor": null, "today": "2026-03-09",
                "magnus_says": "One piece has overstayed.",
            }),
        ),
        (
            "Story",
            json!({
                "task": task, "conflicts": [conflict], "history": [{
                    "at": ENDED, "run_id": RUN, "connection_id": CONNECTION, "display_name": "Work", "field": "priority",
                    "before": "medium", "after": "high", "side": "hub", "rule": "one_moved",
                }],
                "breakdown": breakdown_job(),
            }),
        ),
        ("TaskOut", task),
        ("Described", json!({ "html": "<p>Only in the <em>evening</em>.</p>" })),
        (
            "Conflicts",
            json!({ "conflicts": [conflict], "total": 1, "next_cursor": null }),
        ),
        (
            "Resolved",
            json!({
                "status": "resolved", "conflict": conflict,
                "magnus_says": "The dispute is settled. The next move carries it out.",
            }),
        ),
        ("ConflictOut", conflict),
        (
            "Projects",
            json!({ "projects": [project], "total": 1, "next_cursor": null }),
        ),
        ("ProjectOut", project),
        (
            "UncertainList",
            json!({ "uncertain": [uncertain], "total": 1, "next_cursor": null }),
        ),
        ("UncertainOut", uncertain),
        ("Taken", json!({ "status": "accepted" })),
        (
            "BreakdownStarted",
            json!({
                "status": "started", "task_id": TASK, "job_id": BREAKDOWN,
                "message": "AI breakdown running. Results will be stored on task metadata.",
            }),
        ),
        (
            "BrokenDown",
            json!({
                "original_task": { "id": TASK, "title": "Water the tomatoes", "description": null },
                "breakdown": breakdown(), "job_id": BREAKDOWN,
                "magnus_says": "I've analyzed the position. Here's how to break it down.",
            }),
        ),
        ("BreakdownOut", breakdown()),
        ("BreakdownJobOut", breakdown_job()),
        (
            "BreakdownAccepted",
            json!({
                "status": "accepted", "job_id": BREAKDOWN, "task_id": TASK, "created": 1,
                "accepted": [{ "subtask": 0, "task_id": SUBTASK }], "subtasks": [self::task()],
                "magnus_says": "One new piece on the board.",
            }),
        ),
        (
            "Health",
            json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }),
        ),
    ]
}

fn counts(updated: u64, unchanged: u64) -> Value {
    json!({
        "created": 0, "updated": updated, "deleted": 0, "unchanged": unchanged, "conflicted": 0, "skipped": 0,
        "failed": 0,
    })
}

fn connection() -> Value {
    json!({
        "id": CONNECTION, "tool_name": "openproject", "display_name": "Work",
        "instance_url": "https://projects.example.org", "sync_direction": "bidirectional",
        "sync_frequency": "realtime", "sync_enabled": true, "config": { "projects": "all", "deletions": "keep" },
        "state": "ok", "last_sync_status": "completed", "last_sync_error": null, "last_run_id": RUN,
        "last_sync_at": ENDED, "last_success_at": ENDED, "next_run_at": "2026-03-02T09:31:02.500000Z",
        "no_schedule": null, "webhook_path": format!("/webhooks/{CONNECTION}"), "created_at": BEGUN,
        "updated_at": BEGUN,
    })
}

fn run() -> Value {
    json!({
        "id": RUN, "run_id": RUN, "connection_id": CONNECTION, "tool_name": "openproject", "display_name": "Work",
        "sync_type": "manual", "direction": "bidirectional", "status": "completed", "trigger": "manual", "done": 42,
        "total": 42, "counts": counts(1, 41), "items_synced": 1, "items_failed": 0, "conflicts_detected": 0,
        "details": {
            "items": [{
                "task_id": TASK, "external_task_id": "12", "title": "Water the tomatoes", "outcome": "updated",
                "detail": "priority",
            }],
            "items_omitted": 0, "problems": [], "hub_changes": 2, "remote_writes": 0, "projects": counts(0, 1),
            "plan": null,
        },
        "error_message": null, "cancel_requested": false, "progress": null, "queued_at": BEGUN, "started_at": BEGUN,
        "completed_at": ENDED,
    })
}

fn task() -> Value {
    json!({
        "id": TASK, "project_id": PROJECT, "project_name": "Garden", "title": "Water the tomatoes",
        "description": "Only in the *evening*.", "status": "todo", "priority": "high", "assignee": "mo@example.org",
        "start_date": "2026-03-02", "due_date": "2026-03-06", "estimated_hours": 1.5, "remaining_hours": null,
        "actual_hours": null, "percentage_done": 0, "parent_id": null, "tags": ["outdoors"], "metadata": {},
        "source_tool": "openproject", "archived_at": null, "deleted_at": null, "created_at": BEGUN,
        "updated_at": ENDED, "version": 2, "links": [{
            "connection_id": CONNECTION, "tool_name": "openproject", "display_name": "Work", "external_task_id": "12",
            "external_url": "https://projects.example.org/work_packages/12", "state": "live", "last_sync_at": ENDED,
        }],
    })
}

fn breakdown_job() -> Value {
    json!({
        "job_id": BREAKDOWN, "task_id": TASK, "status": "completed", "breakdown": breakdown(),
        "accepted": [{ "subtask": 0, "task_id": SUBTASK }], "discarded_at": null, "error_message": null, "raw": null,
        "cancel_requested": false, "attempts": 1, "queued_at": BEGUN, "started_at": BEGUN, "completed_at": ENDED,
    })
}

fn breakdown() -> Value {
    let subtask = |title: &str, hours: f64, depends_on: &[usize]| {
        json!({
            "title": title, "description": "In the evening.", "estimated_hours": hours, "priority": "medium",
            "depends_on": depends_on,
        })
    };
    json!({
        "subtasks": [
            subtask("Fill the can", 0.25, &[]), subtask("Water each plant", 1.0, &[0]), subtask("Put the can away", 0.25, &[1]),
        ],
        "total_estimate": 1.5, "suggested_sprint_points": 1, "notes": "",
        "provenance": {
            "model": "qwen3:8b", "provider": "compatible", "prompt_version": "1",
            "content_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "tokens": { "input": 712, "output": 308 }, "duration_ms": 3900, "at": ENDED,
        },
    })
}

fn conflict() -> Value {
    json!({
        "id": CONFLICT, "connection_id": CONNECTION, "tool_name": "openproject", "display_name": "Work",
        "task_id": TASK, "task_title": "Water the tomatoes", "external_task_id": "12", "field": "due_date",
        "base_value": "2026-03-06", "hub_value": "2026-03-09", "external_value": "2026-03-05", "status": "open",
        "policy": "manual", "reason": "both sides differ", "run_id": RUN, "created_at": ENDED, "updated_at": ENDED,
        "resolved_at": null, "resolved_by": null,
    })
}
