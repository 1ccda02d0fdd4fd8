//! What a loop tells of its turns and iterations: the details.

use crate::state::State;
use crate::trace::detail::{self, Detail};
use crate::trace::ring::Happened;

impl State {
    /// A turn begins, or has ended.
    pub(super) fn tell_turn(&self, begins: bool) {
        if detail::is_wanted() {
            self.tell_to_new_readers();
            let happened = if begins { Happened::TurnBegan } else { Happened::TurnEnded };
            self.say(Detail::new(happened, 0));
        }
    }

    /// An iteration begins.
    #[inline]
    pub(super) fn tell_iteration(&self) {
        if detail::is_wanted() {
            self.tell_number();
        }
    }

    #[cold]
    #[inline(never)]
    fn tell_number(&self) {
        self.tell_to_new_readers();
        self.say(Detail::new(Happened::Iteration, self.mailbox.figures.iterations()));
    }

    /// Nothing is left of the loop.
    pub(super) fn tell_end(&self) {
        if detail::is_wanted() {
            self.say(Detail::new(Happened::Ended, 0));
        }
    }
}
