//! What loops leave behind in the process: nothing. This file is a program of its own, because it
//! counts the descriptors, threads and memory of the whole process.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // To raise a signal.

mod common;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use common::*;
use windlass::handle::{Notifier, Poll};
use windlass::net::{self, TcpListener, TcpStream, UdpSocket};
use windlass::signal::Signal;
use windlass::tty::{Mode, Tty};
use windlass::{Loop, RunMode, queue_work, set_immediate, set_interval, set_timeout};

/// One life of a loop: a timer, a notifier, a pair of sockets, a job of the pool. Every other loop
/// is not turned to its end but dropped with everything still open.
fn one_round(round: usize) {
    let (mut near, mut far) = UnixStream::pair().expect("a pair of sockets");
    let done = Rc::new(Cell::new(0));
    let event_loop = Loop::new().expect("a loop");
    let notifier = event_loop.enter(|| {
        let count = Rc::clone(&done);
        set_timeout(Duration::from_millis(1), move || count.set(count.get() + 1));
        let count = Rc::clone(&done);
        queue_work(move || {
            far.write_all(b"job").expect("a write");
            far
        })
        .on_complete(move |far| {
            assert!(far.is_ok());
            count.set(count.get() + 1);
        });
        let count = Rc::clone(&done);
        Notifier::new(move || count.set(count.get() + 1))
    });
    notifier.notify();
    notifier.unref();
    if round.is_multiple_of(2) {
        event_loop.turn(RunMode::Default);
        assert_eq!(done.get(), 3);
        let mut text = [0; 3];
        near.read_exact(&mut text).expect("what the job wrote");
        event_loop.enter(|| notifier.close());
        event_loop.turn(RunMode::Default);
        event_loop.close().expect("nothing is open");
    } else {
        event_loop.enter(|| {
            set_interval(Duration::from_secs(3600), |_| {});
            set_immediate(|| {});
            windlass::spawn(std::future::pending::<()>());
        });
        event_loop.turn(RunMode::NoWait);
        drop(event_loop);
        // The job holds its socket until it has run.
        let mut text = [0; 3];
        near.read_exact(&mut text)
            .or_else(|error| match error.kind() {
                // It was withdrawn with its loop, which closes its end.
                std::io::ErrorKind::UnexpectedEof => Ok(()),
                _ => Err(error),
            })
            .expect("either the text or the end");
        while near.read(&mut text).expect("the end") > 0 {}
    }
}

// L-13, Z-01, T-25. One test, since whatever runs beside it would be counted too.
#[test]
fn loops_leave_no_descriptor_no_thread_and_no_memory_behind() {
    let _alone = alone();
    // Every thread of the pool is started now, by jobs that wait for each other.
    let event_loop = Loop::new().expect("a loop");
    event_loop.run(|| {
        let together = std::sync::Arc::new(std::sync::Barrier::new(4));
        for _ in 0..4 {
            let together = together.clone();
            drop(windlass::queue_work(move || together.wait().is_leader()));
        }
    });
    drop(event_loop);
    for round in 0..400 {
        one_round(round);
    }
    let before = Footprint::now();
    for round in 0..2_000 {
        one_round(round);
    }
    Footprint::now().expect_no_more_than(before, 2_048);

    // A million timers set and cleared, refreshed and set again.
    let event_loop = Loop::new().expect("a loop");
    let churn = |rounds: u64| {
        event_loop.enter(|| {
            let kept = set_timeout(Duration::from_secs(60), || {});
            for number in 0..rounds {
                set_timeout(Duration::from_millis(number % 300), || {}).clear();
                set_immediate(|| {}).clear();
                kept.refresh();
            }
            kept.clear();
        });
        event_loop.turn(RunMode::NoWait);
    };
    churn(10_000);
    let before = Footprint::now();
    churn(1_000_000);
    Footprint::now().expect_no_more_than(before, 1_024);
}

/// One life of each of these: sockets of all kinds, descriptors on their way, a terminal, signals
/// and a raw descriptor. They are closed, or left open to the end of their loop.
async fn handles_of_each_kind(closes: bool) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let far = listener.accept().await.unwrap();
    near.write(b"x").await.unwrap();
    far.read_start(|far, read| match read {
        Ok(_) => far.read_stop(),
        Err(error) => panic!("{error}"),
    });

    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    datagrams.send_to(b"x", datagrams.local_addr().unwrap()).await.unwrap();
    assert_eq!(datagrams.recv_from(&mut [0; 2]).await.unwrap().0, 1);
    datagrams.recv_start(|_, _| ());

    let (one, other) = net::UnixStream::pair().unwrap();
    let sent = vec![File::open("Cargo.toml").unwrap().into()];
    one.write_with_descriptors(b"x", sent).await.unwrap();
    assert_eq!(other.read(&mut [0; 2]).await.unwrap(), 1);
    if closes {
        assert_eq!(other.take_descriptors().len(), 1);
    }

    let pty = Pty::open();
    let terminal = Tty::open(pty.slave()).unwrap();
    terminal.set_mode(Mode::Raw).unwrap();
    terminal.on_resize(|_| ());
    terminal.write(b"x").await.unwrap();

    let heard = Rc::new(Cell::new(0));
    let inner = heard.clone();
    let signal = Signal::start(libc::SIGUSR1, move || inner.set(inner.get() + 1)).unwrap();
    let once = Signal::once(libc::SIGUSR1, || ()).unwrap();
    let watched = Signal::watch(libc::SIGUSR1).unwrap();
    // SAFETY: the signal is watched, so it calls a handler of the crate's and nothing else.
    assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
    watched.recv().await;
    assert_eq!(heard.get(), 1);

    let (reader, mut writer) = io::pipe().unwrap();
    let poll = Poll::new(reader);
    writer.write_all(b"x").unwrap();
    poll.readable().await.unwrap();

    // A reset leaves no port that waits.
    near.close_reset().unwrap();
    if closes {
        listener.close();
        far.close();
        datagrams.close();
        one.close();
        other.close();
        terminal.close();
        signal.stop();
        once.stop();
        watched.stop();
        poll.close();
    }
}

#[test]
fn two_thousand_sockets_terminals_and_signals_of_each_kind_leave_nothing_behind() {
    let _alone = alone();
    let round = |round: usize| {
        let event_loop = Loop::new().expect("a loop");
        event_loop.block_on(handles_of_each_kind(round.is_multiple_of(2)));
    };
    (0..50).for_each(round);
    let before = Footprint::now();
    (0..2_000).for_each(round);
    Footprint::now().expect_no_more_than(before, 2_000);
}

#[test]
fn two_thousand_file_watchers_leave_nothing_behind() {
    let _alone = alone();
    let folder = directory("file-watchers");
    std::fs::create_dir_all(folder.join("a/b")).unwrap();
    let pool = windlass::Pool::new(1).expect("a pool");
    let round = || {
        loop_on(&pool).block_on(async {
            for kind in 0..20 {
                let watcher = if kind % 2 == 0 {
                    windlass::fs::watch(&folder).unwrap()
                } else {
                    windlass::fs::watch_recursive(&folder).unwrap()
                };
                std::fs::rename(folder.join("a"), folder.join("c")).unwrap();
                std::fs::rename(folder.join("c"), folder.join("a")).unwrap();
                if kind % 3 == 0 {
                    watcher.on_event(|event| drop(event.unwrap()));
                    watcher.close();
                } else {
                    assert_eq!(watcher.next().await.unwrap().path.to_str(), Some("a"));
                }
                drop(windlass::fs::watch_metadata(&folder, ms(1)));
            }
        });
    };
    round();
    let before = Footprint::now();
    (0..100).for_each(|_| round());
    Footprint::now().expect_no_more_than(before, 2_000);
}

#[test]
fn two_thousand_children_leave_nothing_behind() {
    use windlass::process::{Command, Stdio};
    let _alone = alone();
    let zombies = || {
        let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok());
        let stats = all.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
        let parent = format!(" Z {} ", std::process::id());
        stats.filter(|stat| stat.contains(&parent)).count()
    };
    let round = || {
        windlass::run(|| {
            for kind in 0..20 {
                let mut command = Command::new("/bin/true");
                command.stdin(Stdio::piped()).stdout(Stdio::piped());
                match kind % 4 {
                    0 => drop(command.spawn().expect("a child")),
                    1 => command
                        .spawn()
                        .expect("a child")
                        .on_exit(|status| assert!(status.success())),
                    2 => drop(command.output()),
                    _ => assert!(Command::new("/no/such/program").spawn().is_err()),
                }
            }
        });
    };
    round();
    let before = Footprint::now();
    (0..100).for_each(|_| round());
    Footprint::now().expect_no_more_than(before, 2_000);
    assert_eq!(zombies(), 0);
}
