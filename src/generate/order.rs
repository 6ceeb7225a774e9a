//! Orders of the 12345 hotline: registered, accepted, handled, closed, reviewed.
//!
//! An order comes when it is accepted and again when it is closed, before it is due; two in ten are answered at once and
//! come only once. A quarter has no credit code: half of those name a firm in words, the rest are questions to the city.
//! Titles and texts hold no word that a risk rule looks for, except in scenarios.

use super::dirt::Kind;
use super::feed::Feed;
use super::firm::{Firm, person_name, telephone};
use super::make::{Maker, compact_date, time_text};
use super::record::{Record, Text};
use super::season::{Season, office_days_after};
use super::trade::{ASKS, Problem};
use crate::engine::time::{EventTime, HOUR_MS, MINUTE_MS};

/// How many orders come in each hour of the day, in hundredths of the mean hour.
const HOURS: [u32; 24] = [
    10, 6, 4, 4, 5, 10, 25, 70, 170, 240, 250, 210, 130, 140, 210, 225, 210, 170, 120, 110, 95, 70,
    40, 20,
];

/// An order before it is written.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) number: u64,
    pub(super) at: EventTime,
    pub(super) firm: Option<Firm>,
    pub(super) place: u16,
    /// Whether the platform found the firm's code.
    pub(super) has_code: bool,
    pub(super) kind: &'static str,
    pub(super) channel: &'static str,
    pub(super) category: &'static str,
    pub(super) problem: Text,
    pub(super) title: String,
    pub(super) content: String,
    pub(super) phone: u32,
    pub(super) people: u32,
    pub(super) amount_yuan: u32,
    pub(super) group: u64,
    pub(super) urgency: &'static str,
    pub(super) due: EventTime,
}

/// How far an order has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stage {
    pub(super) status: &'static str,
    pub(super) updated: EventTime,
    pub(super) finished: Option<EventTime>,
    pub(super) result: &'static str,
    pub(super) satisfaction: &'static str,
    pub(super) reworks: u32,
}

impl Stage {
    /// Accepted and handed on.
    pub(super) fn accepted(at: EventTime) -> Self {
        Self {
            status: "转办",
            updated: at,
            finished: None,
            result: "",
            satisfaction: "",
            reworks: 0,
        }
    }

    /// Closed.
    pub(super) fn closed(at: EventTime, result: &'static str, satisfaction: &'static str) -> Self {
        Self {
            status: "办结",
            updated: at.plus_ms(7 * MINUTE_MS),
            finished: Some(at),
            result,
            satisfaction,
            reworks: 0,
        }
    }
}

impl Maker<'_> {
    /// A moment of the day when people call.
    pub(super) fn calling_time(&mut self, day: i32) -> EventTime {
        let hour = i64::try_from(self.dice.weighted(&HOURS, |w| *w)).unwrap_or(9);
        let second = i64::from(self.dice.below(3600));
        EventTime::from_day(day).plus_ms(hour * HOUR_MS + second * 1000)
    }

    /// An order on a firm about one of its problems.
    pub(super) fn order_on(
        &mut self,
        firm: &Firm,
        at: EventTime,
        problem: &'static Problem,
    ) -> Order {
        let number = self.next_number();
        let phrase = self.dice.pick(problem.phrases);
        let kind = self
            .dice
            .pick(&["投诉", "投诉", "投诉", "投诉", "举报", "投诉举报类"]);
        let limit = self.dice.pick(&[5, 10, 15]);
        let phone = self.dice.word();
        let amount_yuan = match self.dice.below(10) {
            0..=4 => 0,
            5..=8 => 10 + self.dice.below(990),
            _ => 1000 + self.dice.below(19_000),
        };
        Order {
            number,
            at,
            place: firm.place,
            has_code: true,
            kind,
            channel: self.dice.pick(&["DH", "DH", "DH", "WZ", "APP", "WX"]),
            category: problem.category,
            problem: Text::from(problem.name),
            title: format!("反映{}{phrase}", firm.name),
            content: format!(
                "市民来电反映：{}（{}）{phrase}，希望处理。联系电话{}。",
                firm.name,
                firm.street,
                telephone(phone)
            ),
            phone,
            people: 1,
            amount_yuan,
            group: number,
            urgency: self.dice.pick(&["10", "10", "10", "10", "10", "20"]),
            due: EventTime::from_day(office_days_after(at.day(), limit)).plus_ms(18 * HOUR_MS),
            firm: Some(firm.clone()),
        }
    }

    /// A question to the city.
    fn question(&mut self, at: EventTime) -> Order {
        let number = self.next_number();
        let ask = self.dice.pick(&ASKS);
        Order {
            number,
            at,
            firm: None,
            place: self.firms.places.pick(&mut self.dice),
            has_code: false,
            kind: if ask.starts_with("建议") {
                "建议"
            } else {
                self.dice.pick(&["咨询", "咨询类", "求助"])
            },
            channel: self.dice.pick(&["DH", "DH", "WZ", "APP"]),
            category: "公共服务",
            problem: Text::from(""),
            title: ask.to_owned(),
            content: format!("市民来电{ask}。"),
            phone: self.dice.word(),
            people: 1,
            amount_yuan: 0,
            group: number,
            urgency: "10",
            due: EventTime::from_day(office_days_after(at.day(), 5)).plus_ms(18 * HOUR_MS),
        }
    }

    /// One order of an ordinary day.
    pub(super) fn order_story(&mut self, season: Season) {
        let at = self.calling_time(season.day);
        let mut order = self.ordinary_order(at, season);
        let accepted = at.plus_ms(i64::from(2 + self.dice.below(50)) * MINUTE_MS);
        let is_quick = self.dice.below(10) < 2;
        let days = self.dice.between(1, 4);
        let closed_at = if is_quick {
            accepted
        } else {
            let close_day = office_days_after(season.day, days);
            EventTime::from_day(close_day)
                .plus_ms((9 * 60 + i64::from(self.dice.below(480))) * MINUTE_MS)
        };
        let last = self.last_stage(&order, closed_at);
        let is_swapped = !is_quick && self.plan.dirt.strikes(Kind::OutOfOrder, &mut self.dice);
        if !is_quick {
            let mut first = order.record(self, &Stage::accepted(accepted));
            let mut arrives = accepted;
            if is_swapped {
                first.kinds.push(Kind::OutOfOrder);
                arrives = last.updated.plus_ms(HOUR_MS);
            }
            self.send(first, arrives);
        }
        let mut record = order.record(self, &last);
        if last.status == "已撤回" {
            record.kinds.push(Kind::Retracted);
        } else if self.plan.dirt.strikes(Kind::Corrected, &mut self.dice) {
            order.problem = Text::from("其他");
            record = order.record(self, &last);
            record.kinds.push(Kind::Corrected);
        }
        self.send(record, last.updated);
        if order.firm.is_some() && self.plan.dirt.strikes(Kind::ManyChannels, &mut self.dice) {
            self.other_channel(order, closed_at);
        }
    }

    /// A question that is answered at once, whatever else the plan holds.
    pub(super) fn last_question(&mut self, at: EventTime) {
        let order = self.question(at);
        let record = order.record(
            self,
            &Stage {
                updated: at,
                ..Stage::closed(at, "", "满意")
            },
        );
        self.send(record, at);
    }

    fn ordinary_order(&mut self, at: EventTime, season: Season) -> Order {
        let without_code = self.plan.dirt.strikes(Kind::NoCode, &mut self.dice);
        if without_code && self.dice.below(2) == 0 {
            return self.question(at);
        }
        for _ in 0..6 {
            let Some(index) = self.busy_firm() else {
                break;
            };
            let firm = self.firm(index);
            let problem = self.dice.pick(firm.class.problems);
            let warmth = if problem.is_food {
                season.food_percent()
            } else {
                100
            };
            if self.dice.below(45_000) < firm.class.heat * warmth {
                let mut order = self.order_on(&firm, at, problem);
                order.has_code = !without_code;
                return order;
            }
        }
        self.question(at)
    }

    fn last_stage(&mut self, order: &Order, closed_at: EventTime) -> Stage {
        if order.firm.is_some() && self.plan.dirt.strikes(Kind::Retracted, &mut self.dice) {
            return Stage {
                status: "已撤回",
                ..Stage::closed(closed_at, "", "")
            };
        }
        if order.firm.is_none() {
            return Stage::closed(closed_at, "", "满意");
        }
        let result = self
            .dice
            .pick(&["属实", "属实", "部分属实", "不属实", "无法核实"]);
        let satisfaction = match self.dice.below(100) {
            0..=69 => "满意",
            70..=93 => "基本满意",
            94..=95 => "不满意",
            _ => "",
        };
        let reworks = u32::from(self.dice.below(100) < 2);
        Stage {
            reworks,
            ..Stage::closed(closed_at, result, satisfaction)
        }
    }

    /// The same dispute once more, through the consumer line.
    fn other_channel(&mut self, first: Order, closed_at: EventTime) {
        let number = self.next_number();
        let at = first.at.plus_ms(3 * HOUR_MS);
        let closed_at = closed_at.max(at).plus_ms(HOUR_MS);
        let order = Order {
            number,
            at,
            channel: "12315",
            ..first
        };
        let mut record = order.record(self, &Stage::closed(closed_at, "属实", ""));
        record.kinds.push(Kind::ManyChannels);
        self.send(record, closed_at.plus_ms(7 * MINUTE_MS));
    }
}

impl Order {
    /// The order as the hotline writes it at this stage.
    #[expect(clippy::too_many_lines, reason = "a row for each column of the layout")]
    pub(super) fn record(&self, maker: &Maker<'_>, stage: &Stage) -> Record {
        let district = maker.firms.places.at(self.place);
        let firm = self.firm.as_ref();
        let mut dice = super::dice::Dice::new(maker.plan.seed, (1 << 41) + self.number);
        let accepted = self.at.plus_ms(2 * MINUTE_MS).min(stage.updated);
        let bureau = firm.map_or(super::place::Bureau::Market, |firm| firm.class.bureau);
        let text = |text: &str| Text::from(text.to_owned());
        let number = |number: u32| {
            if number == 0 {
                Text::from("")
            } else {
                Text::from(number.to_string())
            }
        };
        let cells = vec![
            ("ROWGUID", Text::from(format!("FH-GD-{:012}", self.number))),
            (
                "SERIALNUM",
                Text::from(format!(
                    "{}{}{:08}",
                    self.channel,
                    compact_date(self.at.day()),
                    self.number
                )),
            ),
            ("RQSTPERSON", Text::from(person_name(&mut dice))),
            ("RQSTTIME", Text::from(time_text(self.at))),
            ("RQSTNUMBER", Text::from(telephone(self.phone))),
            ("LINKNUMBER", Text::from(telephone(self.phone))),
            (
                "RQSTAREACODE",
                text(district.code.get(..4).unwrap_or_default()),
            ),
            ("AREACODE", Text::from(district.code)),
            (
                "RQSTADDRESS",
                Text::from(format!(
                    "{}烽台小区{}幢",
                    district.title(),
                    1 + dice.below(60)
                )),
            ),
            ("RQSTTYPE", Text::from(self.kind)),
            ("ACCORDTYPE", Text::from(self.category)),
            ("RQSTTITLE", text(&self.title)),
            ("RQSTCONTENT", text(&self.content)),
            ("RQSTSOURCE", Text::from(self.channel)),
            (
                "REGISTERNAME",
                Text::from(format!("话务员{:03}", dice.below(400))),
            ),
            ("CSTATUS", Text::from(stage.status)),
            ("ISIMPT", Text::from(self.urgency)),
            ("ISSECRET", Text::from("0")),
            ("REPLAYTYPE", Text::from("1")),
            (
                "FINISHTIME",
                stage
                    .finished
                    .map_or(Text::from(""), |at| Text::from(time_text(at))),
            ),
            ("WEBRQSTTIME", Text::from("")),
            ("UPDATETIME", Text::from(time_text(stage.updated))),
            (
                "TARGETUSCC",
                firm.filter(|_| self.has_code)
                    .map_or(Text::from(""), |firm| text(&firm.uscc)),
            ),
            (
                "TARGETNAME",
                firm.map_or(Text::from(""), |firm| text(&firm.name)),
            ),
            (
                "TARGETADDRESS",
                firm.map_or(Text::from(""), |firm| {
                    Text::from(format!("{}{}", district.title(), firm.street))
                }),
            ),
            (
                "INDUSTRYCODE",
                firm.map_or(Text::from(""), |firm| {
                    Text::from(format!("{}{}", firm.class.section, firm.class.code))
                }),
            ),
            ("DEPTNAME", Text::from(bureau.title(district))),
            ("DEPTCODE", Text::from(bureau.uscc(district))),
            ("PROBLEMTYPE", self.problem.clone()),
            (
                "TOPIC",
                Text::from(self.category.split('/').next().unwrap_or_default()),
            ),
            (
                "DISPUTETIME",
                firm.map_or(Text::from(""), |_| {
                    Text::from(time_text(self.at.plus_ms(-HOUR_MS)))
                }),
            ),
            (
                "ISREALNAME",
                Text::from(if dice.below(10) < 7 { "1" } else { "0" }),
            ),
            (
                "GROUPSIZE",
                number(if self.people < 2 { 0 } else { self.people }),
            ),
            (
                "DISPUTEGROUP",
                firm.map_or(Text::from(""), |_| {
                    Text::from(format!("FH-ZY-{:012}", self.group))
                }),
            ),
            ("ACCEPTTIME", Text::from(time_text(accepted))),
            ("DUETIME", Text::from(time_text(self.due))),
            ("RESULT", Text::from(stage.result)),
            ("SATISFACTION", Text::from(stage.satisfaction)),
            ("REWORKCOUNT", number(stage.reworks)),
            ("AMOUNT", number(self.amount_yuan)),
        ];
        let mut record = Record::new(Feed::HotlineOrder, cells);
        if !self.has_code {
            record.kinds.push(Kind::NoCode);
        }
        record
    }
}
