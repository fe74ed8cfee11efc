//! `sori certs`: certificates for TLS without the openssl commands: an authority of one's own, servers, clients, renewal.
//!
//! [`Authority`] is the key and the certificate that sign all others, two files in one folder. [`request`] says what goes
//! into a certificate, [`certificate`] reads one again, and [`files`] writes keys so that nobody else can read them and
//! never over what is there.
//!
//! All keys are ECDSA on P-256 (RFC 5480), which every TLS library of a device knows. The time is an argument
//! everywhere, in seconds since 1970.

mod authority;
mod certificate;
mod files;
mod request;
mod show;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use rcgen::SubjectPublicKeyInfo;

use crate::failure::Failure;
use authority::{Authority, new_key};
use certificate::{Certificate, Kind};
use request::{Lifetime, Request};

const EXAMPLES: &str = "\
Examples:
  sori certs ca                                        once: ca.crt and ca.key
  sori certs server broker.lan 192.168.1.5             server.crt and server.key
  sori certs client sensor-7                           sensor-7.crt and sensor-7.key
  sori certs renew server.crt                          the same key and names for as long again
  sori certs show *.crt                                whose they are, and until when

ca.crt goes to everybody, ca.key to nobody: whoever has it can be any server and any client. It may well be kept on another
machine than the broker's.";

#[derive(Args, Debug)]
#[command(disable_help_flag = true, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make an authority, which signs the certificates of servers and clients
    #[command(disable_help_flag = true)]
    Ca {
        /// Its name, which clients see in the certificate
        #[arg(long, default_value = "sori private CA")]
        name: String,
        /// Days until it ends
        #[arg(long, value_name = "N", default_value_t = 3650, value_parser = days)]
        days: i64,
        #[command(flatten)]
        place: Place,
    },
    /// Make a certificate for a server
    #[command(disable_help_flag = true)]
    Server {
        /// All names and addresses by which clients reach it, the first one first
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// The files are FILE.crt and FILE.key
        #[arg(long, value_name = "FILE", default_value = "server")]
        file: String,
        /// Days until it ends, but not after the authority does
        #[arg(long, value_name = "N", default_value_t = 825, value_parser = days)]
        days: i64,
        #[command(flatten)]
        place: Place,
    },
    /// Make a certificate for a client
    #[command(disable_help_flag = true)]
    Client {
        /// Its name, which `use_identity_as_username` makes its user name
        name: String,
        /// The files are FILE.crt and FILE.key; without it, they are called as the client
        #[arg(long, value_name = "FILE")]
        file: Option<String>,
        /// Days until it ends, but not after the authority does
        #[arg(long, value_name = "N", default_value_t = 825, value_parser = days)]
        days: i64,
        #[command(flatten)]
        place: Place,
    },
    /// Make a certificate anew: the same key and names, another end
    #[command(disable_help_flag = true)]
    Renew {
        /// The certificate; as it was, it stays beside the new one in FILE.old
        file: PathBuf,
        /// Days until it ends; without it, as many as the old one had
        #[arg(long, value_name = "N", value_parser = days)]
        days: Option<i64>,
        /// The folder of ca.crt and ca.key; without it, that of the certificate
        #[arg(short = 'd', long, value_name = "DIR")]
        directory: Option<PathBuf>,
    },
    /// Say whose certificates these are, for which names, and until when
    #[command(disable_help_flag = true, after_help = "Exit status:\n  0 all are good, 1 one is over, or soon will be")]
    Show {
        /// Files of certificates in PEM
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Warn of those that end in so many days
        #[arg(long, value_name = "N", default_value_t = 30, value_parser = days)]
        warn: i64,
    },
}

#[derive(Args, Debug)]
struct Place {
    /// The folder of ca.crt and ca.key, and for the new files
    #[arg(short = 'd', long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Write over files that are there
    #[arg(long)]
    force: bool,
}

/// A century, or what is left of a day.
fn days(text: &str) -> Result<i64, String> {
    let days: Option<i64> = text.parse().ok();
    days.filter(|days| (1..=36_500).contains(days)).ok_or_else(|| "days are a number from 1 to 36500".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    match &arguments.command {
        Command::Ca { name, days, place } => ca(name, Lifetime::days(now, *days), place),
        Command::Server { names, file, days, place } => {
            let request = Request::server(names)?;
            let made = sign(&request, file, Lifetime::days(now, *days), place)?;
            server_text(names, &made);
            Ok(())
        }
        Command::Client { name, file, days, place } => {
            let request = Request::client(name)?;
            let made = sign(&request, file.as_deref().unwrap_or(name), Lifetime::days(now, *days), place)?;
            client_text(&made);
            Ok(())
        }
        Command::Renew { file, days, directory } => renew(file, *days, directory.as_deref(), now),
        Command::Show { files, warn } => show::run(files, *warn, now),
    }
}

fn ca(name: &str, lifetime: Lifetime, place: &Place) -> Result<(), Failure> {
    let files = files::Pair::new(&place.directory, "ca")?;
    files.must_be_free(place.force)?;
    let (certificate, key) = Authority::make(name, lifetime)?;
    files.write(&certificate, &key, place.force)?;
    println!(
        "{} is the authority, until {}. Copy it to every client.",
        files.certificate.display(),
        lifetime.end_day()
    );
    println!("{} signs for it: keep it secret, and keep a copy.\n", files.key.display());
    println!("Next: sori certs server <name or address of this machine>");
    Ok(())
}

/// What a server or a client has got.
struct Made {
    files: files::Pair,
    authority: PathBuf,
}

fn sign(request: &Request, name: &str, lifetime: Lifetime, place: &Place) -> Result<Made, Failure> {
    let files = files::Pair::new(&place.directory, name)?;
    files.must_be_free(place.force)?;
    let authority = Authority::open(&place.directory, lifetime.begin)?;
    let lifetime = lifetime.within(authority.end);
    let key = new_key()?;
    let certificate = authority.sign(request, &key, lifetime)?;
    files.write(&certificate, &key.serialize_pem(), place.force)?;
    println!("{} is good until {}.", files.certificate.display(), lifetime.end_day());
    println!("{} is its key, which only you can read.\n", files.key.display());
    Ok(Made { files, authority: authority.file })
}

fn server_text(names: &[String], made: &Made) {
    let first = names.first().map_or("localhost", String::as_str).replace('*', "broker");
    println!("mosquitto.conf:\n");
    println!("  listener 8883");
    println!("  certfile {}", absolute(&made.files.certificate));
    println!("  keyfile {}\n", absolute(&made.files.key));
    println!(
        "The broker's user must be able to read both: chown them to it. Clients need the authority; many take it as\n"
    );
    println!("  -h {first} -p 8883 --cafile {}", made.authority.display());
}

fn client_text(made: &Made) {
    println!("mosquitto.conf, below the listener that has a certfile:\n");
    println!("  cafile {}", absolute(&made.authority));
    println!("  require_certificate true");
    println!("  use_identity_as_username true\n");
    println!("The client gets three files; many clients take them as\n");
    let (certificate, key) = (made.files.certificate.display(), made.files.key.display());
    println!("  -h <broker> -p 8883 --cafile {} --cert {certificate} --key {key}", made.authority.display());
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

fn renew(file: &Path, days: Option<i64>, directory: Option<&Path>, now: i64) -> Result<(), Failure> {
    let old = Certificate::read_one(file)?;
    let lifetime = days.map_or_else(|| Lifetime::as_long_as(now, &old), |days| Lifetime::days(now, days));
    let request = Request::again(&old).map_err(|why| unlike(file, &why))?;
    let beside = file.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (pem, lifetime) = if old.kind == Kind::Authority {
        let key = authority::key_of(&old, &file.with_extension("key"))?;
        (authority::sign_oneself(&request, &key, lifetime)?, lifetime)
    } else {
        let authority = Authority::open(directory.unwrap_or(beside), now)?;
        if !authority.has_signed(&old) {
            let (authority, issuer) = (authority.file.display(), &old.issuer);
            return Err(unlike(file, &format!("it was signed by '{issuer}' and not by {authority}")));
        }
        let lifetime = lifetime.within(authority.end);
        let key = SubjectPublicKeyInfo::from_der(&old.public_key);
        let key = key.map_err(|error| unlike(file, &format!("keys like this one are not known here: {error}")))?;
        (authority.sign(&request, &key, lifetime)?, lifetime)
    };
    files::replace(file, &pem)?;
    println!("{} is good until {}, with the key that it had.", file.display(), lifetime.end_day());
    if old.kind == Kind::Authority {
        println!("Copy it to every client; what the old one has signed stays good with it.");
    } else {
        println!("`sori reload` has the broker take it.");
    }
    Ok(())
}

fn unlike(file: &Path, why: &str) -> Failure {
    Failure::new(format!("{} cannot be renewed: {why}", file.display()))
}
