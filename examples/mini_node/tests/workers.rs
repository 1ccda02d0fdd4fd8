//! What a worker cannot do to others: it ends when it is told to, at its memory limit, and alone.
//!
//! Each test runs a program on the binary. The programs in `tests/messages` are those that are
//! compared with Node.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// One program at a time: they measure times and memory.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs a program, and gives what it prints to its standard output.
fn run(name: &str, program: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.js"));
    fs::write(&path, program).unwrap();
    let alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let output = Command::new(env!("CARGO_BIN_EXE_mini_node")).arg(&path).output().unwrap();
    drop(alone);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} ended with {}:\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Terminates workers that would run for ever. How long that takes is measured by `speed.js`; the
/// time here is one that only a script reaches that is not ended at all, or after ten thousand of
/// its calls only.
const TERMINATE: &str = r"
const { Worker } = require('worker_threads');

async function terminate(source) {
  const worker = new Worker(source, { eval: true });
  worker.on('error', (error) => { throw error; });
  await new Promise((resolve) => worker.on('online', () => setTimeout(resolve, 20)));
  const late = setTimeout(() => { throw new Error(`it goes on: ${source}`); }, 30_000);
  const code = await worker.terminate();
  clearTimeout(late);
  console.log(code === 1 ? 'terminated' : `code ${code} of ${source}`);
}

(async () => {
  for (const source of SOURCES) await terminate(source);
})();
";

/// Checks that `terminate` ends each of these.
fn check_terminate(name: &str, sources: &[&str]) {
    let output = run(name, &format!("const SOURCES = {sources:?};{TERMINATE}"));
    assert_eq!(output, "terminated\n".repeat(sources.len()));
}

#[test]
fn terminate_ends_a_busy_script() {
    check_terminate(
        "busy",
        &[
            "for (;;);",
            "for (;;) { try { for (;;); } catch {} finally { for (;;); } }",
            "const f = () => { try { f(); } finally { f(); } }; f();",
            "/(a*)*b/.test('a'.repeat(40))",
            "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
            "for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)",
        ],
    );
}

#[test]
fn terminate_ends_a_script_whose_promises_take_whatever_leaves_it() {
    check_terminate(
        "takers",
        &[
            "for (;;) new Promise(() => { for (;;); });",
            "const f = () => { for (;;); }; for (;;) { try { new Promise(f); } catch {} }",
            "for (;;) Promise.all({ [Symbol.iterator]() { for (;;); } });",
            "(async () => { for (;;) { try { await new Promise(() => { for (;;); }); } catch {} } })()",
            "new Promise((resolve) => resolve({ then() { for (;;); } }));",
        ],
    );
}

#[test]
fn terminate_ends_handlers_waits_and_what_native_functions_call() {
    check_terminate(
        "callers",
        &[
            "process.on('exit', () => { for (;;); }); process.exit();",
            "process.on('uncaughtException', () => { for (;;); }); throw 1;",
            "process.on('unhandledRejection', () => { for (;;); }); Promise.reject(1);",
            "Error.prepareStackTrace = () => { for (;;); }; new Error().stack;",
            "[3, 2, 1].sort(() => { for (;;); });",
            "JSON.stringify({ toJSON() { for (;;); } });",
            "require('worker_threads').parentPort.postMessage({ get a() { for (;;); } });",
            "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);",
            "new (require('worker_threads').Worker)('for (;;);', { eval: true });",
        ],
    );
}

#[test]
fn terminate_ends_a_flood_of_ticks_promises_immediates_or_messages() {
    check_terminate(
        "floods",
        &[
            "(function f() { process.nextTick(f); })()",
            "(function f() { Promise.resolve().then(f); })()",
            "(async () => { for (;;) await null; })()",
            "(function f() { setImmediate(f); })()",
            "process.on('uncaughtException', () => {});
             (function f() { process.nextTick(f); throw new Error(); })()",
            "const { port1, port2 } = new (require('worker_threads').MessageChannel)();
             port2.on('message', () => { port1.postMessage(1); }); port1.postMessage(1);",
        ],
    );
}

#[test]
fn terminate_ends_a_loop_whose_every_call_takes_long() {
    check_terminate(
        "long_calls",
        &[
            "const list = new Array(1e7).fill(1); for (;;) list.indexOf(2);",
            "const list = new Array(1e7).fill(1); for (;;) { try { list.indexOf(2); } catch {} }",
            "const text = JSON.stringify(new Array(1e5).fill({ a: 1 })); for (;;) JSON.parse(text);",
            "const list = new Array(1e5).fill({ a: 1 }); for (;;) JSON.stringify(list);",
            "const text = 'a,'.repeat(1e6); for (;;) text.split(',');",
            "(function f() { new Array(1e7).fill(1); Promise.resolve().then(f); })()",
        ],
    );
}

#[test]
fn terminate_ends_one_long_call_that_goes_into_the_depth() {
    let deep = "let list = [1]; for (let i = 0; i < 60; i++) list = [list, list];";
    check_terminate("one_call", &[&format!("{deep} JSON.stringify(list);")]);
}

#[test]
fn a_listener_for_messages_of_other_threads_may_end_its_own() {
    let program = r"
const { Worker, postMessageToThread } = require('worker_threads');
const source = `
  process.on('workerMessage', () => {
    process.on('exit', (code) => console.log('the worker exits with', code));
    try { process.exit(3); } catch { console.log('caught'); } finally { console.log('finally'); }
    console.log('behind it');
  });
  const { parentPort } = require('worker_threads');
  parentPort.on('message', () => {});
  parentPort.postMessage('ready');
`;
const worker = new Worker(source, { eval: true });
worker.on('message', () => {
  postMessageToThread(worker.threadId, 'end').catch((error) => console.log(error.code)).then(() => {
    process.on('workerMessage', (value) => {
      process.on('exit', (code) => console.log('the main thread exits with', code, value));
      process.exit(0);
    });
    const tell = `require('worker_threads').postMessageToThread(0, 'told')`;
    new Worker(tell, { eval: true });
  });
});
";
    let expected = [
        "the worker exits with 3",
        "ERR_WORKER_MESSAGING_FAILED",
        "the main thread exits with 0 told",
    ];
    assert_eq!(run("direct_exit", program).lines().collect::<Vec<_>>(), expected);
}

/// Starts workers with a memory limit of 32 MB, and prints how they ended. Meanwhile the parent and
/// a worker without a limit go on.
const LIMITED: &str = r"
const { Worker } = require('worker_threads');

const other = new Worker(`
  const { parentPort } = require('worker_threads');
  parentPort.on('message', (message) => parentPort.postMessage(message));
`, { eval: true });

(async () => {
  for (const source of SOURCES) {
    const worker = new Worker(
      `process.on('exit', () => console.log('an exit handler ran')); ${source}`,
      { eval: true, resourceLimits: { maxOldGenerationSizeMb: 32 } });
    worker.on('error', (error) => console.log(error.name, error.code, error.message));
    const code = await new Promise((resolve) => worker.on('exit', resolve));
    console.log('exit', code);
    other.postMessage('well?');
    await new Promise((resolve) => other.once('message', resolve));
  }
  other.terminate();
})();
";

/// How a worker ends that has reached its limit.
const OUT_OF_MEMORY: &str = "Error ERR_WORKER_OUT_OF_MEMORY Worker terminated due to reaching \
    memory limit: JS heap out of memory\nexit 1\n";

fn run_limited(name: &str, sources: &[&str]) -> String {
    run(name, &format!("const SOURCES = {sources:?};{LIMITED}"))
}

#[test]
fn a_worker_that_reaches_its_memory_limit_ends_alone_with_nodes_error() {
    let sources = [
        "const all = []; for (;;) all.push(new Array(100).fill(0));",
        "const all = []; (function f() { all.push(new Uint8Array(1e5)); setImmediate(f); })()",
        "const all = []; for (let i = 0; ; i++) all.push('x'.repeat(100_000) + i);",
    ];
    assert_eq!(run_limited("limit", &sources), OUT_OF_MEMORY.repeat(sources.len()));
}

#[test]
fn one_allocation_beyond_the_limit_ends_the_worker_before_it_is_made() {
    let sources = [
        "new ArrayBuffer(1e9);",
        "new Uint8Array(1e9).fill(1);",
        "'x'.repeat(5e8);",
        "new Array(5e7).fill(0);",
        "process.nextTick(() => new ArrayBuffer(1e9));",
    ];
    assert_eq!(run_limited("huge", &sources), OUT_OF_MEMORY.repeat(sources.len()));
}

#[test]
fn no_handler_in_the_worker_keeps_it_from_its_end_at_the_limit() {
    let sources = [
        "for (;;) { try { new ArrayBuffer(1e9); } catch {} }",
        "process.on('uncaughtException', () => {}); new ArrayBuffer(1e9);",
        "setInterval(() => { try { new ArrayBuffer(1e9); } catch {} }, 1);",
    ];
    assert_eq!(run_limited("caught", &sources), OUT_OF_MEMORY.repeat(sources.len()));
}

#[test]
fn what_a_worker_has_sent_or_dropped_does_not_count_for_it() {
    let sources = [
        "const { parentPort } = require('worker_threads');
         for (let i = 0; i < 2000; i++) parentPort.postMessage({ text: 'x'.repeat(100_000), i });",
        "const { parentPort } = require('worker_threads');
         for (let i = 0; i < 50; i++) { const b = new ArrayBuffer(5e6); parentPort.postMessage(b, [b]); }",
        "for (let i = 0; i < 200; i++) new ArrayBuffer(5e6);",
    ];
    assert_eq!(
        run_limited("sent", &sources),
        "an exit handler ran\nexit 0\n".repeat(sources.len())
    );
}

#[test]
fn what_a_worker_receives_counts_for_it() {
    let program = r"
const { Worker } = require('worker_threads');
const source = `
  const { parentPort } = require('worker_threads');
  const kept = [];
  parentPort.on('message', (message) => kept.push(message));
`;
const worker = new Worker(source, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 32 } });
for (let i = 0; i < 20; i++) {
  const buffer = new ArrayBuffer(5e6);
  worker.postMessage(buffer, [buffer]);
}
worker.on('error', (error) => console.log(error.code));
";
    assert_eq!(run("received", program), "ERR_WORKER_OUT_OF_MEMORY\n");
}

#[test]
fn a_panic_of_the_host_ends_its_worker_alone() {
    let program = r#"
const { Worker } = require('worker_threads');
const panic = "process.binding('worker').panic('an accident');";
const sources = [
  panic,
  `try { ${panic} } catch { console.log('caught'); } finally { console.log('finally'); }`,
  `setTimeout(() => { ${panic} });`,
  `process.nextTick(() => { ${panic} });`,
  `new Promise(() => { ${panic} }); console.log('behind it');`,
  `process.on('uncaughtException', () => { ${panic} }); throw 1;`,
];
(async () => {
  for (const source of sources) {
    const worker = new Worker(source, { eval: true });
    worker.on('error', (error) => console.log(error.code, error.message));
    console.log('exit', await new Promise((resolve) => worker.on('exit', resolve)));
  }
  const next = new Worker('process.exit(4)', { eval: true });
  next.on('exit', (code) => console.log('the next one:', code));
})();
"#;
    let expected = "ERR_WORKER_PANICKED Worker ended by a panic of its host: the worker panicked: \
        an accident\nexit 1\n";
    assert_eq!(run("panic", program), format!("{}the next one: 4\n", expected.repeat(6)));
}

#[test]
fn a_worker_that_nobody_listens_to_fails_its_parent() {
    let program = r"
const { Worker } = require('worker_threads');
process.on('uncaughtException', (error) => console.log('uncaught', error.name, error.message));
new Worker('throw new TypeError(`unheard`)', { eval: true });
";
    assert_eq!(run("unheard", program), "uncaught TypeError unheard\n");
}

#[test]
fn what_is_absent_says_so() {
    let program = r"
const { Worker, SHARE_ENV, MessageChannel, moveMessagePortToContext } = require('worker_threads');
for (const f of [
  () => new Worker('1', { eval: true, env: SHARE_ENV }),
  () => moveMessagePortToContext(new MessageChannel().port1, {}),
]) {
  try { f(); } catch (error) { console.log(error.code, error.message); }
}
const fs = require('fs');
for (const source of ['import fs from \'fs\'', 'export const a = 1;', '[1, ']) {
  const file = `${__dirname}/absent_module.${source[0] === '[' ? 'json' : 'js'}`;
  fs.writeFileSync(file, `\n${source}\n`);
  try { require(file); } catch (error) {
    console.log(error.name, error.message.replace(__dirname, ''), error.stack.includes('absent_module.js:2:'));
  }
}
";
    let expected = "ERR_WORKER_UNSUPPORTED_OPTION SHARE_ENV is not supported by mini_node\n\
        ERR_METHOD_NOT_IMPLEMENTED The moveMessagePortToContext() method is not implemented\n\
        SyntaxError Cannot use import statement outside a module true\n\
        SyntaxError Unexpected token 'export' true\n\
        SyntaxError /absent_module.json: Unexpected end of JSON input false\n";
    assert_eq!(run("absent", program), expected);
}

#[test]
fn a_value_deeper_than_any_stack_is_cloned_or_refused() {
    let program = r"
let deep = null;
for (let i = 0; i < 100_000; i++) deep = [deep];
let copy = structuredClone(deep);
let depth = 0;
for (; copy !== null; copy = copy[0]) depth++;
console.log(depth);
";
    assert_eq!(run("deep", program), "100000\n");
}
