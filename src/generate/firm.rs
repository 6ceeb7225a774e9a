//! Firms: who they are, computed from the seed and their number alone.
//!
//! Nothing about a firm is stored: asking twice gives the same firm. Credit codes are well formed with both check digits
//! right, and their body number begins with `FH`, which the registrars have never issued, so that no code here is anyone's.
//! Trade names begin with 烽, 燧 or 烟 (the beacon tower's own words) and streets are named after beacons. People have the
//! middle name 拟 ("made up"), citizen numbers of district 329999, which does not exist, and telephone numbers that begin
//! with 100, which no subscriber has.
//!
//! cost     about 1 µs a firm

use super::dice::Dice;
use super::place::{District, Places};
use super::trade::{CLASSES, Class};
use crate::engine::identity::{org_check_digit, uscc_check_digit};

const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
/// 31^6: as many firms as six characters can number.
pub(super) const FIRMS_MAX: u32 = 887_503_681;
/// Coprime to 31, so that multiplying by it takes each number to another.
const SCATTER: u64 = 387_420_489;
const FIRST: [&str; 3] = ["烽", "燧", "烟"];
const MIDDLE: [&str; 24] = [
    "云", "禾", "望", "朗", "川", "渡", "栖", "岚", "澄", "拓", "衡", "霁", "屿", "舟", "棠", "陌",
    "砚", "枫", "汀", "岳", "野", "槐", "帆", "垣",
];
const LAST: [&str; 20] = [
    "和", "泰", "源", "达", "盛", "兴", "康", "隆", "顺", "佳", "鼎", "瑞", "宏", "捷", "润", "丰",
    "诚", "美", "优", "悦",
];
const SURNAMES: [&str; 20] = [
    "王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙", "胡", "朱", "高", "林",
    "何", "郭", "马", "罗",
];
const GIVEN: [&str; 16] = [
    "安", "平", "明", "华", "宁", "洁", "军", "芳", "伟", "静", "磊", "燕", "峰", "霞", "波", "颖",
];
const STREETS: [&str; 10] = [
    "烽火路",
    "燧石街",
    "望台路",
    "烟墩巷",
    "举燧大道",
    "守望路",
    "传烽街",
    "戍楼路",
    "平安火巷",
    "狼烟墩路",
];

/// An enterprise or self-employed business.
#[derive(Debug, Clone)]
pub(super) struct Firm {
    /// Its number, from 0: the busiest first.
    pub(super) index: u32,
    /// Its district's place in [`Places`].
    pub(super) place: u16,
    /// What it does.
    pub(super) class: &'static Class,
    /// Registered name.
    pub(super) name: String,
    /// 18 characters.
    pub(super) uscc: String,
    /// 15 digits.
    pub(super) reg_no: String,
    /// Legal representative.
    pub(super) person: String,
    /// That person's citizen number.
    pub(super) citizen_id: String,
    /// Day of registration, before the period.
    pub(super) established: i32,
    /// `烽火路12号`.
    pub(super) street: String,
    /// Registered capital in units of 10,000 yuan.
    pub(super) capital_wan: u32,
    /// The number of its licence, if its line needs one.
    pub(super) licence_no: String,
    /// The last day of that licence, when the period begins.
    pub(super) licence_to: i32,
}

/// What makes a world's firms.
#[derive(Debug)]
pub(super) struct Firms {
    pub(super) seed: u64,
    /// The first day of the period.
    pub(super) from: i32,
    pub(super) places: Places,
}

impl Firms {
    /// The firm of this number, in another line of business if a scenario needs one.
    pub(super) fn firm(&self, index: u32, forced: Option<&'static Class>) -> Firm {
        let dice = &mut Dice::new(self.seed, u64::from(index) + 1);
        let place = self.places.pick(dice);
        let district = self.places.at(place);
        let own = CLASSES
            .get(dice.weighted(&CLASSES, |class| class.share))
            .unwrap_or(&CLASSES[0]);
        let class = forced.unwrap_or(own);
        let name = name_of(dice, district, class);
        let prefix = if class.is_individual { "92" } else { "91" };
        let body = format!("FH{}", self.body_number(index));
        let age_days =
            40 + i32::try_from(u64::from(dice.below(75)) * u64::from(dice.below(75))).unwrap_or(0);
        let term = 365 * class.licence.map_or(5, |kind| kind.years);
        Firm {
            index,
            place,
            class,
            name,
            uscc: uscc_of(prefix, district.code, &body),
            reg_no: reg_no_of(district.code, index),
            person: person_name(dice),
            citizen_id: citizen_id(dice),
            established: self.from - age_days,
            street: format!("{}{}号", dice.pick(&STREETS), 1 + dice.below(400)),
            capital_wan: dice.pick(&[3, 10, 10, 30, 50, 100, 100, 200, 500, 1000, 5000]),
            licence_no: class.licence.map_or_else(String::new, |kind| {
                format!("{}{}{index:08}", kind.prefix, district.code)
            }),
            // Those about to lapse have been renewed: nobody's licence ends in the first three months.
            licence_to: self.from + dice.between((term - age_days).max(95), term),
        }
    }

    fn body_number(&self, index: u32) -> String {
        let modulus = u64::from(FIRMS_MAX);
        let mut left = (u64::from(index) * SCATTER + self.seed % modulus) % modulus;
        let mut text = [b'0'; 6];
        for place in text.iter_mut().rev() {
            let at = usize::try_from(left % 31).unwrap_or(0);
            *place = ALPHABET.get(at).copied().unwrap_or(b'0');
            left /= 31;
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// A credit code of registrar and kind (`91`), district and body number of eight characters, with both check digits.
pub(super) fn uscc_of(prefix: &str, district: &str, body: &str) -> String {
    let inner = org_check_digit(body).unwrap_or('0');
    let mut code = format!("{prefix}{district}{body}{inner}");
    let check = uscc_check_digit(&code).unwrap_or('0');
    code.push(check);
    code
}

/// A registration number of 15 digits, ISO 7064 mod 11,10.
fn reg_no_of(district: &str, index: u32) -> String {
    let mut text = format!("{district}{index:08}");
    text.truncate(14);
    let mut product = 10;
    for digit in text.bytes().map(|b| u32::from(b.wrapping_sub(b'0'))) {
        let sum = (digit + product) % 10;
        product = (if sum == 0 { 10 } else { sum }) * 2 % 11;
    }
    let check = (11 - product) % 10;
    text.push(char::from_digit(check, 10).unwrap_or('0'));
    text
}

fn name_of(dice: &mut Dice, district: &District, class: &Class) -> String {
    let trade = format!(
        "{}{}{}",
        dice.pick(&FIRST),
        dice.pick(&MIDDLE),
        dice.pick(&LAST)
    );
    let (city, word) = (district.city, class.word);
    if class.is_individual {
        return format!("{}{trade}{word}", district.name);
    }
    let bare_city = city.strip_suffix('市').unwrap_or(city);
    match dice.below(10) {
        0..=1 => format!("{trade}（{bare_city}）{word}有限公司"),
        2 => format!("江苏{trade}{word}股份有限公司"),
        _ => format!("{city}{trade}{word}有限公司"),
    }
}

/// A person who does not exist.
pub(super) fn person_name(dice: &mut Dice) -> String {
    format!("{}拟{}", dice.pick(&SURNAMES), dice.pick(&GIVEN))
}

/// A citizen number that is formed right, of a district that does not exist.
pub(super) fn citizen_id(dice: &mut Dice) -> String {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];
    let mut text = format!(
        "329999{}{:02}{:02}{:03}",
        1955 + dice.below(50),
        1 + dice.below(12),
        1 + dice.below(28),
        dice.below(1000)
    );
    let sum: u32 = text
        .bytes()
        .zip(WEIGHTS)
        .map(|(digit, weight)| u32::from(digit.wrapping_sub(b'0')) * weight)
        .sum();
    let at = usize::try_from(sum % 11).unwrap_or(0);
    text.push(CHECKS.get(at).copied().unwrap_or('0'));
    text
}

/// A telephone number that no subscriber has.
pub(super) fn telephone(number: u32) -> String {
    format!("100{:08}", number % 100_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::identity::{Check, check_citizen_id, check_reg_no, check_uscc};
    use std::collections::BTreeSet;

    #[test]
    #[expect(
        clippy::too_many_lines,
        reason = "one row or step after the other; splitting would hide the order"
    )]
    fn firms_are_theirs_alone_and_well_formed() {
        let firms = Firms {
            seed: 2026,
            from: 20_000,
            places: Places::new(),
        };
        let mut codes = BTreeSet::new();
        for index in 0..2000 {
            let firm = firms.firm(index, None);
            assert_eq!(check_uscc(&firm.uscc), Check::Valid, "{}", firm.uscc);
            assert_eq!(check_reg_no(&firm.reg_no), Check::Valid, "{}", firm.reg_no);
            assert_eq!(check_citizen_id(&firm.citizen_id), Check::Valid);
            assert!(codes.insert(firm.uscc));
        }
        assert_eq!(
            check_uscc(&firms.firm(FIRMS_MAX - 1, None).uscc),
            Check::Valid
        );
        expect_test::expect![[r#"
            Firm {
                index: 7,
                place: 46,
                class: Class {
                    code: "5132",
                    section: 'F',
                    share: 90,
                    heat: 50,
                    word: "服饰",
                    is_individual: false,
                    licence: None,
                    bureau: Market,
                    problems: [
                        Problem {
                            name: "商品质量",
                            category: "市场监管/产品/质量",
                            phrases: [
                                "用了三天就坏了",
                                "尺寸与说明不符",
                                "开胶掉色",
                            ],
                            is_food: false,
                        },
                        Problem {
                            name: "售后服务",
                            category: "市场监管/产品/三包",
                            phrases: [
                                "保修期内不给修",
                                "换货一拖再拖",
                                "说好七天可退现在不认",
                            ],
                            is_food: false,
                        },
                        Problem {
                            name: "虚假宣传",
                            category: "市场监管/广告/虚假宣传",
                            phrases: [
                                "网页宣传与实物不符",
                                "宣称的疗效没有依据",
                                "招生广告夸大",
                            ],
                            is_food: false,
                        },
                    ],
                    offences: [
                        "销售不合格产品",
                        "商标侵权",
                    ],
                    scope: "服装批发；服装零售",
                },
                name: "南通市燧澄兴服饰有限公司",
                uscc: "91320623FH1NGBJ888",
                reg_no: "320623000000077",
                person: "郭拟霞",
                citizen_id: "329999197210151057",
                established: 18770,
                street: "狼烟墩路2号",
                capital_wan: 1000,
                licence_no: "",
                licence_to: 21347,
            }"#]]
        .assert_eq(&format!("{:#?}", firms.firm(7, None)));
    }
}
