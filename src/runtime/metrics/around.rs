//! What stands around the process and runs out: the disk under the state, the certificates in use.
//!
//! units    bytes; Unix seconds
//! errors   a disk that cannot be asked keeps its last number; a certificate that cannot be read is logged and not shown
//! source   statvfs(3); RFC 5280 §4.1.2.5

use prometheus::{IntGauge, IntGaugeVec};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use x509_parser::pem::Pem;

/// See the module.
#[derive(Debug)]
pub struct Around {
    disk: OnceLock<PathBuf>,
    free: IntGauge,
    expiry: IntGaugeVec,
}

impl Around {
    pub(super) fn new(free: IntGauge, expiry: IntGaugeVec) -> Self {
        Self {
            disk: OnceLock::new(),
            free,
            expiry,
        }
    }

    /// Watches the disk on which this lies.
    pub fn disk(&self, path: &Path) {
        // A run has one state.
        let _ = self.disk.set(path.to_owned());
    }

    /// Shows until when the first certificate of a PEM file holds; `name` is `http` or `exchange`.
    pub fn certificate(&self, name: &str, path: &Path) {
        match expiry(path) {
            Ok(seconds) => self.expiry.with_label_values(&[name]).set(seconds),
            Err(why) => {
                tracing::warn!(certificate = name, path = %path.display(), why, "when it expires is not known");
            }
        }
    }

    /// Looks again.
    pub(super) fn look(&self) {
        if let Some(path) = self.disk.get()
            && let Ok(disk) = rustix::fs::statvfs(path)
        {
            let bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
            self.free.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }
}

/// When the first certificate of a PEM file ends, Unix seconds.
fn expiry(path: &Path) -> Result<i64, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    for pem in Pem::iter_from_buffer(&bytes) {
        let pem = pem.map_err(|error| error.to_string())?;
        if pem.label == "CERTIFICATE" {
            let certificate = pem.parse_x509().map_err(|error| error.to_string())?;
            return Ok(certificate.validity().not_after.timestamp());
        }
    }
    Err("no PEM certificate".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::EventTime;
    use crate::runtime::metrics::Metrics;

    #[test]
    fn the_end_of_a_certificate_and_the_room_on_the_disk_are_shown() {
        let dir = tempfile::tempdir().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let key = rcgen::KeyPair::generate().unwrap();
        let path = dir.path().join("tls.crt");
        std::fs::write(&path, parameters.self_signed(&key).unwrap().pem()).unwrap();
        assert_eq!(expiry(&path), Ok(1_927_843_200));
        std::fs::write(dir.path().join("no.crt"), "nothing").unwrap();
        assert!(expiry(&dir.path().join("no.crt")).is_err());

        let metrics = Metrics::new(EventTime(0));
        metrics.around.disk(dir.path());
        metrics.around.certificate("http", &path);
        let text = metrics.render(EventTime(0));
        assert!(text.contains(
            "fenghuo_certificate_expiry_timestamp_seconds{certificate=\"http\"} 1927843200\n"
        ));
        assert!(!text.contains("fenghuo_disk_free_bytes 0\n"), "{text}");
    }
}
