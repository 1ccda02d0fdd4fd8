//! How does a program answer datagrams?
//!
//! With one socket and one callback: each datagram comes with the address of who has sent it, and the
//! answer goes there. Nobody is connected, so one socket serves any number of clients. This one answers
//! whatever it gets with the time of day in UTC, as the old time service of the Internet (RFC 867) does.
//!
//! ```text
//! $ cargo run --example udp_time
//! the time, from 127.0.0.1:1313
//! $ echo | nc -u -w1 127.0.0.1 1313
//! 2026-11-29 17:45:03 UTC
//! ```
//!
//! Datagrams get lost, and whoever asks asks again. So an answer that cannot be sent ends nothing.

#[path = "common/mod.rs"]
mod common;

use std::io;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use windlass::net::UdpSocket;
use windlass::signal::Signal;

use common::{Long, Parser, Stop, complain, say};

const HELP: &str = "\
Answers each datagram with the time of day in UTC, until Ctrl-C.

usage: udp_time [--address ADDR] [--short]

  --address ADDR  where it listens: 127.0.0.1:1313 unless said
  --short         ends after one answer, which it asks itself for
  --help          this text
";

/// The signal of Ctrl-C, on every Unix.
const SIGINT: i32 = 2;

struct Options {
    address: String,
    short: bool,
}

fn main() -> ExitCode {
    common::main(HELP, read, |options| {
        windlass::run_main(|| {
            match serve(&options) {
                Ok(()) => {}
                // No address at all: an option that makes no sense.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    complain!("--address: {error}; see --help");
                    windlass::set_exit_code(2);
                }
                Err(error) => {
                    complain!("{}: {error}", options.address);
                    windlass::set_exit_code(1);
                }
            }
        })
    })
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let mut options = Options { address: "127.0.0.1:1313".to_owned(), short: false };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("address") => {
                options.address =
                    common::value(parser, "--address")?.to_string_lossy().into_owned();
            }
            Long("short") => options.short = true,
            argument => return Err(common::other(argument)),
        }
    }
    if options.short {
        options.address = "127.0.0.1:0".to_owned();
    }
    Ok(options)
}

fn serve(options: &Options) -> io::Result<()> {
    let server = UdpSocket::bind(&options.address)?;
    if !options.short {
        // Before the address is printed: whoever reads it may send the signal at once.
        let own = server.clone();
        Signal::once(SIGINT, move || own.close())?.unref();
    }
    say!("the time, from {}", server.local_addr()?);
    server.recv_start(|server, datagram| match datagram {
        Ok(datagram) => {
            let from = datagram.from;
            let time = format!("{}\n", time_of_day());
            server.send_to(time.as_bytes(), from).on_complete(move |sent| {
                if let Err(error) = sent {
                    complain!("{from}: {error}");
                }
            });
        }
        Err(error) => complain!("{error}"),
    });
    if options.short { ask(&server) } else { Ok(()) }
}

/// Asks as a client would, prints the answer and ends both.
fn ask(server: &UdpSocket) -> io::Result<()> {
    let client = UdpSocket::bind("127.0.0.1:0")?;
    client.connect(server.local_addr()?)?;
    client.try_send(b"\n")?;
    let server = server.clone();
    client.recv_start(move |client, answer| {
        match answer {
            Ok(answer) => say!("{}", String::from_utf8_lossy(answer.data).trim_end()),
            Err(error) => complain!("{error}"),
        }
        client.close();
        server.close();
    });
    Ok(())
}

/// The time of day in UTC. A day has 86,400 seconds here, as in all of Unix.
fn time_of_day() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (day, second) = (since / 86_400, since % 86_400);
    let (year, month, day) = date(day);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The date that is this many days after the first of January 1970.
fn date(mut day: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    (year, month, day + 1)
}
