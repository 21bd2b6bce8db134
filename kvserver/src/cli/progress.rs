//! Bars for work that takes longer than a second.
//!
//! Owns: [`Progress`]. Invariants: it draws on standard error, only if that is a terminal, and only after
//! the first second, so that short work leaves no trace; standard output never has a part of it.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// How far some work has come. Clones show the same bar.
#[derive(Clone)]
pub struct Progress(Arc<Inner>);

struct Inner {
    bar: ProgressBar,
    began: Instant,
    quiet: bool,
    shown: OnceLock<()>,
}

impl Progress {
    /// Work that is measured in bytes.
    pub fn bytes(what: &'static str, quiet: bool) -> Progress {
        Progress::styled(what, quiet, "{msg} {wide_bar} {bytes}/{total_bytes} {eta}")
    }

    /// Work that is measured in entries.
    pub fn entries(what: &'static str, quiet: bool) -> Progress {
        Progress::styled(what, quiet, "{msg} {wide_bar} {human_pos}/{human_len} {eta}")
    }

    /// Work of unknown length, on a thread that cannot tell how far it is.
    pub fn spinner(what: &'static str, quiet: bool) -> Progress {
        let progress = Progress::styled(what, quiet, "{spinner} {msg} {elapsed}");
        if !quiet {
            progress.0.bar.set_draw_target(ProgressDrawTarget::stderr());
            progress.0.bar.enable_steady_tick(PATIENCE);
        }
        progress
    }

    fn styled(what: &'static str, quiet: bool, template: &str) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        Progress(Arc::new(Inner { bar, began: Instant::now(), quiet, shown: OnceLock::new() }))
    }

    /// All of it is so much.
    pub fn set_total(&self, total: u64) {
        self.0.bar.set_length(total);
    }

    /// So much is done.
    pub fn set(&self, done: u64) {
        let inner = &*self.0;
        inner.bar.set_position(done);
        if !inner.quiet && inner.began.elapsed() >= PATIENCE {
            inner.shown.get_or_init(|| inner.bar.set_draw_target(ProgressDrawTarget::stderr()));
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.0.bar.finish_and_clear();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
