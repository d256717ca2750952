//! Who makes the passes of a map that walks? A graphics card where its pass ends well before the processor's own, and the
//! processor otherwise, or from where a card was lost.

use super::super::method::{Frame, frame, in_space};
use crate::base::Result;
use crate::gpu::compute::Processor;
use crate::jobs::JobContext;
use std::time::{Duration, Instant};

/// Points from which a graphics card is asked.
const ENOUGH_FOR_A_CARD: usize = 20_000;
/// How much sooner than the processor's own a card's pass has to end for it to go on: clear enough that the choice is the
/// same from run to run, for the two round differently.
const SOONER: f64 = 2.0;
/// Passes that both make before it is known who goes on.
const TIMED: usize = 2;
/// Between two frames.
const FRAME_EVERY: Duration = Duration::from_millis(150);

/// Points that walk.
pub(super) trait Walk<const D: usize> {
    /// One pass by the processor; `look` is shown the places wherever they may be seen on the way.
    fn pass(
        &mut self,
        pass: usize,
        places: &mut [[f32; D]],
        look: &mut dyn FnMut(&[[f32; D]]),
        context: &JobContext,
    );

    /// The same points on a card; none where they are too many for it.
    fn on_card(&self, processor: &Processor, places: &[[f32; 4]]) -> Option<Box<dyn CardWalk>>;

    /// The places come from a card that was lost: what is remembered of each point holds no longer.
    fn forget(&mut self) {}
}

/// Points that walk on a graphics card.
pub(super) trait CardWalk {
    /// One pass; ends when it is made.
    fn pass(&mut self, pass: usize) -> Result<()>;

    /// Where the points are now.
    fn places(&self) -> Result<Vec<[f32; 4]>>;

    /// Who walks.
    fn adapter(&self) -> &str;
}

/// Who watches the passes, and how many there are.
pub(super) struct Watch<'a> {
    pub total: usize,
    pub show: &'a mut dyn FnMut(Frame),
    pub context: &'a JobContext,
}

impl Watch<'_> {
    /// Makes all passes and shows some of the pictures. Answers with what has to be said.
    ///
    /// # Errors
    /// Cancelled.
    pub fn walk<const D: usize>(
        &mut self,
        walk: &mut dyn Walk<D>,
        places: &mut [[f32; D]],
    ) -> Result<Option<String>> {
        let (mut known, mut note) = (0, None);
        if let Some(processor) = Processor::hardware().filter(|_| places.len() >= ENOUGH_FOR_A_CARD) {
            (known, note) = self.by_card(processor, walk, places)?;
        }
        let mut shown = Instant::now();
        for pass in known..self.total {
            self.context.check()?;
            self.context.progress(pass as u64, self.total as u64);
            let mut look = |places: &[[f32; D]]| {
                if shown.elapsed() >= FRAME_EVERY {
                    (self.show)(frame(places, pass + 1, self.total));
                    shown = Instant::now();
                }
            };
            walk.pass(pass, places, &mut look, self.context);
            look(places);
        }
        self.context.check()?;
        Ok(note)
    }

    /// Passes by a card, if it makes the last of the first [`TIMED`] sooner than the processor by [`SOONER`]. Answers with
    /// the passes whose places have come back, and with what has to be said.
    fn by_card<const D: usize>(
        &mut self,
        processor: &Processor,
        walk: &mut dyn Walk<D>,
        places: &mut [[f32; D]],
    ) -> Result<(usize, Option<String>)> {
        let wide: Vec<[f32; 4]> = places.iter().map(wide).collect();
        let Some(mut card) = walk.on_card(processor, &wide) else { return Ok((0, None)) };
        // The first pass of a card waits for its driver as well: the second is timed.
        let (mut made, mut known, mut times) = (Ok(()), 0, [Duration::ZERO; 2]);
        while known < TIMED.min(self.total) {
            let begun = Instant::now();
            made = made.and_then(|()| card.pass(known));
            let by_card = begun.elapsed();
            walk.pass(known, places, &mut |_| {}, self.context);
            times = [by_card, begun.elapsed() - by_card];
            known += 1;
        }
        if made.is_err() {
            return Ok((known, None));
        }
        let [by_card, own] = times.map(|time| 1e3 * time.as_secs_f64());
        let took =
            format!("a pass takes {own:.1} ms on the processor and {by_card:.1} by {}", card.adapter());
        if own < SOONER * by_card {
            return Ok((known, Some(format!("walked on the processor: {took}"))));
        }
        let mut shown = Instant::now();
        let first = known;
        for pass in first..self.total {
            self.context.check()?;
            self.context.progress(pass as u64, self.total as u64);
            made = card.pass(pass);
            if made.is_ok() && (shown.elapsed() >= FRAME_EVERY || pass + 1 == self.total) {
                made = card.places().map(|now| take(&now, places));
                known = pass + 1;
                (self.show)(frame(places, known, self.total));
                shown = Instant::now();
            }
            if let Err(failure) = &made {
                walk.forget();
                let lost = format!("{} was lost in pass {pass}", card.adapter());
                return Ok((known, Some(format!("{lost}, the processor went on: {failure}"))));
            }
        }
        Ok((known, Some(format!("walked on {}: {took}", card.adapter()))))
    }
}

/// Four numbers for a place of two or three.
pub(super) fn wide<const D: usize>(place: &[f32; D]) -> [f32; 4] {
    let [x, y, z] = in_space(place);
    [x, y, z, 0.0]
}

/// Takes over what a card has read back.
pub(super) fn take<const D: usize>(now: &[[f32; 4]], places: &mut [[f32; D]]) {
    for (place, now) in places.iter_mut().zip(now) {
        place.copy_from_slice(&now[..D]);
    }
}
