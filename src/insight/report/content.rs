//! What does a report say, in which order? Headings, words, tables and charts that any kind of page can be made of.

use super::chart::{Axes, COLOURS, INK, Line};
use super::{ModelReport, OtherModel};
use crate::base::numbers::grouped;
use crate::data::query::misfit::Fit;
use crate::insight::by_column::ByColumn;
use crate::insight::evaluation::{Curves, Evaluation};
use crate::metrics::{Estimate, Rate};

/// Slices that are listed.
const SLICES: usize = 15;

/// A piece of a report, from the top to the bottom.
pub(super) enum Block {
    /// What the whole is called.
    Title(String),
    Heading(String),
    Words(String),
    /// Words that are read last.
    Aside(String),
    /// The command that gives the figures above it.
    Command(String),
    Table(Table),
    /// Charts side by side, as many as fit.
    Figures(Vec<Figure>),
    /// A chart with its numbers.
    Beside(Figure, Table),
    List(Vec<String>),
}

/// Rows of cells; the first column is words, the others are numbers.
pub(super) struct Table {
    /// Empty for a table that needs none.
    pub titles: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// A chart with its title.
pub(super) struct Figure {
    /// Empty where the heading above says it.
    pub title: String,
    pub axes: Axes,
    pub lines: Vec<Line>,
}

/// Everything that the report says.
pub(super) fn blocks(report: &ModelReport) -> Vec<Block> {
    let mut page = vec![
        Block::Title(report.card.kind.clone()),
        Block::Aside(format!(
            "{} test rows of {} ({} rows); made on {} by adloupe {}.",
            grouped(report.evaluation.rows as f64, ' '),
            report.log,
            grouped(report.log_rows as f64, ' '),
            report.made_on,
            report.version
        )),
    ];
    numbers(&mut page, report);
    curves(&mut page, report);
    for (told, command) in report.columns.iter().zip(&report.commands.columns) {
        columns(&mut page, told, command);
    }
    slices(&mut page, report);
    fairness(&mut page, report);
    card(&mut page, report);
    page
}

fn table(titles: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    Table { titles: titles.iter().map(|&title| title.to_owned()).collect(), rows: rows.collect() }
}

fn percent(rate: &Rate) -> String {
    if rate.is_known() { rate.estimate().in_percent() } else { "n/a".to_owned() }
}

fn numbers(page: &mut Vec<Block>, report: &ModelReport) {
    page.push(Block::Heading("How good it is".to_owned()));
    let line = |kind: &str, evaluation: &Evaluation, other: Option<&OtherModel>| {
        let measures = &evaluation.scores.measures;
        let difference =
            other.map_or_else(|| "-".to_owned(), |other| Estimate::known_in_words(other.differences.auc, 4));
        vec![
            kind.to_owned(),
            Estimate::known_in_words(Some(evaluation.scores.auc), 4),
            difference,
            Estimate::known_in_words(measures.log_loss, 4),
            Estimate::known_in_words(measures.normalized_entropy, 4),
            Estimate::known_in_words(measures.predicted_over_actual, 3),
            Estimate::known_in_words(measures.ece, 4),
        ]
    };
    let first = std::iter::once(line(&report.card.kind, &report.evaluation, None));
    let others = report.others.iter().map(|other| line(&other.kind, &other.evaluation, Some(other)));
    let titles = [
        "model",
        "AUC",
        "AUC difference (paired)",
        "log loss (nats)",
        "normalised entropy",
        "predicted / actual",
        "calibration error",
    ];
    page.push(Block::Table(table(&titles, first.chain(others))));
    let clicks = &report.evaluation.clicks;
    page.push(Block::Words(format!(
        "{} clicks of {} impressions: click rate {}. All intervals are 95 %.",
        grouped(clicks.successes.round(), ' '),
        grouped(clicks.trials.round(), ' '),
        percent(clicks)
    )));
    if let Some(truth) = report.evaluation.scores.auc_of_truth {
        let words =
            format!("The true probabilities of this simulated log reach an AUC of {:.4}.", truth.value);
        page.push(Block::Words(words));
    }
    let words = report.commands.rank.as_ref().unwrap_or(&report.commands.evaluate);
    page.push(Block::Command(words.clone()));
}

fn figure(title: &str, (x, y): (&str, &str), lines: Vec<Line>) -> Figure {
    Figure {
        title: title.to_owned(),
        axes: Axes { x: x.to_owned(), y: y.to_owned(), names: Vec::new() },
        lines,
    }
}

fn curves(page: &mut Vec<Block>, report: &ModelReport) {
    page.push(Block::Heading("Curves".to_owned()));
    let all: Vec<(&str, &Evaluation)> = std::iter::once((report.card.kind.as_str(), &report.evaluation))
        .chain(report.others.iter().map(|other| (other.kind.as_str(), &other.evaluation)))
        .collect();
    let of = |curve: &dyn Fn(&Curves) -> Vec<[f64; 2]>| -> Vec<Line> {
        let lines = all.iter().zip(COLOURS.iter().cycle());
        lines.map(|((kind, of), colour)| Line::plain(kind, *colour, curve(&of.curves))).collect()
    };
    let diagonal = || vec![[0.0, 0.0], [1.0, 1.0]];
    let mut roc = of(&|curves| curves.roc.clone());
    if !report.evaluation.curves.roc_of_truth.is_empty() {
        roc.push(Line::dashed("true probabilities", report.evaluation.curves.roc_of_truth.clone()));
    }
    roc.push(Line::dashed("chance", diagonal()));
    let rate = report.evaluation.clicks.rate;
    let mut recall = of(&|curves| curves.precision_recall.clone());
    recall.push(Line::dashed("click rate", vec![[0.0, rate], [1.0, rate]]));
    let bins = &report.evaluation.reliability;
    let points: Vec<[f64; 2]> = bins.iter().map(|bin| [bin.predicted, bin.actual.rate]).collect();
    let end = points.iter().flatten().copied().fold(0.0, f64::max);
    let reliability = Line {
        interval: bins.iter().map(|bin| [bin.actual.low, bin.actual.high]).collect(),
        ..Line::plain(&report.card.kind, COLOURS[0], points)
    };
    let perfect = Line::dashed("perfect", vec![[0.0, 0.0], [end, end]]);
    let mut gain = of(&|curves| curves.cumulative_gain.clone());
    gain.push(Line::dashed("any order", diagonal()));
    page.push(Block::Figures(vec![
        figure("ROC", ("false positive rate", "true positive rate"), roc),
        figure("Precision and recall", ("recall", "precision"), recall),
        figure("Reliability", ("predicted click rate", "actual click rate"), vec![reliability, perfect]),
        figure("Cumulative gain", ("share of impressions, best first", "share of clicks"), gain),
    ]));
    let deciles = report.evaluation.deciles.iter().rev().enumerate().map(|(place, group)| {
        vec![
            format!("{}", place + 1),
            grouped(group.bin.actual.trials.round(), ' '),
            format!("{:.3} %", 100.0 * group.bin.predicted),
            percent(&group.bin.actual),
            Estimate::known_in_words(Some(group.lift), 2),
        ]
    });
    let titles = ["tenth by score, highest first", "impressions", "predicted", "actual", "lift"];
    page.push(Block::Table(table(&titles, deciles)));
    page.push(Block::Command(report.commands.evaluate.clone()));
}

fn columns(page: &mut Vec<Block>, told: &ByColumn, words: &str) {
    page.push(Block::Heading(format!("Actual and predicted by {}", told.column)));
    let names: Vec<String> = told.groups.iter().map(|group| group.name.clone()).collect();
    let at = |rate: &dyn Fn(usize) -> f64| -> Vec<[f64; 2]> {
        (0..told.groups.len()).map(|place| [place as f64, 100.0 * rate(place)]).collect()
    };
    let actual = |place: usize| &told.groups[place].actual;
    let ends = told.groups.iter().map(|group| [100.0 * group.actual.low, 100.0 * group.actual.high]);
    let lines = vec![
        Line {
            interval: ends.collect(),
            ..Line::plain("actual, 95 %", INK, at(&|place| actual(place).rate))
        },
        Line::plain("predicted", COLOURS[0], at(&|place| told.groups[place].predicted[0])),
    ];
    let axes = Axes { x: told.column.clone(), y: "click rate (%)".to_owned(), names };
    let rows = told.groups.iter().map(|group| {
        vec![
            group.name.clone(),
            grouped(group.actual.trials.round(), ' '),
            percent(&group.actual),
            format!("{:.3} %", 100.0 * group.predicted[0]),
            Estimate::known_in_words(group.ratio.first().copied().flatten(), 2),
        ]
    });
    let titles = [told.column.as_str(), "impressions", "actual", "predicted", "predicted / actual"];
    page.push(Block::Beside(Figure { title: String::new(), axes, lines }, table(&titles, rows)));
    if told.untold > 0 {
        page.push(Block::Aside(format!("{} smaller groups are not shown.", told.untold)));
    }
    page.push(Block::Command(words.to_owned()));
}

fn slices(page: &mut Vec<Block>, report: &ModelReport) {
    page.push(Block::Heading("Where it fails".to_owned()));
    let found = &report.slices;
    page.push(Block::Words(format!(
        "{} of {} groups of rows have another ratio of predicted to actual clicks than all others, at 5 % after \
         correction for all that were looked at (Bonferroni).",
        found.slices.len() + found.untold,
        grouped(found.judged as f64, ' ')
    )));
    if !found.slices.is_empty() {
        let rows = found.slices.iter().take(SLICES).map(|slice| {
            let parts: Vec<String> =
                slice.parts.iter().map(|(column, value)| format!("{column} = {value}")).collect();
            let Fit { actual, predicted, predicted_over_actual, .. } = &slice.fit;
            vec![
                parts.join(" and "),
                grouped(actual.trials.round(), ' '),
                percent(actual),
                format!("{:.3} %", 100.0 * predicted),
                Estimate::known_in_words(*predicted_over_actual, 2),
                format!("{:.1e}", slice.p),
            ]
        });
        let titles = ["group", "impressions", "actual", "predicted", "predicted / actual", "p"];
        page.push(Block::Table(table(&titles, rows)));
    }
    page.push(Block::Command(report.commands.slices.clone()));
}

fn fairness(page: &mut Vec<Block>, report: &ModelReport) {
    let (Some(found), Some(words)) = (&report.fairness, &report.commands.fairness) else { return };
    page.push(Block::Heading(format!("Groups of {}", found.column)));
    let threshold = found.chosen.thresholds.first().copied().unwrap_or_default();
    page.push(Block::Words(format!(
        "Selected are scores from {:.3} % on. Differences are to the largest group, in points.",
        100.0 * threshold
    )));
    let points = |gap: &Estimate| {
        format!("{:+.1} ({:+.1} to {:+.1})", 100.0 * gap.value, 100.0 * gap.low, 100.0 * gap.high)
    };
    let rows = found.groups.iter().zip(&found.chosen.groups).enumerate().map(|(place, (group, rates))| {
        let gap = |gap: &Estimate| if place == 0 { "-".to_owned() } else { points(gap) };
        vec![
            group.name.clone(),
            grouped(group.fit.actual.trials.round(), ' '),
            percent(&group.fit.actual),
            Estimate::known_in_words(group.fit.predicted_over_actual, 2),
            Estimate::known_in_words(group.fit.auc, 3),
            percent(&rates.selected),
            gap(&group.selection),
            percent(&rates.true_positive),
            gap(&group.opportunity),
        ]
    });
    let titles = [
        "group",
        "impressions",
        "actual",
        "predicted / actual",
        "AUC",
        "selected",
        "difference",
        "true positives",
        "difference",
    ];
    page.push(Block::Table(table(&titles, rows)));
    page.push(Block::Command(words.to_owned()));
}

fn card(page: &mut Vec<Block>, report: &ModelReport) {
    page.push(Block::Heading("Model card".to_owned()));
    let card = &report.card;
    let params: Vec<String> = card.params.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let versions: Vec<String> = card.versions.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let rows = [
        ("kind", card.kind.clone()),
        ("parameters", params.join(", ")),
        ("trained on", format!("{} of {} rows of {}", card.data.train, card.data.rows, card.data.source)),
        ("stopped by", format!("{} rows; {} test rows", card.data.validation, card.data.test)),
        ("data fingerprint", card.data.fingerprint.clone()),
        ("seed", card.training.seed.to_string()),
        ("epochs", format!("{}, the best was {}", card.training.epochs, card.training.best_epoch)),
        ("numbers trained", grouped(card.training.weights as f64, ' ')),
        ("training", format!("{:.1} s on {}", card.training.seconds, card.training.device)),
        ("versions", versions.join(", ")),
    ];
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    page.push(Block::Table(table(&[], rows)));
    page.push(Block::Heading("Limits".to_owned()));
    page.push(Block::List(report.limits.iter().chain(&report.left_out).cloned().collect()));
}
