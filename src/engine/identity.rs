//! Identifiers: unified social credit codes, registration numbers, organisation codes, citizen numbers.
//!
//! A code is judged three ways, because real feeds need it: *malformed* is nobody's code (the subject is unknown);
//! *well formed with a bad check digit* is kept under its literal value and flagged, since some issued codes fail the
//! check, and it is never merged with another; *valid* passes. Reading normalises case, full-width characters, blanks and
//! hyphens, and nothing else: a letter O is not taken for a zero.
//!
//! Citizen numbers are personal data. They are recognised here so that they can be kept out: one that stands where a
//! social credit code is expected is malformed, never a subject under its literal value.
//!
//! source   GB 32100-2015 (credit code), GB 11714-1997 (organisation code), GB 11643-1999 (citizen number)

use std::borrow::Cow;

/// The 31 characters of a credit code, each standing for its place.
const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
/// 3^(i-1) mod 31.
const USCC_WEIGHTS: [u32; 17] = [
    1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28,
];
const ORG_WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
const CITIZEN_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CITIZEN_CHECKS: &[u8; 11] = b"10X98765432";
/// First characters of credit codes: the bodies that register.
const REGISTRARS: &[u8] = b"123456789ANY";

/// What a text is as a code of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Nobody's code, and why.
    Malformed(Malformed),
    /// Formed as the standard says, but the check digit is another.
    BadCheckDigit,
    /// Formed as the standard says, with the right check digit.
    Valid,
}

impl Check {
    /// Whether the text can be a subject's key.
    pub fn is_well_formed(self) -> bool {
        !matches!(self, Self::Malformed(_))
    }
}

/// Why a text is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Another number of characters.
    Length,
    /// A character that the standard does not have, or not at this place.
    Character,
    /// Parts are hidden by `*`.
    Masked,
    /// A stand-in such as eighteen zeros.
    Placeholder,
    /// A citizen number stands where an organisation's code is expected.
    CitizenId,
}

/// Upper case, half width, without blanks and hyphens; borrowed when nothing changes.
pub fn normalise(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if text
        .bytes()
        .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .map(half_width)
            .filter(|c| !c.is_whitespace() && *c != '-' && *c != '\u{feff}')
            .map(|c| c.to_ascii_uppercase())
            .collect(),
    )
}

/// The half-width form of a full-width character (`Ａ` → `A`, ideographic space → blank).
pub fn half_width(c: char) -> char {
    match c {
        '\u{3000}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

/// Judges a normalised text as a unified social credit code.
pub fn check_uscc(code: &str) -> Check {
    let bytes = code.as_bytes();
    if bytes.contains(&b'*') {
        return Check::Malformed(Malformed::Masked);
    }
    let sums_up = uscc_sums_up(bytes);
    if check_citizen_id(code).is_well_formed() && !(sums_up && org_part_sums_up(bytes)) {
        return Check::Malformed(Malformed::CitizenId);
    }
    if bytes.len() != 18 {
        return Check::Malformed(Malformed::Length);
    }
    if is_placeholder(bytes) {
        return Check::Malformed(Malformed::Placeholder);
    }
    let formed = bytes.iter().all(|b| alphabet_value(*b).is_some())
        && bytes.first().is_some_and(|b| REGISTRARS.contains(b))
        && bytes
            .get(2..8)
            .is_some_and(|region| region.iter().all(u8::is_ascii_digit));
    if !formed {
        return Check::Malformed(Malformed::Character);
    }
    if sums_up {
        Check::Valid
    } else {
        Check::BadCheckDigit
    }
}

/// The check character that belongs to the first 17 characters of a credit code.
pub fn uscc_check_digit(first_17: &str) -> Option<char> {
    let bytes = first_17.as_bytes();
    if bytes.len() < 17 {
        return None;
    }
    let mut sum = 0;
    for (byte, weight) in bytes.iter().zip(USCC_WEIGHTS) {
        sum += alphabet_value(*byte)? * weight;
    }
    let at = usize::try_from((31 - sum % 31) % 31).ok()?;
    ALPHABET.get(at).copied().map(char::from)
}

/// The check character that belongs to the first 8 characters of an organisation code.
pub fn org_check_digit(first_8: &str) -> Option<char> {
    let mut sum = 0;
    let bytes = first_8.as_bytes();
    if bytes.len() < 8 {
        return None;
    }
    for (byte, weight) in bytes.iter().zip(ORG_WEIGHTS) {
        sum += char::from(*byte).to_digit(36)? * weight;
    }
    match 11 - sum % 11 {
        10 => Some('X'),
        11 => Some('0'),
        digit => char::from_digit(digit, 10),
    }
}

/// Judges a normalised text as an organisation code of nine characters.
pub fn check_org_code(code: &str) -> Check {
    let bytes = code.as_bytes();
    if bytes.contains(&b'*') {
        return Check::Malformed(Malformed::Masked);
    }
    if bytes.len() != 9 {
        return Check::Malformed(Malformed::Length);
    }
    if is_placeholder(bytes) {
        return Check::Malformed(Malformed::Placeholder);
    }
    match (org_check_digit(code), code.chars().last()) {
        (Some(check), Some(last)) if check == last => Check::Valid,
        (Some(_), Some(last)) if last.is_ascii_digit() || last == 'X' => Check::BadCheckDigit,
        _ => Check::Malformed(Malformed::Character),
    }
}

/// Judges a normalised text as a registration number of 15 digits (its check digit, ISO 7064 mod 11,10, is the last).
pub fn check_reg_no(code: &str) -> Check {
    let bytes = code.as_bytes();
    if bytes.contains(&b'*') {
        return Check::Malformed(Malformed::Masked);
    }
    if bytes.len() != 15 {
        return Check::Malformed(Malformed::Length);
    }
    if !bytes.iter().all(u8::is_ascii_digit) {
        return Check::Malformed(Malformed::Character);
    }
    if is_placeholder(bytes) {
        return Check::Malformed(Malformed::Placeholder);
    }
    let mut product = 10;
    for byte in bytes.iter().take(14) {
        let sum = (u32::from(byte - b'0') + product) % 10;
        product = (if sum == 0 { 10 } else { sum }) * 2 % 11;
    }
    let last = bytes.last().map_or(0, |b| u32::from(b - b'0'));
    if (product + last) % 10 == 1 {
        return Check::Valid;
    }
    if check_citizen_id(code).is_well_formed() {
        return Check::Malformed(Malformed::CitizenId);
    }
    Check::BadCheckDigit
}

/// Judges a normalised text as a citizen number of 18 or 15 characters. The old form has no check digit: it is valid
/// when its province and birth date are possible.
pub fn check_citizen_id(code: &str) -> Check {
    let bytes = code.as_bytes();
    let (digits, date) = match bytes.len() {
        18 => (bytes.get(..17), bytes.get(6..14)),
        15 => (Some(bytes), bytes.get(6..12)),
        _ => return Check::Malformed(Malformed::Length),
    };
    let (Some(digits), Some(date)) = (digits, date) else {
        return Check::Malformed(Malformed::Length);
    };
    let tail_fits = bytes
        .last()
        .is_some_and(|b| b.is_ascii_digit() || *b == b'X');
    let formed = digits.iter().all(u8::is_ascii_digit) && tail_fits;
    if !formed || !is_province(bytes) || !is_birth_date(date) {
        return Check::Malformed(Malformed::Character);
    }
    if bytes.len() == 15 || citizen_check_digit(digits) == bytes.last().copied() {
        Check::Valid
    } else {
        Check::BadCheckDigit
    }
}

/// The 18-character form of a well-formed citizen number, so that both forms are one person.
pub fn citizen_id_18(code: &str) -> Option<String> {
    if !check_citizen_id(code).is_well_formed() {
        return None;
    }
    if code.len() == 18 {
        return Some(code.to_owned());
    }
    let mut long = String::with_capacity(18);
    long.push_str(code.get(..6)?);
    long.push_str("19");
    long.push_str(code.get(6..)?);
    let check = citizen_check_digit(long.as_bytes())?;
    long.push(char::from(check));
    Some(long)
}

/// What each byte stands for in a credit code; 31 is nothing.
const VALUES: [u8; 256] = {
    let mut values = [31_u8; 256];
    let mut at = 0_u8;
    let mut rest: &[u8] = ALPHABET;
    while let [byte, after @ ..] = rest {
        #[expect(
            clippy::as_conversions,
            clippy::indexing_slicing,
            reason = "a constant, checked when it is compiled"
        )]
        {
            values[*byte as usize] = at;
        }
        at += 1;
        rest = after;
    }
    values
};

fn alphabet_value(byte: u8) -> Option<u32> {
    let value = VALUES.get(usize::from(byte)).copied()?;
    (value < 31).then(|| u32::from(value))
}

fn uscc_sums_up(bytes: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(bytes) else {
        return false;
    };
    bytes.len() == 18 && uscc_check_digit(text) == text.chars().last()
}

fn org_part_sums_up(bytes: &[u8]) -> bool {
    let part = bytes
        .get(8..17)
        .and_then(|part| core::str::from_utf8(part).ok());
    part.is_some_and(|part| check_org_code(part) == Check::Valid)
}

/// One character repeated up to the last, or an ascending row of digits.
fn is_placeholder(bytes: &[u8]) -> bool {
    let Some((_, body)) = bytes.split_last() else {
        return true;
    };
    let same = body.windows(2).all(|pair| pair.first() == pair.last());
    same || bytes.starts_with(b"123456789")
}

fn is_province(bytes: &[u8]) -> bool {
    matches!(
        bytes.get(..2),
        Some(
            [b'1' | b'6', b'1'..=b'5']
                | [b'2' | b'8', b'1'..=b'3']
                | [b'3', b'1'..=b'7']
                | [b'4', b'1'..=b'6']
                | [b'5', b'0'..=b'4']
                | [b'7', b'1']
        )
    )
}

/// `YYYYMMDD` of 1900 to 2099, or `YYMMDD`.
fn is_birth_date(digits: &[u8]) -> bool {
    let (year_fits, rest) = match digits.len() {
        8 => (
            matches!(digits.get(..2), Some(b"19" | b"20")),
            digits.get(4..),
        ),
        _ => (true, digits.get(2..)),
    };
    let number = |range: core::ops::Range<usize>| {
        rest.and_then(|r| r.get(range)).map_or(0, |two| {
            two.iter()
                .fold(0_u32, |n, b| n * 10 + u32::from(b.wrapping_sub(b'0')))
        })
    };
    year_fits && (1..=12).contains(&number(0..2)) && (1..=31).contains(&number(2..4))
}

fn citizen_check_digit(first_17: &[u8]) -> Option<u8> {
    let mut sum = 0;
    for (byte, weight) in first_17.iter().zip(CITIZEN_WEIGHTS) {
        sum += char::from(*byte).to_digit(10)? * weight;
    }
    CITIZEN_CHECKS.get(usize::try_from(sum % 11).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn issued_codes_are_valid() {
        for code in [
            "12100000400000624D",
            "11100000MB0143028R",
            "9144030071526726XG",
            "91330100799655058B",
            "1210000042500615X0",
            "911100006000650192",
            "91330203674737244W",
            "91110000802100433B",
            "914403001922038216",
            "12100000400002259P",
            "91350100M000100Y43",
        ] {
            assert_eq!(check_uscc(code), Check::Valid, "{code}");
        }
        assert_eq!(org_check_digit("71526726"), Some('X'));
        assert_eq!(org_check_digit("MB014302"), Some('8'));
    }

    #[test]
    fn three_ways_to_judge() {
        let malformed = |why| Check::Malformed(why);
        for (code, check) in [
            ("91330100799655058C", Check::BadCheckDigit),
            ("9133010079965505", malformed(Malformed::Length)),
            ("913302******307724", malformed(Malformed::Masked)),
            ("00000000000000000X", malformed(Malformed::Placeholder)),
            ("91330100I99655058B", malformed(Malformed::Character)),
            ("A1330100799655058B", Check::BadCheckDigit),
            ("Z1330100799655058B", malformed(Malformed::Character)),
            ("913301O0799655058B", malformed(Malformed::Character)),
            ("11010519491231002X", malformed(Malformed::CitizenId)),
            ("320106199003078895", malformed(Malformed::CitizenId)),
            ("320106900307889", malformed(Malformed::CitizenId)),
        ] {
            assert_eq!(check_uscc(code), check, "{code}");
        }
    }

    #[test]
    fn normal_form() {
        assert_eq!(normalise("12331082472660525j"), "12331082472660525J");
        assert_eq!(normalise(" ９１3301 00799655058-B "), "91330100799655058B");
        assert!(matches!(normalise("91330100799655058B"), Cow::Borrowed(_)));
    }

    #[test]
    fn citizen_numbers_in_both_forms_are_one() {
        assert_eq!(check_citizen_id("11010519491231002X"), Check::Valid);
        assert_eq!(check_citizen_id("110105194912310021"), Check::BadCheckDigit);
        assert_eq!(
            citizen_id_18("110105491231002").as_deref(),
            Some("11010519491231002X")
        );
        assert_eq!(citizen_id_18("990105491231002"), None);
    }

    #[test]
    fn registration_numbers() {
        assert_eq!(check_reg_no("110108000000016"), Check::Valid);
        assert_eq!(check_reg_no("110108000000011"), Check::BadCheckDigit);
        assert!(!check_reg_no("000000000000000").is_well_formed());
    }

    proptest! {
        #[test]
        fn a_computed_digit_makes_a_valid_code(tail in "[0-9A-HJ-NP-RTUWXY]{9}") {
            let first = format!("91320106{tail}");
            let code = format!("{first}{}", uscc_check_digit(&first).unwrap());
            prop_assume!(check_uscc(&code) != Check::Malformed(Malformed::Placeholder));
            prop_assert_eq!(check_uscc(&code), Check::Valid);
        }

        #[test]
        fn nothing_panics_and_normal_is_final(text in "\\PC{0,24}") {
            let once = normalise(&text).into_owned();
            let twice = normalise(&once).into_owned();
            prop_assert_eq!(&twice, &once);
            let _ = (check_uscc(&once), check_org_code(&once), check_reg_no(&once), citizen_id_18(&once));
        }
    }
}
