//! The four worked rules of the guide compile, and their own tests pass.

use super::*;

const EXAMPLES: [(&str, &str); 4] = [
    (
        "complaint/surge.rhai",
        include_str!("rules/complaint_surge.rhai"),
    ),
    (
        "inspection/failed_sampling_with_penalty.rhai",
        include_str!("rules/failed_sampling_with_penalty.rhai"),
    ),
    (
        "joint/joint_sanction.rhai",
        include_str!("rules/joint_sanction.rhai"),
    ),
    (
        "licence/licence_expired_trading.rhai",
        include_str!("rules/licence_expired_trading.rhai"),
    ),
];

#[test]
fn the_examples_pass_their_own_tests() {
    let set = load(&EXAMPLES);
    let reports = run_tests(&set);
    assert_eq!(reports.len(), 9);
    let failed: Vec<_> = reports
        .iter()
        .filter(|report| !report.is_passed())
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
