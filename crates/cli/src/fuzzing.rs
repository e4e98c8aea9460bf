//! Doors for the fuzz targets, which stand outside this crate. Not an interface: anything may change.

use crate::settings::attributes::Assigned;
use crate::settings::source::assign_names;
use crate::settings::{Address, RecvSettings, SendSettings, Source, StdinKind};
use crate::{args, sink, units};

/// The path component of a stream's name.
#[must_use]
pub fn component(name: &str) -> String {
    sink::name::component(name)
}

/// The component of the `number`-th stream of that name.
#[must_use]
pub fn numbered(component: &str, number: u32) -> String {
    sink::name::numbered(component, number)
}

/// A peer's text, harmless on a terminal.
#[must_use]
pub fn text(text: &str) -> String {
    sink::escape::text(text)
}

/// A line of payload, harmless on a terminal.
pub fn line(bytes: &[u8], out: &mut Vec<u8>) {
    sink::escape::line(bytes, out);
}

/// Reads one value: the same in other words if there is one way to write it, else nothing; or why
/// it was refused.
pub type Parser = fn(&str) -> Result<Option<String>, String>;

/// Every parser of a single value.
pub const PARSERS: [Parser; 13] = [
    |text| said(units::parse_duration(text), |time| Some(format!("{}ns", time.as_nanos()))),
    |text| said(units::parse_size(text), |size| Some(format!("{size}B"))),
    |text| said(units::parse_byte_rate(text), |rate| Some(format!("{rate}B/s"))),
    |text| said(units::parse_rate(text), |rate| rate.is_nan().then(String::new)),
    |text| said(text.parse::<Address>(), |address| Some(address.to_string())),
    |text| said(Assigned::parse(text, units::parse_byte_rate), assigned),
    |text| said(Source::parse_gen(text), |source| name_of(source, text)),
    |text| said(Source::parse_stdin(text), |source| name_of(source, text)),
    |text| said(Source::parse_file(text), |source| name_of(source, text)),
    |text| said(Source::parse_tail(text), |source| name_of(source, text)),
    |text| said(Source::parse_exec(text), |source| name_of(source, text)),
    |text| said(Source::parse_tcp(text), |source| name_of(source, text)),
    |text| said(Source::parse_unix(text), |source| name_of(source, text)),
];

fn said<T, E: ToString>(
    read: Result<T, E>,
    again: impl FnOnce(T) -> Option<String>,
) -> Result<Option<String>, String> {
    read.map(again).map_err(|error| error.to_string())
}

fn assigned(assigned: Assigned<u64>) -> Option<String> {
    let name = assigned.name.map(|name| name + "=").unwrap_or_default();
    Some(format!("{name}{}B/s", assigned.value))
}

/// A source has many forms, so only its name is looked at: it must fit the wire.
fn name_of(source: Source, text: &str) -> Option<String> {
    let mut sources = [source];
    let named = assign_names(&mut sources);
    let [source] = sources;
    let name = source.stream_name(1, 1);
    assert!(named.is_ok() && !name.is_empty(), "`{text}` has no name");
    None
}

/// Reads a whole command line, up to validated settings.
///
/// # Errors
/// What the user would see.
pub fn command_line(words: &[&str]) -> Result<(), String> {
    let words = std::iter::once("p2").chain(words.iter().copied());
    let cli = args::Cli::read(words).map_err(|error| error.to_string())?;
    let outcome = match cli.command {
        args::Command::Recv(args) => RecvSettings::from_args(*args, &cli.log).map(|_| ()),
        args::Command::Send(args) => SendSettings::from_args(*args, StdinKind::Other).map(|_| ()),
        _ => Ok(()),
    };
    outcome.map_err(|error| error.to_string())
}
