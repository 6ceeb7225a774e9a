//! What firms do, and what goes wrong with it: lines of business, complaints, offences.
//!
//! source   class codes: GB/T 4754-2017; shares: rounded to look like a coastal province's register, not a statistic

use super::place::Bureau;

/// What a complaint is about.
#[derive(Debug)]
pub(super) struct Problem {
    /// `PROBLEMTYPE`.
    pub(super) name: &'static str,
    /// `ACCORDTYPE`.
    pub(super) category: &'static str,
    /// How people put it; none of these has a word that a risk rule looks for.
    pub(super) phrases: &'static [&'static str],
    /// Whether it comes with warm weather.
    pub(super) is_food: bool,
}

impl Default for &'static Problem {
    fn default() -> Self {
        &FOOD
    }
}

macro_rules! problems {
    ($($id:ident = $name:literal, $category:literal, $food:literal, [$($phrase:literal),*];)*) => {
        $(pub(super) static $id: Problem = Problem {
            name: $name,
            category: $category,
            phrases: &[$($phrase),*],
            is_food: $food,
        };)*
    };
}

problems! {
    HYGIENE = "环境卫生", "市场监管/餐饮/环境卫生", true, ["店内苍蝇较多", "后厨地面油污", "餐具不洁净"];
    FOOD = "食品质量", "市场监管/食品/食品质量", true, ["菜品里有异物", "饭菜半生不熟", "肉不新鲜"];
    LABEL = "食品标签", "市场监管/食品/标签标识", true, ["包装上没有生产日期", "配料表看不清", "保质期标注不一致"];
    PRICE = "价格问题", "市场监管/价格/明码标价", false, ["结账价格与标价不符", "没有明码标价", "多收停车费"];
    SERVICE = "服务质量", "市场监管/服务/服务质量", false, ["服务态度差", "等了两个小时没人管", "约定的服务没有做到"];
    CONTRACT = "合同纠纷", "市场监管/服务/合同", false, ["合同条款与口头承诺不一致", "定金不肯退还", "不按约定日期交付"];
    QUALITY = "商品质量", "市场监管/产品/质量", false, ["用了三天就坏了", "尺寸与说明不符", "开胶掉色"];
    AFTER_SALES = "售后服务", "市场监管/产品/三包", false, ["保修期内不给修", "换货一拖再拖", "说好七天可退现在不认"];
    ADVERT = "虚假宣传", "市场监管/广告/虚假宣传", false, ["网页宣传与实物不符", "宣称的疗效没有依据", "招生广告夸大"];
    PREPAID = "预付卡消费", "市场监管/服务/预付式消费", false, ["卡里余额查不到", "转卡要收手续费", "办了年费项目换了地点"];
    NOISE = "噪声扰民", "生态环境/噪声", false, ["夜里机器声音大", "凌晨卸货吵人", "音响开到半夜"];
    SMELL = "异味扰民", "生态环境/大气", true, ["油烟直排到楼道", "下风向气味重", "污水有味道"];
    LIFT = "电梯维护", "市场监管/特种设备/电梯", false, ["电梯运行时抖动", "电梯按键失灵", "电梯停了两天没修"];
    PROPERTY = "物业服务", "住建/物业", false, ["楼道灯坏了没人修", "垃圾清运不及时", "公共收益没有公示"];
    WAGES = "劳动用工", "人社/劳动", false, ["加班费没有结清", "没有签合同", "社保没有缴"];
    DRUG = "药品销售", "市场监管/药品", false, ["不看处方就卖处方药", "药师不在岗", "药品包装破损"];
    MEDICAL = "医疗服务", "卫健/医疗", false, ["收费项目不清楚", "病历不给复印", "预约了还要等"];
    TRANSPORT = "运输服务", "交通/运输", false, ["货物送到时破损", "临时加价", "不按约定时间送达"];
    HOTEL = "住宿服务", "文旅/住宿", false, ["房间与照片不一样", "退房时多收清洁费", "被单没有换"];
    BUILDING = "施工管理", "住建/施工", false, ["工地围挡占道", "夜间施工", "裸土没有覆盖"];
}

/// What people ask the hotline that is nobody's fault.
pub(super) const ASKS: [&str; 10] = [
    "咨询营业执照怎么变更地址",
    "咨询社保转移怎么办",
    "路灯不亮请派人看看",
    "咨询食品经营许可到哪里办",
    "建议小区门口加装减速带",
    "咨询年报怎么报",
    "井盖松动请修",
    "咨询公积金提取",
    "建议延长公交末班时间",
    "咨询个体工商户怎么转企业",
];

/// A kind of licence.
#[derive(Debug)]
pub(super) struct LicenceKind {
    /// `XK_XKZS`.
    pub(super) name: &'static str,
    /// What its numbers begin with.
    pub(super) prefix: &'static str,
    /// Who issues it.
    pub(super) bureau: Bureau,
    /// For how long, in years.
    pub(super) years: i32,
}

macro_rules! licences {
    ($($id:ident = $name:literal, $prefix:literal, $bureau:ident, $years:literal;)*) => {
        $(static $id: LicenceKind = LicenceKind {
            name: $name,
            prefix: $prefix,
            bureau: Bureau::$bureau,
            years: $years,
        };)*
    };
}

licences! {
    FOOD_TRADE = "食品经营许可证", "JY", Licensing, 5;
    FOOD_MAKING = "食品生产许可证", "SC", Market, 5;
    DRUG_TRADE = "药品经营许可证", "苏CA", Market, 5;
    CLINIC = "医疗机构执业许可证", "PDY", Health, 5;
    CHEMICAL = "危险化学品经营许可证", "苏WH", Emergency, 3;
    ROAD = "道路运输经营许可证", "交运", Transport, 4;
    SCHOOL = "民办学校办学许可证", "教民", Education, 3;
    PUBLIC_PLACE = "公共场所卫生许可证", "卫公", Health, 4;
}

/// A line of business.
#[derive(Debug)]
pub(super) struct Class {
    /// Four digits of GB/T 4754.
    pub(super) code: &'static str,
    /// Its section.
    pub(super) section: char,
    /// Its share of all firms.
    pub(super) share: u32,
    /// How often its customers complain, in hundredths of the mean.
    pub(super) heat: u32,
    /// What stands in the firm's name.
    pub(super) word: &'static str,
    /// Self-employed rather than a company.
    pub(super) is_individual: bool,
    /// The licence that it needs.
    pub(super) licence: Option<&'static LicenceKind>,
    /// Who inspects it.
    pub(super) bureau: Bureau,
    /// What people complain of.
    pub(super) problems: &'static [&'static Problem],
    /// What it is fined for.
    pub(super) offences: &'static [&'static str],
    /// Scope of business, entries joined by `；`.
    pub(super) scope: &'static str,
}

macro_rules! classes {
    ($($code:literal, $section:literal, $share:literal, $heat:literal, $word:literal, $individual:literal, $licence:expr,
        $bureau:ident, [$($problem:ident),*], [$($offence:literal),*], $scope:literal;)*) => {
        /// All lines of business. Those without a share are only for bad actors.
        pub(super) static CLASSES: [Class; 32] = [$(Class {
            code: $code,
            section: $section,
            share: $share,
            heat: $heat,
            word: $word,
            is_individual: $individual,
            licence: $licence,
            bureau: Bureau::$bureau,
            problems: &[$(&$problem),*],
            offences: &[$($offence),*],
            scope: $scope,
        }),*];
    };
}

classes! {
    "6210", 'H', 60, 260, "餐饮管理", false, Some(&FOOD_TRADE), Market, [FOOD, HYGIENE, PRICE, SERVICE, SMELL],
        ["未履行进货查验义务", "餐饮具清洗消毒不合格", "未按要求公示食品安全信息"], "餐饮服务；食品销售";
    "6291", 'H', 70, 170, "小吃店", true, Some(&FOOD_TRADE), Market, [FOOD, HYGIENE, SMELL, PRICE],
        ["未履行进货查验义务", "从业人员无健康证明", "餐饮具清洗消毒不合格"], "小吃服务";
    "6220", 'H', 25, 220, "快餐店", true, Some(&FOOD_TRADE), Market, [FOOD, HYGIENE, SERVICE],
        ["未履行进货查验义务", "从业人员无健康证明"], "快餐服务";
    "6121", 'H', 8, 190, "宾馆", false, Some(&PUBLIC_PLACE), Health, [HOTEL, PRICE, NOISE],
        ["未取得公共场所卫生许可", "未按规定更换床上用品"], "住宿服务";
    "5212", 'F', 60, 190, "超市", true, Some(&FOOD_TRADE), Market, [FOOD, LABEL, PRICE, QUALITY],
        ["经营标签不合规的食品", "未按规定明码标价", "未履行进货查验义务"], "食品销售；日用百货零售";
    "5211", 'F', 70, 90, "百货商店", true, None, Market, [QUALITY, PRICE, AFTER_SALES],
        ["未按规定明码标价", "销售不合格产品"], "日用百货零售";
    "5132", 'F', 90, 50, "服饰", false, None, Market, [QUALITY, AFTER_SALES, ADVERT],
        ["销售不合格产品", "商标侵权"], "服装批发；服装零售";
    "5251", 'F', 20, 120, "大药房", false, Some(&DRUG_TRADE), Market, [DRUG, PRICE, ADVERT],
        ["未按规定销售处方药", "未遵守药品经营质量管理规范"], "药品零售；医疗器械零售";
    "5292", 'F', 80, 170, "电子商务", false, None, Market, [QUALITY, AFTER_SALES, ADVERT, CONTRACT],
        ["虚假宣传", "未公示营业执照信息"], "互联网销售";
    "5174", 'F', 70, 40, "五金建材", true, None, Market, [QUALITY, PRICE],
        ["销售不合格产品"], "五金产品零售；建筑材料销售";
    "5169", 'F', 6, 30, "化工贸易", false, Some(&CHEMICAL), Emergency, [SMELL, CONTRACT],
        ["危险化学品储存不符合规定"], "化工产品销售";
    "1411", 'C', 10, 60, "食品", false, Some(&FOOD_MAKING), Market, [FOOD, LABEL, SMELL],
        ["生产标签不合规的食品", "未按规定实施生产过程控制"], "食品生产；食品销售";
    "3484", 'C', 90, 15, "机械", false, None, Emergency, [NOISE, WAGES],
        ["未按规定设置安全警示标志", "特种设备未经检验"], "机械零件加工";
    "1751", 'C', 60, 12, "纺织", false, None, Environment, [NOISE, SMELL, WAGES],
        ["未按规定运行污染治理设施"], "面料纺织加工";
    "2641", 'C', 8, 25, "涂料", false, None, Emergency, [SMELL, WAGES],
        ["未按规定储存原料", "未按规定运行污染治理设施"], "涂料制造";
    "4790", 'E', 70, 40, "建设工程", false, None, Housing, [BUILDING, WAGES, NOISE],
        ["施工现场未采取降尘措施", "未按图施工"], "建设工程施工";
    "5012", 'E', 30, 120, "装饰", false, None, Market, [CONTRACT, QUALITY, SERVICE],
        ["虚假宣传", "未使用示范文本"], "住宅室内装饰装修";
    "5431", 'G', 45, 60, "物流", false, Some(&ROAD), Transport, [TRANSPORT, PRICE],
        ["未取得道路运输经营许可", "车辆超限运输"], "道路货物运输";
    "6513", 'I', 40, 25, "软件科技", false, None, Market, [CONTRACT, SERVICE],
        ["虚假宣传"], "软件开发";
    "7020", 'K', 18, 240, "物业管理", false, None, Housing, [PROPERTY, LIFT, PRICE, NOISE],
        ["未按规定公示收支", "特种设备未经检验"], "物业管理";
    "7030", 'K', 20, 130, "房产经纪", false, None, Housing, [CONTRACT, SERVICE, PRICE],
        ["发布虚假房源"], "房地产经纪";
    "7212", 'L', 40, 20, "企业管理", false, None, Market, [CONTRACT, SERVICE],
        ["通过登记住所无法联系"], "企业管理";
    "7291", 'L', 8, 160, "旅行社", false, None, Culture, [CONTRACT, SERVICE, PRICE],
        ["未签订旅游合同", "擅自变更行程"], "旅游业务";
    "7259", 'L', 30, 30, "广告", false, None, Market, [CONTRACT, ADVERT],
        ["发布违法广告"], "广告设计；广告发布";
    "7519", 'M', 35, 15, "科技服务", false, None, Market, [CONTRACT],
        ["虚假宣传"], "技术服务";
    "8051", 'O', 50, 170, "美容美发店", true, Some(&PUBLIC_PLACE), Health, [PREPAID, SERVICE, ADVERT, PRICE],
        ["未取得公共场所卫生许可", "虚假宣传"], "理发服务；美容服务";
    "8111", 'O', 30, 110, "汽车服务", false, None, Transport, [SERVICE, PRICE, QUALITY],
        ["未公示维修价格", "使用假冒配件"], "机动车修理和维护";
    "8391", 'P', 15, 230, "教育咨询", false, Some(&SCHOOL), Education, [CONTRACT, PREPAID, ADVERT, SERVICE],
        ["超范围办学", "虚假宣传"], "教育咨询服务；培训";
    "8425", 'Q', 10, 120, "门诊部", false, Some(&CLINIC), Health, [MEDICAL, PRICE, ADVERT],
        ["使用非卫生技术人员", "发布违法医疗广告"], "诊所服务";
    "8930", 'R', 12, 260, "健身", false, None, Culture, [PREPAID, SERVICE, CONTRACT],
        ["未履行预收费告知义务", "虚假宣传"], "健身休闲活动";
    "0119", 'A', 25, 5, "农业", false, None, Market, [QUALITY],
        ["销售不合格种子"], "谷物种植";
    "6760", 'J', 0, 60, "财富管理", false, None, Market, [CONTRACT, ADVERT],
        ["名称含有禁用字样"], "理财咨询；投资管理";
}

/// The line of business with this code.
pub(super) fn class(code: &str) -> &'static Class {
    CLASSES
        .iter()
        .find(|class| class.code == code)
        .unwrap_or(&CLASSES[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::industry;

    #[test]
    fn classes_are_of_the_standard() {
        for class in &CLASSES {
            let code = industry::normalise(class.code).unwrap();
            assert!(code.starts_with(class.section), "{code} {}", class.section);
            assert!(!class.problems.is_empty() && !class.offences.is_empty());
        }
        assert_eq!(class("8930").word, "健身");
    }
}
