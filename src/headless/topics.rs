//! `adloupe topics`: can topics be learnt from texts that people labelled, and how much better than by likeness alone?

use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::files::write_atomically;
use crate::base::{Result, failure::Explain};
use crate::data::LogFrame;
use crate::data::cells::coded;
use crate::language::sentence::SentenceEncoder;
use crate::language::topic_model::{Judged, Labelled, TopicModel, judge};
use crate::language::topics::Topics;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Which texts and labels.
#[derive(Debug, clap::Args)]
#[command(
    about = "Learns topics from labelled texts, judges them on held-out ones beside likeness alone, and keeps them for \
             'adloupe text --trained'"
)]
pub struct Args {
    /// A table with texts and their topics.
    #[command(flatten)]
    source: SourceArgs,
    /// The column of texts.
    #[arg(long, value_name = "COLUMN")]
    text: String,
    /// The column of topics.
    #[arg(long, value_name = "COLUMN")]
    label: String,
    /// Learns on the vectors of this sentence encoder: a folder with config.json, model.safetensors and tokenizer.json.
    #[arg(long, value_name = "FOLDER")]
    encoder: Option<PathBuf>,
    /// Keeps what was learnt from all texts in this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Judges, and learns where asked.
///
/// # Errors
/// A table that cannot be read or lacks the columns, too few labels, or what the disk answers.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let log = args.source.open(&context)?;
    let labelled = labelled(&log, &args.text, &args.label)?;
    let encoder = args.encoder.as_deref().map(SentenceEncoder::open).transpose()?;
    let judged = judge(&labelled, &Topics::shipped()?, encoder.as_ref(), &context)?;
    let mut text = text_of(&judged);
    if let Some(path) = &args.out {
        let model = TopicModel::fit(&labelled, encoder.as_ref(), &context)?;
        write_atomically(path, |out| serde_json::to_writer(out, &model).explain("cannot write the topics"))?;
        // Writing into a String cannot fail.
        let _ = writeln!(text, "learnt from all {} texts and kept in {}", judged.texts, path.display());
    }
    Ok(Answer {
        text,
        json: json!({ "judged": serde_json::to_value(&judged).explain("cannot write the answer")? }),
    })
}

fn labelled(log: &LogFrame, text: &str, label: &str) -> Result<Vec<Labelled>> {
    let (texts, labels) = (coded(log, text)?, coded(log, label)?);
    let rows = texts.codes.iter().zip(labels.codes.iter());
    let one = |(text, label): (&u32, &u32)| {
        let (text, topic) = (texts.values.get(*text as usize)?, labels.values.get(*label as usize)?);
        Some(Labelled { text: text.clone(), topic: topic.clone() })
    };
    Ok(rows.filter_map(one).collect())
}

/// How good learnt topics are, in lines.
pub(super) fn text_of(judged: &Judged) -> String {
    let mut text = format!(
        "{} texts of {} topics as {} reads them, each judged by a model that never met it\n  learnt          {}\n  by likeness     {}\n  most \
         frequent   {}\n  learnt less by likeness {}\n",
        judged.texts,
        judged.topics,
        judged.by,
        judged.trained.estimate().in_percent(),
        judged.zero_shot.estimate().in_percent(),
        judged.most_frequent.estimate().in_percent(),
        judged.gain.in_words(3)
    );
    for (topic, rate) in &judged.by_topic {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "  {topic}: {} of {:.0}", rate.estimate().in_percent(), rate.trials);
    }
    for note in &judged.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}
