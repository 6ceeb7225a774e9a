//! What stands around the process and runs out: the disk under the state, the certificates in use.
//!
//! units    bytes; Unix seconds
//! errors   a disk that cannot be asked keeps its last number; a certificate that cannot be read is logged once, and the one
//!          in use is shown on
//! cost     both are looked at when someone reads the metrics: one system call, one small file a certificate
//! source   statvfs(3); RFC 5280 §4.1.2.5

use super::registrar::Registrar;
use prometheus::{IntGauge, IntGaugeVec};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use x509_parser::pem::Pem;

/// A certificate that is watched.
#[derive(Debug)]
struct Watched {
    name: String,
    path: PathBuf,
    /// The end of the one that was read when it was put to use, Unix seconds.
    in_use: Option<i64>,
    /// What was wrong with the file when it was last looked at.
    fault: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Around {
    disk: OnceLock<PathBuf>,
    free: IntGauge,
    expiry: IntGaugeVec,
    certificates: Mutex<Vec<Watched>>,
}

impl Around {
    pub(super) fn register(r: &Registrar<'_>) -> Self {
        Self {
            disk: OnceLock::new(),
            free: r.int_gauge("fenghuo_disk_free_bytes"),
            expiry: r.int_gauges("fenghuo_certificate_expiry_timestamp_seconds"),
            certificates: Mutex::default(),
        }
    }

    /// Watches the disk on which this lies.
    pub fn disk(&self, path: &Path) {
        // A run has one state.
        let _ = self.disk.set(path.to_owned());
    }

    /// Watches the first certificate of a PEM file that was put to use just now; `name` is `http` or `exchange`. What is
    /// shown is the earlier of two ends: of the one in use, and of what lies in the file now. So a new file that nobody
    /// has put to use hides nothing.
    pub fn certificate(&self, name: &str, path: &Path) {
        let mut watched = Watched {
            name: name.to_owned(),
            path: path.to_owned(),
            in_use: expiry(path).ok(),
            fault: None,
        };
        self.show(&mut watched);
        let mut all = self.lock();
        all.retain(|one| one.name != name);
        all.push(watched);
    }

    /// Looks again.
    pub(super) fn look(&self) {
        if let Some(path) = self.disk.get()
            && let Ok(disk) = rustix::fs::statvfs(path)
        {
            let bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
            self.free.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        for watched in self.lock().iter_mut() {
            self.show(watched);
        }
    }

    fn show(&self, watched: &mut Watched) {
        let name = watched.name.as_str();
        let (end, fault) = match expiry(&watched.path) {
            Ok(lies) => (
                Some(watched.in_use.map_or(lies, |used| used.min(lies))),
                None,
            ),
            Err(why) => (watched.in_use, Some(why)),
        };
        match end {
            Some(seconds) => self.expiry.with_label_values(&[name]).set(seconds),
            // It was never shown, or is no longer: absence is all there is to remove.
            None => drop(self.expiry.remove_label_values(&[name])),
        }
        if fault.is_some() && fault != watched.fault {
            tracing::warn!(certificate = name, path = %watched.path.display(), why = fault, "when the certificate in this file expires is not known");
        }
        watched.fault = fault;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Watched>> {
        // A list that was half looked through is whole.
        self.certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn the_earlier_of_what_is_used_and_what_lies_there_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tls.crt");
        let write = |year| {
            let mut parameters =
                rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
            let key = rcgen::KeyPair::generate().unwrap();
            std::fs::write(&path, parameters.self_signed(&key).unwrap().pem()).unwrap();
        };
        let metrics = Metrics::new(EventTime(0));
        let shown = || {
            let text = metrics.render(EventTime(0));
            let line = text
                .lines()
                .find(|line| line.starts_with("fenghuo_certificate_expiry_timestamp_seconds{"));
            line.map(|line| line.rsplit(' ').next().unwrap().to_owned())
        };
        write(2031);
        metrics.around.certificate("exchange", &path);
        let in_use = shown();
        // Renewed on the disk, and not put to use: the alert has to go on.
        write(2041);
        assert_eq!(shown(), in_use);
        // A shorter one on the disk is seen before it is put to use.
        write(2030);
        assert_eq!(shown().as_deref(), Some("1893456000"));
        std::fs::write(&path, "nothing").unwrap();
        assert_eq!(shown(), in_use);
        write(2041);
        metrics.around.certificate("exchange", &path);
        assert_eq!(shown().as_deref(), Some("2240611200"));
        std::fs::remove_file(&path).unwrap();
        metrics.around.certificate("exchange", &path);
        assert_eq!(shown(), None);
    }
}
