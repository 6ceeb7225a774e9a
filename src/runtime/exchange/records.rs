//! Records of supervision in national columns: `checkAction`, `punishAction`, `forceAction`, and `catalogueItem`.
//!
//! The columns are those of the national exchange tables, filled from what the connectors keep. Some that the nation requires are
//! not kept here, because they name people (who inspected) or because no feed has them: they are left out and listed under
//! `missing`, so that the far end refuses such a row for a reason that it can read, or takes it as it is. Yes and no are `1` and `2`,
//! dates and amounts as read (yuan).
//!
//! | record | kind | key of the record |
//! |---|---|---|
//! | inspection | `checkAction` | `check_action_code` |
//! | penalty | `punishAction` | `punish_action_code`, `punish_file_num` |
//! | coercive measure | `forceAction` | `force_action_code`, `force_file_num` |
//! | item of the catalogue | `catalogueItem` | `supervise_item_code` |
//!
//! source   `domain.md` §1.2 (ten elements), §1.5 (columns, which are required)

use super::shape::{Around, object};
use crate::runtime::reported::Reported;
use serde_json::{Map, Value, json};

/// A national column and the field that fills it.
type Columns = &'static [(&'static str, &'static str)];

/// What all acts have.
const COMMON: Columns = &[
    ("supervise_item_implement_code", "item_code"),
    ("implement_institution", "department"),
    ("implement_institution_code", "department_code"),
    ("supervise_object", "name"),
    ("administrative_cp", "name"),
    ("area_number", "region"),
    ("submitted_date", "reported_at"),
];
const CHECK: Columns = &[
    ("check_action_code", "inspection_no"),
    ("plan_id", "plan_id"),
    ("address_operating", "address"),
    ("check_form", "check_form"),
    ("check_type", "check_type"),
    ("check_mode", "check_mode"),
    ("check_result", "result"),
];
const PUNISH: Columns = &[
    ("punish_action_code", "case_no"),
    ("check_action_code", "inspection_no"),
    ("punish_file_num", "decision_no"),
    ("punish_procedure", "procedure"),
    ("punish_illegal_fact", "reason"),
    ("punish_illegal_type", "illegal_type"),
    ("punish_type", "kind_of_penalty"),
    ("punish_amount", "amount"),
    ("punish_filed_date", "filed_at"),
    ("punish_closed_date", "closed_at"),
    ("punish_paid_amount", "paid"),
    ("major_case", "is_major"),
    ("criminal_case", "is_criminal"),
    ("not_punished", "is_not_punished"),
    ("administrative_review", "review_status"),
    ("administrative_litigation", "litigation_status"),
];
const FORCE: Columns = &[
    ("check_action_code", "inspection_no"),
    ("force_file_num", "decision_no"),
    ("force_class", "kind"),
    ("force_type", "measure"),
    ("force_start_date", "started_at"),
    ("force_end_date", "ended_at"),
    ("force_extend_days", "extended_days"),
    ("force_result", "result"),
];
const ITEM: Columns = &[
    ("supervise_item_code", "item_code"),
    ("supervise_dept", "department"),
    ("supervise_dept_code", "department_code"),
    ("main_item_name", "main_item"),
    ("sub_item_name", "sub_item"),
    ("supervise_mode", "item_mode"),
    ("supervise_measure", "item_measures"),
    ("supervise_object", "item_object"),
    ("set_basis", "item_basis"),
    ("supervise_flow", "item_flow"),
    ("supervise_result", "item_result"),
    ("supervise_level", "item_level"),
    ("supervise_domain", "domain"),
];

/// What the nation requires of each kind.
const REQUIRED: [(&str, &[&str]); 4] = [
    (
        "checkAction",
        &[
            "supervise_item_implement_code",
            "supervise_item_check_icode",
            "check_action_name",
            "check_action_code",
            "supervise_object",
            "administrative_cp",
            "administrative_cp_na",
            "administrative_cp_ce_type",
            "administrative_cp_ui_code",
            "area_number",
            "check_form",
            "check_type",
            "check_result",
            "check_date",
            "check_personnel",
        ],
    ),
    (
        "punishAction",
        &[
            "supervise_item_implement_code",
            "punish_action_name",
            "punish_action_code",
            "supervise_object",
            "punish_case_source",
            "check_action_code",
            "administrative_cp",
            "administrative_cp_ui_code",
            "area_number",
            "punish_illegal_fact",
            "punish_basis",
            "punish_procedure",
            "punish_file_num",
            "punish_set_date",
            "punish_type",
            "administrative_review",
            "administrative_litigation",
        ],
    ),
    (
        "forceAction",
        &[
            "force_action_name",
            "force_action_code",
            "check_action_code",
            "administrative_cp",
            "administrative_cp_ui_code",
            "force_file_num",
            "force_type",
        ],
    ),
    (
        "catalogueItem",
        &[
            "supervise_item_code",
            "supervise_dept",
            "main_item_name",
            "sub_item_name",
            "supervise_mode",
            "supervise_measure",
            "supervise_object",
            "set_basis",
            "supervise_flow",
            "supervise_result",
            "supervise_level",
        ],
    ),
];

/// The message for a record.
pub(super) fn message(line: &[u8], (lane_no, province): Around<'_>) -> Result<Vec<u8>, String> {
    let told: Reported = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let (kind, columns, date, number) = match told.stream.as_str() {
        "inspection" => ("checkAction", CHECK, "check_date", "check_action_code"),
        "penalty" => (
            "punishAction",
            PUNISH,
            "punish_set_date",
            "punish_action_code",
        ),
        "coercion" => (
            "forceAction",
            FORCE,
            "force_start_date",
            "force_action_code",
        ),
        "catalogue" => (
            "catalogueItem",
            ITEM,
            "effective_date",
            "supervise_item_code",
        ),
        other => return Err(format!("\"{other}\" has no national form")),
    };
    let mut row = Map::new();
    if kind != "catalogueItem" {
        fill(&mut row, COMMON, &told);
        party(&mut row, &told);
    }
    fill(&mut row, columns, &told);
    let day = told.occurred_at.get(..10).unwrap_or_default();
    for (column, text) in [(date, day), (number, told.record.as_str())] {
        row.entry(column).or_insert_with(|| json!(text));
    }
    row.insert("record_unique_identity".to_owned(), json!(told.record));
    row.insert("province".to_owned(), json!(province));
    if !told.gone.is_empty() {
        row.insert("gone".to_owned(), json!(told.gone));
    }
    let missing = missing(kind, &row);
    if !missing.is_empty() {
        row.insert("missing".to_owned(), json!(missing));
    }
    let envelope = json!({
        "kind": kind, "id": told.id, "record": told.record, "operation": told.operation, "subject": told.subject,
        "lane_no": lane_no, kind: row,
    });
    serde_json::to_vec(&envelope).map_err(|error| error.to_string())
}

fn fill(row: &mut Map<String, Value>, columns: Columns, told: &Reported) {
    for (column, field) in columns {
        let Some(text) = told.fields.get(*field).filter(|text| !text.is_empty()) else {
            continue;
        };
        let text = match (*column, text.as_str()) {
            ("check_form", "日常检查") => "01",
            ("check_form", "专项检查") => "02",
            (_, "是") => "1",
            (_, "否") => "2",
            (_, text) => text,
        };
        row.insert((*column).to_owned(), json!(text));
    }
}

/// Who it is about: an enterprise by its code; of a person nothing but that it is one.
fn party(row: &mut Map<String, Value>, told: &Reported) {
    let kind = told.subject.split(':').next().unwrap_or_default();
    let (_, cert) = object(&told.subject, "");
    let nature = if kind == "person" { "1" } else { "2" };
    row.insert("administrative_cp_na".to_owned(), json!(nature));
    if !cert.is_empty() {
        row.insert("administrative_cp_ce_type".to_owned(), json!("001"));
        row.insert("administrative_cp_ui_code".to_owned(), json!(cert));
    }
}

fn missing(kind: &str, row: &Map<String, Value>) -> Vec<&'static str> {
    let required = REQUIRED.iter().find(|(known, _)| *known == kind);
    let columns = required.map_or(&[][..], |(_, columns)| columns);
    let is_missing = |column: &&&'static str| !row.contains_key(**column);
    columns.iter().filter(is_missing).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::connector::canonical;
    use crate::runtime::reported::entry;

    fn told(stream: &str, fields: &str, validity: &str) -> String {
        let line = format!(
            r#"{{"source":"js","record_id":"R1","version":2,"stream":"{stream}","occurred_at":"2026-05-20T09:00:00+08:00","validity":"{validity}","subjects":["enterprise:91320106MA1076724W"],"fields":{fields}}}"#
        );
        let event = canonical::read(&line).unwrap();
        let entry = entry(&event, validity != "valid").unwrap();
        let bytes = message(&entry.line, (3, "320000")).unwrap();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    }

    #[test]
    fn an_inspection_has_national_columns_and_says_what_it_lacks() {
        let fields = r#"{"name":"某店","inspection_no":"JC-9","item_code":"01320000000001","region":"320106","check_form":"日常检查","result":"合格","department":"鼓楼区市场监管局"}"#;
        expect_test::expect![[r#"
            {
              "checkAction": {
                "administrative_cp": "某店",
                "administrative_cp_ce_type": "001",
                "administrative_cp_na": "2",
                "administrative_cp_ui_code": "91320106MA1076724W",
                "area_number": "320106",
                "check_action_code": "JC-9",
                "check_date": "2026-05-20",
                "check_form": "01",
                "check_result": "合格",
                "implement_institution": "鼓楼区市场监管局",
                "missing": [
                  "supervise_item_check_icode",
                  "check_action_name",
                  "check_type",
                  "check_personnel"
                ],
                "province": "320000",
                "record_unique_identity": "js/R1",
                "supervise_item_implement_code": "01320000000001",
                "supervise_object": "某店"
              },
              "id": "05b4463824ddbcf90235439b385c7d0406f6bf9ef80e7d1e434950adba2b4edf",
              "kind": "checkAction",
              "lane_no": 3,
              "operation": "i",
              "record": "js/R1",
              "subject": "enterprise:91320106MA1076724W"
            }"#]]
        .assert_eq(&told("inspection", fields, "valid"));
    }

    #[test]
    fn a_revoked_penalty_is_deleted_and_booleans_are_national() {
        let fields =
            r#"{"name":"某店","decision_no":"宁〔2026〕1号","amount":"50000.00","is_major":true}"#;
        expect_test::expect![[r#"
            {
              "id": "989b4f4e89441a6880e9cf2167c173cc8afe09a416035d2c578b2bed6939982c",
              "kind": "punishAction",
              "lane_no": 3,
              "operation": "d",
              "punishAction": {
                "administrative_cp": "某店",
                "administrative_cp_ce_type": "001",
                "administrative_cp_na": "2",
                "administrative_cp_ui_code": "91320106MA1076724W",
                "gone": "已撤销",
                "major_case": "1",
                "missing": [
                  "supervise_item_implement_code",
                  "punish_action_name",
                  "punish_case_source",
                  "check_action_code",
                  "area_number",
                  "punish_illegal_fact",
                  "punish_basis",
                  "punish_procedure",
                  "punish_type",
                  "administrative_review",
                  "administrative_litigation"
                ],
                "province": "320000",
                "punish_action_code": "js/R1",
                "punish_amount": "50000.00",
                "punish_file_num": "宁〔2026〕1号",
                "punish_set_date": "2026-05-20",
                "record_unique_identity": "js/R1",
                "supervise_object": "某店"
              },
              "record": "js/R1",
              "subject": "enterprise:91320106MA1076724W"
            }"#]]
        .assert_eq(&told("penalty", fields, "revoked"));
    }

    #[test]
    fn an_item_of_the_catalogue_is_its_ten_elements() {
        let fields = r#"{"item_code":"01320000000001","department":"省市场监督管理局","main_item":"食品销售监督检查","sub_item":"日常检查","domain":"食品"}"#;
        expect_test::expect![[r#"
            {
              "catalogueItem": {
                "effective_date": "2026-05-20",
                "main_item_name": "食品销售监督检查",
                "missing": [
                  "supervise_mode",
                  "supervise_measure",
                  "supervise_object",
                  "set_basis",
                  "supervise_flow",
                  "supervise_result",
                  "supervise_level"
                ],
                "province": "320000",
                "record_unique_identity": "js/R1",
                "sub_item_name": "日常检查",
                "supervise_dept": "省市场监督管理局",
                "supervise_domain": "食品",
                "supervise_item_code": "01320000000001"
              },
              "id": "05b4463824ddbcf90235439b385c7d0406f6bf9ef80e7d1e434950adba2b4edf",
              "kind": "catalogueItem",
              "lane_no": 3,
              "operation": "i",
              "record": "js/R1",
              "subject": "item:01320000000001"
            }"#]]
        .assert_eq(&told("catalogue", fields, "valid"));
    }
}
