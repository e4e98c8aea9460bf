//! `p2 dashboard WHAT`.

use clap::Args;

use crate::dashboard::Asset;

/// What Grafana and Prometheus need to show the metrics.
#[derive(Debug, Clone, Args)]
pub(crate) struct DashboardArgs {
    /// grafana (a dashboard as JSON), alerts (rules as YAML) or scrape (configuration as YAML)
    #[arg(value_name = "WHAT", value_parser = Asset::parse)]
    pub(crate) what: Asset,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  p2 dashboard grafana > p2.json                   import it in Grafana: Dashboards, New, Import
  p2 dashboard alerts > /etc/prometheus/p2.yml     name it under rule_files in prometheus.yml
  p2 dashboard scrape                              what prometheus.yml needs to find p2

The figures come from p2 send --metrics and p2 recv --metrics.";
