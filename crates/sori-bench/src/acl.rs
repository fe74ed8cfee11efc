//! The rules of an `acl_file`, decided by the code of `sori-server`, in front of a shard that is fed from memory. The file itself is
//! not read here.

#[path = "../../sori-server/src/acl/filter.rs"]
#[expect(dead_code, reason = "rules are read there")]
mod filter;
#[path = "../../sori-server/src/acl/rules.rs"]
#[expect(dead_code, unreachable_pub, reason = "the server uses and shows what no measurement does")]
mod rules;

use std::path::Path;

use rules::{Client, Right, Rules, Whose};
use sori_broker::{Access, Action, Exchange, Identity, Login, OpenAccess, Verdict};

/// Everybody may come in, and do what one of these rules grants.
pub(crate) struct FileAccess {
    rules: Rules,
}

impl FileAccess {
    /// `topic readwrite <filter>` for each of these filters.
    pub(crate) fn new(filters: &[String]) -> FileAccess {
        let mut rules = Rules::none(Path::new("acl"));
        for (line, filter) in filters.iter().enumerate() {
            rules.add(Whose::Anonymous, Right::ReadWrite, filter, line + 1);
        }
        FileAccess { rules }
    }
}

impl Access for FileAccess {
    fn login(&self, login: &Login<'_>) -> Verdict {
        OpenAccess.login(login)
    }

    fn exchange(&self, method: &str, login: &Login<'_>) -> Option<Box<dyn Exchange>> {
        OpenAccess.exchange(method, login)
    }

    fn may(&self, identity: &Identity, client_id: &str, action: Action, topic: &str) -> bool {
        let client = Client { client_id, user_name: identity.user_name.as_deref() };
        self.rules.decide(client, action, topic).is_allowed()
    }

    fn is_steady(&self) -> bool {
        true
    }
}
