//! Watched directories.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

use common::inputs::Directories;
use common::{Figures, Laps, system};
use libuv_sys2 as uv;

use crate::{leaked, new_loop, run};

/// What is under way.
struct Watching {
    directories: Directories,
    handles: Vec<*mut uv::uv_fs_event_t>,
    /// Events that have not come yet of those that have happened.
    awaited: usize,
    batches_left: u64,
    laps: Laps,
}

thread_local! {
    static WATCHING: RefCell<Option<Watching>> = const { RefCell::new(None) };
}

impl Watching {
    /// Has things happen, or ends.
    fn go_on(&mut self) {
        if self.batches_left == 0 {
            for handle in self.handles.drain(..) {
                // SAFETY: each is closed once, and stays until the process ends.
                unsafe { uv::uv_close(handle.cast(), None) };
            }
            return;
        }
        self.batches_left -= 1;
        self.directories.change();
        self.awaited = Directories::COUNT * Directories::ROUNDS;
        self.laps.start();
    }
}

unsafe extern "C" fn heard(_: *mut uv::uv_fs_event_t, _: *const c_char, _: c_int, status: c_int) {
    assert_eq!(status, 0);
    WATCHING.with_borrow_mut(|watching| {
        let watching = watching.as_mut().expect("it has begun");
        watching.awaited -= 1;
        if watching.awaited == 0 {
            watching.laps.stop();
            watching.go_on();
        }
    });
}

/// Things happen, and then it is time to hear of them. `bytes` is the memory of a watch.
pub(crate) fn watch(items: u64) -> Figures {
    let (event_loop, batches) = (new_loop(), Directories::batches(items));
    let directories = Directories::new();
    let mut handles = Vec::with_capacity(Directories::COUNT);
    let before = system::resident_own();
    for path in directories.paths() {
        let path = CString::new(path.as_os_str().as_bytes()).expect("a path");
        // SAFETY: the handle stays until the process ends; libuv copies the path.
        unsafe {
            let handle = leaked();
            uv::uv_fs_event_init(event_loop, handle);
            assert_eq!(uv::uv_fs_event_start(handle, Some(heard), path.as_ptr(), 0), 0);
            handles.push(handle);
        }
    }
    let bytes = system::resident_own() - before;
    let mut watching =
        Watching { directories, handles, awaited: 0, batches_left: batches, laps: Laps::default() };
    watching.go_on();
    WATCHING.set(Some(watching));
    run(event_loop);
    let watching = WATCHING.take().expect("it has begun");
    let events = batches * (Directories::COUNT * Directories::ROUNDS) as u64;
    watching.laps.figures(events).with("bytes", bytes as f64 / Directories::COUNT as f64)
}
