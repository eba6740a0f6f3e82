use std::fmt;
use std::str::FromStr;

use url::Url;

/// The address of one instance of a tool, in its one normal form.
///
/// `http` or `https` with a host, perhaps a port and a path prefix (`https://example.org/openproject`); no user
/// name, password, query or fragment. Host and scheme are lower case, a default port is dropped, and the trailing
/// slash does not matter, so that two spellings of one instance compare equal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct InstanceUrl {
    // Its path always ends with a slash.
    base: Url,
}

/// Why a text is not the address of an instance. Never repeats the text, which may hold a password.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstanceUrlError {
    /// Nothing was given.
    #[error("the instance URL is empty")]
    Empty,
    /// No URL at all, or one without a scheme.
    #[error("the instance URL is not a URL; it should look like https://example.org")]
    Syntax,
    /// A scheme other than `http` and `https`.
    #[error("the instance URL must begin with https:// or http://")]
    Scheme,
    /// A user name or password stands in it.
    #[error("the instance URL must not hold a user name or password; give the API key on its own")]
    Credentials,
    /// A query stands in it.
    #[error("the instance URL must not hold a query (?...)")]
    Query,
    /// A fragment stands in it.
    #[error("the instance URL must not hold a fragment (#...)")]
    Fragment,
    /// An address leads to another origin than the instance's.
    #[error("the address leads away from the instance")]
    OtherOrigin,
}

impl InstanceUrl {
    /// Parses and normalises `text`.
    ///
    /// # Errors
    ///
    /// An [`InstanceUrlError`] that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InstanceUrlError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InstanceUrlError::Empty);
        }
        let mut base = Url::parse(text).map_err(|_| InstanceUrlError::Syntax)?;
        if !matches!(base.scheme(), "http" | "https") {
            // `localhost:8080` parses as a URL of the scheme `localhost`.
            let scheme_given = text.contains("://");
            return Err(if scheme_given {
                InstanceUrlError::Scheme
            } else {
                InstanceUrlError::Syntax
            });
        }
        if !base.has_host() {
            return Err(InstanceUrlError::Syntax);
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(InstanceUrlError::Credentials);
        }
        if base.query().is_some() {
            return Err(InstanceUrlError::Query);
        }
        if base.fragment().is_some() {
            return Err(InstanceUrlError::Fragment);
        }
        let path = format!("{}/", base.path().trim_end_matches('/'));
        base.set_path(&path);
        Ok(Self { base })
    }

    /// The instance whose API was named in place of it: `https://example.org/api/v3` is pasted as often as
    /// `https://example.org`. An address that does not end with this path stays as it is.
    #[must_use]
    pub fn without_api_path(mut self, api_path: &str) -> Self {
        let prefix = self
            .path_prefix()
            .strip_suffix(api_path)
            .map(|prefix| format!("{prefix}/"));
        if let Some(prefix) = prefix {
            self.base.set_path(&prefix);
        }
        self
    }

    /// The normal form, without a trailing slash.
    pub fn as_str(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The address as a [`Url`], its path ending with a slash.
    pub fn as_url(&self) -> &Url {
        &self.base
    }

    /// The path prefix without a trailing slash: empty, or like `/openproject`.
    pub fn path_prefix(&self) -> &str {
        self.base.path().trim_end_matches('/')
    }

    /// Whether `url` has the same scheme, host and port.
    pub fn same_origin(&self, url: &Url) -> bool {
        self.base.origin() == url.origin()
    }

    /// An address below the instance: `path` (which may hold a query) after the path prefix.
    ///
    /// # Errors
    ///
    /// [`InstanceUrlError::Syntax`] if the whole is no URL.
    pub fn endpoint(&self, path: &str) -> Result<Url, InstanceUrlError> {
        // Concatenated and not joined: `path` can then never replace the origin or the prefix.
        let whole = format!("{}{}", self.base, path.trim_start_matches('/'));
        Url::parse(&whole).map_err(|_| InstanceUrlError::Syntax)
    }

    /// The address that a link in an answer leads to: absolute, or from the root of the host.
    ///
    /// # Errors
    ///
    /// [`InstanceUrlError::OtherOrigin`] if it leads away from the instance: the API key must not be sent there.
    pub fn resolve(&self, href: &str) -> Result<Url, InstanceUrlError> {
        let url = self.base.join(href).map_err(|_| InstanceUrlError::Syntax)?;
        if self.same_origin(&url) {
            Ok(url)
        } else {
            Err(InstanceUrlError::OtherOrigin)
        }
    }
}

impl FromStr for InstanceUrl {
    type Err = InstanceUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for InstanceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for InstanceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceUrl({})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{InstanceUrl, InstanceUrlError};

    #[test]
    fn the_address_of_an_api_names_its_instance() {
        for (given, instance) in [
            ("https://example.org/api/v3", "https://example.org"),
            ("https://example.org/api/v3/", "https://example.org"),
            (
                "https://example.org/openproject/api/v3",
                "https://example.org/openproject",
            ),
            ("https://example.org/openproject", "https://example.org/openproject"),
            ("https://example.org/my-api/v3x", "https://example.org/my-api/v3x"),
        ] {
            let url = InstanceUrl::parse(given).unwrap().without_api_path("/api/v3");
            assert_eq!(url, InstanceUrl::parse(instance).unwrap(), "{given}");
        }
    }

    fn normal(text: &str) -> Result<String, InstanceUrlError> {
        InstanceUrl::parse(text).map(|url| url.to_string())
    }

    #[test]
    fn spellings_of_one_instance_have_one_normal_form() {
        for text in [
            "https://Example.org",
            " https://example.org/ ",
            "https://example.org:443//",
            "HTTPS://example.org",
        ] {
            assert_eq!(normal(text).as_deref(), Ok("https://example.org"), "{text}");
        }
        assert_eq!(
            normal("http://127.0.0.1:8080/op/").as_deref(),
            Ok("http://127.0.0.1:8080/op")
        );
    }

    #[test]
    fn what_is_no_instance_address_is_refused_with_its_reason() {
        use InstanceUrlError as E;
        for (text, why) in [
            ("", E::Empty),
            ("example.org", E::Syntax),
            ("localhost:8080", E::Syntax),
            ("https://", E::Syntax),
            ("ftp://example.org", E::Scheme),
            ("https://me:secret@example.org", E::Credentials),
            ("https://key@example.org", E::Credentials),
            ("https://example.org/?a=1", E::Query),
            ("https://example.org/#top", E::Fragment),
        ] {
            assert_eq!(normal(text), Err(why), "{text}");
        }
    }

    #[test]
    fn endpoint_keeps_the_prefix_and_the_origin() {
        let url = InstanceUrl::parse("https://example.org/op").unwrap();
        assert_eq!(url.path_prefix(), "/op");
        for (path, whole) in [
            (
                "/api/v3/projects?offset=2",
                "https://example.org/op/api/v3/projects?offset=2",
            ),
            ("api", "https://example.org/op/api"),
            ("//other.example/x", "https://example.org/op/other.example/x"),
            (
                "https://other.example/x",
                "https://example.org/op/https://other.example/x",
            ),
        ] {
            assert_eq!(url.endpoint(path).unwrap().as_str(), whole);
        }
    }

    #[test]
    fn link_that_leads_away_is_refused() {
        let url = InstanceUrl::parse("https://example.org/op").unwrap();
        assert_eq!(
            url.resolve("/op/api/v3/x").unwrap().as_str(),
            "https://example.org/op/api/v3/x"
        );
        for href in [
            "https://other.example/x",
            "//other.example/x",
            "http://example.org/x",
            "https://example.org:8443/",
        ] {
            assert_eq!(url.resolve(href), Err(InstanceUrlError::OtherOrigin), "{href}");
        }
    }
}
