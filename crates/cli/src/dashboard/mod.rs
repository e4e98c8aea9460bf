//! What to show of the metrics and when to wake somebody: a Grafana dashboard, alerts, a scrape.

mod grafana;
mod panels;

use std::str::FromStr;

/// What `p2 dashboard` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Asset {
    /// A dashboard, as Grafana imports it.
    Grafana,
    /// Alert rules for Prometheus.
    Alerts,
    /// Where Prometheus finds the metrics.
    Scrape,
}

impl Asset {
    /// The whole text.
    ///
    /// # Errors
    /// The table of panels of this build is broken.
    pub(crate) fn text(self) -> serde_json::Result<String> {
        Ok(match self {
            Self::Grafana => format!("{:#}\n", grafana::dashboard()?),
            Self::Alerts => include_str!("../../assets/alerts.yml").to_owned(),
            Self::Scrape => include_str!("../../assets/scrape.yml").to_owned(),
        })
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::from_str(text).map_err(|_| "write grafana, alerts or scrape".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog;

    #[test]
    fn every_metric_is_shown_and_nothing_else_is_asked_for() {
        let dashboard = Asset::Grafana.text().expect("a table");
        let names = |text: &str| -> Vec<String> {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let words = text.split(|c: char| !is_name(c));
            let ours = |word: &&str| word.starts_with("p2_") || word.starts_with("process_");
            words.filter(ours).map(str::to_owned).collect()
        };
        let base = |name: &str| {
            let suffix =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            suffix.unwrap_or(name).to_owned()
        };
        for family in catalog::ALL {
            assert!(
                names(&dashboard).iter().any(|name| base(name) == family.name),
                "{}",
                family.name
            );
        }
        for name in
            names(&dashboard).into_iter().chain(names(&Asset::Alerts.text().expect("as it is")))
        {
            let known = catalog::ALL.iter().any(|family| family.name == base(&name));
            assert!(known, "there is no metric {name}");
        }
    }

    #[test]
    fn the_default_address_is_the_one_that_is_scraped() {
        assert!(
            Asset::Scrape.text().expect("as it is").contains(crate::settings::metrics::DEFAULT)
        );
    }
}
