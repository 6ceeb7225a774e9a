//! Why a record was refused: one closed list of codes.
//!
//! A reject is data, never a fault: it is counted by code and kept in the dead letters with the record's bytes, its
//! place and a sentence that says what to do. It stops nothing else.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectCode {
    /// Longer than the limit.
    TooLong,
    /// Bytes that are not in the declared character set.
    BadEncoding,
    /// Not JSON, or JSON beyond the limits (depth, keys, numbers).
    BadJson,
    /// The same key twice in one object.
    DuplicateKey,
    /// Not a CSV row, or a row with another number of columns than the header.
    BadCsv,
    /// A control character where text is expected.
    ControlCharacter,
    /// A column that the connector needs is absent or empty.
    MissingField,
    /// A column that the connector does not know, where it says that it knows all.
    UnknownColumn,
    /// A value that cannot be read as what the connector says it is.
    BadValue,
    /// A code that is not in the connector's table.
    UnknownCode,
    /// A date that does not exist, or a sentinel where a date is needed.
    BadTime,
    /// Later than now by more than the allowance.
    FutureTime,
    /// A test row in a production feed (`env_flag`).
    TestRow,
    /// An operation other than insert, update, delete.
    BadOperation,
    /// The connector's script failed on it.
    ScriptFailed,
    /// It happened before everything that the rules look back on.
    TooOld,
    /// Not XML, or XML that brings entities or goes beyond the limits.
    BadXml,
    /// The process has ended over it again and again.
    Deadly,
}

impl RejectCode {
    /// All codes.
    pub const ALL: [Self; 18] = [
        Self::TooLong,
        Self::BadEncoding,
        Self::BadJson,
        Self::DuplicateKey,
        Self::BadCsv,
        Self::ControlCharacter,
        Self::MissingField,
        Self::UnknownColumn,
        Self::BadValue,
        Self::UnknownCode,
        Self::BadTime,
        Self::FutureTime,
        Self::TestRow,
        Self::BadOperation,
        Self::ScriptFailed,
        Self::TooOld,
        Self::BadXml,
        Self::Deadly,
    ];

    /// The code in metrics and dead letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::BadEncoding => "bad_encoding",
            Self::BadJson => "bad_json",
            Self::DuplicateKey => "duplicate_key",
            Self::BadCsv => "bad_csv",
            Self::ControlCharacter => "control_character",
            Self::MissingField => "missing_field",
            Self::UnknownColumn => "unknown_column",
            Self::BadValue => "bad_value",
            Self::UnknownCode => "unknown_code",
            Self::BadTime => "bad_time",
            Self::FutureTime => "future_time",
            Self::TestRow => "test_row",
            Self::BadOperation => "bad_operation",
            Self::ScriptFailed => "script_failed",
            Self::TooOld => "too_old",
            Self::BadXml => "bad_xml",
            Self::Deadly => "deadly",
        }
    }

    /// The Chinese title, for summaries.
    pub fn title(self) -> &'static str {
        match self {
            Self::TooLong => "记录超长",
            Self::BadEncoding => "字符编码错误",
            Self::BadJson => "JSON 格式错误",
            Self::DuplicateKey => "键重复",
            Self::BadCsv => "CSV 格式错误",
            Self::ControlCharacter => "含控制字符",
            Self::MissingField => "缺少必填项",
            Self::UnknownColumn => "未知列",
            Self::BadValue => "值无法识别",
            Self::UnknownCode => "代码不在表中",
            Self::BadTime => "日期错误",
            Self::FutureTime => "时间在未来",
            Self::TestRow => "测试数据",
            Self::BadOperation => "操作类型错误",
            Self::ScriptFailed => "连接器脚本失败",
            Self::TooOld => "早于保留期",
            Self::BadXml => "XML 格式错误",
            Self::Deadly => "致进程中止",
        }
    }
}

/// A refusal: its code and a sentence that names the connector, the field and the value, and says what is expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// What is wrong.
    pub code: RejectCode,
    /// `connector "x": field "jcrq": "2024-13-01" is not a date (expected YYYY-MM-DD)`, values of personal columns masked.
    pub message: String,
}

impl Reject {
    /// A refusal with this code and message.
    pub fn new(code: RejectCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}
