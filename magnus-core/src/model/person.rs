//! A person as the hub knows one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A person: a name, and an e-mail address where a tool tells it.
///
/// Written as `Name <address>`; that form is what a task's `assignee` shows and accepts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Person {
    /// The display name; may be empty when only the address is known.
    pub name: String,
    /// The e-mail address, if known.
    pub email: Option<String>,
}

impl Person {
    /// Reads `Name <address>`, a bare address, or a bare name. Returns `None` for blank text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        if let Some((name, rest)) = text.rsplit_once('<')
            && let Some(email) = rest.strip_suffix('>')
            && email.contains('@')
        {
            return Some(Self {
                name: name.trim().to_owned(),
                email: Some(email.trim().to_owned()),
            });
        }
        if text.contains('@') && !text.contains(char::is_whitespace) {
            return Some(Self {
                name: String::new(),
                email: Some(text.to_owned()),
            });
        }
        Some(Self {
            name: text.to_owned(),
            email: None,
        })
    }

    /// Whether both are surely the same person: the same address if both have one, else the same name.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.email, &other.email) {
            (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
            _ => !self.name.is_empty() && self.name.trim().to_lowercase() == other.name.trim().to_lowercase(),
        }
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.email {
            Some(email) if self.name.is_empty() => f.write_str(email),
            Some(email) => write!(f, "{} <{email}>", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl From<String> for Person {
    fn from(text: String) -> Self {
        Self::parse(&text).unwrap_or(Self {
            name: text,
            email: None,
        })
    }
}

impl From<Person> for String {
    fn from(person: Person) -> Self {
        person.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Person;

    #[test]
    fn a_person_survives_its_text_form() {
        for text in ["Ed Itor <ed@example.org>", "ed@example.org", "Ed Itor"] {
            assert_eq!(Person::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Person::parse("  "), None);
    }
}
