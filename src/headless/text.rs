//! `adloupe text`: what an ad text says, what it is about, and which other texts are nearly the same.

use super::{Answer, Terminal};
use crate::base::failure::Explain;
use crate::base::files::disk_failure;
use crate::base::{Failure, Result};
use crate::insight::heads::text::{TextHeads, text_heads};
use crate::jobs::JobContext;
use crate::language::chat::{ChatModel, Drawing, Written};
use crate::language::duplicates::{Pair, near_duplicates};
use crate::language::facts::{Fact, Names, facts};
use crate::language::sentence::SentenceEncoder;
use crate::language::style::{Language, Style, language_of, style_of};
use crate::language::topic_model::TopicModel;
use crate::language::topics::{Tag, Topics};
use crate::language::vectors::inner_product;
use crate::language::words::{Kind, seen_characters, tokens};
use crate::language::{Encoder, EncoderOptions, WordShare};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Likeness from which on two texts are nearly the same.
const NEARLY: f64 = 0.6;
/// Topics told of a text.
const TOPICS: usize = 3;
/// A text longer than this is no ad text.
const LONGEST: usize = 1 << 20;

/// Which texts, looked at how.
#[derive(Debug, clap::Args)]
#[command(about = "What ad texts say: language, facts with their places, topics, style, near-duplicates")]
pub struct Args {
    /// A file with one text a line (UTF-8).
    #[arg(required_unless_present = "say")]
    file: Option<PathBuf>,
    /// A text itself; may be given again.
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    say: Vec<String>,
    /// A name that may be advertised; may be given again.
    #[arg(long, value_name = "NAME")]
    product: Vec<String>,
    /// A name of who may advertise; may be given again.
    #[arg(long, value_name = "NAME")]
    advertiser: Vec<String>,
    /// A list of topics of your own, of the form of assets/topics.tsv.
    #[arg(long, value_name = "FILE")]
    topics: Option<PathBuf>,
    /// Topics that 'adloupe topics --out' learnt from labelled texts, beside those by likeness.
    #[arg(long, value_name = "FILE")]
    trained: Option<PathBuf>,
    /// Compares every text with this one, word by word.
    #[arg(long, value_name = "TEXT")]
    like: Option<String>,
    /// Compares by this sentence encoder as well, has it read for learnt topics, or tells of its heads: a folder with config.json, model.safetensors and
    /// tokenizer.json.
    #[arg(long, value_name = "FOLDER")]
    encoder: Option<PathBuf>,
    /// What each attention head of the sentence encoder looks at, and how the text's vector turns without it.
    #[arg(long, requires = "encoder", conflicts_with = "like")]
    heads: bool,
    /// Has this language model (GGUF) answer each text with one line instead.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["like", "encoder", "topics"])]
    model: Option<PathBuf>,
    /// Characters of a line that the model writes at most; they are its limit while it writes.
    #[arg(long, value_name = "N", requires = "model", default_value_t = 90)]
    characters: usize,
    /// Start of the model's draws.
    #[arg(long, value_name = "N", requires = "model", default_value_t = 1)]
    seed: u64,
    /// Texts told as text; --json has them all.
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
}

/// What is known of a text.
#[derive(Debug, Serialize)]
struct Known {
    text: String,
    language: Option<(Language, f64)>,
    facts: Vec<Fact>,
    topics: Vec<Tag>,
    /// The likeliest learnt topics with their chances.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    learnt: Vec<(String, f64)>,
    style: Style,
    words: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    likeness: Option<Likeness>,
}

/// How near a text is to another, and what each word adds.
#[derive(Debug, Serialize)]
struct Likeness {
    cosine: f32,
    words: Vec<WordShare>,
    /// The cosine by the sentence encoder that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_sentence: Option<f32>,
}

/// Reads and tells.
///
/// # Errors
/// A file that cannot be read or is no text, a list of topics of another form, Ctrl-C.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let texts = texts(args)?;
    if let Some(path) = &args.model {
        return written(path, &texts, args, &context);
    }
    if let Some(folder) = &args.encoder {
        if args.heads {
            return heads(folder, &texts, &context);
        }
        if args.like.is_none() && args.trained.is_none() {
            let why = "--encoder says by what, and nothing says what for";
            return Err(Failure::new("cannot tell of the texts", why)
                .hint("--like TEXT, --heads, or --trained FILE that was learnt with it"));
        }
    }
    let topics = match &args.topics {
        None => Topics::shipped()?,
        Some(path) => Topics::parse(&read(path)?).map_err(|failure| failure.at(path.display()))?,
    };
    let trained = args.trained.as_ref().map(trained).transpose()?;
    let names = Names { advertisers: args.advertiser.clone(), products: args.product.clone() };
    let all: Vec<&str> = texts.iter().map(String::as_str).collect();
    let other = match &args.like {
        None => None,
        Some(like) => {
            let mut known = all.clone();
            known.push(like);
            let encoder = Encoder::fit(&known, EncoderOptions::default(), &context)?;
            let vector = encoder.encode_one(like);
            Some((encoder, vector))
        }
    };
    let sentences = args.encoder.as_deref().map(SentenceEncoder::open).transpose()?;
    let mut by_topics = match &trained {
        Some(model) => learnt(model, &all, sentences.as_ref(), &context)?,
        None => vec![Vec::new(); all.len()],
    };
    let by_sentence = match (&sentences, &args.like) {
        (Some(encoder), Some(like)) => {
            let other = encoder.encode(&[like], &context)?;
            let vectors = encoder.encode(&all, &context)?;
            (0..all.len()).map(|at| inner_product(vectors.row(at), other.row(0))).collect()
        }
        _ => Vec::new(),
    };
    let mut known = Vec::with_capacity(texts.len());
    for (place, text) in texts.iter().enumerate() {
        context.check()?;
        context.progress(place as u64, texts.len() as u64);
        known.push(Known {
            text: text.clone(),
            language: language_of(text),
            facts: facts(text, &names),
            topics: topics.of(text),
            learnt: std::mem::take(&mut by_topics[place]),
            style: style_of(text),
            words: tokens(text)
                .into_iter()
                .filter(|token| token.kind != Kind::Mark)
                .map(|t| t.text)
                .collect(),
            likeness: other.as_ref().map(|(encoder, vector)| {
                let words = encoder.explain(text, vector);
                let by_sentence = by_sentence.get(place).copied();
                Likeness { cosine: words.iter().map(|word| word.share).sum(), words, by_sentence }
            }),
        });
    }
    let same = near_duplicates(&all, NEARLY, &context)?;
    let pairs: Vec<_> = same
        .iter()
        .map(|pair| serde_json::json!({ "first": pair.first, "second": pair.second, "likeness": pair.alike }))
        .collect();
    let json = serde_json::json!({
        "texts": serde_json::to_value(&known).explain("cannot write the answer")?,
        "near_duplicates": pairs,
    });
    Ok(Answer { text: tell(&known, &same, args.top), json })
}

/// Topics of a file.
fn trained(path: &PathBuf) -> Result<TopicModel> {
    let what = "cannot read the learnt topics";
    serde_json::from_str(&read(path)?).explain(what).map_err(|failure| {
        failure.at(path.display()).hint("adloupe topics FILE --text COLUMN --label COLUMN --out FILE")
    })
}

/// The likeliest learnt topics of each text.
fn learnt(
    model: &TopicModel,
    texts: &[&str],
    sentences: Option<&SentenceEncoder>,
    context: &JobContext,
) -> Result<Vec<Vec<(String, f64)>>> {
    let found = model.of(texts, sentences, context)?;
    let few = |topics: Vec<(&str, f64)>| {
        topics.into_iter().take(TOPICS).map(|(topic, chance)| (topic.to_owned(), chance)).collect()
    };
    Ok(found.into_iter().map(few).collect())
}

/// One line for each text, by a language model whose limit holds while it writes.
fn written(path: &Path, texts: &[String], args: &Args, context: &JobContext) -> Result<Answer> {
    let model = ChatModel::open(path, context)?;
    let limit = args.characters;
    let fits = |line: &str| seen_characters(line) <= limit;
    let drawing = Drawing { seed: args.seed, ..Drawing::default() };
    let lines: Vec<Written> =
        texts.iter().map(|text| model.write(text, drawing, &fits, context)).collect::<Result<_>>()?;
    let tell = |line: &Written| {
        let end = if line.is_finished { "" } else { "  (stopped by the limit)" };
        format!("{}{end}", line.text)
    };
    let text = lines.iter().map(tell).collect::<Vec<_>>().join("\n");
    let name = &model.name;
    let json = serde_json::json!({ "model": name, "seed": args.seed, "characters": limit, "written": lines });
    Ok(Answer { text: format!("by {name}, unchecked and not approved:\n{text}"), json })
}

/// What the heads of a sentence encoder look at in each text.
fn heads(folder: &Path, texts: &[String], context: &JobContext) -> Result<Answer> {
    let encoder = SentenceEncoder::open(folder)?;
    let seen: Vec<TextHeads> =
        texts.iter().map(|text| text_heads(&encoder, text, context)).collect::<Result<_>>()?;
    let mut lines = Vec::new();
    for seen in &seen {
        lines.push(format!("{} ({} tokens: {})", seen.text, seen.tokens.len(), seen.tokens.join(" ")));
        lines.push("  layer head  evenness  tokens away  cosine without it".to_owned());
        for (layer, heads) in seen.layers.iter().enumerate() {
            lines.extend(heads.iter().enumerate().map(|(head, of)| {
                let place = format!("{:>7} {:>4}", layer + 1, head + 1);
                format!("{place}  {:>8.3}  {:>11.2}  {:>17.5}", of.evenness, of.distance, of.cosine_without)
            }));
        }
    }
    let json =
        serde_json::json!({ "texts": serde_json::to_value(&seen).explain("cannot write the answer")? });
    Ok(Answer { text: lines.join("\n"), json })
}

fn texts(args: &Args) -> Result<Vec<String>> {
    let texts: Vec<String> = match &args.file {
        None => args.say.clone(),
        Some(path) => read(path)?.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect(),
    };
    if let Some(place) = texts.iter().position(|text| text.len() > LONGEST) {
        let why = format!(
            "text {} has {} bytes; more than {LONGEST} are no ad text",
            place + 1,
            texts[place].len()
        );
        return Err(Failure::new("cannot read the texts", why).hint("one text a line"));
    }
    if texts.is_empty() {
        return Err(Failure::new("cannot read the texts", "there is none").hint("--say \"your text\""));
    }
    Ok(texts)
}

fn read(path: &PathBuf) -> Result<String> {
    let what = "cannot read the texts";
    let bytes = std::fs::read(path).map_err(|error| disk_failure(what, path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let why = format!("it is no UTF-8 from byte {} on", error.utf8_error().valid_up_to());
        Failure::new(what, why).at(path.display()).hint("save it as UTF-8")
    })
}

fn tell(known: &[Known], same: &[Pair], top: usize) -> String {
    let mut lines = Vec::new();
    for text in known.iter().take(top) {
        lines.push(text.text.clone());
        lines.push(match text.language {
            None => "  language: unknown".to_owned(),
            Some((language, sure)) => {
                format!("  language: {language:?}, {:.0} % of the evidence", 100.0 * sure)
            }
        });
        lines.push(format!("  words: {}", text.words.join(" | ")));
        for fact in &text.facts {
            let guess = if fact.is_guess { ", a guess" } else { "" };
            let (kind, Fact { text, value, span, .. }) = (fact.kind.words(), fact);
            lines.push(format!("  {kind}: '{text}' = {value} (bytes {}-{}{guess})", span.start, span.end));
        }
        for tag in text.topics.iter().take(TOPICS) {
            let words = if tag.words.is_empty() { "by likeness".to_owned() } else { tag.words.join(", ") };
            lines.push(format!("  topic: {} / {} {:.2} ({words})", tag.labels[0], tag.labels[1], tag.weight));
        }
        for (topic, chance) in &text.learnt {
            lines.push(format!("  topic, learnt: {topic} {chance:.2}"));
        }
        let Style { characters, words, exclamations, capitals, sentiment, .. } = &text.style;
        lines.push(format!(
            "  style: {characters} characters, {words} words, {exclamations} exclamation marks, {:.0} % capitals, \
             sentiment {sentiment:+.2} (listed words)",
            100.0 * capitals
        ));
        if let Some(Likeness { cosine, words, by_sentence }) = &text.likeness {
            let words: Vec<String> =
                words.iter().map(|word| format!("{} {:+.3}", word.word, word.share)).collect();
            lines.push(format!("  likeness {cosine:.3} = {}", words.join("  ")));
            lines.extend(by_sentence.map(|cosine| format!("  likeness by the sentence encoder {cosine:.3}")));
        }
    }
    if known.len() > top {
        lines.push(format!("{} more texts", known.len() - top));
    }
    if !same.is_empty() {
        lines.push(format!("{} pairs of texts are nearly the same:", same.len()));
        for pair in same.iter().take(top) {
            let (one, other) = (&known[pair.first].text, &known[pair.second].text);
            lines.push(format!(
                "  {:.2}  {}: {one}  ~  {}: {other}",
                pair.alike,
                pair.first + 1,
                pair.second + 1
            ));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(line: &[&str]) -> Result<Answer> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let line: Line = clap::Parser::try_parse_from([&["text"], line].concat()).unwrap();
        run(&line.args, &Terminal::default())
    }

    #[test]
    fn texts_are_told_with_facts_topics_copies_and_likeness() {
        let first = "TrailFox 3: running shoes for $89, 20% off until May 5. Shop now!";
        let like = "light running shoes";
        let line = [
            "--say",
            first,
            "--say",
            "飞往里斯本的机票 立即预订",
            "--say",
            first,
            "--product",
            "TrailFox 3",
            "--like",
            like,
        ];
        let told = answer(&line).unwrap();
        let facts = told.json["texts"][0]["facts"].as_array().unwrap();
        let kinds: Vec<&str> = facts.iter().filter_map(|fact| fact["kind"].as_str()).collect();
        assert_eq!(kinds, ["product", "price", "discount", "date", "call_to_action"]);
        assert_eq!(told.json["texts"][1]["topics"][0]["topic"], "travel");
        assert_eq!(told.json["near_duplicates"][0]["second"], 2);
        let likeness = &told.json["texts"][0]["likeness"];
        let sum: f64 = likeness["words"].as_array().unwrap().iter().filter_map(|w| w["share"].as_f64()).sum();
        assert!((sum - likeness["cosine"].as_f64().unwrap()).abs() < 1e-4);
        assert!(told.text.contains("call to action: 'Shop now'"), "{}", told.text);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.txt");
        std::fs::write(&path, b"\xff\xfe\x00").unwrap();
        let path = path.display().to_string();
        assert!(answer(&[&path]).unwrap_err().why.contains("no UTF-8 from byte 0"));
        std::fs::write(&path, "\n \n").unwrap();
        assert!(answer(&[&path]).unwrap_err().why.contains("there is none"));
        assert!(answer(&["--say", "a", "--topics", &path]).unwrap_err().why.contains("empty"));
        assert!(answer(&["--say", "a", "--encoder", &path]).unwrap_err().hint.contains("--heads"));
    }
}
