use chrono::{DateTime, Utc};
use http::{Response, header::DATE};

/// The time on the server's clock when it answered: the `Date` header, to the second.
///
/// `None` if the header is missing or is not a date. A proxy or cache may have set it; a tool's stamps are
/// corrected by it, never replaced.
pub fn server_date<B>(response: &Response<B>) -> Option<DateTime<Utc>> {
    let value = response.headers().get(DATE)?.to_str().ok()?;
    DateTime::parse_from_rfc2822(value.trim())
        .ok()
        .map(|date| date.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::server_date;
    use http::Response;

    fn dated(value: &str) -> Option<String> {
        let response = Response::builder().header("date", value).body(()).unwrap();
        server_date(&response).map(|date| date.to_rfc3339())
    }

    #[test]
    fn date_header_is_read_as_utc() {
        assert_eq!(
            dated("Sun, 22 Nov 2026 10:00:05 GMT").as_deref(),
            Some("2026-11-22T10:00:05+00:00")
        );
    }

    #[test]
    fn missing_or_broken_date_is_none() {
        assert_eq!(dated("yesterday"), None);
        assert_eq!(server_date(&Response::new(())), None);
    }
}
