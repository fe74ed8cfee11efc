//! OpenSSL's lists of ciphers, as configurations write them, and which suites of rustls they name.
//!
//! Old ciphers are not spoken at all, so a list can only make the choice smaller: `HIGH:!aNULL:!MD5` names all of them, and a list that
//! names none is a mistake.

use rustls::SupportedCipherSuite;
use rustls::crypto::ring::ALL_CIPHER_SUITES;

/// A suite by the names of OpenSSL: exchange of keys, signature, cipher, mode.
struct Named {
    openssl: &'static str,
    standard: &'static str,
    traits: &'static [&'static str],
}

const fn named(openssl: &'static str, standard: &'static str, traits: &'static [&'static str]) -> Named {
    Named { openssl, standard, traits }
}

const TLS12: [Named; 6] = [
    named(
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        &["ECDSA", "aECDSA", "AES", "AES256", "AESGCM", "SHA384"],
    ),
    named(
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        &["ECDSA", "aECDSA", "AES", "AES128", "AESGCM", "SHA256"],
    ),
    named(
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        &["ECDSA", "aECDSA", "CHACHA20"],
    ),
    named(
        "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        &["RSA", "aRSA", "AES", "AES256", "AESGCM", "SHA384"],
    ),
    named(
        "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        &["RSA", "aRSA", "AES", "AES128", "AESGCM", "SHA256"],
    ),
    named("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", &["RSA", "aRSA", "CHACHA20"]),
];

/// Words that name all of the suites above.
const ALL_WORDS: [&str; 14] = [
    "ALL",
    "DEFAULT",
    "COMPLEMENTOFDEFAULT",
    "HIGH",
    "FIPS",
    "ECDHE",
    "EECDH",
    "kECDHE",
    "kEECDH",
    "ECDH",
    "TLSv1.2",
    "AEAD",
    "SUITEB128",
    "SUITEB192",
];

/// Words that name none of the suites above: what they name in OpenSSL is not spoken here.
const NONE_WORDS: [&str; 44] = [
    "aNULL",
    "eNULL",
    "NULL",
    "ADH",
    "AECDH",
    "EXPORT",
    "EXP",
    "LOW",
    "MEDIUM",
    "DES",
    "3DES",
    "RC4",
    "RC2",
    "IDEA",
    "SEED",
    "MD5",
    "SHA1",
    "SHA",
    "PSK",
    "kPSK",
    "aPSK",
    "kDHEPSK",
    "kECDHEPSK",
    "kRSAPSK",
    "SRP",
    "kSRP",
    "aSRP",
    "DSS",
    "aDSS",
    "DH",
    "DHE",
    "EDH",
    "kDHE",
    "kEDH",
    "kRSA",
    "CAMELLIA",
    "CAMELLIA128",
    "CAMELLIA256",
    "ARIA",
    "AESCCM",
    "SSLv3",
    "TLSv1",
    "TLSv1.0",
    "GOST",
];

fn matches(suite: &Named, word: &str) -> bool {
    suite.openssl == word || suite.standard == word || suite.traits.contains(&word) || ALL_WORDS.contains(&word)
}

fn is_known(word: &str) -> bool {
    NONE_WORDS.contains(&word) || TLS12.iter().any(|suite| matches(suite, word)) || is_old_suite(word)
}

/// The name of a single suite that is not spoken, such as `AES128-SHA`: no word of the language of lists, but no mistake either.
fn is_old_suite(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    parts.len() > 1 && ["SHA", "SHA256", "SHA384", "MD5", "CCM", "CCM8", "POLY1305"].contains(&parts[parts.len() - 1])
}

/// The suites of TLS 1.2 that an OpenSSL list names.
pub(crate) fn tls12(list: &str) -> Vec<SupportedCipherSuite> {
    let mut chosen: Vec<&Named> = Vec::new();
    let mut banned: Vec<&str> = Vec::new();
    for item in items(list) {
        let (order, words) = match item.strip_prefix(['!', '-', '+']) {
            Some(words) => (item.as_bytes()[0], words),
            None => (b' ', item),
        };
        let named = TLS12.iter().filter(|suite| words.split('+').all(|word| matches(suite, word)));
        for suite in named {
            match order {
                b'!' => banned.push(suite.openssl),
                b'-' => chosen.retain(|other| other.openssl != suite.openssl),
                // It only changes the order, which is the client's here.
                b'+' => {}
                _ if chosen.iter().any(|other| other.openssl == suite.openssl) => {}
                _ => chosen.push(suite),
            }
        }
    }
    chosen.retain(|suite| !banned.contains(&suite.openssl));
    chosen.iter().filter_map(|suite| by_name(suite.standard)).collect()
}

/// The suites of TLS 1.3 that a list names.
pub(crate) fn tls13(list: &str) -> Vec<SupportedCipherSuite> {
    items(list).filter(|name| name.starts_with("TLS_") && !name.contains("_WITH_")).filter_map(by_name).collect()
}

/// The words of a list that nobody knows or that name only suites that are not spoken here, for a warning.
pub fn unknown_ciphers(list: &str, is_tls13: bool) -> Vec<String> {
    let is_fine = |item: &str| {
        let words = item.strip_prefix(['!', '-', '+']).unwrap_or(item);
        match is_tls13 {
            true => !tls13(words).is_empty(),
            false if words != item => words.split('+').all(is_known),
            false => !tls12(words).is_empty() || NONE_WORDS.contains(&words),
        }
    };
    items(list).filter(|item| !item.starts_with('@') && !is_fine(item)).map(str::to_owned).collect()
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split([':', ',', ' ']).filter(|item| !item.is_empty())
}

fn by_name(standard: &str) -> Option<SupportedCipherSuite> {
    // rustls writes TLS13_ where the standard writes TLS_.
    let name = |suite: &SupportedCipherSuite| suite.suite().as_str().map(|name| name.replace("TLS13_", "TLS_"));
    ALL_CIPHER_SUITES.iter().copied().find(|suite| name(suite).as_deref() == Some(standard))
}

#[cfg(test)]
mod tests {
    use super::{tls12, tls13, unknown_ciphers};

    #[test]
    fn lists_of_openssl_name_the_suites_that_are_spoken() {
        for (list, count) in [
            ("HIGH", 6),
            ("DEFAULT:!aNULL:@SECLEVEL=2", 6),
            ("ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384", 2),
            ("ECDHE+AESGCM:!AES128", 2),
            ("HIGH:-CHACHA20:CHACHA20", 6),
            ("HIGH:!CHACHA20:CHACHA20", 4),
            ("EECDH+ECDSA+AESGCM:EECDH+aRSA+AESGCM", 4),
            ("AES128-SHA:RC4", 0),
            ("", 0),
        ] {
            assert_eq!(tls12(list).len(), count, "{list}");
        }
        assert_eq!(tls13("TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256").len(), 2);
        assert_eq!(tls13("TLS_AES_128_CCM_SHA256").len(), 0);
    }

    #[test]
    fn words_that_lead_nowhere_are_told() {
        assert_eq!(unknown_ciphers("HIGH:!aNULL:@STRENGTH:!AES128-SHA", false), <[String; 0]>::default());
        assert_eq!(unknown_ciphers("HIGH:HIHG:AES128-SHA", false), ["HIHG", "AES128-SHA"]);
        assert_eq!(unknown_ciphers("TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_SHA256", true), ["TLS_AES_128_CCM_SHA256"]);
    }
}
