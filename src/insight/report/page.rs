//! What does the page of a report look like? HTML that needs nothing but itself, prints, and reads on paper.

use super::svg::{Axes, COLOURS, Line, chart, escaped};
use super::{ModelReport, OtherModel};
use crate::base::numbers::grouped;
use crate::data::query::misfit::Fit;
use crate::insight::by_column::ByColumn;
use crate::insight::evaluation::{Curves, Evaluation};
use crate::metrics::{Estimate, Rate};
use std::fmt::Write;

/// Slices that are listed.
const SLICES: usize = 15;

const STYLE: &str = "body{font:14px/1.45 system-ui,'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif;\
max-width:1000px;margin:24px auto;padding:0 16px;color:#1a1d21;background:#fff}h1{font-size:24px;margin:0}\
h2{font-size:18px;margin:28px 0 6px;border-bottom:1px solid #ccd}table{border-collapse:collapse;margin:8px 0}\
td,th{padding:3px 10px;text-align:right;border-bottom:1px solid #e4e6ea}td:first-child,th:first-child{text-align:left}\
.charts{display:grid;grid-template-columns:1fr 1fr;gap:12px}figure{margin:0;break-inside:avoid}\
figcaption{font-weight:600}svg{width:100%}svg text{font-size:11px;fill:#333}.grid{stroke:#e4e6ea}\
.legend{margin:0;font-size:12px}code{background:#f2f4f7;padding:2px 5px;font-size:12px;overflow-wrap:anywhere}\
.command{margin:4px 0 10px}.weak{color:#5c636e}@media print{body{margin:0;max-width:none}}";

/// The whole page.
pub(super) fn html(report: &ModelReport) -> String {
    let mut page = format!(
        "<!doctype html><html><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{0} on {1}</title><style>{STYLE}</style></head><body><h1>{0}</h1>",
        escaped(&report.card.kind),
        escaped(&report.log)
    );
    let _ = write!(
        page,
        "<p class=\"weak\">{} test rows of {} ({} rows); made on {} by adloupe {}.</p>",
        grouped(report.evaluation.rows as f64, ' '),
        escaped(&report.log),
        grouped(report.log_rows as f64, ' '),
        report.made_on,
        report.version
    );
    numbers(&mut page, report);
    curves(&mut page, report);
    for (told, command) in report.columns.iter().zip(&report.commands.columns) {
        columns(&mut page, told, command);
    }
    slices(&mut page, report);
    fairness(&mut page, report);
    card(&mut page, report);
    page.push_str("</body></html>\n");
    page
}

fn heading(page: &mut String, words: &str) {
    let _ = write!(page, "<h2>{}</h2>", escaped(words));
}

fn command(page: &mut String, words: &str) {
    let _ = write!(page, "<p class=\"command\"><code>{}</code></p>", escaped(words));
}

fn row(page: &mut String, cells: &[String]) {
    let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escaped(cell))).collect();
    let _ = write!(page, "<tr>{cells}</tr>");
}

fn table(page: &mut String, titles: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let titles: String = titles.iter().map(|title| format!("<th>{}</th>", escaped(title))).collect();
    let _ = write!(page, "<table><tr>{titles}</tr>");
    rows.for_each(|cells| row(page, &cells));
    page.push_str("</table>");
}

fn percent(rate: &Rate) -> String {
    if rate.is_known() { rate.estimate().in_percent() } else { "n/a".to_owned() }
}

fn numbers(page: &mut String, report: &ModelReport) {
    heading(page, "How good it is");
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
    table(page, &titles, first.chain(others));
    let clicks = &report.evaluation.clicks;
    let _ = write!(
        page,
        "<p>{} clicks of {} impressions: click rate {}. All intervals are 95 %.</p>",
        grouped(clicks.successes.round(), ' '),
        grouped(clicks.trials.round(), ' '),
        percent(clicks)
    );
    if let Some(truth) = report.evaluation.scores.auc_of_truth {
        let _ = write!(
            page,
            "<p>The true probabilities of this simulated log reach an AUC of {:.4}.</p>",
            truth.value
        );
    }
    command(page, report.commands.rank.as_ref().unwrap_or(&report.commands.evaluate));
}

fn figure(page: &mut String, title: &str, axes: (&str, &str), lines: &[Line<'_>]) {
    let drawn = chart(&Axes { x: axes.0, y: axes.1, names: &[] }, lines);
    let _ = write!(page, "<figure><figcaption>{}</figcaption>{drawn}</figure>", escaped(title));
}

fn curves(page: &mut String, report: &ModelReport) {
    heading(page, "Curves");
    page.push_str("<div class=\"charts\">");
    let all: Vec<(&str, &Evaluation)> = std::iter::once((report.card.kind.as_str(), &report.evaluation))
        .chain(report.others.iter().map(|other| (other.kind.as_str(), &other.evaluation)))
        .collect();
    let of = |curve: &dyn Fn(&Curves) -> Vec<[f64; 2]>| -> Vec<Line<'_>> {
        let lines = all.iter().zip(COLOURS.iter().cycle());
        lines.map(|((kind, of), colour)| Line::plain(kind, colour, &curve(&of.curves))).collect()
    };
    let diagonal = [[0.0, 0.0], [1.0, 1.0]];
    let mut roc = of(&|curves| curves.roc.clone());
    if !report.evaluation.curves.roc_of_truth.is_empty() {
        roc.push(Line::dashed("true probabilities", &report.evaluation.curves.roc_of_truth));
    }
    roc.push(Line::dashed("chance", &diagonal));
    figure(page, "ROC", ("false positive rate", "true positive rate"), &roc);
    let rate = report.evaluation.clicks.rate;
    let mut recall = of(&|curves| curves.precision_recall.clone());
    recall.push(Line::dashed("click rate", &[[0.0, rate], [1.0, rate]]));
    figure(page, "Precision and recall", ("recall", "precision"), &recall);
    let bins = &report.evaluation.reliability;
    let points: Vec<[f64; 2]> = bins.iter().map(|bin| [bin.predicted, bin.actual.rate]).collect();
    let end = points.iter().flatten().copied().fold(0.0, f64::max);
    let reliability = Line {
        interval: bins.iter().map(|bin| [bin.actual.low, bin.actual.high]).collect(),
        ..Line::plain(&report.card.kind, COLOURS[0], &points)
    };
    let perfect = Line::dashed("perfect", &[[0.0, 0.0], [end, end]]);
    figure(page, "Reliability", ("predicted click rate", "actual click rate"), &[reliability, perfect]);
    let mut gain = of(&|curves| curves.cumulative_gain.clone());
    gain.push(Line::dashed("any order", &diagonal));
    figure(page, "Cumulative gain", ("share of impressions, best first", "share of clicks"), &gain);
    page.push_str("</div>");
    let deciles = report.evaluation.deciles.iter().rev().enumerate().map(|(place, group)| {
        vec![
            format!("{}", place + 1),
            grouped(group.bin.actual.trials.round(), ' '),
            format!("{:.3} %", 100.0 * group.bin.predicted),
            percent(&group.bin.actual),
            Estimate::known_in_words(Some(group.lift), 2),
        ]
    });
    table(page, &["tenth by score, highest first", "impressions", "predicted", "actual", "lift"], deciles);
    command(page, &report.commands.evaluate);
}

fn columns(page: &mut String, told: &ByColumn, words: &str) {
    heading(page, &format!("Actual and predicted by {}", told.column));
    let names: Vec<String> = told.groups.iter().map(|group| group.name.clone()).collect();
    let at = |rate: &dyn Fn(usize) -> f64| -> Vec<[f64; 2]> {
        (0..told.groups.len()).map(|place| [place as f64, 100.0 * rate(place)]).collect()
    };
    let actual = |place: usize| &told.groups[place].actual;
    let ends = told.groups.iter().map(|group| [100.0 * group.actual.low, 100.0 * group.actual.high]);
    let lines = [
        Line {
            interval: ends.collect(),
            ..Line::plain("actual, 95 %", "#1a1d21", &at(&|place| actual(place).rate))
        },
        Line::plain("predicted", COLOURS[0], &at(&|place| told.groups[place].predicted[0])),
    ];
    let drawn = chart(&Axes { x: &told.column, y: "click rate (%)", names: &names }, &lines);
    let _ = write!(page, "<div class=\"charts\"><figure>{drawn}</figure><div>");
    let rows = told.groups.iter().map(|group| {
        vec![
            group.name.clone(),
            grouped(group.actual.trials.round(), ' '),
            percent(&group.actual),
            format!("{:.3} %", 100.0 * group.predicted[0]),
            Estimate::known_in_words(group.ratio.first().copied().flatten(), 2),
        ]
    });
    table(page, &[told.column.as_str(), "impressions", "actual", "predicted", "predicted / actual"], rows);
    page.push_str("</div></div>");
    if told.untold > 0 {
        let _ = write!(page, "<p class=\"weak\">{} smaller groups are not shown.</p>", told.untold);
    }
    command(page, words);
}

fn slices(page: &mut String, report: &ModelReport) {
    heading(page, "Where it fails");
    let found = &report.slices;
    let _ = write!(
        page,
        "<p>{} of {} groups of rows have another ratio of predicted to actual clicks than all others, at 5 % after \
         correction for all that were looked at (Bonferroni).</p>",
        found.slices.len() + found.untold,
        grouped(found.judged as f64, ' ')
    );
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
        table(page, &["group", "impressions", "actual", "predicted", "predicted / actual", "p"], rows);
    }
    command(page, &report.commands.slices);
}

fn fairness(page: &mut String, report: &ModelReport) {
    let (Some(found), Some(words)) = (&report.fairness, &report.commands.fairness) else { return };
    heading(page, &format!("Groups of {}", found.column));
    let threshold = found.chosen.thresholds.first().copied().unwrap_or_default();
    let _ = write!(
        page,
        "<p>Selected are scores from {:.3} % on. Differences are to the largest group, in points.</p>",
        100.0 * threshold
    );
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
    table(page, &titles, rows);
    command(page, words);
}

fn card(page: &mut String, report: &ModelReport) {
    heading(page, "Model card");
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
    page.push_str("<table>");
    for (name, value) in rows {
        row(page, &[name.to_owned(), value]);
    }
    page.push_str("</table>");
    heading(page, "Limits");
    page.push_str("<ul>");
    for limit in report.limits.iter().chain(&report.left_out) {
        let _ = write!(page, "<li>{}</li>", escaped(limit));
    }
    page.push_str("</ul>");
}
