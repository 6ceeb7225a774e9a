//! `grafana/README.md` shows the metrics that the code has. `UPDATE_EXPECT=1` writes them.

use fenghuo::runtime::metrics::table::reference;
use std::path::Path;

const BEGIN: &str = "<!-- metrics:begin -->\n";
const END: &str = "<!-- metrics:end -->";

#[test]
fn the_reference_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", reference())).unwrap();
        return;
    }
    assert_eq!(
        shown,
        reference(),
        "grafana/README.md is not what the code has; run the test with UPDATE_EXPECT=1"
    );
}
