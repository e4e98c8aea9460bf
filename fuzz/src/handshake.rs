//! A handshake with a hostile peer: bytes it makes up, or an honest side's bytes changed on the way.
//! Nothing but the honest bytes may lead to a link, and they always must.

use std::sync::OnceLock;

use bytes::{Buf, BytesMut};
use p2_codec::Offer;
use p2_frame::{CodecId, CrcPolicy, DecodeLimits, FrameKind, Resume, Role, decode};
use p2_mux::handshake::{
    ClientHandshake, Established, HandshakeError, Known, KnownState, Local, Purpose, Secret,
    ServerHandshake, Step, Token,
};

use super::allocation;
use super::input::Input;

const SESSION: [u8; 16] = [5; 16];
const JUNK: usize = 64;
/// Length of the preface, and of a frame's header.
const SIXTEEN: usize = 16;
/// The longest part of a handshake that may have to be waited for: a RESUME with its CRC.
const LONGEST: usize = SIXTEEN + (16 << 10) + 4;
/// What follows an honest handshake on the link.
const NEXT: &[u8] = b"\x0a\0\0\0\x10";

/// Input: the setting, how bytes are cut and what surrounds them, and either the peer's bytes
/// (setting & 0x40) or changes to the honest ones.
pub(crate) fn check(input: &[u8]) {
    run(input);
}

/// As [`check`]; whether there was a link in the end.
pub(crate) fn run(input: &[u8]) -> bool {
    let mut input = Input::new(input);
    let setting = Setting(input.byte());
    let around = input.byte();
    let honest = setting.honest();
    let mut wire = BytesMut::new();
    if setting.is_raw() {
        wire.extend_from_slice(input.rest());
    } else {
        wire.extend_from_slice(&honest.bytes);
        while !input.is_empty() {
            change(&mut wire, &mut input);
        }
    }
    let pure = wire[..] == honest.bytes[..];
    if around & 0x80 != 0 {
        wire.extend_from_slice(NEXT);
    }
    let mut linked = false;
    // What arrives at once is held once more for the transcript, and little else.
    let limit = (16 << 10) + 3 * wire.len() as u64;
    allocation::at_most(limit, || linked = play(setting, around, &wire, pure));
    linked
}

fn play(setting: Setting, around: u8, wire: &[u8], pure: bool) -> bool {
    let honest = setting.honest();
    let junk = if around & 0x40 != 0 { JUNK } else { 0 };
    let mut victim = Victim::new(setting, junk);
    let mut waiting = BytesMut::new();
    let mut rest = wire;
    let piece = match usize::from(around & 0x3f) {
        0 => usize::MAX,
        piece => piece,
    };
    let established = loop {
        let (next, after) = rest.split_at(piece.min(rest.len()));
        rest = after;
        waiting.extend_from_slice(next);
        match victim.receive(&mut waiting) {
            Ok(Some(established)) => break Some(established),
            Ok(None) => assert!(waiting.len() < LONGEST, "{} bytes wait", waiting.len()),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                break None;
            }
        }
        if rest.is_empty() {
            break None;
        }
    };
    let Some(established) = established else {
        assert!(!(pure && honest.leads_to_a_link && !setting.is_replay()), "refused: {setting:?}");
        victim.judge_output();
        return false;
    };
    assert!(honest.leads_to_a_link && !setting.is_replay(), "a link from {setting:?}");
    let left = waiting.len() + rest.len();
    let used = &wire[..wire.len() - left];
    assert!(honest.proves(used, junk), "a link from bytes that nobody proved: {setting:?}");
    if pure {
        assert_eq!(left, wire.len() - honest.bytes.len(), "the link's own bytes stay");
        assert_eq!(established.session, SESSION);
    }
    victim.judge_output();
    true
}

/// What an honest peer sends in this setting, for seeds.
#[allow(dead_code, reason = "only the seeds need it")]
pub(crate) fn honest_bytes(setting: u8) -> &'static [u8] {
    &Setting(setting).honest().bytes
}

/// Bit 0: which side is under attack; 1 to 3: what the client wants; 4 and 5: who asks for the CRC;
/// 6: the bytes are the fuzzer's; 7: the honest bytes are those of an earlier connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting(u8);

impl Setting {
    const fn victim(self) -> Role {
        if self.0 & 1 == 0 { Role::Server } else { Role::Client }
    }

    const fn wish(self) -> u8 {
        self.0 >> 1 & 7
    }

    const fn is_raw(self) -> bool {
        self.0 & 0x40 != 0
    }

    const fn is_replay(self) -> bool {
        self.0 & 0x80 != 0
    }

    const fn nonce(self, of: Role) -> u8 {
        let fresh = match (self.is_replay(), self.victim(), of) {
            (true, Role::Client, Role::Client) | (true, Role::Server, Role::Server) => 8,
            _ => 0,
        };
        fresh
            + match of {
                Role::Client => 1,
                Role::Server => 2,
            }
    }

    fn local(self, role: Role, junk: usize) -> Local {
        let (agent, codecs, crc) = match role {
            Role::Client => ("client", [CodecId::ZSTD, CodecId::GZIP], self.0 & 0x10 != 0),
            Role::Server => ("server", [CodecId::LZ4, CodecId::GZIP], self.0 & 0x20 != 0),
        };
        let nonce = self.nonce(role);
        Local {
            agent: agent.into(),
            codecs: codecs.map(|id| Offer { id, window_log: 0, max_raw: 64 << 10 }).to_vec(),
            require_codec: false,
            limits: p2_mux::default_limits(),
            boot_id: [nonce; 16],
            nonce: [nonce; 32],
            crc,
            session_name: String::new(),
            junk_limit: junk,
            max_listed: 100,
        }
    }

    fn client(self, junk: usize) -> ClientHandshake {
        let (session, parts) = (SESSION, vec![nothing_to_resume()]);
        let resume = |secret, epoch, parts| Purpose::Resume { session, secret, epoch, parts };
        let purpose = match self.wish() {
            0 => Purpose::Open { token: None },
            1 => Purpose::Open { token: Some(token(1)) },
            2..=4 => resume(Secret::new([7; 32]), 3, parts),
            5 => resume(Secret::new([7; 32]), 2, parts),
            6 => resume(Secret::new([8; 32]), 3, parts),
            _ => Purpose::Open { token: Some(token(2)) },
        };
        ClientHandshake::new(self.local(Role::Client, junk), purpose).expect("within the limits")
    }

    fn server(self, junk: usize) -> ServerHandshake {
        let token = matches!(self.wish(), 1 | 7).then(|| token(1));
        ServerHandshake::new(self.local(Role::Server, junk), token, SESSION, Secret::new([9; 32]))
    }

    fn known(self) -> Option<Known> {
        let state = match self.wish() {
            3 => KnownState::Closed,
            4 => KnownState::Expired,
            0 | 1 | 7 => return None,
            _ => KnownState::Live,
        };
        Some(Known { secret: Secret::new([7; 32]), epoch: 2, state })
    }

    /// What the victim's peer sends when both are honest: it depends on nothing but the setting.
    fn honest(self) -> &'static Honest {
        static ALL: [OnceLock<Honest>; 64] = [const { OnceLock::new() }; 64];
        let plain = Self(self.0 & 0x3f);
        ALL[usize::from(plain.0)].get_or_init(|| Honest::record(plain))
    }
}

fn token(which: u8) -> Token {
    Token::new(&[which; 16])
}

const fn nothing_to_resume() -> Resume {
    Resume { streams: Vec::new(), local_opened: 0, peer_opened: 0, last: true, ext: Vec::new() }
}

#[derive(Debug)]
struct Honest {
    bytes: Vec<u8>,
    leads_to_a_link: bool,
    /// How many of the bytes the proofs cover: the preface and HELLO.
    covered: usize,
}

impl Honest {
    fn record(setting: Setting) -> Self {
        let (mut client, mut server) = (setting.client(0), setting.server(0));
        let (mut to_client, mut to_server) = (BytesMut::new(), BytesMut::new());
        let (mut at_client, mut at_server) = (0, 0);
        let mut links = 0;
        for _ in 0..4 {
            to_server.extend_from_slice(&client.output());
            let mut arrived = BytesMut::from(&to_server[at_server..]);
            let there = serve(&mut server, setting.known(), &mut arrived);
            at_server = to_server.len() - arrived.len();
            to_client.extend_from_slice(&server.output());
            let mut arrived = BytesMut::from(&to_client[at_client..]);
            let here = client.receive(&mut arrived);
            at_client = to_client.len() - arrived.len();
            links += u8::from(matches!(there, Ok(Some(_)))) + u8::from(matches!(here, Ok(Some(_))));
            if here.is_err() || there.is_err() {
                break;
            }
        }
        let mut bytes = match setting.victim() {
            Role::Client => to_client,
            Role::Server => to_server,
        };
        let bytes = bytes.split().to_vec();
        let hello = bytes[SIXTEEN + 4..].first_chunk().copied().unwrap_or_default();
        let covered = 2 * SIXTEEN + u32::from_le_bytes(hello) as usize;
        Self { bytes, leads_to_a_link: links == 2, covered }
    }

    /// Whether all that a proof covers, and the proof itself, is in `used` as it was sent.
    fn proves(&self, used: &[u8], junk: usize) -> bool {
        let (hello, rest) = self.bytes.split_at(self.covered);
        let proof = &rest[SIXTEEN..SIXTEEN + 32];
        (0..=junk.min(used.len())).any(|skipped| {
            let Some(after) = used[skipped..].strip_prefix(hello) else { return false };
            after.first() == Some(&FrameKind::PROOF.get())
                && after.get(SIXTEEN..SIXTEEN + 32) == Some(proof)
        })
    }
}

fn serve(
    server: &mut ServerHandshake,
    known: Option<Known>,
    input: &mut BytesMut,
) -> Result<Option<Established>, HandshakeError> {
    loop {
        match server.receive(input)? {
            Step::NeedMore => return Ok(None),
            Step::Lookup { session } => {
                server.known(known.clone().filter(|_| session == SESSION))?;
            }
            Step::Proven(request) => {
                let parts = if request.resume { vec![nothing_to_resume()] } else { Vec::new() };
                return server.accept(parts).map(Some);
            }
        }
    }
}

enum Victim {
    Client(Box<ClientHandshake>),
    Server(Box<ServerHandshake>, Option<Known>),
}

impl Victim {
    fn new(setting: Setting, junk: usize) -> Self {
        match setting.victim() {
            Role::Client => Self::Client(Box::new(setting.client(junk))),
            Role::Server => Self::Server(Box::new(setting.server(junk)), setting.known()),
        }
    }

    fn receive(&mut self, input: &mut BytesMut) -> Result<Option<Established>, HandshakeError> {
        match self {
            Self::Client(client) => client.receive(input),
            Self::Server(server, known) => serve(server, known.clone(), input),
        }
    }

    /// Whatever happened, what it has to say is a preface and whole frames.
    fn judge_output(&mut self) {
        let mut output = match self {
            Self::Client(client) => client.output(),
            Self::Server(server, _) => server.output(),
        };
        assert!(output.len() >= SIXTEEN, "no preface");
        output.advance(SIXTEEN);
        while !output.is_empty() {
            let crc = if output[1] & 0x80 == 0 { CrcPolicy::Off } else { CrcPolicy::Required };
            let limits = DecodeLimits { crc, handshake: true, ..DecodeLimits::default() };
            let frame = decode(&mut output, &limits);
            assert!(matches!(frame, Ok(Some(_))), "said {frame:?}");
        }
    }
}

/// One change to what is under way.
fn change(wire: &mut BytesMut, input: &mut Input<'_>) {
    let what = input.byte();
    let at = usize::from(input.u16()) % (wire.len() + 1);
    let len = usize::from(what >> 3).min(wire.len() - at);
    let splice = |wire: &mut BytesMut, with: &[u8], cut: usize| {
        let mut after = wire.split_off(at);
        after.advance(cut);
        wire.extend_from_slice(with);
        wire.extend_from_slice(&after);
    };
    match what & 7 {
        0 => {
            let mask = input.byte();
            wire.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask);
        }
        1 => {
            let with = input.take(usize::from(what >> 3));
            splice(wire, with, with.len().min(len));
        }
        2 => splice(wire, input.take(usize::from(what >> 3)), 0),
        3 => splice(wire, &[], len),
        4 => {
            let piece = wire[at..at + len].to_vec();
            splice(wire, &piece, 0);
        }
        5 => wire.truncate(at),
        6 => {
            let times = usize::from(input.byte()).min((40 << 10) / (len + 1));
            let piece = wire[at..at + len].repeat(times);
            if wire.len() + piece.len() <= 40 << 10 {
                splice(wire, &piece, 0);
            }
        }
        _ => wire.extend_from_slice(input.take(usize::from(what >> 3))),
    }
}
