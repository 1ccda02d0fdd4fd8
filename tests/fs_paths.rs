//! Operations on paths and directories, and what their errors say.
#![allow(unsafe_code)] // The ids of this process are asked for, for which std has no word.

mod common;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use common::*;
use windlass::fs::{self, Access, FileTime, PathError};
use windlass::{Loop, Pool, block_on, run};

/// Checks what an error says of its kind, operation and path.
#[track_caller]
fn check<T>(result: io::Result<T>, kind: ErrorKind, operation: &str, path: &Path) {
    let error = result.map(|_| ()).expect_err("this fails");
    assert_eq!(error.kind(), kind, "{error}");
    let start = format!("{operation} {}", path.display());
    assert!(error.to_string().starts_with(&start), "{error}");
    let inner = PathError::of(&error).expect("the path is in it");
    assert_eq!(inner.path(), path);
}

// FS-02.
#[test]
fn every_operation_on_a_missing_path_says_which() {
    bounded(|| {
        let dir = directory("missing");
        let missing = dir.join("missing");
        let gone = ErrorKind::NotFound;
        block_on(async {
            check(fs::read(&missing).await, gone, "read", &missing);
            check(fs::metadata(&missing).await, gone, "stat", &missing);
            check(fs::symlink_metadata(&missing).await, gone, "lstat", &missing);
            check(fs::File::open(&missing).await, gone, "open", &missing);
            check(fs::access(&missing, Access::EXISTS).await, gone, "access", &missing);
            check(fs::remove_file(&missing).await, gone, "unlink", &missing);
            check(fs::remove_dir(&missing).await, gone, "rmdir", &missing);
            check(fs::remove_dir_all(&missing).await, gone, "remove", &missing);
            check(fs::read_dir(&missing).await, gone, "read_dir", &missing);
            check(fs::read_link(&missing).await, gone, "readlink", &missing);
            check(fs::canonicalize(&missing).await, gone, "realpath", &missing);
            check(fs::truncate(&missing, 0).await, gone, "truncate", &missing);
            check(fs::chown(&missing, None, None).await, gone, "chown", &missing);
            let mode = PermissionsExt::from_mode(0o600);
            check(fs::set_permissions(&missing, mode).await, gone, "chmod", &missing);
            let times = fs::set_times(&missing, FileTime::Now, FileTime::Now).await;
            check(times, gone, "utime", &missing);
            let below = missing.join("below");
            check(fs::create_dir(&below).await, gone, "mkdir", &below);
            check(fs::append(&below, "x").await, gone, "append", &below);
            let target = dir.join("target");
            check(fs::copy(&missing, &target).await, gone, "copy", &missing);
            check(fs::hard_link(&missing, &target).await, gone, "link", &missing);
            let renamed = fs::rename(&missing, &target).await;
            let inner = renamed.as_ref().map_err(PathError::of).unwrap_err().unwrap();
            assert_eq!(inner.target(), Some(&*target));
            assert_eq!(inner.raw_os_error(), Some(libc::ENOENT));
            check(renamed, gone, "rename", &missing);
            assert!(!fs::exists(&missing).await.unwrap());
            assert!(!fs::exists(&target).await.unwrap());
        });
    });
}

// FS-02.
#[test]
fn a_directory_where_a_file_should_be_and_the_other_way_round_have_their_kinds() {
    bounded(|| {
        let dir = directory("kinds");
        let file = dir.join("file");
        block_on(async {
            fs::write(&file, "x").await.unwrap();
            check(fs::read(&dir).await, ErrorKind::IsADirectory, "read", &dir);
            check(fs::write(&dir, "x").await, ErrorKind::IsADirectory, "write", &dir);
            let opened = fs::File::open(&dir).await.unwrap();
            check(opened.read(1).await, ErrorKind::IsADirectory, "read", &dir);
            check(fs::read_dir(&file).await, ErrorKind::NotADirectory, "read_dir", &file);
            let below = file.join("below");
            check(fs::metadata(&below).await, ErrorKind::NotADirectory, "stat", &below);
            check(fs::create_dir(&file).await, ErrorKind::AlreadyExists, "mkdir", &file);
            check(fs::remove_dir(&file).await, ErrorKind::NotADirectory, "rmdir", &file);
            check(fs::remove_dir(&dir).await, ErrorKind::DirectoryNotEmpty, "rmdir", &dir);
            check(fs::read_link(&file).await, ErrorKind::InvalidInput, "readlink", &file);
            let long = dir.join("x".repeat(300));
            check(fs::create_dir(&long).await, ErrorKind::InvalidFilename, "mkdir", &long);
            let zero = Path::new("with\0zero");
            check(fs::access(zero, Access::READ).await, ErrorKind::InvalidInput, "access", zero);
            let circle = dir.join("circle");
            fs::symlink(&circle, &circle).await.unwrap();
            let error = fs::read(&circle).await.unwrap_err();
            assert_eq!(PathError::of(&error).unwrap().raw_os_error(), Some(libc::ELOOP));
        });
    });
}

// FS-07.
#[test]
fn temporary_names_are_unique_private_and_need_a_placeholder() {
    bounded(|| {
        let dir = directory("temporary");
        block_on(async {
            let mut names = HashSet::new();
            for _ in 0..100 {
                let path = fs::create_temp_dir(dir.join("d-XXXXXX")).await.unwrap();
                let metadata = fs::metadata(&path).await.unwrap();
                assert!(metadata.is_dir());
                assert_eq!(metadata.permissions().mode() & 0o777, 0o700);
                let file = fs::create_temp_file(dir.join("f-XXXXXX")).await.unwrap();
                assert_eq!(file.metadata().await.unwrap().permissions().mode() & 0o777, 0o600);
                file.write("own").await.unwrap();
                assert_eq!(file.read_at(3, 0).await.unwrap(), b"own");
                assert!(names.insert(path));
                assert!(names.insert(file.path().unwrap().to_owned()));
            }
            let wrong = dir.join("no-placeholder");
            let invalid = ErrorKind::InvalidInput;
            check(fs::create_temp_dir(&wrong).await, invalid, "mkdtemp", &wrong);
            check(fs::create_temp_file(&wrong).await, invalid, "mkstemp", &wrong);
            let nowhere = dir.join("missing/f-XXXXXX");
            check(fs::create_temp_file(&nowhere).await, ErrorKind::NotFound, "mkstemp", &nowhere);
        });
    });
}

// FS-08.
#[test]
fn a_listing_has_everything_but_the_dots_with_its_type() {
    bounded(|| {
        let dir = directory("listing");
        block_on(async {
            fs::write(dir.join("file"), "").await.unwrap();
            fs::create_dir(dir.join("folder")).await.unwrap();
            fs::symlink("nowhere", dir.join("link")).await.unwrap();
            let mut entries = fs::read_dir(&dir).await.unwrap();
            assert_eq!(entries.path(), dir);
            let mut found = Vec::new();
            while let Some(entry) = entries.next().await.unwrap() {
                assert_eq!(entry.path(), dir.join(entry.file_name()));
                let kind = entry.file_type().expect("the file system says it");
                let kind = (kind.is_file(), kind.is_dir(), kind.is_symlink());
                found.push((entry.file_name().to_str().unwrap().to_owned(), kind));
            }
            found.sort();
            let expected = [
                ("file".to_owned(), (true, false, false)),
                ("folder".to_owned(), (false, true, false)),
                ("link".to_owned(), (false, false, true)),
            ];
            assert_eq!(found, expected);
            assert!(entries.next().await.unwrap().is_none(), "and so it stays");
            let mut empty = fs::read_dir(dir.join("folder")).await.unwrap();
            assert!(empty.next().await.unwrap().is_none());
        });
    });
}

// FS-08.
#[test]
fn a_big_directory_comes_in_batches_in_order_and_each_entry_once() {
    const COUNT: usize = 1_000;
    bounded(|| {
        let dir = directory("batches");
        (0..COUNT).for_each(|number| std::fs::write(dir.join(number.to_string()), "").unwrap());
        let pool = Pool::new(2).unwrap();
        let event_loop = loop_on(&pool);
        event_loop.block_on(async {
            let entries = fs::read_dir(&dir).await.unwrap();
            // All asked for before any has come: more than there are.
            let batches = [(); 6].map(|()| entries.next_batch());
            let mut names = HashSet::new();
            let mut sizes = Vec::new();
            for batch in batches {
                let batch = batch.await.unwrap();
                sizes.push(batch.len());
                names.extend(batch.iter().map(|entry| entry.file_name().to_owned()));
            }
            assert_eq!(sizes, [256, 256, 256, 232, 0, 0]);
            assert_eq!(names.len(), COUNT);
            assert_eq!(pool.metrics().completed, 4);
        });
    });
}

#[test]
fn a_listing_loses_nothing_when_a_wait_for_it_is_given_up() {
    bounded(|| {
        let dir = directory("given-up");
        (0..600).for_each(|number| std::fs::write(dir.join(number.to_string()), "").unwrap());
        block_on(async {
            let mut entries = fs::read_dir(&dir).await.unwrap();
            let mut count = 0;
            loop {
                let (waker, _) = Wakes::new();
                match poll_once_and_drop(entries.next(), &waker) {
                    std::task::Poll::Pending => windlass::yield_now().await,
                    std::task::Poll::Ready(entry) if entry.as_ref().unwrap().is_none() => break,
                    std::task::Poll::Ready(_) => count += 1,
                }
            }
            assert_eq!(count, 600);
        });
    });
}

// FS-09.
#[test]
fn stat_and_lstat_agree_with_the_system_to_the_nanosecond() {
    bounded(|| {
        let dir = directory("stat");
        let (file, link) = (dir.join("file"), dir.join("link"));
        block_on(async {
            fs::write(&file, "12345").await.unwrap();
            fs::symlink(&file, &link).await.unwrap();
            let facts = |m: &std::fs::Metadata| {
                (m.ino(), m.len(), m.mode(), m.mtime(), m.mtime_nsec(), m.ctime_nsec(), m.nlink())
            };
            let expected = std::fs::metadata(&file).unwrap();
            assert_eq!(facts(&fs::metadata(&link).await.unwrap()), facts(&expected));
            let opened = fs::File::open(&link).await.unwrap();
            assert_eq!(facts(&opened.metadata().await.unwrap()), facts(&expected));
            let of_link = fs::symlink_metadata(&link).await.unwrap();
            assert_eq!(facts(&of_link), facts(&std::fs::symlink_metadata(&link).unwrap()));
            assert!(of_link.is_symlink());
            assert_eq!(of_link.len() as usize, file.as_os_str().len());
        });
    });
}

// FS-10.
#[test]
fn links_are_made_read_and_resolved() {
    bounded(|| {
        let dir = std::fs::canonicalize(directory("links")).unwrap();
        block_on(async {
            let file = dir.join("file");
            fs::write(&file, "linked").await.unwrap();
            fs::hard_link(&file, dir.join("hard")).await.unwrap();
            assert_eq!(fs::metadata(&file).await.unwrap().nlink(), 2);
            fs::symlink("file", dir.join("soft")).await.unwrap();
            assert_eq!(fs::read_link(dir.join("soft")).await.unwrap(), Path::new("file"));
            assert_eq!(fs::canonicalize(dir.join("./soft")).await.unwrap(), file);
            assert_eq!(fs::read(dir.join("hard")).await.unwrap(), b"linked");
            fs::symlink("nowhere", dir.join("broken")).await.unwrap();
            assert!(!fs::exists(dir.join("broken")).await.unwrap());
            let again = fs::symlink("x", dir.join("soft")).await;
            check(again, ErrorKind::AlreadyExists, "symlink", Path::new("x"));
        });
    });
}

// FS-11.
#[test]
fn a_rename_replaces_what_was_there() {
    bounded(|| {
        let dir = directory("rename");
        block_on(async {
            fs::write(dir.join("new"), "new").await.unwrap();
            fs::write(dir.join("old"), "old").await.unwrap();
            fs::rename(dir.join("new"), dir.join("old")).await.unwrap();
            assert_eq!(fs::read(dir.join("old")).await.unwrap(), b"new");
            assert!(!fs::exists(dir.join("new")).await.unwrap());
        });
    });
}

// FS-12.
#[test]
fn modes_are_set_and_unchanged_ids_change_nothing() {
    bounded(|| {
        let path = directory("modes").join("file");
        block_on(async {
            fs::write(&path, "").await.unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(0o200)).await.unwrap();
            let before = fs::metadata(&path).await.unwrap();
            assert_eq!(before.mode() & 0o777, 0o200);
            fs::access(&path, Access::EXISTS).await.unwrap();
            // Nobody may execute what has no such bit, not even root.
            let refused = fs::access(&path, Access::WRITE | Access::EXECUTE).await;
            check(refused, ErrorKind::PermissionDenied, "access", &path);
            fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).await.unwrap();
            fs::access(&path, Access::READ | Access::WRITE | Access::EXECUTE).await.unwrap();
            fs::chown(&path, None, None).await.unwrap();
            fs::lchown(&path, None, None).await.unwrap();
            fs::chown(&path, Some(before.uid()), Some(before.gid())).await.unwrap();
            let after = fs::metadata(&path).await.unwrap();
            assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
            // SAFETY: asking only.
            if unsafe { libc::geteuid() } == 0 {
                fs::chown(&path, Some(12), None).await.unwrap();
                fs::chown(&path, None, Some(34)).await.unwrap();
                let after = fs::metadata(&path).await.unwrap();
                assert_eq!((after.uid(), after.gid()), (12, 34));
            } else {
                let refused = fs::chown(&path, Some(0), None).await;
                check(refused, ErrorKind::PermissionDenied, "chown", &path);
            }
        });
    });
}

// FS-13.
#[test]
fn times_take_fractions_dates_before_1970_now_and_leave() {
    bounded(|| {
        let dir = directory("times");
        let (file, link) = (dir.join("file"), dir.join("link"));
        block_on(async {
            fs::write(&file, "").await.unwrap();
            fs::symlink("file", &link).await.unwrap();
            let fraction = UNIX_EPOCH + Duration::from_nanos(86_400_123_456_789);
            let before = UNIX_EPOCH - Duration::from_millis(1_250);
            fs::set_times(&link, fraction, before).await.unwrap();
            let found = fs::metadata(&file).await.unwrap();
            assert_eq!(found.accessed().unwrap(), fraction);
            assert_eq!(found.modified().unwrap(), before);
            assert_eq!((found.mtime(), found.mtime_nsec()), (-2, 750_000_000));

            fs::set_times(&file, FileTime::Leave, UNIX_EPOCH - Duration::from_secs(7))
                .await
                .unwrap();
            let found = fs::metadata(&file).await.unwrap();
            assert_eq!(found.accessed().unwrap(), fraction);
            assert_eq!((found.mtime(), found.mtime_nsec()), (-7, 0));

            fs::set_times(&file, FileTime::Leave, FileTime::Now).await.unwrap();
            let age = fs::metadata(&file).await.unwrap().modified().unwrap().elapsed();
            assert!(age.unwrap_or_default() < Duration::from_secs(60));

            // The link itself.
            fs::set_symlink_times(&link, FileTime::Leave, before).await.unwrap();
            assert_eq!(fs::symlink_metadata(&link).await.unwrap().modified().unwrap(), before);
            assert_ne!(fs::metadata(&file).await.unwrap().modified().unwrap(), before);
        });
    });
}

// FS-14.
#[test]
fn a_copy_keeps_the_mode_and_truncates_a_longer_target() {
    bounded(|| {
        let dir = directory("copy");
        let (from, to) = (dir.join("from"), dir.join("to"));
        block_on(async {
            fs::write(&from, "short").await.unwrap();
            fs::set_permissions(&from, PermissionsExt::from_mode(0o640)).await.unwrap();
            for existing in [None, Some("something longer")] {
                if let Some(text) = existing {
                    fs::write(&to, text).await.unwrap();
                    fs::set_permissions(&to, PermissionsExt::from_mode(0o600)).await.unwrap();
                }
                assert_eq!(fs::copy(&from, &to).await.unwrap(), 5);
                assert_eq!(fs::read(&to).await.unwrap(), b"short");
                assert_eq!(fs::metadata(&to).await.unwrap().mode() & 0o777, 0o640);
            }
            let exclusive = fs::copy_new(&from, &to).await;
            check(exclusive, ErrorKind::AlreadyExists, "copy", &from);
            assert_eq!(fs::copy_new(&from, dir.join("new")).await.unwrap(), 5);
        });
    });
}

// FS-14.
#[test]
fn a_copy_onto_itself_leaves_the_file_intact_and_a_missing_source_leaves_no_target() {
    bounded(|| {
        let dir = directory("copy-itself");
        let file = dir.join("file");
        block_on(async {
            fs::write(&file, "intact").await.unwrap();
            fs::hard_link(&file, dir.join("hard")).await.unwrap();
            fs::symlink("file", dir.join("soft")).await.unwrap();
            for name in ["file", "hard", "soft"] {
                assert_eq!(fs::copy(&file, dir.join(name)).await.unwrap(), 6);
                assert_eq!(fs::read(&file).await.unwrap(), b"intact");
            }
            let missing = dir.join("missing");
            check(fs::copy(&missing, dir.join("to")).await, ErrorKind::NotFound, "copy", &missing);
            assert!(!fs::exists(dir.join("to")).await.unwrap());
            check(fs::copy(&dir, dir.join("to")).await, ErrorKind::InvalidInput, "copy", &dir);
            assert!(!fs::exists(dir.join("to")).await.unwrap());
        });
    });
}

// FS-14 and FS-21: jobs of 8 MiB, also when the size is a multiple of that.
#[test]
fn a_copy_that_is_cut_off_leaves_no_part_of_a_target_that_it_made() {
    bounded(|| {
        let dir = directory("copy-cut-off");
        let (from, to, before) = (dir.join("from"), dir.join("to"), dir.join("before"));
        std::fs::write(&from, noise(1, 64 << 20)).unwrap();
        std::fs::write(&before, "").unwrap();
        // Of eight steps in virtual time, one in each iteration, three are done.
        let cut_off = |pool: &Pool, cut: fn(&Pool)| {
            let event_loop = Loop::builder().pool(pool.clone()).virtual_time(true).build();
            event_loop.unwrap().run(|| {
                let copies = [&to, &before].map(|target| fs::copy(&from, target));
                for copy in copies {
                    copy.on_complete(|copied| assert!(copied.is_err()));
                }
                let pool = pool.clone();
                after_iterations(3, move || cut(&pool));
            });
            assert!(!to.exists(), "what was made is removed");
            assert_eq!(before.metadata().unwrap().len(), 24 << 20, "what was there is not");
        };
        let pool = Pool::new(1).unwrap();
        cut_off(&pool, |_| windlass::exit(0));
        cut_off(&pool, |pool| pool.shutdown(Duration::ZERO).unwrap());
    });
}

#[test]
fn a_big_copy_goes_in_steps() {
    const MIB: usize = 1024 * 1024;
    bounded(|| {
        let dir = directory("copy-big");
        let (from, to) = (dir.join("from"), dir.join("to"));
        block_on(async {
            for len in [8 * MIB, 16 * MIB + 3] {
                let bytes = noise(len as u64, len);
                fs::write(&from, bytes.clone()).await.unwrap();
                assert_eq!(fs::copy(&from, &to).await.unwrap(), len as u64);
                assert!(fs::read(&to).await.unwrap() == bytes);
            }
        });
    });
}

#[test]
fn directories_are_made_and_removed_with_all_that_is_in_them() {
    bounded(|| {
        let dir = directory("trees");
        block_on(async {
            let deep = dir.join("a/b/c");
            fs::create_dir_all(&deep).await.unwrap();
            fs::create_dir_all(&deep).await.unwrap();
            fs::write(deep.join("file"), "").await.unwrap();
            fs::create_dir(dir.join("kept")).await.unwrap();
            fs::symlink("../../../kept", deep.join("link")).await.unwrap();
            fs::remove_dir_all(dir.join("a")).await.unwrap();
            assert!(!fs::exists(dir.join("a")).await.unwrap());
            assert!(fs::exists(dir.join("kept")).await.unwrap());
            fs::remove_dir(dir.join("kept")).await.unwrap();
            fs::write(dir.join("cut"), "12345").await.unwrap();
            fs::truncate(dir.join("cut"), 3).await.unwrap();
            assert_eq!(fs::read(dir.join("cut")).await.unwrap(), b"123");
            fs::truncate(dir.join("cut"), 5).await.unwrap();
            assert_eq!(fs::read(dir.join("cut")).await.unwrap(), b"123\0\0");
        });
    });
}

// FS-18: none of these has to open the file, which would wait for the other end.
#[test]
fn nothing_that_asks_about_a_fifo_or_changes_it_waits_for_its_other_end() {
    bounded(|| {
        let dir = directory("fifo");
        let fifo = dir.join("fifo");
        let name = std::ffi::CString::new(fifo.as_os_str().as_bytes()).unwrap();
        // SAFETY: the name is a live string that ends in zero.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let one_thread = Loop::builder().pool(Pool::new(1).unwrap()).build().unwrap();
        one_thread.block_on(async {
            for len in [0, 5] {
                let refused = fs::truncate(&fifo, len).await;
                check(refused, ErrorKind::InvalidInput, "truncate", &fifo);
            }
            let refused = fs::copy(&fifo, dir.join("copy")).await;
            check(refused, ErrorKind::InvalidInput, "copy", &fifo);
            check(fs::read_dir(&fifo).await, ErrorKind::NotADirectory, "read_dir", &fifo);
            check(fs::remove_dir(&fifo).await, ErrorKind::NotADirectory, "rmdir", &fifo);
            check(fs::remove_dir_all(&fifo).await, ErrorKind::NotADirectory, "remove", &fifo);
            check(fs::read_link(&fifo).await, ErrorKind::InvalidInput, "readlink", &fifo);
            check(fs::create_dir_all(&fifo).await, ErrorKind::AlreadyExists, "mkdir", &fifo);
            assert!(fs::exists(&fifo).await.unwrap());
            assert!(!fs::metadata(&fifo).await.unwrap().is_file());
            assert!(!fs::symlink_metadata(&fifo).await.unwrap().is_file());
            fs::access(&fifo, Access::READ | Access::WRITE).await.unwrap();
            fs::set_permissions(&fifo, PermissionsExt::from_mode(0o640)).await.unwrap();
            fs::chown(&fifo, None, None).await.unwrap();
            fs::lchown(&fifo, None, None).await.unwrap();
            fs::set_times(&fifo, FileTime::Now, UNIX_EPOCH).await.unwrap();
            fs::set_symlink_times(&fifo, FileTime::Now, UNIX_EPOCH).await.unwrap();
            assert!(fs::canonicalize(&fifo).await.unwrap().ends_with("fifo"));
            fs::hard_link(&fifo, dir.join("second")).await.unwrap();
            fs::rename(dir.join("second"), dir.join("third")).await.unwrap();
            fs::remove_file(dir.join("third")).await.unwrap();
            fs::remove_dir_all(&dir).await.unwrap();
        });
    });
}

// FS-19.
#[test]
fn names_that_are_not_utf_8_round_trip_through_listing_stat_and_unlink() {
    bounded(|| {
        let dir = directory("bytes");
        let name = OsStr::from_bytes(b"not \xff utf-8");
        block_on(async {
            fs::write(dir.join(name), "found").await.unwrap();
            let batch = fs::read_dir(&dir).await.unwrap().next_batch().await.unwrap();
            assert_eq!(batch.len(), 1);
            assert_eq!(batch[0].file_name(), name);
            assert_eq!(fs::metadata(batch[0].path()).await.unwrap().len(), 5);
            fs::remove_file(batch[0].path()).await.unwrap();
            assert!(!fs::exists(dir.join(name)).await.unwrap());
        });
    });
}

// FS-01.
#[test]
fn an_argument_that_is_refused_completes_later_and_holds_nothing_after_that() {
    bounded(|| {
        let path = directory("refused").join("file");
        let log = Trace::new();
        let event_loop = Loop::new().unwrap();
        event_loop.run(|| {
            let log = log.clone();
            fs::File::create(&path).on_complete(move |file| {
                let said = log.clone();
                file.unwrap().read_vectored(&[]).on_complete(move |result| {
                    assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
                    said.say("refused");
                });
                log.say("asked");
            });
        });
        assert_eq!(log.lines(), ["asked", "refused"]);
        assert!(!event_loop.is_alive());
    });
}

// FS-20.
#[test]
fn ten_thousand_requests_of_several_kinds_all_complete_once() {
    bounded(|| {
        let dir = directory("many");
        std::fs::write(dir.join("file"), "x").unwrap();
        let log = std::rc::Rc::new(std::cell::Cell::new((0, 0, 0)));
        let inner = log.clone();
        run(|| {
            for _ in 0..3_334 {
                let [a, b, c] = [(); 3].map(|()| inner.clone());
                fs::read(dir.join("file")).on_complete(move |read| {
                    assert_eq!(read.unwrap(), b"x");
                    a.set((a.get().0 + 1, a.get().1, a.get().2));
                });
                fs::metadata(&dir)
                    .on_complete(move |_| b.set((b.get().0, b.get().1 + 1, b.get().2)));
                fs::exists(&dir).on_complete(move |_| c.set((c.get().0, c.get().1, c.get().2 + 1)));
            }
        });
        assert_eq!(log.get(), (3_334, 3_334, 3_334));
    });
}
