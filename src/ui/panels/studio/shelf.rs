//! Which creatives are looked at, and how many stand where? Told anew only when the library or the question changes: a
//! library may hold a hundred thousand, and a frame has 16 ms.

use crate::adcopy::review::Status;
use crate::adcopy::{Item, Library};
use crate::tasks::search_copy::Found;
use std::collections::HashMap;
use std::sync::Arc;

/// What is asked of the library.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Question {
    /// Only creatives that stand here.
    pub status: Option<Status>,
    /// Only texts that hold these words, in small letters.
    pub search: String,
    /// The product whose variants may compete.
    pub product: Option<String>,
}

/// The answer for one state of the library.
#[derive(Default)]
pub(super) struct Shelf {
    library: Option<Arc<Library>>,
    found: Option<Arc<Found>>,
    question: Question,
    /// How many stand in each state, in the order of [`Status::ALL`].
    counts: Vec<usize>,
    /// As many of the product.
    of_product: Vec<usize>,
    /// How many have no tag.
    pub untagged: usize,
    /// Places of those that are shown: found ones best first, else newest first.
    pub shown: Vec<usize>,
}

impl Shelf {
    /// Brings the answer up to the library and the question, where one of them changed.
    pub fn look(&mut self, library: &Arc<Library>, found: Option<&Arc<Found>>, question: Question) {
        let is_same = self.library.as_ref().is_some_and(|known| Arc::ptr_eq(known, library))
            && self.found.as_ref().map(Arc::as_ptr) == found.map(Arc::as_ptr)
            && self.question == question;
        if is_same {
            return;
        }
        let items = library.items();
        let count = |wanted: &dyn Fn(&Item) -> bool| items.iter().filter(|item| wanted(item)).count();
        let in_each = |more: &dyn Fn(&Item) -> bool| {
            Status::ALL.iter().map(|status| count(&|item| item.status == *status && more(item))).collect()
        };
        self.counts = in_each(&|_| true);
        self.of_product = match &question.product {
            Some(product) => in_each(&|item| item.product == *product),
            None => vec![0; Status::ALL.len()],
        };
        self.untagged = count(&|item| item.tags.iter().all(|tag| tag.is_empty()));
        self.shown = shown(items, found.map(Arc::as_ref), &question);
        self.library = Some(Arc::clone(library));
        self.found = found.cloned();
        self.question = question;
    }

    /// How many stand in a state.
    pub fn count(&self, status: Status) -> usize {
        of(&self.counts, status)
    }

    /// How many variants of the product stand in a state.
    pub fn variants(&self, status: Status) -> usize {
        of(&self.of_product, status)
    }
}

fn of(counts: &[usize], status: Status) -> usize {
    let place = Status::ALL.iter().position(|known| *known == status);
    place.and_then(|place| counts.get(place)).copied().unwrap_or_default()
}

fn shown(items: &[Arc<Item>], found: Option<&Found>, question: &Question) -> Vec<usize> {
    let stands = |item: &Item| question.status.is_none_or(|status| item.status == status);
    if let Some(found) = found {
        let places: HashMap<&str, usize> =
            items.iter().enumerate().map(|(at, item)| (item.id.as_str(), at)).collect();
        let hits = found.hits.iter().filter_map(|hit| places.get(hit.id.as_str()).copied());
        return hits.filter(|at| stands(&items[*at])).collect();
    }
    let search = &question.search;
    let wanted =
        |item: &Item| stands(item) && (search.is_empty() || item.text.to_lowercase().contains(search));
    items.iter().enumerate().rev().filter(|(_, item)| wanted(item)).map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shelf_is_told_anew_when_the_library_or_the_question_changes() {
        let folder = tempfile::tempdir().unwrap();
        let mut library = Library::open(folder.path()).unwrap();
        let item = |text: &str, tag: &str| Item {
            text: text.into(),
            product: "boots".into(),
            tags: vec![tag.into()],
            ..Item::default()
        };
        library.import("mei", "old.csv", vec![item("Dry feet", "shoes"), item("WARM feet", "")]).unwrap();
        let one = Arc::new(library.clone());
        let mut shelf = Shelf::default();
        let product = Some("boots".to_owned());
        shelf.look(&one, None, Question { product: product.clone(), ..Question::default() });
        assert_eq!((shelf.shown.as_slice(), shelf.untagged), ([1, 0].as_slice(), 1));
        let stands = one.items()[0].status;
        assert_eq!((shelf.count(stands), shelf.variants(stands)), (2, 2));
        shelf.look(&one, None, Question { search: "warm".into(), ..Question::default() });
        assert_eq!((shelf.shown.as_slice(), shelf.variants(stands)), ([1].as_slice(), 0));
        let other = Status::ALL.into_iter().find(|status| *status != stands);
        shelf.look(&one, None, Question { status: other, ..Question::default() });
        assert!(shelf.shown.is_empty());
        library.import("mei", "new.csv", vec![item("New soles", "shoes")]).unwrap();
        shelf.look(&Arc::new(library), None, Question::default());
        assert_eq!((shelf.shown.len(), shelf.count(stands)), (3, 3));
    }
}
