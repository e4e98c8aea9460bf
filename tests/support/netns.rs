//! Two machines and a router between them, as network namespaces that vanish with the value.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{Env, Program};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Where the receiver can be reached.
pub const RIGHT: &str = "10.77.2.2";

/// The sender's address, and another one that it may move to.
pub const LEFT: [&str; 2] = ["10.77.1.2", "10.77.1.3"];

/// A namespace of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where senders are.
    Left,
    /// What forwards between the two.
    Middle,
    /// Where the receiver is.
    Right,
}

/// The namespaces; dropping it removes them and the links between them.
#[derive(Debug)]
pub struct Net {
    names: [String; 3],
}

impl Net {
    /// Makes them, or says why this machine cannot.
    pub fn new() -> Result<Self, String> {
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = |place: &str| format!("p2m{}-{number}{place}", std::process::id());
        // From here on whatever is made goes away again.
        let net = Self { names: [name("l"), name("m"), name("r")] };
        for name in &net.names {
            run("ip", &["netns", "add", name])?;
            run("ip", &["-n", name, "link", "set", "lo", "up"])?;
        }
        let [left, middle, right] = &net.names;
        for (side, end) in [(left, "left"), (right, "right")] {
            let pair = ["link", "add", end, "netns", middle, "type", "veth"];
            run("ip", &[&pair[..], &["peer", "name", "eth0", "netns", side]].concat())?;
        }
        for (name, device, address) in [
            (left, "eth0", LEFT[0]),
            (middle, "left", "10.77.1.1"),
            (middle, "right", "10.77.2.1"),
            (right, "eth0", RIGHT),
        ] {
            let address = format!("{address}/24");
            run("ip", &["-n", name, "address", "add", &address, "dev", device])?;
            run("ip", &["-n", name, "link", "set", device, "up"])?;
        }
        run("ip", &["-n", left, "route", "add", "default", "via", "10.77.1.1"])?;
        run("ip", &["-n", right, "route", "add", "default", "via", "10.77.2.1"])?;
        net.execute(Place::Middle, &["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])?;
        Ok(net)
    }

    /// `p2` in one of them.
    pub fn p2(&self, place: Place, env: &Env, arguments: &[&str]) -> Program {
        let line = ["netns", "exec", self.name(place), env!("CARGO_BIN_EXE_p2")];
        Program::at(Path::new("ip"), &env.path(""), [&line[..], arguments].concat())
    }

    /// `ip` about one of them.
    pub fn ip(&self, place: Place, arguments: &[&str]) -> Result<String, String> {
        run("ip", &[&["-n", self.name(place)], arguments].concat())
    }

    /// The same, where it must work.
    #[track_caller]
    pub fn set(&self, place: Place, arguments: &[&str]) {
        self.ip(place, arguments).unwrap_or_else(|why| panic!("{why}"));
    }

    /// Runs a command inside one of them.
    pub fn execute(&self, place: Place, command: &[&str]) -> Result<String, String> {
        run("ip", &[&["netns", "exec", self.name(place)], command].concat())
    }

    fn name(&self, place: Place) -> &str {
        &self.names[place as usize]
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = run("ip", &["netns", "delete", name]);
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let said = |why: &dyn std::fmt::Display| format!("{program} {}: {why}", arguments.join(" "));
    let output = Command::new(program).args(arguments).output().map_err(|error| said(&error))?;
    if !output.status.success() {
        return Err(said(&String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
