//! The native part of `fs`. Each function takes a function as its last argument, which is called
//! with an error number, 0 for none, and the result, once the pool has done the work; without it
//! the work is done at once, and `[number, result]` is returned.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, UNIX_EPOCH};

use rquickjs::function::Opt;
use rquickjs::{Array, Ctx, Function, IntoJs, Object, Result, Value};
use windlass::fs::Access;
use windlass::{WorkError, WorkKind};

use crate::bytes::{Bytes, Text};
use crate::callback::Callback;
use crate::errno;
use crate::files::{self, Reply};
use crate::native::Natives;

/// The function to call when an operation is done; none for a sync one.
type Done<'js> = Opt<Function<'js>>;

/// What comes of an operation.
type Answer = io::Result<Reply>;

/// An operation on a path.
type OnPath = fn(&str) -> Answer;

/// An operation on two paths.
type OnTwoPaths = fn(&str, &str) -> Answer;

/// An operation on an open file.
type OnFile = fn(i32) -> Answer;

/// Operations on a path, by the names of their jobs; without `fs.` they are those of their functions.
const ON_PATH: [(&str, OnPath); 8] = [
    ("fs.lstat", files::lstat),
    ("fs.mkdtemp", files::mkdtemp),
    ("fs.readdir", files::readdir),
    ("fs.readlink", files::readlink),
    ("fs.realpath", files::realpath),
    ("fs.rmdir", files::rmdir),
    ("fs.stat", files::stat),
    ("fs.unlink", files::unlink),
];

/// Operations on two paths.
const ON_TWO_PATHS: [(&str, OnTwoPaths); 3] =
    [("fs.link", files::link), ("fs.rename", files::rename), ("fs.symlink", files::symlink)];

/// Operations on an open file.
const ON_FILE: [(&str, OnFile); 2] = [("fs.close", files::close), ("fs.fstat", files::fstat)];

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    let function = |job: &'static str| job.trim_start_matches("fs.");
    for (job, work) in ON_PATH {
        let call = move |ctx: Ctx<'js>, path: Text, done: Done<'js>| {
            run(&ctx, done, job, move || work(&path.0))
        };
        natives.add_registering(function(job), call)?;
    }
    for (job, work) in ON_TWO_PATHS {
        let call = move |ctx: Ctx<'js>, one: Text, other: Text, done: Done<'js>| {
            run(&ctx, done, job, move || work(&one.0, &other.0))
        };
        natives.add_registering(function(job), call)?;
    }
    for (job, work) in ON_FILE {
        let call =
            move |ctx: Ctx<'js>, fd: i32, done: Done<'js>| run(&ctx, done, job, move || work(fd));
        natives.add_registering(function(job), call)?;
    }
    natives.add_registering("open", open)?;
    natives.add_registering("read", read)?;
    natives.add_registering("write", write)?;
    natives.add_registering("ftruncate", ftruncate)?;
    natives.add_registering("fsync", fsync)?;
    natives.add_registering("access", access)?;
    natives.add_registering("mkdir", mkdir)?;
    natives.add_registering("rm", rm)?;
    natives.add_registering("copyFile", copy_file)?;
    natives.add_registering("chmod", chmod)?;
    natives.add_registering("utimes", utimes)?;
    natives.add_registering("watchMetadata", watch_metadata)?;
    natives.add("trackDescriptors", track_descriptors)?;
    natives.add("noteOpened", note_opened)?;
    natives.add("noteClosed", note_closed)?;
    Ok(natives.into_object())
}

/// The descriptors that the scripts of a worker have opened and not closed.
struct Unmanaged(HashSet<i32>);

impl Drop for Unmanaged {
    fn drop(&mut self) {
        for fd in self.0.drain() {
            // Another thread may have closed it.
            drop(files::close(fd));
        }
    }
}

thread_local! {
    /// Those of this worker: they are closed with its thread. None if nobody has asked for that.
    static UNMANAGED: RefCell<Option<Unmanaged>> = const { RefCell::new(None) };
}

/// From now on this thread closes what it has opened when it ends.
fn track_descriptors() {
    UNMANAGED.set(Some(Unmanaged(HashSet::new())));
}

/// A descriptor was opened. Says whether it was new.
fn note_opened(fd: i32) -> bool {
    UNMANAGED.with_borrow_mut(|all| all.as_mut().is_none_or(|all| all.0.insert(fd)))
}

/// A descriptor is closed. Says whether it was known.
fn note_closed(fd: i32) -> bool {
    UNMANAGED.with_borrow_mut(|all| all.as_mut().is_none_or(|all| all.0.remove(&fd)))
}

/// Does the work on the pool, or at once.
fn run<'js>(
    ctx: &Ctx<'js>,
    done: Done<'js>,
    name: &'static str,
    work: impl FnOnce() -> io::Result<Reply> + Send + 'static,
) -> Result<Value<'js>> {
    let Some(done) = done.0 else {
        let (number, reply) = outcome(Ok(work()));
        let array = Array::new(ctx.clone())?;
        array.set(0, number)?;
        array.set(1, reply)?;
        return Ok(array.into_value());
    };
    let callback = Callback::new(ctx, done);
    let job = windlass::work(move |_| work()).kind(WorkKind::FastIo).name(name);
    job.submit().on_complete(move |result| {
        callback.call_with(|_, args| {
            let (number, reply) = outcome(result);
            args.push_arg(number)?;
            args.push_arg(reply)
        });
    });
    Ok(Value::new_undefined(ctx.clone()))
}

fn outcome(result: std::result::Result<io::Result<Reply>, WorkError>) -> (i32, Reply) {
    match result {
        Ok(Ok(reply)) => (0, reply),
        Ok(Err(error)) => (errno::of(&error), Reply::Nothing),
        Err(error) => (errno::of_job(&error), Reply::Nothing),
    }
}

impl<'js> IntoJs<'js> for Reply {
    fn into_js(self, ctx: &Ctx<'js>) -> Result<Value<'js>> {
        match self {
            Reply::Nothing => Ok(Value::new_undefined(ctx.clone())),
            Reply::Number(number) => Ok(Value::new_number(ctx.clone(), number)),
            Reply::Text(text) => text.into_js(ctx),
            Reply::Bytes(bytes) => Bytes(bytes).into_js(ctx),
            Reply::Stat(metadata) => stat_fields(&metadata).into_js(ctx),
            Reply::Entries(entries) => {
                let (names, kinds): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
                let array = Array::new(ctx.clone())?;
                array.set(0, names)?;
                array.set(1, kinds.into_iter().map(u32::from).collect::<Vec<_>>())?;
                Ok(array.into_value())
            }
        }
    }
}

/// What `Stats` has, in its order; the four times in milliseconds.
fn stat_fields(metadata: &Metadata) -> Vec<f64> {
    let ms = |seconds: i64, nanos: i64| seconds as f64 * 1e3 + nanos as f64 / 1e6;
    let changed = ms(metadata.ctime(), metadata.ctime_nsec());
    let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    vec![
        metadata.dev() as f64,
        f64::from(metadata.mode()),
        metadata.nlink() as f64,
        f64::from(metadata.uid()),
        f64::from(metadata.gid()),
        metadata.rdev() as f64,
        metadata.blksize() as f64,
        metadata.ino() as f64,
        metadata.size() as f64,
        metadata.blocks() as f64,
        ms(metadata.atime(), metadata.atime_nsec()),
        ms(metadata.mtime(), metadata.mtime_nsec()),
        changed,
        born.map_or(changed, |since| since.as_secs_f64() * 1e3),
    ]
}

/// A place in a file. A negative number is where the file stands.
fn position(number: f64) -> Option<u64> {
    (number >= 0.0).then_some(number as u64)
}

fn open<'js>(
    ctx: Ctx<'js>,
    path: Text,
    flags: i32,
    mode: u32,
    done: Done<'js>,
) -> Result<Value<'js>> {
    run(&ctx, done, "fs.open", move || files::open(&path.0, flags, mode))
}

fn read<'js>(ctx: Ctx<'js>, fd: i32, length: f64, at: f64, done: Done<'js>) -> Result<Value<'js>> {
    run(&ctx, done, "fs.read", move || files::read(fd, length as usize, position(at)))
}

fn write<'js>(
    ctx: Ctx<'js>,
    fd: i32,
    bytes: Bytes,
    at: f64,
    done: Done<'js>,
) -> Result<Value<'js>> {
    run(&ctx, done, "fs.write", move || files::write(fd, &bytes.0, position(at)))
}

fn ftruncate<'js>(ctx: Ctx<'js>, fd: i32, length: f64, done: Done<'js>) -> Result<Value<'js>> {
    run(&ctx, done, "fs.ftruncate", move || files::ftruncate(fd, length as u64))
}

fn fsync<'js>(ctx: Ctx<'js>, fd: i32, data: bool, done: Done<'js>) -> Result<Value<'js>> {
    run(&ctx, done, "fs.fsync", move || files::sync(fd, data))
}

/// The system is asked by the crate, whose request alone has its answer; the sync form comes close.
fn access<'js>(ctx: Ctx<'js>, path: Text, mode: i32, done: Done<'js>) -> Result<Value<'js>> {
    let Some(done) = done.0 else {
        return run(&ctx, done, "fs.access", move || files::access(&path.0, mode));
    };
    let asked = [(1, Access::EXECUTE), (2, Access::WRITE), (4, Access::READ)];
    let asked = asked.into_iter().filter(|(bit, _)| mode & bit != 0);
    let access = asked.fold(Access::EXISTS, |all, (_, one)| all | one);
    let callback = Callback::new(&ctx, done);
    windlass::fs::access(&path.0, access).on_complete(move |result| {
        callback.call((result.map_or_else(|error| errno::of(&error), |()| 0),));
    });
    Ok(Value::new_undefined(ctx))
}

fn mkdir<'js>(
    ctx: Ctx<'js>,
    path: Text,
    mode: u32,
    recursive: bool,
    done: Done<'js>,
) -> Result<Value<'js>> {
    run(&ctx, done, "fs.mkdir", move || files::mkdir(&path.0, mode, recursive))
}

fn rm<'js>(
    ctx: Ctx<'js>,
    path: Text,
    recursive: bool,
    force: bool,
    done: Done<'js>,
) -> Result<Value<'js>> {
    run(&ctx, done, "fs.rm", move || files::rm(&path.0, recursive, force))
}

fn copy_file<'js>(
    ctx: Ctx<'js>,
    from: Text,
    to: Text,
    exclusive: bool,
    done: Done<'js>,
) -> Result<Value<'js>> {
    run(&ctx, done, "fs.copyFile", move || files::copy_file(&from.0, &to.0, exclusive))
}

fn chmod<'js>(ctx: Ctx<'js>, path: Text, mode: u32, done: Done<'js>) -> Result<Value<'js>> {
    run(&ctx, done, "fs.chmod", move || files::chmod(&path.0, mode))
}

fn utimes<'js>(
    ctx: Ctx<'js>,
    path: Text,
    accessed: f64,
    modified: f64,
    done: Done<'js>,
) -> Result<Value<'js>> {
    run(&ctx, done, "fs.utimes", move || files::utimes(&path.0, accessed, modified))
}

/// Looks at a path again and again, some milliseconds apart: `changed(current, previous)` is called
/// when something is another, with undefined for what cannot be read. Gives `close` and `setRef`.
fn watch_metadata<'js>(
    ctx: Ctx<'js>,
    path: Text,
    milliseconds: f64,
    changed: Function<'js>,
) -> Result<Object<'js>> {
    let callback = Callback::new(&ctx, changed);
    let interval = Duration::try_from_secs_f64(milliseconds / 1e3).unwrap_or_default();
    let watcher = windlass::fs::watch_metadata(&path.0, interval);
    watcher.on_change(move |previous, current| {
        let fields = |look: &io::Result<Metadata>| look.as_ref().ok().map(stat_fields);
        let (current, previous) = (fields(current), fields(previous));
        callback.call((current, previous));
    });
    let natives = Natives::new(&ctx)?;
    let handle = watcher.clone();
    let set_ref = move |on: bool| {
        handle.set_ref(on);
    };
    natives.add("setRef", set_ref)?;
    let close = move || {
        // As in Node the loop lives until all that it closes is closed.
        watcher.on_close(|| ());
        watcher.close();
    };
    natives.add_registering("close", close)?;
    Ok(natives.into_object())
}
