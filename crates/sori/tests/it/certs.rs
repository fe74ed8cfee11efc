//! `sori certs` from outside: openssl agrees with what it makes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::broker::unused_port;
use super::serve::{Directory, Running};
use super::{result, sori};

/// A folder with an authority.
struct Case(Directory);

impl Case {
    fn new(name: &str) -> Case {
        let case = Case(Directory::new(name));
        case.good("ca");
        case
    }

    fn path(&self, file: &str) -> String {
        self.0.0.join(file).display().to_string()
    }

    /// `sori certs` with these words, in the folder.
    fn run(&self, words: &str) -> (i32, String, String) {
        let mut command = sori(&format!("certs {words}"), 0);
        result(&command.current_dir(&self.0.0).output().expect("starts"))
    }

    fn good(&self, words: &str) -> String {
        let (status, out, err) = self.run(words);
        assert_eq!((status, err.as_str()), (0, ""), "{words}: {out}");
        out
    }

    /// It ends with this status and says this.
    fn bad(&self, words: &str, status: i32, said: &str) {
        let (found, _, err) = self.run(words);
        assert!(found == status && err.contains(said), "{words}: {found} {err}");
    }

    fn openssl(&self, words: &str) -> (bool, String) {
        let output =
            Command::new("openssl").args(words.split(' ')).stdin(Stdio::null()).current_dir(&self.0.0).output();
        let output = output.expect("openssl is there");
        let (_, out, err) = result(&output);
        (output.status.success(), out + &err)
    }

    /// What openssl says, which must be content.
    fn says(&self, words: &str) -> String {
        let (is_content, said) = self.openssl(words);
        assert!(is_content, "openssl {words}: {said}");
        said
    }

    fn verifies(&self, words: &str) -> bool {
        self.openssl(&format!("verify -x509_strict -CAfile ca.crt {words}")).0
    }

    fn mode(&self, file: &str) -> u32 {
        fs::metadata(self.path(file)).expect("is there").permissions().mode() & 0o777
    }
}

#[test]
fn a_server_is_one_by_all_its_names_and_a_client_is_none() {
    let case = Case::new("certs-make");
    let said = case.good("server broker.lan 192.168.1.5 2001:db8::1");
    assert!(
        said.contains("\n  listener 8883\n") && said.contains(&format!("  certfile {}\n", case.path("server.crt"))),
        "{said}"
    );
    let said = case.good("client sensor-7");
    assert!(said.contains(&format!("  cafile {}\n", case.path("ca.crt"))), "{said}");
    for (words, is_so) in [
        ("ca.crt", true),
        ("-purpose sslserver -verify_hostname broker.lan server.crt", true),
        ("-purpose sslserver -verify_ip 192.168.1.5 server.crt", true),
        ("-purpose sslserver -verify_ip 2001:db8::1 server.crt", true),
        ("-purpose sslserver -verify_hostname other.lan server.crt", false),
        ("-purpose sslclient server.crt", false),
        ("-purpose sslclient sensor-7.crt", true),
        ("-purpose sslserver sensor-7.crt", false),
    ] {
        assert_eq!(case.verifies(words), is_so, "{words}");
    }
    assert_eq!(case.says("x509 -in sensor-7.crt -noout -subject -nameopt RFC2253"), "subject=CN=sensor-7\n");
    for name in ["ca", "server", "sensor-7"] {
        assert_eq!((case.mode(&format!("{name}.key")), case.mode(&format!("{name}.crt"))), (0o600, 0o644), "{name}");
        let of_key = case.says(&format!("pkey -in {name}.key -pubout"));
        assert_eq!(case.says(&format!("x509 -in {name}.crt -noout -pubkey")), of_key, "{name}");
    }
}

#[test]
fn nothing_is_written_over_unless_it_is_said() {
    let case = Case::new("certs-force");
    case.good("server a");
    case.good("client a --file server-client");
    let before = fs::read(case.path("server.key")).expect("is there");
    case.bad("ca", 1, "ca.crt is there already: --force writes over it");
    case.bad("server b", 1, "server.crt is there already");
    case.bad("client server", 1, "server.crt is there already");
    fs::remove_file(case.path("server.crt")).expect("is there");
    case.bad("server b", 1, "server.key is there already");
    assert_eq!(fs::read(case.path("server.key")).expect("is there"), before);
    case.good("server b --force");
    assert_ne!(fs::read(case.path("server.key")).expect("is there"), before);
    assert!(case.verifies("-verify_hostname b server.crt") && case.mode("server.key") == 0o600);
}

#[test]
fn a_renewed_certificate_has_the_same_key_and_names_for_as_long_again() {
    let case = Case::new("certs-renew");
    case.good("server broker.lan 10.0.0.1 --days 2");
    let says = |what: &str, file: &str| case.says(&format!("x509 -in {file} -noout -{what}"));
    let [key, serial] = ["pubkey", "serial"].map(|what| says(what, "server.crt"));
    case.good("renew server.crt");
    assert!(case.verifies("-purpose sslserver -verify_hostname broker.lan -verify_ip 10.0.0.1 server.crt"));
    assert_eq!(says("pubkey", "server.crt"), key);
    assert_ne!(says("serial", "server.crt"), serial);
    assert_eq!(says("serial", "server.crt.old"), serial);
    let lasts = |days: u32| case.openssl(&format!("x509 -in server.crt -noout -checkend {}", days * 86_400)).0;
    assert!(lasts(1) && !lasts(2));
    case.good("renew server.crt --days 90");
    assert!(lasts(89) && !lasts(90));
    // No longer than the authority.
    case.good("renew server.crt --days 36500");
    assert_eq!(says("enddate", "server.crt"), says("enddate", "ca.crt"));

    case.good("renew ca.crt --days 10");
    assert!(case.verifies("-purpose sslserver server.crt"), "the authority has the same name and key");
    case.good("client c");
    assert!(case.verifies("-purpose sslclient c.crt"));
}

#[test]
fn authorities_of_openssl_are_taken_and_renewed() {
    let case = Case(Directory::new("certs-openssl"));
    case.says("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 3 -subj /C=DE/O=Home/CN=old");
    case.good("server broker.lan");
    // An authority as openssl makes it does not stand its own strict check; a renewed one does.
    case.says("verify -CAfile ca.crt -purpose sslserver -verify_hostname broker.lan server.crt");
    let subject = case.says("x509 -in ca.crt -noout -subject");
    case.good("renew ca.crt --days 30");
    assert_eq!(case.says("x509 -in ca.crt -noout -subject"), subject);
    assert!(case.verifies("-purpose sslserver server.crt"));
    case.good("renew server.crt");
    assert!(case.verifies("-purpose sslserver server.crt"));
}

#[test]
fn what_does_not_fit_is_named() {
    let case = Case::new("certs-bad");
    let other = Case::new("certs-other");
    other.good("server a");
    fs::copy(other.path("server.crt"), case.path("strange.crt")).expect("can be copied");
    case.bad("renew strange.crt", 1, "cannot be renewed: it was signed by");
    case.bad("renew none.crt", 1, "cannot be read");
    case.bad("server https://broker.lan/", 2, "the name of the server in it is 'broker.lan'");
    case.bad("server broker.lan:8883", 2, "a certificate is for all ports: write 'broker.lan'");
    case.bad("client a/b", 2, "name one with --file");
    case.bad("server a --days 0", 2, "1 to 36500");
    case.bad("show ca.key", 1, "holds no certificate");
    fs::copy(other.path("ca.key"), case.path("ca.key")).expect("can be copied");
    case.bad("server a", 1, "is not the key of");
    fs::remove_file(case.path("ca.crt")).expect("is there");
    case.bad("server a", 1, "makes an authority");
    case.says("req -x509 -newkey rsa:2048 -nodes -keyout ext.key -out ext.crt -subj /CN=e -addext nsComment=x");
    case.bad("renew ext.crt", 1, "its extension 2.16.840.1.113730.1.13 would be lost");
    assert!(!case.0.0.join("server.crt").exists(), "nothing of that has made a file");
}

#[test]
fn certificates_are_shown_with_a_warning_before_they_end() {
    let case = Case::new("certs-show");
    case.good("server broker.lan 10.0.0.1");
    case.good("client c --days 20");
    let (status, out, err) = case.run("show ca.crt server.crt");
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("ca.crt: sori private CA, an authority\n  signed   by itself\n  good     from "), "{out}");
    let server = "server.crt: broker.lan, a server\n  names    broker.lan, 10.0.0.1\n  signed   by sori private CA\n";
    assert!(out.contains(server), "{out}");
    let (status, out, _) = case.run("show server.crt c.crt");
    assert_eq!(status, 1);
    assert!(out.ends_with("  WARNING  `sori certs renew c.crt` makes it anew\n"), "{out}");
    assert_eq!(case.run("show c.crt --warn 10").0, 0);
    // A chain is all of its certificates.
    let chain: String =
        ["server.crt", "ca.crt"].map(|file| fs::read_to_string(case.path(file)).expect("is text")).concat();
    case.0.file("chain.crt", &chain);
    assert_eq!(case.good("show chain.crt").matches("chain.crt: ").count(), 2);
    case.bad("renew chain.crt", 1, "holds 2 certificates, not one");
}

#[test]
fn the_broker_and_its_clients_agree_with_them() {
    let case = Case::new("certs-broker");
    let said = case.good("server localhost 127.0.0.1");
    let port = unused_port();
    // The lines are those that it says, with the address and the port of this test.
    let said = said + &case.good("client c");
    let is_option = |line: &&str| ["file ", "true"].iter().any(|part| line.starts_with("  ") && line.contains(part));
    let lines: Vec<&str> = said.lines().filter(is_option).filter(|line| !line.contains(" -h ")).collect();
    assert_eq!(lines.len(), 5, "{said}");
    let lines = lines.join("\n");
    let conf = case.0.file("a.conf", &format!("listener {port} 127.0.0.1\n{lines}\n"));
    let _running = Running::start(sori(&format!("serve -c {conf}"), port), " running\n");
    let connect = format!("s_client -connect 127.0.0.1:{port} -CAfile ca.crt -verify_return_error");
    let said = case.says(&format!("{connect} -verify_ip 127.0.0.1 -cert c.crt -key c.key"));
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    let (is_content, said) = case.openssl(&format!("{connect} -verify_ip 127.0.0.2 -cert c.crt -key c.key"));
    assert!(!is_content && said.contains("IP address mismatch"), "{said}");
}
