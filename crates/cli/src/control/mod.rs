//! The control socket: how `p2 status`, `p2 top` and `p2 sessions` reach the processes of a user.
//!
//! Each `p2 send` and `p2 recv` listens on a Unix socket of mode 0600 in a directory of mode 0700.
//! One request is one line of JSON, and so is its answer. Only this user and root are answered.
//! Nothing here can make a sender or a receiver fail: without a socket they go on.

mod actions;
mod client;
mod message;
mod place;
mod server;

pub(crate) use self::actions::Actions;
pub(crate) use self::client::{Found, find};
pub(crate) use self::message::{Reply, Request};
pub(crate) use self::server::Control;
