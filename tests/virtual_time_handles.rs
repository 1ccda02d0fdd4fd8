//! Virtual time and what comes through the system: sockets, pipes, terminals, children, file events, signals.
//!
//! Each comes in its own time. While there is a timer the clock goes on without it; with nothing else left the
//! loop waits for it in the system. O-64, O-65.
#![allow(unsafe_code)] // A signal is raised.

mod common;

use std::future::{Future, poll_fn};
use std::io::{self, Read as _, Write as _};
use std::net::UdpSocket as StdUdp;
use std::os::unix::net::UnixStream as StdUnix;
use std::pin::pin;
use std::thread;

use common::*;
use windlass::net::{UdpSocket, UnixListener, UnixStream};
use windlass::process::{Command, Stdio};
use windlass::signal::Signal;
use windlass::tty::Tty;
use windlass::{Loop, now, pipe, run, time};

/// Waits for something of a program in virtual time that another thread brings about.
async fn waits<T>(future: impl Future<Output = T>, event: impl FnOnce() + Send + 'static) -> T {
    let mut future = pin!(future);
    let (waker, _) = Wakes::new();
    assert!(poll_once(future.as_mut(), &waker).is_pending());
    let before = now();
    time::sleep(HOUR).await;
    assert!(now() - before >= HOUR, "the clock goes on");
    assert!(poll_once(future.as_mut(), &waker).is_pending());
    let moment = now();
    let thread = thread::spawn(event);
    let come = future.await;
    assert_eq!(now(), moment, "waiting in the system takes no virtual time");
    thread.join().unwrap();
    come
}

#[test]
fn datagrams_are_waited_for() {
    bounded(|| {
        virtual_loop().block_on(async {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let to = socket.local_addr().unwrap();
            let send = move || {
                StdUdp::bind("127.0.0.1:0").unwrap().send_to(b"x", to).unwrap();
            };
            let mut buffer = [0; 8];
            assert_eq!(waits(socket.recv_from(&mut buffer), send).await.unwrap().0, 1);
        });
    });
}

#[test]
fn unix_sockets_and_pipes_are_waited_for() {
    let path = directory("virtual-time-handles").join("socket");
    bounded(move || {
        virtual_loop().block_on(async {
            let listener = UnixListener::bind(&path).unwrap();
            let (tell, told) = std::sync::mpsc::channel();
            let connect = move || tell.send(StdUnix::connect(&path).unwrap()).unwrap();
            let stream = waits(listener.accept(), connect).await.unwrap();
            let mut peer = told.recv().unwrap();
            let mut buffer = [0; 8];
            let write = move || peer.write_all(b"abc").unwrap();
            assert_eq!(waits(stream.read(&mut buffer), write).await.unwrap(), 3);

            let (theirs, mut ours) = io::pipe().unwrap();
            let reader = pipe::Reader::from_fd(theirs.into()).unwrap();
            let write = move || ours.write_all(b"ab").unwrap();
            assert_eq!(waits(reader.read(&mut buffer), write).await.unwrap(), 2);
            let (mut theirs, ours) = io::pipe().unwrap();
            let writer = pipe::Writer::from_fd(ours.into()).unwrap();
            while writer.try_write(&[0; 4096]).is_ok() {}
            let read = move || {
                theirs.read_exact(&mut [0; 65536]).unwrap();
                std::mem::forget(theirs); // Its end would be an error of the write.
            };
            let write = poll_fn(|cx| writer.poll_write(cx, b"more"));
            assert_eq!(waits(write, read).await.unwrap(), 4);
            let (one, other) = StdUnix::pair().unwrap();
            let watcher = windlass::handle::Poll::new(one);
            waits(watcher.readable(), move || drop(other)).await.unwrap();
            drop(UnixStream::pair().unwrap());
        });
    });
}

#[test]
fn terminals_are_waited_for() {
    bounded(|| {
        virtual_loop().block_on(async {
            let pty = Pty::open();
            pty.make_raw();
            let tty = Tty::open(pty.slave()).unwrap();
            let mut buffer = [0; 8];
            let typed = move || {
                pty.type_in(b"q");
                std::mem::forget(pty.master); // Its end would take the key away.
            };
            assert_eq!(waits(tty.read(&mut buffer), typed).await.unwrap(), 1);
        });
    });
}

#[test]
fn children_are_waited_for_and_so_is_what_they_write() {
    bounded(|| {
        virtual_loop().block_on(async {
            let (theirs, ours) = io::pipe().unwrap();
            let mut command = Command::new("cat");
            let child = command.stdin(theirs).stdout(Stdio::piped()).spawn().unwrap();
            drop(command);
            let output = child.take_stdout().unwrap();
            let mut buffer = [0; 8];
            let mut input = ours.try_clone().unwrap();
            let write = move || input.write_all(b"abc").unwrap();
            assert_eq!(waits(output.read(&mut buffer), write).await.unwrap(), 3);
            assert!(waits(child.wait(), move || drop(ours)).await.unwrap().success());
            // As a request, and with nothing else.
            let echo = Command::new("echo").arg("hello").output().await.unwrap();
            assert_eq!(echo.stdout, b"hello\n");
        });
    });
}

#[test]
fn file_events_and_signals_are_waited_for() {
    let folder = directory("virtual-time-events");
    bounded(move || {
        virtual_loop().block_on(async {
            let watcher = windlass::fs::watch(&folder).unwrap();
            let change = move || std::fs::write(folder.join("file"), "").unwrap();
            assert_eq!(waits(watcher.next(), change).await.unwrap().path.as_os_str(), "file");
            let signal = Signal::watch(libc::SIGUSR2).unwrap();
            // SAFETY: the signal is watched.
            let raise = || assert_eq!(unsafe { libc::raise(libc::SIGUSR2) }, 0);
            waits(signal.recv(), raise).await;
        });
    });
}

// `watch_metadata` looks again after a while, which is virtual; the looks are jobs, done at once.
#[test]
fn metadata_is_looked_at_in_virtual_time() {
    let path = directory("virtual-time-metadata").join("file");
    bounded(move || {
        let event_loop = virtual_loop();
        event_loop.run(|| {
            let changes = Counter::new();
            let watcher = windlass::fs::watch_metadata(&path, HOUR);
            let count = changes.clone();
            watcher.on_change(move |_, _| {
                count.add();
            });
            let begin = now();
            windlass::set_timeout(HOUR * 5, move || {
                std::fs::write(&path, "now it is there").unwrap();
                windlass::set_timeout(HOUR * 5, move || {
                    assert_eq!(changes.get(), 2, "missing at first, and then there");
                    assert!(now() - begin >= HOUR * 10);
                    watcher.close();
                });
            });
        });
    });
}

#[test]
fn a_handle_that_nothing_is_asked_of_is_not_waited_for() {
    bounded(|| {
        let event_loop = virtual_loop();
        event_loop.run(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let signal = Signal::watch(libc::SIGUSR2).unwrap();
            let (writer, reader) = pipe::pipe().unwrap();
            windlass::set_timeout(HOUR, move || drop((socket, signal, writer, reader)));
            assert!(Loop::current().is_alive());
        });
        run(|| ());
    });
}
