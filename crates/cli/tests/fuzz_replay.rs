//! Every seed and every finding of the fuzz targets `names` and `arguments`, on stable.

#[path = "../../../fuzz/src/arguments.rs"]
mod arguments;
#[path = "../../../fuzz/src/names.rs"]
mod names;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;

#[test]
fn seeds_and_findings_of_names_hold() {
    let seeds: [(&str, Vec<u8>); 8] = [
        ("plain", b"app\0web-1.log\0a_b+c@d=e,f".to_vec()),
        ("upwards", b"../../etc/passwd\0..\0.\0.hidden\0/etc/passwd\0a/../b\0//".to_vec()),
        ("flags", b"-rf\0--help\0~root\0~2\0app~2\0app~gaps\0$(id)".to_vec()),
        ("escapes-of-ours", b"%2e%2e\0%empty\0\0%25\0%\0a%2Fb".to_vec()),
        ("terminal", b"\x1b[2J\x1b]0;t\x07\x7f\x08\r\n\t\r".to_vec()),
        ("reordered", "\u{202e}txt.exe\0\u{2066}x\u{2069}\0\u{feff}\u{2028}\u{9b}2J".into()),
        ("not-text", b"a\xff\xfeb\xe2\x82\0\xc3\x28".to_vec()),
        ("long", ["x".repeat(241), "/".repeat(255), "é".repeat(127)].join("\0").into_bytes()),
    ];
    replay::keep("names", true, &seeds.map(|(name, seed)| (name.to_owned(), seed)));
    replay::replay("names", names::check);
}

#[test]
fn seeds_and_findings_of_arguments_hold() {
    replay::keep("arguments", true, &argument_seeds());
    replay::replay("arguments", arguments::check);
}

/// What is refused at once leads a fuzzer nowhere.
#[test]
fn seeds_of_arguments_are_understood_unless_their_name_says_otherwise() {
    for (name, seed) in argument_seeds() {
        assert_eq!(arguments::run(&seed), !name.starts_with("bad-"), "{name}");
    }
}

fn argument_seeds() -> Vec<(String, Vec<u8>)> {
    let values = [
        ("duration", 0, "1m30s"),
        ("duration-small", 0, "1.5ms"),
        ("size", 1, "1.5GiB"),
        ("byte-rate", 2, "2MiB/s"),
        ("bit-rate", 2, "10Mbit/s"),
        ("rate", 3, "0.5/min"),
        ("address", 4, "host.example:9000"),
        ("address-v6", 4, "[::1]:9000"),
        ("address-unix", 4, "unix:/run/p2.sock"),
        ("assigned", 5, "load*=2MiB/s"),
        ("gen", 6, "load=streams=2,rate=1000/s,size=200B,count=9,total=1GiB,shape=log"),
        ("stdin", 7, "journal"),
        ("file", 8, "conf=/etc/hosts"),
        ("tail", 9, "app=/var/log/app*.log"),
        ("exec", 10, "=LANG=C kernel=1 dmesg -w"),
        ("tcp", 11, "syslog=127.0.0.1:5140"),
        ("unix", 12, "app=/run/app.sock"),
        ("line-recv", 63, "recv\n--listen\nunix:/s\n--format\njson\n--once"),
        ("line-send", 63, "send\nhost:9000\n--gen\nload=2\n--prio\nload1=high\n--limit\n1MiB/s"),
        ("bad-bare", 0, "15"),
        ("bad-huge", 1, "99999999999999999999GiB"),
        ("bad-unit", 0, "15parsecs"),
        ("bad-no-port", 4, "host"),
        ("bad-colons", 4, "::1"),
        ("bad-gen", 6, "streams=0"),
        ("bad-blank", 8, "app= "),
        ("bad-line", 63, "send\n--heartbeat\n5"),
        ("bad-combination", 63, "recv\n--format\nraw"),
    ];
    let seed = |(name, which, text): (&str, u8, &str)| {
        (name.to_owned(), [&[which], text.as_bytes()].concat())
    };
    values.into_iter().map(seed).collect()
}
