//! Who we are, and the tables that values are translated with.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use magnus_core::connection::{ConnectionError, ConnectionErrorKind as Kind, Identity, Translator};
use magnus_core::model::ExternalId;
use serde_json::json;

use super::{LeantimeConnection, user_of};
use crate::rpc::{Call, Effect, Fault};
use crate::translate::{LeantimeTranslator, StatusLabel, User};
use crate::wire;
use crate::write::number;

impl LeantimeConnection {
    pub(super) async fn identify(&self) -> Result<Identity, ConnectionError> {
        let calls = vec![
            Call::new("Api.Config.getSystemInfo", json!({})),
            Call::new("Users.getUser", json!({})),
            Call::new("Projects.getAll", json!({})),
        ];
        let answers = self.rpc.batch("check", Effect::Read, calls).await?;
        let [system, user, projects] = answers.as_slice() else {
            return Err(ConnectionError::new(Kind::Protocol, "check", "an answer is missing"));
        };
        let listed = projects
            .clone()
            .map_err(|fault| fault.into_error("check", Effect::Read))?;
        let visible = listed
            .as_array()
            .ok_or_else(|| ConnectionError::new(Kind::Protocol, "check", "no list of projects came"))?
            .len();
        let version = system
            .as_ref()
            .ok()
            .and_then(|info| info.get("version"))
            .and_then(wire::text);
        if let Some(version) = &version {
            self.rpc.allowance().learn_version(version);
        }
        let mut notes = vec![format!("{visible} projects can be seen")];
        let user = user_of(user);
        let role = user.and_then(|user| user.get("role")).and_then(wire::int);
        if role.is_some_and(|role| role < 20) {
            notes.push("the key may only read: give it the role Editor".to_owned());
        }
        if role.is_some_and(|role| role < 40) {
            notes.push("a project that is taken from this key looks empty; prefer an Admin key".to_owned());
        }
        notes.push("new tickets and status changes notify the members of the project".to_owned());
        if self.options.time_zone.is_none() {
            notes.push(format!(
                "time_zone is not set; {} is assumed, with which Leantime ships",
                self.zone
            ));
        }
        let word = |key: &str| {
            user.and_then(|user| user.get(key))
                .and_then(wire::text)
                .unwrap_or_default()
        };
        let name = format!("{} {}", word("firstname"), word("lastname")).trim().to_owned();
        let id = user
            .and_then(|user| user.get("id"))
            .and_then(wire::id)
            .and_then(|id| u64::try_from(id).ok());
        let id = match id {
            Some(id) => ExternalId::from(id),
            None => ExternalId::new(self.key_name.clone())
                .map_err(|error| ConnectionError::new(Kind::Protocol, "check", error.to_string()))?,
        };
        Ok(Identity {
            name: if name.is_empty() { self.key_name.clone() } else { name },
            id,
            version,
            notes,
        })
    }

    pub(super) async fn tables(&self, projects: Vec<ExternalId>) -> Result<Arc<dyn Translator>, ConnectionError> {
        let operation = "translator";
        let mut calls = vec![Call::new("Users.getAll", json!({}))];
        for project in &projects {
            let params = json!({"projectId": number(project)});
            calls.push(Call::new("Tickets.getStatusLabels", params.clone()));
            calls.push(Call::new("Projects.getUsersAssignedToProject", params));
        }
        let mut answers = self.rpc.batch(operation, Effect::Read, calls).await?.into_iter();
        let mut translator = LeantimeTranslator::new(self.zone, self.options.clone());
        // Only administrators may list everybody.
        if let Some(Ok(users)) = answers.next() {
            translator = translator.with_users(User::list(&users));
        }
        let mut first_statuses = BTreeMap::new();
        for project in projects {
            match answers
                .next()
                .map(|answer| answer.map(|labels| StatusLabel::list(&labels)))
            {
                Some(Ok(Some(labels))) => translator = translator.with_statuses(project.clone(), labels),
                // Without its table no status of the project means anything, and each is held with that reason. If we may not
                // read the project, its listing says so.
                Some(Err(fault)) if fault.code == Fault::NOT_ALLOWED => {}
                Some(Err(fault)) => {
                    let error = fault.into_error(operation, Effect::Read);
                    tracing::warn!(%project, %error, "the statuses of a project cannot be read");
                }
                Some(Ok(None)) | None => tracing::warn!(%project, "no list of statuses came for a project"),
            }
            if let Some(Ok(members)) = answers.next() {
                translator = translator.with_members(project.clone(), User::list(&members));
            }
            if let Some(status) = translator.first_status(&project) {
                first_statuses.insert(project, status);
            }
        }
        *self.first_statuses.lock().unwrap_or_else(PoisonError::into_inner) = first_statuses;
        Ok(Arc::new(translator))
    }
}
