//! Lines of a stream, within a limit.

mod common;

use std::io::{ErrorKind, Write};
use std::time::Duration;

use common::{bounded, connected, reset_on_drop};
use windlass::block_on;
use windlass::net::UnixStream;
use windlass::stream::Lines;
use windlass::time::timeout;

fn pair(limit: usize) -> (Lines<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Lines::new(ours, limit), theirs)
}

#[test]
fn lines_come_one_by_one_however_they_were_cut_up() {
    block_on(async {
        let (mut lines, theirs) = pair(100);
        let sender = windlass::spawn(async move {
            for piece in ["on", "e\r", "\n\nth", "ree\r\r\nfour"] {
                theirs.write(piece.as_bytes()).await.unwrap();
                windlass::yield_now().await;
            }
        });
        for expected in ["one", "", "three\r", "four"] {
            assert_eq!(lines.next().await.unwrap().as_deref(), Some(expected));
        }
        sender.await.unwrap();
        assert_eq!(lines.next().await.unwrap(), None);
        assert_eq!(lines.next().await.unwrap(), None);
    });
}

#[test]
fn many_lines_in_one_read_and_one_line_in_many_reads_are_whole() {
    block_on(async {
        let (mut lines, theirs) = pair(50_000);
        let long = "x".repeat(49_999);
        let text = format!("{}{long}\n{}", "short\n".repeat(5000), "last\n".repeat(3));
        windlass::spawn_detached(async move { theirs.write(text.as_bytes()).await });
        for _ in 0..5000 {
            assert_eq!(lines.next().await.unwrap().as_deref(), Some("short"));
        }
        assert_eq!(lines.next().await.unwrap(), Some(long));
        for _ in 0..3 {
            assert_eq!(lines.read_until(b'\n').await.unwrap().as_deref(), Some(&b"last\n"[..]));
        }
        assert_eq!(lines.read_until(b'\n').await.unwrap(), None);
    });
}

#[test]
fn a_line_that_is_too_long_is_an_error_and_stays_where_it_is() {
    block_on(async {
        let (mut lines, theirs) = pair(4);
        theirs.write(b"abc\nabcd\n").await.unwrap();
        assert_eq!(lines.next().await.unwrap().as_deref(), Some("abc"));
        for _ in 0..2 {
            let error = lines.next().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert_eq!(error.to_string(), "no end of a line within 4 bytes");
        }
        // Whether its end has come or not.
        let (stream, kept) = lines.into_parts();
        assert_eq!(kept, b"abcd\n");
        let mut lines = Lines::new(stream, 4);
        theirs.write(b"abcd").await.unwrap();
        assert_eq!(lines.next().await.unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(lines.into_parts().1, b"abcd");
    });
}

#[test]
fn no_more_is_read_than_the_limit_and_a_chunk() {
    block_on(async {
        let (mut lines, theirs) = pair(10);
        let write = theirs.write_owned(vec![b'x'; 1 << 20]);
        lines.next().await.unwrap_err();
        assert!(lines.into_parts().1.len() <= 10 + 4096);
        drop(theirs);
        write.await.unwrap_err();
    });
}

#[test]
fn a_line_that_is_not_utf_8_is_an_error_and_can_be_had_as_bytes() {
    block_on(async {
        let (mut lines, theirs) = pair(100);
        theirs.write(b"\xff\xfe\nfine\n").await.unwrap();
        assert_eq!(lines.next().await.unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(lines.read_until(b'\n').await.unwrap().as_deref(), Some(&b"\xff\xfe\n"[..]));
        assert_eq!(lines.next().await.unwrap().as_deref(), Some("fine"));
    });
}

#[test]
fn pieces_end_with_any_byte() {
    block_on(async {
        let (mut lines, theirs) = pair(100);
        theirs.write(b"key=value;rest").await.unwrap();
        theirs.close();
        assert_eq!(lines.read_until(b'=').await.unwrap().unwrap(), b"key=");
        assert_eq!(lines.read_until(b';').await.unwrap().unwrap(), b"value;");
        assert_eq!(lines.read_until(b';').await.unwrap().unwrap(), b"rest");
        assert_eq!(lines.read_until(b';').await.unwrap(), None);
    });
}

#[test]
fn a_wait_for_a_line_that_is_given_up_loses_nothing() {
    block_on(async {
        let (mut lines, theirs) = pair(100);
        theirs.write(b"the beginning").await.unwrap();
        timeout(Duration::from_millis(1), lines.next()).await.unwrap_err();
        theirs.write(b" and the end\n").await.unwrap();
        let line = lines.next().await.unwrap();
        assert_eq!(line.as_deref(), Some("the beginning and the end"));
    });
}

#[test]
fn what_is_before_a_failure_is_no_last_line_also_when_somebody_else_was_told_of_it() {
    bounded(|| {
        block_on(async {
            for other_is_told in [false, true] {
                let (stream, mut peer) = connected().await;
                let mut lines = Lines::new(stream.clone(), 100);
                peer.write_all(b"whole\npart").unwrap();
                assert_eq!(lines.next().await.unwrap().as_deref(), Some("whole"));
                reset_on_drop(&peer);
                drop(peer);
                if other_is_told {
                    let error = stream.read(&mut [0]).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                }
                let error = lines.next().await.unwrap_err();
                assert_eq!(error.kind() == ErrorKind::ConnectionReset, !other_is_told, "{error}");
                for _ in 0..2 {
                    assert_eq!(lines.next().await.unwrap(), None);
                }
                stream.close();
                assert_eq!(lines.next().await.unwrap(), None);
                assert_eq!(lines.into_parts().1, b"part");
            }
        });
    });
}
