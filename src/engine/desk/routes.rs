//! Where a warning goes: `rules/routing.toml`.
//!
//! A route says what it is for: catalogue items (监管事项目录编码, by the beginning), rules (by the beginning of their ids),
//! domains (监管领域, whole), regions (GB/T 2260, by the beginning). What it does not say, it takes all of. Of the routes that
//! match, the most specific holds: first by the catalogue item (the longer beginning is the more specific), then by rule, then by
//! domain, then by region. That the order of the file does not matter is what lets several people keep one.
//!
//! errors   a text in Chinese that names the file and the routes; two routes that would be equally specific for some warning are
//!          refused at the load, so there is never a tie
//! cost     a look at each route a case

use serde::Deserialize;
use std::collections::BTreeMap;

/// What a province without a region of its own is called.
const PROVINCE: &str = "320000";
/// Digits of a catalogue item's code.
const ITEM_DIGITS: usize = 14;

/// Where warnings go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Catalogue items, by the beginning of their codes; none: all, and warnings without one.
    #[serde(default)]
    pub items: Vec<String>,
    /// Rules, by the beginning of their ids; none: all.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Domains; none: all, and warnings without one.
    #[serde(default)]
    pub domains: Vec<String>,
    /// Regions, by the beginning of their codes; none: all.
    #[serde(default)]
    pub regions: Vec<String>,
    /// The department that acts; `{region}` stands for the code of the region.
    pub department: String,
    /// The department above it.
    pub superior: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoutingFile {
    route: Vec<Route>,
}

/// What decides where a warning goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Address<'a> {
    /// The catalogue item of the newest fact, or empty.
    pub item: &'a str,
    /// The rule.
    pub rule: &'a str,
    /// The domain of the newest fact, or empty.
    pub domain: &'a str,
    /// The region, or empty.
    pub region: &'a str,
}

/// The whole file.
#[derive(Debug, Clone, Default)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// Reads the file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: RoutingFile =
            toml::from_str(text).map_err(|error| format!("routing.toml: {error}"))?;
        if !file.route.iter().any(Route::takes_all) {
            return Err(
                "routing.toml: 须有一条 [[route]] 不写 items、rules、domains 和 regions,承接其余全部"
                    .to_owned(),
            );
        }
        for (number, route) in (1..).zip(&file.route) {
            route.check(number)?;
        }
        check_ties(&file.route)?;
        Ok(Self(file.route))
    }

    /// Where a warning goes: the department and the one above it.
    pub fn find(&self, to: Address<'_>) -> (String, String) {
        let matching = self
            .0
            .iter()
            .filter_map(|route| Some((route.fit(to)?, route)));
        let found = matching.max_by_key(|(fit, _)| *fit);
        found.map_or_else(Default::default, |(_, route)| {
            let region = if to.region.is_empty() {
                PROVINCE
            } else {
                to.region
            };
            let fill = |text: &str| text.replace("{region}", region);
            (fill(&route.department), fill(&route.superior))
        })
    }
}

/// How specific a match is; the later it is in this order, the more.
type Fit = [usize; 4];

impl Route {
    fn takes_all(&self) -> bool {
        self.lists().iter().all(|(_, list)| list.is_empty())
    }

    fn lists(&self) -> [(&'static str, &[String]); 4] {
        [
            ("items", &self.items),
            ("rules", &self.rules),
            ("domains", &self.domains),
            ("regions", &self.regions),
        ]
    }

    fn check(&self, number: usize) -> Result<(), String> {
        let problem = |key: &str, text: &str, what: &str| {
            Err(format!(
                "routing.toml: 第 {number} 条 [[route]] 的 {key} 有“{text}”,{what}"
            ))
        };
        for (key, list) in self.lists() {
            for text in list {
                if text.trim().is_empty() {
                    return problem(key, text, "空的开头等于不写,请删去");
                }
                let digits = match key {
                    "items" => ITEM_DIGITS,
                    "regions" => 6,
                    _ => continue,
                };
                if digits < text.len() || !text.bytes().all(|b| b.is_ascii_digit()) {
                    return problem(key, text, &format!("须为至多 {digits} 位数字"));
                }
            }
        }
        if self.department.is_empty() || self.superior.is_empty() {
            return Err(format!(
                "routing.toml: 第 {number} 条 [[route]] 没有写明 department 或 superior"
            ));
        }
        Ok(())
    }

    /// How well a warning fits; none: not at all.
    fn fit(&self, to: Address<'_>) -> Option<Fit> {
        let longest = |list: &[String], text: &str| {
            if list.is_empty() {
                return Some(0);
            }
            let fitting = list.iter().filter(|start| text.starts_with(start.as_str()));
            fitting.map(String::len).max()
        };
        let domain = if self.domains.is_empty() {
            0
        } else {
            self.domains.iter().any(|d| d == to.domain).then_some(1)?
        };
        Some([
            longest(&self.items, to.item)?,
            longest(&self.rules, to.rule)?,
            domain,
            longest(&self.regions, to.region)?,
        ])
    }

    /// Every single thing that the route is for.
    fn purposes(&self) -> Vec<[&str; 4]> {
        fn each(list: &[String]) -> Vec<&str> {
            let all = list.iter().map(String::as_str);
            if list.is_empty() {
                vec![""]
            } else {
                all.collect()
            }
        }
        let mut purposes = Vec::new();
        for item in each(&self.items) {
            for rule in each(&self.rules) {
                for domain in each(&self.domains) {
                    let regions = each(&self.regions).into_iter();
                    purposes.extend(regions.map(|region| [item, rule, domain, region]));
                }
            }
        }
        purposes
    }
}

/// Two beginnings of one text that are equally long are the same: so two routes are equally specific for some warning exactly
/// when they have one purpose in common.
fn check_ties(routes: &[Route]) -> Result<(), String> {
    let mut seen: BTreeMap<[&str; 4], usize> = BTreeMap::new();
    for (number, route) in (1..).zip(routes) {
        for purpose in route.purposes() {
            let first = *seen.entry(purpose).or_insert(number);
            if first == number {
                continue;
            }
            let named: Vec<String> = ["items", "rules", "domains", "regions"]
                .iter()
                .zip(purpose)
                .filter(|(_, text)| !text.is_empty())
                .map(|(key, text)| format!("{key} “{text}”"))
                .collect();
            let what = if named.is_empty() {
                "其余全部".to_owned()
            } else {
                named.join("、")
            };
            return Err(format!(
                "routing.toml: 第 {first} 条和第 {number} 条 [[route]] 都承接{what},分不出谁更具体;请合并,或给其中一条加条件"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REST: &str = "[[route]]\ndepartment = \"其余({region})\"\nsuperior = \"省\"\n";

    fn routes(text: &str) -> Result<Routes, String> {
        Routes::parse(&format!("{text}\n{REST}"))
    }

    fn one(keys: &str, department: &str) -> String {
        format!("[[route]]\n{keys}\ndepartment = \"{department}\"\nsuperior = \"上\"\n")
    }

    fn to<'a>(item: &'a str, rule: &'a str, domain: &'a str, region: &'a str) -> Address<'a> {
        Address {
            item,
            rule,
            domain,
            region,
        }
    }

    #[test]
    fn the_most_specific_route_holds_wherever_it_stands_in_the_file() {
        let list = [
            one("regions = [\"3201\"]", "市"),
            one("regions = [\"320106\"]", "区"),
            one("domains = [\"食品安全\", \"药品\"]", "食药"),
            one("domains = [\"食品安全\"]\nregions = [\"3201\"]", "市食药"),
            one("rules = [\"JC-\"]", "检"),
            one("rules = [\"JC-005\"]", "应急"),
            one("items = [\"0132\"]", "事项大类"),
            one("items = [\"01320000000001\"]", "事项"),
            one("items = [\"0132\"]\nregions = [\"3205\"]", "苏州事项"),
        ];
        let cases = [
            (to("", "TS-001", "", "320500"), "其余(320500)"),
            (to("", "TS-001", "", ""), "其余(320000)"),
            (to("", "TS-001", "", "320104"), "市"),
            (to("", "TS-001", "", "320106"), "区"),
            (to("", "TS-001", "药品", "320106"), "食药"),
            (to("", "TS-001", "食品安全", "320500"), "食药"),
            (to("", "TS-001", "食品安全", "320106"), "市食药"),
            (to("", "JC-001", "食品安全", "320106"), "检"),
            (to("", "JC-005", "食品安全", "320106"), "应急"),
            (
                to("01329999999999", "JC-005", "食品安全", "320106"),
                "事项大类",
            ),
            (to("01320000000001", "JC-005", "", "320106"), "事项"),
            (to("01329999999999", "JC-005", "", "320501"), "苏州事项"),
            (to("09990000000000", "JC-001", "", ""), "检"),
        ];
        let forward = routes(&list.concat()).unwrap();
        let mut turned = list;
        turned.reverse();
        let backward = routes(&turned.concat()).unwrap();
        for (address, department) in cases {
            assert_eq!(forward.find(address).0, department, "{address:?}");
            assert_eq!(backward.find(address), forward.find(address), "{address:?}");
        }
    }

    #[test]
    fn what_would_be_a_tie_or_says_nothing_is_refused_with_its_place() {
        let tie = [
            one("rules = [\"JC-005\", \"DJ-\"]\nregions = [\"3201\"]", "甲"),
            one("rules = [\"DJ-\"]\nregions = [\"3202\", \"3201\"]", "乙"),
        ];
        let bad = [
            (
                tie.concat(),
                "第 1 条和第 2 条 [[route]] 都承接rules “DJ-”、regions “3201”,分不出谁更具体",
            ),
            (one("", "甲"), "第 1 条和第 2 条 [[route]] 都承接其余全部"),
            (
                one("rules = [\"\"]", "甲"),
                "第 1 条 [[route]] 的 rules 有“”,空的开头等于不写",
            ),
            (
                one("items = [\"0132-1\"]", "甲"),
                "items 有“0132-1”,须为至多 14 位数字",
            ),
            (
                one("regions = [\"南京\"]", "甲"),
                "regions 有“南京”,须为至多 6 位数字",
            ),
            (
                one("rules = [\"JC-\"]", ""),
                "没有写明 department 或 superior",
            ),
            (one("item = [\"0132\"]", "甲"), "unknown field `item`"),
        ];
        for (text, what) in bad {
            let problem = routes(&text).unwrap_err();
            assert!(problem.contains(what), "{text}\n{problem}");
        }
        let none = Routes::parse(&one("rules = [\"JC-\"]", "甲")).unwrap_err();
        assert!(none.contains("承接其余全部"), "{none}");
        // One route may say the same thing twice.
        assert!(routes(&one("regions = [\"3201\", \"3201\"]", "甲")).is_ok());
    }

    proptest! {
        /// Whatever loads has no tie: of all routes that match, one is more specific than every other.
        #[test]
        fn what_loads_has_no_tie(
            purposes in proptest::collection::vec(
                (0_usize..4, 0_usize..3, 0_usize..3, 0_usize..4), 1..6),
            at in (0_usize..4, 0_usize..3, 0_usize..3, 0_usize..4),
        ) {
            let items = ["", "01", "0132", "02"];
            let rules = ["", "J", "JC-"];
            let domains = ["", "食品", "药品"];
            let regions = ["", "32", "3201", "3205"];
            let text: String = purposes.iter().enumerate().map(|(n, (i, r, d, g))| {
                let keys: Vec<String> = [("items", items[*i]), ("rules", rules[*r]), ("domains", domains[*d]), ("regions", regions[*g])]
                    .into_iter().filter(|(_, t)| !t.is_empty()).map(|(k, t)| format!("{k} = [\"{t}\"]")).collect();
                one(&keys.join("\n"), &format!("D{n}"))
            }).collect();
            let Ok(loaded) = routes(&text) else { return Ok(()) };
            let pad = |text: &str, to: usize| if text.is_empty() { String::new() } else { format!("{text:0<to$}") };
            let (item, region) = (pad(items[at.0], 14), pad(regions[at.3], 6));
            let address = to(&item, rules[at.1], domains[at.2], &region);
            let mut fits: Vec<Fit> = loaded.0.iter().filter_map(|route| route.fit(address)).collect();
            let matching = fits.len();
            fits.sort_unstable();
            fits.dedup();
            prop_assert_eq!(fits.len(), matching, "{}", text);
        }
    }
}
