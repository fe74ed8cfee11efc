//! Taking over what Mosquitto kept, once, when there is no store yet.

use crate::import;
use crate::log::Log;
use crate::startup::RunError;
use crate::store::making::{self, Made};
use crate::store::place::{Foreign, Place};
use std::path::Path;

/// Make a store of Mosquitto's database, if there is one.
pub(crate) fn take_over(place: &Place, log: &Log) -> Result<(), RunError> {
    let mut found = place.foreign()?.into_iter();
    let Some(foreign) = found.next() else { return Ok(()) };
    for other in found {
        log.warning(format_args!(
            "Warning: {} is not taken over, because {} was written later.",
            other.path().display(),
            foreign.path().display()
        ));
    }
    let path = foreign.path();
    log.information(format_args!("Taking over what Mosquitto kept in {}.", path.display()));
    let imported = read(&foreign, place.location())?;
    for remark in &imported.remarks {
        log.warning(format_args!("Warning: {}: {remark}", path.display()));
    }
    let Made { sessions, deliveries, retained, left_out } = making::make(&place.store(), &imported)?;
    log.notice(format_args!(
        "Taken over from {}: {sessions} sessions, {deliveries} messages for them, {retained} retained messages. The file \
         stays as it is and is not read again.",
        path.display()
    ));
    if left_out > 0 {
        log.notice(format_args!("{left_out} queued messages of QoS 0 were left out: they are not kept on disk."));
    }
    Ok(())
}

fn read(foreign: &Foreign, scratch: &Path) -> Result<import::Imported, RunError> {
    import::read(foreign.path(), scratch).map_err(|error| {
        RunError::new(format!(
            "Unable to take over what Mosquitto kept: {error}. Move the file away to start without it."
        ))
    })
}
