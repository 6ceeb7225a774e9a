//! The vocabulary: which streams there are, which fields each has, of what type, and what they are called in Chinese.
//!
//! One table is the truth. Connectors may fill only these fields, rules may read only these, and the reference in
//! `connectors/README.md` is generated from it. A [`Field`] is a row's place in the table; stored state keeps that
//! number, so rows are added at the end and never moved or removed (`tests/it/docs.rs` holds the order).
//!
//! source   domain field lists of the national supervision data standards as provinces implement them

use serde::{Deserialize, Serialize};

/// A kind of fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// 投诉举报: an order of 12345, 12315 or another channel.
    Complaint,
    /// 监管检查.
    Inspection,
    /// 行政许可.
    Licence,
    /// 行政处罚.
    Penalty,
    /// 行政强制.
    Coercion,
    /// 名录变动: abnormal operations, serious violations, judgment defaulters.
    ListChange,
    /// 登记变更: the register of market entities.
    RegistryChange,
    /// 反馈: what officers found out about a warning.
    Feedback,
    /// 研判发现: what a rule said of a subject, as rules on regions, industries and departments see it.
    Finding,
    /// 处置动作: what an officer did about a warning or a sanction. It goes to the desk and to no rule.
    Action,
    /// 国家下发: a warning or a joint task that the national system sends down.
    National,
    /// 监管事项目录: an item of the catalogue of supervision, or a new version of it. It goes to the desk and to no rule.
    Catalogue,
}

impl Stream {
    /// All streams that rules may read.
    pub const ALL: [Self; 10] = [
        Self::Complaint,
        Self::Inspection,
        Self::Licence,
        Self::Penalty,
        Self::Coercion,
        Self::ListChange,
        Self::RegistryChange,
        Self::Feedback,
        Self::Finding,
        Self::National,
    ];

    /// The streams that go to the desk and to no rule.
    pub const UNREAD: [Self; 2] = [Self::Action, Self::Catalogue];

    /// All streams, in their order.
    pub const EVERY: [Self; 12] = [
        Self::Complaint,
        Self::Inspection,
        Self::Licence,
        Self::Penalty,
        Self::Coercion,
        Self::ListChange,
        Self::RegistryChange,
        Self::Feedback,
        Self::Finding,
        Self::Action,
        Self::National,
        Self::Catalogue,
    ];

    /// Its place in [`Stream::EVERY`].
    pub fn place(self) -> usize {
        usize::try_from(self.bit().trailing_zeros()).unwrap_or(0)
    }

    /// The word in connectors and rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complaint => "complaint",
            Self::Inspection => "inspection",
            Self::Licence => "licence",
            Self::Penalty => "penalty",
            Self::Coercion => "coercion",
            Self::ListChange => "list_change",
            Self::RegistryChange => "registry_change",
            Self::Feedback => "feedback",
            Self::Finding => "finding",
            Self::Action => "action",
            Self::National => "national",
            Self::Catalogue => "catalogue",
        }
    }

    /// The Chinese title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Complaint => "投诉举报",
            Self::Inspection => "监管检查",
            Self::Licence => "行政许可",
            Self::Penalty => "行政处罚",
            Self::Coercion => "行政强制",
            Self::ListChange => "名录变动",
            Self::RegistryChange => "登记变更",
            Self::Feedback => "处置反馈",
            Self::Finding => "研判发现",
            Self::Action => "处置动作",
            Self::National => "国家下发",
            Self::Catalogue => "监管事项目录",
        }
    }

    /// The stream with this name that rules may read.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == name)
    }

    /// The streams that connectors may fill.
    pub fn fed() -> impl Iterator<Item = Self> {
        let read = Self::ALL.into_iter().filter(|s| *s != Self::Finding);
        read.chain(Self::UNREAD)
    }

    /// A standing stream describes how a subject *is* (its licences, lists, registration): its facts are kept as long
    /// as they are the latest word, not only as long as a window reaches.
    pub fn is_standing(self) -> bool {
        matches!(
            self,
            Self::Licence | Self::ListChange | Self::RegistryChange
        )
    }

    const fn bit(self) -> u16 {
        match self {
            Self::Complaint => 1,
            Self::Inspection => 2,
            Self::Licence => 4,
            Self::Penalty => 8,
            Self::Coercion => 16,
            Self::ListChange => 32,
            Self::RegistryChange => 64,
            Self::Feedback => 128,
            Self::Finding => 256,
            Self::Action => 512,
            Self::National => 1_024,
            Self::Catalogue => 2_048,
        }
    }
}

/// What a field holds; see [`super::event::Value`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// Yes or no.
    Bool,
    /// A whole number.
    Int,
    /// An exact decimal number.
    Decimal,
    /// Text.
    Text,
    /// A time with its precision.
    Time,
    /// A list of texts.
    List,
}

impl FieldType {
    /// The word that diagnostics use.
    pub fn title(self) -> &'static str {
        match self {
            Self::Bool => "是否",
            Self::Int => "整数",
            Self::Decimal => "小数",
            Self::Text => "文本",
            Self::Time => "时间",
            Self::List => "列表",
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct FieldSpec {
    /// The name in connectors and rules.
    pub name: &'static str,
    /// What it holds.
    pub field_type: FieldType,
    /// The Chinese title.
    pub title: &'static str,
    /// Units, values or a remark.
    pub note: &'static str,
    streams: u16,
}

impl FieldSpec {
    /// Whether facts of this stream may have the field.
    pub fn is_of(&self, stream: Stream) -> bool {
        self.streams & stream.bit() != 0
    }
}

/// A field: its row in [`FIELDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Field(u8);

/// What stands for a number that is no row.
static UNKNOWN: FieldSpec = FieldSpec {
    name: "unknown",
    field_type: FieldType::Text,
    title: "未知字段",
    note: "",
    streams: 0,
};

impl Field {
    /// The row of this field. A number that is no row (from a damaged store) gives a row of no stream.
    pub fn spec(self) -> &'static FieldSpec {
        FIELDS.get(usize::from(self.0)).unwrap_or(&UNKNOWN)
    }

    /// Its row in [`FIELDS`].
    pub fn row(self) -> u8 {
        self.0
    }

    /// The field of a row; a number that is no row is a field of no stream.
    pub fn at_row(row: u8) -> Self {
        Self(row)
    }

    /// The field's name.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The field of this name that `stream` has.
    pub fn of(stream: Stream, name: &str) -> Option<Self> {
        let at = NAMES.binary_search_by_key(&name, |(n, _)| n).ok()?;
        let field = NAMES.get(at)?.1;
        field.spec().is_of(stream).then_some(field)
    }

    /// All fields that `stream` has, in the order of the table.
    pub fn all_of(stream: Stream) -> impl Iterator<Item = Self> {
        (0_u8..)
            .zip(FIELDS)
            .filter(move |(_, spec)| spec.is_of(stream))
            .map(|(at, _)| Self(at))
    }
}

macro_rules! streams {
    ($($stream:ident),*) => { 0 $(| streams!(@ $stream))* };
    (@ complaint) => { Stream::Complaint.bit() };
    (@ inspection) => { Stream::Inspection.bit() };
    (@ licence) => { Stream::Licence.bit() };
    (@ penalty) => { Stream::Penalty.bit() };
    (@ coercion) => { Stream::Coercion.bit() };
    (@ list_change) => { Stream::ListChange.bit() };
    (@ registry_change) => { Stream::RegistryChange.bit() };
    (@ feedback) => { Stream::Feedback.bit() };
    (@ finding) => { Stream::Finding.bit() };
    (@ action) => { Stream::Action.bit() };
    (@ national) => { Stream::National.bit() };
    (@ catalogue) => { Stream::Catalogue.bit() };
}

macro_rules! fields {
    ($(($name:ident, $type:ident, [$($stream:ident),*], $title:literal, $note:literal),)*) => {
        /// Every field there is.
        pub static FIELDS: &[FieldSpec] = &[$(FieldSpec {
            name: stringify!($name),
            field_type: FieldType::$type,
            title: $title,
            note: $note,
            streams: streams!($($stream),*),
        }),*];

        #[expect(non_camel_case_types, reason = "row numbers named as the fields are")]
        enum Row { $($name),* }

        /// The fields by name, for code that means one of them: `field::amount`.
        #[expect(non_upper_case_globals, reason = "named as the fields are")]
        pub mod field {
            //! The fields by name; the table says what each is.
            use super::{Field, Row};
            $(#[doc = $title] pub const $name: Field = Field(Row::$name as u8);)*
        }
    };
}

fields! {
    (name, Text, [complaint, inspection, licence, penalty, coercion, list_change, registry_change, feedback, finding, national], "主体名称", ""),
    (region, Text, [complaint, inspection, licence, penalty, coercion, list_change, registry_change, feedback, finding, national, catalogue], "行政区划代码", "6 digits, current codes; see region.rs"),
    (region_raw, Text, [complaint, inspection, licence, penalty, coercion, list_change, registry_change, feedback, national, catalogue], "原区划代码", "as the source wrote it"),
    (department, Text, [complaint, inspection, licence, penalty, coercion, list_change, registry_change, feedback, finding, national, catalogue], "实施机构名称", ""),
    (department_code, Text, [complaint, inspection, licence, penalty, coercion, list_change, registry_change, feedback, finding, national, catalogue], "实施机构代码", "USCC of the body"),
    (industry, Text, [complaint, inspection, licence, penalty, coercion, list_change, registry_change, feedback, finding, national], "行业代码", "GB/T 4754 section letter, then digits if known"),
    (domain, Text, [complaint, inspection, licence, penalty, coercion, list_change, registry_change, feedback, finding, national, catalogue], "监管领域", ""),
    (item_code, Text, [complaint, inspection, licence, penalty, coercion, list_change, registry_change, feedback, national, catalogue], "监管事项目录编码", "14 digits"),
    (address, Text, [complaint, inspection, licence, penalty, coercion, list_change, registry_change, feedback, national], "地址", "of a business, never of a person"),
    (uscc_valid, Bool, [complaint, inspection, licence, penalty, coercion, list_change, registry_change, feedback, national], "代码校验通过", "false: well formed, check digit wrong"),
    (reported_at, Time, [complaint, inspection, licence, penalty, coercion, list_change, registry_change, feedback, national, catalogue], "报送时间", ""),
    (note, Text, [complaint, inspection, licence, penalty, coercion, list_change, registry_change, feedback, action, national, catalogue], "备注", "masked"),
    (order_no, Text, [complaint], "工单编号", ""),
    (channel, Text, [complaint], "来源渠道", "12345, 12315, 信访, 部门, 国家"),
    (kind, Text, [complaint, coercion, national], "诉求类型", "投诉, 举报, 咨询, 求助, 建议; for coercion 措施 or 执行; from the nation 风险预警 or 协同任务"),
    (title, Text, [complaint, national], "标题", "masked"),
    (category, Text, [complaint], "业务分类", "levels joined by /"),
    (problem_type, Text, [complaint], "问题类别", ""),
    (topic, Text, [complaint], "主题", ""),
    (keywords, List, [complaint], "关键词", "words found by the connector's list: 闭店, 失联, 退费"),
    (disputed_at, Time, [complaint], "争议时间", ""),
    (is_real_name, Bool, [complaint], "是否实名", ""),
    (complainant, Text, [complaint], "投诉人假名", "keyed hash, only for telling people apart"),
    (group_size, Int, [complaint], "涉及人数", "people"),
    (urgency, Text, [complaint], "紧急程度", ""),
    (dispute_group, Text, [complaint], "重复件组", "same dispute, same group"),
    (status, Text, [complaint, licence, national], "状态", ""),
    (accepted_at, Time, [complaint], "受理时间", ""),
    (due_at, Time, [complaint, penalty], "应办结时间", "for a penalty: the last day of payment"),
    (closed_at, Time, [complaint, penalty, feedback], "办结时间", ""),
    (result, Text, [complaint, inspection, coercion], "结果", "inspection: 合格, 不合格 and the values of 双随机; complaint: 属实, 部分属实, 不属实, 无法核实"),
    (satisfaction, Text, [complaint], "满意度", ""),
    (rework_count, Int, [complaint], "重办次数", "times"),
    (is_malicious, Bool, [complaint], "异常投诉标志", ""),
    (inspection_no, Text, [inspection, penalty, coercion], "检查行为编号", ""),
    (plan_id, Text, [inspection], "双随机计划编号", ""),
    (check_form, Text, [inspection], "检查形式", "日常检查, 专项检查"),
    (check_type, Text, [inspection], "检查类别", ""),
    (check_mode, Text, [inspection], "检查方式", "现场, 非现场, 双随机"),
    (trigger, Text, [inspection], "检查由来", "计划, 有因, 双随机"),
    (result_codes, List, [inspection], "检查结果代码", ""),
    (failed_items, Int, [inspection], "不合格项数", "items"),
    (critical_items, Int, [inspection], "严重问题项数", "items"),
    (serious_items, Int, [inspection], "较重问题项数", "items"),
    (minor_items, Int, [inspection], "一般问题项数", "items"),
    (rectify_due_at, Time, [inspection], "整改期限", ""),
    (is_rectified, Bool, [inspection], "是否已整改", ""),
    (is_refused, Bool, [inspection], "不配合检查", ""),
    (inspectors_count, Int, [inspection], "检查人员数", "people"),
    (risk_class, Text, [inspection, registry_change], "风险等级", ""),
    (facility, Text, [inspection, licence], "场所类型", ""),
    (decision_no, Text, [licence, penalty, coercion, list_change], "决定文书号", ""),
    (licence_kind, Text, [licence], "许可证名称", ""),
    (licence_no, Text, [licence, inspection], "许可编号", ""),
    (licence_act, Text, [licence], "许可行为", "核发, 延续, 变更, 注销, 撤销, 吊销"),
    (valid_from, Time, [licence], "有效期自", ""),
    (valid_to, Time, [licence], "有效期至", "absent: no end"),
    (authority, Text, [licence, penalty, list_change], "作出机关", ""),
    (scope, List, [licence, registry_change], "许可或经营范围", ""),
    (is_commitment, Bool, [licence], "告知承诺", ""),
    (case_no, Text, [penalty], "案件编号", ""),
    (procedure, Text, [penalty], "处罚程序", "简易, 普通"),
    (filed_at, Time, [penalty], "立案时间", ""),
    (illegal_type, Text, [penalty], "违法行为类型", ""),
    (reason, Text, [penalty, list_change], "事由", "违法事实 or 列入原因, masked"),
    (kind_of_penalty, Text, [penalty], "处罚种类", "the gravest one"),
    (penalty_kinds, List, [penalty], "处罚种类(全部)", ""),
    (amount, Decimal, [penalty, complaint], "金额", "yuan: fine, or the amount in dispute"),
    (confiscated, Decimal, [penalty], "没收金额", "yuan"),
    (paid, Decimal, [penalty], "实缴金额", "yuan"),
    (is_major, Bool, [penalty], "重大案件", ""),
    (is_criminal, Bool, [penalty], "涉刑案件", ""),
    (is_not_punished, Bool, [penalty], "不予处罚", ""),
    (gravity, Text, [penalty], "严重程度", "轻微, 一般, 严重"),
    (public_until, Time, [penalty], "公示截止期", ""),
    (review_status, Text, [penalty], "行政复议", ""),
    (litigation_status, Text, [penalty], "行政诉讼", ""),
    (measure, Text, [coercion], "强制种类", ""),
    (started_at, Time, [coercion], "起始时间", ""),
    (ended_at, Time, [coercion], "结束时间", ""),
    (extended_days, Int, [coercion], "延长期限", "days"),
    (list_type, Text, [list_change], "名录类型", "abnormal, serious, executee, other"),
    (action, Text, [list_change], "名录动作", "add, remove, repair, shield"),
    (entry_id, Text, [list_change], "名录条目编号", ""),
    (reason_code, Text, [list_change], "列入原因代码", ""),
    (until_at, Time, [list_change], "列入期满", ""),
    (reg_state, Text, [registry_change], "登记状态", "存续, 吊销, 注销, 迁出, 撤销"),
    (enterprise_type, Text, [registry_change], "企业类型", ""),
    (established_at, Time, [registry_change], "成立日期", ""),
    (capital, Decimal, [registry_change], "注册资本", "yuan"),
    (changed_items, List, [registry_change], "变更事项", "法定代表人, 名称, 住所, 经营范围, 注册资本"),
    (representative, Text, [registry_change], "法定代表人假名", "keyed hash"),
    (tags, List, [registry_change], "标签", ""),
    (credit_class, Text, [registry_change], "信用分类", "A, B, C, D; an input, never overwritten"),
    (warning_id, Text, [feedback, action], "预警编号", ""),
    (verdict, Text, [feedback], "核查结论", "属实, 部分属实, 不属实, 无法核实"),
    (unit, Text, [feedback], "反馈单位", ""),
    (disposal, List, [feedback], "处置措施", ""),
    (rule, Text, [finding, national], "规则编号", ""),
    (points, Int, [finding], "风险分", "points"),
    (subject, Text, [finding], "主体", ""),
    (removed_at, Time, [list_change], "移出日期", "absent: still listed"),
    (level, Text, [finding, national], "预警级别", "红, 橙, 黄, 蓝; absent for a signal"),
    (act, Text, [action], "处置动作", "claim, verify, dispose, close, reopen, return, transfer, merge, escalate, remind; confirm, reject, receive, apply, remove; halt, release; open, join, leave"),
    (actor, Text, [action], "经办人或单位", ""),
    (actor_role, Text, [action], "角色", "officer"),
    (target, Text, [action], "对象", "a department, or the warning to merge into; of a key event: its title, or what to join"),
    (national_no, Text, [national], "国家编号", "fxyjId or taskNo"),
    (initiator, Text, [national], "发起单位", ""),
    (task_content, Text, [national], "任务内容", "masked"),
    (task_claim, Text, [national], "任务要求", "masked"),
    (main_item, Text, [catalogue], "主项名称", ""),
    (sub_item, Text, [catalogue], "子项名称", ""),
    (item_mode, Text, [catalogue], "监管方式", ""),
    (item_measures, Text, [catalogue], "监管措施", ""),
    (item_object, Text, [catalogue], "监管对象", ""),
    (item_basis, Text, [catalogue], "设定依据", ""),
    (item_flow, Text, [catalogue], "监管流程", ""),
    (item_result, Text, [catalogue], "监管结果", ""),
    (item_level, Text, [catalogue], "监管层级", "国家, 省, 市, 县, 乡"),
}

/// The table of fields as markdown: the reference in `connectors/README.md`.
pub fn field_table() -> String {
    let mut table =
        String::from("| field | type | streams | 中文 | note |\n|---|---|---|---|---|\n");
    for spec in FIELDS {
        let streams: Vec<&str> = Stream::ALL
            .into_iter()
            .chain(Stream::UNREAD)
            .filter(|stream| spec.is_of(*stream))
            .map(Stream::name)
            .collect();
        let read = streams
            .iter()
            .filter(|name| Stream::UNREAD.iter().all(|unread| unread.name() != **name));
        let streams = match read.count() {
            10 => "all".to_owned(),
            9 if !spec.is_of(Stream::Finding) => "all but finding".to_owned(),
            _ => streams.join(", "),
        };
        let row = format!(
            "| `{}` | {} | {streams} | {} | {} |\n",
            spec.name,
            spec.field_type.title(),
            spec.title,
            spec.note
        );
        table.push_str(&row);
    }
    table
}

/// Field names in alphabetical order, each with its field.
static NAMES: std::sync::LazyLock<Vec<(&'static str, Field)>> = std::sync::LazyLock::new(|| {
    let mut names: Vec<_> = (0_u8..)
        .zip(FIELDS)
        .map(|(at, spec)| (spec.name, Field(at)))
        .collect();
    names.sort_unstable();
    names
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_under_its_name() {
        for stream in Stream::ALL {
            assert_eq!(Stream::by_name(stream.name()), Some(stream));
            for field in Field::all_of(stream) {
                assert_eq!(Field::of(stream, field.name()), Some(field));
            }
        }
        assert_eq!(Field::of(Stream::Complaint, "valid_to"), None);
        assert_eq!(field::amount.name(), "amount");
        assert!(Stream::EVERY.is_sorted());
        for (at, stream) in Stream::EVERY.into_iter().enumerate() {
            assert_eq!(stream.place(), at);
        }
    }
}
