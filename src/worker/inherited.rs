//! The environment of a loop: values that its workers inherit, one of each type.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::callback::Apart;
use crate::state::State;
use crate::state::current;

/// A value that is shared with those who inherit it.
type Value = Arc<dyn Any + Send + Sync>;

/// The values that workers inherit, one of each type. A list, in the order in which their types
/// came: they are dropped in the same order in each run.
#[derive(Default)]
pub(super) struct Values(Vec<(TypeId, Apart<Option<Value>>)>);

impl Values {
    /// Sets the value of its type. The one before comes back, to be dropped.
    pub(super) fn set<T: Send + Sync + 'static>(&mut self, value: T) -> impl Sized + use<T> {
        self.put(TypeId::of::<T>(), Arc::new(value))
    }

    fn put(&mut self, of_type: TypeId, value: Value) -> Option<Value> {
        match self.0.iter_mut().find(|(known, _)| *known == of_type) {
            Some((_, place)) => place.0.replace(value),
            None => {
                self.0.push((of_type, Apart(Some(value))));
                None
            }
        }
    }

    fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let (_, value) = self.0.iter().find(|(known, _)| *known == TypeId::of::<T>())?;
        value.0.clone()?.downcast().ok()
    }

    /// Sets all these values.
    pub(super) fn extend(&mut self, values: Values) {
        for (of_type, mut value) in values.0 {
            drop(value.0.take().and_then(|value| self.put(of_type, value)));
        }
    }
}

impl Clone for Values {
    fn clone(&self) -> Values {
        let all = self.0.iter();
        Values(all.map(|(of_type, value)| (*of_type, Apart(value.0.clone()))).collect())
    }
}

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
    let before = environment.0.borrow_mut().set(value);
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
    environment.0.borrow().get()
}

/// A copy of a loop's environment, for a worker.
pub(super) fn inherited(state: &State) -> Values {
    state.extension::<Environment>().map_or_else(Values::default, |own| own.0.borrow().clone())
}

/// Gives a worker's new loop what it inherits.
pub(super) fn inherit(state: &State, values: Values) {
    if !values.0.is_empty() {
        state.set_extension(Rc::new(Environment(RefCell::new(values))));
    }
}
