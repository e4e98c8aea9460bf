//! What to run and for how long: flags behind `--`, and their defaults.

use std::path::PathBuf;
use std::time::Duration;

pub(crate) const SCENARIOS: [&str; 10] = [
    "bulk-1",
    "bulk-8",
    "bulk-100",
    "bulk-10000",
    "small",
    "echo-alone",
    "echo-beside",
    "churn",
    "idle-10000",
    "idle-100000",
];

pub(crate) struct Settings {
    /// Those to run: names of [`SCENARIOS`], or their first words.
    pub(crate) only: Vec<String>,
    pub(crate) peers: Option<Vec<String>>,
    pub(crate) rounds: usize,
    pub(crate) span: Duration,
    pub(crate) json: Option<PathBuf>,
    /// What takes minutes as well.
    pub(crate) all: bool,
    /// Every path once and briefly: a test of the bench, not a measurement.
    pub(crate) smoke: bool,
}

impl Settings {
    /// From the command line. Cargo adds `--bench` when it benches; flags that other benches know
    /// are passed over.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self {
            only: Vec::new(),
            peers: None,
            rounds: 5,
            span: Duration::from_millis(300),
            json: None,
            all: false,
            smoke: true,
        };
        let (mut bench, mut test) = (false, false);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--bench" => bench = true,
                "--test" => test = true,
                "--all" => settings.all = true,
                "--rounds" => settings.rounds = number(&argument, &value()?)?,
                "--seconds" => {
                    let seconds: f64 = number(&argument, &value()?)?;
                    settings.span = Duration::try_from_secs_f64(seconds)
                        .map_err(|error| format!("--seconds {seconds}: {error}"))?;
                }
                "--json" => settings.json = Some(value()?.into()),
                "--peers" => {
                    settings.peers = Some(value()?.split(',').map(str::to_owned).collect());
                }
                flag if flag.starts_with('-') => eprintln!("mux: {flag} is not known here"),
                _ => settings.only.push(argument),
            }
        }
        settings.smoke = test || !bench;
        if settings.smoke {
            settings.rounds = 1;
            settings.span = Duration::from_millis(20);
        }
        settings.rounds = settings.rounds.max(1);
        Ok(settings)
    }

    pub(crate) fn runs(&self, scenario: &str) -> bool {
        self.only.is_empty()
            || self.only.iter().any(|wanted| {
                scenario
                    .strip_prefix(wanted)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            })
    }

    pub(crate) fn has(&self, peer: &str) -> bool {
        self.peers.as_ref().is_none_or(|peers| peers.iter().any(|wanted| wanted == peer))
    }
}

fn number<T: std::str::FromStr>(flag: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{flag} {text}: not a number"))
}
