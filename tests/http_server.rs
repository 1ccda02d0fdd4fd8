//! The `server` example: the program itself, met by clients with blocking sockets, and the parts of
//! it that turn bytes into values; and `golden_rule`, which measures the same server.
//!
//! No test sleeps: each reads until what it waits for is there, or asks `/metrics` until it says so.

mod common;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The modules that know nothing of sockets.
// Parts of them are for the server alone.
#[allow(dead_code)]
#[path = "../examples/http"]
mod http {
    pub(crate) mod files;
    pub(crate) mod request;
    pub(crate) mod response;
    pub(crate) mod routes;
    mod sums;
}

use common::*;
use http::files::{CHUNK_BYTES, open, open_regular, read_next, relative_path, status_of};
use http::request::{
    BODY_BYTES_MAX, Body, Decoder, HEAD_BYTES_MAX, Head, Method, Request, Step, parse_head,
};
use http::response::Status;
use http::routes::{Place, Route, route};

/// How long a test waits before it says that something is missing.
const PATIENCE: Duration = Duration::from_secs(300);

// ---- the program ----

/// The server as a process of its own, killed when the test ends before it does.
struct Server {
    child: Child,
    addr: SocketAddr,
    /// Kept open, so that the server does not print into a closed pipe.
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    root: Root,
}

/// A directory that is removed at the end of its test.
struct Root(PathBuf);

impl Root {
    fn new() -> Root {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("windlass-http-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("public")).unwrap();
        Root(path)
    }

    /// What is served. Its parent holds what must not be.
    fn public(&self) -> PathBuf {
        self.0.join("public")
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

impl Server {
    fn start(args: &[&str]) -> Server {
        let root = Root::new();
        let mut child = example("server")
            .args(["--addr", "127.0.0.1:0", "--root"])
            .arg(root.public())
            // A slow machine is no idle client. The tests of the limit set their own.
            .args(["--idle-timeout-ms", "600000"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let addr = line.trim_end().strip_prefix("listening on http://");
        let addr = addr.unwrap_or_else(|| panic!("not an address: {line:?}")).parse().unwrap();
        Server { child, addr, stdout, stderr, root }
    }

    fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.addr).unwrap())
    }

    /// Sends one request on a connection of its own.
    fn get(&self, path: &str) -> Response {
        self.connect().get(path)
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    /// Asks for a figure until it is `value`.
    fn wait_for_metric(&self, name: &str, value: f64) {
        let begin = Instant::now();
        while self.metric(name) != value {
            assert!(begin.elapsed() < PATIENCE, "{name} did not become {value}");
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Reads the next line that the server complains with.
    fn complaint(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    /// Waits for the end of the process, and returns how it ended and all it still had to say.
    fn wait(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        self.stdout.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }

    /// The most memory that the process ever had resident, in bytes.
    fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs the program with arguments that it refuses.
fn refused(args: &[&str]) -> Output {
    example("server").args(args).output().unwrap()
}

/// A client with a blocking socket.
struct Client {
    stream: BufReader<TcpStream>,
}

#[derive(Debug)]
struct Response {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Response {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn closes(&self) -> bool {
        self.headers["connection"] == "close"
    }
}

impl Client {
    fn new(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream: BufReader::new(stream) }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
        self
    }

    fn get(&mut self, path: &str) -> Response {
        self.send(get(path)).response()
    }

    /// Reads status line and headers.
    fn head(&mut self) -> Response {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {line:?}"));
        let status = status.parse().unwrap();
        let mut headers = HashMap::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
                None => break,
            };
        }
        Response { status, headers, body: Vec::new() }
    }

    /// Reads an answer with its body.
    fn response(&mut self) -> Response {
        let mut response = self.head();
        response.body.resize(response.headers["content-length"].parse().unwrap(), 0);
        self.stream.read_exact(&mut response.body).unwrap();
        response
    }

    /// Reads to the end of the stream, where the server must have sent nothing more.
    #[track_caller]
    fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

// ---- answers ----

#[test]
fn each_path_answers() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.get("/fast").text(), "fast\n");
    assert_eq!(client.get("/slow?n=20").text(), "fib(20) = 6765\n");
    assert_eq!(client.get("/slow-pool?n=20").text(), "fib(20) = 6765\n");
    assert_eq!(client.get("/slow-inline?n=20").text(), "fib(20) = 6765\n");
    let page = client.get("/");
    assert!(page.headers["content-type"].starts_with("text/html"));
    assert!(page.text().contains("/slow-inline?n="));
    assert_eq!(client.get("/missing").status, 404);
}

#[test]
fn the_printed_commands_name_the_address() {
    let mut server = Server::start(&[]);
    let addr = server.addr;
    server.signal("TERM");
    let mut lines = String::new();
    server.stdout.read_to_string(&mut lines).unwrap();
    assert!(lines.contains(&format!("curl 'http://{addr}/slow?n=40'")), "{lines}");
}

#[test]
fn n_out_of_range_is_400_and_keeps_the_connection() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for n in ["51", "-1", "+1", "x", "", "18446744073709551616", "1&n=2"] {
        let response = client.get(&format!("/slow?n={n}"));
        assert_eq!(response.status, 400, "n={n}");
        assert!(response.text().contains("from 0 to 50"), "n={n}");
    }
    assert_eq!(client.get("/slow?n=0").text(), "fib(0) = 0\n");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(&["--workers", "2"]);
    let mut client = server.connect();
    // The slow ones would be overtaken if order were left to chance.
    let paths = ["/slow?n=24", "/fast", "/slow-pool?n=22", "/missing", "/slow?n=1", "/fast"];
    client.send(paths.map(get).concat());
    let answers = paths.map(|_| client.response().text());
    let starts = ["fib(24)", "fast", "fib(22)", "404", "fib(1)", "fast"];
    for (answer, start) in answers.iter().zip(starts) {
        assert!(answer.starts_with(start), "{answer:?} is not for {start}");
    }
}

#[test]
fn a_thousand_pipelined_requests_are_answered() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send(get("/fast").repeat(1000));
    for _ in 0..1000 {
        assert_eq!(client.response().text(), "fast\n");
    }
}

#[test]
fn head_sends_the_length_but_no_body() {
    let server = Server::start(&[]);
    fs::write(server.root.public().join("a.txt"), "12345").unwrap();
    let mut client = server.connect();
    for (path, length) in [("/fast", "5"), ("/file/a.txt", "5"), ("/slow?n=10", "13")] {
        client.send(get(path).replace("GET", "HEAD"));
        let head = client.head();
        assert_eq!((head.status, head.headers["content-length"].as_str()), (200, length), "{path}");
    }
    assert_eq!(client.get("/fast").text(), "fast\n");
}

#[test]
fn no_answer_to_a_head_has_a_body() {
    let server = Server::start(&["--idle-timeout-ms", "400"]);
    let chunked = "HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases = [
        (400, "HEAD / HTTP/1.1\r\n\r\n".to_owned()),
        (400, format!("{chunked}x")),
        (404, get("/none").replace("GET", "HEAD")),
        (408, "HEAD / HTTP/1.1\r\nHost: a\r\n".to_owned()),
        (408, format!("{chunked}5\r\nhe")),
        (413, chunked.replace("Transfer-Encoding: chunked", "Content-Length: 9999999")),
        (417, chunked.replace("Transfer-Encoding: chunked", "Expect: x")),
        (505, "HEAD / HTTP/3.0\r\n\r\n".to_owned()),
    ];
    for (status, request) in cases {
        let mut client = server.connect();
        let head = client.send(&request).head();
        assert_eq!(head.status, status, "{request:?}");
        assert_ne!(head.headers["content-length"], "0", "{request:?}");
        client.expect_end();
    }
}

#[test]
fn a_head_split_into_single_bytes_is_put_together() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for _ in 0..2 {
        for byte in get("/fast").bytes() {
            client.send([byte]);
        }
        assert_eq!(client.response().text(), "fast\n");
    }
}

#[test]
fn an_oversized_head_is_431_and_closes() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let filler = "a".repeat(HEAD_BYTES_MAX);
    client.send(format!("GET /fast HTTP/1.1\r\nHost: localhost\r\nX-Filler: {filler}\r\n\r\n"));
    let response = client.response();
    assert_eq!((response.status, response.closes()), (431, true));
    client.expect_end();
}

#[test]
fn a_gibibyte_of_head_is_cut_off_early() {
    let server = Server::start(&[]);
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /fast HTTP/1.1\r\nHost: localhost\r\n").unwrap();
    let line = format!("X-Filler: {}\r\n", "a".repeat(8000)).repeat(8);
    let mut sent = 0;
    while sent < 1 << 30 && stream.write_all(line.as_bytes()).is_ok() {
        sent += line.len();
    }
    // What the system buffers on both sides comes on top of what the server reads.
    assert!(sent < 64 << 20, "{sent} bytes were taken");
    // The answer was sent before the connection was broken off.
    let mut answer = [0; 12];
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
    assert!(server.peak_memory() < 64 << 20);
    assert_eq!(server.get("/fast").status, 200);
}

#[test]
fn garbage_is_400_and_closes() {
    let server = Server::start(&[]);
    let garbage: [&[u8]; 6] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /fast\r\n\r\n",
        b"GET /fast HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /fast HTTP/1.1\r\n\r\n",
        b"GET /fast HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /fast HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    for bytes in garbage {
        let mut client = server.connect();
        let response = client.send(bytes).response();
        assert_eq!((response.status, response.closes()), (400, true), "{bytes:?}");
        client.expect_end();
    }
}

#[test]
fn a_body_on_get_is_skipped() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let body = "GET /missing HTTP/1.1\r\n\r\n".repeat(100);
    let length = body.len();
    client.send(format!(
        "GET /fast HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}{}",
        get("/slow?n=5"),
    ));
    assert_eq!(client.response().text(), "fast\n");
    assert_eq!(client.response().text(), "fib(5) = 5\n");

    client.send("GET /fast HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("5;x=y\r\nhello\r\n0\r\nTrailer: z\r\n\r\n").send(get("/slow?n=6"));
    assert_eq!(client.response().text(), "fast\n");
    assert_eq!(client.response().text(), "fib(6) = 8\n");
}

#[test]
fn a_body_beyond_the_limit_is_413() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let length = BODY_BYTES_MAX + 1;
    client.send(format!("GET /fast HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
    assert_eq!(client.response().status, 413);
    client.expect_end();
}

#[test]
fn expect_continue_is_answered_before_the_body() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client
        .send("GET /fast HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().status, 100);
    assert_eq!(client.send("body").response().text(), "fast\n");

    client.send("GET /fast HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n");
    assert_eq!(client.response().status, 417);
    client.expect_end();
}

#[test]
fn other_methods_are_refused() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send("POST /fast HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nx=1");
    let response = client.response();
    assert_eq!((response.status, response.headers["allow"].as_str()), (405, "GET, HEAD"));
    assert_eq!(client.send("BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n").response().status, 501);
    assert_eq!(client.get("/fast").status, 200);
}

#[test]
fn connection_close_and_http_1_0_close() {
    let server = Server::start(&[]);
    let requests = [
        "GET /fast HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /fast HTTP/1.0\r\n\r\n",
    ];
    for request in requests {
        let mut client = server.connect();
        let response = client.send(request).response();
        assert!(response.closes(), "{request}");
        client.expect_end();
    }
    let mut client = server.connect();
    for _ in 0..2 {
        client.send("GET /fast HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert!(!client.response().closes());
    }
}

#[test]
fn a_client_that_closes_its_half_is_still_answered() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send(get("/slow?n=25"));
    client.stream.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.response().text(), "fib(25) = 75025\n");
    client.expect_end();
}

#[test]
fn half_a_request_with_no_more_to_come_is_400() {
    let server = Server::start(&[]);
    let halves = [
        "GET /fast HT",
        "GET /fast HTTP/1.1\r\nHost: a\r\n",
        "POST /fast HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhalf",
        "POST /fast HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n",
    ];
    for half in halves {
        let mut client = server.connect();
        client.send(get("/fast") + half);
        client.stream.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(client.response().text(), "fast\n");
        let response = client.response();
        assert_eq!((response.status, response.closes()), (400, true), "{half:?}");
        client.expect_end();
    }
    // Nothing is no half.
    for nothing in ["", "\r\n"] {
        let mut client = server.connect();
        client.send(nothing).stream.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
        client.expect_end();
    }
}

#[test]
fn half_closed_clients_get_their_answers_whole_and_in_turn() {
    let server = Server::start(&["--workers", "1"]);
    fs::write(server.root.public().join("a"), "a").unwrap();
    let mut first = server.connect();
    first.send(get("/slow?n=50"));
    server.wait_for_metric("workers_busy", 1.0);
    let requests = [
        get("/slow?n=20"),
        get("/slow?n=20").replace("GET", "HEAD"),
        get("/slow?n=20").replace("1.1", "1.0"),
        get("/slow?n=20") + &get("/slow?n=20"),
        get("/slow-pool?n=20"),
        get("/file/a"),
        get("/file/none"),
    ];
    let clients = requests.map(|request| {
        let mut client = server.connect();
        client.send(request);
        client.stream.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
        client
    });
    // Those of the worker wait behind the first, which leaves: its turn is over.
    server.wait_for_metric("workers_queued", 4.0);
    drop(first);
    let answers = clients.map(|mut client| {
        let mut answer = String::new();
        client.stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
        assert_eq!(
            answer.matches("HTTP").count(),
            1 + answer.matches("6765").count() / 2,
            "{answer}"
        );
        answer.split("\r\n\r\n").last().unwrap().to_owned()
    });
    let sum = "fib(20) = 6765\n";
    assert_eq!(answers, [sum, "", sum, sum, sum, "a", "404 Not Found\n"]);
}

#[test]
fn a_client_that_leaves_takes_its_request_with_it() {
    let server = Server::start(&["--workers", "1", "--max-connections", "20"]);
    let leave: [fn(Client); 3] = [
        drop,
        |client| {
            // As a client that is killed with unread bytes, or gives up for good.
            let socket = socket2::SockRef::from(client.stream.get_ref());
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        },
        |mut client| {
            // What nobody has read hides nothing.
            client.send(get("/slow?n=50").repeat(10));
        },
    ];
    let mut last = server.connect();
    // Longer than any test takes, and more than there are places for, all in all.
    for (round, path) in ["/slow?n=50", "/slow-pool?n=50"].repeat(3).into_iter().enumerate() {
        let clients: Vec<_> = (0..15).map(|_| server.connect()).collect();
        for mut client in clients {
            client.send(get(path));
            leave[round % 3](client);
        }
        let begin = Instant::now();
        let idle = ["server_connections 1", "workers_busy 0", "workers_queued 0", "pool_busy 0"];
        let is_idle = |text: &str| idle.iter().all(|line| text.lines().any(|found| found == *line));
        while !is_idle(&last.get("/metrics").text()) {
            assert!(begin.elapsed() < PATIENCE, "{}", last.get("/metrics").text());
        }
    }
    assert_eq!(last.get("/slow?n=20").text(), "fib(20) = 6765\n");
}

#[test]
fn a_stop_does_not_wait_for_clients_that_left() {
    let server = Server::start(&["--workers", "1", "--grace-ms", "60000"]);
    let clients = [(); 5].map(|()| server.connect());
    for mut client in clients {
        client.send(get("/slow?n=50"));
    }
    let mut waiting = server.connect();
    waiting.send(get("/slow?n=50"));
    server.wait_for_metric("workers_busy", 1.0);
    server.signal("TERM");
    // This one leaves while the server stops.
    drop(waiting);
    let (status, said) = server.wait();
    assert!(status.success(), "{status}: {said}");
}

#[test]
fn fast_answers_come_while_a_worker_is_busy() {
    let server = Server::start(&["--workers", "1"]);
    let mut slow = server.connect();
    slow.send(get("/slow?n=50"));
    server.wait_for_metric("workers_busy", 1.0);
    let mut client = server.connect();
    for _ in 0..100 {
        assert_eq!(client.get("/fast").status, 200);
    }
    assert_eq!(server.metric("workers_busy"), 1.0);
}

#[test]
fn metrics_show_loop_pool_and_workers() {
    let server = Server::start(&["--workers", "3"]);
    fs::write(server.root.public().join("a"), "a").unwrap();
    server.get("/slow?n=3");
    server.get("/file/a");
    assert_eq!(server.metric("workers_size"), 3.0);
    assert_eq!(server.metric("workers_completed"), 1.0);
    assert!(server.metric("pool_completed") >= 1.0);
    assert!(server.metric("loop_iterations") > 1.0);
    assert!((0.0..=1.0).contains(&server.metric("loop_utilization")));
}

#[test]
fn stalls_names_what_blocked_the_loop_last_and_keeps_ten() {
    let server = Server::start(&["--stall-ms", "1"]);
    let begin = Instant::now();
    // What is blocked is answered when the watch has seen it, or soon after.
    let named = |line: &str| line.starts_with("TCP stream of examples/http/connection.rs:");
    let mut n = 25;
    while server.get("/stalls").text().lines().filter(|line| named(line)).count() < 10 {
        assert_eq!(server.get(&format!("/slow-inline?n={n}")).status, 200);
        n = 40.min(n + 1);
        assert!(begin.elapsed() < PATIENCE, "{}", server.get("/stalls").text());
    }
    assert_eq!(server.get("/slow-inline?n=35").status, 200);
    assert_eq!(server.get("/stalls").text().lines().count(), 10);
}

#[test]
fn a_limit_of_zero_watches_for_no_stalls() {
    let server = Server::start(&["--stall-ms", "0"]);
    assert_eq!(server.get("/stalls").text(), "nobody watches for stalls\n");
}

// ---- files ----

#[test]
fn files_below_the_root_are_served() {
    let server = Server::start(&[]);
    let root = server.root.public();
    fs::create_dir(root.join("sub dir")).unwrap();
    fs::write(root.join("sub dir/ü.html"), "<p>").unwrap();
    fs::write(root.join("empty"), "").unwrap();
    let mut client = server.connect();
    let response = client.get("/file/sub%20dir/%C3%BC.html?query");
    assert_eq!((response.status, response.text().as_str()), (200, "<p>"));
    assert!(response.headers["content-type"].starts_with("text/html"));
    assert_eq!(client.get("/file/empty").body, b"");
    for path in ["/file/none", "/file/sub%20dir", "/file/", "/file", "/file/empty/none"] {
        assert_eq!(client.get(path).status, 404, "{path}");
    }
}

#[test]
fn nothing_outside_the_root_is_served() {
    let server = Server::start(&[]);
    let root = server.root.public();
    fs::write(server.root.0.join("secret"), "secret").unwrap();
    fs::create_dir(server.root.0.join("public-too")).unwrap();
    fs::write(server.root.0.join("public-too/secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
    std::os::unix::fs::symlink("..", root.join("up")).unwrap();
    std::os::unix::fs::symlink("../public-too", root.join("too")).unwrap();
    fs::write(root.join("inside"), "inside").unwrap();
    std::os::unix::fs::symlink("inside", root.join("good")).unwrap();
    let mut client = server.connect();
    let absolute = format!("/file/{}", server.root.0.join("secret").display());
    let paths = [
        "/file/../secret",
        "/file/%2e%2e/secret",
        "/file/..%2fsecret",
        "/file/%2E%2E%2Fsecret",
        "/file/%252e%252e/secret",
        "/file/up/../secret",
        "/file/link",
        "/file/up/secret",
        "/file/too/secret",
        "/file/..%5csecret",
        "/file//etc/passwd",
        "/file/%2fetc/passwd",
        &absolute,
    ];
    for path in paths {
        let response = client.get(path);
        assert_eq!(response.status, 404, "{path}: {}", response.text());
    }
    for path in ["/file/inside%00", "/file/%", "/file/%4", "/file/%zz"] {
        assert_eq!(client.get(path).status, 400, "{path}");
    }
    assert_eq!(client.get("/file/good").text(), "inside");
}

#[test]
fn what_leads_to_no_file_is_404() {
    use std::os::unix::fs::symlink;
    let server = Server::start(&[]);
    let root = server.root.public();
    fs::write(root.join("file"), "file").unwrap();
    fs::create_dir(root.join("dir")).unwrap();
    symlink("circle", root.join("circle")).unwrap();
    symlink("gone", root.join("dangling")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let mkfifo = Command::new("mkfifo").arg(root.join("fifo")).status().unwrap();
    assert!(mkfifo.success());
    let long = "n".repeat(300);
    let mut client = server.connect();
    for path in [
        "file/", "file//", "file/.", "file/./", "file%2f", "file/x", "file/./x", "dir/", "dir/.",
        "circle", "circle/", "circle/x", "dangling", "socket", "fifo", "fifo/", &long, ".", "",
    ] {
        assert_eq!(client.get(&format!("/file/{path}")).status, 404, "{path}");
    }
    assert_eq!(client.get("/file/./dir/.././file").status, 404);
    assert_eq!(client.get("/file/./file").text(), "file");
}

#[test]
fn only_regular_files_are_opened_and_nobody_is_waited_for() {
    use std::os::unix::fs::symlink;
    let root = Root::new();
    let path = |name: &str| root.public().join(name);
    fs::write(path("file"), "file").unwrap();
    symlink("file", path("link")).unwrap();
    assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    // What was checked a moment before may be any of these by now.
    for name in ["fifo", "link", "socket", ".", "gone"] {
        let error = open_regular(&path(name)).unwrap_err();
        assert_eq!(status_of(&error), Status::NOT_FOUND, "{name}: {error}");
    }
    assert!(open_regular(&path("file")).is_ok());
}

/// Reads an answer that may end with the connection.
fn whole_answer(server: &Server, request: &str) -> (String, Vec<u8>) {
    let mut client = server.connect();
    client.send(request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    let mut answer = Vec::new();
    client.stream.read_to_end(&mut answer).unwrap();
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let body = answer.split_off(head);
    (String::from_utf8(answer).unwrap(), body)
}

#[test]
fn files_that_do_not_know_their_length_come_whole() {
    let mut found = 0;
    for (root, path) in [
        ("/proc", "version"),
        ("/proc", "filesystems"),
        ("/proc", "kallsyms"),
        ("/sys", "devices/system/cpu/possible"),
        ("/sys", "kernel/mm/transparent_hugepage/enabled"),
    ] {
        let Ok(contents) = fs::read(format!("{root}/{path}")) else { continue };
        found += 1;
        let server = Server::start(&["--root", root]);
        let (head, body) = whole_answer(&server, &get(&format!("/file/{path}")));
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
        assert!(body == contents, "{path}: {} of {} bytes", body.len(), contents.len());
        let length = format!("Content-Length: {}\r\n", contents.len());
        // Of more than a chunk the length is not known when the head is sent.
        assert_eq!(head.contains(&length), contents.len() < CHUNK_BYTES, "{path}: {head}");
        let (head_alone, body) =
            whole_answer(&server, &get(&format!("/file/{path}")).replace("GET", "HEAD"));
        // All but the date, which may be a second later.
        let lines =
            |head: &str| head.lines().filter(|l| !l.starts_with("Date")).collect::<String>();
        assert_eq!(lines(&head_alone), lines(&head), "{path}");
        assert!(body.is_empty(), "{path}");
    }
    assert!(found > 0 || !Path::new("/proc/version").exists(), "nothing was tested");
}

#[test]
fn chunks_of_a_file_end_where_it_ends() {
    let root = Root::new();
    let path = root.public().join("file");
    let check = |bytes: usize| {
        fs::write(&path, vec![b'x'; bytes]).unwrap();
        let file = fs::File::open(&path).unwrap();
        // With its length known, and without.
        for mut left in [Some(bytes as u64), None] {
            let mut read = 0;
            while left != Some(0) {
                let (chunk, then) = read_next(&file, read, left).unwrap();
                read += chunk.len() as u64;
                left = then;
            }
            assert_eq!(read, bytes as u64, "{left:?}");
        }
        // It has become shorter.
        let error = read_next(&file, 0, Some(bytes as u64 + 1)).map(|_| ());
        let whole_chunk = bytes >= CHUNK_BYTES;
        assert_eq!(error.is_ok(), whole_chunk, "{bytes} bytes: {error:?}");
    };
    for bytes in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
        check(bytes);
    }
    let opened = open(&fs::canonicalize(root.public()).unwrap(), Path::new("file")).unwrap();
    assert_eq!((opened.len, opened.first.len()), (Some(3 * CHUNK_BYTES as u64), CHUNK_BYTES));
}

#[test]
fn an_unreadable_file_is_403() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start(&[]);
    let path = server.root.public().join("private");
    fs::write(&path, "private").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        eprintln!("not tested: this user may read everything");
        return;
    }
    assert_eq!(server.get("/file/private").status, 403);
}

#[test]
fn a_large_file_comes_whole() {
    let server = Server::start(&[]);
    let contents: Vec<u8> = (0..3_000_017_u32).map(|i| (i ^ (i >> 8)) as u8).collect();
    fs::write(server.root.public().join("large"), &contents).unwrap();
    let mut client = server.connect();
    client.send(get("/file/large")).send(get("/fast"));
    assert!(client.response().body == contents, "the file came out changed");
    assert_eq!(client.response().text(), "fast\n");
}

#[test]
fn a_slow_reader_costs_little_memory_and_delays_nobody() {
    const LENGTH: u64 = 200 << 20;
    let server = Server::start(&[]);
    let file = fs::File::create(server.root.public().join("huge")).unwrap();
    file.set_len(LENGTH).unwrap();
    let mut slow = server.connect();
    slow.send(get("/file/huge")).send(get("/fast"));
    let head = slow.head();
    assert_eq!(head.headers["content-length"], LENGTH.to_string());
    // The client does not read on, and others are served.
    let mut client = server.connect();
    for _ in 0..100 {
        assert_eq!(client.get("/fast").status, 200);
    }
    let body = std::io::copy(&mut slow.stream.by_ref().take(LENGTH), &mut std::io::sink());
    assert_eq!(body.unwrap(), LENGTH);
    assert_eq!(slow.response().text(), "fast\n");
    assert!(server.peak_memory() < 64 << 20, "{} bytes", server.peak_memory());
}

#[test]
fn requests_of_a_client_that_reads_nothing_are_not_read_either() {
    let server = Server::start(&[]);
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.set_nonblocking(true).unwrap();
    // The page is much longer than its request, so that a server that read on would have to keep
    // what the client does not take. A pause without progress means that it has stopped.
    let requests = get("/").repeat(1000);
    let mut sent = 0;
    let mut refused_in_a_row = 0;
    while refused_in_a_row < 200 && sent < 64 << 20 {
        match stream.write(requests.as_bytes()) {
            Ok(count) => {
                sent += count;
                refused_in_a_row = 0;
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                refused_in_a_row += 1;
                assert_eq!(server.get("/fast").status, 200);
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(sent < 64 << 20, "the server has read {sent} bytes of requests");
    assert!(server.peak_memory() < 64 << 20);
}

// ---- limits in time and number ----

#[test]
fn a_client_that_sends_nothing_is_closed() {
    let server = Server::start(&["--idle-timeout-ms", "400"]);
    server.connect().expect_end();
    let mut client = server.connect();
    assert_eq!(client.get("/fast").status, 200);
    client.expect_end();
}

#[test]
fn each_answer_gives_the_client_its_time_anew() {
    const IDLE_TIMEOUT: Duration = Duration::from_millis(2000);
    let server = Server::start(&["--idle-timeout-ms", "2000"]);
    let mut client = server.connect();
    let (begin, mut sent) = (Instant::now(), Instant::now());
    // Longer than the timeout, with never so long between two requests.
    while begin.elapsed() < IDLE_TIMEOUT * 5 / 4 {
        sent = Instant::now();
        assert_eq!(client.get("/fast").status, 200);
    }
    client.expect_end();
    assert!(sent.elapsed() >= IDLE_TIMEOUT, "closed {:?} after a request", sent.elapsed());
}

#[test]
fn half_a_request_is_408() {
    let server = Server::start(&["--idle-timeout-ms", "400"]);
    let halves = ["GET /fast HT", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhalf"];
    for half in halves {
        let mut client = server.connect();
        assert_eq!(client.send(half).response().status, 408, "{half:?}");
        client.expect_end();
    }
}

#[test]
fn a_request_sent_byte_by_byte_does_not_stay_for_ever() {
    let server = Server::start(&["--idle-timeout-ms", "400"]);
    let mut client = server.connect();
    client.send("GET /fast HTTP/1.1\r\nX: ");
    // The wait for an answer spreads the bytes: a few come in each span of the timeout.
    client.stream.get_ref().set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let begin = Instant::now();
    while client.stream.fill_buf().is_err() {
        assert!(begin.elapsed() < PATIENCE, "each byte has bought more time");
        client.send("x");
    }
    assert_eq!(client.response().status, 408);
}

#[test]
fn a_client_that_leaves_its_answer_is_closed() {
    let server = Server::start(&["--idle-timeout-ms", "400"]);
    fs::File::create(server.root.public().join("huge")).unwrap().set_len(1 << 30).unwrap();
    let mut client = server.connect();
    client.send(get("/file/huge"));
    client.head();
    server.wait_for_metric("server_connections", 1.0);
}

#[test]
fn a_client_that_takes_its_answer_slowly_gets_all_of_it() {
    const IDLE_TIMEOUT: Duration = Duration::from_millis(1500);
    const LENGTH: u64 = 50 << 20;
    let server = Server::start(&["--idle-timeout-ms", "1500"]);
    fs::File::create(server.root.public().join("huge")).unwrap().set_len(LENGTH).unwrap();
    let mut client = server.connect();
    client.send(get("/file/huge")).head();
    let begin = Instant::now();
    let mut left = LENGTH;
    // Much less in a span than the system keeps for a client, so that the server writes nothing.
    while begin.elapsed() < IDLE_TIMEOUT * 3 {
        let piece = (&mut client.stream).take(16 * 1024);
        left -= std::io::copy(&mut { piece }, &mut std::io::sink()).unwrap();
        let wait = Instant::now();
        while wait.elapsed() < Duration::from_millis(80) {
            server.get("/fast");
        }
    }
    assert!(LENGTH - left < 2 << 20, "{} bytes were taken, which is not slow", LENGTH - left);
    let rest = std::io::copy(&mut client.stream.by_ref().take(left), &mut std::io::sink());
    assert_eq!(rest.unwrap(), left);
}

#[test]
fn slow_work_is_not_a_slow_client() {
    let server = Server::start(&["--idle-timeout-ms", "200"]);
    let mut client = server.connect();
    // About a second in a debug build, and more than the timeout in any.
    client.send(get("/slow?n=40"));
    assert_eq!(client.response().text(), "fib(40) = 102334155\n");
    client.expect_end();
}

#[test]
fn connections_beyond_the_limit_get_503() {
    let server = Server::start(&["--max-connections", "2"]);
    let mut first = server.connect();
    let mut second = server.connect();
    assert_eq!(first.get("/fast").status, 200);
    assert_eq!(second.get("/fast").status, 200);
    let mut third = server.connect();
    let response = third.response();
    assert_eq!((response.status, response.closes()), (503, true));
    third.expect_end();
    // The place is free when the server has seen the end of the second. The third, which has not
    // closed its half, does not take it.
    drop(second);
    let begin = Instant::now();
    while !first.get("/metrics").text().contains("server_connections 1\n") {
        assert!(begin.elapsed() < PATIENCE);
    }
    assert_eq!(server.get("/fast").status, 200);
    assert_eq!(first.get("/fast").status, 200);
}

#[test]
fn however_many_are_refused_the_places_of_others_stay_free() {
    let server = Server::start(&["--max-connections", "2"]);
    let (mut first, mut second) = (server.connect(), server.connect());
    assert_eq!((first.get("/fast").status, second.get("/fast").status), (200, 200));
    // Those beyond the first 64 are dropped without a word.
    let mut refused: Vec<_> = (0..80).map(|_| server.connect()).collect();
    let mut told = 0;
    for client in &mut refused {
        let mut answer = String::new();
        // To be dropped may be to be reset.
        drop(client.stream.read_to_string(&mut answer));
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503 "), "{answer}");
        told += usize::from(!answer.is_empty());
    }
    assert!(told > 0);
    assert!(first.get("/metrics").text().contains("server_connections 2\n"));
    drop(second);
    let begin = Instant::now();
    while !first.get("/metrics").text().contains("server_connections 1\n") {
        assert!(begin.elapsed() < PATIENCE);
    }
    assert_eq!(server.get("/fast").status, 200);
}

// ---- the end ----

#[test]
fn a_signal_lets_running_requests_finish() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&["--grace-ms", "60000"]);
        let mut idle = server.connect();
        assert_eq!(idle.get("/fast").status, 200);
        let mut slow = server.connect();
        slow.send(get("/slow?n=40")).send(get("/fast"));
        server.wait_for_metric("workers_busy", 1.0);
        server.signal(signal);
        assert!(server.complaint().contains("stopping"));
        idle.expect_end();
        // What is under way is answered, what was pipelined behind it is not.
        let response = slow.response();
        assert_eq!((response.text().as_str(), response.closes()), ("fib(40) = 102334155\n", true));
        slow.expect_end();
        drop(slow);
        let addr = server.addr;
        let (status, said) = server.wait();
        assert!(status.success(), "{status}: {said}");
        assert!(TcpStream::connect(addr).is_err(), "somebody still listens");
    }
}

#[test]
fn a_half_sent_request_is_still_answered_after_the_signal() {
    let mut server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.get("/fast").status, 200);
    let request = get("/fast");
    client.send(&request[..10]);
    // Once this is answered, the half before it has been read.
    server.get("/fast");
    server.signal("TERM");
    assert!(server.complaint().contains("stopping"));
    assert_eq!(client.send(&request[10..]).response().text(), "fast\n");
    client.expect_end();
    drop(client);
    assert!(server.wait().0.success());
}

#[test]
fn requests_that_take_too_long_are_cut_off() {
    let server = Server::start(&["--grace-ms", "100"]);
    let mut slow = server.connect();
    slow.send(get("/slow?n=50"));
    server.wait_for_metric("workers_busy", 1.0);
    server.signal("TERM");
    slow.expect_end();
    let (status, said) = server.wait();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("1 connections were cut off"), "{said}");
    let late = said.lines().filter(|line| line.contains("late: "));
    assert!(
        late.clone().any(|line| line.contains("worker made at") && line.contains("server.rs:")),
        "{said}"
    );
}

#[test]
fn a_file_under_way_is_sent_to_its_end_after_the_signal() {
    let mut server = Server::start(&["--grace-ms", "60000"]);
    // More than the sockets hold, so that the server has jobs to do for it after the signal.
    let bytes = vec![b'x'; 24 << 20];
    fs::write(server.root.public().join("large"), &bytes).unwrap();
    let mut client = server.connect();
    let head = client.send(get("/file/large")).head();
    assert_eq!(head.status, 200);
    server.signal("TERM");
    assert!(server.complaint().contains("stopping"));
    let mut body = Vec::new();
    client.stream.read_to_end(&mut body).unwrap();
    assert!(body == bytes, "{} of {} bytes", body.len(), bytes.len());
    drop(client);
    let (status, said) = server.wait();
    assert!(status.success(), "{status}: {said}");
    assert!(!said.contains("late"), "{said}");
}

#[test]
fn an_answer_that_is_not_taken_yet_survives_the_end_and_a_request_behind_it() {
    let mut server = Server::start(&["--grace-ms", "600000"]);
    // What the client leaves untaken fits into what the system keeps for the server, and not into
    // what it keeps for the client.
    const UNTAKEN: usize = 256 << 10;
    let bytes = vec![b'x'; 16 << 20];
    fs::write(server.root.public().join("large"), &bytes).unwrap();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(8 << 10).unwrap();
    socket.connect(&server.addr.into()).unwrap();
    let mut client = Client::new(socket.into());
    client.send(get("/file/large")).head();
    // The server writes, and does not read this.
    client.send(get("/fast"));
    server.signal("TERM");
    assert!(server.complaint().contains("stopping"));
    let mut body = vec![0; bytes.len() - UNTAKEN];
    client.stream.read_exact(&mut body).unwrap();
    assert!(server.child.wait().unwrap().success());
    client.stream.read_to_end(&mut body).unwrap();
    assert!(body == bytes, "{} of {} bytes", body.len(), bytes.len());
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut server = Server::start(&["--grace-ms", "60000"]);
    let mut slow = server.connect();
    slow.send(get("/slow?n=50"));
    server.wait_for_metric("workers_busy", 1.0);
    server.signal("INT");
    assert!(server.complaint().contains("stopping"));
    server.signal("TERM");
    let (status, said) = server.wait();
    assert_eq!(status.code(), Some(143), "{said}");
}

// ---- arguments ----

#[test]
fn help_is_printed_and_is_no_failure() {
    let output = refused(&["--help"]);
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("--addr ADDRESS:PORT"));
}

#[test]
fn bad_arguments_get_one_clear_line() {
    let cases: [(&[&str], &str); 8] = [
        (&["--addr", "127.0.0.1:65536"], "port 65536 is out of range"),
        (&["--addr", "localhost:80"], "wants an address and a port"),
        (&["--addr", "127.0.0.1"], "wants an address and a port"),
        (&["--addr"], "--addr wants a value"),
        (&["--workers", "0"], "--workers wants a number from 1"),
        (&["--workers=many"], "--workers wants a number from 1"),
        (&["--colour"], "there is no option --colour"),
        (&["file"], "there is no option file"),
    ];
    for (args, complaint) in cases {
        let output = refused(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(said.contains(complaint) && said.lines().count() == 1, "{args:?}: {said}");
    }
}

#[test]
fn what_cannot_be_used_gets_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let cases: [(&[&str], &str); 3] = [
        (&["--addr", &addr], "cannot listen on 127.0.0.1:"),
        (&["--addr", "127.0.0.1:0", "--root", "/no/such"], "cannot read the root \"/no/such\""),
        (&["--addr", "127.0.0.1:0", "--root", "/dev/null"], "cannot read the root"),
    ];
    for (args, complaint) in cases {
        let output = refused(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains(complaint) && said.lines().count() == 1, "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?} printed an address");
    }
}

// ---- the golden rule ----

#[test]
fn golden_rule_measures_idle_loop_pool_and_worker() {
    let output = example("golden_rule").args(["--n", "35", "--seconds", "0.2"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let starts =
        ["idle ", "on the loop ", "on the pool ", "in a worker ", "the p99 with workers is "];
    for start in starts {
        assert!(printed.lines().any(|line| line.starts_with(start)), "no {start:?} in {printed}");
    }
    // The line that registered the callback in which the sums were computed.
    let (_, stalls) = printed.split_once("on the loop, callbacks of over 5000 us").unwrap();
    assert!(stalls.contains("\nTCP stream of examples/http/connection.rs:"), "{printed}");
}

// ---- the parts that turn bytes into values ----

/// Feeds a decoder with `bytes` in pieces of `size`, and returns its steps other than `NeedMore`.
fn decode(bytes: &[u8], size: usize) -> Vec<Step<'_>> {
    let mut decoder = Decoder::default();
    let mut steps = Vec::new();
    let (mut start, mut end) = (0, 0);
    for piece in bytes.chunks(size) {
        end += piece.len();
        loop {
            let (used, step) = decoder.next(&bytes[start..end]);
            start += used;
            match step {
                Step::NeedMore => break,
                Step::Bad(_) => {
                    steps.push(step);
                    return steps;
                }
                step => steps.push(step),
            }
        }
    }
    steps
}

fn request(target: &str) -> Request<'static> {
    match parse_head(get(target).as_bytes()) {
        Head::Request(request, _) => request.kept(),
        head => panic!("{head:?}"),
    }
}

#[test]
fn a_head_needs_more_until_its_blank_line() {
    let bytes = get("/fast");
    for len in 0..bytes.len() {
        assert_eq!(parse_head(&bytes.as_bytes()[..len]), Head::NeedMore, "{len} bytes");
    }
    let request = Request {
        method: Method::Get,
        target: "/fast".into(),
        keep_alive: true,
        expects_continue: false,
        body: Body::Length(0),
    };
    assert_eq!(parse_head(bytes.as_bytes()), Head::Request(request, bytes.len()));
}

#[test]
fn the_longest_head_is_taken_and_one_byte_more_is_not() {
    let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    let fill = |total: usize| format!("{start}{}\r\n\r\n", "x".repeat(total - start.len() - 4));
    assert!(matches!(parse_head(fill(HEAD_BYTES_MAX).as_bytes()), Head::Request(..)));
    let longer = fill(HEAD_BYTES_MAX + 1);
    assert_eq!(parse_head(longer.as_bytes()), Head::Bad(Status::HEAD_TOO_LARGE));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200));
    assert_eq!(parse_head(many.as_bytes()), Head::Bad(Status::HEAD_TOO_LARGE));
}

#[test]
fn heads_that_cannot_be_trusted_are_refused() {
    let cases = [
        ("GET / HTTP/2.0\r\n\r\n", Status::VERSION_NOT_SUPPORTED),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Status::VERSION_NOT_SUPPORTED),
        ("GARBAGE GARBAGE GARBAGE\r\n\r\n", Status::BAD_REQUEST),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", Status::BAD_REQUEST),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", Status::BAD_REQUEST),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
            Status::BAD_REQUEST,
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", Status::NOT_IMPLEMENTED),
        ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Status::BAD_REQUEST),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Status::BAD_REQUEST),
    ];
    for (head, status) in cases {
        assert_eq!(parse_head(head.as_bytes()), Head::Bad(status), "{head:?}");
    }
}

#[test]
fn the_size_of_the_pieces_changes_nothing() {
    let bytes = [
        "\r\n\r\n",
        &get("/1"),
        "GET /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n\r\n\r\nabc",
        "GET /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "a\r\n0123456789\r\n00\r\nA: b\r\nC: d\r\n\r\n",
        &get("/4"),
        "bad \x01",
    ]
    .concat();
    let whole = decode(bytes.as_bytes(), usize::MAX);
    let targets: Vec<_> = whole
        .iter()
        .map(|step| match step {
            Step::Request(request) => request.target.as_ref(),
            Step::Bad(Status::BAD_REQUEST) => "bad",
            step => panic!("{step:?}"),
        })
        .collect();
    assert_eq!(targets, ["/1", "/2", "/3", "/4", "bad"]);
    // Garbage is found when a head has doubled at the latest; let it.
    let padded = format!("{bytes}{}", "\x01".repeat(20));
    for size in 1..bytes.len() {
        assert_eq!(decode(padded.as_bytes(), size), whole, "pieces of {size}");
    }
}

/// A head in front of chunks.
const CHUNKED: &str = "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// How a request of these bytes ends, however they are cut: taken, or refused with a status.
#[track_caller]
fn verdict(bytes: &[u8]) -> Result<(), Status> {
    let mut padded = bytes.to_vec();
    // Garbage is found when a head has doubled at the latest; let it.
    padded.resize(2 * bytes.len(), b'x');
    let first = |size| match decode(&padded, size).first() {
        Some(Step::Request(_)) => Ok(()),
        Some(Step::Bad(status)) => Err(*status),
        other => panic!("{other:?} for {:?}", String::from_utf8_lossy(bytes)),
    };
    let whole = first(usize::MAX);
    for size in 1..bytes.len() {
        assert_eq!(first(size), whole, "pieces of {size}: {:?}", String::from_utf8_lossy(bytes));
    }
    whole
}

#[test]
fn trailers_are_as_strict_as_in_node() {
    let good: [&[u8]; 8] = [
        b"",
        b"A: b\r\n",
        b"A: b\r\nC:d\r\n",
        b"A:\r\n",
        b"A: \t\r\n",
        b"A: \x80\xff\r\n",
        b"Content-Lengthy: 5\r\nHost: x\r\n",
        b"Connection: close\r\n",
    ];
    let bad: [&[u8]; 20] = [
        b"A: b\n",
        b"A: b\nC: d\r\n",
        b"A: b\rC: d\r\n",
        b"A: b\r\r\n",
        b"A: b\0\r\n",
        b"A\0: b\r\n",
        b"A: \x01\r\n",
        b"A: \x7f\r\n",
        b"no colon\r\n",
        b"Content-Length\r\n",
        b": b\r\n",
        b"A : b\r\n",
        b" A: b\r\n",
        b"A: b\r\n folded\r\n",
        b"A(: b\r\n",
        b"A\x80: b\r\n",
        b"Content-Length: 5\r\n",
        b"A: b\r\ncontent-LENGTH:\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"\rX",
    ];
    let with = |trailers: &[u8], end: &[u8]| {
        verdict(&[CHUNKED.as_bytes(), b"0\r\n", trailers, end].concat())
    };
    for trailers in good {
        assert_eq!(with(trailers, b"\r\n"), Ok(()), "{:?}", String::from_utf8_lossy(trailers));
    }
    for trailers in bad {
        let refused = with(trailers, b"\r\n");
        assert_eq!(refused, Err(Status::BAD_REQUEST), "{:?}", String::from_utf8_lossy(trailers));
    }
    // The last line feed too follows a carriage return.
    assert_eq!(with(b"", b"\n"), Err(Status::BAD_REQUEST));
    assert_eq!(with(b"A: b\r\n", b"\n"), Err(Status::BAD_REQUEST));
    let endless = [CHUNKED, "0\r\nA: ", &"x".repeat(HEAD_BYTES_MAX)].concat();
    assert_eq!(decode(endless.as_bytes(), 1000), [Step::Bad(Status::HEAD_TOO_LARGE)]);
}

#[test]
fn chunk_lines_are_as_strict_as_in_node() {
    let good: [&[u8]; 15] = [
        b"1",
        b"01",
        b"00000000000000000000000000001",
        b"1;a",
        b"1;a=b",
        b"1;a=b;c",
        b"1;a=\"b c\"",
        b"1;a=\"b\tc\"",
        b"1;a=\"\\\"\"",
        b"1;a=\"\xff\"",
        b"1;a=\"b\";c",
        b"1;a=b\"c\"",
        b"1;=",
        b"1;;a",
        b"1;!#$%&'*+-.^_`|~=1",
    ];
    let bad: [&[u8]; 40] = [
        b"",
        b"1 zz",
        b"1 1",
        b"1 ",
        b"1\t",
        b" 1",
        b"+1",
        b"0x1",
        b"1\r",
        b"fffffffffffffffff",
        b"1 ;a",
        b"1; a",
        b"1;",
        b"1;;",
        b"1; ",
        b"1;\t",
        b"1;a ",
        b"1;a b",
        b"1;a\tb",
        b"1;a;",
        b"1;a=b ",
        b"1;a= b",
        b"1;a=b=c",
        b"1;a=@",
        b"1;/",
        b"1;\0",
        b"1;a\0b",
        b"1;a=\0",
        b"1;a=\"\0\"",
        b"1;a=\"\\\x01\"",
        b"1;a=\"\x7f\"",
        b"1;a=\"",
        b"1;a=\"b\"c",
        b"1;a=\"b\" ",
        b"1;a=\"b\";",
        b"1;a=\"b\rc\"",
        b"1;\x80",
        b"1;a=\x80",
        b"1;a\rb",
        b"1;\"a\"",
    ];
    let with = |line: &[u8], end: &[u8]| {
        verdict(&[CHUNKED.as_bytes(), line, end, b"a\r\n0\r\n\r\n"].concat())
    };
    for line in good {
        assert_eq!(with(line, b"\r\n"), Ok(()), "{:?}", String::from_utf8_lossy(line));
        let refused = with(line, b"\n");
        assert_eq!(refused, Err(Status::BAD_REQUEST), "{:?}\\n", String::from_utf8_lossy(line));
    }
    for line in bad {
        let refused = with(line, b"\r\n");
        assert_eq!(refused, Err(Status::BAD_REQUEST), "{:?}", String::from_utf8_lossy(line));
    }
}

#[test]
fn heads_are_as_strict_as_trailers() {
    for head in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\0c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\rX",
        "GET / HTTP/3.0\n\n",
        "GET / HTTP/2.0\rX\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.11\r\n\r\n",
    ] {
        assert_eq!(verdict(head.as_bytes()), Err(Status::BAD_REQUEST), "{head:?}");
    }
    // Blank lines in front are no part of it.
    assert_eq!(verdict(b"\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(()));
}

#[test]
fn another_version_is_505_however_it_is_cut() {
    for line in ["PRI * HTTP/2.0", "GET / HTTP/0.9", "GET / HTTP/1.2", "BREW x HTTP/9.9"] {
        let head = format!("{line}\r\n\r\nSM\r\n\r\n");
        assert_eq!(verdict(head.as_bytes()), Err(Status::VERSION_NOT_SUPPORTED), "{line}");
    }
}

#[test]
fn what_is_no_target_is_refused() {
    for target in [
        "fast",
        "?x",
        "#x",
        "http:/fast",
        "://a/fast",
        "1://a",
        "http://a#/fast",
        "/\u{e4}",
        "/?\u{e4}",
    ] {
        let head = get(target);
        assert_eq!(verdict(head.as_bytes()), Err(Status::BAD_REQUEST), "{target}");
    }
    // Also that of a tunnel, which may be a name alone.
    let tunnel = get("\u{e4}:80").replace("GET", "CONNECT");
    assert_eq!(verdict(tunnel.as_bytes()), Err(Status::BAD_REQUEST));
    for target in ["/", "*", "//", "http://a", "http://u:p@[::1]:80/?", "https://a/b"] {
        assert_eq!(verdict(get(target).as_bytes()), Ok(()), "{target}");
    }
}

#[test]
fn what_names_no_host_is_refused() {
    let good =
        ["a", "a.b", "a_b", "a:80", "a:", "192.0.2.1:8080", "[::1]", "[fe80::1%25lo]:80", "%41"];
    let bad = [
        "a b", "a\tb", "a/b", "a?b", "a#b", "a@b", "http://a", "a, b", "a:b", "a:80:80", ":80",
        ":", "[", "]", "[]", "[::1", "::1", "[::1]a", "[::1]:x", "[a b]", "a[", "a\\b", "a^",
        "\"a\"", "<a>", "\u{e4}",
    ];
    let with_host = |host: &str, version| format!("GET / HTTP/{version}\r\nHost: {host}\r\n\r\n");
    for version in ["1.0", "1.1"] {
        for host in good {
            assert_eq!(verdict(with_host(host, version).as_bytes()), Ok(()), "{host}");
        }
        // Who asks for a target without a host says so.
        assert_eq!(verdict(with_host("", version).as_bytes()), Ok(()));
        for host in bad {
            let head = with_host(host, version);
            assert_eq!(verdict(head.as_bytes()), Err(Status::BAD_REQUEST), "{host}");
        }
    }
    // And in a target with all that is in front of its path.
    for host in good {
        for target in
            [format!("http://{host}/"), format!("https://{host}"), format!("http://u:p@{host}?")]
        {
            assert_eq!(verdict(get(&target).as_bytes()), Ok(()), "{target}");
        }
    }
    for host in bad.into_iter().filter(|host| !host.contains(['/', '?', '@'])) {
        let head = get(&format!("http://{host}/fast"));
        assert_eq!(verdict(head.as_bytes()), Err(Status::BAD_REQUEST), "{host}");
    }
    for target in ["http://", "http:///fast", "http://?x=/fast", "HTTP://@/fast", "http://u@v@a/"] {
        assert_eq!(verdict(get(target).as_bytes()), Err(Status::BAD_REQUEST), "{target}");
    }
}

#[test]
fn a_body_whose_end_nobody_can_tell_is_refused() {
    let verdict_of = |codings: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {codings}\r\n\r\n");
        verdict(format!("{head}1\r\na\r\n0\r\n\r\n").as_bytes())
    };
    const AND: &str = "\r\nTransfer-Encoding: ";
    for codings in ["chunked", "CHUNKED", "\tchunked ", ",chunked", &format!(",{AND}chunked")] {
        assert_eq!(verdict_of(codings), Ok(()), "{codings:?}");
    }
    for codings in ["gzip", "identity", "xchunked", "chunked;q=1", "gzip, chunked", "chunke"] {
        assert_eq!(verdict_of(codings), Err(Status::NOT_IMPLEMENTED), "{codings:?}");
        let in_two = codings.replace(", ", AND);
        assert_eq!(verdict_of(&in_two), Err(Status::NOT_IMPLEMENTED), "{in_two:?}");
    }
    for codings in
        ["chunked, identity", "chunked, gzip", "chunked, chunked", "chunked,", "", ",", " "]
    {
        assert_eq!(verdict_of(codings), Err(Status::BAD_REQUEST), "{codings:?}");
        let in_two = codings.replace(',', AND);
        assert_eq!(verdict_of(&in_two), Err(Status::BAD_REQUEST), "{in_two:?}");
    }
}

#[test]
fn expectations_are_a_list() {
    let with = |expect: &str| format!("GET / HTTP/1.1\r\nHost: a\r\nExpect: {expect}\r\n\r\n");
    let expects = |expect: &str| match parse_head(with(expect).as_bytes()) {
        Head::Request(request, _) => Ok(request.expects_continue),
        Head::Bad(status) => Err(status),
        Head::NeedMore => panic!("{expect}"),
    };
    for expect in ["100-continue", "100-CONTINUE,", ", 100-continue", "100-continue, 100-continue"]
    {
        assert_eq!(expects(expect), Ok(true), "{expect:?}");
    }
    for expect in ["", ",", " , "] {
        assert_eq!(expects(expect), Ok(false), "{expect:?}");
    }
    for expect in ["x", "100-continue, x", "x, 100-continue", "100-continuex", "100-continue;q=1"] {
        assert_eq!(expects(expect), Err(Status::EXPECTATION_FAILED), "{expect:?}");
    }
}

#[test]
fn nothing_behind_a_connect_is_a_body_or_a_request() {
    let tunnelled = "Content-Length: 100\r\n\r\nGET /fast HTTP/1.1\r\nHost: a\r\n\r\n";
    let bytes = format!("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n{tunnelled}");
    match &decode(bytes.as_bytes(), usize::MAX)[0] {
        Step::Request(request) => {
            assert_eq!((request.method, request.keep_alive), (Method::NotAllowed, false));
        }
        step => panic!("{step:?}"),
    }
    let server = Server::start(&[]);
    let mut client = server.connect();
    let response = client.send(bytes).response();
    assert_eq!((response.status, response.closes()), (405, true));
    client.expect_end();
}

#[test]
fn broken_chunks_are_refused() {
    let head = CHUNKED;
    let bodies =
        ["x\r\n", "\r\n", ";\r\n", "1\r\nab\r\n", "1\nab", "1;a\nb", "1234567890abcdef0\r\n"];
    for body in bodies {
        let bytes = format!("{head}{body}");
        assert_eq!(decode(bytes.as_bytes(), 1), [Step::Bad(Status::BAD_REQUEST)], "{body:?}");
    }
    let endless = format!("{head}{}", "1\r\na\r\n".repeat(BODY_BYTES_MAX as usize / 6 + 1));
    let steps = decode(endless.as_bytes(), 4096);
    assert_eq!(steps, [Step::Bad(Status::CONTENT_TOO_LARGE)]);
}

#[test]
fn targets_become_routes() {
    assert_eq!(route(&request("/slow?n=7")), Route::Slow(Place::Worker, 7));
    assert_eq!(route(&request("/slow")), Route::Slow(Place::Worker, 40));
    assert_eq!(route(&request("/slow-pool?a=b&n=50")), Route::Slow(Place::Pool, 50));
    assert_eq!(route(&request("/slow-inline?n=007")), Route::Slow(Place::Loop, 7));
    assert_eq!(route(&request("http://example.org/metrics")), Route::Metrics);
    assert_eq!(route(&request("HTTP://example.org:80/slow?n=3")), Route::Slow(Place::Worker, 3));
    // Only what stands behind the host is a path.
    for target in ["http://evil?x=/fast", "http://evil?/metrics", "http://evil/?/fast"] {
        assert_eq!(route(&request(target)), route(&request("/")), "{target}");
    }
    assert_eq!(route(&request("/file/a/b%20c?d")), Route::File("a/b c".into()));
    assert!(matches!(route(&request("http://example.org")), Route::Answer(page)
        if page.status == Status::OK));
}

#[test]
fn paths_are_decoded_once_and_lead_downwards() {
    assert_eq!(relative_path("a//./b"), Ok("a/b".into()));
    assert_eq!(relative_path("%61%2Fb"), Ok("a/b".into()));
    assert_eq!(relative_path("%252e%252e"), Ok("%2e%2e".into()));
    assert_eq!(relative_path("/etc/passwd"), Ok("etc/passwd".into()));
    assert_eq!(relative_path("a/../b"), Err(Status::NOT_FOUND));
    assert_eq!(relative_path("%2e%2E"), Err(Status::NOT_FOUND));
    assert_eq!(relative_path("a%"), Err(Status::BAD_REQUEST));
    assert_eq!(relative_path("a%00"), Err(Status::BAD_REQUEST));
}
