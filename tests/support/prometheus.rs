//! A real Prometheus that scrapes the programs under test, and `promtool`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Ended, Env, PATIENCE, Process, Program, eventually, skip};

/// How often Prometheus looks.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The two programs; `None` where they are not installed, which is said.
pub fn find() -> Option<Tools> {
    let search = |name: &str| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
    };
    match (search("prometheus"), search("promtool")) {
        (Some(prometheus), Some(promtool)) => Some(Tools { prometheus, promtool }),
        _ => {
            skip("prometheus", "there is no prometheus with its promtool in PATH");
            None
        }
    }
}

/// Where they are.
#[derive(Debug)]
pub struct Tools {
    prometheus: PathBuf,
    promtool: PathBuf,
}

impl Tools {
    /// `promtool` with these arguments, in the directory of `env`.
    pub fn promtool(&self, env: &Env, arguments: &[&str]) -> Ended {
        Program::at(&self.promtool, &env.path("."), arguments).run()
    }

    /// `promtool check metrics` reads its input.
    pub fn check_metrics(&self, text: &str) {
        let mut child = Command::new(&self.promtool)
            .args(["check", "metrics"])
            .stdin(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("promtool starts");
        child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "promtool check metrics: {said}");
    }

    /// Starts a Prometheus that scrapes `targets` (address and instance) as the job `p2`, with the
    /// rules of this file if there is one.
    pub fn start(&self, env: &Env, targets: &[(&str, &str)], rules: Option<&str>) -> Prometheus {
        let mut config = format!(
            "global: {{ scrape_interval: {0}s, evaluation_interval: {0}s, scrape_timeout: {0}s }}\n",
            INTERVAL.as_secs()
        );
        if let Some(rules) = rules {
            let _ = writeln!(config, "rule_files: [{rules}]");
        }
        config.push_str("scrape_configs:\n  - job_name: p2\n    static_configs:\n");
        for (address, instance) in targets {
            let labels = format!("labels: {{ instance: {instance} }}");
            let _ = writeln!(config, "      - {{ targets: ['{address}'], {labels} }}");
        }
        env.write("prometheus.yml", config.as_bytes());
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = free.expect("a free port").to_string();
        let listen = format!("--web.listen-address={address}");
        let arguments = [
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=tsdb",
            "--log.level=warn",
            &listen,
        ];
        let process = Program::at(&self.prometheus, &env.path("."), arguments).start();
        let prometheus = Prometheus { address, _process: process };
        eventually("Prometheus is ready", || {
            get(&prometheus.address, "/-/ready").filter(|answer| answer.status == 200).map(drop)
        });
        prometheus
    }
}

/// A Prometheus under way.
#[derive(Debug)]
pub struct Prometheus {
    address: String,
    _process: Process,
}

/// What an expression came to: each series by its labels.
pub type Series = BTreeMap<String, f64>;

impl Prometheus {
    /// Asks for an expression as of now.
    #[track_caller]
    pub fn query(&self, expression: &str) -> Series {
        let answer = self.api(&format!("query?query={}", encoded(expression)));
        let result = answer["result"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let series = |one: &Value| {
            let labels = one["metric"].as_object().cloned().unwrap_or_default();
            let labels: Vec<String> = labels
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
                .collect();
            let value = one["value"][1].as_str().and_then(|text| text.parse().ok());
            (labels.join(","), value.unwrap_or_else(|| panic!("{one}")))
        };
        result.iter().map(series).collect()
    }

    /// The one figure of an expression; `None` while it has none.
    #[track_caller]
    pub fn figure(&self, expression: &str) -> Option<f64> {
        let series = self.query(expression);
        assert!(series.len() <= 1, "{expression} has several answers: {series:?}");
        series.into_values().next()
    }

    /// Waits until an expression has this figure.
    #[track_caller]
    pub fn until(&self, expression: &str, wanted: f64) {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let found = self.figure(expression);
            if found == Some(wanted) {
                return;
            }
            let late = std::time::Instant::now() > deadline;
            assert!(!late, "{expression} is {found:?}, not {wanted}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The names of all series that begin so.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        let answer = self.api("label/__name__/values");
        let names = answer.as_array().expect("a list").iter().filter_map(Value::as_str);
        names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
    }

    /// The alert rules that it has loaded: name and expression.
    pub fn rules(&self) -> Vec<(String, String)> {
        let answer = self.api("rules?type=alert");
        let groups = answer["groups"].as_array().expect("a list").iter();
        let rules = groups.flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        rules.map(|rule| (text(&rule["name"]), text(&rule["query"]))).collect()
    }

    #[track_caller]
    fn api(&self, path: &str) -> Value {
        let answer = get(&self.address, &format!("/api/v1/{path}")).expect("Prometheus answers");
        let value: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(value["status"], "success", "{path}: {value}");
        value["data"].clone()
    }
}

/// An answer over HTTP.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Everything before the body.
    pub head: String,
    /// The body.
    pub body: String,
}

/// A GET; `None` if nobody answers.
pub fn get(address: &str, path: &str) -> Option<Answer> {
    request(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"),
    )
}

/// A request as it is; `None` if nobody answers with HTTP.
pub fn request(address: &str, text: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    // It may be turned away before it is whole.
    let _ = stream.write_all(text.as_bytes());
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    parse(&String::from_utf8_lossy(&bytes))
}

/// What came back.
pub fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Some(Answer { status, head: head.to_owned(), body })
}

fn unchunked(mut text: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < size {
            break;
        }
        body.push_str(&rest[..size]);
        text = rest[size..].trim_start_matches("\r\n");
    }
    body
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(byte.into()),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
