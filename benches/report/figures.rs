//! The JSON files of one run, and how numbers are written.

use std::path::Path;

use serde_json::Value;

/// One value for each file; `Null` where there is none.
pub(crate) struct Figures {
    pub(crate) machine: Value,
    pub(crate) mux: Value,
    pub(crate) pipes: Value,
    pub(crate) bench: Value,
    pub(crate) wide: Value,
    pub(crate) scale: Value,
}

impl Figures {
    pub(crate) fn read(folder: &Path) -> Self {
        let file = |name: &str| {
            let path = folder.join(name);
            match std::fs::read(&path) {
                Ok(bytes) => serde_json::from_slice(&bytes)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
                Err(_) => Value::Null,
            }
        };
        Self {
            machine: file("machine.json"),
            mux: file("mux.json"),
            pipes: file("pipes.json"),
            bench: file("bench.json"),
            wide: file("wide.json"),
            scale: file("scale.json"),
        }
    }
}

/// Three digits that count, thousands apart.
pub(crate) fn short(value: f64) -> String {
    match value {
        v if !v.is_finite() => "-".to_owned(),
        v if v >= 1e4 => thousands((v / 100.0).round() as u64 * 100),
        v if v >= 1000.0 => thousands(v.round() as u64),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

/// 10,000.
pub(crate) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The number at a pointer, scaled; `-` where there is none.
pub(crate) fn cell(value: &Value, pointer: &str, scale: f64) -> String {
    value.pointer(pointer).and_then(Value::as_f64).map_or("-".to_owned(), |v| short(v * scale))
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or(f64::NAN)
}
