//! The built page, with the headers it needs.

use std::path::Path;

use axum::Router;
use axum::http::{HeaderName, HeaderValue};
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use super::super::failure::Failure;

/// Sent with every answer. The first two isolate the page, which is what lets it use threads; the policy keeps it from
/// sending anything anywhere.
const HEADERS: &[(&str, &str)] = &[
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-cache"),
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; \
         connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
];

/// Answers with the files of a folder.
pub fn router(folder: &Path) -> Result<Router, Failure> {
    if !folder.join("index.html").is_file() {
        return Err(Failure::of(
            folder,
            "has no index.html; build the page first with `npm run build`",
        ));
    }
    let router = Router::new().fallback_service(ServeDir::new(folder));
    Ok(HEADERS.iter().fold(router, |router, (name, value)| {
        router.layer(SetResponseHeaderLayer::overriding(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        ))
    }))
}
