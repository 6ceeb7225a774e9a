//! Where things happen: the thirteen cities by their weight, their districts, and the offices that act there.
//!
//! source   weights: resident population by city at the end of 2023, in units of 10,000 people (statistics bulletins of the
//!          cities, rounded); codes and names: `engine::region`

use super::dice::Dice;
use super::firm::uscc_of;
use crate::engine::region;

/// Cities in order of their code, with their weight.
const CITIES: [(&str, u32); 13] = [
    ("3201", 955),
    ("3202", 750),
    ("3203", 902),
    ("3204", 538),
    ("3205", 1296),
    ("3206", 775),
    ("3207", 460),
    ("3208", 455),
    ("3209", 669),
    ("3210", 458),
    ("3211", 322),
    ("3212", 451),
    ("3213", 497),
];

/// A district or county.
#[derive(Debug, Clone)]
pub(super) struct District {
    /// Six digits.
    pub(super) code: &'static str,
    /// `鼓楼区`.
    pub(super) name: &'static str,
    /// Its city: `南京市`.
    pub(super) city: &'static str,
    weight: u32,
}

impl District {
    /// `南京市鼓楼区`.
    pub(super) fn title(&self) -> String {
        format!("{}{}", self.city, self.name)
    }
}

/// All districts.
#[derive(Debug)]
pub(super) struct Places {
    districts: Vec<District>,
}

impl Places {
    /// The districts of the thirteen cities; development zones, which have no code of the standard, are left out.
    pub(super) fn new() -> Self {
        let mut districts = Vec::with_capacity(100);
        for (prefix, people) in CITIES {
            let of_city: Vec<_> = region::all()
                .filter(|(code, _)| code.starts_with(prefix))
                .filter(|(code, _)| !code.ends_with("00") && code.get(4..5) != Some("7"))
                .collect();
            let count = u32::try_from(of_city.len()).unwrap_or(1).max(1);
            let city = region::all()
                .find(|(code, _)| code.starts_with(prefix))
                .map_or("", |(_, name)| name);
            districts.extend(of_city.into_iter().map(|(code, name)| District {
                code,
                name,
                city,
                weight: people * 10 / count,
            }));
        }
        Self { districts }
    }

    /// A district, the more often the more people live there.
    pub(super) fn pick(&self, dice: &mut Dice) -> u16 {
        u16::try_from(dice.weighted(&self.districts, |d| d.weight)).unwrap_or(0)
    }

    /// The district at a place of the list.
    pub(super) fn at(&self, at: u16) -> &District {
        static NOWHERE: District = District {
            code: "320106",
            name: "鼓楼区",
            city: "南京市",
            weight: 0,
        };
        self.districts.get(usize::from(at)).unwrap_or(&NOWHERE)
    }
}

/// The lines of government that act in a district.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bureau {
    /// 市场监督管理局.
    Market,
    /// 应急管理局.
    Emergency,
    /// 教育局.
    Education,
    /// 交通运输局.
    Transport,
    /// 卫生健康委员会.
    Health,
    /// 住房和城乡建设局.
    Housing,
    /// 文化广电和旅游局.
    Culture,
    /// 生态环境局.
    Environment,
    /// 数据局, which issues licences.
    Licensing,
}

impl Bureau {
    fn name(self) -> &'static str {
        match self {
            Self::Market => "市场监督管理局",
            Self::Emergency => "应急管理局",
            Self::Education => "教育局",
            Self::Transport => "交通运输局",
            Self::Health => "卫生健康委员会",
            Self::Housing => "住房和城乡建设局",
            Self::Culture => "文化广电和旅游局",
            Self::Environment => "生态环境局",
            Self::Licensing => "数据局",
        }
    }

    /// The office's full name in a district.
    pub(super) fn title(self, district: &District) -> String {
        format!("{}{}", district.title(), self.name())
    }

    /// The office's credit code in a district: well formed, of a body number that nobody has been given.
    pub(super) fn uscc(self, district: &District) -> String {
        let line = match self {
            Self::Market => "M",
            Self::Emergency => "E",
            Self::Education => "D",
            Self::Transport => "T",
            Self::Health => "H",
            Self::Housing => "J",
            Self::Culture => "C",
            Self::Environment => "N",
            Self::Licensing => "X",
        };
        let tail = district.code.get(2..).unwrap_or("0000");
        uscc_of("11", district.code, &format!("FH0{line}{tail}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::identity::{Check, check_uscc};

    #[test]
    fn every_city_has_districts_and_offices_have_valid_codes() {
        let places = Places::new();
        for (prefix, _) in CITIES {
            assert!(places.districts.iter().any(|d| d.code.starts_with(prefix)));
        }
        for district in &places.districts {
            assert_eq!(check_uscc(&Bureau::Market.uscc(district)), Check::Valid);
        }
        assert_eq!(
            Bureau::Health.title(places.at(u16::MAX)),
            "南京市鼓楼区卫生健康委员会"
        );
    }
}
