//! Whether things go on, come to their end, and end well.

use super::*;

impl World {
    /// A link on which nothing ever went wrong must not be taken for dead. One whose client has
    /// gone without a word is.
    pub(super) fn judge_death(&self, of: impl Fn(&Link) -> bool) -> Result<(), Failure> {
        let calm = self.scenario.calm_at.max(self.paused_until[0]).max(self.paused_until[1]);
        let healthy = |link: &&Link| {
            of(link)
                && link.born > calm
                && matches!(link.client, ClientEnd::Up)
                && matches!(link.server, ServerEnd::Up { .. })
        };
        match self.links.iter().find(healthy) {
            Some(_) => Err("a healthy link was taken for dead".into()),
            None => Ok(()),
        }
    }

    /// Asks for the orderly end when its time has come.
    pub(super) fn maybe_close(&mut self) {
        if self.closing || !self.scenario.openings[1].is_empty() {
            return;
        }
        let Some(live) = self.server.kept.iter_mut().find(|kept| kept.heard) else { return };
        let (client, server) = (&mut self.client, &mut live.endpoint);
        let none_on_the_way = {
            let (here, there) = (client.session.stats().totals, server.session.stats().totals);
            here.streams_opened == there.streams_accepted
                && there.streams_opened == here.streams_accepted
        };
        let opened = client.app.has_opened_all() && server.app.has_opened_all();
        let done = client.app.is_done() && server.app.is_done();
        let everything = done && self.stage.model.all_forgotten();
        let early = self.scenario.closes_early && none_on_the_way && opened;
        if everything || early {
            self.closing = true;
            self.stage.log.note(self.stage.now, "close", early.into(), 0);
            let by = if self.scenario.closes_from_server { server } else { client };
            by.session.close("done");
        }
    }

    pub(super) fn is_over(&mut self) -> Result<bool, Failure> {
        if !self.closing {
            return Ok(false);
        }
        let Some(live) = self.server.live() else { return Ok(false) };
        let (here, there) = (self.client.session.ended(), live.endpoint.session.ended());
        // If the client's last words were lost with its link, it will not come back to say them
        // again; the server knows that all streams are over and may bury the session.
        if here.is_none() || !self.links.is_empty() {
            return Ok(false);
        }
        if there.is_none() && live.endpoint.session.is_attached() {
            return Ok(false);
        }
        let from_server = self.scenario.closes_from_server;
        for (ended, closed) in [(here, !from_server), (there, from_server)] {
            if let Some(ended) = ended {
                if ended.code != ErrorCode::NO_ERROR || ended.by_peer == closed {
                    return Err(format!("the session ended by {ended}"));
                }
            }
        }
        self.client.check_empty()?;
        live.endpoint.check_empty()?;
        Ok(true)
    }

    pub(super) fn judge_progress(&mut self) -> Result<(), Failure> {
        let progress = self.stage.model.progress;
        if progress != self.progressed.0 || self.stage.now < self.scenario.calm_at {
            self.progressed = (progress, self.stage.now);
        }
        let paused = self.paused_until.into_iter().max().unwrap_or(0);
        let since = self.progressed.1.max(paused).max(self.outage_until);
        if self.stage.now.saturating_sub(since) > PATIENCE {
            let words = |endpoint: &Endpoint| format!("{:#?}", endpoint.session.stats().streams);
            self.stage.log.tell(self.stage.now, || {
                let there = self.server.live().map(|live| words(&live.endpoint));
                format!("client {}\nserver {}", words(&self.client), there.unwrap_or_default())
            });
            return Err("no byte delivered for two minutes, though nothing goes wrong".into());
        }
        Ok(())
    }
}
