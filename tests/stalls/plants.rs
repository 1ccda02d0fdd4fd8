//! Programs with a callback that blocks, one for each kind of callback.
//!
//! `next_line` stands right before the line that registers the callback.
#![allow(unsafe_code)] // To raise a signal.

use std::io::Write;
use std::net::{SocketAddr, TcpStream as StdStream};

use windlass::fs::stream::ReadStream;
use windlass::handle::{Check, Idle, Interest, Notifier, Poll, Prepare};
use windlass::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use windlass::observe::Phase;
use windlass::signal::Signal;
use windlass::stream::Readable;
use windlass::worker::{BroadcastChannel, Call, Worker, on_direct_message, on_shutdown};
use windlass::worker::{Port, post_direct};
use windlass::{Loop, block_on, fs, queue_work, run, set_immediate, set_timeout};

use super::common::{connected, directory, ms, open_channel, os_pipe, reset_on_drop, with_peer};
use super::stuck::Stuck;

/// Kind, phase, and a program that has such a callback.
pub(crate) type Plant = (&'static str, Phase, fn(Stuck));

pub(crate) fn all() -> impl Iterator<Item = &'static Plant> {
    [TIMERS, QUEUES, STREAMS, REQUESTS, MESSAGES, WORKERS, HANDLES, HOOKS].into_iter().flatten()
}

pub(crate) const TIMERS: &[Plant] = &[
    ("timer", Phase::Timers, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            set_timeout(ms(0), move || stuck.stall());
        });
    }),
    ("interval", Phase::Timers, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            windlass::set_interval(ms(1), move |timer| {
                stuck.stall();
                timer.clear();
            });
        });
    }),
    ("timer", Phase::Timers, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            windlass::set_timer(ms(0), move |_| stuck.stall());
        });
    }),
    ("idle watcher", Phase::Idle, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            let idle = Idle::start(move || stuck.stall());
            set_immediate(move || idle.stop());
        });
    }),
    ("prepare watcher", Phase::Prepare, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            let prepare = Prepare::start(move || stuck.stall());
            set_immediate(move || prepare.stop());
        });
    }),
    ("check watcher", Phase::Check, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            let check = Check::start(move || stuck.stall());
            set_immediate(move || check.stop());
        });
    }),
];

pub(crate) const QUEUES: &[Plant] = &[
    ("tick", Phase::Main, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            windlass::next_tick(move || stuck.stall());
        });
    }),
    ("tick", Phase::Timers, |stuck| {
        run(|| {
            set_timeout(ms(0), move || {
                let stuck = stuck.next_line();
                windlass::next_tick(move || stuck.stall());
            });
        });
    }),
    ("microtask", Phase::Check, |stuck| {
        run(|| {
            set_immediate(move || {
                let stuck = stuck.next_line();
                windlass::queue_microtask(move || stuck.stall());
            });
        });
    }),
    ("immediate", Phase::Check, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            set_immediate(move || stuck.stall());
        });
    }),
    ("task", Phase::Main, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            drop(windlass::spawn(async move { stuck.stall() }));
        });
    }),
    ("task", Phase::Timers, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            let task = windlass::spawn(async move {
                windlass::time::sleep(ms(1)).await;
                stuck.stall();
            });
            drop(task);
        });
    }),
    ("task", Phase::Main, |stuck| {
        let stuck = stuck.next_line();
        block_on(async move { stuck.stall() });
    }),
];

/// A read callback that blocks, and then closes the stream.
fn blocks<S: Readable>(stuck: Stuck) -> impl FnMut(&S, std::io::Result<&[u8]>) {
    move |stream, _| {
        stuck.stall();
        stream.close();
    }
}

/// A client that sends a byte and waits for the end.
fn send_to(addr: SocketAddr) -> StdStream {
    let mut client = StdStream::connect(addr).unwrap();
    client.write_all(b"x").unwrap();
    client
}

fn unix_address(name: &str) -> std::path::PathBuf {
    directory("sockets").join(name)
}

pub(crate) const STREAMS: &[Plant] = &[
    ("TCP stream", Phase::Poll, |stuck| {
        run(|| {
            with_peer(move |stream, mut peer| {
                peer.write_all(b"x").unwrap();
                let f = blocks(stuck.next_line());
                stream.read_start(f);
            });
        });
    }),
    ("TCP stream", Phase::Poll, |stuck| {
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = send_to(listener.local_addr().unwrap());
            let own = listener.clone();
            listener.on_connection(move |stream| {
                let stream = stream.unwrap();
                let f = blocks(stuck.next_line());
                stream.read_start(f);
                own.close();
            });
            windlass::on_exit(move |_| drop(client));
        });
    }),
    ("TCP stream", Phase::Poll, |stuck| {
        fn start(stream: &impl Readable, stuck: &Stuck) {
            let f = blocks(stuck.next_line());
            stream.read_start(f);
        }
        run(|| {
            with_peer(move |stream, mut peer| {
                peer.write_all(b"x").unwrap();
                start(&stream, &stuck);
            });
        });
    }),
    ("TCP listener", Phase::Poll, |stuck| {
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = send_to(listener.local_addr().unwrap());
            let own = listener.clone();
            let stuck = stuck.next_line();
            listener.on_connection(move |_| {
                stuck.stall();
                own.close();
            });
            windlass::on_exit(move |_| drop(client));
        });
    }),
    ("Unix listener", Phase::Poll, |stuck| {
        run(|| {
            let path = unix_address("listener");
            let listener = UnixListener::bind(&path).unwrap();
            let own = listener.clone();
            let stuck = stuck.next_line();
            listener.on_connection(move |_| {
                stuck.stall();
                own.close();
            });
            UnixStream::connect(&path).on_complete(|stream| drop(stream.unwrap()));
        });
    }),
    ("Unix stream", Phase::Poll, |stuck| {
        run(|| {
            let (one, other) = UnixStream::pair().unwrap();
            let f = blocks(stuck.next_line());
            one.read_start(f);
            other.write(b"x").on_complete(move |sent| sent.map(|()| other.close()).unwrap());
        });
    }),
    ("pipe reader", Phase::Poll, |stuck| {
        run(|| {
            let (writer, reader) = windlass::pipe::pipe().unwrap();
            let f = blocks(stuck.next_line());
            reader.read_start(f);
            writer.write(b"x").on_complete(move |sent| sent.map(|()| writer.close()).unwrap());
        });
    }),
    ("TCP stream", Phase::Close, |stuck| {
        run(|| {
            with_peer(move |stream, _| {
                let stuck = stuck.next_line();
                stream.on_close(move || stuck.stall());
                stream.close();
            });
        });
    }),
    ("TCP stream", Phase::Poll, |stuck| {
        run(|| {
            with_peer(move |stream, peer| {
                let held = (stream.clone(), Loop::current().keep_alive());
                let stuck = stuck.next_line();
                stream.on_read_closed(move || {
                    stuck.stall();
                    drop(held);
                });
                drop(peer);
            });
        });
    }),
    ("TCP stream", Phase::Poll, |stuck| {
        run(|| {
            with_peer(move |stream, peer| {
                let held = (stream.clone(), Loop::current().keep_alive());
                let stuck = stuck.next_line();
                stream.on_hang_up(move || {
                    stuck.stall();
                    drop(held);
                });
                reset_on_drop(&peer);
            });
        });
    }),
    ("TCP listener", Phase::Close, |stuck| {
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let stuck = stuck.next_line();
            listener.on_close(move || stuck.stall());
            listener.close();
        });
    }),
    ("file read stream", Phase::Poll, |stuck| {
        run(|| {
            let stream = ReadStream::open("Cargo.toml");
            let stuck = stuck.next_line();
            stream.on_data(move |_, _| stuck.stall());
        });
    }),
];

pub(crate) const REQUESTS: &[Plant] = &[
    ("pool job", Phase::Poll, |stuck| {
        run(|| {
            let job = queue_work(|| ());
            let stuck = stuck.next_line();
            job.on_complete(move |_| stuck.stall());
        });
    }),
    ("file request", Phase::Poll, |stuck| {
        run(|| {
            let file = fs::read("Cargo.toml");
            let stuck = stuck.next_line();
            file.on_complete(move |_| stuck.stall());
        });
    }),
    ("name look-up", Phase::Poll, |stuck| {
        run(|| {
            let addresses = windlass::dns::lookup("localhost");
            let stuck = stuck.next_line();
            addresses.on_complete(move |_| stuck.stall());
        });
    }),
    // A write that is done at once, and one that is cut off by the close.
    ("TCP stream", Phase::Pending, |stuck| {
        run(|| {
            with_peer(move |stream, _| {
                let write = stream.write(b"x");
                let stuck = stuck.next_line();
                write.on_complete(move |_| stuck.stall());
            });
        });
    }),
    ("TCP stream", Phase::Close, |stuck| {
        run(|| {
            with_peer(move |stream, peer| {
                let write = stream.write_owned(vec![0; 64 << 20]);
                let stuck = stuck.next_line();
                write.on_complete(move |_| drop((stuck.stall(), peer)));
                stream.close();
            });
        });
    }),
    // One that has to wait for the peer.
    ("TCP stream", Phase::Poll, |stuck| {
        run(|| {
            with_peer(move |stream, mut peer| {
                let write = stream.write_owned(vec![0; 64 << 20]);
                let stuck = stuck.next_line();
                write.on_complete(move |_| stuck.stall());
                std::thread::spawn(move || std::io::copy(&mut peer, &mut std::io::sink()));
            });
        });
    }),
    ("TCP stream", Phase::Poll, |stuck| {
        run(|| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let connect = TcpStream::connect(listener.local_addr().unwrap());
            let stuck = stuck.next_line();
            connect.on_complete(move |_| drop((stuck.stall(), listener)));
        });
    }),
];

pub(crate) const MESSAGES: &[Plant] = &[
    ("message port", Phase::Poll, |stuck| {
        run(|| {
            let (one, other) = open_channel::<(), ()>();
            let own = one.clone();
            let stuck = stuck.next_line();
            one.on_message(move |()| {
                stuck.stall();
                own.close();
            });
            other.post(());
        });
    }),
    ("message port", Phase::Close, |stuck| {
        run(|| {
            let (one, other) = open_channel::<(), ()>();
            let stuck = stuck.next_line();
            one.on_close(move || stuck.stall());
            other.close();
        });
    }),
    ("broadcast channel", Phase::Poll, |stuck| {
        run(|| {
            let one = BroadcastChannel::<u8>::new("stalls");
            let other = BroadcastChannel::<u8>::new("stalls");
            let own = one.clone();
            let stuck = stuck.next_line();
            one.on_message(move |_| {
                stuck.stall();
                own.close();
            });
            other.post(1);
            other.close();
        });
    }),
    ("post", Phase::Poll, |stuck| {
        run(|| {
            let remote = Loop::current().remote();
            let post = move || {
                let stuck = stuck.next_line();
                remote.post(move || stuck.stall()).unwrap();
            };
            queue_work(post).on_complete(Result::unwrap);
        });
    }),
    ("notifier", Phase::Poll, |stuck| {
        run(|| {
            let own = std::rc::Rc::new(std::cell::OnceCell::<Notifier>::new());
            let inner = own.clone();
            let stuck = stuck.next_line();
            let notifier = Notifier::new(move || {
                stuck.stall();
                inner.get().unwrap().close();
            });
            own.set(notifier.clone()).unwrap();
            queue_work(move || notifier.notify()).on_complete(Result::unwrap);
        });
    }),
];

pub(crate) const WORKERS: &[Plant] = &[
    ("main", Phase::Main, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            drop(Worker::<(), ()>::spawn(move |_| stuck.stall()).unwrap());
        });
    }),
    ("worker", Phase::Poll, |stuck| {
        run(|| {
            let worker = Worker::<(), ()>::spawn(|port| port.post(())).unwrap();
            let stuck = stuck.next_line();
            worker.on_message(move |()| stuck.stall());
        });
    }),
    ("worker", Phase::Poll, |stuck| {
        run(|| {
            let worker = Worker::<(), ()>::spawn(|_| ()).unwrap();
            let stuck = stuck.next_line();
            worker.on_online(move || stuck.stall());
        });
    }),
    ("worker", Phase::Poll, |stuck| {
        run(|| {
            let worker = Worker::<(), ()>::spawn(|_| ()).unwrap();
            let stuck = stuck.next_line();
            worker.on_exit(move |_| stuck.stall());
        });
    }),
    ("worker", Phase::Poll, |stuck| {
        run(|| {
            let worker = Worker::<(), ()>::spawn(|_| panic!("on purpose")).unwrap();
            let stuck = stuck.next_line();
            worker.on_error(move |_| stuck.stall());
        });
    }),
    ("message port", Phase::Poll, |stuck| {
        run(|| {
            let main = move |port: Port<(), ()>| {
                let own = port.clone();
                let stuck = stuck.next_line();
                port.on_message(move |()| {
                    stuck.stall();
                    own.close();
                });
            };
            Worker::<(), ()>::spawn(main).unwrap().post(());
        });
    }),
    ("timer", Phase::Timers, |stuck| {
        run(|| {
            let main = move |_| {
                let stuck = stuck.next_line();
                set_timeout(ms(0), move || stuck.stall());
            };
            drop(Worker::<(), ()>::spawn(main).unwrap());
        });
    }),
    ("exit hook", Phase::Main, |stuck| {
        run(|| {
            let main = move |_| {
                let stuck = stuck.next_line();
                windlass::on_exit(move |_| stuck.stall());
            };
            drop(Worker::<(), ()>::spawn(main).unwrap());
        });
    }),
    ("call", Phase::Poll, |stuck| {
        run(|| {
            let answer = |port: Port<(), Call<(), ()>>| {
                let own = port.clone();
                port.on_message(move |call| {
                    call.reply(());
                    own.close();
                });
            };
            let worker = Worker::spawn(answer).unwrap();
            let call = worker.call(());
            let stuck = stuck.next_line();
            call.on_complete(move |_| stuck.stall());
        });
    }),
    ("direct message listeners", Phase::Poll, |stuck| {
        block_on(async {
            let main = move |port: Port<(), ()>| {
                let stuck = stuck.next_line();
                on_direct_message(move |_, ()| stuck.stall());
                port.on_message(|()| ());
                port.post(());
            };
            let worker = Worker::spawn(main).unwrap();
            worker.recv().await;
            post_direct(worker.id(), (), None).await.unwrap();
            worker.terminate().await;
        });
    }),
    ("shutdown hooks", Phase::Pending, |stuck| {
        block_on(async {
            let main = move |port: Port<(), ()>| {
                let stuck = stuck.next_line();
                on_shutdown(move || stuck.stall());
                port.on_message(|()| ());
                port.post(());
            };
            let worker = Worker::spawn(main).unwrap();
            worker.recv().await;
            worker.shutdown(super::PATIENCE).await.unwrap();
        });
    }),
];

/// Sends a signal to this thread.
fn raise(signum: i32) {
    // SAFETY: the signal is watched, so its handler is the library's.
    assert_eq!(unsafe { libc::raise(signum) }, 0);
}

pub(crate) const HANDLES: &[Plant] = &[
    ("signal watcher", Phase::Poll, |stuck| {
        run(|| {
            let own = std::rc::Rc::new(std::cell::OnceCell::<Signal>::new());
            let inner = own.clone();
            let stuck = stuck.next_line();
            let signal = Signal::start(libc::SIGUSR1, move || {
                stuck.stall();
                inner.get().unwrap().stop();
            });
            own.set(signal.unwrap()).unwrap();
            raise(libc::SIGUSR1);
        });
    }),
    ("signal watcher", Phase::Poll, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            let signal = Signal::once(libc::SIGUSR2, move || stuck.stall()).unwrap();
            raise(libc::SIGUSR2);
            windlass::on_exit(move |_| drop(signal));
        });
    }),
    ("descriptor watcher", Phase::Poll, |stuck| {
        run(|| {
            let (reader, mut writer) = os_pipe();
            writer.write_all(b"x").unwrap();
            let poll = std::rc::Rc::new(Poll::new(reader));
            let own = poll.clone();
            let stuck = stuck.next_line();
            let started = poll.start(Interest::READABLE, move |_| {
                stuck.stall();
                own.stop();
            });
            started.unwrap();
        });
    }),
    ("file watcher", Phase::Poll, |stuck| {
        run(|| {
            let directory = directory("file_watcher");
            let watcher = fs::watch(&directory).unwrap();
            let own = watcher.clone();
            let stuck = stuck.next_line();
            watcher.on_event(move |_| {
                stuck.stall();
                own.close();
            });
            std::fs::write(directory.join("a"), "").unwrap();
        });
    }),
    ("metadata watcher", Phase::Poll, |stuck| {
        run(|| {
            let path = directory("metadata_watcher").join("a");
            let watcher = fs::watch_metadata(&path, ms(1));
            let own = watcher.clone();
            let stuck = stuck.next_line();
            watcher.on_change(move |_, _| {
                stuck.stall();
                own.close();
            });
        });
    }),
];

pub(crate) const HOOKS: &[Plant] = &[
    ("main", Phase::Main, |stuck| {
        let stuck = stuck.next_line();
        run(|| stuck.stall());
    }),
    ("before-exit hook", Phase::Main, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            windlass::on_before_exit(move || stuck.stall());
        });
    }),
    ("exit hook", Phase::Main, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            windlass::on_exit(move |_| stuck.stall());
        });
    }),
    ("uncaught hook", Phase::Check, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            windlass::on_uncaught(move |_| stuck.stall());
            set_immediate(|| panic!("on purpose"));
        });
    }),
    ("unhandled hook", Phase::Pending, |stuck| {
        run(|| {
            let stuck = stuck.next_line();
            windlass::on_unhandled(move |_| stuck.stall());
            drop(fs::read("no such file"));
        });
    }),
    ("task", Phase::Poll, |stuck| {
        block_on(async {
            let (stream, mut peer) = connected().await;
            peer.write_all(b"x").unwrap();
            let stuck = stuck.next_line();
            let task = windlass::spawn(async move {
                stream.read(&mut [0]).await.unwrap();
                stuck.stall();
            });
            task.await.unwrap();
        });
    }),
];
