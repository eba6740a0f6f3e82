//! A tool in memory and its adapter, correct unless a bug is asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use magnus_core::connection::{
    Capabilities, Connection, ConnectionError, ConnectionErrorKind as Kind, Decoded, Encoded, FieldSupport,
    FindCreated, Identity, ListIds, ListProjects, ListTasks, Outcome, Page, PageToken, ProjectReading, ReadTask,
    Reading, RejectedField, RemoteWrite, Translator, UpdateTask, Written, WrittenTask,
};
use magnus_core::model::{
    Cursor, ExternalId, Field, Priority, RemoteField, RemoteProject, RemoteTask, RemoteValue, RemoteVersion, Status,
    ToolName, Value,
};
use magnus_testkit::conformance::connection::{Calls, Trouble};

/// What is wrong with the adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    PagesByOffset,
    ForgetsTheLastPage,
    HidesClosedTasks,
    ClearsWhatIsNotNamed,
    IgnoresNull,
    CutsTitles,
    ServerErrorIsAnEmptyList,
    LostCreateIsNotApplied,
    FindsCreatedInOneProject,
    FindsCreatedBefore,
    IgnoresVersions,
    AnswersBackwards,
    HiddenProjectIsEmpty,
    CursorIsExclusive,
    SecretInErrors,
    ForgetsTheWait,
    ClaimsTheSoleWriter,
    FailureStopsTheBatch,
    DeletingTwiceFails,
    MoveIsAbsence,
    PanicsOnGarbage,
    LosesLineEnds,
    SweepForgetsClosedTasks,
    RefusalNamesNothing,
}

impl Bug {
    /// Each, with a rule that must catch it.
    pub(crate) const ALL: [(Self, &'static str); 24] = [
        (Self::PagesByOffset, "no_row_is_lost_while_others_delete_during_paging"),
        (Self::ForgetsTheLastPage, "every_task_is_listed_over_all_pages"),
        (Self::HidesClosedTasks, "tasks_in_every_status_are_listed"),
        (
            Self::ClearsWhatIsNotNamed,
            "a_change_of_one_field_leaves_the_others_alone",
        ),
        (Self::IgnoresNull, "every_field_that_can_be_empty_can_be_cleared"),
        (Self::CutsTitles, "a_long_title_is_held_whole_or_refused"),
        (Self::ServerErrorIsAnEmptyList, "a_server_error_is_never_an_answer"),
        (Self::LostCreateIsNotApplied, "a_create_whose_answer_was_lost_is_found"),
        (Self::FindsCreatedInOneProject, "what_we_made_is_found_wherever_it_is"),
        (Self::FindsCreatedBefore, "a_create_that_never_arrived_is_not_found"),
        (Self::IgnoresVersions, "a_stale_write_is_refused"),
        (Self::AnswersBackwards, "readings_come_in_the_order_of_requests"),
        (Self::HiddenProjectIsEmpty, "a_hidden_project_is_never_an_empty_list"),
        (Self::CursorIsExclusive, "a_cursor_includes_its_own_stamp"),
        (Self::SecretInErrors, "no_error_holds_the_secret"),
        (Self::ForgetsTheWait, "too_many_requests_tell_how_long_to_wait"),
        (Self::ClaimsTheSoleWriter, "a_sole_writer_is_claimed_only_with_proof"),
        (
            Self::FailureStopsTheBatch,
            "a_write_that_fails_leaves_those_beside_it_alone",
        ),
        (Self::DeletingTwiceFails, "deleting_twice_is_deleted_both_times"),
        (Self::MoveIsAbsence, "a_moved_task_reads_as_moved"),
        (Self::PanicsOnGarbage, "the_translator_takes_whatever_comes"),
        (Self::LosesLineEnds, "awkward_descriptions_come_back_as_they_were"),
        (Self::SweepForgetsClosedTasks, "the_sweep_of_ids_equals_the_list"),
        (
            Self::RefusalNamesNothing,
            "a_refusal_names_the_field_and_leaves_the_rest",
        ),
    ];
}

pub(crate) const SECRET: &str = "toy-secret-7f3a";
const TITLE_LIMIT: usize = 120;

#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) project: u64,
    pub(crate) fields: BTreeMap<Field, RemoteValue>,
    pub(crate) version: u64,
    pub(crate) stamp: u64,
    pub(crate) ours: bool,
}

/// What the tool holds.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub(crate) items: BTreeMap<u64, Item>,
    /// Number to whether we may see it.
    pub(crate) projects: BTreeMap<u64, bool>,
    pub(crate) page_size: usize,
    pub(crate) trouble: Vec<(Calls, Trouble)>,
    pub(crate) refused: Option<Field>,
    pub(crate) requests: usize,
    next: u64,
    stamp: u64,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            projects: BTreeMap::from([(1, true)]),
            page_size: 100,
            next: 1,
            ..Self::default()
        }
    }

    pub(crate) fn insert(&mut self, project: u64, given: BTreeMap<Field, RemoteValue>, ours: bool) -> u64 {
        let id = self.next;
        self.next += 1;
        self.stamp += 1;
        let mut fields: BTreeMap<Field, RemoteValue> =
            Field::ALL.iter().map(|field| (*field, default_of(*field))).collect();
        fields.extend(given);
        let stamp = self.stamp;
        self.items.insert(
            id,
            Item {
                project,
                fields,
                version: 0,
                stamp,
                ours,
            },
        );
        id
    }

    pub(crate) fn change(&mut self, id: u64, change: impl FnOnce(&mut Item)) {
        self.stamp += 1;
        let stamp = self.stamp;
        if let Some(item) = self.items.get_mut(&id) {
            change(item);
            item.version += 1;
            item.stamp = stamp;
        }
    }

    fn visible(&self, id: u64) -> Option<&Item> {
        self.items
            .get(&id)
            .filter(|item| self.projects.get(&item.project) == Some(&true))
    }
}

fn default_of(field: Field) -> RemoteValue {
    match field {
        Field::Status => raw(&Value::Status(Status::Todo)),
        Field::Priority => raw(&Value::Priority(Priority::Medium)),
        _ => RemoteValue::NULL,
    }
}

fn raw(value: &Value) -> RemoteValue {
    match value {
        Value::Empty => RemoteValue::NULL,
        Value::Text(text) => RemoteValue::text(text),
        value => serde_json::to_value(value).map_or(RemoteValue::NULL, RemoteValue),
    }
}

fn is_closed(item: &Item) -> bool {
    item.fields[&Field::Status] == raw(&Value::Status(Status::Done))
}

fn number(id: &ExternalId) -> u64 {
    id.as_str().parse().unwrap_or(0)
}

/// The adapter.
#[derive(Clone)]
pub(crate) struct Toy {
    pub(crate) server: Arc<Mutex<Server>>,
    pub(crate) bug: Option<Bug>,
}

impl std::fmt::Debug for Toy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Toy").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Tables(Option<Bug>);

impl Translator for Tables {
    fn decode(&self, _: &ExternalId, field: Field, value: &RemoteValue) -> Decoded {
        if self.0 == Some(Bug::PanicsOnGarbage) && field == Field::DueDate && !value.is_null() {
            return Decoded::Exact(serde_json::from_value(value.0.clone()).expect("a date"));
        }
        let meaning = match (field, &value.0) {
            (_, serde_json::Value::Null) => Some(Value::Empty),
            (Field::Title | Field::Description, serde_json::Value::String(text)) => Some(Value::text(text)),
            (_, other) => serde_json::from_value(other.clone()).ok(),
        };
        match meaning.filter(|value| value.fits(field)) {
            Some(value) => Decoded::Exact(value),
            None => Decoded::Unresolved(format!("{value} means nothing")),
        }
    }

    fn encode(&self, _: &ExternalId, field: Field, value: &Value) -> Encoded {
        let is_long = matches!(value, Value::Text(title) if title.chars().count() > TITLE_LIMIT);
        if !value.fits(field) || field == Field::ActualHours {
            Encoded::Unholdable(format!("{field} does not take {value}"))
        } else if field == Field::Title && is_long && self.0 != Some(Bug::CutsTitles) {
            Encoded::Unholdable(format!("titles have at most {TITLE_LIMIT} characters"))
        } else {
            Encoded::Value(raw(value))
        }
    }

    fn is_default(&self, _: &ExternalId, field: Field, value: &RemoteValue) -> bool {
        field != Field::Title && *value == default_of(field)
    }
}

impl Toy {
    pub(crate) fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn error(&self, kind: Kind, operation: &'static str) -> ConnectionError {
        let secret = if self.has(Bug::SecretInErrors) {
            SECRET
        } else {
            "(hidden)"
        };
        ConnectionError::new(kind, operation, "the toy does not play").with_context("key", secret)
    }

    /// Meets the trouble of a request: before it is done, or else what to answer after.
    async fn request(&self, calls: Calls, operation: &'static str) -> Result<Option<ConnectionError>, ConnectionError> {
        let trouble = {
            let mut server = self.server();
            server.requests += 1;
            server
                .trouble
                .iter()
                .find(|(of, _)| *of == calls)
                .map(|(_, trouble)| *trouble)
        };
        let doubtful = if calls == Calls::Writes {
            Outcome::Unknown
        } else {
            Outcome::NotApplied
        };
        let error = |kind| self.error(kind, operation);
        let doubted = |kind| error(kind).with_outcome(doubtful);
        match trouble {
            None | Some(Trouble::RepeatPage) => Ok(None),
            Some(Trouble::Hang) => std::future::pending().await,
            Some(Trouble::LoseAnswer) if self.has(Bug::LostCreateIsNotApplied) => Ok(Some(error(Kind::Timeout))),
            Some(Trouble::LoseAnswer) => Ok(Some(doubted(Kind::Timeout))),
            Some(Trouble::Truncate | Trouble::WrongTypes) => Ok(Some(doubted(Kind::Protocol))),
            Some(Trouble::TooManyRequests(wait)) => {
                let wait = Some(wait).filter(|_| !self.has(Bug::ForgetsTheWait));
                Err(error(Kind::RateLimited).with_retry_after(wait))
            }
            Some(Trouble::LoseRequest) => Err(doubted(Kind::Timeout)),
            Some(Trouble::Status(401)) => Err(error(Kind::Unauthorized)),
            Some(Trouble::Status(403)) => Err(error(Kind::Forbidden)),
            Some(Trouble::Status(500..) | Trouble::Html(500..)) => Err(doubted(Kind::Unavailable)),
            Some(_) => Err(doubted(Kind::Protocol)),
        }
    }

    async fn read_request(&self, operation: &'static str) -> Result<MutexGuard<'_, Server>, ConnectionError> {
        match self.request(Calls::Reads, operation).await? {
            Some(error) => Err(error),
            None => Ok(self.server()),
        }
    }

    fn show(&self, id: u64, item: &Item) -> RemoteTask {
        let fields = item
            .fields
            .iter()
            .map(|(field, value)| (*field, RemoteField::from(value.clone())));
        RemoteTask {
            id: ExternalId::from(id),
            project: ExternalId::from(item.project),
            version: Some(RemoteVersion(item.version.to_string())),
            updated_at: None,
            url: None,
            fields: fields.filter(|(field, _)| *field != Field::ActualHours).collect(),
            metadata: serde_json::Map::new(),
            marker: None,
            skip: None,
        }
    }

    /// A page of the rows of a project, by number.
    fn page<T>(
        &self,
        server: &Server,
        rows: Vec<(u64, T)>,
        token: Option<&PageToken>,
    ) -> Result<Page<T>, ConnectionError> {
        let start: u64 = match token {
            Some(token) => token.0.parse().map_err(|_| self.error(Kind::Protocol, "list_tasks"))?,
            None => 0,
        };
        let repeats = server.trouble.contains(&(Calls::Reads, Trouble::RepeatPage));
        let start = if repeats { 0 } else { start };
        let total = rows.len();
        let rest: Vec<(u64, T)> = if self.has(Bug::PagesByOffset) {
            rows.into_iter()
                .skip(usize::try_from(start).unwrap_or(usize::MAX))
                .collect()
        } else {
            rows.into_iter().filter(|(id, _)| *id > start).collect()
        };
        let size = server.page_size;
        let more = rest.len() > size && !(self.has(Bug::ForgetsTheLastPage) && rest.len() <= 2 * size);
        let page: Vec<(u64, T)> = rest.into_iter().take(size).collect();
        let last = page.last().map_or(0, |(id, _)| *id);
        let next = if self.has(Bug::PagesByOffset) {
            start + page.len() as u64
        } else {
            last
        };
        Ok(Page {
            items: page.into_iter().map(|(_, row)| row).collect(),
            next: more.then(|| PageToken(next.to_string())),
            total: u64::try_from(total).ok(),
            cursor: None,
        })
    }

    fn readable(&self, server: &Server, project: &ExternalId, operation: &'static str) -> Result<(), ConnectionError> {
        match server.projects.get(&number(project)) {
            Some(true) => Ok(()),
            Some(false) if self.has(Bug::HiddenProjectIsEmpty) => Ok(()),
            Some(false) => Err(self.error(Kind::Forbidden, operation)),
            None => Err(self.error(Kind::NotFound, operation)),
        }
    }

    async fn write_one(&self, write: RemoteWrite) -> Result<Written, ConnectionError> {
        let lost = self.request(Calls::Writes, "write").await?;
        let written = self.apply(write)?;
        lost.map_or(Ok(written), Err)
    }

    fn refuse(&self, server: &Server, fields: &BTreeMap<Field, RemoteValue>) -> Result<(), ConnectionError> {
        let Some(field) = server.refused.filter(|field| fields.contains_key(field)) else {
            return Ok(());
        };
        let message = "not today".to_owned();
        let rejected = vec![RejectedField { field, message }];
        let rejected = if self.has(Bug::RefusalNamesNothing) {
            Vec::new()
        } else {
            rejected
        };
        Err(self.error(Kind::Rejected, "write").with_rejected(rejected))
    }

    fn stored(&self, fields: BTreeMap<Field, RemoteValue>) -> BTreeMap<Field, RemoteValue> {
        let spoil = |(field, value): (Field, RemoteValue)| match value.as_text() {
            Some(text) if field == Field::Title && self.has(Bug::CutsTitles) => (
                field,
                RemoteValue::text(text.chars().take(TITLE_LIMIT).collect::<String>()),
            ),
            Some(text) if field == Field::Description && self.has(Bug::LosesLineEnds) => {
                (field, RemoteValue::text(text.replace("\r\n", "")))
            }
            _ => (field, value),
        };
        let ignored = |value: &RemoteValue| self.has(Bug::IgnoresNull) && value.is_null();
        fields
            .into_iter()
            .filter(|(_, value)| !ignored(value))
            .map(spoil)
            .collect()
    }

    fn apply(&self, write: RemoteWrite) -> Result<Written, ConnectionError> {
        let mut server = self.server();
        match write {
            RemoteWrite::Create(create) => {
                self.readable(&server, &create.project, "write")?;
                self.refuse(&server, &create.fields)?;
                let id = server.insert(number(&create.project), self.stored(create.fields), true);
                Ok(self.written(&server, id, None, true))
            }
            RemoteWrite::Update(update) => self.update(&mut server, update),
            RemoteWrite::Delete(delete) => {
                self.readable(&server, &delete.project, "write")?;
                let gone = server.items.remove(&number(&delete.id)).is_none();
                if gone && self.has(Bug::DeletingTwiceFails) {
                    return Err(self.error(Kind::NotFound, "write"));
                }
                Ok(Written::Deleted)
            }
        }
    }

    fn update(&self, server: &mut Server, update: UpdateTask) -> Result<Written, ConnectionError> {
        let id = number(&update.id);
        let before = server
            .visible(id)
            .ok_or_else(|| self.error(Kind::NotFound, "write"))?
            .clone();
        let stale = update
            .version
            .as_ref()
            .is_some_and(|version| version.0 != before.version.to_string());
        if stale && !self.has(Bug::IgnoresVersions) {
            return Err(self.error(Kind::VersionConflict, "write"));
        }
        self.refuse(server, &update.fields)?;
        let fields = self.stored(update.fields);
        let forgets = self.has(Bug::ClearsWhatIsNotNamed);
        server.change(id, |item| {
            if forgets {
                item.fields.insert(Field::Description, RemoteValue::NULL);
            }
            item.fields.extend(fields);
            item.project = update.move_to.as_ref().map_or(item.project, number);
        });
        let proven = update.version.is_some() || self.has(Bug::ClaimsTheSoleWriter);
        Ok(self.written(server, id, None, proven))
    }

    fn written(&self, server: &Server, id: u64, before: Option<RemoteTask>, sole_writer: bool) -> Written {
        let task = self.show(id, &server.items[&id]);
        Written::Task(Box::new(WrittenTask {
            task,
            before,
            sole_writer,
        }))
    }
}

#[async_trait]
impl Connection for Toy {
    fn capabilities(&self) -> Capabilities {
        let fields = Field::ALL.iter().filter(|field| **field != Field::ActualHours);
        let fields = fields.map(|field| (*field, FieldSupport::ReadWrite)).collect();
        let mut can = Capabilities::new(ToolName::new("toy"), "toy.test", fields);
        can.incremental = true;
        can.id_sweep = true;
        can.versions = true;
        can.delete = true;
        can.batch_size = 5;
        can
    }

    async fn check(&self) -> Result<Identity, ConnectionError> {
        drop(self.read_request("check").await?);
        Ok(Identity {
            id: ExternalId::from(1),
            name: "Toy".to_owned(),
            version: None,
            notes: Vec::new(),
        })
    }

    async fn translator(&self, _: Vec<ExternalId>) -> Result<Arc<dyn Translator>, ConnectionError> {
        drop(self.read_request("translator").await?);
        Ok(Arc::new(Tables(self.bug)))
    }

    async fn list_projects(&self, _: ListProjects) -> Result<Page<RemoteProject>, ConnectionError> {
        let server = self.read_request("list_projects").await?;
        let seen = server.projects.iter().filter(|(_, visible)| **visible);
        Ok(Page::whole(seen.map(|(id, _)| project(*id)).collect()))
    }

    async fn list_tasks(&self, request: ListTasks) -> Result<Page<RemoteTask>, ConnectionError> {
        let operation = "list_tasks";
        let server = match self.read_request(operation).await {
            Err(error) if self.has(Bug::ServerErrorIsAnEmptyList) && error.kind() == Kind::Unavailable => {
                return Ok(Page::whole(Vec::new()));
            }
            other => other?,
        };
        self.readable(&server, &request.project, operation)?;
        let since: Option<u64> = match &request.changed_since {
            Some(cursor) => Some(cursor.0.parse().map_err(|_| self.error(Kind::Protocol, operation))?),
            None => None,
        };
        let wanted = |item: &Item| match since {
            Some(since) if self.has(Bug::CursorIsExclusive) => item.stamp > since,
            Some(since) => item.stamp >= since,
            None => true,
        };
        let hidden = |item: &Item| self.has(Bug::HidesClosedTasks) && is_closed(item);
        let here = number(&request.project);
        // Nothing that was not there when the walk began may be behind the cursor: it is what all rows had then.
        let begun = request.page.as_ref().and_then(|token| token.0.split_once(' '));
        let token = begun.map(|(_, place)| PageToken(place.to_owned()));
        let stamp: u64 = begun.map_or(server.stamp, |(stamp, _)| stamp.parse().unwrap_or(0));
        let rows = server.items.iter().filter(|(_, item)| {
            item.project == here && server.projects.get(&here) == Some(&true) && wanted(item) && !hidden(item)
        });
        let rows = rows.map(|(id, item)| (*id, self.show(*id, item))).collect();
        let mut page = self.page(&server, rows, token.as_ref())?;
        page.next = page.next.map(|next| PageToken(format!("{stamp} {}", next.0)));
        page.cursor = Some(Cursor(stamp.to_string()));
        Ok(page)
    }

    async fn list_ids(&self, request: ListIds) -> Result<Page<ExternalId>, ConnectionError> {
        let server = self.read_request("list_ids").await?;
        self.readable(&server, &request.project, "list_ids")?;
        let here = number(&request.project);
        let hidden = |item: &Item| self.has(Bug::SweepForgetsClosedTasks) && is_closed(item);
        let rows = server
            .items
            .iter()
            .filter(|(_, item)| item.project == here && !hidden(item));
        let rows = rows.map(|(id, _)| (*id, ExternalId::from(*id))).collect();
        self.page(&server, rows, request.page.as_ref())
    }

    async fn read(&self, requests: Vec<ReadTask>) -> Result<Vec<Reading>, ConnectionError> {
        let server = self.read_request("read").await?;
        let mut readings: Vec<Reading> = requests
            .iter()
            .map(|request| match server.visible(number(&request.id)) {
                Some(item) if item.project == number(&request.project) => {
                    Reading::Present(Box::new(self.show(number(&request.id), item)))
                }
                Some(item) if !self.has(Bug::MoveIsAbsence) => {
                    Reading::Moved(Box::new(self.show(number(&request.id), item)))
                }
                _ => Reading::Absent,
            })
            .collect();
        if self.has(Bug::AnswersBackwards) {
            readings.reverse();
        }
        Ok(readings)
    }

    async fn read_project(&self, id: ExternalId) -> Result<ProjectReading, ConnectionError> {
        let server = self.read_request("read_project").await?;
        Ok(match server.projects.get(&number(&id)) {
            Some(true) => ProjectReading::Open(project(number(&id))),
            Some(false) => ProjectReading::Denied,
            None => ProjectReading::Absent,
        })
    }

    async fn write(&self, writes: Vec<RemoteWrite>) -> Vec<Result<Written, ConnectionError>> {
        let mut results = Vec::new();
        for write in writes {
            let stopped = self.has(Bug::FailureStopsTheBatch) && results.last().is_some_and(Result::is_err);
            results.push(if stopped {
                Err(self.error(Kind::Unavailable, "write"))
            } else {
                self.write_one(write).await
            });
        }
        results
    }

    async fn find_created(&self, request: FindCreated) -> Result<Vec<RemoteTask>, ConnectionError> {
        let server = self.read_request("find_created").await?;
        let after = request.after.as_ref().map_or(0, number);
        let found = server.items.iter().filter(|(id, item)| {
            let newer = **id > after || self.has(Bug::FindsCreatedBefore);
            let here = item.project == number(&request.project) || !self.has(Bug::FindsCreatedInOneProject);
            newer && here && item.ours
        });
        Ok(found.map(|(id, item)| self.show(*id, item)).collect())
    }

    async fn list_descendants(&self, task: ReadTask) -> Result<Vec<RemoteTask>, ConnectionError> {
        let server = self.read_request("list_descendants").await?;
        let mut found: Vec<RemoteTask> = Vec::new();
        let mut parents = vec![RemoteValue::from(&task.id)];
        while let Some(parent) = parents.pop() {
            let below = server
                .items
                .iter()
                .filter(|(_, item)| item.fields[&Field::Parent] == parent);
            for (id, item) in below {
                if found.iter().all(|known| number(&known.id) != *id) {
                    found.push(self.show(*id, item));
                    parents.push(RemoteValue::text(id.to_string()));
                }
            }
        }
        Ok(found)
    }
}

fn project(id: u64) -> RemoteProject {
    RemoteProject {
        id: ExternalId::from(id),
        name: format!("Project {id}"),
        description: None,
        open: true,
        url: None,
    }
}
