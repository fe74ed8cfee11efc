//! What one entry of the option table says. The entries themselves are in [`options`](super::options).

pub use super::draft::Place;

/// One option: its words, its place, its value, its default, its effect and the text that explains it. The parser,
/// `--help` and the manual read nothing else.
#[derive(Debug)]
pub struct Entry {
    /// The word in `mosquitto.conf`, then its aliases. A word that ends in `*` stands for all words that start so.
    pub words: &'static [&'static str],
    /// The path in `sori.toml`, the native form of the same setting.
    pub toml: &'static str,
    /// What it belongs to.
    pub scope: Scope,
    /// Its value and what is done with it.
    pub takes: Takes,
    /// The default as it would be written; empty when there is none.
    pub default: &'static str,
    /// When a changed value takes effect.
    pub reload: Reload,
    /// Whether it works in this version.
    pub standing: Standing,
    /// What it means, in whole sentences.
    pub help: &'static str,
}

impl Entry {
    /// The word that the manual uses.
    pub fn word(&self) -> &'static str {
        self.words.first().copied().unwrap_or_default()
    }
}

/// What an option belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The whole broker.
    Global,
    /// The whole broker, or the listener above it after `per_listener_settings true`.
    Security,
    /// The listener above it; without one, the default listener on port 1883.
    Listener,
    /// The listener above it, and there must be one.
    ListenerLine,
    /// The `connection` (bridge) above it.
    Bridge,
    /// The plugin above it.
    Plugin,
}

/// What is wrong with a text, and what to do about it.
pub type Refused = (String, &'static str);

/// The value of an option and its effect.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// `true`, `false`, `1` or `0`.
    Flag(fn(&mut Place<'_>, bool)),
    /// A whole number in C notation.
    Number {
        /// The smallest allowed value.
        least: i64,
        /// The largest allowed value.
        most: i64,
        /// What is said about a value outside, where it is not the usual sentence.
        refusal: Option<&'static str>,
        /// The effect.
        set: fn(&mut Place<'_>, i64),
    },
    /// The rest of the line.
    Text {
        /// Bytes it may have at most.
        longest: usize,
        /// What a second line with the same option means.
        again: Again,
        /// The effect, or what is wrong with the value.
        set: fn(&mut Place<'_>, &str) -> Result<(), Refused>,
    },
    /// One word of a small language, sometimes with more behind it.
    Word {
        /// What may be written, for people.
        form: &'static str,
        /// A legal value that is not the default.
        sample: &'static str,
        /// The effect from the first word and the rest of the line, or what is wrong with them.
        set: fn(&mut Place<'_>, &str, &str) -> Result<(), String>,
    },
    /// The line changes what the lines after it belong to; the parser itself knows how.
    Structure(Structure),
    /// Whatever follows is not read.
    Anything,
}

/// Options that change what the lines after them mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// `listener <port> [host]`
    Listener,
    /// `port <port>`: the default listener.
    Port,
    /// `bind_address <host>`: the default listener.
    BindAddress,
    /// `include_dir <path>`
    IncludeDir,
    /// `per_listener_settings <bool>`
    PerListenerSettings,
    /// `connection <name>`: a bridge.
    Connection,
    /// `plugin <path>` and its relatives.
    Plugin,
}

/// What a second line with the same text option means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It is an error, as in Mosquitto.
    Refused,
    /// The later line counts, as in Mosquitto.
    Replaces,
}

/// When a changed value takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// At the reload.
    Yes,
    /// For connections made after the reload.
    NewConnections,
    /// At the next start.
    Restart,
}

/// Whether an option works in this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does what its help says.
    Works,
    /// It is accepted, and this sentence says what is done instead.
    Mapped(&'static str),
    /// Its machinery is not in this version, so the start is refused: to ignore it could open the broker.
    Later {
        /// What is missing.
        needs: &'static str,
        /// The value which asks for nothing and is therefore accepted.
        unless: Option<&'static str>,
    },
    /// It will not come; this sentence names what replaces it.
    Never(&'static str),
}
