//! The rows of one table, a page at a time, so that a large database is not in memory twice.

use super::{ImportFault, Place, SECONDS_MAX, fault};
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row as _, Sqlite, SqliteConnection, Type};

/// How many rows are fetched at once.
const PAGE_ROWS: i64 = 256;

/// Hands every row of `table` to `take`, with `rowid` as column 0 and `columns` from column 1 on.
pub(super) async fn for_each_row(
    database: &mut SqliteConnection,
    table: &'static str,
    columns: &str,
    mut take: impl FnMut(&Row<'_>) -> Result<(), ImportFault>,
) -> Result<(), ImportFault> {
    let query = format!("SELECT rowid, {columns} FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT {PAGE_ROWS}");
    let mut last = i64::MIN;
    loop {
        let page = sqlx::query(&query).bind(last).fetch_all(&mut *database).await.map_err(fault)?;
        for row in &page {
            let row = Row::new(table, row)?;
            // SQLite believes the order of its tree. Where that is damaged, this loop would not end.
            if row.rowid <= last {
                return Err(row.fault("stands behind one with a greater number"));
            }
            last = row.rowid;
            take(&row)?;
        }
        if page.is_empty() {
            return Ok(());
        }
    }
}

/// One row and its name.
pub(super) struct Row<'r> {
    table: &'static str,
    pub(super) rowid: i64,
    row: &'r SqliteRow,
}

impl<'r> Row<'r> {
    fn new(table: &'static str, row: &'r SqliteRow) -> Result<Self, ImportFault> {
        let rowid = row.try_get_unchecked::<i64, _>(0).map_err(fault)?;
        Ok(Self { table, rowid, row })
    }

    pub(super) const fn place(&self) -> Place {
        Place::Row { table: self.table, rowid: self.rowid }
    }

    pub(super) fn fault(&self, what: &str) -> ImportFault {
        ImportFault::damaged(self.place(), what)
    }

    /// A value, or the default of its type for NULL.
    fn value<T: Decode<'r, Sqlite> + Type<Sqlite> + Default>(&self, column: usize) -> Result<T, ImportFault> {
        let value = self.row.try_get_unchecked::<Option<T>, _>(column);
        value.map(Option::unwrap_or_default).map_err(|error| self.fault(&error.to_string()))
    }

    pub(super) fn bytes(&self, column: usize) -> Result<&'r [u8], ImportFault> {
        self.value(column)
    }

    /// A number whose sign is of no importance.
    pub(super) fn number(&self, column: usize) -> Result<u64, ImportFault> {
        self.value::<i64>(column).map(i64::cast_unsigned)
    }

    /// A number of 32 bits, which is -1 where it should be the greatest.
    pub(super) fn unsigned(&self, column: usize) -> Result<u32, ImportFault> {
        let value = self.value::<i64>(column)?;
        let negative = || i32::try_from(value).map(i32::cast_unsigned);
        u32::try_from(value).or_else(|_| negative()).map_err(|_| self.fault(&format!("{value} is no 32-bit number")))
    }

    pub(super) fn small(&self, column: usize) -> Result<u8, ImportFault> {
        let value = self.value::<i64>(column)?;
        u8::try_from(value).map_err(|_| self.fault(&format!("{value} is no byte")))
    }

    pub(super) fn is_set(&self, column: usize) -> Result<bool, ImportFault> {
        self.value::<i64>(column).map(|value| value != 0)
    }

    /// A moment, 0 for none.
    pub(super) fn seconds(&self, column: usize) -> Result<Option<u64>, ImportFault> {
        match self.number(column)? {
            0 => Ok(None),
            seconds if seconds < SECONDS_MAX => Ok(Some(seconds)),
            _ => Err(self.fault("a time that is no time between 1970 and 9999")),
        }
    }
}
