//! Many of a kind: to make, cancel, close and drop them takes time in proportion to their number, in whichever
//! order. One that is searched for among all others would make it a square.

mod common;

use std::fs::OpenOptions;
use std::future::{Future, pending};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use common::*;
use windlass::fs::{self, File};
use windlass::handle::{Check, Idle, Notifier, Poll, Prepare};
use windlass::net::{TcpListener, TcpStream, UdpSocket};
use windlass::signal::Signal;
use windlass::sim::Sim;
use windlass::time::sleep;
use windlass::tty::Tty;
use windlass::worker::{BroadcastChannel, Call, Worker, WorkerPool, channel};
use windlass::{Loop, Request, block_on, queue_work, run, set_immediate, set_timeout, spawn, work};

/// What is ended first of those that were made first.
#[derive(Clone, Copy, Debug)]
enum Order {
    First,
    Last,
    Mixed,
}

impl Order {
    /// Ends each.
    fn end<T>(self, all: Vec<T>, mut end: impl FnMut(&T)) {
        let mut all: Vec<_> = all.into_iter().map(Some).collect();
        let count = all.len();
        for place in 0..count {
            let place = match self {
                Order::First => place,
                Order::Last => count - 1 - place,
                Order::Mixed => place * 7919 % count,
            };
            let one = all[place].take().expect("a prime that does not divide the number");
            end(&one);
        }
    }

    fn cancel<T: 'static>(self, all: Vec<Request<T>>) {
        self.end(all, |one| _ = one.cancel());
    }
}

/// Polls each once, and drops them.
fn give_up<F: Future>(all: impl Iterator<Item = F>, order: Order) {
    let (waker, _) = Wakes::new();
    let mut all: Vec<Pin<Box<F>>> = all.map(Box::pin).collect();
    for one in &mut all {
        assert!(one.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    order.end(all, |_| ());
}

/// Makes so many of a kind and ends them in this order, on a loop of its own.
type Case = fn(usize, Order);

const CASES: &[(&str, Case)] = &[
    ("broadcast channels of a name", |count, order| {
        run(move || {
            let all = (0..count).map(|_| BroadcastChannel::<u8>::new("many")).collect();
            order.end(all, BroadcastChannel::close);
        });
    }),
    ("watchers of a folder", |count, order| {
        run(move || {
            let all = (0..count).map(|_| fs::watch("tests/common").unwrap()).collect();
            order.end(all, fs::Watcher::close);
        });
    }),
    ("watchers of a file's metadata", |count, order| {
        run(move || {
            let watch = |_| fs::watch_metadata("Cargo.toml", Duration::from_secs(100));
            order.end((0..count).map(watch).collect(), fs::MetadataWatcher::close);
        });
    }),
    ("notifiers", |count, order| {
        run(move || {
            order.end((0..count).map(|_| Notifier::new(|| ())).collect(), Notifier::close);
        });
    }),
    ("handles of a loop that shuts down, looked at in as many iterations", |count, _| {
        run(move || {
            let all: Vec<_> = (0..count).map(|_| Notifier::new(|| ())).collect();
            let guard = Loop::current().keep_alive();
            drop(Loop::current().shutdown(HOUR));
            after_iterations(count, move || drop((guard, all)));
        });
    }),
    ("signals", |count, order| {
        run(move || {
            let watch = |_| Signal::start(libc::SIGUSR1, || ()).unwrap();
            let of_another: Vec<_> =
                (0..count).map(|_| Signal::start(libc::SIGUSR2, || ()).unwrap()).collect();
            order.end((0..count).map(watch).collect(), Signal::stop);
            order.end(of_another, Signal::stop);
        });
    }),
    ("masters of terminals, some of them non-blocking before", |count, order| {
        run(move || {
            raise_descriptor_limit(2 * count as u64);
            let open = |number: usize| {
                let before = if number.is_multiple_of(2) { 0 } else { libc::O_NONBLOCK };
                let mut master = OpenOptions::new();
                master.read(true).write(true).custom_flags(libc::O_NOCTTY | before);
                match master.open("/dev/ptmx") {
                    Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => None,
                    master => Some(Tty::open(master.unwrap().into()).unwrap()),
                }
            };
            // The system has no more than some thousand, for all programs together.
            order.end((0..count / 4).map_while(open).collect(), Tty::close);
        });
    }),
    ("watchers of phases", |count, order| {
        run(move || {
            order.end((0..count).map(|_| Idle::start(|| ())).collect(), Idle::stop);
            order.end((0..count).map(|_| Prepare::start(|| ())).collect(), Prepare::stop);
            order.end((0..count).map(|_| Check::start(|| ())).collect(), Check::stop);
        });
    }),
    ("timers of one delay", |count, order| {
        run(move || {
            let all = (0..count).map(|_| set_timeout(Duration::from_secs(9), || ())).collect();
            order.end(all, windlass::Timer::clear);
        });
    }),
    ("timers of many delays", |count, order| {
        run(move || {
            let delay = |number| Duration::from_millis(1000 + number as u64);
            let all = (0..count).map(|number| set_timeout(delay(number), || ())).collect();
            order.end(all, windlass::Timer::clear);
        });
    }),
    ("immediates", |count, order| {
        run(move || {
            order.end((0..count).map(|_| set_immediate(|| ())).collect(), |it| it.clear());
        });
    }),
    ("jobs", |count, order| {
        run(move || order.cancel((0..count).map(|_| queue_work(|| ())).collect()));
    }),
    // No timer is armed, so each wait could be one for ever.
    ("jobs of a simulation", |count, _| {
        Sim::new(1).run(|| {
            for _ in 0..4 * count {
                drop(queue_work(|| ()));
            }
        });
    }),
    ("jobs with a deadline", |count, order| {
        run(move || {
            let submit = |_| work(|_| ()).deadline(Duration::from_secs(100)).submit();
            order.cancel((0..count).map(submit).collect());
        });
    }),
    ("jobs of a pool of workers", |count, order| {
        run(move || {
            let pool = WorkerPool::new(1, || |number: usize| number).unwrap();
            order.cancel((0..count).map(|number| pool.run(number)).collect());
        });
    }),
    ("file requests", |count, order| {
        run(move || order.cancel((0..count).map(|_| fs::read("Cargo.toml")).collect()));
    }),
    ("operations of a file", |count, order| {
        run(move || {
            let file = File::from_std(std::fs::File::open("Cargo.toml").unwrap());
            order.cancel((0..count).map(|_| file.read(1)).collect());
        });
    }),
    ("look-ups of a name", |count, order| {
        run(move || {
            order.cancel((0..count).map(|_| windlass::dns::lookup("localhost")).collect());
        });
    }),
    ("sleeps", |count, order| {
        block_on(async move {
            let sleeps =
                (0..count).map(|number| sleep(Duration::from_millis(9000 + number as u64)));
            give_up(sleeps, order);
        });
    }),
    ("tasks", |count, order| {
        run(move || {
            let all: Vec<_> = (0..count).map(|_| spawn(pending::<()>())).collect();
            set_immediate(move || order.end(all, windlass::Task::abort));
        });
    }),
    ("ports", |count, order| {
        run(move || {
            let open = |_| {
                let (one, other) = channel::<u8, u8>();
                (one.open(), other.open())
            };
            order.end((0..count).map(open).collect(), |(one, _other)| one.close());
        });
    }),
    ("calls", |count, order| {
        run(move || {
            let worker = Worker::<Call<u8, u8>, ()>::spawn(|port| {
                let own = port.clone();
                port.on_message(move |_| own.close());
            });
            let worker = worker.unwrap();
            order.cancel((0..count).map(|_| worker.call(1)).collect());
        });
    }),
    ("writes that wait", |count, order| {
        block_on(async move {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            drop(stream.write(&vec![0; 16 << 20]));
            // So many that a move of all behind one would show.
            order.cancel((0..16 * count).map(|_| stream.write(b"x")).collect());
            stream.close();
        });
    }),
    ("datagrams that wait", |count, order| {
        run(move || {
            let (ours, _theirs) = UnixDatagram::pair().unwrap();
            // A socket of another kind: the loopback takes any number of datagrams, and drops them.
            let ours = std::net::UdpSocket::from(OwnedFd::from(ours));
            let socket = UdpSocket::from_std(ours).unwrap();
            while socket.try_send(b"x").is_ok() {}
            order.cancel((0..4 * count).map(|_| socket.send(b"x")).collect());
            socket.close();
        });
    }),
    ("reads, accepts and waits for a descriptor", |count, order| {
        block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            drop(listener.accept().await.unwrap().detach());
            give_up((0..count).map(|_| listener.accept()), order);
            let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
            let watcher = Poll::new(ours);
            give_up((0..count).map(|_| watcher.readable()), order);
            drop(stream);
        });
    }),
];

/// The time that this thread has had on a core: others take none of it.
fn own_time() -> Duration {
    let figures = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos = figures.split(' ').next().unwrap().parse().unwrap();
    Duration::from_nanos(nanos)
}

#[test]
#[cfg(target_os = "linux")]
fn many_of_a_kind_are_made_and_ended_in_time_in_proportion_to_their_number() {
    const FEW: usize = 1000;
    const TIMES: u32 = 8;
    bounded(|| {
        for (what, case) in CASES {
            for order in [Order::First, Order::Last, Order::Mixed] {
                let time = |count| {
                    let began = own_time();
                    case(count, order);
                    own_time() - began
                };
                // The system counts in steps of some milliseconds.
                let few = (0..3).map(|_| time(FEW)).min().unwrap().max(ms(5));
                let limit = few * TIMES * 3 + ms(10);
                let many = || time(FEW * TIMES as usize);
                // Once more, for a cache or an allocator may have had a bad moment.
                let took = Some(many()).filter(|took| *took <= limit).unwrap_or_else(many);
                assert!(took <= limit, "{what}, {order:?}: {few:?} for few, {took:?} for many");
            }
        }
    });
}
