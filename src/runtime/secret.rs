//! Secrets: a wrapper that cannot be printed, and files that only their owner may touch.
//!
//! errors   a missing file, one that others may read or write, or one of the wrong size refuses the start
//! why      `GB/T 22239` 8.1.4.8 and 8.1.4.10: what is secret stays out of logs, and a key that others can read is no key

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A value that debug output and logs show as `***`. It has no `Display` and no `Serialize` on purpose.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Sensitive<T>(T);

impl<T> Sensitive<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself; each use is a place to look at in review.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a secret file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("secret file \"{}\" cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others than its owner may read or write it.
    #[error("secret file \"{}\" has mode {mode:04o}: others may touch it; run `chmod 600` on it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is too short or too long.
    #[error("secret file \"{}\" holds {found_bytes} bytes; expected {min_bytes} to {max_bytes}", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// How many bytes it holds, at most one above the limit.
        found_bytes: u64,
        /// The least it must hold.
        min_bytes: u64,
        /// The most it may hold.
        max_bytes: u64,
    },
}

/// Reads a file of `min_bytes..=max_bytes` that nobody but its owner may read or write.
pub fn read_secret(
    path: &Path,
    min_bytes: u64,
    max_bytes: u64,
) -> Result<Sensitive<Vec<u8>>, SecretError> {
    let unread = |source| SecretError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unread)?;
    // The permissions are those of the file that was opened, so that a swap in between changes nothing.
    check_mode(path, &file.metadata().map_err(unread)?)?;
    let mut bytes = Vec::new();
    let found_bytes = file
        .take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unread)?;
    let found_bytes = u64::try_from(found_bytes).unwrap_or(u64::MAX);
    if found_bytes < min_bytes || max_bytes < found_bytes {
        return Err(SecretError::Size {
            path: path.to_owned(),
            found_bytes,
            min_bytes,
            max_bytes,
        });
    }
    Ok(Sensitive::new(bytes))
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &std::fs::Metadata) -> Result<(), SecretError> {
    use std::os::unix::fs::MetadataExt;
    let mode = metadata.mode() & 0o7777;
    let for_others = mode & 0o077;
    if for_others == 0 {
        return Ok(());
    }
    Err(SecretError::Open {
        path: path.to_owned(),
        mode,
    })
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &std::fs::Metadata) -> Result<(), SecretError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("personal.key");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn is_never_printed() {
        let secret = Sensitive::new("fh_canary");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(*secret.expose(), "fh_canary");
    }

    #[test]
    fn only_the_owner_may_touch_the_file() {
        for mode in [0o600, 0o400] {
            let (_dir, path) = file("0123456789abcdef", mode);
            assert_eq!(read_secret(&path, 16, 64).unwrap().expose().len(), 16);
        }
        for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o601] {
            let (_dir, path) = file("0123456789abcdef", mode);
            let error = read_secret(&path, 16, 64).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:04o}")), "{error}");
        }
    }

    #[test]
    fn too_short_too_long_or_absent() {
        let (_dir, path) = file("short", 0o600);
        let error = read_secret(&path, 16, 64).unwrap_err().to_string();
        assert!(
            error.ends_with("holds 5 bytes; expected 16 to 64"),
            "{error}"
        );
        assert!(read_secret(&path, 1, 4).is_err());
        assert!(read_secret(&path.with_extension("absent"), 1, 4).is_err());
    }
}
