//! What is said over a control socket: a line of JSON each way.

use serde::{Deserialize, Serialize};

use crate::status::Status;

/// The longest request, in bytes, its end included.
pub(super) const LONGEST_REQUEST: usize = 4 * 1024;

/// The longest answer that is read, in bytes.
pub(super) const LONGEST_REPLY: u64 = 64 << 20;

/// What may be asked for, as in `{"request":"drop","session":"web1"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// A look at everything.
    Status,
    /// End a receiver's session in order: by its name, or by its number as in `#3`.
    Drop {
        /// Which one.
        session: String,
    },
    /// Change what is logged.
    Log {
        /// A filter as for `--log`.
        level: String,
    },
    /// Read the configuration again.
    Reload,
    /// Dial now instead of waiting.
    Retry,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Reply {
    /// Whether it was done.
    pub(crate) ok: bool,
    /// What was done, or why not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
    /// The answer to [`Request::Status`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<Status>,
}

impl Reply {
    pub(super) fn done(message: impl Into<String>) -> Self {
        Self { ok: true, message: message.into(), status: None }
    }

    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self { ok: false, message: message.into(), status: None }
    }

    pub(super) fn status(status: Status) -> Self {
        Self { ok: true, message: String::new(), status: Some(status) }
    }

    /// As a line.
    pub(super) fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_one_form() {
        let read = |text: &str| serde_json::from_str::<Request>(text).ok();
        assert_eq!(read(r#"{"request":"status"}"#), Some(Request::Status));
        assert_eq!(
            read(r#"{"request":"drop","session":"web1"}"#),
            Some(Request::Drop { session: "web1".into() })
        );
        for wrong in [
            r#"{"request":"dance"}"#,
            r#"{"request":"drop"}"#,
            r#"{"request":"drop","session":"a","force":true}"#,
            r#""status""#,
            "",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_answer_is_one_line() {
        assert_eq!(
            Reply::refused("no\nplace").to_line(),
            "{\"ok\":false,\"message\":\"no\\nplace\"}\n"
        );
        let line = Reply::status(Status::default()).to_line();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.starts_with("{\"ok\":true,\"status\":{\"schema\":0,"), "{line}");
    }
}
