package kvstore

// What a call that fails answers: the statuses of kv.h and an error for each. A failing call allocates nothing unless the
// library has a message of its own for it.

import (
	"strconv"
	"syscall"
)

// Status is an outcome or an error of libkv, with the same number on every surface: zero is success, a positive
// number an expected outcome, a negative one an error. The numbers never change.
type Status int32

// Every outcome and error. Some belong to calls that this version does not have yet.
const (
	StatusOK          Status = 0
	StatusNotFound    Status = 1
	StatusExists      Status = 2
	StatusConflict    Status = 3
	StatusDone        Status = 4
	StatusTimeout     Status = 5
	StatusShortBuffer Status = 6
	StatusLagged      Status = 7

	StatusInvalid     Status = -1
	StatusTooLarge    Status = -2
	StatusFull        Status = -3
	StatusType        Status = -4
	StatusNoSpace     Status = -5
	StatusIO          Status = -6
	StatusCorrupt     Status = -7
	StatusLocked      Status = -8
	StatusClosed      Status = -9
	StatusPoisoned    Status = -10
	StatusUnsupported Status = -11
	StatusForked      Status = -12
	StatusNoMemory    Status = -13
	StatusPanic       Status = -14
	StatusUnavailable Status = -15
	StatusCrossSlot   Status = -16
)

// String gives the name that the C interface has for the status, for example "KV_NOT_FOUND".
func (s Status) String() string {
	return statusName(s)
}

// Error is what the calls of this package return when they fail. Compare it with errors.Is and the values below,
// or get at the fields with errors.As.
type Error struct {
	// Status says which error it is.
	Status Status
	// Message says what is wrong and what to do about it. It is empty where there is nothing to add to the
	// meaning of the status; Error then gives that.
	Message string
	// OSCode is the operating system's error number behind it, or 0.
	OSCode int
}

// The errors to compare with, as in errors.Is(err, kvstore.ErrNotFound). Each is an *Error.
var (
	// ErrNotFound: the key is absent or has expired.
	ErrNotFound error = &Error{Status: StatusNotFound}
	// ErrExists: the key is there, and the call asked for it to be absent.
	ErrExists error = &Error{Status: StatusExists}
	// ErrConflict: the key has another version. Read it again and retry.
	ErrConflict error = &Error{Status: StatusConflict}
	// ErrDone: nothing more will come, because the watcher was closed.
	ErrDone error = &Error{Status: StatusDone}
	// ErrInvalid: an argument is wrong. Nothing changed.
	ErrInvalid error = &Error{Status: StatusInvalid}
	// ErrTooLarge: the key or the value is over its limit. Nothing changed.
	ErrTooLarge error = &Error{Status: StatusTooLarge}
	// ErrFull: the store is at its limit and may not evict. Nothing changed.
	ErrFull error = &Error{Status: StatusFull}
	// ErrType: the value is not a decimal 64-bit integer, or the sum would overflow. Nothing changed.
	ErrType error = &Error{Status: StatusType}
	// ErrNoSpace: the disk is full. Writes resume by themselves once there is room.
	ErrNoSpace error = &Error{Status: StatusNoSpace}
	// ErrIO: input or output failed, and the outcome is unknown.
	ErrIO error = &Error{Status: StatusIO}
	// ErrCorrupt: a file is damaged.
	ErrCorrupt error = &Error{Status: StatusCorrupt}
	// ErrLocked: another opener holds the directory.
	ErrLocked error = &Error{Status: StatusLocked}
	// ErrClosed: the store was closed.
	ErrClosed error = &Error{Status: StatusClosed}
	// ErrPoisoned: an earlier failure stopped all writes; reads still work. Fault tells what happened.
	ErrPoisoned error = &Error{Status: StatusPoisoned}
	// ErrUnsupported: an unknown option, or something this version or this store does not offer.
	ErrUnsupported error = &Error{Status: StatusUnsupported}
	// ErrForked: the store was opened by the parent of this process.
	ErrForked error = &Error{Status: StatusForked}
	// ErrNoMemory: an allocation sized by the caller's data failed. Nothing changed.
	ErrNoMemory error = &Error{Status: StatusNoMemory}
	// ErrPanic: a bug in libkv was contained, and the store is poisoned. Please report what Fault says.
	ErrPanic error = &Error{Status: StatusPanic}
	// ErrUnavailable: a remote store did not answer.
	ErrUnavailable error = &Error{Status: StatusUnavailable}
	// ErrCrossSlot: a batch on a cluster names keys of several slots.
	ErrCrossSlot error = &Error{Status: StatusCrossSlot}
)

// sentinels holds the error of each status that a call may return, so that a failing call allocates nothing.
var sentinels = map[Status]error{
	StatusNotFound:    ErrNotFound,
	StatusExists:      ErrExists,
	StatusConflict:    ErrConflict,
	StatusDone:        ErrDone,
	StatusInvalid:     ErrInvalid,
	StatusTooLarge:    ErrTooLarge,
	StatusFull:        ErrFull,
	StatusType:        ErrType,
	StatusNoSpace:     ErrNoSpace,
	StatusIO:          ErrIO,
	StatusCorrupt:     ErrCorrupt,
	StatusLocked:      ErrLocked,
	StatusClosed:      ErrClosed,
	StatusPoisoned:    ErrPoisoned,
	StatusUnsupported: ErrUnsupported,
	StatusForked:      ErrForked,
	StatusNoMemory:    ErrNoMemory,
	StatusPanic:       ErrPanic,
	StatusUnavailable: ErrUnavailable,
	StatusCrossSlot:   ErrCrossSlot,
}

// Error says what happened and what to do about it, behind the name of the status.
func (e *Error) Error() string {
	message := e.Message
	if message == "" {
		message = statusMessage(e.Status)
	}
	text := "kvstore: " + statusName(e.Status) + ": " + message
	if e.OSCode != 0 {
		text += " (os error " + strconv.Itoa(e.OSCode) + ")"
	}
	return text
}

// Is reports whether target is an *Error with the same status, for errors.Is.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Status == e.Status
}

// Unwrap gives the operating system's error behind this one, a syscall.Errno, or nil.
func (e *Error) Unwrap() error {
	if e.OSCode == 0 {
		return nil
	}
	return syscall.Errno(e.OSCode)
}

// err gives the error of a status; nil for success. The two outcomes every program meets go first.
func (s Status) err() error {
	switch s {
	case StatusOK:
		return nil
	case StatusNotFound:
		return ErrNotFound
	}
	if known, ok := sentinels[s]; ok {
		return known
	}
	return &Error{Status: s}
}
