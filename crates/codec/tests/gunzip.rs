//! The payloads of a gzip context, tails put back, are what any gunzip reads.
#![allow(clippy::print_stdout, reason = "a skipped test must say so")]

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use flate2::read::{GzDecoder, MultiGzDecoder};
use p2_codec::builtin::Gzip;
use p2_codec::{Codec, CodecError, Decoder, DecoderLimits, EncoderConfig};
use p2_frame::CodecId;

const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// Payloads of lines 1 to `n`, and the raw bytes of all of them.
fn payloads(n: usize, level: i32) -> (Vec<Vec<u8>>, Vec<u8>) {
    let config = EncoderConfig { level: Some(level), ..EncoderConfig::default() };
    let mut encoder = Gzip.encoder(&config).unwrap();
    let (mut payloads, mut all) = (Vec::new(), Vec::new());
    for i in 0..n {
        let raw =
            format!("2026-02-03T20:15:{:02}Z INFO request {i} served\n", i % 60).repeat(1 + i % 40);
        let mut out = vec![0; Gzip.max_encoded_len(raw.len())];
        let len = encoder.encode(raw.as_bytes(), &mut out).unwrap();
        out.truncate(len);
        payloads.push(out);
        all.extend_from_slice(raw.as_bytes());
    }
    (payloads, all)
}

fn decoder() -> Box<dyn Decoder> {
    Gzip.decoder(&DecoderLimits::default()).unwrap()
}

/// The file that the payloads make; `ended` adds what ends a member (RFC 1952, section 2.3.1).
fn file(payloads: &[Vec<u8>], raw: &[u8], ended: bool) -> Vec<u8> {
    let mut file = Vec::new();
    for payload in payloads {
        file.extend_from_slice(payload);
        file.extend_from_slice(&TAIL);
    }
    if ended {
        let mut crc = flate2::Crc::new();
        crc.update(raw);
        file.extend_from_slice(&[3, 0]);
        file.extend_from_slice(&crc.sum().to_le_bytes());
        file.extend_from_slice(&(raw.len() as u32).to_le_bytes());
    }
    file
}

#[test]
fn a_reader_gets_every_byte_and_then_an_unexpected_end() {
    for level in [1, 6, 9] {
        let (payloads, raw) = payloads(200, level);
        let file = file(&payloads, &raw, false);
        let mut back = Vec::new();
        let error = GzDecoder::new(&file[..]).read_to_end(&mut back).unwrap_err();
        assert_eq!((error.kind(), &back), (std::io::ErrorKind::UnexpectedEof, &raw));
    }
}

#[test]
fn with_a_final_block_and_a_trailer_it_is_one_complete_member() {
    let (payloads, raw) = payloads(200, 1);
    let file = file(&payloads, &raw, true);
    let (mut one, mut many) = (Vec::new(), Vec::new());
    GzDecoder::new(&file[..]).read_to_end(&mut one).unwrap();
    MultiGzDecoder::new(&file[..]).read_to_end(&mut many).unwrap();
    assert!(one == raw && many == raw);
}

#[test]
fn the_gzip_program_reads_it_too() {
    if Command::new("gzip").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("SKIP: there is no gzip program");
        return;
    }
    for ended in [false, true] {
        let (payloads, raw) = payloads(100, 1);
        let mut input = tempfile::tempfile().unwrap();
        input.write_all(&file(&payloads, &raw, ended)).unwrap();
        std::io::Seek::rewind(&mut input).unwrap();
        let output = Command::new("gzip").arg("-dc").stdin(input).output().unwrap();
        assert_eq!(output.stdout, raw);
        assert_eq!(output.status.success(), ended);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(ended || said.contains("unexpected end of file"), "{said}");
    }
}

#[test]
fn the_header_is_these_ten_bytes_once() {
    let (payloads, _) = payloads(2, 1);
    assert_eq!(payloads[0][..10], [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF]);
    assert_ne!(payloads[1][..2], [0x1F, 0x8B]);
    assert!(payloads.iter().all(|payload| !payload.ends_with(&TAIL)));
}

#[test]
fn a_foreign_header_without_extras_is_taken_and_one_with_extras_is_not() {
    let (mut payloads, raw) = payloads(1, 1);
    let first = &mut payloads[0];
    first[4..10].copy_from_slice(&[0xD2, 0x02, 0x96, 0x49, 4, 3]);
    let mut out = vec![0; raw.len()];
    decoder().decode(first, &mut out).unwrap();
    assert_eq!(out, raw);
    for (at, bad) in [(0, 0x1E), (1, 0), (2, 7), (3, 8)] {
        let mut payload = first.clone();
        payload[at] = bad;
        let error = decoder().decode(&payload, &mut out).unwrap_err();
        assert!(matches!(error, CodecError::Corrupt { .. }), "byte {at}: {error}");
    }
}

#[test]
fn a_member_that_ends_or_a_second_one_is_an_error() {
    let (payloads, raw) = payloads(1, 1);
    let mut out = vec![0; raw.len()];
    let mut ended = payloads[0].clone();
    ended.extend_from_slice(&TAIL);
    ended.extend_from_slice(&[3, 0]);
    let error = decoder().decode(&ended, &mut out).unwrap_err();
    assert!(matches!(error, CodecError::Corrupt { codec: CodecId::GZIP, .. }), "{error}");
    let mut rx = decoder();
    rx.decode(&payloads[0], &mut out).unwrap();
    rx.decode(&payloads[0], &mut out).unwrap_err();
}
