//! Faults as they strike, and strangers that try their luck.

use super::*;

impl World {
    pub(super) fn strike(&mut self, fault: Fault) -> Result<(), Failure> {
        let now = self.stage.now;
        self.stage.log.tell(now, || format!("fault {fault:?}"));
        self.stage.log.note(now, "fault", 0, 0);
        let newest = self.links.len().checked_sub(1);
        match (fault, newest) {
            (Fault::Reset, Some(index)) => {
                let rng = &mut self.stage.rng;
                for pipe in &mut self.links[index].pipes {
                    pipe.close(now, true, rng);
                }
            }
            (Fault::HalfOpen { server_sees, reset }, Some(index)) => {
                let [from_client, from_server] = &mut self.links[index].pipes;
                let (seen, lost) = if server_sees {
                    (from_client, from_server)
                } else {
                    (from_server, from_client)
                };
                seen.close(now, reset, &mut self.stage.rng);
                lost.swallow();
            }
            (Fault::Hole { from_client, from_server }, Some(index)) => {
                for (pipe, hit) in
                    self.links[index].pipes.iter_mut().zip([from_client, from_server])
                {
                    if hit {
                        pipe.swallow();
                    }
                }
            }
            (Fault::Stall { from_client, from_server, span }, Some(index)) => {
                for (pipe, hit) in
                    self.links[index].pipes.iter_mut().zip([from_client, from_server])
                {
                    if hit {
                        pipe.stall(span);
                    }
                }
            }
            (Fault::Pause { server, span }, _) => {
                let until = &mut self.paused_until[usize::from(server)];
                *until = (*until).max(now + span);
            }
            (Fault::Abandon { loud }, Some(index)) => match self.links[index].client {
                ClientEnd::Up if loud => self.client_link_down("abandoned")?,
                ClientEnd::Up => {
                    self.links[index].client = ClientEnd::Dead;
                    self.client.lose_link(&mut self.stage, "abandoned")?;
                    self.dial = Dial::Wait(now);
                }
                ClientEnd::Shaking(..) => {
                    self.links[index].client = ClientEnd::Dead;
                    self.dial = Dial::Wait(now);
                }
                ClientEnd::Dead => {}
            },
            (Fault::Outage { span }, _) => {
                self.outage_until = now + span.min(self.scenario.calm_at.saturating_sub(now));
            }
            (Fault::Impostor, _) => self.impostor()?,
            (_, None) => {}
        }
        Ok(())
    }

    /// Somebody knows the session's id but not its secret, or replays what the client once said.
    pub(super) fn impostor(&mut self) -> Result<(), Failure> {
        let Some(ticket) = self.ticket.clone() else { return Ok(()) };
        let rng = &mut self.stage.rng;
        let mut server = ServerHandshake::new(
            self.identities[1].local(rng),
            self.identities[1].token.clone(),
            session_id(rng),
            Secret::new(rng.bytes()),
        );
        let mut input = BytesMut::new();
        let mut client = None;
        let how = rng.below(3);
        if how == 0 && !self.overheard.is_empty() {
            input.extend_from_slice(&self.overheard);
        } else {
            // Right secret, but a link that is no newer than the one that stands.
            let current = self.server.kept.iter().find(|kept| kept.id == ticket.session);
            let current = current.map_or(0, |kept| kept.endpoint.session.epoch());
            let late = how == 1;
            let secret = if late { ticket.secret.clone() } else { Secret::new(rng.bytes()) };
            let epoch = if late { current } else { ticket.epoch + 100 };
            let parts = vec![Resume {
                streams: Vec::new(),
                local_opened: 0,
                peer_opened: 0,
                last: true,
                ext: Vec::new(),
            }];
            let purpose = Purpose::Resume { session: ticket.session, secret, epoch, parts };
            let mut handshake = ClientHandshake::new(self.identities[0].local(rng), purpose)
                .map_err(|error| error.to_string())?;
            input.unsplit(handshake.output());
            client = Some(handshake);
        }
        for _ in 0..10 {
            match server.receive(&mut input) {
                Err(_) => return Ok(()),
                Ok(Step::Proven(request)) if request.resume => {
                    return Err("an impostor or a stale link was let in".into());
                }
                Ok(Step::Proven(_)) => return Ok(()),
                Ok(Step::Lookup { session }) => {
                    let known = self.server.kept.iter().find(|kept| kept.id == session);
                    if server.known(known.map(Kept::known)).is_err() {
                        return Ok(());
                    }
                }
                Ok(Step::NeedMore) => {
                    let Some(client) = &mut client else { return Ok(()) };
                    let mut said = server.output();
                    if client.receive(&mut said).is_err() {
                        return Ok(());
                    }
                    input.unsplit(client.output());
                }
            }
        }
        Ok(())
    }
}
