//! `--explain`, `--events`, `--alive`, `--stalls`, `--inspect`: what is seen of a program, with the lines of its
//! script.
//! `--virtual`, `--seed`: that each run is the same.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const PROGRAM: &str = "\
setTimeout(() => {
  console.log('timer');
  process.nextTick(() => console.log('tick'));
}, 3600000);
setImmediate(() => console.log('immediate'));
console.log('main');
const end = Date.now() + 20;
while (Date.now() < end);
";

fn command(name: &str, program: &str, options: &[&str]) -> Command {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("observed_{name}.js"));
    std::fs::write(&file, program).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mini_node"));
    command.args(options).arg(file);
    command
}

fn run(name: &str, program: &str, options: &[&str]) -> Output {
    command(name, program, options).output().unwrap()
}

/// A program that does not end by itself: it is killed with this.
struct Endless(Child);

impl Endless {
    fn start(name: &str, program: &str, options: &[&str]) -> Endless {
        let mut command = command(name, program, options);
        Endless(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// The lines of a stream up to the one that `is_last`.
    fn lines(stream: &mut impl Read, is_last: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        for line in BufReader::new(stream).lines() {
            lines.push(line.unwrap());
            if is_last(&lines[lines.len() - 1]) {
                return lines;
            }
        }
        panic!("it has ended after {lines:#?}");
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The lines of `--events`.
fn events(name: &str, program: &str) -> Vec<Value> {
    let text = printed(&run(name, program, &["--events"]));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn virtual_time_does_not_wait_and_goes_on_while_a_program_looks_at_the_clock() {
    let output = run("virtual", PROGRAM, &["--virtual"]);
    assert_eq!(printed(&output), "main\nimmediate\ntimer\ntick\n");
}

#[test]
fn a_seed_is_the_same_run_each_time_with_its_dates_and_its_dice() {
    let program = "console.log(new Date().toISOString(), Math.random(), performance.now())";
    let first = printed(&run("seed_a", program, &["--seed", "7"]));
    assert_eq!(printed(&run("seed_b", program, &["--seed", "7"])), first);
    assert_ne!(printed(&run("seed_c", program, &["--seed", "8"])), first);
}

#[test]
fn the_ledger_has_the_lines_of_the_script_and_the_statements_of_the_guide() {
    let table = printed(&run("explain", PROGRAM, &["--explain"]));
    let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split_whitespace().collect()).collect();
    let has =
        |words: &[&str]| rows.iter().any(|row| row.windows(words.len()).any(|part| part == words));
    assert!(has(&["main:", "main"]), "{table}");
    assert!(has(&["check", "immediate:", "observed_explain.js:5,", "immediate"]), "{table}");
    assert!(has(&["timers", "timer:", "observed_explain.js:1,", "timer"]), "{table}");
    assert!(has(&["tick:", "observed_explain.js:3,", "tick"]), "{table}");
    assert!(table.contains("\nO-10: After every callback all ticks run"), "{table}");
}

#[test]
fn events_are_lines_of_json_with_what_was_printed_and_where_it_was_registered() {
    let events = events("events", PROGRAM);
    let said: Vec<_> = events.iter().filter(|event| event["what"] == "said").collect();
    let texts: Vec<_> = said.iter().map(|event| event["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["main", "immediate", "timer", "tick"]);
    let began = |id: &Value| events.iter().find(|it| it["what"] == "began" && it["id"] == *id);
    let timer = began(&said[2]["id"]).unwrap();
    let named = (&"setTimeout".into(), &"observed_events.js:1:1".into());
    assert_eq!((&timer["label"], &timer["place"]), named);
    let armed = events.iter().find(|event| event["what"] == "armed").unwrap();
    assert_eq!((&armed["label"], &armed["place"]), named);
    let tick = began(&said[3]["id"]).unwrap();
    assert_eq!(tick["place"], "observed_events.js:3:11");
}

#[test]
fn events_begin_with_the_program_and_end_with_the_statements_of_the_guide() {
    let events = events("meta", PROGRAM);
    let meta = &events[0];
    assert_eq!((&meta["what"], &meta["mode"]), (&"meta".into(), &"virtual".into()));
    assert_eq!(meta["program"]["files"][0]["text"], PROGRAM);
    let id_of = |text: &str| &events.iter().find(|event| event["text"] == *text).unwrap()["id"];
    let statement = |text: &str| {
        let is_its = |it: &&Value| it["what"] == "statement" && it["id"] == *id_of(text);
        events.iter().find(is_its).unwrap()["statement"].as_str().unwrap()
    };
    assert_eq!((statement("main"), statement("tick")), ("O-1", "O-10"));
    let words = meta["statements"]["O-10"].as_str().unwrap();
    assert!(words.starts_with("After every callback all ticks run"), "{words}");
}

#[test]
fn events_are_written_while_the_program_runs() {
    let program = "setInterval(() => console.log('again'), 1); console.log('begun');";
    let mut program = Endless::start("endless", program, &["--events", "--real"]);
    let stdout = program.0.stdout.as_mut().unwrap();
    let is_again = |line: &str| line.contains(r#""text":"again""#);
    let lines = Endless::lines(stdout, is_again);
    assert!(lines[0].contains(r#""what":"meta""#), "{}", lines[0]);
    assert!(lines.iter().any(|line| line.contains(r#""text":"begun""#)), "{lines:#?}");
}

/// Registers something of each kind, in a script, in promises, in a module and in a worker.
const ALL_KINDS: &str = "\
const fs = require('fs');
const http = require('http');
const { MessageChannel, Worker, BroadcastChannel } = require('worker_threads');
process.nextTick(() => {});
setInterval(function () { clearInterval(this); }, 1);
setImmediate(() => {});
queueMicrotask(() => {});
Promise.reject(new Error('unheard')).catch(() => {});
process.on('beforeExit', () => {});
fs.readFile(__filename, () => {});
fs.promises.readFile(__filename).then(() => {});
fs.createReadStream(__filename).resume();
require('dns').lookup('127.0.0.1', () => {});
require('crypto').randomBytes(4, () => {});
const { port1, port2 } = new MessageChannel();
port2.on('message', () => port2.close());
port1.postMessage(1);
const channel = new BroadcastChannel('x');
channel.close();
process.on('workerMessage', () => Promise.reject(new Error('unheard')));
process.on('unhandledRejection', () => {});
const worker = new Worker(
  \"const { parentPort, postMessageToThread } = require('worker_threads');\" +
  \"setTimeout(() => parentPort.postMessage(1), 1); postMessageToThread(0, 1);\",
  { eval: true });
worker.on('message', () => {});
const server = http.createServer((request, response) => response.end('hello'));
server.listen(0, () => {
  http.get({ port: server.address().port, agent: false }, (response) => {
    response.resume().on('end', () => server.close());
  });
});
";

#[test]
fn all_that_a_script_registers_has_a_line_of_the_script() {
    let options = ["--events", "--real"];
    let text = printed(&run("kinds", ALL_KINDS, &options));
    let mut count = 0;
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        if let Some(place) = event["place"].as_str() {
            count += 1;
            assert!(
                place.contains("observed_kinds.js:") || place.contains("[worker eval]:"),
                "{line}"
            );
        }
    }
    assert!(count > 100, "{count} places");
}

#[test]
fn a_line_is_found_whatever_the_script_makes_of_errors() {
    let program = "\
Error.stackTraceLimit = 0;
Error.prepareStackTrace = () => { throw new Error('mine'); };
const deep = (depth) => depth ? deep(depth - 1) : setTimeout(() => console.log('here'), 1);
deep(200);
if (Error.stackTraceLimit !== 0) throw new Error('it was changed');
globalThis.Error = class {};
setTimeout(() => console.log('there'), 1);
try { null.x; } catch ({ message }) { console.log(message); }
";
    let table = printed(&run("errors", program, &["--explain"]));
    assert!(table.contains("timer: observed_errors.js:3, here"), "{table}");
    assert!(table.contains("timer: observed_errors.js:7, there"), "{table}");
    assert!(table.contains("Cannot read properties of null (reading 'x')"), "{table}");
}

#[test]
fn at_an_interrupt_one_is_told_what_keeps_the_program_alive() {
    let program = "\
const timer = setTimeout(() => {}, 1e8);
require('net').createServer().listen(0, '127.0.0.1', () => console.log('ready'));
";
    let mut program = Endless::start("alive", program, &["--alive"]);
    Endless::lines(program.0.stdout.as_mut().unwrap(), |line| line == "ready");
    let id = program.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let mut told = String::new();
    program.0.stderr.as_mut().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(program.0.wait().unwrap().code(), Some(130));
    assert!(told.contains("alive: timer made at setTimeout (observed_alive.js:1:14)"), "{told}");
    // Node's `listen` looks the host up, and the socket is made behind that.
    assert!(told.contains("alive: TCP listener made at lookup (observed_alive.js:2:"), "{told}");
}

#[test]
fn a_callback_that_blocks_the_loop_is_told_with_its_line() {
    let program = "\
setTimeout(function busy() {
  const end = Date.now() + 100;
  while (Date.now() < end);
}, 1);
setInterval(() => {}, 1e6);
";
    let mut program = Endless::start("stalls", program, &["--stalls", "30"]);
    let stderr = program.0.stderr.as_mut().unwrap();
    let place = "by the timer of setTimeout (observed_stalls.js:1:";
    let is_over = |line: &str| line.contains("the loop was blocked for ") && line.contains(place);
    let told = Endless::lines(stderr, is_over);
    // On a busy machine the main script may be told of too.
    let is_first = |line: &&String| line.contains("is blocked for ") && line.contains(place);
    assert_eq!(told.iter().filter(is_first).count(), 1, "{told:#?}");
}

#[test]
fn the_view_shows_the_lines_of_the_script() {
    let program = "setInterval(() => {}, 10);";
    let options = ["--inspect=127.0.0.1:0"];
    let mut program = Endless::start("view", program, &options);
    let stderr = program.0.stderr.as_mut().unwrap();
    let told = Endless::lines(stderr, |line| line.contains("http://"));
    let address = told[0].split("http://").nth(1).unwrap().trim_end_matches('/');
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = format!("GET /api/events HTTP/1.1\r\nHost: {address}\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    Endless::lines(&mut stream, |line| {
        line.contains(r#""place":"observed_view.js:1:1","label":"setInterval""#)
    });
}

#[test]
fn a_program_that_fails_fails_when_it_is_seen_too() {
    let output = run("fails", "setTimeout(() => { throw new Error('late'); }, 1);", &["--events"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("late"), "{output:?}");
}

#[test]
fn a_program_that_goes_on_and_on_is_cut_off_and_told_up_to_there() {
    for (name, program) in [
        ("intervals", "setInterval(() => {}, 0);"),
        ("immediates", "(function again() { setImmediate(again); })();"),
        ("ticks", "(function again() { process.nextTick(again); })();"),
        ("lines", "while (true) console.log('x');"),
        ("at_once", "console.log('x\\n'.repeat(1e6)); console.log('x');"),
    ] {
        let output = run(name, program, &["--events"]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let text = String::from_utf8(output.stdout).unwrap();
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["what"], "error", "{name}: {last}");
        let why = "cut off after 2000 callbacks and lines of output: it would go on and on";
        assert_eq!(last["text"], why, "{name}");
        assert!(text.len() < 8 << 20, "{name}: {}", text.len());
    }
}

#[test]
fn a_program_whose_reader_has_gone_ends_as_on_node() {
    let program = "setInterval(() => console.log('again'), 1);";
    let mut program = Endless::start("head", program, &[]);
    let mut stdout = program.0.stdout.take().unwrap();
    Endless::lines(&mut stdout, |line| line == "again");
    drop(stdout);
    let mut told = String::new();
    program.0.stderr.as_mut().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(program.0.wait().unwrap().code(), Some(1));
    assert!(told.contains("Error: write EPIPE") && told.contains("code: 'EPIPE'"), "{told}");
}

#[test]
fn a_question_without_sense_is_answered_with_the_usage() {
    let output = run("wrong", "", &["--real", "--virtual"]);
    assert_eq!(output.status.code(), Some(9));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage: mini_node"), "{output:?}");
}
