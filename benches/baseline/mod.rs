//! The codec libraries called directly, as fast as they go: what P2's pipelines are measured by.
//!
//! With reused contexts, flushed per message; reset before each where messages stand alone.

use std::io::Write;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use lz4_flex::block::{self, CompressTable};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use p2_codec::CodecId;
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective::ZSTD_e_flush;
use zstd::zstd_safe::{CCtx, CParameter, DCtx, InBuffer, OutBuffer, ResetDirective};

/// One library in one mode, with its contexts and buffers.
pub(crate) struct Baseline {
    library: Library,
    streaming: bool,
    out: Vec<u8>,
}

#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
enum Library {
    Gzip(Compress, Decompress),
    Zstd(CCtx<'static>, DCtx<'static>),
    Snappy(Box<snap::raw::Encoder>, snap::raw::Decoder),
    Lz4Blocks(CompressTable),
    Lz4Frame(Box<FrameEncoder<Vec<u8>>>),
}

impl Baseline {
    pub(crate) fn of(codec: CodecId, streaming: bool) -> Option<Self> {
        let library = match codec {
            CodecId::GZIP => {
                Library::Gzip(Compress::new(Compression::new(1), false), Decompress::new(false))
            }
            CodecId::ZSTD => {
                let mut context = CCtx::create();
                let set = [CParameter::CompressionLevel(1), CParameter::WindowLog(17)];
                for parameter in set {
                    context.set_parameter(parameter).expect("a valid parameter");
                }
                Library::Zstd(context, DCtx::create())
            }
            CodecId::SNAPPY => {
                Library::Snappy(Box::new(snap::raw::Encoder::new()), snap::raw::Decoder::new())
            }
            CodecId::LZ4 if streaming => Library::Lz4Frame(Box::new(lz4_frame(Vec::new()))),
            CodecId::LZ4 => Library::Lz4Blocks(CompressTable::large()),
            _ => return None,
        };
        Some(Self { library, streaming, out: vec![0; 160 * 1024] })
    }

    /// What `decode` takes: for each message its payload and its raw length.
    pub(crate) fn payloads(&mut self, messages: &[&[u8]]) -> Vec<(Vec<u8>, usize)> {
        self.reset();
        let payload = |message: &&[u8]| {
            let len = self.encode_one(message);
            (self.out[..len].to_vec(), message.len())
        };
        messages.iter().map(payload).collect()
    }

    pub(crate) fn encode(&mut self, messages: &[&[u8]]) {
        self.reset();
        for message in messages {
            std::hint::black_box(self.encode_one(message));
        }
    }

    pub(crate) fn decode(&mut self, payloads: &[(Vec<u8>, usize)]) {
        if let Library::Lz4Frame(_) = self.library {
            // It reads from a reader: all payloads chained, each raw length asked for in turn.
            let mut decoder = FrameDecoder::new(Chain { payloads, at: 0 });
            for (_, raw_len) in payloads {
                let out = &mut self.out[..*raw_len];
                std::io::Read::read_exact(&mut decoder, out).expect("a whole frame");
            }
            return;
        }
        self.reset();
        for (payload, raw_len) in payloads {
            self.decode_one(payload, *raw_len);
        }
    }

    fn reset(&mut self) {
        match &mut self.library {
            Library::Gzip(deflate, inflate) => {
                deflate.reset();
                inflate.reset(false);
            }
            Library::Zstd(compress, decompress) => {
                compress.reset(ResetDirective::SessionOnly).expect("a reset");
                decompress.reset(ResetDirective::SessionOnly).expect("a reset");
            }
            Library::Lz4Frame(frame) => **frame = lz4_frame(std::mem::take(frame.get_mut())),
            Library::Snappy(..) | Library::Lz4Blocks(_) => {}
        }
    }

    fn encode_one(&mut self, raw: &[u8]) -> usize {
        let (out, alone) = (&mut self.out[..], !self.streaming);
        match &mut self.library {
            Library::Gzip(deflate, _) => {
                if alone {
                    deflate.reset();
                }
                let before = deflate.total_out();
                deflate.compress(raw, out, FlushCompress::Sync).expect("room for the output");
                (deflate.total_out() - before) as usize
            }
            Library::Zstd(context, _) => {
                if alone {
                    context.reset(ResetDirective::SessionOnly).expect("a reset");
                }
                let (mut out, mut raw) = (OutBuffer::around(out), InBuffer::around(raw));
                context.compress_stream2(&mut out, &mut raw, ZSTD_e_flush).expect("room");
                out.pos()
            }
            Library::Snappy(encoder, _) => encoder.compress(raw, out).expect("room"),
            Library::Lz4Blocks(table) => {
                block::compress_into_with_table(raw, out, table).expect("room")
            }
            Library::Lz4Frame(frame) => {
                frame.get_mut().clear();
                frame.write_all(raw).and_then(|()| frame.flush()).expect("a vector takes all");
                let made = frame.get_ref();
                out[..made.len()].copy_from_slice(made);
                made.len()
            }
        }
    }

    fn decode_one(&mut self, payload: &[u8], raw_len: usize) {
        let (out, alone) = (&mut self.out[..raw_len], !self.streaming);
        match &mut self.library {
            Library::Gzip(_, inflate) => {
                if alone {
                    inflate.reset(false);
                }
                inflate.decompress(payload, out, FlushDecompress::Sync).expect("a whole payload");
            }
            Library::Zstd(_, context) => {
                if alone {
                    context.reset(ResetDirective::SessionOnly).expect("a reset");
                }
                let (mut out, mut payload) = (OutBuffer::around(out), InBuffer::around(payload));
                context.decompress_stream(&mut out, &mut payload).expect("a whole payload");
            }
            Library::Snappy(_, decoder) => {
                decoder.decompress(payload, out).expect("a whole payload");
            }
            Library::Lz4Blocks(_) | Library::Lz4Frame(_) => {
                block::decompress_into(payload, out).expect("a whole payload");
            }
        }
    }
}

fn lz4_frame(out: Vec<u8>) -> FrameEncoder<Vec<u8>> {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Linked);
    FrameEncoder::with_frame_info(info, out)
}

/// The payloads one after the other, without a copy of them all.
struct Chain<'a> {
    payloads: &'a [(Vec<u8>, usize)],
    at: usize,
}

impl std::io::Read for Chain<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while let Some(((payload, _), rest)) = self.payloads.split_first() {
            let left = &payload[self.at..];
            if left.is_empty() {
                (self.payloads, self.at) = (rest, 0);
                continue;
            }
            let len = left.len().min(out.len());
            out[..len].copy_from_slice(&left[..len]);
            self.at += len;
            return Ok(len);
        }
        Ok(0)
    }
}
