//! The key and the certificate that sign all others.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};

use super::certificate::{Certificate, Kind};
use super::files;
use super::request::{Lifetime, Request};
use crate::failure::Failure;

/// An authority whose key is at hand.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub(super) file: PathBuf,
    /// When it ends, in seconds since 1970.
    pub(super) end: i64,
    certificate: Certificate,
}

/// A key that nobody has had.
pub(super) fn new_key() -> Result<KeyPair, Failure> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
    key.map_err(|error| Failure::new(format!("the system gives no random numbers: {error}")))
}

/// The key in this file, if it is that of the certificate.
pub(super) fn key_of(certificate: &Certificate, file: &Path) -> Result<KeyPair, Failure> {
    let shown = file.display();
    let pem = fs::read_to_string(file).map_err(|error| Failure::new(format!("{shown} cannot be read: {error}")))?;
    let key = KeyPair::from_pem(&pem).map_err(|_| {
        let convert = format!("openssl pkcs8 -topk8 -nocrypt -in {shown} -out new.key");
        Failure::new(format!("{shown} holds no key in PKCS#8 without a password: `{convert}` makes one of others"))
    })?;
    if key.subject_public_key_info() != certificate.public_key {
        let certificate = certificate.file.display();
        return Err(Failure::new(format!("{shown} is not the key of {certificate}: are they of one pair?")));
    }
    Ok(key)
}

/// A certificate that is signed by its own key.
pub(super) fn sign_oneself(request: &Request, key: &KeyPair, lifetime: Lifetime) -> Result<String, Failure> {
    let certificate = request.parameters(lifetime)?.self_signed(key);
    certificate.map(|certificate| certificate.pem()).map_err(|error| unable(&error))
}

fn unable(error: &rcgen::Error) -> Failure {
    Failure::new(format!("the certificate cannot be made: {error}"))
}

impl Authority {
    /// A new one: its certificate and its key, both in PEM.
    pub(super) fn make(name: &str, lifetime: Lifetime) -> Result<(String, String), Failure> {
        let key = new_key()?;
        let certificate = sign_oneself(&Request::authority(name)?, &key, lifetime)?;
        Ok((certificate, key.serialize_pem()))
    }

    /// The one in this folder. `now` is in seconds since 1970.
    pub(super) fn open(directory: &Path, now: i64) -> Result<Authority, Failure> {
        let file = files::within(directory, "ca.crt");
        if !file.exists() {
            let shown = directory.display();
            let text = format!("{} is not there: `sori certs ca -d {shown}` makes an authority", file.display());
            return Err(Failure::new(text));
        }
        let certificate = Certificate::read_one(&file)?;
        if certificate.kind != Kind::Authority {
            return Err(Failure::new(format!("{} is no authority's certificate", file.display())));
        }
        if certificate.end <= now {
            let text = format!("{0} is over: `sori certs renew {0}` makes it anew", file.display());
            return Err(Failure::new(text));
        }
        let key = key_of(&certificate, &files::within(directory, "ca.key"))?;
        let issuer = Issuer::from_ca_cert_der(&certificate.der.as_slice().into(), key)
            .map_err(|error| Failure::new(format!("{} cannot sign: {error}", file.display())))?;
        Ok(Authority { issuer, end: certificate.end, file, certificate })
    }

    /// A certificate for this key, in PEM.
    pub(super) fn sign(
        &self,
        request: &Request,
        key: &impl PublicKeyData,
        lifetime: Lifetime,
    ) -> Result<String, Failure> {
        let certificate = request.parameters(lifetime)?.signed_by(key, &self.issuer);
        certificate.map(|certificate| certificate.pem()).map_err(|error| unable(&error))
    }

    /// Whether it has this certificate from here: by the name and the signature.
    pub(super) fn has_signed(&self, other: &Certificate) -> bool {
        other.is_signed_by(&self.certificate)
    }
}
