//! The report as a workbook, and the warnings as CSV.

use super::BacktestError;
use super::judge::Told;
use super::outcome::float;
use super::report::{Counts, Report};
use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};
use std::collections::BTreeMap;
use std::path::Path;

/// The most rows of a sheet of warnings; a workbook holds 1,048,576.
const ROWS_MAX: usize = 1_000_000;

const HEADER: [&str; 13] = [
    "warning_id",
    "rule",
    "subject",
    "group",
    "name",
    "level",
    "raised_at",
    "first_at",
    "over_at",
    "status",
    "region",
    "department",
    "message",
];

fn cells(told: &Told) -> [String; 13] {
    [
        told.warning_id.clone(),
        told.rule.clone(),
        told.subject.clone(),
        told.group.clone(),
        told.name.clone(),
        told.level.title().to_owned(),
        told.raised_at.to_string(),
        told.first_at.to_string(),
        told.over_at.map(|at| at.to_string()).unwrap_or_default(),
        format!("{:?}", told.status).to_lowercase(),
        told.region.clone(),
        told.department.clone(),
        told.message.clone(),
    ]
}

/// Writes the warnings as CSV, UTF-8 with a mark so that spreadsheets read Chinese.
pub fn csv(path: &Path, told: &[&Told]) -> Result<(), BacktestError> {
    let fault = |cause| BacktestError::File {
        doing: "write",
        path: path.to_owned(),
        cause,
    };
    let mut writer = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
    let broken = |error: csv::Error| fault(std::io::Error::other(error));
    writer.write_record(HEADER).map_err(broken)?;
    for one in told {
        writer.write_record(cells(one)).map_err(broken)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| fault(std::io::Error::other(error.to_string())))?;
    std::fs::write(path, bytes).map_err(fault)
}

/// Writes the workbook.
pub fn workbook(path: &Path, report: &Report, told: &[&Told]) -> Result<(), BacktestError> {
    fill(path, report, told).map_err(|cause| BacktestError::Workbook {
        path: path.to_owned(),
        cause,
    })
}

fn fill(path: &Path, report: &Report, told: &[&Told]) -> Result<(), XlsxError> {
    let mut book = Workbook::new();
    // The same report, the same bytes.
    let made = rust_xlsxwriter::ExcelDateTime::from_ymd(2020, 1, 1)?;
    book.set_properties(&rust_xlsxwriter::DocProperties::new().set_creation_datetime(&made));
    let bold = Format::new().set_bold();
    let sheet = book.add_worksheet().set_name("规则")?;
    header(
        sheet,
        &[
            "规则",
            "名称",
            "预警",
            "红",
            "橙",
            "黄",
            "蓝",
            "主体",
            "撤回",
            "命中",
            "基线预警",
        ],
        &bold,
    )?;
    for (row, (id, rule)) in (1..).zip(&report.rules) {
        sheet.write(row, 0, id)?;
        sheet.write(row, 1, &rule.name)?;
        counts(sheet, (row, 2), &rule.counts)?;
        number(sheet, row, 9, rule.firings)?;
        if let Some(baseline) = rule.baseline {
            number(sheet, row, 10, baseline)?;
        }
    }
    for (name, groups) in [("地市", &report.cities), ("月份", &report.months)] {
        grouped(book.add_worksheet().set_name(name)?, groups, (name, &bold))?;
    }
    let sheet = book.add_worksheet().set_name("工作量")?;
    header(
        sheet,
        &["部门", "预警", "红橙", "最忙月份", "该月预警"],
        &bold,
    )?;
    for (row, load) in (1..).zip(&report.workload) {
        sheet.write(row, 0, &load.department)?;
        number(sheet, row, 1, load.warnings)?;
        number(sheet, row, 2, load.grave)?;
        sheet.write(row, 3, &load.busiest_month.0)?;
        number(sheet, row, 4, load.busiest_month.1)?;
    }
    if let Some(comparison) = &report.comparison {
        let sheet = book.add_worksheet().set_name("对比")?;
        header(sheet, &["新增预警主体", "不再预警主体"], &bold)?;
        for (column, list) in [
            (0, &comparison.newly_warned),
            (1, &comparison.no_longer_warned),
        ] {
            for (row, subject) in (1..).zip(list.iter().take(ROWS_MAX)) {
                sheet.write(row, column, subject)?;
            }
        }
    }
    let sheet = book.add_worksheet().set_name("预警")?;
    header(sheet, &HEADER, &bold)?;
    for (row, one) in (1..).zip(told.iter().take(ROWS_MAX)) {
        for (column, cell) in (0..).zip(cells(one)) {
            sheet.write(row, column, cell)?;
        }
    }
    book.save(path)
}

fn header(sheet: &mut Worksheet, names: &[&str], bold: &Format) -> Result<(), XlsxError> {
    for (column, name) in (0..).zip(names) {
        sheet.write_with_format(0, column, *name, bold)?;
    }
    sheet.set_freeze_panes(1, 0)?;
    Ok(())
}

fn number(sheet: &mut Worksheet, row: u32, column: u16, number: u64) -> Result<(), XlsxError> {
    sheet.write(
        row,
        column,
        float(i64::try_from(number).unwrap_or(i64::MAX)),
    )?;
    Ok(())
}

fn counts(
    sheet: &mut Worksheet,
    (row, from): (u32, u16),
    counts: &Counts,
) -> Result<(), XlsxError> {
    let [red, orange, yellow, blue] = counts.levels;
    let all = [
        counts.warnings,
        red,
        orange,
        yellow,
        blue,
        counts.subjects,
        counts.withdrawn,
    ];
    for (column, count) in (from..).zip(all) {
        number(sheet, row, column, count)?;
    }
    Ok(())
}

fn grouped(
    sheet: &mut Worksheet,
    groups: &BTreeMap<String, Counts>,
    (name, bold): (&str, &Format),
) -> Result<(), XlsxError> {
    header(
        sheet,
        &[name, "预警", "红", "橙", "黄", "蓝", "主体", "撤回"],
        bold,
    )?;
    for (row, (key, of)) in (1..).zip(groups) {
        sheet.write(row, 0, key)?;
        counts(sheet, (row, 1), of)?;
    }
    Ok(())
}
