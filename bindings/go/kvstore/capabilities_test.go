package kvstore

import "testing"

func TestCapabilitiesOfAStoreOfThisProcess(t *testing.T) {
	store := newStore(t)
	can, err := store.Capabilities()
	all := Capabilities{true, true, true, true, true, true, true, true, true, false}
	if err != nil || can != all {
		t.Fatalf("got %+v, %v", can, err)
	}
	store.Close()
	if can, err := store.Capabilities(); err != nil || can != all {
		t.Fatalf("after Close: got %+v, %v", can, err)
	}
}
