//! Numbers in JSON, as Mosquitto's clients write them.

/// An integer without a point where it is one of 32 bits; else 15 digits where they come close enough, and 17.
pub(super) fn json(value: f64) -> String {
    if !value.is_finite() {
        return "null".to_owned();
    }
    if value.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value) {
        // No digit is lost: the value is an integer of 32 bits. -0 is 0.
        #[expect(clippy::cast_possible_truncation, reason = "checked in the line above")]
        return (value as i32).to_string();
    }
    let short = general(value, 15);
    let close = short.parse::<f64>().is_ok_and(|read| {
        let greater = read.abs().max(value.abs());
        (read - value).abs() <= greater * f64::EPSILON
    });
    if close { short } else { general(value, 17) }
}

/// As `printf` with `%.<digits>g`.
fn general(value: f64, digits: usize) -> String {
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let decimals = i32::try_from(digits).unwrap_or(i32::MAX) - 1 - exponent;
    match usize::try_from(decimals) {
        Ok(decimals) if exponent >= -4 => trimmed(&format!("{value:.decimals$}")).to_owned(),
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", trimmed(mantissa), exponent.unsigned_abs())
        }
    }
}

/// Without zeros behind the point, and without a point at the end.
fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_mosquitto_writes_them() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-2_147_483_648.0, "-2147483648"),
            (3e9, "3000000000"),
            (2.5, "2.5"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.33333333333333331"),
            // 15 digits are near enough.
            (0.1 + 0.2, "0.3"),
            (0.000_01, "1e-05"),
            (0.000_123, "0.000123"),
            (1e15, "1e+15"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e300, "1e+300"),
            (12_345_678_901_234_567_890.0, "1.2345678901234567e+19"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
        ] {
            assert_eq!(json(value), expected);
        }
    }
}
