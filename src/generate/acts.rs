//! What the bad actors do: the records that their rules should find.
//!
//! Evidence carries harmless dirt only. A scenario of which a record would arrive too late, or beyond the plan, is played as far as it
//! goes and left out of the truth.

use super::firm::Firm;
use super::make::{Maker, date_text};
use super::order::{Order, Stage};
use super::record::Text;
use super::register::{Approval, OUT_OF_REACH};
use super::scenario::Actor;
use super::season::office_days_after;
use super::summary::Truth;
use super::trade::{Problem, class};
use crate::engine::event::Op;
use crate::engine::time::{EventTime, HOUR_MS, MINUTE_MS};

impl Maker<'_> {
    /// The bad actor of this number does what it does.
    pub(super) fn act(&mut self, number: usize) {
        let Some(actor) = self.actors.list.get(number).cloned() else {
            return;
        };
        let Some(index) = actor.firms.first().copied() else {
            return;
        };
        let firm = self.firm(index);
        let day = actor.start;
        self.is_cut = false;
        let last = match actor.scenario.name {
            "prepaid_flight" => self.prepaid_flight(&firm, day),
            "complaint_surge" => self.complaint_surge(&firm, day),
            "same_problem" => self.same_problem(&firm, day),
            "mass_complaint" => self.mass_complaint(&firm, day),
            "overdue_order" => self.overdue_order(&firm, day),
            "unresolved_order" => self.unresolved_order(&firm, day),
            "food_poisoning" => self.food_poisoning(&firm, day),
            "lift_entrapment" => self.lift_entrapment(&firm, day),
            "fund_raising" => self.fund_raising(&firm, day),
            "district_cluster" => self.district_cluster(&firm, day),
            _ => self.act_of_offices(&actor, &firm, day),
        };
        if self.is_cut {
            return;
        }
        let district = self.firms.places.at(firm.place);
        let subject = match actor.scenario.name {
            "over_inspection" => format!("department:{}", firm.class.bureau.uscc(district)),
            "district_cluster" => format!("region:{}", district.code),
            _ => format!("enterprise:{}", firm.uscc),
        };
        self.note_truth(Truth {
            subject,
            scenario: actor.scenario.name,
            rule: actor.scenario.rule,
            outcome: actor.scenario.outcome,
            from: date_text(day),
            to: date_text(last),
        });
    }

    /// The problem of a line of business that is not about prepayment, or the one that is.
    fn problem(firm: &Firm, name: &str) -> Option<&'static Problem> {
        let named = firm
            .class
            .problems
            .iter()
            .find(|problem| problem.name == name);
        named.or(firm.class.problems.first()).copied()
    }

    /// An order with these words in it, accepted and, `days` office days later, closed.
    fn complain(&mut self, firm: &Firm, at: EventTime, (about, words): (&str, &str), days: i32) {
        let Some(problem) = Self::problem(firm, about) else {
            return;
        };
        let mut order = self.order_on(firm, at, problem);
        order.kind = "投诉";
        if !words.is_empty() {
            order.title = format!("反映{}{words}", firm.name);
            order.content = format!("市民来电反映：{}{words}。", firm.name);
        }
        self.file(&order, Some(days));
    }

    /// Sends an order as accepted and, if `days` says when, as closed.
    fn file(&mut self, order: &Order, days: Option<i32>) {
        let accepted = order.at.plus_ms(9 * MINUTE_MS);
        let mut record = order.record(self, &Stage::accepted(accepted));
        record.is_evidence = true;
        self.send(record, accepted);
        if let Some(days) = days {
            let day = office_days_after(order.at.day(), days);
            let closed = EventTime::from_day(day).plus_ms(11 * HOUR_MS + order.at.ms_of_day() / 8);
            let stage = Stage::closed(closed, "属实", "基本满意");
            self.close(order, &stage);
        }
    }

    fn close(&mut self, order: &Order, stage: &Stage) {
        let mut record = order.record(self, stage);
        record.is_evidence = true;
        self.send(record, stage.updated);
    }

    /// Fourteen customers in five days find the shop shut; then the office finds nobody.
    fn prepaid_flight(&mut self, firm: &Firm, day: i32) -> i32 {
        let words = [
            "人去楼空，会员卡无法使用",
            "突然闭店，要求退费",
            "老板失联，办卡的钱要退款",
            "停止营业，充值卡退不了费，要求退费",
        ];
        for number in 0..14 {
            let at = self.calling_time(day + number % 5);
            let phrase = self.dice.pick(&words);
            self.complain(firm, at, ("预付卡消费", phrase), 4);
        }
        let listed = office_days_after(day + 5, 2);
        self.list_abnormal(firm, listed, OUT_OF_REACH, true);
        let later = office_days_after(listed, 3);
        self.send_feedback(firm, later, ("属实", Some("TS-003")));
        listed
    }

    /// Quiet for two months, then twice a day.
    fn complaint_surge(&mut self, firm: &Firm, day: i32) -> i32 {
        let count = self.dice.between(9, 16);
        let mut last = day;
        for number in 0..count {
            let name = firm
                .class
                .problems
                .iter()
                .cycle()
                .nth(usize::try_from(number).unwrap_or(0));
            last = day + number % 6;
            let at = self.calling_time(last);
            self.complain(firm, at, (name.map_or("", |problem| problem.name), ""), 3);
        }
        last.max(day + 5)
    }

    /// A dozen people, one problem.
    fn same_problem(&mut self, firm: &Firm, day: i32) -> i32 {
        for number in 0..12 {
            let at = self.calling_time(day + number);
            self.complain(firm, at, ("合同纠纷", ""), 3);
        }
        day + 11
    }

    /// One dispute of many people.
    fn mass_complaint(&mut self, firm: &Firm, day: i32) -> i32 {
        if let Some(problem) = Self::problem(firm, "物业服务") {
            let at = self.calling_time(day);
            let mut order = self.order_on(firm, at, problem);
            order.kind = "投诉";
            order.people = 30 + self.dice.below(60);
            order.urgency = "30";
            order.content.push_str("多名业主联名反映。");
            self.file(&order, Some(5));
        }
        day
    }

    /// Nobody answers until long after the order was due.
    fn overdue_order(&mut self, firm: &Firm, day: i32) -> i32 {
        let due_day = office_days_after(day, 5);
        if let Some(problem) = firm.class.problems.first() {
            let at = self.calling_time(day);
            let mut order = self.order_on(firm, at, problem);
            order.due = EventTime::from_day(due_day).plus_ms(18 * HOUR_MS);
            self.file(&order, Some(22));
        }
        office_days_after(due_day, 6)
    }

    /// Handled again and again, and people are still not satisfied.
    fn unresolved_order(&mut self, firm: &Firm, day: i32) -> i32 {
        for number in 0..3 {
            let Some(problem) = firm.class.problems.first() else {
                break;
            };
            let at = self.calling_time(day + number * 3);
            let order = self.order_on(firm, at, problem);
            self.file(&order, None);
            let closed_day = office_days_after(day + number * 3, 4);
            let closed = EventTime::from_day(closed_day).plus_ms(15 * HOUR_MS);
            let reworks = if number == 2 { 2 } else { 0 };
            self.close(
                &order,
                &Stage {
                    reworks,
                    ..Stage::closed(closed, "部分属实", "不满意")
                },
            );
        }
        office_days_after(day + 6, 4)
    }

    /// Six guests fall ill within two days; the sample fails.
    fn food_poisoning(&mut self, firm: &Firm, day: i32) -> i32 {
        let words = [
            "用餐后上吐下泻",
            "吃完腹泻三次",
            "一家三口食物中毒",
            "孩子呕吐不止",
        ];
        for number in 0..6 {
            let at = self.calling_time(day + number % 2);
            let phrase = self.dice.pick(&words);
            self.complain(firm, at, ("食品质量", phrase), 5);
        }
        let at = self.office_time(office_days_after(day + 1, 1));
        let mut sample = self.inspection_of(firm, at);
        sample.result = "不合格";
        sample.trigger = "有因";
        sample.check_type = "监督抽检";
        sample.failed_items = 1;
        let arrives = self.exchange(office_days_after(at.day(), 7));
        self.send_evidence(&sample, Op::Insert, arrives);
        let until = day + 20;
        self.seal(firm, at.day(), until, true);
        day + 2
    }

    /// People are shut in three times within three weeks.
    fn lift_entrapment(&mut self, firm: &Firm, day: i32) -> i32 {
        for number in 0..3 {
            let at = self.calling_time(day + number * 8);
            self.complain(firm, at, ("电梯维护", "电梯困人半小时，业主被困"), 2);
        }
        day + 16
    }

    /// A name with forbidden words, and savers who were promised the moon.
    fn fund_raising(&mut self, firm: &Firm, day: i32) -> i32 {
        self.send_registration(firm, Approval::new("存续", "经营范围", day - 1), true);
        let words = [
            "承诺保本高息，到期不还",
            "以高额回报吸引投资",
            "介绍亲友入股有返利",
            "理财产品稳赚不赔，钱取不出来",
        ];
        for number in 0..6 {
            let at = self.calling_time(day + 2 + number * 5);
            let phrase = self.dice.pick(&words);
            self.complain(firm, at, ("合同纠纷", phrase), 5);
        }
        day + 27
    }

    /// One district, one line of business, one problem: many firms at once.
    fn district_cluster(&mut self, firm: &Firm, day: i32) -> i32 {
        for number in 0..28 {
            let mut other = firm.clone();
            // Each complaint falls on another firm of the district: none of them has enough to stand out.
            let index = self.firms_of_place(firm.place);
            if let Some(index) = index {
                other = self.firms.firm(index, Some(class("8391")));
            }
            let at = self.calling_time(day + number % 5);
            self.complain(&other, at, ("预付卡消费", ""), 5);
        }
        day + 5
    }

    fn firms_of_place(&mut self, place: u16) -> Option<u32> {
        let born = self.born;
        (0..400).find_map(|_| {
            let index = self.dice.below(born);
            let is_free = self
                .standing(index)
                .is_free_of(super::make::Standing::ACTOR | super::make::Standing::ABSENT);
            (is_free && self.firms.firm(index, None).place == place).then_some(index)
        })
    }

    pub(super) fn send_evidence(
        &mut self,
        inspection: &super::inspect::Inspection,
        op: Op,
        arrives: EventTime,
    ) {
        let mut record = inspection.record(self, op, arrives);
        record.is_evidence = true;
        self.send(record, arrives);
    }

    /// The scenarios that offices record.
    fn act_of_offices(&mut self, actor: &Actor, firm: &Firm, day: i32) -> i32 {
        match actor.scenario.name {
            "repeated_failure" => self.fails(firm, &[day, day + 50, day + 120]),
            "rectification_overdue" => self.not_put_right(firm, day),
            "refused_inspection" => self.refuses(firm, day),
            "chemical_licence_lapsed" | "expired_licence" => self.trades_on(firm, day),
            // The licence ends 32 days on; nothing is sent, which is the point.
            "licence_not_renewed" => day + 3,
            "over_inspection" => self.inspected_too_often(&actor.firms, day),
            "serious_violation" => self.list_as_serious(firm, day, None),
            "serious_repaired" => self.list_as_serious(firm, day, Some(day + 100)),
            "out_of_reach" => self.out_of_reach(firm, day),
            "deregistered_active" => self.active_after_its_end(firm, day),
            "frequent_change" => self.changes_often(firm, day),
            _ => self.penalised(actor.scenario.name, firm, day),
        }
    }

    fn fails(&mut self, firm: &Firm, days: &[i32]) -> i32 {
        let mut last = 0;
        for day in days {
            let day = office_days_after(*day, 0);
            let at = self.office_time(day);
            let mut failed = self.inspection_of(firm, at);
            failed.result = "不合格";
            failed.trigger = "有因";
            failed.failed_items = 2 + self.dice.below(4);
            let arrives = self.exchange(day + 1);
            self.send_evidence(&failed, Op::Insert, arrives);
            let recheck_day = office_days_after(day, 6);
            let at = self.office_time(recheck_day);
            let mut passed = self.inspection_of(firm, at);
            passed.trigger = "有因";
            passed.check_type = "复查";
            let arrives = self.exchange(recheck_day + 1);
            self.send_evidence(&passed, Op::Insert, arrives);
            last = day;
        }
        last
    }

    /// Told to put it right within a fortnight, and does not.
    fn not_put_right(&mut self, firm: &Firm, day: i32) -> i32 {
        let at = self.office_time(day);
        let mut failed = self.inspection_of(firm, at);
        failed.result = "不合格";
        failed.failed_items = 3;
        failed.critical_items = 1;
        failed.rectify_due = Some(day + 14);
        let arrives = self.exchange(day);
        self.send_evidence(&failed, Op::Insert, arrives);
        office_days_after(day + 14, 6)
    }

    fn refuses(&mut self, firm: &Firm, day: i32) -> i32 {
        let at = self.office_time(day);
        let mut refused = self.inspection_of(firm, at);
        refused.result = self.dice.pick(&["8", "不配合检查情节严重"]);
        refused.trigger = "双随机";
        let arrives = self.exchange(day + 2);
        self.send_evidence(&refused, Op::Insert, arrives);
        day
    }

    /// The licence ended forty days ago, and the shop is open: an inspection and two complaints say so.
    fn trades_on(&mut self, firm: &Firm, day: i32) -> i32 {
        let at = self.office_time(day);
        let seen = self.inspection_of(firm, at);
        let arrives = self.exchange(day + 1);
        self.send_evidence(&seen, Op::Insert, arrives);
        for number in 0..2 {
            let at = self.calling_time(day + 4 + number * 6);
            self.complain(firm, at, ("", ""), 4);
        }
        day + 10
    }

    /// Four firms, three planned visits each within two months.
    fn inspected_too_often(&mut self, firms: &[u32], day: i32) -> i32 {
        let mut last = day;
        for (number, index) in (0..).zip(firms) {
            let firm = self.firm(*index);
            for visit in 0..2 {
                last = office_days_after(day + visit * 20 + number, 0);
                let at = self.office_time(last);
                let planned = self.inspection_of(&firm, at);
                let arrives = self.exchange(last);
                self.send_evidence(&planned, Op::Insert, arrives);
            }
        }
        last
    }

    fn list_as_serious(&mut self, firm: &Firm, day: i32, repaired: Option<i32>) -> i32 {
        let reason = match firm.class.code {
            "8930" => "预收费用后为逃避承担义务关门停业，无法取得联系",
            "1411" | "5212" => "生产经营不符合食品安全标准的食品，情节严重",
            _ => "拒不履行行政处罚决定",
        };
        self.list_serious(firm, day, reason, repaired);
        repaired.unwrap_or(day)
    }

    fn out_of_reach(&mut self, firm: &Firm, day: i32) -> i32 {
        let at = self.calling_time(day - 1);
        self.complain(firm, at, ("", ""), 5);
        let listed = office_days_after(day, 3);
        self.list_abnormal(firm, listed, OUT_OF_REACH, true);
        listed
    }

    /// Struck off, and still serving customers three weeks later.
    fn active_after_its_end(&mut self, firm: &Firm, day: i32) -> i32 {
        let state = self.dice.pick(&["注销", "吊销，未注销"]);
        self.send_registration(firm, Approval::new(state, "", day), true);
        for number in 0..3 {
            let at = self.calling_time(day + 20 + number * 12);
            self.complain(firm, at, ("", ""), 3);
        }
        day + 20
    }

    fn changes_often(&mut self, firm: &Firm, day: i32) -> i32 {
        let mut last = day;
        for (number, item) in (0..).zip(["法定代表人", "住所", "名称;住所", "法定代表人"])
        {
            last = office_days_after(day + number * 45, 0);
            self.send_registration(firm, Approval::new("存续", item, last), true);
        }
        office_days_after(day + 90, 0).min(last)
    }

    fn penalised(&mut self, name: &str, firm: &Firm, day: i32) -> i32 {
        let offence = firm.class.offences.first().copied().unwrap_or_default();
        let mut penalty = self.penalty_on(firm, day);
        penalty.offence = offence;
        match name {
            "major_penalty" => {
                penalty.kinds = self.dice.pick(&[
                    "罚款",
                    "罚款；没收违法所得",
                    "罚款；责令停产停业",
                    "吊销许可证件",
                ]);
                penalty.fine_yuan = 10_000 * (12 + self.dice.below(50));
                self.send_penalty(penalty, 12, true);
                day
            }
            "repeat_offender" => {
                penalty.fine_yuan = 2000;
                penalty.kinds = "罚款";
                self.send_penalty(penalty.clone(), 12, true);
                let mut last = day;
                for gap in [60, 120] {
                    last = office_days_after(day + gap, 0);
                    penalty.number = self.next_number();
                    penalty.decided = last;
                    penalty.fine_yuan += 3000;
                    self.send_penalty(penalty.clone(), 8, true);
                }
                last
            }
            "penalty_revoked" => {
                penalty.kinds = "罚款";
                penalty.fine_yuan = 10_000 * (15 + self.dice.below(30));
                self.send_penalty(penalty.clone(), 7, true);
                let last = office_days_after(day + 90, 0);
                penalty.revoked_because = "行政复议决定撤销原处罚决定";
                let arrives = self.exchange(last);
                let mut update = penalty.record(self, Op::Update, arrives);
                update.is_evidence = true;
                update.kinds.push(super::dirt::Kind::Revoked);
                self.send(update, arrives);
                last
            }
            _ => {
                penalty.kinds = "罚款";
                penalty.fine_yuan = 20_000;
                let arrives = self.exchange(office_days_after(day, 6));
                let mut record = penalty.record(self, Op::Insert, arrives);
                record.is_evidence = true;
                record.set("cancel_reason", Text::from(""));
                self.send(record, arrives);
                office_days_after(day + 15, 14)
            }
        }
    }
}
