//! A report on paper: what it says, once, and the same as Markdown, as a page (HTML) and as a workbook (XLSX).
//!
//! shape    a title, lines of what and value, and tables of text
//! cost     all in memory; a workbook holds at most 1,048,576 rows a sheet, which no report of one event comes near
//! errors   only a workbook can fail, at what its format does not take

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, XlsxError};
use std::fmt::Write as _;

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sheet {
    /// What it shows; at most 31 characters, the limit of a sheet's name.
    pub title: &'static str,
    /// Its columns.
    pub header: &'static [&'static str],
    /// Its rows, each as long as the header.
    pub rows: Vec<Vec<String>>,
}

/// A report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paper {
    /// Its title.
    pub title: String,
    /// What and value.
    pub lines: Vec<(&'static str, String)>,
    /// Its tables.
    pub sheets: Vec<Sheet>,
}

/// As what it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Markdown.
    Markdown,
    /// A page that needs nothing else.
    Html,
    /// A workbook.
    Xlsx,
}

impl Form {
    /// The form of this name: `markdown`, `html`, `xlsx`.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "markdown" => Some(Self::Markdown),
            "html" => Some(Self::Html),
            "xlsx" => Some(Self::Xlsx),
            _ => None,
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }
}

impl Paper {
    /// Its bytes in a form; the same report gives the same bytes.
    pub fn write(&self, form: Form) -> Result<Vec<u8>, XlsxError> {
        match form {
            Form::Markdown => Ok(self.markdown().into_bytes()),
            Form::Html => Ok(self.html().into_bytes()),
            Form::Xlsx => self.xlsx(),
        }
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", cell(&self.title));
        for (what, value) in &self.lines {
            let _ = writeln!(text, "- {what}：{}", cell(value));
        }
        for sheet in &self.sheets {
            let _ = write!(text, "\n## {}\n\n", sheet.title);
            if sheet.rows.is_empty() {
                text.push_str("无\n");
                continue;
            }
            let _ = writeln!(text, "| {} |", sheet.header.join(" | "));
            let _ = writeln!(text, "|{}", "---|".repeat(sheet.header.len()));
            for row in &sheet.rows {
                let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
                let _ = writeln!(text, "| {} |", cells.join(" | "));
            }
        }
        text
    }

    fn html(&self) -> String {
        let title = escape(&self.title);
        let mut text = format!(
            "<!doctype html>\n<html lang=\"zh\"><meta charset=\"utf-8\"><title>{title}</title>\n<style>body{{font:14px/1.6 sans-serif;margin:2em;max-width:80em}}\
             table{{border-collapse:collapse}}th,td{{border:1px solid #999;padding:.2em .6em;text-align:left;vertical-align:top}}\
             th{{background:#eee}}dt{{font-weight:bold}}@media print{{body{{margin:0}}}}</style>\n<h1>{title}</h1>\n<dl>\n"
        );
        for (what, value) in &self.lines {
            let _ = writeln!(text, "<dt>{what}<dd>{}", escape(value));
        }
        text.push_str("</dl>\n");
        for sheet in &self.sheets {
            let _ = writeln!(text, "<h2>{}</h2>", sheet.title);
            if sheet.rows.is_empty() {
                text.push_str("<p>无\n");
                continue;
            }
            let _ = writeln!(text, "<table><tr><th>{}", sheet.header.join("<th>"));
            for row in &sheet.rows {
                let cells: Vec<String> = row.iter().map(|text| escape(text)).collect();
                let _ = writeln!(text, "<tr><td>{}", cells.join("<td>"));
            }
            text.push_str("</table>\n");
        }
        text.push_str("</html>\n");
        text
    }

    fn xlsx(&self) -> Result<Vec<u8>, XlsxError> {
        let mut book = Workbook::new();
        // The same report, the same bytes.
        let made = ExcelDateTime::from_ymd(2020, 1, 1)?;
        book.set_properties(&DocProperties::new().set_creation_datetime(&made));
        let bold = Format::new().set_bold();
        let sheet = book.add_worksheet().set_name("概况")?;
        sheet.write_with_format(0, 0, &self.title, &bold)?;
        for (row, (what, value)) in (1..).zip(&self.lines) {
            sheet.write(row, 0, *what)?;
            sheet.write(row, 1, value)?;
        }
        sheet.set_column_width(1, 60)?;
        for told in &self.sheets {
            let sheet = book.add_worksheet().set_name(told.title)?;
            for (column, what) in (0..).zip(told.header) {
                sheet.write_with_format(0, column, *what, &bold)?;
            }
            for (row, cells) in (1..).zip(&told.rows) {
                for (column, text) in (0..).zip(cells) {
                    sheet.write(row, column, text)?;
                }
            }
            sheet.set_freeze_panes(1, 0)?;
            sheet.autofit();
        }
        book.save_to_buffer()
    }
}

/// Text in a cell of a table in Markdown: on one line, and nothing in it that Markdown or a page would take for its own.
fn cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    escape(&line).replace('|', "\\|")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper() -> Paper {
        Paper {
            title: "某<b>事件</b>".to_owned(),
            lines: vec![("理由", "一\n二 | 三".to_owned())],
            sheets: vec![
                Sheet {
                    title: "全过程",
                    header: &["时间", "说明"],
                    rows: vec![vec!["2026-05-20".to_owned(), "=1+1 <script>".to_owned()]],
                },
                Sheet {
                    title: "记录",
                    header: &["记录"],
                    rows: Vec::new(),
                },
            ],
        }
    }

    #[test]
    fn markdown_keeps_to_its_lines_and_lets_nothing_through() {
        expect_test::expect![[r"
            # 某&lt;b&gt;事件&lt;/b&gt;

            - 理由：一 二 \| 三

            ## 全过程

            | 时间 | 说明 |
            |---|---|
            | 2026-05-20 | =1+1 &lt;script&gt; |

            ## 记录

            无
        "]]
        .assert_eq(&paper().markdown());
    }

    #[test]
    fn a_page_escapes_what_people_wrote() {
        let page = paper().html();
        assert!(page.contains("<td>=1+1 &lt;script&gt;"), "{page}");
        assert!(
            !page.contains("<b>") && !page.contains("<script>"),
            "{page}"
        );
    }

    #[test]
    fn a_workbook_is_the_same_bytes_again_and_text_stays_text() {
        let book = paper().write(Form::Xlsx).unwrap();
        assert_eq!(book, paper().write(Form::Xlsx).unwrap());
        assert!(book.starts_with(b"PK"), "a workbook is a zip archive");
    }
}
