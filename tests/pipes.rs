//! Pipes: anonymous ones, FIFOs, and ends that come from elsewhere.

mod common;

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::thread;

use common::*;
use windlass::pipe::{Reader, Writer, pipe};
use windlass::{block_on, run, yield_now};

async fn read_to_end(reader: &Reader) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 10_000]);
    loop {
        match reader.read(&mut buffer).await.unwrap() {
            0 => return all,
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

#[test]
fn what_is_written_is_read_in_order_and_the_shutdown_is_the_end() {
    bounded(|| {
        let data = noise(1, 1_000_000);
        let expected = data.clone();
        block_on(async move {
            let (writer, reader) = pipe().unwrap();
            let closed = Rc::new(Cell::new(false));
            let told = closed.clone();
            writer.on_close(move || told.set(true));
            for chunk in data.chunks(7_777) {
                drop(writer.write(chunk));
            }
            assert!(writer.write_queue_size() > 500_000, "a pipe holds some 64 KiB");
            let end = windlass::spawn({
                let writer = writer.clone();
                async move { writer.shutdown().await }
            });
            assert!(read_to_end(&reader).await == expected);
            end.await.unwrap().unwrap();
            assert!(closed.get() && writer.is_closing(), "the end of a pipe is its close");
            assert!(!writer.is_writable());
            assert_eq!(writer.write(b"x").await.unwrap_err().kind(), io::ErrorKind::NotConnected);
        });
    });
}

#[test]
fn an_empty_write_completes_in_its_place() {
    // U-13
    let order = Rc::new(RefCell::new(Vec::new()));
    let seen = order.clone();
    run(move || {
        let (writer, reader) = pipe().unwrap();
        for (name, data) in [("full", vec![7; 100_000]), ("empty", vec![]), ("last", vec![8])] {
            let order = order.clone();
            writer.write_owned(data).on_complete(move |result| {
                result.unwrap();
                order.borrow_mut().push(name);
            });
        }
        let mut left = 100_001;
        reader.read_start(move |reader, chunk| {
            left -= chunk.unwrap().len();
            if left == 0 {
                reader.close();
            }
        });
    });
    assert_eq!(*seen.borrow(), ["full", "empty", "last"]);
}

#[test]
fn a_reader_gets_what_is_left_and_then_the_end_also_when_the_close_is_all_that_happens() {
    // U-15 ★
    bounded(|| {
        let told = Rc::new(RefCell::new(Vec::new()));
        let seen = told.clone();
        run(move || {
            let (writer, reader) = pipe().unwrap();
            drop(writer.write(b"left"));
            drop(writer);
            reader.read_start(move |_, chunk| told.borrow_mut().push(chunk.unwrap().to_vec()));
        });
        assert_eq!(*seen.borrow(), [b"left".to_vec(), vec![]]);
        // Nothing but the close, while the reader waits.
        block_on(async {
            let (ours, theirs) = io::pipe().unwrap();
            let reader = Reader::from_fd(ours.into()).unwrap();
            let closing = thread::spawn({
                let (go, gate) = std::sync::mpsc::channel::<()>();
                windlass::set_immediate(move || drop(go));
                move || {
                    gate.recv().ok();
                    drop(theirs);
                }
            });
            assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0);
            closing.join().unwrap();
        });
    });
}

#[test]
fn a_writer_that_waits_on_a_full_pipe_hears_that_the_reader_has_gone() {
    // U-16 ★
    bounded(|| {
        block_on(async {
            let (writer, reader) = pipe().unwrap();
            let request = writer.write_owned(vec![0; 1 << 20]);
            let task = windlass::spawn({
                let writer = writer.clone();
                async move { std::future::poll_fn(|cx| writer.poll_write(cx, b"more")).await }
            });
            for _ in 0..3 {
                yield_now().await;
            }
            assert!(writer.write_queue_size() > 0);
            reader.close();
            assert_eq!(request.await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            assert_eq!(task.await.unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            assert_eq!(writer.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        });
    });
}

fn expect_invalid<T: std::fmt::Debug>(result: io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn what_is_no_fifo_or_goes_the_other_way_is_refused_at_once() {
    // U-17
    let dir = directory("pipe-refused");
    let path = dir.join("file");
    File::create(&path).unwrap();
    run(|| {
        expect_invalid(Reader::open(&path));
        expect_invalid(Writer::open(&path));
        expect_invalid(Reader::open("/dev/null"));
        let at = dir.join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&at).unwrap();
        for other in [&dir, &at] {
            expect_invalid(Reader::open(other));
            expect_invalid(Writer::open(other));
        }
        assert_eq!(Reader::open(dir.join("no")).unwrap_err().kind(), io::ErrorKind::NotFound);
        expect_invalid(Reader::open("a\0b"));

        let (reader, writer) = io::pipe().unwrap();
        expect_invalid(Reader::from_fd(writer.try_clone().unwrap().into()));
        expect_invalid(Writer::from_fd(reader.try_clone().unwrap().into()));
        assert_eq!(descriptor_flags(reader.as_raw_fd()), (false, true), "as they were");
        assert_eq!(descriptor_flags(writer.as_raw_fd()), (false, true));
        let file = || OwnedFd::from(OpenOptions::new().read(true).write(true).open(&path).unwrap());
        expect_invalid(Reader::from_fd(file()));
        expect_invalid(Writer::from_fd(file()));
        let (socket, _other) = UnixStream::pair().unwrap();
        expect_invalid(Reader::from_fd(socket.into()));
    });
}

#[test]
fn a_fifo_waits_for_its_first_writer_and_ends_with_its_last() {
    // U-17
    bounded(|| {
        let path = fifo("fifo-reader");
        let told = Rc::new(RefCell::new(Vec::new()));
        let seen = told.clone();
        run(move || {
            let early = Writer::open(&path).unwrap_err();
            assert_eq!(early.raw_os_error(), Some(libc::ENXIO), "nobody reads yet");
            let reader = Reader::open(&path).unwrap();
            reader.read_start(move |_, chunk| told.borrow_mut().push(chunk.unwrap().to_vec()));
            windlass::spawn(async move {
                for _ in 0..5 {
                    yield_now().await;
                }
                // No end yet. Two writers, of which one goes first.
                let (one, two) = (Writer::open(&path).unwrap(), Writer::open(&path).unwrap());
                one.write(b"one").await.unwrap();
                one.close();
                for _ in 0..5 {
                    yield_now().await;
                }
                two.write(b"two").await.unwrap();
            });
        });
        assert_eq!(*seen.borrow(), [b"one".to_vec(), b"two".to_vec(), vec![]]);
    });
}

#[test]
fn a_fifo_that_no_writer_has_opened_yet_is_not_at_its_end_for_who_only_tries() {
    bounded(|| {
        let path = fifo("fifo-tried");
        block_on(async {
            let reader = Reader::open(&path).unwrap();
            let tried = || reader.try_read(&mut [0; 8]);
            assert_eq!(tried().unwrap_err().kind(), io::ErrorKind::WouldBlock);
            let writer = Writer::open(&path).unwrap();
            assert_eq!(tried().unwrap_err().kind(), io::ErrorKind::WouldBlock);
            writer.write(b"x").await.unwrap();
            assert_eq!(tried().unwrap(), 1);
            writer.close();
            assert_eq!(tried().unwrap(), 0, "now it is");
            assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0);
        });
    });
}

#[test]
fn a_fifo_that_is_open_both_ways_sees_no_end_between_writers() {
    // U-17
    bounded(|| {
        let path = fifo("fifo-both");
        block_on(async {
            let both = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            let reader = Reader::from_fd(both.into()).unwrap();
            let mut buffer = [0; 16];
            for text in [&b"first"[..], b"second"] {
                let writer = Writer::open(&path).unwrap();
                writer.write(text).await.unwrap();
                writer.close();
                let count = reader.read(&mut buffer).await.unwrap();
                assert_eq!(&buffer[..count], text);
            }
        });
    });
}

fn flags_of(path: &Path, write: bool) -> (OwnedFd, OwnedFd) {
    let both = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let end = OpenOptions::new().read(!write).write(write).open(path).unwrap();
    (end.into(), both.into())
}

#[test]
fn the_open_file_of_an_adopted_end_is_as_it_was_once_the_stream_is_closed() {
    // U-18
    run(|| {
        let (reader, writer) = io::pipe().unwrap();
        let ours = Reader::from_fd(reader.try_clone().unwrap().into()).unwrap();
        assert!(ours.is_readable());
        ours.close();
        assert!(!ours.is_readable());
        let ours = Writer::from_fd(writer.try_clone().unwrap().into()).unwrap();
        assert!(ours.is_writable());
        drop(ours);
        assert_eq!(descriptor_flags(reader.as_raw_fd()), (false, true));
        assert_eq!(descriptor_flags(writer.as_raw_fd()), (false, true));

        // A FIFO cannot be opened anew: its flag is set, and put back.
        let path = fifo("fifo-flags");
        for write in [false, true] {
            let (end, _both) = flags_of(&path, write);
            let copy = end.try_clone().unwrap();
            let blocks = || !descriptor_flags(copy.as_raw_fd()).0;
            assert!(blocks());
            if write {
                let ours = Writer::from_fd(end).unwrap();
                assert!(!blocks());
                drop(ours);
            } else {
                let ours = Reader::from_fd(end).unwrap();
                assert!(!blocks());
                ours.close();
            }
            assert!(blocks());
        }
    });
}

#[test]
fn of_two_streams_of_one_fifo_the_one_that_closes_last_puts_the_flag_back() {
    let path = fifo("fifo-two-streams");
    run(|| {
        for (reader_first, before) in [(true, false), (false, false), (true, true)] {
            let both = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            let end = || OwnedFd::from(both.try_clone().unwrap());
            let flag = || descriptor_flags(both.as_raw_fd()).0;
            let foreign = before.then(|| Reader::from_fd(end()).unwrap());
            assert_eq!(flag(), before);
            let reader = Reader::from_fd(end()).unwrap();
            let writer = Writer::from_fd(end()).unwrap();
            // Another open file of the same FIFO has a flag of its own.
            let other = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            let apart = Reader::from_fd(other.try_clone().unwrap().into()).unwrap();
            if reader_first {
                reader.close()
            } else {
                writer.close()
            }
            assert!(flag(), "the other one is open, and must not hold up the loop");
            if reader_first {
                writer.close()
            } else {
                reader.close()
            }
            assert_eq!(flag(), before);
            assert!(descriptor_flags(other.as_raw_fd()).0);
            apart.close();
            assert!(!descriptor_flags(other.as_raw_fd()).0);
            if let Some(foreign) = foreign {
                foreign.close();
            }
            assert!(!flag());
        }
    });
}

/// Has the kernel refuse this thread the call that compares open files, as many containers do.
#[allow(unsafe_code)]
#[cfg(target_os = "linux")]
fn refuse_to_compare() {
    let step = |code: u32, yes, no, value| libc::sock_filter {
        code: code as u16,
        jt: yes,
        jf: no,
        k: value,
    };
    let (load, equal, end) = (
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        libc::BPF_RET | libc::BPF_K,
    );
    let mut steps = [
        step(load, 0, 0, 0), // The number of the call.
        step(equal, 0, 1, libc::SYS_kcmp as u32),
        step(end, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(end, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: the filter lives across the calls. It is for this thread, which ends with the test.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64), 0);
        let mode = u64::from(libc::SECCOMP_MODE_FILTER);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter), 0);
        assert_eq!(libc::syscall(libc::SYS_kcmp, 0, 0, 0, 0, 0), -1);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn open_files_of_one_fifo_are_told_apart_also_where_the_system_refuses_to_compare_them() {
    let path = fifo("fifo-refused");
    bounded(move || {
        refuse_to_compare();
        run(|| {
            let open = || OpenOptions::new().read(true).write(true).open(&path).unwrap();
            let flag = |file: &File| descriptor_flags(file.as_raw_fd()).0;
            let adopt = |file: &File| Reader::from_fd(file.try_clone().unwrap().into()).unwrap();
            let (one, other) = (open(), open());
            // Non-blocking before, by somebody else's hand.
            let theirs = adopt(&other);
            let (ours, second) = (adopt(&one), adopt(&one));
            let apart = adopt(&other);
            ours.close();
            assert!(flag(&one), "the second one needs it");
            second.close();
            assert!(!flag(&one), "that the other open file needs it changes nothing");
            apart.close();
            assert!(flag(&other), "as it was before");
            theirs.close();
            assert!(!flag(&other));
        });
    });
}

/// Clears the flag by way of another descriptor of the open file, as another process does.
#[allow(unsafe_code)]
fn make_wait(file: &File) {
    // SAFETY: calls without pointers, on a descriptor that is open.
    unsafe {
        let flags = libc::fcntl(file.as_raw_fd(), libc::F_GETFL);
        let flags = flags & !libc::O_NONBLOCK;
        assert_eq!(libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags), 0);
    }
}

#[test]
fn a_flag_that_others_take_away_does_not_make_the_loop_wait() {
    bounded(|| {
        let path = fifo("fifo-taken");
        let open = |read, write| OpenOptions::new().read(read).write(write).open(&path).unwrap();
        let both = open(true, true);
        let (end, entry) = (open(true, false), open(false, true));
        let (theirs, also_theirs) = (end.try_clone().unwrap(), entry.try_clone().unwrap());
        block_on(async {
            let reader = Reader::from_fd(end.into()).unwrap();
            let writer = Writer::from_fd(entry.into()).unwrap();
            make_wait(&theirs);
            make_wait(&also_theirs);
            // More than the pipe takes: the loop goes on to the reader, which empties it and waits.
            let data = noise(5, 200_000);
            let request = writer.write(&data);
            assert!(writer.write_queue_size() > 0);
            let vectored =
                writer.write_vectored(&[&b""[..], b"behind", b" it"].map(io::IoSlice::new));
            let got = Rc::new(RefCell::new(Vec::<u8>::new()));
            let taken = got.clone();
            reader.read_start(move |_, chunk| taken.borrow_mut().extend(chunk.unwrap()));
            request.await.unwrap();
            vectored.await.unwrap();
            until(|| got.borrow().len() >= data.len() + 9).await;
            assert!(*got.borrow() == [&data[..], b"behind it"].concat());
            reader.close();
            drop(both);
        });
    });
}

/// As every child does that inherits a standard stream.
#[test]
fn a_child_that_shares_a_fifo_does_not_make_the_loop_wait() {
    bounded(|| {
        let path = fifo("fifo-inherited");
        let mut both = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let end = OpenOptions::new().read(true).open(&path).unwrap();
        let theirs = OwnedFd::from(end.try_clone().unwrap());
        block_on(async {
            let reader = Reader::from_fd(end.into()).unwrap();
            let child = windlass::process::Command::new("true").stdin(theirs).status();
            assert!(child.await.unwrap().success());
            both.write_all(b"hello").unwrap();
            let mut buffer = [0; 5];
            assert_eq!(reader.read(&mut buffer).await.unwrap(), 5);
            let nothing = reader.try_read(&mut buffer).unwrap_err();
            assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        });
    });
}

#[test]
fn two_streams_of_one_open_file_do_not_make_each_other_wait() {
    bounded(|| {
        block_on(async {
            let (mut reader, writer) = io::pipe().unwrap();
            let one = Writer::from_fd(writer.try_clone().unwrap().into()).unwrap();
            let two = Writer::from_fd(writer.into()).unwrap();
            drop(one.write(b"one "));
            one.close();
            // It would hold up the loop for ever if it waited.
            let large = two.write_owned(vec![b'x'; 1 << 20]);
            assert!(two.write_queue_size() > 0);
            let reading = thread::spawn(move || {
                let mut all = Vec::new();
                reader.read_to_end(&mut all).unwrap();
                all.len()
            });
            large.await.unwrap();
            two.shutdown().await.unwrap();
            assert_eq!(reading.join().unwrap(), 4 + (1 << 20));
        });
    });
}

#[test]
fn a_pipe_between_threads_that_block_and_a_loop_that_does_not() {
    bounded(|| {
        let data = noise(3, 3_000_000);
        let (mut input, to_loop) = io::pipe().map(|(r, w)| (w, r)).unwrap();
        let (mut output, from_loop) = io::pipe().unwrap();
        let sent = data.clone();
        let writing = thread::spawn(move || input.write_all(&sent).unwrap());
        let reading = thread::spawn(move || {
            let mut all = Vec::new();
            output.read_to_end(&mut all).unwrap();
            all
        });
        run(|| {
            let reader = Reader::from_fd(to_loop.into()).unwrap();
            let writer = Writer::from_fd(from_loop.into()).unwrap();
            reader.read_start(move |reader, chunk| match chunk.unwrap() {
                [] => drop(writer.shutdown()),
                bytes => {
                    // No faster than it goes out.
                    reader.read_stop();
                    let own = reader.clone();
                    let again = writer.clone();
                    pump(own, again, bytes.to_vec());
                }
            });
        });
        writing.join().unwrap();
        assert!(reading.join().unwrap() == data);
    });
}

/// Writes, and reads on when that is done.
fn pump(reader: Reader, writer: Writer, bytes: Vec<u8>) {
    let sink = writer.clone();
    writer.write_owned(bytes).on_complete(move |result| {
        result.unwrap();
        let inner = sink.clone();
        reader.read_start(move |reader, chunk| match chunk.unwrap() {
            [] => drop(inner.shutdown()),
            bytes => {
                reader.read_stop();
                pump(reader.clone(), inner.clone(), bytes.to_vec());
            }
        });
    });
}

#[test]
fn a_name_is_all_that_keeps_an_idle_end_open() {
    run(|| {
        let (writer, reader) = pipe().unwrap();
        let clone = writer.clone();
        drop(writer);
        assert!(!clone.is_closing());
        drop(reader.clone());
        drop(clone);
        windlass::spawn(async move {
            assert_eq!(reader.read(&mut [0; 1]).await.unwrap(), 0, "the writer has closed");
        });
    });
}

#[test]
fn pipes_that_come_and_go_leave_nothing_behind() {
    const PART: &str = "WINDLASS_PIPES_PART";
    if std::env::var(PART).is_err() {
        // In a process of its own: other tests open descriptors too.
        let mut child = test_as_a_process("pipes_that_come_and_go_leave_nothing_behind");
        assert!(child.env(PART, "").status().unwrap().success());
        return;
    }
    let path = fifo("fifo-footprint");
    let round = || {
        run(|| {
            let (writer, reader) = pipe().unwrap();
            drop(writer.write(b"x"));
            reader.read_start(|reader, _| reader.close());
            let (reader, writer) = io::pipe().unwrap();
            let ours = Reader::from_fd(reader.into()).unwrap();
            drop(Writer::from_fd(writer.into()).unwrap().write(b"y"));
            ours.read_start(|_, _| {});
            expect_invalid(Reader::from_fd(File::open("Cargo.toml").unwrap().into()));
            drop(Reader::open(&path).unwrap());
        });
    };
    for _ in 0..50 {
        round();
    }
    let before = Footprint::now();
    for _ in 0..2000 {
        round();
    }
    Footprint::now().expect_no_more_than(before, 2048);
}
