//! Stub.
use crate::slab::EntryId;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark { pub(crate) tag: u8, pub(crate) access: u8 }
pub(crate) trait Residents {
    fn tag(&self, id: EntryId) -> Option<u8>;
    fn set_tag(&mut self, id: EntryId, tag: u8);
    fn access(&self, id: EntryId) -> u8;
    fn set_access(&mut self, id: EntryId, access: u8);
    fn hash(&self, id: EntryId) -> u32;
    fn weight(&self, id: EntryId) -> usize;
    fn may_go(&self, id: EntryId) -> bool;
    fn random(&mut self) -> Option<EntryId>;
    fn closest_deadline(&mut self) -> Option<EntryId>;
    fn prefetch(&self, _id: EntryId) {}
}
pub(crate) struct Recency;
impl Recency { pub(crate) const fn new() -> Self { Recency } pub(crate) fn stuck(&self) -> bool { false } }
#[derive(Debug, Clone, Copy)]
pub(crate) enum Touch { None }
impl Touch { #[inline] pub(crate) fn touched(self, access: u8, _: &Recency) -> u8 { access } }
#[derive(Debug)]
pub(crate) enum Policy { None, Random, Ttl }
impl Policy {
    pub(crate) fn named(name: &str) -> Policy { match name { "random" => Policy::Random, "ttl" => Policy::Ttl, _ => Policy::None } }
    pub(crate) fn needs_tag(&self) -> bool { false }
    pub(crate) fn may_evict(&self) -> bool { !matches!(self, Policy::None) }
    pub(crate) fn touch(&self) -> Touch { Touch::None }
    pub(crate) fn admitted(&mut self, _: EntryId, _: u32, _: usize, _: &Recency) -> Mark { Mark { tag: 0, access: 0 } }
    pub(crate) fn moved(&mut self, _: EntryId, _: EntryId, _: u8, _: usize, _: usize) {}
    pub(crate) fn removed(&mut self, _: u8, _: usize) {}
    pub(crate) fn victim(&mut self, residents: &mut impl Residents, _: &Recency) -> Option<EntryId> {
        if let Policy::Ttl = self && let Some(id) = residents.closest_deadline() { return Some(id) }
        for _ in 0..1000 { if let Some(id) = residents.random() && residents.may_go(id) { return Some(id) } }
        None
    }
    pub(crate) fn tidy(&mut self, _: usize, _: &mut impl Residents, _: &Recency) {}
    pub(crate) fn cleared(&mut self, _: &Recency) {}
    pub(crate) fn bytes(&self) -> usize { 0 }
    pub(crate) fn growth(&self) -> usize { 0 }
    pub(crate) fn validate(&self, _: &impl Residents) -> Result<(), String> { Ok(()) }
}
