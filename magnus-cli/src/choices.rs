//! What the fields of a tool's mapped projects can be, read from the tool.

use std::sync::Arc;

use magnus_core::connection::{Choice, Decoded, Translator};
use magnus_core::model::{ConnectionSettings, ExternalId, Field, Mapping};

use crate::failure::Failure;
use crate::house::House;

/// The tables of a connection's mapped projects.
pub(crate) struct Choices {
    translator: Arc<dyn Translator>,
    mappings: Vec<Mapping>,
}

/// A value of the tool's, with what it means to the hub.
pub(crate) struct Meant {
    pub(crate) choice: Choice,
    /// The project it was first seen in; statuses and people may differ from project to project.
    pub(crate) project: ExternalId,
    pub(crate) meaning: Decoded,
}

impl Meant {
    /// How the tables of a connection's options name it: by name, or by id where it has none.
    pub(crate) fn key(&self) -> String {
        let name = self.choice.name.trim();
        if name.is_empty() { self.id() } else { name.to_owned() }
    }

    pub(crate) fn id(&self) -> String {
        self.choice.value.to_string().trim_matches('"').to_owned()
    }

    /// Whether one of these keys names it.
    pub(crate) fn is_among<'a>(&self, mut keys: impl Iterator<Item = &'a String>) -> bool {
        let (id, name) = (self.id(), self.choice.name.trim().to_lowercase());
        keys.any(|key| key.trim() == id || (!name.is_empty() && key.trim().to_lowercase() == name))
    }
}

impl Choices {
    /// Reads the tables of a connection. Its projects have to be mapped, since a tool's statuses and people may belong
    /// to a project.
    pub(crate) async fn read(house: &House, settings: &ConnectionSettings) -> Result<Self, Failure> {
        let mappings = house.store.mappings(settings.id).await?;
        if mappings.is_empty() {
            return Err(Failure::usage(format!(
                "connection {:?} has no mapped project yet; run `magnus map --all` first",
                settings.name
            )));
        }
        let about = |failure: Failure| failure.about(&settings.name);
        let engine = house.engine()?;
        let (_, open) = engine.open(settings.id).await.map_err(|error| about(error.into()))?;
        let projects = mappings.iter().map(|mapping| mapping.external_id.clone()).collect();
        let translator = open.translator(projects).await.map_err(|error| about(error.into()))?;
        Ok(Self { translator, mappings })
    }

    /// The values of a field over all mapped projects, each id with each name once.
    pub(crate) fn of(&self, field: Field) -> Vec<Meant> {
        let mut found: Vec<Meant> = Vec::new();
        for mapping in &self.mappings {
            let project = &mapping.external_id;
            for choice in self.translator.choices(project, field) {
                let known = |it: &Meant| it.choice.value == choice.value && it.choice.name == choice.name;
                if found.iter().any(known) {
                    continue;
                }
                found.push(Meant {
                    meaning: self.translator.decode(project, field, &choice.value),
                    project: project.clone(),
                    choice,
                });
            }
        }
        found
    }

    /// The tables themselves, with the projects they were read for.
    pub(crate) fn translator(&self) -> (&dyn Translator, impl Iterator<Item = &ExternalId>) {
        let projects = self.mappings.iter().map(|mapping| &mapping.external_id);
        (self.translator.as_ref(), projects)
    }
}
