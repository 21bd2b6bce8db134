//! The slab against a model, and under sizes that shift.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::classes::SHAPES;
use super::spans::{DRAINING, RETURNED};
use super::*;

impl Slab {
    /// Asserts every invariant.
    pub(crate) fn validate(&self, region: &Region<AtomicU32>) {
        let mut state_of = BTreeMap::new();
        for (head, state) in [(self.pooled, POOLED), (self.returned, RETURNED)] {
            state_of.extend(self.spans.list(head).into_iter().map(|span| (span, (state, None))));
        }
        assert_eq!(
            state_of.values().filter(|(state, _)| *state == POOLED).count(),
            self.pooled_len
        );
        for (number, class) in self.classes.iter().enumerate() {
            for (level, head) in class.heads.iter().enumerate() {
                let spans = self.spans.list(*head);
                assert_eq!(class.levels >> level & 1 != 0, !spans.is_empty());
                let state = (level as State, Some(number));
                state_of.extend(spans.into_iter().map(|span| (span, state)));
            }
        }
        let (mut len, mut used, mut words, mut in_use) = (0, 0, 0, 0);
        let mut classes = vec![(0, 0); CLASSES];
        for number in 1..self.spans.len() {
            let span = self.spans.at(number);
            let listed = state_of.get(&number);
            if span.state >= POOLED {
                assert_eq!(listed, Some(&(span.state, None)), "span {number}");
                assert_eq!(span.used, 0);
                continue;
            }
            let (class, shape) = (usize::from(span.class), SHAPES[usize::from(span.class)]);
            let (places, size) = (usize::from(shape.places), usize::from(shape.words));
            assert!(
                span.used > 0 && span.used <= span.opened && usize::from(span.opened) <= places
            );
            match span.state {
                FULL => assert_eq!(span.used, shape.places),
                DRAINING => assert_eq!(self.drain.span(), number),
                level => {
                    assert_eq!((level, span.used < shape.places), (shape.level(span.used), true))
                }
            }
            let level = Some(&(span.state, Some(class)));
            assert_eq!(listed, level.filter(|_| usize::from(span.state) < LEVELS), "span {number}");
            let mut free = 0;
            let mut place = span.free;
            while place != 0 {
                assert!(place <= span.opened);
                let word = number as usize * SPAN + (usize::from(place) - 1) * size;
                assert_eq!(region.get(word).load(Relaxed), 0, "a free place has a mark");
                place = region.get(word + 1).load(Relaxed) as u16;
                free += 1;
            }
            assert_eq!(span.used + free, span.opened);
            (len, used) = (len + usize::from(span.used), used + usize::from(span.used) * size);
            (in_use, words) = (in_use + 1, words + places * size);
            classes[class].0 += 1;
            classes[class].1 += u32::from(span.used);
        }
        assert_eq!((len, used, words), (self.len, self.used_words, self.words));
        assert_eq!(in_use, self.spans_in_use);
        for (class, (spans, used)) in self.classes.iter().zip(classes) {
            assert_eq!((class.spans, class.used), (spans, used));
        }
    }
}

/// A shard's worth of places, each of which has an owner that knows its size.
#[derive(Default)]
struct Model {
    region: Option<Box<Region<AtomicU32>>>,
    slab: Option<Slab>,
    /// Id and size of each owner.
    owners: Vec<(EntryId, usize)>,
    moved: usize,
}

/// Bytes of a place in use.
fn place_bytes(slab: &Slab, id: EntryId) -> usize {
    usize::from(SHAPES[usize::from(slab.spans.at(id.span()).class)].words) * 4
}

impl Model {
    fn parts(&mut self) -> (&Region<AtomicU32>, &mut Slab) {
        let region = self.region.get_or_insert_with(|| Box::new(Region::new()));
        (region, self.slab.get_or_insert_with(Slab::new))
    }

    /// Takes a place and writes its owner's number into its last word.
    fn place(&mut self, owner: usize, bytes: usize) -> EntryId {
        let (region, slab) = self.parts();
        let before = slab.bytes();
        let id = slab.alloc(region, bytes).unwrap();
        assert_eq!(slab.bytes(), before + charge(bytes));
        assert_eq!(place_bytes(slab, id), charge(bytes));
        assert!(!slab.is_live(region, id), "a place has a mark before it is written");
        region.get(id.word() + charge(bytes) / 4 - 1).store(owner as u32, Relaxed);
        region.get(id.word()).store((owner as u32) << 8 | 1, Relaxed);
        assert!(slab.is_live(region, id));
        id
    }

    fn owner(&mut self, id: EntryId) -> usize {
        let (region, slab) = self.parts();
        let first = region.get(id.word()).load(Relaxed) >> 8;
        let last = region.get(id.word() + place_bytes(slab, id) / 4 - 1).load(Relaxed);
        assert_eq!(first, last, "the bytes of an entry were overwritten");
        last as usize
    }

    fn free(&mut self, id: EntryId) {
        let (region, slab) = self.parts();
        let before = slab.bytes();
        let bytes = place_bytes(slab, id);
        slab.free(region, id);
        assert_eq!(slab.bytes(), before - bytes);
        assert!(!slab.is_live(region, id));
    }

    fn add(&mut self, bytes: usize) {
        let id = self.place(self.owners.len(), bytes);
        self.owners.push((id, bytes));
        self.tidy();
    }

    fn resize(&mut self, owner: usize, bytes: usize) {
        let (id, _) = self.owners[owner];
        assert_eq!(self.owner(id), owner);
        self.owners[owner] = (self.place(owner, bytes), bytes);
        self.free(id);
        self.tidy();
    }

    fn remove(&mut self, owner: usize) {
        let (id, _) = self.owners.swap_remove(owner);
        self.free(id);
        if let Some((id, bytes)) = self.owners.get(owner).copied() {
            let (region, _) = self.parts();
            region.get(id.word() + charge(bytes) / 4 - 1).store(owner as u32, Relaxed);
            region.get(id.word()).store((owner as u32) << 8 | 1, Relaxed);
        }
        self.tidy();
    }

    /// Moves what should move, as a shard does after each change.
    fn tidy(&mut self) {
        for _ in 0..2 {
            let (region, slab) = self.parts();
            let Some(id) = slab.draining_next(region) else { break };
            let owner = self.owner(id);
            let (known, bytes) = self.owners[owner];
            assert_eq!(known, id);
            self.owners[owner].0 = self.place(owner, bytes);
            self.free(id);
            self.moved += 1;
        }
    }

    fn validate(&mut self) {
        let (region, slab) = self.parts();
        slab.validate(region);
        let live = slab.len();
        assert_eq!(live, self.owners.len());
        for owner in 0..live {
            let (id, _) = self.owners[owner];
            assert_eq!(self.owner(id), owner);
        }
    }

    fn resident_share(&mut self) -> f64 {
        let (region, slab) = self.parts();
        slab.resident_bytes(region) as f64 / slab.bytes() as f64
    }
}

#[test]
fn every_place_keeps_its_owner() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut model = Model::default();
    for round in 0..30 {
        let most = [300, 40, 4096, 1000][round % 4];
        for _ in 0..3000 {
            let bytes = random.usize(1..=most);
            match random.usize(..10) {
                0..4 => model.add(bytes),
                4..7 if !model.owners.is_empty() => {
                    model.resize(random.usize(..model.owners.len()), bytes);
                }
                7.. if !model.owners.is_empty() => model.remove(random.usize(..model.owners.len())),
                _ => {}
            }
        }
        model.validate();
        if round % 10 == 9 {
            while !model.owners.is_empty() {
                model.remove(random.usize(..model.owners.len()));
            }
            model.validate();
            let (region, slab) = model.parts();
            assert_eq!((slab.len(), slab.bytes(), slab.resident_bytes(region)), (0, 0, 0));
        }
    }
}

#[test]
fn exactly_the_live_places_are_live() {
    let mut random = fastrand::Rng::with_seed(2);
    let mut model = Model::default();
    for _ in 0..3000 {
        model.add(random.usize(1..=600));
    }
    for _ in 0..1500 {
        model.remove(random.usize(..model.owners.len()));
    }
    let live: std::collections::HashSet<_> = model.owners.iter().map(|(id, _)| *id).collect();
    let (region, slab) = model.parts();
    let end = slab.spans.len() * SPAN as u32;
    // All words look as if an entry began there.
    for word in 0..end as usize {
        let found = region.get(word);
        if found.load(Relaxed) & MARK == 0 && !live.contains(&EntryId::new(word as u32)) {
            let span = slab.spans.at(EntryId::new(word as u32).span());
            let shape = SHAPES[usize::from(span.class)];
            let starts = (word % SPAN).is_multiple_of(usize::from(shape.words));
            let opened = shape.place(word % SPAN) < usize::from(span.opened);
            if !(starts && opened) {
                found.store(1, Relaxed);
            }
        }
    }
    for number in (0..end + 10 * SPAN as u32).chain([u32::MAX]) {
        let id = EntryId::new(number);
        assert_eq!(slab.is_live(region, id), live.contains(&id), "{id:?}");
    }
}

#[test]
fn memory_stays_near_what_is_charged_while_sizes_shift() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut model = Model::default();
    let shifts: [fn(&mut fastrand::Rng) -> usize; 6] = [
        |random| random.usize(10..=4096),
        |random| random.usize(30..=60),
        |random| 1 << random.usize(4..=12),
        |random| random.usize(2000..=4096),
        |random| random.usize(10..=200),
        |random| (10.0 * 409.6_f64.powf(random.f64())) as usize,
    ];
    let budget = 16 << 20;
    let mut written = 0;
    for shift in shifts.iter().cycle().take(12) {
        let (mut worst, mut changes) = (1.0_f64, 0);
        // Until everything was overwritten, and then some.
        while changes < 3 * model.owners.len().max(2000) {
            let bytes = shift(&mut random);
            match model.owners.len() {
                0 => model.add(bytes),
                len => model.resize(random.usize(..len), bytes),
            }
            while model.parts().1.bytes() > budget {
                model.remove(random.usize(..model.owners.len()));
            }
            while model.parts().1.bytes() < budget - 4096 {
                model.add(shift(&mut random));
                changes += 1;
            }
            worst = worst.max(model.resident_share());
            changes += 1;
        }
        written += changes;
        model.validate();
        let now = model.resident_share();
        println!("worst {worst:.3}, now {now:.3}, {} live", model.owners.len());
        assert!(now < 1.3, "{now} times what is charged is in memory");
    }
    println!("{} moved, {written} written", model.moved);
}
