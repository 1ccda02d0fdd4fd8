//! Terminals: their modes, which are put back whatever happens, and their size.
//!
//! The modes belong to the terminal, not to the process: what a process changes stays when it has
//! ended, and the shell finds it so. Each terminal whose modes this process has changed is in a
//! list, with the modes from before and a descriptor of its own. [`reset`] walks the list and takes
//! no lock, so that it may be called from a signal handler; it is also called when the process
//! exits. Entries are never freed, because it may be walking on another thread. One that is no
//! longer used waits in the list for the next terminal.
//!
//! One of the files with `unsafe` code: each block is one system call on values that live until it
//! returns, or a look at an entry of the list.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use super::descriptor;
use super::file::{check, errno_location};

/// How a terminal treats what is typed. See [`Tty::set_mode`](crate::tty::Tty::set_mode).
///
/// # Examples
/// ```
/// use windlass::tty::{Mode, Tty};
///
/// /// Takes single keys from now on.
/// fn begin(terminal: &Tty) -> std::io::Result<()> {
///     terminal.set_mode(Mode::Raw)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As it was before the first change: mostly line by line, with echo.
    Normal,
    /// Byte by byte, without echo; no key makes a signal.
    Raw,
    /// As `Raw`, but the keys for signals, such as Ctrl-C, still make them.
    Cbreak,
}

/// Whether a descriptor is a terminal's. False for one that is not open.
pub(crate) fn is_terminal(fd: RawFd) -> bool {
    // SAFETY: a call without pointers; a number that is no descriptor only makes it fail.
    unsafe { libc::isatty(fd) == 1 }
}

/// Whether it is the master's side of a pseudo-terminal, where the system tells.
pub(crate) fn is_master(fd: RawFd) -> bool {
    #[cfg(target_os = "linux")]
    {
        let mut number: libc::c_uint = 0;
        // SAFETY: the call writes one number, which lives here, or fails.
        unsafe { libc::ioctl(fd, libc::TIOCGPTN, &raw mut number) == 0 }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ends_are_alike = fd;
        false
    }
}

/// The path of a terminal, if it has one.
pub(super) fn path_of(fd: RawFd) -> Option<CString> {
    let mut path = [0_u8; 128];
    // SAFETY: the call writes a string that ends in zero and no more than the length it is told.
    let failed = unsafe { libc::ttyname_r(fd, path.as_mut_ptr().cast(), path.len()) };
    if failed != 0 {
        return None;
    }
    CStr::from_bytes_until_nul(&path).ok().map(CStr::to_owned)
}

/// Columns and rows of the window.
pub(crate) fn window_size(fd: BorrowedFd<'_>) -> io::Result<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the call fills the structure, which lives here, or fails.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) })?;
    Ok((size.ws_col, size.ws_row))
}

/// The signal that tells of a new size.
pub(crate) const SIGWINCH: i32 = libc::SIGWINCH;

/// A terminal whose modes this process has changed, or room for one.
struct Entry {
    /// The rest is that of a changed terminal.
    in_use: AtomicBool,
    /// How many threads are putting its modes back at this moment, without a lock.
    resetting: AtomicUsize,
    /// A descriptor of the entry's own.
    fd: AtomicI32,
    /// The modes from before. Written while the entry is not in use, and constant while it is.
    original: UnsafeCell<MaybeUninit<libc::termios>>,
    /// Which terminal it is, as the system numbers its devices. Changed under the lock.
    device: UnsafeCell<u64>,
    /// How many [`Changed`] there are of it. Changed under the lock.
    users: UnsafeCell<usize>,
    /// The entry that was made before this one. Constant once it is in the list.
    next: *const Entry,
}

/// The newest entry. Entries are only ever added, at this end.
static ENTRIES: AtomicPtr<Entry> = AtomicPtr::new(ptr::null_mut());

/// Held by those who take entries and leave them. True once [`reset`] is called at exit.
static LOCK: Mutex<bool> = Mutex::new(false);

fn lock() -> MutexGuard<'static, bool> {
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The entries, from the newest on.
fn entries() -> impl Iterator<Item = &'static Entry> {
    let mut next: *const Entry = ENTRIES.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: entries are leaked boxes: a pointer that is in the list is valid for ever. Of
        // their cells each says when it may be looked at.
        let entry = unsafe { next.as_ref() }?;
        next = entry.next;
        Some(entry)
    })
}

/// A hold on a terminal whose modes are changed. With the last one they are put back.
pub(crate) struct Changed {
    /// In use while this lives.
    entry: &'static Entry,
}

impl Changed {
    /// Remembers the modes that the terminal has now, unless they are remembered already.
    pub(crate) fn begin(fd: BorrowedFd<'_>) -> io::Result<Changed> {
        let device = device_of(fd.as_raw_fd())?;
        let mut at_exit = lock();
        // SAFETY: the lock is held, so nobody changes these.
        let known = entries()
            .find(|entry| unsafe { *entry.users.get() > 0 && *entry.device.get() == device });
        if let Some(entry) = known {
            // SAFETY: the lock is held.
            unsafe { *entry.users.get() += 1 };
            return Ok(Changed { entry });
        }
        let original = modes(fd.as_raw_fd())?;
        let own = descriptor::duplicate(fd.as_raw_fd())?;
        // SAFETY: as above.
        let free = entries().find(|entry| unsafe { *entry.users.get() == 0 });
        let entry = free.unwrap_or_else(Entry::add);
        // SAFETY: the lock is held, and an entry that is not in use is looked at by nobody else.
        unsafe {
            (*entry.original.get()).write(original);
            *entry.device.get() = device;
            *entry.users.get() = 1;
        }
        entry.fd.store(own.into_raw_fd(), Ordering::Relaxed);
        entry.in_use.store(true, Ordering::SeqCst);
        if !*at_exit {
            extern "C" fn at_the_end() {
                drop(reset());
            }
            // SAFETY: the function touches nothing that ends before the process does.
            *at_exit = unsafe { libc::atexit(at_the_end) } == 0;
        }
        Ok(Changed { entry })
    }

    /// Sets the modes of the terminal, as changes of those from before.
    pub(crate) fn set(&self, fd: BorrowedFd<'_>, mode: Mode) -> io::Result<()> {
        // SAFETY: the entry is in use, so they are constant.
        let mut modes = unsafe { (*self.entry.original.get()).assume_init() };
        if mode != Mode::Normal {
            modes.c_iflag &=
                !(libc::BRKINT | libc::ICRNL | libc::INPCK | libc::ISTRIP | libc::IXON);
            modes.c_oflag |= libc::ONLCR;
            modes.c_cflag |= libc::CS8;
            modes.c_lflag &= !(libc::ECHO | libc::ICANON | libc::IEXTEN);
            if mode == Mode::Raw {
                modes.c_lflag &= !libc::ISIG;
            }
            modes.c_cc[libc::VMIN] = 1;
            modes.c_cc[libc::VTIME] = 0;
        }
        set_modes(fd.as_raw_fd(), &modes)
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        let guard = lock();
        // SAFETY: the lock is held.
        let users = unsafe { &mut *self.entry.users.get() };
        *users -= 1;
        if *users == 0 {
            // The terminal may be gone: then there is nothing to put back.
            drop(self.entry.reset());
            self.entry.in_use.store(false, Ordering::SeqCst);
            while self.entry.resetting.load(Ordering::SeqCst) > 0 {
                thread::yield_now(); // For the time of two system calls.
            }
            // SAFETY: the entry has owned it, and nobody uses its number after this.
            unsafe { libc::close(self.entry.fd.load(Ordering::Relaxed)) };
        }
        drop(guard);
    }
}

impl Entry {
    /// A new entry at the head of the list. The lock is held.
    fn add() -> &'static Entry {
        let entry = Box::into_raw(Box::new(Entry {
            in_use: AtomicBool::new(false),
            resetting: AtomicUsize::new(0),
            fd: AtomicI32::new(-1),
            original: UnsafeCell::new(MaybeUninit::uninit()),
            device: UnsafeCell::new(0),
            users: UnsafeCell::new(0),
            next: ENTRIES.load(Ordering::Acquire),
        }));
        ENTRIES.store(entry, Ordering::Release);
        // SAFETY: the box is never freed, and from here on only shared.
        unsafe { &*entry }
    }

    /// Puts the modes back, unless the entry is not in use. For a handler too.
    fn reset(&self) -> io::Result<()> {
        // Counted first: who takes the entry out of use looks at the count afterwards.
        self.resetting.fetch_add(1, Ordering::SeqCst);
        let outcome = if self.in_use.load(Ordering::SeqCst) {
            let fd = self.fd.load(Ordering::Relaxed);
            // The terminal of a process in the background belongs to another one, which has set its
            // own modes.
            if is_in_background(fd) {
                Ok(())
            } else {
                // SAFETY: they are constant while the entry is in use, and this count keeps it so.
                set_modes(fd, unsafe { (*self.original.get()).assume_init_ref() })
            }
        } else {
            Ok(())
        };
        self.resetting.fetch_sub(1, Ordering::SeqCst);
        outcome
    }
}

/// Puts the modes of all changed terminals back. For a handler too: it takes no lock and no memory,
/// and leaves errno as it was.
pub(crate) fn reset() -> io::Result<()> {
    // SAFETY: the location of errno is valid on every thread.
    let errno = unsafe { *errno_location() };
    let mut outcome = Ok(());
    for entry in entries() {
        let one = entry.reset();
        if outcome.is_ok() {
            outcome = one;
        }
    }
    // SAFETY: as above.
    unsafe { *errno_location() = errno };
    outcome
}

/// Whether it is this process's own terminal, and another one is in front of it.
fn is_in_background(fd: RawFd) -> bool {
    // SAFETY: calls without pointers, all of which may be made in a handler.
    unsafe {
        let session = libc::tcgetsid(fd);
        session > 0 && session == libc::getsid(0) && libc::tcgetpgrp(fd) != libc::getpgrp()
    }
}

fn modes(fd: RawFd) -> io::Result<libc::termios> {
    let mut modes = MaybeUninit::<libc::termios>::zeroed();
    // SAFETY: the call fills the structure, which lives here, or fails; then it is not read.
    unsafe {
        check(libc::tcgetattr(fd, modes.as_mut_ptr()))?;
        Ok(modes.assume_init())
    }
}

/// Does not wait until what was written is out: it may be held up for any time.
fn set_modes(fd: RawFd, modes: &libc::termios) -> io::Result<()> {
    loop {
        // SAFETY: the modes are a live structure.
        match check(unsafe { libc::tcsetattr(fd, libc::TCSANOW, modes) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// The number of the terminal: the same for both sides of a pseudo-terminal, and for `/dev/tty`.
pub(super) fn device_of(fd: RawFd) -> io::Result<u64> {
    #[cfg(target_os = "linux")]
    {
        let mut device: libc::c_uint = 0;
        // SAFETY: the call writes one number, which lives here, or fails.
        if unsafe { libc::ioctl(fd, libc::TIOCGDEV, &raw mut device) } == 0 {
            return Ok(device.into());
        }
    }
    descriptor::device(fd)
}
