//! Giving up root: to the configured user, or to the numbers that a container was given in `PUID` and `PGID`.

use std::ffi::{CString, OsString};

use nix::unistd::{Gid, Uid, User, chown, getegid, geteuid, initgroups, setgid, setgroups, setuid};
use std::path::Path;

/// What decides whom the process becomes.
#[derive(Debug, Default)]
pub struct Wish {
    /// The configured user.
    pub user: Option<String>,
    /// Whether `user` is only Mosquitto's default, for which `nobody` may stand in.
    pub user_is_default: bool,
    /// The environment variable `PUID`.
    pub puid: Option<OsString>,
    /// The environment variable `PGID`.
    pub pgid: Option<OsString>,
}

/// Whom the process becomes.
#[derive(Debug, PartialEq, Eq)]
enum Becomes {
    Itself,
    Numbers { uid: Option<Uid>, gid: Option<Gid> },
    Named { name: String, uid: Uid, gid: Gid },
}

/// Something to log once there is a log.
#[derive(Debug, PartialEq, Eq)]
pub struct Warning(pub String);

/// This process may become anybody.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Becomes whom the wish asks for. Only root can; anyone else stays who they are.
pub fn give_up(wish: &Wish) -> Result<Vec<Warning>, String> {
    let mut warnings = Vec::new();
    if is_root() {
        become_user(decide(wish, &look_up, &mut warnings)?)?;
    }
    Ok(warnings)
}

/// Looks whether root could become whom the wish asks for.
pub fn examine(wish: &Wish) -> Result<Vec<Warning>, String> {
    let mut warnings = Vec::new();
    decide(wish, &look_up, &mut warnings).map(|_| warnings)
}

/// For who has kept what root may do.
pub fn still_root() -> Option<Warning> {
    let is_so = is_root() || getegid().as_raw() == 0;
    is_so.then(|| Warning("The broker should not be run as root.".to_owned()))
}

/// Makes a directory of root's that of whom the wish asks for, who could not have made it.
pub fn hand_over(directory: &Path, wish: &Wish) -> Result<(), String> {
    if !geteuid().is_root() {
        return Ok(());
    }
    // What there is to warn of is told when the wish is fulfilled.
    let (uid, gid) = match decide(wish, &look_up, &mut Vec::new())? {
        Becomes::Itself => return Ok(()),
        Becomes::Numbers { uid, gid } => (uid, gid),
        Becomes::Named { uid, gid, .. } => (Some(uid), Some(gid)),
    };
    chown(directory, uid, gid).map_err(|error| format!("Unable to hand {} over: {error}.", directory.display()))
}

type LookUp<'a> = &'a dyn Fn(&str) -> Result<Option<(Uid, Gid)>, String>;

fn look_up(name: &str) -> Result<Option<(Uid, Gid)>, String> {
    match User::from_name(name) {
        Ok(user) => Ok(user.map(|user| (user.uid, user.gid))),
        Err(error) => Err(format!("Unable to look up the user '{name}': {error}.")),
    }
}

fn decide(wish: &Wish, look_up: LookUp<'_>, warnings: &mut Vec<Warning>) -> Result<Becomes, String> {
    if wish.puid.is_some() || wish.pgid.is_some() {
        // 0 means that nothing changes, as in Mosquitto's images.
        let uid = number("PUID", wish.puid.as_ref())?.map(Uid::from_raw);
        let gid = number("PGID", wish.pgid.as_ref())?.map(Gid::from_raw);
        return Ok(Becomes::Numbers { uid, gid });
    }
    let Some(name) = wish.user.as_deref().filter(|name| *name != "root") else { return Ok(Becomes::Itself) };
    if let Some((uid, gid)) = look_up(name)? {
        return Ok(Becomes::Named { name: name.to_owned(), uid, gid });
    }
    let missing = format!("Unable to drop privileges to '{name}' because this user does not exist.");
    if !wish.user_is_default {
        return Err(missing);
    }
    warnings.push(Warning(format!("{missing} Trying 'nobody' instead.")));
    let (uid, gid) = look_up("nobody")?.ok_or("Unable to drop privileges to 'nobody'.")?;
    Ok(Becomes::Named { name: "nobody".to_owned(), uid, gid })
}

fn number(variable: &str, value: Option<&OsString>) -> Result<Option<u32>, String> {
    let Some(value) = value else { return Ok(None) };
    let number = value.to_str().and_then(|text| text.parse::<i32>().ok()).and_then(|number| u32::try_from(number).ok());
    match number {
        Some(number) => Ok(Some(number).filter(|number| *number != 0)),
        None => Err(format!("{variable} not a valid ID '{}'", value.to_string_lossy())),
    }
}

/// Groups go first: once the user is given up, nothing else can be.
fn become_user(becomes: Becomes) -> Result<(), String> {
    let (groups, gid, uid) = match becomes {
        Becomes::Itself => return Ok(()),
        // Root's own further groups would stay otherwise.
        Becomes::Numbers { uid, gid } => (gid.map_or(Ok(()), |gid| setgroups(&[gid])), gid, uid),
        Becomes::Named { name, uid, gid } => {
            let name = CString::new(name).map_err(|_| "The user name holds a NUL.")?;
            (initgroups(&name, gid), Some(gid), Some(uid))
        }
    };
    let failed = |what: &str, error| format!("Error setting {what} whilst dropping privileges: {error}.");
    groups.map_err(|error| failed("groups", error))?;
    gid.map_or(Ok(()), setgid).map_err(|error| failed("gid", error))?;
    uid.map_or(Ok(()), setuid).map_err(|error| failed("uid", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(name: &str) -> Result<Option<(Uid, Gid)>, String> {
        let id = match name {
            "nobody" => 65_534,
            "mqtt" => 1883,
            _ => return Ok(None),
        };
        Ok(Some((Uid::from_raw(id), Gid::from_raw(id))))
    }

    fn decided(wish: &Wish) -> Result<Becomes, String> {
        decide(wish, &users, &mut Vec::new())
    }

    fn named(name: &str, id: u32) -> Result<Becomes, String> {
        Ok(Becomes::Named { name: name.to_owned(), uid: Uid::from_raw(id), gid: Gid::from_raw(id) })
    }

    #[test]
    fn without_a_user_nothing_changes() {
        assert_eq!(decided(&Wish::default()), Ok(Becomes::Itself));
        assert_eq!(decided(&Wish { user: Some("root".into()), ..Wish::default() }), Ok(Becomes::Itself));
    }

    #[test]
    fn the_configured_user_must_exist() {
        assert_eq!(decided(&Wish { user: Some("mqtt".into()), ..Wish::default() }), named("mqtt", 1883));
        assert!(decided(&Wish { user: Some("ghost".into()), ..Wish::default() }).is_err());
    }

    #[test]
    fn nobody_stands_in_for_the_default_user() {
        let wish = Wish { user: Some("mosquitto".into()), user_is_default: true, ..Wish::default() };
        let mut warnings = Vec::new();
        assert_eq!(decide(&wish, &users, &mut warnings), named("nobody", 65_534));
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn the_numbers_of_the_environment_win() {
        let wish = |puid: &str, pgid: &str| Wish {
            user: Some("mqtt".into()),
            puid: Some(puid.into()),
            pgid: Some(pgid.into()),
            ..Wish::default()
        };
        let numbers = |uid: u32, gid: u32| {
            let (uid, gid) = (Some(uid).filter(|id| *id > 0), Some(gid).filter(|id| *id > 0));
            Ok(Becomes::Numbers { uid: uid.map(Uid::from_raw), gid: gid.map(Gid::from_raw) })
        };
        assert_eq!(decided(&wish("1000", "1001")), numbers(1000, 1001));
        assert_eq!(decided(&wish("0", "1001")), numbers(0, 1001));
        for bad in ["", "x", "-1", "2147483648", "1 "] {
            assert!(decided(&wish(bad, "1")).is_err(), "{bad}");
            assert!(decided(&wish("1", bad)).is_err(), "{bad}");
        }
    }
}
