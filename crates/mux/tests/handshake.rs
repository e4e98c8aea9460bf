//! Both halves of the handshake against each other, byte by byte, honest and not.

use bytes::BytesMut;
use p2_codec::Offer;
use p2_frame::{DecodeLimits, Frame, Preface, RefuseCode, Resume, decode};
use p2_mux::CodecId;
use p2_mux::handshake::{
    ClientHandshake, Established, HandshakeError, Known, KnownState, Local, Purpose, Secret,
    ServerHandshake, Step, Token,
};

const SESSION: [u8; 16] = [5; 16];

fn offers(ids: &[CodecId]) -> Vec<Offer> {
    ids.iter().map(|id| Offer { id: *id, window_log: 0, max_raw: 64 << 10 }).collect()
}

fn local(agent: &str, nonce: u8, codecs: &[CodecId]) -> Local {
    Local {
        agent: agent.into(),
        codecs: offers(codecs),
        require_codec: false,
        limits: p2_mux::default_limits(),
        boot_id: [nonce; 16],
        nonce: [nonce; 32],
        crc: false,
        session_name: "test".into(),
        junk_limit: 0,
        max_listed: 100,
    }
}

fn client(purpose: Purpose) -> ClientHandshake {
    let codecs = [CodecId::ZSTD, CodecId::GZIP];
    ClientHandshake::new(local("client", 1, &codecs), purpose).unwrap()
}

fn server(token: Option<Token>) -> ServerHandshake {
    let codecs = [CodecId::LZ4, CodecId::GZIP];
    ServerHandshake::new(local("server", 2, &codecs), token, SESSION, Secret::new([9; 32]))
}

fn resume(secret: [u8; 32], epoch: u64) -> Purpose {
    let part = Resume {
        streams: Vec::new(),
        local_opened: 0,
        peer_opened: 0,
        last: true,
        ext: Vec::new(),
    };
    let secret = Secret::new(secret);
    Purpose::Resume { session: SESSION, secret, epoch, parts: vec![part] }
}

fn known(secret: [u8; 32], epoch: u64, state: KnownState) -> Option<Known> {
    Some(Known { secret: Secret::new(secret), epoch, state })
}

type Outcome =
    (Result<Option<Established>, HandshakeError>, Result<Option<Established>, HandshakeError>);

/// Carries bytes both ways, at most `slice` at a time, until nothing moves.
fn run(
    mut client: ClientHandshake,
    mut server: ServerHandshake,
    known: Option<Known>,
    slice: usize,
) -> Outcome {
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
    let (mut at_server, mut at_client) = (BytesMut::new(), BytesMut::new());
    let mut results: Outcome = (Ok(None), Ok(None));
    loop {
        to_server.extend_from_slice(&client.output());
        to_client.extend_from_slice(&server.output());
        if to_server.is_empty() && to_client.is_empty() {
            return results;
        }
        at_server.extend_from_slice(&to_server.split_to(slice.min(to_server.len())));
        at_client.extend_from_slice(&to_client.split_to(slice.min(to_client.len())));
        while matches!(results.1, Ok(None)) {
            match server.receive(&mut at_server) {
                Ok(Step::NeedMore) => break,
                Ok(Step::Lookup { session }) => {
                    assert_eq!(session, SESSION);
                    server.known(known.clone()).unwrap();
                }
                Ok(Step::Proven(_)) => {
                    let part = Resume {
                        streams: Vec::new(),
                        local_opened: 0,
                        peer_opened: 0,
                        last: true,
                        ext: Vec::new(),
                    };
                    let parts = if known.is_some() { vec![part] } else { Vec::new() };
                    results.1 = server.accept(parts).map(Some);
                }
                Err(error) => results.1 = Err(error),
            }
        }
        if matches!(results.0, Ok(None)) {
            results.0 = client.receive(&mut at_client);
        }
    }
}

fn refused(error: &HandshakeError) -> Option<RefuseCode> {
    match error {
        HandshakeError::Refused(refuse) => Some(refuse.code),
        _ => None,
    }
}

#[test]
fn both_sides_come_to_the_same_session_secret_and_codecs_however_the_bytes_are_cut() {
    for slice in [1, 7, 64, usize::MAX] {
        let (here, there) = run(client(Purpose::Open { token: None }), server(None), None, slice);
        let (here, there) = (here.unwrap().unwrap(), there.unwrap().unwrap());
        assert_eq!((here.session, there.session), (SESSION, SESSION));
        assert_eq!(here.secret, there.secret);
        assert_eq!(here.sending.codec, CodecId::GZIP);
        assert_eq!(here.sending, there.receiving);
        assert_eq!(there.sending, here.receiving);
        assert_eq!(there.peer.agent, "client");
        assert_eq!((here.attachment.epoch, there.attachment.epoch), (1, 1));
    }
}

#[test]
fn with_a_token_the_resume_secret_never_crosses_the_wire() {
    let token = || Some(Token::new(b"a shared secret of some length"));
    let opened = run(client(Purpose::Open { token: token() }), server(token()), None, usize::MAX);
    let (here, there) = (opened.0.unwrap().unwrap(), opened.1.unwrap().unwrap());
    assert_eq!(here.secret, there.secret);
    assert_ne!(here.secret, Secret::new([9; 32]), "derived, not sent");
}

#[test]
fn a_wrong_or_missing_token_is_refused() {
    let right = Some(Token::new(b"a shared secret of some length"));
    let wrong = Some(Token::new(b"another secret of some length."));
    let outcome = run(client(Purpose::Open { token: wrong }), server(right.clone()), None, 64);
    assert_eq!(refused(&outcome.0.unwrap_err()), Some(RefuseCode::DENIED));
    assert_eq!(outcome.1.unwrap_err(), HandshakeError::BadProof);
    let outcome = run(client(Purpose::Open { token: None }), server(right.clone()), None, 64);
    assert!(matches!(outcome.0, Err(HandshakeError::TokenMismatch(_))));
    let outcome = run(client(Purpose::Open { token: right }), server(None), None, 64);
    assert!(matches!(outcome.0, Err(HandshakeError::TokenMismatch(_))));
}

#[test]
fn a_resume_needs_the_secret_and_a_higher_epoch() {
    let live = || known([3; 32], 4, KnownState::Live);
    let fine = run(client(resume([3; 32], 5)), server(None), live(), 64);
    assert_eq!(fine.0.unwrap().unwrap().attachment.epoch, 5);
    assert_eq!(fine.1.unwrap().unwrap().attachment.resume.len(), 1);
    let stale = run(client(resume([3; 32], 4)), server(None), live(), 64);
    match stale.0.unwrap_err() {
        HandshakeError::Refused(refuse) => {
            assert_eq!((refuse.code, refuse.epoch), (RefuseCode::STALE, 4));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn an_unknown_session_and_a_wrong_proof_get_the_same_answer() {
    let wrong =
        run(client(resume([8; 32], 5)), server(None), known([3; 32], 4, KnownState::Live), 64);
    let unknown = run(client(resume([3; 32], 5)), server(None), None, 64);
    let (wrong, unknown) = (wrong.0.unwrap_err(), unknown.0.unwrap_err());
    assert_eq!(refused(&wrong), Some(RefuseCode::UNKNOWN));
    assert_eq!(wrong, unknown, "to the last field");
}

#[test]
fn tombstones_speak_only_to_those_who_know_the_secret() {
    for (state, code) in
        [(KnownState::Closed, RefuseCode::CLOSED), (KnownState::Expired, RefuseCode::EXPIRED)]
    {
        let right = run(client(resume([3; 32], 5)), server(None), known([3; 32], 4, state), 64);
        assert_eq!(refused(&right.0.unwrap_err()), Some(code));
        let wrong = run(client(resume([4; 32], 5)), server(None), known([3; 32], 4, state), 64);
        assert_eq!(refused(&wrong.0.unwrap_err()), Some(RefuseCode::UNKNOWN));
    }
}

#[test]
fn a_server_that_does_not_know_the_secret_is_not_believed() {
    // It answers as if it knew the session, and lets every proof pass.
    let mut victim = client(resume([3; 32], 5));
    let mut imposter = client_facing_imposter(&mut victim);
    let error = victim.receive(&mut imposter).unwrap_err();
    assert_eq!(error, HandshakeError::BadProof);
}

/// What a server with a made-up secret would send to this client.
fn client_facing_imposter(victim: &mut ClientHandshake) -> BytesMut {
    let mut server = server(None);
    let mut hello = victim.output();
    assert!(matches!(server.receive(&mut hello), Ok(Step::Lookup { .. })));
    server.known(known([77; 32], 0, KnownState::Live)).unwrap();
    let mut answer = server.output();
    assert!(victim.receive(&mut answer).unwrap().is_none());
    drop(victim.output());
    let mac = [0; 32];
    let choice =
        p2_frame::CodecChoice { client_to_server: CodecId::GZIP, server_to_client: CodecId::GZIP };
    let proof = p2_frame::Proof { mac, secret: None, choice, ext: Vec::new() };
    let mut bytes = BytesMut::new();
    Frame::Proof(proof.into()).encode(&mut bytes, false).unwrap();
    bytes
}

#[test]
fn an_offer_changed_on_the_way_is_noticed() {
    let mut client = client(Purpose::Open { token: None });
    let mut server = server(None);
    let mut bytes = client.output();
    let preface = bytes.split_to(Preface::LEN);
    let limits = DecodeLimits { handshake: true, ..DecodeLimits::default() };
    let Some(Frame::Hello(mut hello)) = decode(&mut bytes, &limits).unwrap() else { panic!() };
    hello.codecs.clear();
    let mut forged = BytesMut::from(&preface[..]);
    Frame::Hello(hello).encode(&mut forged, false).unwrap();
    server.receive(&mut forged).unwrap();
    client.receive(&mut server.output()).unwrap();
    let error = server.receive(&mut client.output()).unwrap_err();
    assert_eq!(error, HandshakeError::BadProof);
    let error = client.receive(&mut server.output()).unwrap_err();
    assert_eq!(refused(&error), Some(RefuseCode::DENIED));
}

#[test]
fn the_crc_is_used_when_either_side_wants_it() {
    let codecs = [CodecId::GZIP];
    for (here, there) in [(true, false), (false, true), (true, true), (false, false)] {
        let ours = Local { crc: here, ..local("client", 1, &codecs) };
        let theirs = Local { crc: there, ..local("server", 2, &codecs) };
        let client = ClientHandshake::new(ours, Purpose::Open { token: None }).unwrap();
        let server = ServerHandshake::new(theirs, None, SESSION, Secret::new([9; 32]));
        let outcome = run(client, server, None, 5);
        assert_eq!(outcome.0.unwrap().unwrap().crc, here || there);
        assert_eq!(outcome.1.unwrap().unwrap().crc, here || there);
    }
}

#[test]
fn what_is_not_p2_is_named() {
    for (bytes, name) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "SSH"),
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
    ] {
        let mut client = client(Purpose::Open { token: None });
        let error = client.receive(&mut BytesMut::from(bytes)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_peer_without_a_common_codec_is_refused_only_where_one_is_required() {
    for require_codec in [false, true] {
        let ours = Local { require_codec, ..local("client", 1, &[CodecId::SNAPPY]) };
        let client = ClientHandshake::new(ours, Purpose::Open { token: None }).unwrap();
        let (here, _) = run(client, server(None), None, 64);
        match here {
            Ok(Some(link)) => {
                assert!(!require_codec);
                assert!(link.sending.is_fallback() && link.sending.codec == CodecId::NONE);
            }
            Err(error) => {
                assert!(require_codec);
                let words = error.to_string();
                assert!(words.contains("snappy") && words.contains("lz4, gzip"), "{words}");
            }
            Ok(None) => panic!("stuck"),
        }
    }
}

#[test]
fn a_list_of_more_streams_than_can_be_live_ends_the_handshake() {
    let entry = p2_frame::ResumeStream {
        stream: p2_mux::StreamId::new(p2_mux::Role::Client, 0).unwrap(),
        received: 0,
        acked: 0,
        limit: 0,
        sent: 0,
        end: p2_frame::StreamEnd::Open,
        stop: false,
        recv_end: false,
    };
    let part = Resume {
        streams: vec![entry; 101],
        local_opened: 200,
        peer_opened: 0,
        last: true,
        ext: Vec::new(),
    };
    let purpose = Purpose::Resume {
        session: SESSION,
        secret: Secret::new([3; 32]),
        epoch: 5,
        parts: vec![part],
    };
    let outcome = run(client(purpose), server(None), known([3; 32], 4, KnownState::Live), 1000);
    assert!(matches!(outcome.1, Err(HandshakeError::Protocol(_))));
}
