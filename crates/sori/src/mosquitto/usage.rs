//! `--help` and `--version`, made of the table of flags.

use super::flags::{FLAGS, Flag, Takes};
use super::{MOSQUITTO_VERSION, Program};
use crate::format::CONVERSIONS;

const WIDTH: usize = 96;

/// The first words tell scripts what they may expect; the program that runs is sori.
pub(super) fn version(program: Program) -> String {
    format!("{} version {MOSQUITTO_VERSION} running on sori {}.", program.name(), sori_server::VERSION)
}

/// The whole text of `--help`.
pub(super) fn usage(program: Program) -> String {
    let mut text = format!("{}\n{}\n\n", purpose(program), version(program));
    text.push_str(&synopsis(program));
    text.push('\n');
    for flag in FLAGS.iter().filter(|flag| flag.belongs_to(program)) {
        text.push_str(&entry(flag));
    }
    if program != Program::Pub {
        text.push_str("\nFormats (-F):\n");
        for conversion in CONVERSIONS {
            text.push_str(&format!("  %{}  {}\n", conversion.letter, conversion.help));
        }
        text.push_str("  @x  the time of arrival, where x is a letter of strftime: @H:@M:@S; @N for nanoseconds\n");
        text.push_str("  %[-][0][width][.precision]  as in printf; \\n \\t \\0 and so on are characters; %% and @@\n");
    }
    text.push_str(&format!("\nThe same with better texts: sori {} --help\n", own_name(program)));
    text
}

const fn purpose(program: Program) -> &'static str {
    match program {
        Program::Pub => "mosquitto_pub publishes messages to one topic of an MQTT broker.",
        Program::Sub => "mosquitto_sub subscribes to topics of an MQTT broker and shows the messages that come.",
        Program::Rr => "mosquitto_rr publishes a request to an MQTT broker and shows the response.",
    }
}

const fn own_name(program: Program) -> &'static str {
    match program {
        Program::Pub => "pub",
        Program::Sub => "sub",
        Program::Rr => "rr",
    }
}

fn synopsis(program: Program) -> String {
    let name = program.name();
    let mut lines = format!("Usage: {name}");
    let mut width = lines.len();
    for flag in FLAGS.iter().filter(|flag| flag.belongs_to(program)) {
        let word = format!("[{}]", with_value(first_name(flag), flag));
        if width + word.len() + 1 > WIDTH {
            lines.push_str(&format!("\n{:indent$}", "", indent = "Usage: ".len() + name.len()));
            width = "Usage: ".len() + name.len();
        }
        width += word.len() + 1;
        lines.push(' ');
        lines.push_str(&word);
    }
    lines.push('\n');
    lines
}

const fn first_name(flag: &Flag) -> &'static str {
    if flag.short.is_empty() { flag.long } else { flag.short }
}

fn with_value(name: &str, flag: &Flag) -> String {
    match flag.takes {
        Takes::Nothing(_) => name.to_owned(),
        Takes::Value { name: value, .. } => format!("{name} {value}"),
        Takes::Property => format!("{name} command property value"),
        Takes::OptionsFile => format!("{name} file"),
    }
}

fn entry(flag: &Flag) -> String {
    let names = match (flag.short, flag.long) {
        ("", long) => with_value(long, flag),
        (short, "") => with_value(short, flag),
        (short, long) => format!("{short}, {}", with_value(long, flag)),
    };
    format!("  {names}\n      {}\n", flag.help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_shows_every_flag_of_the_program_and_no_other() {
        for program in [Program::Pub, Program::Sub, Program::Rr] {
            let flags = FLAGS.iter().filter(|flag| flag.belongs_to(program)).count();
            let usage = usage(program);
            let entries = usage.lines().filter(|line| line.starts_with("  -")).count();
            assert_eq!(entries, flags, "{}", program.name());
            for flag in FLAGS {
                let shown = usage.contains(&entry(flag));
                assert_eq!(shown, flag.belongs_to(program), "{}", flag.name());
            }
            assert!(
                usage
                    .lines()
                    .filter(|line| line.starts_with("Usage") || line.contains("] ["))
                    .all(|line| line.len() <= WIDTH)
            );
        }
    }

    #[test]
    fn the_version_begins_as_scripts_expect() {
        assert!(version(Program::Sub).starts_with("mosquitto_sub version 2."));
    }
}
