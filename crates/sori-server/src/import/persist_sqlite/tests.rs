//! Databases that a real broker wrote, changed ones, and damaged ones.

use super::block_on::block_on;
use crate::import::tests::{data, outline};
use crate::import::{ImportError, ImportFault, Imported, read};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

const PROPERTIES: &str = r#"PayloadFormatIndicator(true) ContentType("text/plain") ResponseTopic("answer/here") CorrelationData([0, 1, 255]) UserProperty("a", "1") UserProperty("a", "\"2\" ü")"#;

/// What `make.py` did to the broker.
fn expected_sessions() -> String {
    format!(
        r#"session reader of ann for ever last 5
  filter plain/# q2
  filter room/+/temp q1
  PUBLISH 1 dup q1: plain/1 "one" q1
  PUBLISH 2 dup q2: plain/2 "two" q2
  PUBREL 3 dup q2: plain/3 "three" q2
  queued q1: plain/4 "four" q1
  queued q2: plain/5 "five" q2
  queued q0: plain/0 "zero" q0
session other for ever last 1
  filter plain/4 q1
  queued q1: plain/4 "four" q1
session writer for ever
  incoming 77 state/held "not released" q2 retain
session reader5 of bob for 86400 last 3
  will after 7200 will/topic "gone" q1 retain ContentType("text/plain")
  filter five/# q1 no-local as-published identifier 17
  filter $share/group/work q1
  queued q1 retain identifier 17: five/properties "5" q1 retain expires {PROPERTIES}
  queued q1 identifier 17: five/plain "6" q1
  queued q1: work "7" q1
session never5 for ever
"#
    )
}

/// A folder of its own, which goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sori-import-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).expect("a new folder");
        Self(path)
    }

    fn with(names: &[&str]) -> Self {
        let folder = Self::new();
        for name in names {
            fs::copy(data(name), folder.0.join(name)).expect("room for a copy");
        }
        folder
    }

    /// Runs `action` and tells whether a file was made, removed or renamed in the folder meanwhile.
    fn is_left_alone_by<T>(&self, action: impl FnOnce() -> T) -> (bool, T) {
        let folder = fs::File::open(&self.0).expect("the folder is there");
        folder.set_modified(SystemTime::UNIX_EPOCH).expect("it is ours");
        let output = action();
        let modified = folder.metadata().and_then(|found| found.modified()).expect("it is still there");
        (modified == SystemTime::UNIX_EPOCH, output)
    }

    /// Every file in it, with its bytes.
    fn content(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(&self.0).expect("the folder is there").flatten().map(|entry| entry.path());
        let mut content: Vec<_> = entries.map(|path| (path.clone(), fs::read(path).unwrap_or_default())).collect();
        content.sort();
        content
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn import(database: &Path) -> Result<Imported, ImportError> {
    let scratch = Folder::new();
    let imported = read(database, &scratch.0);
    assert_eq!(scratch.content(), [], "nothing stays behind");
    imported
}

/// The database of a broker that was stopped, after these changes.
fn changed(sql: &str) -> Result<Imported, ImportError> {
    let folder = Folder::with(&["stopped.sqlite3"]);
    let path = folder.0.join("stopped.sqlite3");
    block_on(async {
        let mut database = SqliteConnectOptions::new().filename(&path).connect().await.expect("a database");
        sqlx::raw_sql(sql).execute(&mut database).await.expect("valid SQL");
        database.close().await.expect("all is written");
    });
    import(&path)
}

#[test]
fn the_database_of_a_broker_that_was_stopped() {
    let folder = Folder::with(&["stopped.sqlite3"]);
    let before = folder.content();
    let (left_alone, imported) = folder.is_left_alone_by(|| import(&folder.0.join("stopped.sqlite3")));
    let imported = imported.expect("Mosquitto's own file");
    assert!(left_alone, "no file is made beside it, not even for a moment");
    assert_eq!(
        outline(&imported),
        expected_sessions()
            + &format!("retained five/properties \"5\" q1 retain expires {PROPERTIES}\n")
            + "retained state/a \"on\" q1 retain\nretained state/b 256 bytes q0 retain\n"
            + "retained will/topic \"gone\" q1 retain ContentType(\"text/plain\")\n"
    );
    assert_eq!(folder.content(), before, "it is never written");
    let will = imported.sessions.iter().find_map(|session| session.will.as_ref()).expect("one will");
    let session = imported.sessions.iter().find(|session| session.will.is_some()).expect("the same");
    let (due, ends) = (will.due_at_unix_millis, session.ends_at_unix_millis);
    assert_eq!(ends.zip(due).map(|(ends, due)| ends - due), Some((86_400 - 7_200) * 1000));
}

/// Most of it is in the write-ahead log.
#[test]
fn the_database_of_a_broker_that_was_killed() {
    let folder = Folder::with(&["crashed.sqlite3", "crashed.sqlite3-wal"]);
    let before = folder.content();
    let (left_alone, imported) = folder.is_left_alone_by(|| import(&folder.0.join("crashed.sqlite3")));
    let imported = imported.expect("Mosquitto's own file");
    assert!(left_alone, "no file is made beside it, not even for a moment");
    assert_eq!(
        outline(&imported),
        expected_sessions()
            + &format!("retained five/properties \"5\" q1 retain expires {PROPERTIES}\n")
            + "retained state/a \"on\" q1 retain\nretained state/b 256 bytes q0 retain\n"
            + "will will/now \"crashed\" q0\n"
    );
    assert_eq!(folder.content(), before, "neither of the two is ever written");
}

#[test]
fn a_database_of_schema_1_0_has_no_wills() {
    let imported = changed("DROP TABLE wills; UPDATE version_info SET minor = 0").expect("it is in order");
    assert_eq!(imported.sessions.len(), 5);
    assert!(imported.sessions.iter().all(|session| session.will.is_none()));
}

#[test]
fn a_schema_that_is_not_known_is_refused() {
    for (sql, what) in [
        ("UPDATE version_info SET minor = 2", "its schema version is 1.2"),
        ("UPDATE version_info SET major = 2, minor = 0", "its schema version is 2.0"),
        ("DELETE FROM version_info", "does not tell the version"),
        ("DROP TABLE version_info", "not one of the plugin"),
        ("DROP TABLE base_msgs", "not one of the plugin"),
    ] {
        let error = changed(sql).expect_err(sql);
        assert!(matches!(error.fault(), ImportFault::Unsupported(_)), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn a_value_that_the_plugin_does_not_write_is_refused_with_its_row() {
    for (sql, what) in [
        ("UPDATE base_msgs SET qos = 3 WHERE rowid = 2", "row 2 of table base_msgs: QoS 3 does not exist"),
        ("UPDATE base_msgs SET expiry_time = -1 WHERE rowid = 2", "row 2 of table base_msgs: a time"),
        ("UPDATE base_msgs SET properties = '{' WHERE rowid = 2", "row 2 of table base_msgs: holds the property None"),
        (
            r#"UPDATE base_msgs SET properties = '[{"identifier":"reason-string","value":"x"}]' WHERE rowid = 2"#,
            "row 2 of table base_msgs: holds the property Some(\"reason-string\")",
        ),
        (
            r#"UPDATE base_msgs SET properties = '[{"identifier":"response-topic","value":"a/#"}]' WHERE rowid = 2"#,
            "row 2 of table base_msgs: protocol error: PUBLISH response topic",
        ),
        ("UPDATE client_msgs SET direction = 2 WHERE rowid = 3", "row 3 of table client_msgs: a message goes in"),
        ("UPDATE client_msgs SET state = 300 WHERE rowid = 3", "row 3 of table client_msgs: 300 is no byte"),
        (
            "UPDATE client_msgs SET state = 0 WHERE rowid = 3",
            "row 3 of table client_msgs: a delivery is in the state 0",
        ),
        ("UPDATE client_msgs SET mid = 65536 WHERE rowid = 3", "row 3 of table client_msgs: packet identifier 65536"),
        ("UPDATE clients SET session_expiry_interval = 1 << 40 WHERE rowid = 1", "row 1 of table clients"),
    ] {
        let error = changed(sql).expect_err(sql);
        assert!(error.to_string().contains(&format!("is damaged at {what}")), "{error}");
    }
    let error = changed("ALTER TABLE clients DROP COLUMN username").expect_err("a column is missing").to_string();
    assert!(error.contains("stopped.sqlite3: is damaged: ") && error.contains("no such column: username"), "{error}");
}

#[test]
fn what_does_not_fit_is_left_out() {
    let imported = changed(
        "INSERT INTO subscriptions VALUES ('nobody', 'x', 1, 0), ('never5', 'a#', 1, 0);
         INSERT INTO client_msgs (client_id, store_id, dup, direction, mid, qos, retain, state)
             VALUES ('never5', 1, 0, 1, 1, 1, 0, 11);
         UPDATE base_msgs SET topic = '007' WHERE topic = 'plain/1';
         UPDATE base_msgs SET topic = 'a/+' WHERE topic = 'plain/2';
         UPDATE wills SET topic = ''",
    )
    .expect("the rest is in order");
    let outline = outline(&imported);
    // SQLite has made a number of it, and Mosquitto would send the same.
    assert!(outline.contains("  PUBLISH 1 dup q1: 7 \"one\" q1\n  PUBREL 3"), "{outline}");
    for remark in [
        "entry of a client that has no session",
        "row 1 of table base_msgs: topic that SQLite has kept as a number",
        "row 2 of table base_msgs: message whose topic",
        "row 3 of table wills: will whose topic",
        "2 times, first at row 2 of table client_msgs: delivery of a message that Mosquitto did not save",
        "subscription whose filter",
    ] {
        assert!(outline.contains(remark), "{remark}: {outline}");
    }
}

/// NULL and other types come from brokers that were patched and from people who repaired a database by hand.
#[test]
fn a_missing_value_is_its_default() {
    let imported = changed(
        "UPDATE base_msgs SET payload = NULL, expiry_time = NULL, retain = NULL WHERE topic = 'plain/1';
         UPDATE base_msgs SET payload = 'text', qos = '1' WHERE topic = 'plain/4';
         UPDATE clients SET username = NULL, session_expiry_time = NULL;
         UPDATE subscriptions SET subscription_identifier = NULL",
    )
    .expect("it is in order");
    let outline = outline(&imported);
    assert!(outline.contains("session reader for ever"), "{outline}");
    assert!(outline.contains("PUBLISH 1 dup q1: plain/1 \"\" q1\n"), "{outline}");
    assert!(outline.contains("queued q1: plain/4 \"text\" q1\n"), "{outline}");
}

#[test]
fn many_rows_come_in_their_order() {
    let imported = changed(
        "WITH RECURSIVE n (i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 2999)
             INSERT INTO base_msgs SELECT i, 0, 'n/' || i, CAST(i AS BLOB), '', '', 4, 0, 0, 1, 0, NULL FROM n;
         INSERT INTO client_msgs SELECT 'never5', store_id, store_id, 0, 1, 0, 1, 0, 11, 0 FROM base_msgs
             WHERE topic LIKE 'n/%' ORDER BY store_id DESC",
    )
    .expect("it is in order");
    let session = imported.sessions.iter().find(|session| session.client_id == "never5").expect("it is there");
    let topics: Vec<_> = session.queued.iter().map(|delivery| delivery.message.topic.clone()).collect();
    assert_eq!(topics, (1000..3000).rev().map(|i| format!("n/{i}")).collect::<Vec<_>>());
}

#[test]
fn another_database_is_refused() {
    let folder = Folder::new();
    let path = folder.0.join("foreign");
    fs::write(&path, b"SQLite format 3\0").expect("room");
    let error = import(&path).expect_err("it is cut off").to_string();
    assert!(error.contains("is damaged: "), "{error}");
}

/// Samples: SQLite checks every page.
#[test]
fn a_damaged_database_is_an_error_or_another_value() {
    let folder = Folder::with(&["stopped.sqlite3"]);
    let path = folder.0.join("stopped.sqlite3");
    let bytes = fs::read(&path).expect("just written");
    let mut refused = 0;
    for byte in (16..bytes.len()).step_by(61) {
        let mut damaged = bytes.clone();
        damaged[byte] ^= 1 << (byte % 8);
        fs::write(&path, damaged).expect("room");
        refused += u32::from(import(&path).is_err());
    }
    // Without its own check of every page SQLite sees 41 of these 336.
    assert!(refused >= 45, "{refused} flipped bits were seen");
    assert!(refused > 10, "{refused} flipped bits were seen");
    for length in (17..bytes.len()).step_by(509) {
        fs::write(&path, &bytes[..length]).expect("room");
        import(&path).expect_err("it was cut off");
    }
}
