//! The key that seals all others.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretBox, SecretString};

const LENGTH: usize = 32;

/// The 32 bytes that seal every API key in the hub. Never shown by `Debug`.
pub struct MasterKey {
    bytes: SecretBox<[u8; LENGTH]>,
}

/// Why there is no usable master key. Never holds the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeyError {
    /// The text is not the base64 of 32 bytes.
    #[error("{origin} is not a master key: expected 32 bytes in base64")]
    Malformed {
        /// Where the text came from: a variable or a file.
        origin: String,
    },
    /// Others than its owner may read the key file.
    #[error("the key file {path} can be read by others: run `chmod 600` on it, and better make a new key")]
    Exposed {
        /// The key file.
        path: PathBuf,
    },
    /// The key file cannot be read or made.
    #[error("the key file {path} cannot be used")]
    File {
        /// The key file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("no random numbers for a new master key: {0}")]
    Random(getrandom::Error),
}

impl MasterKey {
    /// The environment variable that holds the key: 32 bytes in base64.
    pub const VARIABLE: &'static str = "MAGNUS_MASTER_KEY";

    /// The key with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self {
            bytes: SecretBox::new(Box::new(bytes)),
        }
    }

    /// A new random key.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate() -> Result<Self, MasterKeyError> {
        let mut bytes = [0; LENGTH];
        getrandom::fill(&mut bytes).map_err(MasterKeyError::Random)?;
        Ok(Self::from_bytes(bytes))
    }

    /// The key from [`Self::VARIABLE`], or else from a key file, which is made at first use and only its owner can read.
    ///
    /// # Errors
    /// The variable or the file holds no key, or the file cannot be read, made, or kept from others.
    pub fn from_environment_or_file(path: impl AsRef<Path>) -> Result<Self, MasterKeyError> {
        match std::env::var(Self::VARIABLE) {
            Ok(text) => Self::from_base64(&SecretString::from(text), Self::VARIABLE),
            Err(std::env::VarError::NotPresent) => Self::from_file(path),
            Err(std::env::VarError::NotUnicode(_)) => Err(MasterKeyError::Malformed {
                origin: Self::VARIABLE.to_owned(),
            }),
        }
    }

    /// The key from its base64 form; `origin` is named if it is malformed.
    ///
    /// # Errors
    /// The text is not the base64 of 32 bytes.
    pub fn from_base64(text: &SecretString, origin: &str) -> Result<Self, MasterKeyError> {
        let malformed = || MasterKeyError::Malformed {
            origin: origin.to_owned(),
        };
        let bytes = STANDARD.decode(text.expose_secret().trim()).map_err(|_| malformed())?;
        Ok(Self::from_bytes(bytes.try_into().map_err(|_| malformed())?))
    }

    /// The key from a file, made with mode 0600 if there is none.
    ///
    /// # Errors
    /// The file holds no key, or cannot be read, made, or kept from others.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, MasterKeyError> {
        let path = path.as_ref();
        match read_key(path) {
            Err(MasterKeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let key = Self::generate()?;
                match write_new(path, &key, |draft, path| std::fs::hard_link(draft, path)) {
                    // Read back: a file system may keep no modes, and that is to be said before anything is sealed.
                    Ok(()) => read_key(path),
                    // Another process was faster; its key is the one.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read_key(path),
                    Err(source) => Err(MasterKeyError::File {
                        path: path.to_owned(),
                        source,
                    }),
                }
            }
            other => other,
        }
    }

    pub(crate) fn expose(&self) -> &[u8; LENGTH] {
        self.bytes.expose_secret()
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(hidden)")
    }
}

fn read_key(path: &Path) -> Result<MasterKey, MasterKeyError> {
    let failed = |source| MasterKeyError::File {
        path: path.to_owned(),
        source,
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(MasterKeyError::Exposed { path: path.to_owned() });
        }
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    MasterKey::from_base64(&SecretString::from(text), &path.display().to_string())
}

/// Writes the key beside `path` and links it there: nobody can see a half-written file, and an existing one stays. Where the
/// file system knows no links, it is written in its place; an existing one stays all the same.
fn write_new(path: &Path, key: &MasterKey, link: impl Fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", uuid::Uuid::new_v4()));
    let draft = parent.join(name);

    let linked = create(&draft, key).and_then(|()| match link(&draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => create(path, key),
        linked => linked,
    });
    let removed = std::fs::remove_file(&draft);
    linked.and(removed)?;
    // The name, too, must be on disk before anything is sealed with this key.
    #[cfg(unix)]
    std::fs::File::open(parent)?.sync_all()?;
    Ok(())
}

/// Writes the key to a new file that only its owner can read. A file that could not be written to its end is removed.
fn create(path: &Path, key: &MasterKey) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let text = SecretString::from(STANDARD.encode(key.expose()) + "\n");
    let written = file
        .write_all(text.expose_secret().as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // What went wrong first is what is told.
        let _removed = std::fs::remove_file(path);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_file_is_made_once_and_only_its_owner_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep").join("hub.key");
        let first = MasterKey::from_file(&path).unwrap();
        let again = MasterKey::from_file(&path).unwrap();
        assert_eq!(first.expose(), again.expose());
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(
                MasterKey::from_file(&path),
                Err(MasterKeyError::Exposed { .. })
            ));
        }
    }

    #[test]
    fn key_file_made_by_another_process_meanwhile_wins() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hub.key");
        let winner = MasterKey::generate().unwrap();
        let link = |draft: &Path, path: &Path| std::fs::hard_link(draft, path);
        write_new(&path, &winner, link).unwrap();
        let late = write_new(&path, &MasterKey::generate().unwrap(), link).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(MasterKey::from_file(&path).unwrap().expose(), winner.expose());
    }

    #[test]
    fn key_file_is_made_where_the_file_system_knows_no_links() {
        // FAT says that it is not permitted, others that it is not supported or not implemented.
        for kind in [
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::Unsupported,
            io::ErrorKind::Other,
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("hub.key");
            let refused = |_: &Path, _: &Path| Err(io::Error::from(kind));
            let winner = MasterKey::generate().unwrap();
            write_new(&path, &winner, refused).unwrap();
            // The mode is right, or it could not be read.
            assert_eq!(MasterKey::from_file(&path).unwrap().expose(), winner.expose());
            let late = write_new(&path, &MasterKey::generate().unwrap(), refused).unwrap_err();
            assert_eq!(late.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(MasterKey::from_file(&path).unwrap().expose(), winner.expose());
            assert_eq!(
                std::fs::read_dir(directory.path()).unwrap().count(),
                1,
                "no draft is left"
            );
        }
    }

    #[test]
    fn malformed_key_is_refused_and_never_shown() {
        for text in ["", "c2hvcnQ=", "not base64!"] {
            let error = MasterKey::from_base64(&SecretString::from(text), "MAGNUS_MASTER_KEY").unwrap_err();
            assert_eq!(
                error.to_string(),
                "MAGNUS_MASTER_KEY is not a master key: expected 32 bytes in base64"
            );
        }
        let key = MasterKey::from_bytes([7; 32]);
        assert_eq!(format!("{key:?}"), "MasterKey(hidden)");
    }
}
