//! `p2 send [TARGET]`.

use clap::Args;

use super::{ConnectionArgs, MetricsArgs, OutputArgs, RetryArgs, SourceArgs, SshArgs};
use crate::settings::attributes::Assigned;
use crate::settings::codec::parse_codec;
use crate::settings::{Address, CodecId, Priority, WhenFull};
use crate::units::parse_byte_rate;

/// Connect and send streams.
#[derive(Debug, Clone, Args)]
pub(crate) struct SendArgs {
    /// Where the receiver listens: HOST:PORT or unix:PATH; default 127.0.0.1:9000
    #[arg(value_name = "TARGET", env = "P2_TARGET")]
    pub(crate) target: Option<Address>,
    #[command(flatten)]
    pub(crate) sources: SourceArgs,
    #[command(flatten)]
    pub(crate) attributes: AttributeArgs,
    #[command(flatten)]
    pub(crate) ssh: SshArgs,
    /// The session's name, stable over restarts
    #[arg(long, env = "P2_SESSION", value_name = "NAME", help_heading = "Connection")]
    pub(crate) session: Option<String>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
}

/// What streams are asked to be. `NAME=` chooses one stream, `load*=` those that begin so.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Streams ([NAME=]VALUE: one stream, or all)")]
pub(crate) struct AttributeArgs {
    /// The number that people see, as in `app=7`
    #[arg(long, env = "P2_ID", value_name = "[NAME=]N", value_parser = id)]
    pub(crate) id: Vec<Assigned<u32>>,
    /// realtime, high, normal, low or bulk
    #[arg(long, env = "P2_PRIO", value_name = "[NAME=]CLASS", value_parser = priority)]
    pub(crate) prio: Vec<Assigned<Priority>>,
    /// The codec, or none
    #[arg(long, env = "P2_CODEC", value_name = "[NAME=]CODEC", value_parser = codec)]
    pub(crate) codec: Vec<Assigned<CodecId>>,
    /// The codec's level: see `p2 codecs`
    #[arg(long, env = "P2_LEVEL", value_name = "[NAME=]N", value_parser = level,
          allow_negative_numbers = true)]
    pub(crate) level: Vec<Assigned<i32>>,
    /// Most bytes a second, as in `app=2MiB/s`
    #[arg(long, env = "P2_LIMIT", value_name = "[NAME=]RATE", value_parser = limit)]
    pub(crate) limit: Vec<Assigned<u64>>,
    /// When the buffer is full: block or drop-oldest
    #[arg(long, env = "P2_WHEN_FULL", value_name = "[NAME=]WHAT", value_parser = when_full)]
    pub(crate) when_full: Vec<Assigned<WhenFull>>,
}

fn id(text: &str) -> Result<Assigned<u32>, String> {
    Assigned::parse(text, |value| match value.parse() {
        Ok(0) => Err("0 is the number of the heartbeat; write a number from 1".to_owned()),
        Ok(id) => Ok(id),
        Err(_) => Err(format!("`{value}` is not a number from 1 to {}", u32::MAX)),
    })
}

fn priority(text: &str) -> Result<Assigned<Priority>, String> {
    Assigned::parse(text, |value| {
        value.parse().map_err(|_| {
            format!("`{value}` is no priority; write realtime, high, normal, low or bulk")
        })
    })
}

fn codec(text: &str) -> Result<Assigned<CodecId>, String> {
    Assigned::parse(text, parse_codec)
}

fn level(text: &str) -> Result<Assigned<i32>, String> {
    Assigned::parse(text, |value| {
        value.parse().map_err(|_| format!("`{value}` is not a whole number"))
    })
}

fn limit(text: &str) -> Result<Assigned<u64>, String> {
    Assigned::parse(text, |value| match parse_byte_rate(value) {
        Ok(0) => Err("a limit must be above 0B/s".to_owned()),
        Ok(rate) => Ok(rate),
        Err(error) => Err(error.to_string()),
    })
}

fn when_full(text: &str) -> Result<Assigned<WhenFull>, String> {
    Assigned::parse(text, |value| {
        value.parse().map_err(|_| format!("`{value}` is neither block nor drop-oldest"))
    })
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  p2 send                                           demo traffic: three streams
  journalctl -f | p2 send --stdin=journal           a pipe
  p2 send --ssh me@host --tail '/var/log/*.log'     files in ~/p2-received/SESSION at host
  p2 send --ssh host --ssh-arg=-p2222 --remote-dir /srv/dumps --file db.dump
  p2 send --ssh host 127.0.0.1:9000 --exec dmesg    to a `p2 recv` that listens at host
  p2 send host:9000 --token-file ~/.p2-token --file dump=/var/backups/db.dump
  p2 send --tail '/var/log/nginx/*.log' --prio 'error.log=high' --when-full 'access.log=drop-oldest'
  p2 send --exec 'dmesg=dmesg -w' --tcp syslog=127.0.0.1:5140 --limit syslog=2MiB/s
  p2 send --gen load=streams=2,rate=1000/s,size=200B,count=100000,shape=log --level 'load*=6'

--gen SPEC is a number of streams or a list of streams=N, rate=N/s, size=SIZE, count=N (messages),
total=SIZE and shape=message|log|random|zeros|json, all but the first for each stream.

The text before the first `=` is the stream's name if it looks like one; `=VALUE` gives none.
Streams are numbered in the order of their sources, unless --id says otherwise.
First Ctrl-C: sources end, what was read is delivered. Second: stop at once. SIGHUP: retry now.";
