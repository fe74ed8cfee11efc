//! One password as it stands in a file, in the three forms that Mosquitto has written over the years.
//!
//! ```text
//!   $6$<salt>$<key>                          SHA-512 of password and salt, once                     up to 1.6
//!   $7$<iterations>$<salt>$<key>             PBKDF2 with HMAC-SHA-512, RFC 8018 section 5.2         2.0
//!   $argon2id$v=19$m=..,t=..,p=..$<salt>$<key>   Argon2id, RFC 9106                                 2.1
//! ```
//!
//! Salt and key are Base64, padded in the first two forms and not in the third. The strings of the third form are taken
//! apart here and not by the crate that computes Argon2: its own parser takes no salt of 64 bytes, which is what
//! Mosquitto writes.

use argon2::{Algorithm, Argon2, Params, Version};
use base64ct::{Base64, Base64Unpadded, Encoding};
use ctutils::CtEq;
use sha2::{Digest, Sha256, Sha512};
use std::fmt;

/// The size of every key that is made here, and of every one of the first two forms.
const KEY_BYTES: usize = 64;
/// The size of every salt that is made here.
const SALT_BYTES: usize = 64;
/// The other size that salts of the first two forms have: that of Mosquitto up to 2.0.
const OLD_SALT_BYTES: usize = 12;
/// Salts and keys of Argon2 that are taken. RFC 9106 section 3.1 has no such limits; 16 bytes of key are its least
/// recommendation.
const ARGON2_SALT_BYTES: std::ops::RangeInclusive<usize> = 8..=64;
const ARGON2_KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=64;
/// One check may take that much: ten seconds or so, which nobody means who writes more.
const ITERATIONS_MAX: u32 = 10_000_000;
/// One check may take that much memory, in KiB: 1 GiB.
const ARGON2_MEMORY_MAX: u32 = 1024 * 1024;
const ARGON2_PASSES_MAX: u32 = 1000;
const ARGON2_LANES_MAX: u32 = 64;

/// How a password is made into a key.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Scheme {
    /// SHA-512, once. Fast to try all passwords with, so it is only for files that older brokers read.
    Sha512,
    /// PBKDF2 with HMAC-SHA-512 and so many iterations.
    Pbkdf2 {
        /// At least 1.
        iterations: u32,
    },
    /// Argon2id, version 19.
    Argon2id {
        /// `m`: KiB of memory.
        memory: u32,
        /// `t`: passes over it.
        passes: u32,
        /// `p`: lanes.
        lanes: u32,
    },
}

impl Scheme {
    /// What Mosquitto 2.0 writes unless it is told otherwise.
    pub const PBKDF2: Scheme = Scheme::Pbkdf2 { iterations: 1000 };
    /// What Mosquitto 2.1 writes. One check takes 46 MiB and some 30 ms.
    pub const ARGON2ID: Scheme = Scheme::Argon2id { memory: 47_104, passes: 1, lanes: 1 };

    /// The key of a password. The limits were checked when the scheme was read.
    fn key(self, password: &[u8], salt: &[u8], key: &mut [u8]) -> bool {
        match self {
            Scheme::Sha512 => {
                let digest = Sha512::new().chain_update(password).chain_update(salt).finalize();
                let fits = key.len() == digest.len();
                if fits {
                    key.copy_from_slice(&digest);
                }
                fits
            }
            Scheme::Pbkdf2 { iterations } => {
                pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, key);
                true
            }
            Scheme::Argon2id { memory, passes, lanes } => {
                let Ok(params) = Params::new(memory, passes, lanes, Some(key.len())) else { return false };
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(password, salt, key).is_ok()
            }
        }
    }
}

/// A password that can be checked and not be read.
#[derive(Clone, Eq, PartialEq)]
pub struct Hashed {
    scheme: Scheme,
    salt: Box<[u8]>,
    key: Box<[u8]>,
}

/// Why a text is no password of a file.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct HashError {
    /// The byte of the text at which the part begins that is wrong.
    pub at: usize,
    /// What is wrong, and what it should be.
    pub text: &'static str,
}

impl Hashed {
    /// A password with a salt of its own.
    ///
    /// # Errors
    /// The system gives no random numbers, or has not the memory that the scheme needs.
    pub fn of_password(scheme: Scheme, password: &[u8]) -> Result<Hashed, String> {
        let mut salt = vec![0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|error| format!("the system gives no random numbers: {error}"))?;
        Hashed::with_salt(scheme, password, salt.into()).ok_or_else(|| format!("{scheme:?} cannot be computed"))
    }

    fn with_salt(scheme: Scheme, password: &[u8], salt: Box<[u8]>) -> Option<Hashed> {
        let mut key = vec![0; KEY_BYTES];
        scheme.key(password, &salt, &mut key).then(|| Hashed { scheme, salt, key: key.into() })
    }

    /// The text behind the colon.
    ///
    /// # Errors
    /// It is of none of the three forms, or asks for more time or memory than one check may take.
    pub fn parse(text: &str) -> Result<Hashed, HashError> {
        let mut parts = Parts { text, begin: 0, next: 1 };
        if !text.starts_with('$') {
            return parts.wrong("a hash begins with $6$, $7$ or $argon2id$; `sori passwd` makes one from a password");
        }
        match parts.next("no scheme follows the $")? {
            "6" => parts.keyed::<Base64>(Scheme::Sha512),
            "7" => {
                let iterations = parts.next("the iterations are missing")?;
                match number(iterations).filter(|n| (1..=ITERATIONS_MAX).contains(n)) {
                    Some(iterations) => parts.keyed::<Base64>(Scheme::Pbkdf2 { iterations }),
                    None => parts.wrong("the iterations are a number from 1 to 10000000"),
                }
            }
            "argon2id" => {
                if parts.next("the version is missing: v=19")? != "v=19" {
                    return parts.wrong("the version is v=19");
                }
                let scheme = argon2_scheme(parts.next("m=..,t=..,p=.. is missing")?);
                match scheme {
                    Ok(scheme) => parts.keyed::<Base64Unpadded>(scheme),
                    Err(text) => parts.wrong(text),
                }
            }
            _ => parts.wrong("the schemes are 6, 7 and argon2id"),
        }
    }

    /// Is it this password? It takes the same time whatever the answer is.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        let mut key = vec![0; self.key.len()];
        // Both are computed: a scheme that cannot be computed fits nothing.
        self.scheme.key(password, &self.salt, &mut key) & key.ct_eq(&*self.key).to_bool()
    }

    /// How it was made.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// A number that another password, or the same one hashed anew, does not have; never below 16.
    pub(crate) fn fingerprint(&self) -> u64 {
        let digest = Sha256::new().chain_update(&self.salt).chain_update(&self.key).finalize();
        let [a, b, c, d, e, f, g, h, ..] = digest.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(16)
    }
}

impl fmt::Display for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::Sha512 => f.write_str("$6")?,
            Scheme::Pbkdf2 { iterations } => write!(f, "$7${iterations}")?,
            Scheme::Argon2id { memory, passes, lanes } => {
                let (salt, key) = (Base64Unpadded::encode_string(&self.salt), Base64Unpadded::encode_string(&self.key));
                return write!(f, "$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${key}");
            }
        }
        write!(f, "${}${}", Base64::encode_string(&self.salt), Base64::encode_string(&self.key))
    }
}

impl fmt::Debug for Hashed {
    /// Without salt and key, so that none ever stands in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hashed({:?})", self.scheme)
    }
}

/// The parts behind each `$`.
struct Parts<'a> {
    text: &'a str,
    /// Where the part begins that was read last.
    begin: usize,
    /// Where the next one begins.
    next: usize,
}

impl<'a> Parts<'a> {
    fn wrong<T>(&self, text: &'static str) -> Result<T, HashError> {
        Err(HashError { at: self.begin, text })
    }

    /// The next part; `missing` says so when there is none.
    fn next(&mut self, missing: &'static str) -> Result<&'a str, HashError> {
        let rest = self.rest(missing)?;
        let part = rest.split('$').next().filter(|part| !part.is_empty());
        self.next = self.begin + part.map_or(0, str::len) + 1;
        part.map_or_else(|| self.wrong(missing), Ok)
    }

    /// Everything that is left.
    fn rest(&mut self, missing: &'static str) -> Result<&'a str, HashError> {
        self.begin = self.next.min(self.text.len());
        let rest = self.text.get(self.begin..).filter(|rest| !rest.is_empty());
        rest.map_or_else(|| self.wrong(missing), Ok)
    }

    /// The two last parts: salt and key.
    fn keyed<E: Encoding>(&mut self, scheme: Scheme) -> Result<Hashed, HashError> {
        let is_argon2 = matches!(scheme, Scheme::Argon2id { .. });
        let salt = E::decode_vec(self.next("the salt is missing")?);
        let Ok(salt) = salt else { return self.wrong("the salt is not Base64") };
        let takes_salt = match is_argon2 {
            true => ARGON2_SALT_BYTES.contains(&salt.len()),
            false => [OLD_SALT_BYTES, SALT_BYTES].contains(&salt.len()),
        };
        if !takes_salt {
            return self.wrong("a salt has 12 or 64 bytes, or 8 to 64 with Argon2");
        }
        let key = E::decode_vec(self.rest("the key is missing behind the salt")?);
        let Ok(key) = key else { return self.wrong("the key is not Base64") };
        let takes_key = if is_argon2 { ARGON2_KEY_BYTES.contains(&key.len()) } else { key.len() == KEY_BYTES };
        if !takes_key {
            return self.wrong("a key has 64 bytes, or 16 to 64 with Argon2");
        }
        Ok(Hashed { scheme, salt: salt.into(), key: key.into() })
    }
}

/// Digits and nothing else.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn argon2_scheme(text: &str) -> Result<Scheme, &'static str> {
    const FORM: &str = "the parameters are m=<KiB>,t=<passes>,p=<lanes>";
    let mut values = text.split(',');
    let mut value = |name: &str| {
        let digits = values.next().and_then(|value| value.strip_prefix(name));
        digits.and_then(number).ok_or(FORM)
    };
    let (memory, passes, lanes) = (value("m=")?, value("t=")?, value("p=")?);
    if values.next().is_some() {
        return Err(FORM);
    }
    // RFC 9106 section 3.1: 8 KiB for each lane at least.
    if memory > ARGON2_MEMORY_MAX
        || !(1..=ARGON2_PASSES_MAX).contains(&passes)
        || !(1..=ARGON2_LANES_MAX).contains(&lanes)
        || memory < 8 * lanes
    {
        return Err("m is at most 1048576 and at least 8 times p, t is from 1 to 1000 and p from 1 to 64");
    }
    Ok(Scheme::Argon2id { memory, passes, lanes })
}
