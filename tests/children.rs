//! Child processes. C-1 to C-20.
#![allow(unsafe_code)] // Masks, dispositions and descriptors of this process, for which std has no words.

mod common;

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::future::Future;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::rc::Rc;
use std::task::Context;
use std::thread;

use common::*;
use windlass::net::{self, TcpListener, TcpStream, UdpSocket};
use windlass::process::{Child, Command, Stdio};
use windlass::stream::Readable;
use windlass::worker::Worker;
use windlass::{Loop, block_on, next_tick, run, spawn};

/// A script for the shell.
fn sh(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script);
    command
}

/// What a script writes. It must succeed and write nothing of errors.
async fn said(command: &mut Command) -> String {
    let output = command.output().await.expect("the program starts");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    text(&output.stdout).to_owned()
}

/// The state of a process, as a character; none once it is gone.
fn state_of(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Reads what a child writes to its end.
async fn read_all(reader: &impl Readable) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match reader.read(&mut buffer).await.expect("a read") {
            0 => return all,
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

/// C-1.
#[test]
fn the_exit_code_and_the_signal_are_told_once_and_later() {
    let trace = Trace::new();
    run(|| {
        for (script, name) in [("exit 0", "zero"), ("exit 7", "seven"), ("kill -9 $$", "killed")] {
            let told = trace.clone();
            sh(script).spawn().unwrap().on_exit(move |status| {
                told.say(format!("{name}: {:?} {:?}", status.code(), status.signal()));
                next_tick(told.says("tick"));
            });
        }
        trace.say("main");
    });
    let lines = trace.take();
    assert_eq!((lines.len(), &*lines[0]), (7, "main"));
    for line in ["zero: Some(0) None", "seven: Some(7) None", "killed: None Some(9)"] {
        let at = lines.iter().position(|one| one == line).expect(line);
        assert_eq!(lines[at + 1], "tick", "the drain follows");
    }
}

/// C-2.
#[test]
fn what_cannot_be_started_is_an_error_at_once_and_leaves_nothing() {
    let folder = directory("unstartable");
    let forbidden = folder.join("forbidden");
    fs::write(&forbidden, "#!/bin/sh\n").unwrap();
    block_on(async {
        let mut cases = [
            (Command::new("/no/such/program"), ErrorKind::NotFound),
            (Command::new("no-such-program-on-the-path"), ErrorKind::NotFound),
            (Command::new(&forbidden), ErrorKind::PermissionDenied),
            (Command::new("true"), ErrorKind::NotFound),
            (Command::new("a\0b"), ErrorKind::InvalidInput),
            (Command::new("true"), ErrorKind::InvalidInput),
        ];
        cases[3].0.current_dir("/no/such/directory");
        cases[5].0.fd(2, Stdio::null());
        for (command, kind) in &mut cases {
            let error = command.spawn().map(|child| child.id()).unwrap_err();
            assert_eq!(error.kind(), *kind, "{command:?}: {error}");
            assert!(!Loop::current().handles().iter().any(|handle| handle.kind == "child process"));
            // As requests they fail later.
            assert_eq!(command.output().await.unwrap_err().kind(), *kind);
            assert_eq!(command.status().await.unwrap_err().kind(), *kind);
        }
        let error = Command::new("/no/such/program").spawn().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "as the system gave it");
    });
}

#[test]
fn a_child_that_cannot_be_watched_is_an_error_and_no_zombie() {
    const PART: &str = "WINDLASS_CHILDREN_PART";
    if std::env::var(PART).is_err() {
        // In a process of its own, without other children.
        let name = "a_child_that_cannot_be_watched_is_an_error_and_no_zombie";
        assert!(test_as_a_process(name).env(PART, "").status().unwrap().success());
        return;
    }
    // The loop of a worker has no poller yet, which takes two. One is for the child.
    run(|| {
        let worker = Worker::<(), ()>::spawn(|_port| {
            let few = FewDescriptors::new(2);
            let error = Command::new("true").spawn().map(|child| child.id()).unwrap_err();
            drop(few);
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
            // SAFETY: a call that may be given no place for the status.
            assert_eq!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) }, -1);
            assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::ECHILD));
        });
        worker.unwrap().on_exit(|code| assert_eq!(code, 0));
    });
}

/// C-3.
#[test]
fn a_hundred_children_that_end_at_one_moment_are_all_told() {
    let ended = Counter::new();
    run(|| {
        let (gate, writer) = io::pipe().unwrap();
        let gate = OwnedFd::from(gate);
        for _ in 0..100 {
            let mut command = sh("read line; exit 3");
            let child = command.stdin(gate.try_clone().unwrap()).spawn().unwrap();
            let count = ended.clone();
            child.on_exit(move |status| {
                assert_eq!(status.code(), Some(3));
                count.add();
            });
        }
        drop(gate);
        drop(writer); // The end of the input of all.
    });
    assert_eq!(ended.get(), 100);
}

/// C-4.
#[test]
fn every_descriptor_arrives_where_it_was_asked_for() {
    let folder = directory("slots");
    let path = folder.join("file");
    fs::write(&path, "from a file").unwrap();
    block_on(async {
        // Nothing.
        let mut nothing = sh("cat; test -c /dev/fd/0 && echo null");
        assert_eq!(said(nothing.stdin(Stdio::null())).await, "null\n");
        assert!(
            sh("cat").stdin(Stdio::null()).stdout(Stdio::null()).status().await.unwrap().success()
        );
        // A file, a pipe of our own, and high numbers, in an order that would overwrite one another.
        let file = File::open(&path).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let mut own = sh("cat; cat <&9; cat <&3; echo end >&7");
        own.stdin(file.try_clone().unwrap()).fd(9, reader).fd(7, Stdio::null());
        let socket = UnixStream::pair().unwrap();
        own.fd(3, OwnedFd::from(socket.0));
        io::Write::write_all(&mut &socket.1, b", from a socket").unwrap();
        socket.1.shutdown(std::net::Shutdown::Write).unwrap();
        io::Write::write_all(&mut &writer, b", from a pipe").unwrap();
        drop(writer);
        assert_eq!(said(&mut own).await, "from a file, from a pipe, from a socket");
        // One that this process has by a number that the child is to have as another one.
        let high = File::open(&path).unwrap().into_raw_fd();
        let mut inherits = sh(&format!("cat /proc/self/fd/{high}"));
        assert_eq!(said(inherits.fd(high, Stdio::inherit())).await, "from a file");
        // SAFETY: it was taken out of its owner above, and nobody else has it.
        drop(unsafe { OwnedFd::from_raw_fd(high) });
        let error = sh("true").fd(high, Stdio::inherit()).spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "it is not open: {error}");
    });
}

/// The child of the next test: echoes, on each of these descriptors to its end.
#[test]
fn a_program_that_echoes_on_its_descriptors() {
    let Ok(numbers) = std::env::var("ECHO_ON") else { return };
    for number in numbers.split(' ') {
        // SAFETY: the one who started this program has given it such a descriptor, and nobody else
        // here uses it.
        let mut stream = unsafe { UnixStream::from_raw_fd(number.parse().unwrap()) };
        io::copy(&mut stream.try_clone().unwrap(), &mut stream).unwrap();
    }
}

/// C-4: a socket of our own for each of several numbers, which goes both ways.
#[test]
fn further_descriptors_can_be_sockets_that_both_sides_read_and_write() {
    block_on(async {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["a_program_that_echoes_on_its_descriptors", "--exact"]);
        command.env("ECHO_ON", "3 4 10").stdout(Stdio::null());
        for number in [10, 3, 4] {
            command.fd(number, Stdio::piped());
        }
        let child = command.spawn().unwrap();
        assert!(child.take_fd(5).is_none() && child.take_fd(0).is_none(), "not asked for");
        for number in [3, 4, 10] {
            let end = child.take_fd(number).expect("it was asked for");
            assert!(child.take_fd(number).is_none(), "once");
            // More than both directions hold, and each ends on its own.
            let bytes: Vec<u8> = (0..1 << 20).map(|at| (at ^ at >> 8 ^ number) as u8).collect();
            drop((end.write(&bytes), end.shutdown()));
            assert!(read_all(&end).await == bytes);
        }
        assert!(child.wait().await.unwrap().success());
    });
}

/// C-4, C-6, C-7: such a socket waits in the child, and the child has none of our ends.
#[test]
fn a_socket_of_a_child_waits_there_and_ends_with_the_child() {
    block_on(async {
        let mut command = sh("grep flags /proc/self/fdinfo/3 >&3; exec ls /proc/self/fd >&3");
        let child = command.fd(3, Stdio::piped()).fd(7, Stdio::piped()).spawn().unwrap();
        let said = read_all(&child.take_fd(3).unwrap()).await;
        // Reading and writing, and neither O_NONBLOCK nor anything else; `ls` has one more open.
        let lines: Vec<_> = text(&said).split_whitespace().collect();
        assert_eq!(lines[0], "flags:");
        let flags = i32::from_str_radix(lines[1], 8).unwrap();
        assert_eq!(flags & libc::O_NONBLOCK, 0, "it waits in its calls");
        assert_eq!(lines[2..], ["0", "1", "2", "3", "4", "7"]);
        assert!(child.wait().await.unwrap().success());
    });
}

/// Nobody can take the end of a child that is a request, so it must not wait for one for ever.
#[test]
fn a_request_closes_the_ends_of_further_sockets_at_once() {
    block_on(async {
        let mut command = sh("cat <&3; echo the end");
        assert_eq!(said(command.fd(3, Stdio::piped())).await, "the end\n");
        assert!(sh("cat <&3").fd(3, Stdio::piped()).status().await.unwrap().success());
    });
}

#[test]
fn a_status_closes_the_ends_of_pipes_at_once_so_that_the_child_waits_for_no_reader() {
    bounded(|| {
        block_on(async {
            // More than a pipe holds. Each program ends with the pipe that it writes to.
            let fill = "head -c 999999 /dev/zero; head -c 999999 /dev/zero >&2; exit 3";
            let mut command = sh(fill);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            assert_eq!(command.status().await.unwrap().code(), Some(3));
        });
    });
}

/// Children whose sockets nobody takes leave none open here.
#[test]
fn ends_that_nobody_takes_are_closed_with_the_last_child() {
    block_on(async {
        let mut command = sh("cat <&3");
        command.fd(3, Stdio::piped());
        let child = command.spawn().unwrap();
        let waits = child.clone();
        let ended = spawn(async move { waits.wait().await });
        let clone = child.clone();
        drop(child);
        iterations(3).await;
        assert_eq!(clone.try_status(), None, "a clone can still take it");
        drop(clone.take_fd(3));
        assert!(ended.await.unwrap().unwrap().success());
    });
}

/// C-5.
#[test]
fn stdout_and_stderr_can_be_swapped_and_can_be_one_file() {
    let folder = directory("swap");
    let path = folder.join("both");
    block_on(async {
        let (out, err) = (io::pipe().unwrap(), io::pipe().unwrap());
        let mut command = sh("echo out; echo err >&2");
        let child = command.stdout(err.1).stderr(out.1).spawn().unwrap();
        drop(command);
        assert!(child.wait().await.unwrap().success());
        let text_of = |mut reader: io::PipeReader| {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!((text_of(out.0), text_of(err.0)), ("err\n".into(), "out\n".into()));
        let file = File::create(&path).unwrap();
        let mut command = sh("echo out; echo err >&2; echo out");
        command.stdout(file.try_clone().unwrap()).stderr(file);
        assert!(command.status().await.unwrap().success());
        assert_eq!(fs::read_to_string(&path).unwrap(), "out\nerr\nout\n");
    });
}

/// C-6: also not one that somebody opened without close-on-exec.
#[test]
fn no_descriptor_that_was_not_asked_for_reaches_the_child() {
    block_on(async {
        let kept = File::open("/dev/null").unwrap();
        // SAFETY: duplicates an open descriptor; the copy is owned right away.
        let leaky = unsafe { OwnedFd::from_raw_fd(libc::dup(kept.as_raw_fd())) };
        assert_eq!(descriptor_flags(leaky.as_raw_fd()), (false, false));
        // `ls` has one more open, of the directory that it lists; the shell is replaced by it.
        let mut list = sh("exec ls /proc/self/fd");
        assert_eq!(said(&mut list).await, "0\n1\n2\n3\n");
        let (reader, _writer) = io::pipe().unwrap();
        assert_eq!(said(list.fd(5, reader)).await, "0\n1\n2\n3\n5\n");
        assert_eq!(descriptor_flags(leaky.as_raw_fd()), (false, false), "here it is as it was");
    });
}

/// C-7.
#[test]
fn the_childs_standard_streams_wait_also_where_ours_do_not() {
    block_on(async {
        let script = "for n in 0 1 2; do grep flags /proc/self/fdinfo/$n; done 2>&1 | cat";
        let (theirs, ours) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        ours.set_nonblocking(true).unwrap();
        for stdin in [Stdio::piped(), OwnedFd::from(theirs).into()] {
            let mut command = sh(script);
            let child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
            let child = child.spawn().unwrap();
            let output = read_all(&child.take_stdout().unwrap()).await;
            let output = text(&output);
            assert_eq!(output.lines().count(), 3, "{output}");
            for line in output.lines() {
                let flags = line.rsplit_once('\t').unwrap().1;
                let flags = i32::from_str_radix(flags, 8).unwrap();
                assert_eq!(flags & libc::O_NONBLOCK, 0, "{output}");
            }
            child.wait().await.unwrap();
        }
    });
}

/// C-7 has the child clear a flag of the open file that it shares with us.
#[test]
fn a_child_that_has_a_connection_for_its_input_does_not_make_the_loop_wait() {
    /// Starts a child with a copy of a socket, and waits for its end.
    async fn share(socket: &impl AsRawFd) {
        // SAFETY: duplicates an open descriptor; the copy is owned right away.
        let copy = unsafe { OwnedFd::from_raw_fd(libc::dup(socket.as_raw_fd())) };
        assert!(Command::new("true").stdin(copy).status().await.unwrap().success());
        assert!(!descriptor_flags(socket.as_raw_fd()).0, "the child expects it so");
    }
    fn would_block<T: std::fmt::Debug>(result: io::Result<T>) {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    macro_rules! check {
        ($ours:ident, $theirs:ident) => {
            share(&$ours).await;
            $theirs.write(b"hello").await.unwrap();
            assert_eq!($ours.read(&mut [0; 5]).await.unwrap(), 5);
            would_block($ours.try_read(&mut [0; 5]));
            let mut peek = std::pin::pin!(std::future::poll_fn(|cx| $ours.poll_peek(cx, &mut [0])));
            let (waker, _) = Wakes::new();
            assert!(peek.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            while $ours.try_write(&[0; 4096]).is_ok() {}
            would_block($ours.try_write(&[0; 4096]));
            let queued = $ours.write_vectored(&[io::IoSlice::new(b"more"), io::IoSlice::new(b"!")]);
            assert!($ours.write_queue_size() > 0);
            drop(queued);
        };
    }
    bounded(|| {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let theirs = listener.accept().await.unwrap();
            check!(ours, theirs);
            ours.close();
            let (ours, theirs) = net::UnixStream::pair().unwrap();
            check!(ours, theirs);
            ours.close();
            let (ours, theirs) = (loopback(), loopback());
            share(&ours).await;
            theirs.send_to(b"hello", ours.local_addr().unwrap()).await.unwrap();
            let mut buffer = [0; 8];
            assert_eq!(ours.recv_from(&mut buffer).await.unwrap().0, 5);
            let mut next = std::pin::pin!(ours.recv_from(&mut buffer));
            let (waker, _) = Wakes::new();
            assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        });
    });
}

fn loopback() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

/// Does something in a directory tree without `/dev`, as a server that has changed its root sees it.
fn without_devices(name: &str, f: impl FnOnce() + Send + 'static) {
    let root = directory(name);
    let path = std::ffi::CString::new(root.to_str().unwrap()).unwrap();
    bounded(move || {
        // SAFETY: the path lives across the call. This thread gets a root directory of its own, and ends
        // with the test.
        let changed =
            unsafe { libc::unshare(libc::CLONE_FS) == 0 && libc::chroot(path.as_ptr()) == 0 };
        if !changed {
            // Only root may.
            return eprintln!(
                "the root directory cannot be changed: {}",
                io::Error::last_os_error()
            );
        }
        assert!(File::open("/dev/null").is_err());
        run(f);
    });
}

#[test]
fn the_numbers_of_a_child_are_kept_free_also_where_there_is_no_null_device() {
    without_devices("no-dev", || {
        let (end, _other) = UnixStream::pair().unwrap();
        let end = || OwnedFd::from(end.try_clone().unwrap());
        let mut command = Command::new("/");
        command.stdin(end()).stdout(end()).stderr(end()).fd(97, Stdio::piped());
        // There is no program, and that is what the error says.
        let error = command.spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    });
}

#[test]
fn where_there_is_no_null_device_an_input_is_empty_and_the_error_of_an_output_names_it() {
    without_devices("no-null", || {
        let mut command = Command::new("/");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // The device is not missed: the error is that of the program, which is none.
        let error = command.spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        for number in [1, 5] {
            let mut command = Command::new("/");
            if number == 1 {
                command.stdout(Stdio::null())
            } else {
                command.fd(5, Stdio::null())
            };
            let error = command.spawn().unwrap_err();
            let named = windlass::fs::PathError::of(&error).expect("an error with a path");
            assert_eq!(named.path(), Path::new("/dev/null"), "{error}");
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
    });
}

/// Who starts this process may ignore the signal, and then the system forgets how children end.
#[test]
fn a_process_that_was_started_with_ends_of_children_ignored_hears_of_them() {
    const PART: &str = "WINDLASS_CHILDREN_PART";
    if std::env::var(PART).is_err() {
        // In a process of its own: other tests have children too.
        let name = "a_process_that_was_started_with_ends_of_children_ignored_hears_of_them";
        assert!(test_as_a_process(name).env(PART, "").status().unwrap().success());
        return;
    }
    // SAFETY: what is installed runs no code.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    block_on(async {
        assert_eq!(sh("exit 7").status().await.unwrap().code(), Some(7));
        assert_eq!(said(&mut sh("echo said")).await, "said\n");
    });
}

/// C-8.
#[test]
fn the_environment_and_the_search_for_the_program_are_the_childs_own() {
    let folder = directory("environment");
    let program = folder.join("here");
    fs::write(&program, "#!/bin/sh\necho \"found $A\"\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).unwrap();
    block_on(async {
        let inherited = said(&mut Command::new("/usr/bin/env")).await;
        assert!(inherited.contains("PATH="), "{inherited}");
        assert_eq!(said(Command::new("/usr/bin/env").env_clear()).await, "");
        let mut some = Command::new("/usr/bin/env");
        some.env_clear().envs([("B", "2"), ("A", "1")]).env("C", "3").env_remove("B");
        assert_eq!(said(&mut some).await, "A=1\nC=3\n");
        assert_eq!(Command::new("here").spawn().unwrap_err().kind(), ErrorKind::NotFound);
        let mut found = Command::new("here");
        assert_eq!(said(found.env("PATH", &folder).env("A", "it")).await, "found it\n");
        let mut relative = Command::new("./here");
        assert_eq!(said(relative.current_dir(&folder).env("A", "here")).await, "found here\n");
        assert_eq!(said(Command::new("sh").arg0("other").args(["-c", "echo $0"])).await, "other\n");
    });
}

/// C-9. Without the right to do it, it fails: tried in a child that has given the right up.
#[test]
fn another_user_and_group_have_no_groups_of_ours_and_without_the_right_nothing_runs() {
    if !is_root() {
        block_on(async {
            let error = Command::new("true").uid(0).spawn().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        });
        return;
    }
    block_on(async {
        let script = "grep -E '^(Uid|Gid|Groups)' /proc/self/status";
        let both = said(sh(script).uid(65_534).gid(65_533)).await;
        assert_eq!(
            words_of(&both),
            "Uid: 65534 65534 65534 65534 Gid: 65533 65533 65533 65533 Groups:"
        );
        let group = said(sh(script).gid(65_533)).await;
        assert!(words_of(&group).ends_with("Gid: 65533 65533 65533 65533 Groups:"), "{group}");
        let own = std::env::current_exe().unwrap();
        let mut again = Command::new(Path::new("/proc/self/fd/9"));
        again.args([
            "--exact",
            "another_user_and_group_have_no_groups_of_ours_and_without_the_right_nothing_runs",
        ]);
        again.fd(9, File::open(&own).unwrap()).uid(65_534).gid(65_534);
        let output = again.output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(text(&output.stdout).contains("1 passed"), "{output:?}");
    });
}

fn is_root() -> bool {
    // SAFETY: a call without pointers.
    unsafe { libc::geteuid() == 0 }
}

fn words_of(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// C-10.
#[test]
fn a_detached_child_leads_a_session_and_unreferenced_does_not_hold_the_loop() {
    let pid = Rc::new(Cell::new(0));
    let event_loop = real_loop();
    let child = event_loop.run(|| {
        let child = sh("exec sleep 1000").detached(true).spawn().unwrap();
        assert!(Loop::current().is_alive());
        assert_eq!(Loop::current().why_alive()[0].kind, "child process");
        child.on_exit(|_| unreachable!("the loop ends first"));
        assert!(!child.unref().has_ref());
        pid.set(child.id());
        child
    });
    drop(event_loop);
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.get())).unwrap();
    let session: u32 =
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(3).unwrap().parse().unwrap();
    assert_eq!(session, pid.get());
    // Its loop has ended. It can be signalled all the same, and is waited for by the next loop.
    child.kill().unwrap();
    // A loop of another test may be the next one.
    wait_until(|| matches!(state_of(pid.get()), Some('Z') | None));
    run(|| drop(Command::new("true").spawn().unwrap()));
    assert_eq!(state_of(pid.get()), None);
    assert_eq!(child.kill().unwrap_err().kind(), ErrorKind::NotFound);
    drop(child);
}

/// C-11.
#[test]
fn after_its_end_a_child_is_not_found_and_signal_0_only_asks() {
    block_on(async {
        let child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        child.signal(0).unwrap();
        assert_eq!(child.signal(1_000).unwrap_err().kind(), ErrorKind::InvalidInput);
        child.signal(libc::SIGTERM).unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(libc::SIGTERM));
        for signum in [0, libc::SIGTERM, libc::SIGKILL] {
            assert_eq!(child.signal(signum).unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert_eq!(child.kill().unwrap_err().kind(), ErrorKind::NotFound);
    });
}

/// C-12.
#[test]
fn children_without_a_callback_and_dropped_ones_are_waited_for() {
    let mut pids = Vec::new();
    run(|| {
        for dropped in [true, false] {
            let child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            pids.push(child.id());
            if dropped {
                drop(child); // With it goes the end of its input.
            } else {
                let input = child.take_stdin().unwrap();
                windlass::set_immediate(move || {
                    drop(input);
                    windlass::set_immediate(move || drop(child));
                });
            }
        }
    });
    assert!(pids.iter().all(|pid| state_of(*pid).is_none()), "{pids:?}");
}

/// C-13.
#[test]
fn a_child_has_default_dispositions_and_no_mask_whatever_thread_starts_it() {
    let asks = "grep -E '^Sig(Blk|Ign)' /proc/self/status";
    let child = thread::spawn(move || {
        // SAFETY: sets live here; ignoring a signal runs no code.
        unsafe {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            libc::signal(libc::SIGRTMIN() + 5, libc::SIG_IGN);
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            assert_eq!(libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut()), 0);
        }
        let said = block_on(async { said(Command::new("sh").args(["-c", asks])).await });
        // SAFETY: as above: asking for the mask.
        let still_blocked = unsafe {
            let mut mask: libc::sigset_t = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &mut mask);
            libc::sigismember(&mask, libc::SIGTERM) == 1
        };
        assert!(still_blocked, "the thread's own mask is as it was");
        said
    });
    let said = child.join().unwrap();
    assert_eq!(words_of(&said), "SigBlk: 0000000000000000 SigIgn: 0000000000000000");
}

/// C-14.
#[test]
fn pipes_work_when_our_own_standard_streams_are_closed() {
    const NAME: &str = "pipes_work_when_our_own_standard_streams_are_closed";
    if std::env::var_os("CLOSED_STREAMS").is_some() {
        // SAFETY: this process is for this test alone, and nobody else uses the three.
        unsafe {
            for fd in 0..3 {
                libc::close(fd);
            }
        }
        let works = block_on(async {
            let child = sh("cat; cat >&2").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
            let child = child.unwrap();
            let (input, output) = (child.take_stdin().unwrap(), child.take_stdout().unwrap());
            input.write(b"through").await.unwrap();
            drop(input);
            let all = read_all(&output).await;
            let missing = Command::new("/no/such/program").spawn().unwrap_err();
            let inherits = sh("test -c /dev/fd/1 && test -c /dev/fd/0").status().await.unwrap();
            [
                all == b"through",
                child.wait().await.unwrap().success(),
                missing.kind() == ErrorKind::NotFound,
                inherits.success(),
            ]
        });
        let failed = works.iter().position(|works| !works);
        std::process::exit(failed.map_or(42, |at| at as i32 + 1));
    }
    block_on(async {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", NAME]).env("CLOSED_STREAMS", "1");
        assert_eq!(again.output().await.unwrap().status.code(), Some(42));
    });
}

/// C-15.
#[test]
fn all_output_is_read_whether_the_end_is_told_before_or_after() {
    block_on(async {
        let mut command = sh("i=0; while [ $i -lt 5000 ]; do echo 12345; i=$((i+1)); done");
        // 30,000 bytes fit into a pipe: the child ends before they are read.
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        assert!(child.wait().await.unwrap().success());
        let output = child.take_stdout().unwrap();
        assert_eq!(read_all(&output).await.len(), 30_000);
        let child = command.spawn().unwrap();
        let output = child.take_stdout().unwrap();
        assert_eq!(read_all(&output).await.len(), 30_000);
        assert!(child.wait().await.unwrap().success());
    });
}

/// C-16.
#[test]
fn kill_on_drop_kills_that_child_only_and_its_output_ends_with_its_grandchildren() {
    block_on(async {
        let other = Command::new("sleep").arg("1000").spawn().unwrap();
        let mut command = sh("sleep 1000 & echo $!; wait");
        let child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let killed = Rc::new(RefCell::new(None));
        let tell = killed.clone();
        child.on_exit(move |status| *tell.borrow_mut() = Some(status));
        let output = child.take_stdout().unwrap();
        let mut buffer = [0; 64];
        let count = output.read(&mut buffer).await.unwrap();
        let grandchild: i32 = text(&buffer[..count]).trim().parse().unwrap();
        let second = child.clone();
        drop(child);
        iterations(3).await;
        second.signal(0).expect("there is another name");
        drop(second);
        until(|| killed.borrow().is_some()).await;
        assert_eq!(killed.borrow().unwrap().signal(), Some(libc::SIGKILL));
        // SAFETY: calls without pointers. The process was told to sleep, and nobody has killed it.
        unsafe {
            assert_eq!(libc::kill(grandchild, 0), 0, "it lives, and holds the pipe");
            let (waker, _) = Wakes::new();
            {
                let mut read = std::pin::pin!(output.read(&mut buffer));
                assert!(poll_once(read.as_mut(), &waker).is_pending());
            }
            assert_eq!(libc::kill(grandchild, libc::SIGKILL), 0);
        }
        assert_eq!(output.read(&mut buffer).await.unwrap(), 0);
        other.signal(0).expect("not this one");
        other.kill().unwrap();
    });
}

/// C-17.
#[test]
fn a_child_that_other_code_has_waited_for_ends_without_a_status() {
    let dropped = Counter::new();
    run(|| {
        let child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let captured = dropped.on_drop();
        child.on_exit(move |_| {
            captured.touch();
            unreachable!("nobody has the status");
        });
        drop(child.take_stdin());
        let mut status = 0;
        // SAFETY: the status lives here.
        let waited = unsafe { libc::waitpid(child.id() as i32, &mut status, 0) };
        assert_eq!(waited, child.id() as i32);
        spawn(async move {
            let error = child.wait().await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
            assert_eq!(child.try_status(), None);
            assert_eq!(child.kill().unwrap_err().kind(), ErrorKind::NotFound);
        });
    });
    assert_eq!(dropped.get(), 1);
}

/// C-18.
#[test]
fn ten_thousand_lines_go_through_a_child_in_both_directions() {
    let lines: String = (0..10_000).map(|n| format!("line {n} of ten thousand\n")).collect();
    block_on(async {
        let mut command = Command::new("cat");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.take_stdin().unwrap(), child.take_stdout().unwrap());
        let write = input.write(lines.as_bytes());
        write.on_complete(move |result| {
            result.unwrap();
            input.close();
        });
        assert_eq!(text(&read_all(&output).await), lines);
        assert!(child.wait().await.unwrap().success());
    });
}

/// C-19.
#[test]
fn the_status_can_be_asked_for_again_and_again() {
    block_on(async {
        let child = sh("read line; exit 5").stdin(Stdio::piped()).spawn().unwrap();
        assert_eq!(child.try_status(), None);
        let input = child.take_stdin().unwrap();
        assert!(child.take_stdin().is_none(), "once");
        let told = Rc::new(Cell::new(0));
        let tell = told.clone();
        child.on_exit(move |_| tell.set(tell.get() + 1));
        drop(input);
        // Asked for without a turn of the loop, which has to tell it all the same.
        while child.try_status().is_none() {
            thread::yield_now();
        }
        assert_eq!(told.get(), 0, "never from inside a call");
        for _ in 0..2 {
            assert_eq!(child.try_status().unwrap().code(), Some(5));
            assert_eq!(child.wait().await.unwrap().code(), Some(5));
        }
        until(|| told.get() == 1).await;
        iterations(3).await;
        assert_eq!(told.get(), 1);
        // A callback that comes after the end is called too.
        let tell = told.clone();
        child.on_exit(move |status| tell.set(status.code().unwrap()));
        assert_eq!(told.get(), 1);
        until(|| told.get() == 5).await;
    });
}

/// C-20.
#[test]
fn a_write_to_a_dead_child_is_broken_pipe() {
    block_on(async {
        let child = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let input = child.take_stdin().unwrap();
        child.wait().await.unwrap();
        // A child that another test starts at this moment has the other end too, until it is one.
        let error = loop {
            if let Err(error) = input.write(b"hello?").await {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn output_of_more_than_pipes_hold_is_collected_from_both_streams() {
    block_on(async {
        let mut command = sh("head -c 1000000 /dev/zero; head -c 2000000 /dev/zero >&2; exit 9");
        let output = command.output().await.unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (1_000_000, 2_000_000));
        assert_eq!(output.status.code(), Some(9));
        // The other way round, and again with the same command.
        let mut command = sh("head -c 2000000 /dev/zero >&2; head -c 1000000 /dev/zero");
        for _ in 0..2 {
            let output = command.output().await.unwrap();
            assert_eq!((output.stdout.len(), output.stderr.len()), (1_000_000, 2_000_000));
        }
        // Only one of them is collected; the other one was spoken of.
        let output = sh("echo out; echo err >&2").stderr(Stdio::null()).output().await.unwrap();
        assert_eq!((text(&output.stdout), text(&output.stderr)), ("out\n", ""));
        assert_eq!(said(sh("cat").stdin(Stdio::piped())).await, "", "nobody writes");
    });
}

#[test]
fn cancelling_kills_the_child_and_completes_though_others_hold_its_pipes() {
    let pids = Rc::new(RefCell::new(Vec::new()));
    run(|| {
        let keep = pids.clone();
        spawn(async move {
            let folder = directory("cancelled");
            let output = sh("sleep 1000 & echo $$ $! > pids; wait").current_dir(&folder).output();
            let status = sh("echo $$ > pid; exec sleep 1000").current_dir(&folder).status();
            let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
            until(|| read("pids").ends_with('\n') && read("pid").ends_with('\n')).await;
            assert!(output.cancel().is_ok() && status.cancel().is_ok());
            assert!(is_canceled(&output.await.map(drop)));
            assert!(is_canceled(&status.await.map(drop)));
            let all = format!("{} {}", read("pids"), read("pid"));
            keep.replace(all.split_whitespace().map(|pid| pid.parse::<u32>().unwrap()).collect());
        });
    });
    let pids = pids.take();
    assert_eq!(pids.len(), 3);
    assert_eq!((state_of(pids[0]), state_of(pids[2])), (None, None));
    // SAFETY: the shell's child, which still sleeps.
    assert_eq!(unsafe { libc::kill(pids[1] as i32, libc::SIGKILL) }, 0);
}

#[test]
fn a_loop_that_ends_first_answers_who_waits_and_leaves_no_zombie() {
    let pids = Rc::new(RefCell::new(Vec::new()));
    let (reader, _writer) = io::pipe().unwrap();
    let (dropped, kept) = (Counter::new(), Rc::new(RefCell::new(None::<Child>)));
    run(|| {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let captured = dropped.on_drop();
        child.on_exit(move |_| captured.touch());
        child.unref();
        pids.borrow_mut().push(child.id());
        let output = Command::new("cat").stdin(reader).output();
        output.on_complete(|_| unreachable!("the loop ends first"));
        kept.replace(Some(child));
        windlass::set_immediate(|| windlass::exit(0));
    });
    assert_eq!(dropped.get(), 1);
    let child = kept.take().unwrap();
    assert_eq!(child.try_status(), None);
    let (waker, _) = Wakes::new();
    match poll_once_and_drop(child.wait(), &waker) {
        std::task::Poll::Ready(Err(error)) => {
            assert!(error.to_string().contains("loop"), "{error}")
        }
        other => panic!("{other:?}"),
    }
    child.on_exit(|_| unreachable!("the loop has ended"));
    child.kill().unwrap();
    wait_until(|| state_of(child.id()) != Some('S'));
    // Another loop reaps it, and its own handle knows the status all the same.
    run(|| drop(Command::new("true").spawn().unwrap()));
    wait_until(|| child.try_status().is_some());
    assert_eq!(child.try_status().unwrap().signal(), Some(libc::SIGKILL));
    assert!(pids.borrow().iter().all(|pid| state_of(*pid).is_none()));
}

#[test]
fn a_panic_in_one_childs_callback_loses_no_other_end() {
    let trace = Trace::new();
    real_loop().run(|| {
        let hooked = trace.clone();
        windlass::on_uncaught(move |uncaught| hooked.say(uncaught.message()));
        for n in 0..4 {
            let told = trace.clone();
            Command::new("true").spawn().unwrap().on_exit(move |_| {
                told.say("end");
                assert!(n % 2 == 0, "an odd one");
            });
        }
    });
    assert_eq!((trace.count("end"), trace.count("an odd one")), (4, 2));
}

#[test]
fn workers_start_children_of_their_own() {
    block_on(async {
        let worker = windlass::worker::Worker::<(), i32>::spawn_async(|port| async move {
            port.post(sh("exit 6").status().await.unwrap().code().unwrap());
        })
        .unwrap();
        assert_eq!(worker.recv().await, Some(6));
    });
}
