//! The dialling side: connects, shakes hands, attaches, and comes back.

use super::*;

impl World {
    pub(super) fn client_hears(&mut self, index: usize, data: Bytes) -> Result<(), Failure> {
        let link = &mut self.links[index];
        match &mut link.client {
            ClientEnd::Dead => Ok(()),
            ClientEnd::Up => self.client.feed(&mut self.stage, &data),
            ClientEnd::Shaking(handshake, _) => {
                link.input[0].extend_from_slice(&data);
                let step = handshake.receive(&mut link.input[0]);
                let output = handshake.output();
                self.overheard.extend_from_slice(&output);
                link.output[0].unsplit(output);
                match step {
                    Ok(None) => Ok(()),
                    Ok(Some(established)) => {
                        let epoch = established.attachment.epoch;
                        link.client = ClientEnd::Up;
                        let unused = link.input[0].split();
                        self.ticket = Some(Ticket {
                            session: established.session,
                            secret: established.secret.clone(),
                            epoch,
                        });
                        self.dial = Dial::Busy;
                        self.client.attach(&mut self.stage, &established, unused)
                    }
                    Err(HandshakeError::Refused(refuse)) => {
                        self.stage.log.note(self.stage.now, "refused", refuse.code.get().into(), 0);
                        self.redial(index);
                        self.refused(refuse.code, refuse.epoch)
                    }
                    Err(error) => Err(format!("an honest server's handshake failed: {error}")),
                }
            }
        }
    }

    pub(super) fn refused(&mut self, code: RefuseCode, epoch: u64) -> Result<(), Failure> {
        match (code, &mut self.ticket) {
            (RefuseCode::STALE, Some(ticket)) => {
                ticket.epoch = ticket.epoch.max(epoch);
                self.dial = Dial::Wait(self.stage.now);
                Ok(())
            }
            (RefuseCode::CLOSED, Some(_)) => {
                let complete = self.client.session.confirm_closed();
                self.client.drain(&mut self.stage)?;
                if complete { Ok(()) } else { Err("closed before everything was over".into()) }
            }
            (code, _) => Err(format!("an honest client was refused: {code}")),
        }
    }

    /// The client's link is gone; a new one is wanted.
    pub(super) fn client_link_down(&mut self, why: &'static str) -> Result<(), Failure> {
        let reset = self.stage.rng.one_in(2);
        for link in &mut self.links {
            if matches!(link.client, ClientEnd::Up) {
                link.client = ClientEnd::Dead;
                link.pipes[0].close(self.stage.now, reset, &mut self.stage.rng);
            }
        }
        self.client.lose_link(&mut self.stage, why)?;
        self.redial_later();
        Ok(())
    }

    pub(super) fn redial(&mut self, index: usize) {
        let link = &mut self.links[index];
        link.client = ClientEnd::Dead;
        link.pipes[0].close(self.stage.now, true, &mut self.stage.rng);
        self.redial_later();
    }

    pub(super) fn redial_later(&mut self) {
        let pause = self.stage.rng.spread(MS / 10, 1_000 * MS);
        self.dial = Dial::Wait(self.stage.now + pause);
    }

    pub(super) fn dial(&mut self) -> Result<(), Failure> {
        let now = self.stage.now;
        if self.client.session.ended().is_some() {
            if !matches!(self.dial, Dial::Busy) {
                self.dial = Dial::Over;
            }
            return Ok(());
        }
        match self.dial {
            Dial::Wait(at) if at <= now => {
                let latency = 2 * self.scenario.quality.latency;
                let calm = now >= self.scenario.calm_at;
                let fails = now < self.outage_until || (!calm && self.stage.rng.one_in(8));
                let late = if fails { self.stage.rng.spread(MS, 3_000 * MS) } else { latency };
                self.dial = Dial::Connecting(now + late, !fails);
                Ok(())
            }
            Dial::Connecting(at, false) if at <= now => {
                self.redial_later();
                Ok(())
            }
            Dial::Connecting(at, true) if at <= now => self.connected(),
            _ => Ok(()),
        }
    }

    pub(super) fn connected(&mut self) -> Result<(), Failure> {
        let now = self.stage.now;
        let purpose = match &mut self.ticket {
            None => Purpose::Open { token: self.identities[0].token.clone() },
            Some(ticket) => {
                ticket.epoch += 1;
                let parts = self.client.list(&mut self.stage)?;
                let (session, secret) = (ticket.session, ticket.secret.clone());
                Purpose::Resume { session, secret, epoch: ticket.epoch, parts }
            }
        };
        let rng = &mut self.stage.rng;
        let client = ClientHandshake::new(self.identities[0].local(rng), purpose)
            .map_err(|error| format!("no HELLO: {error}"))?;
        let server = ServerHandshake::new(
            self.identities[1].local(rng),
            self.identities[1].token.clone(),
            session_id(rng),
            Secret::new(rng.bytes()),
        );
        let deadline = now + self.scenario.handshake_limit;
        let quality = self.scenario.quality;
        let mut link = Link {
            born: now,
            pipes: [Pipe::new(quality), Pipe::new(quality)],
            client: ClientEnd::Shaking(Box::new(client), deadline),
            server: ServerEnd::Shaking(Box::new(server), deadline + 1_000 * MS),
            input: Default::default(),
            output: Default::default(),
        };
        self.overheard.clear();
        if let ClientEnd::Shaking(handshake, _) = &mut link.client {
            let hello = handshake.output();
            self.overheard.extend_from_slice(&hello);
            link.output[0].unsplit(hello);
        }
        if let ServerEnd::Shaking(handshake, _) = &mut link.server {
            link.output[1].unsplit(handshake.output());
        }
        self.stage.log.note(now, "connected", self.ticket.as_ref().map_or(0, |t| t.epoch), 0);
        self.links.push(link);
        self.dial = Dial::Busy;
        Ok(())
    }
}
