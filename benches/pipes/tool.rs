//! A file through a compressing tool, a socket, and the tool again: `gzip -1 | nc`, `nc | gzip -d`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Instant;

const BUFFER: usize = 64 << 10;

pub(crate) fn exists(tool: &str) -> bool {
    let quiet =
        Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// Seconds from the start of the compressor until the decompressor ended.
pub(crate) fn seconds(tool: &str, file: &Path, bytes: u64) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("it listens");
    let target = listener.local_addr().expect("it is bound");
    let start = Instant::now();
    let mut packer = Command::new(tool)
        .args(["-1", "-c"])
        .arg(file)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the compressor starts");
    let mut unpacker = Command::new(tool)
        .args(["-d", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the decompressor starts");
    let (packed, unpacked) = (packer.stdout.take(), unpacker.stdin.take());
    let sending = thread::spawn(move || send(packed.expect("a pipe"), target));
    let (socket, _) = listener.accept().expect("a connection");
    let received = receive(socket, unpacked.expect("a pipe"));
    let sent = sending.join().expect("sent");
    succeed(packer);
    succeed(unpacker);
    let took = start.elapsed().as_secs_f64();
    assert_eq!(sent, received, "{tool}: bytes sent, bytes received, of {bytes}");
    took
}

fn send(packed: ChildStdout, target: std::net::SocketAddr) -> u64 {
    let mut socket = TcpStream::connect(target).expect("connected");
    socket.set_nodelay(true).expect("a TCP option");
    let sent = copy(packed, &mut socket);
    socket.shutdown(Shutdown::Write).expect("shut down");
    sent
}

/// The pipe closes when this returns, and then the decompressor ends.
fn receive(socket: TcpStream, mut unpacked: ChildStdin) -> u64 {
    copy(socket, &mut unpacked)
}

fn copy(mut from: impl Read, to: &mut impl Write) -> u64 {
    let (mut buffer, mut total) = (vec![0; BUFFER], 0);
    loop {
        match from.read(&mut buffer).expect("readable") {
            0 => return total,
            length => {
                to.write_all(&buffer[..length]).expect("written");
                total += length as u64;
            }
        }
    }
}

fn succeed(mut child: Child) {
    assert!(child.wait().expect("it ends").success(), "the tool failed");
}
