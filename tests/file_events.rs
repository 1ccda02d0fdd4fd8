//! What happens to files: `fs::watch`, `fs::watch_recursive` and `fs::watch_metadata`. FE-1 to FE-13.

mod common;

use std::cell::RefCell;
use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;

use common::*;
use windlass::fs::{
    Change, PathError, WatchEvent, Watcher, watch, watch_metadata, watch_recursive,
};
use windlass::{Loop, block_on, next_tick, run};

/// An event in words: `+` for what was made, moved or removed, `~` for what has changed.
fn words(event: &WatchEvent) -> String {
    let sign = if event.change == Change::Renamed { '+' } else { '~' };
    format!("{sign}{}", event.path.display())
}

/// The events up to the one that is `last` in words.
async fn up_to(watcher: &Watcher, last: &str) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let event = words(&watcher.next().await.expect("an event"));
        seen.push(event.clone());
        if event == last {
            return seen;
        }
    }
}

/// Touches the metadata of a file: one event for it.
fn touch(path: &Path) {
    let mode = fs::metadata(path).unwrap().permissions().mode();
    fs::set_permissions(path, fs::Permissions::from_mode(mode ^ 0o010)).unwrap();
}

/// The error of an operation that must fail.
#[track_caller]
fn error_of<T>(result: io::Result<T>) -> io::Error {
    match result {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error,
    }
}

/// FE-1.
#[test]
fn a_directory_tells_what_is_made_removed_renamed_and_changed_in_it() {
    let folder = directory("children");
    block_on(async {
        let watcher = watch(&folder).unwrap();
        fs::write(folder.join("a"), "text").unwrap();
        fs::rename(folder.join("a"), folder.join("b")).unwrap();
        fs::remove_file(folder.join("b")).unwrap();
        fs::create_dir(folder.join("c")).unwrap();
        assert_eq!(up_to(&watcher, "+c").await, ["+a", "~a", "+a", "+b", "+b", "+c"]);
        // Not what happens further down.
        fs::write(folder.join("c/deep"), "text").unwrap();
        touch(&folder.join("c"));
        assert_eq!(up_to(&watcher, "~c").await, ["~c"]);
        touch(&folder);
        assert_eq!(up_to(&watcher, "~").await, ["~"]);
    });
}

/// FE-2.
#[test]
fn a_file_tells_its_own_changes_only() {
    let folder = directory("own-changes");
    let file = folder.join("file");
    for name in ["file", "file2", "fil", "other"] {
        fs::write(folder.join(name), "text").unwrap();
    }
    block_on(async {
        let watcher = watch(&file).unwrap();
        for name in ["file2", "fil", "other"] {
            fs::write(folder.join(name), "more").unwrap();
            fs::remove_file(folder.join(name)).unwrap();
        }
        touch(&file);
        touch(&folder);
        fs::OpenOptions::new().append(true).open(&file).unwrap().set_len(1).unwrap();
        fs::remove_file(&file).unwrap();
        // The mode, the length, the number of its names, its end.
        assert_eq!(up_to(&watcher, "+").await, ["~", "~", "~", "+"]);
    });
}

/// FE-3.
#[test]
fn of_two_watchers_of_one_path_closing_one_does_not_silence_the_other() {
    let folder = directory("two-watchers");
    let link = folder.join("../two-watchers-link");
    fs::remove_file(&link).ok();
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    block_on(async {
        let watchers = [watch(&folder).unwrap(), watch(&folder).unwrap(), watch(&link).unwrap()];
        fs::write(folder.join("one"), "").unwrap();
        for watcher in &watchers {
            assert_eq!(up_to(watcher, "+one").await, ["+one"]);
        }
        let [first, second, third] = watchers;
        first.close();
        fs::write(folder.join("two"), "").unwrap();
        assert_eq!(up_to(&second, "+two").await, ["+two"]);
        drop(second);
        fs::write(folder.join("three"), "").unwrap();
        assert_eq!(up_to(&third, "+three").await, ["+two", "+three"]);
        // The kernel's watch has ended with its last watcher: a new one begins anew.
        third.close();
        let again = watch(&folder).unwrap();
        fs::write(folder.join("four"), "").unwrap();
        assert_eq!(up_to(&again, "+four").await, ["+four"]);
    });
}

/// FE-4.
#[test]
fn the_deleted_directory_is_told_once_and_its_watcher_still_closes() {
    let folder = directory("deleted");
    fs::create_dir(folder.join("top")).unwrap();
    for recursive in [false, true] {
        let trace = Trace::new();
        let event_loop = real_loop();
        event_loop.run(|| {
            fs::create_dir_all(folder.join("top/a/b")).unwrap();
            let top = folder.join("top");
            let watcher = if recursive { watch_recursive(&top) } else { watch(&top) }.unwrap();
            let (told, own) = (trace.clone(), watcher.clone());
            watcher.on_close(trace.clone().says("closed"));
            watcher.on_event(move |event| {
                let event = event.unwrap();
                told.say(words(&event));
                if event.path.as_os_str().is_empty() && event.change == Change::Renamed {
                    // The same name again is another directory.
                    fs::create_dir_all(folder_of(&own).join("a")).unwrap();
                    let own = own.clone();
                    after_iterations(5, move || own.close());
                }
            });
            fs::remove_dir_all(&top).unwrap();
        });
        let lines = trace.take();
        assert_eq!(lines.iter().filter(|line| *line == "+").count(), 1, "{lines:?}");
        assert_eq!(lines[lines.len() - 2..], ["+", "closed"], "{lines:?}");
        assert_eq!(lines.contains(&"+a/b".to_owned()), recursive, "{lines:?}");
    }
}

fn folder_of(watcher: &Watcher) -> PathBuf {
    watcher.path().to_owned()
}

/// FE-5.
#[test]
fn a_path_that_is_missing_or_empty_is_an_error_at_once_that_names_it() {
    block_on(async {
        for path in ["/no/such/thing", ""] {
            for result in [watch(path), watch_recursive(path)] {
                let error = error_of(result);
                assert_eq!(error.kind(), ErrorKind::NotFound, "{path}: {error}");
                let inner = PathError::of(&error).expect("the path");
                assert_eq!(inner.path(), Path::new(path));
            }
        }
        assert_eq!(error_of(watch("a\0b")).kind(), ErrorKind::InvalidInput);
        let event_loop = Loop::current();
        assert!(!event_loop.handles().iter().any(|handle| handle.kind.contains("file")));
    });
}

/// FE-6: also for a watcher whose watch is there already, with notices in the queue.
#[test]
fn nothing_that_happened_before_the_start_is_told() {
    let folder = directory("before");
    block_on(async {
        fs::write(folder.join("long-before"), "").unwrap();
        let first = watch(&folder).unwrap();
        fs::write(folder.join("before"), "").unwrap();
        let second = watch(&folder).unwrap();
        fs::write(folder.join("after"), "").unwrap();
        assert_eq!(up_to(&second, "+after").await, ["+after"]);
        assert_eq!(up_to(&first, "+after").await, ["+before", "+after"]);
    });
}

#[test]
fn a_watcher_begins_also_while_others_write_faster_than_the_queue_is_read() {
    const ROUNDS: usize = 10_000_000; // Many times what the queue holds.
    let (flooded, calm) = (directory("flooded"), directory("calm"));
    let stop = Arc::new(AtomicBool::new(false));
    let (begun, has_begun) = mpsc::channel();
    let writers = [0, 1, 2].map(|number| {
        let (folder, stop, begun) = (flooded.clone(), stop.clone(), begun.clone());
        thread::spawn(move || {
            // Two files in turn, or the kernel would merge the notices.
            let names = ["a", "b"].map(|name| folder.join(format!("{name}{number}")));
            let files = names.map(|path| fs::File::create(path).unwrap());
            begun.send(()).unwrap();
            let rounds = (0..ROUNDS).take_while(|_| !stop.load(Relaxed));
            rounds.for_each(|round| files[round % 2].write_all_at(b"x", 0).unwrap());
        })
    });
    run(|| {
        // Many are told of each notice, so that reading is slow.
        let told = [(); 16].map(|()| watch(&flooded).unwrap());
        has_begun.iter().take(writers.len()).for_each(drop);
        (0..6).for_each(|_| watch(&calm).unwrap().close());
        told.iter().for_each(Watcher::close);
    });
    assert!(writers.iter().all(|writer| !writer.is_finished()), "they were waited for");
    stop.store(true, Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

/// FE-7.
#[test]
fn a_watcher_closed_with_events_pending_or_in_its_callback_is_called_no_more() {
    let folder = directory("closing");
    for in_callback in [false, true] {
        let (trace, freed) = (Trace::new(), Counter::new());
        run(|| {
            let watcher = watch(&folder).unwrap();
            let (own, told, captured) = (watcher.clone(), trace.clone(), freed.on_drop());
            watcher.on_event(move |event| {
                captured.touch();
                told.say(words(&event.unwrap()));
                own.close();
                own.close();
            });
            watcher.on_close(trace.clone().says("closed"));
            for name in ["a", "b", "c"] {
                fs::write(folder.join(name), "").unwrap();
                fs::remove_file(folder.join(name)).unwrap();
            }
            if !in_callback {
                windlass::set_immediate(move || watcher.close());
            }
        });
        assert_eq!(freed.get(), 1);
        let expected: &[&str] = if in_callback { &["+a", "closed"] } else { &["closed"] };
        let lines = trace.take();
        // The events may have been told before the immediate.
        assert!(lines == expected || lines == ["+a", "closed"], "{lines:?}");
    }
}

/// FE-8.
#[test]
fn the_path_is_what_was_given() {
    let folder = directory("as-given");
    block_on(async {
        let odd = format!("{}/../as-given/./", folder.display());
        let watcher = watch_recursive(&odd).unwrap();
        assert_eq!(watcher.path().as_os_str(), &*odd);
        watcher.close();
        assert_eq!(watcher.path().as_os_str(), &*odd);
    });
}

/// FE-9.
#[test]
fn a_file_that_is_replaced_by_a_rename_is_told_and_its_watcher_follows_the_old_one() {
    let folder = directory("replaced");
    let (file, new) = (folder.join("file"), folder.join("new"));
    block_on(async {
        fs::write(&file, "old").unwrap();
        fs::write(&new, "new").unwrap();
        let old = fs::File::open(&file).unwrap();
        let watcher = watch(&file).unwrap();
        fs::rename(&new, &file).unwrap();
        assert_eq!(words(&watcher.next().await.unwrap()), "~", "it has no name any more");
        fs::write(&file, "newer").unwrap();
        let again = watch(&file).unwrap();
        fs::write(&file, "newest").unwrap();
        assert_eq!(words(&again.next().await.unwrap()), "~");
        drop(old);
        assert_eq!(up_to(&watcher, "+").await, ["+"], "nothing of the new file");
        again.close();
        watcher.close();
    });
}

/// FE-10.
#[test]
fn a_burst_is_told_event_by_event_in_order() {
    let folder = directory("burst");
    block_on(async {
        let watcher = watch(&folder).unwrap();
        // Names of all lengths, so that notices end everywhere in the buffer.
        let names: Vec<_> = (0..3_000).map(|n| format!("{n}-{}", "x".repeat(n % 200))).collect();
        for name in &names {
            fs::File::create(folder.join(name)).unwrap();
        }
        for name in &names {
            assert_eq!(words(&watcher.next().await.unwrap()), format!("+{name}"));
        }
    });
}

#[test]
fn events_wait_for_a_callback_that_comes_later_and_other_handles_are_served_between_them() {
    let folder = directory("later-callback");
    let (trace, count) = (Trace::new(), Counter::new());
    run(|| {
        let watcher = watch(&folder).unwrap();
        for n in 0..200 {
            fs::File::create(folder.join(n.to_string())).unwrap();
        }
        let (told, immediates) = (trace.clone(), trace.clone());
        after_iterations(4, move || {
            let own = watcher.clone();
            watcher.on_event(move |event| {
                event.unwrap();
                next_tick(told.says("tick"));
                if count.add() == 200 {
                    told.say("all");
                    own.close();
                }
            });
            let idle = windlass::handle::Check::start(immediates.says("check"));
            idle.unref();
        });
    });
    let lines = trace.take();
    assert_eq!(lines.iter().filter(|line| *line == "tick").count(), 200);
    let at = |word: &str| lines.iter().position(|line| line == word).unwrap();
    let checks = lines[..at("all")].iter().filter(|line| *line == "check").count();
    assert!(checks >= 3, "at most 64 in one iteration: {checks}");
}

#[test]
fn an_overflow_of_the_kernels_queue_is_an_error_and_the_watcher_goes_on() {
    let folder = directory("overflow");
    let max = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let max: usize = max.trim().parse().unwrap();
    if max > 100_000 {
        return; // It would take too long here.
    }
    let (a, b) = (folder.join("a"), folder.join("b"));
    fs::write(&a, "").unwrap();
    fs::write(&b, "").unwrap();
    block_on(async {
        let watcher = watch(&folder).unwrap();
        let tree = watch_recursive(&folder).unwrap();
        for _ in 0..max / 2 + 1 {
            touch(&a);
            touch(&b);
        }
        // Nobody can tell the tree of it.
        fs::create_dir(folder.join("unheard")).unwrap();
        let mut told = 0;
        let error = loop {
            match watcher.next().await {
                Ok(_) => told += 1,
                Err(error) => break error,
            }
        };
        assert!(told > 0 && told <= max, "{told} of {max}");
        assert_eq!(error.kind(), ErrorKind::Other);
        assert!(error.source().unwrap().to_string().contains("overflow"), "{error}");
        touch(&folder.join("unheard"));
        assert_eq!(words(&watcher.next().await.unwrap()), "~unheard");
        while tree.next().await.is_ok() {}
        fs::write(folder.join("unheard/of"), "").unwrap();
        assert_eq!(up_to(&tree, "+unheard/of").await, ["+unheard/of"]);
    });
}

#[test]
fn a_watcher_that_nobody_reads_keeps_a_limited_number_of_events_and_says_so() {
    let folder = directory("unread");
    let (a, b) = (folder.join("a"), folder.join("b"));
    fs::write(&a, "").unwrap();
    fs::write(&b, "").unwrap();
    block_on(async {
        let watcher = watch(&folder).unwrap();
        for _ in 0..20 {
            for _ in 0..500 {
                touch(&a);
                touch(&b);
            }
            iterations(3).await;
        }
        let mut told = 0;
        while watcher.next().await.is_ok() {
            told += 1;
        }
        assert_eq!(told, 16_384);
        touch(&a);
        assert_eq!(words(&watcher.next().await.unwrap()), "~a");
    });
}

#[test]
fn a_recursive_watcher_tells_of_all_levels_and_of_directories_that_come_later() {
    let folder = directory("tree");
    fs::create_dir_all(folder.join("a/b")).unwrap();
    block_on(async {
        let watcher = watch_recursive(&folder).unwrap();
        fs::write(folder.join("a/b/deep"), "").unwrap();
        assert_eq!(up_to(&watcher, "+a/b/deep").await, ["+a/b/deep"]);
        // What is made before the loop hears of the first directory.
        fs::create_dir_all(folder.join("x/y/z")).unwrap();
        fs::write(folder.join("x/y/z/file"), "").unwrap();
        fs::write(folder.join("x/other"), "").unwrap();
        let mut seen = up_to(&watcher, "+x/y/z/file").await;
        for path in ["+x", "+x/y", "+x/y/z", "+x/other"] {
            if !seen.contains(&path.to_owned()) {
                seen.extend(up_to(&watcher, path).await);
            }
        }
        iterations(5).await;
        fs::write(folder.join("x/y/z/file"), "more").unwrap();
        assert!(up_to(&watcher, "~x/y/z/file").await.len() < 10);
        // A change of a directory is told once, though two watches see it.
        touch(&folder.join("x/y"));
        touch(&folder.join("x/other"));
        let seen = up_to(&watcher, "~x/other").await;
        assert_eq!(seen.iter().filter(|event| *event == "~x/y").count(), 1, "{seen:?}");
    });
}

#[test]
fn trees_that_move_are_watched_where_they_are() {
    let folder = directory("moves");
    let outside = directory("moves-outside");
    fs::create_dir_all(folder.join("a/b")).unwrap();
    fs::create_dir_all(outside.join("c/d")).unwrap();
    fs::write(outside.join("c/d/file"), "").unwrap();
    block_on(async {
        let watcher = watch_recursive(&folder).unwrap();
        // Within the tree.
        fs::rename(folder.join("a"), folder.join("moved")).unwrap();
        let seen = up_to(&watcher, "+moved/b").await;
        assert_eq!(seen, ["+a", "+moved", "+moved/b"]);
        fs::write(folder.join("moved/b/one"), "").unwrap();
        assert_eq!(up_to(&watcher, "+moved/b/one").await, ["+moved/b/one"]);
        // Into it.
        fs::rename(outside.join("c"), folder.join("c")).unwrap();
        assert_eq!(up_to(&watcher, "+c/d/file").await, ["+c", "+c/d", "+c/d/file"]);
        fs::write(folder.join("c/d/two"), "").unwrap();
        assert_eq!(up_to(&watcher, "+c/d/two").await, ["+c/d/two"]);
        // Out of it.
        fs::rename(folder.join("c"), outside.join("c")).unwrap();
        assert_eq!(up_to(&watcher, "+c").await, ["+c"]);
        fs::write(outside.join("c/d/three"), "").unwrap();
        fs::write(folder.join("moved/b/four"), "").unwrap();
        assert_eq!(up_to(&watcher, "+moved/b/four").await, ["+moved/b/four"]);
        // Back and forth before the loop hears of it, and another one at the old place.
        fs::rename(folder.join("moved"), folder.join("a")).unwrap();
        fs::create_dir(folder.join("moved")).unwrap();
        fs::rename(folder.join("a/b"), folder.join("moved/b")).unwrap();
        iterations(5).await;
        fs::write(folder.join("moved/b/five"), "").unwrap();
        up_to(&watcher, "+moved/b/five").await;
        fs::remove_dir_all(folder.join("moved")).unwrap();
        let seen = up_to(&watcher, "+moved").await;
        assert!(seen.contains(&"+moved/b/five".to_owned()), "{seen:?}");
        fs::create_dir_all(folder.join("moved/b")).unwrap();
        let seen = up_to(&watcher, "+moved/b").await;
        assert_eq!(seen, ["+moved", "+moved/b"]);
    });
}

#[test]
fn links_below_the_top_are_not_followed() {
    let folder = directory("links");
    let outside = directory("links-outside");
    std::os::unix::fs::symlink(&outside, folder.join("before")).unwrap();
    std::os::unix::fs::symlink("..", folder.join("round")).unwrap();
    block_on(async {
        let watcher = watch_recursive(&folder).unwrap();
        std::os::unix::fs::symlink(&outside, folder.join("after")).unwrap();
        assert_eq!(up_to(&watcher, "+after").await, ["+after"]);
        fs::write(outside.join("file"), "").unwrap();
        fs::write(folder.join("file"), "").unwrap();
        assert_eq!(up_to(&watcher, "+file").await, ["+file"]);
    });
}

#[test]
fn the_moved_top_is_told_and_a_recursive_watcher_then_tells_nothing() {
    let folder = directory("moved-top");
    fs::create_dir_all(folder.join("top/a")).unwrap();
    block_on(async {
        let tree = watch_recursive(folder.join("top")).unwrap();
        let alone = watch(folder.join("top")).unwrap();
        fs::rename(folder.join("top"), folder.join("elsewhere")).unwrap();
        assert_eq!(up_to(&tree, "+").await, ["+"]);
        fs::write(folder.join("elsewhere/a/file"), "").unwrap();
        fs::write(folder.join("elsewhere/file"), "").unwrap();
        assert_eq!(up_to(&alone, "+file").await, ["+", "+file"], "it follows the directory");
        let mut waits = std::pin::pin!(tree.next());
        iterations(3).await;
        let (waker, _) = Wakes::new();
        assert!(poll_once(waits.as_mut(), &waker).is_pending());
    });
}

#[test]
fn a_task_that_waits_and_a_callback_hold_the_loop_and_a_watcher_alone_does_not() {
    let folder = directory("liveness");
    run(|| {
        let watcher = watch(&folder).unwrap();
        windlass::set_immediate(move || drop(watcher));
    });
    let event_loop = real_loop();
    event_loop.run(|| {
        let watcher = watch(&folder).unwrap();
        assert!(!Loop::current().is_alive());
        let (waker, _) = Wakes::new();
        {
            let mut next = std::pin::pin!(watcher.next());
            assert!(poll_once(next.as_mut(), &waker).is_pending());
            assert!(Loop::current().is_alive());
        }
        assert!(!Loop::current().is_alive(), "dropping the future gives up");
        watcher.on_event(|_| {});
        assert!(Loop::current().is_alive());
        assert_eq!(Loop::current().why_alive()[0].kind, "file watcher");
        assert!(!watcher.unref().has_ref());
    });
    drop(event_loop);
}

#[test]
fn a_task_hears_of_the_close_and_of_the_end_of_the_loop() {
    let folder = directory("ends");
    let outlives = Rc::new(RefCell::new(None));
    let errors = Rc::new(RefCell::new(Vec::new()));
    run(|| {
        let closed = watch(&folder).unwrap();
        let kept = watch(&folder).unwrap();
        for watcher in [&closed, &kept] {
            let (watcher, errors) = (watcher.clone(), errors.clone());
            windlass::spawn(async move {
                let error = watcher.next().await.unwrap_err();
                errors.borrow_mut().push(error.kind());
            });
        }
        outlives.replace(Some(kept.clone()));
        windlass::set_immediate(move || {
            closed.close();
            kept.unref();
        });
    });
    let watcher = outlives.take().unwrap();
    assert_eq!(errors.borrow()[0], ErrorKind::InvalidInput);
    assert!(watcher.is_closing());
    watcher.on_event(|_| unreachable!("the loop has ended"));
    watcher.close();
}

#[test]
fn a_panic_in_a_callback_loses_no_event() {
    let folder = directory("panics");
    let trace = Trace::new();
    let event_loop = real_loop();
    event_loop.run(|| {
        let hooked = trace.clone();
        windlass::on_uncaught(move |uncaught| hooked.say(uncaught.message()));
        let watcher = watch(&folder).unwrap();
        let (own, told) = (watcher.clone(), trace.clone());
        watcher.on_event(move |event| {
            let event = words(&event.unwrap());
            told.say(&event);
            match &*event {
                "+a" => panic!("a callback"),
                "+b" => own.close(),
                _ => {}
            }
        });
        fs::File::create(folder.join("a")).unwrap();
        fs::File::create(folder.join("b")).unwrap();
    });
    trace.expect(&["+a", "a callback", "+b"]);
}

/// Puts a file with this content at a path, in one step.
fn replace(path: &Path, content: &str) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

/// FE-11.
#[test]
fn metadata_are_told_when_missing_when_they_come_at_each_change_and_when_they_go() {
    let folder = directory("metadata");
    let path = folder.join("file");
    let trace = Trace::new();
    run(|| {
        let watcher = watch_metadata(&path, ms(1));
        let (own, told, path) = (watcher.clone(), trace.clone(), path.clone());
        watcher.on_change(move |previous, current| match (previous, current) {
            (Err(previous), Err(current)) => {
                assert!(std::ptr::eq(previous, current));
                assert_eq!(current.kind(), ErrorKind::NotFound);
                told.say("missing");
                // Some looks find the same, and are not told.
                let path = path.clone();
                windlass::set_timeout(ms(20), move || replace(&path, "1"));
            }
            (Err(_), Ok(current)) => {
                told.say(format!("came with {}", current.len()));
                replace(&path, "1234");
            }
            (Ok(previous), Ok(current)) => {
                told.say(format!("from {} to {}", previous.len(), current.len()));
                fs::remove_file(&path).unwrap();
            }
            (Ok(_), Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::NotFound);
                told.say("gone");
                own.close();
            }
        });
    });
    trace.expect(&["missing", "came with 1", "from 1 to 4", "gone"]);
}

/// FE-12.
#[test]
fn a_metadata_watcher_closed_before_its_first_look_is_not_called() {
    let (trace, freed) = (Trace::new(), Counter::new());
    run(|| {
        for _ in 0..10 {
            let watcher = watch_metadata("/no/such/thing", ms(1));
            let (told, captured) = (trace.clone(), freed.on_drop());
            watcher.on_change(move |_, _| {
                captured.touch();
                told.say("called");
            });
            watcher.on_close(trace.clone().says("closed"));
            windlass::queue_microtask(move || watcher.close());
        }
    });
    assert_eq!((trace.count("closed"), trace.take().len(), freed.get()), (10, 10, 10));
}

/// FE-13.
#[test]
fn a_metadata_watcher_has_one_look_under_way_and_unreferenced_does_not_hold_the_loop() {
    let pool = windlass::Pool::new(1).unwrap();
    let event_loop = loop_on(&pool);
    event_loop.run(|| {
        // The only thread is kept until many intervals have passed.
        let (job, release) = block_a_thread();
        drop(job);
        let watcher = watch_metadata("Cargo.toml", ms(1));
        watcher.on_change(|_, _| unreachable!("nobody changes it"));
        let pool = pool.clone();
        windlass::set_timeout(ms(50), move || {
            assert_eq!(pool.metrics().queued, 1);
            drop(release);
            watcher.unref();
        });
    });
    assert!(!event_loop.is_alive());
    event_loop.run(|| drop(watch_metadata("Cargo.toml", ms(1))));
}

#[test]
fn in_virtual_time_metadata_are_looked_at_once_an_interval() {
    let folder = directory("virtual");
    let path = folder.join("file");
    fs::write(&path, "").unwrap();
    let trace = Trace::new();
    virtual_loop().run(|| {
        let watcher = watch_metadata(&path, HOUR);
        let (own, told, begin) = (watcher.clone(), trace.clone(), windlass::now());
        watcher.on_change(move |_, _| {
            told.say((windlass::now() - begin).as_secs() / 3600);
            own.close();
        });
        let path = path.clone();
        windlass::set_timeout(HOUR * 5 / 2, move || touch(&path));
    });
    trace.expect(&["3"]);
}
