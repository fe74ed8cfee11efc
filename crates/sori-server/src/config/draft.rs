//! The configuration while it is being read: values that may still be inherited are not decided yet.

use std::path::PathBuf;

use super::remark::Location;
use super::{Bind, Config, Defaults, ListenerConfig, ProtocolVersions, SocketDomain, TransportConfig};
use crate::log::{Destinations, Kinds};

/// All that the lines read so far have said.
#[derive(Debug)]
pub struct Draft {
    /// What is decided already.
    pub config: Config,
    /// The security settings of the whole file.
    pub security: Security,
    /// Security options belong to the listener above them.
    pub per_listener_settings: bool,
    /// A security option was read.
    pub security_seen: bool,
    /// The destinations named so far; the first line replaces the default.
    pub log_dest: Option<Destinations>,
    /// The kinds of lines named so far; the first line replaces the default.
    pub log_type: Option<Kinds>,
    /// The listeners in the order of the file.
    pub listeners: Vec<ListenerDraft>,
    /// Where the database of a plugin is: the place of the store, unless another one is named.
    pub location_of_plugin: Option<PathBuf>,
    /// The line that allows wildcards in the names of clients.
    pub special_characters: Option<Location>,
}

impl Draft {
    pub(super) fn new(defaults: Defaults) -> Draft {
        Draft {
            config: Config::with_defaults(defaults),
            security: Security::default(),
            per_listener_settings: false,
            security_seen: false,
            log_dest: None,
            log_type: None,
            listeners: Vec::new(),
            location_of_plugin: None,
            special_characters: None,
        }
    }
}

/// Settings that a listener may have of its own or share with the file.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// The file with the rules about topics.
    pub acl_file: Option<PathBuf>,
    /// The file with the passwords.
    pub password_file: Option<PathBuf>,
    /// The file with the keys of TLS-PSK.
    pub psk_file: Option<PathBuf>,
    /// A client without user name may connect.
    pub allow_anonymous: Option<bool>,
    /// A client with an empty identifier gets a generated one.
    pub allow_zero_length_clientid: Option<bool>,
    /// What a generated client identifier starts with.
    pub auto_id_prefix: Option<String>,
}

/// A listener while it is being read.
#[derive(Debug, Clone)]
pub struct ListenerDraft {
    /// What is decided already.
    pub settings: ListenerConfig,
    /// What may still be inherited.
    pub security: Security,
    /// What made it.
    pub made_by: MadeBy,
}

/// What made a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MadeBy {
    /// A `listener` line.
    ListenerLine,
    /// `port` or `bind_address`: the default listener.
    DefaultLine,
    /// An option that needs a listener stood above the first one.
    Implicitly {
        /// That option.
        word: String,
    },
}

impl ListenerDraft {
    pub(super) fn new(bind: Bind, declared_at: Option<Location>, made_by: MadeBy) -> ListenerDraft {
        ListenerDraft {
            settings: ListenerConfig {
                declared_at,
                bind,
                socket_domain: SocketDomain::Both,
                required: true,
                max_connections: None,
                max_qos: 2,
                max_topic_alias: 10,
                max_topic_alias_broker: 10,
                versions: ProtocolVersions::ALL,
                acl: None,
                users: None,
                keys: None,
                allow_anonymous: false,
                allow_zero_length_clientid: true,
                auto_id_prefix: "auto-".to_owned(),
                mount_point: None,
                transport: TransportConfig::default(),
                use_username_as_clientid: false,
            },
            security: Security::default(),
            made_by,
        }
    }

    /// The listener of `port` and of options above the first listener.
    pub(super) fn default_listener(declared_at: Option<Location>, made_by: MadeBy) -> ListenerDraft {
        ListenerDraft::new(Bind::Tcp { host: None, port: super::finish::DEFAULT_PORT }, declared_at, made_by)
    }

    pub(super) fn is_default_listener(&self) -> bool {
        self.made_by != MadeBy::ListenerLine
    }
}

/// Where an effect writes: the file's settings and those of the listener the line belongs to.
#[derive(Debug)]
pub struct Place<'a> {
    /// All settings except the listeners.
    pub draft: &'a mut Draft,
    /// The listener above the line.
    pub listener: &'a mut ListenerDraft,
    /// Warnings about the line.
    pub warnings: &'a mut Vec<String>,
}

impl Place<'_> {
    /// The decided settings.
    pub fn config(&mut self) -> &mut Config {
        &mut self.draft.config
    }

    /// The security settings the line belongs to.
    pub fn security(&mut self) -> &mut Security {
        self.draft.security_seen = true;
        if self.draft.per_listener_settings { &mut self.listener.security } else { &mut self.draft.security }
    }

    /// The destinations to add to.
    pub fn log_dest(&mut self) -> &mut Destinations {
        self.draft.log_dest.get_or_insert_with(Destinations::none)
    }

    /// The kinds to add to.
    pub fn log_type(&mut self) -> &mut Kinds {
        self.draft.log_type.get_or_insert(Kinds::NONE)
    }
}
