//! The clients with a key that they share with the broker, against sori and against Debian's mosquitto.

use std::process::{Command, Stdio};

use crate::broker::unused_port;
use crate::clients::{Links, end};
use crate::serve::{Directory, Running};
use crate::{result, sori};

/// Runs a client, one of Mosquitto's or one of sori's: status, standard output, standard error.
fn run(links: &Links, words: &str) -> (i32, String, String) {
    match words.starts_with("mosquitto") {
        true => end(links.start(words, 0)),
        false => result(&sori(words, 0).output().expect("starts")),
    }
}

/// A broker of either kind, with a listener for a client whose key is 0011ff.
fn broker(directory: &Directory, name: &str, port: u16) -> Running {
    let keys = directory.file("keys", "me:0011ff\nother:00\n");
    let lines = format!("psk_file {keys}\nallow_anonymous true\nuser root\nlistener {port} 127.0.0.1\npsk_hint hint\n");
    let config = directory.file(&format!("{name}.conf"), &lines);
    let command = match name {
        "sori" => sori(&format!("serve -v -c {config}"), 0),
        _ => {
            let mut command = Command::new("/usr/sbin/mosquitto");
            command.args(["-v", "-c", &config]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        }
    };
    Running::start(command, " running\n")
}

#[test]
fn a_shared_key_takes_the_place_of_certificates() {
    let (links, directory) = (Links::new("psk"), Directory::new("psk"));
    for name in ["sori", "mosquitto"] {
        let port = unused_port();
        let _running = broker(&directory, name, port);
        let to = |key: &str, who: &str| format!("-h 127.0.0.1 -p {port} -t way --psk {key} --psk-identity {who}");
        let me = to("0011FF", "me");
        for (publish, subscribe) in [("mosquitto_pub", "mosquitto_sub"), ("pub", "sub")] {
            let sent = run(&links, &format!("{publish} {me} -m here -r -q 1 --ciphers PSK"));
            assert_eq!(sent, (0, String::new(), String::new()), "{publish} to {name}");
            let got = run(&links, &format!("{subscribe} {me} -C 1 -W 60"));
            assert_eq!(got, (0, "here\n".to_owned(), String::new()), "{subscribe} from {name}");
            for (words, why) in [
                (to("0011ff", "nobody"), "the server has no key for this identity"),
                (to("0011ff", "other"), "the server has another key for this identity"),
                (to("0011ff", "me") + " --ciphers AES128-SHA", "none of them has a pre-shared key"),
                (to("0011ff", "me") + " --tls-version tlsv1.3", "pre-shared keys go with TLS 1.2"),
                (to("001", "me"), "a key has two hexadecimal digits for each byte"),
            ] {
                let (status, _, err) = run(&links, &format!("{publish} {words} -m x"));
                assert!(status != 0 && err.contains(why), "{publish} {words}: {status} {err}");
                assert!(!err.contains("0011"), "{err}");
            }
        }
    }
}
