//! Lives of one directory, each of them ended from outside, and what the next one finds.
//!
//! Owns: the directory, the ledger of the present life, and the model. A directory is opened again and
//! again without ever being closed, so that every recovery reads what other recoveries left behind.
//! What a life found is checked while it already writes.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use kvcore::Store;

use crate::workload::writer::Orders;
use crate::workload::{Bound, Dump, Ledger, Model, Persistence, Setting, Verdict, wall_ms};

/// How long opening may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(300);

/// How a rig ends a life. The writer has been started and is running.
pub trait End {
    /// Makes the end come. Afterwards the writer is killed in any case.
    ///
    /// # Errors
    /// If the machine does not allow it.
    fn strike(&mut self) -> Result<()>;

    /// From when on, by the clock of the ledger, nobody was told anything any more.
    fn struck_ns(&self) -> u64;

    /// Makes the directory reachable again, once the writer is dead.
    ///
    /// # Errors
    /// If the machine does not allow it.
    fn recover(&mut self) -> Result<()>;

    /// What must be there afterwards.
    fn bound(&self, setting: Setting) -> Bound;

    /// Whether a writer may see its disk go, and fail, before it is killed.
    fn takes_the_disk(&self) -> bool;
}

/// The end of the process alone.
pub struct Kill;

impl End for Kill {
    fn strike(&mut self) -> Result<()> {
        Ok(())
    }

    fn struck_ns(&self) -> u64 {
        // A process that is killed has said what it has said.
        u64::MAX
    }

    fn recover(&mut self) -> Result<()> {
        Ok(())
    }

    fn bound(&self, setting: Setting) -> Bound {
        match setting.persistence() {
            Persistence::Snapshot => Bound::Synced,
            Persistence::Wal | Persistence::Hybrid => Bound::Acknowledged,
        }
    }

    fn takes_the_disk(&self) -> bool {
        false
    }
}

/// A directory, and what is known of it.
pub struct Lives {
    /// Outside of the crash: ledgers and what is kept of a failure.
    work: PathBuf,
    dir: PathBuf,
    setting: Setting,
    seed: u64,
    random: fastrand::Rng,
    model: Model,
    /// How many writers were started.
    started: u64,
    /// The ledger of the life that the model is of, if a life has begun, and when that ended.
    present: Option<Ledger>,
    ended_ns: u64,
}

/// A writer that runs.
struct Writer {
    child: Child,
    dump: Receiver<Result<Dump>>,
    ledger: PathBuf,
    life: u64,
    life_ms: i64,
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After an error nobody else does it; a writer that is dead is none the worse.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lives {
    /// A directory that does not exist yet. `work` is emptied.
    ///
    /// # Errors
    /// Those of files.
    pub fn new(work: &Path, dir: &Path, setting: Setting, seed: u64) -> Result<Lives> {
        let random = fastrand::Rng::with_seed(seed);
        let (work, dir) = (work.to_path_buf(), dir.to_path_buf());
        if work.exists() {
            fs::remove_dir_all(&work)?;
        }
        fs::create_dir_all(&work)?;
        let model = Model::new(seed);
        Ok(Lives {
            work,
            dir,
            setting,
            seed,
            random,
            model,
            started: 0,
            present: None,
            ended_ns: 0,
        })
    }

    /// Starts a writer, compares what it found with what the life before was told, lets it write for a
    /// random while, and ends it.
    ///
    /// # Errors
    /// A violation, or that the machine does not play along.
    pub fn end_writing(&mut self, end: &mut dyn End) -> Result<Verdict> {
        self.keep_copy()?;
        let writer = self.start()?;
        let found = match writer.dump.recv_timeout(PATIENCE) {
            Ok(found) => found,
            Err(error) => Err(anyhow!("opening took over {PATIENCE:?}: {error}")),
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => bail!("{error:#}: {}", self.stop(writer)?),
        };
        let micros = [3_000, 12_000, 40_000][self.random.usize(..3)];
        let verdict = self.look(&writer, found, end.bound(self.setting))?;
        std::thread::sleep(Duration::from_micros(self.random.u64(..micros)));
        let struck = end.strike();
        self.ended_ns = end.struck_ns();
        self.stop(writer)?;
        struck?;
        end.recover()?;
        Ok(verdict)
    }

    /// Ends up to three openings on the way, one after the other, and sees that the one that comes
    /// through finds the same as one that was never interrupted.
    ///
    /// # Errors
    /// As [`end_writing`](Self::end_writing).
    pub fn end_recovering(&mut self, end: &mut dyn End, depth: u64) -> Result<u64> {
        if self.present.is_none() {
            return Ok(0);
        }
        self.keep_copy()?;
        let undisturbed = self.open_copy()?;
        let mut ends = 0;
        for _ in 0..depth {
            let writer = self.start()?;
            std::thread::sleep(Duration::from_micros(self.random.u64(300..6_000)));
            end.strike()?;
            let dump = self.stop_and_take(writer, end.takes_the_disk())?;
            end.recover()?;
            ends += 1;
            if let Some((writer, found)) = dump {
                // It was too quick for us, and may have written.
                self.look(&writer, found, end.bound(self.setting))?;
                self.ended_ns = end.struck_ns();
                return Ok(ends);
            }
        }
        let writer = self.start()?;
        let found = writer.dump.recv_timeout(PATIENCE).map_err(|_| anyhow!("opening hangs"))?;
        let found = match found {
            Ok(found) => found,
            Err(error) => bail!("{error:#}: {}", self.stop(writer)?),
        };
        let at_ms = found.after_ms.max(undisturbed.after_ms) + 100;
        ensure!(
            found.alive(at_ms) == undisturbed.alive(at_ms)
                && found.last_revision == undisturbed.last_revision,
            "after {ends} interrupted openings another state was recovered than without them"
        );
        self.look(&writer, found, end.bound(self.setting))?;
        let struck = end.strike();
        self.ended_ns = end.struck_ns();
        self.stop(writer)?;
        struck?;
        end.recover()?;
        Ok(ends + 1)
    }

    /// Where the evidence of a violation is.
    pub fn evidence(&self) -> String {
        format!(
            "the directory as it was before the opening that failed is {}; {}, seed {}",
            self.copy_path().display(),
            self.setting.name(),
            self.seed
        )
    }

    fn copy_path(&self) -> PathBuf {
        self.work.join("before")
    }

    /// Keeps the directory as it is before an opening, as evidence.
    fn keep_copy(&self) -> Result<()> {
        let copy = self.copy_path();
        if copy.exists() {
            fs::remove_dir_all(&copy)?;
        }
        if self.dir.exists() { copy_dir(&self.dir, &copy) } else { Ok(()) }
    }

    fn open_copy(&self) -> Result<Dump> {
        let copy = self.work.join("undisturbed");
        if copy.exists() {
            fs::remove_dir_all(&copy)?;
        }
        copy_dir(&self.copy_path(), &copy)?;
        let before_ms = wall_ms();
        let store = Store::open_directory(&copy, self.setting.options()?)
            .context("a copy of the directory does not open")?;
        Dump::of(&store, before_ms)
    }

    fn start(&mut self) -> Result<Writer> {
        self.started += 1;
        let (life, life_ms) = (self.started, wall_ms());
        let ledger = self.work.join(format!("ledger-{}", life % 16));
        drop(Ledger::create(&ledger)?);
        let orders = Orders {
            dir: self.dir.clone(),
            ledger: ledger.clone(),
            setting: self.setting,
            seed: self.seed,
            life,
            life_ms,
        };
        let errors = fs::File::create(self.work.join("errors.txt"))?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(orders.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .context("cannot start a writer")?;
        let mut output = child.stdout.take().context("a writer without output")?;
        let (sender, dump) = channel();
        std::thread::spawn(move || {
            // Nobody may be waiting any more.
            let _ = sender.send(Dump::read(&mut output));
            let _ = output.read_to_end(&mut Vec::new());
        });
        Ok(Writer { child, dump, ledger, life, life_ms })
    }

    /// Kills a writer, and says what it had to say.
    fn stop(&self, mut writer: Writer) -> Result<String> {
        writer.child.kill()?;
        writer.child.wait()?;
        Ok(fs::read_to_string(self.work.join("errors.txt")).unwrap_or_default())
    }

    /// Kills a writer, and takes its dump if it had written all of it.
    fn stop_and_take(&self, mut writer: Writer, may_fail: bool) -> Result<Option<(Writer, Dump)>> {
        writer.child.kill()?;
        writer.child.wait()?;
        match writer.dump.recv_timeout(PATIENCE) {
            Ok(Ok(dump)) => Ok(Some((writer, dump))),
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => {
                let said = fs::read_to_string(self.work.join("errors.txt")).unwrap_or_default();
                ensure!(
                    may_fail || said.is_empty(),
                    "an opening failed before it was killed: {said}"
                );
                Ok(None)
            }
            Err(RecvTimeoutError::Timeout) => bail!("a killed writer does not end"),
        }
    }

    /// Compares what a life found with what the one before it was told, and makes it the present one.
    fn look(&mut self, writer: &Writer, found: Dump, bound: Bound) -> Result<Verdict> {
        let notes = match &self.present {
            Some(ledger) => ledger.read(self.ended_ns)?,
            None => vec![Default::default(); crate::workload::THREADS],
        };
        let verdict = self
            .model
            .see_revisions(&notes)
            .and_then(|()| self.model.check(&notes, &found, bound))
            .map_err(|violation| anyhow!("VIOLATION: {violation}"))?;
        self.model.begin(found, writer.life, writer.life_ms);
        self.present = Some(Ledger::open(&writer.ledger)?);
        Ok(verdict)
    }
}

/// Copies the files of a directory, and the time at which they were changed does not matter.
///
/// # Errors
/// Those of files.
pub fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
