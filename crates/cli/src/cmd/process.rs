//! What every session and receiver of one process shares.

use crate::report::Report;
use crate::settings::OutputSettings;
use crate::signal::Signals;
use crate::status::Hub;

/// The ears, the voice and the memory of the process; clones are the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// What the user asked for by signals.
    pub(crate) signals: Signals,
    /// Speaks for it.
    pub(crate) report: Report,
    /// Lists what runs in it.
    pub(crate) hub: Hub,
}

impl Process {
    /// Takes over signals and stderr, once for a process. `payload_on_stdout` as for
    /// [`Report::new`].
    ///
    /// # Errors
    /// A handler that cannot be installed, an events' file that cannot be opened.
    pub(crate) fn start(output: &OutputSettings, payload_on_stdout: bool) -> anyhow::Result<Self> {
        let signals = Signals::listen()?;
        let report = Report::new(output, payload_on_stdout)?;
        let hub = Hub::new();
        let (mut told, ending) = (signals.clone(), hub.clone());
        tokio::spawn(async move {
            told.draining().await;
            ending.set_draining();
        });
        Ok(Self { signals, report, hub })
    }

    /// Says what is left to say.
    pub(crate) async fn finish(self) {
        self.report.finish().await;
    }
}
