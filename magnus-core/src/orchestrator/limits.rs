//! How many runs may go on at once, in all and against one host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The right to go on now; given back when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _host: Option<OwnedSemaphorePermit>,
    _in_all: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
pub(super) struct Limits {
    in_all: Arc<Semaphore>,
    per_host: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Limits {
    pub(super) fn new(in_all: usize, per_host: usize) -> Self {
        Self {
            in_all: Arc::new(Semaphore::new(in_all.max(1))),
            per_host: per_host.max(1),
            hosts: Mutex::default(),
        }
    }

    /// Waits for a turn against the host of this URL. The host comes first, so that a queue before a slow host does not
    /// use up what all share.
    pub(super) async fn turn(&self, url: &str) -> Turn {
        // The semaphores are never closed, so both permits are there.
        let host = self.host(url).acquire_owned().await.ok();
        let in_all = Arc::clone(&self.in_all).acquire_owned().await.ok();
        Turn {
            _host: host,
            _in_all: in_all,
        }
    }

    /// A turn against the host of this URL, if one is free right now.
    pub(super) fn turn_now(&self, url: &str) -> Option<Turn> {
        let host = self.host(url).try_acquire_owned().ok()?;
        let in_all = Arc::clone(&self.in_all).try_acquire_owned().ok()?;
        Some(Turn {
            _host: Some(host),
            _in_all: Some(in_all),
        })
    }

    /// A turn against the host of this URL beside those that all share, if the host has one free right now.
    pub(super) fn turn_besides(&self, url: &str) -> Option<Turn> {
        let host = self.host(url).try_acquire_owned().ok()?;
        Some(Turn {
            _host: Some(host),
            _in_all: None,
        })
    }

    fn host(&self, url: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts
            .entry(host_of(url))
            .or_insert_with(|| Arc::new(Semaphore::new(self.per_host)));
        Arc::clone(host)
    }
}

/// The host and port of a URL, in lower case, without user and path. What is no URL is its own host.
fn host_of(url: &str) -> String {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_whose_turns_are_taken_leaves_those_of_others() {
        let limits = Limits::new(3, 1);
        let first = limits.turn_now("https://slow.example.org/a");
        assert!(first.is_some());
        assert!(limits.turn_now("https://slow.example.org/b").is_none());
        assert!(limits.turn_now("https://other.example.org").is_some());
        drop(first);
        assert!(limits.turn_now("https://slow.example.org/b").is_some());
    }

    #[test]
    fn connections_to_one_host_are_recognised_by_host_and_port() {
        assert_eq!(host_of("https://Tool.example.org/sub?x=1"), "tool.example.org");
        assert_eq!(host_of("http://user:word@127.0.0.1:8080/"), "127.0.0.1:8080");
        assert_ne!(host_of("http://127.0.0.1:8080"), host_of("http://127.0.0.1:8081"));
    }
}
