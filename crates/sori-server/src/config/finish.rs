//! From what the lines said to what holds: inheritance, local-only mode, and what no single line can show.

use std::sync::Arc;

use super::draft::{Draft, ListenerDraft, MadeBy, Security};
use super::remark::{Remark, Severity};
use crate::acl::Rules;
use crate::opening::are_apart;
use crate::passwords::Users;
use crate::psk::Keys;

use super::{Bind, Config, ListenerConfig, Setting, SocketDomain, Source};

/// The port of MQTT, where nothing else is said.
pub(crate) const DEFAULT_PORT: u16 = 1883;

/// Decides everything that was left open.
pub(super) fn resolve(draft: Draft, settings: &[Setting], source: &Source<'_>, remarks: &mut Vec<Remark>) -> Config {
    let Draft { mut config, security, log_dest, log_type, listeners, per_listener_settings, .. } = draft;
    config.per_listener_settings = per_listener_settings;
    (config.acl, config.users) = unread(&security);
    config.files = source.files.to_vec();
    config.log.destinations = log_dest.unwrap_or(config.log.destinations);
    config.log.kinds = log_type.unwrap_or(config.log.kinds);
    config.persistence_location = config.persistence_location.or(draft.location_of_plugin);
    if source.persistence_location.is_some() {
        config.persistence_location.clone_from(&source.persistence_location);
    }
    super::transport::check(listeners.iter().map(|listener| &listener.settings), settings, remarks);
    config.local_only = listeners.iter().all(|listener| matches!(listener.made_by, MadeBy::Implicitly { .. }));
    config.listeners = if config.local_only {
        local_listeners(listeners.into_iter().next(), source.ports, &security)
    } else {
        warn_of_implicit(&listeners, remarks);
        listeners.into_iter().map(|listener| inherit(listener, &security, false)).collect()
    };
    super::transport::check_keys(&config.listeners, settings, remarks);
    refuse_same_address(&config.listeners, remarks);
    warn_of_refused_identifiers(&config, remarks);
    config
}

/// 127.0.0.1 and ::1 on each port, with the listener options that stand in the file without a listener.
fn local_listeners(options: Option<ListenerDraft>, ports: &[u16], security: &Security) -> Vec<ListenerConfig> {
    let options =
        options.unwrap_or_else(|| ListenerDraft::default_listener(None, MadeBy::Implicitly { word: String::new() }));
    let ports = if ports.is_empty() { &[DEFAULT_PORT] } else { ports };
    let hosts: &[(&str, bool)] = match options.settings.socket_domain {
        SocketDomain::Both => &[("127.0.0.1", true), ("::1", false)],
        SocketDomain::Ipv4 => &[("127.0.0.1", true)],
        SocketDomain::Ipv6 => &[("::1", true)],
    };
    let mut listeners = Vec::new();
    for &port in ports {
        for &(host, required) in hosts {
            let mut listener = inherit(options.clone(), security, true);
            listener.bind = Bind::Tcp { host: Some(host.to_owned()), port };
            listener.required = required;
            listener.declared_at = None;
            listeners.push(listener);
        }
    }
    listeners
}

/// Until they are read, files are as if they were empty: nobody comes in, and nothing is allowed.
fn unread(security: &Security) -> (Option<Arc<Rules>>, Option<Arc<Users>>) {
    let acl = security.acl_file.as_deref().map(|file| Arc::new(Rules::none(file)));
    let users = security.password_file.as_deref().map(|file| Arc::new(Users::none(file)));
    (acl, users)
}

/// What the listener does not say itself, the file says; what neither says, is the default.
fn inherit(listener: ListenerDraft, file: &Security, anonymous_by_default: bool) -> ListenerConfig {
    let ListenerDraft { mut settings, security, .. } = listener;
    (settings.acl, settings.users) = unread(&security);
    let psk_file = security.psk_file.as_deref().or(file.psk_file.as_deref());
    settings.keys = psk_file.map(|file| Arc::new(Keys::none(file)));
    settings.allow_anonymous = security.allow_anonymous.or(file.allow_anonymous).unwrap_or(anonymous_by_default);
    settings.allow_zero_length_clientid =
        security.allow_zero_length_clientid.or(file.allow_zero_length_clientid).unwrap_or(true);
    if let Some(prefix) = security.auto_id_prefix.or_else(|| file.auto_id_prefix.clone()) {
        settings.auto_id_prefix = prefix;
    }
    settings
}

/// In Mosquitto a listener option above the first `listener` silently opens port 1883 as well. It does here too,
/// because files rely on it, but not silently.
fn warn_of_implicit(listeners: &[ListenerDraft], remarks: &mut Vec<Remark>) {
    for listener in listeners {
        if let MadeBy::Implicitly { word } = &listener.made_by {
            remarks.push(Remark {
                severity: Severity::Warning,
                at: listener.settings.declared_at.clone(),
                text: format!("The '{word}' option stands above every listener and opens one more on port 1883."),
                hint: Some(format!(
                    "write `listener 1883` above it if that is meant, or move '{word}' below its listener."
                )),
            });
        }
    }
}

/// A made up client identifier must begin like any other.
fn warn_of_refused_identifiers(config: &Config, remarks: &mut Vec<Remark>) {
    let makes_up = |listener: &&ListenerConfig| {
        listener.allow_zero_length_clientid && !listener.auto_id_prefix.starts_with(&*config.clientid_prefix)
    };
    if let Some(listener) = config.listeners.iter().find(makes_up) {
        let (made_up, wanted) = (&listener.auto_id_prefix, &config.clientid_prefix);
        let text = format!(
            "Client identifiers that the broker makes up begin with '{made_up}' and not with '{wanted}' \
             (clientid_prefixes): a client that sends none is refused."
        );
        let hint = format!("begin auto_id_prefix with '{wanted}'.");
        remarks.push(Remark::new(Severity::Warning, text).at(listener.declared_at.clone()).hint(hint));
    }
}

fn refuse_same_address(listeners: &[ListenerConfig], remarks: &mut Vec<Remark>) {
    for (index, listener) in listeners.iter().enumerate() {
        let Some(earlier) = listeners.iter().take(index).find(|earlier| collide(earlier, listener)) else { continue };
        let what = match &listener.bind {
            Bind::Tcp { port, .. } => format!("port {port}"),
            Bind::Unix(path) => path.display().to_string(),
        };
        let first = earlier.declared_at.as_ref().map(|at| format!(" ({at})")).unwrap_or_default();
        remarks.push(Remark {
            severity: Severity::Error,
            at: listener.declared_at.clone(),
            text: format!("There is already a listener on {what}{first}."),
            hint: Some("give each listener a port or an address of its own.".to_owned()),
        });
    }
}

/// Whether the second of two listeners certainly cannot be opened. Host names are not looked up here.
fn collide(a: &ListenerConfig, b: &ListenerConfig) -> bool {
    match (&a.bind, &b.bind) {
        (Bind::Unix(a), Bind::Unix(b)) => a == b,
        (Bind::Tcp { host: a_host, port: a_port }, Bind::Tcp { host: b_host, port: b_port }) => {
            let disjoint = a.socket_domain != b.socket_domain
                && a.socket_domain != SocketDomain::Both
                && b.socket_domain != SocketDomain::Both
                || are_apart(&a.transport.bind_interface, &b.transport.bind_interface);
            // Port 0 stands for a line that was refused already.
            *a_port != 0 && a_port == b_port && a_host == b_host && !disjoint
        }
        _ => false,
    }
}
