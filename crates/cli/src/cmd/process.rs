//! What every session and receiver of one process shares.

use crate::metrics::Metrics;
use crate::report::Report;
use crate::settings::{MetricsSettings, OutputSettings};
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
    /// Tells its figures, if somebody wants them.
    pub(crate) metrics: Option<Metrics>,
}

impl Process {
    /// Takes over signals and stderr, once for a process. `payload_on_stdout` as for
    /// [`Report::new`].
    ///
    /// # Errors
    /// A handler that cannot be installed, an events' file that cannot be opened, an address of the
    /// metrics that cannot be listened on.
    pub(crate) async fn start(
        output: &OutputSettings,
        payload_on_stdout: bool,
        metrics: Option<&MetricsSettings>,
    ) -> anyhow::Result<Self> {
        let signals = Signals::listen()?;
        let report = Report::new(output, payload_on_stdout)?;
        let hub = Hub::new();
        let metrics = Metrics::start(metrics, &hub, &report).await?;
        let (mut told, ending) = (signals.clone(), hub.clone());
        tokio::spawn(async move {
            told.draining().await;
            ending.set_draining();
        });
        Ok(Self { signals, report, hub, metrics })
    }

    /// Says what is left to say.
    pub(crate) async fn finish(self) {
        self.report.finish().await;
    }
}
