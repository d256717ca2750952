//! A made-up world whose click probabilities are known: the sample log, and the truth behind it.
//!
//! [`generate`] draws a world from a seed and writes its log, its creatives and its users;
//! [`World::for_log`] finds the world of an opened sample log again, so that any curve, interval or simulation
//! can be checked against what is true. The click function itself is documented in [`truth`].

pub mod draw;
pub mod inventory;
pub mod people;
mod tables;
pub mod truth;

use super::cells::{self, Coded};
use super::export::{self, TableFormat};
use super::frame::LogFrame;
use crate::base::failure::Explain;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use people::User;
use polars::prelude::{IdxCa, IdxSize};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use truth::{Moment, Person, Truth};

/// Changes whenever the same seed would give another world.
const WORLD_VERSION: u32 = 1;

/// Fewer rows than this make no log that is worth looking at.
const MIN_ROWS: usize = 100;
const MAX_ROWS: usize = 50_000_000;

/// What the side file `<stem>.world.json` says: enough to draw the world again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorldCard {
    /// Version of the generator.
    pub version: u32,
    /// The seed.
    pub seed: u64,
    /// Rows of the log.
    pub rows: usize,
}

/// The sample world: its users and its click function.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    /// Where it came from.
    pub card: WorldCard,
    users: Vec<User>,
    truth: Truth,
}

/// The files that [`generate`] wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The log.
    pub log: PathBuf,
    /// The side file that names the seed.
    pub world: PathBuf,
    /// One row an ad: campaign, advertiser, category, words, language.
    pub creatives: PathBuf,
    /// One row a user: profile and history at the end of the log.
    pub users: PathBuf,
    /// Impressions.
    pub rows: usize,
    /// Clicks.
    pub clicks: usize,
    /// Conversions seen before the log ends.
    pub conversions: usize,
}

/// Draws a world and writes its log to `out`, with the creatives, users and seed in files beside it. The ending
/// of `out` chooses the format of all tables: Parquet, CSV (lists parted by `|`) or JSON lines. The same seed
/// and number of rows write the same bytes.
///
/// # Errors
/// Too few or too many rows, an unknown ending, what the disk answers, a cancel.
pub fn generate(rows: usize, seed: u64, out: &Path, context: &JobContext) -> Result<Generated> {
    let format = TableFormat::of(out)?;
    let world = World::new(seed, rows)?;
    context.stage("drawing impressions");
    let impressions = draw::draw(seed, rows, &world.users, &world.truth, context)?;
    context.stage("writing");
    let generated = Generated {
        log: out.to_owned(),
        world: beside(out, "world", "json"),
        creatives: beside(out, "creatives", ending(out)),
        users: beside(out, "users", ending(out)),
        rows,
        clicks: impressions.iter().filter(|row| row.click).count(),
        conversions: impressions.iter().filter(|row| row.conversion_delay_hours.is_some()).count(),
    };
    let mut log = tables::log_frame(&world, &impressions, format)?;
    let mut users = tables::users_frame(&world, &impressions, format)?;
    drop(impressions);
    context.check()?;
    let mut creatives = tables::creatives_frame()?;
    export::write_frame(&generated.creatives, &mut creatives, format)?;
    export::write_frame(&generated.users, &mut users, format)?;
    export::write_frame(&generated.log, &mut log, format)?;
    write_atomically(&generated.world, |file| {
        let text = serde_json::to_string(&world.card).explain("cannot write the world's seed")?;
        writeln!(file, "{text}")
            .map_err(|error| disk_failure("cannot write the world's seed", &generated.world, &error))
    })?;
    Ok(generated)
}

impl World {
    /// The world of a seed; the number of rows decides how many users live in it.
    ///
    /// # Errors
    /// Too few or too many rows.
    pub fn new(seed: u64, rows: usize) -> Result<Self> {
        if !(MIN_ROWS..=MAX_ROWS).contains(&rows) {
            return Err(Failure::new(
                "cannot draw the sample world",
                format!("{rows} rows are not between {MIN_ROWS} and {MAX_ROWS}"),
            )
            .hint("100000 rows make the log that is shipped"));
        }
        // About 30 impressions a user, so that the active ones can be learned.
        let users = people::draw_users(seed, (rows / 30).clamp(20, 2_000_000));
        let card = WorldCard { version: WORLD_VERSION, seed, rows };
        Ok(Self { card, users, truth: Truth::new(seed) })
    }

    /// The world that a log was drawn from, if it is a sample log: its side file must lie beside it, be of this
    /// version, and agree with the log's number of rows.
    pub fn for_log(log: &LogFrame) -> Option<Self> {
        let text = std::fs::read_to_string(beside(&log.source.path, "world", "json")).ok()?;
        let card: WorldCard = serde_json::from_str(&text).ok()?;
        let fits = card.version == WORLD_VERSION && card.rows == log.rows();
        if fits { Self::new(card.seed, card.rows).ok() } else { None }
    }

    /// The true click probability of each of `ads` (ids as in the log) had it been shown in the place of each
    /// of `rows`: row-major, `rows x ads`. The profile comes from the log's own columns, so an edited audience
    /// is answered too; the latent taste comes from the user id, and is average for an unknown one.
    ///
    /// # Errors
    /// An ad or a value of a profile that this world does not know; a missing column.
    pub fn p_click(&self, log: &LogFrame, rows: &[u32], ads: &[String]) -> Result<Vec<f32>> {
        let ads: Vec<usize> = ads.iter().map(|id| known_ad(id)).collect::<Result<_>>()?;
        let circumstances = Circumstances::read(log, rows)?;
        let mut answer = Vec::with_capacity(rows.len() * ads.len());
        for row in 0..rows.len() {
            let (person, moment) = circumstances.of(self, row)?;
            answer.extend(ads.iter().map(|&ad| self.truth.p_click(&person, &moment, ad) as f32));
        }
        Ok(answer)
    }

    fn user(&self, user: usize) -> &User {
        &self.users[user]
    }
}

/// The columns of some rows that the click function looks at, as positions in its lists.
struct Circumstances {
    users: Coded,
    times: Vec<Option<i64>>,
    age: Vec<usize>,
    gender: Vec<usize>,
    city: Vec<usize>,
    language: Vec<usize>,
    device: Vec<usize>,
    page: Vec<usize>,
    position: Vec<f64>,
}

impl Circumstances {
    fn read(log: &LogFrame, rows: &[u32]) -> Result<Self> {
        let places = IdxCa::from_vec("rows".into(), rows.iter().map(|&row| row as IdxSize).collect());
        let frame = log.frame.take(&places).explain("cannot look up rows of the log")?;
        let log = LogFrame { frame, ..log.clone() };
        Ok(Self {
            users: cells::coded(&log, "user_id")?,
            times: cells::times(&log, "time")?,
            age: positions(&log, "age_band", &truth::AGE_BANDS)?,
            gender: positions(&log, "gender", &truth::GENDERS)?,
            city: positions(&log, "city", &truth::CITIES)?,
            language: positions(&log, "language", &truth::LANGUAGES)?,
            device: positions(&log, "device", &truth::DEVICES)?,
            page: positions(&log, "page", &truth::PAGES)?,
            position: cells::numbers(&log, "slot_position")?,
        })
    }

    fn of(&self, world: &World, row: usize) -> Result<(Person, Moment)> {
        let user = self.users.values.get(self.users.codes[row] as usize);
        let user = user.and_then(|id| people::user_of_id(id)).and_then(|user| world.users.get(user));
        let person = Person {
            age: self.age[row],
            gender: self.gender[row],
            city: self.city[row],
            language: self.language[row],
            taste: user.map(|user| user.person.taste).unwrap_or_default(),
        };
        let millis = self.times[row].ok_or_else(|| unknown("time", "nothing"))?;
        let slot = self.position[row];
        if !(1.0..=truth::POSITIONS as f64).contains(&slot) {
            return Err(unknown("slot_position", &slot.to_string()));
        }
        Ok((person, draw::moment_at(millis, self.device[row], self.page[row], slot as usize - 1)))
    }
}

/// Each cell's position in a list of known values.
fn positions(log: &LogFrame, column: &str, known: &[&str]) -> Result<Vec<usize>> {
    let places: HashMap<&str, usize> = known.iter().copied().zip(0..).collect();
    let cells = cells::coded(log, column)?;
    let of_code: Vec<usize> = cells
        .values
        .iter()
        .map(|value| places.get(value.as_str()).copied().ok_or_else(|| unknown(column, value)))
        .collect::<Result<_>>()?;
    cells
        .codes
        .iter()
        .map(|&code| of_code.get(code as usize).copied().ok_or_else(|| unknown(column, "nothing")))
        .collect()
}

fn known_ad(id: &str) -> Result<usize> {
    inventory::ad_of_id(id).ok_or_else(|| unknown("ad_id", id))
}

fn unknown(column: &str, value: &str) -> Failure {
    Failure::new("cannot tell the true click probability", format!("the sample world has no '{value}'"))
        .at(format!("column {column}"))
}

/// `<stem>.<what>.<ending>` beside a file.
fn beside(path: &Path, what: &str, ending: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}.{what}.{ending}"))
}

fn ending(path: &Path) -> &str {
    path.extension().and_then(|ending| ending.to_str()).unwrap_or("parquet")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::schema::Role;
    use crate::metrics::Rate;
    use polars::prelude::{ParquetReader, SerReader};
    use std::fs::File;

    const ROWS: usize = 20_000;

    fn opened(path: &Path) -> LogFrame {
        let frame = ParquetReader::new(File::open(path).unwrap()).finish().unwrap();
        let mut log = LogFrame::from_frame(frame, &[("true_ctr", Role::Truth)]).unwrap();
        log.source =
            std::sync::Arc::new(crate::data::frame::Source { path: path.to_owned(), ..Default::default() });
        log
    }

    #[test]
    fn the_world_of_a_log_gives_the_truth_of_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.parquet");
        generate(ROWS, 11, &path, &JobContext::detached()).unwrap();
        let log = opened(&path);
        let world = World::for_log(&log).unwrap();
        let truth = cells::numbers(&log, "true_ctr").unwrap();
        let ads = cells::coded(&log, "ad_id").unwrap();
        let rows: Vec<u32> = (0..ROWS as u32).step_by(97).collect();
        let p = world.p_click(&log, &rows, &ads.values).unwrap();
        for (place, &row) in rows.iter().enumerate() {
            let own = ads.codes[row as usize] as usize;
            let told = truth[row as usize];
            assert!((f64::from(p[place * ads.values.len() + own]) - told).abs() < 1e-6);
        }
        let failure = world.p_click(&log, &rows, &["ad_999".to_owned()]).unwrap_err();
        assert!(failure.why.contains("ad_999"), "{failure}");
        std::fs::remove_file(folder.path().join("log.world.json")).unwrap();
        assert!(World::for_log(&log).is_none(), "a log without its side file has no known truth");
    }

    #[test]
    fn clicks_follow_the_truth_in_every_tenth_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.parquet");
        generate(ROWS, 4, &path, &JobContext::detached()).unwrap();
        let log = opened(&path);
        let truth = cells::numbers(&log, "true_ctr").unwrap();
        let clicks = cells::numbers(&log, "click").unwrap();
        let mut order: Vec<usize> = (0..ROWS).collect();
        order.sort_by(|&a, &b| truth[a].total_cmp(&truth[b]));
        let mut outside = 0;
        for tenth in order.chunks(ROWS / 10) {
            let n = tenth.len() as f64;
            let seen = Rate::wilson(tenth.iter().map(|&row| clicks[row]).sum(), n);
            let mean = tenth.iter().map(|&row| truth[row]).sum::<f64>() / n;
            outside += usize::from(mean < seen.low || mean > seen.high);
        }
        // Ten 95 % intervals: three or more outside happens in 1.2 % of fair worlds; the seed is fixed.
        assert!(outside <= 2, "{outside} of 10 tenths lie outside their interval");
        let overall = clicks.iter().sum::<f64>() / ROWS as f64;
        assert!((0.04..0.065).contains(&overall), "{overall}");
        let auc = crate::metrics::ranking::auc(
            &truth.iter().map(|p| *p as f32).collect::<Vec<_>>(),
            &clicks.iter().map(|c| *c as f32).collect::<Vec<_>>(),
            &[],
        );
        assert!(auc.is_some_and(|auc| (0.77..0.85).contains(&auc)), "{auc:?}");
    }

    #[test]
    fn the_same_seed_writes_the_same_bytes_in_every_format() {
        let folder = tempfile::tempdir().unwrap();
        for ending in ["parquet", "csv", "jsonl"] {
            let write = |name: &str, seed| {
                let path = folder.path().join(format!("{name}.{ending}"));
                generate(500, seed, &path, &JobContext::detached()).unwrap();
                std::fs::read(path).unwrap()
            };
            let first = write("a", 1);
            assert_eq!(first, write("b", 1), "{ending}");
            assert_ne!(first, write("c", 2), "{ending}");
        }
        let csv = std::fs::read_to_string(folder.path().join("a.csv")).unwrap();
        assert!(csv.lines().nth(1).is_some_and(|row| row.starts_with("2026-08-24T")), "{csv:.300}");
        let failure = generate(500, 1, Path::new("x.xlsx"), &JobContext::detached()).unwrap_err();
        assert!(failure.hint.contains(".parquet"));
        assert!(generate(3, 1, Path::new("x.csv"), &JobContext::detached()).is_err());
    }

    #[test]
    fn the_shipped_log_is_what_its_readme_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample_data/log.parquet");
        let options = crate::data::importers::ImportOptions::default();
        let log = crate::data::importers::open(&path, &options, &JobContext::detached()).unwrap();
        let world = World::for_log(&log).unwrap();
        assert_eq!(world.card, WorldCard { version: WORLD_VERSION, seed: 28, rows: 100_000 });
        let roles: Vec<_> = log.schema.columns.iter().map(|c| (c.name.as_str(), c.role)).collect();
        let readme = include_str!("../../sample_data/README.md");
        for (name, role) in roles {
            let line = readme.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).unwrap();
            assert_eq!(line.split('|').nth(3).map(str::trim), Some(role.id()), "{name}");
        }
        // The generator of today still draws this log: one ad's truth in every thousandth row.
        let truth = cells::numbers(&log, "true_ctr").unwrap();
        let ads = cells::coded(&log, "ad_id").unwrap();
        for row in (0..100_000u32).step_by(1_000) {
            let own = ads.values[ads.codes[row as usize] as usize].clone();
            let p = world.p_click(&log, &[row], &[own]).unwrap();
            assert!((f64::from(p[0]) - truth[row as usize]).abs() < 1e-6, "row {row}");
        }
    }
}
