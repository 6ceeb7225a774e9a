//! The shipped rules over and over, under other ids.

use fenghuo::engine::rule::RuleSources;
use fenghuo::runtime::bundle;

/// So many rules: the shipped ones with their tests, again and again.
pub(crate) fn copied_rules(count: usize) -> RuleSources {
    let mut sources = bundle::shipped_rules();
    let shipped = sources.files.clone();
    let copies = (1..).flat_map(|copy| shipped.iter().map(move |file| (copy, file)));
    for (copy, (path, text)) in copies.take(count.saturating_sub(shipped.len())) {
        let id = text
            .split("id:")
            .nth(1)
            .and_then(|rest| rest.split('"').nth(1))
            .unwrap_or_default();
        let text = text.replacen(&format!("\"{id}\""), &format!("\"{id}-{copy}\""), 1);
        sources
            .files
            .push((path.replace(".rhai", &format!("_{copy}.rhai")), text));
    }
    sources
}
