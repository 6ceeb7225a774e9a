//! What a bench is told by its environment, and what the system says of its process.

/// A number of the environment; in a trial run (`-- --test`) a small one.
pub(crate) fn setting(name: &str, default: u64, trial: u64) -> u64 {
    if is_trial() {
        return trial;
    }
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Whether the bench only shows that it runs.
pub(crate) fn is_trial() -> bool {
    std::env::args().any(|argument| argument == "--test")
}
