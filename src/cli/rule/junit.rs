//! Test reports as JUnit XML: a suite a rule, a case a `test_…` function.
//!
//! source   the Apache Ant JUnit schema as Jenkins and GitLab read it

use crate::engine::rule::{Outcome, TestReport};
use std::fmt::Write;

/// The report.
pub(super) fn report(reports: &[TestReport]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let failures = reports.iter().filter(|r| !r.is_passed()).count();
    let _ = writeln!(
        xml,
        "<testsuites name=\"fenghuo rule test\" tests=\"{}\" failures=\"{failures}\">",
        reports.len()
    );
    for suite in reports.chunk_by(|a, b| a.rule == b.rule) {
        let Some(first) = suite.first() else { continue };
        let failures = suite.iter().filter(|r| !r.is_passed()).count();
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">",
            escaped(&first.rule),
            suite.len()
        );
        for one in suite {
            case(&mut xml, one);
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn case(xml: &mut String, one: &TestReport) {
    let head = format!(
        "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\"",
        escaped(&one.name),
        escaped(&one.rule),
        escaped(&one.file)
    );
    match &one.outcome {
        Outcome::Passed => {
            let _ = writeln!(xml, "{head}/>");
        }
        Outcome::Failed {
            message,
            line,
            column,
        } => {
            let text = escaped(message);
            let file = escaped(&one.file);
            let _ = writeln!(
                xml,
                "{head}>\n      <failure message=\"{text}\">{file}:{line}:{column} {text}</failure>\n    </testcase>"
            );
        }
    }
}

/// Text that XML can hold; characters that it cannot are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_suites_cases_and_failures() {
        let report = |rule: &str, name: &str, outcome| TestReport {
            rule: rule.to_owned(),
            file: "a/b.rhai".to_owned(),
            name: name.to_owned(),
            outcome,
        };
        let failed = Outcome::Failed {
            message: "应有“<5>”\u{1}".to_owned(),
            line: 3,
            column: 7,
        };
        let xml = super::report(&[
            report("A", "test_一", Outcome::Passed),
            report("A", "test_二", failed),
            report("B", "test_三", Outcome::Passed),
        ]);
        expect_test::expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites name="fenghuo rule test" tests="3" failures="1">
              <testsuite name="A" tests="2" failures="1" errors="0" skipped="0">
                <testcase name="test_一" classname="A" file="a/b.rhai"/>
                <testcase name="test_二" classname="A" file="a/b.rhai">
                  <failure message="应有“&lt;5&gt;”">a/b.rhai:3:7 应有“&lt;5&gt;”</failure>
                </testcase>
              </testsuite>
              <testsuite name="B" tests="1" failures="0" errors="0" skipped="0">
                <testcase name="test_三" classname="B" file="a/b.rhai"/>
              </testsuite>
            </testsuites>
        "#]]
        .assert_eq(&xml);
    }
}
