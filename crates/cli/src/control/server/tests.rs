//! Real sockets, what is asked and what is answered.

use std::time::Duration;

use super::*;
use crate::control::find;
use crate::settings::OutputSettings;
use crate::status::Hub;

struct Asked {
    _dir: tempfile::TempDir,
    path: PathBuf,
    actions: Actions,
    _control: Control,
}

async fn start() -> Asked {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("control.sock");
    let report = Report::new(&OutputSettings::default(), false).expect("stderr");
    let actions = Actions::new(&Hub::new(), Duration::from_secs(1));
    let control = Control::start(&ControlPlace::At(path.clone()), &actions, &report).await;
    Asked { _dir: dir, path, actions, _control: control }
}

impl Asked {
    async fn say(&self, text: &[u8]) -> String {
        let mut socket = UnixStream::connect(&self.path).await.expect("it listens");
        // It may have answered and gone before all of it was written.
        let _ = socket.write_all(text).await;
        let _ = socket.shutdown().await;
        let mut answer = String::new();
        let _ = socket.read_to_string(&mut answer).await;
        answer
    }
}

#[tokio::test]
async fn each_line_gets_an_answer() {
    let asked = start().await;
    let answer = asked.say(b"{\"request\":\"retry\"}\n{\"request\":\"status\"}\n").await;
    let lines: Vec<&str> = answer.lines().collect();
    assert_eq!(lines.len(), 2, "{answer}");
    assert!(lines[0].contains("no session that dials"), "{answer}");
    assert!(lines[1].starts_with("{\"ok\":true,\"status\":{\"schema\":1,"), "{answer}");
}

#[tokio::test]
async fn nonsense_is_refused_and_bounded() {
    let asked = start().await;
    let answer = asked.say(b"hello\n{\"request\":\"dance\"}\n").await;
    assert_eq!(answer.matches("\"ok\":false").count(), 2, "{answer}");
    let answer = asked.say(&vec![b'x'; 5_000]).await;
    assert!(answer.contains("a request has at most 4096 bytes"), "{answer}");
    // Whoever goes on may be cut off before the answer is read.
    let answer = asked.say(&vec![b'x'; 1 << 20]).await;
    assert!(!answer.contains("\"ok\":true"), "{answer}");
    let many = "{\"request\":\"retry\"}\n".repeat(500);
    let answer = asked.say(many.as_bytes()).await;
    assert!(answer.lines().count() <= REQUESTS, "{}", answer.lines().count());
}

#[tokio::test]
async fn hooks_are_called_with_their_argument_and_their_answer_is_told() {
    let asked = start().await;
    let line = b"{\"request\":\"log\",\"level\":\"debug\"}\n{\"request\":\"reload\"}\n";
    let answer = asked.say(line).await;
    assert_eq!(answer.matches("\"ok\":false").count(), 2, "{answer}");
    asked.actions.on_log(Arc::new(|level| Box::pin(async move { Ok(format!("now {level}")) })));
    asked.actions.on_reload(Arc::new(|_| Box::pin(async { Err("line 3: no".to_owned()) })));
    let answer = asked.say(line).await;
    assert!(answer.contains("{\"ok\":true,\"message\":\"now debug\"}"), "{answer}");
    assert!(answer.contains("{\"ok\":false,\"message\":\"line 3: no\"}"), "{answer}");
}

#[tokio::test]
async fn a_silent_crowd_does_not_keep_others_out_for_ever() {
    let asked = start().await;
    let mut crowd = Vec::new();
    for _ in 0..CONNECTIONS + 8 {
        crowd.push(UnixStream::connect(&asked.path).await.expect("it listens"));
    }
    let answer = tokio::time::timeout(PATIENCE * 4, asked.say(b"{\"request\":\"retry\"}\n")).await;
    assert!(answer.expect("in time").contains("\"ok\":false"));
}

#[tokio::test]
async fn a_socket_that_was_taken_away_is_made_again() {
    let asked = start().await;
    std::fs::remove_file(&asked.path).expect("there");
    let deadline = tokio::time::Instant::now() + LOOK * 6;
    while !asked.path.exists() {
        assert!(tokio::time::Instant::now() < deadline, "not made again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(asked.say(b"{\"request\":\"retry\"}\n").await.contains("\"ok\":false"));
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_told() {
    for wanted in ["4294967294", "/nonexistent/socket", "web1"] {
        let error = find(Some(wanted)).await.expect_err(wanted);
        assert_eq!(error.exit().code(), 4, "{wanted}");
    }
}
