//! Taking over what Mosquitto kept.

use crate::log::Log;
use crate::startup::RunError;
use crate::store::place::Place;

/// Make a store of Mosquitto's database, if there is one.
pub(crate) fn take_over(place: &Place, _: &Log) -> Result<(), RunError> {
    place.foreign()?;
    Ok(())
}
