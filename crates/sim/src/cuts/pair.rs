//! Two sides joined without a delay, whose link ends at a chosen byte.

use super::*;

#[derive(Debug, Clone, Copy)]
pub(super) struct Cuts {
    pub(super) direction: usize,
    pub(super) next: u64,
    pub(super) last: u64,
}

#[derive(Debug)]
pub(super) struct Pair {
    pub(super) stage: Stage,
    client: Endpoint,
    kept: Vec<Kept>,
    /// The session on the server that the client has.
    pub(super) current: usize,
    identities: [Identity; 2],
    taste: Taste,
    seed: u64,
    shared: Codecs,
    ticket: Option<Ticket>,
    pub(super) carried: [u64; 2],
    pub(super) cuts: u64,
}

/// Windows of a few frames: what is in flight at a cut is encoded for nothing, and encoding is what
/// a run spends its time on. [`World`](crate::World) has the wide ones.
fn config(role: Role) -> Config {
    Config { initial_window: 2 << 10, max_window: 4 << 10, ..Config::new(role) }
}

impl Pair {
    pub(super) fn new(recording: &Recording) -> Self {
        let taste = Taste::exact(recording.raw);
        let shared = recording.shared.clone();
        let mut rng = Rng::new(recording.seed ^ 77);
        let app = App::new(Role::Client, rng.fork(), taste.clone(), vec![0, 0, 0, 0]);
        let clock = Clock { origin: 1 << 40, drift: 0 };
        let client = Endpoint::new(config(Role::Client), app, clock, shared.clone(), 0);
        let identities = [Role::Client, Role::Server].map(|role| Identity {
            offers: shared.registry.offers(&[recording.codec]),
            limits: Endpoint::limits(&config(role), MAX_FRAME),
            boot_id: rng.bytes(),
            crc: false,
            token: None,
        });
        let stage = Stage { now: 0, rng, model: Model::default(), log: Log::new(false) };
        Self {
            stage,
            client,
            kept: Vec::new(),
            current: 0,
            identities,
            taste,
            seed: recording.seed,
            shared,
            ticket: None,
            carried: [0; 2],
            cuts: 0,
        }
    }

    /// From the first link to the last byte.
    pub(super) fn play(&mut self, mut cuts: Option<Cuts>) -> Result<(), Failure> {
        self.connect(None)?;
        let mut idle = 0;
        loop {
            let mut moved = false;
            for from in [0, 1] {
                moved |= self.carry(from, &mut cuts)?;
            }
            self.tick()?;
            if moved {
                idle = 0;
                continue;
            }
            if self.is_done() {
                break;
            }
            idle += 1;
            if idle > 1_000 {
                return Err("it makes no progress".into());
            }
            let next = self.client.next_wake().min(self.server().next_wake());
            if next == NEVER {
                return Err("nothing will ever happen again".into());
            }
            self.stage.now = next.max(self.stage.now);
            self.tick()?;
        }
        self.stage.model.conclude()?;
        self.client.check_empty()?;
        self.server().check_empty()
    }

    /// As [`Pair::play`], with one handshake cut at byte `at`; false if it is shorter than that.
    pub(super) fn play_handshake(
        &mut self,
        resume: bool,
        direction: usize,
        at: u64,
    ) -> Result<bool, Failure> {
        if resume {
            self.connect(None)?;
            self.some_progress()?;
        }
        let cut = !self.connect(Some((direction, at)))?;
        if cut {
            self.lose_links()?;
            self.cuts += 1;
            self.tick()?;
            if resume && self.kept.len() != 1 {
                return Err("a second session came of it".into());
            }
        }
        self.play(None)?;
        Ok(cut)
    }

    fn some_progress(&mut self) -> Result<(), Failure> {
        let mut none = None;
        while self.carried[0] + self.carried[1] < WIRE / 2 {
            let moved = self.carry(0, &mut none)? | self.carry(1, &mut none)?;
            self.tick()?;
            if !moved {
                let next = self.client.next_wake().min(self.server().next_wake());
                self.stage.now = next.max(self.stage.now);
            }
        }
        self.lose_links()
    }

    /// Moves some bytes in one direction, and cuts the link where it is due.
    fn carry(&mut self, from: usize, cuts: &mut Option<Cuts>) -> Result<bool, Failure> {
        let (sender, receiver) = match from {
            0 => (&mut self.client, &mut self.kept[self.current].endpoint),
            _ => (&mut self.kept[self.current].endpoint, &mut self.client),
        };
        if sender.carrier.as_ref().is_some_and(|carrier| carrier.output.is_empty()) {
            sender.fill(&mut self.stage)?;
        }
        let Some(carrier) = &mut sender.carrier else { return Ok(false) };
        let most = self.stage.rng.spread(1, 4_000);
        let mut len = most.min(carrier.output.len() as u64);
        let mut due = false;
        if let Some(cut) = cuts.as_mut().filter(|cut| cut.direction == from) {
            let left = cut.next.saturating_sub(self.carried[from]);
            if left <= len && cut.next <= cut.last {
                len = left;
                due = true;
                cut.next += SPACING;
            }
        }
        let bytes = carrier.output.split_to(len as usize);
        self.carried[from] += len;
        if len > 0 {
            receiver.feed(&mut self.stage, &bytes)?;
        }
        if due {
            self.cuts += 1;
            self.lose_links()?;
            // The application does not wait for the network.
            if self.stage.rng.one_in(2) {
                self.tick()?;
            }
            // Now and then the next link does not even get through its handshake.
            while self.stage.rng.one_in(8) {
                let at = self.stage.rng.below(900);
                let direction = self.stage.rng.below(2) as usize;
                if self.connect(Some((direction, at)))? {
                    break;
                }
                self.cuts += 1;
                self.lose_links()?;
                self.tick()?;
            }
            if self.client.carrier.is_none() {
                self.connect(None)?;
            }
            self.client.check(&self.stage)?;
            self.kept[self.current].endpoint.check(&self.stage)?;
        }
        Ok(len > 0 || due)
    }

    fn lose_links(&mut self) -> Result<(), Failure> {
        self.client.lose_link(&mut self.stage, "cut")?;
        for kept in &mut self.kept {
            kept.endpoint.lose_link(&mut self.stage, "cut")?;
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Failure> {
        self.client.tick(&mut self.stage)?;
        match self.kept.get_mut(self.current) {
            Some(kept) => kept.endpoint.tick(&mut self.stage).map(|_| ()),
            None => Ok(()),
        }
    }

    fn server(&self) -> &Endpoint {
        &self.kept[self.current].endpoint
    }

    fn is_done(&self) -> bool {
        self.client.app.is_done() && self.server().app.is_done() && self.stage.model.all_forgotten()
    }

    /// A handshake in real bytes; with a cut, that direction ends after so many of them. Whether
    /// both sides have their link.
    fn connect(&mut self, cut: Option<(usize, u64)>) -> Result<bool, Failure> {
        if self.client.carrier.is_some() {
            return Ok(true);
        }
        let purpose = match &mut self.ticket {
            None => Purpose::Open { token: None },
            Some(ticket) => {
                ticket.epoch += 1;
                let parts = self.client.list(&mut self.stage)?;
                let (session, secret) = (ticket.session, ticket.secret.clone());
                Purpose::Resume { session, secret, epoch: ticket.epoch, parts }
            }
        };
        let rng = &mut self.stage.rng;
        let mut client = ClientHandshake::new(self.identities[0].local(rng), purpose)
            .map_err(|error| error.to_string())?;
        let mut server = ServerHandshake::new(
            self.identities[1].local(rng),
            None,
            rng.bytes(),
            Secret::new(rng.bytes()),
        );
        // Nor does it wait for the handshake: what was listed may end meanwhile.
        if self.stage.rng.one_in(2) {
            self.tick()?;
        }
        let mut left = [u64::MAX; 2];
        if let Some((direction, bytes)) = cut {
            left[direction] = bytes;
        }
        let mut input = [BytesMut::new(), BytesMut::new()];
        for _ in 0..8 {
            if !pass(client.output(), &mut input[1], &mut left[0]) {
                // What came before the cut still arrives.
                self.serve(&mut server, &mut input[1])?;
                return Ok(false);
            }
            self.serve(&mut server, &mut input[1])?;
            let whole = pass(server.output(), &mut input[0], &mut left[1]);
            let established = client
                .receive(&mut input[0])
                .map_err(|error| format!("an honest handshake failed: {error}"))?;
            if let Some(established) = established {
                self.ticket = Some(Ticket {
                    session: established.session,
                    secret: established.secret.clone(),
                    epoch: established.attachment.epoch,
                });
                self.heard();
                let unused = input[0].split();
                self.client.attach(&mut self.stage, &established, unused)?;
                return Ok(whole);
            }
            if !whole {
                return Ok(false);
            }
        }
        Err("a handshake without end".into())
    }

    fn serve(&mut self, server: &mut ServerHandshake, input: &mut BytesMut) -> Result<(), Failure> {
        loop {
            match server.receive(input).map_err(|error| format!("refused: {error}"))? {
                Step::NeedMore => return Ok(()),
                Step::Lookup { session } => {
                    let known = self.kept.iter().find(|kept| kept.id == session).map(Kept::known);
                    server.known(known).map_err(|error| format!("refused: {error}"))?;
                }
                Step::Proven(request) => {
                    let found = self.kept.iter().position(|kept| kept.id == request.session);
                    self.current = match found {
                        Some(index) => index,
                        None => self.new_session(),
                    };
                    let endpoint = &mut self.kept[self.current].endpoint;
                    let parts =
                        if request.resume { endpoint.list(&mut self.stage)? } else { Vec::new() };
                    let established = server.accept(parts).map_err(|error| error.to_string())?;
                    let kept = &mut self.kept[self.current];
                    kept.id = established.session;
                    kept.secret = established.secret.clone();
                    return kept.endpoint.attach(&mut self.stage, &established, input.split());
                }
            }
        }
    }

    fn new_session(&mut self) -> usize {
        let mut rng = Rng::new(self.seed ^ 78);
        let mut app = App::new(Role::Server, rng.fork(), self.taste.clone(), Vec::new());
        app.rest();
        let clock = Clock { origin: 1 << 41, drift: 0 };
        let codecs = self.shared.clone();
        let endpoint = Endpoint::new(config(Role::Server), app, clock, codecs, 0);
        let secret = Secret::new([0; 32]);
        self.kept.push(Kept { id: [0; 16], secret, endpoint, heard: false });
        self.kept.len() - 1
    }

    fn heard(&mut self) {
        let kept = &mut self.kept[self.current];
        if !std::mem::replace(&mut kept.heard, true) {
            kept.endpoint.app.wake(vec![0, 0, 0]);
        }
    }
}

/// Moves bytes until the cut; false once it was reached.
fn pass(mut bytes: BytesMut, to: &mut BytesMut, left: &mut u64) -> bool {
    let len = (bytes.len() as u64).min(*left);
    let whole = len == bytes.len() as u64;
    bytes.truncate(len as usize);
    *left -= len;
    to.unsplit(bytes);
    whole
}
