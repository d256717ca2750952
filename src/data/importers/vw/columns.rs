//! Which columns do the features of a namespace become?
//!
//! Features without values are a category, or a list where a row has several. Features with values are a column of
//! numbers each while their names are few, and two lists (names, values) otherwise.

use super::super::RoleHint;
use super::super::guess::{LIST_MARK, Plan};
use super::super::sparse::{Cell, Row};
use super::line::{Feature, Line};
use crate::data::schema::Role;
use std::collections::HashMap;

/// Names of one namespace that become columns of numbers.
const MAX_NUMBERS: usize = 64;
/// Namespaces that become columns.
const MAX_NAMESPACES: usize = 1024;
/// Words that stand before the first bar.
const TAKEN: [&str; 8] = ["label", "importance", "base", "tag", "action", "reward", "propensity", "actions"];

/// What the namespaces of all lines look like.
#[derive(Default)]
pub(super) struct Namespaces {
    seen: Vec<Namespace>,
    places: HashMap<String, usize>,
    left_out: u64,
    is_weighted: bool,
}

/// What one namespace looks like.
struct Namespace {
    name: String,
    /// Names of features with values, in order of appearance; one more than the limit at most.
    valued: Vec<String>,
    /// Features without values.
    plain: u64,
    /// True when some row has several features without values.
    is_list: bool,
    /// All features, and those that begin with the name of the namespace.
    features: u64,
    repeat_name: u64,
}

impl Namespaces {
    /// Looks at one more line.
    pub fn see(&mut self, line: &Line) {
        self.is_weighted |= line.is_weighted;
        for (name, features) in &line.namespaces {
            let place = match self.places.get(name) {
                Some(place) => *place,
                None if self.seen.len() >= MAX_NAMESPACES => {
                    self.left_out += 1;
                    continue;
                }
                None => {
                    self.places.insert(name.clone(), self.seen.len());
                    self.seen.push(Namespace::new(name));
                    self.seen.len() - 1
                }
            };
            if let Some(namespace) = self.seen.get_mut(place) {
                namespace.see(features);
            }
        }
    }

    /// Looks at several lines.
    pub fn see_all<'a>(&mut self, lines: impl Iterator<Item = &'a Line>) {
        lines.for_each(|line| self.see(line));
    }

    /// True when nearly all features begin with their namespace's name, as programs write it that hash features
    /// without their namespaces.
    fn repeats_names(&self) -> bool {
        let sum = |count: fn(&Namespace) -> u64| self.seen.iter().map(count).sum::<u64>();
        let (all, repeated) = (sum(|seen| seen.features), sum(|seen| seen.repeat_name));
        self.seen.len() > 1 && all > 0 && repeated * 10 >= all * 9
    }

    /// What a person should know.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = vec![format!("{} namespaces: one column for each", self.seen.len())];
        if self.repeats_names() {
            notes.push(
                "features begin with the name of their namespace: left out where all of them do".to_owned(),
            );
        }
        if self.is_weighted {
            notes.push("weights of namespaces (|name:2) are left out".to_owned());
        }
        if self.left_out > 0 {
            notes.push(format!(
                "{} namespaces beyond the first {MAX_NAMESPACES} were left out",
                self.left_out
            ));
        }
        notes
    }

    /// The columns, the first of which is column `first` of the table; `names` tells longer names of namespaces.
    pub fn places(&self, first: usize, names: &HashMap<String, String>) -> Places {
        let mut places = Places { first, strips: self.repeats_names(), ..Places::default() };
        for namespace in &self.seen {
            places.add_namespace(namespace, names.get(&namespace.name));
        }
        places
    }
}

impl Namespace {
    fn new(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, valued: Vec::new(), plain: 0, is_list: false, features: 0, repeat_name: 0 }
    }

    fn see(&mut self, features: &[Feature]) {
        let mut plain = 0;
        for feature in features {
            self.features += 1;
            self.repeat_name += u64::from(!self.name.is_empty() && feature.name.starts_with(&self.name));
            if feature.value.is_none() {
                plain += 1;
            } else if self.valued.len() <= MAX_NUMBERS && !self.valued.contains(&feature.name) {
                self.valued.push(feature.name.clone());
            }
        }
        self.plain += plain;
        self.is_list |= plain > 1;
    }
}

/// Where the features go.
#[derive(Default)]
pub(super) struct Places {
    /// The columns with their types.
    pub columns: Vec<(String, Plan)>,
    /// What is known of their roles.
    pub hints: Vec<RoleHint>,
    first: usize,
    strips: bool,
    namespaces: HashMap<String, Place>,
}

/// Where the features of one namespace go.
#[derive(Default)]
struct Place {
    /// The column of features without values, or of all where there are too many with values.
    names: Option<usize>,
    /// The list of values beside the list of names.
    values: Option<usize>,
    /// The columns of numbers.
    numbers: HashMap<String, usize>,
    /// True when features lose the name of the namespace that they begin with.
    strips: bool,
}

impl Place {
    fn stripped<'a>(&self, namespace: &str, feature: &'a str) -> &'a str {
        let short = feature.strip_prefix(namespace).filter(|_| self.strips);
        short.unwrap_or(feature)
    }
}

impl Places {
    fn add_namespace(&mut self, namespace: &Namespace, longer: Option<&String>) {
        let name = match longer.unwrap_or(&namespace.name).as_str() {
            "" => "features".to_owned(),
            name if TAKEN.contains(&name) => format!("namespace_{name}"),
            name => name.to_owned(),
        };
        let strips = self.strips && namespace.repeat_name == namespace.features;
        let mut place = Place { strips, ..Place::default() };
        let list = Plan::List(LIST_MARK);
        if namespace.valued.len() > MAX_NUMBERS {
            place.names = Some(self.add_column(name.clone(), list, Role::Sequence, "features"));
            place.values = Some(self.add_column(format!("{name}.values"), list, Role::Sequence, "values"));
        } else {
            if namespace.plain > 0 || namespace.valued.is_empty() {
                let (plan, role) = match namespace.is_list {
                    true => (list, Role::Sequence),
                    false => (Plan::Text, Role::Categorical),
                };
                place.names = Some(self.add_column(name.clone(), plan, role, "features of a namespace"));
            }
            for feature in &namespace.valued {
                let own = place.stripped(&namespace.name, feature);
                let number = match (namespace.name.is_empty(), own) {
                    (_, "") => name.clone(),
                    (true, own) if TAKEN.contains(&own) => format!("{name}.{own}"),
                    (true, own) => own.to_owned(),
                    (false, own) => format!("{name}.{own}"),
                };
                let column = self.add_column(number, Plan::Real, Role::Numeric, "a feature with values");
                place.numbers.insert(feature.clone(), column);
            }
        }
        self.namespaces.insert(namespace.name.clone(), place);
    }

    fn add_column(&mut self, name: String, plan: Plan, role: Role, evidence: &str) -> usize {
        let taken = |name: &str| self.columns.iter().any(|(known, _)| known == name);
        let mut unique = name.clone();
        let mut number = 2;
        while taken(&unique) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        let evidence = evidence.to_owned();
        self.hints.push(RoleHint { column: unique.clone(), role, evidence, is_final: true });
        self.columns.push((unique, plan));
        self.first + self.columns.len() - 1
    }

    /// The same places with another beginning of all names.
    pub fn prefixed(mut self, start: &str) -> Self {
        self.columns.iter_mut().for_each(|(name, _)| name.insert_str(0, start));
        self.hints.iter_mut().for_each(|hint| hint.column.insert_str(0, start));
        self
    }

    /// Adds the cells of a line to a row.
    pub fn add(&self, line: Line, row: &mut Row<usize>) {
        for (name, features) in line.namespaces {
            let Some(place) = self.namespaces.get(&name) else {
                continue;
            };
            let mut names = Vec::new();
            let mut values = Vec::new();
            for feature in &features {
                if let (Some(value), Some(column)) = (feature.value, place.numbers.get(&feature.name)) {
                    row.push((*column, Cell::plain(value.to_string())));
                    continue;
                }
                // A feature that is nothing but the name of its namespace stands for a missing one.
                let text = place.stripped(&name, &feature.name);
                if !text.is_empty() {
                    names.push(text);
                    values.push(feature.value.unwrap_or(1.0).to_string());
                }
            }
            if let Some(column) = place.names.filter(|_| !names.is_empty()) {
                let is_list = matches!(self.columns.get(column - self.first), Some((_, Plan::List(_))));
                let cell = if is_list { Cell::list(&names) } else { Cell::string(names.concat()) };
                row.push((column, cell));
            }
            if let Some(column) = place.values.filter(|_| !values.is_empty()) {
                row.push((column, Cell::list(&values)));
            }
        }
    }
}
