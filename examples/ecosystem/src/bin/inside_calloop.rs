//! Can a loop live inside calloop, as in a program with windows?
//!
//! Its descriptor is a source of calloop's like any other, and `poll_timeout` is the longest that
//! calloop may wait.
//!
//! ```text
//! $ cargo run --bin inside_calloop
//! the file was read on our pool, inside calloop's loop
//! ```

use std::cell::Cell;
use std::error::Error;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use calloop::generic::Generic;
use calloop::{EventLoop, Interest, Mode, PostAction};
use windlass::{Loop, RunMode};

fn main() -> Result<(), Box<dyn Error>> {
    let ours = Loop::new()?;
    let done = Rc::new(Cell::new(false));
    let finishes = done.clone();
    ours.enter(|| {
        windlass::spawn_try(async move {
            windlass::time::sleep(Duration::from_millis(5)).await;
            let text = windlass::fs::read_to_string("Cargo.toml").await?;
            finishes.set(text.contains("[package]"));
            std::io::Result::Ok(())
        });
    });

    let mut theirs = EventLoop::<()>::try_new()?;
    // A copy, for calloop wants to own what it watches.
    let descriptor = ours.as_fd().try_clone_to_owned()?;
    let source = Generic::new(descriptor, Interest::READ, Mode::Level);
    // That it is ready is enough: the turn below takes what there is.
    theirs.handle().insert_source(source, |_, _, ()| Ok(PostAction::Continue))?;
    while ours.turn(RunMode::NoWait) {
        theirs.dispatch(ours.poll_timeout(), &mut ())?;
    }
    assert!(done.get());
    println!("the file was read on our pool, inside calloop's loop");
    Ok(())
}
