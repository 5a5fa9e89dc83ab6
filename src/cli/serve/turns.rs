//! Backpressure: how many requests are inside, and how many of them compute.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for requests. Memory is bounded by them: outside nothing of a request is read.
pub struct Turns {
    inside: Arc<Semaphore>,
    computing: Arc<Semaphore>,
    places: usize,
    desks: usize,
}

impl Turns {
    /// `desks` requests compute at once, and `waiting` more may be inside.
    pub fn new(desks: usize, waiting: usize) -> Turns {
        let places = desks + waiting;
        Turns {
            inside: Arc::new(Semaphore::new(places)),
            computing: Arc::new(Semaphore::new(desks)),
            places,
            desks,
        }
    }

    /// A place inside; `None` where all are taken.
    pub fn enter(&self) -> Option<OwnedSemaphorePermit> {
        self.inside.clone().try_acquire_owned().ok()
    }

    /// Waits for a turn to compute.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        self.computing.clone().acquire_owned().await.ok()
    }

    /// Whether the next request would be let in.
    pub fn has_room(&self) -> bool {
        self.inside.available_permits() > 0
    }

    /// Requests inside, and those that compute.
    pub fn taken(&self) -> (usize, usize) {
        (
            self.places - self.inside.available_permits(),
            self.desks - self.computing.available_permits(),
        )
    }
}
