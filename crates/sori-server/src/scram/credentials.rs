//! What the broker knows of its users: enough to check a proof, not enough to make one.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// The size of every salt: one size for all, so that a made-up one cannot be told from a real one.
pub const SALT_BYTES: usize = 16;

/// One user's entry. RFC 5802 section 3.
#[derive(Clone)]
pub struct Credential {
    pub(super) salt: [u8; SALT_BYTES],
    pub(super) stored_key: [u8; 32],
    pub(super) server_key: [u8; 32],
}

impl Credential {
    /// From values that were computed before.
    #[must_use]
    pub fn new(salt: [u8; SALT_BYTES], stored_key: [u8; 32], server_key: [u8; 32]) -> Credential {
        Credential { salt, stored_key, server_key }
    }

    /// From a password, which costs `iterations` times two hashes.
    #[must_use]
    pub fn of_password(password: &str, salt: [u8; SALT_BYTES], iterations: u32) -> Credential {
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, iterations, &mut salted);
        let client_key = hmac(&salted, b"Client Key");
        Credential { salt, stored_key: Sha256::digest(client_key).into(), server_key: hmac(&salted, b"Server Key") }
    }
}

/// All users. They share the number of iterations: a user that does not exist could be told by another number.
pub struct Credentials {
    users: HashMap<Box<str>, Credential>,
    iterations: u32,
    /// Salts of users that do not exist are made of their names with this.
    secret: [u8; 32],
}

impl Credentials {
    /// No user yet. RFC 7677 section 4 wants 4096 iterations at least.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new(iterations: u32) -> Result<Credentials, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Credentials { users: HashMap::new(), iterations, secret })
    }

    /// How often a password is hashed.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Put a user in, in the place of an earlier one of this name. The credential was made with
    /// [`Credentials::iterations`].
    pub fn insert(&mut self, user_name: &str, credential: Credential) {
        self.users.insert(user_name.into(), credential);
    }

    /// Is there a user of this name?
    pub(super) fn has(&self, user_name: &str) -> bool {
        self.users.contains_key(user_name)
    }

    /// The user's credential, and whether there is one. A made-up one looks the same from outside, costs the same, and
    /// fits no proof.
    pub(super) fn find(&self, user_name: &str) -> (Credential, bool) {
        let made_up = hmac(&self.secret, user_name.as_bytes());
        let salt = std::array::from_fn(|at| made_up[at]);
        let nobody = Credential { salt, stored_key: made_up, server_key: made_up };
        self.users.get(user_name).map_or((nobody, false), |user| (user.clone(), true))
    }
}

pub(super) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}
