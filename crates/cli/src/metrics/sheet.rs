//! The figures of one moment, before they are text.

use std::collections::BTreeMap;
use std::time::Duration;

use p2_transport::Histogram;

use super::catalog::{ALL, Family};

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A count.
    Whole(u64),
    /// A time or a share.
    Real(f64),
    /// A distribution of times.
    Times(Histogram),
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Whole(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Whole(count as u64)
    }
}

impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Real(time.as_secs_f64())
    }
}

impl From<f64> for Value {
    fn from(figure: f64) -> Self {
        Self::Real(figure)
    }
}

impl From<Histogram> for Value {
    fn from(times: Histogram) -> Self {
        Self::Times(times)
    }
}

/// One row of a family: the values of its labels, and its figure.
pub(super) type Row = (Vec<String>, Value);

/// All figures, by the name of their family.
#[derive(Debug, Default)]
pub(super) struct Sheet(BTreeMap<&'static str, Vec<Row>>);

impl Sheet {
    /// Adds a row; `labels` are the values of the family's labels, in its order.
    pub(super) fn put(&mut self, family: &Family, labels: &[&str], value: impl Into<Value>) {
        debug_assert_eq!(family.labels.len(), labels.len(), "{}", family.name);
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        self.0.entry(family.name).or_default().push((labels, value.into()));
    }

    /// The families that have rows, in the order of the catalogue.
    pub(super) fn families(&self) -> impl Iterator<Item = (&'static Family, &[Row])> {
        ALL.iter().filter_map(|family| Some((*family, self.0.get(family.name)?.as_slice())))
    }
}
