//! API keys are sealed in the hub, and only there.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use magnus_core::model::{ConnectionId, ConnectionSettings, ToolName};
use magnus_core::secret::{SecretError, SecretStore};
use magnus_core::store::{SettingsStore, TaskStore};
use magnus_sqlite::{MasterKey, SealedSecretStore, SqliteStore};
use secrecy::{ExposeSecret, SecretString};

const API_KEY: &str = "opapi-4f2c9e71d0aa4b5e8c13";

async fn hub(directory: &Path) -> SqliteStore {
    SqliteStore::open(directory.join("hub.db").to_str().unwrap())
        .await
        .unwrap()
}

fn secrets(hub: &SqliteStore, key: u8) -> SealedSecretStore {
    SealedSecretStore::new(Arc::new(hub.clone()), &MasterKey::from_bytes([key; 32]))
}

fn shown(error: &SecretError) -> String {
    let source = error.source().map(|source| format!("{source} {source:?}"));
    format!("{error} {error:?} {source:?}")
}

async fn key_of(secrets: &SealedSecretStore, id: ConnectionId) -> Option<String> {
    secrets
        .get(id)
        .await
        .unwrap()
        .map(|secret: SecretString| secret.expose_secret().to_owned())
}

#[tokio::test]
async fn sealed_key_opens_with_the_master_key_after_a_restart_and_is_forgotten_with_its_connection() {
    let directory = tempfile::tempdir().unwrap();
    let store = hub(directory.path()).await;
    let board = ConnectionSettings::new(
        ToolName::new("leantime"),
        "Board",
        "https://example.org",
        chrono::Utc::now(),
    );
    let id = store.save_connection(board).await.unwrap().id;
    secrets(&store, 1).put(id, "older".into()).await.unwrap();
    secrets(&store, 1).put(id, API_KEY.into()).await.unwrap();
    store.close().await;

    let store = hub(directory.path()).await;
    let secrets = secrets(&store, 1);
    assert_eq!(key_of(&secrets, id).await.as_deref(), Some(API_KEY));
    assert_eq!(key_of(&secrets, ConnectionId::generate()).await, None);
    store.delete_connection(id).await.unwrap();
    assert_eq!(key_of(&secrets, id).await, None);
    secrets.delete(id).await.unwrap();
}

#[tokio::test]
async fn key_stands_in_no_file_and_in_no_text() {
    let directory = tempfile::tempdir().unwrap();
    let store = hub(directory.path()).await;
    let secrets = secrets(&store, 1);
    let id = ConnectionId::generate();
    secrets.put(id, API_KEY.into()).await.unwrap();
    assert_eq!(key_of(&secrets, id).await.as_deref(), Some(API_KEY));
    let text = format!("{store:?} {secrets:?}");
    assert!(!text.contains(API_KEY), "{text}");

    let mut files = 0;
    for close in [false, true] {
        if close {
            store.close().await;
        }
        for file in std::fs::read_dir(directory.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            files += 1;
            // Not even a part of it.
            assert!(
                !bytes
                    .windows(8)
                    .any(|window| API_KEY.as_bytes().windows(8).any(|part| part == window))
            );
        }
    }
    assert!(files >= 3, "database and journal were looked at");
}

#[tokio::test]
async fn wrong_master_key_is_a_clear_error() {
    let directory = tempfile::tempdir().unwrap();
    let store = hub(directory.path()).await;
    let id = ConnectionId::generate();
    secrets(&store, 1).put(id, API_KEY.into()).await.unwrap();
    let error = secrets(&store, 2).get(id).await.unwrap_err();
    assert!(error.to_string().contains("another master key"), "{error}");
    assert!(!shown(&error).contains(API_KEY));
}

#[tokio::test]
async fn altered_cut_or_copied_bytes_do_not_open() {
    let directory = tempfile::tempdir().unwrap();
    let store = hub(directory.path()).await;
    let secrets = secrets(&store, 1);
    let (id, other) = (ConnectionId::generate(), ConnectionId::generate());
    secrets.put(id, API_KEY.into()).await.unwrap();
    let hub: Arc<dyn TaskStore> = Arc::new(store);
    let sealed = hub.get_sealed(id, "api_key".to_owned()).await.unwrap().unwrap();

    let mut tampered = vec![(other, sealed.clone()), (id, Vec::new()), (id, sealed[..20].to_vec())];
    for position in [0, 24, sealed.len() - 1] {
        let mut altered = sealed.clone();
        altered[position] ^= 1;
        tampered.push((id, altered));
    }
    for (id, bytes) in tampered {
        hub.put_sealed(id, "api_key".to_owned(), Some(bytes)).await.unwrap();
        let error = secrets.get(id).await.unwrap_err();
        assert!(error.to_string().contains("was altered since"), "{error}");
    }
    hub.put_sealed(id, "api_key".to_owned(), Some(sealed)).await.unwrap();
    assert_eq!(key_of(&secrets, id).await.as_deref(), Some(API_KEY));
}

#[tokio::test]
async fn same_key_is_sealed_differently_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let store = hub(directory.path()).await;
    let id = ConnectionId::generate();
    let mut seen = Vec::new();
    for _ in 0..3 {
        secrets(&store, 1).put(id, API_KEY.into()).await.unwrap();
        seen.push(store.get_sealed(id, "api_key".to_owned()).await.unwrap().unwrap());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3);
}
