//! People: numbers in the tool, names and addresses in the hub.

use std::collections::BTreeMap;

use magnus_core::connection::{Decoded, Encoded};
use magnus_core::model::{ExternalId, Person, RemoteValue, Value};
use serde_json::Value as Json;

use crate::wire;

/// A person of the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// Number of the user.
    pub id: i64,
    /// Full name.
    pub name: String,
    /// E-mail address.
    pub email: Option<String>,
    /// Whether the user may work in every project.
    pub everywhere: bool,
}

impl User {
    /// A person who works in the projects assigned.
    pub fn new(id: i64, name: impl Into<String>, email: Option<String>) -> Self {
        Self {
            id,
            name: name.into(),
            email,
            everywhere: false,
        }
    }

    /// The people in a list of users. The rows of API keys are no people.
    pub(crate) fn list(result: &Json) -> Vec<Self> {
        result
            .as_array()
            .map(|rows| rows.iter().filter_map(Self::of).collect())
            .unwrap_or_default()
    }

    fn of(row: &Json) -> Option<Self> {
        let word = |key: &str| row.get(key).and_then(wire::text).unwrap_or_default();
        let id = row.get("id").and_then(wire::id)?;
        if word("source") == "api" {
            return None;
        }
        let name = format!("{} {}", word("firstname").trim(), word("lastname").trim())
            .trim()
            .to_owned();
        let email = Some(word("username")).filter(|username| username.contains('@'));
        let everywhere = row.get("role").and_then(wire::int).is_some_and(|role| role >= 40);
        Some(Self {
            id,
            name,
            email,
            everywhere,
        })
    }

    fn person(&self) -> Person {
        Person {
            name: self.name.clone(),
            email: self.email.clone(),
        }
    }

    /// Whether a key of the user map names this user.
    fn is_named(&self, key: &str) -> bool {
        let key = key.trim();
        key == self.id.to_string()
            || self
                .email
                .as_deref()
                .is_some_and(|email| email.eq_ignore_ascii_case(key))
            || (!self.name.is_empty() && self.name.to_lowercase() == key.to_lowercase())
    }
}

/// Who is there, seen from one project.
pub(super) struct People<'a> {
    pub(super) members: &'a [User],
    pub(super) users: &'a [User],
    pub(super) elsewhere: &'a BTreeMap<ExternalId, Vec<User>>,
    pub(super) map: &'a BTreeMap<String, String>,
}

impl People<'_> {
    fn known(&self) -> impl Iterator<Item = &User> {
        self.members
            .iter()
            .chain(self.users)
            .chain(self.elsewhere.values().flatten())
    }

    fn assignable(&self, user: &User) -> bool {
        self.members.iter().any(|member| member.id == user.id)
            || self.users.iter().any(|known| known.id == user.id && known.everywhere)
    }

    pub(super) fn decode(&self, value: &RemoteValue) -> Decoded {
        let Some(id) = value.as_text() else {
            return Decoded::Exact(Value::Empty);
        };
        let user = self.known().find(|user| user.id.to_string() == id);
        let mapped = self
            .map
            .iter()
            .find(|(key, _)| key.trim() == id || user.is_some_and(|user| user.is_named(key)));
        let person = match mapped {
            Some((_, person)) => Person::parse(person),
            None => user.map(User::person),
        };
        match person {
            Some(person) if !person.name.is_empty() || person.email.is_some() => Decoded::Exact(Value::Person(person)),
            _ => Decoded::Unresolved(format!("user {id} is not known; name the person in user_map")),
        }
    }

    pub(super) fn encode(&self, person: &Person) -> Encoded {
        let mapped = self
            .map
            .iter()
            .find(|(_, mapped)| Person::parse(mapped).is_some_and(|it| it.is_same(person)));
        if let Some((key, _)) = mapped {
            return match self.known().find(|user| user.is_named(key)) {
                Some(user) => Self::number(user.id),
                // A bare number may name a user who is not listed, such as the row of an API key.
                None => match key.trim().parse::<i64>() {
                    Ok(id) => Self::number(id),
                    Err(_) => Encoded::Unholdable(format!("user_map names {key}, who is not known")),
                },
            };
        }
        let same_address = |user: &&User| match (&user.email, &person.email) {
            (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
            _ => false,
        };
        if let Some(user) = self.known().find(same_address) {
            return self.if_assignable(user, person);
        }
        if person.email.is_some() && person.name.is_empty() {
            return Encoded::Unholdable(format!("{person} is not known"));
        }
        let name = person.name.trim().to_lowercase();
        let mut found: Vec<&User> = self.known().filter(|user| user.name.to_lowercase() == name).collect();
        // The same name with another address is another person.
        found.retain(|user| user.email.is_none() || person.email.is_none());
        found.sort_by_key(|user| user.id);
        found.dedup_by_key(|user| user.id);
        match found.as_slice() {
            [user] => self.if_assignable(user, person),
            [] => Encoded::Unholdable(format!("{person} is not known")),
            _ => Encoded::Unholdable(format!("several people are called {person}; name one in user_map")),
        }
    }

    fn if_assignable(&self, user: &User, person: &Person) -> Encoded {
        if self.assignable(user) {
            Self::number(user.id)
        } else {
            Encoded::Unholdable(format!("{person} is not assigned to the project"))
        }
    }

    fn number(id: i64) -> Encoded {
        Encoded::Value(RemoteValue::text(id.to_string()))
    }
}
