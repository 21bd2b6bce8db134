package kvstore

// Where the cases run: in this process, or on a server that the environment names. tests/conformance/README.md explains
// KV_AT and KV_SERVERS.

import (
	"os"
	"strings"
	"testing"
)

// conformanceLacks lists the features that a store has not at the place where the cases run.
func conformanceLacks(t *testing.T) []string {
	t.Helper()
	lacking := []string{"get_into", "wide_ttl"}
	if os.Getenv("KV_SERVERS") == "" {
		lacking = append(lacking, "servers")
	}
	at := os.Getenv("KV_AT")
	if at == "" {
		return lacking
	}
	store, err := Open(at)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	can, err := store.Capabilities()
	if err != nil {
		t.Fatal(err)
	}
	// Such a case says itself where its store is.
	lacking = append(lacking, "location")
	for feature, has := range map[string]bool{
		"versions": can.Versions, "del_if": can.Versions, "order": can.OrderedScans, "moment": can.ExactScans,
		"watch": can.Watches, "history": can.WatchHistory, "files": can.Snapshots, "directory": can.Snapshots,
		"engine": can.Eviction,
	} {
		if !has {
			lacking = append(lacking, feature)
		}
	}
	return lacking
}

// ownPlace is where a case opens a store of which it says nothing: empty for this process.
func ownPlace(way, name string) string {
	at := os.Getenv("KV_AT")
	if at == "" {
		return ""
	}
	return at + "/?prefix={go." + way + "." + name + "}:"
}

// openCleared opens a store without what an earlier run left there.
func openCleared(location string, options ...Option) (*Store, error) {
	store, err := Open(location, options...)
	if err != nil {
		return nil, err
	}
	if err := store.Clear(); err != nil {
		store.Close()
		return nil, err
	}
	return store, nil
}

// fillServers puts places into a location for the names of servers.
func fillServers(text string) string {
	for _, word := range strings.Fields(os.Getenv("KV_SERVERS")) {
		name, place, _ := strings.Cut(word, "=")
		text = strings.ReplaceAll(text, "{"+name+"}", place)
	}
	return text
}
