//! Industries of GB/T 4754-2017: the section letter of a class code.
//!
//! The register carries either the letter (`industryphy` = `F`) or the class of two to four digits (`industryco` =
//! `5132`); both end as letter and digits, `F5132`, and the subject is the letter alone.
//!
//! source   GB/T 4754-2017, sections A to T by their divisions

/// The last division of each section, in order; a division belongs to the first section that reaches it.
const SECTIONS: [(u8, char); 20] = [
    (5, 'A'),
    (12, 'B'),
    (43, 'C'),
    (46, 'D'),
    (50, 'E'),
    (52, 'F'),
    (60, 'G'),
    (62, 'H'),
    (65, 'I'),
    (69, 'J'),
    (70, 'K'),
    (72, 'L'),
    (75, 'M'),
    (79, 'N'),
    (82, 'O'),
    (83, 'P'),
    (85, 'Q'),
    (90, 'R'),
    (96, 'S'),
    (97, 'T'),
];

/// The section letter of a division (the first two digits of a class code), if there is such a division.
pub fn section_of_division(division: u8) -> Option<char> {
    if division == 0 {
        return None;
    }
    SECTIONS
        .iter()
        .find(|(last, _)| division <= *last)
        .map(|(_, letter)| *letter)
}

/// Brings `F`, `f5132`, `5132`, `51` to the letter followed by the digits. Anything else, and a letter that is not the
/// section of the digits, is `None`.
pub fn normalise(text: &str) -> Option<String> {
    let text = text.trim();
    let first = text.chars().next()?.to_ascii_uppercase();
    let (letter, digits) = if first.is_ascii_alphabetic() {
        (Some(first), text.get(1..)?)
    } else {
        (None, text)
    };
    if digits.len() > 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if digits.is_empty() {
        return letter
            .filter(|l| ('A'..='T').contains(l))
            .map(|l| l.to_string());
    }
    let section = section_of_division(digits.get(..2)?.parse().ok()?)?;
    if letter.is_some_and(|l| l != section) {
        return None;
    }
    Some(format!("{section}{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_codes_get_their_section() {
        for (text, expected) in [
            ("5132", Some("F5132")),
            ("F", Some("F")),
            ("f5132", Some("F5132")),
            ("0111", Some("A0111")),
            ("6220", Some("H6220")),
            ("62", Some("H62")),
            ("8391", Some("P8391")),
            ("97", Some("T97")),
            ("98", None),
            ("0011", None),
            ("G5132", None),
            ("Z", None),
            ("", None),
            ("餐饮", None),
            ("5", None),
            ("51320", None),
        ] {
            assert_eq!(normalise(text).as_deref(), expected, "{text}");
        }
    }
}
