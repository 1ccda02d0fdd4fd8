//! Timing a workload, and the command line of a peer.

use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::system;

/// What one run of a workload gave, each figure under its name. `ns` is wall-clock time and `cpu` the
/// processor time of the whole process, both in nanoseconds for each item.
#[derive(Debug)]
pub struct Figures(Vec<(&'static str, f64)>);

impl Figures {
    /// No figures yet.
    pub fn new() -> Figures {
        Figures(Vec::new())
    }

    /// Adds a figure under a name of its own.
    pub fn with(mut self, name: &'static str, value: f64) -> Figures {
        self.0.push((name, value));
        self
    }

    /// The figure of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn get(&self, name: &str) -> f64 {
        self.0.iter().find(|(known, _)| *known == name).expect("a figure").1
    }
}

impl Default for Figures {
    fn default() -> Figures {
        Figures::new()
    }
}

/// Runs about so many items of a workload.
pub type Workload = fn(u64) -> Figures;

/// Both clocks, from one moment on.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Stopwatch {
        Stopwatch { cpu: system::cpu_time_own(), wall: Instant::now() }
    }

    /// The time from the start until now, shared out among the items.
    pub fn stop(self, items: u64) -> Figures {
        let (wall, cpu) = (self.wall.elapsed(), system::cpu_time_own() - self.cpu);
        let each = |time: Duration| time.as_nanos() as f64 / items as f64;
        Figures::new().with("ns", each(wall)).with("cpu", each(cpu))
    }
}

/// Both clocks, over the stretches in which the workload itself runs.
#[derive(Debug, Default)]
pub struct Laps {
    lap: Option<Stopwatch>,
    wall: Duration,
    cpu: Duration,
}

impl Laps {
    /// Begins a stretch.
    pub fn start(&mut self) {
        self.lap = Some(Stopwatch::start());
    }

    /// Ends the stretch that has begun.
    ///
    /// # Panics
    /// When none has.
    pub fn stop(&mut self) {
        let lap = self.lap.take().expect("a lap that has begun");
        self.wall += lap.wall.elapsed();
        self.cpu += system::cpu_time_own() - lap.cpu;
    }

    /// The time of all stretches, shared out among the items.
    pub fn figures(&self, items: u64) -> Figures {
        let each = |time: Duration| time.as_nanos() as f64 / items as f64;
        Figures::new().with("ns", each(self.wall)).with("cpu", each(self.cpu))
    }
}

/// Times `program`, which does `items` items.
pub fn measure(items: u64, program: impl FnOnce()) -> Figures {
    let stopwatch = Stopwatch::start();
    program();
    stopwatch.stop(items)
}

/// A peer: its workloads by name.
#[derive(Debug)]
pub struct Peer {
    /// The workloads that it has.
    pub workloads: &'static [(&'static str, Workload)],
    /// Servers: they print `port N` and serve until they are killed.
    pub servers: &'static [(&'static str, fn())],
}

impl Peer {
    /// Does what the command line asks for.
    ///
    /// # Panics
    /// When it asks for something that the peer does not have.
    pub fn main(&self) {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments[..] {
            ["--list"] => {
                self.workloads.iter().for_each(|(name, _)| println!("{name}"));
                self.servers.iter().for_each(|(name, _)| println!("{name}"));
            }
            ["--serve", wanted] => {
                let found = self.servers.iter().find(|(name, _)| *name == wanted);
                found.unwrap_or_else(|| panic!("no server {wanted}")).1();
            }
            [wanted, items] => {
                let found = self.workloads.iter().find(|(name, _)| *name == wanted);
                let workload = found.unwrap_or_else(|| panic!("no workload {wanted}")).1;
                let items = items.parse().expect("a number of items");
                let figures = workload(items).0;
                let pairs: Vec<String> =
                    figures.iter().map(|(name, value)| format!("\"{name}\":{value:.4}")).collect();
                println!("{{{}}}", pairs.join(","));
            }
            _ => panic!("usage: WORKLOAD ITEMS, --serve SERVER or --list"),
        }
    }
}

/// Tells whoever started a server where it listens.
///
/// # Panics
/// When nobody reads it.
pub fn print_address(address: impl Display) {
    println!("listening on {address}");
    std::io::stdout().flush().expect("someone reads it");
}

/// As [`print_address`], of a port of this machine.
pub fn print_port(port: u16) {
    print_address(format_args!("127.0.0.1:{port}"));
}
