//! Labels: the lines of the script in what the loop says of itself.
//!
//! A native function that registers something on the loop does it under the label of the line that called it. What the
//! built-in modules register by themselves, with no script on the stack, has the label of the callback in which they do
//! so: it follows from that line.
//!
//! To find a line costs as much as to make an Error. So it is done only if somebody looks.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rquickjs::function::{IntoJsFunc, ParamRequirement, Params};
use rquickjs::{Ctx, Object, Result, Value};
use windlass::observe::{Label, labelled};

use crate::bytes::Text;
use crate::engine::{self, Hook};

/// The folder of the main script, whose name is left out. Set when somebody looks.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

thread_local! {
    /// The label that is in force on this thread.
    static NOW: Cell<Option<Label>> = const { Cell::new(None) };
}

/// From now on the callbacks of scripts have labels. Gives that of the main script, which is `file`.
pub(crate) fn want(file: &Path) -> Label {
    let path = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    FOLDER.get_or_init(|| path.parent().map(Path::to_owned).unwrap_or_default());
    Label::new("", &name(&path.to_string_lossy()), 1, 1)
}

/// What a file is called in a label.
fn name(file: &str) -> String {
    let path = Path::new(file);
    let inner = FOLDER.get().and_then(|folder| path.strip_prefix(folder).ok());
    inner.map_or(file, |inner| inner.to_str().unwrap_or(file)).to_owned()
}

/// The label that is in force.
pub(crate) fn now() -> Option<Label> {
    NOW.get()
}

/// The place of the label that is in force, under another name.
pub(crate) fn now_as(name: &str) -> Option<Label> {
    now().map(|label| Label::new(name, label.file(), label.line(), label.column()))
}

/// Gives what `f` registers this label. None leaves the label that is in force.
pub(crate) fn within<R>(label: Option<Label>, f: impl FnOnce() -> R) -> R {
    let Some(label) = label else { return f() };
    let _before = Before(NOW.replace(Some(label)));
    labelled(label, f)
}

/// Puts the label before in force again, also behind a panic.
struct Before(Option<Label>);

impl Drop for Before {
    fn drop(&mut self) {
        NOW.set(self.0);
    }
}

/// A native function that registers something on the loop.
pub(crate) struct Labelled<F>(pub(crate) F);

impl<'js, P, F: IntoJsFunc<'js, P>> IntoJsFunc<'js, P> for Labelled<F> {
    fn param_requirements() -> ParamRequirement {
        F::param_requirements()
    }

    fn call<'a>(&self, params: Params<'a, 'js>) -> Result<Value<'js>> {
        within(of_caller(params.ctx()), || self.0.call(params))
    }
}

/// The innermost line of a script, called as what it called. None when nobody looks, and without a script on the stack.
fn of_caller(ctx: &Ctx<'_>) -> Option<Label> {
    FOLDER.get()?;
    let hook = engine::current().hook(ctx, Hook::Caller)?;
    let Ok(caller) = hook.call::<_, Option<Object>>(()) else {
        // There is no memory for it, or the script is being interrupted, which it hears of again.
        drop(ctx.catch());
        return None;
    };
    let caller = caller?;
    let text = |key: &str| caller.get::<_, Text>(key).ok();
    let number = |key: &str| caller.get::<_, u32>(key).ok();
    let file = name(&text("file")?.0);
    Some(Label::new(&text("name")?.0, &file, number("line")?, number("column")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_registered_has_the_innermost_label_and_then_the_one_before() {
        let [outer, inner] = [1, 2].map(|line| Label::new("f", "a.js", line, 3));
        within(Some(outer), || {
            within(Some(inner), || assert_eq!(now(), Some(inner)));
            within(None, || assert_eq!(now(), Some(outer)));
            assert_eq!(now_as("g"), Some(Label::new("g", "a.js", 1, 3)));
        });
        assert_eq!(now(), None);
    }

    #[test]
    fn a_file_is_named_from_the_folder_of_the_main_script_on() {
        let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("scene").join("parent.js");
        assert_eq!(want(&main).to_string(), "parent.js:1:1");
        let beside = main.with_file_name("lib").join("b.js");
        assert_eq!(name(&beside.to_string_lossy()), "lib/b.js");
        assert_eq!(name("/elsewhere/c.js"), "/elsewhere/c.js");
        assert_eq!(name("[worker eval]"), "[worker eval]");
    }
}
