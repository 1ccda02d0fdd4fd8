//! What gives one thing after another as a `Stream`, and ports as a `Sink`.

use futures_util::future::ready;
use futures_util::{FutureExt, SinkExt, StreamExt, TryStreamExt, stream};
use windlass::fs::stream::ReadStream;
use windlass::futures::Closed;
use windlass::net::{TcpListener, TcpStream};
use windlass::worker::{BroadcastChannel, Worker, channel, channel_bounded};
use windlass::{block_on, spawn};

use crate::common::{bounded, directory, ms, virtual_loop};

#[test]
fn the_connections_of_a_listener_end_with_its_close() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address)).collect();
        let mut incoming = listener.incoming();
        let three: Vec<_> = incoming.by_ref().take(3).try_collect().await.unwrap();
        assert_eq!(three.len(), clients.len());
        listener.close();
        assert!(incoming.next().await.is_none());
        assert!(incoming.next().await.is_none());
    });
}

#[test]
fn an_interval_is_a_stream_of_ticks() {
    let event_loop = virtual_loop();
    event_loop.block_on(async {
        let began = windlass::now();
        let ticks: Vec<()> = windlass::time::interval(ms(10)).take(3).collect().await;
        assert_eq!(ticks.len(), 3);
        assert_eq!(windlass::now() - began, ms(30));
    });
}

#[test]
fn a_signal_is_a_stream() {
    block_on(async {
        let mut signal = windlass::signal::Signal::watch(libc::SIGWINCH).unwrap();
        for _ in 0..2 {
            signal_hook::low_level::raise(libc::SIGWINCH).unwrap();
            assert_eq!(signal.next().await, Some(()));
        }
        assert!(signal.next().now_or_never().is_none());
    });
}

#[test]
fn a_port_is_a_stream_until_the_other_side_is_gone_and_all_has_been_taken() {
    block_on(async {
        let (here, there) = channel::<u32, u32>();
        let (here, there) = (here.open(), there.open());
        (1..=3).for_each(|number| here.post(number));
        here.close();
        let another_name = there.clone();
        assert_eq!(another_name.collect::<Vec<_>>().await, [1, 2, 3]);
        assert_eq!(there.recv().await, None);
    });
}

#[test]
fn dropping_a_port_as_a_stream_closes_nothing_while_it_has_another_name() {
    block_on(async {
        let (here, there) = channel::<u32, u32>();
        let (here, there) = (here.open(), there.open());
        here.post(1);
        assert_eq!(there.clone().take(1).collect::<Vec<_>>().await, [1]);
        here.post(2);
        assert_eq!(there.recv().await, Some(2));
    });
}

#[test]
fn a_worker_is_a_stream_of_its_answers() {
    bounded(|| {
        block_on(async {
            let worker = Worker::<u32, u32>::spawn_async(|port| async move {
                while let Some(number) = port.recv().await {
                    port.post(number * number);
                    if number == 3 {
                        break;
                    }
                }
            })
            .unwrap();
            (1..=3).for_each(|number| worker.post(number));
            assert_eq!(worker.collect::<Vec<_>>().await, [1, 4, 9]);
        });
    });
}

#[test]
fn a_broadcast_channel_is_a_stream() {
    block_on(async {
        let mut here = BroadcastChannel::<u32>::new("tests of streams");
        let there = BroadcastChannel::<u32>::new("tests of streams");
        there.post(1);
        there.post(2);
        assert_eq!(here.next().await, Some(1));
        let own = here.clone();
        assert_eq!(here.by_ref().next().await, Some(2));
        own.close();
        assert_eq!(here.next().await, None);
    });
}

#[test]
fn a_read_stream_is_a_stream_of_chunks() {
    block_on(async {
        let chunks: Vec<Vec<u8>> = ReadStream::open("Cargo.toml").try_collect().await.unwrap();
        assert_eq!(chunks.concat(), std::fs::read("Cargo.toml").unwrap());
        let missing = ReadStream::open("no such file").collect::<Vec<_>>().await;
        assert!(missing.len() == 1 && missing[0].is_err());
    });
}

#[test]
fn a_watcher_is_a_stream_of_events_until_its_close() {
    bounded(|| {
        block_on(async {
            let directory = directory("watched_as_a_stream");
            let mut watcher = windlass::fs::watch(&directory).unwrap();
            std::fs::write(directory.join("new"), "x").unwrap();
            assert!(StreamExt::next(&mut watcher).await.unwrap().is_ok());
            watcher.close();
            assert!(StreamExt::next(&mut watcher).await.is_none());
        });
    });
}

#[test]
fn a_port_is_a_sink_and_its_close_is_heard_of_behind_all_messages() {
    block_on(async {
        let (here, there) = channel::<u32, ()>();
        let (here, there) = (here.open(), there.open());
        let numbers = stream::iter(1..=1000).map(Ok);
        let forward = spawn(numbers.forward(here.clone()));
        assert_eq!(there.collect::<Vec<_>>().await.len(), 1000);
        forward.await.unwrap().unwrap();
        assert!(here.is_closed());
        let mut here = here;
        assert_eq!(here.send(1).await, Err(Closed));
    });
}

#[test]
fn a_bounded_port_as_a_sink_waits_for_room_in_order() {
    bounded(|| {
        block_on(async {
            let (here, there) = channel_bounded::<u32, ()>(2);
            let (mut here, there) = (here.open(), there.open());
            assert!(here.send(1).now_or_never().is_some());
            assert!(here.send(2).now_or_never().is_some());
            assert!(here.send(99).now_or_never().is_none(), "it is full");
            let sender = spawn(async move {
                here.send_all(&mut stream::iter(3..=100).map(Ok)).await.unwrap();
                SinkExt::close(&mut here).await.unwrap();
            });
            assert_eq!(there.collect::<Vec<_>>().await, (1..=100).collect::<Vec<_>>());
            sender.await.unwrap();
        });
    });
}

#[test]
fn each_name_of_a_bounded_port_has_a_place_of_its_own_as_a_sink() {
    block_on(async {
        let (here, there) = channel_bounded::<u32, ()>(2);
        let (here, there) = (here.open(), there.open());
        let (mut one, mut other, mut third) = (here.clone(), here.clone(), here.clone());
        one.feed(1).await.unwrap();
        // Two have a place, one filled and one kept.
        assert_eq!(futures_util::future::poll_fn(|cx| other.poll_ready_unpin(cx)).await, Ok(()));
        assert!(third.feed(3).now_or_never().is_none());
        // A name that goes gives its place to the next.
        drop(other);
        third.feed(3).await.unwrap();
        drop((here, one, third));
        assert_eq!(there.collect::<Vec<_>>().await, [1, 3]);
    });
}

#[test]
fn streams_of_several_kinds_are_merged() {
    let event_loop = virtual_loop();
    event_loop.block_on(async {
        let (here, there) = channel::<u32, u32>();
        let (here, there) = (here.open(), there.open());
        let ticks = windlass::time::interval(ms(10)).map(|()| 0);
        windlass::set_timeout(ms(15), move || here.post(7));
        let both = stream::select(ticks, there).take_while(|number| ready(*number != 7));
        assert_eq!(both.collect::<Vec<_>>().await, [0]);
    });
}
