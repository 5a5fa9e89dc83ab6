//! Who may ask: programs that were given the address, and no web page that guessed it.
//!
//! A page from elsewhere in a browser on this machine reaches loopback addresses too. It is known by its `Origin`, or, where it made its own
//! name point here (DNS rebinding), by a `Host` that is not this machine.

use std::net::IpAddr;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;

/// The routes behind the door.
pub fn guarded(router: Router, address: IpAddr) -> Router {
    let is_loopback = address.is_loopback();
    router.layer(middleware::from_fn(
        move |request: Request, next: Next| async move {
            match check(request.headers(), is_loopback) {
                Ok(()) => next.run(request).await,
                Err(problem) => refused(&problem),
            }
        },
    ))
}

fn refused(problem: &Problem) -> Response {
    problem.into_response()
}

fn check(headers: &HeaderMap, is_loopback: bool) -> Result<(), Problem> {
    let host = text(headers, HOST).and_then(|host| host.parse::<Authority>().ok());
    if is_loopback && !host.as_ref().is_some_and(is_this_machine) {
        return Err(Problem::Forbidden(
            "the request names another host than this machine",
        ));
    }
    let Some(origin) = text(headers, ORIGIN) else {
        return Ok(());
    };
    let authority = origin
        .split_once("://")
        .and_then(|(_, rest)| rest.parse::<Authority>().ok());
    match authority.is_some() && authority == host {
        true => Ok(()),
        false => Err(Problem::Forbidden(
            "the request comes from a web page of another origin",
        )),
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn is_this_machine(host: &Authority) -> bool {
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_let_in(host: &str, origin: Option<&str>, is_loopback: bool) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        check(&headers, is_loopback).is_ok()
    }

    #[test]
    fn pages_from_elsewhere_stay_outside() {
        for host in [
            "127.0.0.1:8080",
            "localhost:8080",
            "[::1]:8080",
            "127.8.0.1",
        ] {
            assert!(is_let_in(host, None, true), "{host}");
        }
        for host in [
            "evil.example:8080",
            "10.0.0.1:8080",
            "localhost.evil.example",
        ] {
            assert!(!is_let_in(host, None, true), "{host}");
            assert!(is_let_in(host, None, false), "{host}");
        }
        assert!(is_let_in(
            "localhost:8080",
            Some("http://localhost:8080"),
            true
        ));
        for origin in ["http://evil.example", "http://localhost:9", "null"] {
            assert!(!is_let_in("localhost:8080", Some(origin), true), "{origin}");
            assert!(
                !is_let_in("gradlens.example", Some(origin), false),
                "{origin}"
            );
        }
        assert!(check(&HeaderMap::new(), true).is_err());
    }
}
