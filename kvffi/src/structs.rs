//! Structs that may grow: how old callers and new libraries, and the reverse, agree on sizes.
//!
//! Such a struct begins with `struct_size`, which the caller sets, and ends without padding, so
//! that its first version is a prefix of every later one. An input that is larger than this
//! library knows is fine as long as the part it does not know is zero; an output that is larger is
//! filled up with zeros. Anything smaller than the first version is a mistake.

use std::mem::size_of;
use std::ptr;

use kvcore::Status;

use crate::error::Failure;

/// A struct of the header that begins with `struct_size`.
///
/// # Safety
/// The type is `repr(C)`, has no padding, holds numbers only, and begins with a `usize` that is
/// its size as the caller knows it.
pub(crate) unsafe trait Growable: Copy {
    /// The size of its first version. Frozen.
    const FIRST_SIZE: usize;
}

/// Reads an input struct.
///
/// # Safety
/// `given` is NULL, or as many bytes as its `struct_size` says may be read there.
pub(crate) unsafe fn input<T: Growable>(given: *const T, mut known: T) -> Result<T, Failure> {
    // SAFETY: passed on.
    let size = unsafe { struct_size(given) }?;
    let common = size.min(size_of::<T>());
    // SAFETY: `size` bytes may be read and `size_of::<T>()` bytes may be written; all of them are
    // plain numbers. `known` is ours, so they do not overlap.
    unsafe { ptr::copy_nonoverlapping(given.cast::<u8>(), (&raw mut known).cast(), common) };
    for offset in size_of::<T>()..size {
        // SAFETY: below `size`.
        if unsafe { given.cast::<u8>().add(offset).read() } != 0 {
            return Err(Failure::Argument(
                Status::Unsupported,
                "a struct asks for something this version of libkv does not know: set the fields \
                 behind its end to zero, or use a newer libkv"
                    .into(),
            ));
        }
    }
    Ok(known)
}

/// A struct of the caller's for an answer, checked before the call changes anything.
#[derive(Clone, Copy)]
pub(crate) struct Output<T: Growable> {
    place: *mut T,
    size: usize,
}

impl<T: Growable> Output<T> {
    /// An output the caller must provide.
    ///
    /// # Safety
    /// `place` is NULL, or as many bytes as its `struct_size` says may be read and written there
    /// until the call returns.
    pub(crate) unsafe fn required(place: *mut T) -> Result<Output<T>, Failure> {
        // SAFETY: passed on.
        let size = unsafe { struct_size(place) }?;
        Ok(Output { place, size })
    }

    /// An output the caller may leave away with NULL.
    ///
    /// # Safety
    /// As for [`Output::required`].
    pub(crate) unsafe fn optional(place: *mut T) -> Result<Option<Output<T>>, Failure> {
        if place.is_null() {
            return Ok(None);
        }
        // SAFETY: passed on.
        unsafe { Output::required(place) }.map(Some)
    }

    /// Gives the caller the answer. `struct_size` stays what the caller set.
    pub(crate) fn put(self, answer: T) {
        let place = self.place.cast::<u8>();
        let answer = (&raw const answer).cast::<u8>();
        let header = size_of::<usize>();
        let common = self.size.min(size_of::<T>());
        // SAFETY: whoever made this vouched for `size` bytes at `place`, and `size` is not under
        // the first version of the struct, so not under `header`. The answer is ours, so they do
        // not overlap.
        unsafe {
            ptr::copy_nonoverlapping(answer.add(header), place.add(header), common - header);
            ptr::write_bytes(place.add(common), 0, self.size - common);
        }
    }
}

/// No struct of any version is larger. What says so was never initialised, and believing it would
/// read or clear memory that is not the struct's.
const LARGEST: usize = 64 * 1024;

/// The size that the caller of a struct gives, if there can be such a struct.
///
/// # Safety
/// `given` is NULL or points to a `struct_size`.
unsafe fn struct_size<T: Growable>(given: *const T) -> Result<usize, Failure> {
    if given.is_null() {
        return Err(Failure::invalid("a struct is NULL: pass the address of one"));
    }
    // SAFETY: not NULL, and the caller vouches for the field, which may be unaligned.
    let size = unsafe { given.cast::<usize>().read_unaligned() };
    if size < T::FIRST_SIZE || size > LARGEST {
        return Err(Failure::invalid(
            "struct_size is wrong: start from the initialiser named after the struct",
        ));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A struct that grew once: `later` came with the second version.
    #[repr(C)]
    #[derive(Clone, Copy, Default, PartialEq, Debug)]
    struct Grown {
        struct_size: usize,
        first: u64,
        later: u64,
    }

    // SAFETY: repr(C), two fields of 8 bytes behind a usize of 8.
    unsafe impl Growable for Grown {
        const FIRST_SIZE: usize = size_of::<usize>() + 8;
    }

    /// What a caller of a third version passes.
    #[repr(C)]
    struct Newer {
        known: Grown,
        unknown: u64,
    }

    fn grown(struct_size: usize, first: u64, later: u64) -> Grown {
        Grown { struct_size, first, later }
    }

    fn read(given: &Grown) -> Result<Grown, Status> {
        // SAFETY: no test says more bytes than there are.
        unsafe { input(given, Grown::default()) }.map_err(|failure| failure.status())
    }

    #[test]
    fn an_old_input_has_defaults_for_what_it_does_not_have() {
        let old = grown(Grown::FIRST_SIZE, 1, 99);
        assert_eq!(read(&old), Ok(grown(Grown::FIRST_SIZE, 1, 0)));
        assert_eq!(read(&grown(size_of::<Grown>(), 1, 2)), Ok(grown(size_of::<Grown>(), 1, 2)));
        assert_eq!(read(&grown(Grown::FIRST_SIZE - 1, 1, 2)), Err(Status::Invalid));
    }

    #[test]
    fn a_newer_input_must_not_use_what_is_new() {
        let mut newer = Newer { known: grown(size_of::<Newer>(), 1, 2), unknown: 0 };
        // SAFETY: `Newer` has as many bytes as it says.
        let read =
            |newer: &Newer| unsafe { input((&raw const *newer).cast::<Grown>(), Grown::default()) };
        assert!(read(&newer).is_ok_and(|grown| grown.later == 2));
        newer.unknown = 1 << 63;
        assert!(read(&newer).is_err_and(|failure| failure.status() == Status::Unsupported));
    }

    #[test]
    fn an_old_output_gets_no_more_than_it_has() {
        let mut old = grown(Grown::FIRST_SIZE, 1, 99);
        // SAFETY: the struct is larger than it says.
        let output = unsafe { Output::required(&raw mut old) };
        assert!(output.is_ok_and(|output| {
            output.put(grown(0, 5, 6));
            true
        }));
        assert_eq!(old, grown(Grown::FIRST_SIZE, 5, 99));
    }

    #[test]
    fn a_newer_output_is_filled_with_zeros() {
        let mut newer = Newer { known: grown(size_of::<Newer>(), 1, 2), unknown: 99 };
        let place: *mut Newer = &raw mut newer;
        // SAFETY: `Newer` has as many bytes as it says.
        let output = unsafe { Output::required(place.cast::<Grown>()) };
        assert!(output.is_ok_and(|output| {
            output.put(grown(0, 5, 6));
            true
        }));
        assert_eq!((newer.known, newer.unknown), (grown(size_of::<Newer>(), 5, 6), 0));
    }
}
