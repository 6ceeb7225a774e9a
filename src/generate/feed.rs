//! The feeds of the province: one file each, in the layout of the shipped connector of the same name.
//!
//! The columns here are those of `connectors/*.toml`, all of them, in the order in which the exchange table has them.
//! [`Feeds`] is where the records go: files of a directory, or buffers.

use super::columns;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// A feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feed {
    /// Orders of the 12345 hotline.
    HotlineOrder,
    /// Inspections, as change rows.
    SupervisionInspection,
    /// Licences made public.
    CreditLicence,
    /// Penalties made public.
    CreditPenalty,
    /// The list of abnormal operations.
    AbnormalList,
    /// The list of serious violations, as change events.
    SeriousList,
    /// The register of market entities, in GB18030.
    MarketRegister,
    /// Coercive measures.
    SupervisionCoercion,
    /// What officers found out, as canonical events.
    Feedback,
}

/// How a feed's records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A header, then rows.
    Csv,
    /// The same, in GB18030.
    CsvGb18030,
    /// One object per line.
    Json,
    /// One change event per line, the row in `after`, or in `before` for a delete.
    Change,
    /// One canonical event per line.
    Canonical,
}

impl Feed {
    /// All feeds.
    pub const ALL: [Self; 9] = [
        Self::HotlineOrder,
        Self::SupervisionInspection,
        Self::CreditLicence,
        Self::CreditPenalty,
        Self::AbnormalList,
        Self::SeriousList,
        Self::MarketRegister,
        Self::SupervisionCoercion,
        Self::Feedback,
    ];

    /// The connector that reads it.
    pub fn connector(self) -> &'static str {
        match self {
            Self::HotlineOrder => "hotline-order",
            Self::SupervisionInspection => "supervision-inspection",
            Self::CreditLicence => "credit-licence",
            Self::CreditPenalty => "credit-penalty",
            Self::AbnormalList => "abnormal-list",
            Self::SeriousList => "serious-list",
            Self::MarketRegister => "market-register",
            Self::SupervisionCoercion => "supervision-coercion",
            Self::Feedback => "feedback",
        }
    }

    /// The name of its file.
    pub fn file_name(self) -> String {
        let ending = match self.form() {
            Form::Csv | Form::CsvGb18030 => "csv",
            Form::Json | Form::Change | Form::Canonical => "jsonl",
        };
        format!("{}.{ending}", self.connector())
    }

    pub(super) fn form(self) -> Form {
        match self {
            Self::HotlineOrder | Self::SupervisionCoercion => Form::Json,
            Self::SupervisionInspection
            | Self::CreditLicence
            | Self::CreditPenalty
            | Self::AbnormalList => Form::Csv,
            Self::MarketRegister => Form::CsvGb18030,
            Self::SeriousList => Form::Change,
            Self::Feedback => Form::Canonical,
        }
    }

    /// The first line of a CSV file; none for the others.
    pub(super) fn header(self) -> Option<String> {
        let is_csv = matches!(self.form(), Form::Csv | Form::CsvGb18030);
        is_csv.then(|| self.columns().join(","))
    }

    /// Its columns in their order.
    pub(super) fn columns(self) -> &'static [&'static str] {
        match self {
            Self::HotlineOrder => columns::HOTLINE_ORDER,
            Self::SupervisionInspection => columns::SUPERVISION_INSPECTION,
            Self::CreditLicence => columns::CREDIT_LICENCE,
            Self::CreditPenalty => columns::CREDIT_PENALTY,
            Self::AbnormalList => columns::ABNORMAL_LIST,
            Self::SeriousList => columns::SERIOUS_LIST,
            Self::MarketRegister => columns::MARKET_REGISTER,
            Self::SupervisionCoercion => columns::SUPERVISION_COERCION,
            Self::Feedback => columns::FEEDBACK,
        }
    }

    /// The columns that dirt falls on.
    pub(super) fn places(self) -> DirtPlaces {
        let places = |code, name, region, time, term| DirtPlaces {
            code,
            name,
            region,
            time,
            term,
        };
        match self {
            Self::HotlineOrder => places(
                "TARGETUSCC",
                "SERIALNUM",
                "AREACODE",
                "RQSTTIME",
                "RQSTTYPE",
            ),
            Self::SupervisionInspection => places(
                "administrative_cp_ui_code",
                "administrative_cp",
                "area_number",
                "check_date",
                "check_result",
            ),
            Self::CreditLicence => places("XK_XDR_SHXYM", "XK_XDR_MC", "DFBM", "XK_JDRQ", "XK_ZT"),
            Self::CreditPenalty => places("CF_XDR_SHXYM", "CF_XDR_MC", "DFBM", "CF_JDRQ", ""),
            Self::AbnormalList => places("uni_social_crd_cd", "comp_nm", "", "inclu_dt", ""),
            Self::SeriousList => places(
                "uni_social_crd_cd",
                "comp_name",
                "dsc_adm_region",
                "abn_tm",
                "",
            ),
            Self::MarketRegister => places(
                "uni_social_crd_cd",
                "comp_nm",
                "domdi_strict",
                "appr_dt",
                "reg_state",
            ),
            Self::SupervisionCoercion => places(
                "administrative_cp_ui_code",
                "administrative_cp",
                "area_number",
                "force_start_date",
                "force_class",
            ),
            Self::Feedback => places("", "", "", "", ""),
        }
    }
}

/// Which column holds what; an empty name is no column.
#[derive(Debug, Clone, Copy)]
pub(super) struct DirtPlaces {
    /// The subject's credit code.
    pub(super) code: &'static str,
    /// A column that must be filled.
    pub(super) name: &'static str,
    /// The region.
    pub(super) region: &'static str,
    /// When it happened.
    pub(super) time: &'static str,
    /// A term of a closed table.
    pub(super) term: &'static str,
}

/// Where records go.
pub trait Feeds {
    /// Takes the next line of a feed, without its line end; the header of a CSV file comes first.
    fn append(&mut self, feed: Feed, line: &[u8]) -> io::Result<()>;
}

/// Feeds as files of a directory.
#[derive(Debug)]
pub struct FileFeeds(BTreeMap<Feed, BufWriter<File>>);

impl FileFeeds {
    /// Creates the files, empty, in a directory that exists. Files of the same names are overwritten.
    pub fn create(dir: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        for feed in Feed::ALL {
            let file = File::create(dir.join(feed.file_name()))?;
            files.insert(feed, BufWriter::with_capacity(1 << 16, file));
        }
        Ok(Self(files))
    }

    /// Writes what is still buffered.
    pub fn finish(self) -> io::Result<()> {
        for (_, mut file) in self.0 {
            file.flush()?;
        }
        Ok(())
    }
}

impl Feeds for FileFeeds {
    fn append(&mut self, feed: Feed, line: &[u8]) -> io::Result<()> {
        let Some(file) = self.0.get_mut(&feed) else {
            return Ok(());
        };
        file.write_all(line)?;
        file.write_all(b"\n")
    }
}

/// Feeds in memory, each as the bytes that its file would have.
#[derive(Debug, Default)]
pub struct MemoryFeeds(BTreeMap<Feed, Vec<u8>>);

impl MemoryFeeds {
    /// Empty feeds.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes of a feed.
    pub fn bytes(&self, feed: Feed) -> &[u8] {
        self.0.get(&feed).map_or(&[], Vec::as_slice)
    }
}

impl Feeds for MemoryFeeds {
    fn append(&mut self, feed: Feed, line: &[u8]) -> io::Result<()> {
        let bytes = self.0.entry(feed).or_default();
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        Ok(())
    }
}
