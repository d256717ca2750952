//! How are very many points drawn, found and fenced in? Drawing and geometry that know no ads and no egui.
//!
//! Two renderers draw the same cloud: [`points`] (a wgpu pass, one triangle a point) and [`density`] (a grid
//! counted on the processor, for software adapters and for clouds that would only overdraw). Neither asks
//! for an optional wgpu feature. [`camera`] says what is in view, [`picking`] what is under the cursor,
//! [`lasso`] what a drawn outline holds, [`contours`] where a density crosses a height, [`orbit`] from where three
//! dimensions are seen. [`counting`], [`pointing`], [`nearest`], [`walking`], [`pushing`] and [`contest`] draw nothing: they
//! compute, by [`compute`].

pub mod camera;
pub mod compute;
pub mod contest;
pub mod contours;
pub mod counting;
pub mod density;
pub mod frame_rate;
pub mod lasso;
pub mod nearest;
pub mod orbit;
pub mod picking;
pub mod pointing;
pub mod points;
pub mod pushing;
pub mod walking;

pub use camera::Camera;
pub use lasso::Lasso;
pub use orbit::Orbit;
pub use picking::PickGrid;

/// A graphics adapter in words: its name, kind and interface.
pub fn adapter_words(info: &wgpu::AdapterInfo) -> String {
    format!("{} ({:?}, {:?})", info.name, info.device_type, info.backend)
}

/// One bit per point, 32 a word: a selection or a filter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bits {
    words: Vec<u32>,
    len: usize,
}

impl Bits {
    /// `len` bits, all clear.
    pub fn new(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(32)], len }
    }

    /// From words of 32 bits, the first bit lowest; bits beyond `len` are left out.
    pub fn from_words(mut words: Vec<u32>, len: usize) -> Self {
        words.resize(len.div_ceil(32), 0);
        if let Some(last) = words.last_mut().filter(|_| !len.is_multiple_of(32)) {
            *last &= (1 << (len % 32)) - 1;
        }
        Self { words, len }
    }

    /// Sets a bit; beyond the end nothing happens.
    pub fn set(&mut self, place: usize) {
        if place < self.len {
            self.words[place / 32] |= 1 << (place % 32);
        }
    }

    /// True when the bit is set.
    pub fn get(&self, place: usize) -> bool {
        self.words.get(place / 32).is_some_and(|word| word >> (place % 32) & 1 == 1)
    }

    /// How many are set.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The set places in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len).filter(|&place| self.get(place))
    }

    /// The bits of this one, joined with those of another: added, or taken away.
    #[must_use]
    pub fn joined(&self, other: &Self, add: bool) -> Self {
        let mut all = self.clone();
        for (word, other) in all.words.iter_mut().zip(&other.words) {
            *word = if add { *word | other } else { *word & !other };
        }
        all
    }

    /// The bits that are set in both.
    #[must_use]
    pub fn both(&self, other: &Self) -> Self {
        let mut all = self.clone();
        let others = other.words.iter().copied().chain(std::iter::repeat(0));
        all.words.iter_mut().zip(others).for_each(|(word, other)| *word &= other);
        all
    }

    /// The words, for upload.
    pub fn words(&self) -> &[u32] {
        &self.words
    }
}

/// Points on a plane and the palette entry of each. Shared, never edited.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cloud {
    /// Positions in world units; only finite ones are drawn.
    pub xy: Vec<[f32; 2]>,
    /// Palette entry of each point; as long as `xy`.
    pub codes: Vec<u8>,
}

impl Cloud {
    /// The smallest box `[left, bottom, right, top]` around the finite points; `None` without any.
    pub fn bounds(&self) -> Option<[f32; 4]> {
        let finite = self.xy.iter().filter(|p| p[0].is_finite() && p[1].is_finite());
        finite.fold(None, |bounds, &[x, y]| {
            let [l, b, r, t] = bounds.unwrap_or([x, y, x, y]);
            Some([l.min(x), b.min(y), r.max(x), t.max(y)])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn selections_are_added_and_taken_away() {
        let of = |places: &[usize]| {
            let mut bits = Bits::new(70);
            places.iter().for_each(|place| bits.set(*place));
            bits
        };
        let (one, other) = (of(&[0, 40, 69]), of(&[40, 41]));
        assert_eq!(one.joined(&other, true), of(&[0, 40, 41, 69]));
        assert_eq!(one.joined(&other, false), of(&[0, 69]));
        assert_eq!(one.both(&other), of(&[40]));
    }
}
