//! The rules and configurations that `p2 dashboard` prints, by Prometheus' own tools.

use super::support::prometheus;
use super::support::{Env, prometheus::get};
use super::{METRICS, metrics_of};

#[test]
fn rules_and_scrape_pass_promtool_and_the_rules_fire_as_they_should() {
    let Some(tools) = prometheus::find() else { return };
    let env = Env::new();
    for what in ["alerts", "scrape"] {
        let text = env.p2(&["dashboard", what]).run().exits(0).stdout;
        env.write(&format!("{what}.yml"), &text);
    }
    env.write("alerts_test.yml", include_bytes!("alerts_test.yml"));
    tools.promtool(&env, &["check", "rules", "--lint-fatal", "alerts.yml"]).exits(0);
    tools.promtool(&env, &["check", "config", "scrape.yml"]).exits(0);
    tools.promtool(&env, &["test", "rules", "alerts_test.yml"]).exits(0);
    let tests = include_str!("alerts_test.yml");
    let alerts = String::from_utf8(env.p2(&["dashboard", "alerts"]).run().stdout).expect("text");
    for name in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} has no test");
    }
}

#[test]
fn what_is_no_dashboard_is_a_usage_error() {
    let env = Env::new();
    env.p2(&["dashboard", "kibana"]).run().exits(2).says(&["write grafana, alerts or scrape"]);
}

#[test]
fn the_readme_names_every_metric_with_its_kind_and_labels() {
    let env = Env::new();
    let mut receiver = env.p2(&["recv", "--listen=127.0.0.1:0", METRICS]).start();
    let text = get(&metrics_of(&mut receiver), "/metrics").expect("an answer").body;
    let kinds: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .filter(|(name, _)| name.starts_with("p2_"))
        .collect();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(path).expect("a README");
    let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `p2_")).collect();
    assert_eq!(rows.len(), kinds.len(), "as many rows as metrics");
    for (row, (name, kind)) in rows.iter().zip(&kinds) {
        assert!(row.starts_with(&format!("| `{name}` | {kind} |")), "{name}: {kind}: {row}");
        let sample = text.lines().find(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', '_', ' ']))
        });
        let labels = sample.and_then(|line| line.split_once('{')).map_or("", |(_, rest)| rest);
        for label in labels.split(',').filter_map(|pair| pair.split_once('=')).map(|pair| pair.0) {
            assert!(label == "le" || row.contains(&format!("`{label}`")), "{name}: {label}: {row}");
        }
    }
}
