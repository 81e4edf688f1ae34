//! The workers' bell, counted instead of rung.

use std::sync::atomic::{AtomicUsize, Ordering};

use domain::outbox::JobSignal;

/// Wakes nobody and counts how often it was asked to.
#[derive(Debug, Default)]
pub struct CountingSignal(AtomicUsize);

impl CountingSignal {
    pub fn wakes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl JobSignal for CountingSignal {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
