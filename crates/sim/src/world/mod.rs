//! A client, a server, the links between them, and everything that goes wrong.

mod client;
mod faults;
mod server;
mod verdict;
mod wire;

use bytes::{Bytes, BytesMut};
use p2_codec::Registry;
use p2_frame::{RefuseCode, Resume};
use p2_mux::handshake::{
    ClientHandshake, HandshakeError, Purpose, Secret, ServerHandshake, Step, Token,
};
use p2_mux::{ErrorCode, Role};
use std::sync::Arc;

use crate::app::App;
use crate::carrier::Codecs;
use crate::endpoint::{Endpoint, Stage};
use crate::fault::Fault;
use crate::identity::{Identity, Kept, Ticket, session_id};
use crate::log::Log;
use crate::model::Model;
use crate::pipe::{Arrival, NEVER, Pipe};
use crate::{Failure, Scenario};

const MS: u64 = 1_000_000;
/// Longest time without a byte delivered once nothing goes wrong any more.
const PATIENCE: u64 = 120_000 * MS;
/// Steps of one run before something must be spinning.
const STEPS: u64 = 3_000_000;
/// Steps at one moment.
const STEPS_AT_ONCE: u64 = 50_000;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Of everything that happened.
    pub hash: u64,
    /// Entries in that log.
    pub entries: u64,
    /// Streams opened.
    pub streams: usize,
    /// Raw bytes delivered.
    pub bytes: u64,
    /// Links that took the session over.
    pub resumes: u64,
    /// Raw bytes sent again.
    pub replayed: u64,
    /// Virtual time, in milliseconds.
    pub virtual_ms: u64,
    /// Steps taken.
    pub steps: u64,
}

/// A run in progress.
#[derive(Debug)]
pub struct World {
    scenario: Scenario,
    stage: Stage,
    client: Endpoint,
    server: Server,
    identities: [Identity; 2],
    links: Vec<Link>,
    dial: Dial,
    ticket: Option<Ticket>,
    /// Bytes of the last genuine handshake of the client, for whoever listened in.
    overheard: BytesMut,
    outage_until: u64,
    paused_until: [u64; 2],
    closing: bool,
    progressed: (u64, u64),
    steps: u64,
    steps_here: u64,
}

#[derive(Debug, Default)]
struct Server {
    kept: Vec<Kept>,
}

#[derive(Debug, Clone, Copy)]
enum Dial {
    /// A link exists, or is shaking hands.
    Busy,
    Wait(u64),
    /// The connection stands at this moment, or turns out to have failed.
    Connecting(u64, bool),
    Over,
}

#[derive(Debug)]
struct Link {
    born: u64,
    pipes: [Pipe; 2],
    client: ClientEnd,
    server: ServerEnd,
    input: [BytesMut; 2],
    output: [BytesMut; 2],
}

#[derive(Debug)]
enum ClientEnd {
    Shaking(Box<ClientHandshake>, u64),
    Up,
    Dead,
}

#[derive(Debug)]
enum ServerEnd {
    Shaking(Box<ServerHandshake>, u64),
    Up { kept: usize },
    Dead,
}

impl World {
    /// A world in which nothing has happened yet.
    pub fn new(scenario: Scenario, echo: bool) -> Self {
        let mut rng = scenario.rng.clone();
        let registry = Arc::new(Registry::builtin());
        let codecs = Codecs::new(registry.clone(), scenario.encoder_budget);
        let token = scenario.token.then(|| Token::new(b"correct horse battery staple"));
        let identities = [0, 1].map(|index| Identity {
            offers: registry.offers(&scenario.preferences[index]),
            limits: Endpoint::limits(&scenario.configs[index], scenario.max_frames[index]),
            boot_id: rng.bytes(),
            crc: scenario.crc && index == 0,
            token: token.clone(),
        });
        let app = App::new(
            Role::Client,
            rng.fork(),
            scenario.taste.clone(),
            scenario.openings[0].clone(),
        );
        let client = Endpoint::new(
            scenario.configs[0].clone(),
            app,
            scenario.clocks[0],
            codecs,
            scenario.lateness,
        );
        let stage = Stage { now: 0, rng, model: Model::default(), log: Log::new(echo) };
        Self {
            stage,
            client,
            server: Server::default(),
            identities,
            links: Vec::new(),
            dial: Dial::Wait(0),
            ticket: None,
            overheard: BytesMut::new(),
            outage_until: 0,
            paused_until: [0, 0],
            closing: false,
            progressed: (0, 0),
            steps: 0,
            steps_here: 0,
            scenario,
        }
    }

    /// Plays it to its end.
    ///
    /// # Errors
    /// What went wrong first.
    pub fn run(mut self) -> Result<Report, Failure> {
        match self.play() {
            Ok(()) => Ok(self.report()),
            Err(why) => {
                let (ms, missing) = (self.stage.now as f64 / 1e6, self.stage.model.missing());
                Err(format!("after {ms:.3} ms, step {}: {why}{missing}", self.steps))
            }
        }
    }

    fn play(&mut self) -> Result<(), Failure> {
        loop {
            self.step()?;
            if self.is_over()? {
                return self.stage.model.conclude();
            }
            self.judge_progress()?;
            let next = self.next_at();
            if next == NEVER {
                return Err("nothing will ever happen again".into());
            }
            if next > self.stage.now {
                self.stage.now = next;
                self.steps_here = 0;
            }
            self.steps += 1;
            self.steps_here += 1;
            if self.steps > STEPS || self.steps_here > STEPS_AT_ONCE {
                return Err("it spins".into());
            }
        }
    }

    fn report(&self) -> Report {
        let totals = self.client.session.stats().totals;
        let there = self.server.live().map(|kept| kept.endpoint.session.stats().totals);
        let replayed = totals.replayed + there.map_or(0, |totals| totals.replayed);
        Report {
            seed: self.scenario.seed,
            hash: self.stage.log.hash(),
            entries: self.stage.log.entries,
            streams: self.stage.model.len(),
            bytes: self.stage.model.bytes_read(),
            resumes: totals.resumes,
            replayed,
            virtual_ms: self.stage.now / MS,
            steps: self.steps,
        }
    }

    fn step(&mut self) -> Result<(), Failure> {
        while self.scenario.faults.last().is_some_and(|(at, _)| *at <= self.stage.now) {
            if let Some((_, fault)) = self.scenario.faults.pop() {
                self.strike(fault)?;
            }
        }
        for index in 0..self.links.len() {
            self.arrivals(index, 0)?;
            self.arrivals(index, 1)?;
        }
        if self.awake(0) {
            if !self.client.tick(&mut self.stage)? {
                self.judge_death(|link| matches!(link.client, ClientEnd::Up))?;
                self.client_link_down("dead")?;
            }
            self.dial()?;
        }
        if self.awake(1) {
            for kept in 0..self.server.kept.len() {
                let endpoint = &mut self.server.kept[kept].endpoint;
                if !endpoint.tick(&mut self.stage)? {
                    let mine = |link: &Link| matches!(link.server, ServerEnd::Up { kept: of } if of == kept);
                    self.judge_death(mine)?;
                    self.server_link_down(kept, "dead")?;
                }
            }
        }
        self.deadlines();
        self.maybe_close();
        for index in 0..self.links.len() {
            self.flush(index)?;
        }
        self.links.retain(|link| {
            !matches!((&link.client, &link.server), (ClientEnd::Dead, ServerEnd::Dead))
        });
        self.client.check(&self.stage)?;
        for kept in &mut self.server.kept {
            kept.endpoint.check(&self.stage)?;
        }
        let up = |link: &&Link| matches!(link.client, ClientEnd::Up);
        if self.links.iter().filter(up).count() > 1 {
            return Err("two links carry the session on the client".into());
        }
        Ok(())
    }

    fn awake(&self, side: usize) -> bool {
        self.paused_until[side] <= self.stage.now
    }

    /// The next moment at which anything happens.
    fn next_at(&self) -> u64 {
        let mut next = self.scenario.faults.last().map_or(NEVER, |(at, _)| *at);
        let mut add = |side: usize, at: u64| {
            if at != NEVER {
                next = next.min(at.max(self.paused_until[side]));
            }
        };
        for link in &self.links {
            add(1, link.pipes[0].next_at());
            add(0, link.pipes[1].next_at());
            if let ClientEnd::Shaking(_, deadline) = &link.client {
                add(0, *deadline);
            }
            if let ServerEnd::Shaking(_, deadline) = &link.server {
                add(1, *deadline);
            }
        }
        add(0, self.client.next_wake());
        for kept in &self.server.kept {
            add(1, kept.endpoint.next_wake());
        }
        match self.dial {
            Dial::Wait(at) | Dial::Connecting(at, _) => add(0, at),
            Dial::Busy | Dial::Over => {}
        }
        next.max(self.stage.now)
    }
}

impl Server {
    /// The one session that the client knows of.
    fn live(&self) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.heard)
    }
}
