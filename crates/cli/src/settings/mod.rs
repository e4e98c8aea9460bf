//! Validated settings: plain values without a trace of the command line's syntax.

pub(crate) mod address;
pub(crate) mod attach;
pub(crate) mod attributes;
pub(crate) mod bench;
pub(crate) mod codec;
pub(crate) mod codecs;
pub(crate) mod connection;
pub(crate) mod control;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod metrics;
pub(crate) mod output;
pub(crate) mod recv;
pub(crate) mod send;
pub(crate) mod simulation;
pub(crate) mod source;
pub(crate) mod ssh;

pub(crate) use address::Address;
pub(crate) use attach::AttachSettings;
pub(crate) use attributes::{AttributeTable, WhenFull};
pub(crate) use bench::BenchSettings;
pub(crate) use codecs::CodecsSettings;
pub(crate) use connection::{ConnectionSettings, RetrySettings};
pub(crate) use control::ControlPlace;
pub(crate) use demo::DemoSettings;
pub(crate) use doctor::DoctorSettings;
pub(crate) use metrics::MetricsSettings;
pub(crate) use output::{EventsTarget, LogFormat, LogSettings, OutputSettings, ProgressMode};
pub(crate) use p2_transport::{CodecId, Priority};
pub(crate) use recv::RecvSettings;
pub(crate) use send::{SendSettings, SourceOrigin, StdinKind};
pub(crate) use source::{Source, SourceSpec, TailPattern};
pub(crate) use ssh::{SshMode, SshSettings};
