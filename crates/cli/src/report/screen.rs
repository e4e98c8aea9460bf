//! Standard error shared by lines that stay and one status line that is rewritten below them.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// To the start of the line, and clear it.
const CLEAR: &str = "\r\x1b[2K";

/// A handle to standard error; clones share it. As a writer it is for logs: what is written stays
/// above the status line.
#[derive(Clone)]
pub(crate) struct Screen(Arc<Mutex<State>>);

struct State {
    out: Box<dyn Write + Send>,
    live: bool,
    status: String,
}

impl Screen {
    /// Standard error; `live` allows a status line and needs a terminal.
    pub(crate) fn stderr(live: bool) -> Self {
        Self::new(Box::new(io::stderr()), live)
    }

    /// Any output.
    pub(crate) fn new(out: Box<dyn Write + Send>, live: bool) -> Self {
        let status = String::new();
        Self(Arc::new(Mutex::new(State { out, live, status })))
    }

    /// Writes a line that stays.
    pub(crate) fn line(&self, text: &str) {
        // A standard error that is gone is no reason to stop a transfer.
        let _ = self.lock().above(format!("{text}\n").as_bytes());
    }

    /// Replaces the status line; an empty one removes it.
    pub(crate) fn status(&self, text: &str) {
        let mut state = self.lock();
        if state.live && state.status != text {
            state.status = text.to_owned();
            let _ = state.above(b"");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn above(&mut self, text: &[u8]) -> io::Result<()> {
        if !self.live {
            self.out.write_all(text)?;
            return self.out.flush();
        }
        let mut frame = CLEAR.as_bytes().to_vec();
        frame.extend_from_slice(text);
        if !self.status.is_empty() {
            // Without automatic wrap a long status is cut at the edge, however wide the window is.
            frame.extend_from_slice(format!("\x1b[?7l{}\x1b[?7h", self.status).as_bytes());
        }
        self.out.write_all(&frame)?;
        self.out.flush()
    }
}

impl Write for Screen {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.lock().above(text)?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().out.flush()
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Screen")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A screen whose output can be read back.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub(crate) fn screen(&self, live: bool) -> Screen {
            Screen::new(Box::new(self.clone()), live)
        }

        pub(crate) fn take(&self) -> String {
            let bytes = std::mem::take(&mut *self.0.lock().expect("lock"));
            String::from_utf8(bytes).expect("text")
        }
    }

    impl Write for Captured {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("lock").write(data)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_stay_above_the_status_line() {
        let captured = Captured::default();
        let mut screen = captured.screen(true);
        screen.status("busy");
        assert_eq!(captured.take(), "\r\x1b[2K\x1b[?7lbusy\x1b[?7h");
        screen.line("done a");
        screen.write_all(b"log\n").expect("written");
        assert_eq!(
            captured.take(),
            "\r\x1b[2Kdone a\n\x1b[?7lbusy\x1b[?7h\r\x1b[2Klog\n\x1b[?7lbusy\x1b[?7h"
        );
        screen.status("busy");
        assert_eq!(captured.take(), "", "nothing changed");
        screen.status("");
        assert_eq!(captured.take(), "\r\x1b[2K");
    }

    #[test]
    fn without_a_terminal_there_are_only_lines() {
        let captured = Captured::default();
        let screen = captured.screen(false);
        screen.status("busy");
        screen.line("a");
        assert_eq!(captured.take(), "a\n");
    }
}
