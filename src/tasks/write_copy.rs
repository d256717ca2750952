//! From a brief to candidates: written, checked, ranked for the audience, not all the same.

use super::copy_sources::rates_of_ads;
use super::{Output, unless_stopped};
use crate::adcopy::audit::hash_of;
use crate::adcopy::brief::Brief;
use crate::adcopy::forecast::{Basis, Forecaster};
use crate::adcopy::library::{Addition, Grounds, Item, Library};
use crate::adcopy::meanings::Meanings;
use crate::adcopy::propose::{Draft, Material, Phrase, drafts};
use crate::adcopy::{Addressed, Checker, KnownText, Rulebook, Verdict};
use crate::base::{Failure, Result, failure::Explain};
use crate::data::query::people::people;
use crate::data::{Dataset, Encoder as Fields, LogFrame, query};
use crate::insight::Subject;
use crate::jobs::{Job, JobContext, Lane};
use crate::language::{Encoder, EncoderOptions};
use crate::market::campaigns::creatives;
use crate::market::diversity::mmr;
use crate::metrics::Rate;
use crate::metrics::rates::Estimate;
use crate::train::TrainedModel;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Drafts for each candidate that is wanted: most do not pass, or are like each other.
const DRAFTS: usize = 5;
/// Weight of the forecast against likeness when candidates are picked.
const RELEVANCE: f64 = 0.5;
/// Texts of the library whose results are learnt from at most.
const MOST_RESULTS: usize = 300;
/// Known texts that a sentence encoder reads before a round at most: more take longer than a person waits.
const MOST_READ: usize = 1_000;
/// Blocked drafts that are shown with their repairs.
const BLOCKED: usize = 6;

/// What a round needs. Without a subject nothing is forecast.
pub struct WriteCopy {
    /// What is to be written.
    pub brief: Brief,
    /// The rules.
    pub book: Arc<Rulebook>,
    /// The texts that there are.
    pub library: Arc<Library>,
    /// Texts of somebody else.
    pub others: Vec<KnownText>,
    /// What a sentence encoder read of the library; `None` for none.
    pub meanings: Option<Arc<Meanings>>,
    /// The model and log that forecasts come from.
    pub subject: Option<Subject>,
    /// People that an audience must hold.
    pub k: usize,
}

/// One candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The words and who wrote them.
    pub draft: Draft,
    /// What the checks say.
    pub verdict: Verdict,
    /// The click rate that it would have; `None` where nothing can be forecast.
    pub forecast: Option<Estimate>,
}

/// A round: what was written from a brief.
#[derive(Debug, Clone)]
pub struct Round {
    /// The brief.
    pub brief: Brief,
    /// What passed, best first where a forecast is known.
    pub candidates: Vec<Candidate>,
    /// Some of what did not pass.
    pub blocked: Vec<Candidate>,
    /// How many were written.
    pub written: usize,
    /// What the forecasts rest on, or why there are none.
    pub basis: Result<Basis>,
    /// The checks of the brief, to be asked about other words.
    pub checker: Checker,
    /// What a person should know.
    pub notes: Vec<String>,
    /// What the audit is told.
    pub grounds: Grounds,
    /// Forecasts of other words; `None` where nothing can be forecast.
    pub forecaster: Option<Arc<Forecaster>>,
    /// Copy of the same category that ran.
    pub best: Vec<Phrase>,
}

impl Job for WriteCopy {
    type Output = Output;

    fn name(&self) -> String {
        format!("Write for {}", self.brief.sheet.product)
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        Ok(Output::Copy(Box::new(unless_stopped(round(&self, context))?)))
    }
}

/// Writes, checks, ranks.
///
/// # Errors
/// A brief that cannot be written from, an audience that is too small to be told of, or a cancel. Where no forecast is
/// possible the round says why and still has its candidates.
pub fn round(asked: &WriteCopy, context: &JobContext) -> Result<Round> {
    let WriteCopy { brief, book, library, others, subject, k, .. } = asked;
    brief.check(book)?;
    let known = Arc::new(brief.sheet.known(book)?);
    let mut notes = known.warnings.clone();
    let log = subject.as_ref().map(|subject| &subject.log);
    if let Some(log) = log {
        large_enough(log, brief, *k)?;
    }
    context.stage("writing");
    let mut best = log.map_or_else(|| Ok(Vec::new()), |log| phrases(log, brief))?;
    let of_library = of_library(library, brief, &best);
    best.extend(of_library);
    let placement = book.placement(&brief.placement)?.clone();
    let material = Material { brief, known: &known, placement: &placement, best: &best };
    let written = drafts(&material, DRAFTS * brief.candidates);
    context.stage("checking");
    let ran = best.iter().map(|phrase| KnownText { source: "the log".to_owned(), text: phrase.text.clone() });
    let others: Vec<KnownText> = others.iter().cloned().chain(ran).collect();
    let meanings = match &asked.meanings {
        Some(meanings) => Some(all_read(meanings, library, &others, &mut notes, context)?),
        None => None,
    };
    let checker = Checker {
        addressed: Addressed::of(&brief.audience, book),
        originals: library.originals(others, meanings),
        book: Arc::clone(book),
        placement,
        known,
    };
    let mut all = Vec::new();
    for draft in written {
        context.check()?;
        let verdict = checker.check(&draft.text, None)?;
        all.push(Candidate { draft, verdict, forecast: None });
    }
    let count = all.len();
    let (mut passed, mut blocked): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|candidate| candidate.verdict.passes());
    blocked.truncate(BLOCKED);
    let forecaster = match subject {
        Some(subject) => {
            unless_stopped(forecaster(subject, brief, (&passed, &results_of(library, brief)), context))?
        }
        None => {
            Err(Failure::new("nothing is forecast", "there is no trained model to ask").hint("train a model"))
        }
    };
    if let Ok(forecaster) = &forecaster {
        context.stage("ranking");
        for candidate in passed.iter_mut().chain(&mut blocked) {
            candidate.forecast = Some(forecaster.forecast(&candidate.draft.text)?);
        }
    }
    let candidates = picked(passed, forecaster.as_ref().ok(), brief.candidates);
    if candidates.len() < brief.candidates {
        notes.push(format!(
            "{} of {} candidates: more facts, or more wordings of them, give more",
            candidates.len(),
            brief.candidates
        ));
    }
    let prompt = hash_of(&serde_json::to_string(brief).explain("cannot write the brief")?);
    let model = subject.as_ref().map_or_else(String::new, |subject| subject.model.kind.clone());
    let grounds = Grounds { model, seed: brief.seed, prompt, asked: String::new() };
    let basis = forecaster.as_ref().map(|forecaster| forecaster.basis.clone()).map_err(Clone::clone);
    let forecaster = forecaster.ok().map(Arc::new);
    Ok(Round {
        forecaster,
        brief: brief.clone(),
        candidates,
        blocked,
        written: count,
        basis,
        checker,
        notes,
        grounds,
        best,
    })
}

impl Round {
    /// Puts the candidates in order again: best first where a forecast is known.
    pub fn sort(&mut self) {
        let value = |one: &Candidate| one.forecast.map_or(0.0, |forecast| forecast.value);
        self.candidates.sort_by(|a, b| value(b).total_cmp(&value(a)));
    }

    /// A candidate as it goes to the library, with what the audit is told.
    pub fn addition(&self, candidate: &Candidate) -> Addition {
        let grounds = match &candidate.draft.asked {
            Some(asked) => asked.grounds(&self.grounds.model),
            None => self.grounds.clone(),
        };
        Addition { item: self.item(candidate), verdict: Some(candidate.verdict.clone()), grounds }
    }

    /// A candidate as a creative of the library.
    fn item(&self, candidate: &Candidate) -> Item {
        Item {
            product: self.brief.sheet.product.clone(),
            language: self.brief.language,
            placement: self.brief.placement.clone(),
            audience: self.brief.audience.to_string(),
            text: candidate.draft.text.clone(),
            origin: candidate.draft.proposer.clone(),
            tags: vec![self.brief.sheet.category.clone()],
            disclosure: crate::adcopy::library::DISCLOSURE.to_owned(),
            rights: self.brief.sheet.rights.clone(),
            ..Item::default()
        }
    }
}

/// Has the few texts read that the sentence encoder did not meet yet, and tells of many.
fn all_read(
    meanings: &Arc<Meanings>,
    library: &Library,
    others: &[KnownText],
    notes: &mut Vec<String>,
    context: &JobContext,
) -> Result<Arc<Meanings>> {
    let texts = library.items().iter().map(|item| item.text.as_str());
    let missing = meanings.missing(texts.chain(others.iter().map(|known| known.text.as_str())));
    if missing.is_empty() {
        return Ok(Arc::clone(meanings));
    }
    let name = &meanings.encoder().name;
    if missing.len() > MOST_READ {
        let count = missing.len();
        notes.push(format!("{name} has not read {count} known texts: they are compared by spelling alone"));
        return Ok(Arc::clone(meanings));
    }
    context.stage(&format!("{name} reads {} known texts", missing.len()));
    let mut more = (**meanings).clone();
    more.read(&missing, context)?;
    Ok(Arc::new(more))
}

fn large_enough(log: &LogFrame, brief: &Brief, k: usize) -> Result<()> {
    let found = people(log, &brief.audience)?;
    if found.count < k {
        let why = format!("the audience holds {}, fewer than {k}", found.words());
        return Err(Failure::new("cannot write for the audience", why)
            .at(brief.audience.to_string())
            .hint("a wider audience"));
    }
    Ok(())
}

/// Best first by the forecast where there is one, and not all alike (maximal marginal relevance).
fn picked(passed: Vec<Candidate>, forecaster: Option<&Forecaster>, count: usize) -> Vec<Candidate> {
    let value = |candidate: &Candidate| candidate.forecast.map_or(0.0, |forecast| forecast.value);
    let values: Vec<f64> = passed.iter().map(value).collect();
    let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
    let relevance: Vec<f64> = values.iter().map(|v| (v - low) / (high - low).max(1e-12)).collect();
    let alike = |a: usize, b: usize| match forecaster {
        Some(forecaster) => forecaster.likeness(&passed[a].draft.text, &passed[b].draft.text),
        None => shared_words(&passed[a].draft.text, &passed[b].draft.text),
    };
    let mut order = mmr(&relevance, alike, RELEVANCE, count);
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    order.into_iter().map(|place| passed[place].clone()).collect()
}

fn shared_words(one: &str, other: &str) -> f64 {
    let (a, b) = (crate::adcopy::plain::tokens(one), crate::adcopy::plain::tokens(other));
    let shared = a.iter().filter(|word| b.contains(word)).count();
    shared as f64 / (a.len() + b.len() - shared).max(1) as f64
}

/// Texts of the library that the log does not tell of: those of the sheet's category where there are some, with the lower
/// end of how often the audience, or else everybody, clicked on them; 0 where they never ran. What a simulation made of them
/// says nothing new.
fn of_library(library: &Library, brief: &Brief, known: &[Phrase]) -> Vec<Phrase> {
    let told: BTreeSet<&str> = known.iter().map(|phrase| phrase.text.as_str()).collect();
    let audience = brief.audience.to_string();
    let others = || library.items().iter().filter(|item| !told.contains(item.text.as_str()));
    let phrase = |item: &Arc<Item>| {
        let low = item.did(&audience).map_or(0.0, |did| did.rate.low);
        Phrase { text: item.text.clone(), low }
    };
    let own: Vec<Phrase> =
        others().filter(|item| item.tags.contains(&brief.sheet.category)).map(phrase).collect();
    if own.is_empty() && known.is_empty() { others().map(phrase).collect() } else { own }
}

/// How texts of the library did before the audience of a brief, each alone and before people.
fn results_of(library: &Library, brief: &Brief) -> Vec<(String, Rate)> {
    let audience = brief.audience.to_string();
    let results = library.items().iter().filter_map(|item| {
        let did = item.performance.iter().find(|did| !did.simulated && did.audience == audience)?;
        (did.shared <= 1).then(|| (item.text.clone(), did.rate))
    });
    results.take(MOST_RESULTS).collect()
}

/// The ads of the log with the click rate of the audience; those of the sheet's category where there are some.
fn phrases(log: &LogFrame, brief: &Brief) -> Result<Vec<Phrase>> {
    let rates = rates_of_ads(log, &brief.audience.to_string(), &query::matching_rows(log, &brief.audience)?)?;
    let of_kind = |category: &str| category == brief.sheet.category;
    let all = creatives(log)?;
    let phrase = |creative: &crate::domain::creative::Creative| {
        let rate = rates.get(&creative.ad).map_or(0.0, |performance| performance.rate.low);
        Phrase { text: creative.text.clone(), low: rate }
    };
    let told = || all.iter().filter(|creative| !creative.text.trim().is_empty());
    let own: Vec<Phrase> = told().filter(|creative| of_kind(&creative.category)).map(phrase).collect();
    Ok(if own.is_empty() { told().map(phrase).collect() } else { own })
}

fn forecaster(
    subject: &Subject,
    brief: &Brief,
    (passed, results): (&[Candidate], &[(String, Rate)]),
    context: &JobContext,
) -> Result<Forecaster> {
    let dataset: Arc<Dataset> = subject.fitting_dataset(context)?;
    let known = creatives(&subject.log)?;
    let names = dataset.ads.as_ref().map(|ads| Arc::clone(&ads.names)).unwrap_or_default();
    let texts: Vec<String> = names
        .iter()
        .map(|ad| known.get(ad).map(|creative| creative.text.clone()).unwrap_or_default())
        .collect();
    let all: Vec<&str> = (texts.iter().map(String::as_str))
        .chain(passed.iter().map(|candidate| candidate.draft.text.as_str()))
        .chain(results.iter().map(|(text, _)| text.as_str()))
        .filter(|text| !text.trim().is_empty())
        .collect();
    context.stage("reading the texts");
    let encoder = Arc::new(Encoder::fit(&all, EncoderOptions::default(), context)?);
    let (category, advertiser) = (brief.sheet.category.as_str(), brief.sheet.advertiser.as_str());
    let asked = (&brief.audience, category, advertiser);
    Forecaster::learn((&subject.model, &subject.log, &dataset), asked, (&texts, results), encoder, context)
}

/// A subject for the command line: the log encoded as the model knows it.
///
/// # Errors
/// The log lacks columns that the model needs, or a cancel.
pub fn subject_of(model: Arc<TrainedModel>, log: LogFrame, context: &JobContext) -> Result<Subject> {
    let dataset = Arc::new(Fields::encode(&model.encoder, &log, context)?);
    Ok(Subject { model, log, dataset, whole: None })
}
