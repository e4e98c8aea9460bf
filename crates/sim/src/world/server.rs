//! The listening side: shakes hands, keeps sessions, fences old links.

use super::*;

impl World {
    pub(super) fn server_hears(&mut self, index: usize, data: Bytes) -> Result<(), Failure> {
        match self.links[index].server {
            ServerEnd::Dead => Ok(()),
            ServerEnd::Up { kept } => {
                self.heard(kept);
                self.server.kept[kept].endpoint.feed(&mut self.stage, &data)
            }
            ServerEnd::Shaking(..) => {
                self.links[index].input[1].extend_from_slice(&data);
                self.shake(index)
            }
        }
    }

    /// The server's half of a handshake goes as far as the bytes allow.
    pub(super) fn shake(&mut self, index: usize) -> Result<(), Failure> {
        loop {
            let link = &mut self.links[index];
            let ServerEnd::Shaking(handshake, _) = &mut link.server else {
                return Ok(());
            };
            let step = handshake.receive(&mut link.input[1]);
            match step {
                Ok(Step::NeedMore) => break,
                Ok(Step::Lookup { session }) => {
                    let known = self.server.kept.iter().find(|kept| kept.id == session);
                    handshake
                        .known(known.map(Kept::known))
                        .map_err(|error| format!("an honest client's handshake failed: {error}"))?;
                }
                Ok(Step::Proven(request)) => {
                    let found = self.server.kept.iter().position(|kept| kept.id == request.session);
                    let kept = match (request.resume, found) {
                        (true, Some(kept)) => kept,
                        (true, None) => return Err("a proven session is unknown".into()),
                        (false, _) => self.new_session(),
                    };
                    return self.accept(index, kept, request.resume, request.epoch);
                }
                Err(error) => {
                    // Only a link that was overtaken may fail, and it was told why.
                    self.stage.log.note(self.stage.now, "handshake refused", index as u64, 0);
                    let stale = matches!(error, HandshakeError::Protocol(_));
                    if !stale {
                        return Err(format!("an honest client's handshake failed: {error}"));
                    }
                    let output = handshake.output();
                    link.output[1].unsplit(output);
                    self.flush(index)?;
                    self.server_end_dies(index, "refused")?;
                    return Ok(());
                }
            }
        }
        let link = &mut self.links[index];
        if let ServerEnd::Shaking(handshake, _) = &mut link.server {
            link.output[1].unsplit(handshake.output());
        }
        Ok(())
    }

    pub(super) fn new_session(&mut self) -> usize {
        let scenario = &self.scenario;
        let rng = &mut self.stage.rng;
        let codecs = Codecs::new(Arc::new(Registry::builtin()), scenario.encoder_budget);
        let mut app = App::new(Role::Server, rng.fork(), scenario.taste.clone(), Vec::new());
        app.rest();
        let endpoint = Endpoint::new(
            scenario.configs[1].clone(),
            app,
            scenario.clocks[1],
            codecs,
            scenario.lateness,
        );
        let secret = Secret::new([0; 32]);
        self.server.kept.push(Kept { id: [0; 16], secret, endpoint, heard: false });
        self.server.kept.len() - 1
    }

    /// The client has proven itself: only now the old link is fenced.
    pub(super) fn accept(
        &mut self,
        index: usize,
        kept: usize,
        resume: bool,
        epoch: u64,
    ) -> Result<(), Failure> {
        // Much may have happened since the session was looked up.
        let session = &self.server.kept[kept].endpoint.session;
        let current = session.epoch();
        let refusal = match session.ended() {
            Some(_) if resume => Some((RefuseCode::CLOSED, 0)),
            _ if resume && epoch <= current => Some((RefuseCode::STALE, current)),
            _ => None,
        };
        if let Some((code, epoch)) = refusal {
            let link = &mut self.links[index];
            if let ServerEnd::Shaking(handshake, _) = &mut link.server {
                handshake.refuse(code, 0, epoch, "too late");
                link.output[1].unsplit(handshake.output());
            }
            self.flush(index)?;
            return self.server_end_dies(index, "too late");
        }
        let parts = if resume {
            self.server_link_down(kept, "taken over")?;
            self.server.kept[kept].endpoint.list(&mut self.stage)?
        } else {
            Vec::new()
        };
        let link = &mut self.links[index];
        let ServerEnd::Shaking(handshake, _) = &mut link.server else {
            return Ok(());
        };
        let established = handshake.accept(parts).map_err(|error| error.to_string())?;
        link.output[1].unsplit(handshake.output());
        link.server = ServerEnd::Up { kept };
        let unused = link.input[1].split();
        let heard = !unused.is_empty();
        let entry = &mut self.server.kept[kept];
        entry.id = established.session;
        entry.secret = established.secret.clone();
        if heard {
            self.heard(kept);
        }
        self.server.kept[kept].endpoint.attach(&mut self.stage, &established, unused)
    }

    /// The client knows of this session, so its application may begin.
    pub(super) fn heard(&mut self, kept: usize) {
        let kept = &mut self.server.kept[kept];
        if !std::mem::replace(&mut kept.heard, true) {
            kept.endpoint.app.wake(std::mem::take(&mut self.scenario.openings[1]));
        }
    }

    pub(super) fn server_link_down(
        &mut self,
        kept: usize,
        why: &'static str,
    ) -> Result<(), Failure> {
        let reset = self.stage.rng.one_in(2);
        for link in &mut self.links {
            if matches!(link.server, ServerEnd::Up { kept: of } if of == kept) {
                link.server = ServerEnd::Dead;
                link.pipes[1].close(self.stage.now, reset, &mut self.stage.rng);
            }
        }
        self.server.kept[kept].endpoint.lose_link(&mut self.stage, why)
    }

    pub(super) fn server_end_dies(
        &mut self,
        index: usize,
        why: &'static str,
    ) -> Result<(), Failure> {
        match self.links[index].server {
            ServerEnd::Up { kept } => self.server_link_down(kept, why),
            ServerEnd::Shaking(..) => {
                let link = &mut self.links[index];
                link.server = ServerEnd::Dead;
                link.pipes[1].close(self.stage.now, false, &mut self.stage.rng);
                Ok(())
            }
            ServerEnd::Dead => Ok(()),
        }
    }
}
