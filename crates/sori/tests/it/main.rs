//! The `sori` program from outside, against a broker that plays a script.

mod bench;
mod broker;
mod certs;
mod check;
mod clients;
mod compare;
mod config;
mod crash;
mod environment;
mod explain;
mod export;
mod link;
mod man;
mod passwd;
mod psk;
mod publish;
mod reload;
mod serve;
mod srv;
mod store;
mod subscribe;
mod transports;

use std::process::{Command, Output, Stdio};

/// The program with these words, ready to start; `{port}` stands for the port.
fn sori(words: &str, port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sori"));
    command.args(words.split(' ').map(|word| word.replace("{port}", &port.to_string())));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a finished program left: status, standard output, standard error.
fn result(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn help_is_no_error_and_has_examples() {
    for words in ["--help", "pub --help", "sub --help", "rr --help", "topic --help", "help"] {
        let (status, out, err) = result(&sori(words, 0).output().expect("starts"));
        assert_eq!((status, err.as_str()), (0, ""), "{words}");
        assert!(out.contains("Examples:") && out.contains("  sori "), "{words}: {out}");
    }
}

#[test]
fn usage_errors_have_status_2() {
    for words in [
        "pub -t a",
        "pub -m a",
        "pub -t a -m b -n",
        "sub",
        "sub -t a -q 3",
        "sub -t a -c",
        "pub -t a -n --will-qos 1",
        "rr -t a -m b",
        "topic match a",
        "topic lint",
    ] {
        let (status, _, err) = result(&sori(words, 0).output().expect("starts"));
        assert_eq!(status, 2, "{words}: {err}");
    }
}

#[test]
fn a_refused_tcp_connection_is_explained() {
    let port = broker::unused_port();
    for words in ["pub -h 127.0.0.1 -p {port} -t a -m b", "sub -h 127.0.0.1 -p {port} -t a"] {
        let expected =
            format!("sori: connection refused by 127.0.0.1:{port}: is a broker running there? start one with `sori`\n");
        assert_eq!(result(&sori(words, port).output().expect("starts")), (1, String::new(), expected));
    }
}
