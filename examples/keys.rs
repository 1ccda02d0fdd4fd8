//! How does a program take single keys, and leave the terminal as it found it?
//!
//! By a `Tty` in raw mode. The arrow keys move a mark over the window. The modes of the terminal come
//! back by themselves: with `q`, with Ctrl-C, which is a key like any other here, and with a panic, which
//! is what `p` is for. A signal that ends the program would not wait for that, so it is watched, and ends
//! the loop.
//!
//! ```text
//! $ cargo run --example keys
//! (the window is cleared, and shows an @ in its middle: press →, →, ↓ and q)
//! the mark is at column 42, row 13
//! ```

#[path = "common/mod.rs"]
mod common;

use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::rc::Rc;

use windlass::signal::Signal;
use windlass::stdio::{Stdout, stdout};
use windlass::tty::{Mode, Tty, WindowSize};

use common::{complain, mention};

const HELP: &str = "\
Moves a mark over the terminal with the arrow keys.

usage: keys [--short]

  q, Ctrl-C   ends it
  p           makes it panic, to see that the terminal is as before then too
  --short     presses three keys by itself, and needs no terminal
  --help      this text
";

/// SIGHUP, SIGINT and SIGTERM.
const ENDS: [i32; 3] = [1, 2, 15];

fn main() -> ExitCode {
    common::main(HELP, common::short, |short| {
        windlass::run_main(move || {
            if short {
                let mut field = Field::new(WindowSize { columns: 80, rows: 24 });
                field.press(b"\x1b[C\x1b[C\x1b[B");
                mention!("{field}");
            } else if let Err(error) = play() {
                complain!("the standard input: {error}");
                windlass::set_exit_code(1);
            }
        })
    })
}

fn play() -> io::Result<()> {
    let terminal = Tty::open(io::stdin().as_fd().try_clone_to_owned()?)?;
    let field = Rc::new(RefCell::new(Field::new(terminal.window_size()?)));
    for signum in ENDS {
        Signal::start(signum, move || windlass::exit(128 + signum))?.unref();
    }
    terminal.set_mode(Mode::Raw)?;
    let output = stdout();
    field.borrow().draw(&output);

    let (resized, window) = (field.clone(), output.clone());
    terminal.on_resize(move |size| {
        resized.borrow_mut().resize(size);
        resized.borrow().draw(&window);
    });
    terminal.read_start(move |terminal, keys| {
        let next = match keys {
            Ok(b"") | Err(_) => Next::End, // The window was closed.
            Ok(keys) => field.borrow_mut().press(keys),
        };
        match next {
            Next::GoOn => field.borrow().draw(&output),
            Next::Panic => panic!("p was pressed"),
            Next::End => {
                terminal.close(); // From here on the terminal is as before.
                drop(output.write(format!("{CLEAR}{}\n", field.borrow()).as_bytes()));
            }
        }
    });
    Ok(())
}

/// Clears the window, and goes to its upper left corner.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// What follows from a key.
enum Next {
    GoOn,
    Panic,
    End,
}

/// Where the mark is.
struct Field {
    size: WindowSize,
    /// From 1 on, as terminals count.
    column: u16,
    /// From 1 on.
    row: u16,
    /// The beginning of a key that sends several bytes, which may come one by one.
    begun: Vec<u8>,
}

impl Field {
    fn new(size: WindowSize) -> Field {
        let mut field =
            Field { size, column: size.columns / 2, row: size.rows / 2, begun: Vec::new() };
        field.resize(size);
        field
    }

    fn resize(&mut self, size: WindowSize) {
        self.size = size;
        self.column = self.column.clamp(1, size.columns.max(1));
        self.row = self.row.clamp(1, size.rows.max(1));
    }

    fn press(&mut self, bytes: &[u8]) -> Next {
        for byte in bytes {
            self.begun.push(*byte);
            match &*self.begun {
                b"\x1b" | b"\x1b[" => continue,
                b"\x1b[A" => self.row -= 1,
                b"\x1b[B" => self.row = self.row.saturating_add(1),
                b"\x1b[C" => self.column = self.column.saturating_add(1),
                b"\x1b[D" => self.column -= 1,
                b"q" | b"\x03" => return Next::End,
                b"p" => return Next::Panic,
                _ => {}
            }
            self.begun.clear();
            self.resize(self.size); // Not over the edge.
        }
        Next::GoOn
    }

    fn draw(&self, output: &Stdout) {
        let text = format!("{CLEAR}\x1b[{};{}H@", self.row, self.column);
        // An output that fails is no reason to end.
        drop(output.write(text.as_bytes()));
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the mark is at column {}, row {}", self.column, self.row)
    }
}
