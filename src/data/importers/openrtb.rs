//! OpenRTB bid requests, as JSON lines or documents: one row for each slot that is offered (`imp`).
//!
//! Versions differ in where things stand (1.0 has `w`, `h` and `impid` beside the slot, later ones below `banner` or
//! `video`), so what every auction needs gets columns of its own; all other fields follow under their paths.

use super::container::Input;
use super::json_lines::{cell, flatten, object};
use super::json_values::{Place, each_value, first_value};
use super::records::BadRows;
use super::sparse::{Cell, Row, Rows, read_rows};
use super::{Importer, Match, RawLog, RoleHint};
use crate::base::Result;
use crate::data::schema::Role;
use crate::jobs::JobContext;
use serde_json::{Map, Value};
use std::cell::Cell as Counter;

/// The importer of bid requests.
pub struct OpenRtb;

type Object = Map<String, Value>;

/// What may be shown in a slot.
const KINDS: [&str; 4] = ["banner", "video", "native", "audio"];

/// Roles of the columns that every request has.
const ROLES: [(&str, Role, &str); 13] = [
    ("request_id", Role::Ignored, "the id of the request"),
    ("slot", Role::Slot, "the tag of the slot, or its number in the request"),
    ("kind", Role::Categorical, "what may be shown"),
    ("w", Role::Categorical, "a standard width, in pixels"),
    ("h", Role::Categorical, "a standard height, in pixels"),
    ("pos", Role::Categorical, "the place on the page, a code"),
    ("bidfloor", Role::Numeric, "the floor per 1,000 impressions, known before the bid"),
    ("bidfloorcur", Role::Categorical, "the currency of the floor"),
    ("media", Role::Categorical, "site or app"),
    ("domain", Role::Categorical, "where the slot is"),
    ("categories", Role::Sequence, "what the site or app is about"),
    ("user", Role::User, "who sees it"),
    ("country", Role::Categorical, "where the user is"),
];

impl Importer for OpenRtb {
    fn id(&self) -> &'static str {
        "openrtb"
    }

    fn summary(&self) -> &'static str {
        "OpenRTB bid requests, JSON lines or documents: one row for each slot offered"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        let first = first_value(&input.head)?;
        let has_place =
            ["site", "app", "device", "user", "at", "tmax"].iter().any(|key| first.contains_key(*key));
        let evidence = "a JSON object with an id and slots ('imp')".to_owned();
        (first.contains_key("id") && has_place && slots(&first).is_some())
            .then_some(Match { confidence: 97, evidence })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        let parse = |text: &str| object(text)?.map(request).transpose();
        let requests = Counter::new(0_u64);
        let each = |visit: &mut dyn FnMut(Row)| -> Result<BadRows> {
            requests.set(0);
            each_value(input, context, &Place::Top, parse, |rows: Option<Vec<Row>>| {
                requests.set(requests.get() + 1);
                rows.into_iter().flatten().for_each(&mut *visit);
            })
        };
        let Rows { frame, bad, mut notes, layout } = read_rows(input, context, each)?;
        notes.push(format!("{} slots from {} requests: one row each", frame.height(), requests.get()));
        let present = ROLES.iter().filter(|(name, ..)| frame.column(name).is_ok());
        let hints = present.map(|(name, role, why)| RoleHint::of_format(name, *role, why)).collect();
        let format = format!("openrtb{}", input.describe());
        Ok(RawLog { frame, format, bad, notes, hints, layout })
    }
}

fn slots(request: &Object) -> Option<&Vec<Value>> {
    let slots = request.get("imp")?.as_array()?;
    (!slots.is_empty() && slots.iter().all(Value::is_object)).then_some(slots)
}

/// The rows of a request.
///
/// # Errors
/// Why it is none, in the words of a bad row.
fn request(mut request: Object) -> std::result::Result<Vec<Row>, String> {
    if slots(&request).is_none() {
        return Err("has no slots ('imp')".to_owned());
    }
    let Some(Value::Array(slots)) = request.remove("imp") else {
        return Err("has no slots ('imp')".to_owned());
    };
    let slots = slots.into_iter().filter_map(|slot| match slot {
        Value::Object(slot) => Some(slot),
        _ => None,
    });
    Ok(slots.map(|slot| row(slot, request.clone())).collect())
}

/// Takes the first value that is there out of the places where versions put it.
fn take(object: &mut Object, paths: &[&[&str]]) -> Option<Value> {
    paths.iter().find_map(|path| {
        let (last, folders) = path.split_last()?;
        let mut inner = &mut *object;
        for folder in folders {
            inner = inner.get_mut(*folder)?.as_object_mut()?;
        }
        inner.remove(*last)
    })
}

fn row(mut slot: Object, mut request: Object) -> Row {
    let mut row = Row::new();
    let mut add = |name: &str, value: Option<Value>| {
        row.extend(value.map(|value| (name.to_owned(), cell(value))));
    };
    let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| slot.contains_key(*kind)).collect();
    let media = ["site", "app"].into_iter().find(|media| request.contains_key(*media)).unwrap_or_default();
    add("request_id", request.remove("id"));
    let number = take(&mut slot, &[&["id"], &["impid"]]);
    add("slot", slot.remove("tagid").or_else(|| number.clone()));
    add("kind", (!kinds.is_empty()).then(|| Value::String(kinds.join("+"))));
    let sizes = |side: &'static str| -> [[&'static str; 2]; 3] {
        [["banner", side], ["video", side], ["native", side]]
    };
    for side in ["w", "h"] {
        let below = sizes(side);
        let size = take(&mut slot, &[&below[0], &below[1], &below[2], &[side]]);
        add(side, size.or_else(|| first_format(&slot, side)));
    }
    add("pos", take(&mut slot, &[&["banner", "pos"], &["video", "pos"], &["pos"]]));
    add("bidfloor", slot.remove("bidfloor"));
    add("bidfloorcur", slot.remove("bidfloorcur"));
    add("media", (!media.is_empty()).then(|| Value::String(media.to_owned())));
    add("domain", take(&mut request, &[&[media, "domain"], &[media, "bundle"]]));
    add("categories", take(&mut request, &[&[media, "cat"]]));
    let user: [&[&str]; 4] = [&["user", "id"], &["user", "uid"], &["user", "buyeruid"], &["device", "ifa"]];
    add("user", take(&mut request, &user));
    let country: [&[&str]; 3] =
        [&["device", "geo", "country"], &["user", "geo", "country"], &["device", "country"]];
    add("country", take(&mut request, &country));
    let segments = segments(&request);
    if !segments.is_empty() {
        row.push(("segments".to_owned(), Cell::list(segments)));
    }
    // Not `imp`: that is a count of impressions in other logs.
    flatten("slot", slot, &mut row);
    flatten("", request, &mut row);
    row
}

/// A side of the first size in `banner.format`, as 2.4 and later have it.
fn first_format(slot: &Object, side: &str) -> Option<Value> {
    slot.get("banner")?.get("format")?.get(0)?.get(side).cloned()
}

/// The ids of the user's segments from all data providers.
fn segments(request: &Object) -> Vec<String> {
    let providers = request.get("user").and_then(|user| user.get("data")).and_then(Value::as_array);
    let lists = providers.into_iter().flatten().filter_map(|data| data.get("segment")?.as_array());
    let ids = lists.flatten().filter_map(|segment| segment.get("id").or_else(|| segment.get("name")));
    ids.map(|id| cell(id.clone()).into_text()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, opened, refused_by};
    use super::*;

    const BANNER: &str = "{\"id\": \"r1\", \"at\": 2, \"imp\": [\n {\"id\": \"1\", \"bidfloor\": 0.5, \"banner\": \
        {\"w\": 300, \"h\": 250, \"pos\": 1}},\n {\"id\": \"2\", \"tagid\": \"top\", \"video\": {\"w\": 640, \"h\": \
        480}}],\n \"site\": {\"domain\": \"a.example\", \"cat\": [\"IAB2-1\", \"IAB2\"], \"page\": \"p\"},\n \
        \"device\": {\"os\": \"iOS\", \"geo\": {\"country\": \"USA\"}},\n \"user\": {\"id\": \"0123\", \"data\": \
        [{\"segment\": [{\"id\": \"7\"}, {\"id\": \"8\"}]}]}}";
    const FIRST_VERSION: &str = "{\"id\":\"r2\",\"app\":{\"aid\":\"x\",\"cat\":[\"IAB24\"]},\"imp\":[{\"w\":320,\
        \"h\":50,\"impid\":\"i\"}],\"device\":{\"country\":\"US\"},\"user\":{\"uid\":\"u\"}}";

    #[test]
    fn a_slot_is_a_row_in_every_version() {
        let log = opened(&format!("{BANNER}\n{FIRST_VERSION}\n{{\"id\": 3, \"imp\": []}}\n"));
        assert!(log.source.format.starts_with("openrtb"), "{}", log.source.format);
        assert_eq!(cells(&log, "slot"), ["1", "top", "i"]);
        assert_eq!(cells(&log, "w"), ["300", "640", "320"]);
        assert_eq!(cells(&log, "bidfloor"), ["0.5", "-", "-"]);
        assert_eq!(cells(&log, "kind"), ["banner", "video", "-"]);
        assert_eq!(cells(&log, "media"), ["site", "site", "app"]);
        assert_eq!(cells(&log, "categories"), ["IAB2-1 IAB2", "IAB2-1 IAB2", "IAB24"]);
        assert_eq!(cells(&log, "country"), ["USA", "USA", "US"]);
        assert_eq!(cells(&log, "user"), ["0123", "0123", "u"]);
        assert_eq!(cells(&log, "segments"), ["7 8", "7 8", "-"]);
        assert_eq!(cells(&log, "device.os"), ["iOS", "iOS", "-"]);
        assert_eq!((log.source.bad_rows, log.source.bad_samples[0].line), (1, 8));
        let role = |name: &str| log.schema.column(name).unwrap().role;
        assert_eq!((role("slot"), role("user"), role("w")), (Role::Slot, Role::User, Role::Categorical));
        assert!(log.source.notes.iter().any(|note| note == "3 slots from 2 requests: one row each"));
    }

    #[test]
    fn requests_in_an_array() {
        let log = opened(&format!("[{BANNER},\n{FIRST_VERSION}]"));
        assert_eq!(log.rows(), 3);
    }

    #[test]
    fn other_objects_are_something_else() {
        assert!(refused_by(&OpenRtb, "{\"id\":1,\"imp\":3,\"click\":0}\n"));
        assert!(refused_by(&OpenRtb, "{\"imp\":[{\"w\":1}]}\n"));
    }
}
