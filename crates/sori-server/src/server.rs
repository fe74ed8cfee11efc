//! The running broker.

use crate::config::Config;
use crate::startup::{RunError, Startup};

/// Opens the listeners, starts the worker threads and runs until a signal ends the broker. Before it the
/// configuration is checked, the process is a daemon if it was to be one, root is given up, the log is open and the
/// process id written; after it `running.ready` must be called as soon as every listener is open.
pub(crate) fn start(config: Config, startup: Startup) -> Result<(), RunError> {
    let _ = (config, startup);
    Err(RunError::new("this build has no listeners yet."))
}
