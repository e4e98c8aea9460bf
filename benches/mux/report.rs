//! The figures of all rounds: medians, ratios to the peers, and how they stand to the goals.

use serde_json::{Map, Value, json};

use crate::scenario::Rate;

/// What is measured, in the order of the table: key, unit, goal in words, and whether it is met.
const METRICS: [Metric; 14] = [
    Metric("bulk 1", "GiB/s", "0.75 raw, 1.8 best peer", |f| {
        Some(f.ratio("tcp")? >= 0.75 && f.ratio("yamux")?.min(f.ratio("h2")?) >= 1.8)
    }),
    Metric("bulk 8", "GiB/s", "", |_| None),
    Metric("bulk 100", "GiB/s", "0.6 raw", |f| Some(f.ratio("tcp")? >= 0.6)),
    Metric("bulk 10000", "GiB/s", "0.7 of one stream", |f| {
        Some(f.own()? >= 0.7 * f.other("bulk 1")?)
    }),
    Metric("small 100", "M writes/s", "3.5 raw", |f| Some(f.ratio("tcp")? >= 3.5)),
    Metric("echo alone p50", "us", "", |_| None),
    Metric("echo alone p99", "us", "", |_| None),
    Metric("echo beside p50", "us", "0.07 h2", |f| Some(f.ratio("h2")? <= 0.07)),
    Metric("echo beside p99", "us", "0.14 h2", |f| Some(f.ratio("h2")? <= 0.14)),
    Metric("bulk with echo", "GiB/s", "", |_| None),
    Metric("bulk kept", "%", "90 %", |f| Some(f.own()? >= 90.0)),
    Metric("churn", "streams/s", "2 yamux", |f| Some(f.ratio("yamux")? >= 2.0)),
    Metric("idle 10000", "bytes", "1000", |f| Some(f.own()? <= 1000.0)),
    Metric("idle 100000", "bytes", "1000", |f| Some(f.own()? <= 1000.0)),
];

struct Metric(&'static str, &'static str, &'static str, fn(&Figures<'_>) -> Option<bool>);

/// One figure of one peer in one round.
struct Entry {
    metric: &'static str,
    peer: &'static str,
    value: f64,
    /// The same per second of processor time.
    processor: Option<f64>,
}

#[derive(Default)]
pub(crate) struct Report(Vec<Entry>);

impl Report {
    pub(crate) fn add(&mut self, metric: &'static str, peer: &'static str, value: f64) {
        self.0.push(Entry { metric, peer, value, processor: None });
    }

    pub(crate) fn rate(&mut self, metric: &'static str, peer: &'static str, rate: Rate) {
        let (value, processor) = (rate.wall, Some(rate.processor));
        self.0.push(Entry { metric, peer, value, processor });
    }

    pub(crate) fn print(&self, peers: &[&'static str]) {
        print!("\n{:<16} {:<10}", "median", "unit");
        peers.iter().for_each(|peer| print!(" {peer:>10}"));
        println!("   p2/tcp p2/yamux  p2/h2   per CPU s: tcp yamux    h2   goal");
        for Metric(metric, unit, goal, met) in &METRICS {
            let figures = Figures { report: self, metric };
            if self.0.iter().all(|entry| entry.metric != *metric) {
                continue;
            }
            print!("{metric:<16} {unit:<10}");
            for peer in peers {
                let median = median(self.values(metric, peer));
                print!(" {:>10}", median.map_or("-".to_owned(), short));
            }
            let shown = |ratio: Option<f64>| ratio.map_or("-".to_owned(), short);
            for (peer, width) in [("tcp", 8), ("yamux", 8), ("h2", 6)] {
                print!(" {:>width$}", shown(figures.ratio(peer)));
            }
            for (peer, width) in [("tcp", 15), ("yamux", 5), ("h2", 5)] {
                print!(" {:>width$}", shown(figures.processor_ratio(peer)));
            }
            let verdict = match met(&figures) {
                _ if goal.is_empty() => "",
                Some(true) => ": met",
                Some(false) => ": missed",
                None => ": not measured",
            };
            println!("   {goal}{verdict}");
        }
        println!(
            "\nRatios are medians of each round's ratio. p2-classes: bulk streams in the class bulk, \
             echo in realtime."
        );
    }

    pub(crate) fn json(&self, peers: &[&'static str]) -> Value {
        let metric = |Metric(metric, unit, goal, met): &Metric| {
            let figures = Figures { report: self, metric };
            let of = |peer: &&'static str| {
                let values = self.values(metric, peer);
                let value = json!({ "median": median(values.clone()), "rounds": values });
                (!values.is_empty()).then(|| ((*peer).to_owned(), value))
            };
            let measured: Map<String, Value> = peers.iter().filter_map(of).collect();
            let ratio =
                |peer: &&'static str| Some(((*peer).to_owned(), figures.ratio(peer)?.into()));
            let ratios: Map<String, Value> = peers.iter().filter_map(ratio).collect();
            let ratio = |peer: &&'static str| {
                Some(((*peer).to_owned(), figures.processor_ratio(peer)?.into()))
            };
            let processor: Map<String, Value> = peers.iter().filter_map(ratio).collect();
            let (goal, met) = (goal, met(&figures));
            let value = json!({
                "unit": unit, "peers": measured, "p2_to": ratios,
                "p2_to_per_processor_second": processor, "goal": goal, "met": met,
            });
            (!measured.is_empty()).then(|| ((*metric).to_owned(), value))
        };
        Value::Object(METRICS.iter().filter_map(metric).collect())
    }

    /// In the order of the rounds.
    fn values(&self, metric: &str, peer: &str) -> Vec<f64> {
        let entries = self.0.iter().filter(|entry| entry.metric == metric && entry.peer == peer);
        entries.map(|entry| entry.value).collect()
    }

    fn processor(&self, metric: &str, peer: &str) -> Vec<f64> {
        let entries = self.0.iter().filter(|entry| entry.metric == metric && entry.peer == peer);
        entries.filter_map(|entry| entry.processor).collect()
    }
}

/// One row, as a goal looks at it.
struct Figures<'a> {
    report: &'a Report,
    metric: &'a str,
}

impl Figures<'_> {
    fn own(&self) -> Option<f64> {
        self.other(self.metric)
    }

    fn other(&self, metric: &str) -> Option<f64> {
        median(self.report.values(metric, "p2"))
    }

    /// P2 to a peer: what ran in one round is compared, then the median is taken.
    fn ratio(&self, peer: &str) -> Option<f64> {
        let own = self.report.values(self.metric, "p2");
        quotient(&own, &self.report.values(self.metric, peer))
    }

    fn processor_ratio(&self, peer: &str) -> Option<f64> {
        let own = self.report.processor(self.metric, "p2");
        quotient(&own, &self.report.processor(self.metric, peer))
    }
}

fn quotient(own: &[f64], theirs: &[f64]) -> Option<f64> {
    median(own.iter().zip(theirs).map(|(own, theirs)| own / theirs).collect())
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}
