//! The environment of a loop: values that its workers inherit, one of each type.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::state::State;
use crate::state::current;

/// The values that workers inherit, one of each type.
pub(super) type Values = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

/// The environment of a loop.
#[derive(Default)]
struct Environment(RefCell<Values>);

/// Sets the value that workers of this loop find as their [`environment`], if they start from now
/// on, beside values of other types.
///
/// The value is shared, not copied. A worker keeps the values that it found at its start: it does
/// not see a later call here, and its own workers inherit them. Node: `setEnvironmentData`, with
/// types for keys.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::worker::{self, Port, Worker};
///
/// struct Verbose(bool);
///
/// windlass::block_on(async {
///     worker::set_environment(Verbose(true));
///     let worker = Worker::spawn(|port: Port<bool, ()>| {
///         port.post(worker::environment::<Verbose>().is_some_and(|verbose| verbose.0));
///     })?;
///     assert_eq!(worker.recv().await, Some(true));
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn set_environment<T: Send + Sync + 'static>(value: T) {
    let state = current::expect("worker::set_environment");
    if !state.is_open() {
        return;
    }
    let environment = state.extension::<Environment>().unwrap_or_else(|| {
        let new = Rc::new(Environment::default());
        state.set_extension(new.clone());
        new
    });
    let before = environment.0.borrow_mut().insert(TypeId::of::<T>(), Arc::new(value));
    drop(before);
}

/// The value of this type that the current loop's worker was started with, or that was set here
/// since.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use windlass::worker::{Worker, environment, set_environment};
///
/// windlass::run(|| {
///     set_environment("a setting".to_owned());
///     Worker::<(), ()>::spawn(|_| {
///         assert_eq!(*environment::<String>().unwrap(), "a setting");
///     })
///     .unwrap();
/// });
/// ```
#[track_caller]
pub fn environment<T: Send + Sync + 'static>() -> Option<Arc<T>> {
    let state = current::expect("worker::environment");
    let environment = state.extension::<Environment>()?;
    let value = environment.0.borrow().get(&TypeId::of::<T>()).cloned()?;
    value.downcast().ok()
}

/// A copy of a loop's environment, for a worker.
pub(super) fn inherited(state: &State) -> Values {
    state.extension::<Environment>().map_or_else(Values::new, |own| own.0.borrow().clone())
}

/// Gives a worker's new loop what it inherits.
pub(super) fn inherit(state: &State, values: Values) {
    if !values.is_empty() {
        state.set_extension(Rc::new(Environment(RefCell::new(values))));
    }
}
