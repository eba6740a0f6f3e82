//! The adapter of the example keeps every rule that says something of a file.

#[path = "../custom_connection/json_file.rs"]
mod json_file;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use magnus_core::connection::Connection;
use magnus_core::model::{ExternalId, Field, RemoteValue};
use magnus_testkit::conformance::connection::ConnectionFixture;

use json_file::JsonFile;

type Tasks = BTreeMap<u64, BTreeMap<Field, RemoteValue>>;

struct File {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl File {
    /// Somebody edits the file by hand.
    fn edit(&self, edit: impl FnOnce(&mut Tasks)) {
        let mut tasks = serde_json::from_slice(&std::fs::read(&self.path).expect("the test can edit its file"))
            .expect("the test can edit its file");
        edit(&mut tasks);
        std::fs::write(
            &self.path,
            serde_json::to_vec(&tasks).expect("the test can edit its file"),
        )
        .expect("the test can edit its file");
    }
}

#[async_trait]
impl ConnectionFixture for File {
    async fn connect(&self) -> Arc<dyn Connection> {
        Arc::new(JsonFile(Mutex::new(self.path.clone())))
    }

    fn project(&self) -> ExternalId {
        ExternalId::from(1)
    }

    async fn other_renames(&self, task: &ExternalId, title: &str) -> Option<()> {
        let id: u64 = task.as_str().parse().ok()?;
        self.edit(|tasks| {
            let row = tasks.get_mut(&id).expect("the test can edit its file");
            row.insert(Field::Title, RemoteValue::text(title));
        });
        Some(())
    }

    async fn other_creates(&self, title: &str) -> Option<ExternalId> {
        let mut id = 0;
        self.edit(|tasks| {
            id = tasks.keys().last().map_or(1, |last| last + 1);
            let status = (Field::Status, RemoteValue::text("todo"));
            tasks.insert(id, [(Field::Title, RemoteValue::text(title)), status].into());
        });
        Some(ExternalId::from(id))
    }
}

async fn new_file() -> File {
    let directory = tempfile::tempdir().expect("the test can edit its file");
    let path = directory.path().join("tasks.json");
    std::fs::write(&path, "{}").expect("the test can edit its file");
    File {
        path,
        _directory: directory,
    }
}

// A file has no network, pages, versions, times, parents, keys or second project, and nothing is deleted from it.
magnus_testkit::connection_tests!(new_file, without: [
    a_broken_connection_is_never_an_answer,
    a_change_of_a_deleted_task_makes_nothing,
    a_change_whose_answer_was_lost_may_have_taken_place,
    a_connection_shows_no_secret,
    a_create_is_known_by_its_marker,
    a_create_that_never_arrived_is_not_found,
    a_create_whose_answer_was_lost_is_found,
    a_cursor_includes_its_own_stamp,
    a_cursor_of_another_tool_is_an_error,
    a_delete_whose_answer_was_lost_can_be_sent_again,
    a_deleted_project_is_never_an_empty_list,
    a_deleted_task_is_absent,
    a_dropped_read_leaves_the_connection_usable,
    a_hidden_project_is_never_an_empty_list,
    a_long_description_is_held_whole_or_refused,
    a_moved_task_reads_as_moved,
    a_page_that_repeats_is_no_list,
    a_parent_is_set_changed_and_cleared,
    a_proxys_404_proves_no_absence,
    a_refusal_names_the_field_and_leaves_the_rest,
    a_refused_key_is_unauthorized,
    a_server_error_is_never_an_answer,
    a_stale_write_is_refused,
    a_task_is_moved_with_all_its_values,
    a_write_that_fails_leaves_those_beside_it_alone,
    a_write_that_hangs_leaves_the_connection_usable,
    an_answer_that_is_not_the_tools_is_an_error,
    an_edit_during_an_incremental_list_is_found_by_the_next,
    awkward_descriptions_come_back_as_they_were,
    deleting_a_parent_does_what_the_capabilities_say,
    deleting_twice_is_deleted_both_times,
    descendants_are_all_below_a_task,
    every_task_is_listed_over_all_pages,
    no_change_is_missed_from_cursor_to_cursor,
    no_error_holds_the_secret,
    no_row_is_lost_while_others_delete_during_paging,
    no_row_is_lost_while_others_edit_during_paging,
    tasks_of_other_projects_are_not_listed,
    the_outcome_of_a_failed_write_is_the_truth,
    the_sweep_of_ids_equals_the_list,
    the_version_of_an_answer_is_the_next_to_decide_on,
    too_many_requests_tell_how_long_to_wait,
    what_we_made_is_found_wherever_it_is,
    wrong_types_prove_no_absence,
]);
