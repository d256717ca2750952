//! Decision service lines (DSJSON): what a contextual bandit chose, with which probability, and what it cost.
//!
//! A line holds a whole decision, so it becomes one row: the context, the features of the action that was taken,
//! reward and propensity. The features of the other actions are left out.

use super::container::Input;
use super::json_lines::{first_object, flatten, object};
use super::known::is_binary;
use super::lines::each_line;
use super::sparse::{Cell, Row, Rows, read_rows};
use super::{Importer, Match, RawLog, RoleHint};
use crate::base::Result;
use crate::data::schema::Role;
use crate::jobs::JobContext;
use polars::prelude::DataFrame;
use serde_json::{Map, Value};

/// The importer of DSJSON.
pub struct DsJson;

impl Importer for DsJson {
    fn id(&self) -> &'static str {
        "dsjson"
    }

    fn summary(&self) -> &'static str {
        "decision service lines (DSJSON): one row a decision, with the chosen action, reward and propensity"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        let object = first_object(input)?;
        let keys = ["_label_cost", "_label_Action", "_label_probability"];
        let is_decision = keys.iter().all(|key| object.contains_key(*key)) && object.contains_key("c");
        let evidence =
            "JSON lines with _label_cost, _label_Action, _label_probability and a context".to_owned();
        is_decision.then_some(Match { confidence: 97, evidence })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        let parse = |line: &str| object(line)?.map(decision).transpose();
        let each = |visit: &mut dyn FnMut(Row)| {
            each_line(input, context, parse, |row: Option<Row>| row.into_iter().for_each(&mut *visit))
        };
        let Rows { frame, bad, mut notes, layout } = read_rows(input, context, each)?;
        notes.push("one row a decision; features of actions that were not taken are left out".to_owned());
        notes.push("reward = -_label_cost, propensity = _label_probability".to_owned());
        let hints = hints(&frame);
        let format = format!("dsjson{}", input.describe());
        Ok(RawLog { frame, format, bad, notes, hints, layout })
    }
}

/// The row of a decision.
///
/// # Errors
/// Why it is none, in the words of a bad row.
fn decision(mut object: Map<String, Value>) -> std::result::Result<Row, String> {
    let number = |key: &str| {
        let value = object.get(key).and_then(Value::as_f64);
        value.ok_or_else(|| format!("has no number in '{key}', so no decision with an outcome"))
    };
    let cost = number("_label_cost")?;
    let propensity = number("_label_probability")?;
    let action = number("_label_Action")?;
    let plain = |name: &str, number: f64| (name.to_owned(), Cell::plain(number.to_string()));
    let mut row = Row::new();
    for (key, name) in [("Timestamp", "timestamp"), ("EventId", "event_id")] {
        if let Some(Value::String(text)) = object.remove(key) {
            row.push((name.to_owned(), Cell::string(text)));
        }
    }
    row.push(plain("action", action));
    // A cost of -0 is a reward of 0.
    row.push(plain("reward", 0.0 - cost));
    row.push(plain("propensity", propensity));
    let Some(Value::Object(mut context)) = object.remove("c") else {
        return Err("has no context 'c'".to_owned());
    };
    let multi = context.remove("_multi");
    let place = object.get("_labelIndex").and_then(Value::as_u64).map(|place| place as usize);
    if let Some(Value::Array(mut actions)) = multi {
        row.push(plain("actions", actions.len() as f64));
        let place = place.unwrap_or((action as usize).wrapping_sub(1));
        if place >= actions.len() {
            return Err(format!("chose action {action} of {}", actions.len()));
        }
        flatten_merged("action", actions.swap_remove(place), &mut row);
    } else if let Some(Value::Array(actions)) = object.get("a") {
        row.push(plain("actions", actions.len() as f64));
    }
    flatten_merged("c", Value::Object(context), &mut row);
    Ok(row)
}

/// As [`flatten`], where an array of objects counts as one object with all their members.
fn flatten_merged(prefix: &str, value: Value, row: &mut Row) {
    let mut merged = Map::new();
    merge(value, &mut merged);
    flatten(prefix, merged, row);
}

fn merge(value: Value, into: &mut Map<String, Value>) {
    let Value::Object(object) = value else {
        return;
    };
    for (key, value) in object {
        match value {
            Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => {
                let inner = into.entry(key).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(inner) = inner {
                    items.into_iter().for_each(|item| merge(item, inner));
                }
            }
            Value::Object(_) => {
                let inner = into.entry(key).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(inner) = inner {
                    merge(value, inner);
                }
            }
            other => {
                into.insert(key, other);
            }
        }
    }
}

fn hints(frame: &DataFrame) -> Vec<RoleHint> {
    let reward = match is_binary(frame, "reward") {
        true => (Role::Label, "0 or 1: the cost with the other sign"),
        false => (Role::Conversion, "the cost with the other sign: measured, never a feature"),
    };
    // A tag names an action better than its place in a list that changes.
    let has_tags = frame.column("action._tag").is_ok();
    let action = if has_tags { Role::Categorical } else { Role::Ad };
    let known = [
        ("event_id", Role::Ignored, "the id of the decision"),
        ("action", action, "the number of the action that was taken"),
        ("action._tag", Role::Ad, "the action that was taken"),
        ("reward", reward.0, reward.1),
        ("propensity", Role::Ignored, "the logging policy's probability, no feature"),
        ("actions", Role::Numeric, "actions to choose from"),
    ];
    let present = known.iter().filter(|(name, ..)| frame.column(name).is_ok());
    let mut hints: Vec<RoleHint> =
        present.map(|(name, role, why)| RoleHint::of_format(name, *role, why)).collect();
    let names = frame.get_column_names();
    let notes = names.iter().filter(|name| **name != "action._tag").filter(|name| {
        let member = name.rsplit('.').next().unwrap_or_default();
        member.starts_with('_')
    });
    hints.extend(notes.map(|name| RoleHint {
        column: name.to_string(),
        role: Role::Ignored,
        evidence: "a member that begins with _ is no feature in this format".to_owned(),
        is_final: true,
    }));
    hints
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, opened};
    use super::*;

    fn line(cost: &str, action: usize) -> String {
        format!(
            "{{\"_label_cost\":{cost},\"_label_probability\":0.25,\"_label_Action\":{action},\"_labelIndex\":{},\
             \"Timestamp\":\"2021-02-04T16:31:29.2460000Z\",\"Version\":\"1\",\"EventId\":\"e{action}\",\
             \"a\":[2,1],\"c\":{{\"User\":[{{\"os\":\"ios\"}},{{\"age\":30}}],\"_multi\":[\
             {{\"_tag\":\"tea\",\"_expires\":\"2021-03-01\",\"j\":[{{\"kind\":\"hot\"}}]}},{{\"_tag\":\"ice\",\"j\":[{{\"kind\":\"cold\"}},\
             {{\"price\":2.5}}]}}]}},\"p\":[0.25,0.75]}}",
            action - 1
        )
    }

    #[test]
    fn a_decision_is_a_row_with_the_features_of_its_action() {
        let text = format!(
            "{}\n{}\n{}\n{}\n",
            line("-1.0", 2),
            line("-0.0", 1),
            "{\"RewardValue\":1.0,\"EventId\":\"x\"}",
            line("0", 7)
        );
        let log = opened(&text);
        assert!(log.source.format.starts_with("dsjson"), "{}", log.source.format);
        assert_eq!(cells(&log, "reward"), ["1", "0"]);
        assert_eq!(cells(&log, "action._tag"), ["ice", "tea"]);
        assert_eq!(cells(&log, "action.j.kind"), ["cold", "hot"]);
        assert_eq!(cells(&log, "action.j.price"), ["2.5", "-"]);
        assert_eq!(cells(&log, "c.User.age"), ["30", "30"]);
        assert_eq!(cells(&log, "actions"), ["2", "2"]);
        // `date -u -d '2021-02-04T16:31:29.246' +%s%3N`
        assert_eq!(cells(&log, "timestamp")[0], "1612456289246");
        let role = |name: &str| log.schema.column(name).unwrap().role;
        assert_eq!((role("reward"), role("action._tag")), (Role::Label, Role::Ad));
        assert_eq!((role("propensity"), role("action._expires")), (Role::Ignored, Role::Ignored));
        let lines: Vec<_> = log.source.bad_samples.iter().map(|row| row.line).collect();
        assert_eq!(lines, [3, 4]);
    }

    #[test]
    fn rewards_that_are_no_clicks_are_no_label() {
        let log = opened(&format!("{}\n{}\n", line("-2.5", 2), line("0.5", 1)));
        assert_eq!(cells(&log, "reward"), ["2.5", "-0.5"]);
        assert_eq!(log.schema.column("reward").unwrap().role, Role::Conversion);
    }
}
