//! Control bodies, written and read by this client's own hand from section 4.

/// A body that is being written; single bytes can be put in to make it wrong.
#[derive(Debug, Default, Clone)]
pub struct Body(pub Vec<u8>);

impl Body {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub fn bool(self, value: bool) -> Self {
        self.u8(value.into())
    }

    /// A variable-length integer in its shortest form.
    pub fn int(mut self, value: u64) -> Self {
        let bytes = value.to_le_bytes();
        match value {
            0..=250 => self.0.push(bytes[0]),
            251..=0xFFFF => self.0.extend([&[0xFB][..], &bytes[..2]].concat()),
            0x1_0000..=0xFFFF_FFFF => self.0.extend([&[0xFC][..], &bytes[..4]].concat()),
            _ => self.0.extend([&[0xFD][..], &bytes[..8]].concat()),
        }
        self
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// `text` and `bytes`: the length, then the bytes.
    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.int(bytes.len() as u64).raw(bytes)
    }

    pub fn ext(self, ext: &[(u16, Vec<u8>)]) -> Self {
        let body = self.int(ext.len() as u64);
        ext.iter().fold(body, |body, (tag, value)| body.int((*tag).into()).bytes(value))
    }
}

/// Reads a body that the program sent; fails on whatever section 4 forbids.
#[derive(Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    #[track_caller]
    pub fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    #[track_caller]
    pub fn bool(&mut self) -> bool {
        match self.u8() {
            0 => false,
            1 => true,
            other => panic!("a bool of {other}"),
        }
    }

    #[track_caller]
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.0.split_first_chunk().expect("the body goes on");
        self.0 = rest;
        *head
    }

    #[track_caller]
    pub fn int(&mut self) -> u64 {
        let (value, least) = match self.u8() {
            0xFB => (u16::from_le_bytes(self.array()).into(), 251),
            0xFC => (u32::from_le_bytes(self.array()).into(), 0x1_0000),
            0xFD => (u64::from_le_bytes(self.array()), 0x1_0000_0000),
            byte @ (0xFE | 0xFF) => panic!("an integer that begins with {byte:#x}"),
            byte => (byte.into(), 0),
        };
        assert!(value >= least, "{value} is not in its shortest form");
        value
    }

    #[track_caller]
    pub fn bytes(&mut self, limit: u64) -> Vec<u8> {
        let len = self.int();
        assert!(len <= limit, "{len} bytes, the limit is {limit}");
        let (head, rest) = self.0.split_at(usize::try_from(len).expect("short"));
        self.0 = rest;
        head.to_vec()
    }

    #[track_caller]
    pub fn text(&mut self, limit: u64) -> String {
        String::from_utf8(self.bytes(limit)).expect("UTF-8")
    }

    /// `ext`, which ends every body: version 1 sends none.
    #[track_caller]
    pub fn end(mut self) {
        assert_eq!(self.int(), 0, "version 1 defines no extension");
        assert!(self.0.is_empty(), "{} bytes after the body", self.0.len());
    }
}
