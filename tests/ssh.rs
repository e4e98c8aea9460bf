//! `--ssh` against a real sshd: every way it can go, the words that the user sees, the exit code.

#[path = "ssh/doctor.rs"]
mod doctor;
#[path = "ssh/receiver.rs"]
mod receiver;
#[path = "ssh/refusals.rs"]
mod refusals;
#[path = "ssh/resume.rs"]
mod resume;
mod support;
#[path = "ssh/terminal.rs"]
mod terminal;
#[path = "ssh/ways.rs"]
mod ways;

use support::table::{self, Outcome, Row};
use support::{Ended, Env, sshd};

/// A row that needs sshd.
macro_rules! row {
    ($what:literal, $module:ident :: $name:ident) => {
        Row {
            name: stringify!($name),
            what: $what,
            run: || match sshd::missing() {
                Some(why) => sshd::skipped(&why),
                None => $module::$name(&Env::new()),
            },
        }
    };
}

const ROWS: &[Row] = &[
    row!("plain `--ssh`: files in the home over there", ways::attach),
    row!("the same into --remote-dir, acknowledged when synced", ways::remote_dir),
    row!("a pipe through --ssh", ways::stdin),
    row!("--ssh with a TARGET: to a receiver that listens there", ways::forward),
    row!("a hand-made `ssh -N -L`, its ssh killed and started again", ways::hand_made_tunnel),
    row!("AllowTcpForwarding no, attach", ways::no_forwarding_attach),
    row!("MaxSessions 1, resumed in it", ways::max_sessions_one),
    row!("MaxSessions 0: falls back to a forwarding", ways::max_sessions_none),
    row!("a login shell that prints 5 KiB first", ways::noisy_shell),
    row!("AllowTcpForwarding no, forward", refusals::no_forwarding_forward),
    row!("forward, and nothing listens there", refusals::nobody_listens),
    row!("a login shell that prints without an end", refusals::endless_noise),
    row!("a login shell that prints and leaves", refusals::noise_alone),
    row!("a host key that is not known", refusals::unknown_host_key),
    row!("a host key that has changed", refusals::changed_host_key),
    row!("a key that is not authorized", refusals::wrong_key),
    row!("p2 is not installed there", refusals::no_program),
    row!("p2 there is something else", refusals::another_program),
    row!("a directory there that cannot be written", refusals::no_directory),
    row!("no ssh on this machine", refusals::no_ssh),
    row!("an option that ssh does not know", refusals::unknown_option),
    row!("a host that begins with a dash", refusals::dash),
    row!("a wrong key without a terminal: once a minute", refusals::no_login_storm),
    row!("a wrong key on a terminal: the last word", terminal::stops_at_once),
    row!("an unknown host key on a terminal: asked, once", terminal::asked_once),
    row!("the ssh child is killed", resume::ssh_killed),
    row!("the sshd session is killed", resume::sshd_killed),
    row!("the relay there is killed", resume::relay_killed),
    row!("ssh stops answering (SIGSTOP)", resume::ssh_frozen),
    row!("killed over and over, by turns", resume::killed_often),
    row!("the login is refused for a while", resume::login_lost_for_a_while),
    row!("forwarded, the ssh child is killed", resume::forward_killed),
    row!("the receiver there is killed", resume::receiver_killed),
    row!("four senders at once start one receiver", receiver::one_for_all),
    row!("another directory is another receiver", receiver::one_for_each_directory),
    row!("it leaves when nobody needs it, and comes again", receiver::leaves_and_comes),
    row!("its socket is its user's alone", receiver::private),
    row!("a directory that others can enter", receiver::unsafe_directory),
    row!("the doctor finds nothing", doctor::healthy),
    row!("the doctor finds what is wrong", doctor::ill),
];

fn main() -> std::process::ExitCode {
    table::main("through ssh", ROWS)
}

/// A row that held: the words that the user saw, and the exit code.
fn seen(ended: &Ended, words: &str) -> Outcome {
    let said = format!("{}{}", ended.stderr, ended.text());
    let line = said.lines().find(|line| line.contains(words));
    let line = line.unwrap_or_else(|| panic!("no {words:?} in {said}"));
    let code = ended.code.expect("an exit code");
    Outcome::Passed(format!("exit {code}   {}", line.trim()))
}
