//! Where the rules of a run lie, and how they are read.
//!
//! errors   [`PlaceError`]; nothing is in force that was not read whole

use super::super::bundle::{self, BundleError};
use super::sealed::{SealError, Sealed, signers};
use crate::engine::rule::RuleSources;
use std::path::{Path, PathBuf};

/// `[rules]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesPlace {
    /// The folder of rules.
    pub dir: PathBuf,
    /// A bundle instead of the folder.
    pub bundle: Option<PathBuf>,
    /// Whose signatures count; with it, only a bundle that two of them signed is used.
    pub signers: Option<PathBuf>,
    /// Whether a change of the files is taken up by itself.
    pub is_watched: bool,
}

/// Why rules cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Files.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle or its signatures.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl RulesPlace {
    /// A folder that is not watched.
    pub fn directory(dir: PathBuf) -> Self {
        Self {
            dir,
            bundle: None,
            signers: None,
            is_watched: false,
        }
    }

    /// The file or folder that is read.
    pub fn path(&self) -> &Path {
        self.bundle.as_deref().unwrap_or(&self.dir)
    }

    /// The sources as they lie there now.
    pub fn sources(&self) -> Result<RuleSources, PlaceError> {
        let Some(path) = &self.bundle else {
            return Ok(bundle::rules_in(&self.dir)?);
        };
        let sealed = Sealed::read(path)?;
        match &self.signers {
            None => Ok(sealed.sources()?),
            Some(file) => Ok(sealed.verify(&signers(file)?)?),
        }
    }
}
