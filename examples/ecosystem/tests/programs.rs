//! Each program, run with a real client. One that needs a server which is not there says so.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use async_tungstenite::client_async;
use async_tungstenite::tungstenite::Message;
use console_api::instrument::InstrumentRequest;
use console_api::instrument::instrument_client::InstrumentClient;
use futures_util::StreamExt;
use windlass::net::TcpStream;

/// Far more than anything here takes.
const HANG: Duration = Duration::from_secs(60);

fn program(name: &str) -> Command {
    let own = std::env::current_exe().unwrap();
    let programs = own.parent().and_then(|deps| deps.parent()).expect("a profile");
    let mut command = Command::new(programs.join(name));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// A path for a file of one test.
fn scratch(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    path.to_str().unwrap().to_owned()
}

/// Runs to the end, within `HANG`, and returns what was printed.
fn run(command: &mut Command) -> String {
    let text = format!("{command:?}");
    let mut bounded = Command::new("timeout");
    bounded.arg(HANG.as_secs().to_string()).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        bounded.current_dir(folder);
    }
    let Output { status, stdout, stderr } = bounded.output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{text}: {status}\n{said}{complained}");
    said.into_owned()
}

/// A server, which ends with the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts it, and waits until it says where it listens.
    fn start(command: &mut Command) -> Server {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("it says where it listens").unwrap();
        let address = line.rsplit(' ').next().unwrap().to_owned();
        Server { child, address }
    }

    /// The port it listens on.
    fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("it runs until here");
        self.child.wait().unwrap();
    }
}

fn curl(arguments: &[&str]) -> String {
    run(Command::new("curl").args(["--silent", "--show-error", "--max-time", "30"]).args(arguments))
}

#[test]
fn hyper_hello_answers_in_http_1_and_http_2() {
    let server = Server::start(&mut program("hyper_hello"));
    let url = format!("http://{}/world", server.address);
    let version = ["--write-out", " (HTTP/%{http_version})"];
    let answer = curl(&[&["--http1.1", &url], &version[..]].concat());
    assert_eq!(answer, "hello, world\n (HTTP/1.1)");
    let answer = curl(&[&["--http2-prior-knowledge", &url], &version[..]].concat());
    assert_eq!(answer, "hello, world\n (HTTP/2)");
}

#[test]
fn axum_app_goes_on_after_a_handler_has_panicked() {
    let server = Server::start(&mut program("axum_app"));
    let url = |path: &str| format!("http://{}{path}", server.address);
    assert_eq!(curl(&[&url("/")]), "visit 1\n");
    let boom = Command::new("curl").args(["--silent", "--max-time", "30", &url("/boom")]).output();
    assert!(!boom.unwrap().status.success(), "its connection ends without an answer");
    assert_eq!(curl(&[&url("/")]), "visit 2\n");
    assert_eq!(curl(&["--json", r#"{"a":1}"#, &url("/length")]), "7\n");
}

#[test]
fn tls_echo_is_understood_by_openssl() {
    let certificate = scratch("tls_echo.pem");
    let server = Server::start(program("tls_echo").arg(&certificate));
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-verify_hostname", "localhost"])
        .args(["-connect", &server.address, "-CAfile", &certificate])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    client.stdin.as_mut().unwrap().write_all(b"hello\n").unwrap();
    let mut line = String::new();
    BufReader::new(client.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "hello\n");
    client.kill().unwrap();
    client.wait().unwrap();
}

#[test]
fn ws_chat_carries_what_one_says_to_the_others_across_workers() {
    let server = Server::start(&mut program("ws_chat"));
    let url = format!("ws://{}/", server.address);
    windlass::block_on(async {
        let mut clients = Vec::new();
        for _ in 0..3 {
            let stream = TcpStream::connect(&server.address).await.unwrap();
            clients.push(client_async(&url, stream).await.unwrap().0);
        }
        clients[0].send(Message::text("hello")).await.unwrap();
        for client in &mut clients[1..] {
            let heard = windlass::time::timeout(HANG, client.next()).await.unwrap();
            assert_eq!(heard.unwrap().unwrap(), Message::text("hello"));
        }
    });
}

#[test]
fn http_client_keeps_its_connection_to_a_tls_server() {
    let certificate = scratch("http_client.pem");
    let server = Server::start(program("hyper_hello").args(["--tls", &certificate]));
    let url = format!("https://localhost:{}/world", server.port());
    let said = run(program("http_client").args([&url, &certificate]));
    assert_eq!(said, "3 answers of 13 bytes, over 1 connection\n");
}

#[test]
fn quic_echo_gives_each_stream_back() {
    let certificate = scratch("quic_echo.pem");
    let server = Server::start(program("quic_echo").args(["serve", &certificate]));
    let said = run(program("quic_echo").args([&server.address, &certificate]));
    assert_eq!(said, "10 streams of 100000 bytes came back\n");
}

#[test]
fn channels_of_other_crates_work_between_workers() {
    let said = run(&mut program("channels"));
    assert_eq!(said, "the squares of 0 to 999 add up to 332833500; both workers had a share\n");
}

#[test]
fn tokio_inside_serves_a_library_that_insists_on_it() {
    let said = run(&mut program("tokio_inside"));
    assert!(said.starts_with("5 bytes went through tokio's sockets"), "{said}");
}

#[test]
fn inside_tokio_and_inside_calloop_a_loop_does_all_that_it_does_elsewhere() {
    let said = run(&mut program("inside_tokio"));
    assert!(said.starts_with("the loop heard 3 messages and its timer, and tokio went"), "{said}");
    let said = run(&mut program("inside_calloop"));
    assert_eq!(said, "the file was read on our pool, inside calloop's loop\n");
}

/// What this variable says of a server, or a line that says that there is none.
fn server_of(variable: &str) -> Option<String> {
    let server = std::env::var(variable).ok().filter(|server| !server.is_empty());
    if server.is_none() {
        println!("skipped: {variable} names no server");
    }
    server
}

#[test]
fn postgres_is_asked_and_answers() {
    let Some(parameters) = server_of("WINDLASS_POSTGRES") else { return };
    let said = run(program("postgres").arg(parameters));
    assert_eq!(said, "100 rows, which add up to 5050; a bad query: error 42703\n");
}

#[test]
fn redis_is_asked_and_answers() {
    let Some(address) = server_of("WINDLASS_REDIS") else { return };
    let said = run(program("redis").arg(address));
    assert_eq!(said, "counted to 100, over one connection; hello, world\n");
}

#[test]
fn console_shows_the_tasks_of_a_loop_with_their_places_polls_and_wakes() {
    // Free a moment ago. Nothing here tells the port that the server would choose.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::start(program("console").arg(free.to_string()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("http://{}", server.address);
    let begin = Instant::now();
    runtime.block_on(async {
        // The client of tokio-console.
        let mut client = loop {
            match InstrumentClient::connect(url.clone()).await {
                Ok(client) => break client,
                Err(error) => assert!(begin.elapsed() < HANG, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let updates = client.watch_updates(InstrumentRequest {}).await.unwrap();
        let mut updates = updates.into_inner();
        let (mut places, mut kinds, mut polls, mut wakes) = (Vec::new(), Vec::new(), 0, 0);
        while places.len() < 3 || polls < 10 || wakes < 10 {
            assert!(begin.elapsed() < HANG, "{places:?}, {polls} polls, {wakes} wakes");
            let update = updates.message().await.unwrap().expect("it goes on");
            let Some(tasks) = update.task_update else { continue };
            for task in tasks.new_tasks {
                let place = task.location.expect("the line that spawned it");
                kinds.extend(task.fields.iter().map(|field| field.to_string()));
                places.push(place.file.unwrap_or_default());
            }
            for stats in tasks.stats_update.into_values() {
                wakes = wakes.max(stats.wakes);
                polls = polls.max(stats.poll_stats.map_or(0, |stats| stats.polls));
            }
        }
        assert!(places.iter().all(|place| place.ends_with("console.rs")), "{places:?}");
        assert!(kinds.iter().any(|kind| kind.contains("block_on")), "{kinds:?}");
    });
}
