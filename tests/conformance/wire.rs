//! Frames as bytes, written and read by this client's own hand from sections 3 and 5.

pub const HELLO: u8 = 1;
pub const PROOF: u8 = 2;
pub const RESUME: u8 = 3;
pub const OPEN: u8 = 4;
pub const DATA: u8 = 5;
pub const FIN: u8 = 6;
pub const RESET: u8 = 7;
pub const STOP: u8 = 8;
pub const CREDIT: u8 = 9;
pub const PING: u8 = 10;
pub const PONG: u8 = 11;
pub const GOAWAY: u8 = 12;
pub const CLOSE: u8 = 13;
pub const GAP: u8 = 14;
pub const BLOCKED: u8 = 15;
pub const RECEIPT: u8 = 16;
pub const REFUSE: u8 = 17;

pub const CRC: u8 = 0x80;
pub const SKIPPABLE: u8 = 0x40;
/// RESTART on DATA, LAST on RESUME, ACK on CLOSE.
pub const OWN: u8 = 0x01;

/// A frame, right or wrong: every field of the header can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub codec: u8,
    pub reserved: u8,
    pub stream: u64,
    /// DATA's `offset` and `raw_len`.
    pub data: (u64, u32),
    pub payload: Vec<u8>,
    /// A `payload_len` other than the payload's.
    pub claimed: Option<u32>,
}

impl Frame {
    pub fn new(kind: u8, stream: u64, payload: impl Into<Vec<u8>>) -> Self {
        let payload = payload.into();
        let (flags, codec, reserved, data, claimed) = (0, 0, 0, (0, 0), None);
        Self { kind, flags, codec, reserved, stream, data, payload, claimed }
    }

    pub fn flags(mut self, flags: u8) -> Self {
        self.flags |= flags;
        self
    }

    /// The same with something changed.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The bytes on the wire; with the CRC if the link has it and the type carries it.
    pub fn bytes(&self, crc: bool) -> Vec<u8> {
        let crc = crc && !matches!(self.kind, HELLO | REFUSE);
        self.exactly(if crc { CRC } else { 0 }, crc)
    }

    /// The bytes with these flags added, and a trailer or none.
    pub fn exactly(&self, flags: u8, trailer: bool) -> Vec<u8> {
        let len = self.claimed.unwrap_or(u32::try_from(self.payload.len()).expect("short"));
        let mut bytes = vec![self.kind, self.flags | flags, self.codec, self.reserved];
        bytes.extend(len.to_le_bytes());
        bytes.extend(self.stream.to_le_bytes());
        if self.kind == DATA {
            bytes.extend(self.data.0.to_le_bytes());
            bytes.extend(self.data.1.to_le_bytes());
        }
        bytes.extend(&self.payload);
        if trailer {
            bytes.extend(crc32c(&bytes).to_le_bytes());
        }
        bytes
    }

    /// Only the header: what a receiver must judge before it waits for more.
    pub fn header(&self) -> Vec<u8> {
        self.exactly(0, false)[..if self.kind == DATA { 28 } else { 16 }].to_vec()
    }

    /// Takes the first frame off `buf` if all of it is there; fails on whatever a peer must not
    /// send, `crc` being whether this link has the CRC.
    #[track_caller]
    pub fn parse(buf: &mut Vec<u8>, crc: bool) -> Option<Self> {
        let head = buf.first_chunk::<16>()?;
        let [kind, flags, codec, reserved, ..] = *head;
        let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let stream = u64::from_le_bytes(head[8..16].try_into().expect("8 bytes"));
        assert!((HELLO..=REFUSE).contains(&kind), "unknown type {kind}");
        let own = matches!(kind, DATA | RESUME | CLOSE);
        let expected = crc && !matches!(kind, HELLO | REFUSE);
        assert_eq!(flags & CRC != 0, expected, "CRC flag of type {kind}");
        assert_eq!(flags & !CRC & !u8::from(own), 0, "flags of type {kind}");
        assert_eq!(reserved, 0, "reserved byte of type {kind}");
        assert!(codec == 0 || kind == DATA, "codec of type {kind}");
        let of_stream = matches!(kind, OPEN..=CREDIT | GAP | BLOCKED);
        assert!(if of_stream { stream < 1 << 63 } else { stream == 0 }, "stream of type {kind}");
        match kind {
            RESUME => assert!(len <= 16_384),
            DATA => assert!(len <= 81_920),
            FIN | CREDIT | PING | PONG | GAP => assert_eq!(len, 16, "type {kind}"),
            RESET => assert_eq!(len, 12),
            STOP => assert_eq!(len, 4),
            BLOCKED | RECEIPT => assert_eq!(len, 8, "type {kind}"),
            _ => assert!(len <= 4_096, "type {kind}"),
        }
        let head = if kind == DATA { 28 } else { 16 };
        let total = head + len + if expected { 4 } else { 0 };
        if buf.len() < total {
            return None;
        }
        let bytes: Vec<u8> = buf.drain(..total).collect();
        if expected {
            let (covered, trailer) = bytes.split_at(total - 4);
            assert_eq!(trailer, crc32c(covered).to_le_bytes(), "trailer of type {kind}");
        }
        let at = |from: usize| u64::from_le_bytes(bytes[from..from + 8].try_into().expect("8"));
        let raw = |from: usize| u32::from_le_bytes(bytes[from..from + 4].try_into().expect("4"));
        let data = if kind == DATA { (at(16), raw(24)) } else { (0, 0) };
        let payload = bytes[head..head + len].to_vec();
        let flags = flags & !CRC;
        Some(Self { kind, flags, codec, reserved, stream, data, payload, claimed: None })
    }

    /// A field of a fixed payload.
    #[track_caller]
    pub fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.payload[at..at + 8].try_into().expect("8 bytes"))
    }

    /// The code of a RESET or STOP.
    #[track_caller]
    pub fn code(&self) -> u32 {
        assert!(matches!(self.kind, RESET | STOP));
        u32::from_le_bytes(self.payload[..4].try_into().expect("4 bytes"))
    }
}

/// Bit by bit, from the definition in W-3.6.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ if crc & 1 == 1 { 0x82F6_3B78 } else { 0 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |c, _| step(c)))
}

/// XXH3-64 with seed 0, as FIN has it.
pub fn xxh3(bytes: &[u8]) -> u64 {
    twox_hash::XxHash3_64::oneshot(bytes)
}

/// The id of the stream with this index that the client opens.
pub const fn id(index: u64) -> u64 {
    index << 1
}

/// A fixed payload of u64s.
fn fixed<const N: usize>(kind: u8, stream: u64, fields: [u64; N]) -> Frame {
    Frame::new(kind, stream, fields.map(u64::to_le_bytes).concat())
}

/// DATA of codec none.
pub fn data(stream: u64, offset: u64, bytes: &[u8]) -> Frame {
    coded(stream, offset, 0, 0, u32::try_from(bytes.len()).expect("short"), bytes)
}

/// DATA of any codec.
pub fn coded(stream: u64, offset: u64, codec: u8, flags: u8, raw: u32, payload: &[u8]) -> Frame {
    Frame::new(DATA, stream, payload).flags(flags).with(|frame| {
        frame.codec = codec;
        frame.data = (offset, raw);
    })
}

/// FIN of a stream that held these bytes.
pub fn fin(stream: u64, all: &[u8]) -> Frame {
    fixed(FIN, stream, [all.len() as u64, xxh3(all)])
}

pub fn fin_of(stream: u64, final_offset: u64, digest: u64) -> Frame {
    fixed(FIN, stream, [final_offset, digest])
}

pub fn reset(stream: u64, code: u32, final_offset: u64) -> Frame {
    let mut payload = code.to_le_bytes().to_vec();
    payload.extend(final_offset.to_le_bytes());
    Frame::new(RESET, stream, payload)
}

pub fn stop(stream: u64, code: u32) -> Frame {
    Frame::new(STOP, stream, code.to_le_bytes())
}

pub fn credit(stream: u64, acked: u64, limit: u64) -> Frame {
    fixed(CREDIT, stream, [acked, limit])
}

pub fn gap(stream: u64, offset: u64, dropped: u64) -> Frame {
    fixed(GAP, stream, [offset, dropped])
}

pub fn blocked(stream: u64, offset: u64) -> Frame {
    fixed(BLOCKED, stream, [offset])
}

pub fn ping(id: u64, time: u64) -> Frame {
    fixed(PING, 0, [id, time])
}

pub fn pong(id: u64, time: u64) -> Frame {
    fixed(PONG, 0, [id, time])
}

pub fn receipt(received: u64) -> Frame {
    fixed(RECEIPT, 0, [received])
}
