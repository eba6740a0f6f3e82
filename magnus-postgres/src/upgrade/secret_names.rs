//! What a setting is called tells whether it is a secret, more or less surely.

/// Words of a name under which a secret may stand.
const SUSPICIOUS: [&str; 8] = [
    "key",
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "authorization",
    "credential",
];

/// Whole words that are too short to be looked for within others.
const SUSPICIOUS_WORDS: [&str; 4] = ["pass", "pat", "pwd", "pw"];

/// Last words of names that mean a secret and nothing else, or secrets.
const CERTAIN: [&str; 15] = [
    "apikey",
    "authorization",
    "authtoken",
    "accesstoken",
    "apitoken",
    "bearer",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "pat",
    "pwd",
    "secret",
    "token",
    "credential",
];

/// What a key is for that is a secret. A project has a key, too, and that is no secret.
const SECRET_KEYS: [&str; 9] = [
    "access",
    "api",
    "app",
    "auth",
    "client",
    "encryption",
    "private",
    "secret",
    "signing",
];

/// How long a text without a blank must be to be taken for a secret, whatever it is called.
const LONG: usize = 20;

/// Whether a secret may stand under this name: such settings are dropped.
pub(super) fn is_suspicious(name: &str) -> bool {
    let lower = name.to_lowercase();
    SUSPICIOUS.iter().any(|part| lower.contains(part))
        || words(name).iter().any(|word| SUSPICIOUS_WORDS.contains(&word.as_str()))
}

/// Whether a text that stands under a suspicious name is a secret, so that it is to be wiped wherever else it stands. A word
/// that people use, or an address, must stay in their texts.
pub(super) fn is_secret(name: &str, text: &str) -> bool {
    is_certain(name) || looks_random(text)
}

fn is_certain(name: &str) -> bool {
    let words = words(name);
    let Some((last, before)) = words.split_last() else {
        return false;
    };
    match last.as_str() {
        "key" | "keys" => before
            .last()
            .is_none_or(|purpose| SECRET_KEYS.contains(&purpose.as_str())),
        last => CERTAIN.contains(&last) || last.strip_suffix('s').is_some_and(|one| CERTAIN.contains(&one)),
    }
}

fn looks_random(text: &str) -> bool {
    let any = |kind: fn(&char) -> bool| text.chars().any(|letter| kind(&letter));
    text.len() >= LONG
        && !any(|letter| letter.is_whitespace())
        && !text.contains("://")
        && any(char::is_ascii_digit)
        && any(char::is_ascii_alphabetic)
}

/// The words of a name, in small letters: `api_key`, `x-api-key` and `apiKey` are written in words, too.
fn words(name: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(name.len());
    let mut was_small = false;
    for letter in name.chars() {
        if letter.is_uppercase() && was_small {
            spaced.push(' ');
        }
        was_small = letter.is_lowercase() || letter.is_numeric();
        spaced.extend(letter.to_lowercase());
    }
    spaced
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_however_they_are_written() {
        for name in [
            "key",
            "api_key",
            "apiKey",
            "APIKEY",
            "x-api-key",
            "authToken",
            "access_token",
            "password",
            "pwd",
            "pat",
            "client_secret",
            "Authorization",
            "privateKey",
            "credentials",
            "api_keys",
            "tokens",
        ] {
            assert!(is_suspicious(name), "{name}");
            assert!(is_secret(name, "short one"), "{name}");
        }
    }

    #[test]
    fn words_and_addresses_under_names_that_only_sound_like_it_are_no_secrets() {
        for (name, text) in [
            ("project_key", "PLATFORM"),
            ("keywords", "marketing"),
            ("token_url", "https://op.example/oauth2/token"),
            ("token_type", "Bearer"),
            ("key_results", "grow the garden by the end of 2027"),
        ] {
            assert!(!is_secret(name, text), "{name}");
        }
        for name in ["path", "compass_view", "passive", "pattern"] {
            assert!(!is_suspicious(name), "{name}");
        }
    }

    #[test]
    fn what_looks_like_a_secret_under_a_suspicious_name_is_one() {
        assert!(is_secret("token_value", "lt_8f3b2c9d1e7a6b5c4d3e"));
    }
}
