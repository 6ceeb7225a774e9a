//! Regions of Jiangsu by GB/T 2260: from the forms that feeds write to the current six-digit code.
//!
//! Read are 4, 6, 9 and 12 digits (`3205`, `320506`, a street, a village of the statistics bureau) and names that say the
//! city (`南京市`, `南京市鼓楼区`). Codes that a reform retired are brought to the code of the county that took them over.
//! Development zones have no code in GB/T 2260; the statistics bureau counts them as pseudo-counties (`320576` is Suzhou
//! Industrial Park) and those codes are kept. What is not of Jiangsu is `None`: callers keep the raw text beside it.
//!
//! source   GB/T 2260; statistics bureau's division codes, 2023; notices of the State Council on the merged counties

/// Cities and counties in order of their codes: code and name. A city ends in `00`.
static REGIONS: &[(&str, &str)] = &[
    ("320000", "江苏省"),
    ("320100", "南京市"),
    ("320102", "玄武区"),
    ("320104", "秦淮区"),
    ("320105", "建邺区"),
    ("320106", "鼓楼区"),
    ("320111", "浦口区"),
    ("320113", "栖霞区"),
    ("320114", "雨花台区"),
    ("320115", "江宁区"),
    ("320116", "六合区"),
    ("320117", "溧水区"),
    ("320118", "高淳区"),
    ("320200", "无锡市"),
    ("320205", "锡山区"),
    ("320206", "惠山区"),
    ("320211", "滨湖区"),
    ("320213", "梁溪区"),
    ("320214", "新吴区"),
    ("320281", "江阴市"),
    ("320282", "宜兴市"),
    ("320300", "徐州市"),
    ("320302", "鼓楼区"),
    ("320303", "云龙区"),
    ("320305", "贾汪区"),
    ("320311", "泉山区"),
    ("320312", "铜山区"),
    ("320321", "丰县"),
    ("320322", "沛县"),
    ("320324", "睢宁县"),
    ("320371", "徐州经济技术开发区"),
    ("320381", "新沂市"),
    ("320382", "邳州市"),
    ("320400", "常州市"),
    ("320402", "天宁区"),
    ("320404", "钟楼区"),
    ("320411", "新北区"),
    ("320412", "武进区"),
    ("320413", "金坛区"),
    ("320481", "溧阳市"),
    ("320500", "苏州市"),
    ("320505", "虎丘区"),
    ("320506", "吴中区"),
    ("320507", "相城区"),
    ("320508", "姑苏区"),
    ("320509", "吴江区"),
    ("320576", "苏州工业园区"),
    ("320581", "常熟市"),
    ("320582", "张家港市"),
    ("320583", "昆山市"),
    ("320585", "太仓市"),
    ("320600", "南通市"),
    ("320612", "通州区"),
    ("320613", "崇川区"),
    ("320614", "海门区"),
    ("320623", "如东县"),
    ("320671", "南通经济技术开发区"),
    ("320681", "启东市"),
    ("320682", "如皋市"),
    ("320685", "海安市"),
    ("320700", "连云港市"),
    ("320703", "连云区"),
    ("320706", "海州区"),
    ("320707", "赣榆区"),
    ("320722", "东海县"),
    ("320723", "灌云县"),
    ("320724", "灌南县"),
    ("320771", "连云港经济技术开发区"),
    ("320800", "淮安市"),
    ("320803", "淮安区"),
    ("320804", "淮阴区"),
    ("320812", "清江浦区"),
    ("320813", "洪泽区"),
    ("320826", "涟水县"),
    ("320830", "盱眙县"),
    ("320831", "金湖县"),
    ("320871", "淮安经济技术开发区"),
    ("320900", "盐城市"),
    ("320902", "亭湖区"),
    ("320903", "盐都区"),
    ("320904", "大丰区"),
    ("320921", "响水县"),
    ("320922", "滨海县"),
    ("320923", "阜宁县"),
    ("320924", "射阳县"),
    ("320925", "建湖县"),
    ("320971", "盐城经济技术开发区"),
    ("320981", "东台市"),
    ("321000", "扬州市"),
    ("321002", "广陵区"),
    ("321003", "邗江区"),
    ("321012", "江都区"),
    ("321023", "宝应县"),
    ("321071", "扬州经济技术开发区"),
    ("321081", "仪征市"),
    ("321084", "高邮市"),
    ("321100", "镇江市"),
    ("321102", "京口区"),
    ("321111", "润州区"),
    ("321112", "丹徒区"),
    ("321171", "镇江新区"),
    ("321181", "丹阳市"),
    ("321182", "扬中市"),
    ("321183", "句容市"),
    ("321200", "泰州市"),
    ("321202", "海陵区"),
    ("321203", "高港区"),
    ("321204", "姜堰区"),
    ("321271", "泰州医药高新技术产业开发区"),
    ("321281", "兴化市"),
    ("321282", "靖江市"),
    ("321283", "泰兴市"),
    ("321300", "宿迁市"),
    ("321302", "宿城区"),
    ("321311", "宿豫区"),
    ("321322", "沭阳县"),
    ("321323", "泗阳县"),
    ("321324", "泗洪县"),
    ("321371", "宿迁经济技术开发区"),
];

/// Retired codes and the county that took them over, in order of the old code.
static RETIRED: &[(&str, &str)] = &[
    ("320103", "320104"), // 白下 → 秦淮, 2013
    ("320107", "320106"), // 下关 → 鼓楼, 2013
    ("320124", "320117"), // 溧水县
    ("320125", "320118"), // 高淳县
    ("320202", "320213"), // 崇安 → 梁溪, 2015
    ("320203", "320213"), // 南长
    ("320204", "320213"), // 北塘
    ("320323", "320312"), // 铜山县
    ("320405", "320412"), // 戚墅堰 → 武进, 2015
    ("320482", "320413"), // 金坛市
    ("320502", "320508"), // 沧浪 → 姑苏, 2012
    ("320503", "320508"), // 平江
    ("320504", "320508"), // 金阊
    ("320584", "320509"), // 吴江市
    ("320602", "320613"), // 崇川 (old) + 港闸 → 崇川, 2020
    ("320611", "320613"),
    ("320621", "320685"), // 海安县
    ("320683", "320612"), // 通州市
    ("320684", "320614"), // 海门市
    ("320705", "320706"), // 新浦 → 海州, 2014
    ("320721", "320707"), // 赣榆县
    ("320802", "320812"), // 清河 → 清江浦, 2016
    ("320811", "320812"), // 清浦
    ("320829", "320813"), // 洪泽县
    ("320982", "320904"), // 大丰市
    ("321011", "321003"), // 维扬 → 邗江, 2011
    ("321088", "321012"), // 江都市
    ("321284", "321204"), // 姜堰市
];

/// All regions in order of code: code and name; the province first, a city before its counties.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    REGIONS.iter().copied()
}

/// The current six-digit code that a feed's text means, `None` when it is none of Jiangsu's.
pub fn normalise(text: &str) -> Option<&'static str> {
    let text = text.trim();
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return by_name(text);
    }
    match text.len() {
        4 => {
            let mut code = [b'0'; 6];
            code.get_mut(..4)?.copy_from_slice(text.as_bytes());
            by_code(core::str::from_utf8(&code).ok()?)
        }
        6 | 9 | 12 => by_code(text.get(..6)?),
        _ => None,
    }
}

/// The city that a current code belongs to: itself for a city; none for the province.
pub fn city_of(code: &str) -> Option<&'static str> {
    if code.len() != 6 || code.get(2..4) == Some("00") {
        return None;
    }
    let prefix = code.get(..4)?;
    let at = REGIONS.partition_point(|(c, _)| *c < prefix);
    REGIONS
        .get(at)
        .map(|(c, _)| *c)
        .filter(|c| c.starts_with(prefix) && c.ends_with("00"))
}

/// The Chinese name of a current code, of a county with its city: `南京市鼓楼区`.
pub fn title(code: &str) -> Option<String> {
    let name = name_of(code)?;
    match city_of(code) {
        Some(city) if city != code => Some(format!("{}{name}", name_of(city)?)),
        _ => Some(name.to_owned()),
    }
}

/// The Chinese name of a current code alone: `鼓楼区`.
pub fn name_of(code: &str) -> Option<&'static str> {
    row(code).map(|(_, name)| name)
}

fn row(code: &str) -> Option<(&'static str, &'static str)> {
    let at = REGIONS.binary_search_by_key(&code, |(c, _)| c).ok()?;
    REGIONS.get(at).copied()
}

fn by_code(code: &str) -> Option<&'static str> {
    if let Some((current, _)) = row(code) {
        return Some(current);
    }
    let at = RETIRED.binary_search_by_key(&code, |(old, _)| old).ok()?;
    RETIRED.get(at).map(|(_, current)| *current)
}

/// `江苏省南京市鼓楼区`, `南京市鼓楼区`, `南京市`; a county alone only when no other has its name.
fn by_name(text: &str) -> Option<&'static str> {
    let text = text.strip_prefix("江苏省").unwrap_or(text);
    for (code, name) in all().filter(|(code, _)| code.ends_with("00")) {
        let Some(rest) = text.strip_prefix(name) else {
            continue;
        };
        if rest.is_empty() {
            return Some(code);
        }
        let county = |(c, n): &(&str, &str)| *n == rest && city_of(c) == Some(code);
        return all().find(county).map(|(c, _)| c);
    }
    let mut same = all().filter(|(_, name)| *name == text);
    let (code, _) = same.next()?;
    same.next().is_none().then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_order_and_whole() {
        assert!(REGIONS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(RETIRED.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(
            all()
                .filter(|(c, _)| c.ends_with("00") && *c != "320000")
                .count(),
            13
        );
        for (old, new) in RETIRED {
            assert!(row(old).is_none() && row(new).is_some(), "{old} {new}");
        }
        for (code, _) in all().skip(1) {
            assert_eq!(city_of(code).map(|c| &c[..4]), Some(&code[..4]));
        }
    }

    #[test]
    fn forms_of_real_feeds() {
        for (text, code) in [
            ("3205", Some("320500")),
            ("320506", Some("320506")),
            ("320506001", Some("320506")),
            ("320506001002", Some("320506")),
            ("320202", Some("320213")),
            ("321088000000", Some("321012")),
            ("320576", Some("320576")),
            ("320000", Some("320000")),
            ("南京市", Some("320100")),
            ("江苏省南京市鼓楼区", Some("320106")),
            ("徐州市鼓楼区", Some("320302")),
            ("鼓楼区", None),
            ("昆山市", Some("320583")),
            ("310115", None),
            ("32", None),
            ("", None),
        ] {
            assert_eq!(normalise(text), code, "{text}");
        }
        assert_eq!(title("320106").as_deref(), Some("南京市鼓楼区"));
        assert_eq!(city_of("320000"), None);
        assert_eq!(city_of("320583"), Some("320500"));
    }
}
