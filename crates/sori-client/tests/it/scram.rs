//! Enhanced authentication with SCRAM-SHA-256 (RFC 5802, RFC 7677) against sori, which has its side of it.

use std::sync::Arc;

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use sori_broker::OpenAccess;
use sori_client::{Authenticator, Client, Error, Publish, ReasonCode, Version, blocking};
use sori_server::Server;
use sori_server::config::{Defaults, Source, load};
use sori_server::log::Log;
use sori_server::machine::Machine;
use sori_server::scram::{Credential, Credentials, METHOD, ScramAccess};

use super::brokers::{free_port, options, soon};

/// The client's side, for names without `,` and `=` and passwords of ASCII.
struct Scram {
    user: String,
    password: String,
    client_first_bare: String,
    /// What the server has to say in the end.
    server_final: String,
}

impl Scram {
    fn new(user: &str, password: &str) -> Self {
        Self {
            user: user.into(),
            password: password.into(),
            client_first_bare: String::new(),
            server_final: String::new(),
        }
    }
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("keys of every length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

impl Authenticator for Scram {
    fn method(&self) -> &str {
        METHOD
    }

    fn start(&mut self) -> Option<Vec<u8>> {
        use std::hash::{BuildHasher, Hasher};
        // Good enough for a test; a program takes random numbers.
        let nonce = std::hash::RandomState::new().build_hasher().finish();
        self.client_first_bare = format!("n={},r={nonce:016x}", self.user);
        Some(format!("n,,{}", self.client_first_bare).into_bytes())
    }

    fn answer(&mut self, data: Option<&[u8]>) -> Result<Option<Vec<u8>>, String> {
        let server_first = str::from_utf8(data.unwrap_or_default()).map_err(|error| error.to_string())?;
        let mut parts = server_first.split(',').map(|part| part.get(2..).unwrap_or_default());
        let (Some(nonce), Some(salt), Some(iterations)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("the server's first message is cut short".into());
        };
        let salt = Base64::decode_vec(salt).map_err(|error| error.to_string())?;
        let iterations = iterations.parse().map_err(|_| "the number of iterations is none".to_owned())?;
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(self.password.as_bytes(), &salt, iterations, &mut salted);

        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{server_first},{without_proof}", self.client_first_bare);
        let client_key = hmac(&salted, b"Client Key");
        let signature = hmac(&Sha256::digest(client_key), message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, signature)| key ^ signature).collect();
        let server_signature = hmac(&hmac(&salted, b"Server Key"), message.as_bytes());
        self.server_final = format!("v={}", Base64::encode_string(&server_signature));
        Ok(Some(format!("{without_proof},p={}", Base64::encode_string(&proof)).into_bytes()))
    }

    fn finish(&mut self, data: Option<&[u8]>) -> Result<(), String> {
        let is_right = data == Some(self.server_final.as_bytes());
        is_right.then_some(()).ok_or_else(|| "the server does not know the password".into())
    }
}

/// A broker in this program that knows one user.
fn broker() -> (Server, String) {
    let port = free_port();
    let source = Source { files: &[], ports: &[port], defaults: Defaults::Native, persistence_location: None };
    let mut config = load(&source).expect("valid").config;
    config.persistence = false;
    let mut credentials = Credentials::new(4096).expect("random numbers");
    credentials.insert("user", Credential::of_password("pencil", *b"sixteen bytes...", credentials.iterations()));
    let access = ScramAccess::new(Arc::new(credentials), Arc::new(OpenAccess));
    let server = Server::start_with(config, Log::silent(), Machine::read(), Arc::new(access)).expect("starts");
    (server, format!("mqtt://127.0.0.1:{port}"))
}

#[tokio::test]
async fn who_knows_the_password_is_let_in_and_once_more_on_the_same_connection() {
    let (server, url) = broker();
    let client = soon("connecting", Client::connect(options(&url).authenticator(Scram::new("user", "pencil"))));
    let client = client.await.expect("is let in");
    soon("a receipt", client.publish(("t", "before"))).await.expect("taken");
    soon("authenticating again", client.reauthenticate()).await.expect("is still the same");
    soon("a receipt", client.publish(Publish::new("t", "behind"))).await.expect("taken");
    soon("closing", client.close()).await.expect("nothing waits");
    server.stop();
}

#[test]
fn who_does_not_know_it_is_refused_and_so_is_a_server_without_the_method() {
    let (server, url) = broker();
    let connect = |password| {
        let options = options(&url).version(Version::V5).authenticator(Scram::new("user", password));
        blocking::Client::connect(options)
    };
    let error = connect("pen").map(|_| ()).expect_err("is refused");
    assert_eq!(error.reason_code(), Some(ReasonCode::NotAuthorized), "{error:?}");
    let client = connect("pencil").expect("is let in");
    client.reauthenticate().expect("is still the same");
    client.close().expect("nothing waits");
    server.stop();

    let other = super::brokers::Broker::sori();
    let options = other.options(Version::V5).authenticator(Scram::new("user", "pencil"));
    let error = blocking::Client::connect(options).map(|_| ()).expect_err("does not know it");
    assert!(
        matches!(&error, Error::Refused(_, farewell) if farewell.reason_code == ReasonCode::BadAuthenticationMethod),
        "{error:?}"
    );
}
