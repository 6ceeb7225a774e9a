//! A message in XML, plain or wrapped in Base64 as in practice, into the JSON that mappings read.
//!
//! The root is the row. Elements become objects, leaves become texts; a second sibling of the same name becomes `name_2`, a
//! third `name_3`, so that columns are paths as in JSON: `taskInfo.superviseObjects.superviseObject_2.credentialsValue`.
//! Attributes, comments and instructions are passed over. A document type is refused, and with it every entity of a
//! message's own: nothing is ever expanded or fetched.
//!
//! bounds   a record's 256 KiB, as it came; [`DEPTH_MAX`] deep, [`ELEMENTS_MAX`] elements, [`SIBLINGS_MAX`] siblings of a name
//! source   `domain.md` §1.8 (`superviseData`)
//! errors   a reject that says what is wrong and where, in bytes from the beginning of the XML

use super::super::reject::{Reject, RejectCode};
use super::text::shortened;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// How deep elements may stand in each other.
const DEPTH_MAX: usize = 24;
/// Elements in one message.
const ELEMENTS_MAX: usize = 2_000;
/// Siblings of one name.
const SIBLINGS_MAX: usize = 64;

/// An element that is not closed yet.
#[derive(Default)]
struct Open {
    name: String,
    text: String,
    children: Map<String, Value>,
}

/// The message as a JSON object.
pub(super) fn to_json(record: &str) -> Result<String, Reject> {
    let xml = plain(record)?;
    let mut reader = Reader::from_str(&xml);
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Value> = None;
    let mut count = 0_usize;
    loop {
        let event = reader
            .read_event()
            .map_err(|error| bad(&reader, &format!("not XML: {error}")))?;
        match event {
            Event::Start(start) => {
                count += 1;
                if DEPTH_MAX <= open.len() || ELEMENTS_MAX < count || root.is_some() {
                    let message = "too deep (24), too many elements (2,000), or more than one root";
                    return Err(bad(&reader, message));
                }
                open.push(Open {
                    name: start.local_name().as_ref().to_owned(),
                    ..Open::default()
                });
            }
            Event::Empty(start) => {
                count += 1;
                let parent = open
                    .last_mut()
                    .filter(|_| count <= ELEMENTS_MAX)
                    .ok_or_else(|| bad(&reader, "an element outside of the root, or too many"))?;
                let name = start.local_name().as_ref().to_owned();
                put(parent, name, Value::String(String::new()))?;
            }
            Event::End(_) => close(&mut open, &mut root)?,
            Event::Text(text) => add(&mut open, &text),
            Event::CData(text) => add(&mut open, &text),
            Event::GeneralRef(name) => {
                let found = reference(&name).ok_or_else(|| {
                    let message =
                        format!("the entity &{}; is not one of XML's own", shortened(&name));
                    bad(&reader, &message)
                })?;
                add(&mut open, found.encode_utf8(&mut [0; 4]));
            }
            Event::DocType(_) => {
                return Err(bad(
                    &reader,
                    "a document type; it could bring entities and is refused",
                ));
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    match root {
        Some(Value::Object(root)) if open.is_empty() => Ok(Value::Object(root).to_string()),
        Some(_) | None => Err(bad(
            &reader,
            "it ends before its root does, or holds nothing",
        )),
    }
}

/// The XML itself: what does not begin with `<` is Base64.
fn plain(record: &str) -> Result<Cow<'_, str>, Reject> {
    let record = record.trim().trim_start_matches('\u{feff}');
    if record.starts_with('<') {
        return Ok(Cow::Borrowed(record));
    }
    let bytes = STANDARD.decode(record).map_err(|_| {
        let message = format!("neither XML nor Base64: {:?}", shortened(record));
        Reject::new(RejectCode::BadXml, message)
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let message = "what the Base64 holds is not UTF-8";
        Reject::new(RejectCode::BadEncoding, message)
    })?;
    Ok(Cow::Owned(text.trim_start_matches('\u{feff}').to_owned()))
}

fn add(open: &mut [Open], text: &str) {
    // Outside of the root stands only white space; anything else is an error of the reader's.
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn reference(name: &quick_xml::events::BytesRef<'_>) -> Option<char> {
    if let Ok(Some(found)) = name.resolve_char_ref() {
        return Some(found);
    }
    match &**name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}

fn close(open: &mut Vec<Open>, root: &mut Option<Value>) -> Result<(), Reject> {
    let Some(element) = open.pop() else {
        return Ok(());
    };
    let value = if element.children.is_empty() {
        Value::String(element.text.trim().to_owned())
    } else {
        Value::Object(element.children)
    };
    if let Some(parent) = open.last_mut() {
        put(parent, element.name, value)
    } else {
        *root = Some(value);
        Ok(())
    }
}

fn put(parent: &mut Open, name: String, value: Value) -> Result<(), Reject> {
    if !parent.children.contains_key(&name) {
        parent.children.insert(name, value);
        return Ok(());
    }
    for number in 2..=SIBLINGS_MAX {
        let numbered = format!("{name}_{number}");
        if !parent.children.contains_key(&numbered) {
            parent.children.insert(numbered, value);
            return Ok(());
        }
    }
    let message = format!("more than {SIBLINGS_MAX} siblings {:?}", shortened(&name));
    Err(Reject::new(RejectCode::BadXml, message))
}

#[cold]
fn bad(reader: &Reader<&[u8]>, message: &str) -> Reject {
    let at = reader.buffer_position();
    Reject::new(RejectCode::BadXml, format!("{message} (byte {at})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(record: &str) -> String {
        to_json(record).unwrap_or_else(|reject| reject.to_string())
    }

    #[test]
    fn elements_become_paths() {
        let xml = "<?xml version=\"1.0\"?><superviseData><taskInfo><taskNo>T1</taskNo><!-- c --><os><o><v>1</v></o><o><v>a&lt;b&#x4E2D;</v></o>\
                   <o/></os><claim><![CDATA[ <看> ]]></claim></taskInfo></superviseData>";
        let expected = r#"{"taskInfo":{"claim":"<看>","os":{"o":{"v":"1"},"o_2":{"v":"a<b中"},"o_3":""},"taskNo":"T1"}}"#;
        assert_eq!(told(xml), expected);
        assert_eq!(told(&STANDARD.encode(xml)), expected);
        assert_eq!(told(&format!("\u{feff}{xml}\n")), expected);
    }

    #[test]
    fn what_is_no_message_is_named() {
        let bomb = r#"<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><r><x>&b;</x></r>"#;
        let file = r#"<!DOCTYPE r SYSTEM "file:///etc/passwd"><r><x>1</x></r>"#;
        let deep = format!("{}{}", "<a>".repeat(30), "</a>".repeat(30));
        let many = format!("<a>{}</a>", "<b/>".repeat(100));
        for (record, said) in [
            (bomb, "bad_xml: a document type"),
            (file, "bad_xml: a document type"),
            (
                "<r><x>&xxe;</x></r>",
                "bad_xml: the entity &xxe; is not one of XML's own",
            ),
            ("<r><x>1</r>", "bad_xml: not XML"),
            ("<r><x>1</x>", "bad_xml: it ends before"),
            (
                "<r>only text</r>",
                "bad_xml: it ends before its root does, or holds nothing",
            ),
            ("<r><x/></r><r><x/></r>", "more than one root"),
            (&deep, "bad_xml: too deep"),
            (&many, "bad_xml: more than 64 siblings \"b\""),
            ("no such thing!", "bad_xml: neither XML nor Base64"),
            ("/w==", "bad_encoding: what the Base64 holds"),
            ("", "bad_xml: it ends before"),
        ] {
            assert!(
                told(record).contains(said),
                "{record:.60}: {}",
                told(record)
            );
        }
    }
}
