//! What the machine, or the container, has.

use std::num::NonZeroU64;
use std::thread::available_parallelism;

use crate::config::Config;

/// Memory and processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Bytes of memory; the smaller of the machine's and the container's.
    pub memory_bytes: u64,
    /// Processors that may be used.
    pub processors: usize,
}

/// Assumed where the system does not say how much memory it has.
const UNKNOWN_MEMORY: u64 = 1024 * 1024 * 1024;

impl Machine {
    /// Asks the system.
    pub fn read() -> Machine {
        let machine = read("/proc/meminfo").and_then(|text| mem_total(&text));
        let container = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
            .into_iter()
            .find_map(|path| read(path).and_then(|text| text.trim().parse().ok()));
        let memory_bytes = machine.into_iter().chain(container).min().unwrap_or(UNKNOWN_MEMORY);
        Machine { memory_bytes, processors: available_parallelism().map_or(1, usize::from) }
    }

    /// Bytes that sessions and messages may occupy: what was configured, or half of the memory.
    pub fn memory_limit(&self, config: &Config) -> u64 {
        config.memory_limit.map_or(self.memory_bytes / 2, NonZeroU64::get)
    }

    /// Worker threads: what was configured, or one per processor.
    pub fn threads(&self, config: &Config) -> usize {
        config.threads.map_or(self.processors, |threads| usize::from(threads.get())).max(1)
    }
}

/// Bytes of memory that this process occupies now, from `/proc/self/statm`, for `heap/current` of the `$SYS` tree.
pub fn resident_bytes() -> Option<u64> {
    let pages = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten()?;
    resident(&read("/proc/self/statm")?, u64::try_from(pages).ok()?)
}

fn resident(statm: &str, page_bytes: u64) -> Option<u64> {
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(page_bytes)
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Defaults;

    #[test]
    fn the_files_of_linux_are_read() {
        assert_eq!(mem_total("MemTotal:       16318480 kB\nMemFree: 1 kB\n"), Some(16_318_480 * 1024));
        assert_eq!(mem_total("MemFree: 1 kB\n"), None);
        assert_eq!(resident("2000 300 200 1 0 100 0\n", 4096), Some(300 * 4096));
        assert_eq!(resident("", 4096), None);
        assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000));
        let machine = Machine::read();
        assert!(machine.memory_bytes > 1024 * 1024 && machine.processors >= 1);
    }

    #[test]
    fn zero_and_unset_mean_the_machines_own() {
        let machine = Machine { memory_bytes: 1000, processors: 4 };
        let mut config = Config::with_defaults(Defaults::Mosquitto);
        assert_eq!((machine.memory_limit(&config), machine.threads(&config)), (500, 4));
        config.memory_limit = NonZeroU64::new(7);
        config.threads = std::num::NonZeroU16::new(2);
        assert_eq!((machine.memory_limit(&config), machine.threads(&config)), (7, 2));
    }
}
