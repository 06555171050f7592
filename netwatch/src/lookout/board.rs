//! The feeds in use, for those who ask from other threads.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::feeds::Loaded;
use crate::report::{Listed, ListedBy};

/// Where the loop puts feeds when it has loaded them, and others look them up. Packets are looked up elsewhere: the lock is held
/// only for as long as a pointer takes to be copied.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Arc<Loaded>>>);

impl Board {
    /// Puts up what is in use from now on.
    pub fn put(&self, loaded: &Arc<Loaded>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(loaded);
    }
}

impl Listed for Board {
    fn find(&self, addr: IpAddr) -> Vec<ListedBy> {
        let loaded = Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let listings = loaded.lookup(addr);
        let one = |listing: &crate::feeds::Listing<'_>| ListedBy {
            feed: listing.feed.config.name.clone(),
            entry: listing.entry.to_string(),
            severity: listing.feed.config.severity,
            comment: listing.comment.unwrap_or_default().to_owned(),
        };
        listings.iter().map(one).collect()
    }
}
