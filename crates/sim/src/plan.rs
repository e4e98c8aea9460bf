//! What an application intends with a stream: how much, how fast, and how it ends.

use p2_mux::{CodecId, ErrorCode, OpenOptions, Priority};

use crate::rng::Rng;

const MS: u64 = 1_000_000;

#[derive(Debug, Clone)]
pub(crate) struct SourcePlan {
    pub(crate) total: u64,
    /// Bytes per write.
    pub(crate) chunk: u64,
    /// Rests this long, in nanoseconds, after each burst of this many bytes.
    pub(crate) rest: u64,
    pub(crate) burst: u64,
    /// Drops something about every so many chunks.
    pub(crate) gap_every: Option<u64>,
    pub(crate) end: SourceEnd,
    /// Rests before the end as well.
    pub(crate) linger: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceEnd {
    Finish,
    /// Finishes, and changes its mind later.
    FinishThenReset(ErrorCode),
    Reset(ErrorCode),
    /// Lets go of the stream without a word.
    Drop,
}

#[derive(Debug, Clone)]
pub(crate) struct SinkPlan {
    /// Bytes per read.
    pub(crate) max: usize,
    pub(crate) rest: u64,
    pub(crate) burst: u64,
    pub(crate) stop_at: Option<(u64, ErrorCode)>,
    /// Acknowledges by itself, this much later.
    pub(crate) manual: Option<u64>,
}

/// How large and how odd streams may be in this run.
#[derive(Debug, Clone)]
pub(crate) struct Taste {
    pub(crate) largest: u64,
    pub(crate) longest_rest: u64,
    /// Percent of directions that do not simply run to their end.
    pub(crate) odd: u64,
    pub(crate) gaps: bool,
    pub(crate) manual: bool,
    pub(crate) codecs: Vec<CodecId>,
    /// Every direction carries just so many bytes.
    pub(crate) exact: Option<u64>,
}

impl Taste {
    /// Streams of one size that run to their ends.
    pub(crate) fn exact(size: u64) -> Self {
        Self {
            largest: size,
            longest_rest: MS,
            odd: 0,
            gaps: true,
            manual: true,
            codecs: Vec::new(),
            exact: Some(size),
        }
    }
}

impl SourcePlan {
    pub(crate) fn draw(rng: &mut Rng, taste: &Taste) -> Self {
        if let Some(total) = taste.exact {
            return Self {
                total,
                chunk: rng.range(200, 3_000),
                rest: MS / 10,
                burst: rng.range(1_000, 20_000),
                gap_every: rng.one_in(2).then_some(4),
                end: SourceEnd::Finish,
                linger: 0,
            };
        }
        let total = if rng.one_in(12) { 0 } else { rng.spread(1, taste.largest) };
        let burst = rng.spread(64, taste.largest);
        let chunk = rng.spread(1.max(total / 400), 96 << 10);
        let codes = [ErrorCode::CANCELLED, ErrorCode::SOURCE_FAILED, ErrorCode::INTERNAL];
        let end = match rng.below(100) {
            p if p >= taste.odd => SourceEnd::Finish,
            p if p % 3 == 0 => SourceEnd::FinishThenReset(*rng.pick(&codes)),
            p if p % 3 == 1 => SourceEnd::Reset(*rng.pick(&codes)),
            _ => SourceEnd::Drop,
        };
        Self {
            total,
            chunk,
            rest: rng.spread(MS / 10, taste.longest_rest),
            burst,
            gap_every: (taste.gaps && rng.one_in(4)).then(|| rng.range(3, 30)),
            end,
            linger: if rng.one_in(4) { rng.spread(MS, taste.longest_rest) } else { 0 },
        }
    }
}

impl SinkPlan {
    pub(crate) fn draw(rng: &mut Rng, taste: &Taste) -> Self {
        if taste.exact.is_some() {
            return Self {
                max: rng.range(500, 8_000) as usize,
                rest: MS / 10,
                burst: rng.range(1_000, 20_000),
                stop_at: None,
                manual: rng.one_in(3).then_some(2 * MS),
            };
        }
        let stop = rng.percent(taste.odd / 2);
        Self {
            max: rng.spread(1.max(taste.largest / 2000), 128 << 10) as usize,
            rest: rng.spread(MS / 10, taste.longest_rest),
            burst: rng.spread(64, 2 * taste.largest),
            stop_at: stop.then(|| {
                let codes = [ErrorCode::SINK_FAILED, ErrorCode::CANCELLED, ErrorCode::LIMIT];
                (rng.below(taste.largest / 2 + 1), *rng.pick(&codes))
            }),
            manual: (taste.manual && rng.one_in(3)).then(|| rng.spread(MS, 500 * MS)),
        }
    }
}

pub(crate) fn options(rng: &mut Rng, taste: &Taste) -> OpenOptions {
    use Priority::{Bulk, High, Low, Normal, Realtime};
    let mut options = OpenOptions {
        priority: *rng.pick(&[Realtime, High, Normal, Normal, Low, Bulk]),
        unidirectional: rng.one_in(3),
        label: rng.below(100) as u32,
        ..OpenOptions::default()
    };
    if rng.one_in(3) && !taste.codecs.is_empty() {
        options.codec = Some(*rng.pick(&taste.codecs));
    }
    if rng.one_in(8) && taste.exact.is_none() {
        options.name = "n".repeat(rng.below(256) as usize);
        options.metadata = vec![("key".into(), "v".repeat(rng.below(1000) as usize))];
    }
    options
}
