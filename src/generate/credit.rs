//! 双公示: licences granted and renewed, penalties decided, made public and paid.
//!
//! A penalty is made public 5 to 20 office days after its decision, which has a day and no hour. Most fines are paid within
//! the fortnight that the law gives; what is paid later than the publication comes as a later version. A firm is fined once at most,
//! and for less than 100,000 yuan, unless a scenario says otherwise. Fines are in units of 10,000 yuan.

use super::dirt::Kind;
use super::feed::Feed;
use super::firm::{Firm, citizen_id, person_name};
use super::inspect::{is_spotless, op_letter};
use super::make::{Maker, Standing, compact_date, date_text, time_text};
use super::record::{Record, Text};
use super::season::{Season, office_days_after};
use super::trade::LicenceKind;
use crate::engine::event::Op;
use crate::engine::time::EventTime;

/// A licence before it is written.
#[derive(Debug, Clone)]
pub(super) struct Licence {
    pub(super) number: u64,
    pub(super) firm: Firm,
    pub(super) kind: &'static LicenceKind,
    /// 核发, 延续, 变更, 注销.
    pub(super) act: &'static str,
    pub(super) decided: i32,
    pub(super) from: i32,
    /// The last day; none for one without an end.
    pub(super) to: Option<i32>,
    pub(super) status: &'static str,
}

/// A penalty before it is written.
#[derive(Debug, Clone)]
pub(super) struct Penalty {
    pub(super) number: u64,
    pub(super) firm: Firm,
    pub(super) decided: i32,
    pub(super) offence: &'static str,
    /// Kinds joined by `；`.
    pub(super) kinds: &'static str,
    pub(super) fine_yuan: u32,
    pub(super) is_paid: bool,
    pub(super) revoked_because: &'static str,
}

impl Maker<'_> {
    /// The licence that a firm has when the period begins.
    pub(super) fn first_licence(&mut self, firm: &Firm, to: i32) -> Option<Licence> {
        let kind = firm.class.licence?;
        let from = to - 365 * kind.years;
        Some(Licence {
            number: self.next_number(),
            firm: firm.clone(),
            kind,
            act: "核发",
            decided: from - 2,
            from,
            to: Some(to),
            status: "1",
        })
    }

    /// A firm renews the licence that it had, for another term.
    pub(super) fn renewal(&mut self, index: u32, day: i32) {
        if !self
            .standing(index)
            .is_free_of(Standing::ACTOR | Standing::ABSENT)
        {
            return;
        }
        let firm = self.firm(index);
        let Some(kind) = firm.class.licence else {
            return;
        };
        let from = firm.licence_to + 1;
        let licence = Licence {
            number: self.next_number(),
            kind,
            act: "延续",
            decided: office_days_after(day, 0),
            from,
            to: Some(from + 365 * kind.years),
            status: "1",
            firm,
        };
        let arrives_on = self.published_within(licence.decided, 5);
        self.send_licence(&licence, arrives_on);
    }

    /// An office day from 1 to `most` office days after.
    fn published_within(&mut self, day: i32, most: i32) -> i32 {
        let days = self.dice.between(1, most);
        office_days_after(day, days)
    }

    /// A licence of an ordinary day: granted, changed, or given to a person.
    pub(super) fn licence_story(&mut self, season: Season) {
        let picked = (0..8).find_map(|_| {
            let index = self.any_firm()?;
            let firm = self.firm(index);
            firm.class.licence.map(|kind| (firm, kind))
        });
        let Some((firm, kind)) = picked else {
            return;
        };
        let is_new = self.dice.below(3) == 0;
        let day = season.day;
        let is_endless = self.dice.below(30) == 0;
        // A change keeps the end of the licence that was there.
        let ends = if is_new {
            day + 365 * kind.years
        } else {
            firm.licence_to.max(day + 200)
        };
        let licence = Licence {
            number: self.next_number(),
            firm,
            kind,
            act: if is_new { "核发" } else { "变更" },
            decided: day,
            from: day,
            to: (!is_endless).then_some(ends),
            status: self.dice.pick(&["1", "1", "0", "有效"]),
        };
        let arrives_on = self.published_within(day, 7);
        self.send_licence(&licence, arrives_on);
    }

    pub(super) fn send_licence(&mut self, licence: &Licence, day: i32) -> bool {
        let at = self.exchange(day);
        let mut record = licence.record(self, Op::Insert, at);
        if self.plan.dirt.strikes(Kind::Person, &mut self.dice) {
            on_a_person(&mut record, "XK", &mut self.dice);
        }
        let is_sent = self.send(record, at);
        if self.plan.dirt.strikes(Kind::Deleted, &mut self.dice) {
            let later = self.exchange(day + 5);
            let mut gone = licence.record(self, Op::Delete, later);
            gone.kinds.push(Kind::Deleted);
            gone.is_evidence = true;
            self.send(gone, later);
        }
        is_sent
    }

    /// A penalty on a firm.
    pub(super) fn penalty_on(&mut self, firm: &Firm, decided: i32) -> Penalty {
        let (kinds, fine_yuan) = match self.dice.below(100) {
            0..=24 => ("警告", 0),
            25..=59 => ("罚款", 100 * (1 + self.dice.below(20))),
            60..=84 => ("罚款；没收违法所得", 500 * (4 + self.dice.below(36))),
            85..=97 => ("罚款", 1000 * (10 + self.dice.below(40))),
            _ => ("罚款；没收非法财物", 1000 * (40 + self.dice.below(55))),
        };
        Penalty {
            number: self.next_number(),
            offence: self.dice.pick(firm.class.offences),
            firm: firm.clone(),
            decided,
            kinds,
            fine_yuan,
            is_paid: false,
            revoked_because: "",
        }
    }

    /// One penalty of an ordinary day.
    pub(super) fn penalty_story(&mut self, season: Season) {
        let picked = if self.dice.below(3) == 0 {
            self.any_firm()
        } else {
            self.busy_firm()
        };
        let Some(index) = picked.filter(|index| is_spotless(self.standing(*index))) else {
            return;
        };
        self.set_standing(index, |standing| standing.flags |= Standing::FINED);
        let firm = self.firm(index);
        let penalty = self.penalty_on(&firm, season.day);
        let days = self.dice.between(5, 20);
        self.send_penalty(penalty, days, false);
    }

    /// Makes a penalty public after `days` office days, then its payment, and what dirt does to it.
    pub(super) fn send_penalty(&mut self, mut penalty: Penalty, days: i32, is_evidence: bool) {
        let public_day = office_days_after(penalty.decided, days);
        let paid_day = penalty.decided + self.dice.between(1, 15);
        penalty.is_paid = paid_day <= public_day;
        let at = self.exchange(public_day);
        let mut record = penalty.record(self, Op::Insert, at);
        record.is_evidence = is_evidence;
        if !is_evidence && self.plan.dirt.strikes(Kind::Person, &mut self.dice) {
            on_a_person(&mut record, "CF", &mut self.dice);
            self.send(record, at);
            return;
        }
        self.send(record, at);
        if 0 < penalty.fine_yuan && !penalty.is_paid {
            penalty.is_paid = true;
            let at = self.exchange(public_day.max(paid_day) + 1);
            let mut update = penalty.record(self, Op::Update, at);
            update.is_evidence = is_evidence;
            self.send(update, at);
        }
        if !is_evidence && self.plan.dirt.strikes(Kind::Revoked, &mut self.dice) {
            let days = self.dice.between(10, 60);
            penalty.revoked_because = "行政复议决定撤销";
            let at = self.exchange(public_day + days);
            let mut update = penalty.record(self, Op::Update, at);
            update.kinds.push(Kind::Revoked);
            self.send(update, at);
        }
    }
}

/// Turns a record of 双公示 into one on a person; `prefix` is `XK` or `CF`.
fn on_a_person(record: &mut Record, prefix: &str, dice: &mut super::dice::Dice) {
    record.set(&format!("{prefix}_XDR_MC"), person_name(dice));
    record.set(&format!("{prefix}_XDR_LB"), "自然人");
    record.set(&format!("{prefix}_XDR_ZJLX"), "身份证");
    record.set(&format!("{prefix}_XDR_ZJHM"), citizen_id(dice));
    for column in ["SHXYM", "GSZC"] {
        record.set(&format!("{prefix}_XDR_{column}"), "");
    }
    for column in ["FRDB", "FR_ZJLX", "FR_ZJHM"] {
        record.set(&format!("{prefix}_{column}"), "");
    }
    record.is_person = true;
    record.kinds.push(Kind::Person);
}

impl Licence {
    /// The licence as the exchange table has it, written at `at`.
    pub(super) fn record(&self, maker: &Maker<'_>, op: Op, at: EventTime) -> Record {
        let firm = &self.firm;
        let district = maker.firms.places.at(firm.place);
        let bureau = self.kind.bureau;
        let text = |text: &str| Text::from(text.to_owned());
        let to = self
            .to
            .map_or(Text::from(""), |day| Text::from(date_text(day)));
        let cells = vec![
            ("cd_id", Text::from(format!("FH-XK-{:010}", self.number))),
            ("cd_time", Text::from(time_text(at))),
            ("cd_source", Text::from("320000")),
            (
                "cd_batch",
                Text::from(format!("{}00001", compact_date(at.day()))),
            ),
            ("cd_operation", Text::from(op_letter(op))),
            ("XK_XDR_MC", text(&firm.name)),
            (
                "XK_XDR_LB",
                Text::from(if firm.class.is_individual {
                    "个体工商户"
                } else {
                    "法人及非法人组织"
                }),
            ),
            ("XK_XDR_SHXYM", text(&firm.uscc)),
            ("XK_XDR_GSZC", Text::from("无")),
            ("XK_XDR_ZZJG", Text::from("")),
            ("XK_XDR_SWDJ", Text::from("")),
            ("XK_XDR_SYDW", Text::from("")),
            ("XK_XDR_SHZZ", Text::from("")),
            ("XK_FRDB", text(&firm.person)),
            ("XK_FR_ZJLX", Text::from("身份证")),
            ("XK_FR_ZJHM", text(&firm.citizen_id)),
            ("XK_XDR_ZJLX", Text::from("")),
            ("XK_XDR_ZJHM", Text::from("")),
            ("XK_XKWS", Text::from(format!("{}决定书", self.kind.name))),
            (
                "XK_WSH",
                Text::from(format!(
                    "苏虚许〔{}〕{}号",
                    year_of(self.decided),
                    self.number
                )),
            ),
            ("XK_XKLB", Text::from("普通")),
            ("XK_XKZS", Text::from(self.kind.name)),
            ("XK_XKBH", text(&firm.licence_no)),
            ("XK_NR", Text::from(firm.class.scope)),
            ("XK_JDRQ", Text::from(date_text(self.decided))),
            ("XK_YXQZ", Text::from(date_text(self.from))),
            ("XK_YXQZI", to),
            ("XK_XKJG", Text::from(bureau.title(district))),
            ("XK_XKJGDM", Text::from(bureau.uscc(district))),
            ("XK_ZT", Text::from(self.status)),
            ("DFBM", Text::from(district.code)),
            ("XK_XKXW", Text::from(self.act)),
            ("XK_GZCN", Text::from("2")),
        ];
        Record::new(Feed::CreditLicence, cells)
    }
}

fn year_of(day: i32) -> i16 {
    EventTime::from_day(day).date().year()
}

/// Yuan in units of 10,000 without idle zeros: `0.2`.
pub(super) fn in_wan(yuan: u32) -> String {
    let text = format!("{}.{:04}", yuan / 10_000, yuan % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Penalty {
    /// What was paid of the fine: nothing is written as 0, no fine is left empty.
    fn paid(&self) -> Text {
        match (self.fine_yuan, self.is_paid) {
            (0, _) => Text::from(""),
            (fine, true) => Text::from(in_wan(fine)),
            (_, false) => Text::from("0"),
        }
    }

    /// The penalty as the exchange table has it, written at `at`.
    #[expect(clippy::too_many_lines, reason = "a row for each column of the layout")]
    pub(super) fn record(&self, maker: &Maker<'_>, op: Op, at: EventTime) -> Record {
        let firm = &self.firm;
        let district = maker.firms.places.at(firm.place);
        let bureau = firm.class.bureau;
        let text = |text: &str| Text::from(text.to_owned());
        let money = |yuan: u32| {
            if yuan == 0 {
                Text::from("")
            } else {
                Text::from(in_wan(yuan))
            }
        };
        let confiscated = if self.kinds.contains("没收") {
            self.fine_yuan / 4
        } else {
            0
        };
        let is_revoked = !self.revoked_because.is_empty();
        let content = if self.fine_yuan == 0 {
            self.kinds.to_owned()
        } else {
            format!("罚款{}元", self.fine_yuan)
        };
        let cells = vec![
            ("cd_id", Text::from(format!("FH-CF-{:010}", self.number))),
            ("cd_time", Text::from(time_text(at))),
            ("cd_source", Text::from("320000")),
            (
                "cd_batch",
                Text::from(format!("{}00001", compact_date(at.day()))),
            ),
            ("cd_operation", Text::from(op_letter(op))),
            ("CF_XDR_MC", text(&firm.name)),
            (
                "CF_XDR_LB",
                Text::from(if firm.class.is_individual {
                    "个体工商户"
                } else {
                    "法人及非法人组织"
                }),
            ),
            ("CF_XDR_SHXYM", text(&firm.uscc)),
            ("CF_XDR_GSZC", Text::from("")),
            ("CF_XDR_ZZJG", Text::from("")),
            ("CF_XDR_SWDJ", Text::from("")),
            ("CF_XDR_SYDW", Text::from("")),
            ("CF_XDR_SHZZ", Text::from("")),
            ("CF_FRDB", text(&firm.person)),
            ("CF_FR_ZJLX", Text::from("身份证")),
            ("CF_FR_ZJHM", text(&firm.citizen_id)),
            ("CF_XDR_ZJLX", Text::from("")),
            ("CF_XDR_ZJHM", Text::from("")),
            (
                "CF_WSH",
                Text::from(format!(
                    "苏虚市监罚〔{}〕{}号",
                    year_of(self.decided),
                    self.number
                )),
            ),
            ("CF_WFXW", Text::from(self.offence)),
            (
                "CF_SY",
                Text::from(format!("{}{}", firm.name, self.offence)),
            ),
            ("CF_YJ", Text::from("《中华人民共和国行政处罚法》")),
            ("CF_CFLB", Text::from(self.kinds)),
            ("CF_NR", Text::from(content)),
            ("CF_NR_FK", money(self.fine_yuan)),
            ("CF_NR_WFFF", money(confiscated)),
            ("CF_NR_ZKDX", Text::from("")),
            ("CF_JDRQ", Text::from(date_text(self.decided))),
            ("CF_YXQ", Text::from("无处罚期限")),
            (
                "CF_GSJZQ",
                Text::from(if self.fine_yuan == 0 {
                    String::new()
                } else {
                    date_text(self.decided + 365)
                }),
            ),
            ("CF_CFJG", Text::from(bureau.title(district))),
            ("CF_CFJGDM", Text::from(bureau.uscc(district))),
            ("CF_SJLY", Text::from(bureau.title(district))),
            ("CF_SJLYDM", Text::from(bureau.uscc(district))),
            (
                "CF_ZT",
                Text::from(if is_revoked { "撤销" } else { "正常" }),
            ),
            ("DFBM", Text::from(district.code)),
            ("BZ", Text::from("")),
            ("cancel_reason", Text::from(self.revoked_because)),
            ("paid_amount", self.paid()),
        ];
        Record::new(Feed::CreditPenalty, cells)
    }
}
