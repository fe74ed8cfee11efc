//! `sori reload`: have a running broker read its configuration again, and tell what came of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sori_server::config::effective::{Change, changes, effective, values};
use sori_server::process::pid_file;
use sori_server::running::{self, Running};

use crate::failure::Failure;

#[derive(clap::Args)]
#[command(disable_help_flag = true, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// The file that the broker was started with; its pid_file tells which process it is
    #[arg(short = 'c', long = "config-file", value_name = "FILE")]
    config_files: Vec<PathBuf>,
    /// The process id of the broker
    #[arg(short = 'p', long, value_name = "PID")]
    pid: Option<u32>,
    /// Change nothing, and tell what a reload would change
    #[arg(long)]
    dry_run: bool,
}

const AFTER_HELP: &str = "\
Everything of the new configuration is taken over, or nothing: with a mistake in it, or with a port that cannot be
opened, the broker goes on as it was. Without -c and -p, the broker must be the only one that can be seen.

The exit status is 0 when the reload was applied, and 3 when it was refused or the file has mistakes.";

/// The exit status of a configuration with errors, as of a start with it.
const REFUSED: u8 = 3;
/// How long the broker may take. It may have many thousands of rules to read.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (pid, before) = find(arguments)?;
    if arguments.dry_run {
        return dry_run(arguments, pid, before);
    }
    let target = i32::try_from(pid).map_err(|_| Failure::new(format!("there is no process {pid}")))?;
    kill(Pid::from_raw(target), Signal::SIGHUP)
        .map_err(|error| Failure::new(format!("the broker (process {pid}) cannot be told to reload: {error}")))?;
    let Some(before) = before else {
        println!("Process {pid} was told to reload. We may not look at it; its log tells what came of it.");
        return Ok(ExitCode::SUCCESS);
    };
    let after = wait(pid, before.reloads)?;
    for remark in &after.remarks {
        println!("{remark}");
    }
    if after.was_refused {
        println!("The reload was refused: the broker goes on as it was.");
        return Ok(ExitCode::from(REFUSED));
    }
    println!("The broker (process {pid}) has reloaded its configuration.");
    Ok(ExitCode::SUCCESS)
}

/// The broker that is meant, and what it says; `None` when we may not look at it.
fn find(arguments: &Arguments) -> Result<(u32, Option<Running>), Failure> {
    let named = match arguments.pid {
        Some(pid) => Some(pid),
        None => by_pid_file(&arguments.config_files)?,
    };
    if let Some(pid) = named {
        return match running::of_process(pid) {
            Ok(Some(running)) => Ok((pid, Some(running))),
            Ok(None) => Err(Failure::new(format!("process {pid} is no broker of this program"))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(Failure::new(format!("there is no process {pid}: is the broker running?")))
            }
            Err(_) => Ok((pid, None)),
        };
    }
    let files = absolute(&arguments.config_files);
    let mut all = running::all();
    all.retain(|(_, running)| files.is_empty() || absolute(&running.files) == files);
    match all.len() {
        0 => Err(Failure::new("no broker can be seen: is it running, and as this user? -p names its process")),
        1 => {
            let (pid, running) = all.remove(0);
            Ok((pid, Some(running)))
        }
        _ => {
            let pids: Vec<String> = all.iter().map(|(pid, _)| pid.to_string()).collect();
            Err(Failure::new(format!("several brokers are running ({}): name one with -p", pids.join(", "))))
        }
    }
}

fn absolute(files: &[PathBuf]) -> Vec<PathBuf> {
    files.iter().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone())).collect()
}

/// Only the `pid_file` of the files is looked at: mistakes elsewhere are the broker's to tell.
fn by_pid_file(files: &[PathBuf]) -> Result<Option<u32>, Failure> {
    let Some(path) = sori_server::config::pid_file(files) else { return Ok(None) };
    match pid_file::running(&path).and_then(|pid| u32::try_from(pid.as_raw()).ok()) {
        Some(pid) => Ok(Some(pid)),
        None => Err(Failure::new(format!("{} names no process: is the broker running?", path.display()))),
    }
}

fn wait(pid: u32, reloads: u64) -> Result<Running, Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        match running::of_process(pid) {
            Ok(Some(running)) if running.reloads > reloads => return Ok(running),
            Err(_) => return Err(Failure::new(format!("the broker (process {pid}) has ended"))),
            _ if Instant::now() > until => {
                let text = format!("the broker (process {pid}) has not answered within {} s", PATIENCE.as_secs());
                return Err(Failure::new(text));
            }
            _ => std::thread::sleep(PAUSE),
        }
    }
}

/// What would change, from what the broker has now to what the files say now.
fn dry_run(arguments: &Arguments, pid: u32, running: Option<Running>) -> Result<ExitCode, Failure> {
    let Some(running) = running else {
        return Err(Failure::new(format!(
            "what process {pid} has now cannot be seen: run this as root or as its user"
        )));
    };
    let files = if arguments.config_files.is_empty() { &running.files } else { &arguments.config_files };
    let loaded = match running.load(files) {
        Ok(loaded) => loaded,
        Err(remarks) => {
            for remark in remarks {
                println!("{remark}");
            }
            println!("A reload would be refused, and change nothing.");
            return Ok(ExitCode::from(REFUSED));
        }
    };
    for remark in &loaded.remarks {
        println!("{remark}");
    }
    let changes = changes(&running.values, &values(&effective(&loaded)));
    for change in &changes {
        println!("{}", mark(change));
    }
    match changes.len() {
        0 => println!("A reload would change no setting. Files that the settings name are read again."),
        1 => println!("A reload would change one setting."),
        count => println!("A reload would change {count} settings."),
    }
    Ok(ExitCode::SUCCESS)
}

/// As in a diff: what comes, what goes, what is different.
fn mark(change: &Change) -> String {
    let mark = match (&change.before, &change.after) {
        (None, _) => '+',
        (_, None) => '-',
        _ => '~',
    };
    format!("{mark} {change}")
}
