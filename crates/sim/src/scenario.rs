//! The settings of a run, all drawn from its seed.

use std::time::Duration;

use p2_codec::Registry;
use p2_mux::{CodecId, Config, Role};

use crate::clock::Clock;
use crate::fault::Fault;
use crate::pipe::Quality;
use crate::plan::Taste;
use crate::rng::Rng;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// Everything that a seed decides before the first event.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The seed.
    pub seed: u64,
    pub(crate) configs: [Config; 2],
    pub(crate) max_frames: [u32; 2],
    pub(crate) clocks: [Clock; 2],
    pub(crate) preferences: [Vec<CodecId>; 2],
    pub(crate) encoder_budget: usize,
    pub(crate) lateness: u64,
    pub(crate) token: bool,
    pub(crate) crc: bool,
    pub(crate) quality: Quality,
    pub(crate) taste: Taste,
    /// When each side opens streams.
    pub(crate) openings: [Vec<u64>; 2],
    /// Latest first.
    pub(crate) faults: Vec<(u64, Fault)>,
    pub(crate) calm_at: u64,
    pub(crate) handshake_limit: u64,
    pub(crate) closes_from_server: bool,
    /// Closes while streams still run, instead of after all of them.
    pub(crate) closes_early: bool,
    pub(crate) rng: Rng,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn from_seed(seed: u64) -> Self {
        Self::draw(seed, Rng::new(seed), 300 << 10)
    }

    /// The scenario that a fuzzer's bytes spell: they stand for what a seed would draw, in the run
    /// too, for as long as they last. Streams are short, so that many can be tried.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self::draw(0, Rng::from_tape(bytes), 8 << 10)
    }

    fn draw(seed: u64, mut rng: Rng, largest: u64) -> Self {
        let trickle = rng.one_in(6);
        let crowd = !trickle && rng.one_in(6);
        let segment = if trickle { rng.range(1, 3) } else { rng.spread(16, 64 << 10) } as usize;
        let largest = if trickle { 4 << 10 } else { rng.spread(2 << 10, largest) };
        let registry = Registry::builtin();
        let codecs: Vec<CodecId> = registry.iter().map(|codec| codec.id()).collect();
        let preference = |rng: &mut Rng| {
            let mut ids: Vec<CodecId> = codecs.iter().copied().filter(|_| rng.one_in(2)).collect();
            if rng.one_in(4) {
                ids.push(CodecId::NONE);
            }
            let from = rng.below(ids.len() as u64 + 1) as usize;
            ids.rotate_left(from);
            ids
        };
        let preferences = [preference(&mut rng), preference(&mut rng)];
        let latency = rng.spread(MS / 20, 150 * MS);
        let jitter = *rng.pick(&[0, MS, 50 * MS]);
        let config = |rng: &mut Rng, role| {
            let window = rng.spread(1 << 10, 256 << 10);
            // Enough for a healthy link: what is tested is never a false death.
            let heartbeat = rng.spread(200, 5_000) + 2 * (latency + jitter) / MS;
            Config {
                heartbeat: Duration::from_millis(heartbeat),
                heartbeat_timeout: Duration::from_millis(3 * heartbeat),
                send_buffer: rng.spread(1 << 10, 1 << 20),
                receive_buffer: rng.spread(1 << 10, 4 << 20),
                initial_window: window,
                max_window: window << rng.below(6),
                max_streams: if rng.one_in(4) { rng.range(1, 4) } else { 1024 },
                ..Config::new(role)
            }
        };
        let configs = [config(&mut rng, Role::Client), config(&mut rng, Role::Server)];
        let calm_at = rng.spread(200, 40_000) * MS;
        let streams = if crowd { rng.range(20, 80) } else { rng.range(1, 8) };
        let largest = if crowd { largest.min(16 << 10) } else { largest };
        let mut openings = [Vec::new(), Vec::new()];
        for _ in 0..streams {
            let by = usize::from(rng.one_in(3));
            let at = if rng.one_in(3) { 0 } else { rng.below(calm_at) };
            openings[by].push(at);
        }
        let count = if rng.one_in(8) { 0 } else { rng.spread(2, 60) };
        // All over the run, or in bursts that hit handshakes and what follows them.
        let burst = rng.one_in(3).then(|| rng.spread(10, 2_000) * MS);
        let mut at = 0;
        let mut faults: Vec<(u64, Fault)> = (0..count)
            .map(|_| {
                at = match burst {
                    Some(burst) if !rng.one_in(5) => at + rng.below(burst),
                    _ => rng.below(calm_at),
                };
                (at.min(calm_at), Fault::draw(&mut rng))
            })
            .collect();
        faults.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let drift = |rng: &mut Rng| rng.below(400) as i64 - 200;
        let clock = |rng: &mut Rng| Clock { origin: rng.below(1 << 50), drift: drift(rng) };
        Self {
            seed,
            max_frames: [
                rng.spread(1 << 10, 64 << 10) as u32,
                rng.spread(1 << 10, 64 << 10) as u32,
            ],
            clocks: [clock(&mut rng), clock(&mut rng)],
            preferences,
            encoder_budget: *rng.pick(&[0, 300 << 10, usize::MAX]),
            lateness: *rng.pick(&[0, MS, 30 * MS, 400 * MS]),
            token: rng.one_in(2),
            crc: rng.one_in(3),
            quality: Quality {
                latency,
                jitter,
                rate: if trickle { 1 << 20 } else { rng.spread(100 << 10, 1 << 30) },
                capacity: rng.spread(2 << 10, 256 << 10) as usize,
                segment,
            },
            taste: Taste {
                largest,
                longest_rest: rng.spread(MS, 3 * SECOND),
                odd: *rng.pick(&[0, 0, 20, 50]),
                gaps: rng.one_in(2),
                manual: rng.one_in(2),
                codecs: codecs.clone(),
                exact: None,
            },
            openings,
            faults,
            calm_at,
            handshake_limit: rng.spread(500, 10_000) * MS + 12 * (latency + jitter),
            closes_from_server: rng.one_in(2),
            closes_early: rng.one_in(3),
            configs,
            rng,
        }
    }
}
