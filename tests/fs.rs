//! Files through the pool.
#![allow(unsafe_code)] // Making a FIFO, for which std has no word.

mod common;

use std::cell::Cell;
use std::ffi::{CString, OsStr};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::*;
use windlass::{CancelError, block_on, fs, queue_work, run, set_timeout};

// FS-01.
#[test]
fn a_file_request_completes_once_later_and_on_the_loop_thread() {
    bounded(|| {
        let log = Trace::new();
        let path = directory("fs-later").join("file");
        run(|| {
            let here = thread::current().id();
            let (log, said, reading) = (log.clone(), log.clone(), path.clone());
            fs::write(&path, "words").on_complete(move |result| {
                result.unwrap();
                assert_eq!(thread::current().id(), here);
                said.say("written");
                fs::read_to_string(&reading).on_complete(move |text| said.say(text.unwrap()));
            });
            log.say("write has returned");
        });
        assert_eq!(log.lines(), ["write has returned", "written", "words"]);
    });
}

#[test]
fn what_is_written_is_read_back_whole_and_replaces_what_was_there() {
    bounded(|| {
        let path = directory("fs-whole").join("file");
        block_on(async {
            for len in [10_000_000, 12_345, 1, 0] {
                let bytes = noise(len as u64, len);
                fs::write(&path, bytes.clone()).await.unwrap();
                assert!(fs::read(&path).await.unwrap() == bytes);
                assert!(std::fs::read(&path).unwrap() == bytes);
            }
            // The size of such a file is not known before it has been read.
            let status = fs::read_to_string("/proc/self/status").await.unwrap();
            assert!(status.contains("Threads:"));
        });
    });
}

// FS-02.
#[test]
fn errors_keep_kind_operation_and_path() {
    bounded(|| {
        let dir = directory("fs-errors");
        let file = dir.join("file");
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        symlink(dir.join("loop"), dir.join("loop")).unwrap();
        block_on(async {
            let missing = dir.join("missing");
            let check = |error: std::io::Error, kind: ErrorKind, operation: &str, path: &Path| {
                assert_eq!(error.kind(), kind, "{error}");
                let text = error.to_string();
                assert!(text.contains(operation), "{text}");
                assert!(text.contains(path.to_str().unwrap()), "{text}");
            };
            check(fs::read(&missing).await.unwrap_err(), ErrorKind::NotFound, "read", &missing);
            check(
                fs::read_to_string(&missing).await.unwrap_err(),
                ErrorKind::NotFound,
                "read",
                &missing,
            );
            check(fs::metadata(&missing).await.unwrap_err(), ErrorKind::NotFound, "stat", &missing);
            let nowhere = missing.join("file");
            check(
                fs::write(&nowhere, "x").await.unwrap_err(),
                ErrorKind::NotFound,
                "write",
                &nowhere,
            );
            check(fs::read(&dir).await.unwrap_err(), ErrorKind::IsADirectory, "read", &dir);
            check(fs::write(&dir, "x").await.unwrap_err(), ErrorKind::IsADirectory, "write", &dir);
            let below = file.join("below");
            check(
                fs::metadata(&below).await.unwrap_err(),
                ErrorKind::NotADirectory,
                "stat",
                &below,
            );
            check(
                fs::read_to_string(&file).await.unwrap_err(),
                ErrorKind::InvalidData,
                "read",
                &file,
            );
            let long = dir.join("x".repeat(300));
            check(fs::read(&long).await.unwrap_err(), ErrorKind::InvalidFilename, "read", &long);
            let endless = dir.join("loop");
            let error = fs::read(&endless).await.unwrap_err();
            assert!(error.to_string().contains(endless.to_str().unwrap()), "{error}");
            assert!(fs::metadata("with\0zero").await.is_err());
        });
    });
}

// FS-09.
#[test]
fn metadata_agrees_with_the_system() {
    bounded(|| {
        let dir = directory("fs-metadata");
        let path = dir.join("file");
        std::fs::write(&path, "12345").unwrap();
        symlink(&path, dir.join("link")).unwrap();
        block_on(async {
            let expected = std::fs::metadata(&path).unwrap();
            for name in ["file", "link"] {
                let found = fs::metadata(dir.join(name)).await.unwrap();
                assert!(found.is_file());
                assert_eq!(found.len(), 5);
                assert_eq!(
                    (found.ino(), found.mtime_nsec()),
                    (expected.ino(), expected.mtime_nsec())
                );
            }
            assert!(fs::metadata(&dir).await.unwrap().is_dir());
        });
    });
}

// FS-17.
#[test]
fn a_dropped_write_is_finished_before_the_loop_ends() {
    bounded(|| {
        let path = directory("fs-dropped").join("file");
        let bytes = noise(17, 5_000_000);
        run(|| {
            drop(fs::write(&path, bytes.clone()));
            drop(fs::read(&path));
        });
        assert!(std::fs::read(&path).unwrap() == bytes);
    });
}

// FS-18.
#[test]
fn a_request_stuck_in_the_kernel_costs_one_pool_thread_only() {
    bounded(|| {
        let dir = directory("fs-fifo");
        let fifo = dir.join("fifo");
        let name = CString::new(fifo.as_os_str().as_bytes()).unwrap();
        // SAFETY: the name is a live string that ends in zero.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let log = Trace::new();
        with_pool(2).run(|| {
            let log = log.clone();
            let said = log.clone();
            fs::read_to_string(&fifo).on_complete(move |text| said.say(text.unwrap()));
            set_timeout(Duration::from_millis(1), move || {
                log.say("timer");
                fs::metadata(&dir).on_complete(move |found| {
                    found.unwrap();
                    log.say("metadata");
                    // Opening waits for the reader, which is there or will soon be.
                    let mut writer = std::fs::OpenOptions::new().write(true).open(&fifo).unwrap();
                    writer.write_all(b"from the fifo").unwrap();
                });
            });
        });
        assert_eq!(log.lines(), ["timer", "metadata", "from the fifo"]);
    });
}

// FS-19.
#[test]
fn paths_are_bytes() {
    bounded(|| {
        let path = directory("fs-bytes").join(OsStr::from_bytes(b"not \xff utf-8"));
        block_on(async {
            fs::write(&path, "found").await.unwrap();
            assert_eq!(fs::read(&path).await.unwrap(), b"found");
            assert_eq!(fs::metadata(&path).await.unwrap().len(), 5);
        });
    });
}

// FS-20.
#[test]
fn ten_thousand_requests_at_once_all_complete_once() {
    bounded(|| {
        let completed = Rc::new(Cell::new(0));
        let dir = directory("fs-many");
        run(|| {
            for _ in 0..10_000 {
                let completed = completed.clone();
                fs::metadata(&dir).on_complete(move |found| {
                    assert!(found.unwrap().is_dir());
                    completed.set(completed.get() + 1);
                });
            }
        });
        assert_eq!(completed.get(), 10_000);
    });
}

// P-02, for file requests.
#[test]
fn a_canceled_file_request_completes_as_canceled_and_does_nothing() {
    bounded(|| {
        let path = directory("fs-canceled").join("file");
        with_pool(1).block_on(async {
            let (release, gate) = mpsc::channel::<()>();
            let (tell, begun) = mpsc::channel();
            let blocked = queue_work(move || {
                tell.send(()).unwrap();
                gate.recv().ok();
            });
            begun.recv().unwrap();
            let write = fs::write(&path, "unwanted");
            assert_eq!(write.cancel(), Ok(()));
            assert_eq!(write.cancel(), Err(CancelError::Done));
            assert!(is_canceled(&write.await));
            drop(release);
            blocked.await.unwrap();
        });
        assert!(!path.exists());
    });
}
