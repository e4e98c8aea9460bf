//! What happened, folded into one number: two runs are the same exactly if it is.

use crate::rng::mix;

#[derive(Debug)]
pub(crate) struct Log {
    hash: u64,
    pub(crate) entries: u64,
    echo: bool,
}

impl Log {
    pub(crate) const fn new(echo: bool) -> Self {
        Self { hash: 0x5eed, entries: 0, echo }
    }

    pub(crate) fn note(&mut self, now: u64, what: &'static str, a: u64, b: u64) {
        let mut word = self.hash ^ now;
        for byte in what.bytes() {
            word = (word ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.hash = mix(word ^ mix(a).rotate_left(17) ^ mix(b.wrapping_add(1)));
        self.entries += 1;
        if self.echo {
            self.say(now, &format!("{what} {a} {b}"));
        }
    }

    /// More words for people; they do not count.
    pub(crate) fn tell(&self, now: u64, words: impl FnOnce() -> String) {
        if self.echo {
            self.say(now, &words());
        }
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    #[allow(clippy::print_stdout, clippy::unused_self, reason = "a replay is there to be read")]
    fn say(&self, now: u64, words: &str) {
        println!("{:>14.6} ms  {words}", now as f64 / 1e6);
    }
}
