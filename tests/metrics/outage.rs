//! A pair of programs under a real Prometheus: before, during and after an outage.

use std::collections::BTreeMap;
use std::io::Write;

use super::support::prometheus::{self, Prometheus, get};
use super::support::{Cut, Env, QUICK, Relay, log};
use super::{METRICS, metrics_of, receiver};

/// What the table shows.
const MAIN: [&str; 16] = [
    "sum(up)",
    "sum(p2_sessions{state='up'})",
    "sum(p2_sessions{state='down'})",
    "max(p2_current_outage_seconds)",
    "sum(p2_payload_bytes_total{stream=~'stdin|app',direction='sent'})",
    "sum(p2_payload_bytes_total{stream=~'stdin|app',direction='received'})",
    "sum(p2_acknowledged_bytes_total{stream=~'stdin|app',direction='sent'})",
    "sum(p2_unacknowledged_bytes{stream=~'stdin|app',direction='sent'})",
    "sum(p2_retained_bytes{instance='sender'})",
    "sum(p2_reconnects_total{instance='sender'})",
    "sum(p2_resumes_total{instance='sender',result='ok'})",
    "sum(p2_outage_seconds_count{instance='sender'})",
    "sum(p2_outage_seconds_sum{instance='sender'})",
    "sum(p2_connect_failures_total{instance='sender'}) > bool 0",
    "sum(p2_disconnects_total{instance='sender',reason=~'closed|broken'})",
    "sum(p2_duplicate_bytes_total{instance='receiver'})",
];

#[test]
fn figures_are_true_before_during_and_after_an_outage() {
    let Some(tools) = prometheus::find() else { return };
    let env = Env::new();
    let alerts = env.p2(&["dashboard", "alerts"]).run().exits(0).stdout;
    env.write("alerts.yml", &alerts);
    let beats = ["--heartbeat=500ms", "--heartbeat-timeout=30s"];
    let (_receiver, address, of_receiver) = receiver(&env, &[&["--dir=out"], &beats[..]].concat());
    let relay = Relay::to(&address, 1);
    let app = env.write("app.log", &log(1, 300_000));
    let mut line = vec!["send", "--session=s", METRICS, "--stdin", "--tail=app=app.log"];
    line.push("--gen=load=streams=2,rate=200/s,size=200B,shape=log");
    // One of the two is not compressed, one is urgent.
    line.extend(["--codec=load2=none", "--prio=load1=high"]);
    line.extend(QUICK);
    line.extend(beats);
    let target = relay.address();
    line.insert(1, &target);
    let mut sender = env.p2(&line).pipe().start();
    let of_sender = metrics_of(&mut sender);
    let targets = [(of_sender.as_str(), "sender"), (of_receiver.as_str(), "receiver")];
    let prometheus = tools.start(&env, &targets, Some("alerts.yml"));
    let both = |bytes: u64| {
        for direction in ["sent", "received"] {
            let names = format!("stream=~'stdin|app',direction='{direction}'");
            prometheus.until(&format!("sum(p2_payload_bytes_total{{{names}}})"), bytes as f64);
            prometheus.until(&format!("sum(p2_acknowledged_bytes_total{{{names}}})"), bytes as f64);
        }
    };
    let mut table = BTreeMap::new();

    sender.write(&log(2, 500_000));
    both(800_000);
    prometheus.until("sum(up)", 2.0);
    for address in [&of_sender, &of_receiver] {
        assert_eq!(get(address, "/readyz").expect("an answer").status, 200);
        tools.check_metrics(&get(address, "/metrics").expect("an answer").body);
    }
    note(&prometheus, "before", &mut table);

    relay.refuse();
    relay.cut(Cut::Fin);
    prometheus.until("sum(p2_sessions{state='down'})", 2.0);
    sender.write(&log(3, 100_000));
    prometheus.until("sum(p2_payload_bytes_total{stream='stdin',direction='sent'})", 600_000.0);
    prometheus.until("sum(p2_unacknowledged_bytes{stream='stdin',direction='sent'})", 100_000.0);
    prometheus.until("min(p2_current_outage_seconds) > bool 0", 1.0);
    prometheus.until("sum(p2_connect_failures_total) > bool 0", 1.0);
    for (address, said) in
        [(&of_sender, "session s: no link"), (&of_receiver, "session s: no link")]
    {
        let ready = get(address, "/readyz").expect("an answer");
        assert_eq!(ready.status, 503, "{}", ready.body);
        assert!(ready.body.starts_with(said), "{}", ready.body);
        assert_eq!(get(address, "/livez").expect("an answer").status, 200);
    }
    note(&prometheus, "during", &mut table);

    relay.heal();
    prometheus.until("sum(p2_sessions{state='up'})", 2.0);
    append(&app, &log(4, 50_000));
    both(950_000);
    prometheus.until("sum(p2_reconnects_total{instance='sender'})", 1.0);
    prometheus.until("sum(p2_resumes_total{result='ok'})", 2.0);
    prometheus.until("sum(p2_outage_seconds_count)", 2.0);
    prometheus.until("sum(p2_outage_seconds_sum{instance='sender'}) > bool 0", 1.0);
    prometheus.until("sum(p2_disconnects_total{reason=~'closed|broken'})", 2.0);
    prometheus.until("sum(p2_duplicate_bytes_total)", 0.0);
    prometheus.until("max(p2_current_outage_seconds)", 0.0);
    prometheus.until("sum(up)", 2.0);
    note(&prometheus, "after", &mut table);

    // What a wire carries is told alike by both ends, once it is at rest.
    for family in ["p2_stream_wire_bytes_total", "p2_stream_frames_total"] {
        let of =
            |direction: &str| format!("sum({family}{{stream='stdin',direction='{direction}'}})");
        let sent = prometheus.figure(&of("sent")).expect("a figure");
        assert!(sent > 0.0);
        prometheus.until(&of("received"), sent);
    }
    only_upwards(&prometheus);
    everything_answers(&env, &prometheus);
    println!("{:<72} {:>10} {:>10} {:>10}", "Prometheus, asked", "before", "during", "after");
    for expression in MAIN {
        let of = |when| table.get(&(expression, when)).copied().unwrap_or(f64::NAN);
        let [before, during, after] = ["before", "during", "after"].map(of);
        println!("{expression:<72} {before:>10.4} {during:>10.4} {after:>10.4}");
    }
    sender.close_stdin();
}

fn note(
    prometheus: &Prometheus,
    when: &'static str,
    table: &mut BTreeMap<(&'static str, &'static str), f64>,
) {
    for expression in MAIN {
        let figure = prometheus.figure(expression).unwrap_or(f64::NAN);
        table.insert((expression, when), figure);
    }
}

fn append(path: &std::path::Path, bytes: &[u8]) {
    let mut file = std::fs::File::options().append(true).open(path).expect("the file");
    file.write_all(bytes).expect("appended");
}

/// No counter ever fell.
fn only_upwards(prometheus: &Prometheus) {
    let counters: Vec<String> = prometheus
        .names("p2_")
        .into_iter()
        .filter(|name| {
            ["_total", "_count", "_bucket", "_sum"].iter().any(|end| name.ends_with(end))
        })
        .collect();
    assert!(counters.len() > 40, "{counters:?}");
    for name in counters {
        assert_eq!(prometheus.figure(&format!("sum(resets({name}[1h]))")), Some(0.0), "{name}");
    }
}

/// Every expression of the dashboard and of the alerts has an answer.
fn everything_answers(env: &Env, prometheus: &Prometheus) {
    let text = env.p2(&["dashboard", "grafana"]).run().exits(0).stdout;
    let dashboard: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("a list").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let mut expressions: Vec<String> = targets
        .map(|target| target["expr"].as_str().expect("text").to_owned())
        .map(|expr| expr.replace("$__rate_interval", "30s").replace("$instance", ".*"))
        .collect();
    let rules = prometheus.rules();
    println!("{} expressions of the dashboard, {} of alerts", expressions.len(), rules.len());
    assert!(expressions.len() > 50 && rules.len() > 10);
    for (_, query) in &rules {
        // Without what keeps an alert silent when all is well.
        expressions.push(query.replace(" > ", " > bool ").replace(" == ", " == bool "));
    }
    for expression in expressions {
        let series = prometheus.query(&expression);
        assert!(series.values().any(|value| value.is_finite()), "{expression}: {series:?}");
    }
}
