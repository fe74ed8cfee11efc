//! The kinds of log lines.

/// What a line is about. The order is that of the bits in [`Kinds`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something does not work.
    Error,
    /// Something will probably not work as it was meant.
    Warning,
    /// Something an operator wants to know: who connects, who leaves.
    Notice,
    /// What the broker does by itself.
    Information,
    /// Every packet.
    Debug,
    /// Subscriptions.
    Subscribe,
    /// Subscriptions that end.
    Unsubscribe,
    /// WebSocket handshakes.
    Websockets,
    /// Events between the parts of the broker.
    Internal,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 9] = [
        Kind::Error,
        Kind::Warning,
        Kind::Notice,
        Kind::Information,
        Kind::Debug,
        Kind::Subscribe,
        Kind::Unsubscribe,
        Kind::Websockets,
        Kind::Internal,
    ];

    /// The word of `log_type`.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Error => "error",
            Kind::Warning => "warning",
            Kind::Notice => "notice",
            Kind::Information => "information",
            Kind::Debug => "debug",
            Kind::Subscribe => "subscribe",
            Kind::Unsubscribe => "unsubscribe",
            Kind::Websockets => "websockets",
            Kind::Internal => "internal",
        }
    }

    /// The kind that a word of `log_type` means.
    pub fn from_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The topic that carries lines of this kind under `log_dest topic`. Debug lines have none: to publish one would
    /// cause the next.
    pub fn topic(self) -> Option<&'static str> {
        match self {
            Kind::Error => Some("$SYS/broker/log/E"),
            Kind::Warning => Some("$SYS/broker/log/W"),
            Kind::Notice => Some("$SYS/broker/log/N"),
            Kind::Information => Some("$SYS/broker/log/I"),
            Kind::Subscribe => Some("$SYS/broker/log/M/subscribe"),
            Kind::Unsubscribe => Some("$SYS/broker/log/M/unsubscribe"),
            Kind::Websockets => Some("$SYS/broker/log/WS"),
            Kind::Debug | Kind::Internal => None,
        }
    }

    /// The severity of RFC 5424 that syslog gets.
    pub(super) fn syslog_severity(self) -> u8 {
        match self {
            Kind::Error => 3,
            Kind::Warning => 4,
            Kind::Notice | Kind::Subscribe | Kind::Unsubscribe => 5,
            Kind::Information => 6,
            Kind::Debug | Kind::Websockets | Kind::Internal => 7,
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u16);

impl Kinds {
    /// No kind.
    pub const NONE: Kinds = Kinds(0);
    /// Every kind.
    pub const ALL: Kinds = Kinds((1 << Kind::ALL.len()) - 1);
    /// Error, warning, notice and information.
    pub const DEFAULT: Kinds = Kinds(0b1111);

    /// This set and one more kind.
    pub fn with(self, kind: Kind) -> Kinds {
        Kinds(self.0 | kind.bit())
    }

    /// Whether the kind is in the set.
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & kind.bit() != 0
    }

    pub(super) fn bits(self) -> u16 {
        self.0
    }

    pub(super) fn from_bits(bits: u16) -> Kinds {
        Kinds(bits & Kinds::ALL.0)
    }
}
