//! Streams of bytes by `AsyncReadExt` and `AsyncWriteExt`.

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;

use futures_util::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy};
use futures_util::{StreamExt, TryStreamExt, join};
use windlass::net::{TcpListener, TcpStream, UnixStream};
use windlass::{block_on, spawn};

use crate::common::bounded;

/// A connection of each end.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    (client.await.unwrap(), listener.accept().await.unwrap())
}

#[test]
fn more_than_the_system_takes_goes_through_and_is_flushed_and_closed() {
    bounded(|| {
        block_on(async {
            let (mut here, mut there) = connection().await;
            let data: Vec<u8> = (0..3_000_000_u32).map(|index| index as u8).collect();
            let mut received = Vec::new();
            let send = async {
                here.write_all(&data).await.unwrap();
                AsyncWriteExt::flush(&mut here).await.unwrap();
                AsyncWriteExt::close(&mut here).await.unwrap();
            };
            let receive = async { there.read_to_end(&mut received).await.unwrap() };
            let ((), count) = join!(send, receive);
            assert_eq!(count, data.len());
            assert!(received == data);
        });
    });
}

#[test]
fn a_second_close_is_ok_reading_goes_on_and_a_write_after_it_is_an_error() {
    block_on(async {
        let (mut here, mut there) = connection().await;
        AsyncWriteExt::close(&mut here).await.unwrap();
        AsyncWriteExt::close(&mut here).await.unwrap();
        assert_eq!(here.write_all(b"late").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        there.write_all(b"still read").await.unwrap();
        let mut buffer = [0; 10];
        here.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"still read");
    });
}

#[test]
fn the_close_of_a_pipe_is_its_end_and_a_second_one_is_ok() {
    block_on(async {
        let (mut writer, mut reader) = windlass::pipe::pipe().unwrap();
        writer.write_all(b"all").await.unwrap();
        AsyncWriteExt::close(&mut writer).await.unwrap();
        AsyncWriteExt::close(&mut writer).await.unwrap();
        AsyncWriteExt::flush(&mut writer).await.unwrap();
        let mut text = String::new();
        assert_eq!(reader.read_to_string(&mut text).await.unwrap(), 3);
        assert_eq!(text, "all");
    });
}

#[test]
fn a_flush_waits_for_what_was_queued_by_the_streams_own_verbs() {
    bounded(|| {
        block_on(async {
            let (mut here, mut there) = connection().await;
            let request = here.write_owned(vec![7; 8_000_000]);
            assert!(here.write_queue_size() > 0);
            let mut sink = vec![0; 8_000_000];
            let flush = AsyncWriteExt::flush(&mut here);
            let (flushed, read) = join!(flush, there.read_exact(&mut sink));
            flushed.unwrap();
            read.unwrap();
            assert_eq!(here.write_queue_size(), 0);
            request.await.unwrap();
        });
    });
}

#[test]
fn a_closed_stream_refuses_all_of_it() {
    block_on(async {
        let (mut here, _there) = connection().await;
        here.close();
        let mut buffer = [0; 1];
        assert_eq!(here.read_exact(&mut buffer).await.unwrap_err().kind(), ErrorKind::NotConnected);
        assert!(AsyncWriteExt::flush(&mut here).await.is_err());
        assert!(AsyncWriteExt::close(&mut here).await.is_err());
    });
}

#[test]
fn references_read_and_write_at_the_same_time() {
    block_on(async {
        let (here, there) = connection().await;
        let (mut reader, mut writer) = (&here, &here);
        let mut word = [0; 4];
        let mut back = &there;
        let echo = copy(&there, &mut back);
        let talk = async {
            writer.write_all(b"word").await.unwrap();
            reader.read_exact(&mut word).await.unwrap();
            AsyncWriteExt::close(&mut writer).await.unwrap();
        };
        let (echoed, ()) = join!(echo, talk);
        assert_eq!(echoed.unwrap(), 4);
        assert_eq!(&word, b"word");
    });
}

#[test]
fn a_split_stream_and_lines_work_as_with_any_other_runtime() {
    block_on(async {
        let (here, there) = connection().await;
        let (_, mut writer) = here.split();
        writer.write_all(b"one\ntwo\n\nlast").await.unwrap();
        writer.close().await.unwrap();
        let lines: Vec<String> = BufReader::new(there).lines().try_collect().await.unwrap();
        assert_eq!(lines, ["one", "two", "", "last"]);
    });
}

#[test]
fn without_its_own_verbs_a_stream_has_those_of_the_trait() {
    block_on(async {
        let (here, there) = UnixStream::pair().unwrap();
        let (mut here, mut there) = (here.into_io(), there.into_io());
        // The stream's own verb would give a request.
        assert_eq!(here.write(b"plain").await.unwrap(), 5);
        here.close().await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(there.read(&mut buffer).await.unwrap(), 5);
        assert_eq!(there.into_inner().read(&mut buffer).await.unwrap(), 0);
        assert!(!here.get_ref().is_writable());
    });
}

async fn write(stream: &mut UnixStream, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut stream = Pin::new(stream);
    poll_fn(|cx| AsyncWrite::poll_write_vectored(stream.as_mut(), cx, parts)).await
}

#[test]
fn several_buffers_go_as_one_and_empty_ones_are_no_end() {
    block_on(async {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let parts = [&b""[..], b"head", b"", b"tail"].map(IoSlice::new);
        assert_eq!(write(&mut here, &parts).await.unwrap(), 8);
        assert_eq!(write(&mut here, &[]).await.unwrap(), 0);
        assert_eq!(write(&mut here, &parts[..1]).await.unwrap(), 0);
        assert_eq!(write(&mut here, &parts[..2]).await.unwrap(), 4);
        let mut buffer = [0; 12];
        there.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"headtailhead");
        here.shutdown().await.unwrap();
        assert_eq!(write(&mut here, &parts).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_vectored_write_that_finds_no_room_waits_for_it() {
    bounded(|| {
        block_on(async {
            let (here, mut there) = UnixStream::pair().unwrap();
            let block = vec![1; 65536];
            let parts = [IoSlice::new(&block), IoSlice::new(&block)];
            let mut sent = 0;
            let send = async {
                while sent < 4_000_000 {
                    sent += poll_fn(|cx| here.poll_write_vectored(cx, &parts)).await.unwrap();
                }
                here.shutdown().await.unwrap();
            };
            let mut received = Vec::new();
            let ((), read) = join!(send, there.read_to_end(&mut received));
            assert_eq!(read.unwrap(), sent);
        });
    });
}

#[test]
fn what_has_come_is_read_without_waiting() {
    block_on(async {
        let (here, there) = UnixStream::pair().unwrap();
        let mut buffer = [0; 8];
        assert_eq!(there.try_read(&mut []).unwrap(), 0);
        assert_eq!(there.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        here.write(b"word").await.unwrap();
        // Seen at once, before the poller has reported it.
        assert_eq!(there.try_read(&mut buffer).unwrap(), 4);
        here.shutdown().await.unwrap();
        assert_eq!(there.read(&mut buffer).await.unwrap(), 0);
        there.close();
        assert_eq!(there.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::NotConnected);
        assert!(there.try_read(&mut []).is_err());
    });
}

#[test]
fn what_was_peeked_at_stays_to_be_read() {
    block_on(async {
        let (here, there) = connection().await;
        let mut buffer = [0; 8];
        let peek = poll_fn(|cx| there.poll_peek(cx, &mut buffer));
        let (count, written) = join!(peek, async { here.write(b"word").await });
        written.unwrap();
        assert_eq!(count.unwrap(), 4);
        assert_eq!(there.read(&mut buffer).await.unwrap(), 4);
        here.shutdown().await.unwrap();
        assert_eq!(poll_fn(|cx| there.poll_peek(cx, &mut buffer)).await.unwrap(), 0);
        there.close();
        assert!(poll_fn(|cx| there.poll_peek(cx, &mut buffer)).await.is_err());
    });
}

#[test]
fn the_halves_of_a_stream_are_owned_apart_and_the_end_goes_with_the_half_that_writes() {
    block_on(async {
        let (here, there) = connection().await;
        let (mut reader, mut writer) = here.into_split();
        let send = spawn(async move { AsyncWriteExt::write_all(&mut writer, b"all").await });
        let mut text = String::new();
        (&there).read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "all");
        send.await.unwrap().unwrap();
        // The other direction is open.
        there.write(b"back").await.unwrap();
        let mut buffer = [0; 4];
        reader.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"back");
    });
}

#[test]
fn an_end_of_lines_is_the_end_of_the_stream() {
    block_on(async {
        let (here, there) = UnixStream::pair().unwrap();
        drop(here);
        assert!(BufReader::new(there).lines().next().await.is_none());
    });
}
