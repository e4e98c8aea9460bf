//! A bad network by hand: a relay between `p2 send` and `p2 recv` that misbehaves on command.
//!
//! ```text
//! p2 recv --dir out                                                  listens on port 9000
//! cargo run --example relay -- --cut-every 1MiB..4MiB --cuts 10      listens on port 9001
//! p2 send 127.0.0.1:9001 --file big.log
//! ```
//!
//! While it runs, lines on its standard input act on the links of the moment: `cut`, `reset`,
//! `freeze` (silence; new links work), `thaw` (what was held back arrives late), `hole`, `hole up`
//! and `hole down` (silence for new links too), `refuse` (new links close at once), `to ADDR` (new
//! links lead to another server), `heal`, `wait MS`, `stat`, `quit`. With `wait` a file of such
//! lines is a script: `cargo run --example relay -- --rate 1MiB < bad-day.txt`.
#![forbid(unsafe_code)]
#![allow(dead_code, unreachable_pub, reason = "the tests use the rest of the relay")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it speaks to a person")]

#[path = "../tests/support/relay.rs"]
mod relay;

use std::io::BufRead;
use std::process::ExitCode;
use std::time::Duration;

use relay::{Cut, Relay, Rules, Way};

const USAGE: &str = "\
usage: relay [--listen ADDR] [--to ADDR] [--seed N] [RULES]

  --listen ADDR         default 127.0.0.1:9001
  --to ADDR             default 127.0.0.1:9000
  --cut-every A..B      cut each link after a random number of bytes, as in 64KiB..1MiB
  --cut-up N            cut each link after N bytes from the client to the server
  --cut-down N          cut each link after N bytes from the server to the client
  --cuts N              cut no more links than N
  --how fin|rst|either  how links are cut; default either
  --rate N              bytes a second in each direction, as in 128KiB
  --delay MS            milliseconds in each direction
  --jitter MS           up to so many more, at random
  --slice N             most bytes in one segment
  --stall N:MS          after each N bytes of a direction, nothing for MS milliseconds
  --flip-up N           flip a bit of byte N from the client to the server
  --flip-down N         flip a bit of byte N from the server to the client
  --seed N              of everything random; default 1";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let (mut listen, mut to) = ("127.0.0.1:9001".to_owned(), "127.0.0.1:9000".to_owned());
    let (mut rules, mut seed) = (Rules::default(), 1);
    while let Some(flag) = arguments.next() {
        if ["-h", "--help"].contains(&flag.as_str()) {
            println!("{USAGE}");
            return Ok(());
        }
        let value = arguments.next().ok_or(format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--listen" => listen = value,
            "--to" => to = value,
            "--cut-every" => {
                let (from, to) = value.split_once("..").ok_or("write A..B")?;
                let (from, to) = (size(from)?, size(to)?);
                if from >= to {
                    return Err(format!("{value} is empty"));
                }
                rules.random = Some(from..to);
            }
            "--cut-up" => rules.after_up = Some(size(&value)?),
            "--cut-down" => rules.after_down = Some(size(&value)?),
            "--cuts" => rules.cuts = Some(size(&value)?),
            "--how" => {
                rules.how = match value.as_str() {
                    "fin" => Cut::Fin,
                    "rst" => Cut::Rst,
                    "either" => Cut::Either,
                    _ => return Err("write fin, rst or either".to_owned()),
                }
            }
            "--rate" => rules.rate = Some(size(&value)?),
            "--delay" => rules.delay = Duration::from_millis(size(&value)?),
            "--jitter" => rules.jitter = Duration::from_millis(size(&value)?),
            "--stall" => {
                let (every, pause) = value.split_once(':').ok_or("write N:MS")?;
                rules.stall = Some((size(every)?, Duration::from_millis(size(pause)?)));
            }
            "--flip-up" => rules.flip_up = Some(size(&value)?),
            "--flip-down" => rules.flip_down = Some(size(&value)?),
            "--slice" => rules.slice = usize::try_from(size(&value)?).ok(),
            "--seed" => seed = size(&value)?,
            _ => return Err(format!("there is no {flag}")),
        }
    }
    let relay = Relay::listen(&listen, &to, seed)
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    relay.rules(rules);
    println!("{} leads to {to}", relay.address());
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        if line.trim() == "quit" {
            return Ok(());
        }
        if let Err(why) = act(&relay, line.trim()) {
            println!("{why}");
        }
        let (links, cuts, carried) = (relay.links(), relay.cuts(), relay.carried());
        println!("links {links}   cuts {cuts}   carried {carried} bytes");
    }
    // Without a terminal there is nobody to quit it: it works until it is killed.
    loop {
        std::thread::park();
    }
}

/// One line of a person's or a script's.
fn act(relay: &Relay, line: &str) -> Result<(), String> {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("" | "stat", "") => {}
        ("cut", "") => relay.cut(Cut::Fin),
        ("reset", "") => relay.cut(Cut::Rst),
        ("freeze", "") => relay.freeze(),
        ("thaw", "") => relay.thaw(),
        ("hole", "") => relay.black_hole(),
        ("hole", "up") => relay.black_hole_of(Way::Up),
        ("hole", "down") => relay.black_hole_of(Way::Down),
        ("refuse", "") => relay.refuse(),
        ("to", target) if !target.is_empty() => relay.target(target),
        ("heal", "") => relay.heal(),
        ("wait", time) => std::thread::sleep(Duration::from_millis(size(time)?)),
        _ => return Err(format!("there is no {line}")),
    }
    Ok(())
}

fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(format!("{text:?} is not a number, or one with KiB, MiB or GiB")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("{text:?} is not a number"))?;
    number.checked_mul(unit).ok_or(format!("{text:?} is too large"))
}
