//! What do models train on? Encoded arrays of a whole log, split by time.

mod kept;
mod streamed;
#[cfg(test)]
mod test_support;

pub use kept::{WholeLog, open_prepared, prepare_kept};
pub use streamed::{EncodedLog, encode_all};

use super::array::{Array, Room};
use super::batch::{Batch, SequenceBatch};
use super::catalogue::AdCatalogue;
use super::columns::Columns;
use super::encode::{Encoder, KeyColumns};
use super::options::EncodeOptions;
use super::outcome::Outcome;
use super::split;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use std::sync::Arc;

/// Fewer rows with a known outcome than this cannot be split and learned from.
pub const MIN_ROWS: usize = 30;

/// Which part of a log. By time where the log has one: train is the past, test the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Weights are fitted here.
    Train,
    /// Stopping is decided here.
    Validation,
    /// Reported numbers come from here.
    Test,
}

/// An encoded log. All arrays have one entry per row of the log; shared, never edited.
#[derive(Debug, Clone, Default)]
pub struct Dataset {
    /// How it was encoded.
    pub encoder: Arc<Encoder>,
    /// Rows.
    pub rows: usize,
    /// `[field][row]` vocabulary ids.
    pub categorical: Vec<Array<u32>>,
    /// `[field][row]` transformed numbers.
    pub numeric: Vec<Array<f32>>,
    /// `[field]` behaviour sequences.
    pub sequences: Vec<Arc<SequenceColumn>>,
    /// Outcome per row; empty when the log has none.
    pub label: Array<f32>,
    /// 1 where a click was followed by a conversion, else 0; empty when the log does not say it row by row.
    pub conversion: Array<f32>,
    /// Weight per row; empty means all 1.
    pub weight: Array<f32>,
    /// True click probability per row of a simulated log; empty otherwise.
    pub truth: Array<f32>,
    /// Who saw each row, as codes without a vocabulary; `u32::MAX` is nobody known, empty means no user column.
    pub users: Array<u32>,
    /// Row numbers of the training part, oldest first where there is a time.
    pub train: Array<u32>,
    /// Row numbers of the validation part.
    pub validation: Array<u32>,
    /// Row numbers of the test part.
    pub test: Array<u32>,
    /// The ads that the log shows, when it names them.
    pub ads: Option<Arc<AdCatalogue>>,
    /// What encoding dropped or changed, in words.
    pub notes: Vec<String>,
}

/// Sequences of all rows, flat: row `r` holds `ids[offsets[r]..offsets[r + 1]]`, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SequenceColumn {
    /// Start of each row, and the end of the last: `rows + 1` entries.
    pub offsets: Array<u64>,
    /// Ids of the target field's vocabulary.
    pub ids: Array<u32>,
}

impl Dataset {
    /// Row numbers of a part.
    pub fn rows_of(&self, split: Split) -> &Array<u32> {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }

    /// True when `truth` is known.
    pub fn has_truth(&self) -> bool {
        !self.truth.is_empty()
    }

    /// True when its rows lie in files.
    pub fn is_mapped(&self) -> bool {
        self.label.is_mapped()
    }

    /// Bytes that the encoded rows take.
    pub fn bytes(&self) -> u64 {
        let ids = self.categorical.iter().chain([&self.users, &self.train, &self.validation, &self.test]);
        let numbers = self.numeric.iter().chain([&self.label, &self.conversion, &self.weight, &self.truth]);
        let sequences = self.sequences.iter().map(|column| column.offsets.bytes() + column.ids.bytes());
        let columns = ids.map(Array::bytes).chain(numbers.map(Array::bytes));
        columns.chain(sequences).chain(self.ads.iter().map(|ads| ads.of_row.bytes())).sum()
    }

    /// Tells the system that these rows will be read soon, where they lie in files.
    pub fn will_read(&self, rows: std::ops::Range<usize>) {
        self.categorical.iter().for_each(|column| column.will_read(rows.clone()));
        self.numeric.iter().for_each(|column| column.will_read(rows.clone()));
        [&self.label, &self.conversion, &self.weight]
            .iter()
            .for_each(|column| column.will_read(rows.clone()));
        for column in &self.sequences {
            column.offsets.will_read(rows.start..rows.end + 1);
            let end = |row: usize| column.offsets.get(row).copied().unwrap_or_default() as usize;
            if column.ids.is_mapped() {
                column.ids.will_read(end(rows.start)..end(rows.end));
            }
        }
    }

    /// The same rows with all that batches are made of in memory, where that takes no more than so many bytes. Rows in
    /// no order are gathered several times faster from memory, whose pages are large, than from the pages of files.
    #[must_use]
    pub fn in_memory(&self, most: u64) -> Self {
        if self.bytes() > most {
            return self.clone();
        }
        let sequence = |column: &Arc<SequenceColumn>| {
            let SequenceColumn { offsets, ids } = &**column;
            Arc::new(SequenceColumn { offsets: offsets.in_memory(), ids: ids.in_memory() })
        };
        Self {
            categorical: self.categorical.iter().map(Array::in_memory).collect(),
            numeric: self.numeric.iter().map(Array::in_memory).collect(),
            sequences: self.sequences.iter().map(sequence).collect(),
            label: self.label.in_memory(),
            conversion: self.conversion.in_memory(),
            weight: self.weight.in_memory(),
            ..self.clone()
        }
    }

    /// Copies the given rows into a batch.
    pub fn batch(&self, rows: &[u32]) -> Batch {
        Batch {
            rows: rows.len(),
            categorical: self.categorical.iter().map(|c| take(c, rows)).collect(),
            numeric: self.numeric.iter().map(|c| take(c, rows)).collect(),
            sequences: self.sequence_batches(rows),
            label: take_known(&self.label, rows),
            conversion: take_known(&self.conversion, rows),
            weight: take_known(&self.weight, rows),
        }
    }

    /// The given rows as they would be had ad `ads[i]` of the catalogue been shown in row `rows[i]`: the
    /// row's user, moment, place and history with that ad's properties. What would have happened is not known,
    /// so label and weight are empty. Pairs run to the shorter of the two lists; without a catalogue the rows
    /// keep their own ads.
    pub fn batch_with_ads(&self, rows: &[u32], ads: &[u32]) -> Batch {
        let pairs = rows.len().min(ads.len());
        let (rows, ads) = (&rows[..pairs], &ads[..pairs]);
        let mut batch = self.batch(rows);
        batch.label.clear();
        batch.conversion.clear();
        batch.weight.clear();
        if let Some(catalogue) = &self.ads {
            for (field, ids) in &catalogue.categorical {
                batch.categorical[*field] = take(ids, ads);
            }
            for (field, numbers) in &catalogue.numeric {
                batch.numeric[*field] = take(numbers, ads);
            }
        }
        batch
    }

    fn sequence_batches(&self, rows: &[u32]) -> Vec<SequenceBatch> {
        let fields = self.encoder.sequences.iter().zip(&self.sequences);
        fields
            .map(|(field, column)| {
                let mut batch = SequenceBatch {
                    max_len: field.max_len,
                    ids: vec![super::batch::MISSING_ID; rows.len() * field.max_len],
                    lengths: Vec::with_capacity(rows.len()),
                };
                for (slots, &row) in batch.ids.chunks_exact_mut(field.max_len).zip(rows) {
                    let sequence = column.of_row(row);
                    slots[..sequence.len()].copy_from_slice(sequence);
                    batch.lengths.push(sequence.len() as u32);
                }
                batch
            })
            .collect()
    }
}

/// Splits a log by time, fits an encoder on the training part only, and encodes every row.
///
/// # Errors
/// No outcome, one outcome only, too few rows, no column that a model may read; each says what to try.
pub fn prepare(log: &dyn Columns, options: &EncodeOptions, context: &JobContext) -> Result<Dataset> {
    prepare_in(log, options, &Room::memory(), context)
}

/// As [`prepare`], with the arrays where there is room for them.
pub(in crate::data) fn prepare_in(
    log: &dyn Columns,
    options: &EncodeOptions,
    room: &Room,
    context: &JobContext,
) -> Result<Dataset> {
    options.check()?;
    context.stage("splitting");
    let outcome = Outcome::read(log)?.ok_or_else(|| {
        Failure::new("cannot train on this log", "no column says what happened")
            .at(log.path().display())
            .hint("give the click column the role label, or its counts the roles clicks and weight")
    })?;
    let known = outcome.known_rows();
    if known.len() < MIN_ROWS {
        return Err(Failure::new(
            "cannot train on this log",
            format!("{} rows have a known outcome; at least {MIN_ROWS} are needed", known.len()),
        )
        .at(log.path().display())
        .hint("open a longer log"));
    }
    let keys = KeyColumns::of(log.schema());
    let times = match &keys.time {
        Some(column) => Some(log.times(column)?),
        None => None,
    };
    let parts = split::split(&known, times.as_deref(), options);
    refuse_one_class(log, &outcome, &known)?;
    refuse_one_class(log, &outcome, &parts.train)?;
    let (mut encoder, mut notes) = Encoder::fit(log, &parts.train, options, context)?;
    encoder.conversion.clone_from(&outcome.conversion_column);
    notes.insert(0, parts.note.clone());
    let encoder = Arc::new(encoder);
    let mut dataset = encoder.encode_with(log, Some(outcome), Some(parts), room, context)?;
    notes.append(&mut dataset.notes);
    dataset.notes = notes;
    Ok(dataset)
}

fn refuse_one_class(log: &dyn Columns, outcome: &Outcome, rows: &[u32]) -> Result<()> {
    let (clicks, shown) = outcome.totals(rows);
    if clicks > 0.0 && clicks < shown {
        return Ok(());
    }
    let only = if clicks > 0.0 { "1" } else { "0" };
    Err(Failure::new(
        "cannot train on this log",
        format!(
            "all {} training rows have the outcome {only} in '{}'",
            rows.len(),
            outcome.column
        ),
    )
    .at(log.path().display())
    .hint("a log needs both impressions that were clicked and impressions that were not; check the label column"))
}

/// Some rows of a column, which is empty where nothing is known.
pub fn take_known<T: Copy>(cells: &[T], rows: &[u32]) -> Vec<T> {
    if cells.is_empty() { Vec::new() } else { take(cells, rows) }
}

fn take<T: Copy>(cells: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|&row| cells[row as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::LogFrame;
    use crate::data::batch::{FIRST_VALUE_ID, RARE_ID};
    use crate::data::encode::Side;
    use crate::data::schema::Role;
    use polars::prelude::{DataFrame, DataType, IntoColumn, NamedFrom, Series, TimeUnit, df};

    const HOUR_MILLIS: i64 = 3_600_000;

    /// 600 hourly rows: 20 users with a home city, 6 ads of 3 categories, everything else made to be found.
    fn frame() -> DataFrame {
        let n = 600i64;
        let text = |f: &dyn Fn(i64) -> String| (0..n).map(f).collect::<Vec<_>>();
        let user = |i: i64| i * 7 % 20;
        let ad = |i: i64| i * 5 % 6;
        let clicked = |i: i64| i64::from(i * 31 % 11 < 3);
        let mut frame = df!(
            "user" => text(&|i| format!("u{}", user(i))),
            "city" => text(&|i| ["上海", "北京", "Berlin"][user(i) as usize % 3].to_owned()),
            "ad" => text(&|i| format!("ad{}", ad(i))),
            "category" => text(&|i| format!("c{}", ad(i) / 2)),
            "page" => text(&|i| format!("p{}", i % 7)),
            "age" => (0..n).map(|i| 20.0 + user(i) as f64).collect::<Vec<_>>(),
            "click" => (0..n).map(clicked).collect::<Vec<_>>(),
            "bought" => (0..n).map(|i| clicked(i) * (1 - i % 2)).collect::<Vec<_>>(),
            "true_ctr" => (0..n).map(|i| 0.1 + 0.3 * clicked(i) as f64).collect::<Vec<_>>(),
            "bid" => (0..n).map(|i| i as f64).collect::<Vec<_>>(),
            "copy" => text(&|i| format!("text {}", clicked(i))),
            "junk" => (0..n).map(clicked).collect::<Vec<_>>(),
        )
        .unwrap();
        let stamps: Vec<i64> = (0..n).map(|i| 1_790_000_000_000 + i * HOUR_MILLIS).collect();
        let time = Series::new("time".into(), stamps)
            .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))
            .unwrap();
        frame.with_column(time.into_column()).unwrap();
        frame
    }

    const ROLES: [(&str, Role); 13] = [
        ("user", Role::User),
        ("city", Role::Categorical),
        ("ad", Role::Ad),
        ("category", Role::Categorical),
        ("page", Role::Categorical),
        ("age", Role::Numeric),
        ("click", Role::Label),
        ("bought", Role::Conversion),
        ("true_ctr", Role::Truth),
        ("bid", Role::Price),
        ("copy", Role::Text),
        ("junk", Role::Ignored),
        ("time", Role::Time),
    ];

    fn clicked_at(row: i64) -> bool {
        row * 31 % 11 < 3
    }

    fn prepared() -> Dataset {
        let log = LogFrame::from_frame(frame(), &ROLES).unwrap();
        prepare(&log, &EncodeOptions::default(), &JobContext::detached()).unwrap()
    }

    #[test]
    fn outcomes_money_and_text_never_become_features() {
        let data = prepared();
        let names: Vec<&str> = (data.encoder.categorical.iter().map(|f| f.name.as_str()))
            .chain(data.encoder.numeric.iter().map(|f| f.name.as_str()))
            .collect();
        assert_eq!(names, ["user", "city", "ad", "category", "page", "time:hour", "time:weekday", "age"]);
        assert_eq!(data.encoder.sequences[0].name, "history:ad");
    }

    #[test]
    fn features_do_not_change_when_the_outcomes_of_the_row_change() {
        // Flip everything that may not leak in the last row: its encoding must stay the same to the bit.
        let log = LogFrame::from_frame(frame(), &ROLES).unwrap();
        let mut altered = frame();
        for name in ["click", "bought", "true_ctr", "bid", "junk"] {
            let cells = altered.column(name).unwrap().cast(&DataType::Float64).unwrap();
            let mut cells: Vec<f64> = cells.f64().unwrap().iter().flatten().collect();
            cells[599] = 1.0 - cells[599];
            altered.with_column(Series::new(name.into(), cells).into_column()).unwrap();
        }
        let altered = LogFrame::from_frame(altered, &ROLES).unwrap();
        let context = JobContext::detached();
        let prepare = |log| prepare(log, &EncodeOptions::default(), &context).unwrap();
        let (before, after) = (prepare(&log).batch(&[599]), prepare(&altered).batch(&[599]));
        assert_ne!(before.label, after.label);
        assert_eq!(before.categorical, after.categorical);
        assert_eq!(before.numeric, after.numeric);
        assert_eq!(before.sequences, after.sequences);
    }

    #[test]
    fn sides_follow_from_user_and_ad() {
        let data = prepared();
        let side = |name| data.encoder.categorical[data.encoder.position(name).unwrap()].side;
        assert_eq!((side("user"), side("city")), (Side::User, Side::User));
        assert_eq!((side("ad"), side("category")), (Side::Ad, Side::Ad));
        assert_eq!((side("page"), side("time:hour")), (Side::Context, Side::Context));
        assert_eq!(data.encoder.numeric[0].side, Side::User);
    }

    #[test]
    fn batches_hold_what_the_log_says() {
        let data = prepared();
        let batch = data.batch(&[599, 3]);
        let name = |field: &str, row: usize| {
            let field = data.encoder.position(field).unwrap();
            data.encoder.categorical[field].name_of(batch.categorical[field][row])
        };
        assert_eq!((name("user", 0), name("user", 1)), ("u13".into(), "u1".into()));
        assert_eq!(name("city", 0), "北京");
        // 599 * 31 % 11 is 1, 3 * 31 % 11 is 5.
        assert_eq!(batch.label, [1.0, 0.0]);
        // Bought where clicked and the row number is even: 599 is odd.
        assert_eq!(batch.conversion, [0.0, 0.0]);
        assert_eq!(data.encoder.conversion.as_deref(), Some("bought"));
        let (converted, bought) =
            (data.conversion.iter().sum::<f32>(), |i: &i64| clicked_at(*i) && i % 2 == 0);
        assert_eq!(converted as usize, (0..600).filter(bought).count());
        assert!(batch.weight.is_empty());
        // 1,790,000,000 s is Monday 2026-09-21 14:13:20 UTC; three hours later it is 17.
        assert_eq!((name("time:hour", 1).as_str(), name("time:weekday", 1).as_str()), ("17", "mon"));
        // u13 clicked every 20th row on which i * 31 % 11 < 3, before row 599.
        let clicked: Vec<i64> = (0..599).filter(|i| i * 7 % 20 == 13 && i * 31 % 11 < 3).collect();
        let ad = data.encoder.ad_field().unwrap();
        let wanted: Vec<u32> =
            clicked.iter().map(|i| data.encoder.categorical[ad].id_of(&format!("ad{}", i * 5 % 6))).collect();
        let sequence = &batch.sequences[0];
        assert_eq!(sequence.lengths[0] as usize, wanted.len());
        assert_eq!(sequence.ids[..wanted.len()], wanted);
        assert_eq!(sequence.lengths[1], 0);
    }

    #[test]
    fn another_ad_in_its_place_changes_the_ad_side_only() {
        let data = prepared();
        let catalogue = data.ads.as_ref().unwrap();
        let other = catalogue.position("ad4").unwrap();
        let own = data.batch(&[10]);
        let swapped = data.batch_with_ads(&[10], &[other]);
        assert!(swapped.conversion.is_empty());
        for (index, field) in data.encoder.categorical.iter().enumerate() {
            let name = field.name_of(swapped.categorical[index][0]);
            match field.name.as_str() {
                "ad" => assert_eq!(name, "ad4"),
                "category" => assert_eq!(name, "c2"),
                _ => assert_eq!(swapped.categorical[index], own.categorical[index]),
            }
        }
        assert!(swapped.label.is_empty());
        let same = data.batch_with_ads(&[10], &[catalogue.ad_of(10).unwrap()]);
        assert_eq!(same.categorical, own.categorical);
    }

    #[test]
    fn a_log_with_gaps_is_refused_or_read_as_missing_as_asked() {
        let data = prepared();
        let gaps = ["city", "age", "time", "ad"];
        let frame = gaps.iter().fold(frame(), |frame, name| frame.drop(name).unwrap());
        let roles: Vec<_> = ROLES.into_iter().filter(|(name, _)| !gaps.contains(name)).collect();
        let log = LogFrame::from_frame(frame, &roles).unwrap();
        let context = JobContext::detached();
        let failure = data.encoder.encode(&log, &context).unwrap_err();
        assert!(failure.why.contains("city") && failure.hint.contains("--missing-columns"), "{failure}");
        let filled = data.encoder.encode_with_gaps(&log, &context).unwrap();
        let batch = filled.batch(&[0, 599]);
        let ids = |field: &str| batch.categorical[data.encoder.position(field).unwrap()].clone();
        for field in ["city", "ad", "time:hour"] {
            assert_eq!(ids(field), [super::super::batch::MISSING_ID; 2], "{field}");
        }
        assert_eq!(batch.numeric[0], [0.0, 0.0], "the mean");
        assert_eq!(batch.sequences[0].lengths, [0, 0]);
        assert_eq!(ids("page"), data.batch(&[0, 599]).categorical[data.encoder.position("page").unwrap()]);
        for name in gaps {
            assert!(filled.notes.iter().any(|note| note.contains(name)), "{name}: {:?}", filled.notes);
        }
        let none = LogFrame::from_frame(df!("x" => [1, 2]).unwrap(), &[]).unwrap();
        assert!(data.encoder.encode_with_gaps(&none, &context).is_err());
    }

    #[test]
    fn another_log_is_encoded_alike_and_new_values_are_rare() {
        let data = prepared();
        let mut later = frame().slice(0, 40).drop("click").unwrap();
        let pages = Series::new("page".into(), vec!["p99"; 40]);
        later.with_column(pages.into_column()).unwrap();
        let roles: Vec<_> = ROLES.into_iter().filter(|(name, _)| *name != "click").collect();
        let log = LogFrame::from_frame(later.clone(), &roles).unwrap();
        let scored = data.encoder.encode(&log, &JobContext::detached()).unwrap();
        let page = data.encoder.position("page").unwrap();
        assert!(scored.categorical[page].iter().all(|id| *id == RARE_ID));
        let user = data.encoder.position("user").unwrap();
        assert_eq!(scored.categorical[user][..], data.categorical[user][..40]);
        assert!(scored.label.is_empty() && scored.test.is_empty());

        let roles: Vec<_> = roles.into_iter().filter(|(name, _)| *name != "city").collect();
        let log = LogFrame::from_frame(later.drop("city").unwrap(), &roles).unwrap();
        let failure = data.encoder.encode(&log, &JobContext::detached()).unwrap_err();
        assert!(failure.why.contains("city"), "{failure}");
    }

    #[test]
    fn vocabularies_come_from_the_training_rows_only() {
        let mut frame = frame();
        let pages: Vec<String> = (0..600).map(|i| format!("p{}", i / 100)).collect();
        frame.with_column(Series::new("page".into(), pages).into_column()).unwrap();
        let log = LogFrame::from_frame(frame, &ROLES).unwrap();
        let data = prepare(&log, &EncodeOptions::default(), &JobContext::detached()).unwrap();
        let page = data.encoder.position("page").unwrap();
        assert_eq!(data.encoder.categorical[page].values.len(), 5, "p5 lies in the test part");
        assert_eq!(data.categorical[page][599], RARE_ID);
        assert!(data.categorical[page][0] >= FIRST_VALUE_ID);
    }

    #[test]
    fn what_cannot_be_learned_is_refused_with_the_reason() {
        let context = JobContext::detached();
        let refuse = |frame: DataFrame, roles: &[(&str, Role)]| {
            let log = LogFrame::from_frame(frame, roles).unwrap();
            prepare(&log, &EncodeOptions::default(), &context).unwrap_err()
        };
        let unlabelled: Vec<_> = ROLES.into_iter().filter(|(name, _)| *name != "click").collect();
        assert!(refuse(frame(), &unlabelled).hint.contains("role label"));
        let short = refuse(frame().slice(0, 10), &ROLES);
        assert!(short.why.contains("10 rows"), "{short}");
        let mut quiet = frame();
        quiet.with_column(Series::new("click".into(), vec![0i64; 600]).into_column()).unwrap();
        assert!(refuse(quiet, &ROLES).why.contains("outcome 0"));
        let bare = refuse(frame(), &[("click", Role::Label)]);
        assert!(bare.why.contains("no column is left"), "{bare}");
    }

    #[test]
    fn an_encoder_survives_json() {
        let data = prepared();
        let text = serde_json::to_string(&*data.encoder).unwrap();
        let back: Encoder = serde_json::from_str(&text).unwrap();
        assert_eq!(back, *data.encoder);
    }
}
