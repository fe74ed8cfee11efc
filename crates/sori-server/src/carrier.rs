//! What a listener puts between MQTT and its connections: TLS, WebSocket, the PROXY protocol.

use crate::carried::{Carried, Naming};
use crate::config::{ListenerConfig, Protocol, TransportConfig};
use crate::psk::Keyring;
use crate::socket::Stream;
use sori_net::{Error, ListenerTls, ProxyProtocol, Transport, WebSocketServer};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Shared by all connections of a listener.
#[derive(Debug)]
pub(crate) struct Carrier {
    tls: Option<ListenerTls>,
    websocket: Option<Arc<WebSocketServer>>,
    proxy_protocol: Option<ProxyProtocol>,
    naming: Naming,
    /// The keys that its clients may have, if they need one.
    keyring: Option<Keyring>,
}

impl Carrier {
    /// Reads all files that the listener names; `None` for one that needs nothing. `version` is larger for each configuration
    /// that follows another.
    ///
    /// # Errors
    ///
    /// What cannot be used and why, in a sentence.
    pub(crate) fn load(
        listener: &ListenerConfig,
        version: u64,
        key_log: Option<&PathBuf>,
    ) -> Result<Option<Arc<Carrier>>, String> {
        let transport = &listener.transport;
        if transport.is_plain() {
            return Ok(None);
        }
        let websocket = (transport.protocol == Protocol::WebSockets).then(|| {
            Arc::new(WebSocketServer {
                origins: transport.websockets_origins.clone(),
                trusted_proxies: transport.websockets_trusted_proxies.clone(),
            })
        });
        Ok(Some(Arc::new(Carrier {
            tls: listener.load_tls(key_log).map_err(|fault| fault.text)?,
            websocket,
            proxy_protocol: proxy_protocol(transport),
            naming: Naming::of(transport),
            keyring: listener.keyring(version),
        })))
    }

    /// The address of a connection is the proxy's and not the client's.
    pub(crate) fn is_behind_proxy(&self) -> bool {
        self.proxy_protocol.is_some()
    }

    /// A connection that was accepted, from this address.
    pub(crate) fn carry(&self, stream: Stream, address: Option<IpAddr>) -> Result<Stream, Error> {
        let mut transport = Transport::plain();
        if let Some(rules) = self.proxy_protocol {
            transport = transport.proxy_protocol(rules);
        }
        if let Some(tls) = &self.tls {
            transport = transport.tls_server(tls)?;
        }
        if let Some(websocket) = &self.websocket {
            transport = transport.websocket_server(Arc::clone(websocket), address);
        }
        Ok(Stream::Carried(Box::new(Carried::new(stream, transport, self.naming, self.keyring.clone()))))
    }
}

fn proxy_protocol(transport: &TransportConfig) -> Option<ProxyProtocol> {
    Some(match transport.proxy_protocol? {
        1 => ProxyProtocol::V1,
        _ => ProxyProtocol::V2 {
            require_tls: transport.proxy_protocol_v2_require_tls,
            require_certificate: transport.require_certificate,
        },
    })
}
