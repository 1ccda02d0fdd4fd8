//! What may cross threads and what may not. The compiler is the judge; these tests ask it. L-26 of
//! the list of behaviours.

use std::io;
use std::marker::PhantomData;
use std::rc::Rc;

use windlass::fs::stream::{ReadStream, WriteStream};
use windlass::fs::{DirEntry, File, PathError, ReadDir};
use windlass::handle::{Check, Idle, Notifier, Prepare};
use windlass::net::{DetachedTcpListener, DetachedTcpStream, TcpListener, TcpStream};
use windlass::signal::Signal;
use windlass::task::Local;
use windlass::time::{Elapsed, Sleep};
use windlass::worker::{
    Bounded, BroadcastChannel, Call, CallError, DirectError, Permit, Port, PortEnd,
    RecvTimeoutError, Reply, TryPostError, Unresponsive, Worker, WorkerError, WorkerPool,
    WorkerUsage,
};
use windlass::{
    CancelError, Canceller, Immediate, KeepAlive, Loop, LoopGone, Metrics, Panic, Remote, Request,
    Task, TaskError, Timer, WorkError, YieldNow,
};

/// Asks whether a type has a marker: the inherent constant is found only where its bound holds, and
/// else the constant of the trait, which every type has.
struct Probe<T: ?Sized>(PhantomData<T>);

trait Absent {
    const SEND: bool = false;
    const SYNC: bool = false;
}

impl<T: ?Sized> Absent for Probe<T> {}

impl<T: ?Sized + Send> Probe<T> {
    const SEND: bool = true;
}

impl<T: ?Sized + Sync> Probe<T> {
    const SYNC: bool = true;
}

macro_rules! assert_stays_on_its_thread {
    ($($type:ty),+ $(,)?) => {
        $(const { assert!(!Probe::<$type>::SEND, concat!(stringify!($type), " is Send")) })+
        $(const { assert!(!Probe::<$type>::SYNC, concat!(stringify!($type), " is Sync")) })+
    };
}

macro_rules! assert_crosses_threads {
    ($($type:ty),+ $(,)?) => {
        $(const { assert!(Probe::<$type>::SEND, concat!(stringify!($type), " is not Send")) })+
    };
}

macro_rules! assert_is_shared_by_threads {
    ($($type:ty),+ $(,)?) => {
        assert_crosses_threads!($($type),+);
        $(const { assert!(Probe::<$type>::SYNC, concat!(stringify!($type), " is not Sync")) })+
    };
}

#[test]
fn the_probe_tells_the_two_apart() {
    assert_is_shared_by_threads!(u8, String, io::Error);
    assert_stays_on_its_thread!(Rc<u8>, *const u8);
    assert_crosses_threads!(std::cell::Cell<u8>);
    const { assert!(!Probe::<std::cell::Cell<u8>>::SYNC) }
}

#[test]
fn nothing_of_a_loop_crosses_threads() {
    assert_stays_on_its_thread!(
        Loop,
        KeepAlive,
        Idle,
        Prepare,
        Check,
        Signal,
        YieldNow,
        TcpListener,
        TcpStream,
        File,
        ReadDir,
        ReadStream,
        WriteStream,
    );
    // An open file travels as one of std's, what a directory lists as it is.
    assert_crosses_threads!(std::fs::File, DirEntry);
}

#[test]
fn requests_and_tasks_stay_on_their_thread_whatever_they_give() {
    assert_stays_on_its_thread!(
        Request<()>,
        Request<io::Result<Vec<u8>>>,
        Request<Rc<u8>>,
        Canceller,
        Task<()>,
        Task<Rc<u8>>,
    );
}

#[test]
fn workers_and_open_ports_stay_on_their_thread_whatever_they_carry() {
    assert_stays_on_its_thread!(
        Worker<u8, u8>,
        Port<u8, u8>,
        Port<String, Vec<u8>>,
        Port<u8, u8, Bounded>,
        BroadcastChannel<u8>,
        WorkerPool<u8, u8>,
    );
}

#[test]
fn what_wakes_a_loop_is_shared_by_threads() {
    assert_is_shared_by_threads!(Remote, Notifier, std::task::Waker, Metrics);
}

// A number does nothing on another thread; a sleep is still its loop's.
#[test]
fn ids_and_sleeps_are_shared_by_threads() {
    assert_is_shared_by_threads!(Timer, Immediate, Sleep, Local<Rc<u8>>, Local<TcpStream>);
}

#[test]
fn a_detached_port_end_crosses_threads() {
    assert_crosses_threads!(DetachedTcpStream, DetachedTcpListener, PortEnd<u8, u8, Bounded>);
    assert_crosses_threads!(Call<u8, u8>, Reply<String>, Permit<u8>, Unresponsive, WorkerUsage);
    assert_is_shared_by_threads!(CallError, DirectError, RecvTimeoutError, TryPostError<u8>);
    assert_crosses_threads!(PortEnd<u8, String>, PortEnd<PortEnd<u8, u8>, Box<dyn FnOnce() + Send>>);
}

#[test]
fn errors_are_shared_by_threads_and_work_with_the_question_mark() {
    fn is_error<E: std::error::Error + Send + Sync + 'static>() {}

    assert_is_shared_by_threads!(Panic);
    is_error::<LoopGone>();
    is_error::<CancelError>();
    is_error::<WorkError>();
    is_error::<TaskError>();
    is_error::<WorkerError>();
    is_error::<Elapsed>();
    is_error::<PathError>();

    fn question_mark() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let outcome: Result<(), TaskError> = Ok(());
        outcome?;
        let outcome: Result<(), WorkError> = Ok(());
        Ok(outcome?)
    }
    assert!(question_mark().is_ok());
}

#[test]
#[deny(dropping_copy_types, unused_must_use)]
fn an_outcome_that_does_not_matter_is_dropped_without_a_warning() {
    windlass::run(|| {
        let job = windlass::queue_work(|| ());
        let canceller = job.canceller();
        job.cancel().ok();
        canceller.cancel().ok();
        drop(Loop::current().remote().post(|| ()));
    });
}

// Whatever the messages are, the ends of a worker can be cloned.
#[test]
fn the_names_of_things_can_be_cloned() {
    fn is_clone<T: Clone>() {}
    fn is_copy<T: Copy>() {}
    struct Message;

    is_clone::<Loop>();
    is_clone::<Remote>();
    is_clone::<Notifier>();
    is_clone::<Canceller>();
    is_clone::<TcpListener>();
    is_clone::<TcpStream>();
    is_clone::<Worker<Message, Message>>();
    is_clone::<Port<Message, Message>>();
    is_copy::<Timer>();
    is_copy::<Immediate>();
}
