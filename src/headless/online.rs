//! `adloupe online`: learns from a log of any length in one pass, row by row, and from rows that come to it.

use super::source::SourceArgs;
use super::train::name_value;
use super::{Answer, Terminal};
use crate::base::files::check_writable;
use crate::base::params::Params;
use crate::base::{Failure, Result};
use crate::data::LogFrame;
use crate::data::follow::{Follower, News};
use crate::data::hashed::{HashedRows, Hashing};
use crate::jobs::JobContext;
use crate::train::online::progress::{Alarm, Progress};
use crate::train::online::{ONLINE_PARAMS, Online};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Learns from a log in one pass, each row scored before it is learnt from, and tells when the log has changed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// A knob, name=value; may be given again. learner=linear, fm or ffm.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_value)]
    set: Vec<(String, String)>,
    /// Folder for what was learnt; also written when Ctrl-C stops it.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Goes on with what another run wrote with --out.
    #[arg(long, value_name = "FOLDER", conflicts_with = "set")]
    from: Option<PathBuf>,
    /// Scores and learns nothing: how a saved learner does on this log.
    #[arg(long, requires = "from")]
    frozen: bool,
    /// File for the probability of each row, as it was before the row was learnt from; one a line.
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Waits for rows that come to the log, until Ctrl-C.
    #[arg(long)]
    follow: bool,
    /// With --follow: ends when no row came for so many seconds.
    #[arg(long, value_name = "SECONDS", requires = "follow")]
    patience: Option<f64>,
}

/// Between two looks at a file that is followed.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Rows between two lines of progress.
const TELL_EVERY: u64 = 1_000_000;

/// Learns, tells, saves.
///
/// # Errors
/// The log cannot be read or learnt from, a knob is refused, its columns changed, or a file cannot be written.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    if let Some(folder) = &args.out {
        check_writable("cannot save the online learner", folder)?;
    }
    let log = args.source.open(&context)?;
    let mut session = Learning::begin(args, &log)?;
    let learnt = session.whole(args, log, &context);
    // What was learnt before a stop or a failure is kept all the same.
    if let Some(folder) = &args.out {
        session.learner.save(folder)?;
    }
    match learnt {
        Err(failure) if failure.is_cancelled() => Terminal::note("stopped; what was learnt so far counts"),
        Err(failure) => return Err(session.with_what_is_kept(failure, args.out.as_deref())),
        Ok(()) => {}
    }
    session.finish_scores()?;
    Ok(session.answer(args))
}

struct Learning {
    learner: Online,
    learns: bool,
    scores: Option<(PathBuf, std::io::BufWriter<std::fs::File>)>,
    told_rows: u64,
    told_alarms: usize,
    seconds: f64,
    /// Rows that were there before this run.
    before: u64,
}

impl Learning {
    fn begin(args: &Args, log: &LogFrame) -> Result<Self> {
        let memory = args.source.options()?.memory();
        let learner = match &args.from {
            Some(folder) => Online::load(folder, memory)?,
            None => {
                let mut params = Params::defaults(ONLINE_PARAMS);
                for (name, value) in &args.set {
                    params.set(ONLINE_PARAMS, name, value)?;
                }
                Online::new(&params, Hashing::of(log)?, memory)?
            }
        };
        let scores = match &args.scores {
            Some(path) => {
                let file = std::fs::File::create(path).map_err(|error| unwritten(path, &error))?;
                Some((path.clone(), std::io::BufWriter::new(file)))
            }
            None => None,
        };
        let before = learner.progress.whole.rows;
        let told_alarms = learner.progress.alarms.len();
        Ok(Self {
            learner,
            learns: !args.frozen,
            scores,
            told_rows: before,
            told_alarms,
            seconds: 0.0,
            before,
        })
    }

    /// All rows of the log, then those that come to it.
    fn whole(&mut self, args: &Args, log: LogFrame, context: &JobContext) -> Result<()> {
        let options = args.source.options()?;
        if !args.follow {
            return self.pass(args, &log, context);
        }
        let (mut follower, log) = Follower::start(log, &options, context)?;
        self.pass(args, &log, context)?;
        let mut last = Instant::now();
        while args.patience.is_none_or(|most| last.elapsed().as_secs_f64() < most) {
            context.check()?;
            match follower.poll(context)? {
                News::Nothing => std::thread::sleep(LOOK_EVERY),
                News::Rows(more) => {
                    let rows = self.learner.hashing.rows(&more)?;
                    self.take(&rows)?;
                    last = Instant::now();
                }
                News::Restarted(why) => {
                    Terminal::note(&format!("reading the log from its start: {why}"));
                    let (again, log) = Follower::start(args.source.open(context)?, &options, context)?;
                    follower = again;
                    self.pass(args, &log, context)?;
                    last = Instant::now();
                }
            }
        }
        Terminal::note("no row came for as long as --patience says");
        Ok(())
    }

    fn pass(&mut self, args: &Args, log: &LogFrame, context: &JobContext) -> Result<()> {
        let hashing = self.learner.hashing.clone();
        let options = args.source.options()?;
        hashing.each_block(log, (&args.source.files, &options), context, |rows| self.take(rows))
    }

    fn take(&mut self, rows: &HashedRows) -> Result<()> {
        let begun = Instant::now();
        let mut written = Ok(());
        self.learner.take(rows, self.learns, |score| {
            if let Some((path, out)) = &mut self.scores
                && written.is_ok()
            {
                written = writeln!(out, "{score}").map_err(|error| unwritten(path, &error));
            }
        });
        self.seconds += begun.elapsed().as_secs_f64();
        let progress = &self.learner.progress;
        if progress.whole.rows >= self.told_rows + TELL_EVERY {
            self.told_rows = progress.whole.rows;
            Terminal::note(&line(progress));
        }
        for alarm in &progress.alarms[self.told_alarms..] {
            Terminal::note(&words(alarm));
        }
        self.told_alarms = progress.alarms.len();
        written
    }

    fn finish_scores(&mut self) -> Result<()> {
        match &mut self.scores {
            Some((path, out)) => out.flush().map_err(|error| unwritten(path, &error)),
            None => Ok(()),
        }
    }

    fn with_what_is_kept(&self, failure: Failure, out: Option<&Path>) -> Failure {
        let rows = self.learner.progress.whole.rows;
        let hint = match out {
            Some(folder) => format!("{}; what {rows} rows taught is in {}", failure.hint, folder.display()),
            None => format!("{}; --out FOLDER keeps what was learnt until then", failure.hint),
        };
        failure.hint(hint)
    }

    fn answer(&self, args: &Args) -> Answer {
        let Online { params, progress, hashing, .. } = &self.learner;
        let rows = progress.whole.rows;
        let speed = (rows - self.before) as f64 / self.seconds.max(1e-9);
        let (loss, auc) = (progress.log_loss(), progress.auc());
        let json = json!({
            "learner": params.choice("learner").unwrap_or_default(),
            "rows": rows,
            "columns": hashing.fields(),
            "clicks": progress.whole.clicks,
            "log_loss": loss.map(|loss| loss.value),
            "log_loss_interval": loss.map(|loss| [loss.low, loss.high]),
            "normalized_entropy": progress.whole.normalized_entropy(),
            "predicted_over_actual": progress.whole.predicted_over_actual(),
            "auc": auc.map(|(auc, _)| auc),
            "auc_error_bound": auc.map(|(_, error)| error),
            "weights": self.learner.nonzero(),
            "alarms": progress.alarms,
            "back_in_time": progress.back_in_time,
            "without_outcome": progress.without_outcome,
            "examples_per_second": speed,
            "out": args.out.as_ref().map(|folder| folder.display().to_string()),
        });
        let mut lines = vec![
            format!("{rows} rows of {} columns, each scored before it was learnt from", hashing.fields()),
            line(progress),
            format!("{:.0} examples/s, {} linear weights", speed, self.learner.nonzero()),
        ];
        if progress.back_in_time > 0 {
            lines.push(format!(
                "{} rows are older than a row before them: they were learnt in the order of the log, so the numbers above \
                 also tell of rows that a later one had taught",
                progress.back_in_time
            ));
        }
        if progress.without_outcome > 0 {
            lines.push(format!("{} rows without an outcome taught nothing", progress.without_outcome));
        }
        lines.extend(progress.alarms.iter().map(words));
        lines.push(match &args.out {
            Some(folder) => format!("saved in {}", folder.display()),
            None => "not saved (no --out)".to_owned(),
        });
        Answer { text: lines.join("\n"), json }
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new("cannot write the scores", error).at(path.display()).hint("another file for --scores")
}

/// The numbers so far.
fn line(progress: &Progress) -> String {
    let known =
        |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.4}"));
    let loss = progress.log_loss().map_or_else(
        || "unknown".to_owned(),
        |loss| format!("{:.5} ({:.5} to {:.5})", loss.value, loss.low, loss.high),
    );
    format!(
        "{} rows: log loss {loss}, normalised entropy {}, AUC {}, predicted/actual {}",
        progress.whole.rows,
        known(progress.whole.normalized_entropy()),
        known(progress.auc().map(|(auc, _)| auc)),
        known(progress.whole.predicted_over_actual())
    )
}

/// An alarm for people.
fn words(alarm: &Alarm) -> String {
    let Alarm { row, detector, of, from_to: [from, to], .. } = alarm;
    format!("changed by row {row} ({detector}): {of} from {from:.4} to {to:.4}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn args(line: &[&str]) -> Args {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        clap::Parser::try_parse_from([&["online"], line].concat()).map(|line: Line| line.args).unwrap()
    }

    fn csv(rows: std::ops::Range<u32>) -> String {
        rows.fold(String::new(), |mut text, row| {
            let (user, ad) = (row * 7919 % 97, row * 31 % 11);
            let _ = writeln!(
                text,
                "{},u{user},ad{ad},{}",
                1_700_000_000 + row,
                u8::from((user + row) % 3 == 0 && ad % 2 == 0)
            );
            text
        })
    }

    #[test]
    fn one_pass_in_two_runs_is_one_pass_and_scores_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let head = "time,user_id,ad_id,clicked\n";
        for (name, rows) in [("all.csv", 0..6000), ("first.csv", 0..4000), ("second.csv", 4000..6000)] {
            std::fs::write(path(name), format!("{head}{}", csv(rows))).unwrap();
        }
        let terminal = Terminal::default();
        let learn = |line: &[&str]| run(&args(line), &terminal).unwrap().json;
        let whole = learn(&[&path("all.csv"), "--scores", &path("scores.txt"), "--set", "learner=fm"]);
        learn(&[&path("first.csv"), "--out", &path("kept"), "--set", "learner=fm"]);
        let more = learn(&[&path("second.csv"), "--from", &path("kept"), "--out", &path("kept")]);
        assert_eq!(whole["rows"], 6000);
        for key in ["rows", "log_loss", "auc", "clicks"] {
            assert_eq!(whole[key], more[key], "{key}");
        }
        assert_eq!(std::fs::read_to_string(path("scores.txt")).unwrap().lines().count(), 6000);
        let frozen = learn(&[&path("all.csv"), "--from", &path("kept"), "--frozen"]);
        assert_eq!(frozen["rows"], 12_000);
    }

    #[test]
    fn a_followed_log_is_learnt_from_until_it_stops_and_a_new_schema_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        let kept = folder.path().join("kept").display().to_string();
        let name = path.display().to_string();
        std::fs::write(&path, format!("time,user_id,ad_id,clicked\n{}", csv(0..3000))).unwrap();
        let line = [&name, "--follow", "--patience", "4", "--out", &kept].map(String::from);
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let answer = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(1500));
                let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
                file.write_all(csv(3000..4000).as_bytes()).unwrap();
            });
            run(&args(&line), &Terminal::default()).unwrap()
        });
        assert_eq!(answer.json["rows"], 4000, "{}", answer.text);
        // The log comes back with another column, and older than it was.
        std::fs::write(&path, format!("time,user_id,page,clicked\n{}", csv(0..3000))).unwrap();
        let failure =
            run(&args(&[&name, "--from", &kept, "--out", &kept]), &Terminal::default()).unwrap_err();
        assert!(failure.why.contains("'ad_id'") && failure.hint.contains("4000 rows"), "{failure}");
        std::fs::write(&path, format!("time,user_id,ad_id,clicked\n{}", csv(0..100))).unwrap();
        let answer = run(&args(&[&name, "--from", &kept]), &Terminal::default()).unwrap();
        assert_eq!(answer.json["back_in_time"], 100);
        assert!(answer.text.contains("older than a row before"), "{}", answer.text);
    }
}
