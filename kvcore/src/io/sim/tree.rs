//! The names on the simulated disk, and the files behind them.
//!
//! Invariants: a change of names survives a crash once its directory has been synced; until then it
//! survives or not, each change on its own, in the order they were made; a rename is one change.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

use fastrand::Rng;

use super::content::{Content, SECTOR, Sector};
use super::{Odds, errno};

/// Names a file or a directory, whatever it is called.
pub(super) type NodeId = u64;

/// The directory above all others.
const ROOT: NodeId = 0;

/// Sectors of removed files that are kept to turn up again.
const STALE: usize = 64;

type Names = BTreeMap<String, NodeId>;

/// A file or a directory.
#[derive(Clone)]
pub(super) enum Node {
    Dir { now: Names, durable: Names },
    File { content: Content, handles: u32 },
}

/// A name in a directory.
type Place = (NodeId, String);

/// A change of names: a node leaves a place, or comes to one, or both.
#[derive(Clone)]
struct Change {
    node: NodeId,
    from: Option<Place>,
    to: Option<Place>,
}

impl Change {
    fn touches(&self, dir: NodeId) -> bool {
        self.from.iter().chain(&self.to).any(|place| place.0 == dir)
    }
}

/// Every node of a disk.
#[derive(Clone)]
pub(super) struct Tree {
    nodes: BTreeMap<NodeId, Node>,
    next: NodeId,
    unsynced: Vec<Change>,
    stale: Vec<Sector>,
}

impl Tree {
    pub(super) fn new() -> Tree {
        let nodes = BTreeMap::from([(ROOT, dir())]);
        Tree { nodes, next: ROOT + 1, unsynced: Vec::new(), stale: Vec::new() }
    }

    /// What has this name, if anything has.
    pub(super) fn find(&self, path: &Path) -> io::Result<Option<NodeId>> {
        let mut node = ROOT;
        let names = names(path)?;
        for (depth, name) in names.iter().enumerate() {
            match self.dir(node)?.get(name) {
                Some(&next) => node = next,
                None => return Ok(None),
            }
            if depth + 1 < names.len() {
                self.dir(node)?;
            }
        }
        Ok(Some(node))
    }

    /// What has this name.
    pub(super) fn get(&self, path: &Path) -> io::Result<NodeId> {
        self.find(path)?.ok_or_else(|| errno(libc::ENOENT))
    }

    /// The names in a directory.
    pub(super) fn dir(&self, node: NodeId) -> io::Result<&Names> {
        match self.nodes.get(&node) {
            Some(Node::Dir { now, .. }) => Ok(now),
            _ => Err(errno(libc::ENOTDIR)),
        }
    }

    pub(super) fn is_dir(&self, node: NodeId) -> bool {
        self.dir(node).is_ok()
    }

    /// The content of a file.
    pub(super) fn file(&mut self, node: NodeId) -> io::Result<&mut Content> {
        match self.nodes.get_mut(&node) {
            Some(Node::File { content, .. }) => Ok(content),
            _ => Err(errno(libc::EISDIR)),
        }
    }

    /// The length of a file; `None` for a directory.
    pub(super) fn len(&self, node: NodeId) -> Option<u64> {
        match self.nodes.get(&node) {
            Some(Node::File { content, .. }) => Some(content.len()),
            _ => None,
        }
    }

    /// Makes an empty file or a directory.
    pub(super) fn make(&mut self, path: &Path, is_dir: bool) -> io::Result<NodeId> {
        let place = self.place(path)?;
        if self.dir(place.0)?.contains_key(&place.1) {
            return Err(errno(libc::EEXIST));
        }
        let node = self.next;
        self.next += 1;
        let made = if is_dir { dir() } else { file(Content::default()) };
        self.nodes.insert(node, made);
        self.change(Change { node, from: None, to: Some(place) });
        Ok(node)
    }

    /// Removes the name of a file.
    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let node = self.get(path)?;
        if self.is_dir(node) {
            return Err(errno(libc::EISDIR));
        }
        let place = self.place(path)?;
        self.change(Change { node, from: Some(place), to: None });
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.get(from)?;
        let (from, place) = (self.place(from)?, self.place(to)?);
        match self.find(to)? {
            Some(there) if there == node => return Ok(()),
            Some(there) => match (self.is_dir(node), self.dir(there)) {
                (false, Ok(_)) => return Err(errno(libc::EISDIR)),
                (true, Err(_)) => return Err(errno(libc::ENOTDIR)),
                (true, Ok(names)) if !names.is_empty() => return Err(errno(libc::ENOTEMPTY)),
                _ => {}
            },
            None => {}
        }
        self.change(Change { node, from: Some(from), to: Some(place) });
        Ok(())
    }

    /// Makes the names in a directory survive or, if that fails, any of them, and the others never.
    pub(super) fn sync_dir(&mut self, dir: NodeId, failed: bool, random: &mut Rng) {
        let (covered, left): (Vec<_>, Vec<_>) =
            self.unsynced.drain(..).partition(|change| change.touches(dir));
        self.unsynced = left;
        for change in covered {
            if !failed || random.bool() {
                self.apply(&change, true);
            }
        }
        self.collect();
    }

    /// The power fails.
    pub(super) fn crash(&mut self, data: Odds, of_names: Odds, show_stale: bool, random: &mut Rng) {
        for change in std::mem::take(&mut self.unsynced) {
            if of_names.survives(random) {
                self.apply(&change, true);
            }
        }
        for node in self.nodes.values_mut() {
            match node {
                Node::Dir { now, durable } => now.clone_from(durable),
                Node::File { content, handles } => {
                    *handles = 0;
                    let stale = if show_stale { &self.stale[..] } else { &[] };
                    content.crash(data, stale, random);
                }
            }
        }
        self.collect();
    }

    /// Nothing has a file open any more.
    pub(super) fn close_all(&mut self) {
        for node in self.nodes.values_mut() {
            if let Node::File { handles, .. } = node {
                *handles = 0;
            }
        }
        self.collect();
    }

    pub(super) fn opened(&mut self, node: NodeId) {
        if let Some(Node::File { handles, .. }) = self.nodes.get_mut(&node) {
            *handles += 1;
        }
    }

    pub(super) fn closed(&mut self, node: NodeId) {
        if let Some(Node::File { handles, .. }) = self.nodes.get_mut(&node) {
            *handles = handles.saturating_sub(1);
            if *handles == 0 {
                self.collect();
            }
        }
    }

    /// Bytes of the disk in use: by files that have a name, and by those that are open.
    pub(super) fn used(&self) -> u64 {
        let named: BTreeSet<NodeId> =
            self.each_dir().flat_map(|(now, _)| now.values()).copied().collect();
        let used = |(id, node): (&NodeId, &Node)| match node {
            Node::File { content, handles } if *handles > 0 || named.contains(id) => content.used(),
            _ => 0,
        };
        self.nodes.iter().map(used).sum()
    }

    /// Puts a file in place that survives, with the directories above it.
    pub(super) fn put(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        for parent in path.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
            if self.find(parent)?.is_none() {
                let node = self.make(parent, true)?;
                self.settle(node);
            }
        }
        let node = match self.find(path)? {
            Some(node) => node,
            None => self.make(path, false)?,
        };
        self.settle(node);
        *self.file(node)? = Content::of(bytes);
        Ok(())
    }

    /// Removes a file so that its name does not come back.
    pub(super) fn erase(&mut self, path: &Path) -> io::Result<()> {
        let node = self.get(path)?;
        self.remove(path)?;
        self.settle(node);
        Ok(())
    }

    /// Every file.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, node)) = open.pop() {
            match self.dir(node) {
                Ok(names) => open.extend(names.iter().map(|(name, &id)| (path.join(name), id))),
                Err(_) => found.push(path),
            }
        }
        found.sort();
        found
    }

    /// Makes the changes of one node's names survive.
    fn settle(&mut self, node: NodeId) {
        let (covered, left): (Vec<_>, Vec<_>) =
            self.unsynced.drain(..).partition(|change| change.node == node);
        self.unsynced = left;
        for change in covered {
            self.apply(&change, true);
        }
    }

    /// The directory and the name in it that a path means.
    fn place(&self, path: &Path) -> io::Result<Place> {
        let mut names = names(path)?;
        let name = names.pop().ok_or_else(|| errno(libc::EINVAL))?;
        let parent = self.get(&names.iter().collect::<PathBuf>())?;
        self.dir(parent)?;
        Ok((parent, name))
    }

    fn change(&mut self, change: Change) {
        self.apply(&change, false);
        self.unsynced.push(change);
    }

    fn apply(&mut self, change: &Change, survives: bool) {
        // After a crash another file may have the name, if an earlier change was lost.
        if let Some((dir, name)) = &change.from
            && let Some(names) = self.names_mut(*dir, survives)
            && names.get(name) == Some(&change.node)
        {
            names.remove(name);
        }
        if let Some((dir, name)) = &change.to
            && let Some(names) = self.names_mut(*dir, survives)
        {
            names.insert(name.clone(), change.node);
        }
    }

    fn names_mut(&mut self, dir: NodeId, surviving: bool) -> Option<&mut Names> {
        match self.nodes.get_mut(&dir)? {
            Node::Dir { durable, .. } if surviving => Some(durable),
            Node::Dir { now, .. } => Some(now),
            Node::File { .. } => None,
        }
    }

    fn each_dir(&self) -> impl Iterator<Item = (&Names, &Names)> {
        self.nodes.values().filter_map(|node| match node {
            Node::Dir { now, durable } => Some((now, durable)),
            Node::File { .. } => None,
        })
    }

    /// Forgets the files that nothing can bring back.
    fn collect(&mut self) {
        let mut kept: BTreeSet<NodeId> = BTreeSet::from([ROOT]);
        for (now, durable) in self.each_dir() {
            kept.extend(now.values().chain(durable.values()));
        }
        kept.extend(self.unsynced.iter().map(|change| change.node));
        let stale = &mut self.stale;
        self.nodes.retain(|id, node| match node {
            Node::File { content, handles: 0 } if !kept.contains(id) => {
                let room = STALE - stale.len();
                stale.extend(content.sectors().take(room).cloned());
                false
            }
            Node::Dir { .. } => kept.contains(id),
            Node::File { .. } => true,
        });
    }
}

fn dir() -> Node {
    Node::Dir { now: Names::new(), durable: Names::new() }
}

fn file(content: Content) -> Node {
    Node::File { content, handles: 0 }
}

/// The sectors of so much room.
pub(super) fn sectors_in(bytes: u64) -> u64 {
    bytes / SECTOR
}

/// The names on the way. A path means the same with a slash in front and without.
fn names(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::ParentDir | Component::Prefix(_) => return Err(errno(libc::EINVAL)),
        }
    }
    Ok(names)
}
