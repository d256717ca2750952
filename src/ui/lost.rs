//! What happens when the graphics device goes away under the window: a driver that restarts, a card that is unplugged?
//!
//! eframe makes a new surface by itself, never a new device. So the window is closed and opened anew with the same
//! session: what is open, what was learnt and what runs stays; the panels begin afresh.

use crate::session::Session;
use eframe::egui_wgpu::RenderState;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Devices that may be lost within [`SOON`] before the window gives up.
const MOST_LOST: usize = 3;
/// See [`MOST_LOST`].
const SOON: Duration = Duration::from_secs(60);

/// What one window leaves to the next. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Rescue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    lost: AtomicBool,
    session: Mutex<Option<Session>>,
    /// The window that is open, for workers that have news.
    window: Mutex<Option<egui::Context>>,
    losses: Mutex<Vec<Instant>>,
}

impl Rescue {
    /// Watches the device of a window that was just opened.
    pub fn watch(&self, state: Option<&RenderState>, context: &egui::Context) {
        *held(&self.0.window) = Some(context.clone());
        let Some(state) = state else { return };
        let rescue = self.clone();
        state.device.set_device_lost_callback(move |_, _| rescue.mark_lost());
        // wgpu's own handler panics; a device that fails a call in mid-frame is as good as lost.
        let rescue = self.clone();
        state.device.on_uncaptured_error(Arc::new(move |_| rescue.mark_lost()));
    }

    /// Says that the device is gone: the window closes at its next frame.
    pub fn mark_lost(&self) {
        self.0.lost.store(true, Ordering::Release);
        self.wake();
    }

    /// True once the device is gone.
    pub fn is_lost(&self) -> bool {
        self.0.lost.load(Ordering::Acquire)
    }

    /// Wakes the window that is open.
    pub fn wake(&self) {
        if let Some(window) = &*held(&self.0.window) {
            window.request_repaint();
        }
    }

    /// Keeps the session for the next window.
    pub fn keep(&self, session: Session) {
        *held(&self.0.session) = Some(session);
    }

    /// The session that the window before left, if it lost its device.
    pub fn take(&self) -> Option<Session> {
        held(&self.0.session).take()
    }

    /// True when a window that has closed lost its device and the next one shall go on; false where it was closed by a
    /// person, or where devices are lost again and again.
    pub fn goes_on(&self) -> bool {
        if !self.0.lost.swap(false, Ordering::AcqRel) {
            return false;
        }
        let mut losses = held(&self.0.losses);
        losses.retain(|loss| loss.elapsed() < SOON);
        losses.push(Instant::now());
        losses.len() <= MOST_LOST
    }

    /// True when devices were lost too often for another try.
    pub fn gave_up(&self) -> bool {
        held(&self.0.losses).len() > MOST_LOST
    }
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Workspace;

    #[test]
    fn a_closed_window_is_closed_and_a_lost_one_goes_on_a_few_times() {
        let rescue = Rescue::default();
        assert!(!rescue.goes_on() && !rescue.gave_up());
        for _ in 0..MOST_LOST {
            rescue.mark_lost();
            assert!(rescue.is_lost() && rescue.goes_on() && !rescue.is_lost());
        }
        rescue.mark_lost();
        assert!(!rescue.goes_on() && rescue.gave_up());
    }

    #[test]
    fn the_session_is_handed_over_once() {
        let rescue = Rescue::default();
        rescue.keep(Session::new(Workspace::default(), || {}).unwrap());
        assert!(rescue.clone().take().is_some() && rescue.take().is_none());
    }
}
