//! The listening side: so many connections and no more, none of which may dawdle.

mod impatient;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::problem::{Kind, Problem};
use impatient::Impatient;

/// How many connections beyond the limit are told so at once; further ones are closed without a word.
const SENT_AWAY: usize = 32;

/// How long who is sent away may take to say what it wanted to ask: only so it reads the answer.
const SENT_AWAY_WITHIN: Duration = Duration::from_secs(2);

/// How long nobody is let in after the system had no place for a connection.
const PAUSE: Duration = Duration::from_secs(1);

/// What is read at once, and what is kept for a client until it takes it.
const BUFFER_BYTES: usize = 64 * 1024;

/// What clients may ask of [`serve`]. Made with [`ServerLimits::default`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// How many connections there may be at once; who comes later is answered 503.
    pub connections: usize,
    /// How long the head of a request may take to come, and how long a connection may be idle before the next one.
    pub head_time: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub write_time: Duration,
    /// How large the head of a request may be.
    pub head_bytes: usize,
    /// How many header fields a request may have.
    pub head_fields: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            // Many systems allow a process 1024 open files: there must be some left for the database and for the tools.
            connections: 768,
            head_time: Duration::from_secs(15),
            write_time: Duration::from_secs(30),
            head_bytes: 32 * 1024,
            head_fields: 100,
        }
    }
}

/// Serves this router over HTTP/1.1 within these limits, until `end` is cancelled: then nobody new is let in, what was asked is
/// answered, and with the last answer it returns.
///
/// The router finds the client's address in [`ConnectInfo`].
pub async fn serve(listener: TcpListener, app: Router, limits: ServerLimits, end: CancellationToken) {
    let full = Router::new().fallback(|| async {
        let detail = "the service has as many connections as it takes; come back in a moment";
        Problem::new(Kind::Busy, detail).retry_after(1)
    });
    let door = Door {
        app,
        full,
        limits,
        end: end.clone(),
    };
    let door = Arc::new(door);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = end.cancelled() => break,
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => door.let_in(stream, peer, &mut connections),
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be let in at present");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Whether a connection was gone before it was let in.
fn is_of_the_client(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

#[derive(Debug)]
struct Door {
    app: Router,
    full: Router,
    limits: ServerLimits,
    end: CancellationToken,
}

impl Door {
    fn let_in(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, connections: &mut JoinSet<()>) {
        let is_full = connections.len() >= self.limits.connections;
        if connections.len() >= self.limits.connections + SENT_AWAY {
            // Dropped: the client sees its connection closed.
            return;
        }
        // Events are small and must not wait for more.
        let _set = stream.set_nodelay(true);
        connections.spawn(Arc::clone(self).talk(stream, peer, is_full));
    }

    /// Answers what comes over one connection, until it ends.
    async fn talk(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, is_full: bool) {
        let limits = &self.limits;
        let (app, head_time) = if is_full {
            (&self.full, SENT_AWAY_WITHIN.min(limits.head_time))
        } else {
            (&self.app, limits.head_time)
        };
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            app.clone().oneshot(request)
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(head_time)
            .max_header_size(limits.head_bytes)
            .max_headers(limits.head_fields)
            .max_buf_size(BUFFER_BYTES.max(limits.head_bytes))
            .keep_alive(!is_full);
        let io = TokioIo::new(Impatient::new(stream, limits.write_time));
        let mut connection = std::pin::pin!(builder.serve_connection(io, service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.end.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, cause = ?std::error::Error::source(&error), "a connection ended early");
        }
    }
}
