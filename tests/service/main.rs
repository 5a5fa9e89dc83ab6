//! `gradlens serve` as other programs meet it: answers, limits, load, broken requests, the end; and the page's server.
#![cfg(all(feature = "cli", not(target_arch = "wasm32")))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

#[path = "../common/program.rs"]
mod program;
mod server;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use program::gradlens;
use serde_json::{Value, json};
use server::{Answer, Server, answer, head, request};

const SAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/www/public/samples/synthetic-1.jpg"
);

fn sample() -> Vec<u8> {
    fs::read(SAMPLE).unwrap()
}

/// What the command line says of the sample.
fn report(options: &[&str]) -> Value {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().to_str().unwrap();
    let call = [
        "explain", SAMPLE, "--json", "--out", folder, "--files", "report",
    ];
    let output = gradlens(&[&call, options].concat());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn assert_problem(answer: &Answer, status: u16, words: &[&str]) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    let detail = problem["detail"].as_str().unwrap();
    assert!(!detail.contains('\n'), "{detail}");
    for word in words {
        assert!(detail.contains(word), "'{detail}' does not say '{word}'");
    }
}

/// A number of `/metrics`.
fn measured(server: &Server, line: &str) -> f64 {
    let text = server.get("/metrics").text();
    let found = text.lines().find_map(|known| known.strip_prefix(line));
    let found = found.unwrap_or_else(|| panic!("no {line} in\n{text}"));
    found.trim().parse().unwrap()
}

#[test]
fn explanations_are_the_command_lines_and_verdicts_see_what_was_changed() {
    let key = tempfile::tempdir().unwrap();
    let key = key.path().join("key.pem");
    assert!(gradlens(&["key", key.to_str().unwrap()]).status.success());
    let server = Server::start(&["--verify", "--sign", key.to_str().unwrap()]);
    let picture = sample();
    let file = ("picture", Some("synthetic-1.jpg"), picture.as_slice());
    let explained = server.post("/v1/explain", &[file, ("class", None, b"covid")]);
    assert_eq!(explained.status, 200, "{}", explained.text());
    let mut given = explained.json();
    let whole = given.clone();
    assert_eq!(given["signature"]["algorithm"], "Ed25519");
    given.as_object_mut().unwrap().remove("signature");
    assert_eq!(given, report(&["--class", "covid"]));

    let judge = |report: &Value, picture: &[u8]| {
        let text = report.to_string();
        let fields = [
            ("report", Some("a.json"), text.as_bytes()),
            ("picture", Some("b.jpg"), picture),
        ];
        server.post("/v1/verify", &fields).json()
    };
    let honest = judge(&whole, &picture);
    assert_eq!(honest["verdict"], "holds", "{honest}");
    assert_eq!(honest["report"], "a.json");
    let mut changed = given.clone();
    changed["scores"][0]["logit"] = json!(given["scores"][0]["logit"].as_f64().unwrap() + 0.01);
    let verdict = judge(&changed, &picture);
    assert_eq!(verdict["verdict"], "differs");
    assert_eq!(verdict["differences"][0]["what"], "scores[0].logit");
    let mut forged = whole.clone();
    forged["engine"]["version"] = json!("another");
    assert_eq!(
        judge(&forged, &picture)["differences"][0]["what"],
        "signature"
    );
    let mut other = picture.clone();
    *other.last_mut().unwrap() ^= 1;
    assert_eq!(
        judge(&given, &other)["differences"][0]["what"],
        "picture.sha256"
    );
    let nonsense = judge(&json!({"schema": "another/1"}), &picture);
    assert_eq!(nonsense["verdict"], "cannot check");

    for (verdict, count) in [("holds", 1.0), ("differs", 3.0), ("cannot check", 1.0)] {
        let line = format!("gradlens_verdicts_total{{verdict=\"{verdict}\"}}");
        assert_eq!(measured(&server, &line), count);
    }
    let png = server.post("/v1/explain", &[file, ("answer", None, b"figure")]);
    assert_eq!(png.header("content-type"), Some("image/png"));
    assert!(png.body.starts_with(b"\x89PNG"));
    assert_schema(&server, "Report", &whole);
    assert_schema(&server, "Verdict", &honest);
    assert_schema(&server, "Verdict", &verdict);
    assert_schema(&server, "Verdict", &nonsense);
    // No picture and nothing else was written.
    assert_eq!(fs::read_dir(server.folder.path()).unwrap().count(), 0);
}

/// Whether an answer is what the OpenAPI file says.
fn assert_schema(server: &Server, name: &str, value: &Value) {
    let mut openapi = server.get("/v1/openapi.json").json();
    openapi["$ref"] = json!(format!("#/components/schemas/{name}"));
    let validator = jsonschema::draft202012::new(&openapi).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}");
}

#[test]
fn bad_requests_get_one_clear_line_and_the_next_is_answered() {
    let server = Server::start(&["--verify", "--most-megabytes", "1"]);
    let picture = sample();
    let file = ("picture", Some("x.jpg"), picture.as_slice());
    let explain = |fields: &[server::Field<'_>]| server.post("/v1/explain", fields);
    assert_problem(&explain(&[]), 400, &["'picture' is missing"]);
    assert_problem(
        &explain(&[file, ("colour", None, b"red")]),
        400,
        &["colour", "contrast"],
    );
    assert_problem(&explain(&[file, file]), 400, &["'picture' comes twice"]);
    assert_problem(
        &explain(&[file, ("class", None, &[b'a'; 5000])]),
        400,
        &["'class'", "1024"],
    );
    assert_problem(&explain(&[file, ("class", None, b"\xff")]), 400, &["UTF-8"]);
    assert_problem(
        &explain(&[file, ("class", None, b"flu")]),
        422,
        &["'flu'", "covid"],
    );
    assert_problem(
        &explain(&[file, ("layer", None, b"nowhere")]),
        422,
        &["nowhere"],
    );
    assert_problem(
        &explain(&[file, ("method", None, b"magic")]),
        422,
        &["grad-cam"],
    );
    assert_problem(&explain(&[file, ("target", None, b"x")]), 422, &["logit"]);
    assert_problem(
        &explain(&[file, ("answer", None, b"poem")]),
        400,
        &["overlay"],
    );
    assert_problem(
        &explain(&[file, ("model", None, b"../../etc")]),
        400,
        &["covid-xray"],
    );
    let cut = ("picture", Some("x.jpg"), &picture[..picture.len() / 2]);
    assert_problem(&explain(&[cut]), 422, &["the picture"]);
    let large = vec![0; 2 << 20];
    assert_problem(&explain(&[("picture", Some("x"), &large)]), 413, &[]);
    let json = head(
        "POST",
        "/v1/verify",
        server.address,
        "Content-Type: application/json\r\nContent-Length: 2\r\n",
    );
    assert_problem(&server.raw(format!("{json}{{}}").as_bytes()), 415, &[]);
    assert_problem(&server.get("/v1/verify"), 405, &[]);
    assert_problem(&server.get("/v2/verify"), 404, &[]);
    let from_a_page = head(
        "GET",
        "/healthz",
        server.address,
        "Origin: http://evil.example\r\n",
    );
    assert_problem(&server.raw(from_a_page.as_bytes()), 403, &["origin"]);
    let rebound = head("GET", "/healthz", "evil.example", "");
    assert_problem(&server.raw(rebound.as_bytes()), 403, &["host"]);
    assert_eq!(server.raw(b"nonsense\r\n\r\n").status, 400);

    // The sender's name for a file is only a name.
    let named = explain(&[("picture", Some("../../x.jpg"), &picture)]);
    assert_eq!(named.status, 200, "{}", named.text());
    assert_eq!(server.get("/healthz").text(), "alive\n");
    assert_eq!(fs::read_dir(server.folder.path()).unwrap().count(), 0);
}

#[test]
fn slow_and_broken_uploads_hold_no_place_for_long() {
    let server = Server::start(&["--verify", "--seconds", "2", "--waiting", "0"]);
    let picture = sample();
    let whole = request(
        server.address,
        "/v1/explain",
        &[("picture", Some("x.jpg"), &picture)],
    );
    let begun = Instant::now();
    // One that stops in the middle and stays, and one that goes away.
    let mut slow = server.connect();
    slow.write_all(&whole[..whole.len() / 2]).unwrap();
    let mut gone = server.connect();
    gone.write_all(&whole[..whole.len() / 3]).unwrap();
    drop(gone);
    assert_problem(&answer(&mut slow), 504, &["2 s"]);
    assert!(begun.elapsed() < Duration::from_secs(20));
    let inside = || measured(&server, "gradlens_requests_inside ");
    let free = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        inside() == 0.0
    });
    assert!(free, "{} are still inside", inside());
    assert_eq!(server.raw(&whole).status, 200);
}

#[test]
fn under_load_every_request_is_answered_or_told_to_come_back() {
    let server = Server::start(&["--verify", "--waiting", "3"]);
    let picture = sample();
    let whole = request(
        server.address,
        "/v1/explain",
        &[("picture", Some("synthetic-1.jpg"), &picture)],
    );
    let expected = report(&[]);
    let (senders, each) = (12, 10);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let sending = (0..senders).map(|_| {
            scope.spawn(|| {
                let answers = (0..each).map(|_| {
                    let answer = server.raw(&whole);
                    match answer.status {
                        200 => assert_eq!(answer.json(), expected),
                        503 => {
                            assert_problem(&answer, 503, &["try again"]);
                            assert_eq!(answer.header("retry-after"), Some("1"));
                        }
                        other => panic!("{other}: {}", answer.text()),
                    }
                    answer.status
                });
                answers.collect::<Vec<u16>>()
            })
        });
        let sending: Vec<_> = sending.collect();
        sending
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let count = |status: u16| statuses.iter().filter(|known| **known == status).count();
    assert!(
        count(200) >= each && count(503) > 0,
        "{} answered, {} refused",
        count(200),
        count(503)
    );
    for status in [200, 503] {
        let line = format!("gradlens_requests_total{{route=\"/v1/explain\",status=\"{status}\"}}");
        assert_eq!(measured(&server, &line), count(status) as f64);
    }
    assert_eq!(server.get("/readyz").status, 200);
    #[cfg(target_os = "linux")]
    {
        // Two dozen pictures waited at most a few at a time.
        let peak = server.peak_memory();
        assert!(peak < 1024, "{peak} MB");
    }
}

#[cfg(unix)]
#[test]
fn it_stops_when_it_is_told_and_ends_what_has_begun() {
    let mut server = Server::start(&["--verify"]);
    let picture = sample();
    let whole = request(
        server.address,
        "/v1/explain",
        &[("picture", Some("x.jpg"), &picture)],
    );
    // All but the last bytes, so that the request has begun for certain.
    let (first, last) = whole.split_at(whole.len() - 9);
    let mut stream = server.connect();
    stream.write_all(first).unwrap();
    let begun = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        measured(&server, "gradlens_requests_inside ") == 1.0
    });
    assert!(begun);
    server.ask_to_stop();
    let closed = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        std::net::TcpStream::connect(server.address).is_err()
    });
    assert!(closed, "it still takes new requests");
    stream.write_all(last).unwrap();
    assert_eq!(answer(&mut stream).status, 200);
    let status = server.end(Duration::from_secs(20)).unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn the_page_is_served_with_its_headers_and_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page");
    fs::create_dir(&page).unwrap();
    fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    for (name, text) in [
        ("index.html", "<p>hello"),
        ("a b.js", "1"),
        ("x.wasm", "\0asm"),
        ("m.onnx", "x"),
    ] {
        fs::write(page.join(name), text).unwrap();
    }
    let server = Server::start(&[page.to_str().unwrap()]);
    let index = server.get("/");
    assert_eq!((index.status, index.text().as_str()), (200, "<p>hello"));
    assert_eq!(
        index.header("cross-origin-embedder-policy"),
        Some("require-corp")
    );
    assert!(
        index
            .header("content-security-policy")
            .unwrap()
            .starts_with("default-src 'none'")
    );
    for (path, kind) in [
        ("/a%20b.js?x=1", "text/javascript"),
        ("/x.wasm", "application/wasm"),
        ("/m.onnx", "application/octet-stream"),
    ] {
        let answer = server.get(path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(kind)),
            "{path}"
        );
    }
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "//etc/passwd",
        "/nothing",
        "/x%00",
    ] {
        let answer = server.get(path);
        assert!(
            answer.status >= 400 && !answer.text().contains("secret"),
            "{path}"
        );
    }
}

#[test]
fn what_cannot_be_served_is_refused_in_one_line() {
    let nowhere = PathBuf::from("nowhere");
    let refused = |arguments: &[&str], word: &str| {
        let output = gradlens(arguments);
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(
            line.trim_end().lines().count() == 1 && line.contains(word),
            "{line}"
        );
    };
    refused(&["serve", nowhere.to_str().unwrap()], "index.html");
    refused(&["serve", "--verify", "--model", "nowhere"], "nowhere");
    refused(&["serve", "--listen", "0.0.0.0"], "--verify");
    let taken = Server::start(&["--verify"]);
    let port = taken.address.port().to_string();
    refused(&["serve", "--verify", "--port", &port], &port);
}
