//! From a signal handler to the loops that listen.
//!
//! A handler may do next to nothing: no lock, no allocation. Ours walks a list of *posts*, sets a
//! bit in each one that listens for the signal, and writes a byte to that post's pipe, whose other
//! end its loop polls. Posts are never freed and their pipes never closed, because a handler on
//! another thread may be about to write; a post whose loop is gone waits in the list for the next
//! loop.
//!
//! A signal belongs to the process, and so others handle it too. What was installed before ours is
//! called by it. With the last listener of a signal it is put back, if ours is still what the
//! system calls. Else somebody has installed a handler over ours, which may call ours for ever:
//! then theirs stays, and ours only passes on to what was before it. Should that somebody put ours
//! back later, with nobody listening, it puts back what was before it when the next signal comes.
//!
//! Watched again under somebody's handler, ours goes over it once more. Theirs may call ours, so
//! what is installed then must be another function, with another one before it, or the two would
//! call each other for ever. There are [`LAYERS`] of them.
//!
//! One of the files with `unsafe` code: the handlers, and the calls that install them.
#![allow(unsafe_code)]

use std::io::{self, Read};
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::file::errno_location;

/// Signal numbers are 1 to 64 on Linux and fewer elsewhere: a set of them fits in 64 bits.
const SIGNALS: i32 = 64;

/// Where a loop collects the signals that it listens for. Shared with the handler.
pub(crate) struct Post {
    /// Signals that the loop listens for, a bit each.
    wanted: AtomicU64,
    /// Signals that have come since the loop last looked.
    pending: AtomicU64,
    /// Whether a loop has this post.
    taken: AtomicBool,
    /// The end of the pipe that the loop polls.
    reader: io::PipeReader,
    /// The end into which the handler writes a byte for each signal.
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

/// How many handlers of ours one signal can have. One is over another only with somebody else's in
/// between that was installed while ours was there; for each such somebody it takes one more.
const LAYERS: usize = 4;

/// A handler that is told everything that the system knows of the signal.
type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Our handlers by layer. They differ in nothing but the layer.
static HANDLERS: [Handler; LAYERS] = [handler::<0>, handler::<1>, handler::<2>, handler::<3>];

/// A signal, as our handlers see it. Changed by those who hold [`ACTIONS`].
struct Signal {
    /// How many listeners there are, on all loops.
    listeners: AtomicUsize,
    /// How many of our layers are in use, the last of them being the one that tells the loops.
    layers: AtomicUsize,
    /// What each layer was installed over. Set before the layer can be called, then never null.
    before: [AtomicPtr<libc::sigaction>; LAYERS],
}

/// By number.
static SIGNALS_KNOWN: [Signal; SIGNALS as usize + 1] = [const {
    Signal {
        listeners: AtomicUsize::new(0),
        layers: AtomicUsize::new(0),
        before: [const { AtomicPtr::new(ptr::null_mut()) }; LAYERS],
    }
}; SIGNALS as usize + 1];

/// Every different action that a layer was installed over. They are never freed, because a handler
/// on another thread may be looking. Guards all changes of what is installed.
static ACTIONS: Mutex<Vec<&'static libc::sigaction>> = Mutex::new(Vec::new());

fn known(signum: i32) -> &'static Signal {
    &SIGNALS_KNOWN[signum as usize]
}

fn bit(signum: i32) -> u64 {
    1 << (signum - 1)
}

/// Runs on whichever thread the signal interrupted, called by the system or by a handler that was
/// installed over it.
extern "C" fn handler<const LAYER: usize>(
    signum: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the location of errno is valid on every thread; the interrupted code finds it as it
    // was.
    let errno = unsafe { *errno_location() };
    let signal = known(signum);
    // SAFETY: it was stored before this layer was installed, and is never freed.
    let before = unsafe { &*signal.before[LAYER].load(Ordering::Acquire) };
    let unwanted = signal.listeners.load(Ordering::SeqCst) == 0;
    let given_back = unwanted && is_installed(signum, LAYER) && give_back(signum, LAYER, before);
    let last = signal.layers.load(Ordering::SeqCst) == LAYER + 1;
    // A lower layer is told after the last one, by the handler in between; unless that has gone.
    if !given_back && (last || is_installed(signum, LAYER)) {
        tell_loops(signum);
    }
    match before.sa_sigaction {
        libc::SIG_IGN => {}
        // All signals are blocked here: it comes when this returns, as it would have without us.
        // SAFETY: `raise` may be called in a handler.
        libc::SIG_DFL if given_back => drop(unsafe { libc::raise(signum) }),
        libc::SIG_DFL => {}
        // SAFETY: the flag says which of the two types the handler at this address has, for it is
        // what the system has called before us. What it may do in a handler is its own affair.
        address if before.sa_flags & libc::SA_SIGINFO != 0 => unsafe {
            mem::transmute::<libc::sighandler_t, Handler>(address)(signum, info, context);
        },
        // SAFETY: as above.
        address => unsafe {
            mem::transmute::<libc::sighandler_t, extern "C" fn(libc::c_int)>(address)(signum);
        },
    }
    // SAFETY: as at the start.
    unsafe { *errno_location() = errno };
}

/// Notes the signal in each post that listens for it, and wakes the loop. For the handler.
fn tell_loops(signum: i32) {
    let mut post: *const Post = POSTS.load(Ordering::Acquire);
    while !post.is_null() {
        // SAFETY: posts are leaked boxes: a pointer that is in the list is valid for ever.
        let this = unsafe { &*post };
        if this.wanted.load(Ordering::SeqCst) & bit(signum) != 0 {
            this.pending.fetch_or(bit(signum), Ordering::SeqCst);
            let byte = 0_u8;
            // SAFETY: `write` may be called in a handler; the pipe is never closed and does not
            // block. A full pipe fails, and then its reader has a byte to wake up to anyhow.
            unsafe { libc::write(this.writer.as_raw_fd(), (&raw const byte).cast(), 1) };
        }
        post = this.next;
    }
}

/// Puts back what was before a layer that nobody needs. False if a listener has come meanwhile,
/// which the layer then serves. For the handler.
fn give_back(signum: i32, layer: usize, before: &libc::sigaction) -> bool {
    if exchange(signum, Some(before)).is_err() {
        return false;
    }
    // A new listener is counted first, and its thread looks at what is installed then: one of the
    // two sees the other.
    let given = known(signum).listeners.load(Ordering::SeqCst) == 0;
    given || exchange(signum, Some(&action_of(layer, before))).is_err()
}

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
            wanted: AtomicU64::new(0),
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

    /// Leaves the post to the next loop. It must listen for nothing any more.
    pub(crate) fn leave(&self) {
        self.wanted.store(0, Ordering::SeqCst);
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

    /// Listens for a signal. Each `listen` of a post and signal is paired with an `unlisten`.
    pub(crate) fn listen(&self, signum: i32) -> io::Result<()> {
        install(signum)?;
        self.wanted.fetch_or(bit(signum), Ordering::SeqCst);
        Ok(())
    }

    /// Undoes one `listen`. `others` says that the post still has listeners of the same signal.
    pub(crate) fn unlisten(&self, signum: i32, others: bool) {
        if !others {
            self.wanted.fetch_and(!bit(signum), Ordering::SeqCst);
            self.pending.fetch_and(!bit(signum), Ordering::SeqCst);
        }
        uninstall(signum);
    }
}

/// Refuses what is no signal, or one that cannot be caught.
pub(crate) fn check(signum: i32) -> io::Result<()> {
    let refuse = |why: &str| {
        let text = format!("signal {signum} cannot be wanted: {why}");
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

/// Counts a listener, and sees to it that the system calls a handler of ours.
fn install(signum: i32) -> io::Result<()> {
    let mut actions = lock();
    // Counted first, see `give_back`.
    known(signum).listeners.fetch_add(1, Ordering::SeqCst);
    let result = put_over(signum, &mut actions);
    if result.is_err() {
        known(signum).listeners.fetch_sub(1, Ordering::SeqCst);
    }
    result
}

fn put_over(signum: i32, actions: &mut Vec<&'static libc::sigaction>) -> io::Result<()> {
    let signal = known(signum);
    let current = exchange(signum, None)?;
    if let Some(layer) = layer_of(&current) {
        signal.layers.store(layer + 1, Ordering::SeqCst);
        return Ok(());
    }
    let mut layer = signal.layers.load(Ordering::SeqCst);
    if layer == LAYERS {
        if ![libc::SIG_DFL, libc::SIG_IGN].contains(&current.sa_sigaction) {
            log::warn!("signal {signum}: too many handlers over ours; it stays under the last one");
            return Ok(());
        }
        // What is no handler calls none of ours.
        layer = 0;
    }
    let keep_before = |action, actions: &mut _| {
        let kept: *const libc::sigaction = keep(action, actions);
        signal.before[layer].store(kept.cast_mut(), Ordering::Release);
    };
    keep_before(current, actions);
    let replaced = exchange(signum, Some(&action_of(layer, &current)))?;
    // Last: until now the layer that was the last one tells, and this one because it is installed.
    signal.layers.store(layer + 1, Ordering::SeqCst);
    if !same(&replaced, &current) {
        keep_before(replaced, actions); // Somebody was faster.
    }
    Ok(())
}

/// Counts a listener less. With the last one what was before ours comes back, if ours is installed.
fn uninstall(signum: i32) {
    let guard = lock();
    let signal = known(signum);
    if signal.listeners.fetch_sub(1, Ordering::SeqCst) > 1 {
        return;
    }
    let installed = exchange(signum, None).ok().and_then(|current| layer_of(&current));
    if let Some(layer) = installed {
        // SAFETY: the layer is installed, so this was stored, and it is never freed.
        let before = unsafe { &*signal.before[layer].load(Ordering::Acquire) };
        let put_back = exchange(signum, Some(before));
        debug_assert!(put_back.is_ok(), "an action that the system gave us can be put back");
        signal.layers.store(layer, Ordering::SeqCst);
    }
    drop(guard);
}

fn lock() -> MutexGuard<'static, Vec<&'static libc::sigaction>> {
    ACTIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An action that is never freed: one like it that there is, or a new one.
fn keep(
    action: libc::sigaction,
    actions: &mut Vec<&'static libc::sigaction>,
) -> &'static libc::sigaction {
    if let Some(known) = actions.iter().find(|known| same(known, &action)) {
        return known;
    }
    actions.push(Box::leak(Box::new(action)));
    actions.last().expect("pushed just now")
}

fn same(one: &libc::sigaction, other: &libc::sigaction) -> bool {
    // SAFETY: both masks are live and were filled in by the system.
    let has = |action: &libc::sigaction, signum| unsafe {
        libc::sigismember(&raw const action.sa_mask, signum)
    };
    (one.sa_sigaction, one.sa_flags) == (other.sa_sigaction, other.sa_flags)
        && (1..=max_signal()).all(|signum| has(one, signum) == has(other, signum))
}

/// Which of our layers an action calls.
fn layer_of(action: &libc::sigaction) -> Option<usize> {
    HANDLERS.iter().position(|handler| *handler as libc::sighandler_t == action.sa_sigaction)
}

/// Whether the system calls this layer now. Also for the handler.
fn is_installed(signum: i32, layer: usize) -> bool {
    exchange(signum, None).is_ok_and(|current| layer_of(&current) == Some(layer))
}

/// The action that calls a layer. Also for the handler.
fn action_of(layer: usize, before: &libc::sigaction) -> libc::sigaction {
    // SAFETY: a zeroed sigaction is a valid one, and the mask is live.
    unsafe {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
        action.sa_sigaction = HANDLERS[layer] as libc::sighandler_t;
        // What was before us runs on our stack, and may need one of its own.
        action.sa_flags =
            libc::SA_RESTART | libc::SA_SIGINFO | (before.sa_flags & libc::SA_ONSTACK);
        libc::sigfillset(&raw mut action.sa_mask);
        action
    }
}

/// What the system does on a signal, replaced by `new` if that is given. Also for the handler.
fn exchange(signum: i32, new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let new = new.map_or(ptr::null(), ptr::from_ref);
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: what is installed is async-signal-safe, see `handler`, or is what the system gave us
    // for this very signal. The old action is filled in when the call succeeds.
    unsafe {
        if libc::sigaction(signum, new, before.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(before.assume_init())
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
