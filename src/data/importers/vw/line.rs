//! How is one line of Vowpal Wabbit text taken apart?

use super::super::libsvm::shorten;

/// What a line says before its first bar.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Label {
    /// Nothing: a line to be scored.
    #[default]
    None,
    /// A number.
    Simple(String),
    /// `action:cost:probability`.
    Bandit {
        /// The number of the action.
        action: String,
        /// What it cost; negative costs are rewards.
        cost: Option<f64>,
        /// The probability with which it was chosen.
        propensity: Option<f64>,
    },
    /// The context of a decision whose actions follow, a line each.
    Shared,
}

/// A feature, with the value that stands after a colon.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Feature {
    pub name: String,
    pub value: Option<f64>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Line {
    pub label: Label,
    pub importance: Option<String>,
    pub base: Option<String>,
    pub tag: Option<String>,
    /// Namespaces in order; the one without a name is empty.
    pub namespaces: Vec<(String, Vec<Feature>)>,
    /// True when a namespace has a weight other than 1.
    pub is_weighted: bool,
}

/// Takes a line apart; `None` for an empty one.
///
/// # Errors
/// Why it is none, in the words of a bad row.
pub(super) fn parse(line: &str) -> Result<Option<Line>, String> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    let (head, body) = line.split_once('|').ok_or("has no bar, so no namespace")?;
    let mut parsed = Line::default();
    parsed.read_head(head)?;
    for part in body.split('|') {
        parsed.read_namespace(part);
    }
    Ok(Some(parsed))
}

/// True when a line can hardly be anything else: tables may have bars too.
pub(super) fn is_surely_vw(line: &str) -> bool {
    let Ok(Some(parsed)) = parse(line) else {
        return false;
    };
    let parts: Vec<&str> = line.split('|').collect();
    let bars_stand_apart = parts.iter().take(parts.len() - 1).enumerate().all(|(place, part)| {
        let is_start = place == 0 && part.is_empty();
        is_start || part.ends_with([' ', '\t']) || (place == 0 && part.contains('\''))
    });
    let nameless = parts.iter().skip(1).filter(|part| part.is_empty() || part.starts_with(' ')).count();
    let has_features = parsed.namespaces.iter().any(|(_, features)| !features.is_empty());
    let is_labelled = parsed.label != Label::None;
    bars_stand_apart && has_features && (nameless == 0 || (nameless == 1 && is_labelled))
}

impl Line {
    fn read_head(&mut self, head: &str) -> Result<(), String> {
        let mut words: Vec<&str> = head.split_ascii_whitespace().collect();
        // A word that touches the bar is a tag, and so is one that begins with an apostrophe.
        let touches = !head.is_empty() && !head.ends_with([' ', '\t']);
        if let Some(last) = words.last().copied()
            && (last.starts_with('\'') || (touches && words.len() > 1))
        {
            self.tag = Some(last.trim_start_matches('\'').to_owned());
            words.pop();
        }
        let wrong = |word: &str| format!("begins with '{}' where a label should stand", shorten(word));
        let number = |word: &&str| word.parse::<f64>().is_ok_and(f64::is_finite);
        match words.as_slice() {
            [] => {}
            ["shared"] => self.label = Label::Shared,
            [first, ..] if first.contains(':') => {
                let bandits: Option<Vec<Label>> = words.iter().map(|word| bandit(word)).collect();
                let bandits = bandits.ok_or_else(|| wrong(first))?;
                // Of several actions the one with a probability was taken.
                let taken = |label: &&Label| matches!(label, Label::Bandit { propensity: Some(_), .. });
                self.label = bandits.iter().find(taken).or(bandits.first()).cloned().unwrap_or_default();
            }
            [label, more @ ..] if words.len() <= 3 && words.iter().all(number) => {
                self.label = Label::Simple((*label).to_owned());
                self.importance = more.first().map(|word| (*word).to_owned());
                self.base = more.get(1).map(|word| (*word).to_owned());
            }
            [first, ..] => return Err(wrong(first)),
        }
        Ok(())
    }

    fn read_namespace(&mut self, part: &str) {
        let is_named = !part.is_empty() && !part.starts_with([' ', '\t']);
        let mut words = part.split_ascii_whitespace();
        let mut name = "";
        if is_named {
            name = words.next().unwrap_or_default();
            if let Some((start, weight)) = name.rsplit_once(':')
                && let Ok(weight) = weight.parse::<f64>()
            {
                name = start;
                self.is_weighted |= weight != 1.0;
            }
        }
        let features = words.map(feature);
        match self.namespaces.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.extend(features),
            None => self.namespaces.push((name.to_owned(), features.collect())),
        }
    }
}

/// `name:0.5`; a colon that no number follows belongs to the name.
fn feature(word: &str) -> Feature {
    let valued = word.rsplit_once(':').and_then(|(name, value)| {
        let value = value.parse::<f64>().ok().filter(|value| value.is_finite())?;
        (!name.is_empty()).then(|| Feature { name: name.to_owned(), value: Some(value) })
    });
    valued.unwrap_or_else(|| Feature { name: word.to_owned(), value: None })
}

/// `action:cost:probability`, the last one or two may lack.
fn bandit(word: &str) -> Option<Label> {
    let mut parts = word.split(':');
    let action: u64 = parts.next()?.parse().ok()?;
    let mut number = || -> Option<Option<f64>> {
        match parts.next() {
            None | Some("") => Some(None),
            Some(text) => Some(Some(text.parse().ok().filter(|number: &f64| number.is_finite())?)),
        }
    };
    let (cost, propensity) = (number()?, number()?);
    parts.next().is_none().then(|| Label::Bandit { action: action.to_string(), cost, propensity })
}
