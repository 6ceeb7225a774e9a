//! The codes of diagnostics, each with what it stands for: for the guide, for SARIF, for the editor.

/// Code and Chinese title, in alphabetical order.
pub const CODES: [(&str, &str); 71] = [
    ("always-empty", "值一定是空的"),
    ("always-holds", "条件一定成立"),
    ("bad-date", "不是日期"),
    ("bad-file", "表无法读取"),
    ("bad-index", "下标不是整数"),
    ("bad-manifest", "RULE 里有写错的项"),
    ("bad-operation", "不能这样计算"),
    ("bad-span", "不是时间窗"),
    ("brace-open", "{ 没有配对的 }"),
    ("captured-receiver", "闭包里用了这次调用的对象"),
    ("duplicate-id", "规则编号重复"),
    ("equals-once", "判断相等只写了一个 ="),
    ("forbidden", "不能使用的词"),
    ("foreign-word", "别的语言或表格里的写法"),
    ("law-not-yet", "依据尚未施行"),
    ("maybe-empty", "值可能是空的"),
    ("missing-argument", "结论缺少必填项"),
    ("missing-key", "RULE 缺少必填项"),
    ("never-holds", "条件永远不成立"),
    ("never-speaks", "没有结论"),
    ("no-decide", "没有 decide"),
    ("no-default-case", "switch 没有写其他情况"),
    ("no-history", "往回看却没有写 history"),
    ("no-manifest", "没有 RULE"),
    ("no-negative-test", "没有不应预警的例子"),
    ("no-positive-test", "没有应预警的例子"),
    ("no-such-method", "这种值没有这个方法"),
    ("no-such-property", "这种值没有这个属性"),
    ("no-tests", "没有例子"),
    ("not-a-condition", "应为判断"),
    ("not-a-list", "应为列表"),
    ("not-a-number", "应为数的字段"),
    ("not-for-groups", "集体规则不能这样问"),
    ("not-literal", "应直接写出"),
    ("out-of-range", "数超出范围"),
    ("repealed-law", "依据已经废止"),
    ("rule-failed", "运行时出错"),
    ("short-span", "时间窗是几分钟"),
    ("single-quotes", "文字用了单引号"),
    ("statement-outside", "语句写在函数外面"),
    ("syntax", "语法错误"),
    ("taken-name", "名字已被占用"),
    ("test-with-parameters", "例子有参数,不会运行"),
    ("test-without-expectation", "例子没有说应当得到什么"),
    ("text-not-closed", "文字没有结束的引号"),
    ("too-long", "规则文件太长"),
    ("type-mismatch", "两边不是同一类值"),
    ("unknown-argument", "结论里没有这一项"),
    ("unknown-dimension", "没有这个维度"),
    ("unknown-field", "没有这个字段"),
    ("unknown-function", "没有这个函数"),
    ("unknown-law", "依据不在法规表里"),
    ("unknown-level", "没有这个级别"),
    ("unknown-list", "没有这个名录"),
    ("unknown-measure", "没有这项惩戒措施"),
    ("unknown-method", "没有这个方法"),
    ("unknown-param", "没有这个参数"),
    ("unknown-property", "没有这个属性"),
    ("unknown-region", "不是现行的区划代码"),
    ("unknown-stream", "没有这种记录"),
    ("unknown-subject", "没有这种主体"),
    ("unknown-variable", "没有这个变量"),
    ("unreachable", "永远执行不到"),
    ("unused-function", "函数没有被用到"),
    ("unused-param", "参数没有被用到"),
    ("unusual-value", "字段里没见过这个值"),
    ("whole-division", "整数相除会舍去小数"),
    ("wide-mark", "用了全角标点"),
    ("window-too-long", "时间窗比 history 长"),
    ("wrong-arguments", "参数个数不对"),
    ("wrong-type", "参数的类型不对"),
];

/// What a code stands for.
pub(super) fn title(code: &str) -> Option<&'static str> {
    let at = CODES.binary_search_by_key(&code, |(c, _)| c).ok()?;
    CODES.get(at).map(|(_, title)| *title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_in_order() {
        assert!(CODES.is_sorted());
        assert_eq!(title("maybe-empty"), Some("值可能是空的"));
        assert_eq!(title("x"), None);
    }
}
