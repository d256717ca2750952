//! `adloupe interests`: what is a user of a log interested in, by searches, pages and clicked ads?

use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::files::disk_failure;
use crate::base::{Result, failure::Explain};
use crate::data::query::subjects::{SubjectKind, list};
use crate::insight::interests::{ToldInterests, USUAL_HALF_LIFE, interests_of};
use crate::language::topics::Topics;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Users that are listed where none is named.
const LISTED: usize = 20;
/// Topics and texts that are told.
const TOLD: usize = 8;

/// Which log and user.
#[derive(Debug, clap::Args)]
#[command(
    about = "What a user is interested in: topics and near ads by searches, pages and clicked ads, with recency"
)]
pub struct Args {
    /// The log.
    #[command(flatten)]
    source: SourceArgs,
    /// The user; left out: lists those with the most impressions.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Days after which a text counts half.
    #[arg(long, value_name = "DAYS", default_value_t = USUAL_HALF_LIFE)]
    half_life: f64,
    /// A list of topics of your own, of the form of assets/topics.tsv.
    #[arg(long, value_name = "FILE")]
    topics: Option<PathBuf>,
}

/// Tells.
///
/// # Errors
/// A log that cannot be read, has no users or no texts, or lacks the user; Ctrl-C.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let log = args.source.open(&context)?;
    let Some(user) = &args.user else {
        let listed = list(&log, SubjectKind::User, &context)?.listed;
        let names: Vec<String> = listed.into_iter().take(LISTED).map(|one| one.name).collect();
        let text = format!("users with the most impressions; --user NAME tells of one\n{}", names.join("\n"));
        return Ok(Answer { text, json: json!({ "users": names }) });
    };
    let topics = match &args.topics {
        None => Topics::shipped()?,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| disk_failure("cannot read the topics", path, &error))?;
            Topics::parse(&text).map_err(|failure| failure.at(path.display()))?
        }
    };
    let told = interests_of(&log, user, args.half_life, &topics, &context)?;
    let json = serde_json::to_value(&told).explain("cannot write the answer")?;
    Ok(Answer { text: text_of(&told), json })
}

fn text_of(told: &ToldInterests) -> String {
    let mut text = format!(
        "{}: {} texts from {}; half as much after {} days\n",
        told.user,
        told.count,
        told.columns.join(", "),
        told.half_life
    );
    // Writing into a String cannot fail.
    for tag in told.interests.tags.iter().take(TOLD) {
        let words = tag.words.join(", ");
        let _ =
            writeln!(text, "{:>6.1} %  {} / {} ({words})", 100.0 * tag.weight, tag.labels[0], tag.labels[1]);
    }
    for one in told.texts.iter().take(TOLD) {
        let _ = writeln!(
            text,
            "  counts {:.2} ({:.1} days ago) {}: {}",
            one.weight, one.days_ago, one.column, one.text
        );
    }
    for near in &told.near {
        let words: Vec<String> =
            near.words.iter().map(|word| format!("{} {:+.2}", word.word, word.share)).collect();
        let _ = writeln!(text, "  near {:.2}: {} {} = {}", near.cosine, near.ad, near.text, words.join("  "));
    }
    text
}
