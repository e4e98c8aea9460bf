//! What figures say while something is stuck, rotated or dropped.

use super::support::prometheus::get;
use super::support::{Env, QUICK, eventually, log};
use super::{METRICS, metrics_of, receiver};

/// The figure of one series.
fn figure(address: &str, series: &str) -> f64 {
    let text = get(address, "/metrics").expect("an answer").body;
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {series} in\n{text}"))
}

/// Waits until a figure is as it should be, and returns it.
#[track_caller]
fn until(address: &str, series: &str, good: impl Fn(f64) -> bool) -> f64 {
    eventually(series, || Some(figure(address, series)).filter(|figure| good(*figure)))
}

/// A sender in session `s`, with where its metrics are.
fn sender(env: &Env, address: &str, arguments: &[&str]) -> (super::Process, String) {
    let line = [&["send", address, "--session=s", METRICS], &QUICK[..], arguments].concat();
    let mut sender = env.p2(&line).pipe().start();
    let metrics = metrics_of(&mut sender);
    (sender, metrics)
}

#[test]
fn a_reader_that_stands_still_shows_at_both_ends_and_so_does_what_was_dropped() {
    let env = Env::new();
    let line = ["recv", "--listen=127.0.0.1:0", "--format=name", METRICS];
    let mut receiving = env.p2(&line).held().start();
    let address = receiving.address();
    let of_receiver = metrics_of(&mut receiving);
    let load = "--gen=load=rate=20000/s,size=1000B,shape=random,count=20000";
    let exact = "--gen=exact=size=1000B,shape=random,count=2000";
    let drop = "--when-full=load=drop-oldest";
    let (mut sending, of_sender) = sender(&env, &address, &[load, exact, drop, "--stdin"]);
    until(&of_sender, "p2_sources{state=\"paused\"}", |paused| paused >= 2.0);
    let series = "p2_dropped_bytes_total{reason=\"buffer_full\"}";
    until(&of_sender, "p2_source_backlog_bytes", |backlog| backlog > 500_000.0);
    for series in ["p2_credit_blocked_seconds_total", "p2_source_paused_seconds_total"] {
        let first = until(&of_sender, series, |seconds| seconds > 0.0);
        until(&of_sender, series, |seconds| seconds > first + 0.2);
    }
    let waiting = "p2_unacknowledged_bytes{stream=\"exact\",direction=\"received\"}";
    until(&of_receiver, waiting, |bytes| bytes > 100_000.0);

    receiving.release();
    let complete = "p2_streams_ended_total{side=\"send\",result=\"complete\"}";
    until(&of_sender, complete, |streams| streams == 2.0);
    let dropped = figure(&of_sender, series);
    assert!(dropped > 0.0);
    let told = "p2_dropped_bytes_total{reason=\"at_source\"}";
    until(&of_receiver, told, |bytes| bytes == dropped);
    for (metrics, direction) in [(&of_sender, "sent"), (&of_receiver, "received")] {
        let of = |family: &str, stream: &str| {
            figure(metrics, &format!("{family}{{stream=\"{stream}\",direction=\"{direction}\"}}"))
        };
        let exact =
            [of("p2_payload_bytes_total", "exact"), of("p2_acknowledged_bytes_total", "exact")];
        assert_eq!(exact, [2_000_000.0; 2]);
        assert_eq!(of("p2_payload_bytes_total", "load") + dropped, 20_000_000.0);
    }
    assert_eq!(figure(&of_sender, "p2_sources{state=\"paused\"}"), 0.0);
    assert_eq!(figure(&of_sender, "p2_retained_bytes"), 0.0);
    sending.close_stdin();
    sending.wait().receipt();
    until(&of_receiver, "p2_sessions_ended_total{side=\"recv\",result=\"ok\"}", |n| n == 1.0);
}

#[test]
fn a_rotated_file_is_counted_and_every_byte_of_both() {
    let env = Env::new();
    let (_receiver, address, of_receiver) = receiver(&env, &["--dir=out"]);
    let path = env.write("app.log", &log(1, 30_000));
    let (mut sending, of_sender) = sender(&env, &address, &["--tail=app=app.log"]);
    until(&of_receiver, "p2_sink_bytes_total", |bytes| bytes == 30_000.0);
    assert_eq!(figure(&of_sender, "p2_source_rotations_total"), 0.0);
    std::fs::rename(&path, env.path("app.log.1")).expect("renamed");
    env.write("app.log", &log(2, 20_000));
    until(&of_sender, "p2_source_rotations_total", |rotations| rotations == 1.0);
    until(&of_receiver, "p2_sink_bytes_total", |bytes| bytes == 50_000.0);
    assert_eq!(figure(&of_sender, "p2_source_bytes_total"), 50_000.0);
    assert_eq!(figure(&of_sender, "p2_source_backlog_bytes"), 0.0);
    sending.close_stdin();
}
