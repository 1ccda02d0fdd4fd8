//! From a signal handler to the loops that watch.
//!
//! A handler may do next to nothing: no lock, no allocation. Ours walks a list of *posts*, sets a
//! bit in each one that watches the signal, and writes a byte to that post's pipe, whose other end its
//! loop polls. Posts are never freed and their pipes never closed, because a handler on another
//! thread may be about to write; a post whose loop is gone waits in the list for the next loop.
//!
//! Which signals are ours is counted by number. With the last watcher of a signal the disposition
//! that was there before the first comes back.
//!
//! One of the files with `unsafe` code: the handler, and the calls that install it.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Signal numbers are 1 to 64 on Linux and fewer elsewhere: a set of them fits in 64 bits.
const SIGNALS: i32 = 64;

/// Where a loop collects the signals that it watches. Shared with the handler.
pub(crate) struct Post {
    /// Signals that the loop watches, a bit each.
    watched: AtomicU64,
    /// Signals that have come since the loop last looked.
    pending: AtomicU64,
    /// Whether a loop has this post.
    taken: AtomicBool,
    reader: io::PipeReader,
    writer: io::PipeWriter,
    /// The post that was made before this one. Set before the post can be seen, then constant.
    next: *const Post,
}

// SAFETY: all fields but `next` are thread-safe, and `next` is constant once the post is in the
// list and points to a post that is never freed.
unsafe impl Sync for Post {}
// SAFETY: as above.
unsafe impl Send for Post {}

/// The newest post. Posts are only ever added, at this end.
static POSTS: AtomicPtr<Post> = AtomicPtr::new(ptr::null_mut());

/// How many watchers each signal has, and what was installed before the first.
static INSTALLED: Mutex<Option<HashMap<i32, Installed>>> = Mutex::new(None);

struct Installed {
    watchers: usize,
    before: libc::sigaction,
}

fn bit(signum: i32) -> u64 {
    1 << (signum - 1)
}

/// Runs on whichever thread the signal interrupted.
extern "C" fn handler(signum: libc::c_int) {
    // SAFETY: the location of errno is valid on every thread; the interrupted code finds it as it was.
    let errno = unsafe { *errno_location() };
    let mut post: *const Post = POSTS.load(Ordering::Acquire);
    while !post.is_null() {
        // SAFETY: posts are leaked boxes: a pointer that is in the list is valid for ever.
        let this = unsafe { &*post };
        if this.watched.load(Ordering::SeqCst) & bit(signum) != 0 {
            this.pending.fetch_or(bit(signum), Ordering::SeqCst);
            let byte = 0_u8;
            // SAFETY: `write` may be called in a handler; the pipe is never closed and does not
            // block. A full pipe fails, and then its reader has a byte to wake up to anyhow.
            unsafe { libc::write(this.writer.as_raw_fd(), (&raw const byte).cast(), 1) };
        }
        post = this.next;
    }
    // SAFETY: as at the start.
    unsafe { *errno_location() = errno };
}

#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
use libc::__errno as errno_location;
#[cfg(any(target_os = "linux", target_os = "emscripten", target_os = "redox"))]
use libc::__errno_location as errno_location;
#[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd"))]
use libc::__error as errno_location;

impl Post {
    /// A post for one loop: one that another loop has left, or a new one.
    pub(crate) fn take() -> io::Result<&'static Post> {
        let mut post: *const Post = POSTS.load(Ordering::Acquire);
        while !post.is_null() {
            // SAFETY: as in the handler.
            let this = unsafe { &*post };
            if !this.taken.swap(true, Ordering::AcqRel) {
                this.clear();
                return Ok(this);
            }
            post = this.next;
        }
        Post::add()
    }

    fn add() -> io::Result<&'static Post> {
        let (reader, writer) = io::pipe()?;
        set_nonblocking(reader.as_fd())?;
        set_nonblocking(writer.as_fd())?;
        let post = Box::into_raw(Box::new(Post {
            watched: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            taken: AtomicBool::new(true),
            reader,
            writer,
            next: ptr::null(),
        }));
        let mut newest = POSTS.load(Ordering::Acquire);
        loop {
            // SAFETY: nobody else knows the post before it is in the list.
            unsafe { (*post).next = newest };
            match POSTS.compare_exchange(newest, post, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: the box is never freed, and from here on only shared.
                Ok(_) => return Ok(unsafe { &*post }),
                Err(other) => newest = other,
            }
        }
    }

    /// Leaves the post to the next loop. All watches must have ended.
    pub(crate) fn leave(&self) {
        self.watched.store(0, Ordering::SeqCst);
        self.taken.store(false, Ordering::Release);
    }

    /// The end to poll for reading.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// Empties the pipe and returns the signals that have come, lowest first.
    pub(crate) fn collect(&self) -> Vec<i32> {
        self.clear_pipe();
        let pending = self.pending.swap(0, Ordering::SeqCst);
        (1..=SIGNALS).filter(|signum| pending & bit(*signum) != 0).collect()
    }

    fn clear(&self) {
        self.clear_pipe();
        self.pending.store(0, Ordering::SeqCst);
    }

    fn clear_pipe(&self) {
        let mut bytes = [0; 256];
        // Would-block ends the loop; so does any other failure, for there is nothing to lose.
        while let Ok(1..) = (&self.reader).read(&mut bytes) {}
    }

    /// Watches a signal. Each `watch` of a post and signal is paired with an `unwatch`.
    pub(crate) fn watch(&self, signum: i32) -> io::Result<()> {
        install(signum)?;
        self.watched.fetch_or(bit(signum), Ordering::SeqCst);
        Ok(())
    }

    /// Ends a watch. `others` says that the post still has watches of the same signal.
    pub(crate) fn unwatch(&self, signum: i32, others: bool) {
        if !others {
            self.watched.fetch_and(!bit(signum), Ordering::SeqCst);
            self.pending.fetch_and(!bit(signum), Ordering::SeqCst);
        }
        uninstall(signum);
    }
}

/// Refuses what is no signal, or one that cannot be caught.
pub(crate) fn check(signum: i32) -> io::Result<()> {
    let refuse = |why: &str| {
        let text = format!("signal {signum} cannot be watched: {why}");
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    };
    match signum {
        libc::SIGKILL | libc::SIGSTOP => refuse("the system does not let it be caught"),
        libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL => {
            refuse("the faulting instruction would be run again for ever")
        }
        1..=SIGNALS if signum <= max_signal() => Ok(()),
        _ => refuse("there is no such signal"),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn max_signal() -> i32 {
    libc::SIGRTMAX()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn max_signal() -> i32 {
    31
}

fn install(signum: i32) -> io::Result<()> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    let installed = installed.get_or_insert_default();
    if let Some(known) = installed.get_mut(&signum) {
        known.watchers += 1;
        return Ok(());
    }
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a zeroed sigaction is a valid one; the handler is async-signal-safe, see there; the
    // old action is written before it is read, which a failing call does not get to.
    let before = unsafe {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
        action.sa_sigaction = handler as extern "C" fn(libc::c_int) as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        libc::sigfillset(&raw mut action.sa_mask);
        if libc::sigaction(signum, &raw const action, before.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        before.assume_init()
    };
    installed.insert(signum, Installed { watchers: 1, before });
    Ok(())
}

fn uninstall(signum: i32) {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    let installed = installed.get_or_insert_default();
    let Some(known) = installed.get_mut(&signum) else { return };
    known.watchers -= 1;
    if known.watchers == 0 {
        let before = known.before;
        installed.remove(&signum);
        // SAFETY: the action is the one that `sigaction` gave us for this very signal.
        let failed = unsafe { libc::sigaction(signum, &raw const before, ptr::null_mut()) };
        debug_assert_eq!(failed, 0, "an action that the system gave us can be put back");
    }
}

fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: two fcntl calls without pointers, on a descriptor that is borrowed for both.
    let failed = unsafe {
        let flags = libc::fcntl(fd.as_raw_fd(), libc::F_GETFL);
        flags == -1 || libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) == -1
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}
