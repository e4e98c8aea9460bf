//! What the dashboard shows: rows of panels, panels of expressions, read from `assets/panels.json`.
//!
//! In its expressions `$i` stands for the choice of processes and `$r` for the time that rates are
//! taken over.

use serde::Deserialize;

/// One row of panels.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) row: String,
    pub(super) panels: Vec<Panel>,
}

/// A question and the expressions that answer it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) draw: Draw,
    /// In Grafana's words.
    pub(super) unit: String,
    pub(super) queries: Vec<Query>,
}

/// How a panel draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Draw {
    /// The present figure, large.
    Figure,
    /// Lines over time.
    Lines,
    /// Areas over time, one on the other.
    Areas,
}

/// One expression and what to call its series.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    pub(super) name: String,
    expr: String,
}

impl Query {
    /// With Grafana's own variables.
    pub(super) fn expr(&self) -> String {
        self.expr
            .replace("$i,", "instance=~'$instance',")
            .replace("$i}", "instance=~'$instance'}")
            .replace("$r]", "$__rate_interval]")
    }
}

/// The seven rows, from "is it well" to "what does it cost".
pub(super) fn rows() -> serde_json::Result<Vec<Row>> {
    serde_json::from_str(include_str!("../../assets/panels.json"))
}
