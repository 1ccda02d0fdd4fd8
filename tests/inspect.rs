//! `inspect`: the view of a program that runs, met by clients with blocking sockets.
//!
//! No test sleeps: each reads until what it waits for is there.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use windlass::inspect::{self, Inspector};
use windlass::observe::{Label, callback_id, labelled};
use windlass::worker::Worker;
use windlass::{Loop, Pool, Remote};

use common::*;

// ---- clients ----

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    stream
}

/// Sends these bytes, and reads all of the answer.
fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = connect(address);
    // One that is refused early is perhaps closed before all of it has gone out.
    stream.write_all(request).unwrap_or_default();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap_or_default();
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

fn get(address: SocketAddr, path: &str) -> String {
    ask(address, request(path, "").as_bytes())
}

/// The code of an answer, 0 for none.
fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).map_or(0, |code| code.parse().unwrap())
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

/// A stream of events that is read.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(address: SocketAddr, path: &str) -> Stream {
        let mut stream = connect(address);
        stream.write_all(request(path, "").as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"), "{head}");
        Stream(stream)
    }

    /// The next message: its name, and its lines. None at the end.
    fn next(&mut self) -> Option<(String, Vec<Value>)> {
        let (mut name, mut lines) = (String::new(), Vec::new());
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap_or_default();
            if !line.ends_with('\n') {
                return None; // Perhaps it was cut off within a line.
            }
            if let Some(data) = line.strip_prefix("data: ") {
                lines.push(serde_json::from_str(data).expect(data));
            } else if let Some(text) = line.strip_prefix("event: ") {
                name = text.trim_end().to_owned();
            } else if !lines.is_empty() {
                return Some((name, lines));
            }
        }
    }

    /// Reads until a line is there for which `f` is true.
    fn find(&mut self, mut f: impl FnMut(&Value) -> bool) -> Value {
        loop {
            let (_, lines) = self.next().expect("the stream goes on");
            if let Some(line) = lines.into_iter().find(|line| f(line)) {
                return line;
            }
        }
    }
}

fn is(line: &Value, what: &str) -> bool {
    line["what"] == what
}

/// What a summary says of a loop that is blocked by this kind of callback. On a busy machine others
/// may take long too.
fn blocked_by(line: &Value, kind: &str) -> Option<Value> {
    line["blocked"].as_array()?.iter().find(|blocked| blocked["kind"] == kind).cloned()
}

// ---- programs ----

/// A program on a thread of its own, which lives until it is dropped.
struct Program {
    remote: Remote,
    thread: Option<JoinHandle<()>>,
}

impl Program {
    fn start(main: impl FnOnce() + Send + 'static) -> Program {
        let (tell, told) = channel();
        let thread = thread::spawn(move || {
            windlass::run(move || {
                std::mem::forget(Loop::current().keep_alive());
                main();
                tell.send(Loop::current().remote()).unwrap();
            });
        });
        Program { remote: told.recv().unwrap(), thread: Some(thread) }
    }

    /// Has this called on the loop.
    fn post(&self, f: impl FnOnce() + Send + 'static) {
        self.remote.post(f).unwrap();
    }

    /// The same, and waits for what comes of it.
    fn call<R: Send + 'static>(&self, f: impl FnOnce() -> R + Send + 'static) -> R {
        let (tell, told) = channel();
        self.post(move || tell.send(f()).unwrap());
        told.recv().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.post(|| windlass::exit(0));
        self.thread.take().unwrap().join().unwrap();
    }
}

fn view() -> (Inspector, SocketAddr) {
    let view = inspect::listen("127.0.0.1:0").unwrap();
    let address = view.local_addr();
    (view, address)
}

/// An immediate again and again.
fn keep_busy() {
    windlass::set_immediate(keep_busy);
}

/// Blocks its thread until the sender says so or is dropped.
fn gate() -> (Sender<()>, Receiver<()>) {
    channel()
}

// ---- what is served ----

#[test]
fn the_page_and_what_the_program_is_are_served() {
    let _alone = alone();
    let (_view, address) = view();
    let page = get(address, "/");
    assert_eq!(status(&page), 200);
    assert!(page.contains("Content-Type: text/html") && body(&page).starts_with("<!doctype html>"));
    assert!(page.contains("Content-Security-Policy: default-src 'none'; script-src 'self'"));
    assert_eq!(body(&get(address, "/page/index.html?x=1")), body(&page));
    let about: Value = serde_json::from_str(body(&get(address, "/api/about"))).unwrap();
    assert_eq!(
        (&about["mode"], &about["version"]),
        (&"live".into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert_eq!(about["program"]["pid"], std::process::id());
    assert!(about["program"]["name"].as_str().unwrap().starts_with("inspect"));
}

#[test]
fn one_who_comes_late_is_told_all_that_a_sleeping_loop_holds() {
    let _alone = alone();
    let (_view, address) = view();
    let program = Program::start(|| {
        windlass::set_timeout(Duration::from_secs(3600), || ());
    });
    let mut events = Stream::open(address, "/api/events");
    let (_, first) = events.next().unwrap();
    assert!(is(&first[0], "meta") && first[0]["program"]["pid"] == std::process::id());
    let (mut is_whole, mut armed) = (Vec::new(), None);
    while armed.is_none() {
        for line in events.next().unwrap().1 {
            let track = line["track"].as_u64().unwrap();
            match line["what"].as_str().unwrap() {
                "all" => is_whole.push(track),
                "armed" => armed = Some((track, line["delay"].clone())),
                _ => {}
            }
        }
    }
    let (track, delay) = armed.unwrap();
    assert!(is_whole.contains(&track) && delay == 3_600_000_000_000_u64);
    // From here on it hears what is done, in order.
    program.post(|| {
        windlass::set_immediate(|| windlass::next_tick(|| ()));
    });
    let mut kinds = Vec::new();
    while kinds.len() < 3 {
        let (_, lines) = events.next().unwrap();
        let began = lines.iter().filter(|line| is(line, "began") && line["track"] == track);
        kinds.extend(began.map(|line| line["kind"].as_str().unwrap().to_owned()));
    }
    assert_eq!(kinds, ["post", "immediate", "tick"]);
}

#[test]
fn a_worker_that_comes_later_is_shown_from_its_start_and_the_view_itself_never() {
    let _alone = alone();
    let (_view, address) = view();
    let program = Program::start(|| ());
    let mut events = Stream::open(address, "/api/events");
    let mut names = Vec::new();
    program.post(|| {
        let worker = Worker::<(), ()>::builder().name("late");
        let worker = worker.spawn(|_| {
            windlass::set_timeout(Duration::from_millis(1), || ());
        });
        worker.unwrap();
    });
    let mut track = Value::Null;
    events.find(|line| {
        if is(line, "track") {
            names.push(line["name"].as_str().unwrap().to_owned());
            if line["name"] == "late" {
                track = line["number"].clone();
            }
        }
        is(line, "armed") && line["track"] == track
    });
    assert!(!names.contains(&"inspect".to_owned()), "{names:?}");
}

#[test]
fn one_who_comes_late_is_told_whose_a_worker_is_and_what_each_port_receives() {
    let _alone = alone();
    let (_view, address) = view();
    let (tell, told) = channel();
    let program = Program::start(|| ());
    program.post(move || {
        let worker = Worker::<(), ()>::builder().name("early");
        let worker = worker.spawn(move |port| {
            port.on_message(|()| ());
            tell.send(()).unwrap();
        });
        std::mem::forget(worker.unwrap());
    });
    told.recv().unwrap();
    let mut events = Stream::open(address, "/api/events");
    let (mut tracks, mut spawned, mut online, mut ports) = (Vec::new(), None, None, Vec::new());
    let mut is_first = true;
    while spawned.is_none() || online.is_none() || ports.len() < 2 {
        for line in events.next().unwrap().1 {
            if std::mem::take(&mut is_first) {
                let words = line["statements"]["O-1"].as_str().expect("the statements");
                assert!(words.starts_with("The main script runs first"), "{words}");
            }
            let track = line["track"].as_u64();
            match line["what"].as_str().unwrap() {
                "track" => tracks.push((track, line["name"].as_str().unwrap().to_owned())),
                "spawned" => spawned = Some((track, line["worker"].clone())),
                "online" => online = Some((track, line["worker"].clone())),
                "receives" => ports.push(track),
                _ => {}
            }
        }
    }
    let name = |track| &tracks.iter().find(|(number, _)| *number == track).unwrap().1;
    let ((parent, number), (own, same)) = (spawned.unwrap(), online.unwrap());
    assert_eq!(number, same);
    assert_eq!((name(parent).as_str(), name(own).as_str()), ("main", "early"));
    // The messages of the worker come to its parent, and those of the parent to the worker.
    assert!(ports.contains(&parent) && ports.contains(&own), "{ports:?}");
}

#[test]
fn a_program_that_says_more_than_is_taken_is_shown_in_windows_without_a_hole() {
    let _alone = alone();
    let (_view, address) = view();
    let _program = Program::start(keep_busy);
    let mut events = Stream::open(address, "/api/events");
    let (mut lost, mut whole, mut expected) = (0, false, None);
    // What waits among the immediates, by what is told: one at each moment, in each window.
    while lost < 3 {
        for line in events.next().unwrap().1 {
            match line["what"].as_str().unwrap() {
                "lost" => {
                    assert!(line["count"].as_u64().unwrap() > 0);
                    (lost, whole) = (lost + 1, false);
                }
                "all" => (whole, expected) = (true, None),
                "iteration" if whole => {
                    let number = line["number"].as_u64().unwrap();
                    assert!(expected.is_none_or(|expected| expected == number), "{line}");
                    expected = Some(number + 1);
                }
                _ => {}
            }
        }
    }
}

// ---- the summary ----

#[test]
fn the_callback_that_blocks_a_loop_is_named_while_it_does_and_not_after() {
    let _alone = alone();
    let (_view, address) = view();
    let program = Program::start(|| ());
    let mut summary = Stream::open(address, "/api/summary");
    assert_eq!(summary.next().unwrap().0, "summary");
    let (open, closed) = gate();
    let line = program.call(move || {
        windlass::set_immediate(move || closed.recv().unwrap_or_default());
        line!() - 1
    });
    let seen = summary.find(|line| blocked_by(line, "immediate").is_some());
    let blocked = blocked_by(&seen, "immediate").unwrap();
    assert_eq!(blocked["phase"], "check");
    let place = blocked["place"].as_str().unwrap();
    assert!(place.starts_with(&format!("{}:{line}:", file!())), "{place}");
    assert!(blocked["took"].as_u64().unwrap() >= 50_000_000);
    drop(open);
    let seen = summary.find(|line| {
        let longest = line["longest"].as_array().unwrap();
        line["blocked"] == serde_json::json!([]) && longest.iter().any(|it| it["place"] == place)
    });
    assert!(seen["longest"][0]["took"].as_u64() >= blocked["took"].as_u64());
}

#[test]
fn a_loop_that_was_blocked_before_anybody_came_is_named_too() {
    let _alone = alone();
    let (_view, address) = view();
    let program = Program::start(|| ());
    let ((open, closed), (tell, told)) = (gate(), gate());
    program.post(move || {
        windlass::set_immediate(move || {
            tell.send(()).unwrap();
            closed.recv().unwrap_or_default();
        });
    });
    told.recv().unwrap();
    let mut summary = Stream::open(address, "/api/summary");
    let seen = summary.find(|line| line["blocked"].as_array().is_some_and(|it| !it.is_empty()));
    let place = seen["blocked"][0]["place"].as_str();
    assert!(place.is_some_and(|place| place.starts_with(file!())), "{seen}");
    drop(open);
    summary.find(|line| line["blocked"] == serde_json::json!([]));
}

/// A host has work of its own between two turns, and perhaps there is no further one.
#[test]
fn a_loop_that_is_not_turned_is_not_blocked_and_one_that_has_ended_is_not_there() {
    let _alone = alone();
    let (_view, address) = view();
    let (open, closed) = gate();
    let (tell, told) = channel();
    let host = thread::spawn(move || {
        let ended = Loop::builder().name("ended").build().unwrap();
        let guard = ended.keep_alive();
        ended.run(|| windlass::exit(0));
        let waits = Loop::builder().name("waits").build().unwrap();
        waits.remote().post(|| ()).unwrap();
        tell.send(()).unwrap();
        closed.recv().unwrap_or_default();
        drop((guard, waits));
    });
    told.recv().unwrap();
    let mut summary = Stream::open(address, "/api/summary");
    let seen = summary.find(|line| {
        assert_eq!(line["blocked"], serde_json::json!([]), "{line}");
        line["at"].as_u64() > Some(1_000_000_000)
    });
    let names = seen["loops"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["waits"]);
    drop(open);
    host.join().unwrap();
}

#[test]
fn what_a_host_has_labelled_is_told_by_its_name_and_its_line_in_the_script() {
    let _alone = alone();
    let (_view, address) = view();
    let program = Program::start(|| ());
    let mut summary = Stream::open(address, "/api/summary");
    let ((open, closed), (let_go, held)) = (gate(), gate());
    program.post(move || {
        labelled(Label::new("render", "page.js", 12, 3), || {
            windlass::set_immediate(move || closed.recv().unwrap_or_default());
        });
        labelled(Label::new("", "page.js", 15, 0), || {
            windlass::work(move |_| held.recv().unwrap_or_default()).submit().on_complete(|_| ());
        });
    });
    let seen = summary.find(|line| blocked_by(line, "immediate").is_some());
    let blocked = blocked_by(&seen, "immediate").unwrap();
    assert_eq!((&blocked["label"], &blocked["place"]), (&"render".into(), &"page.js:12:3".into()));
    // One without a name is told by its line alone.
    let jobs = |line: &Value| {
        let threads = line["threads"].as_array().unwrap().clone();
        threads.into_iter().find(|thread| thread["job"]["place"] == "page.js:15:0")
    };
    let seen = summary.find(|line| jobs(line).is_some());
    assert_eq!(jobs(&seen).unwrap()["job"].get("label"), None);
    drop((open, let_go));
    summary.find(|line| {
        let longest = line["longest"].as_array().unwrap();
        longest.iter().any(|it| it["label"] == "render" && it["place"] == "page.js:12:3")
    });
}

#[test]
fn a_loop_that_sleeps_is_not_busy() {
    let _alone = alone();
    let (_view, address) = view();
    let _program = Program::start(|| {
        windlass::set_timeout(Duration::from_secs(3600), || ());
    });
    let mut summary = Stream::open(address, "/api/summary");
    summary.find(|line| {
        let main = line["loops"].as_array().unwrap().iter().find(|it| it["name"] == "main");
        // A span of a second in which it has not woken, and that is told.
        main.is_some_and(|it| it["iterations"] == 0 && it["utilisation"].as_f64() < Some(0.1))
            && line["at"].as_u64() > Some(1_500_000_000)
    });
}

#[test]
fn loops_workers_and_the_jobs_of_pools_are_told() {
    let _alone = alone();
    let (_view, address) = view();
    let program = Program::start(|| ());
    let ((open, closed), (tell, told)) = (gate(), gate());
    program.post(move || {
        let pool = Pool::builder().threads(1).thread_name("few").build().unwrap();
        let first = move || {
            tell.send(()).unwrap();
            closed.recv().unwrap_or_default();
        };
        windlass::work(move |_| first()).pool(&pool).name("first").submit().on_complete(|_| ());
        windlass::work(|_| ()).pool(&pool).name("second").submit().on_complete(move |_| drop(pool));
        let worker = Worker::<(), ()>::builder().name("idle").spawn(|port| {
            port.on_message(|()| ());
        });
        std::mem::forget(worker.unwrap());
    });
    told.recv().unwrap();
    let mut summary = Stream::open(address, "/api/summary");
    let named = |list: &Value, name: &str| {
        list.as_array().unwrap().iter().find(|one| one["name"] == name).cloned()
    };
    // The first regular one tells of a span.
    let seen = summary.find(|line| {
        let worker = named(&line["loops"], "idle");
        worker.is_some_and(|worker| worker["worker"].as_u64() > Some(0))
            && named(&line["loops"], "main").is_some()
            && named(&line["threads"], "few-0").is_some_and(|it| !it["job"].is_null())
    });
    let thread = named(&seen["threads"], "few-0").unwrap();
    assert_eq!(thread["job"]["kind"], "first");
    assert!(thread["job"]["place"].as_str().unwrap().starts_with(file!()));
    assert!(thread["job"]["runs"].as_u64() > Some(0));
    let pools = seen["pools"].as_array().unwrap();
    let pool = pools.iter().find(|pool| pool["pool"] == thread["pool"]).unwrap();
    assert_eq!(pool["waiting"], 1);
    drop(open);
    let done = summary.find(|line| {
        named(&line["threads"], "few-0").is_none_or(|it| it["completed"].as_u64() == Some(2))
    });
    let main = named(&done["loops"], "main").unwrap();
    assert!(main["delays"]["count"].as_u64() > Some(0) && main["delays"]["max"].as_u64() > Some(0));
    let histogram = main["histogram"].as_array().unwrap();
    let count: u64 = histogram.iter().map(|it| it[1].as_u64().unwrap()).sum();
    assert_eq!(main["delays"]["count"], count);
    assert!((0.0..=1.0).contains(&main["utilisation"].as_f64().unwrap()));
}

// ---- who may ask, and what they cannot do ----

#[test]
fn only_pages_of_this_server_under_its_own_names_may_ask() {
    let _alone = alone();
    let (_view, address) = view();
    let with = |host: &str, headers: &str, path: &str| {
        let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
        status(&ask(address, text.as_bytes()))
    };
    let own = format!("localhost:{}", address.port());
    assert_eq!(with(&own, &format!("Origin: http://{own}\r\n"), "/api/about"), 200);
    assert_eq!(with("127.0.0.1", "Sec-Fetch-Site: same-origin\r\n", "/api/about"), 200);
    for path in ["/", "/page/app.js", "/api/about", "/api/events", "/api/summary"] {
        assert_eq!(with("evil.example", "", path), 403, "{path}");
        assert_eq!(with(&own, "Origin: http://evil.example\r\n", path), 403, "{path}");
        assert_eq!(with(&own, "Origin: null\r\n", path), 403, "{path}");
    }
    assert_eq!(with(&own, "Sec-Fetch-Site: cross-site\r\n", "/api/events"), 403);
    // No answer invites pages of others.
    assert!(!get(address, "/api/about").to_lowercase().contains("access-control-allow"));
}

#[test]
fn no_path_leads_out_and_only_get_is_served() {
    let _alone = alone();
    let (_view, address) = view();
    for path in [
        "/../Cargo.toml",
        "/page/../mod.rs",
        "/page/..%2fmod.rs",
        "/page/%2e%2e/mod.rs",
        "//etc/passwd",
        "/page//etc/passwd",
        "/page/",
        "/page/app.js%00.html",
        "/api",
        "/api/events/",
        "/page/..\\mod.rs",
    ] {
        let answer = get(address, path);
        assert_eq!(status(&answer), 404, "{path}: {answer}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "CONNECT"] {
        let text = format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = ask(address, text.as_bytes());
        assert!(status(&answer) == 405 && answer.contains("Allow: GET"), "{method}: {answer}");
    }
}

#[test]
fn broken_and_malicious_clients_get_an_answer_or_an_end_and_harm_nobody() {
    let _alone = alone();
    let (_view, address) = view();
    let program = Program::start(|| ());
    let huge = "a".repeat(100_000);
    let wrong = [
        ("\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/9.9\r\nHost: localhost\r\n\r\n".to_owned(), 400),
        (request("/", "Host: localhost\r\n"), 400),
        (request("/", "Content-Length: 10\r\n"), 413),
        (request("/", "Transfer-Encoding: chunked\r\n"), 413),
        (request("/", &format!("X: {huge}\r\n")), 431),
        (request(&format!("/{huge}"), ""), 431),
        (request("/", &"X: y\r\n".repeat(1000)), 431),
    ];
    for (text, expected) in wrong {
        assert_eq!(
            status(&ask(address, text.as_bytes())),
            expected,
            "{}",
            &text[..30.min(text.len())]
        );
    }
    // Half a request that ends, and one that is reset.
    let mut half = connect(address);
    half.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    assert_eq!(half.read(&mut [0; 16]).unwrap_or(0), 0);
    // One that wants a WebSocket gets what all get, and its frames go nowhere.
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let mut frames = request("/api/about", upgrade).into_bytes();
    frames.extend_from_slice(&[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(status(&ask(address, &frames)), 200);
    // One that sends without an end behind its request is cut off.
    let mut endless = connect(address);
    endless.write_all(request("/api/summary", "").as_bytes()).unwrap();
    while endless.write_all(&[b'x'; 65_536]).is_ok() {}
    // More connections than are taken: some are told so, and when they are gone there is room.
    let crowd: Vec<_> = (0..200).map(|_| connect(address)).collect();
    let mut told = String::new();
    crowd.last().unwrap().read_to_string(&mut told).unwrap_or_default();
    assert!(told.is_empty() || status(&told) == 503, "{told}");
    drop(crowd);
    while status(&get(address, "/api/about")) != 200 {}
    // More than may look on.
    let mut lookers: Vec<_> = (0..16).map(|_| Stream::open(address, "/api/summary")).collect();
    assert_eq!(status(&get(address, "/api/events")), 503);
    assert!(lookers.iter_mut().all(|looker| looker.next().is_some()));
    drop(lookers);
    // A request that comes byte by byte, and one that comes half and then not at all: all of it has
    // one time, which no byte prolongs.
    let (mut dripping, mut late) = (connect(address), connect(address));
    late.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    late.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut bytes = b"GET / HTTP/1.1\r\nX: ".iter().chain(std::iter::repeat(&b'y'));
    while late.peek(&mut [0]).is_err() {
        dripping.write_all(&[*bytes.next().unwrap()]).unwrap_or_default();
    }
    for client in [dripping, late] {
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut told = String::new();
        (&client).read_to_string(&mut told).unwrap();
        assert_eq!(status(&told), 408);
    }
    assert_eq!(program.call(|| 42), 42);
}

#[test]
fn one_that_does_not_read_costs_a_bounded_memory_and_is_told_what_it_has_missed() {
    let _alone = alone();
    let (_view, address) = view();
    let _programs = [Program::start(keep_busy), Program::start(keep_busy)];
    let (mut quick, mut slow) =
        (Stream::open(address, "/api/events"), Stream::open(address, "/api/events"));
    assert!(slow.next().is_some() && quick.next().is_some());
    let before = Footprint::now();
    // What the system keeps for a socket, and what the server does, is less than this.
    let mut bytes = 0;
    while bytes < 12 << 20 {
        let (_, lines) = quick.next().unwrap();
        bytes += lines.iter().map(|line| line.to_string().len()).sum::<usize>();
    }
    let grown = Footprint::now().resident_kb.saturating_sub(before.resident_kb);
    assert!(grown < 16 << 10, "{grown} kB");
    // It has got what was on its way, then is told of the hole, and then all that there is; or it
    // has taken nothing for so long that it was cut off.
    let mut last = None;
    while let Some((_, lines)) = slow.next() {
        if lines.iter().any(|line| is(line, "lost") && line.get("track").is_none()) {
            last = Some(slow.find(|line| is(line, "all")));
            break;
        }
    }
    assert!(last.is_none_or(|all| all["track"].as_u64() > Some(0)));
    assert!(quick.next().is_some());
}

// ---- what it costs ----

#[test]
fn the_program_is_observed_while_somebody_looks_on_and_else_not() {
    let _alone = alone();
    let (_view, address) = view();
    let program = Program::start(|| ());
    let is_observed = || program.call(|| callback_id() > 0);
    let until = |wanted: bool| while is_observed() != wanted {};
    assert_eq!(status(&get(address, "/api/about")), 200);
    assert!(!is_observed());
    for path in ["/api/events", "/api/summary"] {
        let stream = Stream::open(address, path);
        until(true);
        drop(stream);
        until(false);
    }
}

// ---- where it listens, and its end ----

#[test]
fn it_listens_on_loopback_unless_it_is_told_its_names() {
    let _alone = alone();
    let error = inspect::listen("0.0.0.0:0").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("WINDLASS_INSPECT_HOSTS"), "{error}");
    assert!(inspect::listen("localhost:0").is_err() && inspect::listen("nonsense").is_err());
    let view = inspect::builder().host("box.lan").listen("0.0.0.0:0").unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], view.local_addr().port()));
    let with = |host| ask(address, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    assert_eq!((status(&with("box.lan:80")), status(&with("other.lan"))), (200, 403));
    let taken = inspect::listen(view.local_addr()).unwrap_err();
    let kinds = [std::io::ErrorKind::AddrInUse, std::io::ErrorKind::InvalidInput];
    assert!(kinds.contains(&taken.kind()), "{taken}");
}

#[test]
fn its_end_is_told_and_leaves_nothing_behind() {
    let _alone = alone();
    drop(view());
    let before = Footprint::now();
    for _ in 0..3 {
        let (view, address) = view();
        let mut streams = ["/api/events", "/api/summary"].map(|path| Stream::open(address, path));
        // One that never reads is not waited for.
        let mut silent = connect(address);
        silent.write_all(request("/api/events", "").as_bytes()).unwrap();
        let half = connect(address);
        drop(view);
        for stream in &mut streams {
            let mut last = None;
            while let Some((name, _)) = stream.next() {
                last = Some(name);
            }
            assert_eq!(last.as_deref(), Some("end"));
        }
        assert!(TcpStream::connect(address).is_err());
        drop((silent, half));
    }
    drop(std::mem::take(&mut Vec::<u8>::new()));
    let after = Footprint::now();
    assert_eq!((after.descriptors, after.threads), (before.descriptors, before.threads));
}

#[test]
fn a_program_in_virtual_time_does_the_same_while_it_is_looked_at() {
    let _alone = alone();
    let (_view, address) = view();
    let run = || {
        let event_loop = Loop::builder().virtual_time(true).build().unwrap();
        let trace = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let said = trace.clone();
        event_loop.run(move || {
            for hour in 1..50 {
                let said = said.clone();
                windlass::set_timeout(Duration::from_secs(3600 * hour), move || {
                    said.borrow_mut().push((hour, windlass::Loop::current().metrics().iterations));
                });
            }
        });
        trace.take()
    };
    let alone = run();
    let mut streams = ["/api/events", "/api/summary"].map(|path| Stream::open(address, path));
    // Behind the first message nothing more is asked of loops that begin later.
    assert!(streams.iter_mut().all(|stream| stream.next().is_some()));
    assert_eq!(run(), alone);
}

// ---- a program that is asked by its environment ----

/// The example server, killed when the test ends before it does.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().unwrap();
    }
}

/// The address behind this text in a line of the program.
fn address_in(from: &mut impl BufRead, before: &str) -> SocketAddr {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(from.read_line(&mut line).unwrap() > 0, "it says {before:?}");
        if let Some((_, rest)) = line.split_once(before) {
            return rest.trim().trim_end_matches('/').parse().unwrap();
        }
    }
}

#[test]
fn the_example_server_is_shown_by_its_environment_and_slow_inline_is_named_as_the_blocker() {
    let mut child = example("server")
        .args(["--addr", "127.0.0.1:0"])
        .env("WINDLASS_INSPECT", "127.0.0.1:0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let _server = Server(child);
    let view = address_in(&mut stderr, "windlass: look at http://");
    let server = address_in(&mut stdout, "listening on http://");
    let mut summary = Stream::open(view, "/api/summary");
    let mut slow = connect(server);
    slow.write_all(b"GET /slow-inline?n=40 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .unwrap();
    let seen = summary.find(|line| blocked_by(line, "TCP stream").is_some());
    let blocked = blocked_by(&seen, "TCP stream").unwrap();
    assert_eq!(blocked["name"], "main");
    assert!(blocked["place"].as_str().unwrap().starts_with("examples/http/connection.rs:"));
    // While the server answers nobody the view does.
    assert_eq!(status(&get(view, "/")), 200);
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("102334155"), "{answer}");
    summary.find(|line| line["blocked"] == serde_json::json!([]));
}

#[test]
fn a_program_that_cannot_be_shown_says_why_and_goes_on() {
    for wrong in ["nonsense", "0.0.0.0:0", "127.0.0.1:99999"] {
        let output = example("pool").env("WINDLASS_INSPECT", wrong).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with(&format!("windlass: WINDLASS_INSPECT={wrong}: ")), "{stderr}");
        assert!(output.status.success() && !output.stdout.is_empty());
    }
}
