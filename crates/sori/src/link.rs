//! `sori link`: the names of Mosquitto's programs, as links to this one.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::failure::Failure;
use crate::names::NAMES;

const EXAMPLES: &str = "\
Examples:
  sori link /usr/local/bin            mosquitto, mosquitto_pub, ... are sori from now on
  sori link --force /usr/bin          also where Mosquitto is installed; its programs are gone then

Under one of these names the program takes the arguments of Mosquitto's, and ends as that does.";

#[derive(Args, Debug)]
#[command(disable_help_flag = true, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Put links in the place of what has such a name already
    #[arg(long)]
    force: bool,
    /// The folder for the links
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let directory = &arguments.directory;
    let program = std::env::current_exe().map_err(|error| Failure::new(format!("where is this program? {error}")))?;
    if !directory.is_dir() {
        return Err(Failure::new(format!("{} is no folder", directory.display())));
    }
    let paths: Vec<PathBuf> = NAMES.iter().map(|name| directory.join(name.name)).collect();
    // All of them or none: half a set would be a mix of two brokers' programs.
    let taken: Vec<String> = paths
        .iter()
        .filter(|path| fs::symlink_metadata(path).is_ok() && !is_link_to(path, &program))
        .map(|path| path.display().to_string())
        .collect();
    if !taken.is_empty() && !arguments.force {
        let text = format!("{} is there already; --force replaces it, and nothing was done", taken.join(", "));
        return Err(Failure::new(text));
    }
    for path in &paths {
        put(path, &program).map_err(|error| Failure::new(format!("{} cannot be made: {error}", path.display())))?;
        println!("{} -> {}", path.display(), program.display());
    }
    Ok(())
}

fn is_link_to(path: &Path, program: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target == program)
}

/// The link takes the name in one step, so that whoever starts the program meanwhile finds one.
fn put(path: &Path, program: &Path) -> io::Result<()> {
    let new = path.with_extension(format!("new.{}", std::process::id()));
    symlink(program, &new)?;
    fs::rename(&new, path).inspect_err(|_| drop(fs::remove_file(&new)))
}
