//! Inspections, and what follows them: publication, orders to put right, rechecks, seals.
//!
//! An inspection reaches the exchange within three days, one in five within ten office days, a few after twenty. A planned
//! inspection of a firm is at least 61 days after the last one; a failed one is followed by a passed recheck before it is due.

use super::dirt::Kind;
use super::feed::Feed;
use super::firm::{Firm, citizen_id, person_name};
use super::make::{Maker, Standing, compact_date, date_text, time_text};
use super::record::{Record, Text};
use super::season::{Season, office_days_after};
use crate::engine::event::Op;
use crate::engine::time::EventTime;

/// An inspection before it is written.
#[derive(Debug, Clone)]
pub(super) struct Inspection {
    pub(super) number: u64,
    pub(super) firm: Firm,
    pub(super) at: EventTime,
    pub(super) result: &'static str,
    /// 计划, 有因 or 双随机.
    pub(super) trigger: &'static str,
    /// 日常检查, 监督抽检…
    pub(super) check_type: &'static str,
    pub(super) failed_items: u32,
    pub(super) critical_items: u32,
    /// The day by which it must be put right.
    pub(super) rectify_due: Option<i32>,
    pub(super) is_rectified: bool,
}

impl Maker<'_> {
    /// A planned inspection that found nothing.
    pub(super) fn inspection_of(&mut self, firm: &Firm, at: EventTime) -> Inspection {
        Inspection {
            number: self.next_number(),
            firm: firm.clone(),
            at,
            result: "合格",
            trigger: "计划",
            check_type: "日常监督检查",
            failed_items: 0,
            critical_items: 0,
            rectify_due: None,
            is_rectified: false,
        }
    }

    /// The day on which the exchange gets what happened on `day`.
    pub(super) fn published_on(&mut self, day: i32) -> i32 {
        match self.dice.below(100) {
            0..=79 => day + self.dice.between(0, 3),
            80..=95 => {
                let days = self.dice.between(2, 10);
                office_days_after(day, days)
            }
            _ => {
                let days = self.dice.between(11, 20);
                office_days_after(day, days)
            }
        }
    }

    /// One inspection of an ordinary day.
    pub(super) fn inspection_story(&mut self, season: Season) {
        let picked = if self.dice.below(2) == 0 {
            self.busy_firm()
        } else {
            self.any_firm()
        };
        let Some(index) = picked else {
            return;
        };
        let standing = self.standing(index);
        let today = self.of_period(season.day);
        let is_planned = 61 <= today - standing.inspected;
        let firm = self.firm(index);
        let at = self.office_time(season.day);
        let mut inspection = self.inspection_of(&firm, at);
        if is_planned {
            self.set_standing(index, |standing| standing.inspected = today);
            inspection.trigger = self.dice.pick(&["计划", "计划", "双随机"]);
        } else {
            inspection.trigger = "有因";
        }
        let may_fail = 200 <= today - standing.failed;
        let day = season.day;
        match self.dice.below(100) {
            0..=4 if may_fail => {
                self.set_standing(index, |standing| standing.failed = today);
                self.failed_inspection(inspection, day);
                return;
            }
            5..=16 => {
                inspection.result = self
                    .dice
                    .pick(&["E", "发现问题已责令改正", "未发现问题", "1"]);
            }
            17..=18 => inspection.result = self.dice.pick(&["F", "7", "6"]),
            _ if inspection.trigger == "双随机" => inspection.result = "1",
            _ => {}
        }
        self.send_inspection(&inspection, day);
    }

    fn send_inspection(&mut self, inspection: &Inspection, day: i32) {
        let published = self.published_on(day);
        let at = self.exchange(published);
        let mut record = inspection.record(self, Op::Insert, at);
        if self.plan.dirt.strikes(Kind::Person, &mut self.dice) {
            on_a_person(&mut record, &mut self.dice);
            self.send(record, at);
            return;
        }
        if self.plan.dirt.strikes(Kind::Corrected, &mut self.dice) {
            let again = self.exchange(published + 2);
            let mut fixed = inspection.clone();
            fixed.check_type = "专项监督检查";
            let mut update = fixed.record(self, Op::Update, again);
            update.kinds.push(Kind::Corrected);
            if self.plan.dirt.strikes(Kind::OutOfOrder, &mut self.dice) {
                record.kinds.push(Kind::OutOfOrder);
                let late = again.plus_days(1);
                self.send(update, again);
                self.send(record, late);
                return;
            }
            self.send(record, at);
            self.send(update, again);
            return;
        }
        self.send(record, at);
        if self.plan.dirt.strikes(Kind::Deleted, &mut self.dice) {
            let later = self.exchange(published + 4);
            let mut gone = inspection.record(self, Op::Delete, later);
            gone.kinds.push(Kind::Deleted);
            // A reader takes a delete without its other columns: no dirt could make it refused.
            gone.is_evidence = true;
            self.send(gone, later);
        }
    }

    /// Fails, is to be put right within a fortnight or a month, and passes the recheck before that.
    fn failed_inspection(&mut self, mut inspection: Inspection, day: i32) {
        let limit = self.dice.pick(&[14, 15, 30]);
        inspection.result = "不合格";
        inspection.failed_items = 1 + self.dice.below(4);
        inspection.rectify_due = Some(day + limit);
        let at = self.exchange(day);
        self.send(inspection.record(self, Op::Insert, at), at);
        let days = self.dice.between(5, 8);
        let recheck_day = office_days_after(day, days);
        let mut recheck = self.inspection_of(&inspection.firm, EventTime(0));
        recheck.at = self.office_time(recheck_day);
        recheck.trigger = "有因";
        recheck.check_type = "复查";
        let arrives = self.exchange(recheck_day);
        self.send(recheck.record(self, Op::Insert, arrives), arrives);
        if self.dice.below(2) == 0 {
            inspection.is_rectified = true;
            let arrives = self.exchange(recheck_day + 1);
            let update = inspection.record(self, Op::Update, arrives);
            self.send(update, arrives);
        }
        if self.dice.below(6) == 0 {
            let firm = inspection.firm.clone();
            self.seal(&firm, day, recheck_day, false);
        }
    }

    /// Goods are sealed, and released on `until`.
    pub(super) fn seal(&mut self, firm: &Firm, day: i32, until: i32, is_evidence: bool) {
        let number = self.next_number();
        let started = self.office_time(day);
        let measure = self.dice.pick(&["查封场所、设施或者财物", "扣押财物"]);
        for ended in [None, Some(until)] {
            let arrives = self.exchange(ended.unwrap_or(day).max(day));
            let op = if ended.is_some() { "update" } else { "insert" };
            let mut record = self.coercion_record(firm, number, (started, ended), arrives);
            record.set("dsc_biz_operation", op);
            record.set("force_type", measure);
            record.is_evidence = is_evidence;
            self.send(record, arrives);
        }
        if self.plan.dirt.strikes(Kind::Deleted, &mut self.dice) {
            let arrives = self.exchange(until.max(day) + 3);
            let mut gone = self.coercion_record(firm, number, (started, Some(until)), arrives);
            gone.set("dsc_biz_operation", "delete");
            gone.kinds.push(Kind::Deleted);
            gone.is_evidence = true;
            self.send(gone, arrives);
        }
    }

    /// One seal of an ordinary day.
    pub(super) fn coercion_story(&mut self, season: Season) {
        if let Some(index) = self.busy_firm() {
            let firm = self.firm(index);
            let until = season.day + self.dice.between(3, 30);
            self.seal(&firm, season.day, until, false);
        }
    }

    fn coercion_record(
        &self,
        firm: &Firm,
        number: u64,
        (started, ended): (EventTime, Option<i32>),
        at: EventTime,
    ) -> Record {
        let district = self.firms.places.at(firm.place);
        let bureau = firm.class.bureau;
        let text = |text: &str| Text::from(text.to_owned());
        let code = format!("FH-QZ-{number:010}");
        let end = ended.map_or(Text::from(""), |day| Text::from(date_text(day)));
        let result = if ended.is_some() {
            "已解除"
        } else {
            "执行中"
        };
        let cells = vec![
            ("dsc_biz_record_id", Text::from(code.clone())),
            ("dsc_biz_operation", Text::from("insert")),
            ("dsc_biz_timestamp", Text::from(time_text(at))),
            ("force_action_name", Text::from("行政强制措施")),
            ("force_action_code", Text::from(code)),
            ("check_action_code", Text::from("")),
            ("supervise_item_implement_code", Text::from(item_code(firm))),
            ("supervise_object", text(&firm.name)),
            ("administrative_cp", text(&firm.name)),
            ("administrative_cp_na", Text::from("2")),
            ("administrative_cp_ce_type", Text::from("001")),
            ("administrative_cp_ui_code", text(&firm.uscc)),
            ("area_number", Text::from(district.code)),
            ("implement_institution", Text::from(bureau.title(district))),
            (
                "implement_institution_code",
                Text::from(bureau.uscc(district)),
            ),
            ("industry_code", Text::from(firm.class.code)),
            ("illegal_fact", Text::from("现场检查发现涉嫌违法的物品")),
            (
                "force_file_num",
                Text::from(format!("苏虚强制〔{}〕{number}号", started.date().year())),
            ),
            ("force_class", Text::from("措施")),
            ("force_type", Text::from("扣押财物")),
            ("force_result", Text::from(result)),
            ("force_start_date", Text::from(time_text(started))),
            ("force_extend_days", Text::from("")),
            ("force_end_date", end),
            ("submitted_date", Text::from(time_text(at))),
        ];
        Record::new(Feed::SupervisionCoercion, cells)
    }
}

/// The item of the catalogue under which a line of business is inspected: 14 digits.
fn item_code(firm: &Firm) -> String {
    format!("0131{}000001", firm.class.code)
}

impl Inspection {
    /// The inspection as the exchange table has it, written at `at`.
    #[expect(clippy::too_many_lines, reason = "a row for each column of the layout")]
    pub(super) fn record(&self, maker: &Maker<'_>, op: Op, at: EventTime) -> Record {
        let firm = &self.firm;
        let district = maker.firms.places.at(firm.place);
        let bureau = firm.class.bureau;
        let mut dice = super::dice::Dice::new(maker.plan.seed, (1 << 42) + self.number);
        let text = |text: &str| Text::from(text.to_owned());
        let count = |count: u32| {
            if count == 0 {
                Text::from("")
            } else {
                Text::from(count.to_string())
            }
        };
        let is_drawn = self.trigger == "双随机";
        let code = format!("FH-JC-{:010}", self.number);
        let bureau_code = bureau.uscc(district);
        let address = format!("{}{}", district.title(), firm.street);
        let due = self
            .rectify_due
            .map_or(Text::from(""), |day| Text::from(date_text(day)));
        let rectified = match (self.rectify_due, self.is_rectified) {
            (None, _) => "",
            (_, true) => "1",
            _ => "2",
        };
        let drawn = if is_drawn {
            format!("SSJ{}", compact_date(self.at.day()))
        } else {
            String::new()
        };
        let cells = vec![
            ("cd_id", Text::from(code.clone())),
            ("cd_time", Text::from(time_text(at))),
            ("cd_source", Text::from("320000")),
            (
                "cd_batch",
                Text::from(format!("{}00001", compact_date(at.day()))),
            ),
            ("cd_operation", Text::from(op_letter(op))),
            ("env_flag", Text::from("0")),
            ("record_unique_identity", Text::from(code.clone())),
            ("plan_id", Text::from(drawn)),
            ("supervise_item_implement_code", Text::from(item_code(firm))),
            (
                "supervise_item_check_icode",
                Text::from(format!("{bureau_code}4{}", item_code(firm))),
            ),
            (
                "check_action_name",
                Text::from(format!("对{}的检查", firm.name)),
            ),
            ("check_action_code", Text::from(code)),
            ("implement_institution", Text::from(bureau.title(district))),
            ("implement_institution_code", Text::from(bureau_code)),
            ("entrust_dept", Text::from("")),
            ("entrust_dept_code", Text::from("")),
            ("supervise_object", Text::from("1")),
            ("administrative_cp", text(&firm.name)),
            ("administrative_cp_na", Text::from("2")),
            ("administrative_cp_ce_type", Text::from("001")),
            ("administrative_cp_ui_code", text(&firm.uscc)),
            ("address_registered", Text::from(address.clone())),
            ("address_operating", Text::from(address)),
            ("area_number", Text::from(district.code)),
            ("check_form", Text::from(if is_drawn { "02" } else { "01" })),
            ("check_type", Text::from(self.check_type)),
            (
                "check_mode",
                Text::from(if dice.below(8) == 0 {
                    "非现场"
                } else {
                    "现场"
                }),
            ),
            ("check_result", Text::from(self.result)),
            ("check_date", Text::from(time_text(self.at))),
            (
                "check_personnel",
                Text::from(format!(
                    "{},{}",
                    person_name(&mut dice),
                    person_name(&mut dice)
                )),
            ),
            (
                "check_personnel_code",
                Text::from(format!(
                    "ZF{:07},ZF{:07}",
                    dice.below(9_999_999),
                    dice.below(9_999_999)
                )),
            ),
            (
                "submitted_date",
                Text::from(time_text(at.plus_ms(-600_000))),
            ),
            ("submitted_personnel", Text::from(person_name(&mut dice))),
            (
                "check_result_codes",
                Text::from(if self.result.len() == 1 {
                    self.result
                } else {
                    ""
                }),
            ),
            ("industry_code", Text::from(firm.class.code)),
            ("check_trigger", Text::from(self.trigger)),
            ("failed_items", count(self.failed_items)),
            ("critical_items", count(self.critical_items)),
            ("rectify_due_date", due),
            ("is_rectified", Text::from(rectified)),
            ("licence_no", text(&firm.licence_no)),
        ];
        Record::new(Feed::SupervisionInspection, cells)
    }
}

/// `i`, `u` or `d`.
pub(super) fn op_letter(op: Op) -> &'static str {
    match op {
        Op::Insert => "i",
        Op::Update => "u",
        Op::Delete => "d",
    }
}

/// Turns a record of the inspection feed into one on a person.
fn on_a_person(record: &mut Record, dice: &mut super::dice::Dice) {
    record.set("administrative_cp", person_name(dice));
    record.set("administrative_cp_na", "1");
    record.set("administrative_cp_ce_type", "111");
    record.set("administrative_cp_ui_code", citizen_id(dice));
    record.set("licence_no", "");
    record.is_person = true;
    record.kinds.push(Kind::Person);
}

/// Whether a firm may be fined, listed or closed down in passing.
pub(super) fn is_spotless(standing: Standing) -> bool {
    standing.is_free_of(Standing::ACTOR | Standing::ABSENT | Standing::FINED | Standing::LISTED)
}
