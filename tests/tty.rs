//! Terminals: what is one, its modes and their way back, its size, and its bytes. Each runs on a
//! pseudo-terminal of its own.

mod common;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::rc::Rc;
use std::thread;

use common::*;
use windlass::signal::Signal;
use windlass::stdio::{Kind, kind_of};
use windlass::tty::{Mode, Tty, WindowSize, reset_mode};
use windlass::worker::Worker;
use windlass::{block_on, run};

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Tells a child of a test what it is to do.
const PART: &str = "WINDLASS_TTY_PART";

/// The part that this process plays for the test of its parent, if it is a child of one.
fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// Starts the test called `name` once more, on the terminal, to play a part.
fn start(pty: &Pty, name: &str, part: &str) -> Child {
    let mut command = test_as_a_process(name);
    command.env(PART, part);
    pty.start(command)
}

/// The terminal of a child.
fn own_terminal() -> Tty {
    Tty::open(io::stdin().as_fd().try_clone_to_owned().unwrap()).unwrap()
}

#[test]
fn kinds_are_told_apart_and_what_is_not_open_is_unknown() {
    // TTY-01
    let pty = Pty::open();
    let (pipe, _writer) = io::pipe().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("[::1]:0").or_else(|_| UdpSocket::bind("127.0.0.1:0")).unwrap();
    let (unix, _other) = UnixStream::pair().unwrap();
    let datagrams = UnixDatagram::unbound().unwrap();
    let directory = File::open("src").unwrap();
    for (fd, kind) in [
        (pty.slave.as_raw_fd(), Kind::Terminal),
        (pty.master.as_raw_fd(), Kind::Terminal),
        (pipe.as_raw_fd(), Kind::Pipe),
        (listener.as_raw_fd(), Kind::Tcp),
        (udp.as_raw_fd(), Kind::Udp),
        (unix.as_raw_fd(), Kind::Unix),
        (datagrams.as_raw_fd(), Kind::Unix),
        (directory.as_raw_fd(), Kind::Unknown),
        (-1, Kind::Unknown),
        (i32::MAX, Kind::Unknown),
    ] {
        assert_eq!(kind_of(fd), kind, "descriptor {fd}");
    }
    for path in ["Cargo.toml", "/dev/null", "/dev/zero"] {
        let file = File::open(path).unwrap();
        assert_eq!(kind_of(file.as_raw_fd()), Kind::File, "{path}");
    }
}

#[test]
fn what_is_no_terminal_is_invalid_and_its_open_file_stays_open_elsewhere() {
    // TTY-02
    run(|| {
        let file = File::open("Cargo.toml").unwrap();
        let (reader, _writer) = io::pipe().unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let copies: [OwnedFd; 3] = [
            file.try_clone().unwrap().into(),
            reader.try_clone().unwrap().into(),
            socket.try_clone().unwrap().into(),
        ];
        for copy in copies {
            let error = Tty::open(copy).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        }
        let mut text = String::new();
        (&file).read_to_string(&mut text).unwrap();
        assert!(text.contains("windlass"));
        assert_eq!(descriptor_flags(reader.as_raw_fd()), (false, true), "as it was");
    });
}

#[test]
fn what_a_terminal_can_do_follows_from_how_it_was_opened_and_nothing_when_it_is_closed() {
    // TTY-03
    run(|| {
        let pty = Pty::open();
        let path = format!("/proc/self/fd/{}", pty.slave.as_raw_fd());
        let both = Tty::open(pty.slave()).unwrap();
        let reads = Tty::open(File::open(&path).unwrap().into()).unwrap();
        let writes = File::options().write(true).open(&path).unwrap();
        let writes = Tty::open(writes.into()).unwrap();
        let can = |tty: &Tty| (tty.is_readable(), tty.is_writable());
        assert_eq!(
            [can(&both), can(&reads), can(&writes)],
            [(true, true), (true, false), (false, true)]
        );
        for tty in [both, reads, writes] {
            tty.close();
            assert_eq!(can(&tty), (false, false));
            assert_eq!(tty.as_raw_fd(), -1);
            assert_eq!(tty.set_mode(Mode::Raw).unwrap_err().kind(), io::ErrorKind::NotConnected);
            assert!(tty.window_size().is_err());
        }
    });
}

#[test]
fn the_open_file_that_the_shell_has_too_stays_blocking() {
    // TTY-04 ★
    let pty = Pty::open();
    let flags = || descriptor_flags(pty.slave.as_raw_fd());
    assert_eq!(flags(), (false, true));
    run(|| {
        let tty = Tty::open(pty.slave()).unwrap();
        assert_eq!(flags(), (false, true), "while it is open");
        assert_eq!(descriptor_flags(tty.as_raw_fd()), (true, true), "its own is another");
        drop(tty.write(b"x"));
        tty.close();
        assert_eq!(flags(), (false, true));
    });
    // A master is used as it is, and given back as it was.
    run(|| {
        let tty = Tty::open(pty.master()).unwrap();
        assert_eq!(descriptor_flags(pty.master.as_raw_fd()), (true, true));
        tty.close();
        assert_eq!(descriptor_flags(pty.master.as_raw_fd()), (false, true));
    });
}

#[test]
fn modes_are_set_and_undone_and_a_reset_needs_no_set_before_it() {
    // TTY-05 ★
    let _alone = alone();
    let pty = Pty::open();
    let before = pty.modes();
    assert!(before.echo && before.by_line && before.signals);
    reset_mode().unwrap();
    assert_eq!(pty.modes(), before, "nothing to reset");
    run(|| {
        let tty = Tty::open(pty.slave()).unwrap();
        for _ in 0..3 {
            tty.set_mode(Mode::Raw).unwrap();
            let raw = pty.modes();
            assert!(!raw.echo && !raw.by_line && !raw.signals);
            tty.set_mode(Mode::Cbreak).unwrap();
            let cbreak = pty.modes();
            assert!(!cbreak.echo && !cbreak.by_line && cbreak.signals);
            tty.set_mode(Mode::Normal).unwrap();
            assert_eq!(pty.modes(), before);
        }
        tty.set_mode(Mode::Raw).unwrap();
        for _ in 0..3 {
            reset_mode().unwrap();
            assert_eq!(pty.modes(), before);
        }
        // After a reset it can be set again, and is undone by the close.
        tty.set_mode(Mode::Raw).unwrap();
        assert!(!pty.modes().echo);
        tty.close();
        assert_eq!(pty.modes(), before);
        reset_mode().unwrap();
    });
}

#[test]
fn of_several_handles_of_one_terminal_the_last_one_that_closes_puts_the_modes_back() {
    let _alone = alone();
    let pty = Pty::open();
    let before = pty.modes();
    run(|| {
        let one = Tty::open(pty.slave()).unwrap();
        let other = Tty::open(pty.slave()).unwrap();
        let master = Tty::open(pty.master()).unwrap();
        one.set_mode(Mode::Raw).unwrap();
        other.set_mode(Mode::Cbreak).unwrap();
        master.set_mode(Mode::Raw).unwrap();
        one.close();
        assert!(!pty.modes().echo, "two have changed it too");
        drop(other);
        assert!(!pty.modes().echo, "one has");
        let clone = master.clone();
        drop(master);
        assert!(!pty.modes().echo, "a clone is the same handle");
        drop(clone);
        assert_eq!(pty.modes(), before);
    });
}

#[test]
fn the_modes_come_back_with_the_end_of_the_loop_in_a_worker_too() {
    let _alone = alone();
    let pty = Pty::open();
    let before = pty.modes();
    // The loop owns a terminal that is read: it is open when the loop ends.
    let set_raw = |fd: OwnedFd| {
        let tty = Tty::open(fd).unwrap();
        tty.set_mode(Mode::Raw).unwrap();
        tty.read_start(|_, _| {});
    };
    let fd = pty.slave();
    run(move || {
        set_raw(fd);
        windlass::exit(0);
    });
    assert_eq!(pty.modes(), before, "exit");
    let fd = pty.slave();
    let message = panic_of(move || {
        run(move || {
            set_raw(fd);
            windlass::set_immediate(|| panic!("on purpose"));
        });
    });
    assert_eq!(message, "on purpose");
    assert_eq!(pty.modes(), before, "a panic");
    for how in ["exit", "panic", "terminate"] {
        let fd = pty.slave();
        block_on(async move {
            let worker = Worker::<(), ()>::spawn(move |port| {
                set_raw(fd);
                port.post(());
                match how {
                    "exit" => windlass::exit(3),
                    "panic" => panic!("on purpose"),
                    _ => {}
                }
            })
            .unwrap();
            worker.recv().await;
            match how {
                "terminate" => drop(worker.terminate().await),
                _ => drop(worker.join().await),
            }
        });
        assert_eq!(pty.modes(), before, "a worker's {how}");
    }
}

#[test]
fn whatever_ends_the_process_the_terminal_is_as_it_was() {
    // TTY-05 ★, in a program that has the terminal for its own.
    const NAME: &str = "whatever_ends_the_process_the_terminal_is_as_it_was";
    if let Some(part) = part() {
        return play(&part);
    }
    bounded(|| {
        for (part, keys) in [
            ("a key", "q"),
            ("a panic", "p"),
            ("exit of the process", "e"),
            ("a panic that aborts", "p"),
            ("a signal that resets", "\x03"),
            ("Ctrl-C as a key", "\x03"),
            ("a signal that is watched", "\x03"),
            ("a termination", ""),
        ] {
            let pty = Pty::open();
            let before = pty.modes();
            let mut child = start(&pty, NAME, part);
            pty.read_until("ready");
            assert!(!pty.modes().echo && !pty.modes().by_line, "{part}: changed meanwhile");
            pty.type_in(keys.as_bytes());
            if keys.is_empty() {
                send(&child, SIGTERM);
            }
            let status = child.wait().unwrap();
            assert_eq!(pty.modes(), before, "{part}: {status}");
            let signal = match part {
                "a signal that resets" => Some(SIGINT),
                "a panic that aborts" => Some(6),
                _ => None,
            };
            assert_eq!(status.signal(), signal, "{part}");
        }
    });
}

#[allow(unsafe_code)]
fn send(child: &Child, signum: i32) {
    // SAFETY: a call without pointers; the child has not been waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signum) }, 0);
}

/// What resets the terminal in a handler, and then lets the signal do what it does by default.
#[allow(unsafe_code)]
extern "C" fn reset_and_die(signum: i32) {
    drop(reset_mode());
    // SAFETY: both calls may be made in a handler.
    unsafe {
        libc::signal(signum, libc::SIG_DFL);
        libc::raise(signum);
    }
}

#[allow(unsafe_code)]
fn play(part: &str) {
    let part = part.to_owned();
    match &*part {
        "a panic that aborts" => std::panic::set_hook(Box::new(|_| {
            drop(reset_mode());
            std::process::abort();
        })),
        "a signal that resets" => {
            let handler: extern "C" fn(i32) = reset_and_die;
            // SAFETY: the handler does what a handler may do.
            unsafe { libc::signal(SIGINT, handler as libc::sighandler_t) };
        }
        _ => {}
    }
    run(move || {
        let tty = own_terminal();
        let by_keys = matches!(&*part, "a signal that resets" | "a signal that is watched");
        tty.set_mode(if by_keys { Mode::Cbreak } else { Mode::Raw }).unwrap();
        for signum in [SIGINT, SIGTERM] {
            if part == "a signal that is watched" || part == "a termination" {
                Signal::start(signum, || windlass::exit(0)).unwrap().unref();
            }
        }
        tty.read_start(|tty, keys| match keys.unwrap() {
            b"q" | b"\x03" => tty.close(),
            b"p" => panic!("on purpose"),
            b"e" => std::process::exit(0),
            other => panic!("{other:?} was not typed"),
        });
        drop(tty.write(b"ready\n"));
    });
}

#[test]
fn a_new_size_of_the_window_is_told_to_the_program_in_front() {
    // TTY-06
    const NAME: &str = "a_new_size_of_the_window_is_told_to_the_program_in_front";
    if part().is_some() {
        return run(|| {
            let tty = own_terminal();
            let size = tty.window_size().unwrap();
            assert_eq!(size, WindowSize { columns: 80, rows: 24 });
            let weak = tty.clone();
            tty.on_resize(|_| panic!("replaced"));
            tty.on_resize(move |size| {
                let text = format!("<{} x {}>\n", size.columns, size.rows);
                drop(weak.write(text.as_bytes()));
            });
            tty.set_mode(Mode::Raw).unwrap();
            tty.read_start(|tty, _| tty.close()); // One key.
            drop(tty.write(b"ready\n"));
        });
    }
    bounded(|| {
        let pty = Pty::open();
        pty.resize(80, 24);
        let mut child = start(&pty, NAME, "");
        pty.read_until("ready");
        pty.resize(100, 30);
        pty.read_until("<100 x 30>");
        pty.resize(132, 43);
        pty.read_until("<132 x 43>");
        pty.type_in(b"q");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_watcher_of_the_size_holds_nothing_and_is_dropped_when_the_terminal_closes() {
    bounded(|| {
        let pty = Pty::open();
        let held = Rc::new(());
        run(|| {
            let tty = Tty::open(pty.slave()).unwrap();
            let inner = held.clone();
            tty.on_resize(move |_| drop(inner.clone()));
            let again = held.clone();
            windlass::set_immediate(move || {
                assert_eq!(Rc::strong_count(&again), 3);
                drop(tty);
                windlass::set_immediate(move || {
                    windlass::set_immediate(move || assert_eq!(Rc::strong_count(&again), 2));
                });
            });
        });
        assert_eq!(Rc::strong_count(&held), 1);
    });
}

#[test]
fn a_master_reads_all_that_comes_in_pieces_and_the_close_of_the_slave_is_the_end() {
    // TTY-07 ★
    bounded(|| {
        const LEN: usize = 64 * 1024;
        let Pty { master, mut slave } = Pty::open();
        let text: Vec<u8> = (0..LEN).map(|at| b'a' + (at % 23) as u8).collect();
        let expected = text.clone();
        let writer = thread::spawn(move || {
            for piece in text.chunks(1000) {
                slave.write_all(piece).unwrap();
            }
        });
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (inner, ended, reads) = (seen.clone(), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (end, count) = (ended.clone(), reads.clone());
        run(move || {
            Tty::open(master.into()).unwrap().read_start(move |_, chunk| {
                let chunk = chunk.unwrap();
                end.set(end.get() + u32::from(chunk.is_empty()));
                count.set(count.get() + 1);
                inner.borrow_mut().extend_from_slice(chunk);
            });
        });
        writer.join().unwrap();
        assert_eq!((seen.borrow().len(), ended.get()), (LEN, 1));
        assert!(*seen.borrow() == expected);
        assert!(reads.get() > 8, "a read gives a few KiB");
    });
}

#[test]
fn a_program_writes_to_a_slow_terminal_without_loss_and_reads_what_is_typed() {
    let _alone = alone();
    bounded(|| {
        let pty = Pty::open();
        let slave = pty.slave();
        let program = thread::spawn(move || {
            run(move || {
                let tty = Tty::open(slave).unwrap();
                tty.set_mode(Mode::Raw).unwrap();
                drop(tty.write(b"ready\n"));
                tty.read_start(|tty, keys| match keys.unwrap() {
                    b"q" => {
                        // More than the terminal takes at once.
                        let line = [b'x'; 99];
                        for _ in 0..1000 {
                            drop(tty.write(&line));
                        }
                        assert!(tty.write_queue_size() > 0, "some of it waits");
                        let own = tty.clone();
                        tty.write(b"done\n").on_complete(move |result| {
                            result.unwrap();
                            own.close();
                        });
                    }
                    other => panic!("{other:?}"),
                });
            });
        });
        pty.read_until("ready");
        pty.type_in(b"q");
        let shown = pty.read_until("done");
        assert_eq!(shown.matches('x').count(), 99_000);
        program.join().unwrap();
    });
}

#[test]
fn an_empty_write_to_a_terminal_completes_in_its_place() {
    // U-13
    let pty = Pty::open();
    let order = block_on(async {
        let tty = Tty::open(pty.slave()).unwrap();
        let order = Rc::new(RefCell::new(Vec::new()));
        for (name, data) in [("one", &b"1"[..]), ("empty", b""), ("two", b"2")] {
            let order = order.clone();
            tty.write(data).on_complete(move |result| {
                result.unwrap();
                order.borrow_mut().push(name);
            });
        }
        tty.shutdown().await.unwrap();
        until({
            let order = order.clone();
            move || order.borrow().len() == 3
        })
        .await;
        order.take()
    });
    assert_eq!(order, ["one", "empty", "two"]);
    pty.read_until("12");
}

#[test]
fn terminals_that_come_and_go_leave_nothing_behind() {
    const NAME: &str = "terminals_that_come_and_go_leave_nothing_behind";
    if part().is_none() {
        // In a process of its own: other tests open descriptors too.
        assert!(test_as_a_process(NAME).env(PART, "").status().unwrap().success());
        return;
    }
    let round = |pty: &Pty| {
        run(|| {
            let tty = Tty::open(pty.slave()).unwrap();
            tty.set_mode(Mode::Raw).unwrap();
            tty.on_resize(|_| {});
            tty.read_start(|_, _| {});
            windlass::set_immediate(move || tty.close());
        });
    };
    let pty = Pty::open();
    for _ in 0..20 {
        round(&pty);
    }
    let before = Footprint::now();
    for _ in 0..500 {
        round(&pty);
    }
    Footprint::now().expect_no_more_than(before, 2048);
}
