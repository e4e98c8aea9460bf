//! What runs in this process, for whoever asks: `p2 status`, `p2 top`, the metrics, a health check.
//!
//! A [`Hub`] is made once and passed around. Each session, listener and sink takes a place in it when
//! it begins and gives it back by being dropped; nothing is copied until somebody looks. [`Status`]
//! is such a look: plain data with a stable form, which is also the JSON that others read.

mod counters;
mod health;
mod hub;
mod look;
mod meter;
mod model;
mod totals;

pub(crate) use self::counters::{SinkCounters, SourceCounters, SourceEntry, Sources};
pub(crate) use self::hub::{Hub, Left, Running};
pub(crate) use self::model::{
    ListenerStatus, SCHEMA, SessionState, SessionStatus, SinkStatus, SourceStatus, Status,
    StreamStatus,
};
pub(crate) use self::totals::{SinkTotals, SourceTotals};
