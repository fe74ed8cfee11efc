//! Topic Names and Topic Filters: what is legal, and which filter matches which name.

use core::fmt;

use crate::text;

/// The most bytes that a name or a filter may have. [MQTT-4.7.3-3] [MQTT311-4.7.3-3]
const TOPIC_LENGTH_MAX: usize = 65_535;

/// The first level of a shared subscription's filter. [MQTT-4.8.2-1]
const SHARE_PREFIX: &str = "$share/";

/// A legal Topic Name: 1 to 65,535 bytes, no wildcard, no control character.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct TopicName<'a>(&'a str);

impl<'a> TopicName<'a> {
    /// Checks the name.
    ///
    /// # Errors
    ///
    /// Says which rule the name breaks.
    #[inline]
    pub fn new(name: &'a str) -> Result<Self, TopicError> {
        check_length(name)?;
        if text::is_plain(name) { Ok(Self(name)) } else { Self::new_slowly(name) }
    }

    #[cold]
    fn new_slowly(name: &'a str) -> Result<Self, TopicError> {
        // A string that is malformed wherever it stands comes first, then [MQTT-4.7.0-1] [MQTT311-4.7.1-1].
        text::check(name)?;
        if name.contains(['+', '#']) { Err(TopicError::Wildcard) } else { Ok(Self(name)) }
    }

    /// The name, unchanged: nothing normalises it. [MQTT-4.7.3-4] [MQTT311-4.7.3-4]
    #[must_use]
    #[inline]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

#[inline]
fn check_length(topic: &str) -> Result<(), TopicError> {
    match topic.len() {
        // [MQTT-4.7.3-1] [MQTT311-4.7.3-1]
        0 => Err(TopicError::Empty),
        1..=TOPIC_LENGTH_MAX => Ok(()),
        // [MQTT-4.7.3-3] [MQTT311-4.7.3-3]
        _ => Err(TopicError::TooLong),
    }
}

/// A legal Topic Filter, with or without `$share/name/` before it.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct TopicFilter<'a> {
    whole: &'a str,
    share: Option<&'a str>,
    filter: &'a str,
}

impl<'a> TopicFilter<'a> {
    /// Checks the filter.
    ///
    /// # Errors
    ///
    /// Says which rule the filter breaks.
    pub fn new(whole: &'a str) -> Result<Self, TopicError> {
        check_length(whole)?;
        text::check(whole)?;
        let (share, filter) = split_share(whole)?;
        check_wildcards(filter)?;
        Ok(Self { whole, share, filter })
    }

    /// The whole filter as it was written, `$share/name/` included.
    #[must_use]
    #[inline]
    pub const fn as_str(self) -> &'a str {
        self.whole
    }

    /// The share name of a shared subscription.
    #[must_use]
    #[inline]
    pub const fn share(self) -> Option<&'a str> {
        self.share
    }

    /// The filter that topic names are compared with: without `$share/name/`.
    #[must_use]
    #[inline]
    pub const fn filter(self) -> &'a str {
        self.filter
    }

    /// Whether a message published to `name` belongs to this filter.
    #[must_use]
    pub fn matches(self, name: TopicName<'_>) -> bool {
        let (filter, name) = (self.filter.as_bytes(), name.0.as_bytes());
        // [MQTT-4.7.2-1] [MQTT311-4.7.2-1]
        if name.starts_with(b"$") && matches!(filter.first(), Some(b'+' | b'#')) {
            return false;
        }
        let mut levels = name.split(|byte| *byte == b'/');
        for level in filter.split(|byte| *byte == b'/') {
            match (level, levels.next()) {
                // `#` stands for any number of levels, none included: `a/#` matches `a`.
                (b"#", _) => return true,
                (b"+", Some(_)) => {}
                // Levels are equal byte by byte. [MQTT-4.7.3-4] [MQTT311-4.7.3-4]
                (level, Some(other)) if level == other => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }
}

/// Takes `$share/name/` off the front of a filter.
fn split_share(whole: &str) -> Result<(Option<&str>, &str), TopicError> {
    let Some(rest) = whole.strip_prefix(SHARE_PREFIX) else {
        // `$share` alone has no share name, and as a topic no message could ever reach it.
        return if whole == "$share" { Err(TopicError::Share) } else { Ok((None, whole)) };
    };
    match rest.split_once('/') {
        // [MQTT-4.8.2-1] [MQTT-4.8.2-2]
        Some((name, filter)) if !name.is_empty() && !name.contains(['+', '#']) && !filter.is_empty() => {
            Ok((Some(name), filter))
        }
        _ => Err(TopicError::Share),
    }
}

/// Every `#` and `+` fills a level of its own, and `#` the last one.
fn check_wildcards(filter: &str) -> Result<(), TopicError> {
    let bytes = filter.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        if !matches!(byte, b'+' | b'#') {
            continue;
        }
        let begins_level = index == 0 || bytes.get(index - 1) == Some(&b'/');
        let fits = match (byte, bytes.get(index + 1)) {
            // [MQTT-4.7.1-1] [MQTT311-4.7.1-2]
            (b'#', None) => begins_level,
            (b'#', Some(_)) => false,
            // [MQTT-4.7.1-2] [MQTT311-4.7.1-3]
            (_, next) => begins_level && matches!(next, None | Some(b'/')),
        };
        if !fits {
            return Err(TopicError::WildcardPosition);
        }
    }
    Ok(())
}

/// The rule that a topic name or filter breaks.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum TopicError {
    /// It has no character.
    Empty,
    /// It has more than 65,535 bytes.
    TooLong,
    /// It holds U+0000.
    Nul,
    /// It holds a control character, or a code point that is no character.
    Control,
    /// A topic name holds `+` or `#`.
    Wildcard,
    /// In a filter, `+` or `#` shares its level with other characters, or `#` is not last.
    WildcardPosition,
    /// The filter begins with `$share`, but a share name or the filter after it is missing or wrong.
    Share,
}

impl TopicError {
    /// The rest of a sentence that begins with the name of the field.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Empty => "is empty",
            Self::TooLong => "has more than 65535 bytes",
            Self::Nul => "holds U+0000",
            Self::Control => "holds a control character",
            Self::Wildcard => "holds a wildcard",
            Self::WildcardPosition => "has a wildcard in the wrong place",
            Self::Share => "has no valid share name and filter after $share",
        }
    }
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "topic {}", self.text())
    }
}

impl core::error::Error for TopicError {}

#[cfg(test)]
mod tests;
