//! Who is who: the settings' table first, then the address, then a unique exact name.

use std::collections::{BTreeMap, BTreeSet};

use magnus_core::connection::{Decoded, Encoded};
use magnus_core::model::{ExternalId, Person, RemoteValue, Value};

use crate::tables::configured;
use crate::wire::Principal;

/// The people we may see, and who of them can be assigned in which project.
#[derive(Debug, Clone, Default)]
pub(crate) struct People {
    known: BTreeMap<u64, Principal>,
    assignable: BTreeMap<ExternalId, BTreeSet<u64>>,
    map: BTreeMap<String, String>,
}

impl People {
    pub(crate) fn new(map: BTreeMap<String, String>) -> Self {
        Self { map, ..Self::default() }
    }

    /// Adds a visible person. What is known already stays: lists differ in how much they tell.
    pub(crate) fn add(&mut self, mut person: Principal) {
        // An empty address tells no two people apart.
        person.email = person.email.filter(|email| !email.trim().is_empty());
        let known = self.known.entry(person.id).or_insert_with(|| person.clone());
        if known.email.is_none() {
            known.email = person.email;
        }
    }

    /// Adds the people who can be assigned in a project.
    pub(crate) fn add_assignable(&mut self, project: ExternalId, people: Vec<Principal>) {
        let ids = people.iter().map(|person| person.id).collect();
        self.assignable.insert(project, ids);
        for person in people {
            self.add(person);
        }
    }

    /// The people who can be assigned in a project.
    pub(crate) fn assignable(&self, project: &ExternalId) -> impl Iterator<Item = &Principal> {
        let ids = self.assignable.get(project).into_iter().flatten();
        ids.filter_map(|id| self.known.get(id))
    }

    fn person(&self, found: &Principal) -> Option<Person> {
        if let Some(text) = configured(&self.map, found.id, &found.name) {
            return Person::parse(text);
        }
        let email = found.email.clone();
        let unique = || {
            self.known
                .values()
                .filter(|other| same_name(&other.name, &found.name))
                .count()
                == 1
        };
        (email.is_some() || (!found.name.trim().is_empty() && unique())).then(|| Person {
            name: found.name.clone(),
            email,
        })
    }

    pub(crate) fn decode(&self, value: &RemoteValue) -> Decoded {
        if value.is_null() {
            return Decoded::Exact(Value::Empty);
        }
        let id = value.as_text().and_then(|text| text.parse::<u64>().ok());
        if let Some(found) = id.and_then(|id| self.known.get(&id)) {
            return match self.person(found) {
                Some(person) => Decoded::Exact(Value::Person(person)),
                None => Decoded::Unresolved(format!(
                    "several users are called {:?}; tell them apart in the connection's `user_map`",
                    found.name
                )),
            };
        }
        // A user we can not see may still stand in the settings' table.
        match self.map.get(&value.to_string()).and_then(|text| Person::parse(text)) {
            Some(person) => Decoded::Exact(Value::Person(person)),
            None => Decoded::Unresolved(format!("user {value} is not visible to the key's user")),
        }
    }

    pub(crate) fn encode(&self, project: &ExternalId, person: &Person) -> Encoded {
        let id = match self.find(person) {
            Ok(id) => id,
            Err(reason) => return Encoded::Unholdable(reason),
        };
        if self.assignable.get(project).is_some_and(|ids| ids.contains(&id)) {
            Encoded::Value(RemoteValue::text(id.to_string()))
        } else {
            Encoded::Unholdable(format!(
                "{person} cannot be assigned in this project: not a member with a suitable role"
            ))
        }
    }

    fn find(&self, person: &Person) -> Result<u64, String> {
        let mapped = |found: &&Principal| {
            let text = configured(&self.map, found.id, &found.name);
            text.and_then(|text| Person::parse(text))
                .is_some_and(|mapped| mapped.is_same(person))
        };
        let same_address = |found: &&Principal| match (&found.email, &person.email) {
            (Some(known), Some(wanted)) => known.eq_ignore_ascii_case(wanted),
            _ => false,
        };
        let named = |found: &&Principal| {
            // Somebody with another address, or who stands in the table for another person, is somebody else.
            let other_address = found.email.is_some() && person.email.is_some();
            let stands_for_another = configured(&self.map, found.id, &found.name).is_some();
            !other_address
                && !stands_for_another
                && !person.name.trim().is_empty()
                && same_name(&found.name, &person.name)
        };
        for unique in [self.only(mapped), self.only(same_address), self.only(named)] {
            match unique {
                Matches::One(id) => return Ok(id),
                Matches::Several => {
                    return Err(format!(
                        "several users of OpenProject may be {person}; name one in the connection's `user_map`"
                    ));
                }
                Matches::None => {}
            }
        }
        Err(format!(
            "no user of OpenProject is {person}; name one in the connection's `user_map`"
        ))
    }

    fn only(&self, test: impl Fn(&&Principal) -> bool) -> Matches {
        let mut found = self.known.values().filter(test);
        match (found.next(), found.next()) {
            (Some(one), None) => Matches::One(one.id),
            (Some(_), Some(_)) => Matches::Several,
            _ => Matches::None,
        }
    }
}

enum Matches {
    None,
    One(u64),
    Several,
}

fn same_name(left: &str, right: &str) -> bool {
    left.trim().to_lowercase() == right.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(id: u64, name: &str, email: Option<&str>) -> Principal {
        Principal {
            id,
            name: name.to_owned(),
            email: email.map(str::to_owned),
        }
    }

    fn people(map: &[(&str, &str)]) -> (People, ExternalId) {
        let project = ExternalId::from(1);
        let mut people = People::new(
            map.iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        );
        let assignable = vec![
            principal(4, "Ada Byron", None),
            principal(5, "Sam Lee", None),
            principal(6, "Sam Lee", Some("sam@example.org")),
        ];
        people.add_assignable(project.clone(), assignable);
        people.add(principal(7, "Not Member", None));
        (people, project)
    }

    fn encode(people: &People, project: &ExternalId, text: &str) -> Encoded {
        people.encode(project, &Person::parse(text).expect("a person"))
    }

    #[test]
    fn a_unique_name_or_an_address_finds_a_user_and_a_double_name_does_not() {
        let (people, project) = people(&[]);
        assert_eq!(
            encode(&people, &project, "ada byron"),
            Encoded::Value(RemoteValue::text("4"))
        );
        assert_eq!(
            encode(&people, &project, "Samuel <SAM@example.org>"),
            Encoded::Value(RemoteValue::text("6"))
        );
        assert!(matches!(encode(&people, &project, "Sam Lee"), Encoded::Unholdable(_)));
        assert!(matches!(people.decode(&RemoteValue::text("5")), Decoded::Unresolved(_)));
    }

    #[test]
    fn somebody_with_the_same_name_and_another_address_is_somebody_else() {
        let mut people = People::default();
        people.add_assignable(
            ExternalId::from(1),
            vec![principal(6, "Sam Lee", Some("sam@example.org"))],
        );
        assert!(matches!(
            encode(&people, &ExternalId::from(1), "Sam Lee <lee@example.org>"),
            Encoded::Unholdable(_)
        ));
    }

    #[test]
    fn the_settings_table_wins_over_name_and_address() {
        let (people, project) = people(&[("4", "Grace <grace@example.org>"), ("99", "Gone <gone@example.org>")]);
        assert_eq!(
            people.decode(&RemoteValue::text("4")),
            Decoded::Exact(Value::Person(
                Person::parse("Grace <grace@example.org>").expect("a person")
            ))
        );
        assert_eq!(
            encode(&people, &project, "Grace <grace@example.org>"),
            Encoded::Value(RemoteValue::text("4"))
        );
        assert!(matches!(encode(&people, &project, "Ada Byron"), Encoded::Unholdable(_)));
        assert!(matches!(people.decode(&RemoteValue::text("99")), Decoded::Exact(_)));
    }

    #[test]
    fn who_is_not_a_member_is_never_sent() {
        let (people, project) = people(&[]);
        assert!(matches!(
            encode(&people, &project, "Not Member"),
            Encoded::Unholdable(_)
        ));
        assert!(matches!(
            encode(&people, &ExternalId::from(2), "Ada Byron"),
            Encoded::Unholdable(_)
        ));
    }
}
