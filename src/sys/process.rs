//! Starting a program, hearing of its end, and signalling it.
//!
//! std's `Command` starts it: it finds the program, changes directory, user and environment, and
//! tells at once why a program cannot be started. Left to itself it hands down the signal mask of
//! the thread, what the process ignores, and each descriptor that somebody has opened without
//! close-on-exec, and knows no descriptors above 2. So the child puts these right between `fork`
//! and `exec` ([`Child::prepare`]), where a function may allocate nothing and take no lock. Until
//! then all signals are blocked: a handler of ours would write to a pipe that the child shares with
//! this process.
//!
//! A [`Pid`] names the process for as long as it is kept: on Linux by a descriptor, which never
//! names another process that has got the number since.
//!
//! One of the files with `unsafe` code: each block is one system call, on values that live until it
//! returns.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use super::spare_descriptor;

pub(crate) use libc::{ECHILD, SIGCHLD, SIGKILL};

/// Signal numbers are 1 to 64 on Linux and fewer elsewhere.
const SIGNALS: i32 = 64;

/// What the child does before it becomes the program.
pub(crate) struct Preparation {
    /// It leads a session of its own.
    pub(crate) new_session: bool,
    /// It gives up the supplementary groups, which std does only for another user.
    pub(crate) drop_groups: bool,
    /// The descriptors above 2 that it gets, by their numbers there. None of those here has the
    /// number of one there.
    pub(crate) descriptors: Vec<(RawFd, OwnedFd)>,
}

/// Starts a program.
pub(crate) fn spawn(mut command: Command, preparation: Preparation) -> io::Result<Arc<Pid>> {
    // SAFETY: between fork and exec this makes system calls only: it allocates nothing, takes no
    // lock, and does not panic.
    unsafe { command.pre_exec(move || preparation.run()) };
    keep_statuses()?;
    let child = with_signals_blocked(|| command.spawn())?;
    match Pid::open(child.id()) {
        Ok(pid) => Ok(Arc::new(pid)),
        Err(error) => {
            // It could not be waited for. (Without a system that can, `open` gives a plain number.)
            give_up(Arc::new(Pid::without_descriptor(child.id())));
            Err(error)
        }
    }
}

/// Ends a child that nobody is to have, and leaves no zombie. One that may not be killed, as a
/// program with another user's rights, is left to itself, for it may run for long.
pub(crate) fn give_up(pid: Arc<Pid>) {
    if pid.signal(SIGKILL).and_then(|()| pid.wait_for_number(0)).is_err() {
        leave_orphan(pid);
    }
}

/// Has the system keep how a child has ended until somebody waits for it. It does not while SIGCHLD
/// is ignored, as it is in a process that was started so; by default nothing else comes of it.
fn keep_statuses() -> io::Result<()> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the action lives here, and the system has filled it in where it is looked at. It is
    // put back with a handler that it had, or without any.
    unsafe {
        super::file::check(libc::sigaction(SIGCHLD, ptr::null(), action.as_mut_ptr()))?;
        let mut action = action.assume_init();
        let is_ignored = action.sa_sigaction == libc::SIG_IGN;
        if !is_ignored && action.sa_flags & libc::SA_NOCLDWAIT == 0 {
            return Ok(());
        }
        if is_ignored {
            action.sa_sigaction = libc::SIG_DFL;
        }
        action.sa_flags &= !libc::SA_NOCLDWAIT;
        super::file::check(libc::sigaction(SIGCHLD, &raw const action, ptr::null_mut()))
    }
}

impl Preparation {
    /// Runs in the child. The error goes to the parent, as the one of its `spawn`.
    fn run(&self) -> io::Result<()> {
        // SAFETY: calls without pointers, or with a list of no groups.
        unsafe {
            if self.new_session && libc::setsid() == -1 {
                return Err(io::Error::last_os_error());
            }
            if self.drop_groups && libc::setgroups(0, ptr::null()) == -1 {
                return Err(io::Error::last_os_error());
            }
        }
        close_on_exec_from(3);
        for (number, source) in &self.descriptors {
            // SAFETY: a call without pointers. The copy stays open on exec.
            if unsafe { libc::dup2(source.as_raw_fd(), *number) } == -1 {
                return Err(io::Error::last_os_error());
            }
        }
        (0..3).for_each(set_blocking);
        reset_signals();
        Ok(())
    }
}

/// Has all descriptors from `first` on closed on exec.
fn close_on_exec_from(first: RawFd) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let flags = libc::CLOSE_RANGE_CLOEXEC as libc::c_long;
        let (first, last) = (libc::c_long::from(first), libc::c_long::from(u32::MAX));
        // SAFETY: a call without pointers.
        if unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } == 0 {
            return;
        }
    }
    // SAFETY: calls without pointers; one on a number that is not open only fails.
    unsafe {
        let last = libc::sysconf(libc::_SC_OPEN_MAX).clamp(256, 1 << 20) as RawFd;
        for fd in first..last {
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}

/// Has calls on a descriptor wait: programs expect that of their standard streams.
fn set_blocking(fd: RawFd) {
    // SAFETY: calls without pointers; on a number that is not open they only fail.
    unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        if flags != -1 && flags & libc::O_NONBLOCK != 0 {
            libc::fcntl(fd, libc::F_SETFL, flags & !libc::O_NONBLOCK);
        }
    }
}

/// Has each signal do what it does by default, and lets all of them in.
fn reset_signals() {
    for signum in 1..=SIGNALS {
        set_default(signum);
    }
    let mut none = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the set lives here, and is filled before it is used.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}

/// Has a signal do what it does by default, if that can be chosen. Past the C library, which keeps
/// two signals to itself that may be ignored all the same.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_default(signum: i32) {
    // The kernel's own structure, of four words at most: zero is the default action, without flags
    // and with an empty mask.
    let action = [0_u64; 4];
    let none = ptr::null_mut::<u64>();
    // SAFETY: the kernel reads the action, which lives here, and is told the size of its mask.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signum, action.as_ptr(), none, 8) };
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_default(signum: i32) {
    // SAFETY: what is installed runs no code. What is no signal only makes it fail.
    unsafe { libc::signal(signum, libc::SIG_DFL) };
}

/// Blocks all signals on this thread while `f` runs. Those that come meanwhile come after it.
fn with_signals_blocked<R>(f: impl FnOnce() -> R) -> R {
    let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: both sets live here; the first is filled before it is used.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = f();
    // SAFETY: the set was filled in above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    result
}

/// A copy of a descriptor whose number is `at_least` that.
pub(crate) fn duplicate_above(fd: BorrowedFd<'_>, at_least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: a call without pointers, on a descriptor that is borrowed for it.
    let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, at_least) };
    if copy == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// A copy of a descriptor that this process has by its number, if that is open.
pub(crate) fn duplicate_number(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the borrow ends with this call; a number that is not open only makes it fail.
    duplicate_above(unsafe { BorrowedFd::borrow_raw(number) }, 3)
}

/// Whether a program that this process becomes would have the descriptor.
pub(crate) fn is_inherited(number: RawFd) -> bool {
    flags(number).is_some_and(|flags| flags & libc::FD_CLOEXEC == 0)
}

/// The descriptor's own flags, if it is open.
fn flags(number: RawFd) -> Option<libc::c_int> {
    // SAFETY: a call without pointers; on a number that is not open it fails.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    (flags != -1).then_some(flags)
}

/// Takes a number that is free, so that nothing else gets it. None if it is not free.
pub(crate) fn occupy(number: RawFd) -> io::Result<Option<OwnedFd>> {
    if flags(number).is_some() {
        return Ok(None);
    }
    let spare = spare_descriptor()?;
    if spare.as_raw_fd() == number {
        return Ok(Some(spare));
    }
    let copy = duplicate_above(spare.as_fd(), number)?;
    Ok((copy.as_raw_fd() == number).then_some(copy))
}

/// Whether this process may give up groups.
pub(crate) fn is_root() -> bool {
    // SAFETY: a call without pointers, which cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// A child of this process.
pub(crate) struct Pid {
    /// Its number. Another process may have it once the child was waited for.
    number: u32,
    /// Names this process and no other, and is readable once it has ended. None where there is no
    /// such thing: then the number is used, until the child was waited for.
    descriptor: Option<OwnedFd>,
    /// How it ended, once somebody here has waited for it: a loop that reaps orphans, or the
    /// child's own handle, whichever comes first.
    status: Mutex<Option<ExitStatus>>,
}

impl Pid {
    /// Names a child that has not been waited for.
    fn open(number: u32) -> io::Result<Pid> {
        match pidfd_open(number) {
            Ok(descriptor) => {
                Ok(Pid { number, descriptor: Some(descriptor), status: Mutex::default() })
            }
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Pid::without_descriptor(number))
            }
            Err(error) => match error.raw_os_error() {
                // Before Linux 5.3, or under a filter. Or others have waited for it already.
                Some(libc::ENOSYS | libc::EPERM | libc::ESRCH) => {
                    Ok(Pid::without_descriptor(number))
                }
                _ => Err(error),
            },
        }
    }

    /// As [`open`](Pid::open) where the system has no descriptors of processes.
    pub(crate) fn without_descriptor(number: u32) -> Pid {
        Pid { number, descriptor: None, status: Mutex::default() }
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Is readable once the process has ended.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor.as_ref().map(AsFd::as_fd)
    }

    /// Its status, if it has ended, and the same each time from then on. An error if other code has
    /// waited for it.
    pub(crate) fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        // Nobody blocks under the lock: the system only looks.
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        while status.is_none() {
            match self.try_wait_once() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Some(ended)) => *status = Some(ended),
                result => return result,
            }
        }
        Ok(*status)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn try_wait_once(&self) -> io::Result<Option<ExitStatus>> {
        let Some(descriptor) = &self.descriptor else {
            return self.wait_for_number(libc::WNOHANG);
        };
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let id = descriptor.as_raw_fd() as libc::id_t;
        let options = libc::WEXITED | libc::WNOHANG;
        // SAFETY: the structure lives here. Zeroed memory is one, of no process.
        unsafe {
            if libc::waitid(libc::P_PIDFD, id, info.as_mut_ptr(), options) == -1 {
                return Err(io::Error::last_os_error());
            }
            let info = info.assume_init();
            if info.si_pid() == 0 {
                return Ok(None);
            }
            let status = info.si_status();
            Ok(Some(ExitStatus::from_raw(match info.si_code {
                libc::CLD_EXITED => (status & 0xff) << 8,
                libc::CLD_DUMPED => status | 0x80,
                _ => status,
            })))
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn try_wait_once(&self) -> io::Result<Option<ExitStatus>> {
        self.wait_for_number(libc::WNOHANG)
    }

    /// Waits for the process by its number, with these options.
    fn wait_for_number(&self, options: libc::c_int) -> io::Result<Option<ExitStatus>> {
        let mut status = 0;
        loop {
            // SAFETY: the status lives here.
            match unsafe { libc::waitpid(self.number as libc::pid_t, &raw mut status, options) } {
                -1 => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
                0 => return Ok(None),
                _ => return Ok(Some(ExitStatus::from_raw(status))),
            }
        }
    }

    /// Sends a signal, unless somebody here has waited for the process: then it is not found.
    pub(crate) fn signal(&self, signum: i32) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(descriptor) = &self.descriptor {
            let null = ptr::null::<libc::siginfo_t>();
            let call = libc::SYS_pidfd_send_signal;
            // SAFETY: a call whose only pointer may be null.
            let failed = unsafe { libc::syscall(call, descriptor.as_raw_fd(), signum, null, 0) };
            return super::file::check(failed as libc::c_int);
        }
        // Held until the signal is sent: another loop may be about to wait for an orphan.
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if status.is_some() {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        // SAFETY: a call without pointers. Nobody else has the number before it was waited for.
        super::file::check(unsafe { libc::kill(self.number as libc::pid_t, signum) })
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn pidfd_open(number: u32) -> io::Result<OwnedFd> {
    let number = number as libc::pid_t;
    // SAFETY: a call without pointers. What it makes is closed on exec.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, number, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn pidfd_open(_number: u32) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Children whose loop has ended before them.
static ORPHANS: Mutex<Vec<Arc<Pid>>> = Mutex::new(Vec::new());

/// Leaves a child to whichever loop next starts one or hears of an end.
pub(crate) fn leave_orphan(pid: Arc<Pid>) {
    ORPHANS.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
}

/// Waits for those orphans that have ended.
pub(crate) fn reap_orphans() {
    let mut orphans = ORPHANS.lock().unwrap_or_else(PoisonError::into_inner);
    orphans.retain(|pid| matches!(pid.try_wait(), Ok(None)));
}
