//! The register of market entities, the two lists of it, and what officers report back.
//!
//! The register gives a row for every approval: founding, change, end. Each July those who filed no annual report are put on
//! the list of abnormal operations, and most get off it again. Being out of reach, and the list of serious violations, are
//! left to scenarios.

use super::dirt::Kind;
use super::feed::Feed;
use super::firm::Firm;
use super::inspect::is_spotless;
use super::make::{Maker, Standing, date_text, time_text};
use super::record::{Record, Text, quote};
use super::season::{Season, office_days_after};
use crate::engine::event::{Op, SubjectKey, SubjectKind};
use crate::engine::time::EventTime;
use crate::engine::warning::transition_id;
use std::fmt::Write;

/// Reasons for the list of abnormal operations.
pub(super) const NO_REPORT: &str = "未在规定的期限公示年度报告";
/// The reason that says a firm may have run away.
pub(super) const OUT_OF_REACH: &str = "通过登记的住所或者经营场所无法联系";

/// What the register approved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Approval {
    /// 存续, 注销…
    pub(super) state: &'static str,
    /// What was changed, if anything was.
    pub(super) item: &'static str,
    pub(super) day: i32,
}

impl Approval {
    pub(super) fn new(state: &'static str, item: &'static str, day: i32) -> Self {
        Self { state, item, day }
    }
}

impl Maker<'_> {
    /// One approval of an ordinary day: a founding, a change, or an end.
    pub(super) fn register_story(&mut self, season: Season) {
        let subjects = u32::try_from(self.plan.subjects).unwrap_or(u32::MAX);
        let day = season.day;
        match self.dice.below(100) {
            0..=44 if self.unborn < subjects => {
                let mut firm = self.firm(self.unborn);
                self.unborn += 1;
                firm.established = day;
                self.send_registration(&firm, Approval::new("存续", "", day), false);
            }
            0..=79 => {
                let Some(index) = self.any_firm() else {
                    return;
                };
                let firm = self.firm(index);
                let changes = self.standing(index).changes;
                let item = if changes == 0 {
                    self.dice.pick(&[
                        "法定代表人",
                        "住所",
                        "经营范围",
                        "注册资本",
                        "经营范围;注册资本",
                    ])
                } else {
                    "经营范围"
                };
                self.set_standing(index, |standing| {
                    standing.changes = changes.saturating_add(1);
                });
                self.send_registration(&firm, Approval::new("存续", item, day), false);
            }
            _ => {
                let Some(index) = self
                    .any_firm()
                    .filter(|index| is_spotless(self.standing(*index)))
                else {
                    return;
                };
                self.set_standing(index, |standing| standing.flags |= Standing::ABSENT);
                let firm = self.firm(index);
                self.send_registration(&firm, Approval::new("注销", "", day), false);
            }
        }
    }

    /// A row of the register, arriving the next office day.
    pub(super) fn send_registration(&mut self, firm: &Firm, approval: Approval, is_evidence: bool) {
        let at = self.exchange(office_days_after(approval.day, 1));
        let mut record = self.register_record(firm, approval, at);
        record.is_evidence = is_evidence;
        self.send(record, at);
    }

    /// A row of the register.
    #[expect(clippy::too_many_lines, reason = "a row for each column of the layout")]
    pub(super) fn register_record(&self, firm: &Firm, approval: Approval, at: EventTime) -> Record {
        let Approval { state, item, day } = approval;
        let district = self.firms.places.at(firm.place);
        let text = |text: &str| Text::from(text.to_owned());
        let address = format!("{}{}", district.title(), firm.street);
        let company = if firm.name.contains("股份") {
            "股份有限公司"
        } else {
            "有限责任公司"
        };
        let founded = EventTime::from_day(firm.established).date();
        let representative = if item.contains("法定代表人") {
            super::firm::person_name(&mut super::dice::Dice::new(
                self.plan.seed,
                (1 << 43) + u64::from(firm.index),
            ))
        } else {
            firm.person.clone()
        };
        let cells = vec![
            (
                "main_identi_id",
                Text::from(format!("3200FH{:010}", firm.index)),
            ),
            (
                "reg_org",
                Text::from(super::place::Bureau::Market.title(district)),
            ),
            (
                "comp_type",
                Text::from(if firm.class.is_individual {
                    "个体工商户"
                } else {
                    company
                }),
            ),
            ("reg_state", Text::from(state)),
            ("uni_social_crd_cd", text(&firm.uscc)),
            ("comp_nm", text(&firm.name)),
            ("addr", Text::from(address.clone())),
            ("legal_repre", Text::from(representative)),
            ("indv_id", Text::from(firm.class.section.to_string())),
            ("reg_capt", Text::from(firm.capital_wan.to_string())),
            ("capt_kind", Text::from("人民币")),
            ("opt_scop", Text::from(firm.class.scope)),
            ("reg_no", text(&firm.reg_no)),
            ("appr_dt", Text::from(date_text(day))),
            (
                "est_dt",
                Text::from(format!(
                    "{}-{}-{}",
                    founded.year(),
                    founded.month(),
                    founded.day()
                )),
            ),
            ("opt_from", Text::from(date_text(firm.established))),
            ("opt_to", Text::from("")),
            ("domdi_strict", Text::from(district.code)),
            ("pro_loc", Text::from(address.clone())),
            ("opt_strict", Text::from(district.code)),
            ("postal_code", Text::from("")),
            ("sfgzq", Text::from("0")),
            ("sfgzqzx", Text::from("0")),
            ("compform", Text::from("")),
            ("opt_loc", Text::from(address)),
            ("otherinfo", Text::from("")),
            ("puburl", Text::from("")),
            ("qrcode", Text::from("")),
            ("lv_pripid", Text::from("")),
            ("indv_code", Text::from(firm.class.code)),
            ("alt_item", Text::from(item)),
            ("cd_time", Text::from(time_text(at))),
        ];
        Record::new(Feed::MarketRegister, cells)
    }

    /// One entry of an ordinary day: no annual report.
    pub(super) fn abnormal_story(&mut self, season: Season) {
        let Some(index) = self
            .any_firm()
            .filter(|index| is_spotless(self.standing(*index)))
        else {
            return;
        };
        self.set_standing(index, |standing| standing.flags |= Standing::LISTED);
        let firm = self.firm(index);
        let number = self.list_abnormal(&firm, season.day, NO_REPORT, false);
        if self.plan.dirt.strikes(Kind::Repaired, &mut self.dice) {
            let until = season.day + self.dice.between(12, 150);
            let reason = if self.dice.below(30) == 0 {
                "列入错误，更正"
            } else {
                "已补报未报年份的年度报告并公示"
            };
            let mut record = self.abnormal_record(&firm, number, season.day, NO_REPORT);
            record.set(
                "remove_dt",
                time_text(EventTime::from_day(until).plus_ms(36_000_000)),
            );
            record.set("remexcpres_cn", reason);
            let organ = record.get("decorg_cn").to_owned();
            record.set("redecorg_cn", organ);
            record.kinds.push(Kind::Repaired);
            let at = self.exchange(until);
            self.send(record, at);
        }
    }

    /// Puts a firm on the list of abnormal operations. Returns the entry's number.
    pub(super) fn list_abnormal(
        &mut self,
        firm: &Firm,
        day: i32,
        reason: &'static str,
        is_evidence: bool,
    ) -> u64 {
        let number = self.next_number();
        let mut record = self.abnormal_record(firm, number, day, reason);
        record.is_evidence = is_evidence;
        let at = self.exchange(day);
        self.send(record, at);
        number
    }

    fn abnormal_record(&self, firm: &Firm, number: u64, day: i32, reason: &'static str) -> Record {
        let district = self.firms.places.at(firm.place);
        let minute = i64::try_from(number % 400).unwrap_or(0);
        let cells = vec![
            ("busexclist", Text::from(format!("FH-YC-{number:010}"))),
            (
                "inclu_dt",
                Text::from(time_text(
                    EventTime::from_day(day).plus_ms((540 + minute) * 60_000),
                )),
            ),
            ("inclu_reason", Text::from(reason)),
            ("uni_social_crd_cd", Text::from(firm.uscc.clone())),
            ("reg_no", Text::from(firm.reg_no.clone())),
            ("redecorg_cn", Text::from("")),
            ("pripid", Text::from(format!("3200FH{:010}", firm.index))),
            ("remexcpres_cn", Text::from("")),
            ("remove_dt", Text::from("")),
            (
                "decorg_cn",
                Text::from(super::place::Bureau::Market.title(district)),
            ),
            ("comp_nm", Text::from(firm.name.clone())),
            ("dsc_adm_region", Text::from(district.title())),
        ];
        Record::new(Feed::AbnormalList, cells)
    }

    /// Puts a firm on the list of serious violations, and takes it off again on `repaired`.
    pub(super) fn list_serious(
        &mut self,
        firm: &Firm,
        day: i32,
        reason: &'static str,
        repaired: Option<i32>,
    ) {
        let number = self.next_number();
        let at = self.exchange(day);
        let entry = self.serious_record(firm, (number, day, reason), at);
        self.send(entry, at);
        let Some(until) = repaired else {
            return;
        };
        let at = self.exchange(until);
        let mut record = self.serious_record(firm, (number, day, reason), at);
        record.op = Op::Update;
        record.set("rem_dt", date_text(until));
        record.set("rem_excpres_rea", "信用修复");
        let organ = record.get("decorg_org").to_owned();
        record.set("recorg_ogr", organ);
        record.kinds.push(Kind::Repaired);
        self.send(record, at);
    }

    fn serious_record(
        &self,
        firm: &Firm,
        (number, day, reason): (u64, i32, &'static str),
        at: EventTime,
    ) -> Record {
        let district = self.firms.places.at(firm.place);
        let cells = vec![
            ("ill_comp_id", Text::from(format!("FH-YZ-{number:010}"))),
            ("abn_tm", Text::from(date_text(day))),
            ("serill_rea", Text::from(reason)),
            ("rem_dt", Text::from("")),
            ("recorg_ogr", Text::from("")),
            ("uni_social_crd_cd", Text::from(firm.uscc.clone())),
            ("rem_excpres_rea", Text::from("")),
            ("comp_name", Text::from(firm.name.clone())),
            ("reg_no", Text::from(firm.reg_no.clone())),
            (
                "decorg_org",
                Text::from(super::place::Bureau::Market.title(district)),
            ),
            ("pripid", Text::from(format!("3200FH{:010}", firm.index))),
            ("dsc_city", Text::from(district.city)),
            ("dsc_adm_region", Text::from(district.code)),
        ];
        let mut record = Record::new(Feed::SeriousList, cells);
        record.written_ms = at.0;
        record.is_evidence = true;
        record
    }

    /// What officers found when they followed up a clue of the national platform.
    pub(super) fn feedback_story(&mut self, season: Season) {
        if let Some(index) = self.busy_firm() {
            let firm = self.firm(index);
            let verdict = self.dice.pick(&["属实", "部分属实", "不属实", "无法核实"]);
            self.send_feedback(&firm, season.day, (verdict, None));
        }
    }

    /// A report on a firm: on the first warning of this rule, or on a clue of the national platform.
    pub(super) fn send_feedback(
        &mut self,
        firm: &Firm,
        day: i32,
        (verdict, rule): (&str, Option<&str>),
    ) {
        let number = self.next_number();
        let district = self.firms.places.at(firm.place);
        let unit = firm.class.bureau.title(district);
        let code = district.code;
        let at = self.office_time(day);
        let disposal = match verdict {
            "属实" => "[\"责令整改\",\"约谈\"]",
            "部分属实" => "[\"责令整改\"]",
            _ => "[\"无需处置\"]",
        };
        let mut line = format!(
            "{{\"source\":\"feedback\",\"record_id\":\"FH-FK-{number:010}\",\"version\":{},\"stream\":\"feedback\",\"occurred_at\":\"{}\",\"subjects\":[",
            at.0,
            at.rfc3339()
        );
        quote(&mut line, &format!("enterprise:{}", firm.uscc));
        let _ = write!(line, ",\"region:{code}\"],\"fields\":{{\"name\":");
        quote(&mut line, &firm.name);
        line.push_str(",\"warning_id\":");
        let subject = SubjectKey::new(SubjectKind::Enterprise, &firm.uscc);
        let id = rule.map(|rule| transition_id(&subject, rule, 1));
        quote(&mut line, &id.unwrap_or_else(|| format!("GJ{number:012}")));
        line.push_str(",\"verdict\":");
        quote(&mut line, verdict);
        line.push_str(",\"unit\":");
        quote(&mut line, &unit);
        let _ = write!(line, ",\"disposal\":{disposal}}}}}");
        let mut record = Record::new(Feed::Feedback, vec![("line", Text::from(line))]);
        record.is_evidence = rule.is_some();
        self.send(record, at.plus_ms(60_000));
    }
}
