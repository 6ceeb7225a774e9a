//! One reading of `/metrics`: the lines of the Prometheus text format as numbers.
//!
//! shape    (name, labels) to value; comments are skipped, and so is a line that is no sample

use std::collections::BTreeMap;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sample {
    values: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Sample {
    /// Reads the text.
    pub(super) fn parse(text: &str) -> Self {
        Self {
            values: text.lines().filter_map(line).collect(),
        }
    }

    /// The sum over all children of a metric whose labels include these; none when there are no such.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = None;
        for (_, _, value) in self.of(name, labels) {
            *found.get_or_insert(0.0) += value;
        }
        found
    }

    /// The values of a label of a metric, with the sum of each.
    pub(super) fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for (_, labels, value) in self.of(name, &[]) {
            if let Some(word) = labels.get(label) {
                *sums.entry(word.clone()).or_insert(0.0) += value;
            }
        }
        sums
    }

    fn of<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a (String, BTreeMap<String, String>, f64)> {
        self.values.iter().filter(move |(n, l, _)| {
            n == name
                && labels
                    .iter()
                    .all(|(label, word)| l.get(*label).is_some_and(|w| w == word))
        })
    }
}

fn line(line: &str) -> Option<(String, BTreeMap<String, String>, f64)> {
    if line.starts_with('#') {
        return None;
    }
    let (head, value) = line.rsplit_once(' ')?;
    let value: f64 = value.parse().ok()?;
    let Some((name, rest)) = head.split_once('{') else {
        return Some((head.to_owned(), BTreeMap::new(), value));
    };
    let mut labels = BTreeMap::new();
    let mut rest = rest.strip_suffix('}')?;
    while let Some((label, after)) = rest.split_once("=\"") {
        let end = closing(after)?;
        let word = after.get(..end)?;
        labels.insert(label.to_owned(), unescaped(word));
        rest = after.get(end + 1..)?.trim_start_matches(',');
    }
    Some((name.to_owned(), labels, value))
}

/// Where the quote is that ends a label's value.
fn closing(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !is_escaped => return Some(at),
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    None
}

fn unescaped(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    let mut letters = word.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, true) => match letters.next() {
                Some('n') => text.push('\n'),
                Some(other) => text.push(other),
                None => {}
            },
            (other, false) => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_with_their_labels() {
        let text = "# HELP a b\n# TYPE a counter\na{x=\"1\",y=\"红,}\\\"\\\\\\n\"} 2\na{x=\"2\"} 3.5\nb 1e3\nnonsense\n";
        let sample = Sample::parse(text);
        assert_eq!(sample.sum("a", &[]), Some(5.5));
        assert_eq!(sample.sum("a", &[("x", "2")]), Some(3.5));
        assert_eq!(sample.sum("b", &[]), Some(1_000.0));
        assert_eq!(sample.sum("c", &[]), None);
        let by = sample.by("a", "y");
        assert_eq!(by.get("红,}\"\\\n"), Some(&2.0));
    }
}
