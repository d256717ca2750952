//! JSON documents: an array of objects, objects of several lines one after the other, or an object of which one
//! member is the array (`{"data": [{…}, {…}]}`, as reporting interfaces answer), or an array of such pages.

use super::container::Input;
use super::json_lines::{first_line, first_object, flatten, object};
use super::json_values::{Place, each_value, first_value, largest_array, page_rows};
use super::sparse::{Row, Rows, read_rows};
use super::{Importer, Match, RawLog};
use crate::base::Result;
use crate::data::layout::Layout;
use crate::jobs::JobContext;

/// The importer of JSON documents.
pub struct Json;

impl Importer for Json {
    fn id(&self) -> &'static str {
        "json"
    }

    fn summary(&self) -> &'static str {
        "JSON documents: an array of objects, on its own or as a member of an object"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        let (place, evidence) = place(input)?;
        // A document on one line is an object on the first line too.
        let confidence = if matches!(place, Place::Under(_) | Place::Pages(_)) { 92 } else { 85 };
        Some(Match { confidence, evidence })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        let (place, evidence) = place(input).ok_or_else(|| super::not_understood(input))?;
        let parse = |text: &str| {
            Ok(object(text)?.map(|object| {
                let mut row = Row::with_capacity(object.len());
                flatten("", object, &mut row);
                row
            }))
        };
        let each = |visit: &mut dyn FnMut(Row)| {
            each_value(input, context, &place, parse, |row: Option<Row>| {
                row.into_iter().for_each(&mut *visit)
            })
        };
        let Rows { frame, bad, mut notes, layout } = read_rows(input, context, each)?;
        notes.push(format!("rows are objects: {evidence}"));
        let part = match place {
            Place::Under(key) | Place::Pages(key) => key,
            _ => String::new(),
        };
        let layout = Layout { part, ..layout };
        let format = format!("json{}", input.describe());
        Ok(RawLog { frame, format, bad, notes, hints: Vec::new(), layout })
    }
}

/// Where the rows stand, and why there; `None` when the text is no document, or an object a line.
fn place(input: &Input) -> Option<(Place, String)> {
    let head = input.head.trim_ascii_start();
    let in_array = || Some((Place::Top, "the text is an array of objects".to_owned()));
    if head.starts_with(b"[") {
        if let Some(key) = page_rows(head) {
            let evidence = format!("'{key}' is an array of objects on each page of the answer");
            return Some((Place::Pages(key), evidence));
        }
        return first_value(head).and_then(|_| in_array());
    }
    if !head.starts_with(b"{") {
        return None;
    }
    let is_line = first_object(input).is_some();
    let is_only_line = || first_line(input).is_some_and(|(_, is_last)| is_last);
    let members = largest_array(head);
    match members {
        Some((key, count)) if !is_line || (count > 1 && is_only_line()) => {
            let evidence = format!("'{key}' is an array of objects");
            // Objects that each hold an array are rows themselves.
            let is_one = first_value(head).is_none() || is_alone(head);
            is_one.then_some((Place::Under(key), evidence)).or_else(objects)
        }
        _ if is_line => None,
        _ => first_value(head).and_then(|_| objects()),
    }
}

fn objects() -> Option<(Place, String)> {
    Some((Place::Top, "objects stand one after the other".to_owned()))
}

/// True when nothing follows the first object of a text.
fn is_alone(head: &[u8]) -> bool {
    let mut values = serde_json::Deserializer::from_slice(head).into_iter::<serde::de::IgnoredAny>();
    values.next().is_some_and(|first| first.is_ok()) && values.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, opened, refused_by};
    use super::*;
    use crate::data::schema::{ColumnType, Role};

    #[test]
    fn arrays_documents_and_objects_of_several_lines() {
        for text in [
            "[\n {\"click\": 1, \"ad\": \"a\"},\n {\"click\": 0, \"ad\": \"b\"}\n]\n",
            "{\n \"data\": [\n  {\"click\": 1, \"ad\": \"a\"},\n  {\"click\": 0, \"ad\": \"b\"}],\n \"next\": {}}\n",
            "{\"data\":[{\"click\":1,\"ad\":\"a\"},{\"click\":0,\"ad\":\"b\"}]}",
            "{\n \"click\": 1,\n \"ad\": \"a\"\n}\n{\n \"click\": 0,\n \"ad\": \"b\"\n}\n",
        ] {
            let log = opened(text);
            assert!(
                log.source.format.starts_with("json") && !log.source.format.starts_with("jsonl"),
                "{text}"
            );
            assert_eq!(cells(&log, "click"), ["1", "0"], "{text}");
            assert_eq!(cells(&log, "ad"), ["a", "b"], "{text}");
        }
    }

    #[test]
    fn numbers_of_an_interface_are_written_as_texts() {
        // As Google Ads and Meta answer: 64 bits as texts, money in millionths, pages of rows.
        let row = |n: u32| {
            format!(
                "{{\"campaign\": {{\"id\": \"00{n}\", \"name\": \"C{n}\"}}, \"metrics\": {{\"clicks\": \"{n}\", \
                 \"impressions\": \"{n}00\", \"ctr\": \"0.0{n}\", \"costMicros\": \"{n}250000\"}}, \"zip\": \"9{n}210\"}}"
            )
        };
        let page =
            |from: u32| format!("{{\"results\": [{}, {}], \"fieldMask\": \"x\"}}", row(from), row(from + 1));
        let log = opened(&format!("[{},\n{}]\n", page(1), page(3)));
        assert_eq!(cells(&log, "metrics.impressions"), ["100", "200", "300", "400"]);
        assert_eq!(cells(&log, "metrics.ctr"), ["0.01", "0.02", "0.03", "0.04"]);
        assert_eq!(cells(&log, "metrics.costMicros"), ["1.25", "2.25", "3.25", "4.25"]);
        // Digits that count nothing stay what the file says that they are.
        let kind = |name: &str| log.schema.column(name).unwrap().kind;
        assert_eq!((kind("campaign.id"), kind("zip")), (ColumnType::Text, ColumnType::Text));
        let role = |role: Role| log.schema.with_role(role).map(|column| column.name.as_str());
        assert_eq!(role(Role::Weight), Some("metrics.impressions"));
        assert_eq!(role(Role::Clicks), Some("metrics.clicks"));
        assert_eq!(role(Role::Price), Some("metrics.costMicros"));
        // One that is no number is kept, and so are the others.
        let log = opened("[{\"clicks\": \"1\"},\n{\"clicks\": \"many\"},\n{\"clicks\": \"3\"}]\n");
        assert_eq!(cells(&log, "clicks"), ["1", "many", "3"]);
    }

    #[test]
    fn a_bad_object_is_counted_with_its_line() {
        let log = opened("[\n {\"click\": 1},\n {\"click\": ]},\n {\"click\": 0}\n]\n");
        assert_eq!(log.rows(), 2);
        assert_eq!((log.source.bad_rows, log.source.bad_samples[0].line), (1, 3));
    }

    #[test]
    fn lines_longer_than_the_head() {
        let long = "x".repeat(300_000);
        let line = format!("{{\"imp\":[{{\"id\":1}},{{\"id\":2}}],\"page\":\"{long}\",\"click\":1}}\n");
        let log = opened(&line.repeat(3));
        assert!(log.source.format.starts_with("jsonl"), "{}", log.source.format);
        assert_eq!(cells(&log, "click"), ["1", "1", "1"]);
        let log = opened(&format!("{{\"data\":[{{\"click\":1}},{{\"click\":0}}],\"page\":\"{long}\"}}"));
        assert_eq!(cells(&log, "click"), ["1", "0"]);
    }

    #[test]
    fn objects_a_line_are_something_else() {
        assert!(refused_by(&Json, "{\"a\":[{\"b\":1},{\"b\":2}]}\n{\"a\":[{\"b\":3}]}\n"));
        assert!(refused_by(&Json, "[1, 2, 3]\n"));
        assert!(refused_by(&Json, "a,b\n1,2\n"));
    }
}
