//! Which tags would the creatives of a library have that nobody tagged, learnt from those that have some?

use super::{Output, unless_stopped};
use crate::adcopy::Library;
use crate::base::Result;
use crate::jobs::{Job, JobContext, Lane};
use crate::language::sentence::SentenceEncoder;
use crate::language::topic_model::{Judged, Labelled, TopicModel, judge};
use crate::language::topics::Topics;
use std::sync::Arc;

/// Chance from which on a tag is proposed.
const SURE: f64 = 0.5;

/// Learns the first tag of each creative.
pub struct LearnTags {
    /// The library.
    pub library: Arc<Library>,
    /// The sentence encoder on whose vectors they are learnt; `None`: on those of the built-in one.
    pub encoder: Option<Arc<SentenceEncoder>>,
}

/// What was learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct TagsLearnt {
    /// How good it is on creatives that were held out.
    pub judged: Judged,
    /// Creatives without a tag: name, words, tag, its chance; the surest first.
    pub proposed: Vec<(String, String, String, f64)>,
    /// Creatives without a tag for which none is likely.
    pub unsure: usize,
}

impl Job for LearnTags {
    type Output = Output;

    fn name(&self) -> String {
        "Learn the tags of the library".to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Cpu
    }

    fn run(self: Box<Self>, context: &JobContext) -> Result<Output> {
        Ok(Output::TagsLearnt(Box::new(unless_stopped(learn(
            &self.library,
            self.encoder.as_deref(),
            context,
        ))?)))
    }
}

/// Learns, judges and proposes.
///
/// # Errors
/// Fewer than two tags with five creatives, or a cancel.
pub fn learn(
    library: &Library,
    encoder: Option<&SentenceEncoder>,
    context: &JobContext,
) -> Result<TagsLearnt> {
    let tag =
        |tags: &[String]| tags.iter().map(|tag| tag.trim()).find(|tag| !tag.is_empty()).map(str::to_owned);
    let labelled: Vec<Labelled> = (library.items().iter())
        .filter_map(|item| Some(Labelled { text: item.text.clone(), topic: tag(&item.tags)? }))
        .collect();
    let judged = judge(&labelled, &Topics::shipped()?, encoder, context)?;
    let model = TopicModel::fit(&labelled, encoder, context)?;
    let untagged: Vec<_> = library.items().iter().filter(|item| tag(&item.tags).is_none()).collect();
    let texts: Vec<&str> = untagged.iter().map(|item| item.text.as_str()).collect();
    let found = model.of(&texts, encoder, context)?;
    let mut proposed: Vec<(String, String, String, f64)> = untagged
        .iter()
        .zip(found)
        .filter_map(|(item, topics)| {
            let (topic, chance) = topics.first().map(|(topic, p)| ((*topic).to_owned(), *p))?;
            (chance >= SURE).then(|| (item.id.clone(), item.text.clone(), topic, chance))
        })
        .collect();
    proposed.sort_by(|a, b| b.3.total_cmp(&a.3).then_with(|| a.0.cmp(&b.0)));
    let unsure = untagged.len() - proposed.len();
    Ok(TagsLearnt { judged, proposed, unsure })
}
