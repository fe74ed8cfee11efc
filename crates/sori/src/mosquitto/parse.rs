//! From words to [`Options`]: files of options, then the command line, then what does not go together.

use std::ffi::OsString;
use std::io;

use super::Program;
use super::answer::{Answer, Value, wrong, wrong_briefly};
use super::flags::{FLAGS, Takes};
use super::options::Options;
use super::{options_file, property};

/// Reads everything that can say something. What the command line says comes last and so counts.
pub(super) fn parse(
    program: Program,
    arguments: &[OsString],
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Options, Answer> {
    let mut options = Options::new(program);
    let named = options_file::named(arguments)?;
    let was_named = named.is_some();
    if let Some(path) = named.or_else(|| options_file::by_default(program, environment)) {
        match options_file::read(&path)? {
            Ok(lines) => lines.iter().try_for_each(|line| apply(&mut options, line))?,
            Err(error) if !was_named && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                options.warning = Some(format!("Warning: The options file {} is not read: {error}.", path.display()));
            }
        }
    }
    apply(&mut options, arguments)?;
    check(&mut options)?;
    Ok(options)
}

fn apply(options: &mut Options, words: &[OsString]) -> Result<(), Answer> {
    let mut rest = words;
    while let [word, behind @ ..] = rest {
        let name = word.to_str().unwrap_or_default();
        let flag = FLAGS.iter().find(|flag| flag.belongs_to(options.program) && flag.is_called(name));
        let Some(flag) = flag else {
            return wrong_briefly(format!("Unknown option '{}'.", Value(word).shown()));
        };
        let taken = match &flag.takes {
            Takes::Nothing(set) => {
                set(options)?;
                0
            }
            Takes::Value { missing, set, .. } => {
                let [value, ..] = behind else {
                    return wrong(format!("{} argument given but {missing}.", flag.name()));
                };
                set(options, Value(value))?;
                1
            }
            Takes::Property => property::apply(options, behind)?,
            Takes::OptionsFile => 1,
        };
        rest = behind.get(taken..).unwrap_or_default();
    }
    Ok(())
}

/// What each flag for itself could not know.
fn check(options: &mut Options) -> Result<(), Answer> {
    let Options { will, tls, connection, .. } = options;
    if will.topic.is_none() {
        if will.payload.is_some() {
            return wrong_briefly("Will payload given, but no will topic given.");
        }
        if will.retain {
            return wrong_briefly("Will retain given, but no will topic given.");
        }
    }
    if tls.certificate.is_some() != tls.key.is_some() {
        return wrong_briefly("Both certfile and keyfile must be provided if one of them is set.");
    }
    if tls.key_form.is_some() && tls.key.is_none() {
        return wrong_briefly("If keyform is set, keyfile must be also specified.");
    }
    if tls.engine_password_hash.is_some() && (tls.key_form.is_none() || tls.engine.is_none()) {
        return wrong_briefly("when using tls-engine-kpass-sha1, both tls-engine and keyform must also be provided.");
    }
    if tls.psk.is_some() {
        if tls.ca_file.is_some() || tls.ca_path.is_some() {
            return wrong_briefly("Only one of --psk or --cafile/--capath may be used at once.");
        }
        if tls.psk_identity.is_none() {
            return wrong_briefly("--psk-identity required if --psk used.");
        }
    }
    let has_own_id = options.id.is_some();
    if options.version.is_v5() {
        let by_default = if connection.clean_start { 0 } else { u32::MAX };
        let expiry = options.session_expiry_interval.unwrap_or(by_default);
        if expiry == u32::MAX && !has_own_id {
            return wrong_briefly("You must provide a client id if you are using an infinite session expiry interval.");
        }
        connection.session_expiry_interval = expiry;
    } else if !connection.clean_start && !has_own_id {
        return wrong_briefly("You must provide a client id if you are using the -c option.");
    }
    if options.program == Program::Sub {
        if options.topics.is_empty() && options.unsubscribe.is_empty() {
            return wrong_briefly("You must specify a topic to subscribe to (-t) or unsubscribe from (-U).");
        }
        if options.skip_retained && options.retained_only {
            return wrong_briefly("Combining '-R' and '--retained-only' makes no sense.");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
