//! What the system says of this process, under the names that every exporter uses.

use std::fs;

use super::catalog;
use super::sheet::Sheet;

/// Adds what can be found out; what cannot is left out, never guessed.
pub(super) fn put(sheet: &mut Sheet) {
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse)
    {
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        sheet.put(&catalog::CPU_SECONDS, &[], stat.cpu_ticks as f64 / ticks);
        let pages = rustix::param::page_size() as u64;
        sheet.put(&catalog::RESIDENT_MEMORY, &[], stat.resident_pages.saturating_mul(pages));
        sheet.put(&catalog::VIRTUAL_MEMORY, &[], stat.virtual_bytes);
        sheet.put(&catalog::THREADS, &[], stat.threads);
        if let Some(boot) = booted() {
            sheet.put(&catalog::START_TIME, &[], boot as f64 + stat.start_ticks as f64 / ticks);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The listing itself is one of them.
        sheet.put(&catalog::OPEN_FDS, &[], open.count().saturating_sub(1));
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if let Some(most) = limit.current {
        sheet.put(&catalog::MAX_FDS, &[], most);
    }
}

/// The fields of `/proc/PID/stat` that are used.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name, in brackets, may hold anything.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        // Numbered as in the manual, which counts the two before.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)?.saturating_add(field(15)?),
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// Seconds since 1970 at which the system started.
fn booted() -> Option<u64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_be_called_anything() {
        let text = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 140 15 1 1 20 0 6 0 555 4096 9 1 1";
        let stat = Stat::parse(text).expect("readable");
        assert_eq!((stat.cpu_ticks, stat.threads, stat.start_ticks), (155, 6, 555));
        assert_eq!((stat.virtual_bytes, stat.resident_pages), (4096, 9));
        assert_eq!(Stat::parse("7 (a) S 1 2"), None);
    }
}
