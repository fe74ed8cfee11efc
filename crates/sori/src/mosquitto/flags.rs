//! The table of flags: one entry for each, from which the parser, the usage text and the tests come.

use std::path::PathBuf;
use std::time::Duration;

use sori_mqtt::{QoS, RetainHandling, TopicFilter, TopicName, Version};

use super::Program;
use super::answer::{Answer, Value, wrong, wrong_briefly};
use super::options::{Options, PayloadFrom};
use super::url;
use crate::format::Format;

/// One flag.
pub(super) struct Flag {
    pub(super) short: &'static str,
    pub(super) long: &'static str,
    /// The programs that have it, as letters: P, S, R.
    programs: &'static str,
    pub(super) takes: Takes,
    pub(super) help: &'static str,
}

/// What stands behind a flag, and what it does.
pub(super) enum Takes {
    Nothing(fn(&mut Options) -> Result<(), Answer>),
    Value {
        /// Its name in the usage text.
        name: &'static str,
        /// How an argument without its value is complained about: what stands behind `argument given but `.
        missing: &'static str,
        set: fn(&mut Options, Value<'_>) -> Result<(), Answer>,
    },
    /// `command property value`, or `publish user-property name value`.
    Property,
    /// A file of options. It was read before everything else.
    OptionsFile,
}

impl Flag {
    pub(super) fn belongs_to(&self, program: Program) -> bool {
        self.programs.contains(match program {
            Program::Pub => 'P',
            Program::Sub => 'S',
            Program::Rr => 'R',
        })
    }

    pub(super) fn is_called(&self, word: &str) -> bool {
        !word.is_empty() && (word == self.short || word == self.long)
    }

    /// The name in complaints: the short one, as Mosquitto's clients have it, but for one flag.
    pub(super) fn name(&self) -> &'static str {
        if self.short.is_empty() || self.short == "-V" { self.long } else { self.short }
    }
}

const fn switch(
    short: &'static str,
    long: &'static str,
    programs: &'static str,
    help: &'static str,
    set: fn(&mut Options) -> Result<(), Answer>,
) -> Flag {
    Flag { short, long, programs, takes: Takes::Nothing(set), help }
}

const fn value(
    (short, long): (&'static str, &'static str),
    programs: &'static str,
    (name, missing): (&'static str, &'static str),
    help: &'static str,
    set: fn(&mut Options, Value<'_>) -> Result<(), Answer>,
) -> Flag {
    Flag { short, long, programs, takes: Takes::Value { name, missing, set }, help }
}

/// Every flag, in the order of the usage text.
pub(super) const FLAGS: &[Flag] = &[
    // Where to connect.
    value(
        ("-h", "--host"),
        "PSR",
        ("host", "no host specified"),
        "the broker's name or address; localhost",
        |options, value| {
            options.host = Some(value.owned("-h")?);
            options.unix = None;
            Ok(())
        },
    ),
    value(
        ("-p", "--port"),
        "PSR",
        ("port", "no port specified"),
        "the broker's port; 1883, with TLS 8883",
        |options, value| {
            // 0 is for sockets of Unix, which nobody means by an empty variable.
            let port = value.number().filter(|_| !value.bytes().is_empty());
            let complaint = || wrong_briefly(format!("Invalid port given: {}", value.shown()));
            options.port = Some(port.map_or_else(complaint, Ok)?);
            Ok(())
        },
    ),
    value(
        ("-L", "--url"),
        "PSR",
        ("url", "no URL specified"),
        "host, port, user and topic in one: mqtt(s)://[user[:password]@]host[:port]/topic; ws(s)://... for WebSocket",
        |options, value| url::apply(options, value.text("-L")?),
    ),
    value(
        ("", "--unix"),
        "PSR",
        ("path", "no socket path specified"),
        "connect to a Unix socket instead of a host",
        |options, value| {
            options.unix = Some(PathBuf::from(value.0));
            Ok(())
        },
    ),
    switch("-S", "", "PSR", "ask the DNS for the servers of the host's domain (SRV records)", |options| {
        options.srv = true;
        Ok(())
    }),
    value(
        ("-A", ""),
        "PSR",
        ("address", "no address specified"),
        "the local address to connect from",
        |options, value| {
            options.connection.bind = Some(value.owned("-A")?);
            Ok(())
        },
    ),
    switch("", "--ws", "PSR", "connect by WebSocket", |options| {
        options.web_socket = true;
        Ok(())
    }),
    value(
        ("", "--proxy"),
        "PSR",
        ("url", "no proxy url specified"),
        "connect through a SOCKS5 proxy: socks5h://[user[:password]@]host[:port]",
        |options, value| {
            options.proxy = Some(url::proxy(value.text("--proxy")?)?);
            Ok(())
        },
    ),
    switch("", "--nodelay", "PSR", "send small packets at once (no Nagle's algorithm)", |options| {
        options.connection.no_delay = true;
        Ok(())
    }),
    // As whom.
    value(
        ("-i", "--id"),
        "PSR",
        ("id", "no id specified"),
        "client identifier; without it the broker chooses one",
        |options, value| {
            if options.id_prefix.is_some() {
                return wrong("-i and -I argument cannot be used together.");
            }
            options.id = Some(value.owned("-i")?);
            Ok(())
        },
    ),
    value(
        ("-I", "--id-prefix"),
        "PSR",
        ("prefix", "no id prefix specified"),
        "client identifier: this and the number of the process",
        |options, value| {
            if options.id.is_some() {
                return wrong("-i and -I argument cannot be used together.");
            }
            options.id_prefix = Some(value.owned("-I")?);
            Ok(())
        },
    ),
    value(("-u", "--username"), "PSR", ("name", "no username specified"), "user name", |options, value| {
        options.connection.user_name = Some(value.owned("-u")?);
        Ok(())
    }),
    value(
        ("-P", "--pw"),
        "PSR",
        ("password", "no password specified"),
        "password; others can see it in the list of processes, so better keep it in an options file",
        |options, value| {
            options.connection.password = Some(value.bytes().to_vec());
            Ok(())
        },
    ),
    value(
        ("-V", "--protocol-version"),
        "PSR",
        ("version", "no version specified"),
        "31, 311 or 5 (also mqttv31, mqttv311, mqttv5)",
        |options, value| {
            options.version = match value.0.to_str().map(str::trim) {
                Some("mqttv31" | "31") => Version::V31,
                Some("mqttv311" | "311") => Version::V311,
                Some("mqttv5" | "5") => Version::V5,
                _ => return wrong("Invalid protocol version argument given."),
            };
            Ok(())
        },
    ),
    value(
        ("-k", "--keepalive"),
        "PSR",
        ("seconds", "no keepalive specified"),
        "keep alive, 5 to 65535 seconds; 60",
        |options, value| {
            options.connection.keep_alive = value
                .number()
                .filter(|seconds| *seconds >= 5)
                .map_or_else(|| wrong("Invalid keepalive given, it must be between 5 and 65535 inclusive."), Ok)?;
            Ok(())
        },
    ),
    switch(
        "-c",
        "--disable-clean-session",
        "PSR",
        "keep the session for the next connection with this identifier",
        |options| {
            options.connection.clean_start = false;
            Ok(())
        },
    ),
    value(
        ("-x", ""),
        "PSR",
        ("seconds", "no session expiry interval specified"),
        "for how long the broker keeps the session; -1 or ∞ for ever; MQTT 5",
        |options, value| {
            options.session_expiry_interval = Some(session_expiry_interval(value)?);
            options.version = Version::V5;
            Ok(())
        },
    ),
    value(
        ("", "--will-topic"),
        "PSR",
        ("topic", "no will topic specified"),
        "topic of the message that the broker publishes when this client is lost",
        |options, value| {
            options.will.topic = Some(topic_name(value, "--will-topic", "will")?);
            Ok(())
        },
    ),
    value(("", "--will-payload"), "PSR", ("text", "no will payload specified"), "its payload", |options, value| {
        options.will.payload = Some(value.bytes().to_vec());
        Ok(())
    }),
    value(("", "--will-qos"), "PSR", ("qos", "no will QoS specified"), "its QoS", |options, value| {
        options.will.qos =
            qos(value).map_or_else(|| wrong(format!("Invalid will QoS {}.", value.shown_as_number())), Ok)?;
        Ok(())
    }),
    switch("", "--will-retain", "PSR", "the broker keeps it", |options| {
        options.will.retain = true;
        Ok(())
    }),
    // What to publish.
    value(
        ("-t", "--topic"),
        "PSR",
        ("topic", "no topic specified"),
        "topic; for mosquitto_sub a filter, and as many as you like",
        |options, value| add_topic(options, value, "-t"),
    ),
    value(
        ("-e", ""),
        "R",
        ("topic", "no response topic specified"),
        "the topic on which the response is expected",
        |options, value| {
            options.response_topic = Some(topic_name(value, "-e", "response")?);
            Ok(())
        },
    ),
    value(("-m", "--message"), "PR", ("text", "no message specified"), "send this", |options, value| {
        set_payload(options, PayloadFrom::Text(value.bytes().to_vec()))
    }),
    value(("-f", "--file"), "PR", ("file", "no file specified"), "send what is in this file", |options, value| {
        set_payload(options, PayloadFrom::File(PathBuf::from(value.0)))
    }),
    switch("-l", "--stdin-line", "P", "send each line of standard input", |options| {
        set_payload(options, PayloadFrom::StdinLines)
    }),
    switch("-s", "--stdin-file", "PR", "send all of standard input", |options| {
        set_payload(options, PayloadFrom::StdinWhole)
    }),
    switch("-n", "--null-message", "PR", "send an empty message", |options| set_payload(options, PayloadFrom::Nothing)),
    value(("-q", "--qos"), "PSR", ("qos", "no QoS specified"), "0, 1 or 2", |options, value| {
        options.qos =
            qos(value).map_or_else(|| wrong_briefly(format!("Invalid QoS given: {}", value.shown_as_number())), Ok)?;
        Ok(())
    }),
    switch("-r", "--retain", "P", "the broker keeps the message for later subscribers", |options| {
        options.retain = true;
        Ok(())
    }),
    value(
        ("", "--repeat"),
        "P",
        ("count", "no count specified"),
        "send the message so many times",
        |options, value| {
            options.repeat = positive(value).map_or_else(|| wrong("--repeat argument must be >0."), Ok)?;
            Ok(())
        },
    ),
    value(
        ("", "--repeat-delay"),
        "P",
        ("seconds", "no time specified"),
        "and wait so long between them",
        |options, value| {
            let seconds = value.decimal().filter(|seconds| (0.0..=1e9).contains(seconds));
            let seconds = seconds.map_or_else(|| wrong("--repeat-delay argument must be >=0.0."), Ok)?;
            options.repeat_delay = Duration::from_secs_f64(seconds);
            Ok(())
        },
    ),
    value(
        ("-M", ""),
        "PSR",
        ("count", "max_inflight not specified"),
        "so many messages of QoS 1 and 2 at a time; 20",
        |options, value| {
            let count = positive::<u32>(value);
            let count = count.map_or_else(|| wrong("Maximum inflight messages must be greater than 0."), Ok)?;
            options.connection.in_flight_max = u16::try_from(count).unwrap_or(u16::MAX);
            Ok(())
        },
    ),
    // What to show.
    value(
        ("-T", "--filter-out"),
        "S",
        ("filter", "no topic filter specified"),
        "do not show messages on these topics; as many as you like",
        |options, value| {
            options.filter_out.push(topic_filter(value, "-T", "filter")?);
            Ok(())
        },
    ),
    value(
        ("-U", "--unsubscribe"),
        "S",
        ("filter", "no unsubscribe topic specified"),
        "unsubscribe from this; as many as you like",
        |options, value| {
            options.unsubscribe.push(topic_filter(value, "-U", "unsubscribe")?);
            Ok(())
        },
    ),
    switch("-v", "--verbose", "SR", "show the topic before the payload", |options| {
        options.verbose = true;
        Ok(())
    }),
    value(("-F", ""), "SR", ("format", "no format specified"), "how to show a message; see below", |options, value| {
        let format = Format::new(value.text("-F")?);
        options.format = Some(format.or_else(|error| wrong_briefly(error.to_string()))?);
        Ok(())
    }),
    switch("", "--pretty", "SR", "%j and %J in many lines", |options| {
        options.pretty = true;
        Ok(())
    }),
    switch("-N", "", "SR", "no line break after a message", |options| {
        options.no_newline = true;
        Ok(())
    }),
    switch("-w", "--watch", "S", "each topic keeps a line of the terminal to itself", |options| {
        options.watch = true;
        Ok(())
    }),
    switch("", "--message-rate", "S", "show only how many messages come in each second", |options| {
        options.message_rate = true;
        Ok(())
    }),
    value(
        ("", "--random-filter"),
        "S",
        ("percent", "no chance specified"),
        "show only so many of a hundred messages, 0.1 to 100",
        |options, value| {
            let percent = value.decimal().filter(|percent| (0.1..=100.0).contains(percent));
            let percent: f64 = percent.map_or_else(|| wrong("--random-filter chance must be between 0.1-100.0"), Ok)?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 1000 by the line above")]
            let per_mille = (percent * 10.0) as u16;
            options.per_mille = Some(per_mille);
            Ok(())
        },
    ),
    switch("-R", "", "SR", "do not show retained messages", |options| {
        options.skip_retained = true;
        options.retain_handling = RetainHandling::DoNotSend;
        Ok(())
    }),
    switch("", "--retained-only", "S", "show retained messages, and end with the first other one", |options| {
        options.retained_only = true;
        Ok(())
    }),
    switch(
        "",
        "--remove-retained",
        "S",
        "remove the retained messages that are shown from the broker; -T spares some",
        |options| {
            options.remove_retained = true;
            Ok(())
        },
    ),
    switch("", "--retain-as-published", "SR", "the retain flag comes as it was sent; MQTT 5", |options| {
        options.retain_as_published = true;
        Ok(())
    }),
    value(
        ("", "--retain-handling"),
        "SR",
        ("when", "no option specified"),
        "retained messages come always, new (for a new subscription only) or never; MQTT 5",
        |options, value| {
            options.retain_handling = match value.0.to_str().map(str::trim) {
                Some("always") => RetainHandling::SendAlways,
                Some("new") => RetainHandling::SendIfNew,
                Some("never") => RetainHandling::DoNotSend,
                _ => return wrong(format!("Unknown value '{}' for --retain-handling.", value.shown())),
            };
            Ok(())
        },
    ),
    // When to stop.
    value(("-C", ""), "S", ("count", "no count specified"), "end after so many messages", |options, value| {
        let count = positive(value);
        options.count =
            Some(count.map_or_else(|| wrong(format!("Invalid message count \"{}\".", value.shown_as_number())), Ok)?);
        Ok(())
    }),
    value(
        ("-W", ""),
        "SR",
        ("seconds", "no timeout specified"),
        "end after so many seconds, with status 27",
        |options, value| {
            let seconds = positive::<u32>(value);
            let seconds =
                seconds.map_or_else(|| wrong(format!("Invalid timeout \"{}\".", value.shown_as_number())), Ok)?;
            options.wait = Some(Duration::from_secs(seconds.into()));
            Ok(())
        },
    ),
    switch("-E", "", "S", "end as soon as the broker has answered the subscription", |options| {
        options.exit_after_subscribing = true;
        Ok(())
    }),
    switch("", "--latency", "R", "show how long the response took", |options| {
        options.latency = true;
        options.connection.no_delay = true;
        Ok(())
    }),
    Flag {
        short: "-D",
        long: "--property",
        programs: "PSR",
        takes: Takes::Property,
        help: "a property of MQTT 5: -D publish content-type text/plain, -D connect user-property name value",
    },
    // TLS.
    value(
        ("", "--cafile"),
        "PSR",
        ("file", "no file specified"),
        "certificates of those who may sign the broker's",
        |options, value| {
            options.tls.ca_file = Some(PathBuf::from(value.0));
            Ok(())
        },
    ),
    value(
        ("", "--capath"),
        "PSR",
        ("directory", "no directory specified"),
        "the same, each in a file of its own",
        |options, value| {
            options.tls.ca_path = Some(PathBuf::from(value.0));
            Ok(())
        },
    ),
    switch("", "--tls-use-os-certs", "PSR", "trust whom this machine trusts", |options| {
        options.tls.system_roots = true;
        Ok(())
    }),
    value(("", "--cert"), "PSR", ("file", "no file specified"), "this client's own certificate", |options, value| {
        options.tls.certificate = Some(PathBuf::from(value.0));
        Ok(())
    }),
    value(("", "--key"), "PSR", ("file", "no file specified"), "and its private key", |options, value| {
        options.tls.key = Some(PathBuf::from(value.0));
        Ok(())
    }),
    value(("", "--keyform"), "PSR", ("form", "no keyform specified"), "the key is a file: pem", |options, value| {
        options.tls.key_form = Some(value.owned("--keyform")?);
        Ok(())
    }),
    value(("", "--ciphers"), "PSR", ("ciphers", "no ciphers specified"), "cipher suites to offer", |options, value| {
        options.tls.ciphers = Some(value.owned("--ciphers")?);
        Ok(())
    }),
    value(("", "--tls-version"), "PSR", ("version", "no version specified"), "tlsv1.2 or tlsv1.3", |options, value| {
        options.tls.version = Some(value.owned("--tls-version")?);
        Ok(())
    }),
    value(
        ("", "--tls-alpn"),
        "PSR",
        ("protocol", "no protocol specified"),
        "the application protocol to ask for",
        |options, value| {
            options.tls.alpn = Some(value.owned("--tls-alpn")?);
            Ok(())
        },
    ),
    value(
        ("", "--tls-engine"),
        "PSR",
        ("engine", "no engine_id specified"),
        "an engine of OpenSSL; not possible here",
        |options, value| {
            options.tls.engine = Some(value.owned("--tls-engine")?);
            Ok(())
        },
    ),
    value(
        ("", "--tls-engine-kpass-sha1"),
        "PSR",
        ("hash", "no kpass sha1 specified"),
        "the hash of its password",
        |options, value| {
            options.tls.engine_password_hash = Some(value.owned("--tls-engine-kpass-sha1")?);
            Ok(())
        },
    ),
    value(
        ("", "--tls-keylog"),
        "PSR",
        ("file", "no file specified"),
        "write the secrets of the connection there, for Wireshark",
        |options, value| {
            options.tls.key_log = Some(PathBuf::from(value.0));
            Ok(())
        },
    ),
    switch(
        "",
        "--insecure",
        "PSR",
        "do not compare the broker's name with its certificate: whoever has any certificate of these CAs can read along",
        |options| {
            options.tls.insecure = true;
            Ok(())
        },
    ),
    switch("", "--no-tls", "PSR", "no TLS, whatever else is said", |options| {
        options.tls.off = true;
        Ok(())
    }),
    value(
        ("", "--psk"),
        "PSR",
        ("key", "no key specified"),
        "TLS with this shared key, in hexadecimal digits, instead of certificates",
        |options, value| {
            options.tls.psk = Some(value.owned("--psk")?);
            Ok(())
        },
    ),
    value(("", "--psk-identity"), "PSR", ("name", "no identity specified"), "whose key it is", |options, value| {
        options.tls.psk_identity = Some(value.owned("--psk-identity")?);
        Ok(())
    }),
    // Everything else.
    Flag {
        short: "-o",
        long: "",
        programs: "PSR",
        takes: Takes::OptionsFile,
        help: "read options from this file, one on each line",
    },
    switch("-d", "--debug", "PSR", "show each packet", |options| {
        options.debug = true;
        Ok(())
    }),
    switch("", "--quiet", "PSR", "no word about errors", |options| {
        options.quiet = true;
        Ok(())
    }),
    switch("", "--help", "PSR", "show this", |_| Err(Answer::Help)),
    switch("", "--version", "PSR", "show the version", |_| Err(Answer::Version)),
];

fn set_payload(options: &mut Options, payload: PayloadFrom) -> Result<(), Answer> {
    if options.payload.is_some() {
        return wrong("Only one type of message can be sent at once.");
    }
    options.payload = Some(payload);
    Ok(())
}

/// A topic to publish to, of which the last one counts, or one more filter to subscribe to.
pub(super) fn add_topic(options: &mut Options, value: Value<'_>, flag: &str) -> Result<(), Answer> {
    if options.program == Program::Sub {
        options.topics.push(topic_filter(value, flag, "subscription")?);
    } else {
        options.topics = vec![topic_name(value, flag, "publish")?];
    }
    Ok(())
}

fn topic_name(value: Value<'_>, flag: &str, kind: &str) -> Result<String, Answer> {
    let text = value.text(flag)?;
    match TopicName::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => wrong_briefly(format!("Invalid {kind} topic '{text}', does it contain '+' or '#'?")),
    }
}

fn topic_filter(value: Value<'_>, flag: &str, kind: &str) -> Result<String, Answer> {
    let text = value.text(flag)?;
    match TopicFilter::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => wrong_briefly(format!("Invalid {kind} topic '{text}', are all '+' and '#' wildcards correct?")),
    }
}

fn qos(value: Value<'_>) -> Option<QoS> {
    value.number().and_then(QoS::from_u8)
}

fn positive<T: TryFrom<i64> + Default + PartialOrd>(value: Value<'_>) -> Option<T> {
    value.number().filter(|number| *number > T::default())
}

fn session_expiry_interval(value: Value<'_>) -> Result<u32, Answer> {
    let text = value.shown();
    if text == "∞" {
        return Ok(u32::MAX);
    }
    let number: i64 = text.parse().map_or_else(|_| wrong("session-expiry-interval not a number."), Ok)?;
    match number {
        -1 => Ok(u32::MAX),
        _ => u32::try_from(number).map_or_else(|_| wrong("session-expiry-interval out of range."), Ok),
    }
}
