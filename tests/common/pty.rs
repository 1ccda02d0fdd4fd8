//! Pseudo-terminals, and programs that run on one.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Both sides of a pseudo-terminal.
#[derive(Debug)]
pub(crate) struct Pty {
    /// The side of who shows the terminal.
    pub(crate) master: File,
    /// The side of the programs that run on it. Held, so that the master sees no end before it is dropped.
    pub(crate) slave: File,
}

/// What of a terminal's modes the tests look at, and all of them for comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Modes {
    pub(crate) echo: bool,
    pub(crate) by_line: bool,
    pub(crate) signals: bool,
    flags: (u32, u32, u32, u32),
    keys: [u8; 32],
}

impl Pty {
    pub(crate) fn open() -> Pty {
        // SAFETY: no pointers but that of a buffer, which lives here and whose length is told.
        let (master, path) = unsafe {
            let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
            assert!(master >= 0, "there are pseudo-terminals");
            assert_eq!(libc::grantpt(master), 0);
            assert_eq!(libc::unlockpt(master), 0);
            let mut path = [0; 64];
            assert_eq!(libc::ptsname_r(master, path.as_mut_ptr(), path.len()), 0);
            let path = CStr::from_ptr(path.as_ptr()).to_str().unwrap().to_owned();
            (File::from_raw_fd(master), path)
        };
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY)
            .open(path)
            .expect("the other side");
        Pty { master, slave }
    }

    pub(crate) fn slave(&self) -> OwnedFd {
        self.slave.as_fd().try_clone_to_owned().unwrap()
    }

    pub(crate) fn master(&self) -> OwnedFd {
        self.master.as_fd().try_clone_to_owned().unwrap()
    }

    pub(crate) fn modes(&self) -> Modes {
        // SAFETY: the structure lives here and is filled in by the call.
        let modes = unsafe {
            let mut modes: libc::termios = std::mem::zeroed();
            assert_eq!(libc::tcgetattr(self.slave.as_raw_fd(), &mut modes), 0);
            modes
        };
        Modes {
            echo: modes.c_lflag & libc::ECHO != 0,
            by_line: modes.c_lflag & libc::ICANON != 0,
            signals: modes.c_lflag & libc::ISIG != 0,
            flags: (modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag),
            keys: modes.c_cc,
        }
    }

    /// Has the terminal change nothing of what goes through it.
    pub(crate) fn make_raw(&self) {
        // SAFETY: the structure lives here and is filled in by the first call.
        unsafe {
            let mut modes: libc::termios = std::mem::zeroed();
            assert_eq!(libc::tcgetattr(self.slave.as_raw_fd(), &mut modes), 0);
            libc::cfmakeraw(&mut modes);
            assert_eq!(libc::tcsetattr(self.slave.as_raw_fd(), libc::TCSANOW, &modes), 0);
        }
    }

    /// Sets the size of the window, as who shows the terminal does. The programs in front are sent SIGWINCH.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the structure is alive.
        assert_eq!(unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, &size) }, 0);
    }

    /// Starts a program that has this terminal for its own, as a shell would.
    pub(crate) fn start(&self, mut command: Command) -> Child {
        let end = || Stdio::from(self.slave());
        command.stdin(end()).stdout(end()).stderr(end());
        // SAFETY: all of these calls may be made between fork and exec.
        unsafe {
            command.pre_exec(|| {
                // Who started the tests in the background has had these ignored.
                for signum in [libc::SIGINT, libc::SIGQUIT] {
                    libc::signal(signum, libc::SIG_DFL);
                }
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        command.spawn().expect("the program starts")
    }

    /// Types.
    pub(crate) fn type_in(&self, keys: &[u8]) {
        (&self.master).write_all(keys).expect("the terminal takes what is typed");
    }

    /// Reads what the terminal shows until `words` are there. Returns all of it.
    #[track_caller]
    pub(crate) fn read_until(&self, words: &str) -> String {
        let mut shown = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let text = String::from_utf8_lossy(&shown).into_owned();
            if text.contains(words) {
                return text;
            }
            match (&self.master).read(&mut buffer) {
                Ok(count) if count > 0 => shown.extend_from_slice(&buffer[..count]),
                outcome => panic!("{outcome:?} instead of {words:?} behind {text:?}"),
            }
        }
    }
}
