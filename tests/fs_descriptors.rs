//! Descriptors of files never leak, whatever becomes of those who asked for them. This file is a program
//! of its own, because it counts the descriptors of the whole process.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // A FIFO is made, for which std has no word.

mod common;

use std::ffi::CString;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::*;
use windlass::fs::stream::{ReadStream, WriteStream};
use windlass::fs::{self, File};
use windlass::{Loop, Pool, RunMode, set_immediate};

/// Waits until the process has no more than `expected` descriptors: what a pool thread closes after
/// its loop has ended is closed soon, but not at once.
fn wait_for_descriptors(expected: usize, what: &str) {
    for _ in 0..5_000_000 {
        if descriptors() <= expected {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{what}: {} descriptors, {expected} at first", descriptors());
}

/// A file and a FIFO in an empty directory.
fn prepare() -> (PathBuf, PathBuf) {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("descriptors");
    std::fs::remove_dir_all(&dir).ok();
    std::fs::create_dir_all(&dir).unwrap();
    (0..600).for_each(|number| std::fs::write(dir.join(number.to_string()), "").unwrap());
    let file = dir.join("file");
    std::fs::write(&file, noise(1, 300_000)).unwrap();
    let fifo = dir.join("fifo");
    let name = CString::new(fifo.as_os_str().as_bytes()).unwrap();
    // SAFETY: the name is a live string that ends in zero.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    (file, fifo)
}

/// Runs `scenario` as a main script, and sees that the loop's end has closed everything that it opened.
fn check(what: &str, scenario: impl Fn()) {
    for end in ["run", "exit", "drop"] {
        let before = descriptors();
        let event_loop = Loop::builder().pool(Pool::new(2).unwrap()).build().unwrap();
        match end {
            "run" => event_loop.run(&scenario),
            // In the middle of whatever is going on.
            "exit" => event_loop.run(|| {
                scenario();
                after_iterations(2, || windlass::exit(0));
            }),
            _ => {
                event_loop.enter(&scenario);
                event_loop.turn(RunMode::NoWait);
            }
        }
        if end == "run" {
            // The closes were waited for.
            let own = 2; // The poller and its waker.
            assert!(descriptors() <= before + own, "{what}: {} open", descriptors() - before);
        }
        drop(event_loop);
        wait_for_descriptors(before, &format!("{what}, ended by {end}"));
    }
}

// FS-17 and Z-01. One test, for the count is the process's.
#[test]
fn no_descriptor_is_left_open() {
    bounded(|| {
        let (file, fifo) = prepare();
        let dir = file.parent().unwrap();

        check("an unwanted open", || (0..20).for_each(|_| drop(File::open(&file))));
        check("a cancelled open", || {
            for _ in 0..20 {
                let opening = File::open(&file);
                opening.cancel().unwrap_or(());
                opening.on_complete(drop);
            }
        });
        check("a file that is closed", || {
            File::open(&file).on_complete(|file| drop(file.unwrap().close()));
        });
        check("a dropped file with operations in flight", || {
            for _ in 0..5 {
                File::open(&file).on_complete(|file| {
                    let file = file.unwrap();
                    (0..5).for_each(|_| drop(file.read(10)));
                });
            }
        });
        check("a file that is given away", || {
            File::open(&file).on_complete(|file| {
                let file = file.unwrap();
                drop(file.read(10));
                drop(file.clone().into_std());
                drop(file.read(10));
            });
        });
        check("a second descriptor", || {
            File::open(&file).on_complete(|file| drop(file.unwrap().try_clone()));
        });
        // FS-08.
        check("a listing that is abandoned half-way", || {
            fs::read_dir(dir).on_complete(|entries| drop(entries.unwrap().next_batch()));
            drop(fs::read_dir(dir));
        });
        check("streams that are abandoned", || {
            let stream = ReadStream::open(&file);
            stream.on_data(|stream, _| stream.pause());
            set_immediate(move || drop(stream));
            drop(ReadStream::open(&file));
            ReadStream::open(&file).on_data(|stream, _| stream.close());
            WriteStream::create(file.with_extension("w")).write("x");
            WriteStream::create(file.with_extension("v")).close();
            ReadStream::open(&file)
                .pipe(WriteStream::create(file.with_extension("u")))
                .on_complete(drop);
        });
        check("streams that fail", || {
            drop(ReadStream::open(&file).pipe(WriteStream::create("/dev/full")));
            drop(
                ReadStream::open("/no/such/file")
                    .pipe(WriteStream::create(file.with_extension("t"))),
            );
        });
        check("temporary files", || {
            fs::create_temp_file(dir.join("t-XXXXXX"))
                .on_complete(|file| drop(fs::remove_file(file.unwrap().path().unwrap())));
        });
        check("whole files and copies", || {
            drop(fs::read(&file));
            drop(fs::copy(&file, file.with_extension("s")));
            drop(fs::copy(&file, "/dev/full"));
            drop(fs::write(file.with_extension("r"), "x"));
        });
        a_read_that_is_stuck(&fifo);
    });
}

/// Ends the loop once a thread of its pool is at work.
fn exit_when_busy() {
    set_immediate(|| match Loop::current().pool().metrics().busy {
        0 => exit_when_busy(),
        _ => windlass::exit(0),
    });
}

/// A read that waits in the kernel when its loop ends: its descriptor goes when it does.
fn a_read_that_is_stuck(fifo: &Path) {
    let before = descriptors();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut writer = std::fs::File::from(OwnedFd::from(writer));
    let event_loop = Loop::builder().pool(Pool::new(1).unwrap()).build().unwrap();
    event_loop.run(|| {
        let file = File::from_std(OwnedFd::from(reader));
        drop(file.read(1));
        drop(file.read(1));
        drop(fs::read(fifo)); // Waits behind it, and is dropped with the loop.
        exit_when_busy();
    });
    drop(event_loop);
    writer.write_all(b"x").unwrap();
    drop(writer);
    wait_for_descriptors(before, "a read that is stuck");
}
