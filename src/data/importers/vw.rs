//! Vowpal Wabbit text: `label [importance] ['tag] |namespace feature[:value] … |namespace …`.
//!
//! A namespace becomes a column (see `vw/columns.rs`); what stands before the first bar becomes columns of its own.
//! Labels of contextual bandits (`action:cost:probability`) are read as action, cost, reward and propensity; where
//! a decision takes several lines (`shared |…`, one line for each action, an empty line), it becomes one row with
//! the features of the action that was taken.

mod columns;
mod line;

use super::container::Input;
use super::guess::{Guess, Plan};
use super::lines::{each_line, head_lines, nearly_all};
use super::records::BadRows;
use super::sparse::{Cell, Row, build_rows};
use super::{Importer, Match, RawLog, RoleHint};
use crate::base::Result;
use crate::data::schema::Role;
use crate::jobs::JobContext;
use columns::{Namespaces, Places};
use line::{Label, Line};
use std::collections::HashMap;
use std::path::Path;

/// The importer of Vowpal Wabbit text.
pub struct VowpalWabbit;

impl Importer for VowpalWabbit {
    fn id(&self) -> &'static str {
        "vw"
    }

    fn summary(&self) -> &'static str {
        "Vowpal Wabbit text: label |namespace feature:value …, also action:cost:probability"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        let lines = head_lines(input);
        let evidence = "a label, then namespaces after bars on the first lines".to_owned();
        nearly_all(&lines, |line| line::is_surely_vw(line)).then_some(Match { confidence: 93, evidence })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        context.stage("looking at the columns");
        let mut facts = Facts::default();
        let bad = each_example(input, context, &mut |example| facts.see(&example))?;
        let heads = facts.heads();
        let mut columns = facts.head_columns();
        let names = names_beside(&input.path);
        let context_places = facts.context.places(columns.len(), &names);
        columns.extend(context_places.columns.iter().cloned());
        let action_places = facts.action.places(columns.len(), &names).prefixed("action.");
        columns.extend(action_places.columns.iter().cloned());
        let mut hints = facts.hints();
        hints.extend(context_places.hints.iter().chain(&action_places.hints).cloned());
        let mut notes = facts.context.notes();
        notes.extend(facts.notes());
        if !names.is_empty() {
            notes.push(format!("names of namespaces come from {NAMESPACE_MAP} beside the file"));
        }
        let each = |visit: &mut dyn FnMut(Row<usize>)| -> Result<BadRows> {
            each_example(input, context, &mut |example| {
                visit(example.into_row(&heads, &context_places, &action_places))
            })
        };
        let rows = facts.rows as usize;
        let (frame, layout) =
            build_rows(input, context, each, &columns, rows, |place, _| Some(*place), &mut notes)?;
        let format = format!("vw{}", input.describe());
        Ok(RawLog { frame, format, bad, notes, hints, layout })
    }
}

/// The file beside the examples in which fwumious_wabbit keeps the names of namespaces: `A,advertiser`.
const NAMESPACE_MAP: &str = "vw_namespace_map.csv";

/// The names of namespaces, where a map lies beside the file; without one they keep their letters.
fn names_beside(path: &Path) -> HashMap<String, String> {
    let map = std::fs::read_to_string(path.with_file_name(NAMESPACE_MAP)).unwrap_or_default();
    let lines = map.lines().filter_map(|line| {
        let mut cells = line.trim().split(',');
        let (namespace, name) = (cells.next()?, cells.next()?);
        (!name.is_empty()).then(|| (namespace.to_owned(), name.to_owned()))
    });
    lines.collect()
}

/// A row to be: one line, or all lines of a decision.
#[derive(Default)]
struct Example {
    line: Line,
    /// The chosen action's own features, where a decision takes several lines.
    chosen: Option<Line>,
    /// Actions to choose from, where a decision takes several lines.
    actions: usize,
}

impl Example {
    fn into_row(self, heads: &[Head], context: &Places, action: &Places) -> Row<usize> {
        let mut row = Row::new();
        for (place, head) in heads.iter().enumerate() {
            row.extend(head.cell(&self).map(|text| (place, Cell::plain(text))));
        }
        context.add(self.line, &mut row);
        if let Some(chosen) = self.chosen {
            action.add(chosen, &mut row);
        }
        row
    }
}

/// Goes through the examples of a file; the lines of a decision are put together.
fn each_example(input: &Input, context: &JobContext, visit: &mut dyn FnMut(Example)) -> Result<BadRows> {
    let mut decision: Option<Example> = None;
    let bad = each_line(input, context, line::parse, |line| match line {
        None => decision.take().into_iter().for_each(&mut *visit),
        Some(line) if matches!(line.label, Label::Shared) => {
            decision.take().into_iter().for_each(&mut *visit);
            decision = Some(Example { line, ..Example::default() });
        }
        Some(line) => match &mut decision {
            Some(decision) => decision.add_action(line),
            None => visit(Example { line, ..Example::default() }),
        },
    })?;
    decision.into_iter().for_each(visit);
    Ok(bad)
}

impl Example {
    fn add_action(&mut self, mut line: Line) {
        self.actions += 1;
        if let Label::Bandit { cost, propensity, .. } = &line.label {
            // The number in the label of such a line says nothing: the place of the line is the action.
            let label =
                Label::Bandit { action: self.actions.to_string(), cost: *cost, propensity: *propensity };
            line.label = Label::None;
            self.line.label = label;
            self.chosen = Some(line);
        }
    }
}

/// A column that stands before the first bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    Label,
    Importance,
    Base,
    Tag,
    Action,
    Reward,
    Propensity,
    Actions,
}

impl Head {
    const ALL: [Self; 8] = [
        Self::Label,
        Self::Importance,
        Self::Base,
        Self::Tag,
        Self::Action,
        Self::Reward,
        Self::Propensity,
        Self::Actions,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Importance => "importance",
            Self::Base => "base",
            Self::Tag => "tag",
            Self::Action => "action",
            Self::Reward => "reward",
            Self::Propensity => "propensity",
            Self::Actions => "actions",
        }
    }

    /// The text of the cell; `None` where the example lacks it.
    fn cell(self, example: &Example) -> Option<String> {
        let line = &example.line;
        match (self, &line.label) {
            (Self::Importance, _) => line.importance.clone(),
            (Self::Base, _) => line.base.clone(),
            (Self::Tag, _) => line.tag.clone(),
            (Self::Actions, _) => (example.actions > 0).then(|| example.actions.to_string()),
            (Self::Label, Label::Simple(label)) => Some(label.clone()),
            (Self::Action, Label::Bandit { action, .. }) => Some(action.clone()),
            // Adding zero turns -0 into 0.
            (Self::Reward, Label::Bandit { cost, .. }) => cost.map(|cost| (0.0 - cost).to_string()),
            (Self::Propensity, Label::Bandit { propensity, .. }) => {
                propensity.map(|propensity| propensity.to_string())
            }
            _ => None,
        }
    }

    fn hint(self, is_binary: bool) -> Option<(Role, &'static str)> {
        Some(match self {
            Self::Label => return None,
            Self::Importance => (Role::Ignored, "how much the row counts in training; may follow the label"),
            Self::Base => (Role::Ignored, "an earlier model's prediction"),
            Self::Tag => (Role::Ignored, "the name of the row"),
            Self::Action => (Role::Ad, "the action that was taken"),
            Self::Reward if is_binary => (Role::Label, "0 or 1: less of the cost"),
            Self::Reward => (Role::Conversion, "a reward: measured, never a feature"),
            Self::Propensity => (Role::Ignored, "the logging policy's probability, no feature"),
            Self::Actions => (Role::Numeric, "actions to choose from"),
        })
    }
}

/// What all examples together look like.
#[derive(Default)]
struct Facts {
    rows: u64,
    /// One for each of [`Head::ALL`].
    heads: Vec<(u64, Guess)>,
    has_other_rewards: bool,
    context: Namespaces,
    action: Namespaces,
}

impl Facts {
    fn see(&mut self, example: &Example) {
        self.heads.resize_with(Head::ALL.len(), Default::default);
        for (head, (count, guess)) in Head::ALL.into_iter().zip(&mut self.heads) {
            if let Some(cell) = head.cell(example) {
                *count += 1;
                guess.see(&cell);
            }
        }
        if let Label::Bandit { cost: Some(cost), .. } = example.line.label {
            self.has_other_rewards |= cost != 0.0 && cost != -1.0;
        }
        self.rows += 1;
        self.context.see(&example.line);
        self.action.see_all(example.chosen.iter());
    }

    /// The heads that some example has.
    fn heads(&self) -> Vec<Head> {
        let seen = Head::ALL.into_iter().zip(&self.heads);
        seen.filter(|(_, (count, _))| *count > 0).map(|(head, _)| head).collect()
    }

    fn head_columns(&self) -> Vec<(String, Plan)> {
        let seen = Head::ALL.into_iter().zip(&self.heads).filter(|(_, (count, _))| *count > 0);
        seen.map(|(head, (_, guess))| {
            let plan = if head == Head::Tag { Plan::Text } else { guess.plan(head.name()).0 };
            (head.name().to_owned(), plan)
        })
        .collect()
    }

    fn hints(&self) -> Vec<RoleHint> {
        let is_binary = !self.has_other_rewards;
        let hint = |head: Head| {
            let (role, evidence) = head.hint(is_binary)?;
            let (column, evidence) = (head.name().to_owned(), evidence.to_owned());
            Some(RoleHint { column, role, evidence, is_final: true })
        };
        self.heads().into_iter().filter_map(hint).collect()
    }

    fn notes(&self) -> Vec<String> {
        let has = |wanted: Head| self.heads().contains(&wanted);
        let mut notes = Vec::new();
        if has(Head::Reward) {
            notes.push("reward = -cost".to_owned());
        }
        if has(Head::Actions) {
            notes.push(
                "a decision takes several lines: one row each, with the features of the action taken"
                    .to_owned(),
            );
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, names, opened, refused_by};
    use super::*;
    use crate::data::schema::ColumnType;

    #[test]
    fn namespaces_are_columns() {
        let log = opened(
            "-1 |A A77 |B:2 B8 |O O1 O2 |n |Z Z-5\n\
             1 0.5 'first |A A78 |B:2 B9 |O O3 |n n |Z Z\n\
             broken |A x\n\
             -1 |A A77 |O O |n n\n",
        );
        assert!(log.source.format.starts_with("vw"), "{}", log.source.format);
        assert_eq!(names(&log), ["label", "importance", "tag", "A", "B", "O", "n", "Z"]);
        assert_eq!(cells(&log, "label"), ["0", "1", "0"]);
        assert_eq!(cells(&log, "A"), ["77", "78", "77"]);
        assert_eq!(cells(&log, "O"), ["1 2", "3", "-"]);
        assert_eq!(cells(&log, "Z"), ["-5", "-", "-"]);
        assert_eq!(cells(&log, "n"), ["-", "-", "-"]);
        assert_eq!(cells(&log, "tag"), ["-", "first", "-"]);
        assert_eq!(log.schema.column("A").unwrap().role, Role::Categorical);
        assert_eq!(log.schema.column("A").unwrap().kind, ColumnType::Text);
        assert_eq!((log.source.bad_rows, log.source.bad_samples[0].line), (1, 3));
    }

    #[test]
    fn named_values_are_numbers() {
        let log = opened(
            "0 | price:.23 sqft:.25 age:.05 2006\n1 2 'b | price:.18 sqft:.15 age:.35 1976\n\
             0 1 0.5 'c | price:.53 sqft:.32 age:.87 1924\n",
        );
        assert_eq!(names(&log), ["label", "importance", "base", "tag", "features", "price", "sqft", "age"]);
        assert_eq!(cells(&log, "price"), ["0.23", "0.18", "0.53"]);
        assert_eq!(cells(&log, "features"), ["2006", "1976", "1924"]);
        assert_eq!(log.schema.column("price").unwrap().role, Role::Numeric);
    }

    #[test]
    fn many_named_values_are_two_lists() {
        let text: String = (0..200).map(|row| format!("1 |w a{row}:0.5 b{row}:2 |k x\n")).collect();
        let log = opened(&text);
        assert_eq!(names(&log), ["label", "w", "w.values", "k"]);
        assert_eq!(cells(&log, "w")[7], "a7 b7");
        assert_eq!(cells(&log, "w.values")[7], "0.5 2");
    }

    #[test]
    fn bandit_labels_on_one_line() {
        let log = opened("1:-1:0.4 |u ios |h 12\n3:0:0.2 |u web |h 13\n2:-0.0:0.1 |u ios |h 13\n");
        assert_eq!(names(&log), ["action", "reward", "propensity", "u", "h"]);
        assert_eq!(cells(&log, "reward"), ["1", "0", "0"]);
        let role = |name: &str| log.schema.column(name).unwrap().role;
        assert_eq!((role("reward"), role("action")), (Role::Label, Role::Ad));
        assert_eq!(role("propensity"), Role::Ignored);
    }

    #[test]
    fn decisions_of_several_lines() {
        let log = opened(
            "shared |u ios\n |a red\n0:-1:0.5 |a blue\n |a green\n\nshared |u web\n0:0.5:0.8 |a red\n |a blue\n",
        );
        assert_eq!(log.rows(), 2);
        assert_eq!(cells(&log, "action"), ["2", "1"]);
        assert_eq!(cells(&log, "actions"), ["3", "2"]);
        assert_eq!(cells(&log, "u"), ["ios", "web"]);
        assert_eq!(cells(&log, "action.a"), ["blue", "red"]);
        assert_eq!(cells(&log, "reward"), ["1", "-0.5"]);
        assert_eq!(log.schema.column("reward").unwrap().role, Role::Conversion);
    }

    #[test]
    fn names_come_from_the_map_beside_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.vw");
        std::fs::write(&path, "-1 |A Ax |B By\n1 |A Az |B By\n").unwrap();
        std::fs::write(folder.path().join(NAMESPACE_MAP), "A,advertiser\nZ,unused\nB,brand:2,f32\n").unwrap();
        let context = JobContext::detached();
        let log = super::super::open(&path, &super::super::ImportOptions::default(), &context).unwrap();
        assert_eq!(names(&log), ["label", "advertiser", "brand:2"]);
    }

    #[test]
    fn tables_with_bars_are_something_else() {
        for text in [
            "1|ios|3\n0|web|4\n",
            "1 | ios | 3\n0 | web | 4\n",
            "| ad | clicks |\n| a | 3 |\n",
            "ad|clicks\nx y|3\n",
            "2016-01-01 | a | b\n",
        ] {
            assert!(refused_by(&VowpalWabbit, text), "{text}");
        }
    }
}
