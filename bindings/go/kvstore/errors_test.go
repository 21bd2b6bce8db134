package kvstore

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

// The numbers are written down a second time here, so they are compared with the library's names for them.
func TestStatusesAreThoseOfTheLibrary(t *testing.T) {
	names := map[Status]string{
		StatusOK: "KV_OK", StatusNotFound: "KV_NOT_FOUND", StatusExists: "KV_EXISTS", StatusConflict: "KV_CONFLICT",
		StatusDone: "KV_DONE", StatusTimeout: "KV_TIMEOUT", StatusShortBuffer: "KV_SHORT_BUFFER",
		StatusLagged: "KV_LAGGED", StatusInvalid: "KV_ERR_INVALID", StatusTooLarge: "KV_ERR_TOO_LARGE",
		StatusFull: "KV_ERR_FULL", StatusType: "KV_ERR_TYPE", StatusNoSpace: "KV_ERR_NO_SPACE", StatusIO: "KV_ERR_IO",
		StatusCorrupt: "KV_ERR_CORRUPT", StatusLocked: "KV_ERR_LOCKED", StatusClosed: "KV_ERR_CLOSED",
		StatusPoisoned: "KV_ERR_POISONED", StatusUnsupported: "KV_ERR_UNSUPPORTED", StatusForked: "KV_ERR_FORKED",
		StatusNoMemory: "KV_ERR_NO_MEMORY", StatusPanic: "KV_ERR_PANIC", StatusUnavailable: "KV_ERR_UNAVAILABLE",
		StatusCrossSlot: "KV_ERR_CROSS_SLOT", Status(-999): "KV_UNKNOWN",
	}
	for status, name := range names {
		if status.String() != name {
			t.Errorf("%d is %s in the library, %s here", status, status, name)
		}
	}
}

func TestEveryErrorSaysWhatToDo(t *testing.T) {
	for status, err := range sentinels {
		var known *Error
		if !errors.As(err, &known) || known.Status != status {
			t.Errorf("%v is not the error of %v", err, status)
		}
		name, message, _ := strings.Cut(strings.TrimPrefix(err.Error(), "kvstore: "), ": ")
		if name != status.String() || len(message) < 10 {
			t.Errorf("%q says too little", err)
		}
	}
}

func TestErrorsCompareByStatus(t *testing.T) {
	_, err := New(WithOption("max_entris", "5"))
	wants(t, err, ErrUnsupported)
	if errors.Is(err, ErrInvalid) || errors.Is(err, errors.New("other")) {
		t.Error("an error is no other error")
	}
	for _, part := range []string{"max_entris", "max_entries"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q should name %s", err, part)
		}
	}
	var known *Error
	if !errors.As(err, &known) || known.Status != StatusUnsupported || known.Message == "" {
		t.Errorf("got %#v", err)
	}
}

func TestErrorsCarryTheSystemsOwn(t *testing.T) {
	err := &Error{Status: StatusIO, Message: "writing failed", OSCode: int(syscall.ENOSPC)}
	if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, ErrIO) {
		t.Error("both the status and the system's error should match")
	}
	if expected := "(os error 28)"; !strings.HasSuffix(err.Error(), expected) {
		t.Errorf("%q should end with %s", err, expected)
	}
	if errors.Unwrap(ErrFull) != nil {
		t.Error("without a system error there is nothing to unwrap")
	}
}

func TestAnUnknownStatusIsStillAnError(t *testing.T) {
	err := Status(-999).err()
	var known *Error
	if !errors.As(err, &known) || known.Status != -999 || err.Error() == "" {
		t.Errorf("got %v", err)
	}
}

// A miss is common, and must cost no allocation.
func TestAMissAllocatesNothing(t *testing.T) {
	store := newStore(t)
	if count := testing.AllocsPerRun(100, func() { _, _ = store.Get("gone") }); count > 0 && !checkedBuild {
		t.Errorf("a miss made %v allocations", count)
	}
}
