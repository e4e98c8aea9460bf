//! Where figures are served, if at all.

use super::Address;
use super::address::AddressError;
use crate::args::MetricsArgs;
use crate::error::UserError;

/// The address when only the flag is given.
pub(crate) const DEFAULT: &str = "127.0.0.1:9420";

/// An HTTP server for figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetricsSettings {
    /// A host and a port. If other machines can reach it, the user said so.
    pub(crate) address: Address,
}

impl MetricsSettings {
    /// `None` if no figures are wanted.
    ///
    /// # Errors
    /// [`UserError`] of exit code 2 for a Unix socket, and for an address that other machines can
    /// reach unless that is asked for.
    pub(crate) fn from_args(args: &MetricsArgs) -> Result<Option<Self>, UserError> {
        let Some(address) = args.metrics.clone() else {
            return match args.metrics_public {
                true => Err(UserError::usage("--metrics-public needs --metrics")),
                false => Ok(None),
            };
        };
        if matches!(address, Address::Unix(_)) {
            return Err(UserError::usage(format!("--metrics {address} is no place for HTTP"))
                .hint("write HOST:PORT"));
        }
        if !address.is_local() && !args.metrics_public {
            return Err(UserError::usage(format!(
                "--metrics {address} can be reached from other machines, and anyone could read \
                 the names and figures of all streams"
            ))
            .hint(format!("scrape on this machine: --metrics {DEFAULT}"))
            .hint("if that is meant: --metrics-public"));
        }
        Ok(Some(Self { address }))
    }
}

/// Like any address; the variable and the key may also just say `on`, or `true`.
pub(crate) fn parse_address(text: &str) -> Result<Address, AddressError> {
    if ["on", "true"].iter().any(|on| text.eq_ignore_ascii_case(on)) {
        DEFAULT.parse()
    } else {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::exit::Exit;

    fn read(line: &[&str]) -> Result<Option<MetricsSettings>, UserError> {
        let cli = Cli::read([&["p2", "recv"], line].concat()).expect("valid syntax");
        let Command::Recv(args) = cli.command else { panic!("not recv") };
        MetricsSettings::from_args(&args.metrics)
    }

    #[test]
    fn they_are_off_unless_asked_for_and_stay_on_this_machine() {
        assert_eq!(read(&[]), Ok(None));
        for (line, address) in [
            (&["--metrics"] as &[&str], DEFAULT),
            (&["--metrics", "on"], DEFAULT),
            (&["--metrics", "localhost:1"], "localhost:1"),
            (&["--metrics=0.0.0.0:1", "--metrics-public"], "0.0.0.0:1"),
        ] {
            let settings = read(line).expect("valid").expect("on");
            assert_eq!(settings.address.to_string(), address);
        }
    }

    #[test]
    fn an_address_for_other_machines_has_to_be_meant() {
        for address in ["0.0.0.0:9420", "[::]:9420", "192.168.0.1:1", "host:1"] {
            let error = read(&["--metrics", address]).expect_err(address);
            assert_eq!(error.exit(), Exit::Usage);
            assert!(error.render().contains("--metrics-public"), "{}", error.render());
        }
        let error = read(&["--metrics=unix:/s"]).expect_err("no HTTP there");
        assert_eq!(error.exit(), Exit::Usage);
        let error = read(&["--metrics-public"]).expect_err("of what?");
        assert_eq!(
            (error.exit(), error.to_string().contains("needs --metrics")),
            (Exit::Usage, true)
        );
    }
}
