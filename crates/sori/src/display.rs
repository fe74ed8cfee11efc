//! The options that say how messages are shown; `sub` and `rr` share them.

use clap::Args;

use crate::format::Format;
use crate::settings::{Form, Output};

/// Explained in the help of the commands that show messages.
pub(crate) const FORMATS: &str = "\
Formats (-F):
  text  the payload as it is (with -v: topic and payload)
  json  one object for each message; a payload that is no text is in payload_base64
  hex   the payload in hexadecimal
  Anything with a % is a format of its own: -F '%t %q %p', -F '@H:@M:@S %t %.2x'.
    %t topic      %p payload    %x %X hex      %b base64      %l length    %q QoS    %r retain
    %j %J JSON    %I ISO time   %U Unix time   %d %f payload as a binary number     %m packet identifier
    %A topic alias  %C content type  %D correlation data  %E expiry  %F payload format
    %P user properties  %R response topic  %S subscription identifier
    @x time of arrival by a letter of strftime, @N nanoseconds, \\n line break, %-20t %05l width";

#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct DisplayArguments {
    /// Print the topic before each message
    #[arg(short, long)]
    verbose: bool,
    /// text, json, hex, or a format such as '%t %p'; see below
    #[arg(short = 'F', long, value_name = "FORMAT", value_parser = form)]
    format: Option<Chosen>,
    /// JSON in many lines
    #[arg(long)]
    pretty: bool,
    /// No line break after a message
    #[arg(short = 'N', long)]
    no_newline: bool,
}

#[derive(Clone, Debug)]
enum Chosen {
    Text,
    Format(Format),
}

fn form(text: &str) -> Result<Chosen, String> {
    let language = match text {
        "text" => return Ok(Chosen::Text),
        "json" => "%B",
        "hex" => "%x",
        other if other.contains(['%', '@', '\\']) => other,
        _ => return Err("text, json, hex, or a format with a %, as in '%t %p'".to_owned()),
    };
    Format::new(language).map(Chosen::Format).map_err(|error| error.to_string())
}

impl DisplayArguments {
    pub(crate) fn output(&self) -> Output {
        let form = match &self.format {
            Some(Chosen::Format(format)) => Form::Format(format.clone().with_pretty(self.pretty)),
            _ if self.verbose => Form::Verbose,
            _ => Form::Payload,
        };
        Output { form, no_newline: self.no_newline, watch: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_a_word_or_has_a_specifier() {
        assert!(matches!(form("text"), Ok(Chosen::Text)));
        for format in ["json", "hex", "%t", "@H", "\\n"] {
            assert!(matches!(form(format), Ok(Chosen::Format(_))), "{format}");
        }
        for format in ["xml", "", "%", "%Z"] {
            assert!(form(format).is_err(), "{format}");
        }
    }
}
