//! Bytes between the two ends of each link.

use super::*;

impl World {
    pub(super) fn arrivals(&mut self, index: usize, from: usize) -> Result<(), Failure> {
        let to = 1 - from;
        while self.awake(to) {
            let Some(arrival) = self.links[index].pipes[from].take(self.stage.now) else {
                return Ok(());
            };
            match arrival {
                Arrival::Data(data) if to == 1 => self.server_hears(index, data)?,
                Arrival::Data(data) => self.client_hears(index, data)?,
                Arrival::Eof | Arrival::Reset if to == 1 => self.server_end_dies(index, "eof")?,
                Arrival::Eof | Arrival::Reset => match self.links[index].client {
                    ClientEnd::Up => self.client_link_down("eof")?,
                    ClientEnd::Shaking(..) => self.redial(index),
                    ClientEnd::Dead => {}
                },
            }
        }
        Ok(())
    }

    /// Moves what each end has into its pipe, as far as there is room.
    pub(super) fn flush(&mut self, index: usize) -> Result<(), Failure> {
        let now = self.stage.now;
        for from in [0, 1] {
            if !self.awake(from) {
                continue;
            }
            loop {
                let link = &mut self.links[index];
                let pipe = &mut link.pipes[from];
                // The handshake's last words and the first frames may go out as one.
                let together = link.output[from].len() < 1 << 10 && self.stage.rng.one_in(2);
                if !together {
                    pipe.write(now, &mut link.output[from], &mut self.stage.rng);
                    if !link.output[from].is_empty() {
                        break;
                    }
                }
                let endpoint = match (from, &link.client, &link.server) {
                    (0, ClientEnd::Up, _) => &mut self.client,
                    (1, _, ServerEnd::Up { kept }) => &mut self.server.kept[*kept].endpoint,
                    _ => {
                        pipe.write(now, &mut link.output[from], &mut self.stage.rng);
                        break;
                    }
                };
                if pipe.room() == 0 {
                    break;
                }
                let pending =
                    endpoint.carrier.as_ref().is_some_and(|carrier| !carrier.output.is_empty());
                if !pending && !endpoint.fill(&mut self.stage)? {
                    pipe.write(now, &mut link.output[from], &mut self.stage.rng);
                    break;
                }
                if let Some(carrier) = &mut endpoint.carrier {
                    link.output[from].unsplit(carrier.output.split());
                }
            }
            self.hang_up(index, from)?;
        }
        Ok(())
    }

    /// An ended session closes its link once the last frame is out.
    pub(super) fn hang_up(&mut self, index: usize, from: usize) -> Result<(), Failure> {
        let link = &self.links[index];
        if !link.output[from].is_empty() {
            return Ok(());
        }
        match (from, &link.client, &link.server) {
            (0, ClientEnd::Up, _) if self.client.session.is_drained() => {
                self.links[index].client = ClientEnd::Dead;
                let now = self.stage.now;
                self.links[index].pipes[0].close(now, false, &mut self.stage.rng);
                self.client.lose_link(&mut self.stage, "drained")?;
                self.dial = Dial::Over;
                Ok(())
            }
            (1, _, ServerEnd::Up { kept })
                if self.server.kept[*kept].endpoint.session.is_drained() =>
            {
                let kept = *kept;
                self.links[index].server = ServerEnd::Dead;
                let now = self.stage.now;
                self.links[index].pipes[1].close(now, false, &mut self.stage.rng);
                self.server.kept[kept].endpoint.lose_link(&mut self.stage, "drained")
            }
            _ => Ok(()),
        }
    }

    /// Handshakes that take too long are given up.
    pub(super) fn deadlines(&mut self) {
        for index in 0..self.links.len() {
            let now = self.stage.now;
            if matches!(self.links[index].client, ClientEnd::Shaking(_, at) if at <= now)
                && self.awake(0)
            {
                self.stage.log.note(now, "handshake given up", 0, 0);
                self.redial(index);
            }
            if matches!(self.links[index].server, ServerEnd::Shaking(_, at) if at <= now)
                && self.awake(1)
            {
                let link = &mut self.links[index];
                link.server = ServerEnd::Dead;
                link.pipes[1].close(now, true, &mut self.stage.rng);
            }
        }
    }
}
