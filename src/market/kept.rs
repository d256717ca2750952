//! How is a simulation kept, so that others can doubt it, remark on it and run it again?
//!
//! One JSON file a scenario: the spec with its campaigns spelled out, prints of the log and of the saved models that it
//! ran on, a run a seed with the figures of both worlds, and remarks with their authors. Whoever opens it runs it again
//! with the same seeds and must get the same figures, or with others and sees what was luck. A log or model that is gone
//! or no longer the same is refused by name: its figures would be those of something else.

use super::opening;
use super::outcome::{Difference, Outcome, Totals};
use super::scoring::{self, Inputs, Prepared};
use super::simulation::{RunOptions, simulate};
use super::spec::{MarketSpec, ModelSource};
use crate::base::calendar;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::{Failure, Result, failure::Explain};
use crate::jobs::{JobContext, Latest};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use xxhash_rust::xxh3::Xxh3;

/// The form that this program writes. A newer one is refused, not guessed at.
pub const FORMAT: u32 = 1;

/// A remark has so many characters at most.
const LONGEST_REMARK: usize = 10_000;
/// Seeds of one question at most.
const MOST_SEEDS: usize = 1_000;

/// A scenario with what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Version of the file's form; see [`FORMAT`].
    pub format: u32,
    /// The program that ran it.
    pub software: String,
    /// What people call it.
    pub name: String,
    /// What was simulated; its paths are relative to the file's folder, its seed is each run's own.
    pub spec: MarketSpec,
    /// What the log and the saved models were.
    pub prints: Vec<Print>,
    /// One a seed, in the order in which they were run.
    pub runs: Vec<KeptRun>,
    /// What people said of it, oldest first.
    #[serde(default)]
    pub remarks: Vec<Remark>,
}

/// What a file, or the files of a folder, were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// Relative to the scenario's folder.
    pub path: PathBuf,
    /// All their bytes.
    pub bytes: u64,
    /// XXH3 of their contents.
    pub hash: String,
}

/// What one seed brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptRun {
    /// Its seed.
    pub seed: u64,
    /// Pages asked for.
    pub requests: u64,
    /// Where its clicks came from, in words.
    pub clicks_from: String,
    /// The world as it is.
    pub baseline: Totals,
    /// The world as it might be.
    #[serde(default)]
    pub what_if: Option<Totals>,
    /// What-if minus baseline.
    #[serde(default)]
    pub difference: Option<Difference>,
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// Who.
    pub by: String,
    /// When, UTC.
    pub at: String,
    /// What.
    pub text: String,
}

/// The spec with the campaigns that bid spelled out, so that it runs the same market on its own; rivals are there already.
pub fn spelled_out(spec: &MarketSpec, prepared: &Prepared) -> MarketSpec {
    let rivals: usize = spec.rivals.iter().map(|rivals| rivals.bidders as usize).sum();
    let mut campaigns = prepared.campaigns.clone();
    campaigns.truncate(campaigns.len().saturating_sub(rivals));
    MarketSpec { campaigns, ..spec.clone() }
}

/// Seeds from text: `1,2,5-9`.
///
/// # Errors
/// Text that is none, the same seed twice, or more than `MOST_SEEDS`.
pub fn seeds(text: &str) -> Result<Vec<u64>> {
    let refuse = |why: String| Failure::new("cannot read the seeds", why).hint("such as 1,2,5-9");
    let mut all = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse().map_err(|_| refuse(format!("'{part}' is no seed")));
        let (first, last): (u64, u64) = (number(first)?, number(last)?);
        if last < first || last - first >= MOST_SEEDS as u64 || all.len() >= MOST_SEEDS {
            return Err(refuse(format!("'{part}' is not 1 to {MOST_SEEDS} seeds, the smallest first")));
        }
        all.extend(first..=last);
    }
    let mut sorted = all.clone();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(refuse(format!(
            "{} is named twice, and the same seed brings the same figures",
            twice[0]
        )));
    }
    Ok(all)
}

impl Kept {
    /// Keeps a spec that was not run yet. Its paths are relative to `from`; those of the scenario will be to `folder`.
    ///
    /// # Errors
    /// No name, or a log or model that cannot be read.
    pub fn new(name: &str, spec: &MarketSpec, from: &Path, folder: &Path) -> Result<Self> {
        let name = name.trim();
        if name.is_empty() {
            return Err(Failure::new("cannot keep the scenario", "it has no name").hint("give it one"));
        }
        let moved = |path: &Path| moved(&from.join(path), folder);
        let mut spec = spec.clone();
        spec.log = moved(&spec.log)?;
        let sources =
            std::iter::once(&mut spec.model).chain(&mut spec.conversions).chain(&mut spec.click_model);
        for source in sources {
            if let ModelSource::Folder(path) = source {
                *path = moved(path)?;
            }
        }
        let prints = files_of(&spec).map(|path| print(folder, path)).collect::<Result<_>>()?;
        let software = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Self {
            format: FORMAT,
            software,
            name: name.to_owned(),
            spec,
            prints,
            runs: Vec::new(),
            remarks: Vec::new(),
        })
    }

    /// Adds what came of a run; one of the same seed and length is replaced.
    ///
    /// # Errors
    /// A run too short for an interval.
    pub fn ran(&mut self, spec: &MarketSpec, prepared: &Prepared, outcome: &Outcome) -> Result<()> {
        if outcome.requests < 2 {
            return Err(Failure::new("cannot keep the run", "a run of one page has no intervals")
                .hint("ask for more requests"));
        }
        // From here on the campaigns are those that bid, whatever the log may say of itself later.
        self.spec.campaigns = spelled_out(&self.spec, prepared).campaigns;
        let run = KeptRun {
            seed: spec.seed,
            requests: outcome.requests,
            clicks_from: prepared.clicks_from.clone(),
            baseline: outcome.baseline.totals.clone(),
            what_if: outcome.what_if.as_ref().map(|world| world.totals.clone()),
            difference: outcome.difference,
        };
        self.runs.retain(|known| (known.seed, known.requests) != (run.seed, run.requests));
        self.runs.push(run);
        Ok(())
    }

    /// Opens the log and the models, if they are still what they were.
    ///
    /// # Errors
    /// A log or model that is gone, has changed, or cannot be read; a cancel.
    pub fn open(&self, folder: &Path, context: &JobContext, told: &dyn Fn(&str)) -> Result<Inputs> {
        self.check_files(folder)?;
        opening::inputs(&self.spec, folder, context, told)
    }

    /// Whether the log and the models are still what they were.
    ///
    /// # Errors
    /// One is gone or has changed.
    pub fn check_files(&self, folder: &Path) -> Result<()> {
        let what = "cannot run the scenario again";
        for path in files_of(&self.spec) {
            let full = folder.join(path);
            let whose = if *path == self.spec.log { "log" } else { "model" };
            if !full.exists() {
                return Err(Failure::new(what, format!("its {whose} is gone"))
                    .at(full.display())
                    .hint("put it back, or keep the scenario anew with another one"));
            }
            let known = self.prints.iter().find(|print| print.path == *path).ok_or_else(|| {
                Failure::new(what, format!("the file does not say what its {whose} was")).at(full.display())
            })?;
            let now = print(folder, path)?;
            if now != *known {
                let why = format!(
                    "its {whose} has changed: {} bytes with hash {} were {} bytes with hash {}",
                    now.bytes, now.hash, known.bytes, known.hash
                );
                return Err(Failure::new(what, why)
                    .at(full.display())
                    .hint("its figures are those of the former one; keep the scenario anew for this one"));
            }
        }
        Ok(())
    }

    /// Runs it with other seeds and adds the runs.
    ///
    /// # Errors
    /// What [`open`](Self::open) and the market answer; a cancel.
    pub fn rerun(
        &mut self,
        seeds: &[u64],
        folder: &Path,
        context: &JobContext,
        told: &dyn Fn(&str),
    ) -> Result<()> {
        let inputs = self.open(folder, context, told)?;
        for seed in seeds {
            context.check()?;
            told(&format!("running with seed {seed}"));
            let spec = MarketSpec { seed: *seed, ..self.spec.clone() };
            let (prepared, outcome) = run(&spec, &inputs, context)?;
            self.ran(&spec, &prepared, &outcome)?;
        }
        Ok(())
    }

    /// Runs every kept run again; true for each that brings the very same figures.
    ///
    /// # Errors
    /// As [`rerun`](Self::rerun).
    pub fn reproduced(
        &self,
        folder: &Path,
        context: &JobContext,
        told: &dyn Fn(&str),
    ) -> Result<Vec<(u64, bool)>> {
        let inputs = self.open(folder, context, told)?;
        let mut again = Self { runs: Vec::new(), ..self.clone() };
        self.runs
            .iter()
            .map(|known| {
                context.check()?;
                told(&format!("running with seed {}", known.seed));
                let spec = MarketSpec { seed: known.seed, requests: known.requests, ..self.spec.clone() };
                let (prepared, outcome) = run(&spec, &inputs, context)?;
                again.ran(&spec, &prepared, &outcome)?;
                Ok((known.seed, again.runs.last() == Some(known)))
            })
            .collect()
    }

    /// Adds what somebody says of it.
    ///
    /// # Errors
    /// Nobody, nothing, or too much of it.
    pub fn remark(&mut self, by: &str, text: &str, when: SystemTime) -> Result<()> {
        let (by, text) = (by.trim(), text.trim());
        let refuse = |why: &str, hint: &str| Err(Failure::new("cannot add the remark", why).hint(hint));
        if by.is_empty() {
            return refuse("nobody is named as its author", "say who makes it");
        }
        if text.is_empty() {
            return refuse("it says nothing", "write what is to be remembered");
        }
        if text.chars().count() > LONGEST_REMARK {
            return refuse(
                "it has more than 10,000 characters",
                "keep long texts elsewhere and name the place",
            );
        }
        let since = when.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at = calendar::moment(i64::try_from(since.as_millis()).unwrap_or(0));
        self.remarks.push(Remark { by: by.to_owned(), at, text: text.to_owned() });
        Ok(())
    }

    /// Writes the file whole or not at all. Paths that were relative to `from` become relative to the file's folder.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn save(&self, from: &Path, path: &Path) -> Result<()> {
        let what = "cannot save the scenario";
        let text = serde_json::to_string_pretty(&self.moved(from, folder_of(path))?).explain(what)?;
        write_atomically(path, |out| out.write_all(text.as_bytes()).explain(what))
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// What the disk answers; a file that is none, or of a newer version.
    pub fn load(path: &Path) -> Result<Self> {
        let what = "cannot open the scenario";
        let text = fs::read_to_string(path).map_err(|error| disk_failure(what, path, &error))?;
        let broken = |why: String, hint: &str| Failure::new(what, why).at(path.display()).hint(hint);
        let hint = "a file that `adloupe scenario keep` or Evidence > Scenarios wrote";
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| broken(error.to_string(), hint))?;
        let format = value.get("format").and_then(serde_json::Value::as_u64);
        if let Some(format) = format.filter(|format| *format > u64::from(FORMAT)) {
            let why = format!("it has form {format}; this program reads up to {FORMAT}");
            return Err(broken(why, "open it with a newer adloupe"));
        }
        serde_json::from_value(value).map_err(|error| broken(error.to_string(), hint))
    }

    /// Writes the spec as `adloupe simulate` reads it and a table of all figures, each run with the command that gives
    /// them. Answers with the two files.
    ///
    /// # Errors
    /// What the disk answers; a log or model that is gone or has changed.
    pub fn export(&self, from: &Path, folder: &Path) -> Result<[PathBuf; 2]> {
        let what = "cannot export the scenario";
        self.check_files(from)?;
        fs::create_dir_all(folder).map_err(|error| disk_failure(what, folder, &error))?;
        let name: String =
            self.name.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect();
        let (spec, table) = (folder.join(format!("{name}.spec.json")), folder.join(format!("{name}.csv")));
        let text = serde_json::to_string_pretty(&self.moved(from, folder)?.spec).explain(what)?;
        write_atomically(&spec, |out| out.write_all(text.as_bytes()).explain(what))?;
        write_atomically(&table, |out| self.write_table(out, &spec).explain(what))?;
        Ok([spec, table])
    }

    /// The command that gives a run's figures from an exported spec.
    pub fn command(run: &KeptRun, spec: &Path) -> String {
        let path = spec.display().to_string();
        let quoted = path.replace('\'', r"'\''");
        format!("adloupe simulate '{quoted}' --seed {} --requests {} --json", run.seed, run.requests)
    }

    fn write_table(&self, out: &mut impl Write, spec: &Path) -> std::io::Result<()> {
        writeln!(out, "scenario,seed,requests,world,figure,value,low,high,command")?;
        for run in &self.runs {
            let command = cell(&Self::command(run, spec));
            let (scenario, seed, requests) = (cell(&self.name), run.seed, run.requests);
            for (world, totals) in run.worlds() {
                let rate = |rate: crate::metrics::Rate| (rate.rate, Some((rate.low, rate.high)));
                let revenue = totals.revenue_per_mille;
                let figures = [
                    ("impressions", (totals.impressions as f64, None)),
                    ("clicks", (totals.clicks as f64, None)),
                    ("conversions", (totals.conversions as f64, None)),
                    ("fill", rate(totals.fill)),
                    ("ctr", rate(totals.ctr)),
                    ("revenue", (totals.revenue, None)),
                    ("revenue_per_mille", (revenue.value, Some((revenue.low, revenue.high)))),
                ];
                for (figure, (value, interval)) in figures {
                    let (low, high) = interval
                        .map_or_else(Default::default, |(low, high)| (low.to_string(), high.to_string()));
                    writeln!(
                        out,
                        "{scenario},{seed},{requests},{world},{figure},{value},{low},{high},{command}"
                    )?;
                }
            }
        }
        Ok(())
    }

    /// The same with paths relative to another folder.
    fn moved(&self, from: &Path, to: &Path) -> Result<Self> {
        let mut kept = self.clone();
        let sources = std::iter::once(&mut kept.spec.model)
            .chain(&mut kept.spec.conversions)
            .chain(&mut kept.spec.click_model);
        let paths = sources.filter_map(|source| match source {
            ModelSource::Folder(path) => Some(path),
            ModelSource::Train { .. } => None,
        });
        let prints = kept.prints.iter_mut().map(|print| &mut print.path);
        for path in std::iter::once(&mut kept.spec.log).chain(paths).chain(prints) {
            *path = moved(&from.join(&*path), to)?;
        }
        Ok(kept)
    }
}

impl KeptRun {
    /// Its worlds by name.
    pub fn worlds(&self) -> impl Iterator<Item = (&'static str, &Totals)> {
        std::iter::once(("baseline", &self.baseline))
            .chain(self.what_if.iter().map(|totals| ("what-if", totals)))
    }
}

/// Runs a market once.
fn run(spec: &MarketSpec, inputs: &Inputs, context: &JobContext) -> Result<(Prepared, Outcome)> {
    let prepared = scoring::prepare(spec, inputs, None, context)?;
    let options = RunOptions { requests: prepared.requests, record: 0 };
    let run = simulate(&prepared.market, options, &Latest::default(), context)?;
    Ok((prepared, std::sync::Arc::unwrap_or_clone(run.outcome)))
}

/// The folder that a file's paths are relative to.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// A cell of delimited text.
fn cell(text: &str) -> String {
    let plain = !text.contains([',', '"', '\n', '\r']);
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

/// The log and the saved models of a spec, each once.
fn files_of(spec: &MarketSpec) -> impl Iterator<Item = &PathBuf> {
    let sources = std::iter::once(&spec.model).chain(&spec.conversions).chain(&spec.click_model);
    let folders = sources.filter_map(|source| match source {
        ModelSource::Folder(path) => Some(path),
        ModelSource::Train { .. } => None,
    });
    let mut paths: Vec<&PathBuf> = Vec::new();
    for path in std::iter::once(&spec.log).chain(folders) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths.into_iter()
}

/// A path as seen from a folder: relative to it where it lies in it, else from the root.
fn moved(path: &Path, folder: &Path) -> Result<PathBuf> {
    let absolute = |path: &Path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        std::path::absolute(path)
            .map_err(|error| disk_failure("cannot tell where a file of the scenario is", path, &error))
    };
    let (path, folder) = (absolute(path)?, absolute(folder)?);
    Ok(path.strip_prefix(&folder).map(Path::to_path_buf).unwrap_or(path))
}

/// What a file, or all files of a folder, are now.
fn print(folder: &Path, path: &Path) -> Result<Print> {
    let mut hash = Xxh3::new();
    let bytes = add_to_print(&mut hash, &folder.join(path))?;
    Ok(Print { path: path.to_owned(), bytes, hash: format!("{:032x}", hash.digest128()) })
}

fn add_to_print(hash: &mut Xxh3, path: &Path) -> Result<u64> {
    let explain = |error: std::io::Error| disk_failure("cannot read a file of the scenario", path, &error);
    if path.is_dir() {
        let entries =
            fs::read_dir(path).map_err(explain)?.collect::<std::io::Result<Vec<_>>>().map_err(explain)?;
        let mut names: Vec<_> = entries.iter().map(fs::DirEntry::file_name).collect();
        names.sort();
        let mut bytes = 0;
        for name in names {
            hash.update(name.as_encoded_bytes());
            bytes += add_to_print(hash, &path.join(name))?;
        }
        return Ok(bytes);
    }
    let mut file = File::open(path).map_err(explain)?;
    let (mut part, mut bytes) = (vec![0; 1 << 20], 0);
    loop {
        let read = file.read(&mut part).map_err(explain)?;
        if read == 0 {
            return Ok(bytes);
        }
        hash.update(&part[..read]);
        bytes += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_lists_and_spans_and_none_twice() {
        assert_eq!(seeds("7").unwrap(), [7]);
        assert_eq!(seeds("1, 2,5-7").unwrap(), [1, 2, 5, 6, 7]);
        for wrong in ["", "a", "5-2", "1,1", "1-3,2", "0-18446744073709551615", "-1"] {
            let failure = seeds(wrong).unwrap_err();
            assert!(failure.hint.contains("5-9"), "{wrong}: {failure}");
        }
    }

    #[test]
    fn a_path_is_relative_where_it_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("deep/log.csv");
        assert_eq!(moved(&inside, folder.path()).unwrap(), Path::new("deep/log.csv"));
        assert_eq!(moved(&inside, &folder.path().join("other")).unwrap(), inside);
    }

    #[test]
    fn cells_with_commas_are_quoted() {
        assert_eq!((cell("tea"), cell("a, \"b\"")), ("tea".to_owned(), "\"a, \"\"b\"\"\"".to_owned()));
    }

    #[test]
    fn a_remark_names_its_author_and_its_moment() {
        let spec = MarketSpec::new("log.csv".into(), ModelSource::Folder("model".into()));
        let mut kept = Kept {
            format: FORMAT,
            software: String::new(),
            name: "tea".into(),
            spec,
            prints: Vec::new(),
            runs: Vec::new(),
            remarks: Vec::new(),
        };
        let moment = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_772_373_900);
        kept.remark(" Ada ", "too dear", moment).unwrap();
        assert_eq!(
            kept.remarks[0],
            Remark { by: "Ada".into(), at: "2026-03-01 14:05".into(), text: "too dear".into() }
        );
        assert!(kept.remark("", "x", moment).unwrap_err().why.contains("nobody"));
        assert!(kept.remark("Ada", " ", moment).unwrap_err().why.contains("nothing"));
        assert!(kept.remark("Ada", &"x".repeat(10_001), moment).is_err());
    }
}
