//! Properties, which the plugin keeps as JSON; SQLite itself takes that apart.
//!
//! ```json
//! [{"identifier": "content-type", "value": "text/plain"}, {"identifier": "correlation-data", "value": "00FF"},
//!  {"identifier": "user-property", "name": "a", "value": "b"}, {"identifier": "payload-format-indicator", "value": 1}]
//! ```

use super::super::properties::checked;
use super::pages::Row;
use super::{ImportFault, PropertyBuffer, fault};
use sori_mqtt::Property;
use sqlx::SqliteConnection;
use std::collections::HashMap;

/// The properties of all rows of a table that have some.
pub(super) struct PropertiesOf(HashMap<i64, Result<PropertyBuffer, String>>);

type JsonProperty = (i64, Option<String>, Option<String>, Option<String>);

impl PropertiesOf {
    pub(super) async fn table(database: &mut SqliteConnection, table: &str) -> Result<Self, ImportFault> {
        let query = format!(
            "SELECT {table}.rowid, entry.value ->> '$.identifier', CAST(entry.value ->> '$.name' AS TEXT), \
                CAST(entry.value ->> '$.value' AS TEXT) \
             FROM {table}, json_each(iif(json_valid(properties), properties, '[null]')) AS entry \
             WHERE properties IS NOT NULL ORDER BY {table}.rowid, entry.key"
        );
        let rows: Vec<JsonProperty> = sqlx::query_as(&query).fetch_all(database).await.map_err(fault)?;
        let mut of_row: HashMap<i64, Result<PropertyBuffer, String>> = HashMap::new();
        for (rowid, identifier, name, value) in rows {
            let collected = of_row.entry(rowid).or_insert_with(|| Ok(PropertyBuffer::new()));
            if let Ok(properties) = collected {
                let pushed = push(properties, identifier.as_deref(), name.as_deref(), value.as_deref());
                *collected = match pushed {
                    Some(()) => continue,
                    None => Err(format!("holds the property {identifier:?}, {name:?}, {value:?}")),
                };
            }
        }
        Ok(Self(of_row))
    }

    /// The properties of a row, checked. They are taken out, because every row is asked for once.
    pub(super) fn take(&mut self, row: &Row<'_>) -> Result<PropertyBuffer, ImportFault> {
        let Some(collected) = self.0.remove(&row.rowid) else { return Ok(PropertyBuffer::new()) };
        let kept = collected.and_then(|properties| checked(&properties)).map_err(|what| row.fault(&what))?;
        Ok(kept.unchanged)
    }
}

/// Appends one property. `None` if it is not one that a kept message can have.
fn push(out: &mut PropertyBuffer, identifier: Option<&str>, name: Option<&str>, value: Option<&str>) -> Option<()> {
    let is_short = |text: &str| text.len() <= 65_535;
    let value = value.filter(|value| is_short(value));
    match identifier? {
        "payload-format-indicator" => match value? {
            "0" => out.push(Property::PayloadFormatIndicator(false)),
            "1" => out.push(Property::PayloadFormatIndicator(true)),
            _ => return None,
        },
        "content-type" => out.push(Property::ContentType(value?)),
        "response-topic" => out.push(Property::ResponseTopic(value?)),
        "correlation-data" => out.push(Property::CorrelationData(&from_hex(value?)?)),
        "user-property" => out.push(Property::UserProperty(name.filter(|name| is_short(name))?, value?)),
        // Not kept: the expiry of a message and the delay of a will have columns of their own.
        "message-expiry-interval" | "will-delay-interval" | "subscription-identifier" | "topic-alias" => out,
        _ => return None,
    };
    Some(())
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}
