//! A terminal for a screen that is redrawn: as it was again when this is dropped.

use std::io::{self, IsTerminal, Read, Write};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::sync::mpsc;

/// The other screen, without a cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Ctrl-C, which comes as a key here.
pub(super) const INTERRUPT: u8 = 3;

/// Standard output as a screen, and the keys of standard input if that is a terminal too.
pub(super) struct Terminal {
    before: Option<Termios>,
    /// Keys as they are pressed.
    pub(super) keys: mpsc::Receiver<u8>,
    _keys: mpsc::Sender<u8>,
}

impl Terminal {
    /// Takes it over; `None` if standard output is no terminal that can be redrawn.
    pub(super) fn take() -> Option<Self> {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if dumb || !io::stdout().is_terminal() {
            return None;
        }
        let (sender, keys) = mpsc::channel(16);
        let before = io::stdin().is_terminal().then(|| single_keys().ok()).flatten();
        if before.is_some() {
            let sender = sender.clone();
            // Its read ends with the process.
            std::thread::spawn(move || {
                let mut key = [0];
                while let Ok(1) = io::stdin().read(&mut key) {
                    if sender.blocking_send(key[0]).is_err() {
                        return;
                    }
                }
            });
        }
        write(ENTER).ok()?;
        Some(Self { before, keys, _keys: sender })
    }

    /// Shows `text` instead of what was there, cut to the window.
    pub(super) fn draw(&self, text: &str) -> io::Result<()> {
        let (rows, columns) = size();
        let mut screen = String::from("\x1b[H");
        for (at, line) in text.lines().take(rows).enumerate() {
            if at > 0 {
                screen.push_str("\r\n");
            }
            screen.extend(line.chars().take(columns));
            screen.push_str("\x1b[K");
        }
        screen.push_str("\x1b[J");
        write(&screen)
    }

    /// Lines of the window.
    pub(super) fn height(&self) -> usize {
        size().0
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = write(LEAVE);
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// No echo, no lines, no signals: each key is read as it is. Returns how it was.
fn single_keys() -> rustix::io::Result<Termios> {
    let before = tcgetattr(io::stdin())?;
    let mut modes = before.clone();
    modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(io::stdin(), OptionalActions::Now, &modes)?;
    Ok(before)
}

/// Rows and columns; a terminal that does not know its size gets the usual one.
fn size() -> (usize, usize) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
            (usize::from(size.ws_row), usize::from(size.ws_col))
        }
        _ => (24, 80),
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
