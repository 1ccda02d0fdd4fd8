//! The server: who is answered, and what a program can do to it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::common::example;
use super::scripts::stand_in;

/// The example, which serves.
pub(crate) struct Server {
    child: Child,
    addr: String,
}

impl Server {
    fn start() -> Server {
        Server::with(&[])
    }

    pub(crate) fn with(arguments: &[&OsStr]) -> Server {
        let mut command = example("study");
        command.args(["--addr", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.split("http://").nth(1).expect("an address").split('/').next().unwrap();
        Server { addr: addr.to_owned(), child }
    }

    /// Sends bytes, and returns the status and the body.
    fn ask(&self, bytes: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(bytes).ok(); // It may have refused what it has read.
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, answer.split_once("\r\n\r\n").unwrap_or_default().1.to_owned())
    }

    fn get(&self, path: &str, headers: &str) -> (u16, String) {
        let host = &self.addr;
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n").as_bytes())
    }

    fn post(&self, path: &str, headers: &str, body: &str) -> (u16, String) {
        let (host, length) = (&self.addr, body.len());
        let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n");
        self.ask(format!("{head}{headers}\r\n{body}").as_bytes())
    }

    pub(crate) fn run(&self, asked: &Value) -> (u16, Vec<Value>) {
        let json = "Content-Type: application/json\r\n";
        let (status, body) = self.post("/api/run", json, &asked.to_string());
        let lines = body.lines().filter_map(|line| serde_json::from_str(line).ok());
        (status, lines.collect())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn scenario(main: Value) -> Value {
    json!({"language": "scenario", "program": {"name": "a program", "main": main}})
}

#[test]
fn it_serves_the_page_the_lessons_questions_and_runs() {
    let server = Server::start();
    let (status, page) = server.get("/", "");
    assert_eq!(status, 200);
    assert!(page.contains("page/app.js"));
    for entry in std::fs::read_dir("src/inspect/page").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_of_page = [".js", ".css", ".html"].iter().any(|end| name.ends_with(end));
        assert_eq!(server.get(&format!("/page/{name}"), "").0 == 200, is_of_page, "{name}");
    }
    let (_, lessons) = server.get("/api/lessons", "");
    assert_eq!(serde_json::from_str::<Value>(&lessons).unwrap().as_array().unwrap().len(), 10);
    let (_, question) = server.get("/api/question?seed=7", "");
    assert!(serde_json::from_str::<Value>(&question).unwrap()["scenario"].is_object());
    let (status, events) = server.run(&scenario(json!([{"op": "log", "id": "hello"}])));
    assert_eq!(status, 200);
    assert!(events.iter().any(|event| event["what"] == "said" && event["text"] == "hello"));
}

#[test]
fn pages_from_elsewhere_are_refused_and_so_is_what_is_no_request() {
    let server = Server::start();
    let port = server.addr.split(':').nth(1).unwrap();
    let json = "Content-Type: application/json\r\n";
    let body = scenario(json!([])).to_string();
    // Another origin, and none: a sandbox.
    for origin in ["http://example.com", "null", &format!("http://127.0.0.1.example.com:{port}")] {
        let headers = format!("{json}Origin: {origin}\r\n");
        assert_eq!(server.post("/api/run", &headers, &body).0, 403, "{origin}");
    }
    let own = format!("{json}Origin: http://localhost:{port}\r\n");
    assert_eq!(server.post("/api/run", &own, &body).0, 200);
    // A picture on a page from elsewhere has no origin; a link may lead to the page.
    let site = |path, site| server.get(path, &format!("Sec-Fetch-Site: {site}\r\n")).0;
    assert_eq!(site("/page/app.js", "cross-site"), 403);
    assert_eq!(site("/api/question?seed=1", "same-site"), 403);
    assert_eq!([site("/page/app.js", "same-origin"), site("/page/app.js", "none")], [200; 2]);
    assert_eq!(site("/", "cross-site"), 200);
    // A form can be sent from anywhere, but not as JSON.
    assert_eq!(server.post("/api/run", "Content-Type: text/plain\r\n", &body).0, 415);
    // A name that somebody else has given to this machine.
    assert_eq!(server.ask(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n").0, 403);
    assert_eq!(server.ask(b"GET / HTTP/1.1\r\n\r\n").0, 403);
    assert_eq!(server.ask(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n").0, 400);
    for length in ["+0", "-0", "0x0", "0,0", "0 0", "99999999999999999999", ""] {
        let headers = format!("Content-Length: {length}\r\n");
        assert_eq!(server.get("/", &headers).0, 400, "{length:?}");
    }
    assert_eq!(server.get("/page/../main.rs", "").0, 404);
    assert_eq!(server.get("/etc/passwd", "").0, 404);
    assert_eq!(server.ask(&[b'a'; 40_000]).0, 431);
    let long = format!("GET / HTTP/1.1\r\nHost: {}\r\nX: {}", server.addr, "y".repeat(40_000));
    assert_eq!(server.ask(long.as_bytes()).0, 431);
    assert_eq!(server.post("/api/run", json, &"x".repeat(300_000)).0, 413);
    assert_eq!(server.get("/", "").0, 200, "it is still there");
}

#[test]
fn a_program_that_never_ends_or_wants_too_much_harms_nothing() {
    let server = Server::start();
    // A microtask that starts another one, without a word: nothing in it can be counted.
    let sends = json!([{"op": "send", "port": "a", "value": "x"}]);
    let endless = scenario(json!([
        {"op": "channel", "a": "a", "b": "b"},
        {"op": "listen", "port": "b", "id": "got", "times": 4_000_000, "on": {"x": sends}},
        {"op": "send", "port": "a", "value": "x"},
    ]));
    let began = Instant::now();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| server.run(&endless));
        // Meanwhile others are served.
        assert_eq!(server.get("/api/about", "").0, 200);
        let (status, events) = run.join().unwrap();
        assert_eq!(status, 200);
        let error = events.iter().find(|event| event["what"] == "error").expect("an error");
        assert!(error["text"].as_str().unwrap().starts_with("cut off"), "{error}");
    });
    assert!(began.elapsed() < Duration::from_secs(60));
    // More time than there is.
    assert_eq!(server.run(&scenario(json!([{"op": "block", "ms": u64::MAX}]))).0, 400);
    assert_eq!(server.get("/api/about", "").0, 200);
}

#[test]
fn a_program_for_which_nobody_waits_any_more_ends() {
    // In the place of what runs JavaScript: it tells its number, and does not end.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("study-gone");
    std::fs::create_dir_all(&folder).unwrap();
    let number = folder.join("number");
    std::fs::remove_file(&number).ok();
    let (part, own) = (number.with_extension("part"), number.display());
    let script = format!("echo $$ >{0} && mv {0} {own}; exec sleep 1000\n", part.display());
    let server = Server::with(&["--mini-node".as_ref(), stand_in("gone", &script).as_os_str()]);
    let body = json!({"language": "javascript", "files": {"main.js": ""}}).to_string();
    let (host, length) = (&server.addr, body.len());
    let mut client = TcpStream::connect(host).unwrap();
    let head = format!("POST /api/run HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n");
    client
        .write_all(format!("{head}Content-Type: application/json\r\n\r\n{body}").as_bytes())
        .unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while !number.exists() {
        assert!(Instant::now() < until, "it begins");
        std::thread::yield_now();
    }
    let process = std::fs::read_to_string(&number).unwrap();
    let process = Path::new("/proc").join(process.trim());
    let began = Instant::now();
    drop(client);
    while process.exists() {
        // Its time would be over after ten seconds.
        assert!(began.elapsed() < Duration::from_secs(8), "it ends");
        std::thread::yield_now();
    }
}

#[test]
fn the_server_says_what_it_lacks_for_javascript_and_how_to_build_it() {
    let server = Server::with(&["--mini-node".as_ref(), "/nowhere/mini_node".as_ref()]);
    let about: Value = serde_json::from_str(&server.get("/api/about", "").1).unwrap();
    assert!(about["no_javascript"].as_str().unwrap().contains("cargo build --release"), "{about}");
    let asked = json!({"language": "javascript", "files": {"main.js": ""}}).to_string();
    let (status, why) = server.post("/api/run", "Content-Type: application/json\r\n", &asked);
    assert_eq!(status, 500);
    assert!(why.contains("/nowhere/mini_node") && why.contains("cargo build --release"), "{why}");
    let server = Server::with(&["--mini-node".as_ref(), stand_in("there", "").as_os_str()]);
    let about: Value = serde_json::from_str(&server.get("/api/about", "").1).unwrap();
    assert_eq!(about["no_javascript"], Value::Null);
}

#[test]
fn clients_that_say_nothing_or_go_in_between_are_let_go() {
    let server = Server::start();
    let silent: Vec<_> = (0..80).map(|_| TcpStream::connect(&server.addr).unwrap()).collect();
    drop(silent);
    for _ in 0..20 {
        let mut half = TcpStream::connect(&server.addr).unwrap();
        half.write_all(b"POST /api/run HTTP/1.1\r\nHost: ").unwrap();
    }
    // All of them have gone, so there is room again.
    let until = Instant::now() + Duration::from_secs(30);
    while server.get("/api/about", "").0 != 200 {
        assert!(Instant::now() < until, "it serves again");
    }
}
