//! A private CA in a directory of its own.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

static NEXT: AtomicUsize = AtomicUsize::new(0);

pub(crate) struct Ca {
    directory: PathBuf,
    name: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn new() -> Ca {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("sori-net-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let name = format!("Test CA {number}");
        params.distinguished_name.push(DnType::CommonName, &name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a CA");
        std::fs::write(directory.join("ca.pem"), certificate.pem()).expect("a file");
        Ca { directory, name, issuer: Issuer::new(params, key) }
    }

    /// The key of this CA is certified by another one, and no longer by itself.
    pub(crate) fn become_intermediate_of(&self, other: &Ca) {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, &self.name);
        let certificate = params.signed_by(self.issuer.key(), &other.issuer).expect("a certificate");
        std::fs::write(self.path("ca.pem"), certificate.pem()).expect("a file");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Write `NAME.pem` and `NAME.key`, and give their paths.
    pub(crate) fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        self.write(name, &certificate.pem(), &key)
    }

    pub(crate) fn write(&self, name: &str, certificate: &str, key: &KeyPair) -> (PathBuf, PathBuf) {
        let paths = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        std::fs::write(&paths.0, certificate).expect("a file");
        std::fs::write(&paths.1, key.serialize_pem()).expect("a file");
        paths
    }

    pub(crate) fn server(&self) -> (PathBuf, PathBuf) {
        self.issue("server", |params| {
            params.subject_alt_names = vec![rcgen::SanType::DnsName("localhost".try_into().expect("a name"))];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        })
    }

    pub(crate) fn client(&self, name: &str) -> (PathBuf, PathBuf) {
        self.issue(name, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            params.serial_number = Some(serial_of(name));
        })
    }

    /// Write a list of clients that are revoked.
    pub(crate) fn revoke(&self, names: &[&str], next_update_year: i32) -> PathBuf {
        let revoked = |name: &&str| RevokedCertParams {
            serial_number: serial_of(name),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(next_update_year, 1, 1),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: names.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let path = self.path("crl.pem");
        let pem = list.signed_by(&self.issuer).expect("a list").pem().expect("PEM");
        std::fs::write(&path, pem).expect("a file");
        path
    }
}

fn serial_of(name: &str) -> SerialNumber {
    SerialNumber::from_slice(&[&[1][..], name.as_bytes()].concat())
}

impl Drop for Ca {
    fn drop(&mut self) {
        // What is left behind in a directory for temporary files does no harm.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
