//! Section 5, HELLO: the limits of each of its fields, at the last that is allowed and one beyond.

use super::super::message::Hello;
use super::super::receiver::{hello_twin, name, shared};
use super::super::{Case, case};

pub const CASES: &[Case] = &[
    case(&["W-4.4"], "agent_has_64_bytes_at_most", || {
        let agent = |len: usize| move |hello: &mut Hello| hello.agent = "a".repeat(len);
        hello_twin(agent(64), agent(65), "length of agent is 65");
    }),
    case(&["W-4.4"], "session_name_has_255_bytes_at_most", || {
        let unique = name();
        let named = |len: usize| {
            let rest = "n".repeat(len - unique.len());
            let name = format!("{unique}{rest}");
            move |hello: &mut Hello| hello.session_name = name.clone()
        };
        hello_twin(named(255), named(256), "length of session_name is 256");
    }),
    case(&["W-4.4"], "codecs_are_32_at_most", || {
        let codecs = |count: u8| {
            move |hello: &mut Hello| {
                hello.codecs = (0..count).map(|id| (100 + id, 0, 65_536)).collect();
            }
        };
        hello_twin(codecs(32), codecs(33), "number of codecs is 33");
    }),
    case(&["W-4.4"], "max_raw_of_a_codec_is_1024_at_least", || {
        let raw = |bytes| move |hello: &mut Hello| hello.codecs = vec![(1, 15, bytes)];
        hello_twin(raw(1_024), raw(1_023), "max_raw of a codec is 1023");
    }),
    case(&["W-4.4"], "max_frame_is_1024_at_least", || {
        let max = |bytes| move |hello: &mut Hello| hello.max_frame = bytes;
        hello_twin(max(1_024), max(1_023), "max_frame is 1023");
    }),
    case(&["W-4.4"], "max_frame_is_65536_at_most", || {
        let max = |bytes| move |hello: &mut Hello| hello.max_frame = bytes;
        hello_twin(max(65_536), max(65_537), "max_frame is 65537");
    }),
    case(&["W-1.4"], "initial_window_is_2_to_the_62_at_most", || {
        let window = |bytes| move |hello: &mut Hello| hello.initial_window = bytes;
        hello_twin(window(1 << 62), window((1 << 62) + 1), "initial_window is");
    }),
    case(&["W-1.4"], "max_streams_is_2_to_the_62_at_most", || {
        let streams = |count| move |hello: &mut Hello| hello.max_streams = count;
        hello_twin(streams(1 << 62), streams((1 << 62) + 1), "max_streams is");
    }),
    case(&["W-1.1"], "auth_has_three_bits", || {
        hello_twin(|hello| hello.auth = 4, |hello| hello.auth = 8, "auth is 8, allowed is 0 to 7");
    }),
    case(&["W-9.1"], "codecs_that_are_unknown_or_repeated_are_ignored", || {
        let receiver = shared();
        let odd = vec![
            (200, 0, 1_024),
            (1, 15, 65_536),
            (77, 99, 4_096),
            (1, 15, 65_536),
            (0, 0, 65_536),
        ];
        let link = receiver.link_with(|hello| hello.codecs = odd);
        // The PROOF of both sides names gzip for the client, or the server would have refused.
        link.leave(0);
    }),
];
