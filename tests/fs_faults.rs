//! What fails: a full disk, missing permissions, interrupted calls. Each comes back as the right kind of
//! error, with the path in its message.
//!
//! Some tests need a thread with other rights than the process. In virtual time a loop's files are used on
//! its own thread, so giving up a right there is enough, and the other tests keep theirs.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // Rights, mounts and signals, for which std has no words.

mod common;

use std::ffi::CString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::{ptr, thread};

use common::*;
use windlass::block_on;
use windlass::fs::stream::{ReadStream, WriteStream};
use windlass::fs::{self, Access, File, OpenOptions, PathError};

#[track_caller]
fn check<T>(result: io::Result<T>, kind: ErrorKind, code: i32, path: &Path) {
    let error = result.map(|_| ()).expect_err("this fails");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    let inner = PathError::of(&error).expect("the path is in it");
    assert_eq!((inner.path(), inner.raw_os_error()), (path, Some(code)), "{error}");
    // E-02.
    assert!(!inner.to_string().is_empty());
}

#[test]
fn a_full_disk_is_storage_full_for_every_way_to_write() {
    bounded(|| {
        let full = Path::new("/dev/full");
        let source = directory("full").join("source");
        std::fs::write(&source, "something").unwrap();
        block_on(async {
            let (kind, code) = (ErrorKind::StorageFull, libc::ENOSPC);
            check(fs::write(full, "x").await, kind, code, full);
            check(fs::append(full, "x").await, kind, code, full);
            let file = OpenOptions::new().write(true).open(full).await.unwrap();
            check(file.write("x").await, kind, code, full);
            check(file.write_at("x", 0).await, kind, code, full);
            check(file.write_vectored(vec![b"x".to_vec()]).await, kind, code, full);
            let from = File::open(&source).await.unwrap();
            check(file.copy_from(&from, 0, 9).await, kind, code, full);
            file.close().await.unwrap();
            check(fs::copy(&source, full).await, kind, code, &source);
            let piped = ReadStream::open(&source).pipe(WriteStream::create(full)).await;
            check(piped, kind, code, full);
            // It is a device, and must be there after that.
            assert!(fs::exists(full).await.unwrap());
        });
    });
}

/// Gives this thread a mount table of its own with a file system of 64 KiB at `path`.
fn mount_small_disk(path: &Path) -> io::Result<()> {
    let ok = |result: i32| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    let (none, tmpfs, size) = (c"none".as_ptr(), c"tmpfs".as_ptr(), c"size=64k".as_ptr());
    // SAFETY: all strings are live and end in zero.
    unsafe {
        ok(libc::unshare(libc::CLONE_NEWNS))?;
        let private = libc::MS_REC | libc::MS_PRIVATE;
        ok(libc::mount(none, c"/".as_ptr(), ptr::null(), private, ptr::null()))?;
        ok(libc::mount(none, path.as_ptr(), tmpfs, 0, size.cast()))
    }
}

// FS-14: a copy that fails leaves no part of it, and one of a file that was there leaves that.
#[test]
fn a_disk_that_fills_up_on_the_way_is_storage_full_and_a_copy_leaves_no_part() {
    bounded(|| {
        let dir = directory("fills-up");
        let source = dir.join("source");
        let disk = dir.join("disk");
        std::fs::create_dir(&disk).unwrap();
        std::fs::write(&source, noise(1, 1_000_000)).unwrap();
        if let Err(error) = mount_small_disk(&disk) {
            return eprintln!("skipped: a small disk cannot be mounted here: {error}");
        }
        virtual_loop().block_on(async {
            let (kind, code) = (ErrorKind::StorageFull, libc::ENOSPC);
            let target = disk.join("target");
            check(fs::copy(&source, &target).await, kind, code, &source);
            assert!(!fs::exists(&target).await.unwrap());
            check(fs::write(&target, noise(2, 1_000_000)).await, kind, code, &target);
            fs::write(&target, "small").await.unwrap();
            let stream = WriteStream::append(&target);
            stream.write(noise(3, 1_000_000));
            check(stream.finish().await, kind, code, &target);
        });
    });
}

/// Gives up root's rights on this thread, as the system call does; std's threads share nothing of it.
fn give_up_rights() {
    // SAFETY: changes the ids of this thread and touches no memory.
    unsafe {
        if libc::geteuid() == 0 {
            assert_eq!(libc::syscall(libc::SYS_setresuid, 65_534, 65_534, 65_534), 0);
        }
    }
}

// FS-12.
#[test]
fn what_may_not_be_done_is_permission_denied() {
    bounded(|| {
        // Where everybody may look, whoever owns the build directory.
        let dir = std::env::temp_dir().join(format!("windlass-denied-{}", std::process::id()));
        let closed = dir.join("closed");
        std::fs::create_dir_all(&closed).unwrap();
        let file = dir.join("file");
        let inside = closed.join("inside");
        std::fs::write(&file, "secret").unwrap();
        std::fs::write(&inside, "secret").unwrap();
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        };
        mode(&dir, 0o755);
        mode(&file, 0o000);
        mode(&closed, 0o000);
        let (own, below, folder) = (file.clone(), inside.clone(), closed.clone());
        // A thread of its own, for the rights do not come back.
        let outcome = thread::spawn(move || {
            give_up_rights();
            // SAFETY: asking only.
            let owner = unsafe { libc::getuid() } != 65_534;
            virtual_loop().block_on(async {
                let (kind, code) = (ErrorKind::PermissionDenied, libc::EACCES);
                check(fs::read(&own).await, kind, code, &own);
                check(fs::write(&own, "x").await, kind, code, &own);
                check(fs::File::open(&own).await, kind, code, &own);
                check(fs::access(&own, Access::READ).await, kind, code, &own);
                check(fs::metadata(&below).await, kind, code, &below);
                check(fs::read_dir(&folder).await, kind, code, &folder);
                check(fs::remove_file(&below).await, kind, code, &below);
                check(fs::copy(&own, own.with_extension("copy")).await, kind, code, &own);
                // Also exists cannot tell.
                check(fs::exists(&below).await, kind, code, &below);
                check(ReadStream::open(&own).next().await, kind, code, &own);
                check(fs::chown(&own, Some(0), Some(0)).await, kind, libc::EPERM, &own);
                if !owner {
                    let chmod = fs::set_permissions(&own, PermissionsExt::from_mode(0o777)).await;
                    check(chmod, kind, libc::EPERM, &own);
                }
            });
        });
        let outcome = outcome.join();
        mode(&closed, 0o700);
        std::fs::remove_dir_all(&dir).unwrap();
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

// FS-05.
#[test]
fn a_call_that_a_signal_interrupts_is_made_again() {
    extern "C" fn interrupt(_signum: libc::c_int) {}
    bounded(|| {
        // SAFETY: the handler does nothing; without SA_RESTART a blocked call ends with EINTR.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = interrupt as extern "C" fn(libc::c_int) as libc::sighandler_t;
            assert_eq!(libc::sigaction(libc::SIGUSR2, &action, ptr::null_mut()), 0);
        }
        let (reader, writer) = io::pipe().unwrap();
        let (reader, mut writer) =
            (OwnedFd::from(reader), std::fs::File::from(OwnedFd::from(writer)));
        let (tell, told) = mpsc::channel();
        let reading = thread::spawn(move || {
            // SAFETY: asking only.
            tell.send(unsafe { (libc::pthread_self(), libc::gettid()) }).unwrap();
            virtual_loop().block_on(async {
                let file = File::from_std(reader);
                let one = file.read(4).await.unwrap();
                // And in the middle of a vectored one.
                let two = file.read_vectored(&[2, 2]).await.unwrap().concat();
                [one, two].concat()
            })
        });
        let (thread, id) = told.recv().unwrap();
        for text in ["one!", "two!"] {
            for _ in 0..3 {
                wait_until_blocked_in_read(id);
                // SAFETY: the thread runs until it has read what is written below.
                assert_eq!(unsafe { libc::pthread_kill(thread, libc::SIGUSR2) }, 0);
            }
            wait_until_blocked_in_read(id);
            writer.write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(reading.join().unwrap(), b"one!two!");

        // A write, before its first byte has gone and after that.
        let (mut reader, writer) = io::pipe().unwrap();
        let (bytes, writer) = (noise(5, 1_000_000), OwnedFd::from(writer));
        let (tell, told) = mpsc::channel();
        let sent = bytes.clone();
        let writing = thread::spawn(move || {
            // SAFETY: asking only.
            tell.send(unsafe { (libc::pthread_self(), libc::gettid()) }).unwrap();
            virtual_loop().block_on(async {
                let file = File::from_std(writer);
                file.write(sent).await.unwrap()
            })
        });
        let (thread, id) = told.recv().unwrap();
        let mut got = Vec::new();
        for part in [100_000, 1, 200_000] {
            for _ in 0..3 {
                wait_until_blocked_in_write(id);
                // SAFETY: the thread runs until all that it writes has been read.
                assert_eq!(unsafe { libc::pthread_kill(thread, libc::SIGUSR2) }, 0);
            }
            io::Read::take(&mut reader, part).read_to_end(&mut got).unwrap();
        }
        reader.read_to_end(&mut got).unwrap();
        assert_eq!(writing.join().unwrap(), bytes.len());
        assert!(got == bytes);
    });
}

fn wait_until_blocked_in_read(id: libc::pid_t) {
    wait_until_blocked(id, &[libc::SYS_read, libc::SYS_readv]);
}

fn wait_until_blocked_in_write(id: libc::pid_t) {
    wait_until_blocked(id, &[libc::SYS_write, libc::SYS_writev]);
}

/// Waits until the kernel says that a thread sleeps in one of these system calls.
fn wait_until_blocked(id: libc::pid_t, calls: &[libc::c_long]) {
    let path = format!("/proc/self/task/{id}/syscall");
    loop {
        // The number of the call comes first; "running" when there is none.
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let number = text.split(' ').next().and_then(|word| word.parse().ok());
        // Where the kernel does not tell, its word for sleeping must do.
        let stat = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap();
        let sleeps = stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'));
        match number {
            Some(number) if sleeps && calls.contains(&number) => return,
            None if text.is_empty() && sleeps => return,
            _ => thread::yield_now(),
        }
    }
}
