//! The steps that are ssh's: is it here, what does it make of its configuration, does it log in, is
//! p2 there, how fast is the way.

use std::ffi::OsString;
use std::io;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use p2_transport::dial::CommandEnd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use super::Chart;
use crate::error::UserError;
use crate::exit::Exit;
use crate::report::bytes;
use crate::settings::{SshMode, SshSettings};
use crate::sink::escape_text;
use crate::ssh::{Asking, SshError, Way, arguments, diagnose};

/// What is sent to measure the way, at most, and for how long.
const SAMPLE: usize = 32 << 20;
const SAMPLE_TIME: Duration = Duration::from_secs(5);
/// What a person at a prompt may need.
const PATIENCE: Duration = Duration::from_secs(120);

/// `false` if there is no use in going on.
pub(super) async fn examine(settings: &SshSettings, chart: &mut Chart) -> io::Result<bool> {
    match run(vec!["-V".into()]).await {
        Ok(output) => {
            let version = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            chart.ok("ssh", &version)?;
        }
        Err(error) => {
            let error = UserError::new(Exit::NoConnection, format!("cannot start ssh: {error}"))
                .hint("install the OpenSSH client, so that `ssh` is in the PATH");
            chart.fail("ssh", &error)?;
            return Ok(false);
        }
    }
    configuration(settings, chart).await?;
    let forward = settings.mode == SshMode::Forward;
    if forward {
        chart.skip("login", "a forwarding runs no command; it is tried below")?;
        return Ok(true);
    }
    program(settings, chart).await
}

/// Settings of the user's that would be in the way.
async fn configuration(settings: &SshSettings, chart: &mut Chart) -> io::Result<()> {
    let mut line = vec![OsString::from("-G")];
    line.extend(arguments::command(settings, Asking::Allowed, "true"));
    let output = run(line).await?;
    if !output.status.success() {
        let error = failed(settings, &output);
        return chart.fail("config", &error);
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        line.filter(|value| *value != "none").unwrap_or_default().to_owned()
    };
    let mut found = format!("{}@{} port {}", value("user"), value("hostname"), value("port"));
    for (key, word) in [("proxyjump", "through"), ("proxycommand", "by")] {
        let value = value(key);
        if !value.is_empty() {
            found.push_str(&format!(", {word} {value}"));
        }
    }
    chart.ok("config", &found)?;
    for (key, bad, option) in [
        ("sessiontype", "subsystem", "SessionType=default"),
        ("stdinnull", "yes", "StdinNull=no"),
        ("forkafterauthentication", "yes", "ForkAfterAuthentication=no"),
    ] {
        if value(key) == bad {
            let found = format!("the configuration has {key} {bad}: P2 could not speak through it");
            chart.warn("config", &found, &format!("add --ssh-arg=-o{option}"))?;
        }
    }
    if text.lines().any(|line| line == "sessiontype none") {
        let found = "the configuration has sessiontype none: it runs no command";
        chart.warn("config", found, "add --ssh-arg=-oSessionType=default")?;
    }
    Ok(())
}

/// Logs in and asks for the version.
async fn program(settings: &SshSettings, chart: &mut Chart) -> io::Result<bool> {
    let line = arguments::remote(settings, &["--version".to_owned()]);
    let line = arguments::command(settings, Asking::Allowed, &line);
    let began = Instant::now();
    let output = match timeout(PATIENCE, run(line)).await {
        Ok(output) => output?,
        Err(_) => {
            let what = format!("ssh did not come back within {} s", PATIENCE.as_secs());
            chart.fail("login", &UserError::new(Exit::NoConnection, what))?;
            return Ok(false);
        }
    };
    if output.status.code() == Some(255) || output.status.code().is_none() {
        chart.fail("login", &failed(settings, &output))?;
        return Ok(false);
    }
    chart.ok("login", &format!("in {:.1} s", began.elapsed().as_secs_f64()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.lines().rev().find(|line| line.starts_with("p2 "));
    let Some(version) = version.filter(|_| output.status.success()) else {
        chart.fail("p2 there", &failed(settings, &output))?;
        // Without p2 a forwarding may still work.
        return Ok(settings.mode == SshMode::Auto);
    };
    let here = concat!("p2 ", env!("CARGO_PKG_VERSION"));
    if version == here {
        chart.ok("p2 there", version)?;
    } else {
        let found = format!("{version} there, {here} here");
        chart.warn("p2 there", &found, "the same version on both sides is the safest")?;
    }
    let noise = text.split(version).next().unwrap_or_default().trim();
    if !noise.is_empty() {
        let shown: String = noise.chars().take(100).collect();
        let found = format!("the login shell prints something first, which is skipped: {shown}");
        chart.warn("shell", &found, "let it be silent when it has no terminal")?;
    }
    Ok(true)
}

/// How fast bytes go through ssh, without P2.
pub(super) async fn throughput(settings: &SshSettings, chart: &mut Chart) -> io::Result<()> {
    if settings.mode == SshMode::Forward {
        return chart.skip("throughput", "it would leave data at the receiver");
    }
    let line = arguments::command(settings, Asking::Never, "echo ready; cat > /dev/null");
    let mut child = Command::new("ssh")
        .args(line)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return chart.skip("throughput", "ssh has no pipes");
    };
    // Something that no compression on the way makes smaller.
    let mut block = vec![0; 256 * 1024];
    fastrand::fill(&mut block);
    let measure = async {
        output.read_u8().await?;
        let began = Instant::now();
        let mut sent = 0;
        while sent < SAMPLE && began.elapsed() < SAMPLE_TIME {
            input.write_all(&block).await?;
            sent += block.len();
        }
        drop(input);
        child.wait().await?;
        io::Result::Ok((sent, began.elapsed()))
    };
    match timeout(SAMPLE_TIME * 6, measure).await {
        Ok(Ok((sent, time))) => {
            let rate = sent as f64 / time.as_secs_f64();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // never negative
            let (sent, rate) = (bytes(sent as u64), bytes(rate as u64));
            chart.ok("throughput", &format!("ssh alone {rate}/s, with {sent} of random bytes"))
        }
        Ok(Err(error)) => chart.skip("throughput", &format!("ssh alone cannot be asked: {error}")),
        Err(_) => chart.skip("throughput", "the way is too slow for a sample"),
    }
}

async fn run(line: Vec<OsString>) -> io::Result<Output> {
    Command::new("ssh").args(line).stdin(Stdio::null()).kill_on_drop(true).output().await
}

fn failed(settings: &SshSettings, output: &Output) -> UserError {
    let end = CommandEnd {
        program: "ssh".to_owned(),
        status: Some(output.status),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    let error: SshError = diagnose(settings, &Way::Command, &end, &output.stdout);
    let said = UserError::new(error.exit(), escape_text(&error.what));
    error.next.into_iter().fold(said, UserError::hint)
}
