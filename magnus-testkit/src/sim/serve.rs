//! A simulator on a socket of its own.

use std::io;
use std::net::Ipv4Addr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A router that listens on a free port of the loopback address; dropping it stops it.
#[derive(Debug)]
pub struct Served {
    /// Base address without a trailing slash, `http://127.0.0.1:<port>`.
    pub url: String,
    _stop: oneshot::Sender<()>,
}

/// Serves `router` on a free port of 127.0.0.1 until the result is dropped.
///
/// # Errors
/// When no port can be bound.
pub async fn serve_router(router: Router) -> io::Result<Served> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let dropped = async {
            // The sender is never used: its end, whichever way, is the signal.
            let _ = stopped.await;
        };
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(dropped).await {
            tracing::error!(%error, "the simulator's server ended");
        }
    });
    Ok(Served { url, _stop: stop })
}
