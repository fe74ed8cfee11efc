//! Servers that the DNS names: SRV records (RFC 2782), from the question to the order in which targets are tried.
//!
//! Nothing is kept from one connection to the next, so that a reconnecting client follows what the DNS says then.

mod message;
mod order;
mod resolver;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::error::Error;
use resolver::Resolver;

/// How MQTT is registered with IANA: `mqtt` and `secure-mqtt`.
const PLAIN: &str = "_mqtt._tcp";
#[cfg(feature = "tls")]
const SECURE: &str = "_secure-mqtt._tcp";

/// A domain that has its servers in the DNS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Srv {
    /// Whom to ask instead of the machine's own name servers.
    pub(crate) name_server: Option<SocketAddr>,
}

/// A server of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Srv {
    /// The servers of this domain, in the order in which they are to be tried: at least one.
    pub(crate) async fn targets(&self, domain: &str, is_secure: bool) -> Result<Vec<Target>, Error> {
        #[cfg(feature = "tls")]
        let service = if is_secure { SECURE } else { PLAIN };
        #[cfg(not(feature = "tls"))]
        let (service, _) = (PLAIN, is_secure);
        let name = format!("{service}.{}", domain.trim_end_matches('.'));
        let failed = |error: io::Error| Error::Resolve(name.clone(), Arc::new(error));
        let resolver = self.name_server.map_or_else(Resolver::of_machine, |server| Ok(Resolver::asking(server)));
        let mut records = resolver.map_err(failed)?.lookup(&name).await.map_err(failed)?;
        // RFC 2782: a single record for the root means that there is decidedly no such service.
        records.retain(|record| !record.target.is_empty());
        if records.is_empty() {
            return Err(failed(io::Error::new(io::ErrorKind::NotFound, "the DNS names no server for it (SRV)")));
        }
        let mut seed = crate::options::chance();
        let ordered = order::ordered(records, |most| {
            seed = order::next(seed);
            // Its low bits are as good as any.
            u32::try_from(seed % (u64::from(most) + 1)).unwrap_or(0)
        });
        Ok(ordered.into_iter().map(|record| Target { name: record.target, port: record.port }).collect())
    }
}

/// The name that the certificate of a target must have. What the DNS says is not proven, so a target outside of the domain
/// must show that it serves the domain. RFC 6125 section 6.2.1
#[cfg(feature = "tls")]
pub(crate) fn certified_name<'a>(domain: &'a str, target: &'a str) -> &'a str {
    let domain = domain.trim_end_matches('.');
    let below = target.len().checked_sub(domain.len()).and_then(|at| target.split_at_checked(at));
    let is_inside = below.is_some_and(|(before, rest)| {
        rest.eq_ignore_ascii_case(domain) && (before.is_empty() || before.ends_with('.'))
    });
    if is_inside { target } else { domain }
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "tls")]
    #[test]
    fn certificates_are_of_the_domain_or_of_what_is_below_it() {
        for (domain, target, expected) in [
            ("example.org", "a.example.org", "a.example.org"),
            ("example.org.", "A.EXAMPLE.org", "A.EXAMPLE.org"),
            ("example.org", "example.org", "example.org"),
            ("example.org", "badexample.org", "example.org"),
            ("example.org", "evil.test", "example.org"),
            ("example.org", "org", "example.org"),
        ] {
            assert_eq!(super::certified_name(domain, target), expected, "{domain} {target}");
        }
    }
}
