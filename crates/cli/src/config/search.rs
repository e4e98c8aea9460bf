//! Where a configuration file is looked for when none is named.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The user's, then the machine's. The first that exists is the one.
pub(crate) fn places() -> Vec<PathBuf> {
    places_of(|name| std::env::var_os(name))
}

/// The first place that has a file.
pub(crate) fn find() -> Option<PathBuf> {
    places().into_iter().find(|path| path.exists())
}

fn places_of(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let user = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    let user = user.map(|dir| dir.join("p2/p2.toml"));
    user.into_iter().chain([Path::new("/etc/p2/p2.toml").to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_file_goes_before_the_machines() {
        let shown = |xdg: Option<&str>, home: Option<&str>| {
            let paths = places_of(|name| match name {
                "XDG_CONFIG_HOME" => xdg.map(OsString::from),
                _ => home.map(OsString::from),
            });
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        let machine = "/etc/p2/p2.toml";
        assert_eq!(shown(Some("/x"), Some("/h")), ["/x/p2/p2.toml", machine]);
        assert_eq!(shown(Some(""), Some("/h")), ["/h/.config/p2/p2.toml", machine]);
        assert_eq!(shown(Some("relative"), None), [machine]);
    }
}
