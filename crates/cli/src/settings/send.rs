//! What `p2 send` does, validated.

use std::io::IsTerminal;

use super::source::assign_names;
use super::{
    Address, AttributeTable, ConnectionSettings, RetrySettings, Source, SourceSpec, SshSettings,
    TailPattern,
};
use crate::args::SendArgs;
use crate::error::UserError;

/// Longest session name on the wire, in bytes.
const MAX_SESSION: usize = 255;

/// What to send, where and how.
#[derive(Debug, Clone)]
pub(crate) struct SendSettings {
    /// Where the receiver listens; with ssh, as the far side sees it.
    pub(crate) target: Address,
    /// The way through ssh, if that is the way.
    pub(crate) ssh: Option<SshSettings>,
    /// At least one, in the order given.
    pub(crate) sources: Vec<Source>,
    /// Why these sources.
    pub(crate) origin: SourceOrigin,
    /// What each stream is asked to be.
    pub(crate) attributes: AttributeTable,
    /// The session's name.
    pub(crate) session: Option<String>,
    /// The session and its links.
    pub(crate) connection: ConnectionSettings,
    /// When to dial again.
    pub(crate) retry: RetrySettings,
}

/// Why `send` reads what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceOrigin {
    /// Flags name the sources.
    Given,
    /// No flag does, and something is piped in.
    PipedStdin,
    /// No flag does, and nothing is piped in: demo traffic. One line should say so.
    Demo,
}

/// What standard input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StdinKind {
    /// A terminal.
    Terminal,
    /// A pipe, a socket or a file: someone wants it read.
    Piped,
    /// `/dev/null`, closed, or something else nobody meant to send.
    Other,
}

impl StdinKind {
    /// What this process's standard input is.
    pub(crate) fn detect() -> Self {
        use rustix::fs::{FileType, fstat};
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            return Self::Terminal;
        }
        match fstat(&stdin).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Fifo | FileType::RegularFile | FileType::Socket) => Self::Piped,
            _ => Self::Other,
        }
    }
}

impl SendSettings {
    /// Checks what flags alone cannot: names, attributes, ranges.
    ///
    /// # Errors
    /// [`UserError`] of exit code 2.
    pub(crate) fn from_args(args: SendArgs, stdin: StdinKind) -> Result<Self, UserError> {
        let (mut sources, origin) = match (args.sources.sources, stdin) {
            (sources, _) if !sources.is_empty() => (sources, SourceOrigin::Given),
            (_, StdinKind::Piped) => {
                let stdin = Source { name: None, spec: SourceSpec::Stdin };
                (vec![stdin], SourceOrigin::PipedStdin)
            }
            _ => (vec![Source::demo()], SourceOrigin::Demo),
        };
        assign_names(&mut sources).map_err(|error| UserError::usage(error.to_string()))?;
        let attributes = AttributeTable {
            id: args.attributes.id,
            priority: args.attributes.prio,
            codec: args.attributes.codec,
            level: args.attributes.level,
            limit: args.attributes.limit,
            when_full: args.attributes.when_full,
        };
        check_names(&attributes, &sources)?;
        if args.session.as_ref().is_some_and(|name| name.is_empty() || name.len() > MAX_SESSION) {
            return Err(UserError::usage(format!("--session must have 1 to {MAX_SESSION} bytes")));
        }
        let connection = ConnectionSettings::from_args(args.connection)?;
        let retry = RetrySettings::from_args(args.retry)?;
        let ssh = SshSettings::from_args(args.ssh, args.target.as_ref(), &connection, &retry)?;
        Ok(Self {
            target: args.target.unwrap_or_else(Address::local_default),
            ssh,
            sources,
            origin,
            attributes,
            session: args.session,
            connection,
            retry,
        })
    }
}

/// When every stream's name is known beforehand, an attribute for another name is a typing error.
fn check_names(attributes: &AttributeTable, sources: &[Source]) -> Result<(), UserError> {
    let mut known: Vec<String> = Vec::new();
    for source in sources {
        match (&source.spec, &source.name) {
            (
                SourceSpec::TcpListen(_)
                | SourceSpec::UnixListen(_)
                | SourceSpec::Tail(TailPattern::Glob(_)),
                _,
            ) => return Ok(()),
            // The numbers of `streamN` depend on the other sources; many names are no help.
            (SourceSpec::Gen(spec), name) if name.is_none() || spec.streams > 100 => return Ok(()),
            (SourceSpec::Gen(spec), _) => {
                known.extend((1..=spec.streams).map(|n| source.stream_name(n, n)));
            }
            (_, Some(name)) => known.push(name.clone()),
            (_, None) => {}
        }
    }
    for (flag, name) in attributes.exact_names() {
        if !known.iter().any(|known| known == name) {
            return Err(UserError::usage(format!("{flag} {name}=…: no stream is named `{name}`"))
                .hint(format!("there are: {}", known.join(", "))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::exit::Exit;
    use crate::settings::{CodecId, Priority, WhenFull};

    fn read(line: &[&str], stdin: StdinKind) -> Result<SendSettings, UserError> {
        let cli = Cli::read([&["p2", "send"], line].concat()).expect("valid syntax");
        let Command::Send(args) = cli.command else { panic!("not send") };
        SendSettings::from_args(*args, stdin)
    }

    #[test]
    fn without_a_source_it_sends_what_is_piped_in_or_demo_traffic() {
        for (stdin, origin, spec) in [
            (StdinKind::Piped, SourceOrigin::PipedStdin, SourceSpec::Stdin),
            (StdinKind::Terminal, SourceOrigin::Demo, Source::demo().spec),
            (StdinKind::Other, SourceOrigin::Demo, Source::demo().spec),
        ] {
            let settings = read(&[], stdin).expect("defaults");
            assert_eq!(settings.origin, origin);
            assert_eq!(settings.sources[0].spec, spec);
            assert_eq!(settings.target, Address::local_default());
        }
        let settings = read(&["--gen", "1"], StdinKind::Piped).expect("given");
        assert_eq!(settings.origin, SourceOrigin::Given);
    }

    #[test]
    fn sources_keep_the_order_of_the_command_line() {
        let line = ["--exec", "b=date", "--file", "a=/x", "--stdin", "--exec", "c=id", "h:1"];
        let settings = read(&line, StdinKind::Piped).expect("valid");
        let names: Vec<_> = settings.sources.iter().filter_map(|s| s.name.as_deref()).collect();
        assert_eq!(names, ["b", "a", "stdin", "c"]);
        assert_eq!(settings.target.to_string(), "h:1");
        let settings = read(&["--stdin=in"], StdinKind::Piped).expect("valid");
        assert_eq!(settings.sources[0].name.as_deref(), Some("in"));
    }

    #[test]
    fn attributes_go_to_the_streams_they_name() {
        let line = [
            "--file=app=/x",
            "--file=web=/y",
            "--id=app=7",
            "--prio=app=high",
            "--codec=none",
            "--level=web=-3",
            "--limit=app=2MiB/s",
            "--when-full=drop-oldest",
        ];
        let table = read(&line, StdinKind::Other).expect("valid").attributes;
        let (app, web) = (table.for_name("app"), table.for_name("web"));
        assert_eq!((app.id, web.id), (Some(7), None));
        assert_eq!((app.priority, web.priority), (Priority::High, Priority::Normal));
        assert_eq!((app.codec, web.codec), (Some(CodecId::NONE), Some(CodecId::NONE)));
        assert_eq!((app.level, web.level), (None, Some(-3)));
        assert_eq!((app.limit, web.limit), (Some(2 << 20), None));
        assert_eq!(app.when_full, WhenFull::DropOldest);
    }

    #[test]
    fn an_attribute_for_no_stream_is_a_usage_error() {
        let error = read(&["--file=app=/x", "--prio=ap=high"], StdinKind::Other).expect_err("typo");
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().contains("no stream is named `ap`"), "{error}");
        assert!(error.render().contains("there are: app"), "{}", error.render());
        assert!(read(&["--tail=app=/nonexistent/*", "--prio=ap=high"], StdinKind::Other).is_ok());
        assert!(read(&["--gen=load=2", "--prio=load2=high"], StdinKind::Other).is_ok());
        assert!(read(&["--gen=load=2", "--prio=load3=high"], StdinKind::Other).is_err());
    }

    #[test]
    fn wrong_attributes_say_what_to_write() {
        for (flag, words) in [
            ("--id=app=0", "0 is the number of the heartbeat"),
            ("--id=app=x", "`x` is not a number from 1"),
            ("--prio=app=urgent", "write realtime, high, normal, low or bulk"),
            ("--codec=brotli", "there is no codec `brotli`"),
            ("--level=fast", "`fast` is not a whole number"),
            ("--limit=app=2MiB", "did you mean `2MiB/s`?"),
            ("--limit=0B/s", "must be above 0B/s"),
            ("--when-full=drop", "neither block nor drop-oldest"),
        ] {
            let error = Cli::read(["p2", "send", flag]).expect_err(flag);
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(words), "{flag}: {error}");
        }
    }

    #[test]
    fn a_name_given_twice_is_a_usage_error() {
        let error = read(&["--file=a=/x", "--exec=a=date"], StdinKind::Other).expect_err("twice");
        assert!(error.to_string().contains("two sources are named `a`"), "{error}");
        assert!(read(&["--session="], StdinKind::Other).is_err());
    }
}
