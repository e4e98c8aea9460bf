//! Every metric there is: its name, its kind, its labels and what it means, in one table.
//!
//! Names follow the conventions of Prometheus: base units, `_total` on counters. The values of a
//! label are few and known beforehand, except those of `stream`, which are bounded
//! ([`STREAMS`](super::streams::STREAMS)). No label carries a session, an address or a secret.

/// What a metric does over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only rises, from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution: counts below bounds, and a sum.
    Histogram,
}

impl Kind {
    /// As both text formats write it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric with all its label values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Family {
    /// The whole name.
    pub(crate) name: &'static str,
    /// What it does over time.
    pub(crate) kind: Kind,
    /// The names of its labels.
    pub(crate) labels: &'static [&'static str],
    /// One sentence without a full stop.
    pub(crate) help: &'static str,
}

macro_rules! families {
    ($($family:ident = $name:literal $kind:ident [$($label:literal),*] $help:literal;)*) => {
        $(
            pub(super) static $family: Family = Family {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// All of them, in the order in which they are shown.
        pub(crate) static ALL: &[&Family] = &[$(&$family),*];
    };
}

families! {
    BUILD_INFO = "p2_build_info" Gauge ["version"]
        "Always 1; the label tells the version";

    SESSIONS = "p2_sessions" Gauge ["side", "state"]
        "Sessions by state: connecting, up (with a link) or down";
    SESSIONS_OPENED = "p2_sessions_opened_total" Counter ["side"]
        "Sessions begun";
    SESSIONS_ENDED = "p2_sessions_ended_total" Counter ["side", "result"]
        "Sessions over: ok, lost, expired, refused, gave_up, aborted or failed";
    STREAMS_OPEN = "p2_streams" Gauge ["side"]
        "Streams that are open";
    STREAMS_OPENED = "p2_streams_opened_total" Counter ["side"]
        "Streams begun";
    STREAMS_ENDED = "p2_streams_ended_total" Counter ["side", "result"]
        "Streams over: complete (length and digest agree at both ends) or reset";

    LINKS = "p2_links_total" Counter []
        "Links that carried a session, the first of each included";
    RECONNECTS = "p2_reconnects_total" Counter []
        "Links after the first of their session";
    RESUMES = "p2_resumes_total" Counter ["result"]
        "Resumes: ok, or why a session could not go on (lost, expired, refused, gave_up)";
    CONNECT_FAILURES = "p2_connect_failures_total" Counter ["reason"]
        "Attempts of a sender that made no link";
    DISCONNECTS = "p2_disconnects_total" Counter ["reason"]
        "Links that ended";
    LINKS_ACCEPTED = "p2_links_accepted_total" Counter []
        "Connections accepted by a receiver, proven or not";
    LINKS_REFUSED = "p2_links_refused_total" Counter []
        "Of these, connections turned away or lost before they proved themselves";
    HANDSHAKES = "p2_handshakes" Gauge []
        "Connections to a receiver that have not proven themselves yet";
    OUTAGE = "p2_outage_seconds" Histogram []
        "Times without a link that are over";
    CURRENT_OUTAGE = "p2_current_outage_seconds" Gauge []
        "The longest time without a link among the sessions that have none now, else 0";

    PAYLOAD_BYTES = "p2_payload_bytes_total" Counter ["stream", "direction"]
        "Bytes accepted from sources (sent) or received in order (received), each counted once";
    ACKNOWLEDGED_BYTES = "p2_acknowledged_bytes_total" Counter ["stream", "direction"]
        "Of these, bytes that are the receiving program's responsibility";
    STREAM_WIRE_BYTES = "p2_stream_wire_bytes_total" Counter ["stream", "direction"]
        "Bytes on links for a stream's payload, headers and repeats included";
    STREAM_FRAMES = "p2_stream_frames_total" Counter ["stream", "direction"]
        "Frames with a stream's payload, repeats included";
    WIRE_BYTES = "p2_wire_bytes_total" Counter ["direction"]
        "Bytes on links, control frames and handshakes included";
    FRAMES = "p2_frames_total" Counter ["direction"]
        "Frames of every kind";
    REPLAYED_BYTES = "p2_replayed_bytes_total" Counter []
        "Payload bytes sent again after resumes";
    DUPLICATE_BYTES = "p2_duplicate_bytes_total" Counter []
        "Payload bytes received a second time and thrown away";
    DROPPED_BYTES = "p2_dropped_bytes_total" Counter ["reason"]
        "Payload bytes dropped by choice: buffer_full (here) or at_source (told by the sender)";

    UNACKNOWLEDGED_BYTES = "p2_unacknowledged_bytes" Gauge ["stream", "direction"]
        "Payload bytes that are nobody's responsibility but the sender's";
    RETAINED_BYTES = "p2_retained_bytes" Gauge []
        "Payload bytes held for the peers until acknowledged";
    RETAINED_CAPACITY = "p2_retained_capacity_bytes" Gauge []
        "What that may reach before sources are paused";
    CREDIT_BLOCKED = "p2_credit_blocked_seconds_total" Counter []
        "Time that writers waited for the peer's credit alone, all streams together";
    QUEUE_WAIT = "p2_queue_wait_seconds" Histogram ["priority"]
        "How long payload frames waited for their turn";
    RTT = "p2_rtt_seconds" Histogram []
        "Round trips of heartbeats";
    HEARTBEATS = "p2_heartbeats_total" Counter ["event"]
        "Heartbeats: sent, answered, missed, or received from the peer";

    SOURCES = "p2_sources" Gauge ["state"]
        "Sources by state: running or paused";
    SOURCE_BYTES = "p2_source_bytes_total" Counter []
        "Bytes read from sources and handed to streams";
    SOURCE_BACKLOG = "p2_source_backlog_bytes" Gauge []
        "Bytes that files and buffers have and streams have not been given yet";
    SOURCE_PAUSES = "p2_source_pauses_total" Counter []
        "Times that a source had to wait for room";
    SOURCE_PAUSED = "p2_source_paused_seconds_total" Counter []
        "How long sources waited for room, all together";
    SOURCE_ROTATIONS = "p2_source_rotations_total" Counter []
        "Followed files that were renamed or cut";
    SINK_STREAMS = "p2_sink_streams" Gauge []
        "Streams that are being written";
    SINK_BYTES = "p2_sink_bytes_total" Counter []
        "Bytes written by sinks";
    SINK_WRITES = "p2_sink_writes_total" Counter []
        "Writes of sinks";
    SINK_SYNCS = "p2_sink_syncs_total" Counter []
        "Times that stable storage was asked for";
    SINK_ERRORS = "p2_sink_errors_total" Counter ["reason"]
        "Operations of sinks that failed";

    CODEC_SECONDS = "p2_codec_seconds_total" Counter ["codec", "operation"]
        "Time spent in a codec";
    CODEC_RAW_BYTES = "p2_codec_raw_bytes_total" Counter ["codec", "operation"]
        "Payload bytes that went into an encoder or came out of a decoder";
    CODEC_ENCODED_BYTES = "p2_codec_encoded_bytes_total" Counter ["codec", "operation"]
        "Encoded bytes that came out of an encoder or went into a decoder";
    CODEC_SKIPPED_BYTES = "p2_codec_skipped_bytes_total" Counter []
        "Payload bytes sent as they are: too small, incompressible, or codec none; repeats included";
    DECODE_ERRORS = "p2_decode_errors_total" Counter ["reason"]
        "Damaged input, by what was damaged: a frame or a payload; each cost its link";

    CPU_SECONDS = "process_cpu_seconds_total" Counter []
        "Processor time of this process";
    RESIDENT_MEMORY = "process_resident_memory_bytes" Gauge []
        "Resident memory of this process";
    VIRTUAL_MEMORY = "process_virtual_memory_bytes" Gauge []
        "Virtual memory of this process";
    OPEN_FDS = "process_open_fds" Gauge []
        "Open file descriptors";
    MAX_FDS = "process_max_fds" Gauge []
        "Their limit";
    THREADS = "process_threads" Gauge []
        "Threads of this process";
    START_TIME = "process_start_time_seconds" Gauge []
        "When the process began, in seconds since 1970";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let names: BTreeSet<&str> = ALL.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), ALL.len(), "each name once");
        for Family { name, kind, labels, help } in ALL {
            let plain =
                |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b"_".contains(&b));
            assert!(plain(&name.replace("p2", "p")), "{name}");
            assert!(name.starts_with("p2_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(labels.iter().all(|label| plain(label) && *label != "le"), "{name}");
            assert!(!help.ends_with('.') && help.len() > 8, "{name}: {help}");
            for unit in ["_ms", "_kb", "_millis", "_percent"] {
                assert!(!name.contains(unit), "{name}: base units only");
            }
        }
    }
}
