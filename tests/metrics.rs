//! Figures over HTTP: true, as a real Prometheus sees them, and safe to leave open.
#![allow(clippy::print_stdout, reason = "what Prometheus answered")]

mod support;

#[path = "metrics/endpoint.rs"]
mod endpoint;
#[path = "metrics/outage.rs"]
mod outage;
#[path = "metrics/pressure.rs"]
mod pressure;
#[path = "metrics/rules.rs"]
mod rules;

use support::{Env, Process};

/// Metrics on a free port.
const METRICS: &str = "--metrics=127.0.0.1:0";

/// Where a program says that it serves its metrics.
fn metrics_of(process: &mut Process) -> String {
    process.until("where its metrics are", |process| {
        let said = process.stderr();
        let rest = said.split_once("metrics on http://")?.1;
        Some(rest.split_once("/metrics\n")?.0.to_owned())
    })
}

/// A receiver that listens, with the address of its metrics.
fn receiver(env: &Env, arguments: &[&str]) -> (Process, String, String) {
    let (mut receiver, address) = env.recv(&[&[METRICS], arguments].concat());
    let metrics = metrics_of(&mut receiver);
    (receiver, address, metrics)
}
