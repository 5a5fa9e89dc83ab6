//! `gradlens serve`: the built page on the loopback address, with the headers it needs.

use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use percent_encoding::percent_decode_str;
use tiny_http::{Header, Method, Request, Response, Server};

use super::{Outcome, args, failure::Failure, say};

/// Sent with every answer. The first two isolate the page, which is what lets it use threads; the policy keeps it from
/// sending anything anywhere.
const HEADERS: &[(&str, &str)] = &[
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Embedder-Policy", "require-corp"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-cache"),
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; \
         connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
];

pub fn run(arguments: &args::Serve) -> Outcome {
    let index = arguments.dir.join("index.html");
    if !index.is_file() {
        return Err(Failure::of(
            &arguments.dir,
            "has no index.html; build the page first with `npm run build`",
        )
        .into());
    }
    let server = Server::http(("127.0.0.1", arguments.port)).map_err(|error| {
        Failure::usage(format!("port {} cannot be opened: {error}", arguments.port))
    })?;
    say(&format!(
        "http://127.0.0.1:{}/ (stop with Ctrl+C)",
        arguments.port
    ));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for request in server.incoming_requests() {
                    answer(request, &arguments.dir);
                }
            });
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// Answers one request with a file of the folder.
fn answer(request: Request, folder: &Path) {
    let file = match request.method() {
        Method::Get | Method::Head => locate(folder, request.url()).and_then(|path| {
            let file = File::open(&path).ok()?;
            file.metadata().ok()?.is_file().then_some((path, file))
        }),
        _ => None,
    };
    // A visitor who went away is no error of ours.
    let _ = match file {
        Some((path, file)) => {
            let mut response = Response::from_file(file);
            let kind = Header::from_bytes("Content-Type", content_type(&path)).ok();
            kind.into_iter()
                .chain(headers())
                .for_each(|header| response.add_header(header));
            request.respond(response)
        }
        None => {
            let mut response = Response::from_string("not found\n").with_status_code(404);
            headers().for_each(|header| response.add_header(header));
            request.respond(response)
        }
    };
}

fn headers() -> impl Iterator<Item = Header> {
    HEADERS
        .iter()
        .filter_map(|(name, value)| Header::from_bytes(*name, *value).ok())
}

/// The file that a URL names; `None` for one outside the folder.
fn locate(folder: &Path, url: &str) -> Option<PathBuf> {
    let path = url.split(['?', '#']).next()?;
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let relative = Path::new(path.trim_start_matches('/'));
    let inside = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !inside || path.contains('\0') {
        return None;
    }
    let file = folder.join(relative);
    if file.is_dir() {
        Some(file.join("index.html"))
    } else {
        Some(file)
    }
}

/// The media type of a file of the page. WebAssembly must have its own to be compiled while it streams.
fn content_type(file: &Path) -> &'static str {
    match file
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
    {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" | "webmanifest" => "application/json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_stay_in_the_folder() {
        let folder = Path::new("page");
        assert_eq!(
            locate(folder, "/a/b.js?x=1"),
            Some(PathBuf::from("page/a/b.js"))
        );
        assert_eq!(
            locate(folder, "/a%20b.js"),
            Some(PathBuf::from("page/a b.js"))
        );
        for url in [
            "/../secret",
            "/a/../../secret",
            "/%2e%2e/secret",
            "/a/%2e%2e/%2e%2e/secret",
            "//etc/../x",
        ] {
            assert_eq!(locate(folder, url), None, "{url}");
        }
        assert_eq!(
            locate(folder, "//etc/passwd"),
            Some(PathBuf::from("page/etc/passwd"))
        );
    }
}
