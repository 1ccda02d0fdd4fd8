//! Simulations: chance and misfortune from a seed, and the same run for the same seed.

mod common;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::*;
use windlass::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use windlass::sim::{Faults, Network, Sim, explore};
use windlass::worker::{self, BroadcastChannel, ParentExit, Worker, channel};
use windlass::{Loop, fs, queue_work, set_immediate, set_interval, set_timeout, time};

/// What a program of messages, jobs and timers in a parent and three workers says with this seed, and
/// the digest.
fn told(seed: u64) -> (Vec<String>, u64) {
    let log = Trace::new();
    let say = log.clone();
    let outcome = Sim::new(seed).run(move || {
        for number in 0..3 {
            let worker: Worker<u32, u32> = Worker::spawn(move |port| {
                let out = port.clone();
                port.on_message(move |value| out.post(value * 10 + number));
                set_timeout(ms(3), move || port.off_message());
            })
            .expect("a worker");
            let said = say.clone();
            worker.on_message(move |value| said.say(format!("message {value}")));
            let said = say.clone();
            worker.on_exit(move |code| said.say(format!("exit {number} {code}")));
            (0..3).for_each(|value| worker.post(value));
        }
        for number in 0..5 {
            let said = say.clone();
            queue_work(move || number)
                .on_complete(move |done| said.say(format!("job {}", done.unwrap())));
        }
    });
    (log.take(), outcome.digest)
}

#[test]
fn one_seed_is_one_run_and_two_hundred_seeds_are_many() {
    let mut digests = BTreeSet::new();
    let mut orders = BTreeSet::new();
    for seed in 0..200 {
        let (log, digest) = told(seed);
        assert_eq!((log.clone(), digest), told(seed), "seed {seed}");
        digests.insert(digest);
        orders.insert(log);
    }
    assert!(digests.len() >= 50, "{} digests", digests.len());
    assert!(orders.len() >= 50, "{} orders", orders.len());
}

#[test]
fn what_the_api_keeps_in_order_stays_so_with_each_seed() {
    for seed in 0..200 {
        let (log, _) = told(seed);
        assert_eq!(log.len(), 3 * 3 + 3 + 5, "seed {seed}: {log:?}");
        for number in 0..3 {
            let of_worker: Vec<_> = log
                .iter()
                .filter(|line| {
                    line.strip_prefix("message ")
                        .is_some_and(|value| value.parse::<u32>().unwrap() % 10 == number)
                        || line.starts_with(&format!("exit {number}"))
                })
                .collect();
            let expected = [
                format!("message {number}"),
                format!("message {}", 10 + number),
                format!("message {}", 20 + number),
                format!("exit {number} 0"),
            ];
            assert_eq!(of_worker, expected.iter().collect::<Vec<_>>(), "seed {seed}");
        }
    }
}

/// What a race can end with under the seeds 0 to 99.
fn outcomes(race: impl Fn(&Trace) + Clone + 'static) -> BTreeSet<String> {
    outcomes_in(Sim::new, race)
}

fn outcomes_in(make: fn(u64) -> Sim, race: impl Fn(&Trace) + Clone + 'static) -> BTreeSet<String> {
    (0..100)
        .map(|seed| {
            let log = Trace::new();
            let (race, inner) = (race.clone(), log.clone());
            make(seed).run(move || race(&inner));
            log.take().join(" ")
        })
        .collect()
}

/// A simulation in which callbacks take their time.
fn busy(seed: u64) -> Sim {
    Sim::new(seed).faults(Faults::default().callback_time(Duration::ZERO..=ms(2)))
}

// O-66.
#[test]
fn a_timer_of_no_delay_comes_before_or_after_an_immediate_of_the_main_script() {
    let race = |log: &Trace| {
        set_timeout(ms(0), log.says("timer"));
        set_immediate(log.says("immediate"));
    };
    let both = ["immediate timer".to_owned(), "timer immediate".to_owned()];
    assert_eq!(outcomes_in(busy, race), both.clone().into());
    // Where callbacks take no time there is no race.
    assert_eq!(outcomes(race), both[..1].iter().cloned().collect());
}

// O-68.
#[test]
fn of_two_timers_that_are_due_at_nearly_one_moment_either_fires_first() {
    let seen = outcomes_in(busy, |log| {
        set_timeout(ms(3), log.says("3 ms"));
        let log = log.clone();
        set_immediate(move || {
            set_timeout(ms(2), log.says("2 ms, later"));
        });
    });
    assert_eq!(seen, ["2 ms, later 3 ms".to_owned(), "3 ms 2 ms, later".to_owned()].into());
}

// O-67.
#[test]
fn of_two_jobs_either_is_done_first() {
    let seen = outcomes(|log| {
        for name in ["a", "b"] {
            let log = log.clone();
            queue_work(|| ()).on_complete(move |_| log.say(name));
        }
    });
    assert_eq!(seen, ["a b".to_owned(), "b a".to_owned()].into());
}

// O-67.
#[test]
fn a_request_comes_before_or_after_a_timer() {
    // A job takes 1 ms at most. The second of two is done before that or after.
    let of_a_file = outcomes(|log| {
        let inner = log.clone();
        queue_work(|| ()).on_complete(move |_| {
            fs::metadata("Cargo.toml").on_complete(move |_| inner.say("request"));
        });
        let inner = log.clone();
        set_timeout(ms(1), move || inner.say("timer"));
    });
    let of_work = outcomes(|log| {
        let inner = log.clone();
        fs::metadata("Cargo.toml").on_complete(move |_| {
            queue_work(|| ()).on_complete(move |_| inner.say("request"));
        });
        let inner = log.clone();
        set_timeout(ms(1), move || inner.say("timer"));
    });
    let both = ["request timer".to_owned(), "timer request".to_owned()];
    assert_eq!((of_a_file, of_work), (both.clone().into(), both.into()));
}

// O-69.
#[test]
fn of_two_workers_either_is_heard_first() {
    let seen = outcomes(|log| {
        for name in ["a", "b"] {
            let worker = Worker::<(), ()>::spawn(|port| {
                port.post(());
                port.unref();
            });
            let log = log.clone();
            worker.expect("a worker").on_message(move |()| log.say(name));
        }
    });
    assert_eq!(seen, ["a b".to_owned(), "b a".to_owned()].into());
}

/// Two workers that end at once, and what their parent hears of them.
fn two_that_end(log: &Trace) {
    for name in ["one", "other"] {
        let worker = Worker::<(), ()>::spawn(|port| {
            port.unref();
        });
        let worker = worker.unwrap();
        let (online, exit) = (log.clone(), log.clone());
        worker.on_online(move || online.say(format!("{name} is online")));
        worker.on_exit(move |_| exit.say(format!("{name} ends")));
    }
}

#[test]
fn a_worker_ends_before_another_one_has_begun_where_starts_take_time() {
    let late = |seed| Sim::new(seed).faults(Faults::default().start_time(Duration::ZERO..=ms(40)));
    let orders = |first: &str, then: &str| {
        format!("{first} is online {first} ends {then} is online {then} ends")
    };
    let apart = [orders("one", "other"), orders("other", "one")];
    let seen = outcomes_in(late, two_that_end);
    assert!(apart.iter().all(|order| seen.contains(order)), "{seen:?}");
    // Where they take none, both are heard to begin before either ends.
    let seen = outcomes(two_that_end);
    assert!(apart.iter().all(|order| !seen.contains(order)), "{seen:?}");
}

/// Says when the message of a worker comes that waits for a job before it posts.
fn hear_of_a_worker(log: &Trace) {
    let worker = Worker::<(), ()>::spawn(|port| {
        queue_work(|| ()).on_complete(move |_| port.post(()));
    });
    let log = log.clone();
    worker.expect("a worker").on_message(move |()| log.say("message"));
}

// O-69.
#[test]
fn a_message_of_a_worker_comes_before_or_after_a_timer_of_the_parent() {
    let seen = outcomes(|log| {
        hear_of_a_worker(log);
        let inner = log.clone();
        set_timeout(ms(1), move || inner.say("timer"));
    });
    assert_eq!(seen, ["message timer".to_owned(), "timer message".to_owned()].into());
}

// O-69.
#[test]
fn a_message_of_a_worker_comes_before_or_after_an_immediate_of_the_parent() {
    let seen = outcomes(|log| {
        hear_of_a_worker(log);
        let inner = log.clone();
        set_timeout(ms(1), move || {
            set_immediate(inner.says("immediate"));
        });
    });
    assert_eq!(seen, ["immediate message".to_owned(), "message immediate".to_owned()].into());
}

#[test]
fn a_cancel_comes_in_time_or_does_not() {
    let seen = outcomes(|log| {
        let pool = windlass::Pool::new(1).expect("a pool");
        let first = windlass::work(|_| ()).pool(&pool).submit();
        let second = windlass::work(|_| ()).pool(&pool).submit();
        let canceller = second.canceller();
        let inner = log.clone();
        drop(first);
        second.on_complete(move |result| {
            inner.say(if result.is_ok() { "done" } else { "cancelled" });
        });
        let worker = Worker::<(), ()>::spawn(|port| {
            port.post(());
            port.unref();
        });
        worker.expect("a worker").on_message(move |()| {
            canceller.cancel().ok();
        });
    });
    assert_eq!(seen, ["cancelled".to_owned(), "done".to_owned()].into());
}

#[test]
fn posts_of_one_loop_come_in_order_and_those_of_two_do_not() {
    let seen = outcomes(|log| {
        let remote = windlass::Loop::current().remote();
        for name in ["a", "b"] {
            let remote = remote.clone();
            let worker = Worker::<(), ()>::spawn(move |port| {
                port.unref();
                for number in 0..3 {
                    remote
                        .post(move || SAID.with_borrow_mut(|said| said.push((name, number))))
                        .unwrap();
                }
            });
            drop(worker.expect("a worker"));
        }
        thread_local!(static SAID: RefCell<Vec<(&'static str, u32)>> = const { RefCell::new(Vec::new()) });
        let log = log.clone();
        windlass::on_exit(move |_| {
            let said = SAID.take();
            for name in ["a", "b"] {
                let of_one: Vec<_> =
                    said.iter().filter(|one| one.0 == name).map(|one| one.1).collect();
                assert_eq!(of_one, [0, 1, 2]);
            }
            said.iter().for_each(|(name, _)| log.say(*name));
        });
    });
    assert!(seen.len() > 2, "{seen:?}");
}

// O-9: also of callbacks that take time.
#[test]
fn the_cached_time_is_one_for_a_phase_however_long_callbacks_take() {
    for seed in 0..50 {
        busy(seed).run(|| {
            let began = windlass::now();
            windlass::next_tick(move || assert_eq!(windlass::now(), began));
            let first = Rc::new(Cell::new(None));
            for _ in 0..3 {
                let first = first.clone();
                set_immediate(move || {
                    let now = first.replace(Some(windlass::now()));
                    assert!(now.is_none_or(|now| now == windlass::now()));
                    set_timeout(ms(1), move || assert!(windlass::now() > first.get().unwrap()));
                });
            }
        });
    }
}

#[test]
fn an_hour_of_heartbeats_on_three_loops_takes_no_time() {
    let began = Instant::now();
    let beats = Arc::new(AtomicU32::new(0));
    let count = beats.clone();
    let outcome = Sim::new(1).run_until(Duration::from_secs(3_600), move || {
        for _ in 0..2 {
            let count = count.clone();
            let worker = Worker::<(), ()>::spawn(move |_port| {
                set_interval(Duration::from_secs(1), move |_| {
                    count.fetch_add(1, Ordering::Relaxed);
                });
            });
            std::mem::forget(worker.expect("a worker"));
        }
        set_interval(Duration::from_secs(1), move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    });
    println!("{:?}", began.elapsed());
    assert_eq!(outcome.elapsed, Duration::from_secs(3_600));
    assert!(beats.load(Ordering::Relaxed) >= 3 * 3_599);
}

#[test]
fn a_panic_says_its_seed() {
    let outcome = panic::catch_unwind(|| {
        Sim::new(42).run(|| {
            set_timeout(ms(5), || panic!("oh"));
        })
    });
    let payload = outcome.map(drop).unwrap_err();
    assert_eq!(payload.downcast_ref::<String>().unwrap(), "seed 42: oh");
}

#[test]
fn an_assertion_in_an_exit_hook_fails_the_run_also_of_a_worker() {
    let message = |program: fn()| {
        let payload = panic::catch_unwind(|| Sim::new(4).run(program)).map(drop).unwrap_err();
        payload.downcast_ref::<String>().unwrap().clone()
    };
    assert_eq!(message(|| windlass::on_exit(|_| panic!("main"))), "seed 4: main");
    let in_worker = || {
        let worker = Worker::<(), ()>::spawn(|port| {
            port.unref();
            windlass::on_exit(|_| panic!("worker"));
        });
        drop(worker.expect("a worker"));
    };
    assert_eq!(message(in_worker), "seed 4: worker");
}

#[test]
fn a_program_that_goes_on_beyond_its_limit_fails() {
    let endless = || {
        set_interval(ms(10), |_| {});
    };
    let message = |sim: Sim| {
        let payload = panic::catch_unwind(|| sim.run(endless)).map(drop).unwrap_err();
        payload.downcast_ref::<String>().unwrap().clone()
    };
    let text = message(Sim::new(3).limit(Duration::from_secs(1)));
    assert!(text.starts_with("seed 3: the program still ran after 1s of virtual time: "), "{text}");
    let text = message(Sim::new(3).callbacks(1_000));
    assert!(text.starts_with("seed 3: the program still ran after 1000 callbacks: "), "{text}");
    // Ticks that queue ticks never leave their drain.
    let chain = || {
        fn again() {
            windlass::next_tick(again);
        }
        again();
    };
    let outcome = panic::catch_unwind(|| Sim::new(3).callbacks(1_000).run(chain));
    assert!(outcome.is_err());
}

#[test]
fn explore_stops_at_the_first_seed_that_fails_and_counts_those_that_do_not() {
    assert_eq!(explore(0..20, Sim::new, || ()).unwrap(), 20);
    let tried = Cell::new(0);
    let failure = explore(10..20, Sim::new, || {
        tried.set(tried.get() + 1);
        assert!(tried.get() < 4, "the fourth");
    })
    .unwrap_err();
    assert_eq!((failure.seed, failure.message.as_str()), (13, "seed 13: the fourth"));
}

#[test]
fn a_panic_in_a_simulation_leaves_the_thread_fit_for_the_next() {
    for seed in 0..5 {
        let held = Rc::new(());
        let inner = held.clone();
        let run = || {
            Sim::new(seed).run(move || {
                let kept = inner.clone();
                set_timeout(ms(50), move || drop(kept));
                set_timeout(ms(1), || panic!("oh"));
            })
        };
        assert!(panic::catch_unwind(AssertUnwindSafe(run)).is_err());
        assert_eq!(Rc::strong_count(&held), 1);
    }
}

/// An echo between two workers over a socket: what came back.
fn echo(sim: &Sim, data: &[u8]) -> io::Result<Vec<u8>> {
    let (sent, len) = (data.to_vec(), data.len());
    sim.block_on(async move {
        let listener = TcpListener::bind("10.0.0.1:80")?;
        let server = Worker::<windlass::net::DetachedTcpListener, ()>::spawn(|port| {
            let own = port.clone();
            port.on_message(move |listener| {
                own.off_message();
                let listener = listener.open().unwrap();
                let once = listener.clone();
                listener.on_connection(move |stream| {
                    once.close();
                    let stream = stream.unwrap();
                    let writer = stream.clone();
                    stream.read_start(move |_, data| match data {
                        Ok([]) => drop(writer.shutdown()),
                        Ok(data) => drop(writer.write(data)),
                        Err(_) => writer.close(),
                    });
                });
            });
        })?;
        server.post(listener.detach()?);
        let stream = TcpStream::connect("10.0.0.1:80").await?;
        assert_eq!(stream.peer_addr()?.to_string(), "10.0.0.1:80");
        let writer = stream.clone();
        let writing = windlass::spawn(async move {
            for chunk in sent.chunks(1000) {
                writer.write(chunk).await?;
            }
            writer.shutdown().await
        });
        let (mut back, mut buffer) = (Vec::new(), [0; 700]);
        loop {
            match stream.read(&mut buffer).await? {
                0 => break,
                count => back.extend_from_slice(&buffer[..count]),
            }
        }
        writing.await.unwrap()?;
        assert_eq!(back.len(), len);
        Ok(back)
    })
    .value
}

#[test]
fn bytes_over_a_simulated_connection_come_whole_and_in_order() {
    let data: Vec<u8> = (0..300_000_u32).map(|number| (number * 7 % 251) as u8).collect();
    for seed in 0..30 {
        let faults = Faults::default().short_reads(0.3).short_writes(0.3);
        let sim = Sim::new(seed).network(Network::default().split(0.5)).faults(faults);
        assert_eq!(echo(&sim, &data).unwrap(), data, "seed {seed}");
    }
}

#[test]
fn a_reset_is_an_error_at_both_ends_and_loses_no_promise() {
    let data = vec![7; 20_000];
    let mut kinds = BTreeSet::new();
    for seed in 0..60 {
        let sim = Sim::new(seed).network(Network::default().reset(0.02));
        kinds.insert(echo(&sim, &data).map(drop).map_err(|error| error.kind()));
    }
    assert!(kinds.contains(&Ok(())), "{kinds:?}");
    assert!(kinds.contains(&Err(io::ErrorKind::ConnectionReset)), "{kinds:?}");
    kinds.remove(&Ok(()));
    kinds.remove(&Err(io::ErrorKind::ConnectionReset));
    kinds.remove(&Err(io::ErrorKind::BrokenPipe));
    assert!(kinds.is_empty(), "{kinds:?}");
}

#[test]
fn nobody_answers_at_an_address_that_nobody_has() {
    let outcome = Sim::new(1).block_on(async { TcpStream::connect("192.0.2.1:80").await });
    assert_eq!(outcome.value.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    assert!(outcome.elapsed > Duration::ZERO, "the answer takes its time");
}

#[test]
fn an_address_is_taken_once_and_free_when_its_listener_has_closed() {
    Sim::new(1).run(|| {
        let first = TcpListener::bind("127.0.0.1:80").unwrap();
        let error = TcpListener::bind("127.0.0.1:80").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        first.close();
        let again = TcpListener::bind("127.0.0.1:80").unwrap();
        let any = TcpListener::bind("0.0.0.0:0").unwrap();
        assert_ne!(any.local_addr().unwrap().port(), 0);
        assert_eq!(std::os::fd::AsRawFd::as_raw_fd(&again), -1);
        assert_eq!(again.into_std().unwrap_err().kind(), io::ErrorKind::Unsupported);
    });
}

#[test]
fn unix_sockets_meet_in_memory_and_leave_no_file() {
    let outcome = Sim::new(1).block_on(async {
        let listener = UnixListener::bind("/no/such/folder/socket")?;
        let client = UnixStream::connect("/no/such/folder/socket");
        let server = listener.accept().await?;
        let client = client.await?;
        client.write(b"over").await?;
        client.shutdown().await?;
        let mut buffer = [0; 16];
        assert_eq!(server.read(&mut buffer).await?, 4);
        assert_eq!(server.read(&mut buffer).await?, 0);
        let (one, other) = UnixStream::pair()?;
        one.write(b"pair").await?;
        assert_eq!(other.read(&mut buffer).await?, 4);
        io::Result::Ok(())
    });
    outcome.value.unwrap();
}

#[test]
fn two_clients_are_accepted_in_either_order() {
    let seen = outcomes(|log| {
        let listener = TcpListener::bind("10.0.0.1:80").unwrap();
        for name in ["a", "b"] {
            TcpStream::connect("10.0.0.1:80").on_complete(move |stream| {
                drop(stream.unwrap().write(name.as_bytes()));
            });
        }
        let (log, count, own) = (log.clone(), Cell::new(0), listener.clone());
        listener.on_connection(move |stream| {
            count.set(count.get() + 1);
            if count.get() == 2 {
                own.close();
            }
            let log = log.clone();
            stream.unwrap().read_start(move |stream, data| match data {
                Ok([]) | Err(_) => stream.close(),
                Ok(data) => log.say(String::from_utf8_lossy(data)),
            });
        });
    });
    assert_eq!(seen, ["a b".to_owned(), "b a".to_owned()].into());
}

/// Which of ten datagrams arrive, in which order.
fn datagrams(sim: &Sim) -> Vec<u8> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = seen.clone();
    sim.run(move || {
        let receiver = UdpSocket::bind("10.0.0.1:53").unwrap();
        receiver.recv_start(move |_, datagram| {
            let datagram = datagram.unwrap();
            assert_eq!(datagram.from.ip().to_string(), "10.0.0.2");
            log.borrow_mut().extend(datagram.data);
        });
        let sender = UdpSocket::bind("10.0.0.2:0").unwrap();
        for number in 0..10 {
            drop(sender.send_to(&[number], "10.0.0.1:53".parse().unwrap()));
        }
        drop(sender.send_to(b"nobody", "10.0.0.9:53".parse().unwrap()));
        set_timeout(ms(10), move || receiver.close());
    });
    seen.take()
}

#[test]
fn datagrams_overtake_each_other_get_lost_and_come_twice_as_the_network_is_set() {
    let all: Vec<u8> = (0..10).collect();
    let (mut in_order, mut lost, mut twice) = (0, 0, 0);
    for seed in 0..50 {
        let mut seen = datagrams(&Sim::new(seed));
        in_order += u32::from(seen == all);
        seen.sort_unstable();
        assert_eq!(seen, all, "none is lost unless it is asked for");
        lost += u32::from(
            datagrams(&Sim::new(seed).network(Network::default().lose_datagram(0.2))).len() < 10,
        );
        twice += u32::from(
            datagrams(&Sim::new(seed).network(Network::default().double_datagram(0.2))).len() > 10,
        );
    }
    assert!(in_order < 10 && lost > 20 && twice > 20, "{in_order} {lost} {twice}");
}

#[test]
fn a_socket_of_one_simulation_is_refused_in_another_one() {
    let leave = || {
        Sim::new(1).block_on(async {
            let listener = TcpListener::bind("10.0.0.1:80").unwrap();
            let client = TcpStream::connect("10.0.0.1:80");
            listener.accept().await.unwrap();
            (listener.detach().unwrap(), client.await.unwrap().detach().unwrap())
        })
    };
    let refused = |error: io::Error| {
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert!(error.to_string().contains("in that simulation only"), "{error}");
    };
    let (listener, stream) = leave().value;
    Sim::new(1).run(|| {
        refused(listener.open().map(drop).unwrap_err());
        refused(stream.open().map(drop).unwrap_err());
    });
    let (listener, stream) = leave().value;
    windlass::run(|| {
        refused(listener.open().map(drop).unwrap_err());
        refused(stream.open().map(drop).unwrap_err());
    });
}

// Two loops of two simulations on one thread: each has its own time and its own network.
#[test]
fn a_socket_that_is_dropped_in_another_simulation_changes_nothing_there() {
    let (one, other) = (Sim::new(1).event_loop(), Sim::new(2).event_loop());
    let in_one = one.enter(|| UdpSocket::bind("10.0.0.1:53").unwrap());
    let in_other = other.enter(|| UdpSocket::bind("10.0.0.1:53").unwrap());
    other.enter(|| drop(in_one));
    let received = other.block_on(async move {
        let sender = UdpSocket::bind("10.0.0.2:0").unwrap();
        sender.send_to(b"hi", "10.0.0.1:53".parse().unwrap()).await.unwrap();
        let mut buffer = [0; 4];
        time::timeout(ms(10), in_other.recv_from(&mut buffer)).await.is_ok()
    });
    assert!(received);
}

#[test]
fn what_a_simulation_does_not_have_is_unsupported() {
    Sim::new(1).block_on(async {
        let unsupported = io::ErrorKind::Unsupported;
        let error = windlass::signal::Signal::start(libc::SIGUSR1, || ()).unwrap_err();
        assert_eq!(error.kind(), unsupported, "{error}");
        let error = windlass::process::Command::new("true").spawn().unwrap_err();
        assert_eq!(error.kind(), unsupported, "{error}");
        let terminal = Pty::open();
        let error = windlass::tty::Tty::open(terminal.slave()).unwrap_err();
        assert_eq!(error.kind(), unsupported, "{error}");
        let error = windlass::stdio::stdout().write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), unsupported, "{error}");
        assert_eq!(error.to_string(), "a simulation has no standard streams");
        let error = windlass::stdio::stdin().read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), unsupported, "{error}");
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(one.peer_credentials().unwrap_err().kind(), unsupported);
    });
}

#[test]
fn random_numbers_come_from_the_seed_in_callbacks_jobs_and_workers() {
    let drawn = |seed| {
        let numbers = Sim::new(seed).block_on(async {
            let number = || windlass::sim::random().expect("a simulation");
            let worker = Worker::<(), u64>::spawn(move |port| {
                port.post(number());
                port.unref();
            });
            let in_job = queue_work(number).await.unwrap();
            [number(), in_job, worker.unwrap().recv().await.unwrap()]
        });
        numbers.value
    };
    assert_eq!(drawn(1), drawn(1));
    let all: BTreeSet<u64> = (0..100).flat_map(drawn).collect();
    assert_eq!(all.len(), 300);
    assert!(windlass::block_on(async { windlass::sim::random() }).is_none());
}

#[test]
fn temporary_files_have_names_from_the_seed() {
    let name = |seed| {
        let made = Sim::new(seed).block_on(async {
            let path = fs::create_temp_dir(std::env::temp_dir().join("sim-XXXXXX")).await?;
            fs::remove_dir(&path).await?;
            io::Result::Ok(path)
        });
        made.value.unwrap()
    };
    // A seed of its own: what others have made takes no part.
    let seed = 0x5eed_0000_0000 + u64::from(std::process::id());
    assert_eq!(name(seed), name(seed));
    assert_ne!(name(seed), name(!seed));
}

#[cfg(feature = "digest")]
#[test]
fn random_bytes_come_from_the_seed() {
    let bytes = |seed| {
        let drawn =
            Sim::new(seed).block_on(async { windlass::crypto::random_bytes(20).await.unwrap() });
        drawn.value
    };
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
    assert!(bytes(1).iter().any(|byte| *byte != 0));
}

#[test]
fn names_are_those_of_the_simulation() {
    let network = Network::default().host("db", [10, 0, 0, 1].into());
    Sim::new(1).network(network).block_on(async {
        let found = windlass::dns::lookup("db").await.unwrap();
        assert_eq!(found, [std::net::IpAddr::from([10, 0, 0, 1])]);
        let error = windlass::dns::lookup("example.com").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(windlass::dns::lookup("localhost").await.unwrap().len(), 2);
    });
}

#[test]
fn a_program_that_can_only_wait_is_a_deadlock_whatever_it_holds() {
    let message = |program: fn()| {
        let sim = Sim::new(2).limit(Duration::from_secs(60));
        let payload = panic::catch_unwind(|| sim.run(program)).map(drop).unwrap_err();
        payload.downcast_ref::<String>().unwrap().clone()
    };
    // Remotes and notifiers in the hands of the program itself bring nothing.
    let remote = || {
        let remote = windlass::Loop::current().remote();
        let listener = TcpListener::bind("10.0.0.1:80").unwrap();
        listener.on_connection(move |_| assert!(remote.post(|| ()).is_ok()));
    };
    assert!(message(remote).contains("nothing can happen any more"));
    let notifier = || {
        let notifier = windlass::handle::Notifier::new(|| ());
        let worker =
            Worker::<(), ()>::spawn(move |port| port.on_message(move |()| notifier.notify()));
        std::mem::forget(worker.unwrap());
    };
    assert!(message(notifier).contains("nothing can happen any more"));
    // Nor does a descriptor.
    let folder = || {
        let watcher = fs::watch(std::env::temp_dir()).unwrap();
        watcher.on_event(|_| ());
        std::mem::forget(watcher);
    };
    assert!(message(folder).contains("nothing can happen any more"));
}

#[test]
fn run_until_ends_at_that_time_also_a_program_that_waits() {
    let end = Duration::from_secs(3_600);
    let waits = || TcpListener::bind("10.0.0.1:80").unwrap().on_connection(|_| ());
    assert_eq!(Sim::new(1).run_until(end, waits).elapsed, end);
    let beats = || {
        set_interval(Duration::from_secs(7), |_| ());
    };
    assert_eq!(Sim::new(1).run_until(end, beats).elapsed, end);
    let late = || {
        set_timeout(end + ms(1), || panic!("too late"));
    };
    assert_eq!(Sim::new(1).run_until(end, late).elapsed, end);
}

#[test]
fn a_limit_sees_what_a_callback_takes() {
    let advances = || {
        set_timeout(ms(1), || time::advance(Duration::from_secs(5)));
    };
    let sim = Sim::new(1).limit(ms(500));
    assert!(panic::catch_unwind(|| sim.run(advances)).is_err());
}

#[test]
fn addresses_are_taken_and_found_as_on_linux() {
    Sim::new(1).block_on(async {
        let taken = |address: &str| {
            TcpListener::bind(address).err().map(|error| error.kind())
                == Some(io::ErrorKind::AddrInUse)
        };
        let specific = TcpListener::bind("127.0.0.1:80").unwrap();
        assert!(taken("0.0.0.0:80"));
        specific.close();
        let any = TcpListener::bind("0.0.0.0:80").unwrap();
        assert!(taken("127.0.0.1:80"));
        any.close();
        // A port that is asked for by 0 is a free one.
        let _first = TcpListener::bind("127.0.0.1:49152").unwrap();
        assert!(TcpListener::bind("127.0.0.1:0").is_ok());
        let _second = UdpSocket::bind("127.0.0.1:49154").unwrap();
        assert!(UdpSocket::bind("127.0.0.1:0").is_ok() && UdpSocket::bind("127.0.0.1:0").is_ok());
        // Any address of IPv6 is any address of IPv4 too, unless it is not.
        let both = TcpListener::bind("[::]:80").unwrap();
        assert!(TcpStream::connect("127.0.0.1:80").await.is_ok());
        both.close();
        let only = TcpListener::builder().only_v6(true).bind("[::]:80").unwrap();
        assert!(TcpStream::connect("127.0.0.1:80").await.is_err());
        assert!(TcpStream::connect("[::1]:80").await.is_ok());
        only.close();
        // Whoever connects to any address is connected to the host itself.
        let one = UdpSocket::bind("0.0.0.0:5000").unwrap();
        let other = UdpSocket::bind("127.0.0.1:5001").unwrap();
        other.connect("0.0.0.0:5000").unwrap();
        other.send(b"hi").await.unwrap();
        let mut buffer = [0; 8];
        let (_, from) = one.recv_from(&mut buffer).await.unwrap();
        one.send_to(b"yo", from).await.unwrap();
        assert_eq!(other.recv_from(&mut buffer).await.unwrap().0, 2);
    });
}

// MEANINGS, Streams: a Unix connect to a full backlog fails with WouldBlock; one of TCP asks again.
#[test]
fn a_full_backlog_puts_tcp_off_and_is_would_block_for_a_unix_socket() {
    let outcome = Sim::new(1).block_on(async {
        let listener = TcpListener::builder().backlog(1).bind("10.0.0.1:80").unwrap();
        let clients: Vec<_> = (0..3).map(|_| TcpStream::connect("10.0.0.1:80")).collect();
        time::sleep(ms(100)).await;
        let mut kept = Vec::new();
        for _ in 0..3 {
            kept.push(listener.accept().await.unwrap());
        }
        for client in clients {
            client.await.unwrap();
        }
        let listener = UnixListener::bind("socket").unwrap();
        let all: Vec<_> = (0..1_100).map(|_| UnixStream::connect("socket")).collect();
        let mut refused = 0;
        for client in all {
            if let Err(error) = client.await {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                refused += 1;
            }
        }
        drop(listener);
        refused
    });
    assert_eq!(outcome.value, 1_100 - 1_025);
}

#[test]
fn many_small_writes_and_empty_datagrams_cost_what_they_are() {
    Sim::new(1).block_on(async {
        let (one, other) = UnixStream::pair().unwrap();
        for _ in 0..50_000 {
            assert_eq!(one.try_write(b"x").unwrap(), 1);
        }
        one.close();
        let (mut total, mut buffer) = (0, [0; 4096]);
        while let Ok(count @ 1..) = other.read(&mut buffer).await {
            total += count;
        }
        assert_eq!(total, 50_000);
        let receiver = UdpSocket::bind("10.0.0.1:53").unwrap();
        let sender = UdpSocket::bind("10.0.0.2:53").unwrap();
        for _ in 0..8_000 {
            sender.try_send_to(b"", receiver.local_addr().unwrap()).unwrap();
        }
        time::sleep(ms(5)).await;
        let mut got = 0;
        let next = async || time::timeout(ms(1), receiver.recv_from(&mut [0; 1])).await.is_ok();
        while next().await {
            got += 1;
        }
        assert!((100..2_000).contains(&got), "{got} of 8,000 found room");
    });
}

#[test]
fn a_socket_that_went_with_its_loop_takes_nothing_from_the_next() {
    Sim::new(1).block_on(async {
        let worker = Worker::<(), ()>::spawn(|port| {
            std::mem::forget(UdpSocket::bind("0.0.0.0:53").unwrap());
            std::mem::forget(TcpListener::bind("0.0.0.0:80").unwrap());
            port.unref();
        });
        assert_eq!(worker.unwrap().join().await, Ok(0));
        let receiver = UdpSocket::bind("10.0.0.1:53").unwrap();
        let sender = UdpSocket::bind("10.0.0.2:53").unwrap();
        sender.send_to(b"hi", "10.0.0.1:53".parse().unwrap()).await.unwrap();
        let mut buffer = [0; 4];
        let received = time::timeout(ms(10), receiver.recv_from(&mut buffer)).await;
        assert_eq!(received.expect("it arrives").unwrap().0, 2);
        let listener = TcpListener::bind("10.0.0.1:80").unwrap();
        let client = TcpStream::connect("10.0.0.1:80");
        listener.accept().await.unwrap();
        client.await.unwrap();
    });
}

#[test]
fn workers_and_their_threads_have_the_same_names_in_each_run() {
    let names = || {
        let outcome = Sim::new(1).block_on(async {
            let worker = Worker::<(), (u64, String)>::spawn(|port| {
                let name = std::thread::current().name().unwrap_or_default().to_owned();
                port.post((worker::id(), name));
                port.unref();
            });
            let worker = worker.unwrap();
            let (id, name) = worker.recv().await.unwrap();
            assert_eq!(id, worker.id());
            (id, name)
        });
        outcome.value
    };
    assert_eq!(names(), (1, "windlass-worker-1".to_owned()));
    assert_eq!(names(), (1, "windlass-worker-1".to_owned()));
}

// Two loops of two simulations on one thread, each with a worker of the same number.
#[test]
fn a_direct_message_reaches_the_worker_of_its_own_simulation() {
    let begin = |event_loop: &Loop| {
        event_loop.block_on(async {
            let worker = Worker::<(), String>::spawn(|port| {
                let heard = port.clone();
                worker::on_direct_message(move |_, text: String| heard.post(text));
                port.post("ready".to_owned());
                port.on_message(|()| ());
            });
            let worker = worker.unwrap();
            assert_eq!((worker.id(), worker.recv().await), (1, Some("ready".to_owned())));
            worker
        })
    };
    let (one, other) = (Sim::new(1).event_loop(), Sim::new(2).event_loop());
    let (in_one, in_other) = (begin(&one), begin(&other));
    let heard = other.block_on(async move {
        worker::post_direct(1, "hello".to_owned(), None).await.unwrap();
        let nobody = worker::post_direct(2, "hello".to_owned(), None).await;
        assert_eq!(nobody, Err(worker::DirectError::NoWorker));
        in_other.recv().await
    });
    assert_eq!(heard, Some("hello".to_owned()));
    let heard = one.block_on(async move { time::timeout(ms(10), in_one.recv()).await });
    assert!(heard.is_err(), "{heard:?}");
}

#[test]
fn a_broadcast_reaches_the_channels_of_its_own_simulation() {
    let (one, other) = (Sim::new(1).event_loop(), Sim::new(2).event_loop());
    let open = |event_loop: &Loop| event_loop.enter(|| BroadcastChannel::<u32>::new("of one"));
    let (sender, in_one, in_other) = (open(&one), open(&one), open(&other));
    one.enter(|| sender.post(7));
    let heard = one.block_on(async move { time::timeout(ms(10), in_one.recv()).await });
    assert_eq!(heard.ok(), Some(Some(7)));
    let heard = other.block_on(async move { time::timeout(ms(10), in_other.recv()).await });
    assert!(heard.is_err(), "{heard:?}");
}

/// Says its number when it is dropped.
struct Tag<const N: u32>(Arc<Mutex<Vec<u32>>>);

impl<const N: u32> Tag<N> {
    /// Has a closure own it.
    fn touch(&self) {}
}

impl<const N: u32> Drop for Tag<N> {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(N);
    }
}

#[test]
fn what_a_loop_keeps_by_type_is_dropped_in_the_order_in_which_it_came() {
    fn keep<const N: u32>(log: &Arc<Mutex<Vec<u32>>>) {
        worker::set_environment(Tag::<N>(log.clone()));
    }
    fn listen<const N: u32>(log: &Arc<Mutex<Vec<u32>>>) {
        let tag = Tag::<N>(log.clone());
        worker::on_direct_message(move |_, _: Tag<N>| tag.touch());
    }
    let (values, listeners) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let (of_values, of_listeners) = (values.clone(), listeners.clone());
    Sim::new(1).run(move || {
        let log = &of_values;
        keep::<0>(log);
        keep::<1>(log);
        keep::<2>(log);
        keep::<3>(log);
        keep::<4>(log);
        keep::<5>(log);
        keep::<6>(log);
        let worker = Worker::<(), ()>::spawn(move |port| {
            let log = &of_listeners;
            listen::<0>(log);
            listen::<1>(log);
            listen::<2>(log);
            listen::<3>(log);
            listen::<4>(log);
            listen::<5>(log);
            listen::<6>(log);
            port.unref();
        });
        drop(worker.unwrap());
    });
    assert_eq!(*values.lock().unwrap(), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(*listeners.lock().unwrap(), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_worker_that_is_asked_to_end_with_its_parent_has_its_time_in_virtual_time() {
    let beats = |seed| {
        let beats = Arc::new(AtomicU32::new(0));
        let count = beats.clone();
        Sim::new(seed).run(move || {
            let exit = ParentExit::ShutDown(ms(105));
            let worker = Worker::<(), ()>::builder().parent_exit(exit).spawn(move |_| {
                set_interval(ms(10), move |_| {
                    count.fetch_add(1, Ordering::Relaxed);
                });
            });
            worker.unwrap().unref(); // The parent ends at once.
        });
        beats.load(Ordering::Relaxed)
    };
    for seed in 0..5 {
        assert_eq!(beats(seed), 10);
    }
}

/// Takes real time when it is dropped.
struct Slow(Arc<AtomicBool>);

impl Slow {
    /// Has a closure own it.
    fn touch(&self) {}
}

impl Drop for Slow {
    fn drop(&mut self) {
        let began = Instant::now();
        while began.elapsed() < ms(100) {
            std::hint::spin_loop();
        }
        self.0.store(true, Ordering::SeqCst);
    }
}

// A worker that a shutdown has waited for in vain has 10 ms of real time elsewhere.
#[test]
fn a_simulation_waits_for_its_workers_however_slow_the_machine_is() {
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = dropped.clone();
    Sim::new(1).run(move || {
        let worker = Worker::<(), ()>::spawn(move |_| {
            let slow = Slow(flag);
            set_interval(ms(1), move |_| slow.touch());
        });
        drop(worker.unwrap());
        set_timeout(ms(5), || drop(Loop::current().shutdown(ms(5))));
    });
    assert!(dropped.load(Ordering::SeqCst));
}

#[test]
fn a_temporary_file_that_an_earlier_run_has_left_changes_nothing_but_the_name() {
    let seed = 0x5eed_0001_0000_0000 + u64::from(std::process::id());
    let run = || {
        Sim::new(seed).block_on(async {
            let template = std::env::temp_dir().join("sim-XXXXXX");
            let path = fs::create_temp_dir(template).await.unwrap();
            (path, windlass::sim::random())
        })
    };
    let runs = [run(), run(), run()];
    let paths: BTreeSet<_> = runs.iter().map(|outcome| &outcome.value.0).collect();
    assert_eq!(paths.len(), 3);
    paths.iter().for_each(|path| std::fs::remove_dir(path).unwrap());
    let rest: BTreeSet<_> = runs.iter().map(|run| (run.value.1, run.digest)).collect();
    assert_eq!(rest.len(), 1);
}

#[test]
fn a_message_takes_its_time_also_on_a_channel_that_was_made_before_the_simulation() {
    let took = ms(5);
    let (here, there) = channel::<(), ()>();
    let sim = Sim::new(1).faults(Faults::default().message_time(took..=took));
    let outcome = sim.block_on(async move {
        let here = here.open();
        let worker = Worker::<(), ()>::spawn(move |port| {
            port.unref();
            there.open().post(());
        });
        let began = windlass::now();
        assert_eq!(here.recv().await, Some(()));
        let waited = windlass::now() - began;
        assert_eq!(worker.unwrap().join().await, Ok(0));
        waited
    });
    assert_eq!(outcome.value, took);
}

// O-36: what is on its way when a round begins does not wait yet.
#[test]
fn a_round_of_messages_counts_those_that_have_come_when_it_begins() {
    let outcome = Sim::new(1).block_on(async {
        let worker = Worker::<(), u32>::spawn(|port| {
            port.unref();
            for number in 0..1_500 {
                port.post(number);
                time::advance(Duration::from_micros(1));
            }
        });
        let worker = worker.unwrap();
        let (heard, of_round) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (count, seen) = (heard.clone(), of_round.clone());
        worker.on_message(move |number| {
            if number == 0 {
                time::advance(ms(5)); // By now all are here.
                let (count, seen) = (count.clone(), seen.clone());
                set_immediate(move || seen.set(count.get()));
            }
            count.set(count.get() + 1);
        });
        worker.join().await.unwrap();
        (of_round.get(), heard.get())
    });
    assert_eq!(outcome.value, (1_000, 1_500));
}

#[test]
fn a_worker_is_asked_to_shut_down_behind_all_that_was_posted_before_with_each_seed() {
    for seed in 0..200 {
        let outcome = Sim::new(seed).block_on(async {
            let worker = Worker::<u32, u32>::spawn(|port| {
                let heard = Rc::new(Cell::new(0));
                let (count, tell) = (heard.clone(), port.clone());
                port.on_message(move |_| count.set(count.get() + 1));
                worker::on_shutdown(move || tell.post(heard.get()));
            })?;
            time::sleep(ms(1)).await;
            (0..5).for_each(|number| worker.post(number));
            drop(worker.shutdown(ms(1000)));
            let heard = worker.recv().await;
            Ok::<_, io::Error>(heard)
        });
        assert_eq!(outcome.value.unwrap(), Some(5), "seed {seed}");
    }
}

#[test]
fn the_figures_of_a_pool_are_those_of_the_simulations_own_jobs() {
    let figures = || {
        let outcome = Sim::new(1).block_on(async {
            let jobs = [(); 3].map(|()| queue_work(|| ()));
            jobs[0].cancel().unwrap();
            let waiting = Loop::current().pool().metrics();
            for job in jobs {
                drop(job.await);
            }
            (waiting, Loop::current().pool().metrics())
        });
        let (waiting, done) = outcome.value;
        assert_eq!((waiting.queued, waiting.completed), (2, 0));
        assert_eq!((done.queued, done.completed, done.cpu.completed), (0, 2, 2));
        (waiting, done)
    };
    // The pool of all loops, which has jobs of the first run and of a loop outside.
    let first = figures();
    virtual_loop().run(|| drop(queue_work(|| ())));
    assert_eq!(figures(), first);
}
