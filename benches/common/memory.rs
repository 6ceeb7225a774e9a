//! What the system says of the memory of this process.

/// Kilobytes of a line of `/proc/self/status`, `VmRSS` or `VmHWM`; 0 where there is none.
pub(crate) fn memory_kb(what: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text
        .lines()
        .find(|line| line.starts_with(what))
        .unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}
