//! Descriptors that travel over Unix sockets. A binary of its own, whose tests run one by one: they
//! count the descriptors of the process.

mod common;

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use common::*;
use windlass::net::{UnixListener, UnixStream};
use windlass::{block_on, run};

/// More than a kernel takes while nobody reads.
const MORE_THAN_FITS: usize = 8 << 20;

/// Files with these words in them, open.
fn files(folder: &str, words: &[&str]) -> Vec<OwnedFd> {
    let folder = directory(folder);
    let open = |word: &&str| {
        fs::write(folder.join(word), word).unwrap();
        File::open(folder.join(word)).unwrap().into()
    };
    words.iter().map(open).collect()
}

/// What stands in the files that these descriptors are of.
fn words(descriptors: Vec<OwnedFd>) -> Vec<String> {
    let read = |descriptor: OwnedFd| {
        let mut word = String::new();
        File::from(descriptor).read_to_string(&mut word).unwrap();
        word
    };
    descriptors.into_iter().map(read).collect()
}

// U-09.
#[test]
fn descriptors_arrive_with_their_bytes_and_in_their_order() {
    let _guard = alone();
    bounded(|| {
        block_on(async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            ours.write(b"before ").await.unwrap();
            let sent = files("order", &["one", "two", "three"]);
            ours.write_with_descriptors(b"with ", sent).await.unwrap();
            ours.write_with_descriptors(b"again ", files("again", &["four"])).await.unwrap();
            ours.write(b"after").await.unwrap();
            ours.close();
            let mut buffer = [0; 4]; // Less than what comes before.
            assert_eq!(theirs.read(&mut buffer).await.unwrap(), 4);
            assert_eq!(words(theirs.take_descriptors()), [""; 0], "not before their bytes");
            let mut text = String::from_utf8(buffer.to_vec()).unwrap();
            let mut seen = Vec::new();
            let mut buffer = [0; 64];
            loop {
                let count = theirs.read(&mut buffer).await.unwrap();
                if count == 0 {
                    break;
                }
                text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
                seen.extend(words(theirs.take_descriptors()));
            }
            assert_eq!(text, "before with again after");
            assert_eq!(seen, ["one", "two", "three", "four"]);
        });
    });
}

#[test]
fn a_read_callback_finds_the_descriptors_that_came_with_its_bytes() {
    let _guard = alone();
    bounded(|| {
        let found = Rc::new(Cell::new(0));
        run(|| {
            let (ours, theirs) = UnixStream::pair().unwrap();
            for word in ["one", "two", "three"] {
                drop(ours.write_with_descriptors(b"x", files(word, &[word])));
            }
            drop(ours.shutdown());
            let count = found.clone();
            theirs.read_start(move |theirs, chunk| {
                chunk.unwrap();
                count.set(count.get() + theirs.take_descriptors().len());
            });
            theirs.on_close(move || drop(ours));
        });
        assert_eq!(found.get(), 3, "also where a read stops at them");
    });
}

// U-10.
#[test]
fn received_descriptors_are_closed_on_exec_and_those_never_taken_with_the_stream() {
    let _guard = alone();
    bounded(|| {
        block_on(async {
            let before = descriptors();
            let (ours, theirs) = UnixStream::pair().unwrap();
            ours.write_with_descriptors(b"x", files("exec", &["one"])).await.unwrap();
            theirs.read(&mut [0; 16]).await.unwrap();
            let taken = theirs.take_descriptors();
            assert!(descriptor_flags(taken[0].as_raw_fd()).1, "closed on exec");
            drop(taken);
            ours.write_with_descriptors(b"x", files("never", &["two", "three"])).await.unwrap();
            theirs.read(&mut [0; 16]).await.unwrap();
            // On their way, in the system.
            ours.write_with_descriptors(b"x", files("way", &["four"])).await.unwrap();
            ours.close();
            theirs.close();
            assert!(theirs.take_descriptors().is_empty());
            assert_eq!(descriptors(), before);
        });
    });
}

// U-11.
#[test]
fn descriptors_of_a_write_that_goes_in_parts_arrive_once_and_the_sender_may_close_its_own() {
    let _guard = alone();
    bounded(|| {
        block_on(async {
            let before = descriptors();
            let (ours, theirs) = UnixStream::pair().unwrap();
            let waits = ours.write(&vec![0; MORE_THAN_FITS]);
            let sent = files("parts", &["one", "two"]);
            // Behind others, and more than goes at once.
            let request = ours.write_with_descriptors(&vec![1; MORE_THAN_FITS], sent);
            let (mut total, mut seen) = (0, Vec::new());
            let mut buffer = vec![0; 64 * 1024];
            while total < 2 * MORE_THAN_FITS {
                let count = theirs.read(&mut buffer).await.unwrap();
                let first = buffer[..count].iter().position(|byte| *byte == 1);
                let taken = words(theirs.take_descriptors());
                if !taken.is_empty() {
                    assert!(first.is_some() && total + count > MORE_THAN_FITS, "not too early");
                }
                seen.extend(taken);
                total += count;
            }
            assert_eq!(seen, ["one", "two"]);
            waits.await.unwrap();
            request.await.unwrap();
            ours.close();
            theirs.close();
            assert_eq!(descriptors(), before);
        });
    });
}

#[test]
fn a_cancelled_write_sends_no_descriptor_and_closes_its_own() {
    let _guard = alone();
    bounded(|| {
        block_on(async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let waits = ours.write(&vec![0; MORE_THAN_FITS]);
            let before = descriptors();
            let request = ours.write_with_descriptors(b"x", files("cancel", &["one"]));
            assert_eq!(descriptors(), before + 1);
            request.cancel().unwrap();
            assert!(is_canceled(&request.await));
            assert_eq!(descriptors(), before);
            drop((waits, theirs));
        });
    });
}

#[test]
fn descriptors_without_a_byte_none_at_all_or_too_many_are_refused() {
    let _guard = alone();
    bounded(|| {
        block_on(async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let null = || File::open("/dev/null").unwrap().into();
            let many = |count| (0..count).map(|_| null()).collect::<Vec<OwnedFd>>();
            for (data, count) in [(&b""[..], 1), (b"x", 0), (b"x", 254)] {
                let error = ours.write_with_descriptors(data, many(count)).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{count}");
            }
            ours.write_with_descriptors(b"x", many(253)).await.unwrap();
            theirs.read(&mut [0; 16]).await.unwrap();
            assert_eq!(theirs.take_descriptors().len(), 253);
        });
    });
}

#[test]
fn listeners_pairs_and_connections_made_and_dropped_leave_nothing() {
    let _guard = alone();
    bounded(|| {
        block_on(async {
            let path = directory("many").join("socket");
            let before = descriptors();
            for _ in 0..2000 {
                let listener = UnixListener::bind(&path).unwrap();
                let client = UnixStream::connect(&path).await.unwrap();
                let served = listener.accept().await.unwrap();
                drop((listener, client, served, UnixStream::pair().unwrap()));
            }
            assert_eq!(descriptors(), before);
            assert!(!path.exists());
        });
    });
}

#[test]
fn descriptors_that_do_not_fit_into_the_process_fail_the_read_behind_their_bytes() {
    let _guard = alone();
    bounded(|| {
        block_on(async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let sent = files("flood", &["one", "two", "three", "four"]);
            ours.write_with_descriptors(b"bytes", sent).await.unwrap();
            ours.write(b"more").await.unwrap();
            let few = FewDescriptors::new(1);
            let mut buffer = [0; 5];
            let read = theirs.read(&mut buffer).await;
            let next = theirs.read(&mut [0; 16]).await;
            drop(few);
            assert_eq!((read.unwrap(), &buffer), (5, b"bytes"));
            assert!(next.is_err());
            assert_eq!(theirs.take_descriptors().len(), 1);
        });
    });
}
