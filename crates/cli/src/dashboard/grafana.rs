//! The table of panels in the form that Grafana imports.

use serde_json::{Value, json};

use super::panels::{Draw, Panel, rows};

/// Grafana's grid.
const WIDTH: usize = 24;

/// The whole dashboard.
pub(super) fn dashboard() -> serde_json::Result<Value> {
    let mut panels = Vec::new();
    let mut y = 0;
    for row in rows()? {
        panels.push(json!({
            "type": "row", "title": row.row, "collapsed": false, "panels": [],
            "id": panels.len() + 1, "gridPos": { "x": 0, "y": y, "w": WIDTH, "h": 1 },
        }));
        y += 1;
        let (mut x, mut height) = (0, 0);
        for panel in &row.panels {
            let (w, h) = size(panel.draw);
            if x + w > WIDTH {
                (x, y) = (0, y + height);
            }
            panels.push(drawn(panel, panels.len() + 1, json!({ "x": x, "y": y, "w": w, "h": h })));
            (x, height) = (x + w, h);
        }
        y += height;
    }
    Ok(json!({
        "title": "P2", "uid": "p2", "tags": ["p2"], "schemaVersion": 38, "version": 1,
        "editable": true, "refresh": "10s", "timezone": "browser", "graphTooltip": 1,
        "time": { "from": "now-1h", "to": "now" },
        "templating": { "list": [
            {
                "name": "datasource", "type": "datasource", "query": "prometheus",
                "label": "Prometheus", "hide": 0,
            },
            {
                "name": "instance", "type": "query", "label": "Process", "hide": 0,
                "datasource": source(), "refresh": 2, "sort": 1,
                "query": { "query": "label_values(p2_build_info, instance)", "refId": "instance" },
                "definition": "label_values(p2_build_info, instance)",
                "multi": true, "includeAll": true, "allValue": ".*",
                "current": { "text": ["All"], "value": ["$__all"] },
            },
        ] },
        "annotations": { "list": [{
            "name": "Outages", "enable": true, "iconColor": "red", "datasource": source(),
            "expr": "max by (instance) (p2_current_outage_seconds{instance=~'$instance'}) > 0",
            "titleFormat": "no link at {{instance}}",
        }] },
        "panels": panels,
    }))
}

fn drawn(panel: &Panel, id: usize, place: Value) -> Value {
    let letters = ["A", "B", "C", "D"];
    let targets = letters.iter().zip(&panel.queries).map(|(letter, query)| {
        json!({
            "refId": letter, "expr": query.expr(), "legendFormat": query.name, "datasource": source(),
            "instant": panel.draw == Draw::Figure, "range": panel.draw != Draw::Figure,
        })
    });
    let custom = match panel.draw {
        Draw::Figure => json!({}),
        Draw::Lines => json!({ "lineWidth": 1, "fillOpacity": 0, "showPoints": "never" }),
        Draw::Areas => json!({
            "lineWidth": 1, "fillOpacity": 25, "showPoints": "never",
            "stacking": { "mode": "normal", "group": "A" },
        }),
    };
    let kind = if panel.draw == Draw::Figure { "stat" } else { "timeseries" };
    json!({
        "id": id, "type": kind, "title": panel.title, "gridPos": place, "datasource": source(),
        "fieldConfig": {
            "defaults": { "unit": panel.unit, "min": 0, "custom": custom }, "overrides": [],
        },
        "targets": targets.collect::<Vec<_>>(),
    })
}

const fn size(draw: Draw) -> (usize, usize) {
    match draw {
        Draw::Figure => (4, 4),
        Draw::Lines | Draw::Areas => (8, 8),
    }
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_rows_of_panels_that_do_not_overlap() {
        let dashboard = dashboard().expect("a table");
        let panels = dashboard["panels"].as_array().expect("a list");
        let rows: Vec<_> = panels.iter().filter(|panel| panel["type"] == "row").collect();
        assert_eq!(rows.len(), 7);
        let mut taken = std::collections::BTreeSet::new();
        for panel in panels {
            let at = |field: &str| panel["gridPos"][field].as_u64().expect("a number");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(x < WIDTH as u64 && taken.insert((x, y)), "{}", panel["title"]);
                }
            }
        }
        let shown = panels.iter().filter(|panel| panel["type"] != "row");
        assert!(shown.clone().all(|panel| !panel["targets"][0]["expr"].is_null()));
        let rows = super::rows().expect("a table");
        assert!(rows.iter().flat_map(|row| &row.panels).all(|panel| panel.queries.len() <= 4));
        assert_eq!(shown.count(), rows.iter().map(|row| row.panels.len()).sum::<usize>());
    }
}
