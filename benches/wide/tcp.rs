//! Raw TCP as the two ends of the wide link: how much the relay can carry.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::BIN;
use crate::ends::{answer, resident, told};

pub(crate) fn receiver() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (before, _) = resident();
    answer(&json!({ "address": listener.local_addr().expect("it is bound").to_string() }));
    let (mut stream, _) = listener.accept().expect("a sender");
    let mut buffer = vec![0; 128 << 10];
    let mut start: Option<Instant> = None;
    let mut bins: Vec<u64> = Vec::new();
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        if read == 0 {
            break;
        }
        let elapsed = start.get_or_insert_with(Instant::now).elapsed();
        let bin = (elapsed.as_nanos() / BIN.as_nanos()) as usize;
        bins.resize(bins.len().max(bin + 1), 0);
        bins[bin] += read as u64;
    }
    while told().is_some() {
        answer(&json!({ "bins": bins, "before": before, "peak": resident().1 }));
    }
}

pub(crate) fn sender(arguments: &[String]) {
    let seconds: u64 = arguments[1].parse().expect("a number");
    let (before, _) = resident();
    let mut stream = TcpStream::connect(&arguments[0]).expect("the relay");
    let block = vec![0x5A; 64 << 10];
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        stream.write_all(&block).expect("written");
    }
    drop(stream);
    // What is on its way arrives.
    std::thread::sleep(Duration::from_millis(500));
    answer(&json!({ "before": before, "peak": resident().1 }));
    while told().is_some() {}
}
