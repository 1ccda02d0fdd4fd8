//! Names through the pool. No network is assumed: names come from the system's own files, or are
//! refused before a server is asked.

mod common;

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use common::*;
use windlass::dns::{self, Family, LookupError, LookupErrorKind, LookupOptions, Order, Protocol};
use windlass::net::TcpStream;
use windlass::worker::Worker;
use windlass::{CancelError, Loop, LoopGone, Pool, block_on, on_uncaught, queue_work, run};

/// A callback that notes that its look-up has succeeded.
fn says(log: &Trace, line: &'static str) -> impl FnOnce(io::Result<Vec<IpAddr>>) + 'static {
    let log = log.clone();
    move |found| {
        found.unwrap();
        log.say(line);
    }
}

fn is_shut_down<T>(result: &io::Result<T>) -> bool {
    let inner = result.as_ref().err().and_then(io::Error::get_ref);
    inner.is_some_and(|inner| inner.is::<LoopGone>())
}

// D-01. Identical look-ups share one call.
#[test]
fn ten_lookups_at_once_complete_once_each_in_order_from_one_call_of_the_resolver() {
    bounded(|| {
        let order = Rc::new(std::cell::RefCell::new(Vec::new()));
        let event_loop = with_pool(2);
        let pool = event_loop.pool();
        event_loop.run(|| {
            for number in 0..10 {
                let order = order.clone();
                dns::lookup("localhost").on_complete(move |addresses| {
                    let addresses = addresses.unwrap();
                    assert!(!addresses.is_empty());
                    assert!(addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
                    order.borrow_mut().push(number);
                });
            }
            assert!(order.borrow().is_empty());
        });
        assert_eq!(*order.borrow(), (0..10).collect::<Vec<_>>());
        assert_eq!(pool.metrics().completed, 1);
    });
}

#[test]
fn a_lookup_after_the_answer_asks_again_and_so_does_one_of_another_family_or_loop() {
    bounded(|| {
        let event_loop = with_pool(2);
        let pool = event_loop.pool();
        event_loop.block_on(async {
            dns::lookup("localhost").await.unwrap();
            dns::lookup("localhost").await.unwrap();
            assert_eq!(pool.metrics().completed, 2);
            let any = dns::lookup("localhost");
            let four = dns::lookup_with("localhost", LookupOptions::new().family(Family::V4));
            any.await.unwrap();
            four.await.unwrap();
            assert_eq!(pool.metrics().completed, 4);
        });
        // Two loops on one thread and one pool.
        let other = loop_on(&pool);
        let (one, two) = (
            event_loop.enter(|| dns::lookup("localhost")),
            other.enter(|| dns::lookup("localhost")),
        );
        assert!(event_loop.block_on(one).is_ok());
        assert!(other.block_on(two).is_ok());
        assert_eq!(pool.metrics().completed, 6);
    });
}

#[test]
fn those_who_share_a_call_each_get_what_their_options_ask_for() {
    bounded(|| {
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        event_loop.block_on(async {
            let all = dns::lookup("localhost");
            let options = LookupOptions::new();
            let first = dns::lookup_with("localhost", options.all(false));
            let six_first = dns::lookup_with("localhost", options.order(Order::Ipv6First));
            let all = all.await.unwrap();
            assert_eq!(first.await.unwrap(), all[..1]);
            let mut sorted = all.clone();
            sorted.sort_by_key(IpAddr::is_ipv4);
            assert_eq!(six_first.await.unwrap(), sorted);
            assert_eq!(pool.metrics().completed, 1);
        });
    });
}

#[test]
fn a_family_is_kept_to_or_the_lookup_fails() {
    bounded(|| {
        block_on(async {
            let of = |family| dns::lookup_with("localhost", LookupOptions::new().family(family));
            // Some systems know one of the two alone.
            for (family, right) in [
                (Family::V4, IpAddr::is_ipv4 as fn(&IpAddr) -> bool),
                (Family::V6, IpAddr::is_ipv6),
            ] {
                match of(family).await {
                    Ok(addresses) => {
                        assert!(!addresses.is_empty());
                        assert!(addresses.iter().all(right), "{addresses:?}");
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
                }
            }
        });
    });
}

#[test]
fn an_address_is_its_own_answer_later_and_without_a_thread() {
    bounded(|| {
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        let log = Trace::new();
        event_loop.run(|| {
            for text in ["127.0.0.1", "::1", "192.0.2.7"] {
                let log = log.clone();
                dns::lookup(text).on_complete(move |addresses| {
                    assert_eq!(addresses.unwrap(), [text.parse::<IpAddr>().unwrap()]);
                    log.say(text);
                });
            }
            log.say("asked");
        });
        assert_eq!(log.lines(), ["asked", "127.0.0.1", "::1", "192.0.2.7"]);
        let options = LookupOptions::new().family(Family::V4);
        let error = event_loop.block_on(async { dns::lookup_with("::1", options).await });
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(LookupError::of(&error).unwrap().kind(), LookupErrorKind::NoAddress);
        assert_eq!(pool.metrics().threads, 0);
    });
}

// D-03.
#[test]
fn a_name_that_cannot_be_asked_for_is_refused_clearly_and_without_a_thread() {
    bounded(|| {
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        event_loop.block_on(async {
            let label = format!("{}.example", "a".repeat(64));
            let long = "abcdefgh.".repeat(29);
            for (name, words) in [
                ("", "a host name is needed"),
                ("with\0zero", "has no zero byte"),
                (&label, "at most 63 bytes"),
                (&long, "at most 253 bytes, not 260"),
            ] {
                let error = dns::lookup(name).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
                assert!(error.to_string().contains(words), "{error}");
                assert_eq!(LookupError::of(&error), None);
            }
            for (service, words) in [
                ("", "a service name is needed"),
                ("with\0zero", "has no zero byte"),
                ("65536", "out of range, 0 to 65535"),
            ] {
                let error = dns::lookup_port(service, Protocol::Tcp).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
                assert!(error.to_string().contains(words), "{error}");
            }
            let error = TcpStream::connect(format!("{label}:80")).await.unwrap_err();
            assert!(error.to_string().contains("at most 63 bytes"), "{error}");
        });
        assert_eq!(pool.metrics().threads, 0);
    });
}

// D-02. Without a network the resolver may say that it could not find out, or take its time.
#[test]
fn a_reserved_invalid_name_fails_with_its_kind_and_its_name() {
    bounded(|| {
        run(|| {
            windlass::spawn(async {
                let name = "no-such-host.invalid";
                let limit = Duration::from_secs(3);
                let Ok(answer) = windlass::time::timeout(limit, dns::lookup(name)).await else {
                    println!("skipped: this machine's resolver does not answer within {limit:?}");
                    windlass::exit(0);
                    return;
                };
                let error = answer.expect_err("the name is reserved and has no address");
                let inner = LookupError::of(&error).expect("the resolver's error");
                assert_eq!(inner.asked(), name);
                assert!(error.to_string().contains(name), "{error}");
                assert!(error.to_string().contains(inner.code()), "{error}");
                match inner.kind() {
                    LookupErrorKind::NoSuchHost => {
                        assert_eq!(
                            (error.kind(), inner.code()),
                            (ErrorKind::NotFound, "EAI_NONAME")
                        );
                    }
                    LookupErrorKind::Temporary => {
                        assert_eq!((error.kind(), inner.code()), (ErrorKind::Other, "EAI_AGAIN"));
                    }
                    _ => println!("the resolver says: {error}"),
                }
                windlass::exit(0);
            });
        });
    });
}

// D-04.
#[test]
fn a_queued_lookup_is_cancelled_by_itself_and_those_it_shares_with_go_on() {
    bounded(|| {
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        event_loop.block_on(async {
            let release = block_a_thread().1;
            let [one, two, three] = [(); 3].map(|()| dns::lookup("localhost"));
            // The first to ask, whose job it is, and one who joined.
            assert_eq!(one.cancel(), Ok(()));
            assert_eq!(three.cancel(), Ok(()));
            assert_eq!(three.cancel(), Err(CancelError::Done));
            assert!(is_canceled(&one.await));
            assert!(is_canceled(&three.await));
            drop(release);
            assert!(two.await.unwrap().iter().all(IpAddr::is_loopback));
        });
        assert_eq!(pool.metrics().completed, 2);
    });
}

// D-04.
#[test]
fn of_very_many_lookups_that_share_a_call_each_is_cancelled_at_once() {
    bounded(|| {
        // Where each is looked for from one end, this takes minutes.
        const LOOKUPS: u32 = 200_000;
        let event_loop = with_pool(1);
        event_loop.block_on(async {
            let release = block_a_thread().1;
            let first = dns::lookup("localhost");
            let lookups: Vec<_> = (0..LOOKUPS).map(|_| dns::lookup("localhost")).collect();
            let (odd, even): (Vec<_>, Vec<_>) =
                lookups.iter().enumerate().partition(|(number, _)| number % 2 == 1);
            for (_, lookup) in odd.into_iter().chain(even.into_iter().rev()) {
                assert_eq!(lookup.cancel(), Ok(()));
            }
            for lookup in lookups {
                assert!(is_canceled(&lookup.await));
            }
            drop(release);
            first.await.unwrap();
        });
    });
}

// D-04, E-01.
#[test]
fn random_lookups_with_random_cancels_complete_once_each_as_they_were_told() {
    bounded(|| {
        for (seed, virtual_time) in (1..=20).zip([false, true].into_iter().cycle()) {
            let pool = Pool::new(2).unwrap();
            let event_loop = Loop::builder().virtual_time(virtual_time).pool(pool).build();
            event_loop.unwrap().block_on(async {
                let mut dice = Dice(seed);
                let mut open = Vec::new();
                for _ in 0..300 {
                    let host = ["localhost", "localhost", "127.0.0.1"][dice.roll(3) as usize];
                    let family = [Family::Any, Family::V4][dice.roll(2) as usize];
                    let options = LookupOptions::new().family(family);
                    open.push((dns::lookup_with(host, options), None));
                    let index = dice.roll(open.len() as u64) as usize;
                    if dice.roll(2) == 0 {
                        let (request, answer) = &mut open[index];
                        let again = request.cancel();
                        if *answer == Some(Ok(())) {
                            assert_eq!(again, Err(CancelError::Done));
                        } else {
                            *answer = Some(again);
                        }
                    }
                    if dice.roll(8) == 0 {
                        iterations(1).await;
                    }
                }
                for (request, answer) in open {
                    let result = request.await;
                    if answer == Some(Ok(())) {
                        assert!(is_canceled(&result), "{seed}: {result:?}");
                    } else {
                        assert!(!result.unwrap().is_empty(), "{seed}: {answer:?}");
                    }
                }
                assert!(Loop::current().handles().is_empty(), "{seed}");
            });
        }
    });
}

#[test]
fn the_last_one_cancelled_takes_the_job_along_and_a_later_lookup_has_its_own() {
    bounded(|| {
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        event_loop.block_on(async {
            let release = block_a_thread().1;
            let [one, two] = [(); 2].map(|()| dns::lookup("localhost"));
            assert_eq!(one.cancel(), Ok(()));
            assert_eq!(two.cancel(), Ok(()));
            assert_eq!(two.cancel(), Err(CancelError::Done));
            let later = dns::lookup("localhost");
            assert!(is_canceled(&two.await));
            assert!(is_canceled(&one.await));
            drop(release);
            later.await.unwrap();
        });
        // The job that occupied the thread, and one look-up.
        assert_eq!(pool.metrics().completed, 2);
    });
}

// D-04.
#[test]
fn a_lookup_that_has_begun_is_busy_and_completes_normally_shared_or_not() {
    bounded(|| {
        for sharing in [1, 2] {
            let event_loop = with_pool(1);
            let pool = event_loop.pool();
            event_loop.block_on(async {
                let lookups: Vec<_> = (0..sharing).map(|_| dns::lookup("localhost")).collect();
                wait_until(|| pool.metrics().completed == 1);
                for lookup in &lookups {
                    assert_eq!(lookup.cancel(), Err(CancelError::Busy));
                }
                for lookup in lookups {
                    lookup.await.unwrap();
                }
            });
        }
    });
}

// L-03 and E-01.
#[test]
fn every_lookup_that_waits_is_reported_with_its_line_until_it_completes() {
    bounded(|| {
        let event_loop = with_pool(1);
        let first = line!() + 2;
        event_loop.enter(|| {
            dns::lookup("localhost").on_complete(|found| drop(found.unwrap()));
            dns::lookup("localhost").on_complete(|found| drop(found.unwrap()));
            TcpStream::connect("localhost:1").on_complete(drop);
        });
        let waiting = event_loop.why_alive();
        let mut lines: Vec<_> = waiting.iter().map(|alive| alive.location.line()).collect();
        lines.sort_unstable();
        assert_eq!(lines, [first, first + 1, first + 2], "{waiting:?}");
        assert!(waiting.iter().all(|alive| alive.kind == "name look-up"), "{waiting:?}");
        assert!(waiting.iter().all(|alive| alive.location.file() == file!()), "{waiting:?}");
        event_loop.run(|| ());
        assert!(event_loop.why_alive().is_empty());
        assert!(event_loop.handles().is_empty());
    });
}

// E-04.
#[test]
fn a_panic_in_one_callback_of_a_shared_call_costs_the_others_nothing() {
    bounded(|| {
        let log = Trace::new();
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        event_loop.run(|| {
            let said = log.clone();
            on_uncaught(move |uncaught| said.say(uncaught.message()));
            dns::lookup("localhost").on_complete(says(&log, "one"));
            dns::lookup("localhost").on_complete(|_| panic!("two panics"));
            dns::lookup("localhost").on_complete(says(&log, "three"));
        });
        assert_eq!(log.lines(), ["one", "two panics", "three"]);
        assert_eq!(pool.metrics().completed, 1);
    });
}

// E-03.
#[test]
fn without_a_hook_the_panic_leaves_run_and_a_further_run_completes_the_others() {
    bounded(|| {
        let log = Trace::new();
        let event_loop = with_pool(1);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            event_loop.run(|| {
                dns::lookup("localhost").on_complete(|_| panic!("one panics"));
                dns::lookup("localhost").on_complete(says(&log, "two"));
            });
        }));
        assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"one panics"));
        event_loop.run(|| ());
        assert_eq!(log.lines(), ["two"]);
    });
}

// D-06 and Z-01.
#[test]
fn a_loop_may_end_while_lookups_run_and_drops_each_callback_once() {
    bounded(|| {
        let dropped = Counter::new();
        for _ in 0..20 {
            run(|| {
                for _ in 0..3 {
                    let counts = dropped.on_drop();
                    dns::lookup("localhost").on_complete(move |_| {
                        drop(counts);
                        panic!("the loop has ended");
                    });
                }
                windlass::exit(0);
            });
        }
        assert_eq!(dropped.get(), 60);
    });
}

// E-01: the first callback of a shared call ends the loop, so no other runs.
#[test]
fn exit_in_the_first_callback_of_a_shared_call_lets_no_other_run() {
    bounded(|| {
        let event_loop = with_pool(1);
        let dropped = Counter::new();
        event_loop.run(|| {
            dns::lookup("localhost").on_complete(|_| windlass::exit(3));
            let counts = dropped.on_drop();
            dns::lookup("localhost").on_complete(move |_| {
                drop(counts);
                panic!("the loop has ended");
            });
        });
        assert_eq!(event_loop.exit_code(), 3);
        drop(event_loop);
        assert_eq!(dropped.get(), 1);
    });
}

// E-01 and Z-02.
#[test]
fn lookups_that_outlive_their_loop_resolve_as_shut_down() {
    bounded(|| {
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        let (release, lookups) = event_loop.block_on(async {
            let release = block_a_thread().1;
            (release, [(); 3].map(|()| dns::lookup("localhost")))
        });
        drop(event_loop);
        drop(release);
        for lookup in lookups {
            assert!(is_shut_down(&block_on(lookup)));
        }
        drop(pool);
    });
}

// D-06 and WK-12.
#[test]
fn a_worker_may_be_terminated_while_its_lookups_run() {
    bounded(|| {
        run(|| {
            for _ in 0..5 {
                let worker = Worker::<(), ()>::spawn(|port| {
                    for _ in 0..3 {
                        drop(dns::lookup("localhost"));
                    }
                    port.post(());
                    port.on_message(|()| ());
                })
                .unwrap();
                let ending = worker.clone();
                worker.on_message(move |()| drop(ending.terminate()));
                worker.on_exit(|code| assert_eq!(code, 1));
            }
        });
    });
}

// P-06, the second half.
#[test]
fn lookups_run_on_a_pool_of_one_thread() {
    bounded(|| {
        let event_loop = with_pool(1);
        event_loop.block_on(async {
            let lookups = [(); 5].map(|()| dns::lookup("localhost"));
            let work = queue_work(|| 7);
            assert_eq!(work.await.unwrap(), 7);
            for lookup in lookups {
                lookup.await.unwrap();
            }
        });
    });
}

#[test]
fn in_virtual_time_lookups_run_without_a_thread_and_can_be_cancelled_until_then() {
    bounded(|| {
        let pool = Pool::new(1).unwrap();
        let event_loop = Loop::builder().virtual_time(true).pool(pool.clone()).build().unwrap();
        event_loop.block_on(async {
            let [one, two] = [(); 2].map(|()| dns::lookup("localhost"));
            assert_eq!(one.cancel(), Ok(()));
            assert!(is_canceled(&one.await));
            assert!(two.await.unwrap().iter().all(IpAddr::is_loopback));
        });
        assert_eq!(pool.metrics().threads, 0);
    });
}

#[test]
fn connecting_by_name_reaches_a_listener_and_shares_the_lookup() {
    bounded(|| {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        event_loop.block_on(async {
            let name = format!("localhost:{port}");
            let [one, two] = [(); 2].map(|()| TcpStream::connect(&name));
            let (one, two) = (one.await.unwrap(), two.await.unwrap());
            assert_eq!(one.peer_addr().unwrap(), two.peer_addr().unwrap());
            one.close();
            two.close();
        });
        assert_eq!(pool.metrics().completed, 1);
    });
}

/// The words of the first line of one of the system's files that has `word` among the names it gives,
/// or nothing.
fn line_of(file: &str, word: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(file).ok()?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or(""));
    let mut words = lines.map(|line| line.split_whitespace().map(str::to_owned).collect());
    words.find(|words: &Vec<String>| words.iter().any(|found| word(found)))
}

// D-05.
#[test]
fn a_loopback_address_has_a_host_and_a_service() {
    bounded(|| {
        let Some(names) = line_of("/etc/hosts", |word| word == "127.0.0.1") else {
            println!("skipped: /etc/hosts does not know 127.0.0.1");
            return;
        };
        block_on(async {
            let at = |port| dns::lookup_service(SocketAddr::from(([127, 0, 0, 1], port)));
            let found = at(65_535).await.unwrap();
            assert!(names.contains(&found.host), "{found:?} is one of {names:?}");
            assert_eq!(found.service, "65535");
            if line_of("/etc/services", |word| word == "22/tcp").is_some() {
                assert_eq!(at(22).await.unwrap().service, "ssh");
            }
        });
    });
}

#[test]
fn a_service_has_a_port_and_an_unknown_one_is_told_apart() {
    bounded(|| {
        block_on(async {
            assert_eq!(dns::lookup_port("8080", Protocol::Udp).await.unwrap(), 8080);
            for (service, port, protocol) in
                [("https", "443/tcp", Protocol::Tcp), ("ntp", "123/udp", Protocol::Udp)]
            {
                if line_of("/etc/services", |word| word == port).is_none() {
                    println!("skipped: /etc/services does not know {port}");
                    continue;
                }
                let found = dns::lookup_port(service, protocol).await.unwrap();
                assert_eq!(port.split('/').next(), Some(&*found.to_string()));
            }
            let error = dns::lookup_port("no-such-service", Protocol::Tcp).await.unwrap_err();
            let inner = LookupError::of(&error).unwrap();
            assert_eq!(inner.kind(), LookupErrorKind::NoSuchService, "{error}");
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains("no-such-service"), "{error}");
        });
    });
}

/// The loopback interface, by the name that it has here.
fn loopback_interface() -> Option<&'static str> {
    let has = |name: &&str| std::path::Path::new("/sys/class/net").join(name).exists();
    ["lo", "lo0"].into_iter().find(has)
}

#[test]
fn a_scope_by_name_or_number_is_kept_in_answers_and_addresses() {
    let scope_of = |address: &SocketAddr| match address {
        SocketAddr::V6(address) => address.scope_id(),
        SocketAddr::V4(_) => panic!("{address}"),
    };
    bounded(move || {
        block_on(async {
            let options = LookupOptions::new();
            let found = dns::lookup_socket_addrs("fe80::1%7", 80, options).await.unwrap();
            assert_eq!(found.iter().map(scope_of).collect::<Vec<_>>(), [7]);
            assert_eq!(found[0].port(), 80);
            let plain = dns::lookup("fe80::1%7").await.unwrap();
            assert_eq!(plain, ["fe80::1".parse::<IpAddr>().unwrap()]);
            let Some(name) = loopback_interface() else { return };
            let named = format!("fe80::1%{name}");
            let found = dns::lookup_socket_addrs(&named, 80, options).await.unwrap();
            let scope = scope_of(&found[0]);
            assert!(scope > 0);
            // The same interface where an address is given, in either form.
            for text in [format!("[::1%{name}]:0"), format!("[::1%{scope}]:0")] {
                let Ok(listener) = windlass::net::TcpListener::bind(&text) else {
                    assert!(StdListener::bind("[::1]:0").is_err(), "{text} is refused");
                    return;
                };
                let port = listener.local_addr().unwrap().port();
                let client = TcpStream::connect(format!("[::1%{name}]:{port}")).await.unwrap();
                assert_eq!(client.peer_addr().unwrap().port(), port);
            }
        });
    });
}

/// A connection to a link-local address has to name its interface, or the system refuses it.
#[test]
fn connecting_to_a_link_local_address_goes_by_its_scope() {
    bounded(|| {
        let Some(name) = loopback_interface() else { return };
        block_on(async {
            // Nothing answers there. Without the scope the system would call the address invalid.
            for text in [format!("[fe80::1%{name}]:9"), "[fe80::1%1]:9".to_owned()] {
                let attempt =
                    windlass::time::timeout(Duration::from_millis(1), TcpStream::connect(text));
                if let Ok(Err(error)) = attempt.await {
                    assert_ne!(error.kind(), ErrorKind::InvalidInput, "{error}");
                }
            }
        });
    });
}
