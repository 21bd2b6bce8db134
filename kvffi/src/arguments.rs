//! What foreign code passes, turned into what Rust may touch.
//!
//! Invariants: NULL with a length never becomes a slice; a length that no object can have is
//! refused, never believed; an output is written through [`Out::put`] alone, so a call that fails
//! before it has an answer leaves the caller's memory as it was. Outputs may be unaligned: foreign
//! function interfaces of scripting languages hand out such pointers, and it costs nothing.

use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::MaybeUninit;
use std::{ptr, slice};

use kvcore::Status;

use crate::error::{Failure, Refusal, Refused};
use crate::many::kv_slice_t;
use crate::packed::{KV_SPAN_NONE, kv_span_t};

/// The largest length an object can have; a longer one is a mistake, or a value far over any limit.
const LEN_MAX: usize = isize::MAX as usize;

/// The bytes of a key or a value. `(NULL, 0)` is the empty string.
///
/// # Safety
/// `data` is NULL or points to `len` bytes that stay unchanged for `'a`.
#[inline]
pub(crate) unsafe fn bytes<'a>(data: *const c_void, len: usize) -> Result<&'a [u8], Refusal> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(&Refused(
            Status::Invalid,
            "NULL with a length: pass a pointer to the bytes, or length 0",
        ));
    }
    if len > LEN_MAX {
        return Err(&Refused(
            Status::TooLarge,
            "a length that no object can have: pass its length",
        ));
    }
    // SAFETY: not NULL, the length is one an object can have, and the caller vouches for the rest.
    Ok(unsafe { slice::from_raw_parts(data.cast(), len) })
}

/// The bytes of many keys.
///
/// # Safety
/// `slices` is NULL or points to `count` slices, each as for [`bytes`].
pub(crate) unsafe fn many_bytes<'a>(
    slices: *const kv_slice_t,
    count: usize,
) -> Result<Vec<&'a [u8]>, Failure> {
    check_array(slices.is_null(), count, size_of::<kv_slice_t>())?;
    let mut all = Vec::new();
    all.try_reserve_exact(count).map_err(|_| Failure::from(Status::NoMemory))?;
    for index in 0..count {
        // SAFETY: below `count`, and the caller vouches for the slices and for their bytes.
        all.push(unsafe {
            let slice = slices.add(index).read_unaligned();
            bytes(slice.data, slice.len)
        }?);
    }
    Ok(all)
}

/// The bytes of many keys or values that lie one after the other; `what` one of them is called.
///
/// # Safety
/// `lens` is NULL or points to `count` lengths, and `data` is NULL or points to as many bytes as
/// they sum to, which stay unchanged for `'a`.
pub(crate) unsafe fn packed<'a>(
    what: &'static str,
    data: *const c_void,
    lens: *const usize,
    count: usize,
) -> Result<Vec<&'a [u8]>, Failure> {
    check_array(lens.is_null(), count, size_of::<usize>())?;
    let mut all = Vec::new();
    all.try_reserve_exact(count).map_err(|_| Failure::from(Status::NoMemory))?;
    let mut offset = 0;
    for index in 0..count {
        // SAFETY: below `count`, and the caller vouches for the lengths.
        let len = unsafe { lens.add(index).read_unaligned() };
        if len == 0 {
            all.push(&[][..]);
            continue;
        }
        if data.is_null() {
            return Err(Failure::Argument(
                Status::Invalid,
                format!("{what} {index} has a length, and the {what}s are NULL").into(),
            ));
        }
        if len > LEN_MAX - offset {
            return Err(Failure::Argument(
                Status::TooLarge,
                format!("{what} {index}: no memory holds so many bytes: pass its length").into(),
            ));
        }
        // SAFETY: not NULL, the lengths so far sum to what an object can have, and the caller
        // vouches for as many bytes.
        all.push(unsafe { slice::from_raw_parts(data.cast::<u8>().add(offset), len) });
        offset += len;
    }
    Ok(all)
}

/// Refuses an array that cannot be one.
fn check_array(is_null: bool, count: usize, item_bytes: usize) -> Result<(), Failure> {
    if is_null && count > 0 {
        return Err(Failure::invalid("an array is NULL: pass its address, or count 0"));
    }
    if count > LEN_MAX / item_bytes {
        return Err(Failure::invalid("the count is larger than any array"));
    }
    Ok(())
}

/// A text the caller ends with a NUL, such as the name of an option.
///
/// # Safety
/// `text` is NULL or points to a string that ends with a NUL and stays unchanged for `'a`.
pub(crate) unsafe fn text<'a>(
    text: *const c_char,
    missing: &'static str,
) -> Result<&'a str, Failure> {
    if text.is_null() {
        return Err(Failure::invalid(missing));
    }
    // SAFETY: not NULL, and the caller vouches for the NUL at its end.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| Failure::invalid("a text is not UTF-8: pass UTF-8"))
}

/// A place of the caller's for one answer. It is written at most when there is an answer.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// An output the caller must provide.
    ///
    /// # Safety
    /// `place` is NULL or may be written until the call returns.
    #[inline]
    pub(crate) unsafe fn required(place: *mut T) -> Result<Out<T>, Refusal> {
        if place.is_null() {
            return Err(&Refused(
                Status::Invalid,
                "an output pointer is NULL: pass the address of a variable",
            ));
        }
        Ok(Out(place))
    }

    /// An output the caller may leave away with NULL.
    ///
    /// # Safety
    /// `place` is NULL or may be written until the call returns.
    #[inline]
    pub(crate) unsafe fn optional(place: *mut T) -> Out<T> {
        Out(place)
    }

    /// Whether the caller wants the answer at all.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.0.is_null()
    }

    /// Gives the caller the answer, if it wants one.
    #[inline]
    pub(crate) fn put(&self, answer: T) {
        if self.is_wanted() {
            // SAFETY: whoever made this vouched that the place may be written during the call. It
            // need not be aligned, and what it held before is plain data that needs no drop.
            unsafe { self.0.write_unaligned(answer) }
        }
    }
}

/// An array of the caller's for answers, NULL where there is none.
pub(crate) struct Places<T> {
    first: *mut *mut T,
    count: usize,
}

impl<T> Places<T> {
    /// Sets all places to NULL, which is what they stay if the call fails.
    ///
    /// # Safety
    /// `first` is NULL, or `count` pointers there may be written until the call returns.
    pub(crate) unsafe fn cleared(first: *mut *mut T, count: usize) -> Result<Places<T>, Failure> {
        check_array(first.is_null(), count, size_of::<*mut T>())?;
        let places = Places { first, count };
        for index in 0..count {
            places.put(index, ptr::null_mut());
        }
        Ok(places)
    }

    /// Gives the caller one answer.
    pub(crate) fn put(&self, index: usize, answer: *mut T) {
        assert!(index < self.count, "more answers than places");
        // SAFETY: below `count`, and whoever made this vouched for that many places.
        unsafe { self.first.add(index).write_unaligned(answer) }
    }
}

/// A buffer of the caller's that takes one whole value.
#[derive(Clone, Copy)]
pub(crate) struct Buffer {
    data: *mut u8,
    capacity: usize,
}

impl Buffer {
    /// # Safety
    /// `data` is NULL, or `capacity` bytes there may be written until the call returns.
    #[inline]
    pub(crate) unsafe fn new(data: *mut c_void, capacity: usize) -> Result<Buffer, Refusal> {
        if data.is_null() && capacity > 0 {
            return Err(&Refused(
                Status::Invalid,
                "a NULL buffer with a capacity: pass capacity 0",
            ));
        }
        Ok(Buffer { data: data.cast(), capacity })
    }

    /// The longest value it takes.
    #[inline]
    pub(crate) fn capacity(self) -> usize {
        self.capacity
    }

    /// What is left of it behind `used` bytes.
    #[inline]
    fn from(self, used: usize) -> Buffer {
        assert!(used <= self.capacity, "more was used than there is");
        // `wrapping_add`, because nothing may be added to NULL; it stays within the buffer.
        Buffer { data: self.data.wrapping_add(used), capacity: self.capacity - used }
    }

    /// Copies a value that fits, and gives back its length.
    #[inline]
    pub(crate) fn take(self, value: &[u8]) -> usize {
        assert!(value.len() <= self.capacity, "a value longer than the buffer");
        if !value.is_empty() {
            // SAFETY: `value` is not empty, so `capacity` is not 0 and `data` is not NULL; the
            // caller vouched for `capacity` bytes there. They cannot overlap the value, which lies
            // in memory of the store.
            unsafe { self.data.copy_from_nonoverlapping(value.as_ptr(), value.len()) }
        }
        value.len()
    }
}

/// A buffer of the caller's that takes many whole values, one after the other.
pub(crate) struct Packing {
    buffer: Buffer,
    used: usize,
    needed: usize,
}

impl Packing {
    /// # Safety
    /// As for [`Buffer::new`].
    pub(crate) unsafe fn new(data: *mut c_void, capacity: usize) -> Result<Packing, Refusal> {
        // SAFETY: the caller's word is passed on.
        let buffer = unsafe { Buffer::new(data, capacity) }?;
        Ok(Packing { buffer, used: 0, needed: 0 })
    }

    /// Room for the next value, if it fits.
    #[inline]
    pub(crate) fn room(&mut self, len: usize) -> Option<&mut [MaybeUninit<u8>]> {
        let rest = self.buffer.from(self.used);
        match len {
            0 => Some(&mut []),
            // SAFETY: the length is not 0, so neither is the capacity, and `data` is not NULL. The caller vouched
            // for `capacity` bytes there that nobody else uses during the call.
            len if len <= rest.capacity => unsafe {
                Some(slice::from_raw_parts_mut(rest.data.cast(), len))
            },
            _ => None,
        }
    }

    /// The next value has so many bytes, which are in the room if there was room for them. Says where it is.
    #[inline]
    pub(crate) fn found(&mut self, len: usize) -> kv_span_t {
        self.needed = self.needed.saturating_add(len);
        if len > self.buffer.capacity - self.used {
            return kv_span_t { offset: KV_SPAN_NONE, len };
        }
        let span = kv_span_t { offset: self.used, len };
        self.used += len;
        span
    }

    /// What all values together take.
    pub(crate) fn needed(&self) -> usize {
        self.needed
    }

    /// Whether some value did not fit.
    pub(crate) fn is_short(&self) -> bool {
        self.needed > self.used
    }
}

/// An array of the caller's for where values are. Unless [`keep`](Spans::keep) is called, all of it
/// says "absent" in the end, also if the call panics.
pub(crate) struct Spans {
    first: *mut kv_span_t,
    count: usize,
    kept: bool,
}

impl Spans {
    /// # Safety
    /// `first` is NULL, or `count` spans there may be written until the call returns.
    pub(crate) unsafe fn cleared(first: *mut kv_span_t, count: usize) -> Result<Spans, Failure> {
        check_array(first.is_null(), count, size_of::<kv_span_t>())?;
        let mut spans = Spans { first, count, kept: false };
        spans.clear();
        Ok(spans)
    }

    fn clear(&mut self) {
        for index in 0..self.count {
            self.put(index, kv_span_t::ABSENT);
        }
    }

    /// Says where one value is.
    #[inline]
    pub(crate) fn put(&mut self, index: usize, span: kv_span_t) {
        assert!(index < self.count, "more answers than places");
        // SAFETY: below `count`, and whoever made this vouched for that many spans.
        unsafe { self.first.add(index).write_unaligned(span) }
    }

    /// Lets the answers stand.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        if !self.kept {
            self.clear();
        }
    }
}

/// A text for C. A NUL inside, which no text of libkv has, would end it early, so it is left out.
pub(crate) fn c_text(text: &str) -> CString {
    let without_nul: Vec<u8> = text.bytes().filter(|&byte| byte != 0).collect();
    CString::new(without_nul).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn null_is_empty_only_without_a_length() {
        // SAFETY: NULL, or a pointer to as many bytes as said, or a length that is refused.
        unsafe {
            assert!(bytes(ptr::null(), 0).is_ok_and(<[u8]>::is_empty));
            assert!(bytes(ptr::null(), 1).is_err_and(|e| e.0 == Status::Invalid));
            assert!(bytes(c"ab".as_ptr().cast(), 2).is_ok_and(|b| b == b"ab"));
            let far = bytes(c"ab".as_ptr().cast(), usize::MAX);
            assert!(far.is_err_and(|e| e.0 == Status::TooLarge));
        }
    }

    #[test]
    fn an_output_may_be_unaligned_and_may_be_absent() {
        let mut memory = [0u8; 9];
        // SAFETY: eight of the nine bytes may be written; the second place is NULL.
        unsafe {
            let place = memory.as_mut_ptr().add(1).cast::<u64>();
            assert!(Out::required(place).is_ok_and(|out| {
                out.put(u64::MAX);
                true
            }));
            Out::<u64>::optional(ptr::null_mut()).put(1);
            assert!(Out::<u64>::required(ptr::null_mut()).is_err());
        }
        assert_eq!(memory, [0, 255, 255, 255, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn a_buffer_takes_what_fits() {
        let mut memory = [7u8; 4];
        // SAFETY: three of the four bytes may be written.
        let buffer = unsafe { Buffer::new(memory.as_mut_ptr().cast(), 3) };
        assert!(buffer.is_ok_and(|buffer| {
            buffer.capacity() == 3 && buffer.take(b"") == 0 && buffer.take(b"abc") == 3
        }));
        assert_eq!(memory, *b"abc\x07");
        // SAFETY: NULL.
        unsafe {
            assert!(Buffer::new(ptr::null_mut(), 1).is_err());
            assert!(Buffer::new(ptr::null_mut(), 0).is_ok_and(|buffer| buffer.take(b"") == 0));
        }
    }

    #[test]
    fn packed_bytes_are_cut_by_their_lengths() {
        let texts = |lens: &[usize]| {
            // SAFETY: the lengths sum to at most three, or are refused before anything is read.
            unsafe { packed("key", c"abc".as_ptr().cast(), lens.as_ptr(), lens.len()) }
                .map_err(|failure| (failure.status(), message(failure)))
        };
        assert_eq!(texts(&[1, 0, 2, 0]), Ok(vec![&b"a"[..], b"", b"bc", b""]));
        assert_eq!(texts(&[]), Ok(vec![]));
        let (status, said) = texts(&[3, LEN_MAX - 2]).unwrap_err();
        assert!(status == Status::TooLarge && said.contains("key 1"), "{said}");
        assert!(texts(&[3, usize::MAX]).is_err_and(|(status, _)| status == Status::TooLarge));
        // SAFETY: NULL, and no bytes, or refused.
        unsafe {
            let empty = packed("key", ptr::null(), [0, 0].as_ptr(), 2);
            assert!(empty.is_ok_and(|all| all.len() == 2));
            let said = packed("key", ptr::null(), [0, 1].as_ptr(), 2).map_err(message);
            assert!(said.is_err_and(|said| said.contains("key 1")));
            assert!(packed("key", ptr::null(), ptr::null(), 0).is_ok_and(|all| all.is_empty()));
            assert!(packed("key", ptr::null(), ptr::null(), 1).is_err());
        }
    }

    fn message(failure: Failure) -> String {
        match failure {
            Failure::Argument(_, text) => text.into_owned(),
            _ => String::new(),
        }
    }

    /// Puts a value where there is room for it, as the engine does.
    fn push(packing: &mut Packing, value: &[u8]) -> kv_span_t {
        if let Some(room) = packing.room(value.len()) {
            room.write_copy_of_slice(value);
        }
        packing.found(value.len())
    }

    #[test]
    fn a_packing_takes_the_values_that_fit() {
        let mut memory = [7u8; 5];
        // SAFETY: four of the five bytes may be written.
        let packing = unsafe { Packing::new(memory.as_mut_ptr().cast(), 4) };
        let mut packing = packing.unwrap();
        let span = |offset, len| kv_span_t { offset, len };
        assert_eq!(push(&mut packing, b"ab"), span(0, 2));
        assert_eq!(push(&mut packing, b"cde"), span(KV_SPAN_NONE, 3));
        assert!(packing.is_short());
        // What was asked for and not used after all leaves its room to the next.
        assert!(packing.room(1).is_some_and(|room| room.len() == 1));
        assert_eq!(push(&mut packing, b"fg"), span(2, 2));
        assert_eq!(push(&mut packing, b""), span(4, 0));
        assert_eq!(packing.needed(), 7);
        assert_eq!(memory, *b"abfg\x07");
        // SAFETY: NULL, with no bytes.
        let nothing = unsafe { Packing::new(ptr::null_mut(), 0) };
        assert!(nothing.is_ok_and(|mut all| push(&mut all, b"") == span(0, 0) && !all.is_short()));
    }

    #[test]
    fn spans_that_are_not_kept_are_cleared() {
        let mut memory = [kv_span_t { offset: 1, len: 1 }; 3];
        let place = memory.as_mut_ptr();
        let found = kv_span_t { offset: 5, len: 6 };
        let fill = |keep: bool| {
            // SAFETY: two of the three spans may be written.
            let mut spans = unsafe { Spans::cleared(place, 2) }.ok().unwrap();
            spans.put(1, found);
            if keep {
                spans.keep();
            }
        };
        fill(false);
        // SAFETY: the array lives on, and nothing else refers to it.
        assert_eq!(unsafe { place.add(1).read() }, kv_span_t::ABSENT);
        fill(true);
        assert_eq!(memory, [kv_span_t::ABSENT, found, kv_span_t { offset: 1, len: 1 }]);
    }

    #[test]
    fn texts_for_c_lose_a_nul() {
        assert_eq!(c_text("a\0b").as_bytes(), b"ab");
    }
}
