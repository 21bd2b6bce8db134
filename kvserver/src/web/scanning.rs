//! A scan as a task reads it: some entries at a time, on a thread that may take its time.
//!
//! Owns: [`Scanning`]. Without `ordered_index` a scan in order goes through the whole store, which would keep
//! every other client of an event loop waiting.

use std::sync::Arc;

use kvcore::{Entry, Error, Result, Scan, ScanOptions, Status};
use tokio::sync::Semaphore;

use super::Front;
use super::watching::elsewhere;

/// A scan under way.
#[derive(Debug)]
pub struct Scanning {
    /// Away only while another thread reads it.
    scan: Option<Scan>,
    places: Arc<Semaphore>,
}

impl Front {
    /// Begins a scan.
    ///
    /// # Errors
    /// `Closed`, `Forked`.
    pub fn scan(&self, options: &ScanOptions) -> Result<Scanning> {
        let scan = Some(self.shared.store.scan(options)?);
        Ok(Scanning { scan, places: Arc::clone(&self.scans) })
    }
}

impl Scanning {
    /// The next entries: `count`, or fewer at the end, and none after it. It waits until few enough other
    /// scans are being read.
    ///
    /// # Errors
    /// Those of [`Scan::try_next`]; a scan that has failed once is over.
    pub async fn next(&mut self, count: usize) -> Result<Vec<Entry>> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| Error::from(Status::Closed))?;
        let mut scan = self.scan.take().ok_or(Status::Closed)?;
        let read = move || {
            let entries: Result<Vec<Entry>> = scan.by_ref().take(count).collect();
            drop(place);
            (scan, entries)
        };
        let (scan, entries) = elsewhere(read).await?;
        self.scan = Some(scan);
        entries
    }
}
