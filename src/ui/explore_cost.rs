//! How long does a person wait for new pixels after changing a filter, and what does a frame of scrolling cost?
//!
//! Drives the real application off screen: letters into the filter field, keys into the table.

use super::app::AdloupeApp;
use super::tour::{apply, caught, off_screen};
use crate::base::{Failure, Result, failure::Explain};
use crate::jobs::JobContext;
use crate::session::Command;
use crate::session::commands::{DataCommand, ViewCommand};
use egui::Key;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use std::path::Path;
use std::time::{Duration, Instant};

/// Times that each is done.
const TIMES: usize = 20;
/// The longest that one question may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Medians over several turns.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExploreCost {
    /// Seconds from a letter in the filter field to the frame with the new figures, without drawing its pixels.
    pub filter: f64,
    /// The same with its pixels drawn, which a software adapter takes most of the time for.
    pub filter_drawn: f64,
    /// Seconds of a frame while pages of rows are turned, without drawing its pixels.
    pub scroll: f64,
    /// The same with its pixels drawn.
    pub scroll_drawn: f64,
}

/// Measures on a log; `filters` are written one after the other, each into an empty field.
///
/// # Errors
/// No graphics adapter, a log that cannot be read, a cancel.
pub fn measure(log: &Path, filters: &[&str], context: &JobContext) -> Result<ExploreCost> {
    caught("the measurement broke off", || {
        let mut harness = off_screen()?;
        let open = DataCommand::OpenAs(vec![log.to_owned()], Box::default());
        apply(&mut harness, Command::Data(open))?;
        let (filter, filter_drawn) = filtering(&mut harness, filters, context)?;
        let (scroll, scroll_drawn) = scrolling(&mut harness, context)?;
        Ok(ExploreCost { filter, filter_drawn, scroll, scroll_drawn })
    })
}

pub(super) type Window<'a> = Harness<'a, AdloupeApp>;

fn filtering(harness: &mut Window<'_>, filters: &[&str], context: &JobContext) -> Result<(f64, f64)> {
    show(harness, "segments")?;
    let (mut taken, mut drawn) = (Vec::new(), Vec::new());
    for place in 0..TIMES {
        context.check()?;
        harness.get_by_label("Only where").focus();
        harness.key_press_modifiers(egui::Modifiers::COMMAND, Key::A);
        harness.key_press(Key::Delete);
        harness.run_steps(2);
        settle(harness)?;
        harness.run_steps(2);
        let text = filters.get(place % filters.len().max(1)).copied().unwrap_or_default();
        let begun = Instant::now();
        harness.get_by_label("Only where").type_text(text);
        harness.step();
        settle(harness)?;
        harness.step();
        taken.push(begun.elapsed().as_secs_f64());
        harness.render().explain("cannot draw the window off screen")?;
        drawn.push(begun.elapsed().as_secs_f64());
        let answer = harness.state().session.store.segments.clone();
        let asked = answer.map(|answer| answer.query.filter.to_string()).unwrap_or_default();
        if asked != text {
            let why = format!("'{text}' was written and '{asked}' was answered");
            return Err(Failure::new("cannot measure a filter", why));
        }
    }
    Ok((median(taken), median(drawn)))
}

fn scrolling(harness: &mut Window<'_>, context: &JobContext) -> Result<(f64, f64)> {
    show(harness, "rows")?;
    let (mut taken, mut drawn) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        context.check()?;
        harness.key_press(Key::PageDown);
        let begun = Instant::now();
        harness.state_mut().session.absorb();
        harness.step();
        taken.push(begun.elapsed().as_secs_f64());
        harness.render().explain("cannot draw the window off screen")?;
        drawn.push(begun.elapsed().as_secs_f64());
    }
    Ok((median(taken), median(drawn)))
}

pub(super) fn show(harness: &mut Window<'_>, panel: &'static str) -> Result<()> {
    apply(harness, Command::View(ViewCommand::Show(panel)))?;
    for _ in 0..3 {
        harness.run_steps(2);
        settle(harness)?;
    }
    Ok(())
}

pub(super) fn settle(harness: &mut Window<'_>) -> Result<()> {
    if harness.state_mut().session.settle(LIMIT) {
        Ok(())
    } else {
        Err(Failure::new("cannot measure the window", "a question was not answered within two minutes"))
    }
}

pub(super) fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_unstable_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}
