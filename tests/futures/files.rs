//! Files by the traits.

use std::io::{ErrorKind, SeekFrom};

use futures_util::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader};
use futures_util::{AsyncBufReadExt, FutureExt, TryStreamExt};
use windlass::block_on;
use windlass::fs::{self, File};

use crate::common::directory;

/// A file that can be read and written.
async fn file(test: &str, content: &str) -> File {
    let path = directory(test).join("file");
    fs::write(&path, content.to_owned()).await.unwrap();
    fs::OpenOptions::new().read(true).write(true).open(&path).await.unwrap()
}

#[test]
fn a_file_is_read_written_and_sought_by_the_traits() {
    block_on(async {
        let file = file("traits_of_files", "0123456789").await;
        let mut io = file.clone().into_io();
        let mut buffer = [0; 4];
        io.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"0123");
        io.write_all(b"abc").await.unwrap();
        assert_eq!(io.seek(SeekFrom::Current(-1)).await.unwrap(), 6);
        let mut rest = String::new();
        io.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "c789");
        assert_eq!(io.seek(SeekFrom::Start(0)).await.unwrap(), 0);
        rest.clear();
        io.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "0123abc789");
        assert_eq!(io.seek(SeekFrom::End(-2)).await.unwrap(), 8);
        assert_eq!(
            io.seek(SeekFrom::Current(-99)).await.unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(io.stream_position().await.unwrap(), 8);
    });
}

#[test]
fn the_bytes_of_a_read_that_was_dropped_are_the_next_ones() {
    block_on(async {
        let mut file = file("dropped_reads_of_files", "0123456789").await;
        let mut buffer = [0; 8];
        assert!(AsyncReadExt::read(&mut file, &mut buffer).now_or_never().is_none());
        let mut two = [0; 2];
        file.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"01");
        file.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"23");
        // A write goes where the reader is, not behind what was read ahead for nobody.
        file.write_all(b"XY").await.unwrap();
        file.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"67");
        let all = fs::read(file.path().unwrap()).await.unwrap();
        assert_eq!(all, b"0123XY6789");
    });
}

#[test]
fn a_seek_counts_from_where_the_reader_is_after_a_read_that_was_dropped() {
    block_on(async {
        let mut file = file("dropped_reads_and_seeks", "0123456789").await;
        let mut one = [0; 1];
        file.read_exact(&mut one).await.unwrap();
        assert!(AsyncReadExt::read(&mut file, &mut [0; 8]).now_or_never().is_none());
        let mut io = file.into_io();
        assert_eq!(io.seek(SeekFrom::Current(2)).await.unwrap(), 3);
        io.read_exact(&mut one).await.unwrap();
        assert_eq!(&one, b"3");
    });
}

#[test]
fn a_write_that_was_taken_over_and_fails_is_told_by_the_flush() {
    block_on(async {
        let path = directory("failed_writes_of_files").join("file");
        fs::write(&path, "text").await.unwrap();
        let mut file = File::open(&path).await.unwrap();
        file.write_all(b"refused").await.unwrap();
        assert!(AsyncWriteExt::flush(&mut file).await.is_err(), "it is open for reading");
        AsyncWriteExt::flush(&mut file).await.unwrap();
        file.write_all(b"refused").await.unwrap();
        assert!(file.write_all(b"again").await.is_err(), "the next write tells too");
    });
}

#[test]
fn a_close_waits_for_the_writes_closes_the_file_and_may_be_repeated() {
    block_on(async {
        let file = file("closed_files", "").await;
        let mut io = file.clone().into_io();
        io.write_all(&[b'x'; 3_000_000]).await.unwrap();
        io.close().await.unwrap();
        io.close().await.unwrap();
        assert_eq!(fs::metadata(file.path().unwrap()).await.unwrap().len(), 3_000_000);
        assert!(file.metadata().await.is_err(), "it is closed");
        assert!(io.read(&mut [0; 1]).await.is_err());
    });
}

#[test]
fn the_lines_of_a_file_are_read_by_a_buffered_reader() {
    block_on(async {
        let file = file("lines_of_files", "one\ntwo\n").await;
        let lines: Vec<String> = BufReader::new(file).lines().try_collect().await.unwrap();
        assert_eq!(lines, ["one", "two"]);
    });
}
