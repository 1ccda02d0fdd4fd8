//! UDP: datagrams with their senders, connected sockets, what waits to be sent, floods, groups.
//!
//! Every socket of this crate is bound from its beginning and owns its descriptor, so that UDP-02 (a
//! send binds), the last clause of UDP-03 (binding twice) and of UDP-17 (adopting twice) have no
//! subject here. What does not go at once is made by a socket of another kind: the loopback never
//! refuses a datagram, it drops it.
#![allow(unsafe_code)] // Options for which std has no words.

mod common;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket as StdSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::rc::Rc;
use std::task::Poll;

use common::*;
use windlass::net::UdpSocket;
use windlass::{Loop, RunMode, block_on, run, set_immediate, spawn};

fn loopback() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

fn has_v6() -> bool {
    StdSocket::bind("[::1]:0").is_ok()
}

/// Two sockets and the address of the second.
fn two() -> (UdpSocket, UdpSocket, SocketAddr) {
    let (one, other) = (loopback(), loopback());
    let address = other.local_addr().unwrap();
    (one, other, address)
}

/// An address of the loopback at which nobody listens for as long as the socket lives: it is
/// connected elsewhere, so that it takes nothing from anybody else.
fn refusing() -> (StdSocket, SocketAddr) {
    let socket = StdSocket::bind("127.0.0.1:0").unwrap();
    socket.connect("127.0.0.1:9").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// A connected socket of the current loop that takes a few datagrams, and then would block until the
/// other end has received some.
fn narrow() -> (UdpSocket, UnixDatagram) {
    let (one, other) = UnixDatagram::pair().unwrap();
    other.set_nonblocking(true).unwrap();
    (UdpSocket::from_std(StdSocket::from(OwnedFd::from(one))).unwrap(), other)
}

/// Sends until one datagram waits. Returns how many have gone.
fn fill(socket: &UdpSocket) -> u8 {
    for count in 0.. {
        match socket.try_send(&[count; 1000]) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return count;
            }
        }
    }
    unreachable!("it takes no end of datagrams");
}

/// What the other end can receive at this moment, by first bytes.
fn drain(other: &UnixDatagram) -> Vec<u8> {
    let mut buffer = [0; 2000];
    let mut receive =
        || other.recv(&mut buffer).ok().map(|len| if len > 0 { buffer[0] } else { 0 });
    std::iter::from_fn(&mut receive).collect()
}

// UDP-01.
#[test]
fn datagrams_come_with_their_senders_over_v4_and_v6_and_nothing_stays_queued() {
    bounded(|| {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            if address.starts_with('[') && !has_v6() {
                continue;
            }
            block_on(async move {
                let server = UdpSocket::bind(address).unwrap();
                let client = UdpSocket::bind(address).unwrap();
                server.recv_start(|server, datagram| {
                    let datagram = datagram.unwrap();
                    assert!(!datagram.truncated);
                    drop(server.send_to(datagram.data, datagram.from));
                });
                client.send_to(b"ping", server.local_addr().unwrap()).await.unwrap();
                let mut buffer = [0; 16];
                let (len, from) = client.recv_from(&mut buffer).await.unwrap();
                assert_eq!((&buffer[..len], from), (&b"ping"[..], server.local_addr().unwrap()));
                for socket in [&server, &client] {
                    assert_eq!((socket.send_queue_size(), socket.send_queue_count()), (0, 0));
                }
            });
        }
    });
}

// UDP-03.
#[test]
fn a_used_port_is_in_use_unless_both_sockets_reuse_the_address() {
    run(|| {
        let plain = loopback();
        let address = plain.local_addr().unwrap();
        assert_eq!(UdpSocket::bind(address).unwrap_err().kind(), ErrorKind::AddrInUse);
        let reusing = UdpSocket::builder().reuse_address(true);
        assert_eq!(reusing.clone().bind(address).unwrap_err().kind(), ErrorKind::AddrInUse);
        let first = reusing.clone().bind("127.0.0.1:0").unwrap();
        let second = reusing.bind(first.local_addr().unwrap()).unwrap();
        assert_eq!(first.local_addr().unwrap(), second.local_addr().unwrap());
        let sharing = UdpSocket::builder().reuse_port(true);
        let first = sharing.clone().bind("127.0.0.1:0").unwrap();
        sharing.bind(first.local_addr().unwrap()).unwrap();
    });
}

#[test]
fn binding_and_connecting_take_addresses_and_no_names() {
    run(|| {
        for text in ["localhost:80", "127.0.0.1", "nonsense"] {
            assert_eq!(UdpSocket::bind(text).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(loopback().connect(text).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    });
}

// UDP-04.
#[test]
fn sends_complete_later_and_in_their_order_one_by_one() {
    check(
        |trace| {
            let (one, _other, to) = two();
            for name in ["first", "second", "third"] {
                let mut says = trace.says(name);
                one.send_to(name.as_bytes(), to).on_complete(move |sent| {
                    sent.unwrap();
                    says();
                });
            }
            trace.say("sent");
        },
        &["sent", "first", "second", "third"],
    );
}

// UDP-04.
#[test]
fn what_waits_goes_and_completes_in_the_order_of_the_calls_also_with_one_from_a_completion() {
    bounded(|| {
        let done = Rc::new(RefCell::new(Vec::new()));
        let got = Rc::new(RefCell::new(Vec::new()));
        run(|| {
            let (socket, other) = narrow();
            let gone = fill(&socket);
            for name in 200..210_u8 {
                let (done, again) = (done.clone(), socket.clone());
                socket.send(&[name; 100]).on_complete(move |sent| {
                    sent.unwrap();
                    done.borrow_mut().push(name);
                    if name == 204 {
                        let done = done.clone();
                        let tell = move |_| done.borrow_mut().push(250);
                        again.send(&[250; 100]).on_complete(tell);
                    }
                });
            }
            assert_eq!((socket.send_queue_count(), socket.send_queue_size()), (10, 1000));
            let would_block = socket.try_send(b"overtakes").unwrap_err();
            assert_eq!(would_block.kind(), ErrorKind::WouldBlock);
            let got = got.clone();
            set_immediate(move || {
                let first = drain(&other);
                assert_eq!(first, (0..gone).collect::<Vec<_>>());
                spawn(async move {
                    while socket.send_queue_count() > 0 {
                        windlass::yield_now().await;
                    }
                    *got.borrow_mut() = drain(&other);
                });
            });
        });
        let expected: Vec<u8> = (200..210).chain([250]).collect();
        assert_eq!(*done.borrow(), expected);
        assert_eq!(*got.borrow(), expected);
    });
}

// UDP-05.
#[test]
fn closing_completes_each_waiting_send_as_cancelled_before_the_close_is_told() {
    check(
        |trace| {
            let (socket, other) = narrow();
            fill(&socket);
            for name in ["first", "second"] {
                let mut says = trace.says(name);
                socket.send(&[0; 1000]).on_complete(move |sent| {
                    assert!(is_canceled(&sent));
                    says();
                });
            }
            let mut says = trace.says("closed");
            socket.on_close(move || {
                says();
                drop(other);
            });
            socket.close();
            assert_eq!((socket.send_queue_size(), socket.send_queue_count()), (0, 0));
            trace.say("asked");
        },
        &["asked", "first", "second", "closed"],
    );
}

// UDP-05.
#[test]
fn of_two_thousand_five_hundred_sockets_closed_together_every_send_and_close_completes() {
    bounded(|| {
        let sent = Rc::new(Cell::new(0));
        let closed = Rc::new(Cell::new(0));
        let open = Rc::new(RefCell::new(Vec::new()));
        // In batches: not every system lets a process have so many descriptors.
        for _ in 0..5 {
            run(|| {
                for _ in 0..500 {
                    let socket = loopback();
                    let sent = sent.clone();
                    let to = socket.local_addr().unwrap();
                    socket.send_to(b"x", to).on_complete(move |_| sent.set(sent.get() + 1));
                    let closed = closed.clone();
                    socket.on_close(move || closed.set(closed.get() + 1));
                    socket.recv_start(|_, _| ());
                    open.borrow_mut().push(socket);
                }
                let open = open.take();
                set_immediate(move || open.iter().for_each(UdpSocket::close));
            });
        }
        assert_eq!((sent.get(), closed.get()), (2500, 2500));
    });
}

// UDP-06.
#[test]
fn a_datagram_of_more_than_65507_bytes_is_too_long_and_one_of_as_many_arrives() {
    bounded(|| {
        block_on(async {
            let (one, other, to) = two();
            let data = vec![7; 65_508];
            assert_eq!(
                one.try_send_to(&data, to).unwrap_err().raw_os_error(),
                Some(libc::EMSGSIZE)
            );
            let error = one.send_to(&data, to).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
            one.send_to(&data[1..], to).await.unwrap();
            let got = Rc::new(Cell::new(0));
            let seen = got.clone();
            other.recv_start(move |other, datagram| {
                let datagram = datagram.unwrap();
                assert!(!datagram.truncated && datagram.data.iter().all(|byte| *byte == 7));
                seen.set(datagram.data.len());
                other.close();
            });
            until(|| got.get() > 0).await;
            assert_eq!(got.get(), 65_507);
        });
    });
}

// UDP-07.
#[test]
fn an_empty_datagram_is_a_message_of_length_zero_with_its_sender() {
    bounded(|| {
        block_on(async {
            let (one, other, to) = two();
            one.send_to(b"", to).await.unwrap();
            one.send_to(b"", to).await.unwrap();
            one.send_to(b"x", to).await.unwrap();
            let mut buffer = [0; 4];
            let from = one.local_addr().unwrap();
            assert_eq!(other.recv_from(&mut buffer).await.unwrap(), (0, from));
            let seen = Rc::new(RefCell::new(Vec::new()));
            let lens = seen.clone();
            other.recv_start(move |_, datagram| {
                let datagram = datagram.unwrap();
                lens.borrow_mut().push((datagram.data.len(), datagram.from));
            });
            until(|| seen.borrow().len() == 2).await;
            assert_eq!(*seen.borrow(), [(0, from), (1, from)]);
            other.close();
        });
    });
}

// UDP-08.
#[test]
fn what_does_not_fit_is_gone_and_the_callback_is_told() {
    bounded(|| {
        block_on(async {
            let from = loopback();
            let to = UdpSocket::builder().receive_size(4).bind("127.0.0.1:0").unwrap();
            for data in [&b"0123456789"[..], b"abcd", b"efgh!", b"last"] {
                from.send_to(data, to.local_addr().unwrap()).await.unwrap();
            }
            let mut buffer = [0; 4];
            assert_eq!(to.recv_from(&mut buffer).await.unwrap().0, 4);
            assert_eq!(&buffer, b"0123");
            let seen = Rc::new(RefCell::new(Vec::new()));
            let datagrams = seen.clone();
            to.recv_start(move |_, datagram| {
                let datagram = datagram.unwrap();
                datagrams.borrow_mut().push((datagram.data.to_vec(), datagram.truncated));
            });
            until(|| seen.borrow().len() == 3).await;
            let expected = [(b"abcd", false), (b"efgh", true), (b"last", false)];
            assert!(
                seen.borrow()
                    .iter()
                    .map(|(d, t)| (&d[..], *t))
                    .eq(expected.map(|(d, t)| (&d[..], t)))
            );
            to.close();
        });
    });
}

// UDP-09.
#[test]
fn a_connected_socket_sends_without_an_address_only_and_an_unconnected_one_with_one_only() {
    bounded(|| {
        block_on(async {
            let (one, other, to) = two();
            let code = |outcome: std::io::Result<()>| outcome.unwrap_err().raw_os_error().unwrap();
            let port = one.local_addr().unwrap();
            assert_eq!(code(one.try_send(b"x")), libc::EDESTADDRREQ);
            assert_eq!(code(one.send(b"x").await), libc::EDESTADDRREQ);
            assert_eq!(code(one.disconnect()), libc::ENOTCONN);
            one.connect(to).unwrap();
            assert_eq!(one.peer_addr().unwrap(), to);
            assert_eq!(code(one.connect(to)), libc::EISCONN);
            assert_eq!(code(one.try_send_to(b"x", to)), libc::EISCONN);
            assert_eq!(code(one.send_to(b"x", to).await), libc::EISCONN);
            one.send(b"one").await.unwrap();
            one.try_send(b"two").unwrap();
            poll_fn(|cx| one.poll_send(cx, b"three")).await.unwrap();
            let mut buffer = [0; 8];
            for expected in [3, 3, 5] {
                assert_eq!(other.recv_from(&mut buffer).await.unwrap(), (expected, port));
            }
            one.disconnect().unwrap();
            assert_eq!(code(one.disconnect()), libc::ENOTCONN);
            assert_eq!(code(one.send(b"x").await), libc::EDESTADDRREQ);
            assert_eq!(one.local_addr().unwrap(), port, "it keeps its port");
            one.send_to(b"four", to).await.unwrap();
            assert_eq!(other.recv_from(&mut buffer).await.unwrap(), (4, port));
            other.send_to(b"back", port).await.unwrap();
            assert_eq!(one.recv_from(&mut buffer).await.unwrap(), (4, to));
        });
    });
}

// UDP-09.
#[test]
fn a_connected_socket_hears_its_peer_only() {
    bounded(|| {
        block_on(async {
            let (one, other, to) = two();
            one.connect(to).unwrap();
            let stranger = loopback();
            stranger.send_to(b"stranger", one.local_addr().unwrap()).await.unwrap();
            other.send_to(b"peer", one.local_addr().unwrap()).await.unwrap();
            assert_eq!(one.recv_from(&mut [0; 16]).await.unwrap(), (4, to));
        });
    });
}

// UDP-10.
#[test]
fn a_refused_notice_is_told_once_and_receiving_goes_on() {
    bounded(|| {
        block_on(async {
            let (nobody, address) = refusing();
            let socket = loopback();
            socket.connect(address).unwrap();
            let seen = Rc::new(RefCell::new(Vec::new()));
            let tell = seen.clone();
            socket.recv_start(move |_, datagram| {
                tell.borrow_mut().push(datagram.map(|d| d.data.len()).map_err(|e| e.kind()));
            });
            socket.send(b"anybody?").await.unwrap();
            until(|| !seen.borrow().is_empty()).await;
            iterations(5).await;
            assert_eq!(*seen.borrow(), [Err(ErrorKind::ConnectionRefused)]);
            nobody.connect(socket.local_addr().unwrap()).unwrap();
            nobody.send(b"me").unwrap();
            until(|| seen.borrow().len() == 2).await;
            assert_eq!(seen.borrow()[1], Ok(2));
            socket.close();
        });
    });
}

// UDP-10.
#[test]
fn a_refused_notice_fails_one_future_and_the_next_one_receives() {
    bounded(|| {
        block_on(async {
            let (nobody, address) = refusing();
            let socket = loopback();
            socket.connect(address).unwrap();
            socket.send(b"anybody?").await.unwrap();
            let error = socket.recv_from(&mut [0; 8]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            nobody.connect(socket.local_addr().unwrap()).unwrap();
            nobody.send(b"me").unwrap();
            assert_eq!(socket.recv_from(&mut [0; 8]).await.unwrap(), (2, address));
        });
    });
}

// UDP-11.
#[cfg(target_os = "linux")]
#[test]
fn an_unconnected_socket_hears_of_nothing_unless_it_has_extended_errors_and_those_never_spin() {
    let extended = |socket: &UdpSocket| {
        let on: libc::c_int = 1;
        // SAFETY: the option's value is a live number of the size that is given.
        let result = unsafe {
            let value = (&raw const on).cast();
            let len = size_of_val(&on) as libc::socklen_t;
            libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, libc::IP_RECVERR, value, len)
        };
        assert_eq!(result, 0);
    };
    bounded(move || {
        block_on(async {
            let (_nobody, address) = refusing();
            let (plain, with) = (loopback(), loopback());
            extended(&with);
            let seen = Rc::new(RefCell::new(Vec::new()));
            for (name, socket) in [("plain", &plain), ("with", &with)] {
                let seen = seen.clone();
                socket.recv_start(move |_, datagram| {
                    seen.borrow_mut()
                        .push((name, datagram.map(|d| d.data.len()).map_err(|e| e.kind())));
                });
                socket.send_to(b"anybody?", address).await.unwrap();
            }
            until(|| !seen.borrow().is_empty()).await;
            let source = loopback();
            for socket in [&plain, &with] {
                source.send_to(b"me", socket.local_addr().unwrap()).await.unwrap();
            }
            until(|| seen.borrow().len() == 3).await;
            seen.borrow_mut().sort();
            let refused = Err(ErrorKind::ConnectionRefused);
            assert_eq!(*seen.borrow(), [("plain", Ok(2)), ("with", Ok(2)), ("with", refused)]);

            // Also when nobody receives: the clock of this loop would stand still if it span.
            with.recv_stop();
            with.send_to(b"anybody?", address).await.unwrap();
        });
        virtual_loop().block_on(async {
            let (_nobody, address) = refusing();
            let idle = loopback();
            extended(&idle);
            idle.send_to(b"anybody?", address).await.unwrap();
            windlass::time::sleep(HOUR).await;
        });
    });
}

// UDP-12.
#[test]
fn stopping_or_closing_inside_the_callback_stops_at_once_and_stopping_loses_nothing() {
    bounded(|| {
        block_on(async {
            for close in [false, true] {
                let (one, other, to) = two();
                for number in 0..5_u8 {
                    one.send_to(&[number], to).await.unwrap();
                }
                let seen = Rc::new(RefCell::new(Vec::new()));
                let tell = seen.clone();
                other.recv_start(move |other, datagram| {
                    tell.borrow_mut().push(datagram.unwrap().data[0]);
                    if tell.borrow().len() == 2 {
                        if close { other.close() } else { other.recv_stop() }
                    }
                });
                until(|| seen.borrow().len() == 2).await;
                iterations(5).await;
                assert_eq!(*seen.borrow(), [0, 1]);
                if !close {
                    let tell = seen.clone();
                    other.recv_start(move |_, d| tell.borrow_mut().push(d.unwrap().data[0]));
                    until(|| seen.borrow().len() == 5).await;
                    assert_eq!(*seen.borrow(), [0, 1, 2, 3, 4]);
                    other.close();
                }
            }
        });
    });
}

// UDP-13.
#[test]
fn a_flood_is_received_in_bounded_rounds_and_goes_on_without_a_new_event() {
    bounded(|| {
        let rounds = Rc::new(RefCell::new(vec![0_usize]));
        run(|| {
            let (one, other, to) = two();
            for _ in 0..100 {
                one.try_send_to(b"x", to).unwrap();
            }
            let counts = rounds.clone();
            windlass::handle::Check::start(move || counts.borrow_mut().push(0)).unref();
            let counts = rounds.clone();
            other.recv_start(move |other, datagram| {
                datagram.unwrap();
                *counts.borrow_mut().last_mut().unwrap() += 1;
                if counts.borrow().iter().sum::<usize>() == 100 {
                    other.close();
                }
            });
        });
        let rounds: Vec<usize> =
            rounds.borrow().iter().copied().filter(|count| *count > 0).collect();
        assert_eq!(rounds, [32, 32, 32, 4]);
    });
}

// UDP-13.
#[test]
fn a_task_that_always_finds_a_datagram_lets_the_loop_go_on() {
    bounded(|| {
        block_on(async {
            let (one, other, to) = two();
            for _ in 0..100 {
                one.try_send_to(b"x", to).unwrap();
            }
            let went_on = Rc::new(Cell::new(0));
            let count = went_on.clone();
            windlass::handle::Check::start(move || count.set(count.get() + 1)).unref();
            for _ in 0..100 {
                other.recv_from(&mut [0; 4]).await.unwrap();
            }
            assert!(went_on.get() >= 3, "{}", went_on.get());
        });
    });
}

// UDP-14.
#[test]
fn a_v6_socket_at_any_address_sees_v4_senders_as_mapped_and_with_v6_only_not_at_all() {
    if !has_v6() {
        return;
    }
    bounded(|| {
        block_on(async {
            let dual = UdpSocket::builder().only_v6(false).bind("[::]:0").unwrap();
            let sender = loopback();
            let to = |socket: &UdpSocket| {
                SocketAddr::from((Ipv4Addr::LOCALHOST, socket.local_addr().unwrap().port()))
            };
            sender.send_to(b"hi", to(&dual)).await.unwrap();
            let (_, from) = dual.recv_from(&mut [0; 8]).await.unwrap();
            let SocketAddr::V6(from) = from else { panic!("{from}") };
            assert_eq!(from.ip().to_ipv4_mapped(), Some(Ipv4Addr::LOCALHOST));

            let only = UdpSocket::builder().only_v6(true).bind("[::]:0").unwrap();
            // A refusal tells that it did not get there.
            sender.connect(to(&only)).unwrap();
            sender.send(b"hi").await.unwrap();
            let error = sender.recv_from(&mut [0; 8]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        });
    });
}

// UDP-15.
#[test]
fn options_take_what_they_can_hold_and_toggles_can_be_repeated() {
    run(|| {
        let socket = loopback();
        for ttl in [1, 64, 255] {
            socket.set_ttl(ttl).unwrap();
            let seen = socket_option(socket.as_raw_fd(), libc::IPPROTO_IP, libc::IP_TTL);
            assert_eq!(seen, ttl as i32);
        }
        for ttl in [0, 255] {
            socket.set_multicast_ttl_v4(ttl).unwrap();
        }
        for ttl in [0, 256, u32::MAX] {
            assert_eq!(socket.set_ttl(ttl).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        for ttl in [256, u32::MAX] {
            let error = socket.set_multicast_ttl_v4(ttl).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        for on in [true, true, false, false] {
            socket.set_broadcast(on).unwrap();
            socket.set_multicast_loop_v4(on).unwrap();
            let seen = socket_option(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_BROADCAST);
            assert_eq!(seen, i32::from(on));
        }
        let group = Ipv4Addr::new(239, 1, 2, 3);
        let missing = Ipv4Addr::new(192, 0, 2, 77);
        assert!(socket.join_multicast_v4(group, missing).is_err());
        assert!(socket.set_multicast_interface_v4(missing).is_err());
        if has_v6() {
            let six = UdpSocket::bind("[::1]:0").unwrap();
            six.set_ttl(7).unwrap();
            let seen = socket_option(six.as_raw_fd(), libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS);
            assert_eq!(seen, 7);
            six.set_multicast_ttl_v6(0).unwrap();
            assert!(six.join_multicast_v6(&"ff02::1:2:3".parse().unwrap(), 9_999).is_err());
        }
    });
}

#[test]
fn a_member_of_a_group_gets_what_is_sent_to_it_until_it_leaves() {
    bounded(|| {
        block_on(async {
            let group = Ipv4Addr::new(239, 255, 77, 5);
            let (here, any) = (Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED);
            let member = UdpSocket::builder().reuse_address(true).bind((any.into(), 0)).unwrap();
            member.join_multicast_v4(group, here).unwrap();
            let sender = loopback();
            sender.set_multicast_interface_v4(here).unwrap();
            let port = member.local_addr().unwrap().port();
            sender.send_to(b"all", (group, port).into()).await.unwrap();
            let from = sender.local_addr().unwrap();
            assert_eq!(member.recv_from(&mut [0; 8]).await.unwrap(), (3, from));
            member.leave_multicast_v4(group, here).unwrap();
            assert!(member.leave_multicast_v4(group, here).is_err());
            sender.send_to(b"nobody", (group, port).into()).await.unwrap();
            sender.send_to(b"you", (here, port).into()).await.unwrap();
            assert_eq!(member.recv_from(&mut [0; 8]).await.unwrap(), (3, from));
        });
    });
}

// UDP-15.
#[test]
fn a_broadcast_is_refused_unless_it_was_allowed() {
    bounded(|| {
        block_on(async {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            let all = SocketAddr::from((Ipv4Addr::new(127, 255, 255, 255), 9));
            let error = socket.send_to(b"all", all).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            socket.set_broadcast(true).unwrap();
            socket.send_to(b"all", all).await.unwrap();
        });
    });
}

// UDP-16.
#[test]
fn a_datagram_that_fails_among_others_fails_alone_and_a_thousand_that_do_hang_nothing() {
    bounded(|| {
        let outcomes = Rc::new(RefCell::new(Vec::new()));
        run(|| {
            let (one, other, to) = two();
            // Of another family than the socket: no system sends that.
            let wrong: SocketAddr = "[2001:db8::1]:9".parse().unwrap();
            for number in 0..1000 {
                let to = if number % 2 == 0 { to } else { wrong };
                let outcomes = outcomes.clone();
                one.send_to(b"x", to).on_complete(move |sent| {
                    outcomes.borrow_mut().push((number, sent.is_ok()));
                });
            }
            other.close();
        });
        let mut outcomes = outcomes.take();
        outcomes.sort();
        assert!(outcomes.into_iter().eq((0..1000).map(|number| (number, number % 2 == 0))));
    });
}

// UDP-16.
#[test]
fn a_refused_datagram_that_waits_fails_alone() {
    bounded(|| {
        block_on(async {
            let (socket, other) = narrow();
            fill(&socket);
            let too_long = vec![1; 1 << 20];
            let first = socket.send(&[1; 10]);
            let second = socket.send(&too_long);
            let third = socket.send(&[3; 10]);
            assert_eq!(socket.send_queue_count(), 3);
            drain(&other);
            first.await.unwrap();
            assert_eq!(second.await.unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
            third.await.unwrap();
            assert_eq!(drain(&other), [1, 3]);
        });
    });
}

// UDP-17.
#[test]
fn bound_and_connected_sockets_of_std_are_taken_in_and_given_back() {
    bounded(|| {
        block_on(async {
            let peer = StdSocket::bind("127.0.0.1:0").unwrap();
            let connected = StdSocket::bind("127.0.0.1:0").unwrap();
            connected.connect(peer.local_addr().unwrap()).unwrap();
            let connected = UdpSocket::from_std(connected).unwrap();
            connected.send(b"hello").await.unwrap();
            let mut buffer = [0; 8];
            let from = connected.local_addr().unwrap();
            assert_eq!(peer.recv_from(&mut buffer).unwrap(), (5, from));
            let to = peer.local_addr().unwrap();
            let refused = connected.send_to(b"x", to).await.unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EISCONN));

            let bound = UdpSocket::from_std(StdSocket::bind("127.0.0.1:0").unwrap()).unwrap();
            bound.send_to(b"hello", to).await.unwrap();
            let clone = bound.clone();
            clone.recv_start(|_, _| unreachable!("dropped uncalled"));
            let address = bound.local_addr().unwrap();
            let back = bound.into_std().unwrap();
            assert!(clone.is_closing() && clone.local_addr().is_err());
            assert_eq!(back.local_addr().unwrap(), address);
            assert_eq!(peer.recv_from(&mut buffer).unwrap(), (5, address));
            peer.send_to(b"blocking", address).unwrap();
            assert_eq!(back.recv(&mut buffer).unwrap(), 8);
        });
    });
}

#[test]
fn a_socket_whose_datagrams_wait_is_not_given_back() {
    bounded(|| {
        run(|| {
            let (socket, _other) = narrow();
            fill(&socket);
            let waits = socket.send(b"waits");
            let error = socket.clone().into_std().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ResourceBusy);
            waits.cancel().unwrap();
            waits.on_complete(|sent| assert!(is_canceled(&sent)));
            socket.into_std().unwrap();
        });
    });
}

#[test]
fn a_datagram_that_waits_can_be_cancelled_and_those_behind_it_go() {
    bounded(|| {
        block_on(async {
            let (socket, other) = narrow();
            fill(&socket);
            let [one, two, three] = [1, 2, 3].map(|number| socket.send(&[number; 10]));
            two.cancel().unwrap();
            assert_eq!(socket.send_queue_count(), 2);
            assert!(is_canceled(&two.await));
            drain(&other);
            one.await.unwrap();
            three.await.unwrap();
            assert_eq!(drain(&other), [1, 3]);
        });
    });
}

#[test]
fn receiving_and_waiting_sends_hold_the_loop_and_a_quiet_socket_does_not() {
    let event_loop = Loop::new().unwrap();
    event_loop.run(|| {
        let socket = loopback();
        assert!(!Loop::current().is_alive());
        socket.recv_start(|_, _| ());
        assert!(Loop::current().is_alive() && socket.has_ref());
        assert!(Loop::current().why_alive().iter().any(|alive| alive.kind == "UDP socket"));
        socket.unref();
        assert!(!Loop::current().is_alive() && !socket.has_ref());
        socket.set_ref(true);
        socket.recv_stop();
        assert!(!Loop::current().is_alive());
    });
    event_loop.run(|| {
        let (socket, other) = narrow();
        fill(&socket);
        drop(socket.send(b"waits"));
        assert!(Loop::current().is_alive());
        set_immediate(move || {
            drain(&other);
            // Nobody has a name of it any more: it closes behind what waits.
            drop(socket);
            spawn(async move {
                let mut got = Vec::new();
                while got.is_empty() {
                    got = drain(&other);
                    windlass::yield_now().await;
                }
                assert_eq!(got, b"w");
            });
        });
    });
    assert!(!event_loop.is_alive());
}

#[test]
fn a_datagram_that_waits_goes_before_a_loop_ends_in_order_and_one_that_only_receives_holds_nothing()
{
    bounded(|| {
        let log = Trace::new();
        let mut kept = None;
        run(|| {
            let (socket, other) = narrow();
            let other = Rc::new(other);
            fill(&socket);
            let said = log.clone();
            socket.recv_start(|_, _| unreachable!("nothing comes"));
            socket.send(b"waits").on_complete(move |sent| said.say(sent.is_ok()));
            let said = log.clone();
            Loop::current().shutdown(HOUR).on_complete(move |ended| said.say(ended.is_ok()));
            kept = Some(other.clone());
            after_iterations(3, move || drop(drain(&other)));
        });
        log.expect(&["true", "true"]);
        assert_eq!(drain(&kept.unwrap()), b"w");
    });
}

#[test]
fn a_task_waits_until_it_can_send_behind_what_waits() {
    bounded(|| {
        block_on(async {
            let (socket, other) = narrow();
            fill(&socket);
            let waits = socket.send(&[1; 10]);
            let first =
                poll_fn(|cx| Poll::Ready(socket.poll_send(cx, &[2; 10]).is_pending())).await;
            assert!(first);
            drain(&other);
            poll_fn(|cx| socket.poll_send(cx, &[2; 10])).await.unwrap();
            waits.await.unwrap();
            assert_eq!(drain(&other), [1, 2]);
        });
    });
}

#[test]
fn tasks_that_wait_learn_that_the_socket_is_closed_and_a_dropped_wait_loses_nothing() {
    bounded(|| {
        block_on(async {
            let (one, other, to) = two();
            let waits = other.clone();
            let task = spawn(async move { waits.recv_from(&mut [0; 8]).await });
            windlass::yield_now().await;
            task.abort();
            windlass::yield_now().await;
            one.send_to(b"kept", to).await.unwrap();
            assert_eq!(other.recv_from(&mut [0; 8]).await.unwrap().0, 4);
            let waits = other.clone();
            let task = spawn(async move { waits.recv_from(&mut [0; 8]).await });
            windlass::yield_now().await;
            other.close();
            let error = task.await.unwrap().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF));
            let error = other.send_to(b"x", to).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF));
            other.recv_start(|_, _| unreachable!("it is closed"));
        });
    });
}

#[test]
fn a_panic_in_a_receive_callback_leaves_the_rest_for_the_next_round() {
    bounded(|| {
        let event_loop = Loop::new().unwrap();
        let seen = Rc::new(Cell::new(0));
        event_loop.run(|| {
            let (one, other, to) = two();
            for _ in 0..3 {
                one.try_send_to(b"x", to).unwrap();
            }
            let seen = seen.clone();
            windlass::on_uncaught(|uncaught| assert_eq!(uncaught.message(), "the first"));
            other.recv_start(move |other, _| {
                seen.set(seen.get() + 1);
                match seen.get() {
                    1 => panic!("the first"),
                    3 => other.close(),
                    _ => {}
                }
            });
        });
        assert_eq!(seen.get(), 3);
    });
}

#[test]
fn the_end_of_a_loop_drops_callbacks_uncalled_and_sockets_that_outlive_it_do_nothing() {
    let token = Rc::new(());
    let event_loop = Loop::new().unwrap();
    let socket = event_loop.enter(|| {
        let socket = loopback();
        let (on_datagram, on_close) = (token.clone(), token.clone());
        socket.recv_start(move |_, _| drop(on_datagram.clone()));
        socket.on_close(move || drop(on_close));
        socket
    });
    event_loop.turn(RunMode::NoWait);
    assert_eq!(Rc::strong_count(&token), 3);
    drop(event_loop);
    assert_eq!(Rc::strong_count(&token), 1);
    assert!(socket.local_addr().is_err() && socket.try_send(b"x").is_err());
    socket.close();
}

#[test]
fn two_thousand_sockets_made_and_dropped_leave_no_descriptor() {
    let before = std::fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or(0);
    run(|| {
        for round in 0..2000 {
            let socket = loopback();
            if round % 2 == 0 {
                socket.recv_start(|_, _| ());
                socket.close();
            }
        }
    });
    let after = std::fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or(0);
    // Other tests of this file run beside this one, and have a few of their own.
    assert!(after < before + 1000, "{before} before, {after} after");
}
