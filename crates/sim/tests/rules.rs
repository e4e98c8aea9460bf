//! Rules that no honest run can show broken: integrity of what arrives, and who goes first.

use bytes::Bytes;
use p2_frame::{Data, Frame};
use p2_mux::{
    Attachment, CodecId, Config, OpenOptions, Priority, ProcessBudget, Read, Received, Role,
    Session, StreamError, Time, Transmit,
};

const NOW: Time = Time::from_nanos(1);

fn session(role: Role) -> Session {
    let mut session = Session::new(Config::new(role), ProcessBudget::default());
    session.attach(NOW, Attachment::new(1, CodecId::NONE)).expect("a first link");
    session
}

/// Carries one batch over, changing each payload by `change`.
fn carry(from: &mut Session, to: &mut Session, change: impl Fn(&mut Vec<u8>)) {
    let mut batch = Vec::new();
    from.poll_transmit(NOW, &mut batch);
    for item in batch {
        let frame = match item {
            Transmit::Control(frame) => frame,
            Transmit::Data(job) => {
                let mut payload = job.chunks.concat();
                change(&mut payload);
                let (stream, offset, raw_len) = (job.stream, job.offset, job.raw_len);
                let payload = Bytes::from(payload);
                let codec = CodecId::NONE;
                Frame::Data(Data { stream, offset, codec, restart: false, raw_len, payload })
            }
        };
        if let Received::Decode(job) = to.receive(NOW, frame, 1).expect("an honest frame") {
            to.deliver(NOW, job.epoch, job.stream, job.offset, job.payload);
        }
    }
}

fn finished_by(change: impl Fn(&mut Vec<u8>)) -> Result<Read, StreamError> {
    let (mut client, mut server) = (session(Role::Client), session(Role::Server));
    let id = client.open(NOW, OpenOptions::named("s")).expect("open");
    client.write(NOW, id, b"every byte of this").expect("written");
    client.finish(NOW, id).expect("finished");
    carry(&mut client, &mut server, change);
    assert_eq!(server.accept(), Some(id));
    assert!(matches!(server.read(NOW, id, 100), Ok(Read::Data { .. })));
    server.read(NOW, id, 100)
}

#[test]
fn one_flipped_bit_is_an_integrity_error_and_not_an_end() {
    assert_eq!(finished_by(|_| {}), Ok(Read::Finished));
    let flipped = finished_by(|payload| payload[7] ^= 0x10);
    assert!(matches!(flipped, Err(StreamError::Digest { received: 18, .. })), "{flipped:?}");
}

#[test]
fn urgent_bytes_go_before_a_backlog_that_was_there_first() {
    let mut client = session(Role::Client);
    let open = |client: &mut Session, priority| {
        let id = client.open(NOW, OpenOptions { priority, ..OpenOptions::named("s") });
        id.expect("open")
    };
    let bulk = open(&mut client, Priority::Bulk);
    client.write(NOW, bulk, &[0; 200_000]).expect("written");
    let urgent = open(&mut client, Priority::Realtime);
    client.write(NOW, urgent, b"key").expect("written");
    let mut batch = Vec::new();
    client.poll_transmit(NOW, &mut batch);
    let first = batch.iter().find_map(|item| match item {
        Transmit::Data(job) => Some(job.stream),
        Transmit::Control(_) => None,
    });
    assert_eq!(first, Some(urgent));
}
