//! The headers `ETag` and `Location`: at which version something is, and where.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Uri, header};
use magnus_core::model::RowVersion;
use serde::Serialize;

/// A version as an entity tag.
pub(crate) fn etag(version: RowVersion) -> String {
    format!("\"{}\"", version.0)
}

/// A body with the version of what it shows.
pub(crate) fn versioned(body: &impl Serialize, version: RowVersion) -> Response {
    let mut response = Json(body).into_response();
    mark(&mut response, version);
    response
}

/// Names the version in an answer.
pub(crate) fn mark(response: &mut Response, version: RowVersion) {
    // Digits between quotes are always a header's value.
    if let Ok(value) = HeaderValue::from_str(&etag(version)) {
        response.headers_mut().insert(header::ETAG, value);
    }
}

/// Says where that is which was made by a request to this collection, under the path at which the client knows it.
pub(crate) fn locate(response: &mut Response, collection: &Uri, id: impl std::fmt::Display) {
    let place = format!("{}/{id}", collection.path().trim_end_matches('/'));
    if let Ok(value) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, value);
    }
}
