//! Frames that lie: about lengths, credit, offsets, and what their payloads hold.

use std::io::Write;

use p2_frame::{CodecId, Credit, Fin, Frame, Open, Receipt, Reset};

use crate::raw::{coded, data, encoded, header, open, stream};
use crate::siege::{Siege, Target};
use crate::support::table::Outcome;

/// One link for each of `lies`, after one stream was opened; every link must be closed.
fn tell(target: &Target, lies: &[Vec<u8>]) -> u64 {
    let mut sent = 0;
    let mut closed = true;
    for lie in lies {
        let Some(mut raw) = target.open() else { return sent };
        let _ = raw.send(&[open(stream(0), "x")]);
        if raw.write(lie).is_ok() {
            sent += lie.len() as u64;
        }
        let hung_up = raw.hung_up(std::time::Duration::from_secs(10));
        assert!(hung_up, "the link lives after {:02x?}", &lie[..lie.len().min(64)]);
        closed &= hung_up;
    }
    if closed {
        target.close();
    }
    sent
}

fn frames(frames: &[Frame]) -> Vec<u8> {
    encoded(frames)
}

pub fn lengths() -> Outcome {
    let mut lies: Vec<Vec<u8>> = Vec::new();
    for kind in 0..=18_u8 {
        let about_stream = matches!(kind, 4..=9 | 14 | 15);
        lies.push(header(kind, 0, 0, u32::MAX, if about_stream { 2 } else { 0 }, &[]));
    }
    // To be skipped, and longer than what may be skipped.
    lies.push(header(0x70, 0x40, 0, u32::MAX, 0, &[]));
    lies.push(header(0x70, 0x40, 0, 4097, 0, &[]));
    // DATA whose raw length, or offset and raw length together, are absurd.
    for (offset, raw_len) in [(0_u64, u32::MAX), (u64::MAX, 1), (1 << 62, 1), (0, 65_537)] {
        for codec in [0, 1] {
            let mut extension = offset.to_le_bytes().to_vec();
            extension.extend_from_slice(&raw_len.to_le_bytes());
            extension.extend_from_slice(&[0; 64]);
            let len = if codec == 0 { raw_len.min(64) } else { 64 };
            lies.push(header(5, 0, codec, len, 0, &extension));
        }
    }
    // Lengths inside control bodies: of the name, the metadata, a key, the extensions.
    for body in [
        &[1, 0xfd, 255, 255, 255, 255, 255, 255, 255, 255][..],
        &[1, 0xfc, 255, 255, 255, 255],
        &[1, 1, b'x', 2, 1, 0xfd, 255, 255, 255, 255, 255, 255, 255, 255],
        &[1, 1, b'x', 2, 1, 1, 0xfd, 255, 255, 255, 255, 255, 255, 255, 127],
        &[1, 1, b'x', 2, 1, 0, 0xfd, 255, 255, 255, 255, 255, 255, 255, 127],
        &[1, 1, b'x', 2, 1, 0, 1, 0, 0xfd, 255, 255, 255, 255, 255, 255, 255, 127],
        &[1, 0xfe, 255, 255, 255, 255, 255, 255, 255, 255],
    ] {
        lies.push(header(4, 0, 0, u32::try_from(body.len()).expect("short"), 2, body));
    }
    Siege::new(&[]).run(&["a frame is damaged", "4294967295"], |target| tell(target, &lies))
}

pub fn codec_bombs() -> Outcome {
    let id = stream(0);
    let zeros = vec![0; 10 << 20];
    let mut lies = vec![
        // Ten mebibytes in a payload that claims 64 KiB.
        coded(id, 0, CodecId::GZIP, 64 << 10, &gzip(&zeros)),
        coded(id, 0, CodecId::ZSTD, 64 << 10, &zstd_stream(&zeros)),
        coded(
            id,
            0,
            CodecId::SNAPPY,
            64 << 10,
            &snap::raw::Encoder::new().compress_vec(&zeros[..1 << 20]).expect("compressed"),
        ),
        coded(
            id,
            0,
            CodecId::LZ4,
            64 << 10,
            &lz4(&[0x1f, 0, 1, 0, 255, 255, 255, 255, 255, 255, 255]),
        ),
        // A final block, and a second member after it.
        coded(id, 0, CodecId::GZIP, 5, &gzip_whole(b"hello")),
        // A header that promises a name of any length.
        coded(
            id,
            0,
            CodecId::GZIP,
            5,
            &[0x1f, 0x8b, 8, 0x1c, 0, 0, 0, 0, 0, 255, 0xff, 0xff, b'a'],
        ),
        // Windows of 2^27 and 2^31 bytes, and a frame that claims 2^40 bytes of content.
        coded(id, 0, CodecId::ZSTD, 100, &zstd_window(27)),
        coded(id, 0, CodecId::ZSTD, 100, &zstd_window(31)),
        coded(id, 0, CodecId::ZSTD, 100, &[0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0]),
        // Four gibibytes by snappy's own word, and a copy from before the start.
        coded(id, 0, CodecId::SNAPPY, 100, &[255, 255, 255, 255, 15, 0, 0]),
        coded(id, 0, CodecId::SNAPPY, 64, &[64, 0xfe, 255, 255]),
        // A block of two gibibytes, a match from before the start, blocks of nothing.
        coded(
            id,
            0,
            CodecId::LZ4,
            100,
            &[4, 0x22, 0x4d, 0x18, 0x40, 0x40, 0xc0, 255, 255, 255, 127],
        ),
        coded(id, 0, CodecId::LZ4, 64, &lz4(&[0x0f, 255, 255, 255, 0])),
        coded(id, 0, CodecId::LZ4, 64, &[4, 0x22, 0x4d, 0x18, 0x40, 0x40, 0xc0, 0, 0, 0, 0]),
        // Codecs that nobody has.
        coded(id, 0, CodecId::new(77), 10, b"0123456789"),
        coded(id, 0, CodecId::new(255), 10, b"0123456789"),
        // Noise.
        coded(id, 0, CodecId::ZSTD, 64 << 10, &crate::support::random(1, 80_000)),
        coded(id, 0, CodecId::GZIP, 64 << 10, &crate::support::random(2, 80_000)),
        coded(id, 0, CodecId::LZ4, 64 << 10, &crate::support::random(3, 80_000)),
        coded(id, 0, CodecId::SNAPPY, 64 << 10, &crate::support::random(4, 80_000)),
    ];
    // A context that goes on where none began.
    if let Frame::Data(mut going_on) = coded(id, 0, CodecId::ZSTD, 10, b"0123456789") {
        going_on.restart = false;
        lies.push(Frame::Data(going_on));
    }
    let lies: Vec<_> = lies.iter().map(|lie| frames(std::slice::from_ref(lie))).collect();
    Siege::new(&[]).run(&["a payload is damaged"], |target| tell(target, &lies))
}

pub fn codec_not_negotiated() -> Outcome {
    // The receiver has zstd and lz4, and did not offer them.
    let lies = [
        coded(stream(0), 0, CodecId::ZSTD, 64, &zstd_stream(&[0; 64])),
        coded(stream(0), 0, CodecId::LZ4, 64, &lz4_stored(&[0; 64])),
        coded(
            stream(0),
            0,
            CodecId::SNAPPY,
            64,
            &snap::raw::Encoder::new().compress_vec(&[0; 64]).expect("compressed"),
        ),
    ]
    .map(|lie| frames(&[lie]));
    Siege::new(&["--codecs=gzip"]).run(&["a payload is damaged"], |target| tell(target, &lies))
}

pub fn credit() -> Outcome {
    let both = |id| {
        Frame::Open(Open {
            stream: id,
            label: 1,
            name: "both".to_owned(),
            priority: 2,
            unidirectional: false,
            metadata: Vec::new(),
            ext: Vec::new(),
        })
    };
    let credit = |acked, limit| Frame::Credit(Credit { stream: stream(1), acked, limit });
    let body = |acked: u64, limit: u64| [acked.to_le_bytes(), limit.to_le_bytes()].concat();
    let mut lies = vec![
        frames(&[both(stream(1)), credit(2, 0)]),
        frames(&[both(stream(1)), credit(1 << 62, 1 << 62)]),
        // Beyond what the wire can say.
        header(9, 0, 0, 16, 2, &body(0, u64::MAX)),
        header(9, 0, 0, 16, 2, &body(u64::MAX, 0)),
        // For the half that this side does not have, and for streams that never were.
        frames(&[Frame::Credit(Credit { stream: stream(0), acked: 0, limit: 1 })]),
        frames(&[Frame::Credit(Credit { stream: stream(5), acked: 0, limit: 1 })]),
        frames(&[Frame::Receipt(Receipt { received: 1 << 40 })]),
    ];
    // Limits that shrink are legal and must take nothing back.
    lies.push(frames(&[both(stream(1)), credit(0, 1 << 40), credit(0, 0), credit(9, 0)]));
    Siege::new(&[])
        .run(&["broke the protocol", "bytes that were not sent"], |target| tell(target, &lies))
}

pub fn waiting_for_what_was_not_granted() -> Outcome {
    let lies = [header(15, 0, 0, 8, 0, &(1_u64 << 40).to_le_bytes())];
    Siege::new(&[]).run(&["broke the protocol"], |target| tell(target, &lies))
}

pub fn beyond_credit() -> Outcome {
    let window = 256 << 10;
    let chunk = vec![7; 64 << 10];
    let lies = [
        // No sink may free a window that fast: the same read has both.
        frames(&[data(stream(0), window - 1, "xy")]),
        frames(&[data(stream(0), 0, "x"), data(stream(0), window, vec![1; 60_000])]),
        frames(&[data(stream(0), 0, chunk.clone()), data(stream(0), 1 << 40, "x")]),
    ];
    let reason = "data beyond the granted credit";
    Siege::new(&[]).run(&[reason], |target| tell(target, &lies))
}

pub fn offsets() -> Outcome {
    let id = stream(0);
    let lies = [
        frames(&[data(id, 1, "x")]),
        frames(&[data(id, 0, "abcd"), data(id, 3, "xy")]),
        frames(&[data(id, 0, "abcd"), data(id, 5, "x")]),
        frames(&[data(id, 0, "abcd"), Frame::Fin(Fin { stream: id, final_offset: 5, digest: 0 })]),
        frames(&[data(id, 0, "abcd"), Frame::Fin(Fin { stream: id, final_offset: 3, digest: 0 })]),
        frames(&[data(id, 0, "abcd"), reset(3)]),
        frames(&[data(stream(1), 0, "x")]),
        frames(&[open(stream(2), "leaves one out")]),
        frames(&[open(stream(0), "again")]),
        // The receiver's own stream.
        header(4, 0, 0, 6, 1, &[1, 1, b'x', 2, 1, 0]),
    ];
    let reasons = ["an offset was skipped", "sent a second time on the same link"];
    Siege::new(&[]).run(&reasons, |target| tell(target, &lies))
}

fn reset(final_offset: u64) -> Frame {
    let code = p2_frame::ErrorCode::CANCELLED;
    Frame::Reset(Reset { stream: stream(0), code, final_offset })
}

/// A payload as the wire wants it: a member up to a flush, without the last four bytes.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("into memory");
    encoder.flush().expect("into memory");
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let deflated = encoder.get_ref();
    out.extend_from_slice(deflated.strip_suffix(&[0, 0, 255, 255]).expect("a flush"));
    out
}

fn gzip_whole(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("into memory");
    let mut out = encoder.finish().expect("into memory");
    out.extend_from_within(..);
    out
}

/// A payload as the wire wants it: a frame that does not end, flushed.
pub fn zstd_stream(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.window_log(17).expect("a window");
    encoder.include_contentsize(false).expect("a setting");
    encoder.include_checksum(false).expect("a setting");
    encoder.write_all(bytes).expect("into memory");
    encoder.flush().expect("into memory");
    encoder.get_ref().clone()
}

/// A frame with a window of 2^`log` bytes, and one block of 100 equal bytes.
fn zstd_window(log: u8) -> Vec<u8> {
    vec![0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3, (100 << 3) as u8 | 2, (100 >> 5) as u8, 0, 7]
}

fn lz4(block: &[u8]) -> Vec<u8> {
    let mut out = vec![4, 0x22, 0x4d, 0x18, 0x40, 0x40, 0xc0];
    out.extend_from_slice(&u32::try_from(block.len()).expect("short").to_le_bytes());
    out.extend_from_slice(block);
    out
}

fn lz4_stored(block: &[u8]) -> Vec<u8> {
    let mut out = lz4(block);
    out[10] |= 0x80;
    out
}
