//! UDP: callbacks, tasks and functions that poll on one socket, in any mixture. Each datagram goes to one of
//! them, in the order in which they came.

mod common;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::UdpSocket as StdSocket;
use std::rc::Rc;

use common::*;
use windlass::net::UdpSocket;
use windlass::{Loop, block_on, on_uncaught, spawn};

/// A socket of the current loop at which datagrams of one byte wait: 0, 1 and so on.
fn with_waiting(count: u8) -> (UdpSocket, StdSocket) {
    let (socket, sender) =
        (UdpSocket::bind("127.0.0.1:0").unwrap(), StdSocket::bind("127.0.0.1:0").unwrap());
    sender.connect(socket.local_addr().unwrap()).unwrap();
    (0..count).for_each(|number| assert_eq!(sender.send(&[number]).unwrap(), 1));
    (socket, sender)
}

/// Has a callback take datagrams until it has `count` more, and then stop.
async fn take_by_callback(socket: &UdpSocket, count: usize, seen: &Rc<RefCell<Vec<u8>>>) {
    let (left, tell) = (Rc::new(Cell::new(count)), seen.clone());
    let inside = left.clone();
    socket.recv_start(move |socket, datagram| {
        tell.borrow_mut().push(datagram.unwrap().data[0]);
        inside.set(inside.get() - 1);
        if inside.get() == 0 {
            socket.recv_stop();
        }
    });
    until(|| left.get() == 0).await;
}

// UDP-12.
#[test]
fn what_a_stopped_callback_has_left_goes_to_whoever_receives_next_in_its_order() {
    bounded(|| {
        block_on(async {
            let (socket, sender) = with_waiting(8);
            let seen = Rc::new(RefCell::new(Vec::new()));
            take_by_callback(&socket, 2, &seen).await;
            sender.send(&[8]).unwrap();
            let mut byte = [0; 4];
            let (len, from) = socket.recv_from(&mut byte).await.unwrap();
            assert_eq!((len, from), (1, sender.local_addr().unwrap()));
            seen.borrow_mut().push(byte[0]);
            poll_fn(|cx| socket.poll_recv_from(cx, &mut byte)).await.unwrap();
            seen.borrow_mut().push(byte[0]);
            take_by_callback(&socket, 1, &seen).await;
            sender.send(&[9]).unwrap();
            take_by_callback(&socket, 4, &seen).await;
            socket.recv_from(&mut byte).await.unwrap();
            seen.borrow_mut().push(byte[0]);
            assert_eq!(*seen.borrow(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
            // Nothing is left, here or in the system.
            let (waker, _) = Wakes::new();
            let mut waits = std::pin::pin!(socket.recv_from(&mut byte));
            assert!(poll_once(waits.as_mut(), &waker).is_pending());
        });
    });
}

#[test]
fn what_is_left_comes_without_a_new_event_and_holds_no_loop() {
    bounded(|| {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let told = seen.clone();
        virtual_loop().block_on(async move {
            let (socket, _sender) = with_waiting(3);
            take_by_callback(&socket, 1, &told).await;
            // A loop in virtual time goes on only when nothing is ready.
            windlass::time::sleep(HOUR).await;
            take_by_callback(&socket, 2, &told).await;
        });
        assert_eq!(*seen.borrow(), [0, 1, 2]);
    });
}

#[test]
fn a_task_between_two_callbacks_takes_the_datagram_that_is_next() {
    bounded(|| {
        block_on(async {
            let (socket, _sender) = with_waiting(4);
            let seen = Rc::new(RefCell::new(Vec::new()));
            let (tell, other) = (seen.clone(), seen.clone());
            socket.recv_start(move |socket, datagram| {
                let number = datagram.unwrap().data[0];
                tell.borrow_mut().push((number, "callback"));
                if number == 1 {
                    let (socket, seen) = (socket.clone(), other.clone());
                    drop(spawn(async move {
                        let mut byte = [0];
                        socket.recv_from(&mut byte).await.unwrap();
                        seen.borrow_mut().push((byte[0], "task"));
                    }));
                }
            });
            until(|| seen.borrow().len() == 4).await;
            let in_order = [(0, "callback"), (1, "callback"), (2, "task"), (3, "callback")];
            assert_eq!(*seen.borrow(), in_order);
            socket.close();
        });
    });
}

#[test]
fn what_does_not_fit_is_marked_for_each_datagram_of_a_round() {
    bounded(|| {
        block_on(async {
            let socket = UdpSocket::builder().receive_size(4).bind("127.0.0.1:0").unwrap();
            let sender = StdSocket::bind("127.0.0.1:0").unwrap();
            sender.connect(socket.local_addr().unwrap()).unwrap();
            for text in ["abc", "", "abcd", "abcde", "x"] {
                sender.send(text.as_bytes()).unwrap();
            }
            let seen = Rc::new(RefCell::new(Vec::new()));
            let tell = seen.clone();
            socket.recv_start(move |_, datagram| {
                let datagram = datagram.unwrap();
                tell.borrow_mut().push((text(datagram.data).to_owned(), datagram.truncated));
            });
            until(|| seen.borrow().len() == 5).await;
            let expected =
                [("abc", false), ("", false), ("abcd", false), ("abcd", true), ("x", false)];
            assert!(seen.borrow().iter().map(|(text, cut)| (&**text, *cut)).eq(expected));
            socket.close();
        });
    });
}

// A socket that is connected receives from nobody else what comes from then on, as the system has it.
#[test]
fn connecting_in_the_callback_changes_nothing_about_what_has_come() {
    bounded(|| {
        block_on(async {
            let (socket, sender) = with_waiting(3);
            let peer = StdSocket::bind("127.0.0.1:0").unwrap();
            let seen = Rc::new(RefCell::new(Vec::new()));
            let (tell, to) = (seen.clone(), peer.local_addr().unwrap());
            socket.recv_start(move |socket, datagram| {
                tell.borrow_mut().push(datagram.unwrap().data[0]);
                if tell.borrow().len() == 1 {
                    socket.connect(to).unwrap();
                }
            });
            until(|| seen.borrow().len() == 3).await;
            sender.send(b"a stranger").ok();
            peer.send_to(&[9], socket.local_addr().unwrap()).unwrap();
            until(|| seen.borrow().len() == 4).await;
            assert_eq!(*seen.borrow(), [0, 1, 2, 9]);
            socket.close();
        });
    });
}

#[test]
fn a_socket_closed_or_given_back_in_the_callback_calls_back_no_more_and_the_latter_loses_nothing() {
    bounded(|| {
        block_on(async {
            let (socket, _sender) = with_waiting(5);
            let calls = Counter::new();
            let count = calls.clone();
            socket.recv_start(move |socket, _| {
                count.add();
                socket.close();
            });
            until(|| calls.get() == 1).await;
            iterations(3).await;
            assert_eq!(calls.get(), 1);
            assert!(socket.recv_from(&mut [0]).await.is_err(), "it is closed");

            let (socket, _sender) = with_waiting(5);
            let kept = Rc::new(Cell::new(None));
            let keep = kept.clone();
            socket.recv_start(move |socket, datagram| {
                assert_eq!(datagram.unwrap().data, [0]);
                keep.set(Some(socket.clone().into_std().unwrap()));
            });
            until(|| socket.is_closing()).await;
            iterations(3).await;
            let back = kept.take().unwrap();
            for expected in 1..5 {
                let mut byte = [0];
                back.recv(&mut byte).unwrap();
                assert_eq!(byte, [expected]);
            }
            back.set_nonblocking(true).unwrap();
            assert_eq!(back.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        });
    });
}

// E-03.
#[test]
fn a_panic_and_an_end_of_the_turn_leave_the_rest_for_the_next() {
    bounded(|| {
        let event_loop = Loop::new().unwrap();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (socket, _sender) = event_loop.enter(|| with_waiting(6));
        event_loop.run(|| {
            on_uncaught(|uncaught| assert_eq!(uncaught.message(), "the second"));
            let tell = seen.clone();
            socket.recv_start(move |socket, datagram| {
                let number = datagram.unwrap().data[0];
                tell.borrow_mut().push(number);
                match number {
                    1 => panic!("the second"),
                    3 => Loop::current().stop(),
                    5 => socket.close(),
                    _ => {}
                }
            });
        });
        event_loop.run(|| ());
        assert_eq!(*seen.borrow(), [0, 1, 2, 3, 4, 5]);
    });
}

#[test]
fn sockets_of_one_loop_that_receive_in_turn_never_see_each_others_datagrams() {
    bounded(|| {
        block_on(async {
            let all: Vec<_> = (0..3).map(|_| with_waiting(20)).collect();
            let seen: Vec<Rc<RefCell<Vec<u8>>>> = (0..3).map(|_| Rc::default()).collect();
            for _ in 0..10 {
                for (place, (socket, _)) in all.iter().enumerate() {
                    take_by_callback(socket, 2, &seen[place]).await;
                }
            }
            let numbers: Vec<u8> = (0..20).collect();
            assert!(seen.iter().all(|seen| *seen.borrow() == numbers));
        });
    });
}
