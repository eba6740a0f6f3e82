//! Conveniences over any [`Connection`].

use std::collections::HashSet;

use async_trait::async_trait;

use super::{Connection, ConnectionError, ConnectionErrorKind, ListIds, ListProjects, ListTasks, Page, PageToken};
use crate::model::{Cursor, ExternalId, RemoteProject, RemoteTask};

/// The most pages of one list; a tool that goes on is repeating itself.
const MAX_PAGES: usize = 100_000;

/// Conveniences over any [`Connection`], in terms of its required methods.
#[async_trait]
pub trait ConnectionExt: Connection {
    /// All projects, page after page, deduplicated by id.
    ///
    /// # Errors
    /// The first page that fails; `Protocol` if the pages repeat.
    async fn all_projects(&self) -> Result<Vec<RemoteProject>, ConnectionError> {
        let mut walk = Walk::new("list_projects");
        let mut projects = Vec::new();
        loop {
            let page = self
                .list_projects(ListProjects::default().page(walk.token.clone()))
                .await?;
            if !walk.advance(page, |project| &project.id, &mut projects)? {
                return Ok(projects);
            }
        }
    }

    /// All tasks that a request covers, page after page, deduplicated by id (the last copy counts), and the cursor.
    ///
    /// # Errors
    /// The first page that fails; `Protocol` if the pages repeat.
    async fn all_tasks(&self, request: ListTasks) -> Result<(Vec<RemoteTask>, Option<Cursor>), ConnectionError> {
        let mut walk = Walk::new("list_tasks");
        let mut tasks = Vec::new();
        loop {
            let page = self.list_tasks(request.clone().page(walk.token.clone())).await?;
            if !walk.advance(page, |task| &task.id, &mut tasks)? {
                return Ok((tasks, walk.cursor));
            }
        }
    }

    /// Hands out all tasks that a request covers, page after page, and answers the cursor. One that is on two pages comes twice;
    /// the last copy counts.
    ///
    /// # Errors
    /// The first page that fails; `Protocol` if the pages repeat. What was handed out then proves nothing.
    async fn each_task(
        &self,
        request: ListTasks,
        take: &mut (dyn FnMut(RemoteTask) + Send),
    ) -> Result<Option<Cursor>, ConnectionError> {
        let mut walk = Walk::new("list_tasks");
        loop {
            let page = self.list_tasks(request.clone().page(walk.token.clone())).await?;
            page.items.into_iter().for_each(&mut *take);
            if !walk.go_on(page.next, page.cursor)? {
                return Ok(walk.cursor);
            }
        }
    }

    /// All ids of the tasks of a project.
    ///
    /// # Errors
    /// The first page that fails; `Protocol` if the pages repeat.
    async fn all_ids(&self, project: ExternalId) -> Result<HashSet<ExternalId>, ConnectionError> {
        let mut walk = Walk::new("list_ids");
        let mut ids = Vec::new();
        loop {
            let page = self
                .list_ids(ListIds::new(project.clone()).page(walk.token.clone()))
                .await?;
            if !walk.advance(page, |id| id, &mut ids)? {
                return Ok(ids.into_iter().collect());
            }
        }
    }
}

impl<C: Connection + ?Sized> ConnectionExt for C {}

/// A walk through the pages of one list.
struct Walk {
    operation: &'static str,
    token: Option<PageToken>,
    tokens_seen: HashSet<String>,
    positions: std::collections::HashMap<ExternalId, usize>,
    cursor: Option<Cursor>,
}

impl Walk {
    fn new(operation: &'static str) -> Self {
        Self {
            operation,
            token: None,
            tokens_seen: HashSet::new(),
            positions: std::collections::HashMap::new(),
            cursor: None,
        }
    }

    /// Takes a page in; says whether there is another.
    fn advance<T>(
        &mut self,
        page: Page<T>,
        id: impl Fn(&T) -> &ExternalId,
        into: &mut Vec<T>,
    ) -> Result<bool, ConnectionError> {
        for item in page.items {
            match self.positions.get(id(&item)) {
                Some(position) => into[*position] = item,
                None => {
                    self.positions.insert(id(&item).clone(), into.len());
                    into.push(item);
                }
            }
        }
        self.go_on(page.next, page.cursor)
    }

    /// Notes the end of a page; says whether there is another.
    fn go_on(&mut self, next: Option<PageToken>, cursor: Option<Cursor>) -> Result<bool, ConnectionError> {
        self.cursor = cursor.or(self.cursor.take());
        let Some(next) = next else { return Ok(false) };
        if !self.tokens_seen.insert(next.0.clone()) || self.tokens_seen.len() > MAX_PAGES {
            return Err(ConnectionError::new(
                ConnectionErrorKind::Protocol,
                self.operation,
                "the tool repeats a page; the list was given up and nothing is concluded from it",
            ));
        }
        self.token = Some(next);
        Ok(true)
    }
}
