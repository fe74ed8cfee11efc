//! The environment variable `UMASK_SET`, with which containers choose who may read the files that are made.

use std::ffi::OsStr;

use nix::sys::stat::{Mode, umask};

/// Sets the mask that the variable holds, an octal number up to 777.
pub fn apply(value: &OsStr) -> Result<(), String> {
    umask(parse(value)?);
    Ok(())
}

fn parse(value: &OsStr) -> Result<Mode, String> {
    let number =
        value.to_str().filter(|text| !text.starts_with('+')).and_then(|text| u32::from_str_radix(text, 8).ok());
    let number = number.ok_or("UMASK_SET environment variable not a valid octal number.")?;
    if number > 0o777 {
        return Err("UMASK_SET environment variable out of range.".to_owned());
    }
    Ok(Mode::from_bits_truncate(number as nix::libc::mode_t))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_octal() {
        assert_eq!(parse(OsStr::new("0027")), Ok(Mode::from_bits_truncate(0o027)));
        assert_eq!(parse(OsStr::new("777")), Ok(Mode::from_bits_truncate(0o777)));
        for bad in ["", "8", "-1", "+7", "1000", "0x1f", "77777777777777"] {
            assert!(parse(OsStr::new(bad)).is_err(), "{bad}");
        }
    }
}
