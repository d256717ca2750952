//! How does a worker show its newest state without ever waiting for the window?

use std::sync::{Arc, Mutex, PoisonError};

/// A slot that keeps only the newest value. Writers never block on readers for longer than a pointer swap.
#[derive(Debug)]
pub struct Latest<T>(Arc<Mutex<Slot<T>>>);

#[derive(Debug)]
struct Slot<T> {
    value: Option<Arc<T>>,
    version: u64,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Slot { value: None, version: 0 })))
    }
}

impl<T> Clone for Latest<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Latest<T> {
    /// Replaces the value.
    pub fn publish(&self, value: T) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.value = Some(Arc::new(value));
        slot.version += 1;
    }

    /// The newest value, if any was published.
    pub fn get(&self) -> Option<Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).value.clone()
    }

    /// Counts publications: a reader that has seen this version has seen everything.
    pub fn version(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_only() {
        let slot = Latest::default();
        assert_eq!(slot.get(), None);
        let writer = slot.clone();
        writer.publish(1);
        writer.publish(2);
        assert_eq!(slot.get().as_deref(), Some(&2));
        assert_eq!(slot.version(), 2);
    }
}
