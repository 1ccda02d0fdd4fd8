//! `unref`, `set_ref` and `has_ref`: one text and one implementation for all public handles.

/// Writes the three methods into the `impl` block of a public handle.
///
/// `$thing` is the handle's name in the sentences of the documentation, and `$more`, if given, one
/// further sentence for `unref`. It keeps the loop alive while it "is active", unless another
/// `$state` is given. After the semicolon comes the field that has `set_ref` and `has_ref` itself,
/// as a [`Registration`](super::registration::Registration) does, or, without such a field, two
/// closures.
macro_rules! ref_methods {
    ($thing:literal $(, $more:literal)?; $($how:tt)+) => {
        crate::state::references::ref_methods! {
            $thing while "is active" $(, $more)?; $($how)+
        }
    };
    ($thing:literal while $state:literal $(, $more:literal)?; $($field:ident).+) => {
        crate::state::references::ref_methods! {
            $thing while $state $(, $more)?;
            |handle: &Self, on: bool| handle.$($field).+.set_ref(on),
            |handle: &Self| handle.$($field).+.has_ref()
        }
    };
    ($thing:literal while $state:literal $(, $more:literal)?; $set_ref:expr, $has_ref:expr) => {
        #[doc = concat!(
            "Lets the loop end although the ", $thing, " ", $state, "." $(, " ", $more)?
        )]
        pub fn unref(&self) -> &Self {
            self.set_ref(false);
            self
        }

        #[doc = concat!(
            "Sets whether the ", $thing, " keeps the loop alive while it ", $state, "."
        )]
        pub fn set_ref(&self, on: bool) {
            let set_ref = $set_ref;
            set_ref(self, on);
        }

        #[doc = concat!(
            "Whether the ", $thing, " keeps the loop alive while it ", $state,
            ". False once it has ended."
        )]
        pub fn has_ref(&self) -> bool {
            let has_ref = $has_ref;
            has_ref(self)
        }
    };
}

pub(crate) use ref_methods;
