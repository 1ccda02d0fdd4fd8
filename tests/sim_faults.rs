//! The misfortunes of a simulation: each one happens, and is what the documentation says.

mod common;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::*;
use windlass::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use windlass::sim::{Faults, Network, Sim};
use windlass::worker::Worker;
use windlass::{CancelToken, Loop, Pool, WorkError, dns, fs, queue_work, set_timeout, time, work};

#[test]
fn a_request_fails_with_an_error_that_the_system_gives() {
    let kinds = RefCell::new(BTreeSet::new());
    for seed in 0..50 {
        let sim = Sim::new(seed).faults(Faults::default().request(0.5));
        let outcome = sim.block_on(async {
            let error = fs::read("Cargo.toml").await.err();
            error.map(|error| error.to_string())
        });
        kinds.borrow_mut().insert(outcome.value);
    }
    let codes = [libc::EIO, libc::ENOSPC, libc::EMFILE, libc::EACCES];
    let error = |code| format!("read Cargo.toml: {}", io::Error::from_raw_os_error(code));
    let mut expected: BTreeSet<_> = codes.into_iter().map(|code| Some(error(code))).collect();
    expected.insert(None);
    assert_eq!(kinds.into_inner(), expected);
}

#[test]
fn a_worker_that_cannot_start_is_an_error_of_spawn() {
    let sim = Sim::new(0).faults(Faults::default().worker_start(1.0));
    sim.run(|| {
        let error = Worker::<(), ()>::spawn(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    });
}

#[test]
fn short_reads_give_less_than_there_is_and_lose_nothing() {
    let whole = std::fs::read("Cargo.toml").unwrap();
    let mut short = 0;
    for seed in 0..20 {
        let sim = Sim::new(seed).faults(Faults::default().short_reads(0.7));
        let (read, pieces) = sim
            .block_on(async {
                let file = fs::File::open("Cargo.toml").await?;
                let (mut read, mut pieces) = (Vec::new(), 0);
                loop {
                    let piece = file.read(1 << 20).await?;
                    if piece.is_empty() {
                        return io::Result::Ok((read, pieces));
                    }
                    pieces += 1;
                    read.extend(piece);
                }
            })
            .value
            .unwrap();
        assert_eq!(read, whole);
        short += u32::from(pieces > 1);
    }
    assert!(short > 5, "{short}");
}

#[test]
fn the_wall_clock_is_virtual_and_may_jump() {
    let midnight = std::time::UNIX_EPOCH + Duration::from_secs(946_684_800);
    Sim::new(1).run(move || {
        set_timeout(Duration::from_secs(60), move || {
            assert_eq!(time::system_now(), midnight + Duration::from_secs(60));
        });
    });
    let jumps = (0..20).filter(|seed| {
        let sim = Sim::new(*seed).faults(Faults::default().clock_jump(0.5));
        sim.run(time::system_now).value != midnight
    });
    assert!((1..20).contains(&jumps.count()));
}

#[test]
fn writes_that_are_always_short_come_to_their_end() {
    for latency in [0, 1] {
        let faults = Faults::default().short_writes(1.0).would_block(1.0);
        let network = Network::default().latency(Duration::ZERO..=ms(latency));
        let sim = Sim::new(1).faults(faults).network(network).callbacks(1_000_000);
        let outcome = sim.block_on(async {
            let (one, other) = UnixStream::pair()?;
            one.write(&[1; 1000]).await?;
            one.shutdown().await?;
            let (mut total, mut buffer) = (0, [0; 100]);
            loop {
                match other.read(&mut buffer).await? {
                    0 => return io::Result::Ok(total),
                    count => total += count,
                }
            }
        });
        assert_eq!(outcome.value.unwrap(), 1000);
    }
}

#[test]
fn a_name_cannot_be_looked_up_for_each_reason_that_a_resolver_has() {
    let network = Network::default().host("db", [10, 0, 0, 1].into());
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let sim = Sim::new(seed).network(network.clone()).faults(Faults::default().request(0.7));
        let outcome = sim.block_on(async { dns::lookup("db").await });
        seen.insert(outcome.value.map(drop).map_err(|error| error.to_string()));
    }
    assert!(seen.remove(&Ok(())) && seen.len() > 1, "{seen:?}");
}

#[test]
fn an_accept_that_finds_no_descriptor_says_so_and_closes_the_connection() {
    let faults = Faults::default().accept(1.0);
    Sim::new(1).faults(faults).block_on(async {
        let listener = TcpListener::bind("10.0.0.1:80").unwrap();
        let client = TcpStream::connect("10.0.0.1:80");
        let error = listener.accept().await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        let client = client.await.unwrap();
        assert_eq!(client.read(&mut [0; 8]).await.unwrap_or(0), 0);
    });
    // With a smaller chance the next ones are taken.
    let faults = Faults::default().accept(0.3);
    let (mut taken, mut lost) = (0, 0);
    for seed in 0..20 {
        Sim::new(seed).faults(faults.clone()).block_on(async {
            let listener = TcpListener::bind("10.0.0.1:80").unwrap();
            let clients: Vec<_> = (0..5).map(|_| TcpStream::connect("10.0.0.1:80")).collect();
            while let Ok(outcome) = time::timeout(ms(500), listener.accept()).await {
                *(if outcome.is_ok() { &mut taken } else { &mut lost }) += 1;
            }
            drop(clients);
        });
    }
    assert!(taken > 20 && lost > 5, "{taken} {lost}");
}

/// Tries something that could be done at once until it is, and says how often it was told to wait.
async fn tries<T>(mut attempt: impl FnMut() -> io::Result<T>) -> u32 {
    let mut waits = 0;
    while let Err(error) = attempt() {
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        waits += 1;
        time::sleep(ms(5)).await;
    }
    waits
}

#[test]
fn a_socket_that_could_go_on_is_told_to_wait() {
    for (chance, waits) in [(0.0, 0), (1.0, 1)] {
        let faults = Faults::default().would_block(chance);
        Sim::new(1).faults(faults).block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            time::sleep(ms(5)).await;
            assert_eq!(tries(|| one.try_write(b"x")).await, waits);
            time::sleep(ms(5)).await;
            assert_eq!(tries(|| other.try_read(&mut [0; 8])).await, waits);
            let receiver = UdpSocket::bind("10.0.0.1:53").unwrap();
            let sender = UdpSocket::bind("10.0.0.2:53").unwrap();
            time::sleep(ms(5)).await;
            let to = receiver.local_addr().unwrap();
            assert_eq!(tries(|| sender.try_send_to(b"x", to)).await, waits);
            let mut buffer = [0; 8];
            assert_eq!(receiver.recv_from(&mut buffer).await.unwrap().0, 1);
        });
    }
}

#[test]
fn what_has_to_wait_goes_on_by_itself_and_loses_nothing() {
    for seed in 0..40 {
        let chance = if seed % 2 == 0 { 1.0 } else { 0.5 };
        let faults = Faults::default().would_block(chance).short_reads(0.2).short_writes(0.2);
        let sim = Sim::new(seed).faults(faults).limit(Duration::from_secs(60));
        sim.block_on(async {
            let listener = TcpListener::bind("10.0.0.1:80").unwrap();
            let client = TcpStream::connect("10.0.0.1:80");
            let server = listener.accept().await.unwrap();
            let client = client.await.unwrap();
            for number in 0..10_u8 {
                client.write(&[number; 100]).await.unwrap();
            }
            client.shutdown().await.unwrap();
            let (mut total, mut buffer) = (0, [0; 64]);
            loop {
                match server.read(&mut buffer).await.unwrap() {
                    0 => break,
                    count => total += count,
                }
            }
            assert_eq!(total, 1000, "seed {seed}");
            let receiver = UdpSocket::bind("10.0.0.1:53").unwrap();
            let sender = UdpSocket::bind("10.0.0.2:53").unwrap();
            for number in 0..10_u8 {
                sender.send_to(&[number], receiver.local_addr().unwrap()).await.unwrap();
            }
            let mut seen = BTreeSet::new();
            while seen.len() < 10 {
                receiver.recv_from(&mut buffer).await.unwrap();
                seen.insert(buffer[0]);
            }
        });
    }
}

#[test]
fn a_job_that_hangs_keeps_its_thread_from_others_until_their_deadline() {
    let minute = Duration::from_secs(60);
    let (mut late, mut in_time) = (0, 0);
    for seed in 0..50 {
        let sim = Sim::new(seed).faults(Faults::default().hang(0.3, minute));
        let outcome = sim.block_on(async {
            let pool = Pool::new(1).unwrap();
            let first = work(|_| ()).pool(&pool).submit();
            let second = work(|_| ()).pool(&pool).deadline(ms(100)).submit().await;
            first.await.unwrap();
            second
        });
        match outcome.value {
            Ok(()) => in_time += 1,
            Err(WorkError::DeadlineExceeded) => {
                assert!(outcome.elapsed >= minute);
                late += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(late > 5 && in_time > 5, "{late} late, {in_time} in time");
}

#[test]
fn a_shutdown_with_a_limit_names_the_job_that_hangs() {
    let sim = Sim::new(1).faults(Faults::default().hang(1.0, Duration::from_secs(60)));
    let named = Arc::new(AtomicBool::new(false));
    let seen = named.clone();
    let outcome = sim.run(move || {
        set_timeout(ms(5), move || {
            Loop::current().shutdown(ms(20)).on_complete(move |answer| {
                let laggards = format!("{:?}", answer.unwrap_err());
                seen.store(laggards.contains("a slow disk"), Ordering::SeqCst);
            });
        });
        drop(work(|_| ()).name("a slow disk").submit());
    });
    assert!(named.load(Ordering::SeqCst));
    assert!(outcome.elapsed < ms(100), "{:?}", outcome.elapsed);
}

// MEANINGS, Sim: a job takes its time; one that never runs takes none.
#[test]
fn a_job_that_is_refused_is_told_when_its_thread_comes_to_it() {
    let second = Duration::from_secs(1);
    let sim = Sim::new(1).faults(Faults::default().job_time(second..=second));
    let outcome = sim.block_on(async {
        let (pool, token) = (Pool::new(1).unwrap(), CancelToken::new());
        let first = work(|_| ()).pool(&pool).submit();
        let second = work(|_| ()).pool(&pool).cancel_token(&token).submit();
        token.cancel();
        let began = windlass::now();
        assert!(matches!(second.await, Err(WorkError::Cancelled)));
        let took = windlass::now() - began;
        first.await.unwrap();
        took
    });
    assert_eq!(outcome.value, second);
}

#[test]
fn a_worker_may_take_longer_to_start_than_any_program() {
    let for_ever = Duration::MAX..=Duration::MAX;
    let sim = Sim::new(1).faults(Faults::default().start_time(for_ever));
    let elapsed = bounded(move || {
        let outcome = sim.run(|| {
            drop(Worker::<(), ()>::spawn(|_port| unreachable!("it is still to start")).unwrap());
            set_timeout(Duration::from_secs(60), || windlass::exit(0));
        });
        outcome.elapsed
    });
    assert_eq!(elapsed, Duration::from_secs(60));
}

#[test]
fn a_message_may_take_longer_than_any_program() {
    let for_ever = Duration::MAX..=Duration::MAX;
    let sim = Sim::new(1).faults(Faults::default().message_time(for_ever));
    let outcome = bounded(move || {
        let outcome = sim.run(|| {
            let worker = Worker::<(), ()>::spawn(|port| port.post(())).unwrap();
            worker.on_message(|()| unreachable!("it is on its way"));
            worker.on_exit(|_| unreachable!("the message is not there"));
            set_timeout(Duration::from_secs(60), || windlass::exit(0));
        });
        outcome.elapsed
    });
    assert_eq!(outcome, Duration::from_secs(60));
}

#[test]
fn callbacks_may_take_their_time() {
    let two = ms(2);
    let sim = Sim::new(1).faults(Faults::default().callback_time(two..=two));
    let outcome = sim.run(|| {
        // The main script, the tick, the timer.
        windlass::next_tick(|| ());
        set_timeout(ms(10), || ());
    });
    assert_eq!(outcome.elapsed, ms(12));
    // A loop that is busy sees later what was sent to it meanwhile.
    let heard = Sim::new(1).faults(Faults::default().callback_time(two..=two)).block_on(async {
        let worker = Worker::<(), ()>::spawn(|port| {
            port.post(());
            port.unref();
        });
        let began = windlass::now();
        queue_work(|| ()).await.unwrap();
        worker.unwrap().recv().await;
        windlass::now() - began
    });
    assert!(heard.value >= two, "{:?}", heard.value);
}
