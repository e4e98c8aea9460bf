//! What every session and receiver of one process shares.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::run::Reload;
use crate::metrics::Metrics;
use crate::report::Report;
use crate::settings::{MetricsSettings, OutputSettings};
use crate::signal::{Part, Signals};
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
    /// Who wants to know when the file is read again.
    pub(crate) reloads: Reloads,
}

/// What is called when the file is read again; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Reloads(Arc<Mutex<Vec<Hook>>>);

type Hook = Box<dyn Fn(Reload) + Send>;

impl Reloads {
    /// Calls `hook` each time; it must not block.
    pub(crate) fn call(&self, hook: impl Fn(Reload) + Send + 'static) {
        self.hooks().push(Box::new(hook));
    }

    /// Tells everybody.
    pub(super) fn tell(&self, reload: Reload) {
        self.hooks().iter().for_each(|hook| hook(reload));
    }

    fn hooks(&self) -> MutexGuard<'_, Vec<Hook>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Reloads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reloads")
    }
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
        Ok(Self { signals, report, hub, metrics, reloads: Reloads::default() })
    }

    /// The same for one of several parts, which speaks with its name and can be ended alone.
    pub(crate) fn part(&self, name: Option<&str>) -> (Part, Self) {
        let (part, signals) = self.signals.part();
        let report = name.map_or_else(|| self.report.clone(), |name| self.report.of_part(name));
        (part, Self { signals, report, ..self.clone() })
    }

    /// Says what is left to say.
    pub(crate) async fn finish(self) {
        self.report.finish().await;
    }
}
