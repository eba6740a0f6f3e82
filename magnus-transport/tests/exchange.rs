//! What the transport answers when a server behaves, and when it does not.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::{any, get};
use bytes::Bytes;
use http::{Request, Response};
use magnus_transport::{HttpOptions, HttpTransport, Sent, Transport, TransportError, TransportErrorKind as Kind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// A server that reads one request, answers with these bytes and closes.
async fn serve_raw(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let read = socket.read(&mut request).await.unwrap();
        assert!(read > 0);
        socket.write_all(answer).await.unwrap();
    });
    address
}

fn transport(options: HttpOptions) -> HttpTransport {
    HttpTransport::new(options).unwrap()
}

async fn fetch(url: String) -> Result<Response<Bytes>, TransportError> {
    let request = Request::get(url)
        .header("authorization", "Basic c2VjcmV0")
        .body(Bytes::new())
        .unwrap();
    transport(HttpOptions::default()).send(request).await
}

fn failed(answer: Result<Response<Bytes>, TransportError>) -> (Kind, Sent, String) {
    let error = answer.unwrap_err();
    (error.kind(), error.sent(), error.to_string())
}

#[tokio::test]
async fn whole_answer_with_status_and_headers() {
    let address = serve(Router::new().route(
        "/echo",
        any(|request: axum::extract::Request| async move {
            let agent = request.headers()[header::USER_AGENT].to_str().unwrap().to_owned();
            let body = axum::body::to_bytes(request.into_body(), 1000).await.unwrap();
            (http::StatusCode::CONFLICT, [("x-agent", agent)], body)
        }),
    ))
    .await;
    let request = Request::patch(format!("http://{address}/echo"))
        .body(Bytes::from_static(b"{\"a\":1}"))
        .unwrap();
    let answer = transport(HttpOptions::default().user_agent("tester"))
        .send(request)
        .await
        .unwrap();
    assert_eq!(answer.status(), 409);
    assert_eq!(answer.headers()["x-agent"], "tester");
    assert_eq!(answer.body(), "{\"a\":1}");
    assert!(magnus_transport::server_date(&answer).is_some());
}

#[tokio::test]
async fn refused_connection_is_proof_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (kind, sent, _) = failed(fetch(format!("http://{address}/")).await);
    assert_eq!((kind, sent), (Kind::Connect, Sent::No));
}

#[tokio::test]
async fn truncated_answer_is_interrupted_and_may_have_been_sent() {
    for answer in [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":".as_slice(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{\"half\":\r\n",
        b"HTTP/1.1 200",
        b"",
        b"SSH-2.0-nothing\r\n",
    ] {
        let address = serve_raw(answer).await;
        let (kind, sent, _) = failed(fetch(format!("http://{address}/")).await);
        assert_eq!(
            (kind, sent),
            (Kind::Interrupted, Sent::Maybe),
            "{}",
            String::from_utf8_lossy(answer)
        );
    }
}

#[tokio::test]
async fn broken_gzip_is_interrupted() {
    let address =
        serve_raw(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00").await;
    let (kind, sent, _) = failed(fetch(format!("http://{address}/")).await);
    assert_eq!((kind, sent), (Kind::Interrupted, Sent::Maybe));
}

#[tokio::test]
async fn answer_that_never_comes_is_a_timeout() {
    let address = serve(Router::new().route("/", get(std::future::pending::<()>))).await;
    let request = Request::get(format!("http://{address}/")).body(Bytes::new()).unwrap();
    let options = HttpOptions::default().request_timeout(Duration::from_millis(50));
    let (kind, sent, _) = failed(transport(options).send(request).await);
    assert_eq!((kind, sent), (Kind::Timeout, Sent::Maybe));
}

#[tokio::test]
async fn answer_beyond_the_limit_is_refused_with_and_without_a_length() {
    for answer in [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcde".as_slice(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    ] {
        for (limit, accepted) in [(5, true), (4, false)] {
            let request = Request::get(format!("http://{}/", serve_raw(answer).await))
                .body(Bytes::new())
                .unwrap();
            match transport(HttpOptions::default().max_body_bytes(limit))
                .send(request)
                .await
            {
                Ok(answer) => assert!(accepted && answer.body() == "abcde"),
                Err(error) => {
                    assert_eq!(
                        (accepted, error.kind(), error.sent()),
                        (false, Kind::BodyTooLarge, Sent::Maybe)
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn read_is_redirected_within_the_origin() {
    let router = Router::new()
        .route(
            "/old",
            get(|| async { (http::StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, "/new")]) }),
        )
        .route(
            "/new",
            get(|headers: http::HeaderMap| async move { headers["authorization"].to_str().unwrap().to_owned() }),
        );
    let address = serve(router).await;
    let answer = fetch(format!("http://{address}/old")).await.unwrap();
    assert_eq!(answer.body(), "Basic c2VjcmV0");
}

#[tokio::test]
async fn key_is_never_carried_to_another_origin() {
    let (seen, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let other = serve(Router::new().fallback(move || async move { seen.send(()).unwrap() })).await;
    let location = format!("http://{other}/stolen");
    let address = serve(Router::new().route(
        "/",
        get(|| async move { (http::StatusCode::FOUND, [(header::LOCATION, location)]) }),
    ))
    .await;
    let (kind, sent, text) = failed(fetch(format!("http://{address}/")).await);
    assert_eq!((kind, sent), (Kind::Redirect, Sent::Maybe));
    assert!(text.contains("another origin"), "{text}");
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn write_is_not_redirected() {
    let router = Router::new()
        .route(
            "/old",
            any(|| async { (http::StatusCode::FOUND, [(header::LOCATION, "/new")]) }),
        )
        .route("/new", any(|| async { "should not be reached" }));
    let address = serve(router).await;
    let request = Request::post(format!("http://{address}/old"))
        .body(Bytes::from_static(b"{}"))
        .unwrap();
    let (kind, sent, _) = failed(transport(HttpOptions::default()).send(request).await);
    assert_eq!((kind, sent), (Kind::Redirect, Sent::Maybe));
}

#[tokio::test]
async fn circle_of_redirects_ends() {
    let address = serve(Router::new().route(
        "/",
        get(|| async { (http::StatusCode::FOUND, [(header::LOCATION, "/")]) }),
    ))
    .await;
    let (kind, _, _) = failed(fetch(format!("http://{address}/")).await);
    assert_eq!(kind, Kind::Redirect);
}

#[tokio::test]
async fn address_that_is_not_http_is_refused_before_anything_is_sent() {
    for url in ["/relative", "ftp://127.0.0.1/", "http://me:secret@127.0.0.1/"] {
        let (kind, sent, text) = failed(fetch(url.to_owned()).await);
        assert_eq!((kind, sent), (Kind::InvalidUrl, Sent::No), "{url}");
        assert!(!text.contains("secret"));
    }
}

#[tokio::test]
async fn server_without_tls_behind_https_is_a_tls_error() {
    let address = serve_raw(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let (kind, sent, _) = failed(fetch(format!("https://{address}/")).await);
    assert_eq!((kind, sent), (Kind::Tls, Sent::No));
}

#[tokio::test]
async fn error_names_the_address_without_query_and_key() {
    let address = serve_raw(b"").await;
    let error = fetch(format!("http://{address}/api?token=tell-nobody"))
        .await
        .unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains(&format!("GET http://{address}/api")), "{text}");
    assert!(!text.contains("tell-nobody") && !text.contains("c2VjcmV0"), "{text}");
}

#[test]
fn trusted_root_that_is_no_certificate_is_refused() {
    let error = HttpTransport::new(HttpOptions::default().trust_root("not a certificate")).unwrap_err();
    assert_eq!((error.kind(), error.sent()), (Kind::Setup, Sent::No));
}
