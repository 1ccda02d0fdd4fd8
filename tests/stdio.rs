//! The standard streams, whatever stands behind them. A test starts itself once more, with the
//! streams that it is about, and the child plays the part that it is given.

mod common;

use std::cell::{Cell, RefCell};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::rc::Rc;
use std::thread;

use common::*;
use windlass::fs::stream::{ReadStream, WriteStream, feed, pipe};
use windlass::stdio::{Kind, kind_of, stderr, stdin, stdout};
use windlass::worker::Worker;
use windlass::{CancelError, block_on, run, yield_now};

/// Tells a child of a test that it is one.
const PART: &str = "WINDLASS_STDIO_PART";

/// What comes before all that a child writes: the harness has written too.
const MARK: &[u8] = b"<<begin>>";

fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// Starts the test called `name` as a child that plays a part.
fn start(name: &str, part: &str, stdin: impl Into<Stdio>, stdout: impl Into<Stdio>) -> Child {
    test_as_a_process(name).env(PART, part).stdin(stdin).stdout(stdout).spawn().unwrap()
}

/// What a child has written behind the mark and before the harness goes on.
fn written(all: &[u8]) -> &[u8] {
    let begin = all.windows(MARK.len()).position(|bytes| bytes == MARK).expect("a mark");
    let end = all.windows(MARK.len()).rposition(|bytes| bytes == MARK).expect("a mark");
    assert!(begin < end, "two marks: {}", String::from_utf8_lossy(all));
    &all[begin + MARK.len()..end]
}

/// What a child writes to the pipe that it has got, until it has ended well.
fn output_of(mut child: Child, mut from: impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    from.read_to_end(&mut all).unwrap();
    assert!(child.wait().unwrap().success(), "{}", String::from_utf8_lossy(&all));
    written(&all).to_vec()
}

/// Runs a part with this input, and returns what it writes.
fn run_part(name: &str, part: &str, stdin: impl Into<Stdio>) -> Vec<u8> {
    let mut child = start(name, part, stdin, Stdio::piped());
    let output = child.stdout.take().unwrap();
    output_of(child, output)
}

/// Writes to the standard output what is between two marks.
fn say(text: &str) {
    let mark = str::from_utf8(MARK).unwrap();
    drop(stdout().write(format!("{mark}{text}{mark}").as_bytes()));
}

/// Bytes without a mark in them.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| b'a' + (at % 25) as u8).collect()
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Puts something else in the place of a descriptor, or nothing, until it is dropped.
struct Replaced {
    fd: i32,
    before: OwnedFd,
}

#[allow(unsafe_code)]
impl Replaced {
    fn new(fd: i32, by: Option<OwnedFd>) -> Replaced {
        // SAFETY: the descriptors 0 to 2 are open, and nothing here owns them.
        unsafe {
            let before = BorrowedFd::borrow_raw(fd).try_clone_to_owned().unwrap();
            match by {
                Some(by) => assert_eq!(libc::dup2(by.as_raw_fd(), fd), fd),
                None => assert_eq!(libc::close(fd), 0),
            }
            Replaced { fd, before }
        }
    }
}

#[allow(unsafe_code)]
impl Drop for Replaced {
    fn drop(&mut self) {
        // SAFETY: a call without pointers; what it closes was put there by `new`.
        assert_eq!(unsafe { libc::dup2(self.before.as_raw_fd(), self.fd) }, self.fd);
    }
}

#[test]
fn stdin_knows_what_it_is_and_is_read_to_its_end_whatever_it_is() {
    const NAME: &str = "stdin_knows_what_it_is_and_is_read_to_its_end_whatever_it_is";
    if part().is_some() {
        return run(|| {
            let seen = RefCell::new(Vec::new());
            let kind = stdin().kind();
            assert_eq!(kind, kind_of(0));
            stdin().read_start(move |_, chunk| {
                let chunk = chunk.unwrap();
                seen.borrow_mut().extend_from_slice(chunk);
                if chunk.is_empty() {
                    say(&format!("{kind:?} {}", String::from_utf8_lossy(&seen.borrow())));
                }
            });
        });
    }
    bounded(|| {
        let dir = directory("stdin-kinds");
        let data = bytes(300_000);
        let text = String::from_utf8(data.clone()).unwrap();
        let expect = |stdin: Stdio, kind: Kind, text: &str| {
            let said = String::from_utf8(run_part(NAME, "", stdin)).unwrap();
            assert!(said == format!("{kind:?} {text}"), "{kind:?}: {} bytes", said.len());
        };
        fs::write(dir.join("file"), &data).unwrap();
        expect(File::open(dir.join("file")).unwrap().into(), Kind::File, &text);
        expect(Stdio::null(), Kind::File, "");
        let feed = |mut to: Box<dyn Write + Send>| {
            let data = data.clone();
            thread::spawn(move || to.write_all(&data).unwrap())
        };
        let (reader, writer) = io::pipe().unwrap();
        let thread = feed(Box::new(writer));
        expect(reader.into(), Kind::Pipe, &text);
        thread.join().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let thread = feed(Box::new(ours));
        expect(OwnedFd::from(theirs).into(), Kind::Unix, &text);
        thread.join().unwrap();
        let (ours, theirs) = tcp_pair();
        let thread = feed(Box::new(ours));
        expect(OwnedFd::from(theirs).into(), Kind::Tcp, &text);
        thread.join().unwrap();
        let pty = Pty::open();
        pty.type_in(b"typed\n\x04");
        expect(pty.slave().into(), Kind::Terminal, "typed\n");
    });
}

#[test]
fn closed_descriptors_are_unknown_and_reads_and_writes_fail_with_ebadf() {
    const NAME: &str = "closed_descriptors_are_unknown_and_reads_and_writes_fail_with_ebadf";
    if part().is_none() {
        assert_eq!(run_part(NAME, "", Stdio::null()), b"told once");
        return;
    }
    let told = Rc::new(Cell::new(0));
    let count = told.clone();
    let ebadf = |error: io::Error| assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    run(move || {
        // Not before the loop has its own descriptors: one of them would be 0.
        let closed = [Replaced::new(0, None), Replaced::new(2, None)];
        windlass::spawn(async move {
            assert_eq!((stdin().kind(), stderr().kind()), (Kind::Unknown, Kind::Unknown));
            ebadf(stdin().read(&mut [0; 8]).await.unwrap_err());
            ebadf(stderr().write(b"x").await.unwrap_err());
            ebadf(stderr().write(b"x").await.unwrap_err());
            // It holds nothing once it was told.
            stdin().read_start(move |_, chunk| {
                ebadf(chunk.unwrap_err());
                count.set(count.get() + 1);
            });
            yield_now().await;
            drop(closed);
        });
    });
    assert_eq!(told.get(), 1);
    run(|| say("told once"));
}

#[test]
fn a_stdin_that_nobody_reads_holds_nothing_and_takes_nothing() {
    const NAME: &str = "a_stdin_that_nobody_reads_holds_nothing_and_takes_nothing";
    if part().is_some() {
        return run(|| {
            let input = stdin();
            assert!(input.has_ref());
            say("ends at once");
        });
    }
    bounded(|| {
        let (mut reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"for another").unwrap();
        let copy = reader.try_clone().unwrap();
        assert_eq!(run_part(NAME, "", copy), b"ends at once");
        let pty = Pty::open();
        pty.type_in(b"for another\n");
        assert_eq!(run_part(NAME, "", pty.slave()), b"ends at once");
        let mut line = [0; 12];
        (&pty.slave).read_exact(&mut line).unwrap();
        assert_eq!(&line, b"for another\n");
        drop(writer);
        let mut left = String::new();
        reader.read_to_string(&mut left).unwrap();
        assert_eq!(left, "for another");
    });
}

#[test]
fn of_a_file_no_more_is_read_than_there_is_room_for() {
    const NAME: &str = "of_a_file_no_more_is_read_than_there_is_room_for";
    if part().is_some() {
        return block_on(async {
            let mut buffer = [0; 10];
            assert_eq!(stdin().read(&mut buffer).await.unwrap(), 10);
            assert_eq!(&buffer, b"0123456789");
            let mut buffer = [0; 5];
            assert_eq!(stdin().read(&mut buffer).await.unwrap(), 5);
            say(str::from_utf8(&buffer).unwrap());
        });
    }
    let path = directory("stdin-room").join("file");
    fs::write(&path, "0123456789abcdefghij").unwrap();
    let mut file = File::open(&path).unwrap();
    assert_eq!(run_part(NAME, "", file.try_clone().unwrap()), b"abcde");
    assert_eq!(file.stream_position().unwrap(), 15);
    let mut left = String::new();
    file.read_to_string(&mut left).unwrap();
    assert_eq!(left, "fghij");
}

#[test]
fn a_read_of_a_file_that_is_dropped_loses_nothing() {
    const NAME: &str = "a_read_of_a_file_that_is_dropped_loses_nothing";
    if part().is_none() {
        let path = directory("stdin-dropped").join("file");
        fs::write(&path, "0123456789").unwrap();
        assert_eq!(run_part(NAME, "", File::open(&path).unwrap()), b"0123456789");
        return;
    }
    block_on(async {
        let mut buffer = [0; 4];
        {
            let input = stdin();
            let mut read = std::pin::pin!(input.read(&mut buffer));
            // The job has begun, and its reader goes.
            assert!(poll_once(read.as_mut()).await.is_none());
        }
        let (mut all, input) = (Vec::new(), stdin());
        loop {
            let mut one = [0; 1];
            match input.read(&mut one).await.unwrap() {
                0 => break,
                _ => all.push(one[0]),
            }
        }
        say(str::from_utf8(&all).unwrap());
    });
}

/// Polls a future once: none if it is pending.
async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn writes_through_several_handles_keep_their_order_whatever_stdout_is() {
    const NAME: &str = "writes_through_several_handles_keep_their_order_whatever_stdout_is";
    const LINES: usize = 20_000;
    let line = |number: usize| format!("line {number}\n");
    let all: String = (0..LINES).map(line).collect();
    if part().is_some() {
        return run(move || {
            let one = stdout();
            drop(one.write(MARK));
            for number in 0..LINES {
                match number % 3 {
                    0 => drop(one.write(line(number).as_bytes())),
                    1 => drop(stdout().write_owned(line(number))),
                    _ => drop(one.clone().write(line(number).as_bytes())),
                }
            }
            drop(stdout().write(MARK));
            // Nobody has a handle any more: what waits goes out all the same.
        });
    }
    bounded(move || {
        let path = directory("stdout-order").join("file");
        let file = File::create(&path).unwrap();
        assert!(start(NAME, "", Stdio::null(), file).wait().unwrap().success());
        assert!(written(&fs::read(&path).unwrap()) == all.as_bytes(), "a file");
        let (reader, writer) = io::pipe().unwrap();
        let child = start(NAME, "", Stdio::null(), writer);
        assert!(output_of(child, reader) == all.as_bytes(), "a pipe");
        let (ours, theirs) = UnixStream::pair().unwrap();
        let child = start(NAME, "", Stdio::null(), OwnedFd::from(theirs));
        assert!(output_of(child, ours) == all.as_bytes(), "a Unix socket");
        let (ours, theirs) = tcp_pair();
        let child = start(NAME, "", Stdio::null(), OwnedFd::from(theirs));
        assert!(output_of(child, ours) == all.as_bytes(), "a TCP socket");
        let pty = Pty::open();
        let mut child = start(NAME, "", Stdio::null(), pty.slave());
        let shown = pty.read_until("line 19999\r\n<<begin>>");
        let shown = shown.replace("\r\n", "\n");
        assert!(written(shown.as_bytes()) == all.as_bytes(), "a terminal");
        assert!(child.wait().unwrap().success());
        assert!(start(NAME, "", Stdio::null(), Stdio::null()).wait().unwrap().success());
    });
}

#[test]
fn closing_a_handle_leaves_the_descriptor_open_and_the_next_one_is_new() {
    const NAME: &str = "closing_a_handle_leaves_the_descriptor_open_and_the_next_one_is_new";
    if part().is_some() {
        return block_on(async {
            let (one, same) = (stdout(), stdout());
            let closed = Rc::new(RefCell::new(Vec::new()));
            let inner = closed.clone();
            one.on_close(move || inner.borrow_mut().push("closed"));
            one.close();
            let error = same.write(b"no").await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotConnected, "all handles are one stream");
            until(|| !closed.borrow().is_empty()).await;
            io::stdout().write_all(MARK).unwrap();
            io::stdout().flush().unwrap();
            stdout().write(b"still there").await.unwrap();
            stdout().write(MARK).await.unwrap();
            let mut buffer = [0; 2];
            assert_eq!(stdin().read(&mut buffer).await.unwrap(), 2);
            stdin().close();
            assert_eq!(stdin().read(&mut buffer).await.unwrap(), 2);
            assert_eq!(&buffer, b"34");
            for fd in 0..3 {
                assert_ne!(kind_of(fd), Kind::Unknown);
            }
        });
    }
    bounded(|| {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"1234").unwrap();
        assert_eq!(run_part(NAME, "", reader), b"still there");
        let path = directory("stdio-close").join("file");
        fs::write(&path, "1234").unwrap();
        assert_eq!(run_part(NAME, "", File::open(&path).unwrap()), b"still there");
    });
}

#[test]
fn what_other_processes_see_of_the_open_files_does_not_change() {
    const NAME: &str = "what_other_processes_see_of_the_open_files_does_not_change";
    if part().is_some() {
        return run(|| {
            say("here");
            stdin().read_start(|input, _| input.close());
        });
    }
    bounded(|| {
        let dir = directory("stdio-flags");
        let path = dir.join("fifo");
        make_fifo(&path);
        let fifo = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let (pipe, pipe_end) = io::pipe().unwrap();
        let (socket, socket_end) = UnixStream::pair().unwrap();
        let pty = Pty::open();
        let to_pty = pty.master.try_clone().unwrap();
        let cases: [(&str, OwnedFd, Box<dyn Write>); 4] = [
            ("a pipe", pipe.into(), Box::new(pipe_end)),
            ("a socket", socket.into(), Box::new(socket_end)),
            ("a terminal", pty.slave(), Box::new(to_pty)),
            ("a FIFO", fifo.try_clone().unwrap().into(), Box::new(fifo)),
        ];
        for (what, fd, mut other_end) in cases {
            let before = descriptor_flags(fd.as_raw_fd()).0;
            let (mut reader, writer) = io::pipe().unwrap();
            let copy = writer.try_clone().unwrap();
            let mut child = start(NAME, "", fd.try_clone().unwrap(), writer);
            let mut seen = Vec::new();
            while !seen.ends_with(MARK)
                || seen.windows(MARK.len()).filter(|w| *w == MARK).count() < 2
            {
                let mut byte = [0];
                reader.read_exact(&mut byte).unwrap();
                seen.push(byte[0]);
            }
            assert!(!descriptor_flags(copy.as_raw_fd()).0, "{what}: the output, meanwhile");
            if what != "a FIFO" {
                assert_eq!(descriptor_flags(fd.as_raw_fd()).0, before, "{what}, meanwhile");
            }
            other_end.write_all(b"x\n").unwrap();
            assert!(child.wait().unwrap().success());
            assert_eq!(descriptor_flags(fd.as_raw_fd()).0, before, "{what}, afterwards");
        }
    });
}

#[allow(unsafe_code)]
fn make_fifo(path: &std::path::Path) {
    let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the path is a live string that ends in zero.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

#[test]
fn an_output_that_is_full_or_gone_is_the_error_of_its_write() {
    const NAME: &str = "an_output_that_is_full_or_gone_is_the_error_of_its_write";
    if part().is_none() {
        assert_eq!(run_part(NAME, "", Stdio::null()), b"done");
        return;
    }
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap().into();
    let (reader, broken) = io::pipe().unwrap();
    drop(reader);
    for (output, kind) in
        [(full, io::ErrorKind::StorageFull), (broken.into(), io::ErrorKind::BrokenPipe)]
    {
        let replaced = Replaced::new(1, Some(output));
        block_on(async {
            for len in [1, 1_000_000] {
                let error = stdout().write_owned(bytes(len)).await.unwrap_err();
                assert_eq!(error.kind(), kind, "{len}");
            }
            // Nobody takes the error: it is logged, the stream closes, and the next one is new.
            let before = stdout();
            drop(before.write(b"x"));
            until(|| before.is_closing()).await;
            assert_eq!(stdout().write(b"x").await.unwrap_err().kind(), kind);
        });
        drop(replaced);
    }
    run(|| say("done"));
}

#[test]
fn of_a_file_a_write_that_is_under_way_can_no_longer_be_cancelled_and_one_behind_it_can() {
    const NAME: &str =
        "of_a_file_a_write_that_is_under_way_can_no_longer_be_cancelled_and_one_behind_it_can";
    if part().is_none() {
        let path = directory("stdout-cancel").join("file");
        let file = File::create(&path).unwrap();
        assert!(start(NAME, "", Stdio::null(), file).wait().unwrap().success());
        assert_eq!(written(&fs::read(&path).unwrap()), b"onethree");
        return;
    }
    block_on(async {
        stdout().write(MARK).await.unwrap();
        let one = stdout().write(b"one");
        iterations(3).await; // In one of them it is handed over.
        let two = stdout().write(b"two");
        let three = stdout().write(b"three");
        assert!(matches!(one.cancel(), Err(CancelError::Busy | CancelError::Done)));
        assert_eq!(two.cancel(), Ok(()));
        one.await.unwrap();
        assert_eq!(two.await.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
        three.await.unwrap();
        stdout().write(MARK).await.unwrap();
    });
}

#[test]
fn a_task_that_polls_writes_and_ends_loses_nothing_whatever_stdout_is() {
    const NAME: &str = "a_task_that_polls_writes_and_ends_loses_nothing_whatever_stdout_is";
    let data = bytes(400_000);
    if part().is_some() {
        return block_on(async move {
            let output = stdout();
            let all = [MARK, &data, MARK].concat();
            let mut rest = &all[..];
            while !rest.is_empty() {
                let count = std::future::poll_fn(|cx| output.poll_write(cx, rest)).await.unwrap();
                rest = &rest[count..];
            }
            std::future::poll_fn(|cx| output.poll_shutdown(cx)).await.unwrap();
            assert_eq!(output.write_queue_size(), 0);
            assert!(output.write(b"more").await.is_err());
        });
    }
    bounded(move || {
        let path = directory("stdout-poll").join("file");
        let file = File::create(&path).unwrap();
        let mut child = start(NAME, "", Stdio::null(), file);
        assert!(child.wait().unwrap().success());
        assert!(written(&fs::read(&path).unwrap()) == data);
        assert!(run_part(NAME, "", Stdio::null()) == data);
    });
}

#[test]
fn standard_streams_work_on_the_loop_of_a_worker() {
    const NAME: &str = "standard_streams_work_on_the_loop_of_a_worker";
    if part().is_none() {
        let path = directory("stdio-worker").join("file");
        fs::write(&path, "from a file").unwrap();
        assert_eq!(run_part(NAME, "", File::open(&path).unwrap()), b"FROM A FILE");
        return;
    }
    run(|| {
        Worker::<(), ()>::spawn_async(|_port| async {
            let mut buffer = [0; 64];
            let count = stdin().read(&mut buffer).await.unwrap();
            buffer[..count].make_ascii_uppercase();
            say(str::from_utf8(&buffer[..count]).unwrap());
        })
        .unwrap();
    });
}

#[test]
fn a_large_copy_between_files_loses_nothing_and_holds_memory_flat() {
    const NAME: &str = "a_large_copy_between_files_loses_nothing_and_holds_memory_flat";
    const LEN: usize = 48 << 20;
    if part().is_some() {
        let before = Footprint::now();
        block_on(async {
            let (input, output) = (stdin(), stdout());
            output.write(MARK).await.unwrap();
            let mut buffer = vec![0; 64 * 1024];
            let mut total = 0;
            loop {
                let count = input.read(&mut buffer).await.unwrap();
                if count == 0 {
                    break;
                }
                total += count;
                output.write(&buffer[..count]).await.unwrap();
            }
            assert_eq!(total, LEN);
            output.write(MARK).await.unwrap();
        });
        let grown = Footprint::now().resident_kb - before.resident_kb;
        assert!(grown < 6000, "{grown} kB");
        return;
    }
    bounded(|| {
        let dir = directory("stdio-copy");
        let data = bytes(1 << 20);
        let mut file = File::create(dir.join("from")).unwrap();
        for _ in 0..LEN / data.len() {
            file.write_all(&data).unwrap();
        }
        let input = File::open(dir.join("from")).unwrap();
        let output = File::create(dir.join("to")).unwrap();
        assert!(start(NAME, "", input, output).wait().unwrap().success());
        let all = fs::read(dir.join("to")).unwrap();
        assert!(written(&all) == fs::read(dir.join("from")).unwrap());
        fs::remove_dir_all(&dir).unwrap();
    });
}

#[test]
fn what_a_loop_ends_with_is_dropped_once_and_the_descriptors_stay() {
    const NAME: &str = "what_a_loop_ends_with_is_dropped_once_and_the_descriptors_stay";
    if part().is_none() {
        assert_eq!(run_part(NAME, "", Stdio::null()), b"flat");
        return;
    }
    let held = Rc::new(());
    let round = |held: &Rc<()>| {
        let inner = held.clone();
        run(move || {
            stdin().read_start(move |_, _| drop(inner.clone()));
            drop((stdout().write(b""), stderr()));
            windlass::exit(0);
        });
    };
    for _ in 0..50 {
        round(&held);
    }
    let before = Footprint::now();
    for _ in 0..2000 {
        round(&held);
    }
    Footprint::now().expect_no_more_than(before, 2048);
    assert_eq!(Rc::strong_count(&held), 1);
    run(|| say("flat"));
}

#[test]
fn a_file_goes_through_fs_stream_pipe_to_stdout_and_stdin_to_a_file() {
    const NAME: &str = "a_file_goes_through_fs_stream_pipe_to_stdout_and_stdin_to_a_file";
    if let Some(part) = part() {
        return block_on(async move {
            stdout().write(MARK).await.unwrap();
            feed(ReadStream::open(format!("{part}/from")), stdout()).await.unwrap();
            stdout().write(MARK).await.unwrap();
            pipe(stdin(), WriteStream::create(format!("{part}/to"))).await.unwrap();
        });
    }
    bounded(|| {
        // The child would empty it.
        let dir = directory("stdio-feed");
        let data = bytes(700_000);
        fs::write(dir.join("from"), &data).unwrap();
        let input = File::open(dir.join("from")).unwrap();
        let mut child = start(NAME, dir.to_str().unwrap(), input, Stdio::piped());
        let output = child.stdout.take().unwrap();
        assert!(output_of(child, output) == data);
        assert!(fs::read(dir.join("to")).unwrap() == data);
    });
}

#[test]
fn a_loop_can_be_closed_once_nobody_has_a_standard_stream_of_it() {
    const NAME: &str = "a_loop_can_be_closed_once_nobody_has_a_standard_stream_of_it";
    if part().is_none() {
        let path = directory("stdio-loop-close").join("file");
        for (input, kind) in [(Stdio::null(), "null"), (Stdio::piped(), "pipe")] {
            fs::write(&path, "").unwrap();
            let file = OpenOptions::new().append(true).open(&path).unwrap();
            let mut child = start(NAME, kind, input, file);
            assert!(child.wait().unwrap().success());
            assert_eq!(written(&fs::read(&path).unwrap()), b"one two", "{kind}");
        }
        return;
    }
    let event_loop = real_loop();
    event_loop.run(|| {
        drop(stdout().write(MARK));
        drop(stdout().write(b"one "));
        assert!(stdin().has_ref());
    });
    // Each iteration a new stream, on what the one before has left.
    for data in [&b"two"[..], MARK] {
        let output = event_loop.run(|| {
            drop(stdout().write(data));
            stdout()
        });
        let error = event_loop.close().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy, "{error}");
        drop(output);
    }
    event_loop.close().unwrap();
}

#[test]
fn a_write_behind_one_that_a_close_has_cut_off_comes_after_it() {
    const NAME: &str = "a_write_behind_one_that_a_close_has_cut_off_comes_after_it";
    if part().is_none() {
        let path = directory("stdout-cut").join("file");
        let file = File::create(&path).unwrap();
        assert!(start(NAME, "", Stdio::null(), file).wait().unwrap().success());
        let all = fs::read(&path).unwrap();
        let all = written(&all);
        // The job that the close met has written its share, or had not begun.
        let (cut, behind) = all.split_at(all.len() - 6);
        assert!(cut.iter().all(|byte| *byte == b'x') && cut.len() <= 1 << 20);
        assert_eq!(behind, b"behind");
        return;
    }
    block_on(async {
        stdout().write(MARK).await.unwrap();
        let output = stdout();
        let cut = output.write_owned(vec![b'x'; 1 << 20]);
        iterations(2).await; // In one of them its head is handed over.
        output.close();
        assert_eq!(cut.await.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
        stdout().write(b"behind").await.unwrap();
        stdout().write(MARK).await.unwrap();
    });
}

#[test]
fn in_virtual_time_files_are_read_and_written_by_the_loop_and_an_hour_costs_nothing() {
    const NAME: &str =
        "in_virtual_time_files_are_read_and_written_by_the_loop_and_an_hour_costs_nothing";
    if part().is_none() {
        let path = directory("stdio-virtual").join("file");
        fs::write(&path, "read ").unwrap();
        let output = File::create(path.with_extension("to")).unwrap();
        let input = File::open(&path).unwrap();
        assert!(start(NAME, "", input, output).wait().unwrap().success());
        assert_eq!(written(&fs::read(path.with_extension("to")).unwrap()), b"read and written");
        return;
    }
    virtual_loop().block_on(async {
        let mut buffer = [0; 64];
        let count = stdin().read(&mut buffer).await.unwrap();
        windlass::time::sleep(HOUR).await;
        assert_eq!(stdin().read(&mut buffer[count..]).await.unwrap(), 0);
        say(&format!("{}and written", str::from_utf8(&buffer[..count]).unwrap()));
        stdout().shutdown().await.unwrap();
    });
}

#[test]
fn the_socket_of_an_inetd_serves_both_ways_and_its_end_is_sent() {
    const NAME: &str = "the_socket_of_an_inetd_serves_both_ways_and_its_end_is_sent";
    if part().is_some() {
        return run(|| {
            let output = stdout();
            drop(output.write(MARK));
            stdin().read_start(move |_, chunk| match chunk.unwrap() {
                b"" => drop((output.write(MARK), output.shutdown())),
                chunk => drop(output.write(&chunk.to_ascii_uppercase())),
            });
        });
    }
    bounded(|| {
        let (mut ours, theirs) = tcp_pair();
        let both = || OwnedFd::from(theirs.try_clone().unwrap());
        let child = start(NAME, "", both(), both());
        ours.write_all(b"hello").unwrap();
        ours.shutdown(Shutdown::Write).unwrap();
        drop(theirs);
        assert_eq!(output_of(child, &ours), b"HELLO");
        assert!(ours.as_fd().as_raw_fd() > 2);
    });
}
