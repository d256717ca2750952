//! What does this program take of the machine? Memory and processor time, where the system tells.

use std::fs;
use std::time::Instant;

/// Clock ticks a second in `/proc`: fixed in the kernel's interface to programs.
const TICKS: f64 = 100.0;

/// Bytes of memory that the program holds; `None` where the system does not tell (anything but Linux).
pub fn resident_bytes() -> Option<u64> {
    bytes_in("/proc/self/status", "VmRSS:")
}

/// The most bytes of memory that the program has held so far; `None` where the system does not tell.
pub fn peak_bytes() -> Option<u64> {
    bytes_in("/proc/self/status", "VmHWM:")
}

/// Bytes of memory that a program could still take without others being pushed out; `None` where the system does not tell
/// (anything but Linux).
pub fn available_bytes() -> Option<u64> {
    bytes_in("/proc/meminfo", "MemAvailable:")
}

/// Bytes of memory of this machine; `None` where the system does not tell (anything but Linux).
pub fn machine_bytes() -> Option<u64> {
    bytes_in("/proc/meminfo", "MemTotal:")
}

/// What a file of the kernel says behind a word, in kB.
fn bytes_in(path: &str, what: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(what))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Seconds of processor time that all threads have taken so far; `None` where the system does not tell.
pub fn processor_secs() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold spaces; user and system time are the 14th and 15th words of all.
    let mut words = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = words.next()?.parse().ok()?;
    let system: f64 = words.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

/// Tells how busy the program was between two looks.
#[derive(Debug, Clone, Default)]
pub struct Meter(Option<(Instant, f64)>);

impl Meter {
    /// Processor cores busy since the last look; `None` at the first one and where the system does not tell.
    pub fn busy_cores(&mut self) -> Option<f64> {
        let now = (Instant::now(), processor_secs()?);
        let (then, before) = self.0.replace(now)?;
        Some((now.1 - before) / (now.0 - then).as_secs_f64().max(1e-6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_and_time_are_told_and_rise_with_use() {
        let before = processor_secs().unwrap();
        assert!(available_bytes().unwrap() > 1 << 20);
        let block = vec![1_u8; 64 << 20];
        let resident = resident_bytes().unwrap();
        assert!(resident > 64 << 20 && peak_bytes().unwrap() >= resident);
        let mut meter = Meter::default();
        assert_eq!(meter.busy_cores(), None);
        let begun = Instant::now();
        let mut sum = 0_u64;
        while begun.elapsed().as_millis() < 60 {
            sum = block.iter().take(1 << 16).map(|byte| u64::from(*byte)).sum::<u64>() + sum % 7;
        }
        assert!(sum > 0 && processor_secs().unwrap() > before);
        assert!(meter.busy_cores().unwrap() > 0.0);
    }
}
