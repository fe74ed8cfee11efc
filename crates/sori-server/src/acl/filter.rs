//! The filter of a rule, taken apart once so that nothing has to be made to match it.

use super::Client;

/// A filter as its levels. Those with which a topic must begin stand together, as most topics differ there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    /// `None`: the first level is no name.
    beginning: Option<Box<str>>,
    /// The levels after that.
    levels: Box<[Level]>,
    /// It begins with `$`.
    is_reserved: bool,
    /// It says `%u` somewhere, so that it is no rule for clients without a user name.
    needs_user: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    Name(Box<str>),
    /// `+`
    Any,
    /// `#`
    Rest,
    /// `%c` in a pattern.
    ClientId,
    /// `%u` in a pattern.
    UserName,
}

impl Filter {
    /// The levels of a legal filter. Only in a pattern `%c` and `%u` stand for something.
    pub(super) fn new(text: &str, is_pattern: bool) -> Filter {
        let mut levels: Vec<_> = text.split('/').map(|level| Level::new(level, is_pattern)).collect();
        let names = levels.iter().take_while(|level| matches!(level, Level::Name(_))).count();
        let beginning: Vec<_> = text.split('/').take(names).collect();
        Filter {
            beginning: (names > 0).then(|| beginning.join("/").into()),
            levels: levels.split_off(names).into(),
            is_reserved: text.starts_with('$'),
            needs_user: is_pattern && text.contains("%u"),
        }
    }

    /// It is no rule for clients without a user name.
    pub(super) fn needs_user(&self) -> bool {
        self.needs_user
    }

    /// Does this filter match `topic`, for this client?
    pub(super) fn matches(&self, topic: &str, client: Client<'_>) -> bool {
        if topic.starts_with('$') && !self.is_reserved || self.needs_user && client.user_name.is_none() {
            return false;
        }
        let mut names = match &self.beginning {
            None => topic.split('/'),
            Some(beginning) => match topic.strip_prefix(&**beginning).map(|rest| (rest, rest.strip_prefix('/'))) {
                Some((_, Some(names))) => names.split('/'),
                Some(("", None)) => return matches!(&*self.levels, [] | [Level::Rest]),
                _ => return false,
            },
        };
        for level in &self.levels {
            if *level == Level::Rest {
                return true;
            }
            if !names.next().is_some_and(|name| level.matches(name, client)) {
                return false;
            }
        }
        names.next().is_none()
    }
}

impl Level {
    fn new(text: &str, is_pattern: bool) -> Level {
        match text {
            "+" => Level::Any,
            "#" => Level::Rest,
            "%c" if is_pattern => Level::ClientId,
            "%u" if is_pattern => Level::UserName,
            name => Level::Name(name.into()),
        }
    }

    fn matches(&self, name: &str, client: Client<'_>) -> bool {
        match self {
            Level::Name(own) => **own == *name,
            Level::Any | Level::Rest => true,
            Level::ClientId => stands_for(name, client.client_id),
            Level::UserName => client.user_name.is_some_and(|user_name| stands_for(name, user_name)),
        }
    }
}

/// A level of a topic holds no `/`, so a value with one stands for nothing; neither does an empty one.
fn stands_for(name: &str, value: &str) -> bool {
    !value.is_empty() && name == value
}

/// Whether wildcards stand only where MQTT lets them.
pub(super) fn is_legal(text: &str) -> bool {
    let mut levels = text.split('/').peekable();
    while let Some(level) = levels.next() {
        let is_last = levels.peek().is_none();
        match level {
            "+" => {}
            "#" if is_last => {}
            name if name.contains(['+', '#']) => return false,
            _ => {}
        }
    }
    !text.is_empty() && text.len() <= usize::from(u16::MAX)
}

/// Matches one topic only, whoever the client is.
pub(super) fn is_plain(text: &str, is_pattern: bool) -> bool {
    !text.contains(['+', '#']) && !(is_pattern && (text.contains("%c") || text.contains("%u")))
}
