//! Reading certificates, keys and revocation lists from PEM files.

use core::fmt;
use rustls::RootCertStore;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use std::path::{Path, PathBuf};

/// A file that is larger is not what it is taken for.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What is wrong with the files of a TLS configuration, and how to mend it.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct LoadError {
    /// The file; `None` when what is wrong does not stand in one.
    pub path: Option<PathBuf>,
    /// What is wrong with it.
    pub reason: String,
}

impl LoadError {
    pub(crate) fn of(path: &Path, reason: impl Into<String>) -> LoadError {
        LoadError { path: Some(path.to_owned()), reason: reason.into() }
    }

    pub(crate) fn general(reason: impl Into<String>) -> LoadError {
        LoadError { path: None, reason: reason.into() }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}: {}", path.display(), self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl core::error::Error for LoadError {}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let told = |error: std::io::Error| LoadError::of(path, format!("cannot be read: {error}"));
    if std::fs::metadata(path).map_err(told)?.len() > FILE_BYTES_MAX {
        return Err(LoadError::of(path, "is too large for a file of certificates"));
    }
    std::fs::read(path).map_err(told)
}

/// All objects of one kind in a file; `wanted` is what the message calls them.
fn objects<T: PemObject>(path: &Path, wanted: &str) -> Result<Vec<T>, LoadError> {
    let bytes = read(path)?;
    let found: Result<Vec<T>, PemError> = T::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| LoadError::of(path, format!("is not a good PEM file: {}", told(&error))))?;
    if found.is_empty() {
        return Err(LoadError::of(path, format!("holds no {wanted} in PEM form (\"-----BEGIN ...\")")));
    }
    Ok(found)
}

fn told(error: &PemError) -> String {
    match error {
        PemError::MissingSectionEnd { .. } => "a section has no end, so the file may be half written".into(),
        PemError::Base64Decode(detail) => format!("what stands in it is not Base64: {detail}"),
        other => other.to_string(),
    }
}

pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    objects(path, "certificate")
}

pub(crate) fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, LoadError> {
    objects(path, "certificate revocation list")
}

pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, LoadError> {
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let text = String::from_utf8_lossy(&bytes);
        let is_encrypted = text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED");
        LoadError::of(
            path,
            match (is_encrypted, error) {
                (true, _) => "is encrypted with a pass phrase; write it anew without one: \
                              openssl pkey -in FILE -out NEW"
                    .to_owned(),
                (false, PemError::NoItemsFound) => "holds no private key in PEM form (\"-----BEGIN ...\")".to_owned(),
                (false, error) => format!("is not a good PEM file: {}", told(&error)),
            },
        )
    })
}

/// What a certificate in PEM form begins with.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE";

/// CAs from files.
pub(crate) struct Authorities {
    /// As what is trusted.
    pub(crate) store: RootCertStore,
    /// The certificates themselves.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

/// The certificates of a file and of all files in a directory, whose names need not be hashes. Files in the directory that
/// hold no certificate are passed over, as long as one does; one that is half written is not.
pub(crate) fn authorities(file: Option<&Path>, directory: Option<&Path>) -> Result<Authorities, LoadError> {
    let mut store = RootCertStore::empty();
    let mut all = Vec::new();
    if let Some(file) = file {
        for (number, certificate) in certificates(file)?.into_iter().enumerate() {
            all.push(certificate.clone());
            store.add(certificate).map_err(|error| {
                LoadError::of(file, format!("its certificate number {} cannot be used: {error}", number + 1))
            })?;
        }
    }
    if let Some(directory) = directory {
        let listed = std::fs::read_dir(directory)
            .map_err(|error| LoadError::of(directory, format!("cannot be read: {error}")))?;
        let before = store.len();
        for entry in listed {
            let entry = entry.map_err(|error| LoadError::of(directory, format!("cannot be read: {error}")))?;
            let path = entry.path();
            // Keys and revocation lists may lie there as well, for others.
            let has_certificate = |bytes: Vec<u8>| bytes.windows(BEGIN.len()).any(|bytes| bytes == BEGIN);
            if path.is_file() && read(&path).is_ok_and(has_certificate) {
                let certificates = certificates(&path)?;
                all.extend(certificates.iter().cloned());
                store.add_parsable_certificates(certificates);
            }
        }
        if store.len() == before {
            return Err(LoadError::of(directory, "holds no file with a certificate that can be used"));
        }
    }
    Ok(Authorities { store, certificates: all })
}
