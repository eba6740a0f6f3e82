//! Which path does what. Trailing and doubled slashes are tolerated, as by the real router.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as AxumState};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};

use super::auth::{Caller, authenticate};
use super::error::{Cause, Refusal, json_response};
use super::filter::{self, Filter};
use super::hal::{self, Renderer};
use super::page::{Query, Window};
use super::request::{Attributes, read_object};
use super::select::Select;
use super::simulator::{Instance, OpenProjectSimulator};
use super::sort::Order;
use super::types::{AcceptedWrite, WorkPackage};
use super::visibility::View;
use super::write;

pub(super) fn router(simulator: OpenProjectSimulator) -> Router {
    Router::new().fallback(dispatch).with_state(simulator)
}

async fn dispatch(AxumState(simulator): AxumState<OpenProjectSimulator>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    // The wrapper has read the body already, within its limit.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut instance = simulator.lock();
    let mut call = Call {
        query: Query::parse(parts.uri.query().unwrap_or_default()),
        headers: &parts.headers,
        body: &body,
        caller: Caller::Anonymous,
        instance: &mut instance,
    };
    let segments: Vec<&str> = parts
        .uri
        .path()
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let accepted_before = call.instance.state.accepted.len();
    let mut response = call
        .answer(&parts.method, &segments)
        .unwrap_or_else(Refusal::into_response);
    if call.instance.state.accepted.len() > accepted_before {
        simulator.recorder().count_write();
    }
    let date = instance
        .options
        .clock
        .now()
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    if let Ok(date) = HeaderValue::try_from(date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

struct Call<'call> {
    query: Query,
    headers: &'call HeaderMap,
    body: &'call [u8],
    caller: Caller,
    instance: &'call mut Instance,
}

impl Call<'_> {
    fn view(&self) -> View<'_> {
        View {
            state: &self.instance.state,
            options: &self.instance.options,
            caller: self.caller,
        }
    }

    fn answer(&mut self, method: &Method, segments: &[&str]) -> Result<Response<Body>, Refusal> {
        let ["api", "v3", rest @ ..] = segments else {
            return Err(Refusal::not_found());
        };
        self.caller = authenticate(&self.instance.state, &self.instance.options, self.headers)?;
        match (method.as_str(), rest) {
            ("GET", _) => self.get(rest).map(|body| json_response(200, &body)),
            ("POST", ["work_packages"]) => self.create(None),
            ("POST", ["projects" | "workspaces", reference, "work_packages"]) => {
                let project = self.view().project(reference).ok_or_else(Refusal::not_found)?.id;
                self.create(Some(project))
            }
            ("PATCH", ["work_packages", id]) => self.update(number(id)?),
            ("DELETE", ["work_packages", id]) => self.delete(number(id)?),
            ("POST", ["work_packages", id, "activities"]) => self.comment(number(id)?),
            _ => Err(Cause::new(405, "MethodNotAllowed", "Method not allowed.").into()),
        }
    }

    fn get(&self, segments: &[&str]) -> Result<Value, Refusal> {
        let view = self.view();
        let state = &self.instance.state;
        match segments {
            [] => Ok(hal::root(&view)),
            ["configuration"] => Ok(hal::configuration(&view)),
            ["statuses"] => Ok(unpaged(
                "statuses",
                state.statuses.iter().zip(1..).map(|(it, at)| hal::status(it, at)),
            )),
            ["types"] | ["projects" | "workspaces", _, "types"] => Ok(unpaged(
                "types",
                state
                    .types
                    .iter()
                    .zip(1..)
                    .map(|(it, at)| hal::work_package_type(it, at)),
            )),
            ["priorities"] => Ok(unpaged(
                "priorities",
                state.priorities.iter().zip(1..).map(|(it, at)| hal::priority(it, at)),
            )),
            ["users", "me"] => Ok(match self.caller.user_id().and_then(|id| state.users.get(&id)) {
                Some(me) => hal::user(me, &view),
                None => hal::anonymous(),
            }),
            ["users"] if !self.caller.is_admin() => Err(Refusal::forbidden()),
            ["users" | "principals"] => {
                let users: Vec<Value> = state
                    .users
                    .values()
                    .filter(|user| view.sees_user(user.id))
                    .map(|user| hal::user(user, &view))
                    .collect();
                self.paged("Collection", "/api/v3/principals", users)
            }
            ["users", id] => {
                let id = number(id)?;
                let found = state.users.get(&id).filter(|user| view.sees_user(user.id));
                found.map(|user| hal::user(user, &view)).ok_or_else(Refusal::not_found)
            }
            ["projects" | "workspaces"] => self.projects(),
            ["projects" | "workspaces", reference] => view
                .project(reference)
                .map(|project| hal::project(project, &view))
                .ok_or_else(Refusal::not_found),
            ["projects" | "workspaces", reference, "available_assignees"] => {
                let project = view.project(reference).ok_or_else(Refusal::not_found)?;
                let users = view
                    .assignable(project.id)
                    .into_iter()
                    .filter_map(|id| state.users.get(&id));
                let path = format!("projects/{}/available_assignees", project.id);
                Ok(unpaged(&path, users.map(|user| hal::user(user, &view))))
            }
            ["projects" | "workspaces", reference, "work_packages"] => {
                let project = view.project(reference).ok_or_else(Refusal::not_found)?;
                self.work_packages(Some(project.id))
            }
            ["work_packages"] => self.work_packages(None),
            ["work_packages", "schemas", of] => {
                let (project, kind) = of.split_once('-').ok_or_else(Refusal::not_found)?;
                let project = view.project(project).ok_or_else(Refusal::not_found)?;
                let kind = state.work_package_type(number(kind)?).ok_or_else(Refusal::not_found)?;
                Ok(hal::schema(project, kind, &self.instance.options))
            }
            ["work_packages", id] => {
                let item = view.work_package(number(id)?).ok_or_else(Refusal::not_found)?;
                Ok(Renderer::new(view).single(item))
            }
            ["work_packages", id, "activities"] => {
                let item = view.work_package(number(id)?).ok_or_else(Refusal::not_found)?;
                let journal = state.journals.get(&item.id);
                let changes = journal.into_iter().flatten().enumerate().map(|(index, (user, at))| {
                    let name = state.users.get(user).map_or("", |user| &user.name);
                    hal::change(item, index, (*user, name), *at)
                });
                let comments = item
                    .comments
                    .iter()
                    .enumerate()
                    .map(|(index, text)| hal::comment(item, index, text));
                Ok(unpaged(
                    &format!("work_packages/{id}/activities"),
                    changes.chain(comments),
                ))
            }
            _ => Err(Refusal::not_found()),
        }
    }

    fn paged(&self, kind: &str, path: &str, elements: Vec<Value>) -> Result<Value, Refusal> {
        let window = Window::parse(&self.query, &self.instance.options)?;
        let total = elements.len();
        Ok(window.collection(kind, path, total, window.cut(elements)))
    }

    fn projects(&self) -> Result<Value, Refusal> {
        let view = self.view();
        let filters = self
            .query
            .get("filters")
            .map(filter::parse)
            .transpose()?
            .unwrap_or_default();
        let mut shown = Vec::new();
        for project in self
            .instance
            .state
            .projects
            .values()
            .filter(|project| view.sees_project(project))
        {
            if filter::project_matches(&filters, project)? {
                shown.push(hal::project(project, &view));
            }
        }
        self.paged("Collection", "/api/v3/projects", shown)
    }

    fn work_packages(&self, project: Option<u64>) -> Result<Value, Refusal> {
        let view = self.view();
        let filters = match self.query.get("filters") {
            Some(text) => filter::parse(text)?,
            // Without the parameter only open items are listed; any value of it replaces that.
            None => vec![Filter {
                name: "status".to_owned(),
                operator: "o".to_owned(),
                values: Vec::new(),
            }],
        };
        let tests = filter::compile(&filters, view)?;
        let order = Order::parse(self.query.get("sortBy"))?;
        let select = self.query.get("select").map(Select::parse).transpose()?;
        let window = Window::parse(&self.query, &self.instance.options)?;
        let scope = project.map(|id| {
            if self.without_subprojects(&filters) {
                [id].into()
            } else {
                view.state.with_subprojects(id)
            }
        });
        let in_scope = |item: &WorkPackage| scope.as_ref().is_none_or(|ids| ids.contains(&item.project_id));
        let mut found: Vec<&WorkPackage> = view
            .state
            .work_packages
            .values()
            .filter(|item| view.sees(item) && in_scope(item) && tests.iter().all(|test| test(item)))
            .collect();
        found.sort_by(|left, right| order.compare(left, right));
        let total = found.len();
        let renderer = Renderer::new(view);
        let elements = window
            .cut(found)
            .into_iter()
            .map(|item| renderer.element(item))
            .collect();
        Ok(match select {
            Some(select) => select.apply(window, total, elements),
            None => {
                let path = project.map_or("/api/v3/work_packages".to_owned(), |id| {
                    format!("/api/v3/projects/{id}/work_packages")
                });
                window.collection("WorkPackageCollection", &path, total, elements)
            }
        })
    }

    fn without_subprojects(&self, filters: &[Filter]) -> bool {
        self.query.get("includeSubprojects") == Some("false")
            || filters.iter().any(|filter| match filter.name.as_str() {
                "subproject" | "onlySubproject" => filter.operator == "!*",
                "project" => true,
                _ => false,
            })
    }

    /// Only the literal `false` switches notifications off.
    fn accept(&mut self, method: &'static str, work_package_id: u64, body: Value) {
        let notify = self.query.get("notify") != Some("false");
        self.instance.state.accepted.push(AcceptedWrite {
            method,
            work_package_id,
            notify,
            body,
        });
    }

    fn create(&mut self, project: Option<u64>) -> Result<Response<Body>, Refusal> {
        let object = read_object(self.headers, self.body)?;
        let sent = Attributes::read(&object, &self.instance.options)?;
        let Instance { state, options, .. } = &mut *self.instance;
        let id = write::create(state, options, self.caller, project, &sent)?;
        self.accept("POST", id, Value::Object(object));
        self.shown(201, id)
    }

    fn update(&mut self, id: u64) -> Result<Response<Body>, Refusal> {
        let object = read_object(self.headers, self.body)?;
        self.view().work_package(id).ok_or_else(Refusal::not_found)?;
        let sent = Attributes::read(&object, &self.instance.options)?;
        let Instance { state, options, .. } = &mut *self.instance;
        write::update(state, options, self.caller, id, &sent)?;
        self.accept("PATCH", id, Value::Object(object));
        self.shown(200, id)
    }

    fn shown(&self, status: u16, id: u64) -> Result<Response<Body>, Refusal> {
        let view = self.view();
        let item = view.work_package(id).ok_or_else(Refusal::not_found)?;
        Ok(json_response(status, &Renderer::new(view).single(item)))
    }

    fn delete(&mut self, id: u64) -> Result<Response<Body>, Refusal> {
        let Instance { state, options, .. } = &mut *self.instance;
        write::delete(state, options, self.caller, id)?;
        self.accept("DELETE", id, Value::Null);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    }

    fn comment(&mut self, id: u64) -> Result<Response<Body>, Refusal> {
        let object = read_object(self.headers, self.body)?;
        let view = self.view();
        let item = view.work_package(id).ok_or_else(Refusal::not_found)?;
        if !view.may_edit(item.project_id) {
            return Err(Refusal::forbidden());
        }
        let text = object
            .get("comment")
            .and_then(|comment| comment.get("raw"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        self.instance.comment(id, text);
        self.accept("POST", id, Value::Object(object.clone()));
        let shown = self
            .instance
            .state
            .work_packages
            .get(&id)
            .map(|item| hal::comment(item, item.comments.len() - 1, text));
        Ok(json_response(201, &shown.unwrap_or_else(|| json!({}))))
    }
}

fn unpaged(path: &str, elements: impl Iterator<Item = Value>) -> Value {
    hal::unpaged(&format!("/api/v3/{path}"), elements.collect())
}

fn number(text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| Refusal::not_found())
}
