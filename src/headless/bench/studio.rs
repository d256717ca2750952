//! How long does the studio take? A text against ten thousand known ones, a round of twelve candidates, a large library.

use super::{BenchRow, below, best_of, market, ours};
use crate::adcopy::library::Library;
use crate::adcopy::review::Action;
use crate::adcopy::{Brief, Fact, Item, KnownText, Originals, ProductSheet, Rulebook};
use crate::base::rng::Rng;
use crate::base::{Result, failure::Explain};
use crate::domain::segment::Segment;
use crate::insight::Subject;
use crate::jobs::JobContext;
use crate::tasks::write_copy::{WriteCopy, round};
use std::sync::Arc;

/// Known texts of the originality check.
const TEXTS: usize = 10_000;
/// Creatives of the large library.
const CREATIVES: usize = 100_000;

/// The workloads of the studio.
///
/// # Errors
/// A full disk, Ctrl-C.
pub fn studio(context: &JobContext) -> Result<Vec<BenchRow>> {
    let mut rows = vec![originality(context)?, candidates(context)?];
    rows.extend(library(context)?);
    Ok(rows)
}

/// Texts of a dozen words of a made-up language.
fn texts(count: usize) -> Vec<String> {
    const SYLLABLES: [&str; 15] =
        ["ba", "ko", "ri", "stel", "um", "dra", "fen", "lo", "mi", "quor", "sa", "tip", "vel", "wox", "zin"];
    let mut rng = Rng::named(1, "texts of the studio");
    let mut word =
        || -> String { (0..1 + rng.below(3)).map(|_| SYLLABLES[rng.below(SYLLABLES.len())]).collect() };
    (0..count).map(|_| (0..12).map(|_| word()).collect::<Vec<_>>().join(" ")).collect()
}

fn originality(context: &JobContext) -> Result<BenchRow> {
    let all = texts(TEXTS + 100);
    let (asked, known) = all.split_at(100);
    let known = known.iter().enumerate();
    let index =
        Originals::new(known.map(|(at, text)| KnownText { source: at.to_string(), text: text.clone() }));
    let seconds = best_of(5, context, || {
        asked.iter().for_each(|text| drop(std::hint::black_box(index.nearest(text, |_| false))));
        Ok(())
    })?;
    Ok(below("originality of a text against 10,000", 1_000.0 * seconds / asked.len() as f64, "ms", 50.0))
}

fn candidates(context: &JobContext) -> Result<BenchRow> {
    let (_, inputs) = market::sample_market(context)?;
    let fact = |id: &str, text: &str| Fact { id: id.into(), text: text.into(), ..Fact::default() };
    let sheet = ProductSheet {
        product: "Halo M1 speaker".into(),
        category: "electronics".into(),
        facts: vec![
            fact("weight", "only 240 g"),
            fact("price", "yours for $89"),
            fact("battery", "30 hours on one charge"),
            fact("rain", "waterproof case"),
            fact("returns", "30-day returns"),
        ],
        ..ProductSheet::default()
    };
    let asked = WriteCopy {
        brief: Brief {
            sheet,
            audience: Segment::parse("language = 'en'")?,
            placement: "google_description".into(),
            ..Brief::default()
        },
        book: Rulebook::built_in()?,
        library: Arc::new(Library::default()),
        others: Vec::new(),
        meanings: None,
        subject: Some(Subject {
            model: inputs.model,
            log: inputs.log.as_ref().clone(),
            dataset: inputs.dataset,
            whole: None,
        }),
        k: 1,
    };
    let seconds = best_of(3, context, || round(&asked, context).map(drop))?;
    Ok(below("round of 12 candidates, checked and ranked", seconds, "s", 2.0))
}

/// Taking in, opening and changing a library of 100,000 creatives.
fn library(context: &JobContext) -> Result<Vec<BenchRow>> {
    let folder = tempfile::tempdir().explain("cannot make a temporary folder")?;
    let items = || texts(CREATIVES).into_iter().map(|text| Item { text, ..Item::default() }).collect();
    Library::open(folder.path())?.import("bench", "bench", items())?;
    let mut library = Library::default();
    let opened = best_of(3, context, || {
        library = Library::open(folder.path())?;
        Ok(())
    })?;
    let ids: Vec<String> = library.items().iter().take(3).map(|item| item.id.clone()).collect();
    let mut turn = ids.iter();
    let changed = best_of(3, context, || match turn.next() {
        Some(id) => library.act(id, &Action::Retire, "bench", None).map(drop),
        None => Ok(()),
    })?;
    Ok(vec![
        ours("library of 100,000 creatives opened", opened, "s", None),
        ours("one creative of 100,000 changed and kept", changed, "s", None),
    ])
}
