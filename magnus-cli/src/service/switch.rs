//! A router in whose place another one can be put while it serves.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use tower::{ServiceExt as _, service_fn};

/// Sends every request to the router of the moment.
#[derive(Debug, Clone)]
pub(crate) struct Switch {
    current: Arc<RwLock<Router>>,
}

impl Switch {
    pub(crate) fn new(router: Router) -> Self {
        Self {
            current: Arc::new(RwLock::new(router)),
        }
    }

    /// From now on, this one answers.
    pub(crate) fn to(&self, router: Router) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = router;
    }

    pub(crate) fn router(&self) -> Router {
        let current = Arc::clone(&self.current);
        Router::new().fallback_service(service_fn(move |request: Request| {
            let router = current.read().unwrap_or_else(PoisonError::into_inner).clone();
            async move { Ok::<Response, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
        }))
    }
}
