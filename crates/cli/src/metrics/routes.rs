//! Which path has which answer, and who may ask.

use std::net::IpAddr;
use std::sync::Arc;

use super::State;
use super::http::{Answer, Request, Routes};
use super::text::Format;

/// The four paths.
pub(super) struct Endpoints {
    state: Arc<State>,
    /// Only this machine can ask, so only this machine's names are asked for.
    loopback: bool,
}

impl Endpoints {
    pub(super) fn new(state: Arc<State>, loopback: bool) -> Self {
        Self { state, loopback }
    }
}

impl Routes for Endpoints {
    async fn answer(&self, request: &Request) -> Answer {
        if self.loopback && !is_local(request.host_name()) {
            // A page of another site whose name was made to lead here (DNS rebinding).
            return Answer::text(421, "ask for this machine by its address or as localhost");
        }
        match request.path.as_str() {
            "/metrics" => {
                let format = Format::negotiate(&request.accept);
                let body = self.state.text(format);
                Answer { status: 200, content_type: format.content_type(), body }
            }
            "/livez" => Answer::text(200, "ok"),
            "/readyz" => self.ready(),
            "/api/v1/status" => self.status().await,
            "/" => Answer::text(200, "/metrics\n/livez\n/readyz\n/api/v1/status"),
            _ => Answer::text(404, "there are /metrics, /livez, /readyz and /api/v1/status"),
        }
    }
}

impl Endpoints {
    fn ready(&self) -> Answer {
        let status = self.state.hub.status();
        if status.draining {
            return Answer::text(503, "draining: the process is about to end");
        }
        if status.healthy {
            return Answer::text(200, "ok");
        }
        Answer::text(503, status.problems.join("\n"))
    }

    async fn status(&self) -> Answer {
        let status = self.state.hub.measured_status().await;
        match serde_json::to_string(&status) {
            Ok(body) => Answer { status: 200, content_type: "application/json", body: body + "\n" },
            Err(error) => Answer::text(500, error.to_string()),
        }
    }
}

fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_somebody_else_may_own_is_not_local() {
        for (host, local) in [
            ("localhost", true),
            ("LocalHost", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("10.1.2.3", true),
            ("example.com", false),
            ("localhost.example.com", false),
            ("", false),
        ] {
            assert_eq!(is_local(host), local, "{host}");
        }
    }
}
